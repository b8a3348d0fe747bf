//! When a camera is tried again after its events ended, and what is said of it: once until it is heard, and after a wrong password not for [`LOCKED_FOR`].

use std::time::Duration;

use crate::engine::backoff::Backoff;
use crate::health::Check;

/// Cameras lock an account for up to half an hour.
const LOCKED_FOR: Duration = Duration::from_secs(1_800);

#[derive(Default)]
pub struct Tries {
    backoff: Backoff,
    told: bool,
}

impl Tries {
    /// How long to wait. `heard`: its events were heard before they ended.
    pub fn ended(
        &mut self,
        camera: &str,
        reason: &impl std::fmt::Display,
        wrong_password: bool,
        heard: bool,
        check: &Check,
    ) -> Duration {
        metrics::counter!("gridwarden_camera_reconnects_total", "camera" => camera.to_owned()).increment(1);
        check.wrong(reason.to_string());
        if heard {
            *self = Self::default();
        }
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(camera, %reason, "the events of a camera are not heard; trying again until they are");
        }
        if wrong_password { LOCKED_FOR } else { self.backoff.failed(fastrand::f64()).as_duration() }
    }
}
