//! Which cells to capture now, and why: a pure decision over what the source holds and what the ledger knows.
//!
//! Nothing here acts. `check` carries the decisions out, `check --dry-run` and `status` print them. Every decision has
//! a reason for people and, while the source still holds the media, a deadline: the moment at which it begins to fall
//! out of the window. Instants are on the source's clock.

mod outlook;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

pub use outlook::{Outlook, Risk, Sight};

use crate::grid::{Cell, Grid};
use crate::time::{Range, Ranges, Time, human_duration};
use crate::timeline::{Timeline, TrackTimeline};

/// What a channel asks of its plan.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Its grid.
    pub grid: Grid,
    /// Nothing that ended longer ago than this is captured.
    pub retention: Duration,
    /// What would be lost within this time of being ready is captured before its cell ends.
    pub margin: Duration,
    /// False if a cell can only be captured whole.
    pub pieces: bool,
    /// The archive is answerable from here on: what was gone before the channel was added is not lost.
    pub since: Time,
}

/// What the ledger knows of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which cell; under an earlier `chunk_duration` it may lie across today's grid.
    pub cell: Cell,
    /// What happened to it so far.
    pub record: Record,
}

/// What happened to a cell so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Its chunk is stored, whole.
    Complete,
    /// Its chunk is stored as far as it went.
    Partial {
        /// What it lacks, per track name.
        gaps: Vec<(String, Range)>,
        /// Not to be tried again before this; `None`: what it lacks cannot be had.
        retry_at: Option<Time>,
    },
    /// Pieces of it are in the spool, final up to here.
    Capturing {
        /// Everything before this is in the spool; `None` if nothing is.
        until: Option<Time>,
    },
    /// The last attempt failed.
    Failed {
        /// Not to be tried again before this.
        retry_at: Option<Time>,
        /// Why, as the log has it.
        reason: String,
        /// Everything before this is in the spool.
        until: Option<Time>,
    },
    /// Written down as lost.
    Lost,
}

impl Record {
    /// True for a cell that was claimed, and of which nothing is kept: no chunk, and nothing in the spool.
    fn is_empty(&self) -> bool {
        matches!(self, Record::Capturing { until: None } | Record::Failed { until: None, .. })
    }
}

/// How a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its chunk is there, or as much of it as can be had.
    Archived,
    /// Every track has passed its end: it can be captured whole.
    Ready,
    /// It is over, and the source holds only a part of it.
    Partly,
    /// It begins to fall out of the window soon.
    AtRisk,
    /// It is not over yet, or not settled.
    NotDue,
    /// An attempt failed, and the next one is not due yet.
    Waiting,
    /// It can no longer be had.
    Lost,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Standing::Archived => "archived",
            Standing::Ready => "ready",
            Standing::Partly => "partly covered",
            Standing::AtRisk => "at risk",
            Standing::NotDue => "not yet due",
            Standing::Waiting => "waiting",
            Standing::Lost => "lost",
        })
    }
}

/// What is to be done about a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Capture it and store it, as far as it goes.
    Capture,
    /// Put what is there into the spool, and leave the cell open.
    CapturePiece,
    /// Write it down as lost.
    WriteOff,
}

/// The decision on one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Which cell.
    pub cell: Cell,
    /// How it stands.
    pub standing: Standing,
    /// Why, in a sentence without a full stop.
    pub reason: String,
    /// When the part that is not archived yet begins to be lost; on the source's clock.
    pub deadline: Option<Time>,
    /// What to do, if anything.
    pub action: Option<Action>,
    /// True if this may be the last chance: better a hole now than nothing later.
    pub last_chance: bool,
}

/// A stalled source is waited for this many margins before a cell counts as over.
const PATIENCE_IN_MARGINS: u32 = 5;

/// Decides on every cell of the retention span that the archive is answerable for, oldest first. `known` is sorted.
pub fn plan(rules: &Rules, timeline: &Timeline, known: &[Known]) -> Vec<Decision> {
    let oldest = timeline.now.minus(rules.retention).max(rules.since);
    let held_end = timeline.span().map_or(Time::EPOCH, |span| span.end);
    let newest = match timeline.live {
        true => held_end.max(timeline.now),
        // It is over: nothing is to be expected, or missing, after the cell of its last segment. What was begun is brought to
        // its end.
        false => {
            let begun = known.iter().rfind(|k| !k.record.is_empty()).map(|k| k.cell.end());
            timeline
                .last_start()
                .map_or(held_end, |start| start.offset_ns(1))
                .max(begun.unwrap_or(Time::EPOCH))
        }
    };
    let decide = |(cell, record): (Cell, Option<&Record>)| match record {
        // Most cells by far; and nothing that the source says bears on them.
        Some(Record::Complete) => settled(cell, Standing::Archived, "complete"),
        record => Assessment::new(rules, timeline, cell, record).decide(),
    };
    cells(rules.grid, Range::new(oldest, newest), known).map(decide).collect()
}

/// The order of work: earliest deadline first, then oldest first.
pub fn urgency(decision: &Decision) -> impl Ord + use<> {
    (decision.deadline.unwrap_or(Time::MAX), decision.cell.start())
}

/// The cells of `span`: those the ledger knows, as it knows them, and the grid where it knows none. After a change of
/// `chunk_duration` the first new cell is what the old ones leave of it, so that no segment is ever in two chunks.
fn cells(grid: Grid, span: Range, known: &[Known]) -> impl Iterator<Item = (Cell, Option<&Record>)> {
    let taken: Ranges = known.iter().map(|k| k.cell.range()).collect();
    let free = grid.cells(span).flat_map(move |cell| {
        let left = taken.missing_in(cell.range());
        left.as_slice().iter().map(|r| (Cell::from_range(*r), None)).collect::<Vec<_>>()
    });
    let known = known.iter().filter(move |k| !k.cell.range().intersect(span).is_empty());
    let mut all: Vec<_> = free.chain(known.map(|k| (k.cell, Some(&k.record)))).collect();
    all.sort_by_key(|(cell, _)| *cell);
    all.into_iter()
}

/// One cell, seen against the timeline.
struct Assessment<'a> {
    rules: &'a Rules,
    timeline: &'a Timeline,
    cell: Cell,
    record: Option<&'a Record>,
    /// What any track holds of the cell and the spool does not have yet.
    available: Ranges,
    /// True if every track has passed the end, or will not any more.
    over: bool,
}

impl<'a> Assessment<'a> {
    fn new(rules: &'a Rules, timeline: &'a Timeline, cell: Cell, record: Option<&'a Record>) -> Self {
        let from = spooled_until(record).map_or(cell.start(), |until| cell.start().max(until));
        let wanted = Range::new(from.max(timeline.window_start), cell.end());
        let held = timeline.tracks.iter().flat_map(|t| t.held.clip(wanted).as_slice().to_vec());
        Self {
            rules,
            timeline,
            cell,
            record,
            available: held.collect(),
            over: is_over(rules, timeline, cell),
        }
    }

    fn decide(&self) -> Decision {
        match self.record {
            Some(Record::Partial { gaps, retry_at }) => self.decide_partial(gaps, *retry_at),
            Some(Record::Lost) if self.available.is_empty() => {
                self.settled(Standing::Lost, "written down as lost")
            }
            Some(Record::Failed { retry_at: Some(at), reason, .. })
                if *at > self.timeline.now && !self.is_urgent() && !self.available.is_empty() =>
            {
                self.waiting(*at, reason)
            }
            _ if self.over && (self.has_spool() || !self.available.is_empty()) => self.capture(),
            _ if self.available.is_empty() => self.decide_unavailable(),
            _ => self.decide_open(),
        }
    }

    /// Stored as far as it went: worth another attempt only if the source now has more, and still has all of that.
    fn decide_partial(&self, gaps: &[(String, Range)], retry_at: Option<Time>) -> Decision {
        let Some(at) = retry_at else {
            return self.archived("partial: what it lacks cannot be had");
        };
        if !self.over || !self.would_gain(gaps) {
            return self.archived("partial: the source has no more of it");
        }
        if at > self.timeline.now && !self.is_urgent() {
            return self.waiting(at, "partial: some segments could not be had");
        }
        let mut decision = self.capture();
        decision.reason = format!("partial, and the source has more: {}", decision.reason);
        decision
    }

    fn would_gain(&self, gaps: &[(String, Range)]) -> bool {
        let gap_of = |t: &TrackTimeline| {
            let name = t.track.name();
            gaps.iter().filter(|(track, _)| *track == name).map(|(_, r)| *r).collect::<Ranges>()
        };
        let span = self.cell.range();
        let in_window = Range::new(span.start.max(self.timeline.window_start), span.end);
        let keeps_all = self.timeline.tracks.iter().all(|t| {
            let stored = Ranges::from_iter([span]).minus(&gap_of(t));
            stored.minus(&t.held.clip(in_window)).is_empty()
        });
        let fills = |t: &TrackTimeline, gap: Range| !t.held.clip(gap.intersect(in_window)).is_empty();
        let fills_some = |t: &TrackTimeline| gap_of(t).as_slice().iter().any(|gap| fills(t, *gap));
        keeps_all && self.timeline.tracks.iter().any(fills_some)
    }

    /// No track holds anything of it that is not in the spool already.
    fn decide_unavailable(&self) -> Decision {
        let reason = match self.cell.end() <= self.timeline.window_start {
            _ if self.has_spool() => return self.not_due(),
            true => "it left the window before it was captured",
            false if self.over => "the source has no media for it",
            false => return self.not_due(),
        };
        Decision { action: Some(Action::WriteOff), ..self.settled(Standing::Lost, reason) }
    }

    /// It is not over: wait, unless its beginning would be lost too soon after its end.
    fn decide_open(&self) -> Decision {
        let settle = self.timeline.tracks.iter().map(|t| t.settle).max().unwrap_or_default();
        let to_go =
            self.timeline.common_end().map_or(Duration::ZERO, |end| self.cell.end().plus(settle).since(end));
        let ready_at = self.timeline.now.plus(to_go);
        match self.deadline() {
            Some(deadline) if deadline < ready_at.plus(self.rules.margin) && self.has_begun() => {
                self.begin_early(deadline)
            }
            _ => self.not_due(),
        }
    }

    /// It would be lost before it can be captured whole.
    fn begin_early(&self, deadline: Time) -> Decision {
        let reason = "the window is too short to wait for its end".to_owned();
        let (action, reason) = match self.rules.pieces {
            true => (Some(Action::CapturePiece), reason),
            false => (None, reason + ", and the engine captures whole chunks only"),
        };
        let last_chance = self.is_urgent();
        Decision { action, last_chance, deadline: Some(deadline), ..self.settled(Standing::AtRisk, &reason) }
    }

    /// False if no segment starts in it yet: what is held of it is the end of one that starts before it.
    fn has_begun(&self) -> bool {
        self.timeline.last_start().is_none_or(|start| self.cell.start() <= start)
    }

    fn capture(&self) -> Decision {
        let lacking: Vec<String> = self.timeline.tracks.iter().filter_map(|t| self.lacking(t)).collect();
        let (standing, reason) = match (lacking.is_empty(), self.record) {
            (true, _) => (Standing::Ready, "every track has passed its end".to_owned()),
            (false, _) if self.has_spool() => (Standing::Ready, "its pieces are in the spool".to_owned()),
            (false, _) => (Standing::Partly, lacking.join(", ")),
        };
        let urgent = self.is_urgent();
        Decision {
            cell: self.cell,
            standing: if urgent { Standing::AtRisk } else { standing },
            reason,
            deadline: self.deadline(),
            action: Some(Action::Capture),
            last_chance: urgent,
        }
    }

    /// `audio=eng lacks 4s`, if the track does not cover the cell.
    fn lacking(&self, track: &TrackTimeline) -> Option<String> {
        let missing = track.held.missing_in(self.cell.range());
        let total = human_duration(missing.total());
        (!missing.is_empty()).then(|| format!("{} lacks {total}", track.track.name()))
    }

    fn not_due(&self) -> Decision {
        let end = self.cell.end();
        let reason = if self.timeline.now < end {
            format!("it ends in {}", human_duration(end.since(self.timeline.now)))
        } else {
            "not every track has passed its end yet".to_owned()
        };
        Decision { deadline: self.deadline(), ..self.settled(Standing::NotDue, &reason) }
    }

    fn waiting(&self, at: Time, why: &str) -> Decision {
        let wait = human_duration(at.since(self.timeline.now));
        let reason = format!("next attempt in {wait}: {why}");
        Decision { deadline: self.deadline(), ..self.settled(Standing::Waiting, &reason) }
    }

    fn archived(&self, reason: &str) -> Decision {
        self.settled(Standing::Archived, reason)
    }

    fn settled(&self, standing: Standing, reason: &str) -> Decision {
        settled(self.cell, standing, reason)
    }

    /// When the first available instant leaves the window: the window's start moves with the clock.
    fn deadline(&self) -> Option<Time> {
        let first = self.available.span()?.start;
        self.timeline.live.then(|| self.timeline.now.plus(first.since(self.timeline.window_start)))
    }

    fn has_spool(&self) -> bool {
        spooled_until(self.record).is_some()
    }

    fn is_urgent(&self) -> bool {
        self.deadline().is_some_and(|d| d < self.timeline.now.plus(self.rules.margin))
    }
}

fn spooled_until(record: Option<&Record>) -> Option<Time> {
    match record {
        Some(Record::Capturing { until } | Record::Failed { until, .. }) => *until,
        _ => None,
    }
}

/// A cell with which nothing is to be done.
fn settled(cell: Cell, standing: Standing, reason: &str) -> Decision {
    let reason = reason.to_owned();
    Decision { cell, standing, reason, deadline: None, action: None, last_chance: false }
}

/// True if nothing more is to be expected for the cell: every track has passed its end and settled, or the presentation
/// is over, or the others have gone on without the one that lacks, or the whole source has stalled for long.
fn is_over(rules: &Rules, timeline: &Timeline, cell: Cell) -> bool {
    let ends = || timeline.tracks.iter().filter_map(|t| t.held.span().map(|s| s.end));
    let furthest = ends().max().unwrap_or(Time::EPOCH);
    let settle = timeline.tracks.iter().map(|t| t.settle).max().unwrap_or_default();
    let passed = |t: &TrackTimeline| t.held.span().is_some_and(|s| s.end >= cell.end().plus(t.settle));
    let left_behind = cell.end().plus(settle).plus(rules.margin);
    let given_up = cell.end().plus(settle).plus(rules.margin.saturating_mul(PATIENCE_IN_MARGINS));
    !timeline.live
        || (!timeline.tracks.is_empty() && timeline.tracks.iter().all(passed))
        || furthest >= left_behind
        || timeline.now >= given_up
}

#[cfg(test)]
mod tests;
