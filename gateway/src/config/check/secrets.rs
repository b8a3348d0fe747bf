//! Secrets and key files: there, not empty, not for everyone's eyes. What is in them is never printed.

use std::path::Path;

use super::super::shape::Page;
use crate::config::Secret;
use crate::config::secret::SecretError;

/// Reads the secret at `path` of the file to see that it can be; refuses one shorter than `letters_min`.
pub fn check(page: &mut Page<'_>, folder: &Path, path: &str, secret: &Secret, letters_min: usize) {
    let span = page.at(path);
    match secret.read(folder) {
        Ok(text) if text.chars().count() < letters_min => {
            page.wrong(span.clone(), format!("the secret is shorter than {letters_min} letters and can be guessed; make one with `openssl rand -hex 32`"));
        }
        Ok(_) => (),
        Err(SecretError::NotOne) => {
            page.wrong(
                span.clone(),
                "a secret has one source; write either `{ file = \"…\" }` or `{ env = \"…\" }`",
            );
        }
        Err(SecretError::File { path, source }) => {
            page.wrong(span.clone(), format!("cannot read the secret from `{}`: {source}; make the file, readable for the gateway's user only", path.display()));
        }
        Err(SecretError::Env(name)) => {
            page.wrong(span.clone(), format!("the environment variable `{name}` is not set; set it for the service, or write `{{ file = \"…\" }}`"));
        }
        Err(SecretError::Empty) => {
            page.wrong(span.clone(), "the secret is empty; put it into the file or variable as one line");
        }
    }
    if let Some(file) = secret.file(folder)
        && is_world_readable(&file)
    {
        page.hint(
            span,
            format!("every user of this machine can read `{}`; run chmod 640 on it", file.display()),
        );
    }
}

#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_world_readable(_: &Path) -> bool {
    false
}

/// A PEM file that holds what it should: `CERTIFICATE` or `PRIVATE KEY`.
pub fn pem(page: &mut Page<'_>, folder: &Path, path: &str, file: &Path, holds: &str) {
    let (full, span) = (folder.join(file), page.at(path));
    match std::fs::read_to_string(&full) {
        Ok(text) if text.contains(&format!("{holds}-----")) && text.contains("-----BEGIN ") => (),
        Ok(_) => page.wrong(
            span,
            format!(
                "`{}` holds no {holds}; give a PEM file, which has a line `-----BEGIN … {holds}-----`",
                full.display()
            ),
        ),
        Err(error) => page.wrong(
            span,
            format!("cannot read `{}`: {error}; write a path relative to this file", full.display()),
        ),
    }
}
