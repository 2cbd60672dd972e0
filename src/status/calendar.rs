//! The calendar of one channel: days as rows, cells as blocks, and what is missing with what can still be done about it.
//!
//! Made for a page: however long the span and however short the cells, there are never more blocks than a page can show.
//! Neighbours that stand alike are merged then; a shorter span has them apart again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use super::blocks::{Block, Look, blocks};
use super::holds::{Held, holds};
use super::missing::{Missing, Sources, missing};
use super::prospect::Circumstances;
use super::{Seen, is_shown, low_space, oldest, span};
use crate::capture::Workplace;
use crate::channel::Channel;
use crate::error::Result;
use crate::grid::{Cell, Grid};
use crate::ledger::{Ledger, Shelved, State};
use crate::plan::Risk;
use crate::time::{Range, Ranges, Time};

/// The most blocks of a row, and of all rows together.
const MOST_OF_A_DAY: usize = 400;
const MOST: usize = 12_000;
/// The most rows: of a longer span the latest are shown.
const MOST_DAYS: u32 = 400;
const DAY: Duration = Duration::from_secs(86_400);

/// A channel over a span of time.
#[derive(Debug, Clone, Serialize)]
pub struct Calendar {
    /// Its name.
    pub channel: String,
    /// The moment, on this host's clock.
    pub now: Time,
    /// What is shown; `null` where nothing was ever archived, or nothing of it lies in what was asked for.
    pub span: Option<Range>,
    /// The days of the span, oldest first.
    pub days: Vec<Day>,
    /// What may be lost, soonest first; deadlines are on this host's clock.
    pub at_risk: Vec<Risk>,
    /// What is missing in the span, oldest first.
    pub missing: Vec<Missing>,
    /// How many more of these there are, which are left out.
    pub missing_left_out: u64,
    /// The channel's holds, by number; also what has run out.
    pub holds: Vec<Held>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// `2018-12-06`.
    pub day: String,
    /// From midnight to midnight.
    pub range: Range,
    /// The cells that start on that day, oldest first; on the first day also one that reaches into the span.
    pub blocks: Vec<Block>,
}

/// The calendar of a channel; of its whole retention, or of `asked`.
///
/// # Errors
/// Those of the ledger.
pub fn calendar(place: &Workplace, channel: &Channel, asked: Option<Range>, now: Time) -> Result<Calendar> {
    let (ledger, name) = (place.ledger.as_ref(), channel.name.as_str());
    let seen = Seen::read(ledger, name)?;
    let oldest = oldest(channel, ledger.pruned(name)?, now);
    let at_risk = seen.at_risk(ledger, name, oldest)?;
    let holds = holds(ledger, Some(name), now)?;
    let mut made = Calendar {
        channel: name.to_owned(),
        now,
        span: shown(asked, span(ledger.since(name)?, oldest, now), now),
        days: Vec::new(),
        at_risk,
        missing: Vec::new(),
        missing_left_out: 0,
        holds,
    };
    let Some(span) = made.span else { return Ok(made) };
    let mut gaps = ledger.gaps(name, span)?;
    gaps.retain(is_shown);
    let lacking: HashSet<Cell> = gaps.iter().map(|row| row.cell).collect();
    let days = days_of(span);
    let most = (MOST / days.len().max(1)).clamp(1, MOST_OF_A_DAY);
    let held: Vec<Range> = made.holds.iter().filter(|h| h.in_force).map(|h| h.range).collect();
    let deadlines: HashMap<Cell, Time> = made.at_risk.iter().map(|risk| (risk.cell, risk.deadline)).collect();
    let mut cut = Cut::new(channel.grid, span, &lacking, &held, &deadlines);
    let mut shelf = Vec::new();
    for range in days {
        let of_day = ledger.shelf(name, range.intersect(span))?;
        let mut blocks = blocks(cut.cells(&of_day, range.intersect(span)), most);
        give_reasons(ledger, name, &mut blocks)?;
        made.days.push(Day { day: range.start.day(), range, blocks });
        shelf.extend(of_day.into_iter().filter(|cell| cell.state != State::Complete));
    }
    let low = low_space(place, [channel]);
    let folder = low.first().map(|low| low.folder.display().to_string());
    let sources = Sources { gaps: &gaps, shelf: &shelf, open: cut.open.as_slice() };
    let circumstances = Circumstances::new(channel, &seen, oldest, folder.as_deref(), now);
    (made.missing, made.missing_left_out) = missing(ledger, channel, &sources, &circumstances)?;
    Ok(made)
}

/// What is shown of what was asked for: nothing that is yet to come, and not more days than there are rows.
fn shown(asked: Option<Range>, span: Option<Range>, now: Time) -> Option<Range> {
    let wanted = match asked {
        Some(asked) => asked.intersect(Range::new(asked.start, now)),
        None => span?,
    };
    let latest = wanted.end.minus(DAY * MOST_DAYS);
    // A channel of which nothing was archived has nothing to show, whatever is asked for.
    span.map(|_| Range::new(wanted.start.max(latest), wanted.end)).filter(|span| !span.is_empty())
}

/// The days that a span touches, from midnight to midnight.
fn days_of(span: Range) -> Vec<Range> {
    let day = |n: i64| Range::new(Time::from_s(n * 86_400), Time::from_s((n + 1) * 86_400));
    let (first, last) = (span.start.s().div_euclid(86_400), span.end.offset_ns(-1).s().div_euclid(86_400));
    (first..=last).map(day).collect()
}

/// Cuts a span into cells, day by day: those that have a row, and those of the grid where none is.
struct Cut<'a> {
    grid: Grid,
    /// Cells that lack something that was promised.
    lacking: &'a HashSet<Cell>,
    held: &'a [Range],
    deadlines: &'a HashMap<Cell, Time>,
    /// What comes before is cut.
    at: Time,
    /// Nothing begins before this: where a row ends within a cell of the grid, the rest of that cell is one.
    floor: Time,
    /// Where no row is.
    open: Ranges,
}

impl<'a> Cut<'a> {
    fn new(
        grid: Grid,
        span: Range,
        lacking: &'a HashSet<Cell>,
        held: &'a [Range],
        deadlines: &'a HashMap<Cell, Time>,
    ) -> Self {
        let (at, floor, open) = (span.start, Time::from_ns(i64::MIN), Ranges::none());
        Self { grid, lacking, held, deadlines, at, floor, open }
    }

    /// The cells of the next part of the span, a block each.
    fn cells(&mut self, shelf: &[Shelved], part: Range) -> Vec<Block> {
        let mut all = Vec::new();
        for cell in shelf {
            let range = cell.cell.range();
            // One that reaches into this part is in the part before; one that starts there has its place.
            if range.start < self.floor && range.end <= self.at {
                continue;
            }
            self.fill(&mut all, range.start, range.start);
            let state = Look::of(cell.state, self.lacking.contains(&cell.cell));
            let block = self.block(range, state);
            all.push(Block { bytes: cell.bytes, job: cell.job, ..block });
            self.advance(range.end);
        }
        self.fill(&mut all, part.end, Time::MAX);
        all
    }

    /// The cells of the grid up to `until`, none of which ends after `latest`.
    fn fill(&mut self, all: &mut Vec<Block>, until: Time, latest: Time) {
        for cell in self.grid.cells(Range::new(self.at, until)) {
            let range = Range::new(cell.start().max(self.floor), cell.end().min(latest));
            all.push(self.block(range, Look::Open));
            self.open.add(range);
            self.advance(range.end);
        }
    }

    fn advance(&mut self, end: Time) {
        self.at = self.at.max(end);
        self.floor = self.at;
    }

    fn block(&self, range: Range, state: Look) -> Block {
        let held = self.held.iter().any(|held| !held.intersect(range).is_empty());
        let deadline = self.deadlines.get(&Cell::from_range(range)).copied();
        Block { range, state, held, deadline, cells: 1, bytes: 0, job: None, reason: None }
    }
}

/// The reasons of the blocks that are one cell and not whole; merged ones have none.
fn give_reasons(ledger: &dyn Ledger, name: &str, blocks: &mut [Block]) -> Result<()> {
    let has_one =
        |block: &&mut Block| block.cells == 1 && !matches!(block.state, Look::Archived | Look::Open);
    for block in blocks.iter_mut().filter(has_one) {
        block.reason = ledger.cell(name, Cell::from_range(block.range))?.and_then(|row| row.reason);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::tests::{archive, cell, channel, claim, gap, observe, place, t};
    use super::*;
    use crate::capture::BEFORE_THE_ARCHIVE;
    use crate::ledger::JobStats;
    use crate::status::Slot;

    fn of(place: &Workplace, channel: &Arc<Channel>, asked: Option<Range>, now: Time) -> Calendar {
        calendar(place, channel, asked, now).unwrap()
    }

    #[test]
    fn a_channel_without_an_archive_has_an_empty_calendar() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let asked = Range::new(t(0), t(900));
        for asked in [None, Some(asked)] {
            let made = of(&place, &channel("news", ""), asked, t(3_000));
            assert_eq!((made.span, made.days.len(), made.missing.len()), (None, 0, 0));
        }
    }

    #[test]
    fn each_cell_is_a_block_on_the_day_on_which_it_starts() {
        let folder = tempfile::tempdir().unwrap();
        let (place, news) = (place(&folder), channel("news", ""));
        // 22:15 on the first day; the 21st cell is the first of the next day.
        place.ledger.open_channel("news", t(0), t(0)).unwrap();
        (0..24).for_each(|n| archive(&place, n, &[], None));
        let made = of(&place, &news, Some(Range::new(t(0), t(24 * 300))), t(24 * 300 + 60));
        let days: Vec<_> = made.days.iter().map(|day| (day.day.as_str(), day.blocks.len())).collect();
        assert_eq!(days, [("2023-11-14", 21), ("2023-11-15", 3)]);
        assert_eq!(made.days[1].range.start, made.days[1].blocks[0].range.start);
        assert_eq!(made.missing, []);
        // Left to itself it shows the retention, and the cell that fills now.
        let made = of(&place, &news, None, t(24 * 300 + 60));
        let last = made.days[1].blocks.last().unwrap();
        assert_eq!((last.range, last.state), (cell(24).range(), Look::Open));
        assert_eq!(made.missing, [], "it has not ended");
    }

    #[test]
    fn blocks_say_what_is_held_at_risk_and_why_something_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (place, news) = (place(&folder), channel("news", ""));
        let ledger = &place.ledger;
        ledger.open_channel("news", t(0), t(0)).unwrap();
        archive(&place, 0, &[gap(0, 0, 9, BEFORE_THE_ARCHIVE)], None);
        archive(&place, 1, &[gap(1, 10, 20, "404")], Some(t(9_000)));
        ledger.lose("news", cell(2), &[gap(2, 0, 300, "expired")], "expired", t(900)).unwrap();
        let failed = claim(&place, 3);
        ledger.fail(failed, t(1_200), "503", Some(t(1_900)), JobStats::default()).unwrap();
        ledger.hold("news", cell(1).range(), None, None, t(0)).unwrap();
        observe(&place, t(1_590), Some(4));
        let made = of(&place, &news, None, t(1_800));
        let blocks = &made.days[0].blocks;
        let looks: Vec<Look> = blocks.iter().map(|b| b.state).collect();
        assert_eq!(
            looks,
            [Look::Archived, Look::Partial, Look::Missing, Look::Failed, Look::Open, Look::Open]
        );
        assert_eq!(blocks.iter().position(|b| b.held), Some(1));
        assert_eq!((blocks[4].deadline, made.at_risk[0].cell), (Some(t(1_680)), cell(4)));
        assert_eq!((blocks[3].job, blocks[3].reason.as_deref()), (Some(failed), Some("503")));
        assert_eq!((blocks[0].bytes, blocks[2].reason.as_deref()), (1_000, Some("expired")));
        let told: Vec<_> =
            made.missing.iter().map(|m| (m.cell, m.reason.as_str(), m.prospect.text.as_str())).collect();
        assert_eq!(
            told,
            [
                (cell(1), "404", "waits for a retry at 00:45:00, until 22:50:10"),
                (cell(2), "expired", "lost: the source no longer holds it"),
                (cell(3), "503", "waits for a retry at 22:46:40, until 23:00:00"),
                (cell(4), "not captured yet", "captured by the next check, until 23:05:00"),
            ],
            "the sixth has only just ended"
        );
    }

    #[test]
    fn what_was_never_captured_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let (place, news) = (place(&folder), channel("news", ""));
        place.ledger.open_channel("news", t(0), t(0)).unwrap();
        archive(&place, 5, &[], None);
        let made = of(&place, &news, None, cell(9).start());
        let told: Vec<_> = made.missing.iter().map(|m| (m.range, m.cells, m.prospect.hope)).collect();
        let after = Range::new(cell(6).start(), cell(7).end());
        assert_eq!(told, [(Range::new(t(0), cell(4).end()), 5, true), (after, 2, true)]);
        assert_eq!(made.missing[0].reason, "not captured yet");
    }

    #[test]
    fn however_short_the_cells_and_long_the_span_there_are_not_too_many_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let years = "archive_length = \"P3650D\"\n";
        place.ledger.open_channel("news", Time::EPOCH, t(0)).unwrap();
        let made = of(&place, &channel("news", years), None, t(0));
        assert_eq!(made.days.len(), 401, "400 times 24 hours touch 401 days");
        assert!(made.days.iter().map(|day| day.blocks.len()).sum::<usize>() <= MOST + 401);
        assert_eq!(made.missing.len(), 1);
        let made = of(&place, &channel("news", years), Some(Range::new(t(0), t(9))), t(0));
        assert_eq!(made.span, None, "it is yet to come");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        /// Whatever rows there are: every row that touches the span is one block, nothing of the span is left out, nothing is
        /// shown twice, and the blocks of a strip's slot say what the slot says.
        #[test]
        fn a_calendar_agrees_with_the_rows(
            rows in proptest::collection::vec((0_i64..500, 1_i64..700, 0_usize..3), 0..14),
            from in 0_i64..9_000,
            length in 1_i64..9_000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let (place, news) = (place(&folder), channel("news", ""));
            let ledger = place.ledger.as_ref();
            ledger.open_channel("news", t(0), t(0)).unwrap();
            let mut at = 5_400;
            for (hole, long, state) in rows {
                let row = Cell::from_range(Range::new(t(at + hole), t(at + hole + long)));
                at = row.end().s() - t(0).s();
                match state {
                    0 => drop(ledger.lose("news", row, &[], "expired", t(0)).unwrap()),
                    _ => drop(ledger.claim("news", row, "native", t(0), "h", 1).unwrap()),
                }
            }
            let span = Range::new(t(from), t(from + length));
            let made = of(&place, &news, Some(span), t(20_000));
            let blocks: Vec<&Block> = made.days.iter().flat_map(|day| &day.blocks).collect();
            prop_assert!(blocks.windows(2).all(|w| w[0].range.end == w[1].range.start));
            prop_assert!(blocks[0].range.start <= span.start && span.end <= blocks[blocks.len() - 1].range.end);
            prop_assert!(blocks.iter().all(|b| b.cells == 1 && !b.range.intersect(span).is_empty()));
            let shown: Vec<(Range, Look)> = blocks.iter().filter(|b| b.state != Look::Open).map(|b| (b.range, b.state)).collect();
            let shelf = ledger.shelf("news", span).unwrap();
            let expected: Vec<(Range, Look)> = shelf.iter().map(|s| (s.cell.range(), Look::of(s.state, true))).collect();
            prop_assert_eq!(shown, expected);
            for day in &made.days {
                let starts_there = |b: &Block| day.range.contains(b.range.start) || b.range.start < span.start;
                prop_assert!(day.blocks.iter().all(starts_there));
            }
            let stretches = super::super::strip::stretches(
                shelf.iter().map(|s| (s.cell.range(), Slot::of_shelved(s)))
            );
            let strip = super::super::strip::strip(span, 7, news.grid, &stretches);
            for (n, slot) in strip.into_iter().enumerate() {
                let part = super::super::strip::part(span, 7, n);
                let inside = blocks.iter().filter(|b| !b.range.intersect(part).is_empty()).map(|b| b.state.slot());
                let (worst, lightest) = (inside.clone().max().unwrap(), inside.min().unwrap());
                // A strip does not count the cell of its end, if that has no row; and calls missing only what all is.
                let fits = slot == worst || slot == lightest || (worst, slot) == (Slot::Missing, Slot::Partial);
                prop_assert!(fits, "{:?} is not {:?}", slot, worst);
            }
        }
    }
}
