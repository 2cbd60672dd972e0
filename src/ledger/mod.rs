//! The ledger: the database of chunks, jobs and gaps, and the only truth about what is archived.
//!
//! A small port, its adapters, and one suite that all of them pass. States of a cell:
//!
//! ```text
//! (no row) ── claim ──▶ capturing ── commit ──▶ complete            never left again
//!                │  ▲        │  ╰─── commit ──▶ partial  ──╮        may be claimed again for more
//!                │  ╰────────│──────── claim ──────────────┤
//!                │           ╰───── fail ─────▶ failed   ──╯        (partial again, if a partial object is stored)
//!                ╰────── lose ─────▶ lost                           claimed again only by hand
//! ```
//!
//! An operating-system lock on the cell's spool file says that a claimer lives. The ledger does not look at it: whoever
//! calls [`Ledger::claim`] or [`Ledger::lose`] holds that lock, so a row that says `capturing` is taken over at once.

mod rows;
mod sqlite;
#[cfg(test)]
mod suite;

pub use rows::{
    CellRow, Claimed, Commit, Coverage, Gap, GapRow, JobFilter, JobId, JobRow, JobStats, Outcome, Report,
    State, Stored, TrackRow,
};
pub use sqlite::SqliteLedger;

use crate::error::Result;
use crate::grid::Cell;
use crate::time::{Range, Time, Timescale};
use crate::track::Track;

/// How much of a job's log is kept, in bytes. The oldest lines go first.
pub const MAX_LOG_BYTES: usize = 64 * 1024;

/// The database of chunks, jobs and gaps. Handles are shared between threads, and any number of processes may have the
/// same ledger open.
///
/// Promises, held by every adapter:
/// - each call is one transaction: it happens whole or not at all, and what came back `Ok` survives a power cut;
/// - calls wait for each other for a bounded time, then fail with [`crate::error::Kind::TryLater`];
/// - a cell must start and end on whole seconds, else [`crate::error::Kind::Invalid`];
/// - a call about a job that has ended, or was taken over, is refused with [`crate::error::Kind::Busy`] and changes
///   nothing: a capturer that was thought dead cannot write over its successor;
/// - a complete cell stays complete, with the same object, whatever is called.
pub trait Ledger: Send + Sync {
    /// Remembers that `channel` is archived, and from when on: the archive answers for every instant from there on. The
    /// first call keeps `since`; a later one moves it back if it is earlier, never forward. Returns what is kept.
    fn open_channel(&self, channel: &str, since: Time, now: Time) -> Result<Time>;

    /// From when on `channel` is archived; `None` if it was never opened.
    fn since(&self, channel: &str) -> Result<Option<Time>>;

    /// Keeps what a check saw of the channel's source, in place of what the one before saw: the caller's own text. Opens
    /// the channel if need be.
    fn observe(&self, channel: &str, outlook: &str, now: Time) -> Result<()>;

    /// What the last check saw, and when.
    fn observed(&self, channel: &str) -> Result<Option<(Time, String)>>;

    /// The stable track ids of `tracks`, in the same order. An id belongs to (channel, [`Track::name`], timescale); new
    /// ones are given 1, 2, 3… in the given order, and no id is ever given twice. What else is known of a track is
    /// brought up to date. The channel need not be open.
    fn register_tracks(&self, channel: &str, tracks: &[(&Track, Timescale)], now: Time) -> Result<Vec<u32>>;

    /// All tracks that were ever registered, by id.
    fn tracks(&self, channel: &str) -> Result<Vec<TrackRow>>;

    /// The rows whose cell touches `within`, by start, then end. Cells of several durations may overlap where a
    /// channel's `chunk_duration` was changed.
    fn cells(&self, channel: &str, within: Range) -> Result<Vec<CellRow>>;

    /// The row of one cell.
    fn cell(&self, channel: &str, cell: Cell) -> Result<Option<CellRow>>;

    /// The gaps that touch `within`, by start, then track.
    fn gaps(&self, channel: &str, within: Range) -> Result<Vec<GapRow>>;

    /// Takes a cell for a new job. The caller holds the lock of the cell's spool file, so a job that the row still
    /// calls running is dead, and is written down as such. The channel need not be open.
    fn claim(
        &self,
        channel: &str,
        cell: Cell,
        engine: &str,
        now: Time,
        host: &str,
        pid: u32,
    ) -> Result<Claimed>;

    /// Keeps what is in the spool by now: `progress` is capture's own text, handed back by the next claim.
    fn checkpoint(&self, job: JobId, progress: &str, stats: JobStats) -> Result<()>;

    /// Ends a job whose cell goes on later: outcome `piece`. The row stays `capturing`, with its progress.
    fn release(&self, job: JobId, now: Time, stats: JobStats) -> Result<()>;

    /// Ends a job whose chunk is stored: row, fragment index and gaps in one transaction. The gaps replace those of the
    /// cell, of which those known before keep the time of their first record; progress is cleared; a complete cell
    /// starts with no attempts, a partial one keeps its count.
    fn commit(&self, job: JobId, now: Time, chunk: &Commit<'_>) -> Result<()>;

    /// Ends a job that failed, and counts the attempt. The row becomes `failed`, or `partial` again if a partial object
    /// is stored; progress is kept, so that the next attempt goes on from the spool.
    fn fail(
        &self,
        job: JobId,
        now: Time,
        reason: &str,
        retry_at: Option<Time>,
        stats: JobStats,
    ) -> Result<()>;

    /// Gives a cell up: nothing more of it can be captured. The caller holds the lock of its spool file. True if that
    /// is news. Progress is cleared. Where a partial object is stored the row becomes (or stays) `partial`, with no
    /// further attempt and with the gaps it has; elsewhere `lost`, with `gaps`. A complete cell is left alone.
    fn lose(&self, channel: &str, cell: Cell, gaps: &[Gap], reason: &str, now: Time) -> Result<bool>;

    /// The fragment index of a stored chunk.
    fn index(&self, channel: &str, cell: Cell) -> Result<Option<Vec<u8>>>;

    /// Adds lines, as they are to be shown, to the log of a job. The last [`MAX_LOG_BYTES`] are kept.
    fn append_log(&self, job: JobId, text: &str) -> Result<()>;

    /// The log of a job; `None` if there is no such job. Says so where early lines were dropped.
    fn log(&self, job: JobId) -> Result<Option<String>>;

    /// Jobs, the newest first.
    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>>;

    /// One job.
    fn job(&self, id: JobId) -> Result<Option<JobRow>>;

    /// What `status` shows of the cells that touch `within`, counted in the database.
    fn report(&self, channel: &str, within: Range) -> Result<Report>;
}
