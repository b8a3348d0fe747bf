//! Doors for platforms: each with a name and a secret of its own.

use std::path::Path;

use super::super::shape::Page;
use super::station::TOKEN_LETTERS_MIN;
use super::{names, range, secrets};
use crate::config::Config;

pub fn check(page: &mut Page<'_>, config: &Config, folder: &Path) {
    names(page, "door", config.push_in.iter().map(|door| &door.name));
    let mut known = Vec::new();
    for (i, door) in config.push_in.iter().enumerate() {
        let at = format!("push_in.{i}.secret");
        secrets::check(page, folder, &at, &door.secret, TOKEN_LETTERS_MIN);
        if let Some(max_kb) = &door.max_kb {
            range(page, "max_kb", max_kb, 1..=16_384);
        }
        range(page, "messages_per_s_max", &door.messages_per_s_max, 1..=100_000);
        let Ok(secret) = door.secret.read(folder) else { continue };
        if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            page.wrong(page.at(&at), "the secret is part of an address and may hold letters, digits, `-` and `_` only; make one with `openssl rand -hex 32`");
        }
        if known.contains(&secret) {
            page.wrong(
                page.at(&at),
                "another `[[push_in]]` has the same secret, so its address would be this one's; make another",
            );
        }
        known.push(secret);
    }
}
