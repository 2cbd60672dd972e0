//! Which chunk is read back next, over all channels, and how many there is time for.
//!
//! Those that never were read since they were stored go first, the oldest of them at the head; then those that were longest
//! ago. So a line in a crontab that reads a part every day gets round everything. What is bad is not noted as read, and would
//! stand at the head for ever; so it has a budget of its own, and takes nothing from the others'.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};

use crate::error::{Error, Result};
use crate::grid::Cell;
use crate::ledger::{CellRow, Ledger, Stored};
use crate::time::Time;

/// Rows that are asked for at once.
const PAGE: u32 = 100;

/// The chunks of one channel, in their order.
struct Line {
    name: String,
    page: VecDeque<(CellRow, Stored)>,
    /// Cells that were handed out, and that the ledger may still call unread: they are under way, or bad.
    out: HashSet<Cell>,
    /// Cells that are not to be read.
    passed_over: HashSet<Cell>,
}

/// When the chunk was last read (`None`, the least, is never), the start of its cell, and its channel.
type Turn = (Option<Time>, Time, usize);

/// A chunk that is to be read, and the position of its channel.
pub(super) struct Next {
    pub(super) channel: usize,
    pub(super) row: CellRow,
    pub(super) stored: Stored,
}

/// What is to be read.
pub(super) struct Queue {
    lines: Vec<Line>,
    turns: BinaryHeap<Reverse<Turn>>,
    /// Nothing that was read since is read again.
    before: Time,
}

impl Queue {
    /// The chunks of these channels, each with the cells that are to be passed over.
    pub(super) fn new(channels: impl IntoIterator<Item = (String, HashSet<Cell>)>, before: Time) -> Queue {
        let line =
            |(name, passed_over)| Line { name, page: VecDeque::new(), out: HashSet::new(), passed_over };
        Queue { lines: channels.into_iter().map(line).collect(), turns: BinaryHeap::new(), before }
    }

    /// Puts a channel into the heap, if it has a chunk to be read.
    pub(super) fn line_up(&mut self, channel: usize, ledger: &dyn Ledger) -> Result<()> {
        let line = &mut self.lines[channel];
        if line.page.is_empty() {
            // Those that are out may still be at the head of what the ledger has.
            let out = u32::try_from(line.out.len() + line.passed_over.len()).unwrap_or(u32::MAX);
            let rows = ledger.unverified(&line.name, self.before, PAGE.saturating_add(out))?;
            let is_new =
                |row: &CellRow| !line.out.contains(&row.cell) && !line.passed_over.contains(&row.cell);
            let page = rows.into_iter().filter(is_new).filter_map(|mut row| {
                let stored = row.stored.take()?;
                row.stored = Some(stored.clone());
                Some((row, stored))
            });
            line.page = page.collect();
        }
        if let Some((row, _)) = line.page.front() {
            self.turns.push(Reverse((row.verified, row.cell.start(), channel)));
        }
        Ok(())
    }

    /// The next chunk, and which channel's it is.
    ///
    /// # Errors
    /// Those of the ledger, with the channel whose line ends there.
    pub(super) fn next(&mut self, ledger: &dyn Ledger) -> Result<Option<Next>, (usize, Error)> {
        let Some(Reverse((_, _, channel))) = self.turns.pop() else { return Ok(None) };
        let line = &mut self.lines[channel];
        let Some((row, stored)) = line.page.pop_front() else { return Ok(None) };
        line.out.insert(row.cell);
        self.line_up(channel, ledger).map_err(|e| (channel, e))?;
        Ok(Some(Next { channel, row, stored }))
    }

    /// A chunk was read, and the ledger knows.
    pub(super) fn noted(&mut self, channel: usize, cell: Cell) {
        self.lines[channel].out.remove(&cell);
    }
}

/// How much may be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    limit: Option<u64>,
    /// Bytes that were read and found whole, or are being read.
    good: u64,
    /// Bytes that were read and found bad.
    bad: u64,
}

impl Budget {
    /// So many bytes; `None` is no limit.
    pub(super) fn new(limit: Option<u64>) -> Budget {
        Budget { limit, good: 0, bad: 0 }
    }

    /// Takes `bytes` out of it; false if they are not in it. The first chunk is, however large: else it would never be read.
    pub(super) fn take(&mut self, bytes: u64) -> bool {
        let Some(limit) = self.limit else { return true };
        let fits = self.good.saturating_add(bytes) <= limit || (self.good == 0 && limit > 0);
        if !fits || self.bad >= limit {
            return false;
        }
        self.good = self.good.saturating_add(bytes);
        true
    }

    /// What was taken turned out to be bad.
    pub(super) fn was_bad(&mut self, bytes: u64) {
        self.good = self.good.saturating_sub(bytes);
        self.bad = self.bad.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_but_for_one_chunk_that_is_larger_than_all_of_it() {
        let mut budget = Budget::new(Some(100));
        assert!(budget.take(60) && budget.take(40) && !budget.take(1));
        assert!(Budget::new(Some(100)).take(1_000));
        assert!(!Budget::new(Some(0)).take(1));
        assert!(Budget::new(None).take(u64::MAX));
    }

    #[test]
    fn what_is_bad_takes_nothing_from_what_is_good_and_has_an_end_too() {
        let mut budget = Budget::new(Some(100));
        for _ in 0..10 {
            assert!(budget.take(10));
            budget.was_bad(10);
        }
        assert!(!budget.take(10), "as much again, and no more");
        let mut budget = Budget::new(Some(100));
        assert!(budget.take(100));
        budget.was_bad(90);
        assert!(budget.take(90) && !budget.take(1));
    }
}
