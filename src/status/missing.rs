//! What is missing of a channel, in few lines: what neighbouring cells lack for one reason is one line, with what can still be
//! done about it.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::prospect::{Circumstances, Lacking, Prospect, prospect};
use crate::channel::Channel;
use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::{GapRow, Ledger, Shelved, State};
use crate::time::{Range, Time};

/// The most that is told. The latest count: about the oldest least can be done.
const MOST: usize = 500;

/// Media that the archive lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Missing {
    /// What is not there.
    pub range: Range,
    /// The track that lacks it; `null`: all of them.
    pub track: Option<String>,
    /// Why.
    pub reason: String,
    /// The first cell that lacks it.
    pub cell: Cell,
    /// How many cells lack it.
    pub cells: u32,
    /// When it was first written down; `null`: it is not.
    pub recorded: Option<Time>,
    /// What can still be done.
    pub prospect: Prospect,
}

/// Where one can see that something is missing.
pub(super) struct Sources<'a> {
    pub(super) gaps: &'a [GapRow],
    /// The cells that are not complete.
    pub(super) shelf: &'a [Shelved],
    /// Where no row is.
    pub(super) open: &'a [Range],
}

/// One line, before it is known what can be done.
struct Line {
    range: Range,
    track: Option<String>,
    /// `None`: as the row of the cell says.
    reason: Option<String>,
    cell: Cell,
    cells: u32,
    recorded: Option<Time>,
    state: Option<State>,
    retry: bool,
}

/// The latest of what is missing, oldest first, and how many more there are.
pub(super) fn missing(
    ledger: &dyn Ledger,
    channel: &Channel,
    sources: &Sources<'_>,
    circumstances: &Circumstances,
) -> Result<(Vec<Missing>, u64)> {
    let mut lines = merged(lines(channel, sources, circumstances.now));
    lines.sort_by_key(|line| line.range);
    let left_out = lines.len().saturating_sub(MOST);
    let told = lines.into_iter().skip(left_out);
    let told = told.map(|line| told_of(ledger, channel.name.as_str(), line, circumstances));
    Ok((told.collect::<Result<_>>()?, left_out as u64))
}

fn lines(channel: &Channel, sources: &Sources<'_>, now: Time) -> Vec<Line> {
    let rows: HashMap<Cell, &Shelved> = sources.shelf.iter().map(|cell| (cell.cell, cell)).collect();
    let of_gap = |row: &GapRow| {
        let shelved = rows.get(&row.cell);
        Line {
            range: row.gap.range,
            track: Some(row.gap.track.clone()),
            reason: Some(row.gap.reason.clone()),
            cell: row.cell,
            cells: 1,
            recorded: Some(row.recorded),
            state: shelved.map(|cell| cell.state),
            retry: shelved.is_some_and(|cell| cell.retry),
        }
    };
    let explained: HashSet<Cell> = sources.gaps.iter().map(|row| row.cell).collect();
    let is_whole = |cell: &&Shelved| {
        matches!(cell.state, State::Failed | State::Lost) && !explained.contains(&cell.cell)
    };
    let of_cell = |cell: &Shelved| Line {
        range: cell.cell.range(),
        track: None,
        reason: None,
        cell: cell.cell,
        cells: 1,
        recorded: None,
        state: Some(cell.state),
        retry: cell.retry,
    };
    // What has only just ended is not late.
    let late = Range::new(Time::from_ns(i64::MIN), now.minus(channel.grid.duration()));
    let open = sources.open.iter().map(|open| open.intersect(late)).filter(|open| !open.is_empty());
    let of_open = |range: Range| Line {
        range,
        track: None,
        reason: Some("not captured yet".to_owned()),
        cell: channel.grid.cell_at(range.start),
        cells: u32::try_from(channel.grid.cells(range).count()).unwrap_or(u32::MAX),
        recorded: None,
        state: None,
        retry: true,
    };
    let gaps = sources.gaps.iter().map(of_gap);
    gaps.chain(sources.shelf.iter().filter(is_whole).map(of_cell)).chain(open.map(of_open)).collect()
}

/// Neighbours that lack the same for the same reason, and stand alike, become one.
fn merged(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by(|a, b| (&a.track, a.range).cmp(&(&b.track, b.range)));
    let mut all: Vec<Line> = Vec::new();
    for line in lines {
        match all.last_mut() {
            Some(last) if last.goes_on_as(&line) => {
                last.cells += u32::from(last.cell != line.cell) * line.cells;
                last.recorded = last.recorded.min(line.recorded);
                last.range.end = last.range.end.max(line.range.end);
            }
            _ => all.push(line),
        }
    }
    all
}

impl Line {
    fn goes_on_as(&self, next: &Line) -> bool {
        let same = |line: &Line| (line.track.clone(), line.reason.clone(), line.state, line.retry);
        self.reason.is_some() && self.range.end == next.range.start && same(self) == same(next)
    }
}

fn told_of(ledger: &dyn Ledger, name: &str, line: Line, circumstances: &Circumstances) -> Result<Missing> {
    let needs_row = line.reason.is_none() || line.retry && line.state.is_some();
    let row = if needs_row { ledger.cell(name, line.cell)? } else { None };
    let retry_at = row.as_ref().and_then(|row| row.retry_at);
    let lacking = Lacking { state: line.state, retry: line.retry, retry_at, range: line.range };
    let Line { range, track, reason, cell, cells, recorded, .. } = line;
    let reason = reason.or_else(|| row.and_then(|row| row.reason)).unwrap_or_else(|| "it failed".to_owned());
    let prospect = prospect(&lacking, circumstances);
    Ok(Missing { range, track, reason, cell, cells, recorded, prospect })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(track: Option<&str>, from_s: i64, until_s: i64, state: State) -> Line {
        let range = Range::new(Time::from_s(from_s), Time::from_s(until_s));
        let (track, reason) = (track.map(str::to_owned), Some("expired".to_owned()));
        let (cell, recorded) = (Cell::from_range(range), Some(Time::from_s(until_s)));
        Line { range, track, reason, cell, cells: 1, recorded, state: Some(state), retry: false }
    }

    #[test]
    fn what_neighbours_lack_for_one_reason_is_one_line() {
        let (partial, lost) = (State::Partial, State::Lost);
        let other = Line { reason: Some("404".to_owned()), ..line(Some("b"), 40, 50, lost) };
        let all = merged(vec![
            line(Some("b"), 20, 30, lost),
            line(Some("a"), 10, 20, lost),
            line(Some("b"), 10, 20, lost),
            other,
            line(Some("b"), 30, 40, lost),
            line(Some("a"), 20, 30, partial),
            line(Some("a"), 31, 40, partial),
        ]);
        let told: Vec<_> = all
            .iter()
            .map(|l| (l.track.as_deref().unwrap(), l.range.start.s(), l.range.end.s(), l.cells))
            .collect();
        assert_eq!(
            told,
            [("a", 10, 20, 1), ("a", 20, 30, 1), ("a", 31, 40, 1), ("b", 10, 40, 3), ("b", 40, 50, 1)]
        );
        assert_eq!(all[3].recorded, Some(Time::from_s(20)), "the first record");
    }

    #[test]
    fn whole_cells_that_failed_keep_their_own_reasons() {
        let failed = |from_s| Line { reason: None, ..line(None, from_s, from_s + 10, State::Failed) };
        assert_eq!(merged(vec![failed(0), failed(10)]).len(), 2);
    }
}
