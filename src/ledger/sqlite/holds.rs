//! Holds: what is never pruned, whatever retention says.

use rusqlite::{Connection, Row, params};

use super::read::{collect, time};
use super::write::channel_id;
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::{Hold, HoldId};
use crate::time::{Range, Time};

pub(super) fn hold(
    c: &Connection,
    channel: &str,
    range: Range,
    note: Option<&str>,
    until: Option<Time>,
    now: Time,
) -> Result<HoldId> {
    if range.is_empty() {
        return Err(Error::new(Kind::Usage, format!("{range} is empty: there is nothing to hold")));
    }
    let id = channel_id(c, channel)?;
    let sql = "INSERT INTO hold (channel_id, start_ns, end_ns, note, until_ns, created_ns) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![id, range.start.ns(), range.end.ns(), note, until.map(Time::ns), now.ns()];
    Ok(HoldId::new(c.prepare_cached(sql)?.insert(values)?))
}

const HOLD: &str = "SELECT h.id, c.name AS channel, start_ns, end_ns, note, until_ns, created_ns \
                    FROM hold h JOIN channel c ON c.id = h.channel_id";

fn hold_row(row: &Row<'_>) -> Result<Hold> {
    Ok(Hold {
        id: HoldId::new(row.get("id")?),
        channel: row.get("channel")?,
        range: Range::new(time(row, "start_ns")?, time(row, "end_ns")?),
        note: row.get("note")?,
        until: row.get::<_, Option<i64>>("until_ns")?.map(Time::from_ns),
        created: time(row, "created_ns")?,
    })
}

pub(super) fn list(c: &Connection, channel: Option<&str>) -> Result<Vec<Hold>> {
    match channel {
        Some(name) => collect(c, &format!("{HOLD} WHERE c.name = ?1 ORDER BY h.id"), [name], hold_row),
        None => collect(c, &format!("{HOLD} ORDER BY h.id"), [], hold_row),
    }
}

pub(super) fn release(c: &Connection, id: HoldId) -> Result<Option<Hold>> {
    let hold = collect(c, &format!("{HOLD} WHERE h.id = ?1"), [id.get()], hold_row)?.pop();
    c.prepare_cached("DELETE FROM hold WHERE id = ?1")?.execute([id.get()])?;
    Ok(hold)
}

/// True if a hold touches the cell and is in force at `now`.
pub(super) fn is_held(c: &Connection, channel_id: i64, cell: Cell, now: Time) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM hold WHERE channel_id = ?1 AND start_ns < ?2 AND end_ns > ?3 \
               AND (until_ns IS NULL OR until_ns > ?4))";
    let values = params![channel_id, cell.end().ns(), cell.start().ns(), now.ns()];
    Ok(c.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}
