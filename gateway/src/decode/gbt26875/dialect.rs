//! How a maker departs from the standard, as data: `[[gbt26875.dialect]]` of station.toml.

use std::collections::BTreeMap;

use encoding_rs::{Encoding, GB18030, UTF_8};

use crate::config::gbt26875 as config;
use crate::config::gbt26875::Charset;
use crate::model::{Metric, Quality};
use crate::problem::instead;
use crate::units::Zone;
use crate::wire::gbt26875::Place;

/// Where the plan says nothing, the standard holds.
#[derive(Clone, Debug)]
pub struct Dialect {
    pub charset: &'static Encoding,
    /// In which zone its clock runs; `None`: the station's.
    pub clock: Option<Zone>,
    point_first: bool,
    /// By the number of table 6: the metric, and how much one step is in its unit.
    quantities: BTreeMap<u8, (Metric, f64)>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { charset: GB18030, clock: None, point_first: false, quantities: BTreeMap::new() }
    }
}

/// MPa in steps of 0.1: cannot tell 0.10 from 0.14, between which lies whether a hydrant is fit.
const COARSE_PRESSURE: u8 = 4;

impl Dialect {
    /// Table 6. Counts, times, and air have no metric.
    pub fn quantity(&self, number: u8) -> Option<(Metric, f64)> {
        self.quantities.get(&number).copied().or(match number {
            2 => Some((Metric::LEVEL, 0.01)),
            3 => Some((Metric::TEMPERATURE, 0.1)),
            COARSE_PRESSURE => Some((Metric::PRESSURE, 100.0)),
            5 => Some((Metric::PRESSURE, 0.1)),
            6 => Some((Metric::GAS_LEL, 0.1)),
            8 => Some((Metric::VOLTAGE, 0.1)),
            9 => Some((Metric::CURRENT, 100.0)),
            10 => Some((Metric::FLOW, 0.1)),
            _ => None,
        })
    }

    pub fn trust(&self, number: u8) -> Quality {
        let coarse = number == COARSE_PRESSURE && !self.quantities.contains_key(&number);
        if coarse { Quality::Uncertain } else { Quality::Good }
    }

    pub fn place(&self, place: Place) -> Place {
        match self.point_first {
            true => Place { zone: place.point, point: place.zone, ..place },
            false => place,
        }
    }
}

/// The problem's place in station.toml, and what to write instead.
pub fn compile(dialect: &config::Dialect) -> Result<Dialect, Vec<(std::ops::Range<usize>, String)>> {
    let mut problems = Vec::new();
    let clock = dialect.clock.as_ref().and_then(|name| {
        let zone = Zone::named(name.get_ref());
        if zone.is_none() {
            problems.push((
                name.span(),
                format!(
                    "there is no time zone `{}`; write a name such as UTC or Asia/Urumqi",
                    name.get_ref()
                ),
            ));
        }
        zone
    });
    let mut quantities = BTreeMap::new();
    for quantity in &dialect.quantities {
        let name = quantity.metric.get_ref();
        match Metric::from_name(name).filter(|metric| !metric.spec().flag) {
            Some(metric) => {
                quantities.insert(quantity.number, (metric, *quantity.step.get_ref()));
            }
            None => {
                let known: Vec<_> =
                    Metric::all().filter(|metric| !metric.spec().flag).map(Metric::name).collect();
                problems.push((
                    quantity.metric.span(),
                    format!("there is no metric `{name}` with a number; {}", instead(name, known)),
                ));
            }
        }
        if !quantity.step.get_ref().is_finite() || *quantity.step.get_ref() == 0.0 {
            problems.push((
                quantity.step.span(),
                "a step of nothing measures nothing; write how much one step is in the metric's unit".into(),
            ));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let charset = match dialect.text {
        Charset::Gb18030 => GB18030,
        Charset::Utf8 => UTF_8,
    };
    Ok(Dialect { charset, clock, point_first: dialect.point_first, quantities })
}
