//! How fast, and how much memory. Not run by `make test`: figures need an optimised build and a quiet machine.
//!
//! `CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo test -p tests --test e2e listener::speed -- --ignored --nocapture --test-threads 1`

use std::sync::Arc;

use bytes::BytesMut;
use gateway::decode::Message;
use gateway::io::inlet::{self, Safe};
use gateway::io::listener::{Intake, Listener};
use gateway::model::{DeviceIx, Event, Freshness, Report};
use rumqttc::mqttbytes::{QoS, v4};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A listener whose driver commits at once; returns its port.
async fn open(tasks: &mut JoinSet<()>) -> u16 {
    let settings = "bind = '127.0.0.1:0'\nmessages_per_s_max = 100000000";
    let listener =
        Listener::bind(&toml::from_str(settings).unwrap(), std::path::Path::new(".")).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (inlet, mut outlet) = inlet::channel();
    tasks.spawn(async move {
        let mut some = Vec::with_capacity(1024);
        while outlet.routine.recv_many(&mut some, 1024).await > 0 {
            for inbound in some.drain(..) {
                if let Safe::Ticket(ticket) = inbound.safe {
                    ticket.done();
                }
            }
        }
    });
    let intake: Intake = Arc::new(|message: &Message<'_>| {
        let report = Report {
            device: DeviceIx(0),
            received: message.received,
            device_time: None,
            freshness: Freshness::Live,
            values: Vec::new(),
        };
        (vec![Event::Report(report)], Vec::new())
    });
    tasks.spawn(async move { listener.run_with(intake, inlet, CancellationToken::new()).await.unwrap() });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn messages_per_second() {
    const COUNT: usize = 1_000_000;
    const IN_FLIGHT: usize = 2_000;
    let mut tasks = JoinSet::new();
    let port = open(&mut tasks).await;
    for round in 1..=5 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut out = BytesMut::new();
        v4::Connect::new("fast").write(&mut out).unwrap();
        stream.write_all(&out).await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        let begun = std::time::Duration::from_millis(gateway::clock::wall().0 as u64);
        let (mut sent, mut acknowledged) = (0, 0);
        let mut acks = vec![0; 64 * 1024];
        while acknowledged < COUNT {
            out.clear();
            while sent < COUNT && sent - acknowledged < IN_FLIGHT && out.len() < 64 * 1024 {
                let mut publish = v4::Publish::new("native/meter-0001", QoS::AtLeastOnce, [b'x'; 200]);
                publish.pkid = (sent % 65_535) as u16 + 1;
                publish.write(&mut out).unwrap();
                sent += 1;
            }
            if !out.is_empty() {
                stream.write_all(&out).await.unwrap();
            }
            if sent - acknowledged >= IN_FLIGHT || sent == COUNT {
                let count = stream.read(&mut acks).await.unwrap();
                assert!(count > 0);
                acknowledged += count / 4;
                if count % 4 != 0 {
                    stream.read_exact(&mut acks[..4 - count % 4]).await.unwrap();
                    acknowledged += 1;
                }
            }
        }
        let took = gateway::clock::wall().0 as f64 / 1000.0 - begun.as_secs_f64();
        println!("round {round}: {:.0} QoS 1 messages of 200 bytes a second", COUNT as f64 / took);
    }
}

fn resident_kb() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The clients are in another process, so that only the listener's side is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn memory_of_an_idle_connection() {
    const COUNT: i64 = 8_000;
    let mut tasks = JoinSet::new();
    let port = open(&mut tasks).await;
    let script = format!(
        "import socket,sys\n\
         socks=[]\n\
         for n in range({COUNT}):\n\
         \x20 s=socket.create_connection(('127.0.0.1',{port}))\n\
         \x20 i=b'meter-%06d'%n\n\
         \x20 s.sendall(b'\\x10'+bytes([12+len(i)])+b'\\x00\\x04MQTT\\x04\\x02\\x00\\x3c\\x00'+bytes([len(i)])+i)\n\
         \x20 s.recv(4); s.sendall(b'\\x30\\x06\\x00\\x01tabc'); socks.append(s)\n\
         print('open',flush=True); sys.stdin.read()\n"
    );
    let before = resident_kb();
    let mut clients = tokio::process::Command::new("python3")
        .args(["-c", &script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = [0; 4];
    clients.stdout.as_mut().unwrap().read_exact(&mut said).await.unwrap();
    let grown = resident_kb() - before;
    println!("{COUNT} idle connections: {grown} kB, {} bytes each", grown * 1024 / COUNT);
    clients.kill().await.unwrap();
}
