//! The form of sealed points before blocks: some hundred points of one series. Read as long as the limit keeps them; nothing writes it any more.
//!
//! Layout: form (1 byte), number of points, then times and values, then one bit per point "uncertain" when any is, then a checksum. Many points are
//! compressed by pco, a few are written as small numbers. A later row is younger, and was sealed before any run.

use pco::standalone::simple_decompress_into;
use rusqlite::{Connection, params};

use super::block::Damaged;
use super::ordered::{Ordered, Source};
use super::{Dot, Point, settle};
use crate::model::{DeviceIx, Metric};
use crate::store::{Problem, int};
use crate::wire::journal::number::Reader;

/// Small numbers; pco.
const FEW: u8 = 1;
const MANY: u8 = 2;
/// Added to the form when the bits for "uncertain" follow.
const WITH_BITS: u8 = 0x80;
/// The most points of one chunk.
const POINTS_MAX: usize = 4096;

/// The number a series had here.
fn number(device: DeviceIx, metric: Metric) -> u64 {
    u64::from(device.0) << 16 | u64::from(metric.number())
}

/// Adds those with points of a time `from <= time < to`; `series` is its number now.
pub fn add_pieces(
    connection: &Connection,
    (device, metric): (DeviceIx, Metric),
    series: u64,
    (from, to): (i64, i64),
    ordered: &mut Ordered,
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT id, first FROM chunks WHERE series = ?1 AND last >= ?2 AND first < ?3")?;
    let mut rows = statement.query(params![int(number(device, metric)), from, to])?;
    while let Some(row) = rows.next()? {
        let first: i64 = row.get(1)?;
        ordered.add(Source::Chunk(row.get(0)?), (series, first.max(from)));
    }
    Ok(())
}

/// A damaged chunk counts as empty: the rest of the chart is still worth seeing.
pub fn load(connection: &Connection, id: i64, series: u64) -> Result<Vec<Point>, Problem> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM chunks WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(Vec::new()) };
    let dots = decode(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
    let dots = dots.unwrap_or_else(|damage| {
        metrics::counter!("gridwarden_history_damaged_total").increment(1);
        tracing::error!(chunk = id, %damage, "its points are missing in the chart");
        Vec::new()
    });
    let mut points: Vec<Point> = dots.into_iter().map(|dot| Point { series, dot }).collect();
    settle(&mut points);
    Ok(points)
}

fn decode(bytes: &[u8]) -> Result<Vec<Dot>, Damaged> {
    let (content, stored) = bytes.split_last_chunk::<4>().ok_or(Damaged)?;
    if crc32fast::hash(content) != u32::from_le_bytes(*stored) {
        return Err(Damaged);
    }
    let mut reader = Reader::new(content);
    let form = reader.byte()?;
    let count = reader.unsigned()?;
    let count = usize::try_from(count).ok().filter(|&count| count <= POINTS_MAX).ok_or(Damaged)?;
    let mut dots = match form & !WITH_BITS {
        FEW => few(&mut reader, count)?,
        MANY => many(&mut reader, count)?,
        _ => return Err(Damaged),
    };
    if form & WITH_BITS != 0 {
        for eight in dots.chunks_mut(8) {
            let bits = reader.byte()?;
            for (at, dot) in eight.iter_mut().enumerate() {
                dot.uncertain = bits >> at & 1 == 1;
            }
        }
    }
    Ok(dots)
}

fn few(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Dot>, Damaged> {
    let mut dots = Vec::with_capacity(count);
    let mut time = 0i64;
    for _ in 0..count {
        time = time.wrapping_add(reader.signed()?);
        dots.push(Dot { time, value: reader.float()?, uncertain: false });
    }
    Ok(dots)
}

fn many(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Dot>, Damaged> {
    let (mut times, mut values) = (vec![0i64; count], vec![0f64; count]);
    take_part(reader, &mut times)?;
    take_part(reader, &mut values)?;
    let dots = times.into_iter().zip(values);
    Ok(dots.map(|(time, value)| Dot { time, value, uncertain: false }).collect())
}

fn take_part<T: pco::data_types::Number>(reader: &mut Reader<'_>, numbers: &mut [T]) -> Result<(), Damaged> {
    let length = reader.unsigned()?;
    let progress = simple_decompress_into(reader.bytes(length)?, numbers).map_err(|_| Damaged)?;
    if progress.n_processed == numbers.len() { Ok(()) } else { Err(Damaged) }
}

#[cfg(test)]
pub mod tests {
    use pco::ChunkConfig;
    use pco::standalone::simple_compress;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::journal::number::{put_float, put_signed, put_unsigned};

    /// More points than this were compressed by pco.
    const FEW_MAX: usize = 32;

    /// As chunks were written.
    pub fn encode(dots: &[Dot]) -> Vec<u8> {
        let form = if dots.len() <= FEW_MAX { FEW } else { MANY };
        let any_uncertain = dots.iter().any(|dot| dot.uncertain);
        let mut out = vec![if any_uncertain { form | WITH_BITS } else { form }];
        put_unsigned(&mut out, dots.len() as u64);
        if form == FEW {
            let mut before = 0;
            for dot in dots {
                put_signed(&mut out, dot.time.wrapping_sub(before));
                put_float(&mut out, dot.value);
                before = dot.time;
            }
        } else {
            let times: Vec<i64> = dots.iter().map(|dot| dot.time).collect();
            let values: Vec<f64> = dots.iter().map(|dot| dot.value).collect();
            put_part(&mut out, &times);
            put_part(&mut out, &values);
        }
        if any_uncertain {
            out.extend(dots.chunks(8).map(|eight| {
                eight.iter().enumerate().fold(0u8, |bits, (at, dot)| bits | u8::from(dot.uncertain) << at)
            }));
        }
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    fn put_part<T: pco::data_types::Number>(out: &mut Vec<u8>, numbers: &[T]) {
        let bytes = simple_compress(numbers, &ChunkConfig::default())
            .expect("the default configuration is valid and writing into memory cannot fail");
        put_unsigned(out, bytes.len() as u64);
        out.extend_from_slice(&bytes);
    }

    fn dots() -> impl Strategy<Value = Vec<Dot>> {
        let value = prop_oneof![
            (-9999i64..9999).prop_map(|n| n as f64 / 100.0),
            Just(1.0),
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
        ];
        let time = prop_oneof![1_795_000_000_000i64..1_795_100_000_000, any::<i64>()];
        let dot = (time, value, prop::bool::weighted(0.1));
        proptest::collection::vec(
            dot.prop_map(|(time, value, uncertain)| Dot { time, value, uncertain }),
            0..300,
        )
    }

    proptest! {
        #[test]
        fn every_chunk_survives(dots in dots()) {
            prop_assert_eq!(decode(&encode(&dots)), Ok(dots));
        }

        #[test]
        fn one_flipped_bit_is_noticed(dots in dots(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode(&dots);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(decode(&bytes), Err(Damaged));
        }

        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, form in 1u8..3, count in 0u64..5000) {
            let mut content = vec![form];
            put_unsigned(&mut content, count);
            content.append(&mut bytes);
            content.extend_from_slice(&crc32fast::hash(&content).to_le_bytes());
            let _ = decode(&content);
        }
    }
}
