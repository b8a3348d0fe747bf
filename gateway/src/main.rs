//! Arguments, logging, signals → stop token, exit code. No logic.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use gateway::account_command::{self, AccountCommand};
use gateway::audit_command::{self, AuditCommand};
use gateway::config::{self, LogFormat};
use gateway::drill_command::{self, DrillArgs};
use gateway::explain::{self, ExplainArgs};
use gateway::replay_command::{self, ReplayArgs};
use gateway::{app, channel_test, import, ladder, probe, profiles, vacancies};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Millions of small things are made in one thread and dropped in another: docs/decisions/0008-where-time-goes.md has what it saves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A thread that reads files ends after so long without work. What it kept goes with it, and mimalloc gives back what anybody freed more than a second before:
/// without an end of a thread now and then, an idle station holds what only its start needed.
const IDLE_THREAD: Duration = Duration::from_secs(2);

/// Gridwarden (网格哨): the gateway of a neighbourhood station.
#[derive(Parser)]
#[command(name = "gridwarden", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the station
    Run {
        #[arg(short, long, default_value = "config/station.toml")]
        config: PathBuf,
    },
    /// Check the configuration: every mistake at once, as file:line:column
    Check {
        #[arg(short, long, default_value = "config/station.toml")]
        config: PathBuf,
    },
    /// Import cells (GeoJSON), devices, people, absences, teams, buildings or households (CSV) into the registry
    Import {
        what: What,
        file: PathBuf,
        #[arg(short, long, default_value = "config/station.toml")]
        config: PathBuf,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// What a ladder would do
    #[command(subcommand)]
    Ladder(LadderCommand),
    /// Why there is an alarm, who was told, and what became of every attempt; or why a device or a cell was quiet
    Explain(ExplainArgs),
    /// Begin a drill and follow it, or see how each person did over time; asks the running station
    Drill(DrillArgs),
    /// Run the journal through other rules: what would have been raised, missed, or raised at another time
    Replay(ReplayArgs),
    /// Hours of the week ahead in which nobody of a cell's own answers for it, and training that runs out
    Vacancies {
        #[arg(short, long, default_value = "config/station.toml")]
        config: PathBuf,
    },
    /// Devices described as data
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Read registers of a Modbus unit and show every way to decode them
    Probe(probe::ProbeArgs),
    /// Make, reset, disable or list accounts
    Account {
        #[command(subcommand)]
        command: AccountCommand,
        #[arg(short, long, default_value = "config/station.toml", global = true)]
        config: PathBuf,
    },
    /// Verify or prune the audit log
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
        #[arg(short, long, default_value = "config/station.toml", global = true)]
        config: PathBuf,
    },
    /// Try a channel: send a message that is plainly a test, and show what the provider says
    Channel {
        #[command(subcommand)]
        command: ChannelCommand,
    },
    /// Copy the store while the station runs
    Backup {
        /// The new file
        to: PathBuf,
        #[arg(short, long, default_value = "config/station.toml")]
        config: PathBuf,
    },
    /// Make a backup the store again, while the station is stopped; the store that is there now is kept under another name
    Restore {
        backup: PathBuf,
        #[arg(short, long, default_value = "config/station.toml")]
        config: PathBuf,
    },
}

#[derive(Subcommand)]
enum LadderCommand {
    /// Print who is told when, if nobody answers, and which steps find nobody
    Show(ladder::LadderArgs),
}

#[derive(Subcommand)]
enum ProfileCommand {
    /// Check profiles and read their samples
    Test {
        /// A profile's file, or a folder of them
        path: PathBuf,
    },
    /// Every profile in force, with the evidence for it
    List {
        /// With those of this station's own
        #[arg(short, long)]
        config: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum ChannelCommand {
    /// Send one test message past the outbox
    Test {
        /// The channel's name in station.toml, or `mqtt`
        name: String,
        /// Whom to tell; needed where each person has an address
        #[arg(long)]
        person: Option<String>,
        #[arg(short, long, default_value = "config/station.toml")]
        config: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Cells,
    Devices,
    People,
    Absences,
    Teams,
    Buildings,
    Households,
}

impl From<What> for import::What {
    fn from(what: What) -> Self {
        match what {
            What::Cells => import::What::Cells,
            What::Devices => import::What::Devices,
            What::People => import::What::People,
            What::Absences => import::What::Absences,
            What::Teams => import::What::Teams,
            What::Buildings => import::What::Buildings,
            What::Households => import::What::Households,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.enable_all().thread_keep_alive(IDLE_THREAD).build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            eprintln!("cannot start: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(dispatch(arguments.command));
    runtime.shutdown_background(); // A read that hangs with its disk must not hold up the end.
    match ended {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("gridwarden: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run { config } => {
            let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
            start_log(&loaded.config.log);
            let stop = CancellationToken::new();
            let app = app::App::start(&config, loaded).await?;
            let signals = watch_signals(stop.clone(), app.reload());
            tokio::select! {
                ended = app.run(stop) => ended.map(|()| ExitCode::SUCCESS),
                fault = signals => Err(fault),
            }
        }
        Command::Check { config } => {
            let (text, good) = config::check_command(&config);
            println!("{text}");
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Import { what, file, config, dry_run } => {
            let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
            print!("{}", import::import_file(&loaded, what.into(), &file, dry_run).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Ladder(LadderCommand::Show(asked)) => {
            let Some(loaded) = load(asked.config()) else { return Ok(ExitCode::FAILURE) };
            print!("{}", ladder::show(&loaded, &asked).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain(asked) => {
            let Some(loaded) = load(asked.config()) else { return Ok(ExitCode::FAILURE) };
            print!("{}", explain::run(&loaded, &asked).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Drill(asked) => {
            let Some(loaded) = load(&asked.config) else { return Ok(ExitCode::FAILURE) };
            let answered = drill_command::run(&loaded, &asked, &mut std::io::stdout()).await?;
            Ok(if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Replay(asked) => {
            let Some(loaded) = load(asked.config()) else { return Ok(ExitCode::FAILURE) };
            let (text, good) = replay_command::run(&loaded, &asked).await?;
            print!("{text}");
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Vacancies { config } => {
            let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
            let (text, covered) = vacancies::list(&loaded).await?;
            print!("{text}");
            Ok(if covered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Channel { command: ChannelCommand::Test { name, person, config } } => {
            let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
            let (said, taken) = channel_test::run(&loaded, &name, person.as_deref()).await?;
            println!("{said}");
            Ok(if taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Profile(ProfileCommand::Test { path }) => {
            let (text, good) = profiles::test(&path);
            println!("{text}");
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Profile(ProfileCommand::List { config }) => {
            let profiles = match config {
                None => profiles::shipped(),
                Some(config) => {
                    let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
                    loaded.profiles
                }
            };
            print!("{}", profiles::list(&profiles));
            Ok(ExitCode::SUCCESS)
        }
        Command::Probe(arguments) => probe::run(arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Account { command, config } => {
            let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
            print!("{}", account_command::run(&loaded, command).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Audit { command, config } => {
            let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
            let (text, good) = audit_command::run(&loaded, command).await?;
            print!("{text}");
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Backup { to, config } => {
            let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
            app::backup(&loaded, &to).await?;
            println!("The store was copied to {}.", to.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Restore { backup, config } => {
            let Some(loaded) = load(&config) else { return Ok(ExitCode::FAILURE) };
            println!("{}", app::restore(&loaded, &backup)?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints what is wrong when the configuration cannot be used.
fn load(path: &Path) -> Option<config::Loaded> {
    match config::load(path) {
        Ok(loaded) => Some(loaded),
        Err(problems) => {
            eprintln!("{problems}");
            None
        }
    }
}

fn start_log(log: &config::Log) {
    let filter = std::env::var("RUST_LOG")
        .ok()
        .or_else(|| log.filter.clone())
        .unwrap_or_else(|| "info,rumqttc=off".to_owned());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// SIGTERM and SIGINT stop in order, a second one at once; SIGHUP reads the configuration again. Returns only to end at once.
async fn watch_signals(stop: CancellationToken, reload: app::Reload) -> anyhow::Error {
    let watch = async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot watch SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch SIGINT")?;
        let mut hangup = signal(SignalKind::hangup()).context("cannot watch SIGHUP")?;
        loop {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
                _ = hangup.recv() => {
                    reload.ask();
                    continue;
                }
            }
            if stop.is_cancelled() {
                anyhow::bail!("asked a second time to stop: ending at once");
            }
            tracing::info!("stopping; ask again to end at once");
            stop.cancel();
        }
    };
    let ended: anyhow::Result<std::convert::Infallible> = watch.await;
    match ended {
        Ok(never) => match never {},
        Err(fault) => fault,
    }
}
