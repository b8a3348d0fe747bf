//! The gateway as a program that is killed and started again.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::site::program;

/// When it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Some time after it is ready.
    UnderLoad,
    /// While it opens the store, replays and imports.
    Starting,
    /// Just after SIGHUP: it takes over the world, with a snapshot.
    Reloading,
    /// Just after SIGTERM: it drains, with a last snapshot.
    Stopping,
}

impl Moment {
    pub const ALL: [Moment; 4] = [Self::UnderLoad, Self::Starting, Self::Reloading, Self::Stopping];

    pub fn name(self) -> &'static str {
        match self {
            Self::UnderLoad => "under load",
            Self::Starting => "while starting",
            Self::Reloading => "while reloading",
            Self::Stopping => "while stopping",
        }
    }

    pub fn choose(random: &mut fastrand::Rng) -> Self {
        match random.u32(0..10) {
            0..4 => Self::UnderLoad,
            4..7 => Self::Starting,
            7 | 8 => Self::Reloading,
            _ => Self::Stopping,
        }
    }
}

pub struct Victim {
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    http: u16,
    child: Option<Child>,
    started: Instant,
    client: reqwest::Client,
    is_ready: bool,
    pub kills: [u32; Moment::ALL.len()],
    pub ready_ms: Vec<f64>,
    pub peak_rss_kib: u64,
}

impl Victim {
    pub fn new(config: PathBuf, log: PathBuf, http: u16) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default(); // Somebody else was first: fine.
        Self {
            program: program("gridwarden"),
            config,
            log,
            http,
            child: None,
            started: now(),
            client: reqwest::Client::new(),
            is_ready: false,
            kills: [0; Moment::ALL.len()],
            ready_ms: Vec::new(),
            peak_rss_kib: 0,
        }
    }

    /// Another build of it.
    pub fn with_program(self, program: PathBuf) -> Self {
        Self { program, ..self }
    }

    #[expect(clippy::unused_async, reason = "a process can only be started inside the runtime")]
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        self.started = now();
        self.is_ready = false;
        let child = Command::new(&self.program)
            .args(["run", "-c"])
            .arg(&self.config)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    pub async fn ready(&mut self) -> anyhow::Result<()> {
        self.ready_within(30).await
    }

    pub async fn ready_within(&mut self, seconds: u64) -> anyhow::Result<()> {
        if self.is_ready {
            return Ok(());
        }
        let ask = format!("http://127.0.0.1:{}/readyz", self.http);
        let waiting = async {
            loop {
                let answer = self.client.get(&ask).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return Ok(());
                }
                if let Some(ended) = self.child.as_mut().and_then(|child| child.try_wait().ok()).flatten() {
                    anyhow::bail!("the gateway ended with {ended}:\n{}", self.log());
                }
                sleep(Duration::from_millis(3)).await;
            }
        };
        timeout(Duration::from_secs(seconds), waiting)
            .await
            .with_context(|| format!("not ready within {seconds} s:\n{}", self.log()))??;
        self.ready_ms.push(self.started.elapsed().as_secs_f64() * 1e3);
        self.is_ready = true;
        Ok(())
    }

    /// Waits for the moment, kills, and starts it again.
    pub async fn kill_at(&mut self, moment: Moment, random: &mut fastrand::Rng) -> anyhow::Result<()> {
        match moment {
            Moment::UnderLoad => {
                self.ready().await?;
                sleep(Duration::from_millis(random.u64(20..1_200))).await;
            }
            Moment::Starting => {
                // A fresh start, so that the clock runs from its first instruction.
                self.ready().await?;
                self.kill(Moment::UnderLoad).await?;
                self.start().await?;
                let usual = self.ready_ms.last().copied().unwrap_or(100.0);
                sleep(Duration::from_secs_f64(random.f64() * 1.2 * usual / 1e3)).await;
            }
            Moment::Reloading => {
                self.ready().await?;
                sleep(Duration::from_millis(random.u64(20..400))).await;
                self.signal("HUP").await?;
                sleep(Duration::from_micros(random.u64(0..40_000))).await;
            }
            Moment::Stopping => {
                self.ready().await?;
                sleep(Duration::from_millis(random.u64(20..400))).await;
                self.signal("TERM").await?;
                sleep(Duration::from_micros(random.u64(0..60_000))).await;
            }
        }
        self.kill(moment).await?;
        self.start().await
    }

    /// kill -9, and gone when this returns.
    pub async fn kill(&mut self, moment: Moment) -> anyhow::Result<()> {
        self.note_memory();
        self.kills[moment as usize] += 1;
        let mut child = self.child.take().context("it runs")?;
        let _ = child.kill().await; // It may have ended just before, when it was stopping.
        Ok(())
    }

    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.child.as_ref().and_then(Child::id).context("it runs")?;
        let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().await?;
        ensure!(sent.success(), "kill -{name} {id}: {sent}");
        Ok(())
    }

    pub async fn stop_in_order(&mut self) -> anyhow::Result<()> {
        self.note_memory();
        self.signal("TERM").await?;
        let mut child = self.child.take().context("it runs")?;
        let ended = timeout(Duration::from_secs(25), child.wait()).await;
        let ended = ended.with_context(|| format!("it does not end:\n{}", self.log()))??;
        ensure!(ended.success(), "it ended with {ended}:\n{}", self.log());
        Ok(())
    }

    /// The most memory the system ever saw it use.
    fn note_memory(&mut self) {
        let Some(id) = self.child.as_ref().and_then(Child::id) else { return };
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        self.peak_rss_kib = self.peak_rss_kib.max(peak.unwrap_or(0));
    }

    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let start = text.len().saturating_sub(4_000);
        text.get(start..).unwrap_or(&text).to_owned()
    }

    pub fn panicked(&self) -> bool {
        std::fs::read_to_string(&self.log).unwrap_or_default().contains("panicked at")
    }
}

pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the torture measures")]
    Instant::now()
}
