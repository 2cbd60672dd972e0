//! The blocks of one row of a calendar: its cells, and where there are too many for a picture, what stands alike in one.

use serde::Serialize;
use utoipa::ToSchema;

use super::strip::Slot;
use crate::ledger::{JobId, State};
use crate::time::{Range, Time};

/// How a cell stands, as pictures tell it. Later ones outweigh earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// Its chunk is stored, whole.
    Archived,
    /// A job is at work on it, or another will carry on.
    Capturing,
    /// Nothing is archived of it yet.
    Open,
    /// The last attempt came to nothing, and there will be another.
    Failed,
    /// Its chunk is stored, and has gaps.
    Partial,
    /// It is lost.
    Missing,
}

impl Look {
    /// How a cell of this state looks. `lacks` is false of a partial one that lacks nothing that was promised.
    pub(super) fn of(state: State, lacks: bool) -> Look {
        match state {
            State::Complete => Look::Archived,
            State::Partial if !lacks => Look::Archived,
            State::Partial => Look::Partial,
            State::Capturing => Look::Capturing,
            State::Failed => Look::Failed,
            State::Lost => Look::Missing,
        }
    }

    /// The same with the words of a strip, which has fewer.
    pub fn slot(self) -> Slot {
        match self {
            Look::Archived => Slot::Archived,
            Look::Capturing | Look::Open | Look::Failed => Slot::Open,
            Look::Partial => Slot::Partial,
            Look::Missing => Slot::Missing,
        }
    }
}

/// One cell, or neighbouring ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    /// What it spans: one cell, or from the first to the last of them.
    pub range: Range,
    /// How it stands; of several, the worst, and missing only where all of it is.
    pub state: Look,
    /// True if some of it is held.
    pub held: bool,
    /// When some of it begins to be lost, on this host's clock; `null` where nothing is at risk.
    pub deadline: Option<Time>,
    /// How many cells it is.
    pub cells: u32,
    /// Bytes stored.
    pub bytes: u64,
    /// The last job that worked on it; only of one cell.
    pub job: Option<JobId>,
    /// Why it is not complete; only of one cell.
    pub reason: Option<String>,
}

impl Block {
    fn stands_as(&self, next: &Block) -> bool {
        self.state == next.state
            && self.held == next.held
            && self.deadline.is_some() == next.deadline.is_some()
            && self.range.end == next.range.start
    }

    /// Takes the next one in.
    fn join(&mut self, next: Block) {
        let are_missing = [self.state, next.state].map(|state| state == Look::Missing);
        self.state = match are_missing {
            [true, false] | [false, true] => Look::Partial,
            _ => self.state.max(next.state),
        };
        self.range.end = self.range.end.max(next.range.end);
        self.held |= next.held;
        self.deadline = self.deadline.into_iter().chain(next.deadline).min();
        self.cells = self.cells.saturating_add(next.cells);
        self.bytes = self.bytes.saturating_add(next.bytes);
        (self.job, self.reason) = (None, None);
    }
}

/// At most `most` blocks of `cells`, which are sorted: a block each if there is room, else neighbours that stand alike in one,
/// and if there are still too many, so many neighbours in one as it takes.
pub(super) fn blocks(cells: Vec<Block>, most: usize) -> Vec<Block> {
    if cells.len() <= most {
        return cells;
    }
    let mut alike: Vec<Block> = Vec::new();
    for cell in cells {
        match alike.last_mut() {
            Some(last) if last.stands_as(&cell) => last.join(cell),
            _ => alike.push(cell),
        }
    }
    let together = alike.len().div_ceil(most.max(1));
    let mut merged: Vec<Block> = Vec::new();
    for (n, block) in alike.into_iter().enumerate() {
        match merged.last_mut() {
            Some(last) if !n.is_multiple_of(together) => last.join(block),
            _ => merged.push(block),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOOKS: [Look; 6] =
        [Look::Archived, Look::Capturing, Look::Open, Look::Failed, Look::Partial, Look::Missing];

    fn block(n: usize, state: Look) -> Block {
        let start = i64::try_from(n).unwrap() * 10;
        let range = Range::new(Time::from_s(start), Time::from_s(start + 10));
        let job = Some(JobId::new(start));
        Block { range, state, held: false, deadline: None, cells: 1, bytes: 7, job, reason: None }
    }

    #[test]
    fn where_there_is_room_each_cell_is_a_block() {
        let cells: Vec<Block> = (0..9).map(|n| block(n, Look::Archived)).collect();
        assert_eq!(blocks(cells.clone(), 9), cells);
    }

    #[test]
    fn where_there_is_none_what_stands_alike_is_one() {
        let mut cells: Vec<Block> = (0..9).map(|n| block(n, Look::Archived)).collect();
        cells[4].state = Look::Missing;
        cells[7].held = true;
        cells[8].held = true;
        let made = blocks(cells, 8);
        let shown: Vec<_> =
            made.iter().map(|b| (b.range.start.s(), b.range.end.s(), b.state, b.cells)).collect();
        let (archived, missing) = (Look::Archived, Look::Missing);
        assert_eq!(
            shown,
            [(0, 40, archived, 4), (40, 50, missing, 1), (50, 70, archived, 2), (70, 90, archived, 2)]
        );
        assert_eq!((made[0].bytes, made[0].job, made[1].job), (28, None, Some(JobId::new(40))));
        assert!(made[3].held && !made[2].held);
    }

    proptest! {
        #[test]
        fn no_cell_is_left_out_and_no_row_is_too_long(
            looks in proptest::collection::vec((0_usize..6, any::<bool>()), 1..200),
            most in 1_usize..60,
        ) {
            let of = |(n, (look, held)): (usize, &(usize, bool))| Block { held: *held, ..block(n, LOOKS[*look]) };
            let cells: Vec<Block> = looks.iter().enumerate().map(of).collect();
            let made = blocks(cells.clone(), most);
            prop_assert!(made.len() <= most.max(1));
            prop_assert!(made.windows(2).all(|w| w[0].range.end == w[1].range.start));
            let sum = |of: &dyn Fn(&Block) -> u64, all: &[Block]| all.iter().map(of).sum::<u64>();
            for count in [&|b: &Block| u64::from(b.cells), &|b: &Block| b.bytes] as [&dyn Fn(&Block) -> u64; 2] {
                prop_assert_eq!(sum(count, &made), sum(count, &cells));
            }
            for block in made {
                let inside = cells.iter().filter(|c| !c.range.intersect(block.range).is_empty());
                let worst = inside.clone().map(|c| c.state).max().unwrap();
                let all_missing = inside.clone().all(|c| c.state == Look::Missing);
                let expected = if worst == Look::Missing && !all_missing { Look::Partial } else { worst };
                prop_assert_eq!(block.state, expected);
                prop_assert_eq!(block.held, inside.clone().any(|c| c.held));
            }
        }
    }
}
