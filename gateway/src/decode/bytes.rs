//! What several makers do to bytes: write them as text, and add a checksum. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// In small letters, without anything between.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two hexadecimal digits a byte, with any white space between.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2);
    digits.len().is_multiple_of(2).then(|| pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// CRC-16/MODBUS: polynomial 0x8005 reflected, from 0xFFFF.
pub fn crc16_modbus(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_has_two_digits_a_byte() {
        assert_eq!(from_hex("a5 5A\n01"), Some(vec![0xa5, 0x5a, 1]));
        assert_eq!(from_hex(""), Some(Vec::new()));
        assert_eq!(hex(&[0xa5, 0x5a, 1]), "a55a01");
        for odd in ["a55", "a5 5", "0x01", "烟"] {
            assert_eq!(from_hex(odd), None, "{odd}");
        }
    }

    /// The check value of the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        assert_eq!(crc16_modbus(b"123456789"), 0x4B37);
    }
}
