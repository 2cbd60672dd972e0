//! Taking rows away, and keeping their objects in mind until they are deleted.

use rusqlite::{Connection, OptionalExtension, params};

use super::read::{collect, count, time};
use super::{holds, integer, read, seconds};
use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::Garbage;
use crate::time::Time;

pub(super) fn discard(
    c: &Connection,
    channel: &str,
    cells: &[Cell],
    reason: &str,
    now: Time,
) -> Result<Vec<Garbage>> {
    let Some((channel_id, _)) = read::channel(c, channel)? else { return Ok(Vec::new()) };
    let mut discarded = Vec::new();
    let mut pruned_s = None;
    for cell in cells {
        let (start_s, end_s) = seconds(*cell)?;
        if holds::is_held(c, channel_id, *cell, now)? {
            continue;
        }
        // Index and gaps go with the row: their foreign keys say so.
        let sql = "DELETE FROM chunk WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3 \
                   AND state <> 'capturing' RETURNING key, bytes";
        let gone = c.prepare_cached(sql)?.query_row(params![channel_id, start_s, end_s], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<i64>>(1)?))
        });
        let Some((key, bytes)) = gone.optional()? else { continue };
        pruned_s = pruned_s.max(Some(end_s));
        if let Some((key, bytes)) = key.zip(bytes) {
            let garbage = Garbage { key, bytes: bytes.unsigned_abs(), reason: reason.to_owned(), since: now };
            throw_away(c, channel_id, &garbage)?;
            discarded.push(garbage);
        }
    }
    let sql =
        "UPDATE channel SET pruned_s = max(coalesce(pruned_s, ?2), ?2) WHERE id = ?1 AND ?2 IS NOT NULL";
    c.prepare_cached(sql)?.execute(params![channel_id, pruned_s])?;
    Ok(discarded)
}

fn throw_away(c: &Connection, channel_id: i64, garbage: &Garbage) -> Result<()> {
    let sql = "INSERT INTO garbage (channel_id, key, bytes, reason, since_ns) VALUES (?1, ?2, ?3, ?4, ?5)";
    let Garbage { key, bytes, reason, since } = garbage;
    c.prepare_cached(sql)?.execute(params![channel_id, key, integer(*bytes), reason, since.ns()])?;
    Ok(())
}

pub(super) fn pruned(c: &Connection, channel: &str) -> Result<Option<Time>> {
    let mut statement = c.prepare_cached("SELECT pruned_s FROM channel WHERE name = ?1")?;
    let s: Option<Option<i64>> = statement.query_row([channel], |row| row.get(0)).optional()?;
    Ok(s.flatten().map(Time::from_s))
}

pub(super) fn list(c: &Connection, channel: &str) -> Result<Vec<Garbage>> {
    let sql = "SELECT key, bytes, reason, g.since_ns FROM garbage g JOIN channel c ON c.id = g.channel_id \
               WHERE c.name = ?1 ORDER BY key";
    collect(c, sql, [channel], |row| {
        Ok(Garbage {
            key: row.get("key")?,
            bytes: count(row, "bytes")?,
            reason: row.get("reason")?,
            since: time(row, "since_ns")?,
        })
    })
}

pub(super) fn forget(c: &Connection, channel: &str, keys: &[String]) -> Result<()> {
    let Some((channel_id, _)) = read::channel(c, channel)? else { return Ok(()) };
    let mut statement = c.prepare_cached("DELETE FROM garbage WHERE channel_id = ?1 AND key = ?2")?;
    for key in keys {
        statement.execute(params![channel_id, key])?;
    }
    Ok(())
}

pub(super) fn is_garbage(c: &Connection, channel_id: i64, key: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM garbage WHERE channel_id = ?1 AND key = ?2)";
    Ok(c.prepare_cached(sql)?.query_row(params![channel_id, key], |row| row.get(0))?)
}
