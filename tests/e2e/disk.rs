//! The disk refuses writes or syncs, or hangs: alarms are told from memory, nothing is acknowledged that is not stored, and everything is stored in the end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::faulty_disk::{EIO, ENOSPC, EROFS, FaultyDisk, HANG};
use tests::neighbours::eventually;
use tests::running::{Running, fix_ports};
use tests::site::{Receiver, Site};

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the test measures")]
    Instant::now()
}

fn environment(disk: &FaultyDisk) -> Vec<(&'static str, OsString)> {
    disk.environment().into_iter().map(|(name, path)| (name, path.into_os_string())).collect()
}

/// How often each alert arrived, by key.
fn told(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for delivery in receiver.deliveries() {
        let key = delivery.headers["idempotency-key"].to_str().unwrap().to_owned();
        *keys.entry(key).or_default() += 1;
    }
    keys
}

async fn fault_and_recovery(name: &str, break_it: impl Fn(&FaultyDisk)) {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let disk = FaultyDisk::new(site.folder.path());
    let ports = fix_ports(&site);
    let mut running = Running::start(&site, ports, &environment(&disk)).await;
    running.publish("gridwarden/up/SD-4", &json!({"values": {"battery": 90}})).await;

    break_it(&disk);
    let mut routine = running.publisher("gridwarden/up/SD-4", &json!({"values": {"battery": 89}}));
    for (round, device) in ["SD-1", "SD-2"].into_iter().enumerate() {
        let begun = now();
        let mut fire =
            running.publisher(&format!("gridwarden/up/{device}"), &json!({"values": {"smoke": true}}));
        eventually("the page from memory", 20, || async {
            (receiver.deliveries().len() > round).then_some(())
        })
        .await;
        println!("{name}: page {round} from memory after {:?}", begun.elapsed());
        assert!(fire.try_wait().unwrap().is_none(), "{name}: acknowledged without being stored");
        drop(fire); // The second device's connection is lost, too.
    }
    assert!(routine.try_wait().unwrap().is_none(), "{name}: acknowledged without being stored");
    eventually("the health finding", 30, || async {
        let ready = running.get("/readyz").await?;
        (ready["ready"] == false && ready["checks"]["disk"]["fine"] == false).then_some(())
    })
    .await;
    assert!(!running.ended(), "{name}: the station must not end\n{}", running.log());

    disk.works();
    let begun = now();
    assert!(routine.wait().await.unwrap().success(), "{name}: acknowledged when stored");
    let alarms = eventually("the alarms in the store", 20, || async {
        let alarms = running.open_alarms().await;
        (alarms.iter().filter(|alarm| alarm["class"] == "fire").count() == 2).then_some(alarms)
    })
    .await;
    println!("{name}: stored {:?} after the disk works", begun.elapsed());
    eventually("ready again", 30, || async {
        (running.get("/readyz").await?["checks"]["disk"]["fine"] == true).then_some(())
    })
    .await;
    let own = eventually("the station's own trouble, over", 20, || async {
        let alarms = running.open_alarms().await;
        let own = alarms.into_iter().find(|alarm| alarm["class"] == "trouble")?;
        (own["state"] == "returned_unacknowledged").then_some(own)
    })
    .await;
    assert!(own["text"].as_str().unwrap().contains("cannot write to its disk"), "{own}");
    for alarm in alarms.iter().filter(|alarm| alarm["class"] == "fire") {
        let path = format!("/api/v1/alarms/{}", alarm["id"].as_str().unwrap());
        eventually("the receipt", 20, || async {
            let attempts = running.get(&path).await?["attempts"].clone();
            (attempts.as_array()?.iter().any(|attempt| attempt["outcome"] == "delivered")).then_some(())
        })
        .await;
    }
    let told = told(&receiver);
    assert_eq!(told.len(), 2, "{name}: one page per fire: {told:?}");
    assert!(
        told.values().all(|&times| times == 1),
        "{name}: told from memory, recorded later, not told twice: {told:?}"
    );

    // What was stored is there after a kill, and the next message is taken as ever.
    running.kill().await;
    let running = Running::start(&site, ports, &environment(&disk)).await;
    assert_eq!(running.open_alarms().await.iter().filter(|alarm| alarm["class"] == "fire").count(), 2);
    running.publish("gridwarden/up/SD-4", &json!({"values": {"battery": 88}})).await;
    running.kill().await;
}

#[tokio::test]
async fn a_full_disk_holds_up_no_fire_and_nothing_is_acknowledged() {
    fault_and_recovery("ENOSPC", |disk| disk.refuses_writes(ENOSPC)).await;
}

#[tokio::test]
async fn a_disk_that_became_read_only_holds_up_no_fire() {
    fault_and_recovery("EROFS", |disk| disk.refuses_writes(EROFS)).await;
}

#[tokio::test]
async fn a_sync_that_fails_is_not_taken_for_stored() {
    fault_and_recovery("EIO at fsync", |disk| disk.refuses_syncs(EIO)).await;
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_fire() {
    fault_and_recovery("hang", |disk| disk.refuses_writes(HANG)).await;
}

/// Killed while the disk was full: what was only told is sent again by its device and told again under another key.
#[tokio::test]
async fn a_kill_while_the_disk_is_full_loses_nothing_acknowledged() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let disk = FaultyDisk::new(site.folder.path());
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &environment(&disk)).await;
    disk.refuses_writes(ENOSPC);
    let fire = running.publisher("gridwarden/up/SD-1", &json!({"values": {"smoke": true}}));
    eventually("the page from memory", 20, || async { receiver.deliveries().into_iter().next() }).await;
    running.kill().await;
    drop(fire);

    // It starts on the full disk. Another fire gets the number of the one that was lost, but not its key.
    let running = Running::start(&site, ports, &environment(&disk)).await;
    let mut other = running.publisher("gridwarden/up/SD-2", &json!({"values": {"smoke": true}}));
    eventually("the other page", 20, || async { (told(&receiver).len() == 2).then_some(()) }).await;
    let mut again = running.publisher("gridwarden/up/SD-1", &json!({"values": {"smoke": true}}));
    eventually("the first page again", 20, || async { (told(&receiver).len() == 3).then_some(()) }).await;
    assert!(other.try_wait().unwrap().is_none() && again.try_wait().unwrap().is_none(), "nothing is stored");
    disk.works();
    assert!(other.wait().await.unwrap().success() && again.wait().await.unwrap().success());
    assert_eq!(running.open_alarms().await.iter().filter(|alarm| alarm["class"] == "fire").count(), 2);
    running.kill().await;
}

/// Every single write and sync fails once, in turn; whatever was acknowledged is there after a kill.
#[tokio::test]
async fn one_write_that_fails_anywhere_loses_nothing() {
    let site = Site::new("");
    let disk = FaultyDisk::new(site.folder.path());
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &environment(&disk)).await;
    let rounds = 24;
    for skip in 0..rounds {
        disk.fails_once([EIO, ENOSPC][skip as usize % 2], skip % 12, 1 + skip / 12);
        let values = json!({"values": {"battery": skip}});
        let sent =
            tokio::time::timeout(Duration::from_secs(20), running.publish("gridwarden/up/SD-4", &values));
        sent.await.unwrap_or_else(|_| panic!("round {skip}: never acknowledged\n{}", running.log()));
    }
    disk.works();
    running.kill().await;
    let running = Running::start(&site, ports, &environment(&disk)).await;
    let series = running.get("/api/v1/series?device=SD-4&metric=battery").await.unwrap();
    assert_eq!(series["items"].as_array().unwrap().len(), rounds as usize, "{series:#}");
    running.kill().await;
}
