//! Neighbours that die, hang or are doubled, seen from the real program: it says so, waits with pauses and uses no processor meanwhile.

use std::time::Duration;

use serde_json::json;
use tests::mad::Mad;
use tests::neighbours::{eventually, free_port, mosquitto};
use tests::process::Process;
use tests::site::{Receiver, Site, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

fn broker(port: u16) -> String {
    format!(
        "[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {port}\nclient_id = \"station-1\"\nsubscribe = [\"gridwarden/up/#\"]\nkeep_alive_s = 5\n"
    )
}

/// Passes bytes on until told to be silent; then the connections stay open and say nothing, as after a pulled cable.
struct Proxy {
    port: u16,
    silent: watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl Proxy {
    async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (silent, told) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut pairs = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                if *told.borrow() {
                    pairs.spawn(async move {
                        let _open = near;
                        std::future::pending::<()>().await;
                    });
                    continue;
                }
                let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                let (up, down) = (told.clone(), told.clone());
                pairs.spawn(async move {
                    tokio::select! {
                        () = pass(near_in, far_out, up) => (),
                        () = pass(far_in, near_out, down) => (),
                    }
                });
            }
        });
        Self { port, silent, _task: task }
    }
}

/// Copies until the end, or until silence, which keeps both sides open for ever.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut told: watch::Receiver<bool>) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            () = async { drop(told.wait_for(|silent| *silent).await) } => None,
            read = from.read(&mut bytes) => Some(read.unwrap_or(0)),
        };
        let Some(many) = read else { return std::future::pending().await };
        if many == 0 || to.write_all(&bytes[..many]).await.is_err() {
            return;
        }
    }
}

/// Broker, InfluxDB and webhook refuse connections: pauses grow, nothing spins, devices of the listener are served.
#[tokio::test]
async fn while_everybody_is_away_nothing_spins() {
    let (influx, hook) = (free_port(), free_port());
    let site = Site::new(&format!(
        "[[webhook]]\nname = \"duty\"\nurl = \"http://127.0.0.1:{hook}/\"\n[influx]\nurl = \"http://127.0.0.1:{influx}\"\norg = \"o\"\nbucket = \"b\"\n{}",
        broker(free_port())
    ));
    let mut process = Process::start(&program("gridwarden"), &site).await;
    let mut device = Mad::connect(process.mqtt_port, "device").await.unwrap();
    let smoke = json!({"values": {"smoke": true}}).to_string();
    device.publish_safe("gridwarden/up/SD-1", smoke.as_bytes()).await.unwrap();
    eventually("the first failures are said", 20, || async {
        let log = process.log();
        (log.contains("the broker cannot be reached") && log.contains("an alert was not taken")).then_some(())
    })
    .await;
    let (before, rss) = (process.cpu(), process.rss_mb());
    tokio::time::sleep(Duration::from_secs(6)).await; // A time to measure, not to settle.
    let (used, grown) = (process.cpu() - before, process.rss_mb().saturating_sub(rss));
    assert!(used < Duration::from_millis(600), "{used:?} of processor in 6 s of outage");
    assert!(grown < 20, "{grown} MB more");
    let said = process.log().matches("the broker cannot be reached").count();
    assert_eq!(said, 1, "an outage is said once");
    println!("processor {used:?} in 6 s, memory {rss} MB + {grown} MB");
    process.kill().await;
}

/// Two stations with one client id throw each other out: named, and with growing pauses.
#[tokio::test]
async fn two_gateways_with_one_client_id_are_named() {
    let neighbour = mosquitto("").await.unwrap();
    let (one, two) = (Site::new(&broker(neighbour.port)), Site::new(&broker(neighbour.port)));
    let mut first = Process::start(&program("gridwarden"), &one).await;
    let mut second = Process::start(&program("gridwarden"), &two).await;
    eventually("one of them says what is wrong", 60, || async {
        [&first, &second]
            .iter()
            .any(|process| process.log().contains("another client most likely"))
            .then_some(())
    })
    .await;
    let connects = first.log().matches("connected to the broker").count()
        + second.log().matches("connected to the broker").count();
    assert!(connects < 30, "{connects} connections until then");
    println!("{connects} connections until it was said");
    first.kill().await;
    second.kill().await;
}

/// The line goes dead without a word: noticed within three keep-alives, and taken up again when it works.
#[tokio::test]
async fn a_dead_line_to_the_broker_is_noticed() {
    let neighbour = mosquitto("").await.unwrap();
    let proxy = Proxy::start(neighbour.port).await;
    let receiver = Receiver::start().await;
    let site = Site::new(&format!("{}{}", receiver.config(), broker(proxy.port)));
    let mut process = Process::start(&program("gridwarden"), &site).await;
    let connected = || process.log().matches("connected to the broker").count();
    eventually("connected", 20, || async { (connected() == 1).then_some(()) }).await;
    proxy.silent.send_replace(true);
    eventually("the loss is noticed", 30, || async {
        process.log().contains("the connection to the broker is lost").then_some(())
    })
    .await;
    proxy.silent.send_replace(false);
    eventually("connected again", 60, || async { (connected() == 2).then_some(()) }).await;
    let mut device = Mad::connect(neighbour.port, "device").await.unwrap();
    let told = async {
        while receiver.deliveries().is_empty() {
            // Again and again: the subscription may not stand yet.
            device.publish(b"gridwarden/up/SD-2", br#"{"values":{"smoke":true}}"#).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("a fire through the broker is told");
    process.kill().await;
}

/// A broker that sends as fast as it is read and reads nothing itself: our acknowledgements find no way out. Its next connection is a sound one.
struct Deaf {
    port: u16,
    /// Connections taken, and messages sent on the first.
    seen: watch::Receiver<(usize, usize)>,
    _task: JoinSet<()>,
}

impl Deaf {
    fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap(); // The less the kernel takes for us, the sooner the line is full.
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(8).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (see, seen) = watch::channel((0, 0));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (mut first, _) = listener.accept().await.unwrap();
            see.send_modify(|seen| seen.0 += 1);
            greet(&mut first).await;
            let mut id = 0_u16;
            // Until the gateway gives the line up; the last message may be cut in two.
            while first
                .write_all(&message(id.max(1), "gridwarden/up/HY-1", r#"{"values":{"pressure":200}}"#))
                .await
                .is_ok()
            {
                id = id.wrapping_add(1);
                see.send_modify(|seen| seen.1 += 1);
            }
            let (mut second, _) = listener.accept().await.unwrap();
            see.send_modify(|seen| seen.0 += 1);
            greet(&mut second).await;
            second
                .write_all(&message(1, "gridwarden/up/SD-2", r#"{"values":{"smoke":true}}"#))
                .await
                .unwrap();
            while 0 < second.read(&mut [0; 1024]).await.unwrap_or(0) {}
        });
        Self { port, seen, _task: task }
    }
}

/// CONNACK and SUBACK, each after whatever asked for it.
async fn greet(line: &mut TcpStream) {
    let mut asked = [0; 1024];
    assert!(0 < line.read(&mut asked).await.unwrap());
    line.write_all(&[0x20, 2, 0, 0]).await.unwrap();
    assert!(0 < line.read(&mut asked).await.unwrap());
    line.write_all(&[0x90, 3, asked[2], asked[3], 1]).await.unwrap();
}

/// PUBLISH with QoS 1, short enough for one byte of length.
fn message(id: u16, topic: &str, payload: &str) -> Vec<u8> {
    let mut bytes = vec![0x32, (4 + topic.len() + payload.len()) as u8];
    bytes.extend((topic.len() as u16).to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload.as_bytes());
    bytes
}

/// A broker that does not read: the gateway stops reading too, waits without spinning, gives the line up, and goes on with the next one.
#[tokio::test]
async fn a_broker_that_reads_nothing_costs_neither_memory_nor_processor() {
    let deaf = Deaf::start();
    let receiver = Receiver::start().await;
    let site = Site::new(&format!("{}{}", receiver.config(), broker(deaf.port)));
    let mut process = Process::start(&program("gridwarden"), &site).await;
    let rss = process.rss_mb();
    let mut seen = deaf.seen.clone();
    let full = async {
        // Nothing more is taken for a second: the line is full.
        while tokio::time::timeout(Duration::from_secs(1), seen.changed()).await.is_ok()
            || seen.borrow().1 == 0
        {}
        seen.borrow().1
    };
    let sent = tokio::time::timeout(Duration::from_secs(120), full).await.expect("the line is full");
    let before = process.cpu();
    let mut device = Mad::connect(process.mqtt_port, "device").await.unwrap();
    device.publish_safe("gridwarden/up/SD-1", br#"{"values":{"smoke":true}}"#).await.unwrap();
    eventually("a fire by the other way is told meanwhile", 20, || async {
        receiver.deliveries().iter().any(|told| told.json["alarm"]["device"]["id"] == "SD-1").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await; // A time to measure, not to settle.
    let (used, worst) = (process.cpu() - before, process.rss_mb());
    assert!(used < Duration::from_millis(600), "{used:?} of processor in 3 s before a full line");
    assert!(worst < rss + 60, "{rss} MB, then {worst} MB");
    eventually("the line is given up and the next one is read", 60, || async {
        receiver.deliveries().iter().any(|told| told.json["alarm"]["device"]["id"] == "SD-2").then_some(())
    })
    .await;
    assert_eq!(seen.borrow().0, 2);
    println!("{sent} messages until the line was full; {used:?} in 3 s; {rss} MB, then {worst} MB");
    process.kill().await;
}
