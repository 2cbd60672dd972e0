//! Reading what a file needs of a chunk: its header, and the head of each fragment.

use bytes::Bytes;

use super::Source;
use crate::error::{Context, Error, Kind, Result};
use crate::media::{
    BoxHeader, FragmentSamples, Init, MAX_MOOF, TrexDefaults, read_aux, read_groups, read_header,
    read_samples,
};
use crate::playlist::mp4::{FragmentMedia, Wanted};
use crate::store::{ByteRange, Store};

/// How much is read of a fragment at first, in bytes: most heads are shorter, and a disk reads no less.
const GUESS: u64 = 4_096;

/// The header of a chunk: each track by its number, with an init for each of its sample entries.
pub(super) type Header = Vec<(u32, Vec<Init>)>;

/// What was read of a chunk.
pub(super) struct ChunkMedia {
    pub(super) header: Header,
    /// One for each fragment that was asked for.
    pub(super) fragments: Vec<FragmentMedia>,
}

/// Reads header and fragments of a chunk, and takes them apart on a thread where that holds up nobody.
pub(super) async fn read_chunk(
    store: &dyn Store,
    source: &Source,
    wanted: Vec<Wanted>,
    channel: &str,
) -> Result<ChunkMedia> {
    let mut ranges = vec![ByteRange { start: 0, end: source.header_bytes }];
    ranges.extend(wanted.iter().map(|wanted| head(wanted, GUESS)));
    let mut parts = store.parts(&source.key, &ranges).await?;
    source.refuse_another(parts.object.bytes, channel)?;
    // Some heads are longer, and say how long.
    let mut longer = Vec::new();
    for (n, wanted) in wanted.iter().enumerate() {
        let needed = needed(&parts.bytes[n + 1]).with_context(|| source.place(wanted))?;
        if needed > ranges[n + 1].end - ranges[n + 1].start {
            longer.push((n + 1, head(wanted, needed)));
        }
    }
    if !longer.is_empty() {
        let again: Vec<ByteRange> = longer.iter().map(|(_, range)| *range).collect();
        let more = store.parts(&source.key, &again).await?;
        source.refuse_another(more.object.bytes, channel)?;
        for ((n, _), bytes) in longer.iter().zip(more.bytes) {
            parts.bytes[*n] = bytes;
        }
    }
    let key = source.key.clone();
    let taken = tokio::task::spawn_blocking(move || take_apart(&parts.bytes, &wanted).context(key));
    taken.await.map_err(|e| Error::new(Kind::Io, "the thread that reads fragments was lost").caused_by(e))?
}

impl Source {
    /// Refuses an object that is not the one that the ledger knows.
    pub(super) fn refuse_another(&self, bytes: u64, channel: &str) -> Result<()> {
        if bytes == self.bytes {
            return Ok(());
        }
        let error =
            Error::new(Kind::Corrupt, format!("{}: it is not as it was when it was written", self.key));
        Err(error.hint(format!("npvr verify {channel}")))
    }

    fn place(&self, wanted: &Wanted) -> String {
        format!("{}: fragment at byte {}", self.key, wanted.entry.moof_offset)
    }
}

/// The first `bytes` of a fragment, without the boxes in front of it.
fn head(wanted: &Wanted, bytes: u64) -> ByteRange {
    let start = wanted.entry.moof_offset;
    let end = wanted.entry.offset().saturating_add(wanted.entry.size);
    ByteRange { start, end: start.saturating_add(bytes).min(end.max(start)) }
}

/// How many bytes of a fragment are needed: its `moof`, and the header of its `mdat`.
fn needed(head: &[u8]) -> Result<u64> {
    let moof = BoxHeader::parse(head)?;
    if moof.kind.0 != *b"moof" || moof.size > MAX_MOOF as u64 {
        let what = format!("a box {} of {} bytes where a moof should be", moof.kind, moof.size);
        return Err(Error::new(Kind::Corrupt, what));
    }
    Ok(moof.size + BoxHeader::MAX_LEN as u64)
}

fn take_apart(parts: &[Bytes], wanted: &[Wanted]) -> Result<ChunkMedia> {
    let Some((header, heads)) = parts.split_first() else { return Err(Error::new(Kind::Io, "nothing read")) };
    let header = read_header(header)?;
    let read = |(wanted, head): (&Wanted, &Bytes)| {
        read_fragment(&header, head, wanted.entry.moof_offset, wanted.file_track_id)
    };
    let fragments = wanted.iter().zip(heads).map(read).collect::<Result<_>>()?;
    Ok(ChunkMedia { header, fragments })
}

/// Takes the head of a fragment apart, of one track of a chunk with that header: a `moof`, and at least the header of the `mdat`.
///
/// # Errors
/// As [`read_samples`].
pub fn read_fragment(
    header: &[(u32, Vec<Init>)],
    head: &[u8],
    moof_offset: u64,
    file_track_id: u32,
) -> Result<FragmentMedia> {
    let inits = |id: u32| header.iter().find(|(known, _)| *known == id).map(|(_, inits)| inits);
    let defaults = |id: u32| -> Option<TrexDefaults> { Some(inits(id)?.first()?.defaults()) };
    let samples: FragmentSamples = read_samples(defaults, head, moof_offset, file_track_id)?;
    let is_encrypted = inits(file_track_id).is_some_and(|i| i.iter().any(Init::is_encrypted));
    let aux = if is_encrypted { read_aux(head, file_track_id)? } else { None };
    Ok(FragmentMedia { samples, aux, groups: read_groups(head, file_track_id)? })
}
