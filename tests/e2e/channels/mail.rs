//! Mail against a stand-in that speaks SMTP and refuses as RFC 5321 says.

use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// Whole messages as they came.
type Box = Arc<Mutex<Vec<String>>>;

async fn talk(stream: TcpStream, inbox: Box) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.example ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => "250 mail.example",
            "RCPT" if line.contains("zhao-qiang") => "550 5.1.1 no such mailbox",
            "RCPT" if line.contains("chen-jie") => "451 4.7.1 greylisted, come back later",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    message.push_str(&line);
                    message.push('\n');
                }
                inbox.lock().unwrap().push(message);
                "250 2.0.0 Ok: queued as 4711"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn mail_is_taken_refused_or_put_off() {
    let inbox = Box::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    let kept = inbox.clone();
    tasks.spawn(async move {
        let mut talks = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            talks.spawn(talk(stream, kept.clone()));
        }
    });
    let channels = format!(
        "[[channel.mail]]\nname = \"mail\"\nserver = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\nfrom = \"grid@street.example\"\n\
         [[channel.mail]]\nname = \"away\"\nserver = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\nfrom = \"grid@street.example\"\nto = \"duty@street.example\"\n",
        tests::neighbours::free_port()
    );
    let station = Station::start_with_channels(&channels, &[]).await.unwrap();
    for (person, channel, beginning, words) in [
        ("wang-li", "mail", "taken <", "queued as 4711"),
        ("zhao-qiang", "mail", "never the mail server refused it", "no such mailbox"),
        ("chen-jie", "mail", "again 10 the mail server did not take it", "greylisted"),
        ("wang-li", "away", "again 10 the mail server did not take it", ""),
    ] {
        let alarm = station.raise(SignalClass::Trouble, "SD-0001", "离线").await.unwrap();
        station.tell(&alarm, channel, person).await.unwrap();
        let said = told(&attempts(&station, alarm.id, 1).await[0], &station);
        assert!(said.starts_with(beginning) && said.contains(words), "{person}: {said}");
    }
    let message = inbox.lock().unwrap()[0].clone();
    assert!(
        message.contains("From: grid@street.example") && message.contains("wang-li@street.example"),
        "{message}"
    );
    assert!(message.contains("Subject: =?utf-8?b?"), "{message}");
    station.end().await.unwrap();
}
