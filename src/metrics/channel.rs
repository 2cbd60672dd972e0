//! What is known of one channel, and the families that it is told in.

use std::collections::BTreeSet;
use std::time::Duration;

use super::text::Family;
use crate::capture::{BEFORE_THE_ARCHIVE, Workplace};
use crate::channel::Channel;
use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::{GapRow, JobBrief, JobFilter, Ledger, Outcome, Report, State};
use crate::plan::Risk;
use crate::status::Seen;
use crate::time::{Range, Time};

/// How far back jobs are counted. They cannot be counted for ever: those of pruned chunks are forgotten.
const RECENT: Duration = Duration::from_secs(3600);

/// What is known of one channel.
pub(super) struct Reading {
    now: Time,
    name: String,
    enabled: bool,
    chunk: Duration,
    seen: Seen,
    /// Within the retention.
    report: Report,
    gaps: u64,
    missing: Duration,
    at_risk: Vec<Risk>,
    running: u64,
    /// Of the last hour.
    jobs: Vec<JobBrief>,
}

impl Reading {
    /// Reads what the ledger has of `channel`.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(super) fn take(place: &Workplace, channel: &Channel, now: Time) -> Result<Reading> {
        let (name, ledger) = (channel.name.as_str(), place.ledger.as_ref());
        let kept = Range::new(now.minus(channel.archive_length), Time::MAX);
        let seen = Seen::read(ledger, name)?;
        let oldest = ledger.pruned(name)?.map_or(kept.start, |pruned| pruned.max(kept.start));
        let (told, untold): (Vec<GapRow>, Vec<GapRow>) =
            ledger.gaps(name, kept)?.into_iter().partition(|row| row.gap.reason != BEFORE_THE_ARCHIVE);
        let running = JobFilter::running(Some(name), 100);
        // One whose lock is free is dead.
        let running = ledger.jobs(&running)?.into_iter().filter(|job| !place.is_free(name, job.cell)).count();
        Ok(Reading {
            at_risk: seen.at_risk(ledger, name, oldest)?,
            report: report(ledger, name, kept, &told, &untold)?,
            gaps: told.len() as u64,
            missing: told.iter().map(|row| row.gap.range.duration()).sum(),
            running: running as u64,
            jobs: ledger.recent_jobs(name, now.minus(RECENT))?,
            now,
            name: name.to_owned(),
            enabled: channel.enabled,
            chunk: channel.grid.duration(),
            seen,
        })
    }

    /// How long the jobs took that have ended, in seconds, shortest first.
    fn durations_s(&self) -> Vec<f64> {
        let ended = self.jobs.iter().filter_map(|job| Some(job.ended?.since(job.started).as_secs_f64()));
        let mut all: Vec<f64> = ended.collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn chunks(&self, state: State) -> u64 {
        match state {
            State::Capturing => self.report.capturing,
            State::Complete => self.report.complete,
            State::Partial => self.report.partial,
            State::Failed => self.report.failed,
            State::Lost => self.report.lost,
        }
    }
}

/// The cells by state. The first chunk of an archive lacks nothing that was promised, and counts as whole, as in `status`.
fn report(
    ledger: &dyn Ledger,
    name: &str,
    kept: Range,
    told: &[GapRow],
    untold: &[GapRow],
) -> Result<Report> {
    let mut report = ledger.report(name, kept)?;
    let lacking: BTreeSet<Cell> = told.iter().map(|row| row.cell).collect();
    let first: BTreeSet<Cell> = untold.iter().map(|row| row.cell).collect();
    for cell in first.difference(&lacking) {
        let is_partial = ledger.cell(name, *cell)?.is_some_and(|row| row.state == State::Partial);
        if is_partial && report.partial > 0 {
            report.partial -= 1;
            report.complete += 1;
        }
    }
    Ok(report)
}

/// A gauge with one value a channel, or none.
struct Gauge {
    name: &'static str,
    help: &'static str,
    value: fn(&Reading) -> Option<f64>,
}

const GAUGES: &[Gauge] = &[
    Gauge {
        name: "npvr_channel_enabled",
        help: "1 if check captures the channel, 0 if it leaves it alone",
        value: |r| Some(f64::from(u8::from(r.enabled))),
    },
    Gauge {
        name: "npvr_chunk_duration_seconds",
        help: "How long a chunk of the channel is",
        value: |r| Some(r.chunk.as_secs_f64()),
    },
    Gauge {
        name: "npvr_last_check_timestamp_seconds",
        help: "When the source was last asked, with or without success; 0: never",
        value: |r| Some(r.seen.checked.map_or(0.0, seconds)),
    },
    Gauge {
        name: "npvr_source_up",
        help: "1 if the source answered then, 0 if it did not",
        value: |r| r.seen.checked.map(|_| f64::from(u8::from(r.seen.error.is_none()))),
    },
    Gauge {
        name: "npvr_lag_seconds",
        help: "How far the slowest track of the source was behind its clock; nothing where the presentation is over",
        value: |r| r.seen.lag_s.map(|lag| lag as f64),
    },
    Gauge {
        name: "npvr_stored_bytes",
        help: "Size of the stored chunks, within the retention",
        value: |r| Some(r.report.bytes as f64),
    },
    Gauge {
        name: "npvr_last_chunk_timestamp_seconds",
        help: "Where the latest chunk that is stored ends",
        value: |r| r.report.last.map(|cell| seconds(cell.end())),
    },
    Gauge {
        name: "npvr_gaps",
        help: "Gaps that are written down, within the retention",
        value: |r| Some(r.gaps as f64),
    },
    Gauge {
        name: "npvr_missing_seconds",
        help: "Media that these gaps lack, summed over tracks",
        value: |r| Some(r.missing.as_secs_f64()),
    },
    Gauge {
        name: "npvr_at_risk_chunks",
        help: "Chunks that may be lost",
        value: |r| Some(r.at_risk.len() as f64),
    },
    Gauge {
        name: "npvr_next_loss_timestamp_seconds",
        help: "When the first of them begins to be lost; nothing where none is at risk",
        value: |r| r.at_risk.first().map(|risk| seconds(risk.deadline)),
    },
    Gauge {
        name: "npvr_time_to_loss_seconds",
        help: "How far off that was when this was told; below 0: it has begun",
        value: |r| r.at_risk.first().map(|risk| seconds(risk.deadline) - seconds(r.now)),
    },
    Gauge { name: "npvr_running_jobs", help: "Captures that run now", value: |r| Some(r.running as f64) },
    Gauge {
        name: "npvr_recent_job_median_seconds",
        help: "How long captures took that began in the last hour and have ended, the median",
        value: |r| {
            let all = r.durations_s();
            all.get(all.len() / 2).copied()
        },
    },
    Gauge {
        name: "npvr_recent_job_longest_seconds",
        help: "How long the longest of them took",
        value: |r| r.durations_s().last().copied(),
    },
    Gauge {
        name: "npvr_recent_fetched_bytes",
        help: "What captures fetched that began in the last hour",
        value: |r| Some(r.jobs.iter().map(|job| job.stats.bytes).sum::<u64>() as f64),
    },
    Gauge {
        name: "npvr_recent_retries",
        help: "Requests that they made again",
        value: |r| Some(r.jobs.iter().map(|job| job.stats.retries).sum::<u64>() as f64),
    },
];

/// What is told of the channels.
pub(super) fn families(readings: &[Reading]) -> Vec<Family> {
    let mut chunks = Family::gauge("npvr_chunks", "Cells of the grid by state, within the retention");
    let mut jobs = Family::gauge("npvr_recent_jobs", "Captures that began in the last hour, by outcome");
    for reading in readings {
        for state in State::ALL {
            let labels = [("channel", reading.name.as_str()), ("state", state.as_str())];
            chunks.add(labels, reading.chunks(*state) as f64);
        }
        for outcome in Outcome::ALL {
            let count = reading.jobs.iter().filter(|job| job.outcome == *outcome).count();
            jobs.add([("channel", &reading.name), ("outcome", outcome.as_str())], count as f64);
        }
    }
    let mut all = vec![chunks, jobs];
    for gauge in GAUGES {
        let mut family = Family::gauge(gauge.name, gauge.help);
        for reading in readings {
            if let Some(value) = (gauge.value)(reading) {
                family.add([("channel", &reading.name)], value);
            }
        }
        all.push(family);
    }
    all
}

/// As Prometheus counts time: seconds since 1970, with a fraction.
fn seconds(at: Time) -> f64 {
    at.ns() as f64 / 1e9
}
