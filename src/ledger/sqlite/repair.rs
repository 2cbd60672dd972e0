//! Putting rows right that do not say what the store holds, and noting those that do.

use rusqlite::{Connection, OptionalExtension, params};

use super::garbage::is_garbage;
use super::write::{Key, replace_gaps, replace_index};
use super::{integer, read, seconds};
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::{Coverage, Gap, Stored};
use crate::time::Time;

/// Why a row that was adopted is partial.
const ADOPTED: &str = "it was found in the store, and is not whole";

/// The row of a cell if it has just this object, and whether it is being captured.
fn row_of(c: &Connection, channel: &str, cell: Cell, stored: &Stored) -> Result<Option<(Key, bool)>> {
    let (start_s, end_s) = seconds(cell)?;
    let Some((channel_id, _)) = read::channel(c, channel)? else { return Ok(None) };
    let sql = "SELECT state = 'capturing' FROM chunk WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3 \
               AND key = ?4 AND bytes = ?5 AND sha256 = ?6";
    let values = params![channel_id, start_s, end_s, stored.key, integer(stored.bytes), stored.sha256];
    let capturing = c.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
    Ok(capturing.map(|capturing| (Key { channel_id, start_s, end_s }, capturing)))
}

pub(super) fn verified(
    c: &Connection,
    channel: &str,
    cell: Cell,
    stored: &Stored,
    now: Time,
) -> Result<bool> {
    let Some((key, _)) = row_of(c, channel, cell, stored)? else { return Ok(false) };
    let sql = "UPDATE chunk SET verified_ns = ?4 WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    c.prepare_cached(sql)?.execute(params![key.channel_id, key.start_s, key.end_s, now.ns()])?;
    Ok(true)
}

pub(super) fn spoil(
    c: &Connection,
    channel: &str,
    cell: Cell,
    stored: &Stored,
    reason: &str,
    now: Time,
) -> Result<bool> {
    let Some((key, capturing)) = row_of(c, channel, cell, stored)? else { return Ok(false) };
    if capturing {
        return Err(Error::new(Kind::Busy, format!("{cell} is being captured")));
    }
    let sql = "UPDATE chunk SET state = 'failed', stored = NULL, key = NULL, bytes = NULL, sha256 = NULL, \
               attempts = 0, retry_at_ns = NULL, reason = ?4, progress = NULL, verified_ns = NULL, updated_ns = ?5 \
               WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    c.prepare_cached(sql)?.execute(params![key.channel_id, key.start_s, key.end_s, reason, now.ns()])?;
    let sql = "DELETE FROM chunk_index WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    c.prepare_cached(sql)?.execute(params![key.channel_id, key.start_s, key.end_s])?;
    replace_gaps(c, key, &[], now)?;
    Ok(true)
}

pub(super) fn adopt(
    c: &Connection,
    channel: &str,
    cell: Cell,
    stored: &Stored,
    index: &[u8],
    gaps: &[Gap],
    now: Time,
) -> Result<bool> {
    let partial = stored.coverage == Coverage::Partial;
    if !partial && !gaps.is_empty() {
        return Err(Error::new(Kind::Invalid, "a complete chunk has no gaps"));
    }
    let key = Key::new(c, channel, cell)?;
    if is_garbage(c, key.channel_id, &stored.key)? {
        return Ok(false);
    }
    // A partial one may be tried for more at once: whether there is more is for the source to say.
    let sql = "INSERT INTO chunk (channel_id, start_s, end_s, state, stored, key, bytes, sha256, retry_at_ns, reason, \
               updated_ns) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
               ON CONFLICT (channel_id, start_s, end_s) DO UPDATE SET state = excluded.state, \
               stored = excluded.stored, key = excluded.key, bytes = excluded.bytes, sha256 = excluded.sha256, \
               attempts = 0, retry_at_ns = excluded.retry_at_ns, reason = excluded.reason, progress = NULL, \
               updated_ns = excluded.updated_ns WHERE stored IS NULL AND state <> 'capturing'";
    let values = params![
        key.channel_id,
        key.start_s,
        key.end_s,
        stored.coverage.as_str(),
        stored.key,
        integer(stored.bytes),
        stored.sha256,
        partial.then_some(now.ns()),
        partial.then_some(ADOPTED),
        now.ns(),
    ];
    if c.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(false);
    }
    replace_index(c, key, index)?;
    replace_gaps(c, key, gaps, now)?;
    Ok(true)
}
