//! What one device of a load says: the same fields as the simulated devices, with values that move a little.

use std::fmt::Write as _;

use super::Says;
use crate::neighbourhood::Row;

/// A device that only says that all is well.
pub struct Speaker {
    topic: String,
    tongue: Tongue,
}

enum Tongue {
    NativeDetector,
    NativeHydrant,
    Zigbee2mqtt,
}

/// The wall clock as devices write it.
pub fn now() -> String {
    #[expect(clippy::disallowed_methods, reason = "a device's own clock")]
    let now = jiff::Timestamp::now();
    format!("{now:.3}")
}

impl Speaker {
    /// `None` for a device that does not speak MQTT for itself.
    pub fn of(row: &Row) -> Option<Self> {
        match row.family() {
            ("native", id) => {
                let tongue =
                    if row.kind == "hydrant" { Tongue::NativeHydrant } else { Tongue::NativeDetector };
                Some(Self { topic: format!("gridwarden/up/{id}"), tongue })
            }
            ("z2m", topic) => Some(Self { topic: topic.to_owned(), tongue: Tongue::Zigbee2mqtt }),
            _ => None,
        }
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn say(&self, text: &mut String, time: &str, says: Says, random: &mut fastrand::Rng) {
        let temperature = f64::from(random.u16(180..260)) / 10.0;
        let battery = random.u8(60..100);
        let (smoke, tamper) = (says == Says::Smoke, says == Says::TamperedWith);
        let written = match self.tongue {
            Tongue::NativeDetector => write!(
                text,
                "{{\"time\":\"{time}\",\"values\":{{\"battery\":{battery},\"battery_low\":false,\"rssi\":-{},\"smoke\":{smoke},\"tamper\":{tamper},\"temperature\":{temperature}}}}}",
                random.u8(40..100),
            ),
            Tongue::NativeHydrant => write!(
                text,
                "{{\"time\":\"{time}\",\"values\":{{\"pressure\":{},\"temperature\":{temperature}}}}}",
                f64::from(random.u16(2400..2900)) / 10.0,
            ),
            Tongue::Zigbee2mqtt => write!(
                text,
                "{{\"battery\":{battery},\"battery_low\":false,\"last_seen\":\"{time}\",\"linkquality\":{},\"smoke\":{smoke},\"tamper\":{tamper},\"temperature\":{temperature},\"test\":false,\"voltage\":{}}}",
                random.u8(40..180),
                random.u16(2800..3100),
            ),
        };
        written.expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tongue_speaks_json() {
        for address in ["native:SD-1", "z2m:zigbee2mqtt/hall", "native:HY-1"] {
            let kind = if address.ends_with("HY-1") { "hydrant" } else { "smoke_detector" };
            let row = Row { kind: kind.into(), address: address.into(), ..Row::default() };
            let mut text = String::new();
            Speaker::of(&row).unwrap().say(
                &mut text,
                &now(),
                Says::AllIsWell,
                &mut fastrand::Rng::with_seed(1),
            );
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object(), "{text}");
        }
        let camera = Row { address: "frigate:gate".into(), ..Row::default() };
        assert!(Speaker::of(&camera).is_none());
    }
}
