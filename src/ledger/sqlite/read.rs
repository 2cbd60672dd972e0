//! Reading cells, gaps, tracks and indexes.

use rusqlite::{Connection, OptionalExtension, Params, Row, named_params, params};

use super::seconds;
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::{CellRow, Gap, GapRow, Head, JobId, Kept, Report, Shelved, State, Stored, TrackRow};
use crate::time::{Range, Time, Timescale};
use crate::track::Track;

/// Runs a query and makes a value of each row.
pub(super) fn collect<T>(
    c: &Connection,
    sql: &str,
    params: impl Params,
    value: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(value(row)?);
    }
    Ok(values)
}

/// A count as it was written by [`super::integer`].
pub(super) fn count(row: &Row<'_>, column: &str) -> Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

pub(super) fn time(row: &Row<'_>, column: &str) -> Result<Time> {
    Ok(Time::from_ns(row.get(column)?))
}

pub(super) fn cell_of(row: &Row<'_>, start: &str, end: &str) -> Result<Cell> {
    let (start, end) = (row.get(start)?, row.get(end)?);
    Ok(Cell::from_range(Range::new(Time::from_s(start), Time::from_s(end))))
}

/// A column that holds one of our words.
pub(super) fn word<T: std::str::FromStr<Err = Error>>(row: &Row<'_>, column: &str) -> Result<T> {
    row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?.parse()
}

/// The id of a channel and its longest cell in seconds.
pub(super) fn channel(c: &Connection, name: &str) -> Result<Option<(i64, i64)>> {
    let mut statement = c.prepare_cached("SELECT id, longest_cell_s FROM channel WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

pub(super) fn channels(c: &Connection) -> Result<Vec<String>> {
    collect(c, "SELECT name FROM channel ORDER BY name", [], |row| Ok(row.get(0)?))
}

pub(super) fn changes(c: &Connection, channel: &str) -> Result<u64> {
    let sql = "SELECT changes FROM channel c JOIN change_count n ON n.channel_id = c.id WHERE c.name = ?1";
    let changes: Option<i64> = c.prepare_cached(sql)?.query_row([channel], |row| row.get(0)).optional()?;
    Ok(changes.unwrap_or_default().unsigned_abs())
}

pub(super) fn heads(c: &Connection) -> Result<Vec<Head>> {
    let sql = "SELECT name, changes, since_ns, pruned_s, outlook_ns FROM channel c \
               JOIN change_count n ON n.channel_id = c.id ORDER BY name";
    let time = |row: &Row<'_>, column: &str| row.get::<_, Option<i64>>(column);
    collect(c, sql, [], |row| {
        Ok(Head {
            channel: row.get("name")?,
            changes: count(row, "changes")?,
            since: time(row, "since_ns")?.map(Time::from_ns),
            pruned: time(row, "pruned_s")?.map(Time::from_s),
            checked: time(row, "outlook_ns")?.map(Time::from_ns),
        })
    })
}

pub(super) fn since(c: &Connection, channel: &str) -> Result<Option<Time>> {
    let mut statement = c.prepare_cached("SELECT since_ns FROM channel WHERE name = ?1")?;
    let ns: Option<Option<i64>> = statement.query_row([channel], |row| row.get(0)).optional()?;
    Ok(ns.flatten().map(Time::from_ns))
}

pub(super) fn observed(c: &Connection, channel: &str) -> Result<Option<(Time, String)>> {
    let mut statement = c.prepare_cached("SELECT outlook_ns, outlook FROM channel WHERE name = ?1")?;
    let row = statement.query_row([channel], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(row.and_then(|(ns, outlook): (Option<i64>, Option<String>)| Some((Time::from_ns(ns?), outlook?))))
}

/// In whole seconds: where cells that touch a range can start, and what they end after.
struct Span {
    channel_id: i64,
    first_start_s: i64,
    last_start_s: i64,
    ends_after_s: i64,
}

impl Span {
    /// `None` if nothing can touch it.
    fn new(c: &Connection, name: &str, within: Range) -> Result<Option<Span>> {
        let Some((channel_id, longest_s)) = channel(c, name)?.filter(|_| !within.is_empty()) else {
            return Ok(None);
        };
        // A cell touches if start < within.end and end > within.start. Cells lie on whole seconds, so rounding the first
        // bound's last nanosecond down, and the second down, loses none.
        let ends_after_s = within.start.s();
        Ok(Some(Span {
            channel_id,
            first_start_s: ends_after_s.saturating_sub(longest_s),
            last_start_s: within.end.offset_ns(-1).s(),
            ends_after_s,
        }))
    }
}

const CELL: &str = "SELECT start_s, end_s, state, stored, key, bytes, sha256, attempts, retry_at_ns, reason, job_id, \
                    progress, updated_ns, verified_ns FROM chunk";
const TOUCHING: &str = "start_s BETWEEN :first AND :last AND end_s > :after";

pub(super) fn cells(c: &Connection, channel: &str, within: Range) -> Result<Vec<CellRow>> {
    let Some(span) = Span::new(c, channel, within)? else { return Ok(Vec::new()) };
    let bounds = named_params! {
        ":channel": span.channel_id, ":first": span.first_start_s, ":last": span.last_start_s, ":after": span.ends_after_s,
    };
    collect(c, &cells_sql(), bounds, cell_row)
}

fn cells_sql() -> String {
    format!("{CELL} WHERE channel_id = :channel AND {TOUCHING} ORDER BY start_s, end_s")
}

/// One statement for the whole answer, with only short columns: most of a playlist's time is spent here.
const SHELF: &str = "SELECT k.start_s, k.end_s, k.state, k.stored, k.retry_at_ns IS NOT NULL, k.bytes, k.job_id \
                     FROM channel c CROSS JOIN chunk k ON k.channel_id = c.id WHERE c.name = ?1 \
                     AND k.start_s BETWEEN ?2 - c.longest_cell_s AND ?3 AND k.end_s > ?2 ORDER BY k.start_s, k.end_s";

pub(super) fn shelf(c: &Connection, channel: &str, within: Range) -> Result<Vec<Shelved>> {
    if within.is_empty() {
        return Ok(Vec::new());
    }
    // Rounded as in `Span::new`.
    let (ends_after_s, last_start_s) = (within.start.s(), within.end.offset_ns(-1).s());
    collect(c, SHELF, params![channel, ends_after_s, last_start_s], |row| {
        let (start, end) = (Time::from_s(row.get(0)?), Time::from_s(row.get(1)?));
        let state: State = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?.parse()?;
        let stored = row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        let is_due = row.get(4)?;
        Ok(Shelved {
            cell: Cell::from_range(Range::new(start, end)),
            state,
            stored: stored.map(str::parse).transpose()?,
            retry: match state {
                State::Capturing | State::Failed => true,
                State::Partial => is_due,
                State::Complete | State::Lost => false,
            },
            bytes: row.get::<_, Option<i64>>(5)?.unwrap_or_default().unsigned_abs(),
            job: row.get::<_, Option<i64>>(6)?.map(JobId::new),
        })
    })
}

const AFTER: &str =
    "channel_id = :channel AND (start_s, end_s) > (:start, :end) ORDER BY start_s, end_s LIMIT :limit";

pub(super) fn page(c: &Connection, name: &str, after: Option<Cell>, limit: u32) -> Result<Vec<CellRow>> {
    let Some((id, _)) = channel(c, name)? else { return Ok(Vec::new()) };
    let (start, end) = bounds_of(after)?;
    let place = named_params! { ":channel": id, ":start": start, ":end": end, ":limit": limit };
    collect(c, &format!("{CELL} WHERE {AFTER}"), place, cell_row)
}

pub(super) fn oldest(c: &Connection, name: &str, after: Option<Cell>, limit: u32) -> Result<Vec<Kept>> {
    let Some((id, _)) = channel(c, name)? else { return Ok(Vec::new()) };
    let (start, end) = bounds_of(after)?;
    let place = named_params! { ":channel": id, ":start": start, ":end": end, ":limit": limit };
    let sql = format!("SELECT start_s, end_s, state, bytes FROM chunk WHERE {AFTER}");
    collect(c, &sql, place, |row| {
        let (start, end) = (Time::from_s(row.get(0)?), Time::from_s(row.get(1)?));
        Ok(Kept {
            cell: Cell::from_range(Range::new(start, end)),
            state: row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?.parse()?,
            bytes: row.get::<_, Option<i64>>(3)?.map(i64::unsigned_abs),
        })
    })
}

/// The bounds of a cell, or what is before every cell.
fn bounds_of(after: Option<Cell>) -> Result<(i64, i64)> {
    after.map_or(Ok((i64::MIN, i64::MIN)), seconds)
}

pub(super) fn unverified(c: &Connection, name: &str, before: Time, limit: u32) -> Result<Vec<CellRow>> {
    let Some((id, _)) = channel(c, name)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    // Two queries, since no index serves the two together.
    for verified in [NEVER, LONG_AGO] {
        let left = i64::from(limit) - i64::try_from(found.len()).unwrap_or(i64::MAX);
        let before = if verified == NEVER { None } else { Some(before.ns()) };
        let place = named_params! { ":channel": id, ":before": before, ":limit": left };
        found.extend(collect(c, &unverified_sql(verified), place, cell_row)?);
    }
    Ok(found)
}

const NEVER: &str = "verified_ns IS :before";
const LONG_AGO: &str = "verified_ns < :before";

fn unverified_sql(verified: &str) -> String {
    // Left to itself, SQLite would rather read all cells of the channel, in the order of the key.
    format!(
        "{CELL} INDEXED BY chunk_verified WHERE channel_id = :channel AND stored IS NOT NULL AND {verified} \
         ORDER BY verified_ns, start_s, end_s LIMIT :limit"
    )
}

pub(super) fn cell(c: &Connection, name: &str, cell: Cell) -> Result<Option<CellRow>> {
    let (start, end) = seconds(cell)?;
    let Some((id, _)) = channel(c, name)? else { return Ok(None) };
    let key = named_params! { ":channel": id, ":start": start, ":end": end };
    let sql = format!("{CELL} WHERE channel_id = :channel AND start_s = :start AND end_s = :end");
    Ok(collect(c, &sql, key, cell_row)?.pop())
}

/// By number, in the order of [`CELL`]: finding columns by name takes most of the time that a week of cells takes.
fn cell_row(row: &Row<'_>) -> Result<CellRow> {
    let (start, end) = (Time::from_s(row.get(0)?), Time::from_s(row.get(1)?));
    let stored = match row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)? {
        Some(coverage) => Some(Stored {
            coverage: coverage.parse()?,
            key: row.get(4)?,
            bytes: row.get::<_, i64>(5)?.unsigned_abs(),
            sha256: row.get(6)?,
        }),
        None => None,
    };
    Ok(CellRow {
        cell: Cell::from_range(Range::new(start, end)),
        state: row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?.parse()?,
        stored,
        attempts: row.get(7)?,
        retry_at: row.get::<_, Option<i64>>(8)?.map(Time::from_ns),
        reason: row.get(9)?,
        job: row.get::<_, Option<i64>>(10)?.map(JobId::new),
        progress: row.get(11)?,
        updated: Time::from_ns(row.get(12)?),
        verified: row.get::<_, Option<i64>>(13)?.map(Time::from_ns),
    })
}

pub(super) fn gaps(c: &Connection, channel: &str, within: Range) -> Result<Vec<GapRow>> {
    let Some(span) = Span::new(c, channel, within)? else { return Ok(Vec::new()) };
    // The cell before is looked at too: a gap may reach past the end of its cell.
    let sql = "SELECT cell_start_s, cell_end_s, start_ns, end_ns, track, reason, recorded_ns FROM gap \
               WHERE channel_id = :channel AND cell_start_s BETWEEN :first AND :last \
               AND start_ns < :end AND end_ns > :start ORDER BY start_ns, track, end_ns";
    let longest = span.ends_after_s.saturating_sub(span.first_start_s);
    let bounds = named_params! {
        ":channel": span.channel_id,
        ":first": span.first_start_s.saturating_sub(longest),
        ":last": span.last_start_s,
        ":end": within.end.ns(),
        ":start": within.start.ns(),
    };
    collect(c, sql, bounds, |row| {
        let range = Range::new(time(row, "start_ns")?, time(row, "end_ns")?);
        Ok(GapRow {
            cell: cell_of(row, "cell_start_s", "cell_end_s")?,
            gap: Gap { track: row.get("track")?, range, reason: row.get("reason")? },
            recorded: time(row, "recorded_ns")?,
        })
    })
}

pub(super) fn tracks(c: &Connection, channel: &str) -> Result<Vec<TrackRow>> {
    let sql = "SELECT t.id, timescale, medium, source_id, language, bandwidth_bps, codecs, width_px, height_px, \
               first_seen_ns FROM track t JOIN channel c ON c.id = t.channel_id WHERE c.name = ?1 ORDER BY t.id";
    collect(c, sql, [channel], |row| {
        let width: Option<u32> = row.get("width_px")?;
        let bandwidth: Option<i64> = row.get("bandwidth_bps")?;
        Ok(TrackRow {
            id: row.get("id")?,
            track: Track {
                medium: word(row, "medium")?,
                id: row.get("source_id")?,
                language: row.get("language")?,
                bandwidth: bandwidth.map(i64::unsigned_abs),
                codecs: row.get("codecs")?,
                size: width.zip(row.get("height_px")?),
            },
            timescale: Timescale::new(row.get("timescale")?)?,
            first_seen: time(row, "first_seen_ns")?,
        })
    })
}

pub(super) fn index(c: &Connection, name: &str, cell: Cell) -> Result<Option<Vec<u8>>> {
    let (start, end) = seconds(cell)?;
    let Some((id, _)) = channel(c, name)? else { return Ok(None) };
    let sql = "SELECT fragments FROM chunk_index WHERE channel_id = ?1 AND start_s = ?2 AND end_s = ?3";
    Ok(c.prepare_cached(sql)?.query_row(params![id, start, end], |row| row.get(0)).optional()?)
}

/// Its table has the key of the cells, so that cells without an index, and the texts of the others, are not even seen.
const INDEXES: &str = "SELECT i.start_s, i.end_s, i.fragments FROM channel c \
                       CROSS JOIN chunk_index i ON i.channel_id = c.id WHERE c.name = ?1 \
                       AND i.start_s BETWEEN ?2 - c.longest_cell_s AND ?3 AND i.end_s > ?2 ORDER BY i.start_s, i.end_s";

pub(super) fn indexes(c: &Connection, channel: &str, within: Range) -> Result<Vec<(Cell, Vec<u8>)>> {
    if within.is_empty() {
        return Ok(Vec::new());
    }
    // Rounded as in `Span::new`.
    let (ends_after_s, last_start_s) = (within.start.s(), within.end.offset_ns(-1).s());
    collect(c, INDEXES, params![channel, ends_after_s, last_start_s], |row| {
        let (start, end) = (Time::from_s(row.get(0)?), Time::from_s(row.get(1)?));
        Ok((Cell::from_range(Range::new(start, end)), row.get(2)?))
    })
}

pub(super) fn report(c: &Connection, channel: &str, within: Range) -> Result<Report> {
    let Some(span) = Span::new(c, channel, within)? else { return Ok(Report::default()) };
    let bounds = named_params! {
        ":channel": span.channel_id, ":first": span.first_start_s, ":last": span.last_start_s, ":after": span.ends_after_s,
    };
    // One pass, in the order of the key: grouping by state would sort all of them first.
    let sql = format!(
        "SELECT count(*) FILTER (WHERE state = 'capturing') AS capturing, \
                count(*) FILTER (WHERE state = 'complete') AS complete, \
                count(*) FILTER (WHERE state = 'partial') AS partial, \
                count(*) FILTER (WHERE state = 'failed') AS failed, \
                count(*) FILTER (WHERE state = 'lost') AS lost, \
                coalesce(sum(bytes), 0) AS bytes FROM chunk WHERE channel_id = :channel AND {TOUCHING}"
    );
    let mut report = c.prepare_cached(&sql)?.query_row(bounds, |row| {
        let number = |column: &str| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Report {
            capturing: number("capturing")?,
            complete: number("complete")?,
            partial: number("partial")?,
            failed: number("failed")?,
            lost: number("lost")?,
            bytes: number("bytes")?,
            ..Report::default()
        })
    })?;
    for (order, end) in [("ASC", &mut report.first), ("DESC", &mut report.last)] {
        let sql = format!(
            "SELECT start_s, end_s FROM chunk WHERE channel_id = :channel AND {TOUCHING} AND stored IS NOT NULL \
             ORDER BY start_s {order}, end_s {order} LIMIT 1"
        );
        *end = collect(c, &sql, bounds, |row| cell_of(row, "start_s", "end_s"))?.pop();
    }
    Ok(report)
}

/// A stale or unknown job: somebody else's cell now.
pub(super) fn taken_over(job: JobId) -> Error {
    Error::new(Kind::Busy, format!("job {job} has ended, or another run has taken its cell over"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use super::*;

    #[test]
    fn a_range_of_cells_is_one_run_of_the_primary_key() {
        let plan = plan(&cells_sql());
        let key = "SEARCH chunk USING PRIMARY KEY (channel_id=? AND start_s>? AND start_s<?)";
        assert_eq!(plan, key, "no other table, no sorting");
    }

    #[test]
    fn a_shelf_is_one_run_of_the_primary_key_too() {
        let channel = "SEARCH c USING INDEX sqlite_autoindex_channel_1 (name=?)";
        let key = "SEARCH k USING PRIMARY KEY (channel_id=? AND start_s>? AND start_s<?)";
        assert_eq!(plan(SHELF), format!("{channel}\n{key}"), "no sorting");
    }

    #[test]
    fn the_indexes_of_a_range_are_one_run_of_their_primary_key() {
        let channel = "SEARCH c USING INDEX sqlite_autoindex_channel_1 (name=?)";
        let key =
            "SEARCH i USING INDEX sqlite_autoindex_chunk_index_1 (channel_id=? AND start_s>? AND start_s<?)";
        assert_eq!(plan(INDEXES), format!("{channel}\n{key}"), "no sorting");
    }

    #[test]
    fn a_walk_over_all_cells_begins_where_it_stopped() {
        let plan = plan(&format!("{CELL} WHERE {AFTER}"));
        let key = "SEARCH chunk USING PRIMARY KEY (channel_id=? AND (start_s,end_s)>(?,?))";
        assert_eq!(plan, key, "no cell is read twice, and none is sorted");
    }

    #[test]
    fn what_was_read_back_longest_ago_is_found_without_sorting() {
        for verified in [NEVER, LONG_AGO] {
            let plan = plan(&unverified_sql(verified));
            assert!(
                plan.contains("USING INDEX chunk_verified") && !plan.contains("TEMP"),
                "{verified}: {plan}"
            );
        }
    }
}
