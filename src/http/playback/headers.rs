//! The headers of chunks, which init segments are made of: read once, and kept for a while, as all players of a channel need the
//! same few.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::TryStreamExt;

use crate::channel::Channel;
use crate::error::{Context, Error, Kind, Result};
use crate::grid::Cell;
use crate::http::App;
use crate::store::ByteRange;

/// How much is kept, in bytes: a header has some thousands.
const MOST_BYTES: usize = 8 << 20;
/// The largest that is read.
const LARGEST: u64 = 1 << 20;

/// Headers that were read: by channel and cell, and by the checksum of the chunk, as a partial one may be replaced.
#[derive(Default)]
pub(in crate::http) struct Headers(Mutex<HashMap<Key, Bytes>>);

/// Channel, cell, and the SHA-256 of the chunk.
type Key = (String, Cell, [u8; 32]);

impl Headers {
    /// The first `bytes` of the chunk of a cell.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is no such chunk; those of its store.
    pub(super) async fn read(
        &self,
        app: &App,
        channel: &Arc<Channel>,
        cell: Cell,
        bytes: u64,
    ) -> Result<Bytes> {
        let name = channel.name.as_str();
        let row = app.place.ledger.cell(name, cell)?;
        let stored = row.and_then(|row| row.stored);
        let stored = stored
            .ok_or_else(|| Error::new(Kind::NotFound, format!("channel {name}: there is no chunk {cell}")))?;
        let key = (name.to_owned(), cell, stored.sha256);
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let wanted = ByteRange { start: 0, end: bytes.min(LARGEST) };
        let reading = app.store(channel).await?.get(&stored.key, Some(wanted)).await?;
        let pieces: Vec<Bytes> = reading.bytes.try_collect().await.with_context(|| stored.key.clone())?;
        let header = Bytes::from(pieces.concat());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Rare, and what is wanted again is soon there again.
        if kept.values().map(Bytes::len).sum::<usize>() + header.len() > MOST_BYTES {
            kept.clear();
        }
        kept.insert(key, header.clone());
        Ok(header)
    }
}
