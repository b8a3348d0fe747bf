//! The files of a station → everything the gateway needs to start, or every mistake in them.
//!
//! What stands in station.toml and rules.toml by itself must be right, or the gateway does not start. What depends on data that changes every month,
//! the registry files and who is on duty today, is a warning: `gridwarden check` fails, but a station that wakes after a power cut goes on with the
//! registry it has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::rules::Rules;
use super::shape::Page;
use super::{Config, check};
use crate::clock;
use crate::decode::bytes::hex;
use crate::decode::camera::{Meanings, Named};
use crate::decode::profile::Profiles;
use crate::grid::import::{Parsed, Read, merge};
use crate::grid::{Registry, Rows};
use crate::import::{What, read};
use crate::model::Metric;
use crate::problem::{Problems, Severity, Spot};
use crate::profiles;
use crate::units::{Timestamp, Zone};

/// No file of a station is larger; 369,000 devices are 40 MB.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// station.toml and rules.toml, checked, and which files `[registry]` names.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub rules: Rules,
    pub rules_text: String,
    /// Where station.toml stands; relative paths start here.
    pub folder: PathBuf,
    /// The files of `[registry]`, not read further than to tell whether they are those that were imported last.
    pub registry: Vec<FileMark>,
    /// The shipped device profiles and the station's own.
    pub profiles: Arc<Profiles>,
    /// Warnings and hints, to be logged.
    pub remarks: Problems,
}

/// Which file, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMark {
    /// As written in station.toml, a stable name to remember the hash under.
    pub name: String,
    /// Of the file's bytes, in hexadecimal; `None` when it cannot be read.
    pub sha256: Option<String>,
}

impl Loaded {
    /// The one data file.
    pub fn store_path(&self) -> PathBuf {
        self.folder.join(&self.config.store.path)
    }
}

/// A station's files, every one of them read and checked.
#[derive(Debug)]
pub struct Whole {
    pub loaded: Loaded,
    /// The files of `[registry]`, in the order of [`What::ALL`]: what others stand on comes first. `None` when one of them is wrong: import none and keep what the store has.
    pub registry: Option<Vec<RegistryFile>>,
}

#[derive(Debug)]
pub struct RegistryFile {
    pub mark: FileMark,
    pub parsed: Parsed,
}

/// Reads and checks station.toml and rules.toml. Those of `[registry]` may have 369,000 rows, and a start after a power cut has no time to read
/// again what the store has already: they are only marked.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    let Examined { loaded, problems, .. } = examine(path, clock::wall(), Depth::Marks, None);
    usable(loaded, problems)
}

/// The same with other rules than those that station.toml names: `text`, which stands or is to stand in the file `rules`.
pub fn load_with_rules(path: &Path, rules: &Path, text: &str) -> Result<Loaded, Problems> {
    let instead = Some((rules, text));
    let Examined { loaded, problems, .. } = examine(path, clock::wall(), Depth::Marks, instead);
    usable(loaded, problems)
}

/// Reads and checks station.toml and every file it names.
pub fn load_whole(path: &Path) -> Result<Whole, Problems> {
    let Examined { loaded, problems, registry, .. } = examine(path, clock::wall(), Depth::Rows, None);
    Ok(Whole { loaded: usable(loaded, problems)?, registry })
}

fn usable(loaded: Option<Loaded>, problems: Problems) -> Result<Loaded, Problems> {
    match loaded {
        Some(loaded) if !problems.any(Severity::Error) => Ok(Loaded { remarks: problems, ..loaded }),
        Some(_) | None => Err(problems),
    }
}

/// What `gridwarden check` prints, and whether it is content.
pub fn check_command(path: &Path) -> (String, bool) {
    let Examined { loaded, problems, registry, rows } = examine(path, clock::wall(), Depth::Rows, None);
    let content = loaded.is_some() && !problems.any(Severity::Warning);
    let mut output = problems.to_string();
    if !output.is_empty() {
        output.push('\n');
    }
    match loaded {
        Some(loaded) if content => {
            output.push_str(&summary(path, &loaded, registry.as_deref(), &rows));
        }
        Some(_) | None => {
            let count = problems.iter().filter(|problem| problem.severity < Severity::Hint).count();
            output.push_str(&format!("{}: {count} to correct", path.display()));
        }
    }
    output.push('\n');
    (output, content)
}

fn summary(path: &Path, loaded: &Loaded, registry: Option<&[RegistryFile]>, rows: &Rows) -> String {
    let (config, rules) = (&loaded.config, &loaded.rules);
    let units = config.buses.iter().map(|bus| bus.units.len()).sum();
    let mut parts = match registry {
        Some(files) if !files.is_empty() => vec![
            counted(rows.cells.len(), "cell", "cells"),
            counted(rows.devices.len(), "device", "devices"),
            counted(rows.people.len(), "person", "people"),
        ],
        Some(_) | None => vec!["the registry as it is in the store".into()],
    };
    if config.listener.is_some() {
        parts.push("the listener".into());
    }
    if config.gbt26875.is_some() {
        parts.push("transmission devices".into());
    }
    if config.meokon.is_some() {
        parts.push("terminals of Meokon".into());
    }
    if config.centre.is_some() {
        parts.push("the city's centre".into());
    }
    for (count, one, many) in [
        (config.brokers.len(), "broker", "brokers"),
        (units, "Modbus unit", "Modbus units"),
        (rules.rules.len(), "rule", "rules"),
        (rules.ladders.len(), "ladder", "ladders"),
        (config.webhooks.len(), "webhook", "webhooks"),
        (config.channels.all().len(), "other channel", "other channels"),
    ] {
        if count > 0 {
            parts.push(counted(count, one, many));
        }
    }
    format!("{}: good. Station `{}`: {}.", path.display(), config.station.id.get_ref(), parts.join(", "))
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

const START: Spot = Spot { line: 1, column: 1 };

/// How far the files of `[registry]` are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Marks,
    Rows,
}

#[derive(Default)]
struct Examined {
    loaded: Option<Loaded>,
    problems: Problems,
    registry: Option<Vec<RegistryFile>>,
    rows: Rows,
}

/// `instead`: rules from elsewhere, and their text.
fn examine(path: &Path, now: Timestamp, depth: Depth, instead: Option<(&Path, &str)>) -> Examined {
    let mut problems = Problems::default();
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let name = path.display().to_string();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(why) => {
            problems.add(
                &name,
                START,
                Severity::Error,
                format!("{why}; give the path of station.toml with -c"),
            );
            return Examined { problems, ..Examined::default() };
        }
    };
    let (mut station, config) = Page::read::<Config>(&name, &text, &["station", "store", "rules", "http"]);
    let rules_path = station.texts("rules").into_iter().next();
    let rules_name = match instead {
        Some((path, _)) => path.display().to_string(),
        None => {
            rules_path.as_ref().map_or(String::new(), |(path, _)| folder.join(path).display().to_string())
        }
    };
    let rules_text = match (instead, rules_path) {
        (Some((_, text)), _) => text.to_owned(),
        (None, Some((path, span))) => read_text(&folder.join(path)).unwrap_or_else(|why| {
            station.wrong(span, format!("{why}; write the path of rules.toml, relative to this file"));
            String::new()
        }),
        (None, None) => String::new(),
    };
    let (mut rules_page, rules) = Page::read::<Rules>(&rules_name, &rules_text, &[]);

    let marks = marks(&station, &folder);
    let (registry, rows) = match depth {
        Depth::Marks => (None, Rows::default()),
        Depth::Rows => {
            let zone = config.as_ref().map(|config| config.station.time_zone.clone()).unwrap_or_default();
            read_registry(&mut station, &folder, zone, now, &mut problems)
        }
    };
    let known = registry.is_some().then(|| Registry::build(rows.clone()));
    let own = config.as_ref().and_then(|config| config.profiles.as_ref());
    let profiles = match profiles::with(own.map(|own| folder.join(own.get_ref())).as_deref()) {
        Ok(profiles) => profiles,
        Err(wrong) => {
            problems.extend(wrong);
            profiles::shipped()
        }
    };
    let events = config.as_ref().map_or(&[][..], |config| &config.camera_events);
    let profiles = if events.is_empty() {
        profiles
    } else {
        Arc::new(Profiles::clone(&profiles).with_meanings(meanings(events)))
    };
    let mut inputs = check::Inputs {
        profiles: &profiles,
        station: &mut station,
        rules_page: &mut rules_page,
        config: config.as_ref(),
        rules: rules.as_ref(),
        folder: &folder,
        registry: known.as_deref(),
        now,
    };
    check::check(&mut inputs);

    problems.extend(station.problems);
    problems.extend(rules_page.problems);
    let loaded = config.zip(rules).map(|(config, rules)| Loaded {
        config,
        rules,
        rules_text: rules_text.clone(),
        folder,
        registry: marks,
        profiles: profiles.clone(),
        remarks: Problems::default(),
    });
    Examined { loaded, problems: problems.sorted(), registry, rows }
}

/// Those whose flag is known; the others are named by the check.
fn meanings(events: &[super::CameraEvent]) -> Meanings {
    let named = |event: &super::CameraEvent| {
        Some(Named {
            event: event.event.get_ref().trim().to_owned(),
            devices: event.devices.iter().map(|id| id.get_ref().clone()).collect(),
            flag: Metric::from_name(event.flag.get_ref()).filter(|metric| metric.spec().flag)?,
        })
    };
    Meanings(events.iter().filter_map(named).collect())
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("`{}` is larger than {} MB", path.display(), FILE_BYTES_MAX >> 20));
    }
    std::fs::read(path).map_err(cannot)
}

fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| format!("`{}` is not UTF-8 text", path.display()))
}

fn marks(station: &Page<'_>, folder: &Path) -> Vec<FileMark> {
    let names = What::ALL.into_iter().flat_map(|what| station.texts(what.key()));
    names
        .map(|(name, _)| {
            let sha256 = read_bytes(&folder.join(&name)).ok().map(|bytes| hex(&Sha256::digest(&bytes)));
            FileMark { name, sha256 }
        })
        .collect()
}

/// The registry files, each by itself and then together. `None`: one of them is wrong.
fn read_registry(
    station: &mut Page<'_>,
    folder: &Path,
    zone: Zone,
    now: Timestamp,
    problems: &mut Problems,
) -> (Option<Vec<RegistryFile>>, Rows) {
    let (mut files, mut good) = (Vec::new(), true);
    for what in What::ALL {
        for (name, span) in station.texts(what.key()) {
            let path = folder.join(&name);
            let bytes = match read_bytes(&path) {
                Ok(bytes) => bytes,
                Err(why) => {
                    station
                        .warn(span, format!("{why}; write a path relative to this file, or remove it here"));
                    good = false;
                    continue;
                }
            };
            match read(what, &path.display().to_string(), &bytes).and_then(Read::whole) {
                Ok(parsed) => {
                    let mark = FileMark { name, sha256: Some(hex(&Sha256::digest(&bytes))) };
                    files.push(RegistryFile { mark, parsed });
                }
                Err(wrong) => {
                    good = false;
                    problems.extend(wrong.softened());
                }
            }
        }
    }
    if !good {
        return (None, Rows::default());
    }
    let parsed: Vec<Parsed> = files.iter().map(|file| file.parsed.clone()).collect();
    match merge::merge_all(&Rows { zone, ..Rows::default() }, &parsed, now) {
        Ok((rows, diff)) => {
            for hint in diff.hints {
                station.hint(station.at("registry"), hint);
            }
            (Some(files), rows)
        }
        Err(wrong) => {
            problems.extend(wrong.softened());
            (None, Rows::default())
        }
    }
}
