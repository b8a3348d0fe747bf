//! Programs of others that do a part of the same work, measured in the same run. `make bench` installs them; whichever does not install is said to be
//! absent, and the run goes on without it.
//!
//! Each is given its best case: no storage where it has a choice, batches where it can make them, the shortest interval it takes.

pub mod alertmanager;
pub mod collectd;
pub mod node_red;
pub mod thingsboard;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gateway::clock::instant;

use super::figures::Section;

/// What [`Program::start`] waits for at most.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A running peer in a folder of its own. Killed and removed when dropped.
pub struct Program {
    child: Child,
    folder: tempfile::TempDir,
}

impl Program {
    /// Runs it in `folder`, and waits for its port if it has one.
    pub fn start(
        command: &mut Command,
        folder: tempfile::TempDir,
        port: Option<u16>,
    ) -> Result<Self, String> {
        let log = std::fs::File::create(folder.path().join("output.log")).unwrap();
        let command = command.current_dir(folder.path()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let child = child.map_err(|error| format!("it does not start: {error}"))?;
        let mut program = Self { child, folder };
        if let Some(port) = port {
            program.until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        }
        Ok(program)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a condition as long as a start may take.
    pub fn until(&mut self, mut done: impl FnMut() -> bool) -> Result<(), String> {
        let started = instant();
        while !done() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || STARTS_WITHIN < started.elapsed() {
                let said = std::fs::read_to_string(self.folder.path().join("output.log")).unwrap_or_default();
                let end: Vec<_> = said.lines().rev().take(3).collect();
                return Err(format!("it does not work: {}", end.join(" / ").replace('|', "/")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended.
        let _ = self.child.wait();
    }
}

/// A folder for a peer, with these files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// `Err` with what `make bench` should have installed.
fn installed(program: &Path) -> Result<(), String> {
    if program.exists() { Ok(()) } else { Err("not installed".into()) }
}

/// The rows of a peer, or one that says why there are none.
pub fn rows(section: &mut Section, name: &str, measure: impl FnOnce(&mut Section) -> Result<(), String>) {
    if let Err(why) = measure(section) {
        section.absent(name, &why);
    }
}
