//! The dashboards for Grafana against what the gateway really writes: points of every kind of device and every metric by its encoder, and the `/metrics` of a station that worked.
//! The checks themselves are tests/web/grafana.test.mjs.

use std::sync::Arc;

use gateway::grid::{Cell, Device, Registry, Rows};
use gateway::metrics::METRICS;
use gateway::model::*;
use gateway::units::{Now, Steady, Timestamp};
use gateway::wire::line::{Encoder, Lines};
use serde_json::json;
use tests::databases::{http, influxdb1, victoria_metrics};
use tests::neighbours::eventually;
use tests::site::{Site, Station, TOKEN};

use super::web::run;

/// 2026-11-23T03:00:00Z.
const AT: i64 = 1_795_402_800_000;

/// One device of each kind, in one cell.
fn registry() -> Arc<Registry> {
    let device = |(ix, kind): (usize, DeviceKind)| Device {
        ix: DeviceIx(u32::try_from(ix).expect("few kinds")),
        id: format!("D-{}", kind.name()),
        kind,
        name: kind.name().into(),
        address: format!("native:{ix}"),
        cells: ["一格".into()].into(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    };
    let cell = Cell {
        ix: CellIx(0),
        code: "一格".into(),
        name: "一格".into(),
        scheme: "admin".into(),
        parent: None,
        kind: "residential".into(),
        polygons: Vec::new(),
        retired: false,
    };
    let devices = DeviceKind::ALL.into_iter().enumerate().map(device).collect();
    Registry::build(Rows { version: 1, cells: vec![cell], devices, ..Rows::default() })
}

/// All that can be in a point: three reports of each device with every metric, one of them uncertain and late, one out of range.
fn lines() -> Vec<u8> {
    let qualities = [Quality::Good, Quality::Uncertain, Quality::Bad];
    let report = |kind: usize, number: usize| Report {
        device: DeviceIx(u32::try_from(kind).expect("few kinds")),
        received: Timestamp(AT + 20_000 * number as i64),
        device_time: None,
        freshness: if number == 1 { Freshness::Backfill } else { Freshness::Live },
        values: Metric::all()
            .map(|metric| Value {
                metric,
                value: if metric.spec().flag { 1.0 } else { 12.0 },
                quality: qualities[number],
            })
            .collect(),
    };
    let events = (0..DeviceKind::ALL.len())
        .flat_map(|kind| (0..qualities.len()).map(move |number| report(kind, number)))
        .map(Event::Report)
        .collect();
    let batch = Batch { seq: 1, now: Now { wall: Timestamp(AT), steady: Steady(1) }, events };
    let mut lines = Lines::default();
    assert!(Encoder::new("test-1", true).encode(&registry(), &batch, &mut lines).is_empty());
    lines.into_parts().0
}

async fn page(station: &Station) -> String {
    let asked = station.client.get(format!("{}/metrics", station.http)).bearer_auth(TOKEN);
    asked.send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dashboards_ask_for_what_the_gateway_writes() {
    let (influx, victoria) = (influxdb1().await.unwrap(), victoria_metrics().await.unwrap());
    let write = format!("http://127.0.0.1:{}/write?db=gridwarden&precision=ms", influx.port);
    let written = http().unwrap().post(write).body(lines()).send().await.unwrap();
    assert_eq!(written.status(), 204, "{}", written.text().await.unwrap());

    let site = Site::new("");
    let station = site.start().await;
    let before = page(&station).await;
    let fire = json!({ "cell": "S1-C1-G1", "class": "fire", "text": "居民来电" });
    let (status, alarm) = station.post("/api/v1/alarms", &fire).await;
    assert_eq!(status, 201, "{alarm}");
    let path = |deed: &str| format!("/api/v1/alarms/{}/{deed}", alarm["id"].as_str().unwrap());
    assert_eq!(station.post(&path("acknowledge"), &json!({})).await.0, 200);
    assert_eq!(station.post(&path("on_site"), &json!({})).await.0, 200);
    assert_eq!(station.post(&path("resolve"), &json!({ "disposition": "test" })).await.0, 200);
    let after = eventually("the resolved alarm on /metrics", 10, || async {
        let page = page(&station).await;
        page.contains("gridwarden_alarm_resolved_seconds_count").then_some(page)
    })
    .await;

    let file = |name: &str, text: serde_json::Value| {
        site.write(name, &text.to_string());
        site.file(name).display().to_string()
    };
    let list: Vec<_> =
        METRICS.iter().map(|(name, kind, labels, _)| json!([name, format!("{kind:?}"), labels])).collect();
    let more = [
        ("INFLUX", format!("http://127.0.0.1:{}", influx.port)),
        ("VICTORIA", format!("http://127.0.0.1:{}", victoria.port)),
        ("AT", AT.to_string()),
        ("METRICS", file("pages.json", json!([before, after]))),
        ("METRIC_LIST", file("list.json", json!(list))),
    ];
    let script = ["--test", "--test-reporter=spec", "grafana.test.mjs"];
    println!("{}", run(&station.http, TOKEN, &script, &more).await);
    station.stop().await;
}
