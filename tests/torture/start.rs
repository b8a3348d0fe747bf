//! How long a start takes with a large store: `torture-start [program] [devices] [open alarms]`. Writes its figures to `.run/torture/start.md`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::ensure;
use serde_json::json;
use tests::crash::{Moment, Victim, quantile};
use tests::neighbours::{free_port, root};
use tests::site::{Site, program};
use tokio::process::Command;

const STARTS: usize = 15;
/// Reports of one message; the decoder takes no more.
const REPORTS: usize = 1_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // Somebody else was first: fine.
    let given: Vec<String> = std::env::args().skip(1).collect();
    let program = given.first().map_or_else(|| program("gridwarden"), PathBuf::from);
    let number = |at: usize, usual: usize| given.get(at).map_or(Ok(usual), |text| text.parse());
    let (devices, alarms) = (number(1, 100_000)?, number(2, 10_000)?);

    let (http, mqtt) = (free_port(), free_port());
    let site = site(devices, http, mqtt);
    let mut victim = Victim::new(site.file("station.toml"), site.file("log"), http).with_program(program);
    victim.start().await?;
    victim.ready_within(300).await?;
    let first = victim.ready_ms.pop().unwrap_or(f64::NAN);
    let empty = starts(&mut victim).await?;
    publish(&site, mqtt, 0..alarms, r#"{"smoke":true}"#).await?;
    let with_alarms = starts(&mut victim).await?;
    publish(&site, mqtt, 0..devices, r#"{"smoke":false,"battery":88,"temperature":21.5}"#).await?;
    let after_readings = starts(&mut victim).await?;
    victim.kill(Moment::UnderLoad).await?;
    ensure!(!victim.panicked(), "the gateway panicked:\n{}", victim.log());

    let mut text = format!("| start with {devices} devices, to ready | p50 / max |\n|---|---|\n");
    let mut row = |what: &str, all: &[f64]| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {what} | {:.0} / {:.0} ms ({} times) |",
            quantile(all, 0.5),
            quantile(all, 1.0),
            all.len()
        );
    };
    row("the first, with the import", &[first]);
    row("after kill -9, no alarms", &empty);
    row(&format!("after kill -9, {alarms} open alarms to replay or restore"), &with_alarms);
    row(&format!("after kill -9, and {devices} reports more"), &after_readings);
    let _ = writeln!(text, "| most memory | {:.1} MiB |", victim.peak_rss_kib as f64 / 1024.0);
    println!("{text}{}", victim.log());
    let folder = root().join(".run/torture");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join("start.md"), text)?)
}

/// Several times killed and started; the times in order of size.
async fn starts(victim: &mut Victim) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        victim.kill(Moment::UnderLoad).await?;
        victim.start().await?;
        victim.ready_within(60).await?;
        times.extend(victim.ready_ms.pop());
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

async fn publish(
    site: &Site,
    port: u16,
    devices: std::ops::Range<usize>,
    values: &str,
) -> anyhow::Result<()> {
    let values: serde_json::Value = serde_json::from_str(values)?;
    let all: Vec<_> = devices.map(|at| json!({ "device": format!("SD-{at}"), "values": values })).collect();
    for reports in all.chunks(REPORTS) {
        site.write("message", &serde_json::to_string(reports)?);
        let status = Command::new("mosquitto_pub")
            .args(["-p", &port.to_string(), "-t", "gridwarden/up", "-q", "1", "-f"])
            .arg(site.file("message"))
            .status()
            .await?;
        ensure!(status.success(), "mosquitto_pub: {status}");
    }
    Ok(())
}

fn site(devices: usize, http: u16, mqtt: u16) -> Site {
    let site = Site::new("");
    site.fix_ports(http, mqtt);
    let mut rows = "id,kind,name,address,cell,place,lon,lat,silent_after_s\n".to_owned();
    for at in 0..devices {
        let cell = 1 + at % 2;
        rows.push_str(&format!(
            "SD-{at},smoke_detector,烟感,,S1-C1-G{cell},{}栋{at}室,118.905,32.11,\n",
            at / 100
        ));
    }
    site.write("devices.csv", &rows);
    site
}
