//! `check`: ask every channel what its window still holds, and capture what the archive lacks.
//!
//! Channels are asked many at a time, and captures begin as soon as there is something to capture: the one that would be
//! lost first goes first, across channels. One channel's failure never stops another's; it is reported at the end. What
//! another run is busy with is left to it.

mod shortage;

use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

pub use self::shortage::{Shortage, shortages};
use crate::capture::{
    BEFORE_THE_ARCHIVE, Captured, Feed, Lanes, Order, Turn, Workplace, capture, spooled_until, sweep,
    write_off,
};
use crate::channel::{Channel, Engine};
use crate::clock;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::ledger::{CellRow, State};
use crate::plan::{Action, Decision, Known, Outlook, Record, Rules, Standing, plan, urgency};
use crate::retention;
use crate::source::{self, Source};
use crate::store::{self, Store};
use crate::time::{Range, Time};
use crate::timeline::Timeline;

/// Channels that are asked at once.
const ASKED_AT_ONCE: usize = 16;

/// How a check goes about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Captures that fetch at once, over all channels; and as many that store.
    pub parallel: usize,
    /// Only decide; capture nothing, and write nothing down.
    pub dry_run: bool,
    /// Only cells that touch this range; `None` is all.
    pub within: Option<Range>,
    /// Also what is not due, or waits for a retry.
    pub force: bool,
    /// The archive folder of channels without a store of their own.
    pub archive: PathBuf,
}

/// What came of a channel.
#[derive(Debug)]
pub struct ChannelReport {
    /// Its name.
    pub name: String,
    /// Why it could not be checked, if it could not.
    pub error: Option<Error>,
    /// What was decided on every cell. Cells that are archived are in it only if a range, or a dry run, was asked for: a
    /// week of them, for every channel, is much to keep in memory for nobody.
    pub decisions: Vec<Decision>,
    /// What its source says that a person should know.
    pub notes: Vec<String>,
    /// What was done, in the order of its end.
    pub done: Vec<Done>,
}

/// What came of one decision.
#[derive(Debug)]
pub struct Done {
    /// What was decided.
    pub decision: Decision,
    /// What came of it.
    pub result: Result<Captured>,
}

impl ChannelReport {
    /// True if something failed, or was lost, that was not known to be before.
    pub fn has_problem(&self) -> bool {
        self.error.is_some() || self.done.iter().any(Done::is_problem)
    }
}

impl Done {
    /// True for a failure, for a loss that is news, and for what there is no space for.
    pub fn is_problem(&self) -> bool {
        match &self.result {
            Ok(Captured::Partial { gaps, news }) => {
                *news && gaps.iter().any(|g| g.reason != BEFORE_THE_ARCHIVE)
            }
            Ok(Captured::Lost | Captured::NoSpace(_)) | Err(_) => true,
            Ok(_) => false,
        }
    }
}

/// Connects a channel to its store.
async fn connect(place: &Workplace, channel: &Channel, archive: &Path) -> Result<Arc<dyn Store>> {
    let is_known = place.ledger.since(channel.name.as_str())?.is_some();
    store::of_channel(channel, archive, is_known).await
}

/// Checks `channels` once. The reports are in the order of names.
pub async fn check(place: Arc<Workplace>, channels: Vec<Channel>, options: &Options) -> Vec<ChannelReport> {
    let mut run = Run {
        place,
        options: options.clone(),
        queue: BinaryHeap::new(),
        reports: Vec::new(),
        asking: JoinSet::new(),
        captures: JoinSet::new(),
    };
    let lanes = Lanes::new(options.parallel);
    let mut waiting = channels.into_iter();
    loop {
        while run.asking.len() < ASKED_AT_ONCE {
            let Some(channel) = waiting.next() else { break };
            run.ask(channel);
        }
        tokio::select! {
            Some(asked) = run.asking.join_next() => run.answered(finished(asked)),
            Some(ended) = run.captures.join_next() => run.captured(finished(ended)),
            turn = lanes.turn(), if !run.queue.is_empty() => run.start(turn),
            else => break,
        }
    }
    run.reports.sort_by(|a, b| a.name.cmp(&b.name));
    run.reports
}

/// A check under way.
struct Run {
    place: Arc<Workplace>,
    options: Options,
    queue: BinaryHeap<Queued>,
    reports: Vec<ChannelReport>,
    asking: JoinSet<(String, Result<Survey>)>,
    captures: JoinSet<(usize, Done)>,
}

/// A channel that has been asked, and what is to be done.
struct Survey {
    /// `None` in a dry run, which needs no store.
    feed: Option<Feed>,
    timeline: Timeline,
    since: Time,
    rows: Vec<CellRow>,
    decisions: Vec<Decision>,
}

impl Run {
    fn ask(&mut self, channel: Channel) {
        let (place, options) = (Arc::clone(&self.place), self.options.clone());
        self.asking.spawn(async move {
            let name = channel.name.to_string();
            let survey = survey(&place, channel, &options).await;
            (name, survey)
        });
    }

    /// A channel has answered, or has not: its report begins, and its work joins the queue.
    fn answered(&mut self, (name, survey): (String, Result<Survey>)) {
        let at = self.reports.len();
        let mut report =
            ChannelReport { name, error: None, decisions: Vec::new(), notes: Vec::new(), done: Vec::new() };
        match survey {
            Ok(survey) => {
                report.notes = survey.timeline.notes;
                if let Some(feed) = survey.feed {
                    let feed = Arc::new(feed);
                    let tracks: Arc<[String]> =
                        survey.timeline.tracks.iter().map(|t| t.track.name()).collect();
                    for decision in &survey.decisions {
                        let Some(action) = decision.action else { continue };
                        let row = survey.rows.binary_search_by_key(&decision.cell, |row| row.cell);
                        let attempts = row.map_or(0, |at| survey.rows[at].attempts);
                        let since = survey.since;
                        let (feed, tracks) = (Arc::clone(&feed), Arc::clone(&tracks));
                        self.queue.push(Queued {
                            channel: at,
                            feed,
                            tracks,
                            action,
                            attempts,
                            since,
                            decision: decision.clone(),
                        });
                    }
                }
                report.decisions = survey.decisions;
            }
            Err(e) => report.error = Some(e.context(format!("channel {}", report.name))),
        }
        self.reports.push(report);
    }

    /// Begins the most urgent of all that is to be done.
    fn start(&mut self, turn: Turn) {
        let Some(next) = self.queue.pop() else { return };
        let place = Arc::clone(&self.place);
        self.captures.spawn(async move {
            let result = next.carry_out(&place, turn).await;
            (next.channel, Done { decision: next.decision, result })
        });
    }

    fn captured(&mut self, (channel, done): (usize, Done)) {
        self.reports[channel].done.push(done);
    }
}

/// One decision that is to be carried out.
struct Queued {
    channel: usize,
    feed: Arc<Feed>,
    tracks: Arc<[String]>,
    action: Action,
    attempts: u32,
    since: Time,
    decision: Decision,
}

impl Queued {
    async fn carry_out(&self, place: &Workplace, turn: Turn) -> Result<Captured> {
        let (cell, last_chance) = (self.decision.cell, self.decision.last_chance);
        let whole = self.action == Action::Capture;
        let order = Order { cell, whole, last_chance, attempts: self.attempts, since: self.since };
        if self.action != Action::WriteOff {
            return capture(place, &self.feed, order, turn).await;
        }
        let name = self.feed.channel.name.as_str();
        let news = write_off(place, name, order, &self.tracks, &self.decision.reason)?;
        Ok(if news { Captured::Lost } else { Captured::Busy })
    }
}

impl Ord for Queued {
    /// The greatest is the most urgent: that is what a heap gives first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        urgency(&other.decision).cmp(&urgency(&self.decision)).then_with(|| other.channel.cmp(&self.channel))
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Queued {}

/// Asks a channel's source, and decides.
async fn survey(place: &Workplace, channel: Channel, options: &Options) -> Result<Survey> {
    let name = channel.name.to_string();
    let seen = place.ledger.observed(&name)?.map(|(_, text)| text);
    let seen = Outlook::read(seen.as_deref());
    let zero = seen.source.as_ref().and_then(|sight| sight.zero);
    let source: Arc<dyn Source> = Arc::from(source::of_channel(&channel, zero)?);
    let timeline = match source.timeline().await {
        Ok(timeline) => timeline,
        Err(e) => {
            if !options.dry_run {
                let outlook = seen.unreachable(e.to_string());
                place.ledger.observe(&name, &outlook.text(), clock::now())?;
            }
            return Err(e.hint(ask_yourself(&name)));
        }
    };
    let store = if options.dry_run { None } else { Some(connect(place, &channel, &options.archive).await?) };
    let known_since = place.ledger.since(&name)?;
    let began = began(&timeline, known_since);
    let since = match options.dry_run {
        true => known_since.unwrap_or(began),
        false => place.ledger.open_channel(&name, began, clock::now())?,
    };
    let retention = channel.archive_length;
    // A cell may be older than the retention by as much as the longest cell there can be.
    let within = Range::new(timeline.now.minus(retention).minus(Grid::MAX), Time::MAX);
    let rows = place.ledger.cells(&name, within)?;
    let pruned = place.ledger.pruned(&name)?;
    let rules = rules(&channel, &timeline, since, pruned, options.force);
    // The ledger's instants are of this host's clock; a plan is made on the source's.
    let ahead_ns = timeline.now.signed_ns_since(clock::now());
    let known = known(place, &name, &rows, ahead_ns)?;
    let mut decisions = plan(&rules, &timeline, &known);
    if !options.dry_run {
        sweep(place, &name, &rows)?;
        place.ledger.observe(&name, &Outlook::new(&timeline, &decisions).text(), clock::now())?;
    }
    choose(&mut decisions, options, pruned);
    let feed = store.map(|store| Feed { channel, source, store });
    Ok(Survey { feed, timeline, since, rows, decisions })
}

/// Leaves those decisions that the run is about.
fn choose(decisions: &mut Vec<Decision>, options: &Options, pruned: Option<Time>) {
    // By force what was pruned is captured again, if the source still has it. It is never called lost.
    decisions.retain(|d| pruned.is_none_or(|p| p < d.cell.end()) || d.action == Some(Action::Capture));
    match options.within {
        Some(within) => decisions.retain(|d| !d.cell.range().intersect(within).is_empty()),
        None if options.dry_run => {}
        None => {
            decisions.retain(|d| d.standing != Standing::Archived);
            decisions.shrink_to_fit();
        }
    }
    if options.force {
        decisions.iter_mut().for_each(force);
    }
}

/// What the channel asks of its plan. What was pruned, or would be at once, is not captured, unless by force.
fn rules(channel: &Channel, timeline: &Timeline, since: Time, pruned: Option<Time>, force: bool) -> Rules {
    let (archive_length, archive_size) = (channel.archive_length, channel.archive_size);
    let limits = retention::Rules { archive_length, archive_size: archive_size.filter(|_| !force) };
    let bits_per_s = timeline.tracks.iter().filter_map(|t| t.track.bandwidth).sum();
    Rules {
        grid: channel.grid,
        retention: limits.reach(bits_per_s),
        margin: channel.margin,
        // Another program is given a whole cell, once.
        pieces: channel.engine == Engine::Native,
        since: pruned.filter(|_| !force).map_or(since, |pruned| since.max(pruned)),
    }
}

/// From when on the archive can answer for what the source holds. Where all of that ended before the archive `since` began
/// (a presentation that has lost its clock, and lies in 1970), it is no reason to answer for the time between.
fn began(timeline: &Timeline, since: Option<Time>) -> Time {
    match (timeline.span(), since) {
        (None, _) => timeline.now,
        (Some(span), Some(since)) if span.end < since => since,
        (Some(span), _) => span.start.max(timeline.window_start),
    }
}

fn ask_yourself(name: &str) -> String {
    format!("the next check asks again; to see what it answers: npvr channel probe {name}")
}

/// Turns what would wait into a capture of what is there now.
fn force(decision: &mut Decision) {
    if matches!(decision.standing, Standing::NotDue | Standing::Waiting | Standing::AtRisk) {
        decision.action = Some(Action::Capture);
    }
}

/// The ledger's rows as the plan sees them, for a source whose clock is `ahead_ns` ahead of ours.
fn known(place: &Workplace, channel: &str, rows: &[CellRow], ahead_ns: i64) -> Result<Vec<Known>> {
    let record = |row: &CellRow| -> Result<Record> {
        let retry_at = row.retry_at.map(|at| at.offset_ns(ahead_ns));
        let until = spooled_until(row.progress.as_deref());
        let reason = || row.reason.clone().unwrap_or_else(|| "it failed".to_owned());
        Ok(match row.state {
            State::Complete => Record::Complete,
            State::Partial => {
                let gaps = place.ledger.gaps(channel, row.cell.range())?;
                let of_cell = gaps.into_iter().filter(|g| g.cell == row.cell);
                let gaps = of_cell.map(|g| (g.gap.track, g.gap.range)).collect();
                Record::Partial { gaps, retry_at }
            }
            State::Capturing => Record::Capturing { until },
            State::Failed => Record::Failed { retry_at, reason: reason(), until },
            State::Lost => Record::Lost,
        })
    };
    rows.iter().map(|row| Ok(Known { cell: row.cell, record: record(row)? })).collect()
}

/// The result of a task. Tasks are never cancelled, so a failed one has panicked: that is a bug, and is to be seen.
fn finished<T>(joined: std::result::Result<T, JoinError>) -> T {
    joined.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::TrackTimeline;
    use crate::track::{Medium, Track};

    #[test]
    fn the_archive_is_not_answerable_for_the_time_between_it_and_what_ended_long_before() {
        let began = |held: &[(i64, i64)], since: Option<i64>| {
            let (medium, id) = (Medium::Video, "1".to_owned());
            let track = Track { medium, id, language: None, bandwidth: None, codecs: None, size: None };
            let held = held.iter().map(|(a, b)| Range::new(Time::from_s(*a), Time::from_s(*b))).collect();
            let tracks =
                vec![TrackTimeline { track, held, last_start: None, settle: std::time::Duration::ZERO }];
            let (now, window_start) = (Time::from_s(1_000), Time::EPOCH);
            let timeline = Timeline { now, window_start, live: true, zero: None, tracks, notes: Vec::new() };
            super::began(&timeline, since.map(Time::from_s)).floor_s()
        };
        assert_eq!(began(&[(0, 60)], Some(500)), Time::from_s(500).floor_s());
        assert_eq!(began(&[(400, 600)], Some(500)), Time::from_s(400).floor_s(), "the window has grown");
        assert_eq!(began(&[(0, 60)], None), Time::from_s(0).floor_s());
        assert_eq!(began(&[], None), Time::from_s(1_000).floor_s());
    }
}
