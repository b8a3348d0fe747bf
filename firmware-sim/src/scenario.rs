//! Scenarios: what happens to which devices when, as TOML.
//!
//! A scenario names roles, not devices: the cast is chosen from the neighbourhood by the run's seed, so that one file plays in every
//! neighbourhood. The built-in ones stand in `scenarios/`; a file of your own works as well.

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::device::dice;
use crate::faults::Act;
use crate::neighbourhood::Row;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// One sentence for the list.
    pub about: String,
    pub cast: Vec<Role>,
    #[serde(rename = "cue")]
    pub cues: Vec<Cue>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    pub role: String,
    /// Device kinds that can play it.
    pub kinds: Vec<String>,
    /// Only devices whose address begins so, such as `native`.
    pub speaks: Option<String>,
    /// The one that stands nearest to the device with this role.
    pub near: Option<String>,
    /// This very device (id), when the neighbourhood has it.
    pub device: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cue {
    /// Seconds since the scenario began.
    pub at_s: f64,
    pub role: String,
    pub act: Act,
    /// What is printed; `{device}` and `{place}` are filled in.
    pub say: String,
}

/// One cue with its device found: its row in the neighbourhood.
#[derive(Clone, Debug, PartialEq)]
pub struct Cued {
    pub at_ms: i64,
    pub row: usize,
    pub act: Act,
    pub say: String,
}

const BUILT_IN: [&str; 8] = [
    include_str!("../scenarios/kitchen-fire.toml"),
    include_str!("../scenarios/burst-main.toml"),
    include_str!("../scenarios/dead-battery.toml"),
    include_str!("../scenarios/chattering-contact.toml"),
    include_str!("../scenarios/tampering.toml"),
    include_str!("../scenarios/clock-skew.toml"),
    include_str!("../scenarios/network-blip.toml"),
    include_str!("../scenarios/test-button.toml"),
];

/// The scenarios that come with the simulator.
pub fn built_in() -> anyhow::Result<Vec<Scenario>> {
    BUILT_IN.into_iter().map(parse).collect()
}

/// A built-in scenario by name, else the TOML file with that path.
pub fn find(name: &str) -> anyhow::Result<Scenario> {
    let known = built_in()?;
    if let Some(scenario) = known.iter().find(|scenario| scenario.name == name) {
        return Ok(scenario.clone());
    }
    if !name.ends_with(".toml") {
        let names: Vec<_> = known.iter().map(|scenario| scenario.name.as_str()).collect();
        bail!("there is no scenario `{name}`; give a .toml file or one of {}", names.join(", "));
    }
    let text = std::fs::read_to_string(name).with_context(|| format!("cannot read the scenario {name}"))?;
    parse(&text).with_context(|| format!("in {name}"))
}

pub fn parse(text: &str) -> anyhow::Result<Scenario> {
    Ok(toml::from_str(text)?)
}

impl Scenario {
    /// Finds a device for every role.
    pub fn cast(&self, rows: &[Row], seed: u64) -> anyhow::Result<Vec<Cued>> {
        let mut cast: Vec<(&str, usize)> = Vec::new();
        for role in &self.cast {
            let fits = |at: &usize| {
                let row = &rows[*at];
                role.kinds.contains(&row.kind)
                    && role.speaks.as_deref().is_none_or(|family| row.family().0 == family)
                    && cast.iter().all(|(_, taken)| taken != at)
            };
            let mut fitting: Vec<usize> = (0..rows.len()).filter(fits).collect();
            if let Some(id) = &role.device {
                let named: Vec<usize> = fitting.iter().copied().filter(|at| rows[*at].id == *id).collect();
                if !named.is_empty() {
                    fitting = named;
                }
            }
            let Some(chosen) = (match &role.near {
                None => dice(seed, &format!("{}/{}", self.name, role.role)).choice(fitting),
                Some(near) => {
                    let Some((_, other)) = cast.iter().find(|(known, _)| known == near) else {
                        bail!(
                            "scenario `{}`: role `{}` is near `{near}`, which is not cast before it",
                            self.name,
                            role.role
                        );
                    };
                    fitting
                        .into_iter()
                        .min_by(|one, two| far(rows, *other, *one).total_cmp(&far(rows, *other, *two)))
                }
            }) else {
                bail!(
                    "scenario `{}` needs a device for `{}` of kind {}{}; the neighbourhood has no (more) such device",
                    self.name,
                    role.role,
                    role.kinds.join(" or "),
                    role.speaks
                        .as_ref()
                        .map_or(String::new(), |family| format!(" with an address `{family}:…`")),
                );
            };
            cast.push((&role.role, chosen));
        }
        let mut cues = Vec::new();
        for cue in &self.cues {
            let Some((_, row)) = cast.iter().find(|(role, _)| *role == cue.role) else {
                bail!("scenario `{}`: nobody is cast as `{}`", self.name, cue.role);
            };
            let say = cue.say.replace("{device}", &rows[*row].id).replace("{place}", &rows[*row].place);
            cues.push(Cued { at_ms: (cue.at_s * 1000.0) as i64, row: *row, act: cue.act, say });
        }
        cues.sort_by_key(|cue| cue.at_ms);
        Ok(cues)
    }
}

/// How far two devices stand apart, in degrees of latitude; without positions the same cell is near and so is the next line.
fn far(rows: &[Row], one: usize, other: usize) -> f64 {
    match (rows[one].position, rows[other].position) {
        (Some([lon, lat]), Some([other_lon, other_lat])) => {
            let east = (lon - other_lon) * lat.to_radians().cos();
            // Flats one above the other share a position: the nearer line wins.
            east.hypot(lat - other_lat) + 1e-9 * one.abs_diff(other) as f64
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => {
            let elsewhere = if rows[one].cell == rows[other].cell { 0.0 } else { 1_000.0 };
            elsewhere + one.abs_diff(other) as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, kind: &str, address: &str, position: Option<[f64; 2]>) -> Row {
        Row { id: id.into(), kind: kind.into(), address: address.into(), position, ..Row::default() }
    }

    fn street() -> Vec<Row> {
        let mut rows: Vec<_> = (0..12)
            .map(|n| {
                let family = if n % 3 == 0 { "z2m:zigbee2mqtt/" } else { "native:" };
                let id = format!("SD-{n}");
                row(
                    &id,
                    "smoke_detector",
                    &format!("{family}{id}"),
                    Some([118.9 + 0.001 * f64::from(n), 32.1]),
                )
            })
            .collect();
        rows.extend((1..4).map(|n| row(&format!("HY-{n}"), "hydrant", &format!("modbus:east/{n}"), None)));
        rows.push(row("CAM-1", "access_camera", "frigate:gate", None));
        rows
    }

    #[test]
    fn every_built_in_scenario_finds_its_cast_and_says_what_it_does() {
        let scenarios = built_in().unwrap();
        for scenario in &scenarios {
            let cues = scenario.cast(&street(), 1).unwrap();
            assert!(!cues.is_empty() && !scenario.about.is_empty(), "{}", scenario.name);
            for cue in cues {
                assert!(!cue.say.contains('{') && !cue.say.is_empty(), "{}: {}", scenario.name, cue.say);
            }
        }
        let names: std::collections::BTreeSet<_> = scenarios.iter().map(|scenario| &scenario.name).collect();
        assert_eq!(names.len(), BUILT_IN.len(), "every name once");
    }

    #[test]
    fn the_seed_chooses_and_near_is_near() {
        let fire = find("kitchen-fire").unwrap();
        let rows = street();
        let cast = |seed| {
            let cues = fire.cast(&rows, seed).unwrap();
            let first = cues[0].row;
            let second = cues.iter().map(|cue| cue.row).find(|row| *row != first).expect("two flats burn");
            (first, second)
        };
        assert_eq!(cast(1), cast(1));
        let casts: std::collections::BTreeSet<_> = (0..30).map(cast).collect();
        assert!(3 < casts.len(), "another seed, another flat: {casts:?}");
        assert!(casts.iter().all(|(first, second)| first.abs_diff(*second) == 1), "next door: {casts:?}");
    }

    #[test]
    fn says_what_is_missing() {
        let error = find("burst-main").unwrap().cast(&street()[..3], 1).unwrap_err().to_string();
        assert!(error.contains("hydrant"), "{error}");
        let error = find("earthquake").unwrap_err().to_string();
        assert!(error.contains("kitchen-fire"), "{error}");
    }
}
