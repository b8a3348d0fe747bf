//! `[[camera]]`, whose events are asked for, `[[onvif]]`, whose events are pulled, and `[[camera_event]]`, what events mean here.

use serde::Deserialize;
use serde_spanned::Spanned;

use super::{Secret, defaults};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraMaker {
    /// `/ISAPI/Event/notification/alertStream`
    Hikvision,
    /// `/cgi-bin/eventManager.cgi?action=attach`
    Dahua,
}

/// How a user logs in where no token of ONVIF is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraLogin {
    /// By Digest, or not at all.
    #[default]
    Digest,
    /// Where a camera offers no Digest, by Basic, which shows the password to everybody on the line.
    Basic,
}

/// A camera, recorder or door station whose events are asked for. Its address is `hikvision:<name>` or `dahua:<name>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    pub name: Spanned<String>,
    pub maker: CameraMaker,
    /// Such as `http://10.0.0.64`.
    pub url: Spanned<String>,
    pub user: Spanned<String>,
    pub password: Secret,
    #[serde(default)]
    pub login: CameraLogin,
    /// Without any sign of life for so long the connection is made anew.
    #[serde(default = "defaults::camera_silent_s")]
    pub silent_s: Spanned<u32>,
    /// Ask for a picture when an event of safety comes without one.
    #[serde(default = "defaults::yes")]
    pub stills: bool,
}

/// A camera, recorder or door station whose ONVIF events are pulled. Its address is `onvif:<name>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Onvif {
    pub name: Spanned<String>,
    /// Such as `http://10.0.0.64`; with a path where the device service has another than `/onvif/device_service`.
    pub url: Spanned<String>,
    /// Of an ONVIF user.
    pub user: Spanned<String>,
    pub password: Secret,
    #[serde(default)]
    pub login: CameraLogin,
    /// Where the device shows what it sees now.
    pub snapshot_url: Option<Spanned<String>>,
}

/// A camera's event that means one of our flags.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraEvent {
    /// The maker's name for it, such as `fielddetection`.
    pub event: Spanned<String>,
    pub flag: Spanned<String>,
    /// Ids of the devices it holds for; all when left out.
    #[serde(default)]
    pub devices: Vec<Spanned<String>>,
}
