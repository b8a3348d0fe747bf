//! Every endpoint, as every role, inside and outside its cells: what happens is what the table in gateway/src/http/rights.rs says.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway::accounts::{self, Account, Pass, PassKind, Role};
use gateway::grid::plan::{Picture, Shows};
use gateway::grid::{Pin, Plan, Registry};
use gateway::http::rights::{self, ENDPOINTS, Need, Personal, Reach, Right};
use gateway::model::*;
use gateway::store::Audit;
use gateway::store::accounts::Ends;
use gateway::store::stills::{self, NewStill};
use gateway::units::Millis;
use gateway::world::World;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tests::neighbours::eventually;
use tests::station::Station;

/// Each role with the community XL-01 as its cell. The worker has a duty in XL-01-01 only, and no cell of his own. The department is the fire brigade's.
const BRIGADE: &str = "fire-brigade";

pub async fn with_accounts() -> Station {
    let station = Station::start().await.unwrap();
    let now = station.clock.now().wall;
    for role in Role::ALL {
        let mut account = Account::new(role.name(), role, now);
        match role {
            Role::Worker => account.person = Some("wang-li".into()),
            Role::Department => {
                (account.person, account.cells) = (Some(BRIGADE.into()), vec!["XL-01".into()]);
            }
            Role::Administrator | Role::DutyOfficer | Role::Supervisor | Role::Viewer | Role::Service => {
                account.cells = vec!["XL-01".into()]
            }
        }
        assert!(station.store.add_account(account, line(&station)).await.unwrap());
    }
    station.raise(SignalClass::Fire, "SD-0001", "inside").await.unwrap();
    station.raise(SignalClass::Fire, "HY-0001", "outside").await.unwrap();
    for device in ["SD-0001", "HY-0001"] {
        let device = station.world.load().registry.device_by_id(device).unwrap().ix;
        let new = NewStill { device, at: now, event: Metric::FLAME, kind: "image/jpeg", bytes: vec![7; 100] };
        let limits = stills::Limits { bytes_max: 1 << 20, days_max: 30 };
        station.store.keep_still(new, station.clock.now(), limits).await.unwrap();
    }
    with_plans(&station).await;
    station
}

/// P-1 is of the cell of SD-0001, P-2 of that of HY-0001; SD-0002 hangs on P-1, though it stands next door.
async fn with_plans(station: &Station) {
    let mut rows = station.world.load().registry.rows().clone();
    for (code, cell) in [("P-1", "XL-01-01"), ("P-2", "XL-02-01")] {
        let named: Vec<u64> = rows.plans.iter().map(|plan| plan.picture.number).collect();
        let number = station.store.keep_plan_picture(vec![7; 100], &named).await.unwrap();
        let picture = Picture { number, kind: "image/png".into(), width: 4, height: 3, bytes: 100 };
        let shows = Shows::Floor { building: "3栋".into(), floor: 5 };
        let plan = Plan { code: code.into(), cell: cell.into(), name: String::new(), shows, picture };
        rows.plans.push(plan);
    }
    rows.pins.push(Pin { device: "SD-0002".into(), plan: "P-1".into(), at: [0.5, 0.5] });
    let old = World::clone(&station.world.load());
    station.world.store(Arc::new(World { registry: Registry::build(rows), ..old }));
}

fn line(station: &Station) -> Audit {
    let at = station.clock.now().wall;
    Audit { at, who: "test".into(), what: "test".into(), target: "".into(), detail: "".into() }
}

/// A new session's cookie: some requests end theirs.
pub async fn session(station: &Station, account: &str) -> String {
    let (secret, hash) = accounts::secret();
    let now = station.clock.now().wall;
    let lasts = Millis::from_secs(3600);
    let pass = Pass {
        number: 0,
        kind: PassKind::Session,
        account: account.into(),
        label: "".into(),
        address: "".into(),
        made: now,
        seen: now,
        idle: lasts,
        ends: now + lasts,
    };
    station.store.add_pass(pass, hash, line(station)).await.unwrap();
    format!("gridwarden={secret}")
}

pub async fn ask(
    station: &Station,
    account: &str,
    method: &Method,
    path: &str,
    body: Option<&Json>,
) -> reqwest::Response {
    let cookie = session(station, account).await;
    let mut request = station.client.request(method.clone(), format!("{}{path}", station.url));
    request = request.header("cookie", cookie).header("origin", &station.url);
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await.unwrap()
}

async fn get(station: &Station, account: &str, path: &str) -> Json {
    let answer = ask(station, account, &Method::GET, path, None).await;
    assert_eq!(answer.status(), 200, "{account} {path}");
    answer.json().await.unwrap()
}

struct Place {
    /// A picture of the device.
    still: &'static str,
    /// Of its cell.
    plan: &'static str,
    cell: &'static str,
    device: &'static str,
    alarm: &'static str,
}

const INSIDE: Place = Place { still: "S-1", plan: "P-1", cell: "XL-01-01", device: "SD-0001", alarm: "A-1" };
/// In XL-01-02, and handed to the fire brigade.
const CASE: Place = Place { still: "S-1", plan: "P-1", cell: "XL-01-02", device: "SD-0002", alarm: "A-3" };
const OUTSIDE: Place = Place { still: "S-2", plan: "P-2", cell: "XL-02-01", device: "HY-0001", alarm: "A-2" };

/// The request to an endpoint at a place, and whether the place matters to it.
fn request(route: &str, method: &Method, place: &Place) -> (String, Option<Json>, bool) {
    let id = match route {
        _ if route.starts_with("/api/v1/devices") => place.device,
        _ if route.starts_with("/api/v1/people") => "nobody",
        _ if route.starts_with("/api/v1/stills") => place.still,
        _ => place.alarm,
    };
    let mut path = route
        .replace("{id}", id)
        .replace("{code}", place.cell)
        .replace("{name}", if route.starts_with("/api/v1/teams") { "nobody" } else { "viewer" })
        .replace("{number}", "999999")
        .replace("{key}", "nobody")
        .replace("{token}", "nobody")
        .replace("{what}", "devices")
        .replace("{bus}", "nobody")
        .replace("{plan}", if *method == Method::GET { place.plan } else { "nobody" })
        .replace("{secret}", "wrong");
    let mut matters = (route.contains("{id}") && !route.starts_with("/api/v1/people"))
        || route.contains("{code}")
        || route == "/api/v1/plans/{plan}/picture";
    let body = match (method.as_str(), route) {
        ("POST", "/api/v1/alarms") => {
            matters = true;
            Some(json!({ "cell": place.cell, "class": "trouble", "text": "by hand" }))
        }
        ("POST", "/api/v1/devices/{id}/command") => Some(json!({ "payload": {} })),
        ("POST", "/api/v1/devices/{id}/orders") => {
            Some(json!({ "profile": "milesight-em500-pp", "order": "reboot" }))
        }
        ("POST", "/api/v1/alarms/{id}/resolve") => Some(json!({ "disposition": "test" })),
        ("POST", "/api/v1/maintenance") => {
            matters = true;
            Some(json!({ "cell": place.cell, "until": "2100-01-01T00:00:00Z", "reason": "works" }))
        }
        ("POST", "/api/v1/drills") => {
            matters = true;
            Some(json!({ "cell": place.cell, "kind": "trouble" }))
        }
        ("POST", "/api/v1/roll-calls") => {
            matters = true;
            Some(json!({ "cell": place.cell }))
        }
        ("POST", "/api/v1/alarms/{id}/hand_over") => Some(json!({ "up": true, "reason": "beyond me" })),
        ("POST", "/api/v1/alarms/{id}/suspend" | "/api/v1/alarms/{id}/shelve") => {
            Some(json!({ "until": "2100-01-01T00:00:00Z", "reason": "later" }))
        }
        ("POST", "/api/v1/alerts/{key}/receipts") => Some(json!({ "receipt": "shown" })),
        ("POST", "/api/v1/alarms/{id}/return") => Some(json!({ "reason": "not done" })),
        ("POST", "/api/v1/alarms/{id}/evaluate") => Some(json!({ "verdict": "true" })),
        ("POST", "/api/v1/hazards") => {
            matters = true;
            Some(json!({ "cell": place.cell, "kind": "other" }))
        }
        ("POST", "/api/v1/cells/{code}/split") => {
            Some(json!({ "line": [[0, 0], [1, 1]], "code": "N", "name": "N", "dry_run": true }))
        }
        ("POST", "/api/v1/cells/{code}/merge") => Some(json!({ "others": [], "dry_run": true })),
        ("POST", "/api/v1/modbus/{bus}/read") => Some(json!({ "unit": 1, "start": 0, "count": 1 })),
        ("POST", "/api/v1/rules/check" | "/api/v1/rules/preview") => Some(json!({ "text": "" })),
        ("PUT", "/api/v1/rules/file") => Some(json!({ "text": "", "version": "" })),
        ("POST", "/api/v1/waiting/place") => Some(json!({ "address": "z2m:x", "id": "X", "name": "x" })),
        ("POST", "/api/v1/waiting/dismiss") => Some(json!({ "address": "z2m:x" })),
        ("POST", "/api/v1/patrol") => Some(json!({ "code": "nobody" })),
        ("PUT", "/api/v1/plans/{plan}/devices") => Some(json!({ "devices": [] })),
        ("PUT", "/api/v1/me/position") => Some(json!({ "lat": 32.06, "lon": 118.8 })),
        ("PATCH", _) => Some(json!({ "cells": ["XL-01"] })),
        (_, "/api/v1/ladders") => {
            matters = true;
            path = format!("{path}?class=fire&cell={}", place.cell);
            None
        }
        (_, "/api/v1/series") => {
            matters = true;
            path = format!("{path}?device={}&metric=smoke", place.device);
            None
        }
        _ => None,
    };
    (path, body, matters)
}

#[tokio::test]
async fn every_endpoint_answers_every_role_as_the_table_says() {
    let station = with_accounts().await;
    station.raise_handed(SignalClass::Fire, "SD-0002", BRIGADE).await.unwrap();
    let document: Json = station.get("/api/v1/openapi.json").send().await.unwrap().json().await.unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        routes.extend(
            item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())),
        );
    }
    let table: BTreeSet<_> = ENDPOINTS.iter().map(|(method, route, _)| format!("{method} {route}")).collect();
    assert_eq!(routes, table, "every route has a line in the table, and every line a route");

    let mut asked = 0;
    for (method, route, need) in ENDPOINTS {
        for role in Role::ALL {
            let inside = if role == Role::Department { CASE } else { INSIDE };
            for (inside, place) in [(true, inside), (false, OUTSIDE)] {
                let (path, body, matters) = request(route, method, &place);
                let answer = ask(&station, role.name(), method, &path, body.as_ref()).await;
                let (status, case) = (answer.status().as_u16(), format!("{} {method} {path}", role.name()));
                asked += 1;
                let reach = match need {
                    Need::Nothing | Need::Known | Need::KnownAtFirst => Reach::Everywhere,
                    Need::Right(right) => rights::granted(role, *right).reach,
                };
                match reach {
                    Reach::Nowhere => {
                        assert_eq!(status, 403, "{case}");
                        let problem: Json = answer.json().await.unwrap();
                        assert_eq!(problem["type"], "urn:gridwarden:problem:not-allowed", "{case}");
                    }
                    // Its cases, wherever they stand; of everything else, nothing.
                    Reach::Cases if matters && !(inside && route.starts_with("/api/v1/alarms/")) => {
                        let window = *route == "/api/v1/maintenance";
                        assert_eq!(status, if window { 403 } else { 404 }, "{case}");
                    }
                    Reach::Own if matters && !inside => {
                        // As if it were not there; raising says that it may not.
                        let raise = [Need::Right(Right::Raise), Need::Right(Right::Exercise)].contains(need)
                            || *route == "/api/v1/maintenance";
                        let series = ["/api/v1/series", "/api/v1/ladders"].contains(route);
                        assert_eq!(
                            status,
                            if raise {
                                403
                            } else if series {
                                400
                            } else {
                                404
                            },
                            "{case}"
                        );
                    }
                    // By then he has had a hand in it: no matter of rights.
                    Reach::Cases | Reach::Own | Reach::Everywhere
                        if route.ends_with("/evaluate") && status == 403 =>
                    {
                        let problem: Json = answer.json().await.unwrap();
                        assert_eq!(problem["type"], "urn:gridwarden:problem:own-work", "{case}");
                    }
                    Reach::Cases | Reach::Own | Reach::Everywhere => {
                        assert!(![401, 403, 405, 500].contains(&status), "{case}: {status}");
                        // Nobody has session 999999 or is called `nobody`, no channel takes reports, this station pushes to no browsers, has nothing out of service and nobody who
                        // waits, has tried no rules and has no cells on its disk.
                        let absent = [
                            "999999",
                            "nobody",
                            "/wrong",
                            "/push/",
                            "/maintenance",
                            "/waiting/",
                            "/rules/preview",
                            "/split",
                            "/merge",
                        ]
                        .iter()
                        .any(|part| path.contains(part));
                        assert!(absent || status != 404, "{case}: {status}");
                    }
                }
            }
        }
    }
    assert_eq!(asked, ENDPOINTS.len() * Role::COUNT * 2);
    station.end().await.unwrap();
}

fn names(page: &Json, field: &str) -> BTreeSet<String> {
    page["items"].as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_are_cut_to_the_cells_and_numbers_are_masked() {
    let station = with_accounts().await;
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let all = |reach: Reach, everything: &[&str], community: &[&str], duty: &[&str], role: Role| match reach {
        Reach::Everywhere => set(everything),
        Reach::Own if role == Role::Worker => set(duty),
        Reach::Own => set(community),
        Reach::Cases => set(&[]),
        Reach::Nowhere => unreachable!("every role may look"),
    };
    station.raise_handed(SignalClass::Fire, "SD-0002", BRIGADE).await.unwrap();
    for role in Role::ALL {
        let (name, reach) = (role.name(), |right| rights::granted(role, right).reach);
        let alarms = get(&station, name, "/api/v1/alarms").await;
        let expected = match reach(Right::Alarms) {
            Reach::Cases => set(&["A-3"]),
            reach @ (Reach::Nowhere | Reach::Own | Reach::Everywhere) => {
                all(reach, &["A-1", "A-2", "A-3"], &["A-1", "A-3"], &["A-1"], role)
            }
        };
        assert_eq!(names(&alarms, "id"), expected, "{name}");
        let wider = get(&station, name, "/api/v1/alarms?cell=XL-02").await;
        let expected = all(reach(Right::Alarms), &["A-2"], &[], &[], role);
        assert_eq!(names(&wider, "id"), expected, "{name}: asking for others' cells finds none");
        let devices = get(&station, name, "/api/v1/devices").await;
        let four = ["SD-0001", "SD-0002", "HY-0001", "CAM-001"];
        let expected = all(reach(Right::Devices), &four, &["SD-0001", "SD-0002"], &["SD-0001"], role);
        assert_eq!(names(&devices, "id"), expected, "{name}");
        let cells = get(&station, name, "/api/v1/cells").await;
        let seven = ["XL", "XL-01", "XL-02", "XL-01-01", "XL-01-02", "XL-02-01", "XL-02-02"];
        let community = ["XL-01", "XL-01-01", "XL-01-02"];
        let expected = all(reach(Right::Cells), &seven, &community, &["XL-01-01"], role);
        assert_eq!(names(&cells, "code"), expected, "{name}");
        let people = get(&station, name, "/api/v1/people").await;
        let three = ["wang-li", "zhao-qiang", "chen-jie"];
        let expected = all(reach(Right::People), &three, &["wang-li"], &["wang-li"], role);
        assert_eq!(names(&people, "id"), expected, "{name}");

        let before = station.store.audit(None, 1).await.unwrap()[0].0;
        let cell = get(&station, name, "/api/v1/cells/XL-01-01").await;
        let newest = station.store.audit(None, 1).await.unwrap().remove(0);
        let phone = &cell["responsible"]["phone"];
        match rights::granted(role, Right::Cells).personal {
            Personal::Shown => {
                assert_eq!(phone, "13800000001", "{name}");
                assert_eq!(newest.1.what, "people.read", "{name}: the look is recorded");
                let who = if role == Role::Worker { "wang-li" } else { name };
                assert_eq!((newest.1.who.as_str(), newest.1.detail.as_str()), (who, "wang-li"));
            }
            Personal::Masked => {
                assert_eq!(phone, "138****0001", "{name}");
                assert!(
                    !cell.to_string().contains("13800000001") && !people.to_string().contains("13800000001")
                );
                // Only the session that the request came with.
                assert_eq!(newest.0, before + 1, "{name}: nothing personal was shown");
            }
        }
    }
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_stream_shows_the_own_cells_only_and_ends_with_the_account() {
    let station = with_accounts().await;
    let cookie = session(&station, "worker").await;
    let follow = station.client.get(format!("{}/api/v1/events?readings=1&after=0", station.url));
    let mut stream = follow.header("cookie", cookie).send().await.unwrap();
    station.report("HY-0001", &[(Metric::PRESSURE, 1.0)]);
    station.report("SD-0001", &[(Metric::TEMPERATURE, 20.0)]);
    station.raise(SignalClass::Fire, "SD-0002", "next door").await.unwrap();
    station.raise(SignalClass::Fire, "SD-0001", "the last one").await.unwrap();
    let mut text = String::new();
    while !text.contains("the last one") {
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("inside") && text.contains("\"SD-0001\""), "{text}");
    for foreign in ["outside", "next door", "HY-0001", "SD-0002"] {
        assert!(!text.contains(foreign), "{foreign} is not his: {text}");
    }
    let disable = |account: &mut Account| {
        account.disabled = true;
        true
    };
    station.store.change_account("worker", Ends::None, line(&station), disable).await.unwrap();
    let station = &station;
    let ended = async move {
        while let Ok(Some(chunk)) = stream.chunk().await {
            // What came before the stream asked again may be shown.
            drop(chunk);
        }
    };
    let mut ended = Box::pin(ended);
    eventually("the stream of a disabled account ends", 30, || {
        let done = futures::FutureExt::now_or_never(&mut ended).is_some();
        async move {
            station.raise(SignalClass::Trouble, "SD-0001", "more").await.unwrap();
            done.then_some(())
        }
    })
    .await;
}
