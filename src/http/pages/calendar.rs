//! The calendar of a channel, laid out: lines of time below each other, days or hours or minutes, and on each line what is
//! archived of it.
//!
//! Blocks of one kind that touch are one bar, so a line costs what changes on it, and not what it holds.

use std::fmt::Write as _;
use std::time::Duration;

use super::moments::{ceil, clock_label, day_label, floor};
use super::picture::{Mark, Picture};
use crate::status::Slot;
use crate::time::{Range, Time};

/// The lengths that a line may have, and how far its ticks are apart, in seconds.
const LINES: [(u64, u64); 4] = [(60, 10), (600, 60), (3_600, 600), (86_400, 10_800)];
/// As many lines as a page has at most, but for those of days.
const MOST_LINES: u64 = 36;

/// How a stretch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) range: Range,
    pub(super) slot: Slot,
}

/// What lies above and below the bars.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) at_risk: Vec<Range>,
    pub(super) held: Vec<Range>,
}

/// A calendar.
pub(super) struct Calendar {
    /// How long a line is, in seconds.
    pub(super) line_s: u64,
    pub(super) lines: Vec<Line>,
    pub(super) ticks: Vec<Tick>,
}

/// A line of time.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) range: Range,
    pub(super) picture: Picture,
    /// `offset,length,state` in seconds, separated by spaces: what the script tells of a place on the line.
    pub(super) runs: String,
}

/// A mark on the axis.
pub(super) struct Tick {
    /// How far from the start of a line, in seconds.
    pub(super) at_s: u64,
    pub(super) label: String,
}

impl Calendar {
    /// The calendar of `span`. `blocks` are in order and do not overlap; no line is shorter than `cell`.
    pub(super) fn new(span: Range, cell: Duration, blocks: &[Block], lanes: &Lanes) -> Calendar {
        let (line_s, tick_s) = scale(span, cell);
        let length = Duration::from_secs(line_s);
        let (start, end) = (floor(span.start, length), ceil(span.end, length));
        let starts = std::iter::successors(Some(start), |at| Some(at.plus(length)));
        let lines = starts.take_while(|at| *at < end).map(|at| {
            let range = Range::new(at, at.plus(length));
            line(range, range.intersect(span), blocks, lanes)
        });
        let tick = |at_s| {
            let at = start.plus(Duration::from_secs(at_s));
            let label = match line_s {
                86_400 => clock_label(at),
                3_600 => format!(":{}", &at.time_of_day()[3..5]),
                _ => format!(":{}", &at.time_of_day()[4..]),
            };
            Tick { at_s, label }
        };
        let ticks = (0..line_s / tick_s).map(|n| tick(n * tick_s)).collect();
        Calendar { line_s, lines: lines.collect(), ticks }
    }

    /// The path of the rules at the ticks.
    pub(super) fn rules(&self) -> String {
        self.ticks.iter().skip(1).map(|tick| format!("M{} 4v24", tick.at_s)).collect()
    }
}

impl Line {
    /// The line in words, for those who do not see it.
    pub(super) fn told(&self) -> String {
        let marks = self.picture.paths().map(|(mark, _)| mark.meaning());
        let told: Vec<&str> = marks.collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
    }
}

/// How long a line is, and how far its ticks are apart: the shortest that neither makes too many lines nor cuts cells.
fn scale(span: Range, cell: Duration) -> (u64, u64) {
    let fits = |(line_s, _): &&(u64, u64)| {
        span.duration().as_secs() / line_s <= MOST_LINES && *line_s >= cell.as_secs()
    };
    LINES.iter().find(fits).copied().unwrap_or(LINES[LINES.len() - 1])
}

/// One line; only what is `shown` of it is drawn.
fn line(range: Range, shown: Range, blocks: &[Block], lanes: &Lanes) -> Line {
    let mut picture = Picture::default();
    let offset = |at: Time| at.since(range.start).as_secs();
    let mut runs = String::new();
    let from = blocks.partition_point(|block| block.range.end <= shown.start);
    let inside = blocks[from..].iter().take_while(|block| block.range.start < shown.end);
    let inside: Vec<Block> =
        inside.map(|block| Block { range: block.range.intersect(shown), ..*block }).collect();
    for run in inside.chunk_by(|a, b| a.slot == b.slot && a.range.end == b.range.start) {
        let (start, end) = (offset(run[0].range.start), offset(run[run.len() - 1].range.end));
        let mark = Mark::from(run[0].slot);
        picture.bar(mark, start, end);
        // Writing to a string does not fail.
        let _ = write!(runs, "{start},{},{} ", end - start, mark.word());
    }
    for (mark, ranges) in [(Mark::Risk, &lanes.at_risk), (Mark::Held, &lanes.held)] {
        for part in ranges.iter().map(|r| r.intersect(shown)).filter(|r| !r.is_empty()) {
            picture.bar(mark, offset(part.start), offset(part.end));
        }
    }
    let is_day = range.duration() >= Duration::from_secs(86_400);
    let label = if is_day { day_label(range.start) } else { clock_label(range.start) };
    Line { label, range, picture, runs: runs.trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(s: i64) -> Time {
        Time::from_s(s)
    }

    fn block(from: i64, to: i64, slot: Slot) -> Block {
        Block { range: Range::new(at(from), at(to)), slot }
    }

    fn of(from: i64, to: i64, blocks: &[Block]) -> Calendar {
        Calendar::new(Range::new(at(from), at(to)), Duration::from_secs(300), blocks, &Lanes::default())
    }

    #[test]
    fn lines_are_days_for_a_week_hours_for_a_day_and_minutes_for_an_hour() {
        for (hours, line_s, lines) in [(168, 86_400, 7), (24, 3_600, 24), (1, 600, 6)] {
            let calendar = of(0, hours * 3_600, &[]);
            assert_eq!((calendar.line_s, calendar.lines.len()), (line_s, lines), "{hours}");
        }
        assert_eq!(of(0, 300, &[]).line_s, 600, "no line cuts a cell");
    }

    #[test]
    fn neighbours_of_one_kind_are_one_run_and_a_line_ends_it() {
        use Slot::{Archived, Missing};
        let day = 86_400;
        let blocks =
            [block(0, 300, Archived), block(300, day + 600, Archived), block(day + 600, day + 900, Missing)];
        let calendar = of(0, 3 * day, &blocks);
        let runs: Vec<&str> = calendar.lines.iter().map(|line| line.runs.as_str()).collect();
        assert_eq!(runs, ["0,86400,archived", "0,600,archived 600,300,missing", ""]);
    }

    proptest! {
        #[test]
        fn every_second_is_drawn_as_its_block_says_and_once(
            cuts in prop::collection::vec((1_i64..40, 0_u8..5), 1..60), from in 0_i64..20, length in 1_i64..200,
        ) {
            let (mut blocks, mut start) = (Vec::new(), 0);
            for (minutes, kind) in cuts {
                let slots = [Slot::Archived, Slot::Partial, Slot::Missing, Slot::Open];
                let end = start + minutes * 60;
                // The fifth kind is a stretch of which nothing is said.
                blocks.extend(slots.get(usize::from(kind)).map(|slot| block(start, end, *slot)));
                start = end;
            }
            let span = Range::new(at(from * 60), at((from + length) * 60));
            let calendar = of(span.start.s(), span.end.s(), &blocks);
            let mut drawn = Vec::new();
            for line in &calendar.lines {
                for run in line.runs.split_whitespace() {
                    let mut parts = run.split(',');
                    let mut number = || parts.next().unwrap().parse::<i64>().unwrap();
                    let (offset, seconds) = (number(), number());
                    let word = parts.next().unwrap().to_owned();
                    let start = line.range.start.s() + offset;
                    drawn.extend((start..start + seconds).map(|s| (s, word.clone())));
                }
            }
            let told = |s: i64| {
                let block = blocks.iter().find(|b| b.range.contains(at(s)));
                block.map(|b| (s, Mark::from(b.slot).word().to_owned()))
            };
            let expected: Vec<_> = (span.start.s()..span.end.s()).filter_map(told).collect();
            prop_assert_eq!(drawn, expected);
        }
    }
}
