//! Retention: which chunks of a channel go, and why; which would go and are held; and whether that is suspiciously many.
//!
//! A pure function from rules, holds and the ledger's rows to a value with reasons: `prune` carries it out, `prune
//! --dry-run` prints it. Rows come oldest first, and no more of them are read than can go. What goes is in the value, what
//! stays is only counted: of a long archive a day goes, and years stay.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::channel::format_size;
use crate::grid::Cell;
use crate::time::{Range, Time, human_duration};

/// How long, and how much of, a channel is kept. Whichever limit bites first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What ended longer ago than this goes.
    pub archive_length: Duration,
    /// The most bytes that stay; the oldest chunks go first. `None` is no limit.
    pub archive_size: Option<u64>,
}

/// Chunks and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Total {
    /// How many.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A row of the ledger, as far as retention looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which cell.
    pub cell: Cell,
    /// The size of its chunk; `None` if nothing of it is stored: it failed, or is lost.
    pub bytes: Option<u64>,
    /// True while a job is at work on it, or was when it died.
    pub capturing: bool,
}

/// A range that is never pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The number by which people know the hold.
    pub id: i64,
    /// What it holds: every cell that it touches.
    pub range: Range,
}

/// Which limit bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It ended longer ago than `archive_length`.
    TooOld,
    /// It is the oldest of more than `archive_size`.
    OverSize,
}

/// What becomes of a chunk that a limit bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It goes.
    Goes,
    /// It would go, and the hold of this number keeps it.
    Held(i64),
    /// It would go, and a capture is at work on it.
    Busy,
}

/// The decision on a row that a limit bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Which cell.
    pub cell: Cell,
    /// The size of its chunk; `None` if only its row is there.
    pub bytes: Option<u64>,
    /// Which limit.
    pub why: Why,
    /// What becomes of it.
    pub fate: Fate,
}

/// What is decided on a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every row that a limit bites, oldest first.
    pub decisions: Vec<Decision>,
    /// What is stored before anything goes.
    pub stored: Total,
    /// What goes.
    pub going: Total,
    /// What would go, and is held.
    pub held: Total,
}

impl Rules {
    /// How far back a channel of so many bits a second is worth capturing: what is older would go with the next prune.
    pub fn reach(&self, bits_per_s: u64) -> Duration {
        let fits = self.archive_size.and_then(|size| size.saturating_mul(8).checked_div(bits_per_s));
        fits.map_or(self.archive_length, |s| self.archive_length.min(Duration::from_secs(s)))
    }

    /// A limit in words: `older than 7d`, `over 2TB`.
    pub fn say(&self, why: Why) -> String {
        match why {
            Why::TooOld => format!("older than {}", human_duration(self.archive_length)),
            Why::OverSize => format!("over {}", format_size(self.archive_size.unwrap_or_default())),
        }
    }
}

impl Total {
    /// One chunk more.
    pub fn add(&mut self, bytes: u64) {
        self.chunks += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// What is left without `other`.
    #[must_use]
    pub fn less(self, other: Total) -> Total {
        Total {
            chunks: self.chunks.saturating_sub(other.chunks),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// Decides on the rows of a channel, which come by start, then end. `stored` is what all of them together hold. Stops reading
/// `rows` where no later one can go.
///
/// # Errors
/// The first of `rows` that is one.
pub fn plan<E>(
    rules: &Rules,
    now: Time,
    stored: Total,
    holds: &[Held],
    rows: impl IntoIterator<Item = Result<Row, E>>,
) -> Result<Plan, E> {
    let expired = now.minus(rules.archive_length);
    let mut plan = Plan { stored, ..Plan::default() };
    let mut too_much = rules.archive_size.map_or(0, |size| stored.bytes.saturating_sub(size));
    for row in rows {
        let row = row?;
        // Later rows start later still, and so end later too.
        if row.cell.start() >= expired && too_much == 0 {
            break;
        }
        let why = match row.cell.end() <= expired {
            true => Why::TooOld,
            // A row without a chunk is no gain, but what it says lies before everything that stays.
            false if too_much > 0 => Why::OverSize,
            false => continue,
        };
        let fate = match holds.iter().find(|held| !held.range.intersect(row.cell.range()).is_empty()) {
            Some(held) => Fate::Held(held.id),
            None if row.capturing => Fate::Busy,
            None => Fate::Goes,
        };
        if let Some(bytes) = row.bytes {
            match fate {
                Fate::Goes => {
                    plan.going.add(bytes);
                    too_much = too_much.saturating_sub(bytes);
                }
                Fate::Held(_) => plan.held.add(bytes),
                Fate::Busy => {}
            }
        }
        plan.decisions.push(Decision { cell: row.cell, bytes: row.bytes, why, fate });
    }
    Ok(plan)
}

impl Plan {
    /// What stays.
    pub fn kept(&self) -> Total {
        self.stored.less(self.going)
    }

    /// The part of the channel that goes, from 0 to 1: of its chunks or of its bytes, whichever is more.
    #[expect(clippy::cast_precision_loss, reason = "a part in 2^53 more or less decides nothing")]
    pub fn fraction(&self) -> f64 {
        let part = |going: u64, stored: u64| if going == 0 { 0.0 } else { going as f64 / stored as f64 };
        let by_chunks = part(self.going.chunks, self.stored.chunks);
        by_chunks.max(part(self.going.bytes, self.stored.bytes)).min(1.0)
    }

    /// True if more than `max_fraction` of the channel would go: what nobody meant, but a clock that is years ahead, or a
    /// slip in a file, does. One chunk may always go: of a small archive that is much.
    pub fn blows_fuse(&self, max_fraction: f64) -> bool {
        self.going.chunks > 1 && self.fraction() > max_fraction
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Goes => f.pad("goes"),
            Fate::Held(id) => f.pad(&format!("held by {id}")),
            Fate::Busy => f.pad("being captured"),
        }
    }
}

#[cfg(test)]
mod tests;
