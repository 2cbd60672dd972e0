//! The coverage strip: a span in a few slots, each as good as its worst cell.

use serde::Serialize;
use utoipa::ToSchema;

use crate::grid::Grid;
use crate::ledger::{CellRow, State};
use crate::time::{Range, Time};

/// How a stretch of the archive stands. Later ones outweigh earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
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

/// `span` cut into `slots` of equal length. `rows` are sorted.
pub(super) fn strip(span: Range, slots: usize, grid: Grid, rows: &[CellRow]) -> Vec<Slot> {
    let length = span.duration().as_nanos();
    let at = |n: usize| {
        let offset = length * n as u128 / slots.max(1) as u128;
        span.start.offset_ns(i64::try_from(offset).unwrap_or(i64::MAX))
    };
    (0..slots).map(|n| slot(Range::new(at(n), at(n + 1)), grid, rows)).collect()
}

fn slot(part: Range, grid: Grid, rows: &[CellRow]) -> Slot {
    let from = rows.partition_point(|row| row.cell.end() <= part.start);
    let mut states = Vec::new();
    // Where no row is, nothing is archived yet; the cell that is being filled now is not counted against its slot.
    let mut at = part.start;
    for row in rows[from..].iter().take_while(|row| row.cell.start() < part.end) {
        states.extend((at < row.cell.start()).then_some(Slot::Open));
        states.push(match row.state {
            State::Complete => Slot::Archived,
            State::Partial => Slot::Partial,
            State::Lost => Slot::Missing,
            State::Capturing | State::Failed if row.stored.is_some() => Slot::Partial,
            State::Capturing | State::Failed => Slot::Open,
        });
        at = at.max(row.cell.end());
    }
    let current = grid.cell_at(part.end.max(Time::from_ns(1)).offset_ns(-1)).start();
    if at < part.end && (states.is_empty() || at < current) {
        states.push(Slot::Open);
    }
    let all_missing = !states.is_empty() && states.iter().all(|s| *s == Slot::Missing);
    match states.into_iter().max().unwrap_or(Slot::Open) {
        Slot::Missing if !all_missing => Slot::Partial,
        worst => worst,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(cell: i64, state: State) -> CellRow {
        let grid = Grid::new(Duration::from_secs(10)).unwrap();
        CellRow {
            cell: grid.cell_at(Time::from_s(cell * 10)),
            state,
            stored: None,
            attempts: 0,
            retry_at: None,
            reason: None,
            job: None,
            progress: None,
            updated: Time::EPOCH,
            verified: None,
        }
    }

    fn shown(rows: &[CellRow], slots: usize) -> Vec<Slot> {
        let span = Range::new(Time::from_s(0), Time::from_s(60));
        strip(span, slots, Grid::new(Duration::from_secs(10)).unwrap(), rows)
    }

    #[test]
    fn one_lost_cell_shows_in_a_slot_of_many() {
        let mut rows: Vec<CellRow> = (0..6).map(|n| row(n, State::Complete)).collect();
        assert_eq!(shown(&rows, 2), [Slot::Archived, Slot::Archived]);
        rows[1].state = State::Lost;
        assert_eq!(shown(&rows, 2), [Slot::Partial, Slot::Archived]);
        assert_eq!(shown(&rows, 6)[..3], [Slot::Archived, Slot::Missing, Slot::Archived]);
    }

    #[test]
    fn what_has_no_row_yet_is_open_and_the_cell_that_fills_now_is_not_held_against_its_slot() {
        let rows: Vec<CellRow> = [0, 1, 2, 4].map(|n| row(n, State::Complete)).into();
        assert_eq!(shown(&rows, 2), [Slot::Archived, Slot::Open]);
        let rows: Vec<CellRow> = (0..5).map(|n| row(n, State::Complete)).collect();
        assert_eq!(shown(&rows, 2), [Slot::Archived, Slot::Archived]);
        assert_eq!(shown(&[], 1), [Slot::Open]);
    }
}
