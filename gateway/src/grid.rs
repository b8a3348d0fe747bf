//! The registry: cells (网格), devices (部件), people and who answers for which cell.
//!
//! [`Rows`] is what the store keeps and imports change; [`Registry`] is the same compiled for looking up, immutable, shared by
//! `Arc` and replaced whole after an import. Positions ([`DeviceIx`], [`CellIx`]) are given by the store and never reused, so the
//! engine's tables stay aligned across imports; a retired device keeps its place.

pub mod import;
pub mod locate;
mod lookup;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::lookup::Lookup;
use crate::model::{CellIx, DeviceIx, DeviceKind};
use crate::units::{Millis, Timestamp};

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
    /// Codes of the cells it stands in, at most one per scheme; the first is its primary cell.
    pub cells: Vec<String>,
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// Unique within the station, such as `wang-li`.
    pub id: String,
    pub name: String,
    pub phone: String,
    /// Channel of station.toml → address there: a mail address, a WeCom user id, an ntfy topic.
    #[serde(default)]
    pub contacts: BTreeMap<String, String>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one named person who answers for the cell (网格长).
    Lead,
    Deputy,
    /// 网格员
    Worker,
    /// Building head, property guard, volunteer.
    Helper,
}

impl Role {
    pub const ALL: [Role; 4] = [Self::Lead, Self::Deputy, Self::Worker, Self::Helper];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Deputy => "deputy",
            Self::Worker => "worker",
            Self::Helper => "helper",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// One person in one role for one cell, from a start up to (not including) an end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duty {
    pub person: String,
    pub cell: String,
    pub role: Role,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

impl Duty {
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
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
}

#[derive(Debug, Default)]
pub struct Registry {
    rows: Rows,
    cells_by_code: HashMap<String, CellIx>,
    devices_by_id: Lookup,
    devices_by_address: Lookup,
    people_by_id: HashMap<String, usize>,
    parents: Vec<Option<CellIx>>,
    /// Primary cell of each device.
    homes: Vec<Option<CellIx>>,
    duties_by_cell: HashMap<CellIx, Vec<usize>>,
}

impl Registry {
    /// Rows are checked on import; what points nowhere here is left out.
    pub fn build(mut rows: Rows) -> Arc<Self> {
        // They stay for long and were read one by one, so each has room for more than it will ever hold.
        rows.devices.shrink_to_fit();
        rows.devices.iter_mut().for_each(|device| device.cells.shrink_to_fit());
        let cells_by_code: HashMap<_, _> =
            rows.cells.iter().map(|cell| (cell.code.clone(), cell.ix)).collect();
        let parents = rows
            .cells
            .iter()
            .map(|cell| cell.parent.as_ref().and_then(|code| cells_by_code.get(code).copied()))
            .collect();
        let homes = rows
            .devices
            .iter()
            .map(|device| device.cells.first().and_then(|code| cells_by_code.get(code).copied()))
            .collect();
        let devices_by_address =
            Lookup::new(&rows.devices, |device| (!device.retired).then_some(&device.address));
        let devices_by_id = Lookup::new(&rows.devices, |device| Some(&device.id));
        let people_by_id = rows.people.iter().enumerate().map(|(at, p)| (p.id.clone(), at)).collect();
        let mut duties_by_cell: HashMap<CellIx, Vec<usize>> = HashMap::new();
        for (at, duty) in rows.duties.iter().enumerate() {
            if let Some(&cell) = cells_by_code.get(&duty.cell) {
                duties_by_cell.entry(cell).or_default().push(at);
            }
        }
        Arc::new(Self {
            rows,
            cells_by_code,
            devices_by_id,
            devices_by_address,
            people_by_id,
            parents,
            homes,
            duties_by_cell,
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
        Some(self.rows.devices[at].ix)
    }

    pub fn cell_by_code(&self, code: &str) -> Option<&Cell> {
        self.cells_by_code.get(code).and_then(|&ix| self.cell(ix))
    }

    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people_by_id.get(id).map(|&at| &self.rows.people[at])
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

    /// Codes from the root down to the cell, joined by `/`: the `cell` path in InfluxDB tags.
    pub fn path(&self, cell: CellIx) -> String {
        let mut codes: Vec<_> =
            self.up_from(cell).filter_map(|ix| self.cell(ix)).map(|cell| cell.code.as_str()).collect();
        codes.reverse();
        codes.join("/")
    }

    /// People with a duty in this very cell at this time, in order of role, then as entered.
    pub fn on_duty(&self, cell: CellIx, at: Timestamp) -> Vec<(Role, &Person)> {
        let mut found: Vec<_> = self
            .duties_by_cell
            .get(&cell)
            .into_iter()
            .flatten()
            .map(|&at| &self.rows.duties[at])
            .filter(|duty| duty.covers(at))
            .filter_map(|duty| Some((duty.role, self.person(&duty.person)?)))
            .collect();
        found.sort_by_key(|(role, _)| *role);
        found
    }

    /// Who answers for the cell at this time: its lead, else the first deputy or worker, else whoever answers for the parent.
    pub fn responsible(&self, cell: CellIx, at: Timestamp) -> Option<&Person> {
        self.up_from(cell).find_map(|cell| {
            self.on_duty(cell, at)
                .into_iter()
                .find(|(role, _)| *role < Role::Helper)
                .map(|(_, person)| person)
        })
    }
}
