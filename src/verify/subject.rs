//! One channel that is verified: its store, and its source, which is asked only where something is wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::Options;
use crate::capture::Workplace;
use crate::channel::Channel;
use crate::clock::Tick;
use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::{CellRow, Ledger, State};
use crate::plan::Outlook;
use crate::source;
use crate::store::{self, DiskStore, Store};
use crate::timeline::Timeline;

/// What a source said is believed for so long: a source that is down is not asked again for each of a thousand chunks.
const BELIEVED: Duration = Duration::from_secs(30);

/// What a source said of itself, or why it said nothing.
pub(super) type Answer = std::result::Result<Timeline, String>;

/// A channel that is verified.
pub(super) struct Subject {
    pub(super) place: Arc<Workplace>,
    pub(super) channel: Channel,
    pub(super) store: Arc<dyn Store>,
    pub(super) options: Options,
    asked: Mutex<Option<(Tick, Arc<Answer>)>>,
}

impl Subject {
    pub(super) fn new(
        place: Arc<Workplace>,
        channel: Channel,
        store: Arc<dyn Store>,
        options: Options,
    ) -> Self {
        Subject { place, channel, store, options, asked: Mutex::new(None) }
    }

    pub(super) fn name(&self) -> &str {
        self.channel.name.as_str()
    }

    pub(super) fn ledger(&self) -> &dyn Ledger {
        self.place.ledger.as_ref()
    }

    /// True if there is no spool file of a cell: nobody captures it, and nothing is there to go on from.
    pub(super) fn has_no_spool(&self, cell: Cell) -> bool {
        self.place.spooled_bytes(self.name(), cell).is_none()
    }

    /// The row of a cell, and whether somebody captures it. The spool is looked at first, too: it goes after the row has
    /// changed, so a capture that ends in between is not taken for a dead one.
    pub(super) fn look(&self, cell: Cell) -> Result<(Option<CellRow>, bool)> {
        let had_spool = !self.has_no_spool(cell);
        let row = self.ledger().cell(self.name(), cell)?;
        let is_capturing = row.as_ref().is_some_and(|row| row.state == State::Capturing);
        Ok((row, is_capturing && (had_spool || !self.has_no_spool(cell))))
    }

    /// What the source holds, as it said a moment ago.
    pub(super) async fn timeline(&self) -> Arc<Answer> {
        let mut asked = self.asked.lock().await;
        if let Some((at, answer)) = asked.as_ref()
            && at.elapsed() < BELIEVED
        {
            return Arc::clone(answer);
        }
        let answer = Arc::new(self.ask().await.map_err(|e| e.to_string()));
        *asked = Some((Tick::now(), Arc::clone(&answer)));
        answer
    }

    async fn ask(&self) -> Result<Timeline> {
        let seen = self.ledger().observed(self.name())?.map(|(_, text)| text);
        let zero = Outlook::read(seen.as_deref()).source.and_then(|sight| sight.zero);
        source::of_channel(&self.channel, zero)?.timeline().await
    }

    /// True if a cell is known to have left the window: that does not change, so nobody need be asked.
    pub(super) async fn has_left(&self, cell: Cell) -> bool {
        let asked = self.asked.lock().await;
        let known = asked.as_ref().and_then(|(_, answer)| answer.as_ref().as_ref().ok());
        known.is_some_and(|timeline| cell.end() <= timeline.window_start)
    }
}

/// The store of a channel; `None` if nothing of it was ever stored, and nothing is there. A store is made of a folder only to
/// repair, and only of one that holds a folder of the channel's name: anything else may be an unmounted disk.
///
/// # Errors
/// A store that is not there, or cannot be reached.
pub(super) async fn connect(
    place: &Workplace,
    channel: &Channel,
    options: &Options,
) -> Result<Option<Arc<dyn Store>>> {
    let name = channel.name.as_str();
    let folder: &Path = channel.disk_path.as_deref().unwrap_or(&options.archive);
    let mut must_be_there = channel.s3.is_some() || place.ledger.since(name)?.is_some();
    if !must_be_there {
        must_be_there = DiskStore::is_initialised(folder)?;
        let may_be_made = options.repair && !options.dry_run && folder.join(name).is_dir();
        if !must_be_there && !may_be_made {
            return Ok(None);
        }
    }
    store::of_channel(channel, &options.archive, must_be_there).await.map(Some)
}
