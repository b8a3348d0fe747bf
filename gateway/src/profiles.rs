//! Where device profiles come from: those in the program, and a folder of the station's own.

mod shipped;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::decode::profile::{Profile, Profiles, compile};
use crate::problem::{Problems, Severity, Spot};
use shipped::SHIPPED;

/// More files than this in a folder are not meant.
const FILES_MAX: usize = 1_000;
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The profiles in the program, compiled at their first use.
pub fn shipped() -> Arc<Profiles> {
    static ALL: LazyLock<Arc<Profiles>> = LazyLock::new(|| {
        Arc::new(Profiles::build(compiled()).expect("the tests refuse a shipped profile with a mistake"))
    });
    ALL.clone()
}

fn compiled() -> impl Iterator<Item = Profile> {
    SHIPPED.iter().map(|(name, text)| {
        compile(name, &format!("config/profiles/{name}.toml"), text)
            .expect("the tests refuse a shipped profile with a mistake")
    })
}

/// With those of the station's own.
pub fn with(folder: Option<&Path>) -> Result<Arc<Profiles>, Problems> {
    match folder {
        None => Ok(shipped()),
        Some(folder) => Profiles::build(compiled().chain(read(folder)?)).map(Arc::new),
    }
}

/// One file, or every `.toml` of a folder; every mistake in them.
pub fn read(path: &Path) -> Result<Vec<Profile>, Problems> {
    let mut problems = Problems::default();
    let mut profiles = Vec::new();
    let files = match files(path) {
        Ok(files) => files,
        Err(error) => {
            wrong(
                &mut problems,
                path,
                format!("it cannot be read: {error}; give a profile's file, or a folder of them"),
            );
            return Err(problems);
        }
    };
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let size = std::fs::metadata(&file).map_or(0, |data| data.len());
        if FILE_BYTES_MAX < size {
            wrong(&mut problems, &file, format!("a profile of {size} bytes is too large"));
            continue;
        }
        match std::fs::read_to_string(&file) {
            Err(error) => wrong(&mut problems, &file, format!("it cannot be read: {error}")),
            Ok(text) => match compile(&name, &file.display().to_string(), &text) {
                Ok(profile) => profiles.push(profile),
                Err(more) => problems.extend(more),
            },
        }
    }
    if problems.is_empty() { Ok(profiles) } else { Err(problems) }
}

fn files(path: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)?.take(FILES_MAX) {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    Ok(files)
}

fn wrong(problems: &mut Problems, file: &Path, why: String) {
    problems.add(&file.display().to_string(), Spot { line: 1, column: 1 }, Severity::Error, why);
}

/// What `gridwarden profile test` prints, and whether every sample became what it should.
pub fn test(path: &Path) -> (String, bool) {
    let profiles = match read(path) {
        Ok(profiles) => profiles,
        Err(problems) => return (problems.to_string(), false),
    };
    let failures: Vec<String> = profiles.iter().flat_map(Profile::failures).collect();
    let samples: usize = profiles.iter().map(|profile| profile.samples.len()).sum();
    if failures.is_empty() {
        return (format!("{} profiles, {samples} samples: good", profiles.len()), true);
    }
    (failures.join("\n"), false)
}

/// Two tables for docs/devices.md and for people: what there is, and where paper and practice differ.
pub fn list(profiles: &Profiles) -> String {
    let mut text = String::from(
        "| profile | device | kind | over | samples | best evidence |\n|---|---|---|---|---|---|\n",
    );
    for profile in profiles.all() {
        let evidence = profile.best_evidence();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {}: {} |\n",
            profile.name,
            profile.title,
            profile.kind.name(),
            profile.over.name(),
            profile.samples.len(),
            evidence.kind.name(),
            evidence.source
        ));
    }
    text.push_str("\n| profile | where paper, decoder and sample differ |\n|---|---|\n");
    for profile in profiles.all() {
        for deviation in &profile.deviations {
            text.push_str(&format!("| `{}` | {deviation} |\n", profile.name));
        }
    }
    text
}
