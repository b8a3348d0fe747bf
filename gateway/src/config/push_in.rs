//! `[[push_in]]`, the doors for what platforms and cameras push over HTTP.

use serde::Deserialize;
use serde_spanned::Spanned;

use super::{Secret, defaults};

/// A door for what a platform pushes over HTTP: `POST /in/<secret>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushIn {
    pub name: Spanned<String>,
    pub sender: crate::decode::push::Sender,
    /// The last part of the address; platforms send no token of ours.
    pub secret: Secret,
    /// 64, or 4,096 for cameras, which send pictures.
    pub max_kb: Option<Spanned<u32>>,
    /// Averaged; more is refused with 429, except what is urgent.
    #[serde(default = "defaults::push_in_per_s")]
    pub messages_per_s_max: Spanned<u32>,
}

impl PushIn {
    pub fn bytes_max(&self) -> usize {
        let usual = if self.sender.is_camera() { 4_096 } else { 64 };
        self.max_kb.as_ref().map_or(usual, |max| *max.get_ref()) as usize * 1024
    }
}
