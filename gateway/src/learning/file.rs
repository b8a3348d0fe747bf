//! rules.toml when the station itself writes it: checked as a whole, the file as it was kept beside it, the new one whole on disk before it takes its place.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::{self, Loaded};
use crate::problem::Problems;
use crate::proposal::edit::CannotEdit;
use crate::world::Reload;

/// rules.toml, and how to have it read again.
#[derive(Clone)]
pub struct RulesFile {
    /// station.toml
    pub station: PathBuf,
    pub rules: PathBuf,
    pub reload: Reload,
}

/// One variant per thing that the one who decides would do something different about.
#[derive(Debug, thiserror::Error)]
pub enum CannotAccept {
    #[error("{0}")]
    Edit(#[from] CannotEdit),
    #[error("rules.toml was edited and not taken over yet: reload the station first, then look again")]
    NotInForce,
    #[error("the rules would be refused: {0}")]
    Unsound(String),
    #[error("this station has no rules.toml that it could change")]
    NoFile,
    #[error(
        "{file} cannot be written ({error}); make its folder writable for the station, or edit it by hand: {change}"
    )]
    Unwritable { file: String, error: String, change: String },
}

impl RulesFile {
    /// What is wrong with rules before they are written; with station.toml and all else that they must fit.
    pub fn check(&self, text: &str) -> Result<Loaded, Problems> {
        config::load_with_rules(&self.station, &self.rules, text)
    }

    /// The change may be made: `after` instead of the text in force. `kept` names the copy of the file as it was, `change` is for a person who must make it by hand. Writes nothing.
    pub(super) fn prepare(
        &self,
        in_force: &str,
        after: impl FnOnce(&str) -> Result<String, CannotEdit>,
        kept: &str,
        change: String,
    ) -> Result<Prepared, CannotAccept> {
        let before = fs::read_to_string(&self.rules).map_err(|error| self.unwritable(&error, &change))?;
        if before != in_force {
            return Err(CannotAccept::NotInForce);
        }
        let after = after(&before)?;
        self.check(&after).map_err(|problems| CannotAccept::Unsound(problems.to_string()))?;
        let kept = self.rules.with_extension(format!("before-{kept}.toml"));
        Ok(Prepared { before, after, file: self.clone(), kept, change })
    }

    fn unwritable(&self, error: &std::io::Error, change: &str) -> CannotAccept {
        let file = self.rules.display().to_string();
        CannotAccept::Unwritable { file, error: error.to_string(), change: change.to_owned() }
    }
}

/// A change that may be made.
pub struct Prepared {
    before: String,
    after: String,
    file: RulesFile,
    kept: PathBuf,
    change: String,
}

impl Prepared {
    /// Makes it, and has the rules read again.
    pub fn make(&self) -> Result<(), CannotAccept> {
        let write = || -> std::io::Result<()> {
            write_whole(&self.kept, &self.before)?;
            write_whole(&self.file.rules, &self.after)
        };
        write().map_err(|error| self.file.unwritable(&error, &self.change))?;
        self.file.reload.ask();
        Ok(())
    }
}

/// Under another name first, then moved: whoever reads it sees the old text or the new one.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    if let Ok(known) = fs::metadata(path) {
        file.set_permissions(known.permissions())?;
    }
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    File::open(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
        .sync_all()
}
