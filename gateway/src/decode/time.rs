//! How fresh a message is, and whether its device's clock can be believed.
//!
//! Only live readings page, so doubt must not make a reading older than it is: a device time is used against a reading only when it is
//! believable. A clock that is ahead, or asleep since before 2015, says nothing; the reading is filed at the time of receipt and marked uncertain.

use super::{Context, Message};
use crate::model::{Freshness, Quality};
use crate::units::{Millis, Timestamp};

/// 2015-01-01: no device of this trade has measured anything before, but many a clock starts in 1970, 2000 or 2010.
const BELIEVED_FROM: Timestamp = Timestamp(1_420_070_400_000);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub device_time: Option<Timestamp>,
    pub freshness: Freshness,
    /// The best that any value with this stamp can be.
    pub quality: Quality,
}

/// Class a reading by how it came and by what its device says of the time.
pub fn stamp(message: &Message<'_>, said: Option<Timestamp>, context: &Context) -> Stamp {
    let limits = &context.freshness;
    let ahead_max = Millis::from_secs(limits.ahead_max_s.into());
    let believed = said.filter(|&said| BELIEVED_FROM <= said && said.since(message.received) <= ahead_max);
    let quality = if believed.is_some() || said.is_none() { Quality::Good } else { Quality::Uncertain };
    let late = believed
        .is_some_and(|at| Millis::from_secs(limits.live_within_s.into()) < message.received.since(at));
    let freshness = match (message.retained, message.dup, late) {
        (true, _, _) => Freshness::Retained,
        (false, true, _) => Freshness::Replayed,
        (false, false, true) => Freshness::Backfill,
        (false, false, false) => Freshness::Live,
    };
    Stamp { device_time: believed, freshness, quality }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::samples;

    const RECEIVED: i64 = 1_795_402_800_000;

    #[test]
    fn freshness_and_belief_as_the_table_says() {
        use Freshness::{Backfill, Live, Replayed, Retained};
        use Quality::{Good, Uncertain};
        let context = samples::context(&[]);
        // Device time relative to receipt, retained, dup → believed, freshness, quality.
        for (after_s, retained, dup, believed, freshness, quality) in [
            (None, false, false, false, Live, Good),
            (Some(-1), false, false, true, Live, Good),
            (Some(-120), false, false, true, Live, Good),
            (Some(-121), false, false, true, Backfill, Good),
            (Some(300), false, false, true, Live, Good),
            (Some(301), false, false, false, Live, Uncertain),
            (Some(-600_000_000), false, false, false, Live, Uncertain),
            (None, true, false, false, Retained, Good),
            (None, false, true, false, Replayed, Good),
            (Some(-600), true, true, true, Retained, Good),
            (Some(-600), false, true, true, Replayed, Good),
        ] {
            let message = Message { topic: "t", payload: b"", retained, dup, received: Timestamp(RECEIVED) };
            let said = after_s.map(|after| Timestamp(RECEIVED + after * 1000));
            let wanted = Stamp { device_time: said.filter(|_| believed), freshness, quality };
            assert_eq!(stamp(&message, said, &context), wanted, "{after_s:?} {retained} {dup}");
        }
    }
}
