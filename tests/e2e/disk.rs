//! The disk refuses writes or syncs, or hangs: alarms are told from memory, nothing is acknowledged that is not stored, and everything is stored in the end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::faulty_disk::{EIO, ENOSPC, EROFS, FaultyDisk, HANG};
use tests::mounted::Mounted;
use tests::neighbours::eventually;
use tests::running::{Running, fix_ports};
use tests::site::{Receiver, Site};
use tests::standin::{Reply, Standin};

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

/// A tmpfs filled to its last page by somebody else, and emptied again: no library in between, the kernel itself says that there is no space.
#[tokio::test]
async fn a_really_full_file_system_holds_up_no_fire() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let mounted = match Mounted::tmpfs(&site.file("data"), 8 << 10) {
        Ok(mounted) => mounted,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let ports = fix_ports(&site);
    let mut running = Running::start(&site, ports, &[]).await;
    running.publish("gridwarden/up/SD-4", &json!({"values": {"battery": 90}})).await;
    let ballast = mounted.folder.join("ballast");
    let full = std::io::copy(&mut std::io::repeat(7), &mut std::fs::File::create(&ballast).unwrap());
    assert_eq!(full.unwrap_err().raw_os_error(), Some(ENOSPC), "the test fills it");

    // What fits into pages that are there already may still be stored; then there is no room for anything.
    let mut stored = 0u32;
    let unanswered = loop {
        let mut routine =
            running.publisher("gridwarden/up/SD-4", &json!({"values": {"battery": stored % 100}}));
        match tokio::time::timeout(Duration::from_secs(3), routine.wait()).await {
            Ok(status) => assert!(status.unwrap().success()),
            Err(_) => break routine,
        }
        stored += 1;
        assert!(stored < 2_000, "it never gets full");
    };
    println!("{stored} messages were stored in room that was there");
    let mut fire = running.publisher("gridwarden/up/SD-1", &json!({"values": {"smoke": true}}));
    eventually("the page from memory", 20, || async { receiver.deliveries().into_iter().next() }).await;
    assert!(fire.try_wait().unwrap().is_none(), "acknowledged without being stored");
    not_ready(&running).await;
    assert!(!running.ended(), "{}", running.log());

    std::fs::remove_file(&ballast).unwrap();
    let mut unanswered = unanswered;
    assert!(unanswered.wait().await.unwrap().success() && fire.wait().await.unwrap().success());
    ready_and_trouble_told(&running).await;
    assert_eq!(told(&receiver).len(), 1, "one page");
    running.kill().await;
    let running = Running::start(&site, ports, &[]).await;
    assert_eq!(running.open_alarms().await.iter().filter(|alarm| alarm["class"] == "fire").count(), 1);
    running.kill().await;
    let store = rusqlite::Connection::open(mounted.folder.join("station.db")).unwrap();
    let readings: u32 = store.query_row("SELECT sum(readings) FROM journal", (), |row| row.get(0)).unwrap();
    assert!(stored + 2 <= readings, "{readings} readings of {} acknowledged", stored + 2);
}

/// The kernel finds an error in the file system and makes it read-only under the running station. It does not take it back before a repair, so the recovery
/// here is a new start.
#[tokio::test]
async fn a_file_system_that_really_became_read_only_holds_up_no_fire() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let mounted = match Mounted::ext4(&site.file("data")) {
        Ok(mounted) => mounted,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let ports = fix_ports(&site);
    let mut running = Running::start(&site, ports, &[]).await;
    running.publish("gridwarden/up/SD-2", &json!({"values": {"smoke": true}})).await;
    eventually("the first page", 20, || async { receiver.deliveries().into_iter().next() }).await;
    if let Err(reason) = mounted.breaks() {
        running.kill().await;
        return println!("skipped: {reason}");
    }
    assert_eq!(std::fs::write(mounted.folder.join("x"), "x").unwrap_err().raw_os_error(), Some(EROFS));

    let mut fire = running.publisher("gridwarden/up/SD-1", &json!({"values": {"smoke": true}}));
    eventually("the page from memory", 20, || async { (told(&receiver).len() == 2).then_some(()) }).await;
    assert!(fire.try_wait().unwrap().is_none(), "acknowledged without being stored");
    not_ready(&running).await;
    assert!(!running.ended(), "{}", running.log());
    drop(fire);

    running.kill().await;
    mounted.repaired().unwrap();
    let running = Running::start(&site, ports, &[]).await;
    let fires = running.open_alarms().await;
    assert_eq!(fires.iter().filter(|alarm| alarm["device"]["id"] == "SD-2").count(), 1, "{fires:#?}");
    running.publish("gridwarden/up/SD-1", &json!({"values": {"smoke": true}})).await;
    assert_eq!(running.open_alarms().await.iter().filter(|alarm| alarm["class"] == "fire").count(), 2);
    running.kill().await;
}

async fn not_ready(running: &Running) {
    eventually("the health finding", 30, || async {
        let ready = running.get("/readyz").await?;
        (ready["ready"] == false && ready["checks"]["disk"]["fine"] == false).then_some(())
    })
    .await;
}

async fn ready_and_trouble_told(running: &Running) {
    eventually("ready again, and the station's own trouble over", 40, || async {
        let fine = running.get("/readyz").await?["checks"]["disk"]["fine"] == true;
        let alarms = running.open_alarms().await;
        let own = alarms.iter().find(|alarm| alarm["class"] == "trouble")?;
        (fine && own["state"] == "returned_unacknowledged").then_some(())
    })
    .await;
}

/// No page of the store can be read for a while: InfluxDB's task, the alarms over MQTT, the registry's and a reload all work on it.
#[tokio::test]
async fn a_store_that_cannot_be_read_does_not_end_the_station() {
    let influx = Standin::start(0, |_| std::future::ready(Reply::status(204))).await.unwrap();
    let site = Site::new(&format!(
        "[influx]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\nbatch_ms = 50\n",
        influx.url()
    ));
    let disk = FaultyDisk::new(site.folder.path());
    let ports = fix_ports(&site);
    let mut running = Running::start(&site, ports, &environment(&disk)).await;
    running.publish("gridwarden/up/SD-4", &json!({"values": {"battery": 41}})).await;
    let written = |value: &str| {
        let field = format!("battery={value}");
        influx.asked().iter().any(|asked| asked.text().contains(&field))
    };
    eventually("the first point", 20, || async { written("41").then_some(()) }).await;

    disk.refuses_reads(EIO);
    let mut routine = running.publisher("gridwarden/up/SD-4", &json!({"values": {"battery": 42}}));
    let mut fire = running.publisher("gridwarden/up/SD-1", &json!({"values": {"smoke": true}}));
    site.append("devices.csv", "SD-9,smoke_detector,新烟感,,S1-C1-G2,3栋,118.915,32.11,\n");
    running.signal("HUP").await;
    eventually("some task cannot read", 40, || async {
        let log = running.log();
        (log.contains("trying again")
            || log.contains("cannot look at the registry")
            || log.contains("is refused"))
        .then_some(())
    })
    .await;
    // Told from memory or not, the fire is decided: the driver lives.
    assert!(!running.ended(), "{}", running.log());

    disk.works();
    assert!(routine.wait().await.unwrap().success() && fire.wait().await.unwrap().success());
    eventually("the point after it", 60, || async { written("42").then_some(()) }).await;
    running.signal("HUP").await;
    eventually("the registry is taken over", 40, || async {
        let items = running.get("/api/v1/devices?limit=100").await?;
        items.to_string().contains("SD-9").then_some(())
    })
    .await;
    let log = running.log();
    assert!(!running.ended() && !log.contains("panicked"), "{log}");
    running.kill().await;
}

/// More is written than the station's owner allows in a day: a trouble alarm and a finding say so.
#[tokio::test]
async fn the_ceiling_of_wear_raises_the_stations_trouble() {
    let site = Site::new("");
    let config = std::fs::read_to_string(site.file("station.toml")).unwrap();
    site.write("station.toml", &config.replace("[registry]", "written_mb_per_day_max = 1\n[registry]"));
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &[]).await;
    let accounted = |running: &Running| {
        let text = std::fs::read_to_string(format!("/proc/{}/io", running.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().to_owned();
        line.trim().parse::<u64>().unwrap()
    };
    let begun = accounted(&running); // Of this the station's own count may know nothing.
    if begun == 0 {
        return println!("skipped: writes to this file system are not counted");
    }
    let mut round = 0;
    while accounted(&running) <= begun + (1 << 20) {
        running.publish("gridwarden/up/SD-4", &json!({"values": {"battery": round % 100}})).await;
        round += 1;
        assert!(round < 2_000, "it writes next to nothing");
    }
    let alarm = eventually("the trouble alarm", 30, || async {
        running.open_alarms().await.into_iter().find(|alarm| alarm["class"] == "trouble")
    })
    .await;
    assert!(alarm["text"].as_str().unwrap().contains("disk"), "{alarm}");
    let ready = running.get("/readyz").await.unwrap();
    assert_eq!(
        (&ready["checks"]["wear"]["fine"], &ready["ready"]),
        (&json!(false), &json!(true)),
        "{ready:#}"
    );
    assert!(ready["checks"]["wear"]["detail"].as_str().unwrap().contains("the limit is 1 MB"), "{ready:#}");
    running.kill().await;
}
