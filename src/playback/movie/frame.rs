//! One picture as a file, for whoever moves over a timeline: one fragment's head is read, and one sample.

use bytes::Bytes;

use super::read::read_chunk;
use super::sources;
use crate::clip::Ask;
use crate::error::{Error, Kind, Result};
use crate::grid::Grid;
use crate::ledger::{Ledger, TrackRow};
use crate::playback::{Footage, footage};
use crate::playlist::mp4::{Film, Frame};
use crate::store::{ByteRange, Store};
use crate::time::{MediaTime, Range, Time};
use crate::track::Medium;

use super::learn::learn;

/// How much of a clip a picture is.
const MOMENT_NS: i64 = 1_000_000;
/// The largest sample that is taken for a picture, in bytes.
const LARGEST: u32 = 32 << 20;

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Vec<u8>,
    /// True if its chunk will not change any more.
    pub is_settled: bool,
}

/// The picture that can be decoded by itself last before `at`, of the channel's smallest pictures, or of the smallest that are
/// `height` high or higher.
///
/// # Errors
/// [`Kind::NotFound`] where there are no pictures at that moment; otherwise as [`super::plan`] and [`super::Plan::make`].
pub async fn frame(
    ledger: &dyn Ledger,
    store: &dyn Store,
    channel: &str,
    grid: Grid,
    at: Time,
    height: Option<u32>,
) -> Result<Picture> {
    let missing = || Error::new(Kind::NotFound, format!("channel {channel}: there is no picture of {at}"));
    let moment = Ask::from(Range::new(at, at.offset_ns(MOMENT_NS)));
    let mut found = footage(ledger, channel, grid, &moment, at.offset_ns(MOMENT_NS))?;
    learn(store, channel, &mut found).await?;
    let row = smallest(&found, height).ok_or_else(missing)?;
    let (_, jobs) = Film::new(&found.clip, &found.reel(&[row.id]), &[row.id], false);
    let Some((job, wanted)) = jobs.first().and_then(|job| Some((job, *job.fragments.first()?))) else {
        return Err(missing());
    };
    let (sources, ..) = sources(ledger, channel, &found, &jobs[..1])?;
    let source = sources.get(&job.cell).ok_or_else(missing)?;
    let chunk = read_chunk(store, source, vec![wanted], channel).await?;
    let media = chunk.fragments.first().ok_or_else(missing)?;
    let inits = chunk.header.iter().find(|(id, _)| *id == wanted.file_track_id).map(|(_, inits)| inits);
    let entry = usize::try_from(media.samples.sample_description_index).unwrap_or(0);
    let init = inits.and_then(|inits| inits.get(entry.checked_sub(1)?)).ok_or_else(missing)?;
    let ticks = MediaTime::first_at_or_after(at, row.timescale).ticks;
    let frame = Frame::of(init, wanted.entry.decode_time, media, ticks)?.ok_or_else(missing)?;
    if frame.sample.size > LARGEST {
        return Err(Error::new(Kind::Unsupported, format!("a picture of {} bytes", frame.sample.size)));
    }
    let start = frame.sample.offset;
    let range = ByteRange { start, end: start + u64::from(frame.sample.size) };
    let read = store.parts(&source.key, &[range]).await?;
    source.refuse_another(read.object.bytes, channel)?;
    let sample = read.bytes.first().cloned().unwrap_or_else(Bytes::new);
    let is_settled = ledger.cell(channel, job.cell)?.is_some_and(|row| row.retry_at.is_none());
    Ok(Picture { bytes: [&frame.head[..], &sample[..]].concat(), is_settled })
}

/// The track whose pictures are wanted: the smallest that are high enough; where none is, the largest.
fn smallest(footage: &Footage, height: Option<u32>) -> Option<&TrackRow> {
    let there = footage.reel(&[]).track_ids();
    let videos =
        || footage.tracks.iter().filter(|row| row.track.medium == Medium::Video && there.contains(&row.id));
    let size = |row: &&TrackRow| (row.track.size.map_or(0, |(_, height)| height), row.track.bandwidth);
    let enough = videos().filter(|row| size(row).0 >= height.unwrap_or(0)).min_by_key(size);
    enough.or_else(|| videos().max_by_key(size))
}
