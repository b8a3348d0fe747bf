//! A backup becomes the store again. Nothing is ever overwritten: the store that was there is kept under another name.

use std::fs;
use std::path::{Path, PathBuf};

use super::schema::{self, Found};
use super::{StoreError, care, file};
use crate::units::Timestamp;

/// Puts a copy of `backup` in the place of the store `path`, while no gateway runs on it. Returns the new name of the store that was there.
pub fn restore(path: &Path, backup: &Path, now: Timestamp) -> Result<Option<PathBuf>, StoreError> {
    let at = |source| StoreError::File { path: path.to_owned(), source };
    let folder = file::folder(path);
    fs::create_dir_all(folder).map_err(at)?;
    let Some(_lock) = file::take_lock(path)? else {
        return Err(StoreError::InUse { path: path.to_owned() });
    };
    verify(backup)?;
    // The whole copy stands on the disk before anything is moved.
    let copy = file::beside(path, ".restoring");
    for ending in ["", "-wal", "-shm", "-journal"] {
        remove_if_there(&file::beside(&copy, ending)).map_err(at)?;
    }
    care::copy(backup, &copy)?;
    let aside = path.exists().then(|| file::beside(path, &format!(".before-{}", compact(now))));
    if let Some(aside) = &aside {
        if aside.exists() {
            return Err(StoreError::File {
                path: aside.clone(),
                source: std::io::ErrorKind::AlreadyExists.into(),
            });
        }
        fs::rename(path, aside).map_err(at)?;
        // Its newest commits may stand only here.
        if file::wal(path).exists() {
            fs::rename(file::wal(path), file::wal(aside)).map_err(at)?;
        }
    }
    // Of no use without the file that is gone, and harm beside another one.
    for ending in ["-wal", "-shm", "-mark", "-broken"] {
        remove_if_there(&file::beside(path, ending)).map_err(at)?;
    }
    fs::rename(&copy, path).map_err(at)?;
    file::sync_folder(folder)?;
    Ok(aside)
}

/// A whole store of this gateway, or of an older one.
fn verify(backup: &Path) -> Result<(), StoreError> {
    let path = backup.to_owned();
    let refused = |source| file::refusal(backup, source);
    let connection = file::open_to_read(backup).map_err(refused)?;
    match schema::inspect(&connection).map_err(refused)? {
        Found::Ours { version } if version > schema::KNOWN => {
            return Err(StoreError::TooNew { path, found: version, known: schema::KNOWN });
        }
        Found::Ours { .. } => (),
        Found::Empty | Found::Foreign => return Err(StoreError::Foreign { path }),
    }
    let finding: String =
        connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(refused)?;
    if finding != "ok" {
        return Err(StoreError::Damaged(format!("the backup `{}`: {finding}", path.display())));
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Such as `20261123T050000.000Z`, which every file system takes.
fn compact(now: Timestamp) -> String {
    now.rfc3339().replace(['-', ':'], "")
}
