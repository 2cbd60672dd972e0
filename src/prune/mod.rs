//! `prune`: deletes what retention no longer keeps, and clears up after runs that died.
//!
//! The order of effects in a channel is that of a capture backwards, and makes a kill at any instant harmless:
//!
//! 0. the channel is locked against other prunes, its store is seen to be there, and what an earlier run left as garbage goes
//!    through steps 2 and 3;
//! 1. rows are discarded, and in the same transaction garbage rows for their objects come: from here on nobody reads the
//!    objects, and nobody captures their cells;
//! 2. the objects are deleted;
//! 3. the garbage rows of those that are gone are forgotten: a cell of that name may be captured again.
//!
//! Steps 1 to 3 are taken for some hundred chunks at a time. Whoever comes after a kill finds in the garbage rows what is
//! still to be deleted. Only what a row spoke of is ever deleted, by its full key: nothing is looked for in the store, so
//! neither another channel, nor one whose name begins with this one's, nor a store that answers wrongly loses anything. A
//! store that cannot be reached ends a channel's turn before step 1.
//!
//! Disabled channels are pruned too: how long something is kept is a promise of its own. A channel without a file is left
//! alone, since nobody knows how long its chunks are to be kept, or where they are.

mod run;
pub mod told;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;

use self::run::Run;
use crate::capture::Workplace;
use crate::channel::Channel;
use crate::error::Error;
use crate::ledger::Hold;
use crate::retention::{Plan, Rules, Total};

/// Channels that are pruned at once.
const AT_ONCE: usize = 8;

/// How a prune goes about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most of a channel that goes in one run, from 0 to 1: the fuse.
    pub max_fraction: f64,
    /// Delete more than that, too.
    pub force: bool,
    /// Only decide; delete nothing, and write nothing down.
    pub dry_run: bool,
    /// The archive folder of channels without a store of their own.
    pub archive: PathBuf,
}

/// What came of a channel.
#[derive(Debug)]
pub struct ChannelReport {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub rules: Rules,
    /// Why it was not pruned, or not to the end.
    pub error: Option<Error>,
    /// True if another prune is at work on it; nothing else was looked at.
    pub busy: bool,
    /// What was decided.
    pub plan: Plan,
    /// True if that is more than may go unforced: nothing of it went.
    pub fuse: bool,
    /// The holds that are in force.
    pub holds: Vec<Hold>,
    /// What earlier runs had discarded and not deleted yet.
    pub left_over: Total,
    /// What was deleted, with what was left over.
    pub deleted: Total,
    /// What else was cleared away.
    pub cleared: Cleared,
}

/// What dead runs had left, and what nobody asks for any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Spool files of which no row speaks, or of a cell that is settled.
    pub spool_files: u64,
    /// Unfinished objects and uploads in the store.
    pub unfinished: u64,
    /// Jobs, with their logs.
    pub jobs: u64,
}

/// What happens in a channel, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// So many chunks are to be deleted.
    Started {
        /// How many.
        chunks: u64,
    },
    /// Some of them are gone.
    Deleted {
        /// How many more.
        chunks: u64,
    },
    /// It is over.
    Ended,
}

/// Somebody who is told how it goes.
pub trait Watcher: Send + Sync {
    /// Something happened. Called from several threads; returns at once.
    fn event(&self, channel: &str, event: Event);
}

impl ChannelReport {
    /// True if something failed, or the fuse bit.
    pub fn has_problem(&self) -> bool {
        self.error.is_some() || self.fuse
    }
}

/// Prunes `channels` once. The reports are in the order of names.
pub async fn prune(
    place: Arc<Workplace>,
    channels: Vec<Channel>,
    options: &Options,
    watcher: Arc<dyn Watcher>,
) -> Vec<ChannelReport> {
    let mut waiting = channels.into_iter();
    let mut running = JoinSet::new();
    let mut reports = Vec::new();
    loop {
        while running.len() < AT_ONCE {
            let Some(channel) = waiting.next() else { break };
            let run = Run::new(Arc::clone(&place), channel, options.clone(), Arc::clone(&watcher));
            running.spawn(run.finish());
        }
        match running.join_next().await {
            Some(Ok(report)) => reports.push(report),
            // Tasks are never cancelled, so it has panicked: that is a bug, and is to be seen.
            Some(Err(e)) => std::panic::resume_unwind(e.into_panic()),
            None => break,
        }
    }
    reports.sort_by(|a: &ChannelReport, b| a.name.cmp(&b.name));
    reports
}
