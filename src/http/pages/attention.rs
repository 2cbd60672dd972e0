//! What a person should know of a channel: sentences, the most urgent first, in the words of `npvr status`.

use crate::grid::Cell;
use crate::status::{ChannelStatus, Failed, Gap, LowSpace};
use crate::time::{Time, human_duration};
use crate::words::{counted, human_bytes};

/// How much it matters. Later ones matter more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// All is well.
    Fine,
    /// Something to know.
    Note,
    /// Something went wrong, and nobody has to hurry: it is lost, or is tried again.
    Warn,
    /// Something is about to be lost.
    Bad,
}

impl Level {
    /// Its class in the style sheet.
    pub(super) fn word(self) -> &'static str {
        match self {
            Level::Fine => "fine",
            Level::Note => "note",
            Level::Warn => "warn",
            Level::Bad => "bad",
        }
    }
}

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) level: Level,
    pub(super) text: String,
}

impl Point {
    fn new(level: Level, text: impl Into<String>) -> Point {
        Point { level, text: text.into() }
    }
}

/// What a person should know of a channel.
pub(super) fn of_channel(c: &ChannelStatus, now: Time) -> Vec<Point> {
    let mut points = Vec::new();
    if let Some(error) = &c.error {
        points.push(Point::new(Level::Bad, format!("the source did not answer: {error}")));
    }
    points.extend(at_risk(c, now));
    points.extend(unchecked(c, now));
    points.extend(failed(&c.failed, now));
    if c.counts.lost > 0 {
        points.push(Point::new(Level::Warn, format!("{} lost", counted(c.counts.lost, "chunk"))));
    }
    points.extend(gaps(&c.gaps, c.counts.lost));
    let notes = c.source.iter().flat_map(|source| &source.notes);
    points.extend(notes.map(|note| Point::new(Level::Note, note.clone())));
    if !c.enabled {
        // Nobody looks after it, on purpose.
        points.iter_mut().for_each(|point| point.level = Level::Note);
    }
    points.sort_by_key(|point| std::cmp::Reverse(point.level));
    points
}

/// A disk that is too full.
pub(super) fn of_space(low: &LowSpace) -> Point {
    let (free, least) = (human_bytes(low.free_bytes), human_bytes(low.min_free_bytes));
    let folder = low.folder.display();
    Point::new(
        Level::Bad,
        format!("{folder}: {free} are free, less than min_free ({least}): nothing more is captured"),
    )
}

fn at_risk(c: &ChannelStatus, now: Time) -> Option<Point> {
    let first = c.at_risk.first()?;
    let chunks = match c.at_risk.len() {
        1 => short(first.cell),
        n => format!("{n} chunks, first {}", short(first.cell)),
    };
    let when = match first.deadline > now {
        true => format!(
            "lost from {} (in {})",
            first.deadline.time_of_day(),
            human_duration(first.deadline.since(now))
        ),
        false => "being lost".to_owned(),
    };
    Some(Point::new(Level::Bad, format!("at risk: {chunks}, {when}: {}", first.reason)))
}

/// A channel that was never looked at, or not for more than half of what its source holds.
fn unchecked(c: &ChannelStatus, now: Time) -> Option<Point> {
    let Some(checked) = c.checked else {
        return Some(Point::new(Level::Warn, format!("never checked: run npvr check {}", c.name)));
    };
    let source = c.source.as_ref().filter(|source| source.live)?;
    let (ago, window) = (now.since(checked), source.now.since(source.window_start));
    let is_late = ago > window / 2;
    let (ago, window) = (human_duration(ago), human_duration(window));
    is_late.then(|| Point::new(Level::Warn, format!("not checked for {ago}, and the source holds {window}")))
}

fn failed(failed: &[Failed], now: Time) -> Option<Point> {
    let last = failed.last()?;
    let again = last.retry_at.map(|at| match at > now {
        true => format!("; again in {}", human_duration(at.since(now))),
        false => "; again by the next check".to_owned(),
    });
    let what = match failed.len() {
        1 => format!("{} failed", short(last.cell)),
        n => format!("{n} captures failed, the latest {}", short(last.cell)),
    };
    Some(Point::new(Level::Warn, format!("{what}: {}{}", last.reason, again.unwrap_or_default())))
}

/// The gaps of chunks that are there; those of lost ones have been told.
fn gaps(gaps: &[Gap], lost: u64) -> Option<Point> {
    let is_all = |gap: &&Gap| gap.range != gap.cell.range() || lost == 0;
    let told: Vec<&Gap> = gaps.iter().filter(is_all).collect();
    let last = told.last()?;
    let (count, length) = (counted(told.len() as u64, "gap"), human_duration(last.range.duration()));
    let text = format!("{count}, the latest {length} of {}: {}", last.track, last.reason);
    Some(Point::new(Level::Note, text))
}

/// `12:55:00–13:00:00`.
fn short(cell: Cell) -> String {
    format!("{}–{}", cell.start().time_of_day(), cell.end().time_of_day())
}
