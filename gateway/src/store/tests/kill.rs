//! kill -9 while committing: what was answered is there, whole, and the store goes on.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const FOLDER: &str = "GRIDWARDEN_TEST_KILL_FOLDER";

fn everything(seq: u64) -> Commit {
    let effects = vec![raised(seq, SignalClass::Fire), Effect::Tell(alert(seq, SignalClass::Fire, 1))];
    Commit { effects, snapshot: seq.is_multiple_of(5).then(|| vec![1; 99]), ..commit(seq) }
}

/// Not a test of its own: the process that gets killed. It says which batches were answered. Without a folder it does nothing.
#[tokio::test]
async fn victim() {
    let Ok(path) = std::env::var(FOLDER) else { return };
    let (store, recovered) = Store::open(Path::new(&path), LIMITS).unwrap();
    for seq in recovered.last.map_or(0, |(seq, _)| seq) + 1.. {
        store.commit(&everything(seq)).await.unwrap();
        println!("\nanswered {seq}");
        if seq.is_multiple_of(7) {
            store.seal().await.unwrap();
        }
    }
}

#[tokio::test]
async fn killed_at_any_moment_nothing_answered_is_lost() {
    let place = Place::new();
    let mut answered = 0;
    for round in 1..=6u64 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::kill::victim", "--nocapture"])
            .env(FOLDER, place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut told =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("answered ")?.parse().ok());
        let goal = answered + round * 13;
        answered = told.find(|&seq: &u64| seq >= goal).expect("the victim commits");
        victim.kill().unwrap();
        answered = told.last().unwrap_or(answered); // What it said before it died.
        victim.wait().unwrap();

        let (store, recovered) = place.recover(LIMITS);
        let (last, _) = recovered.last.expect("there are batches");
        assert!(last >= answered, "batch {answered} was answered, {last} is there");
        let batches = store.batches_after(0, usize::MAX).await.unwrap();
        assert_eq!(batches, (1..=last).map(batch).collect::<Vec<_>>());
        // Batch, alarm and alert are there together or not at all.
        assert_eq!(store.due("hook", Steady(0), 10_000).await.unwrap().rows.len() as u64, last);
        assert_eq!(store.alarm(AlarmId(last + 1)).await.unwrap(), None);
        let mut points = 0;
        for device in 0..7 {
            let ends = (Timestamp(0), Timestamp(i64::MAX));
            points += store
                .series(DeviceIx(device), Metric::TEMPERATURE, ends.0, ends.1, 1_000_000)
                .await
                .unwrap()
                .len();
        }
        assert_eq!(points as u64, last);
    }
}
