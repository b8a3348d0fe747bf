//! The command line of the simulator.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};
use firmware_sim::mqtt::Broker;
use firmware_sim::{Options, neighbourhood, phone, scenario};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
#[command(
    about = "Simulated neighbourhood devices for Gridwarden: smoke detectors, hydrants, access cameras"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the devices of a neighbourhood until interrupted.
    Run(Box<Run>),
    /// Be a grid worker's phone: show the alerts that a station's webhook sends.
    Phone(phone::PhoneArgs),
    /// List the scenarios that come with the simulator.
    Scenarios,
}

#[derive(clap::Args)]
struct Run {
    /// Devices as CSV, the file the gateway imports.
    #[arg(long, value_name = "FILE")]
    neighbourhood: PathBuf,
    /// Broker or gateway to publish to; leave out for no MQTT.
    #[arg(long, value_name = "HOST:PORT")]
    mqtt: Option<String>,
    #[arg(long, requires = "mqtt", requires = "password_env")]
    user: Option<String>,
    /// Name of the environment variable that holds the password.
    #[arg(long, value_name = "NAME", requires = "user")]
    password_env: Option<String>,
    /// What happens: a name from `firmware-sim scenarios` or a TOML file; may be given several times.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// The same seed gives the same days.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times faster than the world.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Most MQTT connections of native devices; more devices share connections and then have no last will.
    #[arg(long, default_value_t = 500, value_name = "COUNT")]
    connections: usize,
    /// Serve the hydrants as Modbus TCP here; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    modbus_bind: Option<SocketAddr>,
    /// Serve the hydrants as Modbus RTU on this serial port or pseudo-terminal.
    #[arg(long, value_name = "DEVICE")]
    modbus_rtu: Option<PathBuf>,
    #[arg(long, default_value_t = 9_600)]
    baud: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match obey(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("firmware-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(run) => run_until_interrupted(*run).await,
        Command::Phone(arguments) => {
            let stop = CancellationToken::new();
            tokio::select! {
                ended = phone::run(arguments, stop.clone()) => ended,
                signal = interruption() => signal,
            }
        }
        Command::Scenarios => {
            for scenario in scenario::built_in()? {
                println!("{:20} {}", scenario.name, scenario.about);
            }
            Ok(())
        }
    }
}

async fn run_until_interrupted(run: Run) -> anyhow::Result<()> {
    let file = &run.neighbourhood;
    let csv = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rows = neighbourhood::read(&csv).with_context(|| format!("in {}", file.display()))?;
    let modbus_tcp = match run.modbus_bind {
        Some(bind) => {
            Some(TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind}"))?)
        }
        None => None,
    };
    let options = Options {
        broker: run.broker()?,
        scenarios: run.scenario.iter().map(|name| scenario::find(name)).collect::<Result<_, _>>()?,
        seed: run.seed,
        speed: run.speed,
        connections_max: run.connections,
        modbus_tcp,
        modbus_rtu: run.modbus_rtu.map(|port| (port, run.baud)),
        say: Arc::new(|sentence| {
            #[expect(clippy::disallowed_methods, reason = "a stamp for whoever reads along")]
            let now = jiff::Zoned::now();
            println!("{} {sentence}", now.strftime("%H:%M:%S"));
        }),
        ..Options::new(rows)
    };
    let say = options.say.clone();
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    let running = firmware_sim::run(options, stop);
    tokio::pin!(running);
    let summary = tokio::select! {
        ended = &mut running => ended?,
        signal = interruption() => {
            signal?;
            interrupted.cancel();
            running.await?
        }
    };
    say(&format!(
        "{} messages sent, {} acknowledged, {} lost",
        summary.sent, summary.acknowledged, summary.lost
    ));
    Ok(())
}

/// Ctrl-C or SIGTERM.
async fn interruption() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => Ok(pressed?),
        _ = terminate.recv() => Ok(()),
    }
}

impl Run {
    fn broker(&self) -> anyhow::Result<Option<Broker>> {
        let Some(address) = &self.mqtt else { return Ok(None) };
        let (host, port) = address.rsplit_once(':').context("--mqtt must be HOST:PORT")?;
        let port = port.parse().with_context(|| format!("`{port}` in --mqtt is not a port"))?;
        let credentials = match (&self.user, &self.password_env) {
            (Some(user), Some(name)) => {
                let password = std::env::var(name)
                    .with_context(|| format!("the environment variable {name} is not set"))?;
                Some((user.clone(), password))
            }
            (Some(_) | None, _) => None,
        };
        Ok(Some(Broker { host: host.trim_matches(['[', ']']).to_owned(), port, credentials }))
    }
}
