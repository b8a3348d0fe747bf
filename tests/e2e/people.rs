//! People, duties and absences over the API, and the roster's own alarm.

use std::time::Duration;

use gateway::store::Audit;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{self, Site};

async fn send(station: &site::Station, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let method: reqwest::Method = method.parse().unwrap();
    let mut request =
        station.client.request(method, format!("{}{path}", station.http)).bearer_auth(site::TOKEN);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
}

/// Who answers for the cell now.
async fn responsible(station: &site::Station, cell: &str) -> Value {
    station.get(&format!("/api/v1/cells/{cell}")).await["responsible"]["id"].clone()
}

async fn becomes(station: &site::Station, cell: &str, wanted: &str) {
    eventually(&format!("{wanted} answers for {cell}"), 20, || async {
        (responsible(station, cell).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_person_comes_takes_over_is_absent_and_leaves() {
    let site = Site::new("");
    let station = site.start().await;
    let person = json!({ "name": "孙悦", "phone": "10000000009", "contacts": { "ntfy": "sun" } });
    let (status, put) = send(&station, "PUT", "/api/v1/people/sun-yue", Some(person.clone())).await;
    assert_eq!((status, &put["changed"]), (200, &json!(true)), "{put}");
    let (_, again) = send(&station, "PUT", "/api/v1/people/sun-yue", Some(person)).await;
    assert_eq!(again, json!({ "version": put["version"], "changed": false }));

    // What an import refuses is refused here, with the same words, and nothing is stored.
    let lead = |version: &Value| {
        let from = gateway::clock::wall().rfc3339();
        json!({ "person": "sun-yue", "cell": "S1-C1-G1", "role": "lead", "from": from, "version": version })
    };
    let (status, problem) = send(&station, "POST", "/api/v1/duties", Some(lead(&Value::Null))).await;
    assert_eq!((status, &problem["type"]), (422, &json!("urn:gridwarden:problem:unsound-roster")));
    assert!(problem["detail"].as_str().unwrap().contains("both lead the cell `S1-C1-G1`"), "{problem}");
    let (status, _) = send(&station, "DELETE", "/api/v1/people/nobody", None).await;
    assert_eq!(status, 404);

    // The lead leaves, the newcomer takes the cell over.
    assert_eq!(responsible(&station, "S1-C1-G1").await, "wang-li");
    let (status, left) = send(&station, "DELETE", "/api/v1/people/wang-li", None).await;
    assert_eq!(status, 200, "{left}");
    becomes(&station, "S1-C1-G1", "chen-jie").await;
    let (status, problem) = send(&station, "POST", "/api/v1/duties", Some(lead(&put["version"]))).await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:gridwarden:problem:registry-changed")),
        "{problem}"
    );
    let (status, _) = send(&station, "POST", "/api/v1/duties", Some(lead(&left["version"]))).await;
    assert_eq!(status, 200);
    becomes(&station, "S1-C1-G1", "sun-yue").await;

    let absence =
        json!({ "person": "sun-yue", "from": "2026-01-01", "stand_in": "zhang-wei", "reason": "培训" });
    assert_eq!(send(&station, "POST", "/api/v1/absences", Some(absence)).await.0, 200);
    becomes(&station, "S1-C1-G1", "zhang-wei").await;
    let shown = station.get("/api/v1/people/sun-yue").await;
    assert_eq!((&shown["contacts"]["ntfy"], &shown["duties"][0]["now"]), (&json!("sun"), &json!(false)));
    let away = station.get("/api/v1/absences").await;
    assert_eq!(away["items"][0]["stand_in"]["id"], "zhang-wei");
    let from = away["items"][0]["from"].as_str().unwrap();
    let back = format!("/api/v1/absences?person=sun-yue&from={from}");
    assert_eq!(send(&station, "DELETE", &back, None).await.0, 200);
    becomes(&station, "S1-C1-G1", "sun-yue").await;

    let vacancies = station.get("/api/v1/vacancies").await;
    assert_eq!(vacancies["gaps"], json!([]), "{vacancies}");
    let path = site.file("data/station.db");
    station.stop().await;
    let store = gateway::store::Store::open_beside(&path).unwrap();
    let lines: Vec<Audit> =
        store.audit(None, 10_000).await.unwrap().into_iter().map(|(_, line)| line).collect();
    let mut told: Vec<&str> =
        lines.iter().map(|line| line.what.as_str()).filter(|what| *what != "people.read").collect();
    told.reverse();
    assert_eq!(
        told,
        ["registry.import", "people.put", "people.leave", "duty.assign", "absence.put", "absence.end"]
    );
    assert!(
        lines.iter().all(|line| !line.detail.contains("1000000") && !line.detail.contains('孙')),
        "{lines:?}"
    );
}

#[tokio::test]
async fn an_hour_for_which_nobody_answers_is_an_alarm_until_it_is_filled() {
    let site = Site::new("");
    site.write(
        "people.csv",
        "id,name,phone,role,cell,from,until,hours\n\
         wang-li,王丽,10000000001,lead,S1-C1-G1,2020-01-01,,\n\
         zhao-min,赵敏,10000000004,lead,S1,2020-01-01,,00:00-23:00\n",
    );
    let station = site.start().await;
    let alarm = eventually("the alarm", 20, || async {
        station.get("/api/v1/alarms?class=trouble").await["items"].as_array().unwrap().first().cloned()
    })
    .await;
    let text = alarm["text"].as_str().unwrap().to_owned();
    assert!(text.contains("nobody answers for the cell `S1`"), "{text}");
    assert_eq!(alarm["cell"]["code"], "S1", "one alarm, of the root; not one for each cell");
    let gaps = station.get("/api/v1/vacancies?uncovered=1&limit=500").await;
    let cells: std::collections::BTreeSet<_> =
        gaps["gaps"].as_array().unwrap().iter().map(|gap| gap["cell"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        cells.into_iter().collect::<Vec<_>>(),
        ["S1", "S1-C1", "S1-C1-G2"],
        "G1 has somebody of its own"
    );

    // A restart finds the alarm again by its words.
    station.stop().await;
    let station = site.start().await;
    let duty = json!({ "person": "wang-li", "cell": "S1", "role": "deputy", "from": "2020-01-01", "hours": "23:00-00:00" });
    assert_eq!(send(&station, "POST", "/api/v1/duties", Some(duty)).await.0, 200);
    let ended = eventually("its end", 20, || async {
        let alarm = station.get(&format!("/api/v1/alarms/{}", alarm["id"].as_str().unwrap())).await;
        (!alarm["alarm"]["returned"].is_null()).then_some(alarm)
    })
    .await;
    assert_eq!(ended["alarm"]["text"], text);
    let all = station.get("/api/v1/alarms?class=trouble").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    station.stop().await;
}

/// `gridwarden import absences` and `gridwarden vacancies` beside a running station.
#[tokio::test]
async fn absences_are_imported_and_vacancies_printed_by_the_program() {
    let site = Site::new("");
    let station = site.start().await;
    site.write(
        "away.csv",
        "id,from,until,stand_in,reason\nwang-li,2026-01-01,,,病假\nzhao-min,2026-01-01,,zhang-wei,\n",
    );
    site.write("teams.csv", "name,kind,person,part,devices,from\n101,五包一,wang-li,网格员,SD-1,2026-01-01\n101,,chen-jie,社区,,\n");
    let run = |arguments: Vec<String>| {
        let mut command = tokio::process::Command::new(site::program("gridwarden"));
        command.args(arguments).arg("-c").arg(site.file("station.toml"));
        async move {
            let output =
                tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
            (
                output.status.success(),
                String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr),
            )
        }
    };
    let import = |what: &str, file: &str| {
        run(vec!["import".into(), what.into(), site.file(file).display().to_string()])
    };
    let (good, said) = import("absences", "away.csv").await;
    assert!(good && said.contains("2 added"), "{said}");
    becomes(&station, "S1-C1-G1", "chen-jie").await;
    becomes(&station, "S1", "zhang-wei").await;
    let (good, said) = import("teams", "teams.csv").await;
    assert!(good && said.contains("+ team 101"), "{said}");
    let team = eventually("the team", 20, || async {
        station.get("/api/v1/teams?device=SD-1").await["items"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(
        (&team["members"][0]["now"], &team["members"][1]["now"]["id"]),
        (&Value::Null, &json!("chen-jie"))
    );
    let (covered, said) = run(vec!["vacancies".into()]).await;
    assert!(covered && said.contains("S1-C1-G1  ") && said.contains("covered by S1-C1"), "{said}");
    site.write("more.csv", "id,from,until,stand_in\nchen-jie,2026-01-01,,\nzhang-wei,2026-01-01,,\n");
    let (good, said) = import("absences", "more.csv").await;
    assert!(good, "{said}");
    let (covered, said) = run(vec!["vacancies".into()]).await;
    assert!(!covered && said.starts_with("Nobody answers, nor anybody above:\n  S1  "), "{said}");
    station.stop().await;
}
