//! From the head into chunks.
//!
//! Done in slices, each one short transaction, so that a fire never waits long for the writer. The cursor moves with the last slice; after a
//! crash in between the same points are sealed once more, which reading settles like any duplicate. A series with few points would
//! leave thousands of tiny chunks, so a new chunk swallows the newest ones as long as they are not much larger than itself: each point is rewritten a
//! few times at most, not with every sealing.

use rusqlite::{Connection, params};
use tokio::select;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::chunk::{POINTS_MAX, decode, encode};
use super::{CONSUMER, Dot, settle};
use crate::store::{Problem, Store, StoreError, int, journal, readers};
use crate::units::Steady;

/// A chunk with so many points is left alone.
const TARGET: usize = 360;
/// A chunk is swallowed while it has at most this many times the points of the new one.
const NOT_MUCH_LARGER: usize = 4;
/// Most series of one transaction.
const SLICE_SERIES: usize = 128;
const RETRY: Duration = Duration::from_secs(30);

/// What one series becomes.
pub(super) struct Sealed {
    series: u64,
    swallowed: Vec<i64>,
    chunks: Vec<Chunk>,
}

struct Chunk {
    first: i64,
    last: i64,
    points: usize,
    bytes: Vec<u8>,
}

impl Store {
    /// Seals whenever there is enough to seal. When the store fails it tries again later: nothing is lost, the journal has it.
    pub async fn keep_history(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut newest = self.newest();
        let mut failing = false;
        loop {
            select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                changed = newest.changed() => changed?,
            }
            match self.tend_history().await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "cannot seal the history; trying again");
                    }
                    failing = true;
                    select! {
                        () = stop.cancelled() => return Ok(()),
                        () = sleep(RETRY.mul_f64(1.0 + fastrand::f64() / 4.0)) => (),
                    }
                }
            }
        }
    }

    pub(in crate::store) async fn tend_history(&self) -> Result<(), StoreError> {
        loop {
            if self.shared.signals.head.should_seal() {
                self.seal().await?;
            }
            let store = self.clone();
            if !readers::blocking(move || store.catch_up()).await? {
                return Ok(());
            }
        }
    }

    /// Seals what the head holds now.
    pub async fn seal(&self) -> Result<(), StoreError> {
        let head = &self.shared.signals.head;
        let _only_one = head.sealer.lock().await;
        let Some(sealing) = head.begin_sealing() else { return Ok(()) };
        for slice in sealing.series.chunks(SLICE_SERIES) {
            let (store, slice) = (self.clone(), slice.to_vec());
            let sealed = readers::blocking(move || store.prepare_slice(&slice)).await?;
            let steady = sealing.steady;
            self.write(move |writing| store_slice(writing.connection, steady, sealed)).await?;
        }
        let upto = sealing.upto;
        self.write(move |writing| Ok(journal::set_cursor(writing.connection, CONSUMER, upto)?)).await?;
        head.end_sealing();
        Ok(())
    }

    pub(super) fn prepare_slice(&self, slice: &[u64]) -> Result<Vec<Sealed>, StoreError> {
        self.shared.readers.read_here(|connection| {
            let head = &self.shared.signals.head;
            slice.iter().map(|&series| prepare(connection, series, head.sealing_dots(series))).collect()
        })
    }
}

fn prepare(connection: &Connection, series: u64, new: Vec<Dot>) -> Result<Sealed, Problem> {
    let (swallowed, mut dots) = swallow(connection, series, new)?;
    settle(&mut dots);
    let chunks = dots.chunks(POINTS_MAX).filter_map(|part| {
        let (first, last) = (part.first()?.time, part.last()?.time);
        Some(Chunk { first, last, points: part.len(), bytes: encode(part) })
    });
    Ok(Sealed { series, swallowed, chunks: chunks.collect() })
}

/// The newest chunks as far as they are worth merging, and all their dots with the new ones in order of arrival.
fn swallow(connection: &Connection, series: u64, new: Vec<Dot>) -> Result<(Vec<i64>, Vec<Dot>), Problem> {
    let mut statement = connection
        .prepare_cached("SELECT id, points, bytes FROM chunks WHERE series = ?1 ORDER BY id DESC")?;
    let mut rows = statement.query([int(series)])?;
    let (mut swallowed, mut parts) = (Vec::new(), vec![new]);
    let mut points = parts[0].len();
    while let Some(row) = rows.next()? {
        let its_points = row.get::<_, u32>(1)? as usize;
        let is_small = its_points < TARGET && its_points <= points * NOT_MUCH_LARGER;
        if !is_small || points + its_points > POINTS_MAX {
            break;
        }
        // A damaged chunk stays where it is; reading it reports it.
        let Ok(dots) = decode(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?) else { break };
        points += its_points;
        swallowed.push(row.get(0)?);
        parts.push(dots);
    }
    parts.reverse();
    Ok((swallowed, parts.concat()))
}

pub(super) fn store_slice(
    connection: &Connection,
    steady: Steady,
    slice: Vec<Sealed>,
) -> Result<(), Problem> {
    for sealed in slice {
        for id in sealed.swallowed {
            connection.prepare_cached("DELETE FROM chunks WHERE id = ?1")?.execute([id])?;
        }
        for Chunk { first, last, points, bytes } in sealed.chunks {
            connection
                .prepare_cached(
                    "INSERT INTO chunks (series, first, last, points, steady, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![int(sealed.series), first, last, points as i64, int(steady.0), bytes])?;
        }
    }
    Ok(())
}
