//! The worker's phone where it needs more than a page and a station: Web Push with its receipts, the station killed under an open app, camera and microphone, a slow phone. The scripts are in tests/web/.

use serde_json::{Value as Json, json};
use tests::neighbours::free_port;
use tests::site::{self, Site, program};
use tokio::process::Command;

use super::web::run;

const CELL: &str = "S1-C1-G1";
const SPEC: [&str; 3] = ["--test", "--test-force-exit", "--test-reporter=spec"];

/// Without a ladder nobody can be asked whether he is there.
pub fn with_roll_calls(site: &Site) {
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let ladder = "[[ladder]]\nname = \"roll-call\"\n[[ladder.step]]\nafter_s = 0\nwho = [\"responsible\"]\nchannels = [\"mqtt\"]\n";
    site.write("rules.toml", &format!("{rules}\n{ladder}"));
}

/// The one-time password of a new account for wang-li, who answers for [`CELL`].
async fn account(site: &Site) -> String {
    let mut add = Command::new(program("gridwarden"));
    add.args(["account", "add", "wang-li", "--role", "worker", "--person", "wang-li", "-c"]);
    let said = String::from_utf8(add.arg(site.file("station.toml")).output().await.unwrap().stdout).unwrap();
    said.split("one-time password ").nth(1).expect(&said).split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_comes_by_web_push_is_shown_opened_and_acknowledged() {
    let port = free_port();
    let site = Site::new(&format!(
        "[[channel.web_push]]\nname = \"push\"\ncontact = \"mailto:duty@street.example\"\nservices = [\"http://127.0.0.1:{port}\"]\n"
    ));
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    site.write(
        "rules.toml",
        &rules
            .replace("\"mqtt\"", "\"push\"")
            .replace("up:1", "responsible")
            .replace("after_s = 60", "after_s = 30"),
    );
    let station = site.start().await;
    let more = [
        ("PUSH_PORT", port.to_string()),
        ("MQTT_PORT", station.mqtt_port.to_string()),
        ("NAME", "wang-li".into()),
        ("ONCE", account(&site).await),
    ];
    println!(
        "{}",
        run(&station.http, site::TOKEN, &[SPEC[0], SPEC[1], SPEC[2], "push.test.mjs"], &more).await
    );
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_station_is_killed_and_started_again_while_the_app_is_open() {
    let (site, http) = (Site::new(""), free_port());
    site.fix_ports(http, free_port());
    let more = [
        ("PROGRAM", program("gridwarden").display().to_string()),
        ("CONFIG", site.file("station.toml").display().to_string()),
        ("CELL", CELL.into()),
    ];
    let url = format!("http://127.0.0.1:{http}");
    println!("{}", run(&url, site::TOKEN, &[SPEC[0], SPEC[1], SPEC[2], "restart.test.mjs"], &more).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn camera_and_microphone_of_the_phone() {
    let site = Site::new("");
    let station = site.start().await;
    let board = format!("/api/v1/cells/{CELL}/board");
    let (status, board): (_, Json) = station.post(&board, &json!({})).await;
    assert_eq!(status, 200, "{board}");
    let more = [
        ("CELL", CELL.to_owned()),
        ("LINK", board["link"].as_str().unwrap().to_owned()),
        ("QR", board["qr_svg"].as_str().unwrap().to_owned()),
    ];
    println!(
        "{}",
        run(&station.http, site::TOKEN, &[SPEC[0], SPEC[1], SPEC[2], "camera.test.mjs"], &more).await
    );
    station.stop().await;
}

/// Prints the tables of docs/worker-app.md; `make stopwatch` has them written there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_on_a_slow_phone_with_a_stopwatch() {
    let site = Site::new("");
    with_roll_calls(&site);
    let station = site.start().await;
    let once = account(&site).await;
    let mut more = vec![("CELL", CELL.to_owned()), ("NAME", "wang-li".into()), ("ONCE", once)];
    more.extend(std::env::var("GRIDWARDEN_TABLES").ok().map(|file| ("TABLES", file)));
    println!("{}", run(&station.http, site::TOKEN, &["stopwatch.mjs"], &more).await);
    station.stop().await;
}
