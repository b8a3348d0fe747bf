//! kill -9, in short: the long run is `make torture`.

use tests::crash::{Moment, Plan, Victim, torture};
use tests::neighbours::{eventually, free_port, publish};
use tests::site::{Site, TOKEN, program};
use tokio::process::Command;

async fn check(plan: Plan) {
    println!("{plan:?}");
    let figures = torture(&plan).await.unwrap();
    println!(
        "{} readings, {} fires, {} alerts",
        figures.readings_acknowledged, figures.episodes, figures.alerts
    );
    assert!(figures.faults.is_empty(), "seed {}: {:#?}", plan.seed, figures.faults);
    assert!(figures.readings_acknowledged > 100 && figures.episodes > 3, "too little load: {figures:?}");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kills_at_random_moments() {
    check(Plan { seed: 20_261_123, kills: 8, collectors: 2, smoke_detectors: 3, broker: false }).await;
}

#[tokio::test]
async fn nothing_acknowledged_by_the_broker_is_lost_by_kills_of_the_gateway() {
    check(Plan { seed: 20_261_124, kills: 5, collectors: 2, smoke_detectors: 2, broker: true }).await;
}

/// SIGHUP names what differs; a wrong file is refused and the station runs on; SIGTERM ends it with code 0.
#[tokio::test]
async fn a_reload_says_what_differs_and_refuses_a_wrong_file() {
    let site = Site::new("");
    let http = free_port();
    site.fix_ports(http, free_port());
    let mut program = Victim::new(site.file("station.toml"), site.file("log"), http);
    program.start().await.unwrap();
    program.ready().await.unwrap();
    let says = |what: &'static str| {
        let log = site.file("log");
        eventually(what, 20, move || {
            let text = std::fs::read_to_string(&log).unwrap();
            async move { text.contains(what).then_some(()) }
        })
    };
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    site.write("rules.toml", &rules.replace("below = 140.0", "below = 120.0"));
    program.signal("HUP").await.unwrap();
    says("rule `low-pressure` changed").await;
    site.write("rules.toml", &rules.replace("metric = \"pressure\"", "metric = \"presure\""));
    program.signal("HUP").await.unwrap();
    says("is refused, the old one stays in force").await;
    let ready = reqwest::get(format!("http://127.0.0.1:{http}/readyz")).await.unwrap();
    assert!(ready.status().is_success());
    program.stop_in_order().await.unwrap();
}

/// A copy made under load, then killed, restored over what was there: what the copy holds is there again, and the other store is kept.
#[tokio::test]
async fn a_backup_under_load_is_restored_by_the_command() {
    let site = Site::new("");
    let (http, mqtt) = (free_port(), free_port());
    site.fix_ports(http, mqtt);
    let mut running = Victim::new(site.file("station.toml"), site.file("log"), http);
    running.start().await.unwrap();
    running.ready().await.unwrap();
    let publish = async |count: &str| {
        let arguments = ["-p", &mqtt.to_string(), "-t", "gridwarden/up/HY-1", "-q", "1", "--repeat", count];
        let sent = Command::new("mosquitto_pub")
            .args(arguments)
            .args(["-m", r#"{"values":{"pressure":200}}"#])
            .status();
        assert!(sent.await.unwrap().success());
    };
    publish("50").await;
    let command = async |verb: &str| {
        let mut command = Command::new(program("gridwarden"));
        command.arg(verb).arg(site.file("backup.db")).arg("-c").arg(site.file("station.toml"));
        command.output().await.unwrap()
    };
    let (copied, ()) = tokio::join!(command("backup"), publish("500"));
    assert!(copied.status.success(), "{copied:?}");
    let refused = command("restore").await;
    assert!(!refused.status.success(), "a gateway runs on the store: {refused:?}");
    running.kill(Moment::UnderLoad).await.unwrap();

    let rows = |file: &str| {
        let connection = rusqlite::Connection::open(site.file(file)).unwrap();
        let all =
            "SELECT group_concat(seq || hex(bytes)), (SELECT group_concat(record) FROM devices) FROM journal";
        connection.query_row(all, (), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap()
    };
    let copy = rows("backup.db");
    let done = command("restore").await;
    assert!(done.status.success(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("station.db.before-"), "{done:?}");
    assert_eq!(rows("data/station.db"), copy);
    running.start().await.unwrap();
    running.ready().await.unwrap();
    running.stop_in_order().await.unwrap();
}

/// What was decided before a crash stays decided, also when files of the registry were edited before the next start: the past is replayed under the registry it had.
#[tokio::test]
async fn the_past_is_replayed_under_the_registry_it_had() {
    let site = Site::new("");
    let (http, mqtt) = (free_port(), free_port());
    site.fix_ports(http, mqtt);
    let mut running = Victim::new(site.file("station.toml"), site.file("log"), http);
    running.start().await.unwrap();
    running.ready().await.unwrap();
    let smoke = || publish(mqtt, "gridwarden/up/SD-1", r#"{"values":{"smoke":true}}"#, &[]);
    smoke().await;
    running.kill(Moment::UnderLoad).await.unwrap();

    let devices = std::fs::read_to_string(site.file("devices.csv")).unwrap();
    site.write(
        "devices.csv",
        &devices.replace("SD-1,smoke_detector,厨房烟感,,S1-C1-G1", "SD-1,smoke_detector,厨房烟感,,S1-C1-G2"),
    );
    running.start().await.unwrap();
    running.ready().await.unwrap();
    let address = format!("http://127.0.0.1:{http}/api/v1");
    let client = reqwest::Client::new();
    let acknowledge = client.post(format!("{address}/alarms/A-1/acknowledge")).bearer_auth(TOKEN);
    let answer = acknowledge.json(&serde_json::json!({})).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let alarm: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(
        (&alarm["cell"]["code"], &alarm["owner"]["id"]),
        (&"S1-C1-G1".into(), &"wang-li".into()),
        "{alarm:#}"
    );
    let device = client.get(format!("{address}/devices/SD-1")).bearer_auth(TOKEN).send().await.unwrap();
    let device: serde_json::Value = device.json().await.unwrap();
    assert!(device.to_string().contains("S1-C1-G2"), "the edited file is imported: {device:#}");
    running.stop_in_order().await.unwrap();
}
