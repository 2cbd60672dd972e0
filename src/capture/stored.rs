//! Reading a stored chunk back from the store: its digest and what it holds.

use std::collections::HashSet;
use std::io::Write;

use futures_util::StreamExt;
use sha2::{Digest as _, Sha256};

use super::contents::{Contents, read_contents};
use crate::error::{Context, Result};
use crate::media::Index;
use crate::store::{Digest, Store};

/// A stored chunk, read back.
pub struct ReadBack {
    /// Its length and SHA-256.
    pub digest: Digest,
    /// What it holds; `None` if not even its header is whole.
    pub contents: Option<Contents>,
}

/// Reads an object, through a temporary file.
///
/// # Errors
/// Those of the store; [`crate::error::Kind::Corrupt`] for a file that is none of ours.
pub async fn read_back(store: &dyn Store, key: &str) -> Result<ReadBack> {
    let mut copy = tempfile::tempfile().context("make a temporary file")?;
    let mut hasher = Sha256::new();
    let mut reading = store.get(key, None).await?;
    while let Some(block) = reading.bytes.next().await {
        let block = block?;
        hasher.update(&block);
        copy.write_all(&block).context("write a temporary file")?;
    }
    let bytes = reading.object.bytes;
    let contents = read_contents(&mut copy, bytes)?;
    Ok(ReadBack { digest: Digest { bytes, sha256: hasher.finalize().into() }, contents })
}

/// True if `one` has every fragment that `other` has, by track and decode time.
pub(super) fn holds_all(one: &Index, other: &Index) -> bool {
    let times = |index: &Index| -> HashSet<(u32, u64)> {
        let of_track = index.tracks.iter().map(|t| t.fragments.iter().map(|f| (t.track_id, f.decode_time)));
        of_track.flatten().collect()
    };
    times(other).is_subset(&times(one))
}
