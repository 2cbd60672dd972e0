//! Reading all chunks of a channel back, for those who want just that: the demo, and tests.

use super::chunk::examine;
use crate::capture::read_back;
use crate::error::{Kind, Result};
use crate::ledger::Ledger;
use crate::store::Store;
use crate::time::Range;

/// What was read back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadAll {
    /// Chunks.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their fragments.
    pub fragments: u64,
    /// What is not as the ledger has it, or does not join: a sentence each.
    pub problems: Vec<String>,
}

/// Reads back every chunk of a channel whose cell touches `within`: length, SHA-256, boxes, the fragment index against the file,
/// times, holes, and whether each joins the one before.
///
/// # Errors
/// A ledger or a store that cannot be read. What is read and wrong is in [`ReadAll::problems`].
pub async fn read_all(
    ledger: &dyn Ledger,
    store: &dyn Store,
    channel: &str,
    within: Range,
) -> Result<ReadAll> {
    let mut all = ReadAll::default();
    for row in ledger.cells(channel, within)? {
        let Some(stored) = &row.stored else { continue };
        let found = match read_back(store, &stored.key).await {
            Err(e) if e.kind() == Kind::NotFound => {
                all.problems.push(format!("chunk {}: it is not in the store", stored.key));
                continue;
            }
            found => found?,
        };
        all.chunks += 1;
        all.bytes += found.digest.bytes;
        let fragments = found.contents.iter().flat_map(|c| &c.index.tracks).map(|t| t.fragments.len() as u64);
        all.fragments += fragments.sum::<u64>();
        let faults = examine(ledger, channel, &row, stored, &found)?;
        all.problems.extend(faults.into_iter().map(|(_, what)| format!("chunk {}: {what}", stored.key)));
    }
    Ok(all)
}
