//! The long crash torture: `torture-crash [seed] [kills] [--broker]`. Writes its figures to `.run/torture/crash.md` (`crash-broker.md`).

use std::fmt::Write as _;

use anyhow::ensure;
use tests::crash::{Figures, Moment, Plan, quantile, torture};
use tests::neighbours::root;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // Somebody else was first: fine.
    let (options, numbers): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|text| text.starts_with("--"));
    let number = |at: usize, usual: u64| numbers.get(at).map_or(Ok(usual), |text| text.parse());
    let plan = Plan {
        seed: number(0, 1)?,
        kills: u32::try_from(number(1, 200)?)?,
        collectors: 4,
        smoke_detectors: 6,
        broker: options.iter().any(|option| option == "--broker"),
    };
    println!("{plan:?}");
    let figures = torture(&plan).await?;
    let report = report(&plan, &figures);
    println!("{report}");
    let folder = root().join(".run/torture");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(if plan.broker { "crash-broker.md" } else { "crash.md" }), report)?;
    ensure!(figures.faults.is_empty(), "{} faults with seed {}", figures.faults.len(), plan.seed);
    Ok(())
}

fn report(plan: &Plan, figures: &Figures) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "| {name} | {value} |"); // Writing to a string does not fail.
    };
    let between = if plan.broker { "through Mosquitto" } else { "to the listener" };
    row("kill -9, seed", format!("{}, {} ({between})", figures.kills.iter().sum::<u32>(), plan.seed));
    for moment in Moment::ALL {
        row(&format!("… {}", moment.name()), figures.kills[moment as usize].to_string());
    }
    row("readings acknowledged", figures.readings_acknowledged.to_string());
    row(
        "fires, operator actions, alerts",
        format!("{}, {}, {}", figures.episodes, figures.actions, figures.alerts),
    );
    row("lost, doubled or wrong", figures.faults.len().to_string());
    row("readings stored again under the same key", figures.readings_repeated.to_string());
    row("points sent again", figures.points_repeated.to_string());
    row("alerts sent again with the same key", figures.alerts_repeated.to_string());
    row("alerts withdrawn because somebody answered first", figures.withdrawn.to_string());
    let spread = |values: &[f64]| {
        let of = |share| quantile(values, share);
        format!("{:.1} / {:.1} / {:.1} ms ({} times)", of(0.5), of(0.99), of(1.0), values.len())
    };
    row("publish to PUBACK without a kill, p50 / p99 / max", spread(&figures.acknowledged_ms));
    row("start to ready, p50 / p99 / max", spread(&figures.ready_ms));
    row("most memory", format!("{:.1} MiB", figures.peak_rss_kib as f64 / 1024.0));
    for fault in figures.faults.iter().take(50) {
        let _ = writeln!(text, "\n- {fault}");
    }
    text
}
