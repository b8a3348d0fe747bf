//! A block: some thousand points of neighbouring series as bytes, and back. Pure.
//!
//! Layout: form (1 byte), number of points, the earliest time, then columns, each compressed by pco, and a checksum. Columns: for each series its distance
//! from the one before and its number of points; for each point its time and its value; then one bit a point "uncertain" when any is. The first time of a
//! series counts from the earliest of the block, the others from the one before. Values that are whole numbers in one of the journal's forms (`2345 / 100`)
//! are stored as these, the first of a series as it is and the others as the step from the one before: pco need not search then, and packs them
//! closer. What is not, such as a third, is left to pco as floats. Blocks outlive upgrades: a new layout gets a new form.

use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress_into};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::{Dot, Key, Point};
use crate::wire::journal::number::{Broken, FORMS_COUNT, Reader, float_of, put_signed, put_unsigned, whole};

/// The most points of one block.
pub const POINTS_MAX: usize = 4096;

/// Values as whole numbers: their form is the number. Above all of them: as floats.
const FLOATS: u8 = 0x40;
/// Added when the bits for "uncertain" follow.
const WITH_BITS: u8 = 0x80;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the block is damaged")]
pub struct Damaged;

impl From<Broken> for Damaged {
    fn from(_: Broken) -> Self {
        Damaged
    }
}

/// As it is stored.
#[derive(Debug)]
pub struct Block {
    pub first: Key,
    pub last: Key,
    pub bytes: Vec<u8>,
}

impl Block {
    /// At most [`POINTS_MAX`] points in order of series and time, none of them twice; `None` without any.
    pub fn of(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?.key(), points.last()?.key());
        Some(Self { first, last, bytes: encode(points) })
    }
}

fn encode(points: &[Point]) -> Vec<u8> {
    let any_uncertain = points.iter().any(|point| point.dot.uncertain);
    let form =
        (0..FORMS_COUNT).find(|&form| points.iter().all(|point| whole(point.dot.value, form).is_some()));
    let mark = form.map_or(FLOATS, |form| form as u8);
    let mut out = vec![if any_uncertain { mark | WITH_BITS } else { mark }];
    put_unsigned(&mut out, points.len() as u64);
    let earliest = points.iter().map(|point| point.dot.time).min().unwrap_or(0);
    put_signed(&mut out, earliest);

    let (mut distances, mut counts) = (Vec::new(), Vec::new());
    let mut times = Vec::with_capacity(points.len());
    let mut wholes = Vec::with_capacity(points.len());
    let mut series_before = 0;
    for series in points.chunk_by(|a, b| a.series == b.series) {
        distances.push(series[0].series - series_before);
        counts.push(series.len() as u32);
        series_before = series[0].series;
        let (mut time, mut value) = (earliest, 0);
        for Point { dot, .. } in series {
            times.push(dot.time.wrapping_sub(time) as u64);
            time = dot.time;
            if let Some(whole) = form.and_then(|form| whole(dot.value, form)) {
                wholes.push(whole - value); // Both are far from the ends of their type.
                value = whole;
            }
        }
    }
    put_unsigned(&mut out, distances.len() as u64);
    let plain = packing().with_mode_spec(ModeSpec::Classic).with_delta_spec(DeltaSpec::NoOp);
    put_column(&mut out, &distances, &plain);
    put_column(&mut out, &counts, &plain);
    put_column(&mut out, &times, &plain);
    if form.is_some() {
        put_column(&mut out, &wholes, &plain);
    } else {
        let values: Vec<f64> = points.iter().map(|point| point.dot.value).collect();
        put_column(&mut out, &values, &packing());
    }
    if any_uncertain {
        out.extend(points.chunks(8).map(|eight| {
            eight.iter().enumerate().fold(0u8, |bits, (at, point)| bits | u8::from(point.dot.uncertain) << at)
        }));
    }
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// How hard pco looks for the best bins. Its own 8 needs up to 2.3 times as long, for 0.2 to 1.6 % fewer bytes.
fn packing() -> ChunkConfig {
    ChunkConfig::default().with_compression_level(6)
}

fn put_column<T: Number>(out: &mut Vec<u8>, numbers: &[T], config: &ChunkConfig) {
    let bytes = simple_compress(numbers, config)
        .expect("the configuration is valid and writing into memory cannot fail");
    put_unsigned(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
}

/// All points of a block, or those of one series.
pub fn decode(bytes: &[u8], only: Option<u64>) -> Result<Vec<Point>, Damaged> {
    let (content, stored) = bytes.split_last_chunk::<4>().ok_or(Damaged)?;
    if crc32fast::hash(content) != u32::from_le_bytes(*stored) {
        return Err(Damaged);
    }
    let mut reader = Reader::new(content);
    let mark = reader.byte()?;
    let count = bounded(reader.unsigned()?)?;
    let earliest = reader.signed()?;
    let series_count = bounded(reader.unsigned()?)?;
    let distances: Vec<u64> = column(&mut reader, series_count)?;
    let counts: Vec<u32> = column(&mut reader, series_count)?;
    if counts.iter().map(|&count| u64::from(count)).sum::<u64>() != count as u64 {
        return Err(Damaged);
    }
    let times: Vec<u64> = column(&mut reader, count)?;
    let values = match mark & !WITH_BITS {
        FLOATS => Values::Floats(column(&mut reader, count)?),
        form => Values::Wholes { form: usize::from(form), steps: column(&mut reader, count)? },
    };
    let bits = if mark & WITH_BITS == 0 { &[] } else { reader.bytes(count.div_ceil(8) as u64)? };

    let mut points = Vec::with_capacity(if only.is_none() { count } else { 0 });
    let (mut series, mut begin) = (0u64, 0);
    for (distance, its_count) in distances.into_iter().zip(counts) {
        series = series.checked_add(distance).ok_or(Damaged)?;
        let end = begin + its_count as usize;
        if only.is_none_or(|only| only == series) {
            let (mut time, mut whole) = (earliest, 0i64);
            for at in begin..end {
                time = time.wrapping_add(times[at] as i64);
                let value = match &values {
                    Values::Floats(values) => values[at],
                    Values::Wholes { form, steps } => {
                        whole = whole.wrapping_add(steps[at]);
                        float_of(whole, *form).ok_or(Damaged)?
                    }
                };
                let uncertain = bits.get(at / 8).is_some_and(|eight| eight >> (at % 8) & 1 == 1);
                points.push(Point { series, dot: Dot { time, value, uncertain } });
            }
        }
        begin = end;
    }
    Ok(points)
}

enum Values {
    Floats(Vec<f64>),
    Wholes { form: usize, steps: Vec<i64> },
}

fn bounded(count: u64) -> Result<usize, Damaged> {
    usize::try_from(count).ok().filter(|&count| count <= POINTS_MAX).ok_or(Damaged)
}

fn column<T: Number + Default>(reader: &mut Reader<'_>, count: usize) -> Result<Vec<T>, Damaged> {
    let mut numbers = vec![T::default(); count];
    let length = reader.unsigned()?;
    let progress = simple_decompress_into(reader.bytes(length)?, &mut numbers).map_err(|_| Damaged)?;
    if progress.n_processed == numbers.len() { Ok(numbers) } else { Err(Damaged) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn points() -> impl Strategy<Value = Vec<Point>> {
        let value = prop_oneof![
            (-9999i64..9999).prop_map(|n| n as f64 / 100.0),
            (-9999i64..9999).prop_map(|n| n as f64 * 0.1),
            Just(1.0),
            Just(-0.0),
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
        ];
        let hundredths = (-9999i64..9999).prop_map(|n| n as f64 / 100.0);
        // Whole blocks of decimals too, or there would hardly ever be one.
        prop_oneof![several(value.boxed()), several(hundredths.boxed())]
    }

    fn several(value: BoxedStrategy<f64>) -> impl Strategy<Value = Vec<Point>> {
        let series = prop_oneof![0u64..5, any::<u32>().prop_map(|n| 15 << 32 | u64::from(n)), 0..u64::MAX];
        let time = prop_oneof![1_795_000_000_000i64..1_795_100_000_000, any::<i64>()];
        let dot = (value, prop::bool::weighted(0.1));
        proptest::collection::btree_map((series, time), dot, 1..300).prop_map(
            |points: BTreeMap<(u64, i64), (f64, bool)>| {
                let point = |((series, time), (value, uncertain))| Point {
                    series,
                    dot: Dot { time, value, uncertain },
                };
                points.into_iter().map(point).collect()
            },
        )
    }

    proptest! {
        #[test]
        fn every_block_survives(points in points(), which: prop::sample::Index) {
            let block = Block::of(&points).expect("there are points");
            prop_assert_eq!((block.first, block.last), (points[0].key(), points[points.len() - 1].key()));
            let series = points[which.index(points.len())].series;
            let its: Vec<Point> = points.iter().filter(|point| point.series == series).copied().collect();
            prop_assert_eq!(decode(&block.bytes, Some(series)), Ok(its));
            prop_assert_eq!(decode(&block.bytes, None), Ok(points));
        }

        #[test]
        fn one_flipped_bit_is_noticed(points in points(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode(&points);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(decode(&bytes, None), Err(Damaged));
        }

        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, mark: u8, count in 0u64..5000, series in 0u64..5000) {
            let mut content = vec![mark];
            put_unsigned(&mut content, count);
            put_signed(&mut content, 0);
            put_unsigned(&mut content, series);
            content.append(&mut bytes);
            content.extend_from_slice(&crc32fast::hash(&content).to_le_bytes());
            let _ = decode(&content, None);
        }

        /// Whole columns with a wrong number in one of them, as only a fault of ours could write them.
        #[test]
        fn no_numbers_panic(points in points(), at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&points);
            bytes.truncate(bytes.len() - 4);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            let _ = decode(&bytes, None);
        }
    }

    /// `each` points a series, ten seconds apart with jitter, moving by hundredths.
    fn usual(each: usize) -> Vec<Point> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut points = Vec::with_capacity(POINTS_MAX);
        for device in 0.. {
            let (mut tick, mut value) = (1_795_000_000_000, 2000);
            for _ in 0..each.min(POINTS_MAX - points.len()) {
                tick += 10_000;
                value += random.i64(-2..=2);
                let dot =
                    Dot { time: tick - random.i64(0..200), value: value as f64 / 100.0, uncertain: false };
                points.push(Point { series: 15 << 32 | device, dot });
            }
            if points.len() == POINTS_MAX {
                break;
            }
        }
        points
    }

    #[test]
    fn decimals_take_less_than_a_byte_and_a_half() {
        for each in [4096, 500, 131] {
            let bytes = encode(&usual(each)).len() as f64 / POINTS_MAX as f64;
            assert!(bytes < 1.55, "{bytes} bytes per point, {each} points a series");
        }
    }
}
