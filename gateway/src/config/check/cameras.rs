//! Cameras that are asked, and what their events mean.

use std::collections::BTreeSet;
use std::path::Path;

use serde_spanned::Spanned;

use super::super::shape::Page;
use super::station::url;
use super::{names, range, secrets};
use crate::config::{CameraLogin, Config};
use crate::model::Metric;

pub fn check(page: &mut Page<'_>, config: &Config, folder: &Path) {
    names(page, "camera", config.cameras.iter().map(|camera| &camera.name));
    for (i, camera) in config.cameras.iter().enumerate() {
        url(page, &camera.url, "http://10.0.0.64");
        user(page, &camera.user);
        secrets::check(page, folder, &format!("camera.{i}.password"), &camera.password, 1);
        shown(page, camera.login, &camera.url);
        range(page, "silent_s", &camera.silent_s, 15..=3_600);
    }
    names(page, "onvif", config.onvif.iter().map(|device| &device.name));
    for (i, device) in config.onvif.iter().enumerate() {
        url(page, &device.url, "http://10.0.0.64");
        user(page, &device.user);
        secrets::check(page, folder, &format!("onvif.{i}.password"), &device.password, 1);
        shown(page, device.login, &device.url);
        if let Some(snapshot) = &device.snapshot_url {
            shown(page, device.login, snapshot);
            url(page, snapshot, "http://10.0.0.64/snapshot.jpg");
        }
    }
    let mut known = BTreeSet::new();
    for event in &config.camera_events {
        let name = event.event.get_ref().trim().to_lowercase();
        if name.is_empty() {
            let text = "this names no event; write the maker's name for it, such as `fielddetection` or `ParkingDetection`";
            page.wrong(event.event.span(), text);
        }
        match Metric::from_name(event.flag.get_ref()) {
            Some(metric) if metric.spec().flag => (),
            Some(_) | None => page.wrong(
                event.flag.span(),
                format!(
                    "`{}` is no flag that an event can set; write one such as `fire_lane_blocked`, `ebike_in_lift`, `smoke_seen`, `flame`, `crowd`, `door_forced` or `motion`",
                    event.flag.get_ref()
                ),
            ),
        }
        let all = (event.devices.is_empty()).then(String::new);
        let own = event.devices.iter().map(|id| id.get_ref().clone());
        for device in own.chain(all) {
            if !known.insert((name.clone(), device)) {
                let text = "this event means something else in a `[[camera_event]]` above, for the same cameras; leave one of the two";
                page.wrong(event.event.span(), text);
            }
        }
    }
}

/// Basic is a matter of who else is on the line.
fn shown(page: &mut Page<'_>, login: CameraLogin, url: &Spanned<String>) {
    if login == CameraLogin::Basic && !url.get_ref().starts_with("https:") {
        let text = "with `login = \"basic\"` everybody on the line to this camera can read its password; give it an account that may only look and that is used nowhere else, or reach it by https";
        page.warn(url.span(), text);
    }
}

fn user(page: &mut Page<'_>, user: &Spanned<String>) {
    if user.get_ref().trim().is_empty() || user.get_ref().contains(['"', ':', '\n', '\r']) {
        let text = "this is no user's name; write the one of an account in the camera that may only look, without quotes and colons";
        page.wrong(user.span(), text);
    }
}
