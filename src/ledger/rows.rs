//! What goes into the ledger and what comes out of it: plain values.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::JobId;
use crate::error::{Error, Kind};
use crate::grid::Cell;
use crate::time::{Range, Time, Timescale};
use crate::track::Track;

/// An enum whose values are words: in SQL, JSON and status alike.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The word used in SQL, JSON and status.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let found = Self::ALL.iter().find(|v| v.as_str() == text);
                found.copied().ok_or_else(|| {
                    Error::new(Kind::Corrupt, format!("{text:?} in the ledger is not a known word"))
                })
            }
        }
    };
}

words! {
    /// How far a cell is.
    State {
        /// Claimed: a job is at work on it, or has stopped and another will go on.
        Capturing = "capturing",
        /// All of it is stored.
        Complete = "complete",
        /// Some of it is stored; the gap rows say what is not.
        Partial = "partial",
        /// The last attempt came to nothing; there is a next one at `retry_at`.
        Failed = "failed",
        /// Nothing of it is stored, and nothing can be captured any more.
        Lost = "lost",
    }
}

words! {
    /// How much of its cell a stored chunk holds.
    Coverage {
        /// All of every track.
        Complete = "complete",
        /// Not all; the gap rows say what is not there.
        Partial = "partial",
    }
}

words! {
    /// How a job ended.
    Outcome {
        /// It has not ended, or nobody has noticed yet.
        Running = "running",
        /// It captured a piece of the cell; another job goes on.
        Piece = "piece",
        /// The chunk is stored, all of it.
        Complete = "complete",
        /// The chunk is stored as far as it goes.
        Partial = "partial",
        /// It failed, and said why.
        Failed = "failed",
        /// It was killed, or its host went down.
        Died = "died",
    }
}

/// A chunk file that is in the store, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// How much of the cell it holds.
    pub coverage: Coverage,
    /// Its key in the channel's store.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of all its bytes.
    pub sha256: [u8; 32],
}

/// What the ledger knows of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellRow {
    /// Which cell.
    pub cell: Cell,
    /// How far it is.
    pub state: State,
    /// What is in the store. Always there for `complete` and `partial`; a cell that is being captured again, for more,
    /// keeps its partial object too.
    pub stored: Option<Stored>,
    /// How many attempts have failed so far.
    pub attempts: u32,
    /// When the next attempt is due; `None` where there is none, or nothing to wait for.
    pub retry_at: Option<Time>,
    /// Why it is not complete, as the last job saw it.
    pub reason: Option<String>,
    /// The last job that worked on it.
    pub job: Option<JobId>,
    /// What its unfinished capture left for the next one, as given to [`super::Ledger::checkpoint`].
    pub progress: Option<String>,
    /// When the row last changed its state.
    pub updated: Time,
    /// When its object was last read back and found whole; `None`: not since it was stored.
    pub verified: Option<Time>,
}

/// What is known of a channel beside its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub channel: String,
    /// How often its cells, gaps and holds have changed; see [`super::Ledger::changes`].
    pub changes: u64,
    /// From when on it is archived; `None` if it was never opened.
    pub since: Option<Time>,
    /// Up to the end of which cell it is pruned.
    pub pruned: Option<Time>,
    /// When the last check saw its source; see [`super::Ledger::observed`].
    pub checked: Option<Time>,
}

impl Head {
    /// That of a channel of which nothing was ever written.
    pub fn unknown(channel: &str) -> Head {
        Head { channel: channel.to_owned(), changes: 0, since: None, pruned: None, checked: None }
    }
}

/// A cell as playlists and pictures see it: a row without its texts, for they want hundreds at once, and often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelved {
    /// Which cell.
    pub cell: Cell,
    /// How far it is.
    pub state: State,
    /// How much of it is stored, under [`Cell::key`]; `None`: nothing.
    pub stored: Option<Coverage>,
    /// True if another attempt will come, so that more of it may be stored one day.
    pub retry: bool,
    /// The length of its object in bytes; 0 if nothing of it is stored.
    pub bytes: u64,
    /// The last job that worked on it.
    pub job: Option<JobId>,
}

/// Media that a cell lacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gap {
    /// [`Track::name`] of the track that lacks it.
    pub track: String,
    /// What is not there.
    pub range: Range,
    /// Why: `expired`, `not published`, …
    pub reason: String,
}

/// A gap as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapRow {
    /// The cell that lacks it.
    pub cell: Cell,
    /// What is not there, and why.
    pub gap: Gap,
    /// When it was first written down.
    pub recorded: Time,
}

/// A track that a channel has, or once had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackRow {
    /// Its track id in every chunk of the channel; from 1.
    pub id: u32,
    /// What the source last said of it.
    pub track: Track,
    /// The timescale of its media.
    pub timescale: Timescale,
    /// When it was first seen.
    pub first_seen: Time,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The cell is complete: there is nothing to do, and no job was made.
    Complete,
    /// Its former object is being deleted, under the key that a new one would have: nothing can be stored before that is
    /// done, and no job was made.
    Deleting,
    /// The cell is the caller's.
    Job {
        /// The new job.
        id: JobId,
        /// What the job before left in the spool, as given to [`super::Ledger::checkpoint`].
        progress: Option<String>,
    },
}

/// What a job has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct JobStats {
    /// Bytes fetched.
    pub bytes: u64,
    /// Segments fetched.
    pub segments: u64,
    /// Requests that had to be made again.
    pub retries: u64,
}

/// A chunk that is stored and is to be written down.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// The object.
    pub stored: &'a Stored,
    /// Its fragment index, as `media` encodes it.
    pub index: &'a [u8],
    /// What it lacks. A complete chunk may have none.
    pub gaps: &'a [Gap],
    /// What the job did.
    pub stats: JobStats,
    /// When to try for more; only for a partial chunk.
    pub retry_at: Option<Time>,
    /// What a person should know, if anything.
    pub message: Option<&'a str>,
}

/// One attempt to capture one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// Which channel.
    pub channel: String,
    /// Which cell.
    pub cell: Cell,
    /// `native` or `unified`.
    pub engine: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started: Time,
    /// When it ended; `None` while it runs.
    pub ended: Option<Time>,
    /// The host it ran on.
    pub host: String,
    /// The process it ran in.
    pub pid: u32,
    /// What it did.
    pub stats: JobStats,
    /// Why it failed, or what a person should know.
    pub message: Option<String>,
    /// What the engine ran, without its secrets; `None` where it runs no program.
    pub command: Option<String>,
    /// The exit code of that; `None` where a signal ended it, or it has not ended.
    pub exit_code: Option<i32>,
}

/// What is counted of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobBrief {
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started: Time,
    /// When it ended; `None` while it runs.
    pub ended: Option<Time>,
    /// What it did.
    pub stats: JobStats,
}

/// Which jobs are asked for. The default asks for none: `limit` is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only those of this channel.
    pub channel: Option<String>,
    /// Only those that ended like this; empty: all.
    pub outcomes: Vec<Outcome>,
    /// Only those whose cell touches this range.
    pub touching: Option<Range>,
    /// Only those with a lower number: the next page, if this is the last number of the one before.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

impl JobFilter {
    /// The latest jobs, of a channel or of all.
    pub fn latest(channel: Option<&str>, limit: u32) -> Self {
        Self { channel: channel.map(str::to_owned), limit, ..Self::default() }
    }

    /// Those that have not ended, of a channel or of all.
    pub fn running(channel: Option<&str>, limit: u32) -> Self {
        Self { outcomes: vec![Outcome::Running], ..Self::latest(channel, limit) }
    }
}

/// A channel's cells in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Cells being captured.
    pub capturing: u64,
    /// Complete cells.
    pub complete: u64,
    /// Partial cells.
    pub partial: u64,
    /// Cells whose last attempt failed.
    pub failed: u64,
    /// Cells that are lost.
    pub lost: u64,
    /// Bytes stored.
    pub bytes: u64,
    /// The earliest cell of which anything is stored.
    pub first: Option<Cell>,
    /// The latest cell of which anything is stored.
    pub last: Option<Cell>,
}
