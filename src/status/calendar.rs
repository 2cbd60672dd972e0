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
