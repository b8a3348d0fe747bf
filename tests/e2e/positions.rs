//! Where people are: told by themselves, only on duty, shown to those with the right, and every look on record.

use gateway::store::{Audit, Store};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tests::station::Station;

use crate::rights::{ask, with_accounts};

async fn looks(store: &Store) -> Vec<Audit> {
    let lines = store.audit(None, 100).await.unwrap().into_iter().map(|(_, line)| line);
    lines.filter(|line| line.what == "people.read" && line.target == "positions").collect()
}

async fn shown(station: &Station, account: &str, path: &str) -> Vec<Json> {
    let answer = ask(station, account, &Method::GET, path, None).await;
    assert_eq!(answer.status(), 200, "{account} {path}");
    answer.json::<Json>().await.unwrap()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_place_of_a_worker_on_duty_is_shown_to_those_who_send_people() {
    let station = with_accounts().await;
    let here = json!({ "lat": 32.061, "lon": 118.801, "accuracy_m": 12.5 });
    let answer = ask(&station, "worker", &Method::PUT, "/api/v1/me/position", Some(&here)).await;
    assert_eq!(answer.status(), 204);

    let places = shown(&station, "duty_officer", "/api/v1/positions").await;
    assert_eq!(places.len(), 1);
    let (place, now) = (&places[0], station.clock.now());
    assert_eq!(place["person"], json!({ "id": "wang-li", "name": "王丽" }));
    assert_eq!((&place["lat"], &place["lon"]), (&json!(32.061), &json!(118.801)));
    assert_eq!(place["cells"], json!(["XL-01-01"]));
    assert_eq!(station.live.positions.of("wang-li", now).unwrap().lon_lat, [118.801, 32.061]);
    assert_eq!(shown(&station, "supervisor", "/api/v1/positions").await.len(), 1, "of his community");
    assert!(shown(&station, "duty_officer", "/api/v1/positions?cell=XL-02").await.is_empty());
    for account in ["worker", "department", "viewer"] {
        let answer = ask(&station, account, &Method::GET, "/api/v1/positions", None).await;
        assert_eq!(answer.status(), 403, "{account}");
    }
    // Twice by one officer is one look, by another a second.
    shown(&station, "duty_officer", "/api/v1/positions").await;
    let looks = looks(&station.store).await;
    let by: Vec<_> = looks.iter().map(|line| (line.who.as_str(), line.detail.as_str())).collect();
    assert_eq!(by, [("supervisor", "wang-li"), ("duty_officer", "wang-li")]);

    let answer = ask(&station, "worker", &Method::DELETE, "/api/v1/me/position", None).await;
    assert_eq!(answer.status(), 204);
    assert!(shown(&station, "duty_officer", "/api/v1/positions").await.is_empty());
    station.end().await.unwrap();
}

#[tokio::test]
async fn off_duty_nobody_is_followed() {
    let station = with_accounts().await;
    let here = json!({ "lat": 32.061, "lon": 118.801 });
    let put =
        async |body: &Json| ask(&station, "worker", &Method::PUT, "/api/v1/me/position", Some(body)).await;
    assert_eq!(put(&here).await.status(), 204);
    for (wrong, field) in [
        (json!({ "lat": 91, "lon": 118.8 }), "lat"),
        (json!({ "lat": 32.0, "lon": 181 }), "lon"),
        (json!({ "lat": 32.0, "lon": 118.8, "at": "2026-01-01T00:00:00Z" }), "at"),
    ] {
        let answer = put(&wrong).await;
        assert_eq!(answer.status(), 422, "{field}");
        assert_eq!(answer.json::<Json>().await.unwrap()["errors"][0]["field"], field);
    }

    // The shift ends: what is known is shown no more, and nothing new is taken.
    let mut rows = station.world.load().registry.rows().clone();
    rows.duties.retain(|duty| duty.person != "wang-li");
    let mut world = gateway::world::World::clone(&station.world.load());
    world.registry = gateway::grid::Registry::build(rows);
    station.world.store(std::sync::Arc::new(world));
    assert!(shown(&station, "duty_officer", "/api/v1/positions").await.is_empty());
    let refused = put(&here).await;
    assert_eq!(refused.status(), 409);
    assert_eq!(refused.json::<Json>().await.unwrap()["type"], "urn:gridwarden:problem:off-duty");
    assert_eq!(station.live.positions.of("wang-li", station.clock.now()), None, "and it is forgotten");
    station.end().await.unwrap();
}
