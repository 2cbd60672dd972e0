//! Records into an empty ledger, in one transaction.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::seconds;
use crate::error::{Context, Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::records::{Channel, Chunk, Gap, Garbage, Header, Hold, Job, Record, Track};
use crate::ledger::{Coverage, JobId};
use crate::time::{Range, Time};

pub(super) fn import(c: &Connection, records: &mut dyn Iterator<Item = Result<Record>>) -> Result<u64> {
    let used: bool = c.query_row("SELECT EXISTS (SELECT 1 FROM channel)", [], |row| row.get(0))?;
    if used {
        return Err(Error::new(Kind::Usage, "it is not empty, and an import does not mix two ledgers").hint(
            "point --state at a new folder; or move ledger.db, ledger.db-wal and ledger.db-shm away first",
        ));
    }
    let Some(Record::Ledger(header)) = records.next().transpose()? else {
        return Err(Error::new(Kind::Invalid, "it does not begin as an export does")
            .hint("npvr ledger export writes what can be imported"));
    };
    let mut import = Import { c, ids: HashMap::new() };
    let mut count = 1;
    for record in records {
        let record = record?;
        count += 1;
        import.add(&record).with_context(|| format!("line {count}"))?;
    }
    import.finish(&header)?;
    Ok(count - 1)
}

struct Import<'a> {
    c: &'a Connection,
    /// The channels that have come, by name.
    ids: HashMap<String, i64>,
}

impl Import<'_> {
    fn add(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::Ledger(_) => Err(Error::new(Kind::Invalid, "a second header")),
            Record::Channel(channel) => self.channel(channel),
            Record::Track(track) => self.track(track),
            Record::Job(job) => self.job(job),
            Record::Log(log) => {
                let sql = "INSERT INTO job_log (job_id, part, text) VALUES (?1, ?2, ?3)";
                self.c.prepare_cached(sql)?.execute(params![log.job.get(), log.part, log.text])?;
                Ok(())
            }
            Record::Chunk(chunk) => self.chunk(chunk),
            Record::Gap(gap) => self.gap(gap),
            Record::Hold(hold) => self.hold(hold),
            Record::Garbage(garbage) => self.garbage(garbage),
        }
    }

    fn id(&self, channel: &str) -> Result<i64> {
        let unknown = || Error::new(Kind::Invalid, format!("channel {channel} has not come before it"));
        self.ids.get(channel).copied().ok_or_else(unknown)
    }

    fn channel(&mut self, channel: &Channel) -> Result<()> {
        let sql =
            "INSERT INTO channel (name, since_ns, pruned_s, outlook, outlook_ns) VALUES (?1, ?2, ?3, ?4, ?5)";
        let Channel { name, since, pruned, outlook, outlook_at } = channel;
        let values = params![name, ns(*since), pruned.map(Time::s), outlook, ns(*outlook_at)];
        let id = self.c.prepare_cached(sql)?.insert(values)?;
        self.ids.insert(name.clone(), id);
        Ok(())
    }

    fn track(&self, track: &Track) -> Result<()> {
        let sql = "INSERT INTO track (channel_id, id, name, timescale, medium, source_id, language, bandwidth_bps, \
                   codecs, width_px, height_px, first_seen_ns) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let values = params![
            self.id(&track.channel)?,
            track.id,
            track.name,
            track.timescale_hz,
            track.medium.as_str(),
            track.source_id,
            track.language,
            track.bandwidth_bps,
            track.codecs,
            track.width_px,
            track.height_px,
            track.first_seen.ns(),
        ];
        self.c.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn job(&self, job: &Job) -> Result<()> {
        let (start_s, end_s) = cell(job.start, job.end)?;
        let sql = "INSERT INTO job (id, channel_id, start_s, end_s, engine, outcome, started_ns, ended_ns, host, pid, \
                   bytes, segments, retries, message, command, exit_code) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
        let values = params![
            job.id.get(),
            self.id(&job.channel)?,
            start_s,
            end_s,
            job.engine,
            job.outcome.as_str(),
            job.started.ns(),
            ns(job.ended),
            job.host,
            job.pid,
            job.bytes,
            job.segments,
            job.retries,
            job.message,
            job.command,
            job.exit_code,
        ];
        self.c.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn chunk(&self, chunk: &Chunk) -> Result<()> {
        let (start_s, end_s) = cell(chunk.start, chunk.end)?;
        let id = self.id(&chunk.channel)?;
        let sql = "INSERT INTO chunk (channel_id, start_s, end_s, state, stored, key, bytes, sha256, verified_ns, \
                   attempts, retry_at_ns, reason, job_id, progress, updated_ns) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
        let values = params![
            id,
            start_s,
            end_s,
            chunk.state.as_str(),
            chunk.stored.map(Coverage::as_str),
            chunk.key,
            chunk.bytes,
            chunk.sha256,
            ns(chunk.verified),
            chunk.attempts,
            ns(chunk.retry_at),
            chunk.reason,
            chunk.job.map(JobId::get),
            chunk.progress,
            chunk.updated.ns(),
        ];
        self.c.prepare_cached(sql)?.execute(values)?;
        if let Some(fragments) = &chunk.fragments {
            let sql =
                "INSERT INTO chunk_index (channel_id, start_s, end_s, fragments) VALUES (?1, ?2, ?3, ?4)";
            self.c.prepare_cached(sql)?.execute(params![id, start_s, end_s, fragments])?;
        }
        Ok(())
    }

    fn gap(&self, gap: &Gap) -> Result<()> {
        let (start_s, end_s) = cell(gap.cell_start, gap.cell_end)?;
        let sql = "INSERT INTO gap (channel_id, cell_start_s, cell_end_s, start_ns, end_ns, track, reason, recorded_ns) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let values = params![
            self.id(&gap.channel)?,
            start_s,
            end_s,
            gap.start.ns(),
            gap.end.ns(),
            gap.track,
            gap.reason,
            gap.recorded.ns(),
        ];
        self.c.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn hold(&self, hold: &Hold) -> Result<()> {
        let sql = "INSERT INTO hold (id, channel_id, start_ns, end_ns, note, until_ns, created_ns) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![
            hold.id.get(),
            self.id(&hold.channel)?,
            hold.start.ns(),
            hold.end.ns(),
            hold.note,
            ns(hold.until),
            hold.created.ns(),
        ];
        self.c.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn garbage(&self, garbage: &Garbage) -> Result<()> {
        let sql =
            "INSERT INTO garbage (channel_id, key, bytes, reason, since_ns) VALUES (?1, ?2, ?3, ?4, ?5)";
        let Garbage { channel, key, bytes, reason, since } = garbage;
        self.c.prepare_cached(sql)?.execute(params![self.id(channel)?, key, bytes, reason, since.ns()])?;
        Ok(())
    }

    /// What no row says: bounds that rows obey, and numbers that are never to be given again.
    fn finish(&self, header: &Header) -> Result<()> {
        self.c.execute(
            "UPDATE channel SET longest_cell_s = \
             coalesce((SELECT max(end_s - start_s) FROM chunk WHERE channel_id = channel.id), 0)",
            [],
        )?;
        for (table, last) in [("job", header.last_job), ("hold", header.last_hold)] {
            let given = self.c.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1",
                params![table, last],
            )?;
            if given == 0 && last > 0 {
                self.c.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
                    params![table, last],
                )?;
            }
        }
        Ok(())
    }
}

fn cell(start: Time, end: Time) -> Result<(i64, i64)> {
    seconds(Cell::from_range(Range::new(start, end)))
}

fn ns(at: Option<Time>) -> Option<i64> {
    at.map(Time::ns)
}
