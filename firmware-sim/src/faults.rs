//! What can be wrong with a detector, and what can be done to it.
//!
//! A device carries one [`Faults`]; several may hold at once. Faults of the network belong to the connection, not to the device: see `town.rs`.

use serde::Deserialize;

/// What a scenario, or a test, can do to one device.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Smoke, heat or gas reaches the detector; somebody presses the call point.
    Fire,
    /// The air is clear again.
    FireOut,
    /// Somebody holds the test button.
    TestButton,
    /// The battery falls to this level.
    Battery { percent: f64 },
    /// The tamper contact opens and closes at this rate.
    Chatter { every_s: f64 },
    /// Somebody takes it off its base.
    Tamper,
    /// The device's clock goes wrong by so much; negative is behind.
    ClockSkew { seconds: f64 },
    /// It says nothing any more, while its connection stands.
    Silence,
    /// Its connection breaks without a farewell and comes back after a while; what it wanted to send is sent then.
    Blip { seconds: f64 },
    /// The main at a hydrant breaks.
    Burst { residual_kpa: f64 },
    /// Everything that was done to it is put right.
    Repair,
}

/// What is wrong with a detector right now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    pub tampered: bool,
    pub silent: bool,
    pub clock_skew_ms: i64,
    /// Period of the chattering contact, and when it changes next.
    pub chatter: Option<Chatter>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chatter {
    pub every_ms: i64,
    pub next_ms: i64,
}

impl Faults {
    /// Advances the chattering contact; whether it changed.
    pub fn step(&mut self, now_ms: i64) -> bool {
        let Some(chatter) = &mut self.chatter else { return false };
        if now_ms < chatter.next_ms {
            return false;
        }
        chatter.next_ms = now_ms + chatter.every_ms;
        self.tampered = !self.tampered;
        true
    }

    pub fn wake_at(&self) -> Option<i64> {
        self.chatter.map(|chatter| chatter.next_ms)
    }
}
