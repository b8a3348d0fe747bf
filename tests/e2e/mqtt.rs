//! The client of outside brokers, against Mosquitto: nothing is acknowledged before its commit, and nothing is lost.
//!
//! The driver is played by the test: it takes what comes out of the queues and decides when a message is on disk. No device is
//! registered, so every message arrives as a dead letter with its payload, which is all that is needed here.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use gateway::config::Broker;
use gateway::decode::{Family, Topics};
use gateway::engine::rules::RuleBook;
use gateway::grid::Registry;
use gateway::io::inlet::{self, Inbound, Outlet, Safe};
use gateway::io::mqtt::{Source, publisher};
use gateway::world::{Shared, World};
use tests::hang_up::HangUp;
use tests::neighbours::{Neighbour, eventually, free_port, mosquitto};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn world() -> Shared {
    World {
        registry: Arc::new(Registry::default()),
        rules: Arc::new(RuleBook::default()),
        rules_text: "".into(),
        topics: Arc::new(Topics(vec![("#".into(), Family::Native)])),
        freshness: Arc::default(),
        profiles: Arc::default(),
    }
    .share()
}

fn broker(port: u16, more: &str) -> Broker {
    let text = format!(
        "name = 'main'\nhost = '127.0.0.1'\nport = {port}\nclient_id = 'station-1'\nsubscribe = ['up/#']\nkeep_alive_s = 5\n{more}"
    );
    toml::from_str(&text).unwrap()
}

/// A running client.
struct Client {
    outlet: Outlet,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Client {
    #[expect(clippy::disallowed_methods, reason = "the test waits for it in `end`")]
    fn start(broker: &Broker) -> Self {
        let (inlet, outlet) = inlet::channel();
        let stop = CancellationToken::new();
        let source = Source::new(broker, Path::new(".")).unwrap();
        let task = tokio::spawn(source.run(world(), inlet, stop.clone()));
        Self { outlet, stop, task }
    }

    async fn next(&mut self) -> Inbound {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), self.outlet.routine.recv());
        next.await.expect("a message within 20 s").expect("the source runs")
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn text(inbound: &Inbound) -> String {
    String::from_utf8_lossy(&inbound.dead[0].payload).into_owned()
}

fn commit(inbound: Inbound) {
    match inbound.safe {
        Safe::Ticket(ticket) => ticket.done(),
        Safe::Nobody | Safe::Answer(_) => panic!("a QoS 1 message has a ticket"),
    }
}

async fn publish(port: u16, payload: &str, more: &[&str]) {
    tests::neighbours::publish(port, "up/x", payload, more).await;
}

/// Publishes a probe until one arrives: the subscription stands.
async fn subscribed(broker: &Neighbour, client: &mut Client) {
    let port = broker.port;
    eventually("the subscription", 20, || {
        let got = client.outlet.routine.try_recv();
        async move {
            match got {
                Ok(inbound) => {
                    commit(inbound);
                    Some(())
                }
                Err(_) => {
                    publish(port, "probe", &[]).await;
                    None
                }
            }
        }
    })
    .await;
}

/// The next message that is no probe; probes are committed on the way.
async fn after_probes(client: &mut Client) -> Inbound {
    loop {
        let inbound = client.next().await;
        if text(&inbound) != "probe" {
            return inbound;
        }
        commit(inbound);
    }
}

async fn nothing_uncommitted_is_lost(version: &str) {
    let neighbour = mosquitto("max_inflight_messages 100").await.unwrap();
    let broker = broker(neighbour.port, &format!("version = '{version}'"));
    let mut client = Client::start(&broker);
    subscribed(&neighbour, &mut client).await;
    for n in 0..20 {
        publish(neighbour.port, &format!("m{n}"), &[]).await;
    }
    let mut committed = BTreeSet::new();
    for n in 0..20 {
        let inbound = after_probes(&mut client).await;
        if n < 8 {
            committed.insert(text(&inbound));
            commit(inbound);
        }
    }
    client.end().await; // Twelve were received and never committed.

    let mut again = Client::start(&broker);
    let mut redelivered = BTreeSet::new();
    while committed.union(&redelivered).count() < 20 {
        let inbound = after_probes(&mut again).await;
        redelivered.insert(text(&inbound));
        commit(inbound);
    }
    assert!(redelivered.len() >= 12, "what was not committed comes again: {redelivered:?}");
    again.end().await;
}

#[tokio::test]
async fn an_uncommitted_message_comes_again_3_1_1() {
    nothing_uncommitted_is_lost("3.1.1").await;
}

#[tokio::test]
async fn an_uncommitted_message_comes_again_5() {
    nothing_uncommitted_is_lost("5").await;
}

/// The broker withholds what is beyond its window, so only acknowledgements make the rest arrive, although commits finish in another order.
#[tokio::test]
async fn commits_out_of_order_keep_the_window_moving() {
    let neighbour = mosquitto("max_inflight_messages 4").await.unwrap();
    let mut client = Client::start(&broker(neighbour.port, ""));
    subscribed(&neighbour, &mut client).await;
    for n in 0..40 {
        publish(neighbour.port, &format!("m{n}"), &[]).await;
    }
    let mut arrived = Vec::new();
    while arrived.len() < 40 {
        let mut window = Vec::new();
        for _ in 0..4 {
            window.push(after_probes(&mut client).await);
        }
        arrived.extend(window.iter().map(text));
        window.into_iter().rev().for_each(commit);
    }
    let sent: Vec<_> = (0..40).map(|n| format!("m{n}")).collect();
    assert_eq!(arrived, sent, "in order, each once");
    client.end().await;
}

#[tokio::test]
async fn subscribes_again_when_the_broker_forgot_the_session() {
    let mut first = mosquitto("").await.unwrap();
    let mut client = Client::start(&broker(first.port, ""));
    subscribed(&first, &mut client).await;
    first.kill().await.unwrap();
    let port = first.port;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("again.conf");
    std::fs::write(&file, format!("listener {port} 127.0.0.1\nallow_anonymous true\n")).unwrap();
    let second = Neighbour::start("/usr/sbin/mosquitto", port, folder, &["-c", &file.to_string_lossy()])
        .await
        .unwrap();
    subscribed(&second, &mut client).await;
    client.end().await;
}

#[tokio::test]
async fn a_commit_of_the_old_connection_never_acknowledges_on_the_new_one() {
    let mut first =
        mosquitto("persistence true\nautosave_interval 1\nautosave_on_changes true").await.unwrap();
    let mut client = Client::start(&broker(first.port, ""));
    subscribed(&first, &mut client).await;
    publish(first.port, "old", &[]).await;
    let old = after_probes(&mut client).await;
    first.kill().await.unwrap();
    let port = first.port;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("again.conf");
    std::fs::write(&file, format!("listener {port} 127.0.0.1\nallow_anonymous true\n")).unwrap();
    let second = Neighbour::start("/usr/sbin/mosquitto", port, folder, &["-c", &file.to_string_lossy()])
        .await
        .unwrap();
    subscribed(&second, &mut client).await;
    publish(second.port, "new", &[]).await;
    let new = after_probes(&mut client).await;
    commit(old); // Had the packet id of some message of the new session.
    client.end().await;
    drop(new);

    let mut again = Client::start(&broker(second.port, ""));
    assert_eq!(text(&after_probes(&mut again).await), "new", "it was never acknowledged, so it comes again");
    again.end().await;
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_member() {
    let neighbour = mosquitto("").await.unwrap();
    let shared = |id: &str| {
        broker(neighbour.port, "share_group = 'g'\nversion = '5'")
            .tap(|b| *b.client_id.get_mut() = id.to_owned())
    };
    let (mut one, mut two) = (Client::start(&shared("one")), Client::start(&shared("two")));
    // Both are members once each has received something.
    let (mut first, mut second) = (0, 0);
    eventually("both members receive", 20, || {
        while let Ok(inbound) = one.outlet.routine.try_recv() {
            commit(inbound);
            first += 1;
        }
        while let Ok(inbound) = two.outlet.routine.try_recv() {
            commit(inbound);
            second += 1;
        }
        let both = first > 0 && second > 0;
        let port = neighbour.port;
        async move {
            if both {
                return Some(());
            }
            publish(port, "probe", &[]).await;
            None
        }
    })
    .await;
    one.end().await;
    two.end().await;
}

trait Tap: Sized {
    fn tap(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Tap for Broker {}

#[tokio::test]
async fn tls_with_a_client_certificate() {
    let folder = tempfile::tempdir().unwrap();
    tests::certificates::make(folder.path(), &["station-1"]).await;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let neighbour = mosquitto_tls(&file).await;
    let tls = format!(
        "version = '5'\n[tls]\nca = '{}'\ncertificate = '{}'\nkey = '{}'\n",
        file("ca.pem"),
        file("station-1.pem"),
        file("station-1.key")
    );
    let mut with = broker(neighbour.port, &tls);
    with.host = "localhost".into();
    let mut client = Client::start(&with);
    let (port, ca, certificate, key) =
        (neighbour.port, file("ca.pem"), file("station-1.pem"), file("station-1.key"));
    let more = ["-h", "localhost", "--cafile", &ca, "--cert", &certificate, "--key", &key];
    eventually("a message over TLS", 20, || {
        let got = client.outlet.routine.try_recv().is_ok();
        async move {
            if got {
                return Some(());
            }
            publish(port, "over tls", &more).await;
            None
        }
    })
    .await;
    client.end().await;
}

async fn mosquitto_tls(file: &impl Fn(&str) -> String) -> Neighbour {
    mosquitto(&format!(
        "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true",
        file("ca.pem"),
        file("server.pem"),
        file("server.key")
    ))
    .await
    .unwrap()
}

async fn publishes_until_confirmed(version: &str) {
    let port = free_port();
    let broker = broker(port, &format!("version = '{version}'"));
    let (connection, publisher) = publisher::Connection::new(&broker, Path::new(".")).unwrap();
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let task = tokio::spawn(connection.run(stop.clone()));
    let refused = publisher.publish("out".into(), b"1".to_vec(), true).await;
    assert!(refused.is_err(), "nobody listens yet");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.conf");
    std::fs::write(&file, format!("listener {port} 127.0.0.1\nallow_anonymous true\n")).unwrap();
    let _neighbour = Neighbour::start("/usr/sbin/mosquitto", port, folder, &["-c", &file.to_string_lossy()])
        .await
        .unwrap();
    eventually("a confirmed message", 40, || {
        let publisher = publisher.clone();
        async move { publisher.publish("out".into(), b"2".to_vec(), true).await.ok() }
    })
    .await;
    let output = Command::new("mosquitto_sub")
        .args(["-p", &port.to_string(), "-t", "out", "-C", "1", "-W", "10"])
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2");
    stop.cancel();
    task.await.unwrap().unwrap();
}

/// More would hammer the broker. The lower limit is far below the 900 of a quiet machine: the time is virtual but the sockets are not, and a
/// call that a busy kernel answers late costs its whole time limit.
const SOME_HUNDRED: std::ops::Range<usize> = 40..1_500;

/// Hours of a broker that takes every call and hangs up, in virtual time.
async fn six_hours(task: impl Future<Output = anyhow::Result<()>>) {
    let ended = tokio::time::timeout(std::time::Duration::from_secs(6 * 3600), task).await;
    assert!(ended.is_err(), "it goes on trying");
}

#[tokio::test(start_paused = true)]
async fn six_hours_of_refusal_are_some_hundred_calls_to_a_broker() {
    for version in ["3.1.1", "5"] {
        let (reader, writer) = (HangUp::start(), HangUp::start());
        let settings = |port| broker(port, &format!("version = '{version}'"));
        let source = Source::new(&settings(reader.port), Path::new(".")).unwrap();
        let (inlet, _outlet) = inlet::channel();
        six_hours(source.run(world(), inlet, CancellationToken::new())).await;
        let (connection, _publisher) =
            publisher::Connection::new(&settings(writer.port), Path::new(".")).unwrap();
        six_hours(connection.run(CancellationToken::new())).await;
        for (name, calls) in [("source", reader.calls()), ("publisher", writer.calls())] {
            assert!(SOME_HUNDRED.contains(&calls), "{name}, {version}: {calls} calls");
            println!("{name}, MQTT {version}: {calls} calls in 6 h");
        }
    }
}

/// A broker that greets and then hangs up is no better than one that refuses: two stations with one client id do that to each other.
#[tokio::test(start_paused = true)]
async fn a_broker_that_greets_and_hangs_up_is_not_called_more_often() {
    for (version, greeting) in [("3.1.1", &[0x20, 2, 0, 0][..]), ("5", &[0x20, 3, 0, 0, 0])] {
        let (reader, writer) = (HangUp::after(greeting), HangUp::after(greeting));
        let settings = |port| broker(port, &format!("version = '{version}'"));
        let source = Source::new(&settings(reader.port), Path::new(".")).unwrap();
        let (inlet, _outlet) = inlet::channel();
        six_hours(source.run(world(), inlet, CancellationToken::new())).await;
        let (connection, _publisher) =
            publisher::Connection::new(&settings(writer.port), Path::new(".")).unwrap();
        six_hours(connection.run(CancellationToken::new())).await;
        for (name, calls) in [("source", reader.calls()), ("publisher", writer.calls())] {
            assert!(SOME_HUNDRED.contains(&calls), "{name}, {version}: {calls} calls");
            println!("{name}, MQTT {version}: {calls} greetings in 6 h");
        }
    }
}

#[tokio::test]
async fn a_message_the_broker_refuses_does_not_cost_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let rights = folder.path().join("acl");
    std::fs::write(&rights, "topic readwrite good/#\n").unwrap();
    let neighbour = mosquitto(&format!("acl_file {}", rights.display())).await.unwrap();
    let broker = broker(neighbour.port, "version = '5'");
    let (connection, publisher) = publisher::Connection::new(&broker, Path::new(".")).unwrap();
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let task = tokio::spawn(connection.run(stop.clone()));
    for _ in 0..3 {
        let refused = publisher.publish("bad/1".into(), b"1".to_vec(), false).await.unwrap_err();
        assert!(refused.to_string().contains("NotAuthorized"), "{refused:#}");
        publisher.publish("good/1".into(), b"1".to_vec(), false).await.unwrap();
    }
    let log = neighbour.output();
    assert_eq!(log.matches("New client connected").count(), 1, "{log}");
    stop.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn publishes_until_confirmed_3_1_1() {
    publishes_until_confirmed("3.1.1").await;
}

#[tokio::test]
async fn publishes_until_confirmed_5() {
    publishes_until_confirmed("5").await;
}

/// A broker of MQTT 5 that is played: answers CONNECT and SUBSCRIBE, then says `last` and waits for the client to hang up. Returns when it was
/// connected to for the second time, with the time between.
async fn after(last: &'static [u8], max_packet_kb: u32) -> std::time::Duration {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::start(&broker(port, &format!("version = '5'\nmax_packet_kb = {max_packet_kb}")));
    let (mut first, _) = listener.accept().await.unwrap();
    let mut buffer = vec![0; 1024];
    assert!(first.read(&mut buffer).await.unwrap() > 0, "CONNECT");
    first.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
    let length = first.read(&mut buffer).await.unwrap();
    assert_eq!(buffer[0], 0x82, "SUBSCRIBE: {:?}", &buffer[..length]);
    first.write_all(&[0x90, 4, buffer[2], buffer[3], 0, 1]).await.unwrap();
    first.write_all(last).await.unwrap();
    let gone = gateway::clock::instant();
    while first.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    let (mut second, _) = tokio::time::timeout(std::time::Duration::from_secs(20), listener.accept())
        .await
        .expect("it connects again")
        .unwrap();
    let pause = gone.elapsed();
    assert!(second.read(&mut buffer).await.unwrap() > 0 && buffer[0] == 0x10, "CONNECT");
    client.end().await;
    pause
}

/// rumqttc cannot read the short forms of DISCONNECT; a connection lost by them is a lost connection like any other.
#[tokio::test]
async fn every_form_of_disconnect_is_survived_with_a_pause() {
    for last in [
        &[0xe0, 0][..],                        // Neither reason nor properties.
        &[0xe0, 1, 0x8b],                      // A reason only: shutting down.
        &[0xe0, 2, 0x8e, 0],                   // Taken over, no properties.
        &[0xe0, 1, 0x42],                      // No such reason.
        &[0xf0, 0],                            // AUTH, never asked for.
        &[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f], // A length that is none.
    ] {
        let pause = after(last, 256).await;
        assert!(pause >= std::time::Duration::from_millis(50), "{last:x?}: no pause, {pause:?}");
    }
}

/// The broker sends it again after every connect. The log says what to change, and the pauses grow.
#[tokio::test]
async fn a_message_that_is_too_large_is_named_in_the_log_with_what_to_change() {
    for version in ["3.1.1", "5"] {
        let neighbour = mosquitto("").await.unwrap();
        let site = tests::site::Site::new(&format!(
            "[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"s\"\nsubscribe = [\"gridwarden/up/#\"]\n\
             max_packet_kb = 1\nversion = \"{version}\"\n",
            neighbour.port
        ));
        let log = || std::fs::read_to_string(site.file("log")).unwrap_or_default();
        let mut station = Command::new(tests::site::program("gridwarden"))
            .args(["run", "-c"])
            .arg(site.file("station.toml"))
            .stderr(std::fs::File::create(site.file("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("it is connected", 20, || async {
            log().contains("connected to the broker").then_some(())
        })
        .await;
        let large = "x".repeat(3000);
        let port = neighbour.port.to_string();
        let sent = Command::new("mosquitto_pub")
            .args(["-p", &port, "-t", "gridwarden/up/SD-1", "-q", "1", "-m", &large])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
        let fire =
            ["-p", &port, "-t", "gridwarden/up/SD-1", "-q", "1", "-m", "{\"values\":{\"smoke\":true}}"];
        assert!(Command::new("mosquitto_pub").args(fire).status().await.unwrap().success());
        if version == "3.1.1" {
            eventually("the log says what to change", 20, || async {
                (log().matches("raise that key in station.toml").count() >= 2).then_some(())
            })
            .await;
        } else {
            // Told our limit, the broker keeps it to itself, and the fire behind it gets through.
            let store = gateway::store::Store::open_beside(&site.file("data/station.db")).unwrap();
            eventually("the fire", 20, || async { (store.newest_entry().await.unwrap() > 0).then_some(()) })
                .await;
        }
        station.kill().await.unwrap();
    }
}

/// Version, TLS, and user with password: what else a broker may want. A wrong password is no reason to stop trying.
#[tokio::test]
async fn user_and_password_over_tls_in_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    tests::certificates::make(folder.path(), &[]).await;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c", &file("users"), "station", "the right one"])
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let neighbour = mosquitto(&format!(
        "allow_anonymous false\npassword_file {}\ncafile {}\ncertfile {}\nkeyfile {}",
        file("users"),
        file("ca.pem"),
        file("server.pem"),
        file("server.key")
    ))
    .await
    .unwrap();
    for version in ["3.1.1", "5"] {
        std::fs::write(folder.path().join("password"), "a wrong one\n").unwrap();
        let text = || {
            let more = format!(
                "version = '{version}'\nuser = 'station'\npassword = {{ file = '{}' }}\n[tls]\nca = '{}'\n",
                file("password"),
                file("ca.pem")
            );
            broker(neighbour.port, &more).tap(|broker| broker.host = "localhost".into())
        };
        let mut wrong = Client::start(&text());
        std::fs::write(folder.path().join("password"), "the right one\n").unwrap();
        let mut right = Client::start(&text());
        let (port, ca) = (neighbour.port, file("ca.pem"));
        let more = ["-h", "localhost", "--cafile", &ca, "-u", "station", "-P", "the right one"];
        eventually("a message to the one with the password", 20, || {
            let got = right.outlet.routine.try_recv().is_ok();
            async move {
                if got {
                    return Some(());
                }
                publish(port, "probe", &more).await;
                None
            }
        })
        .await;
        assert!(wrong.outlet.routine.try_recv().is_err(), "nothing without the password");
        wrong.end().await;
        right.end().await;
    }
}
