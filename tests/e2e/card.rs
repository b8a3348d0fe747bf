//! The card of an alarm: the water nearby as it was at that moment, who lives there for those who may know, and every look recorded.

use serde_json::json;
use tests::neighbours::{eventually, publish};
use tests::process::Process;
use tests::site::{Receiver, Site, program};
use tokio::process::Command;

const READER: &str = "a-token-that-may-only-look";

#[tokio::test]
async fn the_card_is_there_with_the_alarm_and_personal_for_those_who_may() {
    let receiver = Receiver::start().await;
    let reader = "[[http.token]]\nname = \"board\"\nsecret = { file = \"reader\" }\nread_only = true\n";
    let site = Site::new(&format!("{}{reader}", receiver.config()));
    site.write("reader", READER);
    site.write(
        "households.csv",
        "cell,place,people,help,contact,phone\nS1-C1-G2,2栋1单元101,2,cannot_walk,李奶奶,13800000000\n",
    );
    site.write("buildings.csv", "cell,name,floors,structure\nS1-C1-G2,2栋,6,砖混\n");
    let mut station = Process::start(&program("gridwarden"), &site).await;
    for what in ["households", "buildings"] {
        let mut import = Command::new(program("gridwarden"));
        import
            .args(["import", what])
            .arg(site.file(&format!("{what}.csv")))
            .arg("-c")
            .arg(site.file("station.toml"));
        let done = import.output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(!said.contains("138"), "no telephone number is printed: {said}");
    }
    let log = site.file("log");
    eventually("both imports are taken over", 20, || {
        let text = std::fs::read_to_string(&log).unwrap();
        async move { text.contains("taken over version=3").then_some(()) }
    })
    .await;
    for (device, values) in [("HY-1", json!({"pressure": 120.0})), ("SD-4", json!({"smoke": true}))] {
        let message = json!({ "values": values }).to_string();
        publish(station.mqtt_port, &format!("gridwarden/up/{device}"), &message, &[]).await;
    }
    let alarm = eventually("the fire", 10, || async {
        let open = station.get("/api/v1/alarms?class=fire").await;
        open["items"].as_array().unwrap().first().map(|alarm| alarm["id"].as_str().unwrap().to_owned())
    })
    .await;

    let card = station.get(&format!("/api/v1/alarms/{alarm}")).await["card"].clone();
    assert_eq!(card["place"], "2栋1单元101");
    assert_eq!(card["cells"], json!(["青溪街道", "梧桐社区", "二格"]));
    assert_eq!(card["household"]["help"], json!(["cannot_walk"]));
    assert_eq!(card["building"]["floors"], 6);
    let hydrant = &card["hydrants"][0];
    assert_eq!(
        (&hydrant["id"], &hydrant["pressure_kpa"], &hydrant["mark"]),
        (&json!("HY-1"), &json!(120.0), &json!("low")),
        "{card:#}"
    );
    assert!((370..385).contains(&hydrant["metres"].as_u64().unwrap()), "{hydrant}");
    assert_eq!(card["record"]["alarms"], 1);
    let own = station.get("/api/v1/alarms/A-1").await["card"]["hydrants"][0].clone();
    assert_eq!(
        (&own["id"], &own["pressure_kpa"]),
        (&json!("HY-1"), &json!(120.0)),
        "the reading that raised it is on its card"
    );

    let told = eventually("the webhook", 10, || async { receiver.deliveries().into_iter().next() }).await;
    assert_eq!(told.json["card"]["hydrants"][0]["id"], "HY-1", "{}", told.json);
    assert_eq!(told.json["card"]["household"], json!(null), "who lives there goes to no receiver");
    assert_eq!(told.json["card"]["record"]["alarms"], 1, "which only the store knew");

    let url = format!("{}/api/v1/alarms/{alarm}", station.http);
    let shown = station.client.get(&url).bearer_auth(READER).send().await.unwrap();
    let shown: serde_json::Value = shown.json().await.unwrap();
    assert_eq!(shown["card"]["household"], json!(null), "who lives there is not for everybody");
    assert_eq!(shown["card"]["place"], "2栋1单元101");
    let mut explain = Command::new(program("gridwarden"));
    let told = explain.args(["explain", &alarm, "-c"]).arg(site.file("station.toml")).output().await.unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    println!("{told}");
    for words in [
        "SD-4 said smoke = 1",
        "the whole message: smoke=1",
        "owner zhang-wei",
        "Raised",
        "by `duty`, try 1: taken",
        "消火栓 东门",
    ] {
        assert!(told.contains(words), "`{words}` is missing in\n{told}");
    }
    assert!(!told.contains("138") && !told.contains("李奶奶"), "{told}");
    station.kill().await;
    let store = rusqlite::Connection::open(site.file("data/station.db")).unwrap();
    let looks = "SELECT count(*) FROM audit WHERE what = 'people.read' AND target = ?1";
    let looks: i64 = store.query_row(looks, [format!("card of {alarm}")], |row| row.get(0)).unwrap();
    assert_eq!(looks, 1, "one of the two looks was personal");
}
