//! A secret from a file or the environment, which never shows itself.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `{ file = "/etc/gridwarden/token" }` or `{ env = "INFLUX_TOKEN" }`; never the secret itself. The file's last line break is
/// not part of it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    file: Option<PathBuf>,
    env: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("give exactly one of `file` and `env`")]
    NotOne,
    #[error("cannot read the secret from `{path}`")]
    File { path: PathBuf, source: std::io::Error },
    #[error("the environment variable {0} is not set")]
    Env(String),
    #[error("the secret is empty")]
    Empty,
}

impl Secret {
    /// The secret's text. `folder` is where station.toml stands; relative files are looked for there.
    pub fn read(&self, folder: &Path) -> Result<String, SecretError> {
        let text = match (&self.file, &self.env) {
            (Some(file), None) => {
                let path = folder.join(file);
                std::fs::read_to_string(&path).map_err(|source| SecretError::File { path, source })?
            }
            (None, Some(name)) => std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?,
            (None, None) | (Some(_), Some(_)) => return Err(SecretError::NotOne),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(SecretError::Empty) } else { Ok(text.to_owned()) }
    }
}

impl Secret {
    /// The file it comes from, if it does.
    pub fn file(&self, folder: &Path) -> Option<PathBuf> {
        self.file.as_ref().map(|file| folder.join(file))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
