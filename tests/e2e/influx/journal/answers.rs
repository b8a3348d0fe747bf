//! What a server may answer to a write: some of it costs a line, some a smaller request, and most only time.

use super::*;

#[tokio::test]
async fn a_malformed_line_becomes_a_dead_letter_and_the_rest_goes_on() {
    let mut station = Station::new();
    station.commit(64).await;
    let bad = station.lines()[37].clone();
    let culprit = bad.clone();
    let (influx, stored) = server(0, move |lines| match lines.contains(&culprit) {
        true => Reply::json(
            400,
            r#"{"code":"invalid","message":"unable to parse 'something else': bad timestamp"}"#,
        ),
        false => Reply::status(204),
    })
    .await;
    let running = start(&station, Settings { batch_lines: 64, ..small(influx.port) });
    station.cursor_reaches(1).await;
    let mut expected = station.lines();
    expected.remove(37);
    assert_eq!(stored(), expected);
    let letters = station.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(String::from_utf8_lossy(&letters[0].payload).trim_end(), bad);
    assert_eq!((letters[0].source.as_str(), letters[0].address.as_str()), ("influx", "journal 1 to 1"));
    assert!(letters[0].reason.contains("bad timestamp"), "{}", letters[0].reason);
    let requests = written(&influx.asked()).len();
    assert!(requests <= 2 * 6 + 1, "halving 64 lines takes at most 13 requests, not {requests}");
    assert_eq!(running.status.snapshot().lines_given_up, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_partial_write_is_not_sent_again() {
    let mut station = Station::new();
    station.commit(30).await;
    let conflict = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict: input field \"temperature\" on measurement \"hydrant\" is type float, already exists as type integer dropped=12"}"#;
    let influx = Standin::start(0, move |asked: Asked| {
        let write = asked.uri.path() == "/api/v2/write" && !asked.body.is_empty();
        std::future::ready(if write { Reply::json(422, conflict) } else { Reply::status(404) })
    })
    .await
    .unwrap();
    let running = start(&station, small(influx.port));
    station.cursor_reaches(1).await;
    assert_eq!(written(&influx.asked()).len(), 1);
    let letters = station.dead_letters().await;
    assert_eq!(letters.len(), 1);
    let payload = String::from_utf8_lossy(&letters[0].payload).into_owned();
    let hydrants: Vec<_> = station.lines().into_iter().filter(|line| line.starts_with("hydrant,")).collect();
    assert_eq!(payload.lines().collect::<Vec<_>>(), hydrants);
    assert_eq!(hydrants.len(), 12);
    let now = running.status.snapshot();
    assert_eq!((now.lines_stored, now.lines_given_up), (18, 12));
    running.stop().await;
}

#[tokio::test]
async fn too_large_is_halved_until_it_fits_and_stays_smaller() {
    let mut station = Station::new();
    station.commit(1_200).await;
    let (influx, stored) = server(0, |lines| {
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        Reply::status(if bytes > 40_000 { 413 } else { 204 })
    })
    .await;
    let running = start(&station, Settings { batch_lines: 1_200, ..small(influx.port) });
    station.cursor_reaches(1).await;
    assert_eq!(stored(), station.lines());
    let refused = |influx: &Standin| {
        written(&influx.asked())
            .iter()
            .filter(|lines| lines.iter().map(|l| l.len() + 1).sum::<usize>() > 40_000)
            .count()
    };
    let before = refused(&influx);
    assert!(before > 0);
    station.commit(1_200).await;
    station.cursor_reaches(2).await;
    assert_eq!(stored(), station.lines());
    assert_eq!(refused(&influx), before, "the limit is remembered");
    assert!(station.dead_letters().await.is_empty());
    running.stop().await;
}

/// Each of these keeps everything, waits, and goes on by itself.
#[tokio::test]
async fn answers_that_only_cost_time() {
    let table: Vec<(Reply, State, &str)> = vec![
        (
            Reply::json(401, r#"{"code":"unauthorized","message":"unauthorized access"}"#),
            State::Held,
            "influx.token",
        ),
        (Reply::status(403), State::Held, "write permission"),
        (
            Reply::json(404, r#"{"code":"not found","message":"bucket \"gridwarden\" not found"}"#),
            State::Held,
            "influx.bucket",
        ),
        (Reply::status(404).body("404 page not found"), State::Held, "influx.url"),
        (Reply::status(301).header("location", "https://elsewhere/"), State::Held, "https://elsewhere/"),
        (
            Reply::json(400, r#"{"code":"invalid","message":"bucket is required"}"#),
            State::Held,
            "refuses every line",
        ),
        (Reply::status(429).header("retry-after", "1"), State::Waiting, "429"),
        (Reply::status(503).header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), State::Waiting, "503"),
        (Reply::status(500), State::Waiting, "500"),
        (Reply::status(502).body("<html>Bad Gateway</html>"), State::Waiting, "502"),
        (Reply::status(504), State::Waiting, "504"),
        (
            Reply::status(200).header("content-type", "text/html").body("<html>Log in</html>"),
            State::Waiting,
            "login page",
        ),
    ];
    for (reply, state, says) in table {
        let mut station = Station::new();
        station.commit(20).await;
        let refusing = Arc::new(AtomicUsize::new(1));
        let (switch, bad) = (refusing.clone(), reply.clone());
        let (influx, stored) = server(0, move |_| match switch.load(Ordering::SeqCst) {
            1 => bad.clone(),
            _ => Reply::status(204),
        })
        .await;
        let running = start(&station, small(influx.port));
        running.is(state).await;
        eventually("it tries again", 20, async || (written(&influx.asked()).len() >= 2).then_some(())).await;
        assert_eq!(station.cursor().await, 0, "{reply:?}");
        let error = running.status.snapshot().error.unwrap_or_default();
        assert!(error.contains(says), "{reply:?}: {error}");
        refusing.store(0, Ordering::SeqCst);
        station.cursor_reaches(1).await;
        running.is(State::Flowing).await;
        let lines: Vec<_> =
            stored().into_iter().filter(|line| !line.starts_with("gridwarden_write_probe")).collect();
        assert_eq!(lines, station.lines(), "{reply:?}");
        assert!(station.dead_letters().await.is_empty(), "{reply:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let mut station = Station::new();
    station.commit(1).await;
    let first = Arc::new(AtomicUsize::new(0));
    let (influx, _) = server(0, move |_| match first.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status(503).header("retry-after", "1"),
        _ => Reply::status(204),
    })
    .await;
    let running = start(&station, small(influx.port));
    running.is(State::Waiting).await;
    let since = gateway::clock::instant();
    running.is(State::Flowing).await;
    assert!(since.elapsed() > Duration::from_millis(800), "back after {:?}", since.elapsed());
    running.stop().await;
}

#[tokio::test]
async fn a_missing_bucket_is_made_while_readings_wait() {
    let mut station = Station::new();
    station.commit(5).await;
    let influx = set_up::influxdb2(set_up::ALL, &[]).await;
    let running = start(&station, Settings { create_bucket: true, retention_days: 7, ..small(influx.port) });
    station.cursor_reaches(1).await;
    assert_eq!(written(&influx.asked()).concat(), station.lines());
    running.stop().await;
}

/// A real InfluxDB 1 refuses one line in the middle: the rest is there, the line is a dead letter.
#[tokio::test]
async fn a_type_conflict_at_a_real_server_ends_in_the_dead_letters() {
    let influx1 = tests::databases::influxdb1().await.unwrap();
    let front = v2_in_front_of(influx1.port).await;
    let clash = format!("hydrant,device=x temperature=\"warm\" {}\n", START + 1_000);
    let [made, _] = by_both(&settings(front.port), clash.leak().as_bytes()).await;
    assert_eq!(made, Verdict::Stored);
    let mut station = Station::new();
    station.commit(20).await;
    let running = start(&station, small(front.port));
    station.cursor_reaches(1).await;
    let letters = station.dead_letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let payload = String::from_utf8_lossy(&letters[0].payload).into_owned();
    let hydrants: Vec<_> = station.lines().into_iter().filter(|line| line.starts_with("hydrant,")).collect();
    assert_eq!(payload.lines().collect::<Vec<_>>(), hydrants);
    let answer =
        tests::databases::query(influx1.port, "SELECT count(temperature) FROM smoke_detector").await.unwrap();
    let others = station.lines().iter().filter(|line| line.starts_with("smoke_detector,")).count();
    assert_eq!(answer["results"][0]["series"][0]["values"][0][1], others);
    running.stop().await;
}
