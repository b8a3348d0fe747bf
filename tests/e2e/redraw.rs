//! Cells split and merged over the whole gateway: what names a cell by its code is not silently left behind.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Site, Station};

const SPLIT: &str = "/api/v1/cells/S1-C1-G2/split";
const MERGE: &str = "/api/v1/cells/S1-C1-G2/merge";

fn split(dry_run: bool) -> Value {
    let line = [[118.917, 32.0], [118.917, 33.0]];
    json!({ "line": line, "code": "S1-C1-G3", "name": "三格", "dry_run": dry_run })
}

async fn refused(station: &Station, path: &str, body: &Value) -> (StatusCode, String) {
    let (status, problem) = station.post(path, body).await;
    (status, problem["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_rule_that_names_a_cell_does_not_lose_what_moves_out_of_it() {
    let site = Site::new("");
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let only =
        |cells: &str| rules.replacen("state = { flag", &format!("cells = [{cells}]\nstate = {{ flag"), 1);
    site.write("rules.toml", &only("'S1-C1-G2'")); // Quoted as the other way of TOML.
    let station = site.start().await;
    let (status, why) = refused(&station, SPLIT, &split(true)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{why}");
    assert!(why.contains("the rule `smoke`") && why.contains("write `S1-C1-G3` beside it"), "{why}");
    let (status, why) = refused(&station, MERGE, &json!({ "others": [] })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
    let (status, why) =
        refused(&station, "/api/v1/cells/S1-C1-G1/merge", &json!({ "others": ["S1-C1-G2"] })).await;
    assert!(status == StatusCode::CONFLICT && why.contains("the rule `smoke`"), "{status} {why}");
    station.stop().await;

    // The roll-call has cells, too.
    site.write("rules.toml", &format!("{rules}\n[roll_call]\ncells = [\"S1-C1-G2\"]\n"));
    let station = site.start().await;
    let (status, why) = refused(&station, SPLIT, &split(true)).await;
    assert!(status == StatusCode::CONFLICT && why.contains("the roll-call"), "{status} {why}");
    station.stop().await;

    // Named beforehand, it covers both sides.
    site.write("rules.toml", &only("'S1-C1-G2', 'S1-C1-G3'"));
    let station = site.start().await;
    let (status, drawn) = station.post(SPLIT, &split(false)).await;
    assert_eq!((status, &drawn["stored"]), (StatusCode::OK, &json!(true)), "{drawn:#}");
    station.stop().await;
}

#[tokio::test]
async fn a_printed_board_says_the_cell_that_took_its_own_in() {
    let site = Site::new("");
    let station = site.start().await;
    let (_, board) = station.post("/api/v1/cells/S1-C1-G1/board", &json!({})).await;
    let code = board["link"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let hangs = json!({ "device": "HY-1" });
    let (_, at_hydrant) = station.post("/api/v1/cells/S1-C1-G2/board", &hangs).await;
    let typed = at_hydrant["code"].as_str().unwrap().to_owned();

    let (status, drawn) = station.post(SPLIT, &split(false)).await;
    assert_eq!(status, StatusCode::OK, "{drawn:#}");
    let visit = json!({ "code": typed });
    eventually("the code goes with its hydrant", 10, async || {
        (station.post("/api/v1/patrol", &visit).await.1["cell"] == "S1-C1-G3").then_some(())
    })
    .await;

    let (status, drawn) = station.post(MERGE, &json!({ "others": ["S1-C1-G1"] })).await;
    assert_eq!(status, StatusCode::OK, "{drawn:#}");
    eventually("the board is good", 10, async || {
        (station.get(&format!("/api/v1/report/{code}")).await["cell"] == "二格").then_some(())
    })
    .await;
    station.stop().await;
}
