//! The gateway as its users run it: the release program on a folder, and what the system says of its time and memory.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gateway::clock::instant;
use serde_json::Value;
use tests::neighbours::{free_port, root};

use super::made_up::{address, cell_code, rules_text};

pub struct Settings<'a> {
    pub devices: usize,
    pub more_rules: usize,
    /// Behind station.toml: brokers, webhooks, InfluxDB.
    pub more: &'a str,
    /// devices.csv, when it is not the usual mixture.
    pub list: Option<&'a str>,
}

/// Killed and removed when dropped.
pub struct Station {
    pub folder: tempfile::TempDir,
    pub http: u16,
    pub mqtt: u16,
    /// From starting the program until it said that it is ready.
    pub ready_after: Duration,
    child: Child,
}

impl Station {
    pub fn start(settings: &Settings<'_>) -> Self {
        let folder = tempfile::tempdir_in(root().join("target")).unwrap();
        let (http, mqtt) = (free_port(), free_port());
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let channel = if settings.more.contains("[[webhook]]") { "duty" } else { "mqtt" };
        let alarms = if channel == "mqtt" { "[alarm_mqtt]\n" } else { "" };
        write(
            "station.toml",
            &format!(
                "{STATION}[http]\nbind = \"127.0.0.1:{http}\"\n[[http.token]]\nname = \"desk\"\nsecret = {{ file = \"token\" }}\n\
             [listener]\nbind = \"127.0.0.1:{mqtt}\"\nmessages_per_s_max = 1000000\n{alarms}{}",
                settings.more
            ),
        );
        write("token", TOKEN);
        write("rules.toml", &rules_text(settings.more_rules, channel));
        write("cells.geojson", &cells(settings.devices));
        write("devices.csv", settings.list.unwrap_or(&devices(settings.devices)));
        write(
            "people.csv",
            "id,name,phone,role,cell,from,until\nwang-li,王丽,10000000001,lead,S1-C1,2020-01-01,\n",
        );
        let (child, ready_after) = run(&folder, http);
        Self { folder, http, mqtt, ready_after, child }
    }

    /// Stops it in order and starts it again on what it left.
    pub fn restart(&mut self) {
        self.restart_after(|_| ());
    }

    /// As [`Station::restart`], and changes something about the store while nobody runs.
    pub fn restart_after(&mut self, change: impl FnOnce(&mut rusqlite::Connection)) {
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(stopped.success() && self.child.wait().unwrap().success(), "it stops in order");
        change(&mut rusqlite::Connection::open(self.store()).unwrap());
        (self.child, self.ready_after) = run(&self.folder, self.http);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A figure of /proc/…/status in kB: `VmRSS`, `VmHWM`.
    pub fn memory_kb(&self, name: &str) -> f64 {
        memory_kb(self.pid(), name)
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("data/station.db")
    }

    /// Readings in the journal.
    pub fn readings(&self) -> u64 {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let file = rusqlite::Connection::open_with_flags(self.store(), flags).unwrap();
        file.busy_timeout(Duration::from_secs(5)).unwrap();
        let sum: Option<i64> =
            file.query_row("SELECT sum(readings) FROM journal", (), |row| row.get(0)).unwrap();
        sum.unwrap_or(0) as u64
    }

    /// Bytes that the system has put on disk for it.
    pub fn written_bytes(&self) -> u64 {
        written_bytes(self.pid())
    }

    /// Copies what is left of its write-ahead log into the database; the bytes that were written for it.
    pub fn copy_log(&self) -> u64 {
        let before = written_bytes(std::process::id());
        let file = rusqlite::Connection::open(self.store()).unwrap();
        file.busy_timeout(Duration::from_secs(5)).unwrap();
        let busy: bool = file.query_row("PRAGMA wal_checkpoint(FULL)", (), |row| row.get(0)).unwrap();
        assert!(!busy, "the log could not be copied");
        written_bytes(std::process::id()) - before
    }

    /// One without labels, of /metrics.
    pub async fn counter(&self, name: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.http);
        let request = tests::databases::http().unwrap().get(url).bearer_auth(TOKEN);
        let text = request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub fn dead_letters(&self) -> u64 {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let file = rusqlite::Connection::open_with_flags(self.store(), flags).unwrap();
        let count: i64 = file.query_row("SELECT count(*) FROM dead_letters", (), |row| row.get(0)).unwrap();
        count as u64
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended.
        let _ = self.child.wait();
    }
}

fn run(folder: &tempfile::TempDir, http: u16) -> (Child, Duration) {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.path().join("log")).unwrap();
    let started = instant();
    let mut child = Command::new(tests::site::program("gridwarden"))
        .args(["run", "-c"])
        .arg(folder.path().join("station.toml"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    loop {
        assert!(started.elapsed() < Duration::from_secs(120), "not ready: {}", said(folder));
        assert!(child.try_wait().unwrap().is_none(), "it ended: {}", said(folder));
        let answer = std::net::TcpStream::connect(("127.0.0.1", http)).and_then(|mut stream| {
            let mut text = String::new();
            std::io::Write::write_all(&mut stream, request)?;
            std::io::Read::read_to_string(&mut stream, &mut text)?;
            Ok(text)
        });
        if answer.is_ok_and(|text| text.starts_with("HTTP/1.1 200")) {
            return (child, started.elapsed());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The end of its log.
fn said(folder: &tempfile::TempDir) -> String {
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

pub fn memory_kb(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn written_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.unwrap().parse().unwrap()
}

/// Seconds of processor time a process has used.
pub fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime, in hundredths.
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// What `firmware-sim load --json` says.
pub struct Sent {
    pub sent: u64,
    pub payload_bytes: u64,
    pub per_s: f64,
    ms: Value,
}

impl Sent {
    pub fn ms(&self, name: &str) -> f64 {
        self.ms[name].as_f64().unwrap()
    }
}

/// Runs the load generator on the devices of `folder` against this port.
pub fn load(folder: &tempfile::TempDir, port: u16, arguments: &[&str]) -> Sent {
    start_load(folder, port, arguments).end()
}

pub struct Running(Child);

pub fn start_load(folder: &tempfile::TempDir, port: u16, arguments: &[&str]) -> Running {
    let child = Command::new(tests::site::program("firmware-sim"))
        .args(["load", "--json", "--mqtt", &format!("127.0.0.1:{port}"), "--neighbourhood"])
        .arg(folder.path().join("devices.csv"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Running(child.unwrap())
}

impl Running {
    pub fn end(self) -> Sent {
        let output = self.0.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the load generator failed: {said}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let number = |name: &str| json[name].as_u64().unwrap();
        Sent {
            sent: number("sent"),
            payload_bytes: number("payload_bytes"),
            per_s: json["per_s"].as_f64().unwrap(),
            ms: json["ms"].clone(),
        }
    }
}

pub const TOKEN: &str = "a-token-for-measurements";

const STATION: &str = r#"rules = "rules.toml"
[station]
id = "bench-1"
name = "测量站"
[store]
path = "data/station.db"
journal_max_mb = 20000
[registry]
cells = ["cells.geojson"]
devices = ["devices.csv"]
people = ["people.csv"]
[[topic]]
filter = "gridwarden/up/#"
decoder = "native"
[[topic]]
filter = "zigbee2mqtt/#"
decoder = "zigbee2mqtt"
"#;

/// The cells that [`devices`] stand in, with no two outlines that touch.
fn cells(devices: usize) -> String {
    let square = |x: f64, width: f64| {
        let (w, e) = (118.0 + x, 118.0 + x + width);
        format!(
            "{{\"type\":\"Polygon\",\"coordinates\":[[[{w:.5},32.0],[{e:.5},32.0],[{e:.5},32.001],[{w:.5},32.001],[{w:.5},32.0]]]}}"
        )
    };
    let count = devices.div_ceil(500).max(1);
    let mut text = format!(
        "{{\"type\":\"FeatureCollection\",\"features\":[\n{{\"type\":\"Feature\",\"properties\":{{\"code\":\"S1-C1\",\"name\":\"社区\",\"scheme\":\"admin\",\"kind\":\"community\"}},\"geometry\":{}}}",
        square(0.0, count as f64 * 0.001)
    );
    for number in 0..count {
        let code = cell_code(number * 500);
        write!(text, ",\n{{\"type\":\"Feature\",\"properties\":{{\"code\":\"{code}\",\"name\":\"{code}\",\"scheme\":\"admin\",\"kind\":\"residential\",\"parent\":\"S1-C1\"}},\"geometry\":{}}}",
            square(number as f64 * 0.001, 0.001)).unwrap();
    }
    text + "\n]}"
}

fn devices(count: usize) -> String {
    let mut text = "id,kind,name,address,cell,place,lon,lat,silent_after_s\n".to_owned();
    for number in 0..count {
        let kind = if number % 10 == 9 { "hydrant" } else { "smoke_detector" };
        writeln!(
            text,
            "D-{number},{kind},{number} 号,{},{},{}栋{}01,,,",
            address(number),
            cell_code(number),
            number / 60,
            number % 60 / 2
        )
        .unwrap();
    }
    text
}
