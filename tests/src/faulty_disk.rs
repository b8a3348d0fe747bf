//! A disk that fails when told to: `disk_faults.c`, compiled here and loaded into the gateway with LD_PRELOAD.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Shorthand for errno.
pub const ENOSPC: i32 = 28;
pub const EROFS: i32 = 30;
pub const EIO: i32 = 5;
/// Not an error: the call does not return until the command changes.
pub const HANG: i32 = 0;

pub struct FaultyDisk {
    library: PathBuf,
    command: PathBuf,
}

impl FaultyDisk {
    /// Compiles the library into `folder`.
    pub fn new(folder: &Path) -> Self {
        let (library, command) = (folder.join("disk_faults.so"), folder.join("disk_command"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/disk_faults.c");
        let built = Command::new("gcc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .status()
            .expect("gcc is there; `make setup-test` installs it");
        assert!(built.success(), "disk_faults.c does not compile");
        let disk = Self { library, command };
        disk.works();
        disk
    }

    /// For the gateway's environment.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library.clone()), ("GRIDWARDEN_TEST_DISK", self.command.clone())]
    }

    pub fn works(&self) {
        self.say("");
    }

    /// Writes fail from now on.
    pub fn refuses_writes(&self, errno: i32) {
        self.say(&format!("{errno} w"));
    }

    pub fn refuses_syncs(&self, errno: i32) {
        self.say(&format!("{errno} s"));
    }

    pub fn refuses_reads(&self, errno: i32) {
        self.say(&format!("{errno} r"));
    }

    /// No read, write or sync returns.
    pub fn hangs_altogether(&self) {
        self.say(&format!("{HANG} a"));
    }

    /// Of the next writes and syncs, `skip` work and then `count` fail.
    pub fn fails_once(&self, errno: i32, skip: u64, count: u64) {
        self.say(&format!("{errno} b {skip} {count}"));
    }

    fn say(&self, text: &str) {
        let new = self.command.with_extension("new");
        std::fs::write(&new, text).expect("writable");
        std::fs::rename(&new, &self.command).expect("writable");
    }
}
