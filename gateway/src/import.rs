//! `gridwarden import`: a file into the registry, whole or not at all.
//!
//! Works beside a running station: the station notices the registry's new version and takes it over.

use std::path::Path;

use anyhow::{Context, bail};

use crate::clock;
use crate::config::Loaded;
use crate::grid::Rows;
use crate::grid::import::{self, Parsed, Read};
use crate::problem::Problems;
use crate::store::{Audit, Store};
use crate::units::Zone;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Cells,
    Devices,
    People,
    Absences,
    Teams,
    Buildings,
    Households,
}

impl What {
    /// What others stand on comes first.
    pub const ALL: [Self; 7] = [
        Self::Cells,
        Self::Devices,
        Self::People,
        Self::Absences,
        Self::Teams,
        Self::Buildings,
        Self::Households,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::Devices => "devices",
            Self::People => "people",
            Self::Absences => "absences",
            Self::Teams => "teams",
            Self::Buildings => "buildings",
            Self::Households => "households",
        }
    }

    /// Of station.toml.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Cells => "registry.cells",
            Self::Devices => "registry.devices",
            Self::People => "registry.people",
            Self::Absences => "registry.absences",
            Self::Teams => "registry.teams",
            Self::Buildings => "registry.buildings",
            Self::Households => "registry.households",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.name() == name)
    }
}

/// Returns what changed, or would change, for people to read.
pub async fn import_file(loaded: &Loaded, what: What, file: &Path, dry_run: bool) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display().to_string();
    let read = read(what, &name, &bytes).map_err(refused)?;
    let store = Store::open_beside(&loaded.store_path())?;
    let zone = &loaded.config.station.time_zone;
    if !read.problems.is_empty() {
        let rows = Rows { zone: zone.clone(), ..store.load_registry().await? };
        return Err(refused(read.against(&rows, clock::wall())));
    }
    import_parsed(&store, &[read.parsed], zone, &name, dry_run).await
}

pub(crate) fn read(what: What, name: &str, bytes: &[u8]) -> Result<Read, Problems> {
    match what {
        What::Cells => {
            import::parse_cells(name, bytes).map(|parsed| Read { parsed, problems: Problems::default() })
        }
        What::Devices => import::read_devices(name, bytes),
        What::People => import::read_people(name, bytes),
        What::Absences => import::read_absences(name, bytes),
        What::Teams => import::read_teams(name, bytes),
        What::Buildings => import::read_buildings(name, bytes),
        What::Households => import::read_households(name, bytes),
    }
}

fn refused(problems: Problems) -> anyhow::Error {
    anyhow::anyhow!("nothing was imported:\n{problems}")
}

/// Merges what was parsed into the stored registry, and puts the registry into the station's time zone. Tried again when somebody else changed the registry meanwhile.
pub async fn import_parsed(
    store: &Store,
    parsed: &[Parsed],
    zone: &Zone,
    source: &str,
    dry_run: bool,
) -> anyhow::Result<String> {
    const TRIES: u32 = 5;
    for _ in 0..TRIES {
        let mut rows = store.load_registry().await?;
        let (before, moved) = (rows.version, rows.zone != *zone);
        rows.zone = zone.clone();
        let (mut rows, difference) = import::merge_all(&rows, parsed, clock::wall()).map_err(refused)?;
        if moved && before != 0 {
            rows.version = before + 1;
        }
        let text = difference.to_string();
        if dry_run {
            return Ok(format!("{text}This was a dry run: nothing was changed.\n"));
        }
        if rows.version == before {
            return Ok(text);
        }
        let audit = Audit {
            at: clock::wall(),
            who: std::env::var("USER").unwrap_or_else(|_| "gridwarden".into()),
            what: "registry.import".into(),
            target: source.into(),
            detail: text.lines().next().unwrap_or_default().into(),
        };
        if store.save_registry(rows, audit).await? {
            return Ok(text);
        }
    }
    bail!("the registry was changed by somebody else {TRIES} times meanwhile; try again")
}
