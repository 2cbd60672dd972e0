//! Many small parts of one object, from a store that answers each request after a while: those that are near one another are
//! asked for together, and a few requests are under way at once.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{ByteRange, Parts, Store};
use crate::error::{Error, Kind, Result};

/// What is between two parts is read too where it is no longer than this, in bytes: that takes no longer than to ask again.
const NEAR: u64 = 256 << 10;
/// How long what is asked for at once gets by that, in bytes.
const LONGEST: u64 = 2 << 20;
/// How many requests are under way at once.
const AT_ONCE: usize = 8;

/// Several parts, and where all of them lie.
struct Together {
    range: ByteRange,
    /// Those of the parts, in the order of their starts.
    members: Range<usize>,
}

/// [`Store::parts`], by [`Store::get`].
pub(super) async fn by_get<S: Store + ?Sized>(store: &S, key: &str, wanted: &[ByteRange]) -> Result<Parts> {
    let object = store.head(key).await?;
    let within = |range: &ByteRange| {
        let end = range.end.min(object.bytes);
        ByteRange { start: range.start.min(end), end }
    };
    let mut order: Vec<(usize, ByteRange)> = wanted.iter().map(within).enumerate().collect();
    order.sort_by_key(|(_, range)| (range.start, range.end));
    let fetched: Vec<(Together, Bytes)> = stream::iter(together(&order))
        .map(|together| async {
            let bytes = fetch(store, key, object.bytes, together.range).await?;
            Ok::<_, Error>((together, bytes))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut parts = vec![Bytes::new(); wanted.len()];
    for (Together { range, members }, bytes) in &fetched {
        for (n, part) in &order[members.clone()] {
            let at = |offset: u64| usize::try_from(offset - range.start).unwrap_or(usize::MAX);
            parts[*n] = bytes.slice(at(part.start)..at(part.end));
        }
    }
    Ok(Parts { object, bytes: parts })
}

/// What is asked for at once. Parts that are empty are not asked for.
fn together(order: &[(usize, ByteRange)]) -> Vec<Together> {
    let mut all: Vec<Together> = Vec::new();
    for (n, (_, part)) in order.iter().enumerate().filter(|(_, (_, part))| part.start < part.end) {
        let joins = |last: &&mut Together| {
            part.start <= last.range.end.saturating_add(NEAR) && part.end - last.range.start <= LONGEST
        };
        match all.last_mut().filter(joins) {
            Some(last) => {
                last.range.end = last.range.end.max(part.end);
                last.members.end = n + 1;
            }
            None => all.push(Together { range: *part, members: n..n + 1 }),
        }
    }
    all
}

async fn fetch<S: Store + ?Sized>(store: &S, key: &str, bytes: u64, range: ByteRange) -> Result<Bytes> {
    let reading = store.get(key, Some(range)).await?;
    if reading.object.bytes != bytes {
        return Err(Error::new(Kind::TryLater, format!("{key}: it was replaced while it was read")));
    }
    let mut all = BytesMut::new();
    let mut pieces = reading.bytes;
    while let Some(piece) = pieces.try_next().await? {
        all.extend_from_slice(&piece);
    }
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    if all.len() != length {
        return Err(Error::new(Kind::TryLater, format!("{key}: {} of {length} bytes came", all.len())));
    }
    Ok(all.freeze())
}
