//! The overview: one row a channel, for a page and for metrics that are asked for again and again.
//!
//! [`Overviews`] keeps what it read, so that a look at hundreds of channels of which little has changed costs a handful of
//! queries; see `known` for when that is right. A row takes a few hundred bytes of memory, and 24 for each change of state
//! along its retention.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::attention::{Attention, Facts, attention};
use super::known::{Books, Known};
use super::strip::{Patch, part, strip};
use super::{Counts, Job, LowSpace, job, low_space, oldest, span};
use crate::capture::Workplace;
use crate::channel::Channel;
use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::{Head, Hold, JobFilter, JobRow, Outcome};
use crate::plan::Risk;
use crate::time::{Range, Time};

/// All channels at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// The moment, on this host's clock.
    pub now: Time,
    /// Folders with so little space that nothing more is captured into them.
    pub low_space: Vec<LowSpace>,
    /// The channels, in the order in which they were given.
    pub channels: Vec<Row>,
}

/// One channel.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
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
    /// How far the source's slowest track was behind its clock then, in seconds; `null` where the presentation is over.
    pub lag_s: Option<u64>,
    /// What the strip spans: the retention, or the archive where it is younger.
    pub span: Option<Range>,
    /// The coverage of `span`, in slots of equal length, oldest first; empty without a span.
    pub strip: Vec<Patch>,
    /// Cells by state, and bytes, within the retention.
    pub counts: Counts,
    /// How many gaps there are.
    pub gaps: u64,
    /// How long any track lacks something, in seconds.
    pub missing_s: f64,
    /// The latest cell of which a chunk is stored.
    pub last_chunk: Option<Cell>,
    /// The latest job, also one that runs.
    pub last_job: Option<Job>,
    /// What is being captured now.
    pub running: Vec<Job>,
    /// How many holds are in force.
    pub holds: u64,
    /// Seconds until the first media is lost, negative once it has begun; `null` where nothing is at risk.
    pub seconds_to_loss: Option<i64>,
    /// What needs attention, worst first.
    pub attention: Vec<Attention>,
}

impl Row {
    /// The order of need: what is worst first, of that what is lost soonest, then by name.
    pub fn need(&self) -> impl Ord + use<'_> {
        let worst = self.attention.first().map(|one| one.severity);
        (Reverse(worst), self.seconds_to_loss.unwrap_or(i64::MAX), self.name.as_str())
    }
}

/// More jobs than this do not run at once on one host.
const MOST_RUNNING: u32 = 10_000;

/// What a server keeps to make an [`Overview`] of. One for each ledger; threads share it.
#[derive(Default)]
pub struct Overviews {
    known: Mutex<HashMap<String, Known>>,
}

impl Overviews {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The overview of `channels` at `now`, with strips of so many slots. Who asks while another look is being made waits for
    /// that: both would read the same. What was kept of other channels is dropped.
    ///
    /// # Errors
    /// Those of the ledger.
    pub fn at(
        &self,
        place: &Workplace,
        channels: &[Arc<Channel>],
        slots: usize,
        now: Time,
    ) -> Result<Overview> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let ledger = place.ledger.as_ref();
        let low_space = low_space(place, channels.iter().map(Arc::as_ref));
        let mut heads: HashMap<String, Head> =
            ledger.heads()?.into_iter().map(|head| (head.channel.clone(), head)).collect();
        let mut latest = by_channel(ledger.latest_jobs()?);
        let mut running = by_channel(ledger.jobs(&JobFilter::running(None, MOST_RUNNING))?);
        let mut rows = Vec::with_capacity(channels.len());
        let mut kept = HashMap::with_capacity(channels.len());
        for channel in channels {
            let name = channel.name.as_str();
            let head = heads.remove(name).unwrap_or_else(|| Head::unknown(name));
            let known = match known.remove(name) {
                Some(mut known) => known.refresh(ledger, channel, head, now).map(|()| known)?,
                None => Known::new(ledger, channel, head, now)?,
            };
            let jobs = Jobs {
                last: latest.remove(name).unwrap_or_default(),
                running: running.remove(name).unwrap_or_default(),
            };
            rows.push(row(place, channel, &known, jobs, &low_space, slots, now));
            kept.insert(name.to_owned(), known);
        }
        *known = kept;
        Ok(Overview { now, low_space, channels: rows })
    }
}

/// The jobs of one channel that its row shows.
struct Jobs {
    last: Vec<JobRow>,
    running: Vec<JobRow>,
}

fn by_channel(jobs: Vec<JobRow>) -> HashMap<String, Vec<JobRow>> {
    let mut all: HashMap<String, Vec<JobRow>> = HashMap::new();
    for job in jobs {
        all.entry(job.channel.clone()).or_default().push(job);
    }
    all
}

fn row(
    place: &Workplace,
    channel: &Channel,
    known: &Known,
    jobs: Jobs,
    low_space: &[LowSpace],
    slots: usize,
    now: Time,
) -> Row {
    let (head, books, sight) = (known.head(), known.books(), known.sight());
    let oldest = oldest(channel, head.pruned, now);
    let span = span(head.since, oldest, now);
    let at_risk: Vec<Risk> = sight.at_risk.iter().filter(|risk| risk.cell.end() > oldest).cloned().collect();
    let holds: Vec<&Hold> = books.holds.iter().filter(|hold| hold.holds_at(now)).collect();
    let low_space = folders(place, channel, low_space);
    let facts = Facts {
        name: channel.name.as_str(),
        enabled: channel.enabled,
        cell: channel.grid.duration(),
        checked: head.checked,
        error: sight.error.as_deref(),
        at_risk: &at_risk,
        counts: books.counts,
        gaps: books.gaps,
        missing: books.missing,
        low_space: &low_space,
    };
    let attention = attention(&facts, now);
    let strip = span.map(|span| patches(span, slots, channel, books, &holds, &at_risk)).unwrap_or_default();
    Row {
        name: channel.name.to_string(),
        enabled: channel.enabled,
        since: head.since,
        checked: head.checked,
        error: sight.error.clone(),
        lag_s: sight.lag_s,
        span,
        strip,
        counts: books.counts,
        gaps: books.gaps,
        missing_s: books.missing.as_secs_f64(),
        last_chunk: books.last_chunk,
        last_job: jobs.last.into_iter().next().map(|row| job(place, row)),
        running: running(place, jobs.running),
        holds: holds.len() as u64,
        seconds_to_loss: attention.iter().find_map(|one| one.seconds_to_loss),
        attention,
    }
}

/// The folders without space that a capture of `channel` needs.
fn folders(place: &Workplace, channel: &Channel, low_space: &[LowSpace]) -> Vec<String> {
    let is_needed = |low: &&LowSpace| {
        low.folder == place.spool || channel.disk_path.as_ref().is_some_and(|path| *path == low.folder)
    };
    low_space.iter().filter(is_needed).map(|low| low.folder.display().to_string()).collect()
}

/// The strip of `span`, with what is held and what is at risk laid over it.
fn patches(
    span: Range,
    slots: usize,
    channel: &Channel,
    books: &Books,
    holds: &[&Hold],
    at_risk: &[Risk],
) -> Vec<Patch> {
    let states = strip(span, slots, channel.grid, &books.stretches).into_iter().enumerate();
    let patch = |(n, state)| {
        let part = part(span, slots, n);
        let touches = |range: Range| !range.intersect(part).is_empty();
        Patch {
            state,
            held: holds.iter().any(|hold| touches(hold.range)),
            at_risk: at_risk.iter().any(|risk| touches(risk.cell.range())),
        }
    };
    states.map(patch).collect()
}

/// Those that really run: whose lock is held.
fn running(place: &Workplace, rows: Vec<JobRow>) -> Vec<Job> {
    rows.into_iter().map(|row| job(place, row)).filter(|job| job.outcome == Outcome::Running).collect()
}
