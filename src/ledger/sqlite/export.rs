//! Every row as a record, table by table.

use rusqlite::{Connection, OptionalExtension, Row};

use super::read::{time, word};
use crate::error::Result;
use crate::ledger::records::{Channel, Chunk, FORMAT, Gap, Garbage, Header, Hold, Job, Log, Record, Track};
use crate::ledger::{HoldId, JobId};
use crate::time::Time;

/// Who is given each record.
type Sink<'a> = &'a mut dyn FnMut(Record) -> Result<()>;

pub(super) fn export(c: &Connection, sink: Sink<'_>) -> Result<()> {
    let header = Header { format: FORMAT, last_job: last(c, "job")?, last_hold: last(c, "hold")? };
    sink(Record::Ledger(header))?;
    for (sql, record) in TABLES {
        let mut statement = c.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            sink(record(row)?)?;
        }
    }
    Ok(())
}

/// The highest number that a table ever gave; 0 if none.
fn last(c: &Connection, table: &str) -> Result<i64> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
    Ok(c.query_row(sql, [table], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// A query over all rows of a table, and what makes a record of each.
type Table = (&'static str, fn(&Row<'_>) -> Result<Record>);

/// In an order in which each row comes after those that it refers to.
const TABLES: [Table; 8] = [
    ("SELECT * FROM channel ORDER BY name", channel),
    (
        "SELECT c.name AS channel, t.* FROM track t JOIN channel c ON c.id = channel_id ORDER BY c.name, t.id",
        track,
    ),
    ("SELECT c.name AS channel, j.* FROM job j JOIN channel c ON c.id = channel_id ORDER BY j.id", job),
    ("SELECT * FROM job_log ORDER BY job_id, part", log),
    (
        "SELECT c.name AS channel, k.*, fragments FROM channel c JOIN chunk k ON k.channel_id = c.id \
         LEFT JOIN chunk_index i ON i.channel_id = k.channel_id AND i.start_s = k.start_s AND i.end_s = k.end_s \
         ORDER BY c.name, k.start_s, k.end_s",
        chunk,
    ),
    (
        "SELECT c.name AS channel, g.* FROM channel c JOIN gap g ON g.channel_id = c.id \
         ORDER BY c.name, cell_start_s, cell_end_s, start_ns, end_ns, track",
        gap,
    ),
    ("SELECT c.name AS channel, h.* FROM hold h JOIN channel c ON c.id = channel_id ORDER BY h.id", hold),
    (
        "SELECT c.name AS channel, g.key, g.bytes, g.reason, g.since_ns FROM channel c \
         JOIN garbage g ON g.channel_id = c.id ORDER BY c.name, g.key",
        garbage,
    ),
];

fn seconds(row: &Row<'_>, column: &str) -> Result<Time> {
    Ok(Time::from_s(row.get(column)?))
}

fn maybe_time(row: &Row<'_>, column: &str) -> Result<Option<Time>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Time::from_ns))
}

fn channel(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Channel(Channel {
        name: row.get("name")?,
        since: maybe_time(row, "since_ns")?,
        pruned: row.get::<_, Option<i64>>("pruned_s")?.map(Time::from_s),
        outlook: row.get("outlook")?,
        outlook_at: maybe_time(row, "outlook_ns")?,
    }))
}

fn track(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Track(Track {
        channel: row.get("channel")?,
        id: row.get("id")?,
        name: row.get("name")?,
        timescale_hz: row.get("timescale")?,
        medium: word(row, "medium")?,
        source_id: row.get("source_id")?,
        language: row.get("language")?,
        bandwidth_bps: row.get("bandwidth_bps")?,
        codecs: row.get("codecs")?,
        width_px: row.get("width_px")?,
        height_px: row.get("height_px")?,
        first_seen: time(row, "first_seen_ns")?,
    }))
}

fn job(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Job(Job {
        id: JobId::new(row.get("id")?),
        channel: row.get("channel")?,
        start: seconds(row, "start_s")?,
        end: seconds(row, "end_s")?,
        engine: row.get("engine")?,
        outcome: word(row, "outcome")?,
        started: time(row, "started_ns")?,
        ended: maybe_time(row, "ended_ns")?,
        host: row.get("host")?,
        pid: row.get("pid")?,
        bytes: row.get("bytes")?,
        segments: row.get("segments")?,
        retries: row.get("retries")?,
        message: row.get("message")?,
        command: row.get("command")?,
        exit_code: row.get("exit_code")?,
    }))
}

fn log(row: &Row<'_>) -> Result<Record> {
    let (job, part, text) = (JobId::new(row.get("job_id")?), row.get("part")?, row.get("text")?);
    Ok(Record::Log(Log { job, part, text }))
}

fn chunk(row: &Row<'_>) -> Result<Record> {
    let stored: Option<String> = row.get("stored")?;
    Ok(Record::Chunk(Chunk {
        channel: row.get("channel")?,
        start: seconds(row, "start_s")?,
        end: seconds(row, "end_s")?,
        state: word(row, "state")?,
        stored: stored.map(|word| word.parse()).transpose()?,
        key: row.get("key")?,
        bytes: row.get("bytes")?,
        sha256: row.get("sha256")?,
        verified: maybe_time(row, "verified_ns")?,
        fragments: row.get("fragments")?,
        attempts: row.get("attempts")?,
        retry_at: maybe_time(row, "retry_at_ns")?,
        reason: row.get("reason")?,
        job: row.get::<_, Option<i64>>("job_id")?.map(JobId::new),
        progress: row.get("progress")?,
        updated: time(row, "updated_ns")?,
    }))
}

fn gap(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Gap(Gap {
        channel: row.get("channel")?,
        cell_start: seconds(row, "cell_start_s")?,
        cell_end: seconds(row, "cell_end_s")?,
        track: row.get("track")?,
        start: time(row, "start_ns")?,
        end: time(row, "end_ns")?,
        reason: row.get("reason")?,
        recorded: time(row, "recorded_ns")?,
    }))
}

fn hold(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Hold(Hold {
        id: HoldId::new(row.get("id")?),
        channel: row.get("channel")?,
        start: time(row, "start_ns")?,
        end: time(row, "end_ns")?,
        note: row.get("note")?,
        until: maybe_time(row, "until_ns")?,
        created: time(row, "created_ns")?,
    }))
}

fn garbage(row: &Row<'_>) -> Result<Record> {
    Ok(Record::Garbage(Garbage {
        channel: row.get("channel")?,
        key: row.get("key")?,
        bytes: row.get("bytes")?,
        reason: row.get("reason")?,
        since: time(row, "since_ns")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use super::*;

    #[test]
    fn the_large_tables_are_read_in_the_order_of_their_keys() {
        // Channels and tracks are few; holds and garbage too.
        for (sql, _) in &TABLES[2..6] {
            let plan = plan(sql);
            assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}
