//! Devices: every one in a cell of each scheme it can be found in, every address once.

use std::collections::{BTreeSet, HashMap};

use super::super::{DeviceRow, Placed};
use super::{Merge, optional, text};
use crate::grid::locate::Locator;
use crate::grid::{Cell, Device, Pin};
use crate::model::DeviceIx;
use crate::problem::{Spot, nearest};
use crate::units::Millis;

impl Merge<'_> {
    pub(super) fn devices(&mut self, rows: &[DeviceRow]) {
        let cells = std::mem::take(&mut self.rows.cells);
        let locator = Locator::new(&cells);
        let cells_by_code: HashMap<&str, &Cell> =
            cells.iter().map(|cell| (cell.code.as_str(), cell)).collect();
        let mut by_id: HashMap<String, usize> =
            self.rows.devices.iter().map(|device| (device.id.clone(), device.ix.at())).collect();
        for row in rows {
            let old = by_id.get(&row.id.value).map(|&at| self.rows.devices[at].clone());
            let position = row.position.unwrap_or(old.as_ref().and_then(|old| old.position));
            let named = match &row.cells {
                Some(named) => named.clone(),
                None if row.position.is_some() => Vec::new(),
                None => old
                    .iter()
                    .flat_map(|old| old.cells.iter())
                    .map(|code| Placed { value: code.clone(), at: row.id.at })
                    .collect(),
            };
            let device = Device {
                ix: old.as_ref().map_or(DeviceIx(self.rows.devices.len() as u32), |old| old.ix),
                id: row.id.value.clone(),
                kind: row.kind,
                name: row.name.clone(),
                address: match (&row.address, &old) {
                    (Some(address), _) => address.value.clone(),
                    (None, Some(old)) => old.address.clone(),
                    (None, None) => format!("native:{}", row.id.value),
                },
                cells: self.cells_of(row, &named, position, &locator, &cells_by_code).into(),
                place: row.place.clone().or(old.as_ref().map(|old| old.place.clone())).unwrap_or_default(),
                position,
                silent_after: match row.silent_after_s {
                    Some(seconds) => seconds.map(|seconds| Millis::from_secs(seconds.into())),
                    None => old.as_ref().and_then(|old| old.silent_after),
                },
                // Back in service counts as new, or its old silence would be alarmed at once.
                registered: old
                    .as_ref()
                    .filter(|old| !old.retired || row.retired)
                    .map_or(self.now, |old| old.registered),
                retired: row.retired,
            };
            match old {
                Some(old) => {
                    let moved = self.pin(row);
                    self.diff_device(&old, &device, moved);
                    let at = device.ix.at();
                    self.rows.devices[at] = device;
                }
                None => {
                    by_id.insert(device.id.clone(), device.ix.at());
                    self.diff.add("device", &device.id);
                    self.pin(row);
                    self.rows.devices.push(device);
                }
            }
        }
        self.check_addresses(rows);
        drop(locator);
        self.rows.cells = cells;
    }

    /// The named cells first, then for every other scheme the cell the position lies in.
    fn cells_of(
        &mut self,
        row: &DeviceRow,
        named: &[Placed<String>],
        position: Option<[f64; 2]>,
        locator: &Locator<'_>,
        by_code: &HashMap<&str, &Cell>,
    ) -> Vec<String> {
        let id = &row.id.value;
        let mut found: Vec<&Cell> = Vec::new();
        let mut wrong = Vec::new();
        for code in named {
            match by_code.get(code.value.as_str()) {
                None => {
                    let codes = by_code.values().filter(|cell| !cell.retired).map(|cell| cell.code.as_str());
                    let near = nearest(&code.value, codes.collect::<BTreeSet<_>>());
                    let instead = near.map_or("import the cells first, or correct the code".into(), |near| format!("did you mean `{near}`?"));
                    wrong.push((code.at, format!("the device `{id}` stands in the cell `{}`, which does not exist; {instead}", code.value)));
                }
                Some(cell) if cell.retired && !row.retired => {
                    wrong.push((code.at, format!("the device `{id}` stands in the cell `{}`, which is retired; name a cell in service", code.value)));
                }
                Some(cell) => match found.iter().find(|other| other.scheme == cell.scheme) {
                    Some(other) => wrong.push((code.at, format!("the device `{id}` stands in `{}` and `{}`, both of the scheme `{}`; name one cell per scheme", other.code, cell.code, cell.scheme))),
                    None => found.push(cell),
                },
            }
        }
        for cell in position.into_iter().flat_map(|position| locator.cells_at(position)) {
            match found.iter().find(|other| other.scheme == cell.scheme) {
                None => found.push(cell),
                Some(named) => {
                    let mut up = std::iter::successors(Some(cell), |cell| {
                        cell.parent.as_deref().and_then(|code| by_code.get(code).copied())
                    });
                    if !up.by_ref().take(by_code.len()).any(|above| above.code == named.code) {
                        self.diff.hint(format!(
                            "the device `{id}` is registered in `{}`, but its coordinates lie in `{}`",
                            named.code, cell.code
                        ));
                    }
                }
            }
        }
        if found.is_empty() && wrong.is_empty() && !row.retired {
            wrong.push((row.id.at, match position {
                Some([lon, lat]) => format!("the device `{id}` stands in no cell: {lon}, {lat} lies outside all of them; name its cell in the column `cell`"),
                None => format!("the device `{id}` stands in no cell; fill in `cell`, or `lon` and `lat`"),
            }));
        }
        wrong.into_iter().for_each(|(at, message)| self.wrong(at, message));
        found.into_iter().map(|cell| cell.code.clone()).collect()
    }

    /// Where it hangs on a plan, before and after; `None`: the file does not say.
    fn pin(&mut self, row: &DeviceRow) -> Option<[String; 2]> {
        let wanted = row.pin.as_ref()?;
        let found = self.rows.pins.binary_search_by(|pin| pin.device.cmp(&row.id.value));
        let said = |pin: Option<&Pin>| {
            pin.map_or("(none)".to_owned(), |Pin { plan, at: [x, y], .. }| format!("{plan} at {x}, {y}"))
        };
        let before = said(found.ok().map(|at| &self.rows.pins[at]));
        let Some((plan, at)) = wanted else {
            if let Ok(at) = found {
                self.rows.pins.remove(at);
            }
            return Some([before, said(None)]);
        };
        // The files of a new station are read before anybody has put a picture in: the pin waits for it.
        if self.rows.plans.binary_search_by(|known| known.code.cmp(&plan.value)).is_err() {
            let near = nearest(&plan.value, self.rows.plans.iter().map(|plan| plan.code.as_str()));
            let instead = near.map_or("put its picture in".into(), |near| format!("did you mean `{near}`?"));
            let id = &row.id.value;
            self.diff.hint(format!(
                "the device `{id}` hangs on the plan `{}`, which is not there yet; {instead}",
                plan.value
            ));
        }
        let pin = Pin { device: row.id.value.clone(), plan: plan.value.clone(), at: *at };
        let after = said(Some(&pin));
        match found {
            Ok(at) => self.rows.pins[at] = pin,
            Err(at) => self.rows.pins.insert(at, pin),
        }
        Some([before, after])
    }

    fn diff_device(&mut self, old: &Device, new: &Device, moved: Option<[String; 2]>) {
        let mut changes = Vec::new();
        let mut changed = |name: &str, before: String, after: String| {
            if before != after {
                changes.push(format!("{name}: {before} → {after}"));
            }
        };
        changed("kind", old.kind.name().into(), new.kind.name().into());
        changed("name", text(&old.name), text(&new.name));
        changed("address", text(&old.address), text(&new.address));
        changed("cell", text(&old.cells.join(" ")), text(&new.cells.join(" ")));
        changed("place", text(&old.place), text(&new.place));
        changed("position", optional(&old.position), optional(&new.position));
        let silence = |device: &Device| {
            device.silent_after.map_or("(rule)".into(), |after| format!("{} s", after.as_secs_f64()))
        };
        changed("silent_after", silence(old), silence(new));
        if let Some([before, after]) = moved {
            changed("plan", before, after);
        }
        if old.retired && !new.retired {
            changed("retired", "yes".into(), "no".into());
        }
        self.diff.change("device", &new.id, &changes, old.retired, new.retired);
    }

    fn check_addresses(&mut self, rows: &[DeviceRow]) {
        let spots: HashMap<&str, Spot> = rows
            .iter()
            .map(|row| (row.id.value.as_str(), row.address.as_ref().map_or(row.id.at, |address| address.at)))
            .collect();
        let mut owners: HashMap<&str, &str> = HashMap::new();
        let mut wrong = Vec::new();
        for device in self.rows.devices.iter().filter(|device| !device.retired) {
            let Some(other) = owners.insert(&device.address, &device.id) else { continue };
            if let Some(&at) = spots.get(device.id.as_str()).or_else(|| spots.get(other)) {
                wrong.push((at, format!("the devices `{other}` and `{}` have the same address `{}`; every device needs its own", device.id, device.address)));
            }
        }
        wrong.into_iter().for_each(|(at, message)| self.wrong(at, message));
    }
}
