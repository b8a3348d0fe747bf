//! The real program under a clock that lies (Debian's libfaketime): in 1970, a year ahead, a year back, and right again.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::json;
use tests::neighbours::eventually;
use tests::running::{Running, fix_ports};
use tests::site::{Receiver, Site};

pub fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.into_iter().find(|file| file.exists()).expect("faketime is there; `make setup-test` installs it")
}

struct Liar {
    file: PathBuf,
}

impl Liar {
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", library().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }

    /// Such as `+0`, `+365d`, `@1970-01-01 00:10:00`.
    fn says(&self, what: &str) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, what).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }
}

async fn clock_is(running: &Running, fine: bool) {
    eventually("the finding about the clock", 30, || async {
        (running.get("/readyz").await?["checks"]["clock"]["fine"] == fine).then_some(())
    })
    .await;
}

/// Steps of a year while it runs: nobody is silent, every fire is told, and the doubt is said and taken back.
#[tokio::test]
async fn a_year_forth_and_back_makes_nobody_silent_and_misses_no_fire() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let liar = Liar { file: site.file("faketime") };
    liar.says("+0");
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &liar.environment()).await;
    running.publish("gridwarden/up/SD-4", &json!({"values": {"smoke": false, "battery": 90}})).await;
    clock_is(&running, true).await;
    for (round, (says, fine, device)) in
        [("+365d", false, "SD-1"), ("-365d", false, "SD-2"), ("+0", true, "SD-4")].into_iter().enumerate()
    {
        liar.says(says);
        clock_is(&running, fine).await;
        running.publish(&format!("gridwarden/up/{device}"), &json!({"values": {"smoke": true}})).await;
        eventually("the page", 20, || async { (round < receiver.deliveries().len()).then_some(()) }).await;
    }
    let alarms = running.open_alarms().await;
    let fires = alarms.iter().filter(|alarm| alarm["class"] == "fire");
    assert!(fires.clone().all(|alarm| alarm["late"].is_null()), "none is taken for late: {alarms:#?}");
    assert_eq!(fires.count(), 3);
    assert!(!alarms.iter().any(|alarm| alarm["rule"] == "silent"), "{alarms:#?}");
    running.kill().await;
}

/// No battery: it starts in 1970 after a run in the present, and the network's time comes late.
#[tokio::test]
async fn a_start_in_1970_is_doubted_until_the_network_tells_the_time() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let liar = Liar { file: site.file("faketime") };
    liar.says("+0");
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &liar.environment()).await;
    running.publish("gridwarden/up/SD-1", &json!({"values": {"smoke": false, "battery": 90}})).await;
    running.kill().await;

    liar.says("@1970-01-01 00:10:00");
    let running = Running::start(&site, ports, &liar.environment()).await;
    clock_is(&running, false).await;
    running.publish("gridwarden/up/SD-1", &json!({"values": {"smoke": true}})).await;
    eventually("the page", 20, || async { receiver.deliveries().into_iter().next() }).await;
    liar.says("+0");
    clock_is(&running, true).await;
    let alarms = running.open_alarms().await;
    assert_eq!(alarms.iter().filter(|alarm| alarm["class"] == "fire").count(), 1, "{alarms:#?}");
    assert!(!alarms.iter().any(|alarm| alarm["rule"] == "silent"), "{alarms:#?}");
    let own = alarms.iter().find(|alarm| alarm["class"] == "trouble").expect("the station's own trouble");
    assert!(own["text"].as_str().unwrap().contains("clock"), "{own}");
    running.kill().await;
}
