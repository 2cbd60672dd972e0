//! The coverage of a span: cells merged into stretches of one look, and a strip of a few slots made of these.
//!
//! A week of cells is thousands of rows, and mostly one stretch. So a server keeps stretches, and draws its strips anew for
//! every moment that somebody looks.

use serde::Serialize;
use utoipa::ToSchema;

use crate::grid::Grid;
use crate::ledger::{CellRow, Shelved, State};
use crate::time::{Range, Time};

/// How a stretch of the archive stands. Later ones outweigh earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// All of it is archived.
    Archived,
    /// Some of it is not archived yet.
    Open,
    /// Some of it is missing.
    Partial,
    /// All of it is missing.
    Missing,
}

/// Cells in a row that stand alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) range: Range,
    pub(super) slot: Slot,
}

/// A slot, and what lies over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Patch {
    /// How it stands.
    pub state: Slot,
    /// True if some of it is held: not pruned, however old.
    pub held: bool,
    /// True if some of it may be lost.
    pub at_risk: bool,
}

impl Slot {
    /// How a cell stands of which `is_stored` says whether there is an object.
    pub(super) fn of(state: State, is_stored: bool) -> Slot {
        match state {
            State::Complete => Slot::Archived,
            State::Partial => Slot::Partial,
            State::Lost => Slot::Missing,
            State::Capturing | State::Failed if is_stored => Slot::Partial,
            State::Capturing | State::Failed => Slot::Open,
        }
    }

    /// How a row's cell stands.
    pub(super) fn of_row(row: &CellRow) -> Slot {
        Slot::of(row.state, row.stored.is_some())
    }

    /// How a cell on the shelf stands.
    pub(super) fn of_shelved(cell: &Shelved) -> Slot {
        Slot::of(cell.state, cell.stored.is_some())
    }
}

/// Merges what touches and stands alike. `cells` are sorted by start; where two overlap, the earlier one counts.
pub(super) fn stretches(cells: impl IntoIterator<Item = (Range, Slot)>) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for (range, slot) in cells {
        let end = all.last().map_or(range.start, |last| last.range.end);
        let range = Range::new(range.start.max(end), range.end);
        match all.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.slot == slot && last.range.end == range.start => last.range.end = range.end,
            _ => all.push(Stretch { range, slot }),
        }
    }
    all
}

/// The `n`th of `slots` parts of `span`, of equal length to the nanosecond.
pub(super) fn part(span: Range, slots: usize, n: usize) -> Range {
    let length = span.duration().as_nanos();
    let at = |n: usize| {
        let offset = length * n as u128 / slots.max(1) as u128;
        span.start.offset_ns(i64::try_from(offset).unwrap_or(i64::MAX))
    };
    Range::new(at(n), at(n + 1))
}

/// `span` cut into `slots` of equal length.
pub(super) fn strip(span: Range, slots: usize, grid: Grid, stretches: &[Stretch]) -> Vec<Slot> {
    (0..slots).map(|n| slot(part(span, slots, n), grid, stretches)).collect()
}

fn slot(part: Range, grid: Grid, stretches: &[Stretch]) -> Slot {
    let from = stretches.partition_point(|stretch| stretch.range.end <= part.start);
    let (mut worst, mut all_missing) = (None, true);
    let mut count = |slot: Slot| {
        worst = worst.max(Some(slot));
        all_missing &= slot == Slot::Missing;
    };
    // Where no row is, nothing is archived yet; the cell that is being filled now is not counted against its slot.
    let mut at = part.start;
    for stretch in stretches[from..].iter().take_while(|stretch| stretch.range.start < part.end) {
        if at < stretch.range.start {
            count(Slot::Open);
        }
        count(stretch.slot);
        at = at.max(stretch.range.end);
    }
    let current = grid.cell_at(part.end.max(Time::from_ns(1)).offset_ns(-1)).start();
    if at < current {
        count(Slot::Open);
    }
    match worst.unwrap_or(Slot::Open) {
        Slot::Missing if !all_missing => Slot::Partial,
        worst => worst,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const CELL_S: i64 = 10;

    fn grid() -> Grid {
        Grid::new(Duration::from_secs(CELL_S.unsigned_abs())).unwrap()
    }

    fn cell(n: i64, state: State) -> (Range, Slot) {
        (grid().cell_at(Time::from_s(n * CELL_S)).range(), Slot::of(state, false))
    }

    fn shown(cells: &[(Range, Slot)], slots: usize) -> Vec<Slot> {
        let span = Range::new(Time::from_s(0), Time::from_s(60));
        strip(span, slots, grid(), &stretches(cells.iter().copied()))
    }

    #[test]
    fn one_lost_cell_shows_in_a_slot_of_many() {
        let mut cells: Vec<_> = (0..6).map(|n| cell(n, State::Complete)).collect();
        assert_eq!(shown(&cells, 2), [Slot::Archived, Slot::Archived]);
        cells[1].1 = Slot::Missing;
        assert_eq!(shown(&cells, 2), [Slot::Partial, Slot::Archived]);
        assert_eq!(shown(&cells, 6)[..3], [Slot::Archived, Slot::Missing, Slot::Archived]);
    }

    #[test]
    fn what_has_no_row_yet_is_open_and_the_cell_that_fills_now_is_not_held_against_its_slot() {
        let cells: Vec<_> = [0, 1, 2, 4].map(|n| cell(n, State::Complete)).into();
        assert_eq!(shown(&cells, 2), [Slot::Archived, Slot::Open]);
        let cells: Vec<_> = (0..5).map(|n| cell(n, State::Complete)).collect();
        assert_eq!(shown(&cells, 2), [Slot::Archived, Slot::Archived]);
        assert_eq!(shown(&[], 1), [Slot::Open]);
    }

    #[test]
    fn what_stands_alike_is_one_stretch_and_no_instant_is_in_two() {
        let long = (Range::new(Time::from_s(5), Time::from_s(35)), Slot::Archived);
        let cells = [cell(0, State::Complete), long, cell(1, State::Lost), cell(3, State::Lost)];
        let made = stretches(cells);
        let bounds: Vec<_> = made.iter().map(|s| (s.range.start.s(), s.range.end.s(), s.slot)).collect();
        assert_eq!(bounds, [(0, 35, Slot::Archived), (35, 40, Slot::Missing)]);
    }

    proptest! {
        /// What the strip says of a slot is what the cells in it say, one by one.
        #[test]
        fn a_strip_agrees_with_its_cells(
            states in proptest::collection::vec(proptest::option::of(0_usize..4), 1..60),
            slots in 1_usize..80,
        ) {
            let all = [Slot::Archived, Slot::Open, Slot::Partial, Slot::Missing];
            let states: Vec<Option<Slot>> = states.into_iter().map(|s| s.map(|s| all[s])).collect();
            let count = i64::try_from(states.len()).unwrap();
            let span = Range::new(Time::from_s(0), Time::from_s(count * CELL_S));
            let cells = states.iter().enumerate().filter_map(|(n, state)| {
                state.map(|state| (cell(i64::try_from(n).unwrap(), State::Lost).0, state))
            });
            let strip = strip(span, slots, grid(), &stretches(cells));
            prop_assert_eq!(strip.len(), slots);
            for (n, shown) in strip.iter().enumerate() {
                let part = part(span, slots, n);
                let inside: Vec<Option<Slot>> = grid().cells(part).map(|c| states[usize::try_from(c.start().s() / CELL_S).unwrap()]).collect();
                // A last cell without a row may be the one that fills now.
                let (last, before) = inside.split_last().unwrap();
                let mut seen: Vec<Slot> = before.iter().map(|s| s.unwrap_or(Slot::Open)).collect();
                seen.extend(last);
                let expected = match seen.iter().max() {
                    None => Slot::Open,
                    Some(Slot::Missing) if seen.iter().any(|s| *s != Slot::Missing) => Slot::Partial,
                    Some(worst) => *worst,
                };
                prop_assert_eq!(*shown, expected, "slot {} of {:?}", n, states);
            }
        }
    }
}
