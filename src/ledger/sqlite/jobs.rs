//! Jobs and their logs.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::integer;
use super::read::{cell_of, collect, count as column, time, word};
use crate::error::{Error, Kind, Result};
use crate::ledger::{JobBrief, JobFilter, JobId, JobRow, JobStats, MAX_LOG_BYTES, Outcome};
use crate::time::Time;

/// What a new job is.
pub(super) struct Start<'a> {
    pub(super) engine: &'a str,
    pub(super) now: Time,
    pub(super) host: &'a str,
    pub(super) pid: u32,
}

pub(super) fn start(c: &Connection, channel_id: i64, cell_s: (i64, i64), job: &Start<'_>) -> Result<JobId> {
    let sql = "INSERT INTO job (channel_id, start_s, end_s, engine, outcome, started_ns, host, pid) \
               VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?6, ?7)";
    let values = params![channel_id, cell_s.0, cell_s.1, job.engine, job.now.ns(), job.host, job.pid];
    Ok(JobId::new(c.prepare_cached(sql)?.insert(values)?))
}

/// Writes down that a job died, if it is still called running: its lock was free.
pub(super) fn bury(c: &Connection, job: Option<i64>, now: Time) -> Result<()> {
    let sql = "UPDATE job SET outcome = 'died', ended_ns = ?2 WHERE id = ?1 AND outcome = 'running'";
    c.prepare_cached(sql)?.execute(params![job, now.ns()])?;
    Ok(())
}

pub(super) fn count(c: &Connection, job: JobId, stats: JobStats) -> Result<()> {
    let sql = "UPDATE job SET bytes = ?2, segments = ?3, retries = ?4 WHERE id = ?1";
    let JobStats { bytes, segments, retries } = stats;
    c.prepare_cached(sql)?.execute(params![
        job.get(),
        integer(bytes),
        integer(segments),
        integer(retries)
    ])?;
    Ok(())
}

pub(super) fn end(
    c: &Connection,
    job: JobId,
    outcome: Outcome,
    now: Time,
    stats: JobStats,
    message: Option<&str>,
) -> Result<()> {
    count(c, job, stats)?;
    let sql = "UPDATE job SET outcome = ?2, ended_ns = ?3, message = ?4 WHERE id = ?1";
    c.prepare_cached(sql)?.execute(params![job.get(), outcome.as_str(), now.ns(), message])?;
    Ok(())
}

const JOB: &str = "SELECT j.id, c.name AS channel, start_s, end_s, engine, outcome, started_ns, ended_ns, host, pid, \
                   bytes, segments, retries, message, command, exit_code FROM job j JOIN channel c ON c.id = j.channel_id";
/// The channels are gone through by name, and of each the end of its jobs is looked up.
const LATEST: &str = "SELECT j.id, c.name AS channel, start_s, end_s, engine, outcome, started_ns, ended_ns, host, pid, \
                      bytes, segments, retries, message, command, exit_code FROM channel c CROSS JOIN job j \
                      ON j.id = (SELECT max(id) FROM job WHERE channel_id = c.id) ORDER BY c.name";

fn job_row(row: &Row<'_>) -> Result<JobRow> {
    Ok(JobRow {
        id: JobId::new(row.get("id")?),
        channel: row.get("channel")?,
        cell: cell_of(row, "start_s", "end_s")?,
        engine: row.get("engine")?,
        outcome: word(row, "outcome")?,
        started: time(row, "started_ns")?,
        ended: row.get::<_, Option<i64>>("ended_ns")?.map(Time::from_ns),
        host: row.get("host")?,
        pid: row.get("pid")?,
        stats: stats(row)?,
        message: row.get("message")?,
        command: row.get("command")?,
        exit_code: row.get("exit_code")?,
    })
}

pub(super) fn latest(c: &Connection) -> Result<Vec<JobRow>> {
    collect(c, LATEST, [], job_row)
}

fn stats(row: &Row<'_>) -> Result<JobStats> {
    Ok(JobStats {
        bytes: column(row, "bytes")?,
        segments: column(row, "segments")?,
        retries: column(row, "retries")?,
    })
}

pub(super) fn one(c: &Connection, id: JobId) -> Result<Option<JobRow>> {
    Ok(collect(c, &format!("{JOB} WHERE j.id = ?1"), [id.get()], job_row)?.pop())
}

pub(super) fn list(c: &Connection, filter: &JobFilter) -> Result<Vec<JobRow>> {
    let each: Vec<Option<Outcome>> = match filter.outcomes[..] {
        [] => vec![None],
        ref outcomes => outcomes.iter().copied().map(Some).collect(),
    };
    let mut found = Vec::new();
    for outcome in each {
        found.extend(of_outcome(c, filter, outcome)?);
    }
    found.sort_by_key(|job| std::cmp::Reverse(job.id));
    found.dedup_by_key(|job| job.id);
    found.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// Each outcome by itself: one query for several would have to sort all that it finds, and there may be millions.
fn of_outcome(c: &Connection, filter: &JobFilter, outcome: Option<Outcome>) -> Result<Vec<JobRow>> {
    let range = filter.touching.filter(|range| !range.is_empty());
    if filter.touching.is_some() && range.is_none() {
        return Ok(Vec::new());
    }
    // Cells lie on whole seconds, so rounding the start and the last nanosecond down loses none.
    let (after, last) = range.map(|r| (r.start.s(), r.end.offset_ns(-1).s())).unzip();
    let (before, word) = (filter.before.map(JobId::get), outcome.map(Outcome::as_str));
    let values: [(&str, &dyn ToSql); 6] = [
        (":channel", &filter.channel),
        (":outcome", &word),
        (":before", &before),
        (":after", &after),
        (":last", &last),
        (":limit", &filter.limit),
    ];
    let sql = list_sql(filter, outcome);
    let asked: Vec<_> = values.into_iter().filter(|(name, _)| sql.contains(name)).collect();
    collect(c, &sql, &asked[..], job_row)
}

/// Fixed texts instead of one with `OR :channel IS NULL`, which no index can serve.
fn list_sql(filter: &JobFilter, outcome: Option<Outcome>) -> String {
    // The plus keeps SQLite from reading all jobs of the channel, where the few that run have an index.
    let plus = if outcome == Some(Outcome::Running) { "+" } else { "" };
    let of_channel = format!("{plus}j.channel_id = (SELECT id FROM channel WHERE name = :channel)");
    let of_outcome = match (&filter.channel, plus) {
        // Of one channel there are few enough: its own index has them in order.
        (Some(_), "") => "+j.outcome = :outcome",
        _ => "j.outcome = :outcome",
    };
    let wanted = [
        filter.channel.is_some().then_some(of_channel.as_str()),
        outcome.is_some().then_some(of_outcome),
        filter.touching.is_some().then_some("start_s <= :last AND end_s > :after"),
        filter.before.is_some().then_some("j.id < :before"),
    ];
    let wanted: Vec<&str> = wanted.into_iter().flatten().collect();
    let filtered = if wanted.is_empty() { String::new() } else { format!("WHERE {}", wanted.join(" AND ")) };
    format!("{JOB} {filtered} ORDER BY j.id DESC LIMIT :limit")
}

const RECENT: &str = "SELECT outcome, started_ns, ended_ns, bytes, segments, retries FROM job \
     WHERE channel_id = (SELECT id FROM channel WHERE name = ?1) ORDER BY id DESC";

pub(super) fn recent(c: &Connection, channel: &str, since: Time) -> Result<Vec<JobBrief>> {
    let mut statement = c.prepare_cached(RECENT)?;
    let mut rows = statement.query([channel])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let started = time(row, "started_ns")?;
        // Jobs are numbered as they begin: those that follow are older still.
        if started < since {
            break;
        }
        let ended = row.get::<_, Option<i64>>("ended_ns")?.map(Time::from_ns);
        found.push(JobBrief { outcome: word(row, "outcome")?, started, ended, stats: stats(row)? });
    }
    Ok(found)
}

/// How many jobs are forgotten in one transaction, so that no other run waits long for its turn.
const FORGOTTEN_AT_ONCE: usize = 1_000;

pub(super) fn forget(c: &Connection, channel: &str, before: Time) -> Result<u64> {
    let mut statement = c.prepare_cached(FORGETTABLE)?;
    let mut rows = statement.query(params![channel])?;
    let mut old = Vec::new();
    while let Some(row) = rows.next()? {
        // Jobs are numbered as they begin: those that follow are younger still.
        if row.get::<_, i64>("started_ns")? >= before.ns() || old.len() == FORGOTTEN_AT_ONCE {
            break;
        }
        let ended: Option<i64> = row.get("ended_ns")?;
        if ended.is_some_and(|at| at < before.ns()) && !row.get::<_, bool>("has_row")? {
            old.push(row.get::<_, i64>("id")?);
        }
    }
    for id in &old {
        c.prepare_cached("DELETE FROM job_log WHERE job_id = ?1")?.execute([id])?;
        c.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([id])?;
    }
    Ok(old.len() as u64)
}

const FORGETTABLE: &str = "SELECT j.id, started_ns, ended_ns, EXISTS (SELECT 1 FROM chunk k \
     WHERE k.channel_id = j.channel_id AND k.start_s = j.start_s AND k.end_s = j.end_s) AS has_row \
     FROM job j WHERE j.channel_id = (SELECT id FROM channel WHERE name = ?1) ORDER BY j.id";

fn exists(c: &Connection, job: JobId) -> Result<bool> {
    let found =
        c.prepare_cached("SELECT 1 FROM job WHERE id = ?1")?.query_row([job.get()], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

pub(super) fn append_log(c: &Connection, job: JobId, text: &str) -> Result<()> {
    if !exists(c, job)? {
        return Err(Error::new(Kind::NotFound, format!("there is no job {job}"))
            .hint("npvr status --jobs lists them"));
    }
    let text = &text[text.ceil_char_boundary(text.len().saturating_sub(MAX_LOG_BYTES))..];
    if text.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO job_log (job_id, part, text) \
               VALUES (?1, (SELECT coalesce(max(part), 0) + 1 FROM job_log WHERE job_id = ?1), ?2)";
    c.prepare_cached(sql)?.execute(params![job.get(), text])?;
    // Drops every part that is not among the last ones that fit together.
    let sql = "DELETE FROM job_log WHERE job_id = ?1 AND part <= coalesce((SELECT max(part) FROM \
               (SELECT part, sum(octet_length(text)) OVER (ORDER BY part DESC) AS bytes FROM job_log WHERE job_id = ?1) \
               WHERE bytes > ?2), 0)";
    c.prepare_cached(sql)?.execute(params![job.get(), integer(MAX_LOG_BYTES as u64)])?;
    Ok(())
}

pub(super) fn log(c: &Connection, job: JobId) -> Result<Option<String>> {
    if !exists(c, job)? {
        return Ok(None);
    }
    let sql = "SELECT part, text FROM job_log WHERE job_id = ?1 ORDER BY part";
    let parts = collect(c, sql, [job.get()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let dropped = parts.first().is_some_and(|(part, _)| *part > 1);
    let mut log = String::from(if dropped { "(earlier lines were dropped)\n" } else { "" });
    parts.iter().for_each(|(_, text)| log += text);
    Ok(Some(log))
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use super::*;
    use crate::time::Range;

    #[test]
    fn years_of_jobs_are_not_read_to_list_a_few() {
        let channel = Some("news");
        let (page, cell) = (Some(JobId::new(9)), Some(Range::new(Time::EPOCH, Time::MAX)));
        let (running, failed) = (Some(Outcome::Running), Some(Outcome::Failed));
        for (channel, outcome, before, touching, index) in [
            (None, None, None, None, "SCAN j"), // in the order asked for, and stopped by LIMIT
            (None, None, page, None, "SEARCH j USING INTEGER PRIMARY KEY (rowid<?)"),
            (channel, None, None, None, "SEARCH j USING INDEX job_of_channel (channel_id=?)"),
            (channel, None, page, cell, "SEARCH j USING INDEX job_of_channel (channel_id=? AND id<?)"),
            (channel, failed, page, None, "SEARCH j USING INDEX job_of_channel (channel_id=? AND id<?)"),
            (None, running, None, None, "SEARCH j USING INDEX job_of_outcome (outcome=?)"),
            (None, failed, page, None, "SEARCH j USING INDEX job_of_outcome (outcome=? AND id<?)"),
            (channel, running, None, None, "SEARCH j USING INDEX job_of_outcome (outcome=?)"),
        ] {
            let filter = JobFilter { before, touching, ..JobFilter::latest(channel, 9) };
            let plan = plan(&list_sql(&filter, outcome));
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{filter:?} {outcome:?}: {plan}");
        }
    }

    #[test]
    fn the_latest_job_of_each_channel_is_one_step_into_an_index() {
        let plan = plan(LATEST);
        assert!(plan.contains("SEARCH j USING INTEGER PRIMARY KEY"), "{plan}");
        assert!(plan.contains("SEARCH job USING COVERING INDEX job_of_channel (channel_id=?)"), "{plan}");
        assert!(!plan.contains("SCAN j") && !plan.contains("TEMP"), "{plan}");
    }

    #[test]
    fn the_jobs_of_the_last_hour_are_read_from_the_newest_on() {
        let plan = plan(RECENT);
        assert!(plan.contains("SEARCH job USING INDEX job_of_channel") && !plan.contains("TEMP"), "{plan}");
    }

    #[test]
    fn what_can_be_forgotten_is_found_in_order_and_by_keys() {
        let jobs = plan(FORGETTABLE);
        assert!(jobs.contains("SEARCH j USING INDEX job_of_channel") && !jobs.contains("TEMP"), "{jobs}");
        assert!(jobs.contains("SEARCH k USING") && !jobs.contains("SCAN k"), "{jobs}");
        // What the foreign key asks of each job that goes.
        let named = plan("SELECT 1 FROM chunk WHERE job_id = 1");
        assert!(named.contains("chunk_of_job"), "{named}");
    }
}
