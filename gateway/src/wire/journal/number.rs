//! Small numbers in few bytes: variable-length integers, and floats that are a decimal or a scaled count.
//!
//! Exact: what is read is what was written, bit by bit. A float costs one to four bytes when it is a whole number or has up to three
//! decimals, either divided (`2345 / 100`, what a text such as `23.45` parses to) or multiplied (`2345 × 0.01`, what a scaled register gives);
//! else nine.

/// What is left of the bytes to read. Every read may fail; none allocates.
pub struct Reader<'a> {
    left: &'a [u8],
}

/// The bytes end too early or cannot be what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

pub fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, fold(value));
}

/// Signed to unsigned so that small numbers of either sign stay small.
fn fold(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unfold(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Marks the raw bits of a float; smaller marks are places in [`FORMS`].
const RAW: u64 = 7;
/// A whole number stays exact in a float below this.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// How a whole number becomes the float. Stored by place: never reordered.
const FORMS: [fn(f64) -> f64; 7] = [
    |whole| whole,
    |whole| whole / 10.0,
    |whole| whole / 100.0,
    |whole| whole / 1000.0,
    |whole| whole * 0.1,
    |whole| whole * 0.01,
    |whole| whole * 0.001,
];
/// What to multiply a float by to find its whole number under each form.
const BACK: [f64; 7] = [1.0, 10.0, 100.0, 1000.0, 10.0, 100.0, 1000.0];

/// How many forms there are.
pub const FORMS_COUNT: usize = FORMS.len();

/// The whole number that becomes exactly this float in this form, if there is one.
pub fn whole(value: f64, form: usize) -> Option<i64> {
    exact(value, *FORMS.get(form)?, *BACK.get(form)?)
}

/// The float that a whole number becomes in this form, if there is such a form.
pub fn float_of(whole: i64, form: usize) -> Option<f64> {
    FORMS.get(form).map(|form| form(whole as f64))
}

#[inline(always)]
fn exact(value: f64, form: fn(f64) -> f64, back: f64) -> Option<i64> {
    let scaled = value * back;
    // The nearest whole number. `round` is a call into the C library for processors without SSE4.1.
    let whole = (scaled + 0.5_f64.copysign(scaled)) as i64;
    // The comparison is false for NaN, and the bits differ for the negative zero: both have no whole number.
    (scaled.abs() < WHOLE_MAX && form(whole as f64).to_bits() == value.to_bits()).then_some(whole)
}

pub fn put_float(out: &mut Vec<u8>, value: f64) {
    for (mark, (form, back)) in FORMS.iter().zip(BACK).enumerate() {
        if let Some(whole) = exact(value, *form, back) {
            return put_unsigned(out, fold(whole) << 3 | mark as u64);
        }
    }
    put_unsigned(out, RAW);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8, Broken> {
        let (&byte, left) = self.left.split_first().ok_or(Broken)?;
        self.left = left;
        Ok(byte)
    }

    pub fn bytes(&mut self, count: u64) -> Result<&'a [u8], Broken> {
        let count = usize::try_from(count).map_err(|_| Broken)?;
        let (taken, left) = self.left.split_at_checked(count).ok_or(Broken)?;
        self.left = left;
        Ok(taken)
    }

    pub fn unsigned(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(Broken);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    pub fn signed(&mut self) -> Result<i64, Broken> {
        self.unsigned().map(unfold)
    }

    pub fn float(&mut self) -> Result<f64, Broken> {
        let coded = self.unsigned()?;
        match FORMS.get((coded & 7) as usize) {
            Some(form) => Ok(form(unfold(coded >> 3) as f64)),
            None => {
                let bits = self.bytes(8)?.try_into().map_err(|_| Broken)?;
                Ok(f64::from_bits(u64::from_le_bytes(bits)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float_bytes(value: f64) -> usize {
        let mut out = Vec::new();
        put_float(&mut out, value);
        let read = Reader::new(&out).float().expect("just written");
        assert_eq!(read.to_bits(), value.to_bits(), "{value}");
        out.len()
    }

    #[test]
    fn usual_values_are_short() {
        let sizes = [0.0, 1.0, -1.0, 23.45, 101.3, 351.27, 7.0 * 0.01, 23_451.0 * 0.1].map(float_bytes);
        assert_eq!(sizes, [1, 1, 1, 3, 2, 3, 1, 3]);
    }

    #[test]
    fn odd_floats_survive() {
        for value in [f64::NAN, f64::INFINITY, -0.0, f64::MIN_POSITIVE, f64::MAX, 1.0 / 3.0, 9.1e15] {
            float_bytes(value);
        }
    }

    proptest! {
        #[test]
        fn any_number_survives(bits: u64, whole: i64, count in -1_000_000i64..1_000_000, scale in 0usize..7) {
            float_bytes(f64::from_bits(bits));
            prop_assert!(float_bytes(FORMS[scale](count as f64)) <= 4);
            let mut out = Vec::new();
            put_signed(&mut out, whole);
            put_unsigned(&mut out, bits);
            let mut reader = Reader::new(&out);
            prop_assert_eq!((reader.signed(), reader.unsigned()), (Ok(whole), Ok(bits)));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn nothing_panics(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.float().is_ok() && reader.signed().is_ok() {}
        }
    }
}
