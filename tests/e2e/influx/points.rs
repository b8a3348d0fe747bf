//! Real databases read our lines as we meant them.

use std::collections::BTreeMap;

use gateway::wire::line::{Encoder, Lines};
use tests::databases::{Series, exported, http, influxdb1, query, victoria_metrics};
use tests::neighbours::eventually;

use super::*;

const GOOD: Quality = Quality::Good;

/// Numbers that devices send.
const USUAL: [f64; 8] = [0.0, -0.5, 21.25, 0.001, 4_095.875, -40.0, 101.3, 99.99];
/// Numbers that need every bit. VictoriaMetrics keeps values that lie together in one decimal scale, so it rounds these.
const EDGES: [f64; 8] = [0.0, -0.5, 5e-324, 1e-7, 123_456_789.125, f64::MAX, 1e15, 0.1 + 0.2];

/// Forty reports of every device, with flags, these numbers, and bad ones.
fn reports(numbers: [f64; 8]) -> Vec<Report> {
    let report = |n: usize| {
        let number = numbers[n % numbers.len()];
        report(
            n % NAMES.len(),
            n as i64 * 1_000 + 7,
            &[
                (Metric::SMOKE, f64::from(u8::from(n.is_multiple_of(3))), GOOD),
                (Metric::TEMPERATURE, number, GOOD),
                (Metric::PRESSURE, number + 1.0, if n.is_multiple_of(4) { Quality::Bad } else { GOOD }),
            ],
        )
    };
    (0..200).map(report).collect()
}

/// What a tag reads back as: a backslash is the one character we replace.
fn as_tag(text: &str) -> String {
    text.replace('\\', "_")
}

/// (device, measurement_field, time) → value
type Points = BTreeMap<(String, String, i64), f64>;

/// Says what differs, not all that there is.
fn same(points: &Points, expected: &Points) {
    let only = |a: &Points, b: &Points| -> Vec<String> {
        a.iter()
            .filter(|&(key, value)| b.get(key) != Some(value))
            .map(|pair| format!("{pair:?}"))
            .take(5)
            .collect()
    };
    let (extra, missing) = (only(points, expected), only(expected, points));
    assert!(extra.is_empty() && missing.is_empty(), "read back: {extra:#?}\nwritten: {missing:#?}");
    assert!(!points.is_empty());
}

fn expected(reports: &[Report]) -> Points {
    let registry = registry();
    let mut points = BTreeMap::new();
    for report in reports {
        let device = registry.device(report.device).unwrap();
        for value in &report.values {
            let bad = if value.quality == Quality::Bad { "_bad" } else { "" };
            let name = format!("{}_{}{bad}", device.kind.name(), value.metric.name());
            points.insert((as_tag(&device.id), name, report.time().0), value.value);
        }
    }
    points
}

fn lines(reports: Vec<Report>) -> Lines {
    let mut lines = Lines::default();
    let unknown = Encoder::new("xl", false).encode(&registry(), &batch(1, reports), &mut lines);
    assert!(unknown.is_empty());
    lines
}

fn read_back(series: &[Series]) -> Points {
    let mut points = BTreeMap::new();
    for series in series {
        for (&time, &value) in series.timestamps.iter().zip(&series.values) {
            let key = (series.label("device").to_owned(), series.name().to_owned(), time);
            assert_eq!(points.insert(key, value), None, "twice: {series:?}");
        }
    }
    points
}

#[tokio::test]
async fn victoria_metrics_gives_back_every_value() {
    for (sender, gzip) in [("ours", true), ("ours", false), ("theirs", true), ("theirs", false)] {
        let victoria = victoria_metrics().await.unwrap();
        let settings = Settings { gzip, ..settings(victoria.port) };
        let reports = reports(USUAL);
        let expected = expected(&reports);
        let body: bytes::Bytes = lines(reports).into_parts().0.into();
        let verdict = match sender {
            "ours" => Sender::new(&settings).unwrap().write(body).await,
            _ => CrateSender::new(&settings).unwrap().write(body).await,
        };
        assert_eq!(verdict, Verdict::Stored, "{sender}, gzip {gzip}");

        let all = eventually("all values exported", 20, async || {
            let series = exported(victoria.port).await.unwrap();
            let count: usize = series.iter().map(|series| series.values.len()).sum();
            (count >= expected.len()).then_some(series)
        })
        .await;
        same(&read_back(&all), &expected);
        for series in &all {
            assert_eq!(series.label("station"), "xl");
            assert_eq!(series.label("cell"), "XL/3栋,2单元 = \"东\"");
            assert_eq!(series.label("cell_service"), "百户7");
        }
    }
}

#[tokio::test]
async fn influxdb_1_accepts_the_lines_and_knows_flags_from_numbers() {
    let influx = influxdb1().await.unwrap();
    let mut reports = reports(EDGES);
    reports[1].freshness = Freshness::Backfill;
    reports[2].values[0].quality = Quality::Uncertain;
    let expected = expected(&reports);
    let body = lines(reports).into_parts().0;
    let write = format!("http://127.0.0.1:{}/write?db=gridwarden&precision=ms", influx.port);
    for _ in 0..2 {
        let answer = http().unwrap().post(&write).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap()); // The second time changes nothing.
    }

    let mut points = BTreeMap::new();
    let mut texts = Vec::new();
    for kind in ["smoke_detector", "hydrant", "access_camera"] {
        let answer = query(influx.port, &format!("SELECT * FROM {kind}")).await.unwrap();
        let series = &answer["results"][0]["series"][0];
        let columns: Vec<_> =
            series["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        for row in series["values"].as_array().unwrap() {
            let row: BTreeMap<_, _> = columns.iter().copied().zip(row.as_array().unwrap()).collect();
            assert_eq!(row["cell"], "XL/3栋,2单元 = \"东\"");
            assert_eq!(row["station"], "xl");
            assert_eq!(row["cell_service"], "百户7");
            for (&column, &value) in &row {
                let key = (
                    row["device"].as_str().unwrap().to_owned(),
                    format!("{kind}_{column}"),
                    row["time"].as_i64().unwrap(),
                );
                match (column, value) {
                    ("time" | "device" | "cell" | "station" | "cell_service", _)
                    | (_, serde_json::Value::Null) => (),
                    ("quality" | "freshness", text) => {
                        texts.push((key.2 - START, text.as_str().unwrap().to_owned()))
                    }
                    ("smoke", flag) => {
                        points.insert(key, f64::from(u8::from(flag.as_bool().expect("a boolean"))));
                    }
                    (_, number) => {
                        points.insert(key, number.as_f64().expect("a float"));
                    }
                }
            }
        }
    }
    same(&points, &expected);
    texts.sort();
    assert_eq!(texts, [(1_007, "backfill".to_owned()), (2_007, "uncertain".to_owned())]);
}

/// What a real InfluxDB 1 says to bad lines is what the table of answers expects: the rest is stored.
#[tokio::test]
async fn influxdb_1_keeps_the_rest_of_a_bad_request() {
    let influx = influxdb1().await.unwrap();
    let front = super::journal::v2_in_front_of(influx.port).await;
    let [ours, theirs] = by_both(
        &settings(front.port),
        b"hydrant,device=a pressure=1 1\nhydrant,device=b pressure= 2\nhydrant,device=c pressure=3 3\n",
    )
    .await;
    for verdict in [ours, theirs] {
        let Verdict::Partial(refusal) = verdict else { panic!("{verdict:?}") };
        assert_eq!(refusal.quoted, ["hydrant,device=b pressure= 2"]);
    }
    let [ours, _] =
        by_both(&settings(front.port), b"hydrant,device=d pressure=true 4\nhydrant,device=e pressure=5 5\n")
            .await;
    let Verdict::Partial(refusal) = ours else { panic!("{ours:?}") };
    assert_eq!(refusal.dropped, Some(1));
    let conflict = gateway::io::influx::verdict::Cause::FieldType {
        measurement: "hydrant".into(),
        field: "pressure".into(),
    };
    assert_eq!(refusal.cause, conflict);
    let answer = query(influx.port, "SELECT pressure FROM hydrant").await.unwrap();
    let rows = answer["results"][0]["series"][0]["values"].as_array().unwrap().len();
    assert_eq!(rows, 3);
}
