//! The command line of the simulator.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use firmware_sim::load::{self, Load, Says};
use firmware_sim::mqtt::Broker;
use firmware_sim::transmitter::{Carrier, Component, Transmitter};
use firmware_sim::{Options, neighbourhood, phone, scenario, transmitter};
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
    /// Send as many messages as a city does, at a rate, and measure how long each waits for its acknowledgement.
    Load(LoadArgs),
    /// Be the transmission device of a fire panel (GB/T 26875.3) until interrupted.
    Transmitter(TransmitterArgs),
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

#[derive(clap::Args)]
struct TransmitterArgs {
    /// The centre, over TCP.
    #[arg(long, value_name = "ADDRESS:PORT", required_unless_present = "udp", conflicts_with = "udp")]
    tcp: Option<SocketAddr>,
    /// The centre, over UDP.
    #[arg(long, value_name = "ADDRESS:PORT")]
    udp: Option<SocketAddr>,
    #[arg(long, default_value_t = 889)]
    address: u64,
    /// The centre's own address.
    #[arg(long, default_value_t = 88_888)]
    centre: u64,
    /// A smoke detector that burns, as <system type>.<system>/<zone>.<point>
    #[arg(long, value_name = "PLACE", value_parser = Component::smoke_detector)]
    fire: Option<Component>,
    #[arg(long, default_value_t = 25, value_name = "SECONDS")]
    heartbeat: u64,
}

#[derive(clap::Args)]
struct LoadArgs {
    /// Devices as CSV, the file the gateway imports; those that speak native or zigbee2mqtt send.
    #[arg(long, value_name = "FILE")]
    neighbourhood: PathBuf,
    /// Broker or gateway to publish to.
    #[arg(long, value_name = "HOST:PORT")]
    mqtt: String,
    /// Messages a second, on all connections together; leave out for as fast as acknowledgements come.
    #[arg(long, value_name = "PER_S", value_parser = positive)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 100_000, value_name = "COUNT")]
    messages: u64,
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    connections: usize,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// Messages of one connection that may wait for their acknowledgement.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    window: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Let every detector say smoke.
    #[arg(long, conflicts_with = "tamper")]
    fire: bool,
    /// Let every detector say that it was tampered with.
    #[arg(long)]
    tamper: bool,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite()).ok_or("must be above 0".into())
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
        Command::Transmitter(arguments) => transmit(arguments).await,
        Command::Load(arguments) => measure(arguments).await,
        Command::Scenarios => {
            for scenario in scenario::built_in()? {
                println!("{:20} {}", scenario.name, scenario.about);
            }
            Ok(())
        }
    }
}

async fn transmit(arguments: TransmitterArgs) -> anyhow::Result<()> {
    let carrier = match (arguments.tcp, arguments.udp) {
        (Some(centre), _) => Carrier::Tcp(centre),
        (None, Some(centre)) => Carrier::Udp(centre),
        (None, None) => anyhow::bail!("say where the centre is: --tcp or --udp"),
    };
    let settings = transmitter::Settings {
        address: arguments.address,
        centre: arguments.centre,
        carrier,
        heartbeat: Duration::from_secs(arguments.heartbeat.max(1)),
        timeout: Duration::from_secs(5),
    };
    let stop = CancellationToken::new();
    let (device, run) = Transmitter::new(settings, stop.clone());
    let tell = async {
        if let Some(place) = arguments.fire {
            device.component(place, 0x0002, "").await?;
            println!("the fire is confirmed");
        }
        std::future::pending().await
    };
    tokio::select! {
        () = run => Ok(()),
        failed = tell => failed,
        signal = interruption() => signal,
    }
}

fn read_rows(file: &Path) -> anyhow::Result<Vec<neighbourhood::Row>> {
    let csv = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    neighbourhood::read(&csv).with_context(|| format!("in {}", file.display()))
}

async fn measure(arguments: LoadArgs) -> anyhow::Result<()> {
    let load = Load {
        devices: read_rows(&arguments.neighbourhood)?,
        address: arguments.mqtt,
        connections: arguments.connections,
        per_s: arguments.rate,
        messages: arguments.messages,
        qos: arguments.qos,
        window: arguments.window,
        seed: arguments.seed,
        says: match (arguments.fire, arguments.tamper) {
            (true, _) => Says::Smoke,
            (false, true) => Says::TamperedWith,
            (false, false) => Says::AllIsWell,
        },
    };
    let outcome = load::run(load, Arc::new(|progress| eprintln!("{progress}"))).await?;
    let parts = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
    let (sent, per_s) = (outcome.sent, outcome.per_s());
    if arguments.json {
        let latencies: serde_json::Map<_, _> =
            parts.into_iter().map(|(name, part)| (name.to_owned(), outcome.ms(part).into())).collect();
        println!(
            "{}",
            serde_json::json!({ "sent": sent, "payload_bytes": outcome.payload_bytes, "per_s": per_s, "ms": latencies })
        );
    } else {
        println!("{sent} messages acknowledged, {per_s:.0}/s; from due to acknowledged:");
        for (name, part) in parts {
            println!("  {name:6} {:10.3} ms", outcome.ms(part));
        }
    }
    Ok(())
}

async fn run_until_interrupted(run: Run) -> anyhow::Result<()> {
    let rows = read_rows(&run.neighbourhood)?;
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
