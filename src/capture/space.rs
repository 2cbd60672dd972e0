//! Whether there is room for another chunk: a disk that fills up ends everything that writes to it, npvr last.
//!
//! So captures stop before that, while what is archived is safe and there is time to make room. A chunk that is in the spool
//! already takes no more room there; where its store is not a disk of ours, storing it even frees some.

use super::progress::spooled_until;
use super::{Feed, Workplace};
use crate::error::Result;
use crate::grid::Cell;
use crate::store::Space;

/// The folder that has too little room for another chunk of the channel, if there is one.
///
/// # Errors
/// Those of the ledger. A folder that cannot be asked is not in the way: the capture finds out what is wrong with it.
pub(super) async fn lacking(place: &Workplace, feed: &Feed, cell: Cell) -> Result<Option<Space>> {
    let least = place.min_free_bytes;
    if least == 0 {
        return Ok(None);
    }
    let row = place.ledger.cell(feed.channel.name.as_str(), cell)?;
    let spooled = row.and_then(|row| spooled_until(row.progress.as_deref()));
    let is_spooled = spooled.is_some_and(|until| until >= cell.end());
    let spool = (!is_spooled).then(|| Space::of(&place.spool).ok()).flatten();
    let store = feed.store.space().await.ok().flatten();
    Ok(spool.into_iter().chain(store).find(|space| space.free_bytes < least))
}
