//! `[meokon]`, where wireless terminals of Meokon (铭控) report over TCP and UDP.

use serde::Deserialize;
use serde_spanned::Spanned;

use super::defaults;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meokon {
    /// One of these two, or both.
    pub tcp: Option<Spanned<String>>,
    pub udp: Option<Spanned<String>>,
    /// Networks from which terminals may come. The protocol proves nothing, so only this machine may without any.
    #[serde(default)]
    pub from: Vec<Spanned<String>>,
    #[serde(default = "defaults::meokon_connections")]
    pub max_connections: Spanned<u32>,
}
