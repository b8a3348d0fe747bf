//! Medians with their spread, and how two things are compared: in turn, so that a busy moment of the machine meets both.

use std::fmt::Write as _;
use std::time::Duration;

use gateway::clock::instant;

/// Runs of everything that is compared.
pub const RUNS: usize = 5;

#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        Self { median: runs[runs.len() / 2], min: runs[0], max: runs[runs.len() - 1] }
    }
}

/// One section of the document.
pub struct Section {
    pub title: &'static str,
    /// How it was measured.
    pub method: String,
    rows: Vec<String>,
}

impl Section {
    pub fn new(title: &'static str, method: impl Into<String>) -> Self {
        Self { title, method: method.into(), rows: Vec::new() }
    }

    /// `remark` holds the ratio to the baseline and the goal.
    pub fn row(&mut self, what: &str, unit: &str, spread: Spread, remark: impl AsRef<str>) {
        self.rows.push(format!(
            "| {what} | {} {unit} | {} – {} | {} |",
            number(spread.median),
            number(spread.min),
            number(spread.max),
            remark.as_ref()
        ));
    }

    /// What could not be measured, and why not.
    pub fn absent(&mut self, what: &str, why: &str) {
        self.rows.push(format!("| {what} | – | – | {why} |"));
    }

    pub fn table(&self) -> String {
        let mut text = "| what | median | lowest – highest | ratio, goal |\n|---|---|---|---|\n".to_owned();
        for row in &self.rows {
            writeln!(text, "{row}").expect("memory");
        }
        text
    }
}

/// Three significant digits, thousands apart.
pub fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let digits = if value.abs() < 1.0 {
            3
        } else if value.abs() < 10.0 {
            2
        } else {
            1
        };
        return format!("{value:.digits$}");
    }
    let plain = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `ours / theirs` of the medians.
pub fn ratio(ours: Spread, theirs: Spread) -> String {
    format!("{:.2}", ours.median / theirs.median)
}

/// Measures each in turn, [`RUNS`] times; the order of the results is that of `works`.
pub fn in_turn<const N: usize>(mut works: [&mut dyn FnMut() -> f64; N]) -> [Spread; N] {
    let mut runs: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..RUNS {
        for (work, runs) in works.iter_mut().zip(&mut runs) {
            runs.push(work());
        }
    }
    runs.map(Spread::of)
}

/// Nanoseconds per item of `work`, which does `items` at once and is repeated for a tenth of a second.
pub fn ns_per(items: usize, work: &mut dyn FnMut()) -> f64 {
    let started = instant();
    let mut rounds = 0;
    while rounds == 0 || started.elapsed() < Duration::from_millis(100) {
        work();
        rounds += 1;
    }
    started.elapsed().as_nanos() as f64 / (rounds * items) as f64
}

/// The value below which this part of `sorted` lies.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}
