//! Capturing one cell: from the source's segments to a chunk in the store and a row in the ledger.
//!
//! The order of effects, which makes a kill at any instant harmless:
//!
//! 1. the cell's spool file is made and locked: no other process works on the cell from here on;
//! 2. the ledger's row is claimed; a job that it still calls running is dead, for its lock was free;
//! 3. fragments are appended to the spool, and how far they go is checkpointed in the row;
//! 4. the file is finished (`mfra`);
//! 5. it is put into the store, which brings it to the disk, and verifies size and checksum;
//! 6. row, fragment index and gaps are committed in one transaction;
//! 7. the spool file is deleted, and with it the lock goes.
//!
//! Whoever comes after a kill goes on from the step that the files show: a spool without its end is carried on, a finished
//! one is put again (the same bytes under the same key), and a leftover of step 7 is deleted.

mod attempt;
mod batch;
mod before;
mod contents;
mod lanes;
mod place;
mod progress;
mod proof;
mod space;
mod spool;
mod stored;
mod sweep;
mod tracks;
mod transfer;
mod unified;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::attempt::Attempt;
use self::progress::Progress;
use self::spool::{Spool, spool_path};
use self::transfer::ROOM_UNIT;
use crate::channel::Channel;
use crate::clock;
use crate::error::Result;
use crate::failpoint;
use crate::grid::Cell;
use crate::ledger::{Claimed, Gap, Ledger};
use crate::source::Source;
use crate::store::{Space, Store};
use crate::time::{Range, Time};

pub(crate) use self::before::ends as ends_before;
pub use self::contents::{Contents, read_contents};
pub use self::lanes::{Lanes, Turn};
pub use self::progress::spooled_until;
pub use self::proof::BEFORE_THE_ARCHIVE;
pub(crate) use self::proof::{Evidence, gaps as prove, presented};
pub(crate) use self::stored::holds_all;
pub use self::stored::{ReadBack, read_back};
pub use self::sweep::{sweep, sweep_orphans};
pub(crate) use self::tracks::{InFile, pair, tracks_of};

/// Segments in flight take at most so many bytes, over all captures of a process.
const ROOM_BYTES: u64 = 24 << 20;

/// What all captures of a process share.
pub struct Workplace {
    /// The books.
    pub ledger: Arc<dyn Ledger>,
    /// Where spool files are.
    pub spool: PathBuf,
    /// The name of this host, for jobs.
    pub host: String,
    /// Who is told how it goes.
    pub observer: Arc<dyn Observer>,
    /// How much is to stay free where the spool is, and where a store on disk is, in bytes; 0 asks for nothing.
    pub min_free_bytes: u64,
    room: Arc<Semaphore>,
}

/// One channel, and the ends that it connects.
pub struct Feed {
    /// The channel.
    pub channel: Channel,
    /// Where its media comes from.
    pub source: Arc<dyn Source>,
    /// Where its chunks go.
    pub store: Arc<dyn Store>,
}

/// What is to be captured.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// Which cell.
    pub cell: Cell,
    /// False for a piece: what is there goes into the spool, and the cell stays open.
    pub whole: bool,
    /// Better a hole now than nothing later: segments that cannot be had are given up.
    pub last_chance: bool,
    /// How many attempts have failed before.
    pub attempts: u32,
    /// From when on the archive is answerable.
    pub since: Time,
}

/// How a capture ended, if it did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Captured {
    /// Another process is at work on the cell.
    Busy,
    /// The cell was complete already.
    AlreadyThere,
    /// Its former chunk is being deleted, and goes first.
    Deleting,
    /// It was not begun: this folder has less free space than is to stay free.
    NoSpace(Space),
    /// A piece more of it is in the spool.
    Piece,
    /// Its chunk is stored, whole.
    Complete,
    /// Its chunk is stored as far as it goes.
    Partial {
        /// What it lacks.
        gaps: Vec<Gap>,
        /// False if just that was known before.
        news: bool,
    },
    /// Nothing of it could be had, and nothing will be: it was written off.
    Lost,
}

/// What happens during a capture, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It begins: so many segments are to be fetched.
    Started {
        /// How many.
        segments: u64,
    },
    /// A segment has arrived.
    Segment {
        /// Its length.
        bytes: u64,
    },
    /// The chunk is on its way to the store.
    Storing,
    /// It is over.
    Ended,
}

/// Somebody who is told how captures go.
pub trait Observer: Send + Sync {
    /// Something happened. Called from several threads; returns at once.
    fn event(&self, channel: &str, cell: Cell, event: Event);
}

impl Workplace {
    /// A workplace with the whole memory budget, which asks for no free space.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        spool: PathBuf,
        host: String,
        observer: Arc<dyn Observer>,
    ) -> Workplace {
        let units = usize::try_from(ROOM_BYTES / ROOM_UNIT).unwrap_or(1);
        let room = Arc::new(Semaphore::new(units));
        Workplace { ledger, spool, host, observer, min_free_bytes: 0, room }
    }

    /// Room for `bytes` in memory; waits until there is some. Anything larger than the whole budget gets all of it.
    fn room(&self, bytes: u64) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + use<> {
        let units = u32::try_from(bytes.min(ROOM_BYTES).div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
        let acquired = Arc::clone(&self.room).acquire_many_owned(units);
        async move { acquired.await.ok() }
    }

    /// How much of the cell's chunk is in the spool; `None` if nothing is.
    pub fn spooled_bytes(&self, channel: &str, cell: Cell) -> Option<u64> {
        std::fs::metadata(spool_path(&self.spool, channel, cell)).map(|m| m.len()).ok()
    }

    /// True if no process works on the cell.
    pub fn is_free(&self, channel: &str, cell: Cell) -> bool {
        Spool::is_free(&self.spool, channel, cell)
    }
}

/// Captures a cell, or a piece of it.
///
/// # Errors
/// What went wrong, with channel and chunk. The job and the row have it too, and the next attempt goes on from the spool.
pub async fn capture(place: &Workplace, feed: &Feed, order: Order, turn: Turn) -> Result<Captured> {
    let name = feed.channel.name.as_str();
    if let Some(space) = space::lacking(place, feed, order.cell).await? {
        return Ok(Captured::NoSpace(space));
    }
    let Some(spool) = Spool::lock(&place.spool, name, order.cell)? else { return Ok(Captured::Busy) };
    failpoint::reach("capture-1-locked");
    let (now, pid) = (clock::now(), std::process::id());
    let claimed = place.ledger.claim(name, order.cell, feed.channel.engine.name(), now, &place.host, pid)?;
    let (id, progress) = match claimed {
        Claimed::Job { id, progress } => (id, progress),
        Claimed::Complete => return spool.remove().map(|()| Captured::AlreadyThere),
        Claimed::Deleting => return spool.remove().map(|()| Captured::Deleting),
    };
    failpoint::reach("capture-2-claimed");
    let attempt = Attempt::new(place, feed, order, id, turn);
    let result = attempt.run(spool, Progress::read(progress.as_deref())).await;
    place.observer.event(name, order.cell, Event::Ended);
    result
}

/// Writes a cell down as lost, if that is news and nobody is at work on it. `tracks` are the names of the tracks that lack it.
///
/// # Errors
/// Those of spool and ledger.
pub fn write_off(
    place: &Workplace,
    channel: &str,
    order: Order,
    tracks: &[String],
    reason: &str,
) -> Result<bool> {
    let Some(spool) = Spool::lock(&place.spool, channel, order.cell)? else { return Ok(false) };
    let ends = before::ends(place.ledger.as_ref(), channel, order.cell)?;
    let gap = |track: &String| {
        let begins = ends.get(track).copied().unwrap_or(order.since).max(order.since);
        let range = Range::new(begins.max(order.cell.start()), order.cell.end());
        Gap { track: track.clone(), range, reason: reason.to_owned() }
    };
    let gaps: Vec<Gap> = tracks.iter().map(gap).filter(|gap| !gap.range.is_empty()).collect();
    let news = place.ledger.lose(channel, order.cell, &gaps, reason, clock::now())?;
    spool.remove()?;
    Ok(news)
}
