//! The calendar of a channel, laid out: lines of time below each other, days or hours or minutes, and on each line what is
//! archived of it.
//!
//! Blocks of one kind that touch are one bar, so a line costs what changes on it, and not what it holds.

use std::fmt::Write as _;
use std::time::Duration;

use super::moments::{ceil, clock_label, day_label, floor};
use super::picture::{Mark, Picture};
use crate::status::{Block, Look};
use crate::time::{Range, Time};

/// The lengths that a line may have, and how far its ticks are apart, in seconds.
const LINES: [(u64, u64); 4] = [(60, 10), (600, 60), (3_600, 600), (86_400, 10_800)];
/// As many lines there are at most, but of days.
const MOST_LINES: u64 = 24;
/// So few cells on a line make it too short to see how it goes on; and so many are drawn with seams between them.
const FEWEST_CELLS: u64 = 6;
const SEAMED_CELLS: u64 = 60;

/// A calendar.
pub(super) struct Calendar {
    /// How long a line is, in seconds.
    pub(super) line_s: u64,
    /// How far cells are apart, in seconds; 0 where they are too many to be told apart.
    seam_s: u64,
    pub(super) lines: Vec<Line>,
    pub(super) ticks: Vec<Tick>,
}

/// A line of time.
pub(super) struct Line {
    pub(super) label: String,
    /// What of it is chosen: offset and length in seconds.
    pub(super) chosen: Option<(u64, u64)>,
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
    /// What is drawn for `span`: its lines, all of them whole. What lies around a range is what it is seen by.
    pub(super) fn around(span: Range, cell: Duration) -> Range {
        let length = Duration::from_secs(scale(span, cell).0);
        Range::new(floor(span.start, length), ceil(span.end, length))
    }

    /// The calendar of the lines that `span` is in, with a frame around what was `chosen`. `blocks` are in order and do not
    /// overlap; no line is shorter than `cell`.
    pub(super) fn new(span: Range, cell: Duration, blocks: &[Block], chosen: Option<Range>) -> Calendar {
        let (line_s, tick_s) = scale(span, cell);
        let length = Duration::from_secs(line_s);
        let all = Calendar::around(span, cell);
        let starts = std::iter::successors(Some(all.start), |at| Some(at.plus(length)));
        let starts = starts.take_while(|at| *at < all.end);
        // Where all that is shown was asked for, there is nothing to tell it from.
        let chosen = chosen.filter(|chosen| *chosen != all);
        let lines = starts.map(|at| line(Range::new(at, at.plus(length)), chosen, blocks)).collect();
        let tick = |at_s: u64| {
            let label = match line_s {
                86_400 => clock_label(Time::from_s(i64::try_from(at_s).unwrap_or(0))),
                60 => format!("{at_s} s"),
                _ => format!("{} min", at_s / 60),
            };
            Tick { at_s, label }
        };
        let ticks = (0..line_s / tick_s).map(|n| tick(n * tick_s)).collect();
        let seam_s = if line_s / cell.as_secs().max(1) <= SEAMED_CELLS { cell.as_secs() } else { 0 };
        Calendar { line_s, seam_s, lines, ticks }
    }

    /// The path of the seams between cells: thin lines over the bars.
    pub(super) fn seams(&self) -> String {
        let count = self.line_s.checked_div(self.seam_s).unwrap_or(0);
        (1..count).map(|n| format!("M{} 5v22", n * self.seam_s)).collect()
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

/// How long a line is, and how far its ticks are apart: the shortest that makes neither too many lines nor too few cells on each.
fn scale(span: Range, cell: Duration) -> (u64, u64) {
    let fits = |(line_s, _): &&(u64, u64)| {
        span.duration().as_secs() / line_s <= MOST_LINES && line_s / cell.as_secs().max(1) >= FEWEST_CELLS
    };
    LINES.iter().find(fits).copied().unwrap_or(LINES[LINES.len() - 1])
}

/// One line.
fn line(range: Range, chosen: Option<Range>, blocks: &[Block]) -> Line {
    let mut picture = Picture::default();
    let offset = |at: Time| at.since(range.start).as_secs();
    let mut runs = String::new();
    let from = blocks.partition_point(|block| block.range.end <= range.start);
    let inside = blocks[from..].iter().take_while(|block| block.range.start < range.end);
    let inside: Vec<(Range, &Block)> = inside.map(|block| (block.range.intersect(range), block)).collect();
    for run in inside.chunk_by(|(a, of_a), (b, of_b)| of_a.state == of_b.state && a.end == b.start) {
        let (start, end) = (offset(run[0].0.start), offset(run[run.len() - 1].0.end));
        let look = run[0].1.state;
        picture.bar(look.slot().into(), start, end);
        // Writing to a string does not fail.
        let _ = write!(runs, "{start},{},{} ", end - start, word(look));
    }
    for (part, block) in &inside {
        let lanes = [(Mark::Held, block.held), (Mark::Risk, block.deadline.is_some())];
        for (mark, _) in lanes.into_iter().filter(|(_, is_so)| *is_so) {
            picture.bar(mark, offset(part.start), offset(part.end));
        }
    }
    let is_day = range.duration() >= Duration::from_secs(86_400);
    let label = if is_day { day_label(range.start) } else { clock_label(range.start) };
    let part = chosen.map(|chosen| chosen.intersect(range)).filter(|part| !part.is_empty());
    let chosen = part.map(|part| (offset(part.start), part.duration().as_secs()));
    Line { label, range, chosen, picture, runs: runs.trim_end().to_owned() }
}

/// The word by which the script knows a look.
fn word(look: Look) -> &'static str {
    match look {
        Look::Archived => "archived",
        Look::Capturing => "capturing",
        Look::Open => "open",
        Look::Failed => "failed",
        Look::Partial => "partial",
        Look::Missing => "missing",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(s: i64) -> Time {
        Time::from_s(s)
    }

    fn block(from: i64, to: i64, state: Look) -> Block {
        let range = Range::new(at(from), at(to));
        Block { range, state, held: false, deadline: None, cells: 1, bytes: 0, job: None, reason: None }
    }

    fn of(from: i64, to: i64, blocks: &[Block]) -> Calendar {
        let span = Range::new(at(from), at(to));
        Calendar::new(span, Duration::from_secs(300), blocks, Some(span))
    }

    #[test]
    fn lines_are_days_for_a_week_and_hours_for_a_day_and_for_what_is_less() {
        for (hours, line_s, lines) in [(168, 86_400, 7), (24, 3_600, 24), (1, 3_600, 1)] {
            let calendar = of(0, hours * 3_600, &[]);
            assert_eq!((calendar.line_s, calendar.lines.len()), (line_s, lines), "{hours}");
        }
        let one = of(600, 900, &[]);
        assert_eq!(
            (one.line_s, one.lines[0].chosen),
            (3_600, Some((600, 300))),
            "a chunk is seen in its hour"
        );
        assert_eq!(one.seams().matches('M').count(), 11);
        let week = of(0, 86_400 * 7, &[]);
        assert_eq!((week.seams().as_str(), week.lines[0].chosen), ("", None));
    }

    #[test]
    fn neighbours_of_one_kind_are_one_run_and_a_line_ends_it() {
        use Look::{Archived, Missing};
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
                let looks = [Look::Archived, Look::Partial, Look::Missing, Look::Failed];
                let end = start + minutes * 60;
                // The fifth kind is a stretch of which nothing is said.
                blocks.extend(looks.get(usize::from(kind)).map(|look| block(start, end, *look)));
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
                block.map(|b| (s, word(b.state).to_owned()))
            };
            let around = Calendar::around(span, Duration::from_secs(300));
            prop_assert!(around.start <= span.start && span.end <= around.end);
            let expected: Vec<_> = (around.start.s()..around.end.s()).filter_map(told).collect();
            prop_assert_eq!(drawn, expected);
        }
    }
}
