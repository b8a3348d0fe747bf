//! Real programs from Debian and PyPI, each on a free loopback port with a folder of its own; dropped, they are killed and their folder is removed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

/// The workspace's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the workspace").to_owned()
}

/// Python with pymodbus and paho-mqtt, as `make` sets it up.
pub fn python() -> PathBuf {
    root().join(".run/venv/bin/python")
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("bound").port()
}

/// A running program.
pub struct Neighbour {
    pub port: u16,
    pub folder: tempfile::TempDir,
    child: Child,
}

impl Neighbour {
    /// Starts `program` and waits until it accepts connections on `port`.
    pub async fn start(
        program: impl AsRef<Path>,
        port: u16,
        folder: tempfile::TempDir,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let program = program.as_ref();
        let log = std::fs::File::create(folder.path().join("output.log"))?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}; `make setup` installs it", program.display()))?;
        let mut neighbour = Self { port, folder, child };
        neighbour.wait_for_port().await?;
        Ok(neighbour)
    }

    async fn wait_for_port(&mut self) -> anyhow::Result<()> {
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}: {}", self.output());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!("nothing listens on port {} after 15 s: {}", self.port, self.output())
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output.log")).unwrap_or_default()
    }

    /// kill -9, and gone when this returns.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Mosquitto with `settings` beside its listener line. It stays the user it is: the certificates are ours alone.
pub async fn mosquitto(settings: &str) -> anyhow::Result<Neighbour> {
    let (port, folder) = (free_port(), tempfile::tempdir()?);
    let file = folder.path().join("mosquitto.conf");
    std::fs::write(
        &file,
        format!("user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n{settings}\n"),
    )?;
    let file = file.to_string_lossy().into_owned();
    Neighbour::start("/usr/sbin/mosquitto", port, folder, &["-c", &file]).await
}

/// One message at QoS 1 with mosquitto_pub; `more` are further arguments of it.
pub async fn publish(port: u16, topic: &str, payload: &str, more: &[&str]) {
    let mut publish = Command::new("mosquitto_pub");
    publish.args(["-p", &port.to_string(), "-q", "1", "-t", topic, "-m", payload]).args(more);
    let status = publish.stdin(Stdio::null()).status().await.expect("mosquitto_pub starts");
    assert!(status.success(), "mosquitto_pub: {status}");
}

/// Waits for a condition, at most `seconds`; says what was waited for when it does not come.
pub async fn eventually<T, F>(what: &str, seconds: u64, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let found = tokio::time::timeout(Duration::from_secs(seconds), async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within {seconds} s: {what}"))
}
