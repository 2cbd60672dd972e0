//! What old indexes lack of a clip, from the headers of its chunks.

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::error::{Context, Result};
use crate::media::read_traits;
use crate::playback::{Footage, HeaderWanted};
use crate::store::{ByteRange, Store};

/// How many headers are read at once.
const AT_ONCE: usize = 8;

/// Reads the headers that `footage` wants, and lets it learn from them.
///
/// # Errors
/// Those of the store; [`crate::error::Kind::Invalid`] for a header that cannot be read.
pub async fn learn(store: &dyn Store, channel: &str, footage: &mut Footage) -> Result<()> {
    let read = |wanted: HeaderWanted| async move {
        let key = wanted.cell.key(channel);
        let parts = store.parts(&key, &[ByteRange { start: 0, end: wanted.bytes }]).await?;
        let header = parts.bytes.first().map_or(&[][..], |bytes| bytes);
        Ok::<_, crate::error::Error>((wanted.cell, read_traits(header).with_context(|| key.clone())?))
    };
    let all = stream::iter(footage.headers_wanted()).map(read).buffer_unordered(AT_ONCE);
    for (cell, traits) in all.try_collect::<Vec<_>>().await? {
        footage.learn(cell, &traits);
    }
    Ok(())
}
