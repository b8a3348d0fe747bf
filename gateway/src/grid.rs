//! The registry: cells (网格), devices (部件), people and who answers for which cell.
//!
//! [`Rows`] is what the store keeps and imports change; [`Registry`] is the same compiled for looking up, immutable, shared by
//! `Arc` and replaced whole after an import. Positions ([`DeviceIx`], [`CellIx`]) are given by the store and never reused, so the
//! engine's tables stay aligned across imports; a retired device keeps its place. Who answers for a cell now is asked in [`roster`], whether the records about
//! people make sense together in [`sound`], what a person may change by hand is [`edit`], and how cells are
//! split and put together [`redraw`]; pictures of floors and of the ground are [`plan`].

pub mod absence;
pub mod duty;
pub mod dwellings;
pub mod edit;
pub mod import;
mod landmarks;
pub mod locate;
mod lookup;
pub mod nearest;
pub mod plan;
pub mod redraw;
pub mod roster;
pub mod shift;
pub mod sound;
pub mod team;
pub mod vacancy;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

pub use absence::Absence;
pub use duty::{Duty, Role};
pub use plan::{Pin, Plan};
pub use shift::Hours;
pub use team::{Member, Team, TeamKind};

use serde::{Deserialize, Serialize};

use self::landmarks::Landmarks;
use self::lookup::Lookup;
use crate::model::{CellIx, DeviceIx, DeviceKind};
use crate::units::{Millis, Timestamp, Zone};
use dwellings::{Building, Dwellings, Household};
use roster::Roster;

/// A node of a grid scheme. Schemes overlap; each is a forest of any depth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub ix: CellIx,
    /// Unique within the station, such as `320113-XL-01-03`.
    pub code: String,
    pub name: String,
    /// Name of the scheme, such as `admin` or `service`.
    pub scheme: String,
    /// Code of the parent cell in the same scheme.
    pub parent: Option<String>,
    /// Free vocabulary: `street`, `community`, `residential`, `market`, `dense_crowd`.
    pub kind: String,
    /// Outer ring(s) with holes as longitude and latitude in degrees (WGS 84); each polygon is its rings, the outer one first.
    pub polygons: Vec<Vec<Vec<[f64; 2]>>>,
    pub retired: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    pub ix: DeviceIx,
    /// Unique within the station, such as `SD-0312`.
    pub id: String,
    pub kind: DeviceKind,
    pub name: String,
    /// Where its messages come from, as the decoders name it: `native:SD-0312`, `z2m:zigbee2mqtt/kitchen`, `lora:24e124…`,
    /// `frigate:gate-east`, `modbus:hydrants-east/3`. Unique.
    pub address: String,
    /// Codes of the cells it stands in, at most one per scheme; the first is its primary cell. In a [`Registry`] devices that stand in the same cells share one list.
    pub cells: Arc<[String]>,
    /// To the door, for the person who has to go there.
    pub place: String,
    /// Longitude and latitude in degrees (WGS 84).
    pub position: Option<[f64; 2]>,
    /// Silence longer than this is trouble. `None`: only if a presence rule names its kind.
    pub silent_after: Option<Millis>,
    /// When it was entered; presence is armed from here, so that a device that never reports is noticed.
    pub registered: Timestamp,
    pub retired: bool,
}

impl Device {
    /// One of which only this is known: it stands in no cell, and its address is its id.
    pub fn bare(ix: DeviceIx, kind: DeviceKind, address: impl Into<String>) -> Self {
        let address = address.into();
        Self {
            ix,
            id: address.clone(),
            kind,
            name: String::new(),
            address,
            cells: Arc::default(),
            place: String::new(),
            position: None,
            silent_after: None,
            registered: Timestamp(0),
            retired: false,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// Unique within the station, such as `wang-li`.
    pub id: String,
    pub name: String,
    pub phone: String,
    /// Name of a channel → the address there: e-mail, user id, topic. Where there is none, SMS and voice use `phone`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contacts: BTreeMap<String, String>,
    /// The first instant at which the training no longer counts. `None`: it is not watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_until: Option<Timestamp>,
    /// Has left: no duties, and nobody's stand-in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// Everything the store keeps of the registry. `cells[i].ix == i` and `devices[i].ix == i`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// Grows by one with every import that changed something.
    pub version: u64,
    pub cells: Vec<Cell>,
    pub devices: Vec<Device>,
    pub people: Vec<Person>,
    pub duties: Vec<Duty>,
    #[serde(default)]
    pub absences: Vec<Absence>,
    #[serde(default)]
    pub teams: Vec<Team>,
    /// In which hours and days are meant.
    #[serde(default)]
    pub zone: Zone,
    #[serde(default)]
    pub buildings: Vec<Building>,
    #[serde(default)]
    pub households: Vec<Household>,
    /// By code.
    #[serde(default)]
    pub plans: Vec<Plan>,
    /// By device; few have one.
    #[serde(default)]
    pub pins: Vec<Pin>,
}

#[derive(Debug, Default)]
pub struct Registry {
    rows: Rows,
    cells_by_code: HashMap<String, CellIx>,
    devices_by_id: Lookup,
    devices_by_address: Lookup,
    /// Places of the devices in service whose address has a level below another, by address.
    devices_behind: Vec<u32>,
    people_by_id: HashMap<String, usize>,
    parents: Vec<Option<CellIx>>,
    /// Primary cell of each device.
    homes: Vec<Option<CellIx>>,
    roster: Roster,
    teams_by_name: HashMap<String, usize>,
    dwellings: Dwellings,
    /// What a card looks for.
    landmarks: Landmarks,
}

/// Hundreds of thousands of devices stand in a few hundred cells.
fn share_cells(devices: &mut [Device]) {
    let mut known = HashSet::<Arc<[String]>>::new();
    for device in devices {
        match known.get(&device.cells) {
            Some(cells) => device.cells = cells.clone(),
            None => drop(known.insert(device.cells.clone())),
        }
    }
}

impl Registry {
    /// Rows are checked on import; what points nowhere here is left out.
    pub fn build(mut rows: Rows) -> Arc<Self> {
        // They stay for long and were read one by one, so each has room for more than it will ever hold.
        rows.devices.shrink_to_fit();
        plan::sort(&mut rows);
        share_cells(&mut rows.devices);
        let cells_by_code: HashMap<_, _> =
            rows.cells.iter().map(|cell| (cell.code.clone(), cell.ix)).collect();
        let parents = rows
            .cells
            .iter()
            .map(|cell| cell.parent.as_ref().and_then(|code| cells_by_code.get(code).copied()))
            .collect();
        let homes: Vec<_> = rows
            .devices
            .iter()
            .map(|device| device.cells.first().and_then(|code| cells_by_code.get(code).copied()))
            .collect();
        let devices_by_address =
            Lookup::new(&rows.devices, |device| (!device.retired).then_some(&device.address));
        let levels = |device: &Device| !device.retired && device.address.contains('/');
        let mut devices_behind: Vec<u32> =
            (0..).zip(&rows.devices).filter(|(_, device)| levels(device)).map(|(at, _)| at).collect();
        devices_behind.sort_by_key(|&at| &rows.devices[at as usize].address);
        let devices_by_id = Lookup::new(&rows.devices, |device| Some(&device.id));
        let people_by_id = rows.people.iter().enumerate().map(|(at, p)| (p.id.clone(), at)).collect();
        let teams_by_name = rows.teams.iter().enumerate().map(|(at, t)| (t.name.clone(), at)).collect();
        let roster = Roster::build(&rows, &cells_by_code, &people_by_id);
        let dwellings = Dwellings::new(&rows.buildings, &rows.households);
        let landmarks = Landmarks::new(&rows.devices, &homes);
        Arc::new(Self {
            dwellings,
            landmarks,
            rows,
            cells_by_code,
            devices_by_id,
            devices_by_address,
            devices_behind,
            people_by_id,
            parents,
            homes,
            roster,
            teams_by_name,
        })
    }

    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    pub fn version(&self) -> u64 {
        self.rows.version
    }

    pub fn devices(&self) -> &[Device] {
        &self.rows.devices
    }

    pub fn cells(&self) -> &[Cell] {
        &self.rows.cells
    }

    pub fn people(&self) -> &[Person] {
        &self.rows.people
    }

    /// Who lives where. Personal: whoever shows it must ask for the right, and record the look.
    pub fn dwellings(&self) -> &Dwellings {
        &self.dwellings
    }

    /// Hydrants and cameras in service, by where they stand.
    pub fn landmarks(&self) -> &Landmarks {
        &self.landmarks
    }

    pub fn device(&self, ix: DeviceIx) -> Option<&Device> {
        self.rows.devices.get(ix.at())
    }

    pub fn cell(&self, ix: CellIx) -> Option<&Cell> {
        self.rows.cells.get(ix.at())
    }

    pub fn device_by_id(&self, id: &str) -> Option<&Device> {
        self.devices_by_id.find(id, |at| &self.rows.devices[at].id).map(|at| &self.rows.devices[at])
    }

    /// The device in service whose messages carry this address.
    pub fn device_by_address(&self, address: &str) -> Option<DeviceIx> {
        let at = self.devices_by_address.find(address, |at| &self.rows.devices[at].address)?;
        Some(DeviceIx(at as u32)) // As its row says, at the price of one more miss of the caches.
    }

    /// These addresses are asked for next.
    pub fn look_ahead<'a>(&'a self, addresses: impl IntoIterator<Item = &'a str>) {
        self.devices_by_address.look_ahead(addresses, |at| &self.rows.devices[at].address);
    }

    /// The device in service with this address, and those behind it: `<address>/…`.
    pub fn at_or_behind<'a>(&'a self, address: &str) -> impl Iterator<Item = DeviceIx> + use<'a> {
        let level = format!("{address}/");
        let device = move |&at: &u32| &self.rows.devices[at as usize];
        let first = self.devices_behind.partition_point(|at| device(at).address < level);
        let behind = self.devices_behind[first..].iter().map(device);
        let behind = behind.take_while(move |device| device.address.starts_with(&level));
        self.device_by_address(address).into_iter().chain(behind.map(|device| device.ix))
    }

    pub fn cell_by_code(&self, code: &str) -> Option<&Cell> {
        self.cells_by_code.get(code).and_then(|&ix| self.cell(ix))
    }

    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people_by_id.get(id).map(|&at| &self.rows.people[at])
    }

    pub fn plan(&self, code: &str) -> Option<&Plan> {
        let at = self.rows.plans.binary_search_by(|plan| plan.code.as_str().cmp(code)).ok()?;
        Some(&self.rows.plans[at])
    }

    /// Where a device is on a plan.
    pub fn pin(&self, device: &str) -> Option<&Pin> {
        let at = self.rows.pins.binary_search_by(|pin| pin.device.as_str().cmp(device)).ok()?;
        Some(&self.rows.pins[at])
    }

    /// The primary cell of a device.
    pub fn home(&self, device: DeviceIx) -> Option<CellIx> {
        self.homes.get(device.at()).copied().flatten()
    }

    pub fn parent(&self, cell: CellIx) -> Option<CellIx> {
        self.parents.get(cell.at()).copied().flatten()
    }

    /// The cell, its parent, and so on to the root. Ends even if the rows have a loop.
    pub fn up_from(&self, cell: CellIx) -> impl Iterator<Item = CellIx> + '_ {
        std::iter::successors(Some(cell), |&cell| self.parent(cell)).take(self.rows.cells.len())
    }

    /// Whether the cell is the other, or lies below it.
    pub fn is_in(&self, cell: CellIx, top: CellIx) -> bool {
        self.up_from(cell).any(|up| up == top)
    }

    /// Codes of the cell and of every cell below it.
    pub fn codes_in(&self, top: CellIx) -> Vec<String> {
        let inside = self.rows.cells.iter().filter(|cell| self.is_in(cell.ix, top));
        inside.map(|cell| cell.code.clone()).collect()
    }

    /// From the root down to the cell.
    pub fn down_to(&self, cell: CellIx) -> impl Iterator<Item = &Cell> {
        let mut cells: Vec<_> = self.up_from(cell).filter_map(|ix| self.cell(ix)).collect();
        cells.reverse();
        cells.into_iter()
    }

    /// Names from the root down to the cell.
    pub fn names_down_to(&self, cell: CellIx) -> Vec<String> {
        self.down_to(cell).map(|cell| cell.name.clone()).collect()
    }

    /// Codes from the root down to the cell, joined by `/`: the `cell` path in InfluxDB tags.
    pub fn path(&self, cell: CellIx) -> String {
        self.down_to(cell).map(|cell| cell.code.as_str()).collect::<Vec<_>>().join("/")
    }

    /// The members of a team who are at work then, or whoever stands in for them. Nobody when there is no such team at that time.
    pub fn team(&self, name: &str, at: Timestamp) -> Vec<&Person> {
        let team = self.teams_by_name.get(name).map(|&at| &self.rows.teams[at]);
        let members = team.filter(|team| team.covers(at)).into_iter().flat_map(|team| &team.members);
        let mut found: Vec<&Person> = Vec::new();
        for person in members.filter_map(|member| self.in_place_of(&member.person, at)) {
            if found.iter().all(|known| known.id != person.id) {
                found.push(person);
            }
        }
        found
    }

    /// Teams for this cell, for one above it, or for the device.
    pub fn teams_for(&self, cell: CellIx, device: Option<DeviceIx>, at: Timestamp) -> Vec<&Team> {
        let device = device.and_then(|ix| self.device(ix));
        let concerned = |team: &&Team| {
            team.covers(at)
                && (device.is_some_and(|device| team.devices.contains(&device.id))
                    || self
                        .up_from(cell)
                        .filter_map(|ix| self.cell(ix))
                        .any(|cell| team.cells.contains(&cell.code)))
        };
        self.rows.teams.iter().filter(concerned).collect()
    }
}
