//! Floods and priority, short: the long form is `make torture`. The gateway is the real program, so its memory is its own.

use std::time::Duration;

use serde_json::Value;
use tests::mad::Mad;
use tests::neighbours::eventually;
use tests::pressure::{Bench, Scale, table};
use tests::process::Process;
use tests::site::{Site, program};

const SCALE: Scale = Scale {
    fires: 20,
    flood: Duration::from_secs(3),
    supervisory: 300,
    backlog_points: 50_000,
    unknown_devices: 10_000,
};
/// Far above what is measured, far below what an unbounded queue would take.
const RSS_MB_MAX: u64 = 300;

async fn alarm(process: &Process, class: &str, rule: &str) -> Option<Value> {
    let alarms = process.get(&format!("/api/v1/alarms?open=true&class={class}")).await;
    alarms["items"].as_array()?.iter().find(|alarm| alarm["rule"] == rule).cloned()
}

#[tokio::test]
async fn a_fire_overtakes_every_flood_and_memory_stays_bounded() {
    let mut bench = Bench::start(&program("gridwarden"), SCALE).await;
    let mut findings = vec![bench.fires("idle", async { String::new() }).await];
    let idle = findings[0].at(1.0);

    let flood = bench.flood(SCALE.flood);
    findings.push(bench.fires("one mad device", flood).await);
    let named = eventually("the alarm that names the mad device", 20, || {
        alarm(&bench.process, "trouble", "built-in-flood")
    });
    assert_eq!(named.await["device"]["id"], "MAD");
    assert!(
        bench.process.counter("gridwarden_readings_total").await < 30_000.0,
        "the flood is not journaled"
    );

    let unknown = bench.unknown(SCALE.unknown_devices);
    findings.push(bench.fires("unknown devices", unknown).await);
    let kept = bench.dead_letters();
    assert!((1..=600).contains(&kept), "{kept} dead letters"); // The messages may lie in two minutes.

    let supervisory = bench.supervisory(SCALE.supervisory);
    findings.push(bench.fires("supervisory alarms", supervisory).await);

    let worst = bench.outage(SCALE.backlog_points).await;
    assert!(worst < RSS_MB_MAX, "{worst} MB while InfluxDB is away");
    let drain = bench.drain(SCALE.backlog_points);
    findings.push(bench.fires("drain after an outage", drain).await);

    println!("{}", table(&findings));
    for finding in &findings {
        assert!(finding.rss_mb < RSS_MB_MAX, "{}", finding.row());
        // The exact bound is for the long form on a machine of its own; here other tests run beside it.
        let more = finding.at(0.5).saturating_sub(idle);
        assert!(more < Duration::from_secs(1), "{}; idle at worst {idle:?}", finding.row());
    }
}

/// What no client would send, each from a connection of its own; a fire after each is heard.
#[tokio::test]
async fn nonsense_ends_at_most_its_own_connection() {
    let site = Site::new("");
    let mut process = Process::start(&program("gridwarden"), &site).await;
    let port = process.mqtt_port;
    let deep = [b"[".repeat(200_000), b"]".repeat(200_000)].concat();
    let deep_value =
        format!("{{\"values\":{{\"temperature\":{}1{}}}}}", "[".repeat(50_000), "]".repeat(50_000));
    let cases: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
        ("50 MB", b"gridwarden/up/SD-1".to_vec(), vec![b'x'; 50 << 20]),
        ("longest topic", vec![b't'; 65_535], b"{}".to_vec()),
        ("deep JSON", b"gridwarden/up/SD-1".to_vec(), deep),
        ("deep value", b"gridwarden/up/SD-1".to_vec(), deep_value.into_bytes()),
        ("NaN", b"gridwarden/up/SD-1".to_vec(), br#"{"values":{"temperature":NaN}}"#.to_vec()),
        ("infinity", b"gridwarden/up/SD-1".to_vec(), br#"{"values":{"temperature":1e999}}"#.to_vec()),
        ("invalid UTF-8", b"gridwarden/up/SD-1".to_vec(), b"{\"values\":{\"\xff\xfe\":1}}".to_vec()),
        ("invalid UTF-8 topic", b"gridwarden/up/\xff\xfe".to_vec(), b"{}".to_vec()),
    ];
    let mut worst = 0;
    for (name, topic, payload) in cases {
        let mut mad = Mad::connect(port, name).await.unwrap();
        // The gateway may hang up in the middle of it.
        let _ = mad.publish(&topic, &payload).await;
        worst = worst.max(process.rss_mb());
        let mut sound = Mad::connect(port, "sound").await.unwrap();
        let smoke = br#"{"values":{"smoke":true}}"#;
        let heard =
            tokio::time::timeout(Duration::from_secs(20), sound.publish_safe("gridwarden/up/SD-2", smoke));
        heard.await.unwrap_or_else(|_| panic!("no acknowledgement after {name}")).unwrap();
        mad.closed(Duration::from_millis(1)).await;
    }
    assert!(alarm(&process, "fire", "smoke").await.is_some());
    assert!(worst < 120, "{worst} MB");
    println!("worst memory {worst} MB");
    process.kill().await;
}
