//! What bears on how long a chunk is kept: holds, what is waiting to be deleted, and a cell as retention sees it.

use super::{HoldId, State};
use crate::grid::Cell;
use crate::time::{Range, Time};

/// A range of a channel of which nothing is pruned while it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its number.
    pub id: HoldId,
    /// Which channel.
    pub channel: String,
    /// What is held: every cell that touches it.
    pub range: Range,
    /// Why, in a person's words.
    pub note: Option<String>,
    /// It holds until then; `None`: until it is removed.
    pub until: Option<Time>,
    /// When it was made.
    pub created: Time,
}

impl Hold {
    /// True if it is in force at `now`.
    pub fn holds_at(&self, now: Time) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// An object that is to be deleted, and of which no row speaks any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// Its key in the channel's store.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Why it goes.
    pub reason: String,
    /// When that was decided.
    pub since: Time,
}

/// A cell as retention sees it: a row without its texts, for there may be millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Which cell.
    pub cell: Cell,
    /// How far it is.
    pub state: State,
    /// The length of its object in bytes; `None` if nothing of it is stored.
    pub bytes: Option<u64>,
}
