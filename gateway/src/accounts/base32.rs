//! Base 32 (RFC 4648 §6) without padding: secrets that can be read aloud, typed, and put into a link or an authenticator app.

const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub fn encode(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::new(), 0u32, 0);
    let mut put = |five: u32| text.push(char::from(LETTERS[(five & 31) as usize]));
    for byte in bytes {
        (held, bits) = (held << 8 | u32::from(*byte), bits + 8);
        while 5 <= bits {
            bits -= 5;
            put(held >> bits);
        }
        held &= (1 << bits) - 1;
    }
    if 0 < bits {
        put(held << (5 - bits));
    }
    text
}

/// `None` for letters that are not of the alphabet; case, spaces and hyphens do not matter.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text.bytes().filter(|letter| !matches!(letter, b' ' | b'-' | b'=')) {
        let five = LETTERS.iter().position(|one| *one == letter.to_ascii_uppercase())?;
        (held, bits) = (held << 5 | five as u32, bits + 5);
        if 8 <= bits {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
        held &= (1 << bits) - 1;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10, without the padding.
    #[test]
    fn the_vectors_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(decode("mzxw-6ytb oi===").as_deref(), Some(&b"foobar"[..]));
        assert_eq!(decode("M1"), None);
    }
}
