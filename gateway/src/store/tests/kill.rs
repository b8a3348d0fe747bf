//! kill -9 while committing: what was answered is there, whole, and the store goes on.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

const FOLDER: &str = "GRIDWARDEN_TEST_KILL_FOLDER";

fn everything(seq: u64) -> Commit {
    let effects = vec![raised(seq, SignalClass::Fire), Effect::Tell(alert(seq, SignalClass::Fire, 1))];
    Commit { effects, snapshot: seq.is_multiple_of(5).then(|| vec![1; 99]), ..commit(seq) }
}

/// Every batch is sealed by itself, and two runs are merged as soon as there are two of a level: the victim spends most of its life so.
const SEALING: &str = "GRIDWARDEN_TEST_KILL_SEALING";

/// Not a test of its own: the process that gets killed. It says which batches were answered, and where it seals. Without a folder it does nothing.
#[tokio::test]
async fn victim() {
    let Ok(path) = std::env::var(FOLDER) else { return };
    let every = if std::env::var_os(SEALING).is_some() { 1 } else { 7 };
    let (store, recovered) = Store::open(Path::new(&path), LIMITS).unwrap();
    store.merge_two_at_a_time();
    for seq in recovered.last.map_or(0, |(seq, _)| seq) + 1.. {
        store.commit(&everything(seq)).await.unwrap();
        println!("\nanswered {seq}");
        if seq.is_multiple_of(every) {
            println!("\nsealing {seq}");
            store.seal().await.unwrap();
            println!("\nmerging {seq}");
            store.merge().await.unwrap();
            println!("\nsealed {seq}");
        }
    }
}

/// What the victim says, line by line.
struct Victim {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Victim {
    fn start(place: &Place, sealing: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "store::tests::kill::victim", "--nocapture"]).env(FOLDER, place.path());
        if sealing {
            command.env(SEALING, "1");
        }
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The number behind the next line that begins so and has at least this number.
    fn says(&mut self, what: &str, goal: u64) -> u64 {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines.find_map(|line| number(&line, what).filter(|&seq| goal <= seq)).expect("the victim goes on")
    }

    /// kill -9; all that it said before it died.
    fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        let last = self.lines.map_while(Result::ok).collect();
        self.process.wait().unwrap();
        last
    }
}

fn number(line: &str, what: &str) -> Option<u64> {
    line.strip_prefix(what)?.trim().parse().ok()
}

/// Opens it again: every answered batch is there, whole, with its points. The number of the last.
async fn nothing_is_lost(place: &Place, answered: u64) -> u64 {
    let (store, recovered) = place.recover(LIMITS);
    let (last, _) = recovered.last.expect("there are batches");
    assert!(last >= answered, "batch {answered} was answered, {last} is there");
    let batches = store.batches_after(0, usize::MAX).await.unwrap();
    assert_eq!(batches, (1..=last).map(batch).collect::<Vec<_>>());
    // Batch, alarm and alert are there together or not at all.
    assert_eq!(store.due("hook", Steady(0), 10_000, |_: &str| false).await.unwrap().rows.len() as u64, last);
    assert_eq!(store.alarm(AlarmId(last + 1)).await.unwrap(), None);
    let mut points = 0;
    for device in 0..7 {
        let ends = (Timestamp(0), Timestamp(i64::MAX));
        let series = store.series(DeviceIx(device), Metric::TEMPERATURE, ends.0, ends.1, 1_000_000);
        points += series.await.unwrap().len();
    }
    assert_eq!(points as u64, last, "the history has each point once");
    last
}

#[tokio::test]
async fn killed_at_any_moment_nothing_answered_is_lost() {
    let place = Place::new();
    let mut answered = 0;
    for round in 1..=6u64 {
        let mut victim = Victim::start(&place, false);
        answered = victim.says("answered ", answered + round * 13);
        let last = victim.kill();
        answered = last.iter().filter_map(|line| number(line, "answered ")).next_back().unwrap_or(answered);
        nothing_is_lost(&place, answered).await;
    }
}

/// The kill falls between the blocks of a run and the moment when it counts, or inside of either: the same points are sealed, the same runs merged once more.
#[tokio::test]
async fn killed_while_sealing_or_merging_no_point_is_lost_or_doubled() {
    let place = Place::new();
    let (mut answered, mut sealing, mut merging) = (0, 0, 0);
    for round in 0..24u64 {
        let mut victim = Victim::start(&place, true);
        let begun = victim.says("sealing ", answered + 2);
        std::thread::sleep(std::time::Duration::from_micros(round * 250));
        let last = victim.kill();
        let newest = |what: &str| last.iter().filter_map(|line| number(line, what)).next_back();
        let (begun, ended) = (newest("sealing ").unwrap_or(begun), newest("sealed ").unwrap_or(0));
        if ended < begun {
            let merges = newest("merging ").is_some_and(|merged| merged == begun);
            *(if merges { &mut merging } else { &mut sealing }) += 1;
        }
        answered = nothing_is_lost(&place, newest("answered ").unwrap_or(begun)).await;
    }
    println!("{sealing} of 24 kills fell into a sealing, {merging} into a merging");
    assert!(
        8 <= sealing + merging,
        "only {sealing} and {merging} of 24 kills fell into a sealing or merging"
    );
    assert!(
        1 <= sealing && 1 <= merging,
        "{sealing} of 24 kills fell into a sealing, {merging} into a merging"
    );
}
