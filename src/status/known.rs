//! What is kept of one channel between two looks at the overview, and when it has to be read again.
//!
//! What the ledger's rows say is read again when the channel's count of changes has moved, whoever wrote; what the last
//! check saw, after each check. Time alone changes what counts too: a cell leaves the retention. The earliest such moment is
//! kept with it. All else (the strip, ages, deadlines) is made anew for every look.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::strip::{Slot, Stretch, stretches};
use super::{Counts, Seen, is_shown, kept};
use crate::channel::Channel;
use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::{Head, Hold, Ledger, State};
use crate::plan::Risk;
use crate::time::{Ranges, Time};

/// What is kept of one channel.
pub(super) struct Known {
    channel: Arc<Channel>,
    head: Head,
    books: Books,
    sight: Sight,
}

/// What the rows say.
pub(super) struct Books {
    /// Right until then, if no row changes: the first cell or gap leaves the retention.
    good_until: Time,
    pub(super) stretches: Vec<Stretch>,
    pub(super) counts: Counts,
    pub(super) last_chunk: Option<Cell>,
    pub(super) gaps: u64,
    /// How long any track lacks something.
    pub(super) missing: Duration,
    pub(super) holds: Vec<Hold>,
}

/// What the last check saw.
pub(super) struct Sight {
    pub(super) error: Option<String>,
    pub(super) lag_s: Option<u64>,
    /// What may still be lost, soonest first; deadlines on this host's clock.
    pub(super) at_risk: Vec<Risk>,
}

impl Known {
    /// Reads all of a channel.
    pub(super) fn new(ledger: &dyn Ledger, channel: &Arc<Channel>, head: Head, now: Time) -> Result<Known> {
        let books = Books::read(ledger, channel, now)?;
        let sight = Sight::read(ledger, channel.name.as_str())?;
        Ok(Known { channel: Arc::clone(channel), head, books, sight })
    }

    /// Reads again what is out of date. `head` was read before any of it, so that nothing newer is missed.
    pub(super) fn refresh(
        &mut self,
        ledger: &dyn Ledger,
        channel: &Arc<Channel>,
        head: Head,
        now: Time,
    ) -> Result<()> {
        let is_same = Arc::ptr_eq(&self.channel, channel) && self.head.changes == head.changes;
        if !is_same || now >= self.books.good_until {
            self.books = Books::read(ledger, channel, now)?;
        }
        // What is at risk depends on the rows as well.
        if !is_same || self.head.checked != head.checked {
            self.sight = Sight::read(ledger, channel.name.as_str())?;
        }
        (self.channel, self.head) = (Arc::clone(channel), head);
        Ok(())
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    pub(super) fn books(&self) -> &Books {
        &self.books
    }

    pub(super) fn sight(&self) -> &Sight {
        &self.sight
    }
}

impl Books {
    fn read(ledger: &dyn Ledger, channel: &Channel, now: Time) -> Result<Books> {
        let (name, kept) = (channel.name.as_str(), kept(channel, now));
        let mut shelf = ledger.shelf(name, kept)?;
        // A complete chunk lacks nothing: mostly there is nothing to ask for.
        let mut gaps = match shelf.iter().all(|cell| cell.state == State::Complete) {
            true => Vec::new(),
            false => ledger.gaps(name, kept)?,
        };
        let ends = shelf.iter().map(|cell| cell.cell.end()).chain(gaps.iter().map(|row| row.gap.range.end));
        let good_until = ends.min().map_or(Time::MAX, |end| end.plus(channel.archive_length));
        gaps.retain(is_shown);
        let lacking: HashSet<Cell> = gaps.iter().map(|row| row.cell).collect();
        for cell in shelf.iter_mut().filter(|cell| cell.state == State::Partial) {
            if !lacking.contains(&cell.cell) {
                cell.state = State::Complete;
            }
        }
        let mut stretches = stretches(shelf.iter().map(|cell| (cell.cell.range(), Slot::of_shelved(cell))));
        stretches.shrink_to_fit();
        Ok(Books {
            good_until,
            stretches,
            counts: Counts::of(shelf.iter().map(|cell| (cell.state, cell.bytes))),
            last_chunk: shelf.iter().rev().find(|cell| cell.stored.is_some()).map(|cell| cell.cell),
            gaps: gaps.len() as u64,
            missing: gaps.iter().map(|row| row.gap.range).collect::<Ranges>().total(),
            holds: ledger.holds(Some(name))?,
        })
    }
}

impl Sight {
    fn read(ledger: &dyn Ledger, name: &str) -> Result<Sight> {
        let seen = Seen::read(ledger, name)?;
        let at_risk = seen.at_risk(ledger, name, Time::from_ns(i64::MIN))?;
        Ok(Sight { error: seen.error, lag_s: seen.lag_s, at_risk })
    }
}
