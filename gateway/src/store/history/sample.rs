//! Points in order of time → at most so many samples, in one pass.

use super::Dot;
use crate::units::Timestamp;

/// The points of one interval, or one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Time of the first point in it.
    pub time: Timestamp,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub last: f64,
    pub count: u32,
}

/// Keeps the points themselves as long as there are few enough, and the intervals beside them for when there are not.
pub struct Sampler {
    from: i64,
    width: i128,
    points_max: usize,
    points: Vec<Sample>,
    too_many: bool,
    intervals: Vec<Interval>,
}

struct Interval {
    number: i128,
    sample: Sample,
    sum: f64,
}

impl Sampler {
    pub fn new(from: i64, to: i64, points_max: u32) -> Self {
        let points_max = points_max.max(1);
        let length = i128::from(to) - i128::from(from);
        let width = (length + i128::from(points_max) - 1) / i128::from(points_max);
        Self {
            from,
            width: width.max(1),
            points_max: points_max as usize,
            points: Vec::new(),
            too_many: false,
            intervals: Vec::new(),
        }
    }

    /// `dot` is within the range and later than every dot before.
    pub fn add(&mut self, dot: Dot) {
        let Dot { time, value, .. } = dot;
        let point =
            Sample { time: Timestamp(time), min: value, max: value, mean: value, last: value, count: 1 };
        if self.points.len() < self.points_max {
            self.points.push(point);
        } else {
            self.too_many = true;
        }
        let number = (i128::from(time) - i128::from(self.from)) / self.width;
        match self.intervals.last_mut() {
            Some(interval) if interval.number == number => interval.add(value),
            Some(_) | None => self.intervals.push(Interval { number, sample: point, sum: value }),
        }
    }

    pub fn finish(self) -> Vec<Sample> {
        if !self.too_many {
            return self.points;
        }
        self.intervals.into_iter().map(Interval::finish).collect()
    }
}

impl Interval {
    fn add(&mut self, value: f64) {
        let sample = &mut self.sample;
        sample.min = sample.min.min(value);
        sample.max = sample.max.max(value);
        sample.last = value;
        sample.count = sample.count.saturating_add(1);
        self.sum += value;
    }

    fn finish(self) -> Sample {
        // Rounding must not carry the mean out of the range of the values.
        let mean = (self.sum / f64::from(self.sample.count)).clamp(self.sample.min, self.sample.max);
        Sample { mean, ..self.sample }
    }
}
