//! Hydrants and cameras by where they stand, so that a card asks those around and not those of the whole city.
//!
//! Pure, and made with the registry. What it finds is a little more than what is near: whoever asks measures himself.

use std::collections::HashMap;

use super::Device;
use super::locate::DEGREE_M;
use crate::model::{CellIx, DeviceIx, DeviceKind};

/// Side of a square in degrees; about 550 m from south to north.
const SQUARE_DEG: f64 = 0.005;
/// Near the poles a degree of longitude is nothing: there the search goes no further than from here.
const LATITUDE_MAX_DEG: f64 = 85.0;

#[derive(Debug, Default)]
pub struct Landmarks {
    by_cell: HashMap<CellIx, Vec<DeviceIx>>,
    /// Only those whose position is known.
    by_square: HashMap<(i32, i32), Vec<DeviceIx>>,
}

impl Landmarks {
    /// `homes`: the cell of each device.
    pub fn new(devices: &[Device], homes: &[Option<CellIx>]) -> Self {
        let mut landmarks = Self::default();
        for device in devices.iter().filter(|device| is_landmark(device)) {
            if let Some([lon, lat]) = device.position {
                landmarks.by_square.entry((square(lon), square(lat))).or_default().push(device.ix);
            }
            if let Some(cell) = homes.get(device.ix.at()).copied().flatten() {
                landmarks.by_cell.entry(cell).or_default().push(device.ix);
            }
        }
        landmarks
    }

    pub fn in_cell(&self, cell: CellIx) -> impl Iterator<Item = DeviceIx> + '_ {
        self.by_cell.get(&cell).into_iter().flatten().copied()
    }

    /// At least all with a position within so many metres.
    pub fn around(&self, [lon, lat]: [f64; 2], metres: f64) -> impl Iterator<Item = DeviceIx> + '_ {
        let high = metres / DEGREE_M;
        let wide = high / lat.abs().min(LATITUDE_MAX_DEG).to_radians().cos();
        let columns = square(lon - wide)..=square(lon + wide);
        let rows = square(lat - high)..=square(lat + high);
        let squares = columns.flat_map(move |column| rows.clone().map(move |row| (column, row)));
        squares.filter_map(|square| self.by_square.get(&square)).flatten().copied()
    }
}

fn is_landmark(device: &Device) -> bool {
    let kind = matches!(device.kind, DeviceKind::Hydrant | DeviceKind::Camera | DeviceKind::AccessCamera);
    kind && !device.retired
}

fn square(degrees: f64) -> i32 {
    (degrees / SQUARE_DEG).floor() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hydrant(number: u32, position: Option<[f64; 2]>) -> Device {
        let bare = Device::bare(DeviceIx(number), DeviceKind::Hydrant, format!("H-{number}"));
        Device { position, retired: number == 0, ..bare }
    }

    proptest! {
        #[test]
        fn none_that_is_near_is_left_out(
            lat in -85.0..85.0f64,
            steps in prop::collection::vec((-0.02..0.02f64, -0.02..0.02f64), 1..40),
        ) {
            let here = [118.9, lat];
            let stretch = 1.0 / lat.to_radians().cos();
            let devices: Vec<_> = steps
                .iter()
                .zip(0..)
                .map(|(&(east, north), number)| hydrant(number, Some([118.9 + east * stretch, lat + north])))
                .collect();
            let landmarks = Landmarks::new(&devices, &[]);
            let found: Vec<_> = landmarks.around(here, 500.0).collect();
            for (device, &(east, north)) in devices.iter().zip(&steps).skip(1) {
                let near = (east * DEGREE_M).hypot(north * DEGREE_M) <= 500.0;
                prop_assert!(!near || found.contains(&device.ix), "{device:?}");
            }
            prop_assert!(!found.contains(&DeviceIx(0)), "it is out of service");
        }
    }

    #[test]
    fn a_city_is_not_looked_through() {
        let devices: Vec<_> =
            (0..10_000).map(|n| hydrant(n, Some([118.0 + f64::from(n) * 0.01, 32.0]))).collect();
        let homes: Vec<_> = (0..10_000).map(|n| Some(CellIx(n / 10))).collect();
        let landmarks = Landmarks::new(&devices, &homes);
        assert!(landmarks.around([150.0, 32.0], 500.0).count() <= 3);
        assert_eq!(landmarks.in_cell(CellIx(7)).count(), 10);
    }
}
