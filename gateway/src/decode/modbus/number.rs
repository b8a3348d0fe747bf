//! Registers → numbers: six types in four word orders.
//!
//! ABCD is what the Modbus specification says: the first register is the most significant, and so is the first byte in it. The other
//! three come from devices that reverse the registers (CDAB), the bytes within each register (BADC), or both (DCBA). For a number of four
//! registers the same two reversals apply.

use crate::config::{NumberType, WordOrder};

impl NumberType {
    /// Those that are numbers.
    pub const NUMBERS: [Self; 6] = [Self::U16, Self::I16, Self::U32, Self::I32, Self::F32, Self::F64];

    /// How many registers the number fills.
    pub const fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 | Self::Bit => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::F64 => 4,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Bit => "bit",
        }
    }
}

impl WordOrder {
    pub const ALL: [WordOrder; 4] = [Self::ABCD, Self::CDAB, Self::BADC, Self::DCBA];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ABCD => "ABCD",
            Self::CDAB => "CDAB",
            Self::BADC => "BADC",
            Self::DCBA => "DCBA",
        }
    }
}

/// The number that stands in the first registers of `words`; `None` when there are too few. It may be infinite or no number: that is the
/// caller's to judge. A `Bit` is read as the whole register.
pub fn number(words: &[u16], number_type: NumberType, order: WordOrder) -> Option<f64> {
    let words = words.get(..usize::from(number_type.registers()))?;
    let mut bits = 0u64;
    for at in 0..words.len() {
        let word = match order {
            WordOrder::ABCD => words[at],
            WordOrder::CDAB => words[words.len() - 1 - at],
            WordOrder::BADC => words[at].swap_bytes(),
            WordOrder::DCBA => words[words.len() - 1 - at].swap_bytes(),
        };
        bits = bits << 16 | u64::from(word);
    }
    Some(match number_type {
        NumberType::U16 | NumberType::Bit => f64::from(bits as u16),
        NumberType::I16 => f64::from(bits as u16 as i16),
        NumberType::U32 => f64::from(bits as u32),
        NumberType::I32 => f64::from(bits as u32 as i32),
        NumberType::F32 => f64::from(f32::from_bits(bits as u32)),
        NumberType::F64 => f64::from_bits(bits),
    })
}

/// A floating-point number this small but not zero is no measurement, it is one read in the wrong order. Rounding noise around zero is
/// many orders of magnitude larger.
pub fn is_suspiciously_small(number: f64, number_type: NumberType) -> bool {
    let float = match number_type {
        NumberType::F32 | NumberType::F64 => true,
        NumberType::U16 | NumberType::I16 | NumberType::U32 | NumberType::I32 | NumberType::Bit => false,
    };
    float && number != 0.0 && number.abs() < 1e-12
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.14 MPa and others in every order; the float32 rows are published vectors.
    #[test]
    fn every_type_in_every_order() {
        use NumberType::{F32, F64, I16, I32, U16, U32};
        use WordOrder::{ABCD, BADC, CDAB, DCBA};
        let pi = [0x4009, 0x21FB, 0x5444, 0x2D18];
        let reversed = [0x2D18, 0x5444, 0x21FB, 0x4009];
        for (words, number_type, order, expected) in [
            (&[0x3E0F, 0x5C29][..], F32, ABCD, f64::from(0.14f32)),
            (&[0x5C29, 0x3E0F], F32, CDAB, f64::from(0.14f32)),
            (&[0x0F3E, 0x295C], F32, BADC, f64::from(0.14f32)),
            (&[0x295C, 0x0F3E], F32, DCBA, f64::from(0.14f32)),
            (&[0x3DCC, 0xCCCD], F32, ABCD, f64::from(0.10f32)),
            (&[0x0001, 0x0002], U32, ABCD, 65_538.0),
            (&[0x0002, 0x0001], U32, CDAB, 65_538.0),
            (&[0x0100, 0x0200], U32, BADC, 65_538.0),
            (&[0x0200, 0x0100], U32, DCBA, 65_538.0),
            (&[0xFFFF, 0xFFFE], I32, ABCD, -2.0),
            (&[0xFEFF, 0xFFFF], I32, DCBA, -2.0),
            (&[0xFFFE], U16, ABCD, 65_534.0),
            (&[0xFFFE], I16, ABCD, -2.0),
            (&[0x3412], U16, BADC, 4_660.0),
            (&pi, F64, ABCD, std::f64::consts::PI),
            (&reversed, F64, CDAB, std::f64::consts::PI),
            (&pi.map(u16::swap_bytes), F64, BADC, std::f64::consts::PI),
            (&reversed.map(u16::swap_bytes), F64, DCBA, std::f64::consts::PI),
        ] {
            assert_eq!(
                number(words, number_type, order),
                Some(expected),
                "{words:x?} {number_type:?} {order:?}"
            );
        }
    }

    #[test]
    fn too_few_registers_are_no_number() {
        assert_eq!(number(&[1], NumberType::F32, WordOrder::ABCD), None);
        assert_eq!(number(&[], NumberType::U16, WordOrder::ABCD), None);
    }

    #[test]
    fn a_float_in_the_wrong_order_can_be_seen() {
        for order in [WordOrder::CDAB, WordOrder::BADC, WordOrder::DCBA] {
            let wrong = number(&[0x3E0F, 0x5C29], NumberType::F32, order).expect("two registers");
            assert!(
                is_suspiciously_small(wrong, NumberType::F32) || wrong.abs() > 1e7,
                "{order:?} gives {wrong}"
            );
        }
        assert!(!is_suspiciously_small(2.98e-8, NumberType::F32), "rounding noise");
        assert!(!is_suspiciously_small(0.0, NumberType::F32));
    }
}
