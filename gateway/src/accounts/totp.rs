//! One-time codes of an authenticator app: TOTP (RFC 6238) with SHA-1, 30 seconds and six digits, which is what every app can.
//!
//! Pure. A code is taken from the step before to the step after, and none twice.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::units::Timestamp;

const STEP_S: u64 = 30;
/// Of the 160 bits that RFC 4226 §4 recommends.
pub const SECRET_BYTES: usize = 20;

pub fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.0 / 1000).unwrap_or(0) / STEP_S
}

/// What the app shows (RFC 4226 §5.3).
pub fn code(secret: &[u8], step: u64, digits: u32) -> u32 {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[at] & 0x7f, hash[at + 1], hash[at + 2], hash[at + 3]]);
    number % 10u32.pow(digits)
}

/// The step of a code that is right now and newer than `last_step`.
pub fn check(secret: &[u8], given: &str, now: Timestamp, last_step: u64) -> Option<u64> {
    let given = given.trim();
    if given.len() != 6 || !given.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let given: u32 = given.parse().ok()?;
    let current = step_at(now);
    let mut found = None;
    for step in current.saturating_sub(1)..=current + 1 {
        let same = bool::from(code(secret, step, 6).ct_eq(&given));
        if same && last_step < step {
            found = Some(step);
        }
    }
    found
}

/// What the app scans. `secret` in base 32.
pub fn uri(account: &str, secret: &str) -> String {
    let account: String = account.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    });
    format!("otpauth://totp/Gridwarden:{account}?secret={secret}&issuer=Gridwarden")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    /// RFC 6238 appendix B, the rows of SHA-1.
    #[test]
    fn the_vectors_of_the_standard() {
        for (seconds, expected) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            let step = step_at(Timestamp(seconds * 1000));
            assert_eq!(code(SECRET, step, 8), expected, "{seconds}");
        }
    }

    #[test]
    fn a_code_holds_a_step_to_both_sides_and_once() {
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let (given, step) = ("287082", 1);
        assert_eq!(check(SECRET, given, at(59), 0), Some(step));
        assert_eq!(check(SECRET, " 287082 ", at(61), 0), Some(step), "a slow typist");
        assert_eq!(check(SECRET, given, at(29), 0), Some(step), "a phone that is fast");
        assert_eq!(check(SECRET, given, at(95), 0), None, "too old");
        assert_eq!(check(SECRET, given, at(59), step), None, "used before");
        for wrong in ["", "287083", "94287082", "+87082", "28708a"] {
            assert_eq!(check(SECRET, wrong, at(59), 0), None, "{wrong}");
        }
    }

    #[test]
    fn the_link_for_the_app() {
        assert_eq!(uri("王", "MZXW6"), "otpauth://totp/Gridwarden:%E7%8E%8B?secret=MZXW6&issuer=Gridwarden");
    }
}
