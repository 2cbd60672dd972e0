//! A clip: one or more time ranges of one channel, cut from what is archived of them. Pure: what the ledger says comes in as
//! plain values, and runs of chunks come out, with everything that is missing told beside them.
//!
//! [`cut()`] is the level of chunks, which is all that a playlist for Unified Remix needs; [`reel()`] goes from the same runs down to
//! the fragments inside the chunks, by their indexes.
//!
//! A run is a stretch that plays without a break: its chunks follow one another on their grid, and some track has media at
//! every instant of it. A player is never left to find out by itself that something is missing: where nothing is archived a
//! run ends, and the next one has an in point of its own, so that a gap moves nobody else's in or out point.

mod ask;
mod cut;
mod hole;
mod reel;

pub use ask::{Ask, Ending};
pub use cut::{Gap, Lack, Missing, PRIMING, Part, Run, Shelved, cut};
pub use hole::hole;
pub use reel::{Joint, Reel, ReelRun, ReelTrack, Span, reel};

use crate::time::Range;

/// Everything that was asked for, in the order in which it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// One for each range.
    pub parts: Vec<Part>,
}

impl Clip {
    /// True if nothing of it is archived.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.runs.is_empty())
    }

    /// True if nothing in it will change, as far as can be foreseen.
    pub fn is_closed(&self) -> bool {
        self.parts.iter().all(|part| part.closed)
    }

    /// True if what is not there yet is expected soon.
    pub fn grows(&self) -> bool {
        self.gaps().any(|gap| gap.what == Missing::NotYet)
    }

    /// Its ranges up to where more, or better, is expected soon; `None` if there are none.
    pub fn settled(&self) -> Option<Ask> {
        let mut ranges = Vec::new();
        for part in &self.parts {
            if part.asked.start < part.settled_until {
                ranges.push(Range::new(part.asked.start, part.settled_until));
            }
            if part.settled_until < part.asked.end {
                break;
            }
        }
        Ask::of(ranges)
    }

    /// The runs of all parts, in the order in which they are played.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.parts.iter().flat_map(|part| &part.runs)
    }

    /// What is missing of all parts.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.parts.iter().flat_map(|part| &part.gaps)
    }
}

#[cfg(test)]
mod tests;
