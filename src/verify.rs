//! Reading chunks back, and holding them against the ledger: the bytes, the boxes and the joints.

use std::collections::BTreeMap;

use crate::capture;
use crate::error::{Context, Error, Kind, Result};
use crate::ledger::{CellRow, Ledger, State, Stored};
use crate::media::Index;
use crate::store::Store;
use crate::time::{Range, Timescale};

/// What was read back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Chunks.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their fragments.
    pub fragments: u64,
    /// What is not as the ledger has it, or does not join: a sentence each.
    pub problems: Vec<String>,
}

/// Where a track ended in the chunk before: the end of that chunk's cell, the decode time and its timescale.
type End = (Range, u64, Timescale);

/// Reads back every chunk of a channel whose cell touches `within`: length, SHA-256, the fragment index against the file,
/// and, between neighbours that are both complete, whether decode times go on without a hole or an overlap.
///
/// # Errors
/// A ledger or a store that cannot be read. What is read and wrong is in [`Verified::problems`].
pub async fn verify(
    ledger: &dyn Ledger,
    store: &dyn Store,
    channel: &str,
    within: Range,
) -> Result<Verified> {
    let mut found = Verified::default();
    let mut ends: BTreeMap<u32, End> = BTreeMap::new();
    for row in ledger.cells(channel, within)? {
        let Some(stored) = &row.stored else { continue };
        match read_back(ledger, store, channel, &row, stored).await {
            Ok(index) => {
                found.chunks += 1;
                found.bytes += stored.bytes;
                found.fragments += index.tracks.iter().map(|t| t.fragments.len() as u64).sum::<u64>();
                match row.state {
                    State::Complete => join(&row, &index, &mut ends, &mut found.problems),
                    _ => ends.clear(),
                }
            }
            Err(e) if matches!(e.kind(), Kind::Corrupt | Kind::NotFound) => {
                found.problems.push(e.to_string())
            }
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// Reads one chunk, and gives its index, if all is as the ledger has it.
async fn read_back(
    ledger: &dyn Ledger,
    store: &dyn Store,
    channel: &str,
    row: &CellRow,
    stored: &Stored,
) -> Result<Index> {
    let of_chunk = || format!("chunk {}", stored.key);
    let found = capture::read_back(store, &stored.key).await.with_context(of_chunk)?;
    let wrong = |what: &str| Error::new(Kind::Corrupt, what).context(of_chunk());
    if (found.digest.bytes, found.digest.sha256) != (stored.bytes, stored.sha256) {
        return Err(wrong("its bytes are not those that were written"));
    }
    let contents = found.contents.filter(|c| c.whole).ok_or_else(|| wrong("it is not finished"))?;
    let kept =
        ledger.index(channel, row.cell)?.ok_or_else(|| wrong("the ledger has no fragment index of it"))?;
    let kept = Index::decode(&kept).with_context(of_chunk)?;
    // The file knows its own numbers of tracks; the ledger also their ids.
    let mut as_in_file = kept.clone();
    as_in_file.number(|file_track_id| file_track_id);
    if as_in_file != contents.index {
        return Err(wrong("its fragments are not those of the ledger's index"));
    }
    Ok(kept)
}

/// Compares the start of each track with its end in the chunk before.
fn join(row: &CellRow, index: &Index, ends: &mut BTreeMap<u32, End>, problems: &mut Vec<String>) {
    // Those with an id: the file of another program may have tracks that are none of the channel's.
    for track in index.tracks.iter().filter(|track| track.track_id != 0) {
        let (Some(first), Some(last)) = (track.fragments.first(), track.fragments.last()) else { continue };
        let longest = track.fragments.iter().map(|f| u64::from(f.duration_ticks)).max().unwrap_or(0);
        if let Some((cell, end, timescale)) = ends.get(&track.track_id)
            && cell.end == row.cell.start()
            && *timescale == track.timescale
            && first.decode_time.abs_diff(*end) > longest / 2
        {
            let by = track.timescale.ns(i64::try_from(first.decode_time.abs_diff(*end)).unwrap_or(i64::MAX));
            let what = if first.decode_time > *end { "a hole" } else { "an overlap" };
            let ms = by / 1_000_000;
            problems.push(format!("track {}: {what} of {ms} ms at {}", track.track_id, row.cell.start()));
        }
        let end = last.decode_time.saturating_add(u64::from(last.duration_ticks));
        ends.insert(track.track_id, (row.cell.range(), end, track.timescale));
    }
}
