//! The ledger: the database of chunks, jobs and gaps, and the only truth about what is archived.
//!
//! A small port, its adapters, and one suite that all of them pass. States of a cell:
//!
//! ```text
//! (no row) ── claim ──▶ capturing ── commit ──▶ complete            never captured again
//!                │  ▲        │  ╰─── commit ──▶ partial  ──╮        may be claimed again for more
//!                │  ╰────────│──────── claim ──────────────┤
//!                │           ╰───── fail ─────▶ failed   ──╯        (partial again, if a partial object is stored)
//!                ╰────── lose ─────▶ lost                           claimed again only by hand
//! ```
//!
//! Beside these: `discard` takes rows away, and their objects become garbage until they are deleted; `spoil` makes a stored
//! cell `failed` whose object turns out not to be there, or not to be what was written; `adopt` makes an object that no row
//! speaks of `complete` or `partial`.
//!
//! An operating-system lock on the cell's spool file says that a claimer lives. The ledger does not look at it: whoever
//! calls [`Ledger::claim`] or [`Ledger::lose`] holds that lock, so a row that says `capturing` is taken over at once.

mod ids;
mod keeping;
mod records;
mod rows;
mod sqlite;
#[cfg(test)]
mod suite;

pub use ids::{HoldId, JobId};
pub use keeping::{Garbage, Hold, Kept};
pub use records::{Record, read_records};
pub use rows::{
    CellRow, Claimed, Commit, Coverage, Gap, GapRow, Head, JobBrief, JobFilter, JobRow, JobStats, Outcome,
    Report, Shelved, State, Stored, TrackRow,
};
pub use sqlite::SqliteLedger;

use std::path::Path;

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
/// - a complete cell stays complete, with the same object, until it is discarded, or found to be spoilt;
/// - a stored object is either in a row or garbage, never both.
pub trait Ledger: Send + Sync {
    /// How often the channel's cells, gaps and holds have changed: what was read of them at one count is still right while the
    /// count is the same, whoever writes. Checkpoints and reading back do not count. 0 for an unknown channel. It means
    /// something only for as long as the ledger is open: an import begins anew.
    fn changes(&self, channel: &str) -> Result<u64>;

    /// What is known of each channel as a whole, by name.
    fn heads(&self) -> Result<Vec<Head>>;

    /// Remembers that `channel` is archived, and from when on: the archive answers for every instant from there on. The
    /// first call keeps `since`; a later one moves it back if it is earlier, never forward. Returns what is kept.
    fn open_channel(&self, channel: &str, since: Time, now: Time) -> Result<Time>;

    /// The names of all channels that were ever written of, in order. Rows stay when a channel's file is removed.
    fn channels(&self) -> Result<Vec<String>>;

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

    /// The same, of each row only what playlists and pictures need: for those who ask often.
    fn shelf(&self, channel: &str, within: Range) -> Result<Vec<Shelved>>;

    /// The next `limit` rows after `after`, or the first ones, by start, then end: for a walk over all of them.
    fn page(&self, channel: &str, after: Option<Cell>, limit: u32) -> Result<Vec<CellRow>>;

    /// The next `limit` rows after `after`, or the first ones, in the same order; of each row only what retention needs.
    fn oldest(&self, channel: &str, after: Option<Cell>, limit: u32) -> Result<Vec<Kept>>;

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

    /// The latest job of each channel that ever had one, by the channel's name.
    fn latest_jobs(&self) -> Result<Vec<JobRow>>;

    /// One job.
    fn job(&self, id: JobId) -> Result<Option<JobRow>>;

    /// The jobs of `channel` that began at or after `since`, the newest first, of each only what is counted. It reads no more
    /// jobs than it returns, however many there are.
    fn recent_jobs(&self, channel: &str, since: Time) -> Result<Vec<JobBrief>>;

    /// What `status` shows of the cells that touch `within`, counted in the database.
    fn report(&self, channel: &str, within: Range) -> Result<Report>;

    /// Notes what a running job ran, without secrets, and its exit code once there is one.
    fn note_command(&self, job: JobId, command: &str, exit_code: Option<i32>) -> Result<()>;

    /// Forgets some jobs of `channel`, and their logs: those that ended before `before`, and of whose cell there is no row.
    /// Returns how many; 0 when there are no more.
    fn forget_jobs(&self, channel: &str, before: Time) -> Result<u64>;

    /// Holds a range: no cell that touches it is discarded before `until`, or, without that, before the hold is released.
    /// Opens nothing. [`crate::error::Kind::Usage`] if the range is empty.
    fn hold(
        &self,
        channel: &str,
        range: Range,
        note: Option<&str>,
        until: Option<Time>,
        now: Time,
    ) -> Result<HoldId>;

    /// The holds of a channel, or all, by number; also those that have run out.
    fn holds(&self, channel: Option<&str>) -> Result<Vec<Hold>>;

    /// Ends a hold. Returns what it was; `None` if there is no such hold.
    fn release_hold(&self, id: HoldId) -> Result<Option<Hold>>;

    /// Takes rows away, with index and gaps, and makes garbage of their objects, which is returned. Where nothing is stored
    /// the row just goes. A cell that a hold touches at `now`, or that is being captured, is left alone, so a decision may be
    /// older than a hold. Remembers how far the channel is pruned.
    fn discard(&self, channel: &str, cells: &[Cell], reason: &str, now: Time) -> Result<Vec<Garbage>>;

    /// Up to the end of which cell `channel` is pruned: what ended by then is gone or held, and not captured again. `None`
    /// if nothing of it ever was discarded.
    fn pruned(&self, channel: &str) -> Result<Option<Time>>;

    /// What is to be deleted of `channel`, by key.
    fn garbage(&self, channel: &str) -> Result<Vec<Garbage>>;

    /// Drops garbage: the objects of these keys are gone. A key that is no garbage is passed over.
    fn forget(&self, channel: &str, keys: &[String]) -> Result<()>;

    /// Stored cells to be read back next: those that never were, then those that were longest ago, and before `before`.
    fn unverified(&self, channel: &str, before: Time, limit: u32) -> Result<Vec<CellRow>>;

    /// Notes that the object of a cell was read back at `now`, and is `stored`. False, and nothing, if the row has another
    /// one by now, or none.
    fn verified(&self, channel: &str, cell: Cell, stored: &Stored, now: Time) -> Result<bool>;

    /// Takes the object out of a row: it is not there, or not what was written. The row becomes `failed`, to be captured
    /// again at once; index and gaps go. False, and nothing, if the row has another object than `stored` by now, or none.
    /// [`crate::error::Kind::Busy`] while the cell is being captured.
    fn spoil(&self, channel: &str, cell: Cell, stored: &Stored, reason: &str, now: Time) -> Result<bool>;

    /// Writes down an object that is stored whole, and of which no row speaks: `complete` or `partial`, with index and
    /// gaps. Its tracks have been registered. False, and nothing, if the row has an object, the cell is being captured, or
    /// the key is garbage.
    fn adopt(
        &self,
        channel: &str,
        cell: Cell,
        stored: &Stored,
        index: &[u8],
        gaps: &[Gap],
        now: Time,
    ) -> Result<bool>;

    /// Gives `sink` every row as a record, all of one moment, each after those that it refers to. Two exports of one state
    /// are the same.
    fn export(&self, sink: &mut dyn FnMut(Record) -> Result<()>) -> Result<()>;

    /// Writes an export into this ledger, all of it or nothing. Returns how many records there were beside the header.
    /// [`crate::error::Kind::Usage`] if any channel was ever written of here.
    fn import(&self, records: &mut dyn Iterator<Item = Result<Record>>) -> Result<u64>;

    /// Writes a copy of one moment to `to`, from which a ledger of the same kind can be restored, while others go on writing.
    /// Whole or not at all. [`crate::error::Kind::Usage`] if `to` is there and `replace` is false.
    fn backup(&self, to: &Path, replace: bool) -> Result<()>;

    /// How much room the database takes by now, in bytes.
    fn size_bytes(&self) -> Result<u64>;

    /// What is wrong with the database itself, a sentence each: it reads all of it.
    fn problems(&self) -> Result<Vec<String>>;
}
