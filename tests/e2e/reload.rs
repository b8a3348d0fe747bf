//! SIGHUP with the real program: changed files of the registry are taken over, a bad file is refused and everybody can see it.

use serde_json::json;
use tests::neighbours::eventually;
use tests::running::{Running, fix_ports};
use tests::site::{Receiver, Site};

/// A new detector, and a cell that changes hands: both count from the reload on.
#[tokio::test]
async fn a_reload_takes_over_changed_files_of_the_registry() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let ports = fix_ports(&site);
    let station = Running::start(&site, ports, &[]).await;
    station.publish("gridwarden/up/SD-9", &json!({"values": {"smoke": false}})).await; // A stranger: it waits.
    site.append("devices.csv", "SD-9,smoke_detector,新烟感,,S1-C1-G2,3栋,118.915,32.11,\n");
    let people = std::fs::read_to_string(site.file("people.csv")).unwrap();
    site.write(
        "people.csv",
        &people.replace(
            "zhang-wei,张伟,10000000002,lead,S1-C1-G2,2020-01-01,",
            "zhang-wei,张伟,10000000002,lead,S1-C1-G2,2020-01-01,2020-01-31\nsun-yi,孙怡,10000000005,lead,S1-C1-G2,2020-02-01,",
        ),
    );
    assert!(receiver.deliveries().is_empty());
    station.signal("HUP").await;
    eventually("it is taken over", 20, || async {
        station.get("/api/v1/devices?limit=100").await?.to_string().contains("SD-9").then_some(())
    })
    .await;
    station.publish("gridwarden/up/SD-9", &json!({"values": {"smoke": true}})).await;
    let told = eventually("the page", 20, || async { receiver.deliveries().into_iter().next() }).await;
    assert!(told.json.to_string().contains("sun-yi"), "the new lead is told: {}", told.json);
    assert_eq!(station.open_alarms().await.len(), 1);
    station.kill().await;
}

/// Rules with a mistake, then a register with one: the station runs on as it was, and says so until a good reload.
#[tokio::test]
async fn a_refused_reload_is_seen_until_a_good_one() {
    let site = Site::new("");
    let ports = fix_ports(&site);
    let station = Running::start(&site, ports, &[]).await;
    let finding = async |fine: bool| {
        eventually("the finding about the configuration", 20, || async {
            let ready = station.get("/readyz").await?;
            assert_eq!(ready["ready"], true, "{ready:#}");
            let finding = ready["checks"]["configuration"].clone();
            (finding["fine"] == fine).then_some(finding)
        })
        .await
    };
    finding(true).await;
    for (file, good, bad) in [
        ("rules.toml", "metric = \"pressure\"", "metric = \"presure\""),
        ("devices.csv", "SD-4,smoke_detector", "SD-4,smoke_detecter"),
    ] {
        let text = std::fs::read_to_string(site.file(file)).unwrap();
        site.write(file, &text.replace(good, bad));
        station.signal("HUP").await;
        let refused = finding(false).await;
        assert!(refused["detail"].as_str().unwrap().contains(file), "{file}: {refused}");
        assert!(
            station
                .log()
                .contains(refused["detail"].as_str().unwrap().rsplit(": ").next().unwrap().trim_end())
        );
        station.publish("gridwarden/up/HY-1", &json!({"values": {"pressure": 200}})).await;
        site.write(file, &text);
        station.signal("HUP").await;
        finding(true).await;
    }
    station.kill().await;
}
