//! How fast: encoding alone, and draining a backlog beside posting the same lines from a file with the same client. Measurements, not
//! tests: `cargo test --release -p tests --test e2e influx::speed -- --ignored --nocapture`.

use std::io::{BufRead, BufReader, Write};

use gateway::clock::instant;
use gateway::wire::line::{Encoder, Lines};
use tests::databases::victoria_metrics;

use super::journal::{Station, start_with};
use super::*;

const GOOD: Quality = Quality::Good;

fn smoke_batch(seq: u64, reports: usize) -> Batch {
    let report = |n: usize| {
        let number = (seq as usize * 31 + n) as f64;
        report(
            n % NAMES.len(),
            seq as i64 * 10_000 + n as i64,
            &[
                (Metric::SMOKE, 0.0, GOOD),
                (Metric::TEMPERATURE, 20.0 + number % 100.0 / 10.0, GOOD),
                (Metric::BATTERY, 87.0, GOOD),
                (Metric::RSSI, -60.0 - number % 40.0, GOOD),
            ],
        )
    };
    batch(seq, (0..reports).map(report).collect())
}

#[test]
#[ignore = "a measurement"]
fn encoding() {
    let batches: Vec<_> = (1..=200).map(|seq| smoke_batch(seq, 1_000)).collect();
    for round in 0..3 {
        let mut encoder = Encoder::new("xl", false);
        let (mut lines, mut count, mut bytes) = (Lines::default(), 0, 0);
        let since = instant();
        for batch in &batches {
            lines.clear();
            encoder.encode(&registry(), batch, &mut lines);
            count += lines.len();
            bytes += lines.bytes().len();
        }
        let rate = count as f64 / since.elapsed().as_secs_f64();
        println!("encoding, round {round}: {rate:.0} lines/s of {} bytes and 4 values", bytes / count);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn draining() {
    const BATCHES: usize = 500;
    let mut station = Station::new();
    for seq in 1..=BATCHES as u64 {
        station.put(smoke_batch(seq, 1_000)).await;
    }
    let lines = station.lines();
    let mut file = tempfile::tempfile().unwrap();
    for line in &lines {
        writeln!(file, "{line}").unwrap();
    }
    for round in 0..2 {
        let victoria = victoria_metrics().await.unwrap();
        let settings = settings(victoria.port);
        std::io::Seek::rewind(&mut file).unwrap();
        let sender = Sender::new(&settings).unwrap();
        let since = instant();
        let mut reader = BufReader::new(&file);
        loop {
            let mut chunk = Vec::new();
            for _ in 0..settings.batch_lines {
                reader.read_until(b'\n', &mut chunk).unwrap();
            }
            if chunk.is_empty() {
                break;
            }
            assert_eq!(sender.write(chunk.into()).await, Verdict::Stored);
        }
        let posted = since.elapsed().as_secs_f64();
        println!("from a file, round {round}: {:.0} lines/s", lines.len() as f64 / posted);

        let victoria = victoria_metrics().await.unwrap();
        let settings =
            Settings { url: format!("http://127.0.0.1:{}", victoria.port).parse().unwrap(), ..settings };
        let fresh = station.copy().await;
        let since = instant();
        let running = start_with(&fresh, Sender::new(&settings).unwrap(), settings);
        fresh.cursor_reaches(BATCHES as u64).await;
        let drained = since.elapsed().as_secs_f64();
        println!("from the journal, round {round}: {:.0} lines/s", lines.len() as f64 / drained);
        running.stop().await;
    }
}
