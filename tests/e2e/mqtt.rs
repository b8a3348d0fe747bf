//! The client of outside brokers, against Mosquitto: nothing is acknowledged before its commit, and nothing is lost.
//!
//! The driver is played by the test: it takes what comes out of the queues and decides when a message is on disk. No device is
//! registered, so every message arrives as a dead letter with its payload, which is all that is needed here.

mod publisher;
mod trouble;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use gateway::config::Broker;
use gateway::decode::{Family, Topics};
use gateway::engine::rules::RuleBook;
use gateway::grid::Registry;
use gateway::io::inlet::{self, Inbound, Outlet, Safe};
use gateway::io::mqtt::Source;
use gateway::world::{Shared, World};
use tests::neighbours::{Neighbour, eventually, mosquitto};
use tokio::io::AsyncWriteExt;
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
async fn the_window_moves(version: &str, window: usize, windows: usize) {
    let neighbour =
        mosquitto(&format!("max_inflight_messages {window}\nmax_queued_messages 0")).await.unwrap();
    let mut client = Client::start(&broker(neighbour.port, &format!("version = '{version}'")));
    subscribed(&neighbour, &mut client).await;
    let sent: Vec<_> = (0..window * windows).map(|n| format!("m{n}")).collect();
    publish_all(neighbour.port, &sent).await;
    let mut arrived = Vec::new();
    for _ in 0..windows {
        let mut together = Vec::new();
        for _ in 0..window {
            together.push(after_probes(&mut client).await);
        }
        arrived.extend(together.iter().map(text));
        together.into_iter().rev().for_each(commit);
    }
    assert_eq!(arrived, sent, "in order, each once");
    client.end().await;
}

/// Each by itself, one after the other, on one connection.
async fn publish_all(port: u16, payloads: &[String]) {
    let arguments = ["-p", &port.to_string(), "-q", "1", "-t", "up/x", "-l"];
    let mut publish = Command::new("mosquitto_pub").args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = publish.stdin.take().unwrap();
    lines.write_all((payloads.join("\n") + "\n").as_bytes()).await.unwrap();
    drop(lines);
    assert!(publish.wait().await.unwrap().success());
}

#[tokio::test]
async fn commits_out_of_order_keep_the_window_moving() {
    the_window_moves("3.1.1", 4, 10).await;
}

#[tokio::test]
async fn hundreds_of_commits_at_once_keep_it_moving_3_1_1() {
    the_window_moves("3.1.1", 500, 6).await;
}

#[tokio::test]
async fn hundreds_of_commits_at_once_keep_it_moving_5() {
    the_window_moves("5", 500, 6).await;
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
