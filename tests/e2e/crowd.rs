//! Ten thousand devices that come and go within moments: nobody is paged, memory stays bounded, and a fire among them is heard.

use std::fmt::Write as _;

use serde_json::Value;
use tests::mad::Mad;
use tests::neighbours::eventually;
use tests::process::Process;
use tests::site::{Receiver, Site, program};
use tokio::task::JoinSet;

const DEVICES: usize = 10_000;
/// Connections at the same time while they come.
const AT_ONCE: usize = 200;
/// How often each is lost, its will left behind, before it stays.
const LOSSES: usize = 3;
const GONE_AFTER_S: u32 = 10;
/// Far above what is measured for this many open connections, far below what one queue without a limit would take.
const RSS_MB_MAX: u64 = 300;

/// As many as this process may have open, with some left for the other tests.
fn devices() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files = files.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX);
    DEVICES.min(files.saturating_sub(500) / 2)
}

fn site(devices: usize, receiver: &Receiver) -> Site {
    let site = Site::new(&receiver.config());
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let before = "close = \"returned\"\npresence = { silent_after_s = 3600, gone_after_s = 1 }";
    let after = format!(
        "close = \"returned\"\nladder = \"calm\"\npresence = {{ silent_after_s = 3600, gone_after_s = {GONE_AFTER_S} }}"
    );
    assert!(rules.contains(before));
    site.write("rules.toml", &rules.replace(before, &after));
    let mut rows = "id,kind,name,address,cell,place,lon,lat,silent_after_s\n".to_owned();
    for n in 0..devices {
        let _ = writeln!(rows, "D-{n},smoke_detector,烟感,,S1-C1-G1,1栋{n},118.905,32.11,"); // A string takes it.
    }
    rows.push_str("LEFT,smoke_detector,烟感,,S1-C1-G2,2栋,118.915,32.11,\nFIRE,smoke_detector,烟感,,S1-C1-G2,2栋,118.915,32.11,\n");
    site.write("devices.csv", &rows);
    site
}

/// A device that is heard, lost without a word, and back at once.
async fn flap(port: u16, device: &str) -> Mad {
    let will = format!("gridwarden/up/{device}/status");
    for _ in 0..LOSSES {
        drop(comes(port, device, &will).await);
    }
    comes(port, device, &will).await
}

async fn comes(port: u16, device: &str, will: &str) -> Mad {
    let mut mad = Mad::connect_with_will(port, device, will, b"offline").await.unwrap();
    mad.publish_safe(will, b"online").await.unwrap();
    mad
}

async fn alarms(process: &Process) -> Vec<Value> {
    process.get("/api/v1/alarms?limit=200").await["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_crowd_that_comes_and_goes_pages_nobody() {
    let many = devices();
    let receiver = Receiver::start().await;
    let site = site(many, &receiver);
    let mut process = Process::start(&program("gridwarden"), &site).await;
    let port = process.mqtt_port;
    let mut crowd = JoinSet::new();
    for first in 0..AT_ONCE {
        crowd.spawn(async move {
            let mut stay = Vec::new();
            for n in (first..many).step_by(AT_ONCE) {
                stay.push(flap(port, &format!("D-{n}")).await);
            }
            stay
        });
    }
    let mut worst = 0;
    let mut stay = Vec::new();
    while let Some(part) = crowd.join_next().await {
        stay.extend(part.unwrap());
        worst = worst.max(process.rss_mb());
    }
    let mut detector = Mad::connect(port, "FIRE").await.unwrap();
    detector.publish_safe("gridwarden/up/FIRE", br#"{"values":{"smoke":true}}"#).await.unwrap();
    eventually("the fire is told", 20, || async {
        receiver.deliveries().iter().any(|told| told.json["alarm"]["class"] == "fire").then_some(())
    })
    .await;
    // The one that is lost last and stays away shows when the time of all others is over.
    drop(comes(port, "LEFT", "gridwarden/up/LEFT/status").await);
    eventually("who is really gone is missed", 60, || async {
        receiver.deliveries().iter().any(|told| told.json["alarm"]["device"]["id"] == "LEFT").then_some(())
    })
    .await;
    let raised = alarms(&process).await;
    let of: Vec<_> = raised.iter().map(|alarm| (&alarm["class"], &alarm["device"]["id"])).collect();
    assert_eq!(of.len(), 2, "a fire, and one device that is gone: {of:?}");
    worst = worst.max(process.rss_mb());
    assert!(worst < RSS_MB_MAX, "{worst} MB");
    let lost = process.counter("gridwarden_listener_closed_total").await as usize;
    assert!(many * LOSSES <= lost, "{lost} connections of {} were lost", many * LOSSES);
    println!("{many} devices, {lost} connections lost, {} open; worst memory {worst} MB", stay.len());
    process.kill().await;
}
