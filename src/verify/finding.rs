//! What can be wrong with an archive, and what came of looking for it: plain values.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::grid::Cell;

/// So many findings of a channel are told one by one; the rest is counted. A bucket may hold a million files of others.
const TOLD: usize = 1_000;

/// What is wrong with an object or a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A row has no object.
    Missing,
    /// The object has another length than its row says.
    Size,
    /// The object has other bytes than were written.
    Hash,
    /// The object cannot be read as a chunk, or is cut short.
    Boxes,
    /// The ledger's fragment index is not the object's.
    Index,
    /// No row speaks of the object.
    Foreign,
    /// A cell was being captured, and nobody does any more, nor is there a spool to go on from.
    Unfinished,
    /// The chunk's times are not those of its cell.
    Times,
    /// The chunk, or two chunks of neighbouring cells, have a hole or an overlap.
    Joint,
    /// Two chunks are stored for one time.
    Overlap,
    /// Something is missing of which no gap speaks.
    Gap,
}

impl What {
    /// Every value.
    pub const ALL: &[What] = &[
        What::Missing,
        What::Size,
        What::Hash,
        What::Boxes,
        What::Index,
        What::Foreign,
        What::Unfinished,
        What::Times,
        What::Joint,
        What::Overlap,
        What::Gap,
    ];

    /// The invariant that it breaks, by its number in `src/lib.rs`.
    pub const fn invariant(self) -> u8 {
        match self {
            What::Missing | What::Size | What::Hash | What::Boxes | What::Index => 1,
            What::Foreign => 2,
            What::Unfinished => 5,
            What::Times => 6,
            What::Joint | What::Overlap => 7,
            What::Gap => 10,
        }
    }

    /// The word used in JSON and on the screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            What::Missing => "missing",
            What::Size => "size",
            What::Hash => "hash",
            What::Boxes => "boxes",
            What::Index => "index",
            What::Foreign => "foreign",
            What::Unfinished => "unfinished",
            What::Times => "times",
            What::Joint => "joint",
            What::Overlap => "overlap",
            What::Gap => "gap",
        }
    }

    /// True if the object itself is no good: what can still be had of its source is better.
    pub(super) const fn is_bad_object(self) -> bool {
        matches!(self, What::Missing | What::Size | What::Hash | What::Boxes)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: What,
    /// The key of the object that it is about.
    pub key: String,
    /// The cell, if the key is one of a chunk.
    pub cell: Option<Cell>,
    /// A sentence without a full stop.
    pub message: String,
    /// What was done about it, or in a dry run would be; `None`: nothing.
    pub repair: Option<String>,
    /// True if nothing is wrong any more.
    pub mended: bool,
}

impl Finding {
    /// A finding of which nothing was done yet.
    pub(super) fn new(
        what: What,
        key: impl Into<String>,
        cell: Option<Cell>,
        message: impl Into<String>,
    ) -> Self {
        Finding { what, key: key.into(), cell, message: message.into(), repair: None, mended: false }
    }

    /// Says what was done.
    #[must_use]
    pub(super) fn with(mut self, repair: Option<Repair>) -> Self {
        if let Some(Repair { said, mended }) = repair {
            self.repair = Some(said);
            self.mended = mended;
        }
        self
    }
}

/// What was done about a finding, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repair {
    said: String,
    mended: bool,
}

impl Repair {
    /// Nothing is wrong any more.
    pub(super) fn mended(said: impl Into<String>) -> Repair {
        Repair { said: said.into(), mended: true }
    }

    /// Something was done, and something stays wrong, or is lost; or nothing was done yet.
    pub(super) fn not_all(said: impl Into<String>) -> Repair {
        Repair { said: said.into(), mended: false }
    }
}

/// What came of a channel.
#[derive(Debug, Default)]
pub struct ChannelReport {
    /// Its name.
    pub name: String,
    /// Why it could not be verified, or not all of it, if it could not.
    pub error: Option<Error>,
    /// Chunks that its rows say are stored.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Chunks that were read back.
    pub read: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// Objects that a prune has given up and not deleted yet.
    pub garbage: u64,
    /// The first things that are wrong, in the order in which they were found.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub found: u64,
    /// How many of them are mended.
    pub mended: u64,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl ChannelReport {
    /// True if something is wrong, or nobody knows.
    pub fn has_problem(&self) -> bool {
        self.error.is_some() || self.found > self.mended
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.found += 1;
        self.mended += u64::from(finding.mended);
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_finding_has_a_word_of_its_own_and_an_invariant() {
        for what in What::ALL {
            assert_eq!(serde_json::to_value(what).unwrap(), what.as_str());
            assert!((1..=12).contains(&what.invariant()));
            assert_eq!(What::ALL.iter().filter(|w| w.as_str() == what.as_str()).count(), 1);
        }
    }

    #[test]
    fn a_million_findings_are_counted_and_the_first_are_told() {
        let mut report = ChannelReport::default();
        for n in 0..1_000_000 {
            let repair = (n % 2 == 0).then(|| Repair::mended("adopted"));
            report.add(Finding::new(What::Foreign, "a", None, "b").with(repair));
        }
        assert_eq!((report.found, report.mended, report.findings.len()), (1_000_000, 500_000, TOLD));
        assert!(report.has_problem());
    }
}
