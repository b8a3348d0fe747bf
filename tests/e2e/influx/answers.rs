//! The table of answers by both senders: what goes out, and what each status comes to.

use std::time::Duration;

use gateway::io::influx::crate_sender::CrateSender;
use tests::neighbours::free_port;
use tests::standin::{Reply, Standin};

use super::*;

const LINES: &[u8] = b"hydrant,device=a pressure=1 1\nhydrant,device=b pressure=2 2\n";

#[tokio::test]
async fn a_request_carries_all_that_the_v2_api_wants() {
    for gzip in [true, false] {
        let standin = Standin::scripted([Reply::status(204)]).await.unwrap();
        let settings = Settings { gzip, org: "o r".into(), bucket: "b&c".into(), ..settings(standin.port) };
        assert_eq!(by_both(&settings, LINES).await, [Verdict::Stored, Verdict::Stored]);
        for asked in standin.asked() {
            assert_eq!((asked.method.as_str(), asked.uri.path()), ("POST", "/api/v2/write"));
            let mut query: Vec<_> = asked.uri.query().unwrap().split('&').collect();
            query.sort_unstable();
            assert_eq!(query, ["bucket=b%26c", "org=o+r", "precision=ms"]);
            assert_eq!(asked.header("authorization"), "Token t0ken");
            assert_eq!(asked.header("content-encoding"), if gzip { "gzip" } else { "" });
            assert_eq!(asked.body, LINES);
        }
        standin.close().await;
    }
}

#[tokio::test]
async fn ours_keeps_a_base_path() {
    let standin = Standin::scripted([Reply::status(204)]).await.unwrap();
    let url = format!("{}/influx/", standin.url()).parse().unwrap();
    let settings = Settings { url, ..settings(standin.port) };
    assert_eq!(Sender::new(&settings).unwrap().write(LINES.into()).await, Verdict::Stored);
    assert_eq!(standin.asked()[0].uri.path(), "/influx/api/v2/write");
    assert!(CrateSender::new(&settings).is_err(), "the crate would drop the path in silence");
}

/// The first word of a verdict.
fn kind(verdict: &Verdict) -> String {
    let text = format!("{verdict:?}");
    text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn both_senders_read_every_status_alike() {
    let malformed = r#"{"code":"invalid","message":"unable to parse 'hydrant,device=a pressure=1 1': no"}"#;
    let partial = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=1"}"#;
    let table = [
        (Reply::status(204), "Stored"),
        (Reply::json(400, malformed), "Malformed"),
        (Reply::json(422, partial), "Partial"),
        (Reply::json(401, r#"{"code":"unauthorized","message":"unauthorized access"}"#), "Held"),
        (Reply::status(403), "Held"),
        (Reply::json(404, r#"{"code":"not found","message":"bucket not found"}"#), "Held"),
        (Reply::status(413).body("<html>Request Entity Too Large</html>"), "TooLarge"),
        (Reply::status(429).header("retry-after", 7), "Later"),
        (Reply::status(503), "Later"),
        (Reply::status(500), "Later"),
        (Reply::status(502), "Later"),
        (Reply::status(504), "Later"),
        (Reply::status(302).header("location", "http://127.0.0.1:1/login"), "Held"),
        (Reply::status(307).header("location", "http://127.0.0.1:1/x"), "Held"),
        (Reply::status(200).header("content-type", "text/html").body("<html>Wi-Fi log-in</html>"), "Later"),
    ];
    for (reply, expected) in table {
        let standin = Standin::scripted([reply.clone()]).await.unwrap();
        let [ours, theirs] = by_both(&settings(standin.port), LINES).await;
        assert_eq!(kind(&ours), expected, "{reply:?}: {ours:?}");
        assert_eq!(kind(&theirs), expected, "{reply:?}: {theirs:?}");
        assert_eq!(standin.asked().len(), 2, "{reply:?}: one request each, no redirect followed");
        if reply.status == 429 {
            let after = |verdict| if let Verdict::Later { after, .. } = verdict { after } else { None };
            assert_eq!(after(ours), Some(Duration::from_secs(7)));
            assert_eq!(after(theirs), None, "the crate cannot see Retry-After: if it can now, use it");
        }
        standin.close().await;
    }
}

#[tokio::test]
async fn a_closed_port_and_a_server_that_never_answers_are_tried_later() {
    for verdict in by_both(&settings(free_port()), LINES).await {
        let Verdict::Later { reason, .. } = verdict else { panic!("{verdict:?}") };
        assert!(reason.contains("refused"), "{reason}");
        assert!(!reason.contains("t0ken"), "{reason}");
    }
    let silent = Standin::start(0, |_| std::future::pending::<Reply>()).await.unwrap();
    let settings = Settings { timeout: Duration::from_millis(200), ..settings(silent.port) };
    for verdict in by_both(&settings, LINES).await {
        assert_eq!(kind(&verdict), "Later", "{verdict:?}");
    }
}

#[tokio::test]
async fn a_server_that_talks_nonsense_or_hangs_up_is_tried_later() {
    use tokio::io::AsyncWriteExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(listener.local_addr().unwrap().port());
    let nonsense = async {
        let mut answers = [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b""].into_iter().cycle();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.write_all(answers.next().unwrap()).await; // The client may be gone.
        }
    };
    tokio::select! {
        () = nonsense => unreachable!("it serves for ever"),
        () = async {
            for _ in 0..2 {
                for verdict in by_both(&settings, LINES).await {
                    assert_eq!(kind(&verdict), "Later", "{verdict:?}");
                }
            }
        } => (),
    }
}
