//! Changing cells as they are captured: claim, checkpoint, release, commit, fail, lose. Each function runs in one IMMEDIATE transaction.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::garbage;
use super::jobs::{self, Start};
use super::read::taken_over;
use super::{integer, seconds};
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::{Claimed, Commit, Coverage, Gap, JobId, JobStats, Outcome};
use crate::time::{Time, Timescale};
use crate::track::Track;

/// The key of a row of `chunk`.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) channel_id: i64,
    pub(super) start_s: i64,
    pub(super) end_s: i64,
}

impl Key {
    /// The key of a cell that is about to have a row.
    pub(super) fn new(c: &Connection, channel: &str, cell: Cell) -> Result<Self> {
        let (start_s, end_s) = seconds(cell)?;
        let channel_id = channel_id(c, channel)?;
        let sql = "UPDATE channel SET longest_cell_s = ?2 WHERE id = ?1 AND longest_cell_s < ?2";
        c.prepare_cached(sql)?.execute(params![channel_id, end_s.saturating_sub(start_s)])?;
        Ok(Self { channel_id, start_s, end_s })
    }

    /// The cell of a job that runs, and that the cell's row still calls its own.
    fn of_job(c: &Connection, job: JobId) -> Result<Self> {
        let sql = "SELECT j.channel_id, j.start_s, j.end_s FROM job j JOIN chunk k \
                   ON k.channel_id = j.channel_id AND k.start_s = j.start_s AND k.end_s = j.end_s \
                   WHERE j.id = ?1 AND j.outcome = 'running' AND k.job_id = j.id AND k.state = 'capturing'";
        let key = c.prepare_cached(sql)?.query_row([job.get()], |row| {
            Ok(Key { channel_id: row.get(0)?, start_s: row.get(1)?, end_s: row.get(2)? })
        });
        key.optional()?.ok_or_else(|| taken_over(job))
    }
}

/// The id of a channel; it is given one if it has none.
pub(super) fn channel_id(c: &Connection, name: &str) -> Result<i64> {
    c.prepare_cached("INSERT INTO channel (name) VALUES (?1) ON CONFLICT (name) DO NOTHING")?
        .execute([name])?;
    Ok(c.prepare_cached("SELECT id FROM channel WHERE name = ?1")?.query_row([name], |row| row.get(0))?)
}

pub(super) fn open_channel(c: &Connection, channel: &str, since: Time) -> Result<Time> {
    let sql =
        "UPDATE channel SET since_ns = min(coalesce(since_ns, ?2), ?2) WHERE id = ?1 RETURNING since_ns";
    let id = channel_id(c, channel)?;
    Ok(Time::from_ns(c.prepare_cached(sql)?.query_row(params![id, since.ns()], |row| row.get(0))?))
}

pub(super) fn observe(c: &Connection, channel: &str, outlook: &str, now: Time) -> Result<()> {
    let id = channel_id(c, channel)?;
    let sql = "UPDATE channel SET outlook = ?2, outlook_ns = ?3 WHERE id = ?1";
    c.prepare_cached(sql)?.execute(params![id, outlook, now.ns()])?;
    Ok(())
}

pub(super) fn register_tracks(
    c: &Connection,
    channel: &str,
    tracks: &[(&Track, Timescale)],
    now: Time,
) -> Result<Vec<u32>> {
    let channel_id = channel_id(c, channel)?;
    let sql = "INSERT INTO track (channel_id, id, name, timescale, medium, source_id, language, bandwidth_bps, codecs, \
               width_px, height_px, first_seen_ns) \
               VALUES (?1, (SELECT coalesce(max(id), 0) + 1 FROM track WHERE channel_id = ?1), \
                       ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
               ON CONFLICT (channel_id, name, timescale) DO UPDATE SET medium = excluded.medium, \
               source_id = excluded.source_id, language = excluded.language, bandwidth_bps = excluded.bandwidth_bps, \
               codecs = excluded.codecs, width_px = excluded.width_px, height_px = excluded.height_px RETURNING id";
    let mut statement = c.prepare_cached(sql)?;
    let mut register = |(track, timescale): &(&Track, Timescale)| {
        let (width, height) = track.size.unzip();
        let values = params![
            channel_id,
            track.name(),
            timescale.get(),
            track.medium.as_str(),
            track.id,
            track.language,
            track.bandwidth.map(integer),
            track.codecs,
            width,
            height,
            now.ns(),
        ];
        Ok(statement.query_row(values, |row| row.get(0))?)
    };
    tracks.iter().map(&mut register).collect()
}

pub(super) fn claim(c: &Connection, channel: &str, cell: Cell, start: &Start<'_>) -> Result<Claimed> {
    let key = Key::new(c, channel, cell)?;
    let sql = "SELECT state = 'complete', job_id, progress FROM chunk \
               WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    let row = c.prepare_cached(sql)?.query_row(params![key.channel_id, key.start_s, key.end_s], |row| {
        Ok((row.get::<_, bool>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<String>>(2)?))
    });
    let (complete, before, progress) = row.optional()?.unwrap_or_default();
    if complete {
        return Ok(Claimed::Complete);
    }
    if garbage::is_garbage(c, key.channel_id, &cell.key(channel))? {
        return Ok(Claimed::Deleting);
    }
    jobs::bury(c, before, start.now)?;
    let id = jobs::start(c, key.channel_id, (key.start_s, key.end_s), start)?;
    let sql = "INSERT INTO chunk (channel_id, start_s, end_s, state, job_id, updated_ns) \
               VALUES (?1, ?2, ?3, 'capturing', ?4, ?5) ON CONFLICT (channel_id, start_s, end_s) DO UPDATE SET \
               state = 'capturing', job_id = excluded.job_id, retry_at_ns = NULL, updated_ns = excluded.updated_ns";
    let values = params![key.channel_id, key.start_s, key.end_s, id.get(), start.now.ns()];
    c.prepare_cached(sql)?.execute(values)?;
    Ok(Claimed::Job { id, progress })
}

pub(super) fn checkpoint(c: &Connection, job: JobId, progress: &str, stats: JobStats) -> Result<()> {
    let key = Key::of_job(c, job)?;
    jobs::count(c, job, stats)?;
    let sql = "UPDATE chunk SET progress = ?4 WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    c.prepare_cached(sql)?.execute(params![key.channel_id, key.start_s, key.end_s, progress])?;
    Ok(())
}

pub(super) fn note_command(c: &Connection, job: JobId, command: &str, exit_code: Option<i32>) -> Result<()> {
    Key::of_job(c, job)?;
    let sql = "UPDATE job SET command = ?2, exit_code = ?3 WHERE id = ?1";
    c.prepare_cached(sql)?.execute(params![job.get(), command, exit_code])?;
    Ok(())
}

pub(super) fn release(c: &Connection, job: JobId, now: Time, stats: JobStats) -> Result<()> {
    Key::of_job(c, job)?;
    jobs::end(c, job, Outcome::Piece, now, stats, None)
}

pub(super) fn commit(c: &Connection, job: JobId, now: Time, chunk: &Commit<'_>) -> Result<()> {
    let key = Key::of_job(c, job)?;
    let complete = chunk.stored.coverage == Coverage::Complete;
    if complete && (!chunk.gaps.is_empty() || chunk.retry_at.is_some()) {
        return Err(Error::new(Kind::Invalid, "a complete chunk has no gaps, and is not tried again"));
    }
    let outcome = if complete { Outcome::Complete } else { Outcome::Partial };
    jobs::end(c, job, outcome, now, chunk.stats, chunk.message)?;
    let sql = "UPDATE chunk SET state = ?4, stored = ?4, key = ?5, bytes = ?6, sha256 = ?7, retry_at_ns = ?8, \
               reason = ?9, attempts = iif(?4 = 'complete', 0, attempts), progress = NULL, verified_ns = NULL, updated_ns = ?10 \
               WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    let stored = chunk.stored;
    let values = params![
        key.channel_id,
        key.start_s,
        key.end_s,
        stored.coverage.as_str(),
        stored.key,
        integer(stored.bytes),
        stored.sha256,
        chunk.retry_at.map(Time::ns),
        chunk.message.filter(|_| !complete),
        now.ns(),
    ];
    c.prepare_cached(sql)?.execute(values)?;
    replace_index(c, key, chunk.index)?;
    replace_gaps(c, key, chunk.gaps, now)
}

pub(super) fn replace_index(c: &Connection, key: Key, index: &[u8]) -> Result<()> {
    let sql = "INSERT INTO chunk_index (channel_id, start_s, end_s, fragments) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (channel_id, start_s, end_s) DO UPDATE SET fragments = excluded.fragments";
    c.prepare_cached(sql)?.execute(params![key.channel_id, key.start_s, key.end_s, index])?;
    Ok(())
}

/// Writes the gaps of a cell anew. One that is known keeps the time of its first record.
pub(super) fn replace_gaps(c: &Connection, key: Key, gaps: &[Gap], now: Time) -> Result<()> {
    let sql = "DELETE FROM gap WHERE channel_id = ?1 AND cell_start_s = ?2 AND cell_end_s = ?3 \
               RETURNING start_ns, end_ns, track, recorded_ns";
    let mut statement = c.prepare_cached(sql)?;
    let known = statement.query_map(params![key.channel_id, key.start_s, key.end_s], |row| {
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?))
    })?;
    let known: HashMap<(i64, i64, String), i64> = known.collect::<rusqlite::Result<_>>()?;
    let sql = "INSERT INTO gap (channel_id, cell_start_s, cell_end_s, start_ns, end_ns, track, reason, recorded_ns) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
               ON CONFLICT (channel_id, cell_start_s, cell_end_s, start_ns, end_ns, track) DO NOTHING";
    let mut statement = c.prepare_cached(sql)?;
    for Gap { track, range, reason } in gaps {
        let id = (range.start.ns(), range.end.ns(), track.clone());
        let recorded = known.get(&id).copied().unwrap_or(now.ns());
        let values = params![key.channel_id, key.start_s, key.end_s, id.0, id.1, track, reason, recorded];
        statement.execute(values)?;
    }
    Ok(())
}

pub(super) fn fail(
    c: &Connection,
    job: JobId,
    now: Time,
    reason: &str,
    retry_at: Option<Time>,
    stats: JobStats,
) -> Result<()> {
    let key = Key::of_job(c, job)?;
    jobs::end(c, job, Outcome::Failed, now, stats, Some(reason))?;
    let sql = "UPDATE chunk SET state = iif(stored IS NULL, 'failed', 'partial'), attempts = attempts + 1, \
               retry_at_ns = ?4, reason = ?5, updated_ns = ?6 WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    let values = params![key.channel_id, key.start_s, key.end_s, retry_at.map(Time::ns), reason, now.ns()];
    c.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

pub(super) fn lose(
    c: &Connection,
    channel: &str,
    cell: Cell,
    gaps: &[Gap],
    reason: &str,
    now: Time,
) -> Result<bool> {
    let key = Key::new(c, channel, cell)?;
    let sql = "SELECT state = 'complete' OR state = 'lost' \
                      OR (state = 'partial' AND retry_at_ns IS NULL AND progress IS NULL), \
                      stored IS NOT NULL, job_id FROM chunk WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    let row = c.prepare_cached(sql)?.query_row(params![key.channel_id, key.start_s, key.end_s], |row| {
        Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?, row.get::<_, Option<i64>>(2)?))
    });
    let (settled, stored, job) = row.optional()?.unwrap_or_default();
    if settled {
        return Ok(false);
    }
    jobs::bury(c, job, now)?;
    let sql = "INSERT INTO chunk (channel_id, start_s, end_s, state, reason, updated_ns) \
               VALUES (?1, ?2, ?3, 'lost', ?4, ?5) ON CONFLICT (channel_id, start_s, end_s) DO UPDATE SET \
               state = iif(stored IS NULL, 'lost', 'partial'), retry_at_ns = NULL, progress = NULL, \
               reason = excluded.reason, updated_ns = excluded.updated_ns";
    c.prepare_cached(sql)?.execute(params![key.channel_id, key.start_s, key.end_s, reason, now.ns()])?;
    if !stored {
        replace_gaps(c, key, gaps, now)?;
    }
    Ok(true)
}
