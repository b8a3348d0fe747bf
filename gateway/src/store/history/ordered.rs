//! Many sorted pieces → one sorted sequence without repetitions. Pure: where the points of a piece come from is the caller's matter.
//!
//! Of points with the same series and time the one of the youngest piece is valid. A piece is loaded when its turn comes and forgotten when it is used
//! up, so only pieces that overlap are in memory together.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::{Key, Point};

/// Where points come from, the older sources first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A row of the form before blocks.
    Chunk(i64),
    Block {
        /// Place of its run among those that are merged.
        run: usize,
        id: i64,
    },
    /// What is not sealed yet.
    Head,
}

/// In order of series and time, none of them twice.
enum Points {
    /// Not loaded yet; its first point has this key or a greater one.
    Unread(Key),
    Read(std::vec::IntoIter<Point>),
}

struct Piece {
    source: Source,
    points: Points,
}

#[derive(Default)]
pub struct Ordered {
    /// The piece with the smallest key on top.
    pieces: BinaryHeap<Piece>,
    /// Valid unless a younger one with the same key follows.
    last: Option<Point>,
}

impl Ordered {
    /// A piece whose first point has this key or a greater one.
    pub fn add(&mut self, source: Source, not_before: Key) {
        self.pieces.push(Piece { source, points: Points::Unread(not_before) });
    }

    /// The next point; `load` gives all points of a source in order.
    pub fn next<E>(
        &mut self,
        load: &mut impl FnMut(Source) -> Result<Vec<Point>, E>,
    ) -> Result<Option<Point>, E> {
        while let Some(mut piece) = self.pieces.peek_mut() {
            let point = match &mut piece.points {
                Points::Unread(_) => {
                    let points = load(piece.source)?;
                    if points.is_empty() {
                        PeekMut::pop(piece);
                    } else {
                        piece.points = Points::Read(points.into_iter());
                    }
                    continue;
                }
                Points::Read(points) => {
                    let point = points.next();
                    if points.as_slice().is_empty() {
                        PeekMut::pop(piece);
                    }
                    point
                }
            };
            let Some(point) = point else { continue };
            if let Some(before) = self.last.replace(point)
                && before.key() != point.key()
            {
                return Ok(Some(before));
            }
        }
        Ok(self.last.take())
    }
}

impl Piece {
    fn key(&self) -> (Key, Source) {
        let key = match &self.points {
            Points::Unread(key) => *key,
            Points::Read(points) => points.as_slice().first().map_or((u64::MAX, i64::MAX), Point::key),
        };
        (key, self.source)
    }
}

impl Ord for Piece {
    /// Turned round: a heap has the greatest on top.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Piece {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Piece {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::store::history::Dot;

    type Run = BTreeMap<Key, i32>;

    fn points(run: &Run) -> Vec<Point> {
        let point = |(&(series, time), &value): (&Key, &i32)| Point {
            series,
            dot: Dot { time, value: f64::from(value), uncertain: false },
        };
        run.iter().map(point).collect()
    }

    proptest! {
        #[test]
        fn is_what_one_map_would_be(
            runs in proptest::collection::vec(proptest::collection::btree_map((0u64..4, 0i64..20), any::<i32>(), 0..40), 0..9),
            cut in 1usize..10,
            early in 0i64..5,
        ) {
            let mut ordered = Ordered::default();
            let mut blocks: Vec<Vec<Point>> = Vec::new();
            for (run, points) in runs.iter().map(points).enumerate() {
                for block in points.chunks(cut) {
                    let (series, time) = block[0].key();
                    ordered.add(Source::Block { run, id: blocks.len() as i64 }, (series, time - early));
                    blocks.push(block.to_vec());
                }
            }
            ordered.add(Source::Head, (0, 0));
            let mut loads = 0;
            let mut load = |source| {
                loads += 1;
                Ok::<_, Infallible>(match source {
                    Source::Block { id, .. } => blocks[id as usize].clone(),
                    Source::Head | Source::Chunk(_) => Vec::new(),
                })
            };
            let mut found = Vec::new();
            while let Ok(Some(point)) = ordered.next(&mut load) {
                found.push(point);
            }
            let mut all = Run::new();
            runs.into_iter().for_each(|run| all.extend(run));
            prop_assert_eq!(found, points(&all));
            prop_assert_eq!(loads, blocks.len() + 1, "each once");
        }
    }
}
