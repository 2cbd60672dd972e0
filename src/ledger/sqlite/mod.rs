//! The ledger in one SQLite file, in the state folder, on a local disk.
//!
//! Many processes share it: WAL lets readers and one writer go side by side, and every writing transaction is
//! IMMEDIATE, since one that starts by reading cannot wait for its turn to write (it fails at once instead).
//! `synchronous = FULL`: a chunk that is written down survives a power cut, and there are few enough of them.

mod backup;
mod connections;
mod export;
mod fault;
mod garbage;
mod holds;
mod import;
mod jobs;
mod network;
mod open;
mod owner;
mod read;
mod repair;
mod write;

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::connections::Connections;
use super::{
    CellRow, Claimed, Commit, Gap, GapRow, Garbage, Head, Hold, HoldId, JobBrief, JobFilter, JobId, JobRow,
    JobStats, Kept, Ledger, Record, Report, Shelved, Stored, TrackRow,
};
use crate::error::{Context, Error, Kind, Result};
use crate::grid::Cell;
use crate::time::{Range, Time, Timescale};
use crate::track::Track;

/// The ledger of one state folder. Threads share a handle: those that write take turns, those that read do not wait for them.
pub struct SqliteLedger {
    connections: Connections,
    /// Held shared for as long as the ledger is open; see [`open`].
    _in_use: File,
}

impl SqliteLedger {
    /// Opens the ledger in the state folder `dir`. Makes both if they are not there; an older ledger is brought to this
    /// version, once nobody else has it open.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a newer ledger, [`Kind::Corrupt`] for a damaged one or another program's database,
    /// [`Kind::Storage`] for a folder that is full, read-only, or on a network file system, [`Kind::Busy`] if an older
    /// ledger stays in use.
    pub fn open(dir: &Path) -> Result<Self> {
        let open::Opened { connection, path, in_use } = open::open(dir)?;
        Ok(Self { connections: Connections::new(path, connection), _in_use: in_use })
    }

    /// Runs one writing transaction; rolled back unless `change` comes back `Ok`.
    fn write<T>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let run = || transact(&mut self.connections.writer(), TransactionBehavior::Immediate, change);
        run().context("ledger")
    }

    /// Runs reads that see one state of the ledger.
    fn read<T>(&self, look: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let run = |c: &mut Connection| transact(c, TransactionBehavior::Deferred, look);
        self.connections.reading(run).context("ledger")
    }

    /// Runs one query, which sees one state of the ledger without a transaction around it: that would cost as much as a
    /// short one does.
    fn glance<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.connections.reading(|c| look(c)).context("ledger")
    }
}

fn transact<T>(
    connection: &mut Connection,
    behaviour: TransactionBehavior,
    run: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    let transaction = connection.transaction_with_behavior(behaviour)?;
    let done = run(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// The bounds of a cell in whole seconds, as the schema keeps them.
fn seconds(cell: Cell) -> Result<(i64, i64)> {
    let (start, end) = (cell.start().s(), cell.end().s());
    if Time::from_s(start) != cell.start() || Time::from_s(end) != cell.end() || end <= start {
        return Err(Error::new(
            Kind::Invalid,
            format!("{cell} is not a cell: its ends are not whole seconds, in order"),
        ));
    }
    Ok((start, end))
}

/// SQLite's integers are signed; a count that large is as good as its limit.
fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Ledger for SqliteLedger {
    fn changes(&self, channel: &str) -> Result<u64> {
        self.glance(|c| read::changes(c, channel))
    }

    fn heads(&self) -> Result<Vec<Head>> {
        self.glance(read::heads)
    }

    fn open_channel(&self, channel: &str, since: Time, _now: Time) -> Result<Time> {
        self.write(|t| write::open_channel(t, channel, since))
    }

    fn channels(&self) -> Result<Vec<String>> {
        self.read(|t| read::channels(t))
    }

    fn since(&self, channel: &str) -> Result<Option<Time>> {
        self.read(|t| read::since(t, channel))
    }

    fn observe(&self, channel: &str, outlook: &str, now: Time) -> Result<()> {
        self.write(|t| write::observe(t, channel, outlook, now))
    }

    fn observed(&self, channel: &str) -> Result<Option<(Time, String)>> {
        self.read(|t| read::observed(t, channel))
    }

    fn register_tracks(&self, channel: &str, tracks: &[(&Track, Timescale)], now: Time) -> Result<Vec<u32>> {
        self.write(|t| write::register_tracks(t, channel, tracks, now))
    }

    fn tracks(&self, channel: &str) -> Result<Vec<TrackRow>> {
        self.read(|t| read::tracks(t, channel))
    }

    fn cells(&self, channel: &str, within: Range) -> Result<Vec<CellRow>> {
        self.read(|t| read::cells(t, channel, within))
    }

    fn shelf(&self, channel: &str, within: Range) -> Result<Vec<Shelved>> {
        self.glance(|c| read::shelf(c, channel, within))
    }

    fn page(&self, channel: &str, after: Option<Cell>, limit: u32) -> Result<Vec<CellRow>> {
        self.read(|t| read::page(t, channel, after, limit))
    }

    fn oldest(&self, channel: &str, after: Option<Cell>, limit: u32) -> Result<Vec<Kept>> {
        self.read(|t| read::oldest(t, channel, after, limit))
    }

    fn cell(&self, channel: &str, cell: Cell) -> Result<Option<CellRow>> {
        self.read(|t| read::cell(t, channel, cell))
    }

    fn gaps(&self, channel: &str, within: Range) -> Result<Vec<GapRow>> {
        self.read(|t| read::gaps(t, channel, within))
    }

    fn claim(
        &self,
        channel: &str,
        cell: Cell,
        engine: &str,
        now: Time,
        host: &str,
        pid: u32,
    ) -> Result<Claimed> {
        self.write(|t| write::claim(t, channel, cell, &jobs::Start { engine, now, host, pid }))
    }

    fn checkpoint(&self, job: JobId, progress: &str, stats: JobStats) -> Result<()> {
        self.write(|t| write::checkpoint(t, job, progress, stats))
    }

    fn release(&self, job: JobId, now: Time, stats: JobStats) -> Result<()> {
        self.write(|t| write::release(t, job, now, stats))
    }

    fn commit(&self, job: JobId, now: Time, chunk: &Commit<'_>) -> Result<()> {
        self.write(|t| write::commit(t, job, now, chunk))
    }

    fn fail(
        &self,
        job: JobId,
        now: Time,
        reason: &str,
        retry_at: Option<Time>,
        stats: JobStats,
    ) -> Result<()> {
        self.write(|t| write::fail(t, job, now, reason, retry_at, stats))
    }

    fn lose(&self, channel: &str, cell: Cell, gaps: &[Gap], reason: &str, now: Time) -> Result<bool> {
        self.write(|t| write::lose(t, channel, cell, gaps, reason, now))
    }

    fn index(&self, channel: &str, cell: Cell) -> Result<Option<Vec<u8>>> {
        self.read(|t| read::index(t, channel, cell))
    }

    fn append_log(&self, job: JobId, text: &str) -> Result<()> {
        self.write(|t| jobs::append_log(t, job, text))
    }

    fn log(&self, job: JobId) -> Result<Option<String>> {
        self.read(|t| jobs::log(t, job))
    }

    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>> {
        self.read(|t| jobs::list(t, filter))
    }

    fn latest_jobs(&self) -> Result<Vec<JobRow>> {
        self.glance(jobs::latest)
    }

    fn job(&self, id: JobId) -> Result<Option<JobRow>> {
        self.read(|t| jobs::one(t, id))
    }

    fn recent_jobs(&self, channel: &str, since: Time) -> Result<Vec<JobBrief>> {
        self.read(|t| jobs::recent(t, channel, since))
    }

    fn report(&self, channel: &str, within: Range) -> Result<Report> {
        self.read(|t| read::report(t, channel, within))
    }

    fn note_command(&self, job: JobId, command: &str, exit_code: Option<i32>) -> Result<()> {
        self.write(|t| write::note_command(t, job, command, exit_code))
    }

    fn forget_jobs(&self, channel: &str, before: Time) -> Result<u64> {
        self.write(|t| jobs::forget(t, channel, before))
    }

    fn hold(
        &self,
        channel: &str,
        range: Range,
        note: Option<&str>,
        until: Option<Time>,
        now: Time,
    ) -> Result<HoldId> {
        self.write(|t| holds::hold(t, channel, range, note, until, now))
    }

    fn holds(&self, channel: Option<&str>) -> Result<Vec<Hold>> {
        self.read(|t| holds::list(t, channel))
    }

    fn release_hold(&self, id: HoldId) -> Result<Option<Hold>> {
        self.write(|t| holds::release(t, id))
    }

    fn discard(&self, channel: &str, cells: &[Cell], reason: &str, now: Time) -> Result<Vec<Garbage>> {
        self.write(|t| garbage::discard(t, channel, cells, reason, now))
    }

    fn pruned(&self, channel: &str) -> Result<Option<Time>> {
        self.read(|t| garbage::pruned(t, channel))
    }

    fn garbage(&self, channel: &str) -> Result<Vec<Garbage>> {
        self.read(|t| garbage::list(t, channel))
    }

    fn forget(&self, channel: &str, keys: &[String]) -> Result<()> {
        self.write(|t| garbage::forget(t, channel, keys))
    }

    fn unverified(&self, channel: &str, before: Time, limit: u32) -> Result<Vec<CellRow>> {
        self.read(|t| read::unverified(t, channel, before, limit))
    }

    fn verified(&self, channel: &str, cell: Cell, stored: &Stored, now: Time) -> Result<bool> {
        self.write(|t| repair::verified(t, channel, cell, stored, now))
    }

    fn spoil(&self, channel: &str, cell: Cell, stored: &Stored, reason: &str, now: Time) -> Result<bool> {
        self.write(|t| repair::spoil(t, channel, cell, stored, reason, now))
    }

    fn adopt(
        &self,
        channel: &str,
        cell: Cell,
        stored: &Stored,
        index: &[u8],
        gaps: &[Gap],
        now: Time,
    ) -> Result<bool> {
        self.write(|t| repair::adopt(t, channel, cell, stored, index, gaps, now))
    }

    fn export(&self, sink: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        self.read(|t| export::export(t, sink))
    }

    fn import(&self, records: &mut dyn Iterator<Item = Result<Record>>) -> Result<u64> {
        self.write(|t| import::import(t, records))
    }

    fn backup(&self, to: &Path, replace: bool) -> Result<()> {
        // VACUUM does not go into a transaction; it is one.
        backup::backup(&self.connections.writer(), to, replace)
            .with_context(|| format!("back up the ledger to {}", to.display()))
    }

    fn size_bytes(&self) -> Result<u64> {
        self.read(|t| backup::size_bytes(t))
    }

    fn problems(&self) -> Result<Vec<String>> {
        self.read(|t| backup::problems(t))
    }
}

#[cfg(test)]
mod tests;
