//! `status`: what the ledger knows of each channel, as one value for the terminal and for `--json`.
//!
//! It asks no source and changes nothing. What is said of the source is what the last check saw, with the time of that
//! check. Field names and meanings are stable: `schema` grows when one changes.

mod attention;
mod blocks;
mod calendar;
mod cell;
mod holds;
mod known;
mod missing;
mod overview;
mod prospect;
mod seen;
mod strip;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use utoipa::ToSchema;

use crate::capture::{BEFORE_THE_ARCHIVE, Workplace};
use crate::channel::Channel;
use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::{CellRow, GapRow, JobFilter, JobId, JobRow, Outcome, State};
use crate::plan::Risk;
use crate::store::Space;
use crate::time::{Range, Time};

pub use attention::{About, Attention, Severity};
pub use blocks::{Block, Look};
pub use calendar::{Calendar, Day, calendar};
pub use cell::{CellStatus, Chunk, Prospects, TrackStatus, cell, tracks};
pub use holds::{Held, held, holds};
pub use missing::Missing;
pub use overview::{Overview, Overviews, Row};
pub use prospect::Prospect;
pub(crate) use seen::Seen;
pub use strip::{Patch, Slot};

/// How many slots a coverage strip has.
pub const SLOTS: usize = 48;

/// All channels at one moment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    /// The version of this shape.
    pub schema: u32,
    /// The moment, on this host's clock.
    pub now: Time,
    /// Folders with so little space that nothing more is captured into them.
    pub low_space: Vec<LowSpace>,
    /// The channels, by name.
    pub channels: Vec<ChannelStatus>,
}

/// A folder of the spool, or of a store on disk, that has less free space than is to stay free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LowSpace {
    /// The folder.
    #[schema(value_type = String)]
    pub folder: PathBuf,
    /// What is free there.
    pub free_bytes: u64,
    /// What is to stay free: `[state] min_free`.
    pub min_free_bytes: u64,
}

/// One channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// False if `check` leaves it alone.
    pub enabled: bool,
    /// From when on the archive is answerable; `null` before the first check.
    pub since: Option<Time>,
    /// When it was last checked.
    pub checked: Option<Time>,
    /// Why that check could not ask the source.
    pub error: Option<String>,
    /// What the source said of itself then.
    pub source: Option<crate::plan::Sight>,
    /// How far the source's slowest track was behind its clock then, in seconds; `null` where the presentation is over.
    pub lag_s: Option<u64>,
    /// What the strip spans: the retention, or the archive where it is younger.
    pub span: Option<Range>,
    /// The coverage of `span`, in slots of equal length, oldest first.
    pub strip: Vec<Slot>,
    /// Cells by state, and bytes, within the retention.
    pub counts: Counts,
    /// The latest cell of which a chunk is stored.
    pub last_chunk: Option<Cell>,
    /// What may be lost, soonest first; deadlines are on this host's clock.
    pub at_risk: Vec<Risk>,
    /// What is being captured now.
    pub running: Vec<Job>,
    /// Cells whose last attempt failed.
    pub failed: Vec<Failed>,
    /// Everything that is missing, oldest first.
    pub gaps: Vec<Gap>,
    /// What is held, by number; also what has run out.
    pub holds: Vec<Held>,
}

/// Cells by state, and bytes.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct Counts {
    /// Chunks stored whole.
    pub complete: u64,
    /// Chunks stored as far as they go.
    pub partial: u64,
    /// Cells being captured.
    pub capturing: u64,
    /// Cells whose last attempt failed.
    pub failed: u64,
    /// Cells that are lost.
    pub lost: u64,
    /// Bytes stored.
    pub bytes: u64,
}

/// A job.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Job {
    /// Its number, for `npvr log`.
    pub id: JobId,
    /// Its channel.
    pub channel: String,
    /// Its cell.
    pub cell: Cell,
    /// How it ended: `running`, `piece`, `complete`, `partial`, `failed` or `died`.
    pub outcome: Outcome,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// Bytes fetched.
    pub bytes: u64,
    /// Segments fetched.
    pub segments: u64,
    /// While it runs: how much of its chunk is in the spool by now.
    pub spooled_bytes: Option<u64>,
    /// What a person should know.
    pub message: Option<String>,
    /// What the engine ran, without its secrets; `null` where it runs no program.
    pub command: Option<String>,
    /// The exit code of that; `null` where a signal ended it, or it has not ended.
    pub exit_code: Option<i32>,
}

/// A cell whose last attempt failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Failed {
    /// Which cell.
    pub cell: Cell,
    /// Why.
    pub reason: String,
    /// When it is tried again; `null`: it is not.
    pub retry_at: Option<Time>,
    /// The job that failed.
    pub job: Option<JobId>,
}

/// Media that the archive lacks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Gap {
    /// The cell.
    pub cell: Cell,
    /// The track.
    pub track: String,
    /// What is not there.
    pub range: Range,
    /// Why.
    pub reason: String,
    /// When it was first written down.
    pub recorded: Time,
}

/// The status of `channels`, in their order.
///
/// # Errors
/// Those of the ledger.
pub fn status(place: &Workplace, channels: &[Channel], now: Time) -> Result<Status> {
    let low_space = low_space(place, channels);
    let channels = channels.iter().map(|c| channel_status(place, c, now)).collect::<Result<_>>()?;
    Ok(Status { schema: 1, now, low_space, channels })
}

/// The folders that a capture would find too full. The archive under the state folder is where the spool is.
fn low_space<'a>(place: &'a Workplace, channels: impl IntoIterator<Item = &'a Channel>) -> Vec<LowSpace> {
    let min_free_bytes = place.min_free_bytes;
    let disks = channels.into_iter().filter_map(|c| c.disk_path.as_deref());
    let folders: BTreeSet<&Path> = std::iter::once(place.spool.as_path()).chain(disks).collect();
    let spaces = folders.into_iter().filter_map(|folder| Space::of(folder).ok());
    let low = spaces.filter(|space| space.free_bytes < min_free_bytes);
    low.map(|Space { folder, free_bytes }| LowSpace { folder, free_bytes, min_free_bytes }).collect()
}

/// The latest jobs, newest first: all, or those of some channels.
///
/// # Errors
/// Those of the ledger.
pub fn jobs(place: &Workplace, channels: &[String], limit: u32) -> Result<Vec<Job>> {
    let of = |channel: Option<&str>| place.ledger.jobs(&JobFilter::latest(channel, limit));
    let mut rows = match channels {
        [] => of(None)?,
        names => names.iter().map(|n| of(Some(n))).collect::<Result<Vec<_>>>()?.concat(),
    };
    rows.sort_by_key(|job| std::cmp::Reverse(job.id));
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(rows.into_iter().map(|row| job(place, row)).collect())
}

fn channel_status(place: &Workplace, channel: &Channel, now: Time) -> Result<ChannelStatus> {
    let name = channel.name.as_str();
    let ledger = place.ledger.as_ref();
    let since = ledger.since(name)?;
    let seen = Seen::read(ledger, name)?;
    let kept = kept(channel, now);
    let mut rows = ledger.cells(name, kept)?;
    let gaps: Vec<Gap> = ledger.gaps(name, kept)?.into_iter().filter(is_shown).map(gap).collect();
    // The first chunk of an archive lacks nothing that was promised.
    for row in rows.iter_mut().filter(|row| row.state == State::Partial) {
        if !gaps.iter().any(|gap| gap.cell == row.cell) {
            row.state = State::Complete;
        }
    }
    let running = ledger.jobs(&JobFilter::running(Some(name), 100))?;
    let oldest = oldest(channel, ledger.pruned(name)?, now);
    let span = span(since, oldest, now);
    let at_risk = seen.at_risk(ledger, name, oldest)?;
    let stretches = strip::stretches(rows.iter().map(|row| (row.cell.range(), Slot::of_row(row))));
    Ok(ChannelStatus {
        name: name.to_owned(),
        enabled: channel.enabled,
        since,
        checked: seen.checked,
        error: seen.error,
        lag_s: seen.lag_s,
        source: seen.source,
        span,
        strip: span.map(|span| strip::strip(span, SLOTS, channel.grid, &stretches)).unwrap_or_default(),
        counts: Counts::of(rows.iter().map(|row| (row.state, row.stored.as_ref().map_or(0, |s| s.bytes)))),
        last_chunk: rows.iter().rev().find(|row| row.stored.is_some()).map(|row| row.cell),
        at_risk,
        running: running
            .into_iter()
            .map(|row| job(place, row))
            .filter(|j| j.outcome == Outcome::Running)
            .collect(),
        failed: rows.iter().filter(|row| row.state == State::Failed).map(failed).collect(),
        gaps,
        holds: holds(ledger, Some(name), now)?,
    })
}

/// What retention has not given up yet, and all that comes.
fn kept(channel: &Channel, now: Time) -> Range {
    Range::new(now.minus(channel.archive_length), Time::MAX)
}

/// From when on something is to be there. What was pruned by size is younger than the retention, and no hole.
fn oldest(channel: &Channel, pruned: Option<Time>, now: Time) -> Time {
    let oldest = kept(channel, now).start;
    pruned.map_or(oldest, |pruned| pruned.max(oldest))
}

/// What a strip spans: the retention, or the archive where that is younger.
fn span(since: Option<Time>, oldest: Time, now: Time) -> Option<Range> {
    since.map(|since| Range::new(since.max(oldest), now)).filter(|span| !span.is_empty())
}

impl Counts {
    /// Counts cells: their states, and the bytes that are stored of them.
    fn of(cells: impl Iterator<Item = (State, u64)>) -> Counts {
        let mut counts = Counts::default();
        for (state, bytes) in cells {
            counts.bytes = counts.bytes.saturating_add(bytes);
            *match state {
                State::Capturing => &mut counts.capturing,
                State::Complete => &mut counts.complete,
                State::Partial => &mut counts.partial,
                State::Failed => &mut counts.failed,
                State::Lost => &mut counts.lost,
            } += 1;
        }
        counts
    }
}

/// A job as it is shown. One that the ledger calls running, and whose lock is free, is dead; the next run writes that down.
pub fn job(place: &Workplace, row: JobRow) -> Job {
    let is_running = row.outcome == Outcome::Running;
    let is_dead = is_running && place.is_free(&row.channel, row.cell);
    let spooled_bytes = is_running.then(|| place.spooled_bytes(&row.channel, row.cell)).flatten();
    Job {
        spooled_bytes,
        id: row.id,
        channel: row.channel,
        cell: row.cell,
        outcome: if is_dead { Outcome::Died } else { row.outcome },
        started: row.started,
        ended: row.ended,
        bytes: row.stats.bytes,
        segments: row.stats.segments,
        message: row.message,
        command: row.command,
        exit_code: row.exit_code,
    }
}

fn failed(row: &CellRow) -> Failed {
    let reason = row.reason.clone().unwrap_or_else(|| "it failed".to_owned());
    Failed { cell: row.cell, reason, retry_at: row.retry_at, job: row.job }
}

/// What was never promised is no gap.
fn is_shown(row: &GapRow) -> bool {
    row.gap.reason != BEFORE_THE_ARCHIVE
}

fn gap(row: GapRow) -> Gap {
    let GapRow { cell, gap, recorded } = row;
    Gap { cell, track: gap.track, range: gap.range, reason: gap.reason, recorded }
}

#[cfg(test)]
mod tests;
