//! The one who writes: takes segments in order, moves their fragments onto the epoch, and appends them to the spool.
//!
//! It runs on a thread of its own, beside the fetching. What it has written is final. A fragment that the file has already
//! (the last segment before a kill is fetched again) is left out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::batch::{Wanted, bounds};
use super::contents::Contents;
use super::place::{Anchor, MediaClock, anchor};
use super::progress::Progress;
use super::proof::presented;
use super::spool::Spool;
use crate::error::{Context, Error, Kind, Result};
use crate::media::{
    Fragment, HeaderTrack, Index, IndexEntry, Init, Placement, TrackIndex, fragments, header, tail,
};
use crate::source::{InitRef, Segment};
use crate::time::{Range, Time, human_duration};

/// A segment that lasts more than so many times what the manifest says is not what the manifest means.
const OVERLONG: u32 = 4;
/// Short segments are more off than long ones, and do less harm.
const SHORTEST_OVERLONG: Duration = Duration::from_secs(4);

/// One track as the writer sees it.
#[derive(Debug, Clone)]
pub(crate) struct WriterTrack {
    /// Its name.
    pub(crate) name: String,
    /// Its id in the chunk.
    pub(crate) id: u32,
}

/// A segment that has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// What was wanted; [`Wanted::track`] is an index into the writer's tracks.
    pub(crate) wanted: Wanted,
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// What the manifest says of its init segment.
    pub(crate) init_ref: InitRef,
    /// Its init segment.
    pub(crate) init: Arc<Init>,
}

/// Writes one chunk.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) spool: Spool,
    pub(crate) progress: Progress,
    pub(crate) index: Index,
    pub(crate) notes: Vec<String>,
    tracks: Vec<WriterTrack>,
    /// Per track of the chunk file: its id and its init segments, one for each sample entry, in the order of ids.
    header: Vec<(u32, Vec<Init>)>,
    header_bytes: u64,
    /// Running over all bytes of the file; `None` where the file was there before us, or has changed its header.
    hasher: Option<Sha256>,
    sequence: u32,
    finished: bool,
}

impl Writer {
    /// Goes on with what is in the spool.
    pub(crate) fn new(spool: Spool, contents: Option<Contents>, progress: Progress) -> Writer {
        let fresh = contents.is_none();
        let (header, index, header_bytes, finished) = match contents {
            Some(c) => (c.header, c.index, c.header_bytes, c.finished),
            None => (Vec::new(), Index::default(), 0, false),
        };
        let sequence = index.tracks.iter().map(|t| t.fragments.len()).sum::<usize>();
        Writer {
            spool,
            progress,
            notes: Vec::new(),
            tracks: Vec::new(),
            header,
            header_bytes,
            hasher: fresh.then(Sha256::new),
            sequence: u32::try_from(sequence).unwrap_or(u32::MAX),
            finished,
            index,
        }
    }

    /// The presentation time up to which a track is in the file.
    pub(crate) fn written_end(&self, id: u32) -> Option<Time> {
        self.presented(id).last().map(|range| range.end)
    }

    /// What each fragment of a track presents, in file order: decode times less what the edit list takes off.
    pub(crate) fn presented(&self, id: u32) -> Vec<Range> {
        let Some(track) = self.index.tracks.iter().find(|t| t.track_id == id) else { return Vec::new() };
        presented(track, self.inits(id).first().map_or(0, Init::edit_media_time_ticks))
    }

    /// The tracks that segments will come for, each with its first init segment: one header for all of them now, instead of
    /// a new one with each.
    pub(crate) fn expect(&mut self, tracks: Vec<WriterTrack>, first: &[(u32, Arc<Init>)]) -> Result<()> {
        for track in &tracks {
            // What a killed run has written and not checkpointed is known from the file alone.
            if self.index.tracks.iter().any(|t| t.track_id == track.id) {
                self.progress.track(&track.name).id = Some(track.id);
            }
        }
        self.tracks = tracks;
        let mut header = self.header.clone();
        for (id, init) in first {
            join_track(&mut header, *id, init, 1);
        }
        self.use_header(header)
    }

    /// Appends the fragments of a segment that the file has not yet.
    pub(crate) fn take(&mut self, arrived: &Arrived) -> Result<()> {
        let Some(track) = self.tracks.get(arrived.wanted.track).cloned() else { return Ok(()) };
        let init = &arrived.init;
        let found = fragments(init, &arrived.bytes)?;
        let segment = &arrived.wanted.segment;
        refuse_overlong(segment, init, &found)?;
        let own = found.first().map_or(1, |f| f.info.sample_description_index);
        let mut header = self.header.clone();
        join_track(&mut header, track.id, init, own);
        self.use_header(header)?;
        let first = found.first().and_then(|f| f.info.decode_time);
        let clock = MediaClock {
            timescale: init.timescale(),
            edit_ticks: init.edit_media_time_ticks(),
            first_decode_time: first,
        };
        let anchored = anchor(segment, &arrived.init_ref, clock, self.progress.track(&track.name).anchor())?;
        self.note_clock(&track.name, anchored);
        if arrived.init_ref.starts_with_sync && found.first().is_some_and(|f| !f.info.starts_with_sync) {
            let at = bounds(segment).0;
            self.notes.push(format!(
                "{}: {at}: does not start with a sync sample, as the manifest promises",
                track.name
            ));
        }
        let mut next = first.unwrap_or(0);
        for fragment in &found {
            let decode = fragment.info.decode_time.unwrap_or(next);
            next = decode.saturating_add(fragment.info.duration_ticks);
            self.append(track.id, init, fragment, decode.saturating_add(anchored.shift_ticks))?;
        }
        let (_, end) = bounds(segment);
        let known = self.progress.track(&track.name);
        known.id = Some(track.id);
        known.done = Some(end);
        known.anchor = Some((anchored.shift_ticks, anchored.agrees));
        Ok(())
    }

    fn append(&mut self, id: u32, init: &Init, fragment: &Fragment<'_>, decode: i64) -> Result<()> {
        let decode_time = u64::try_from(decode)
            .map_err(|_| Error::new(Kind::Invalid, format!("a decode time before 1970: {decode} ticks")))?;
        let duration_ticks = u32::try_from(fragment.info.duration_ticks)
            .map_err(|_| Error::new(Kind::Invalid, "a fragment that is longer than its timescale can say"))?;
        let last = self.index.tracks.iter().find(|t| t.track_id == id).and_then(|t| t.fragments.last());
        if last.is_some_and(|last| decode.saturating_add(i64::from(duration_ticks) / 2) < decode_end(last)) {
            return Ok(());
        }
        self.sequence = self.sequence.saturating_add(1);
        let placement = Placement {
            track_id: id,
            sequence: self.sequence,
            decode_time,
            sample_description_index: self.sample_entry(id, init, fragment.info.sample_description_index),
        };
        let mut moof = Vec::with_capacity(fragment.moof.len() + 64);
        let prefix_size = fragment.write_moof(&placement, &mut moof)?;
        let offset = self.spool.len();
        self.write(&moof)?;
        self.write(fragment.mdat)?;
        let entry = IndexEntry {
            decode_time,
            duration_ticks,
            moof_offset: offset + u64::from(prefix_size),
            prefix_size,
            size: self.spool.len() - offset,
            sync: fragment.info.starts_with_sync,
        };
        self.index.push(id, init.timescale(), entry).count(&fragment.info);
        Ok(())
    }

    /// Which sample entry of the header stands for sample entry `own` of `init`.
    fn sample_entry(&self, id: u32, init: &Init, own: u32) -> Option<u32> {
        HeaderTrack { id, inits: self.inits(id) }.sample_description_index(init, own)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.spool.append(bytes)
    }

    /// Makes `header` the header of the file; nothing happens if it is already.
    fn use_header(&mut self, wanted: Vec<(u32, Vec<Init>)>) -> Result<()> {
        let same = wanted.len() == self.header.len()
            && wanted.iter().zip(&self.header).all(|(a, b)| a.0 == b.0 && a.1.len() == b.1.len());
        if same {
            return Ok(());
        }
        let tracks: Vec<HeaderTrack<'_>> =
            wanted.iter().map(|(id, inits)| HeaderTrack { id: *id, inits }).collect();
        let bytes = header(&tracks)?;
        if self.header_bytes == 0 {
            self.write(&bytes)?;
        } else {
            self.spool.replace_header(self.header_bytes, &bytes)?;
            self.move_index(bytes.len() as u64);
            self.hasher = None;
        }
        self.header_bytes = bytes.len() as u64;
        self.header = wanted;
        Ok(())
    }

    /// All offsets after a header of another length took the old one's place.
    fn move_index(&mut self, header_bytes: u64) {
        for fragment in self.index.tracks.iter_mut().flat_map(|t| &mut t.fragments) {
            fragment.moof_offset = fragment.moof_offset - self.header_bytes + header_bytes;
        }
    }

    /// Writes down, once per capture and track, that a manifest and its media do not agree on the time.
    fn note_clock(&mut self, name: &str, now: Anchor) {
        let before = self.progress.track(name).anchor();
        if before.is_some_and(|b| b == now) || (before.is_none() && now.agrees) {
            return;
        }
        self.notes.push(match now.agrees {
            true => format!(
                "{name}: the clock of manifest and media changed; the media goes on at the manifest's time"
            ),
            false => {
                format!("{name}: the media's decode times are not the manifest's; the manifest is the clock")
            }
        });
    }

    fn inits(&self, id: u32) -> &[Init] {
        self.header.iter().find(|(of, _)| *of == id).map_or(&[], |(_, inits)| inits)
    }

    /// Goes by what another file of the same cell holds, which takes the place of this one.
    pub(crate) fn take_over(&mut self, other: Contents) {
        self.header = other.header;
        self.index = other.index;
    }

    /// True if there is no fragment in the file.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.tracks.iter().all(|t: &TrackIndex| t.fragments.is_empty())
    }

    /// Ends the file with its `mfra` if it has none yet, and gives its SHA-256. After this it is never written to again.
    pub(crate) fn finish(&mut self) -> Result<[u8; 32]> {
        if !self.finished {
            self.index.describe(&self.header);
            let end = tail(&self.index)?;
            self.write(&end)?;
            self.finished = true;
        }
        match self.hasher.take() {
            Some(hasher) => Ok(hasher.finalize().into()),
            None => self.spool.sha256(),
        }
        .context("finish the chunk")
    }
}

/// Refuses media that lasts far longer than the manifest says: it would pass for all that it lies over. Encoders that
/// cut where they can are up to half a segment off, and rarely more.
fn refuse_overlong(segment: &Segment, init: &Init, found: &[Fragment<'_>]) -> Result<()> {
    let (start, end) = bounds(segment);
    let announced = end.since(start);
    let ticks = found.iter().fold(0_i64, |sum, f| sum.saturating_add(f.info.duration_ticks));
    let lasts = Duration::from_nanos(u64::try_from(init.timescale().ns(ticks)).unwrap_or(0));
    if lasts <= announced.saturating_mul(OVERLONG).max(SHORTEST_OVERLONG) {
        return Ok(());
    }
    let (lasts, announced) = (human_duration(lasts), human_duration(announced));
    Err(Error::new(Kind::Invalid, format!("its samples last {lasts}, and the manifest says {announced}")))
}

/// Makes sure that the header has the track, and a sample entry for sample entry `own` of `init`.
fn join_track(header: &mut Vec<(u32, Vec<Init>)>, id: u32, init: &Init, own: u32) {
    let at = header.binary_search_by_key(&id, |(id, _)| *id).unwrap_or_else(|at| {
        header.insert(at, (id, Vec::new()));
        at
    });
    let inits = &mut header[at].1;
    if (HeaderTrack { id, inits }).sample_description_index(init, own).is_none() {
        inits.push(init.clone());
    }
}

fn decode_start(entry: &IndexEntry) -> i64 {
    i64::try_from(entry.decode_time).unwrap_or(i64::MAX)
}

fn decode_end(entry: &IndexEntry) -> i64 {
    decode_start(entry).saturating_add(i64::from(entry.duration_ticks))
}
