//! A clip as a file: what is to be read of the chunks, what is made of it, and where everything is in the end.

use std::collections::BTreeMap;

use super::place::{Place, places, timescale};
use super::strip::{Strip, Times};
use crate::clip::{Clip, Reel};
use crate::error::{Context, Error, Kind, Result};
use crate::grid::Cell;
use crate::media::{
    Aux, Column, FragmentSamples, Group, HeadPart, IndexEntry, Init, Movie, MovieTrack, Sample, TableSample,
    movie_head,
};
use crate::time::Timescale;
use crate::track::Medium;

/// A part of the file's body: bytes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The chunk, by its place in [`Film::cells`].
    pub cell: u32,
    /// Where it begins in the chunk, and where in the body of the file, in bytes.
    pub start: u64,
    /// Likewise.
    pub at: u64,
    /// How long it is, in bytes.
    pub bytes: u64,
}

/// What is to be read of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The chunk.
    pub cell: Cell,
    /// By their places in it.
    pub fragments: Vec<Wanted>,
    /// Which run of the clip it is for.
    run: usize,
}

/// A fragment that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is.
    pub entry: IndexEntry,
    /// The number of its track in the chunk.
    pub file_track_id: u32,
    /// Which of the tracks of the file.
    track: usize,
}

/// What was read of a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FragmentMedia {
    /// Its samples.
    pub samples: FragmentSamples,
    /// What it takes to decrypt them, if they are encrypted.
    pub aux: Option<Aux>,
    /// The groups that they belong to.
    pub groups: Vec<Group>,
}

/// A clip as a file.
#[derive(Debug)]
pub struct Film {
    movie: Timescale,
    places: Vec<Place>,
    strips: Vec<Strip>,
    media: Vec<Option<Medium>>,
    cells: Vec<Cell>,
    pieces: Vec<Piece>,
    media_bytes: u64,
}

impl Film {
    /// The file of a clip, with these tracks of its reel, by id, in this order; and what is to be read for it, in order.
    /// `keeps_gaps`: what is missing takes as long as it took, and is not skipped.
    pub fn new(clip: &Clip, reel: &Reel, ids: &[u32], keeps_gaps: bool) -> (Film, Vec<Job>) {
        let scale_of = |id: &u32| reel.runs.iter().find_map(|run| Some(run.track(*id)?.timescale));
        let scales: Vec<Timescale> = ids.iter().map(|id| scale_of(id).unwrap_or(Timescale::ONE)).collect();
        let movie = timescale(scales.iter().copied());
        let lead = ids.iter().find_map(scale_of).unwrap_or(Timescale::ONE);
        let film = Film {
            movie,
            places: places(clip, reel, movie, lead, keeps_gaps),
            strips: scales.into_iter().map(|scale| Strip::new(scale, movie)).collect(),
            media: vec![None; ids.len()],
            cells: Vec::new(),
            pieces: Vec::new(),
            media_bytes: 0,
        };
        (film, jobs(reel, ids))
    }

    /// Takes over what was read for a job; the jobs come in order, and `read` has one for each fragment. `header` is that of
    /// the chunk, as [`crate::media::read_header`] reads it.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where header and fragments contradict each other; [`Kind::Unsupported`] for what one file cannot hold.
    pub fn take(&mut self, job: &Job, header: &[(u32, Vec<Init>)], read: &[FragmentMedia]) -> Result<()> {
        if self.cells.last() != Some(&job.cell) {
            self.cells.push(job.cell);
        }
        for (wanted, media) in job.fragments.iter().zip(read) {
            let inits = header.iter().find(|(id, _)| *id == wanted.file_track_id).map(|(_, inits)| inits);
            let entry = usize::try_from(media.samples.sample_description_index).unwrap_or(0);
            let init = inits.and_then(|inits| inits.get(entry.checked_sub(1)?)).ok_or_else(|| {
                let id = wanted.file_track_id;
                Error::new(Kind::Corrupt, format!("its header has no sample entry {entry} of track {id}"))
            });
            init.and_then(|init| self.take_fragment(job.run, wanted, init, media))
                .with_context(|| format!("chunk {}: track {}", job.cell, wanted.file_track_id))?;
        }
        Ok(())
    }

    fn take_fragment(
        &mut self,
        run: usize,
        wanted: &Wanted,
        init: &Init,
        media: &FragmentMedia,
    ) -> Result<()> {
        let strip = &mut self.strips[wanted.track];
        let Some(place) = self.places.get(run) else { return Ok(()) };
        self.media[wanted.track] = init.medium();
        let sample_entry = strip.entry(init)?;
        let edit = init.edit_media_time_ticks();
        let decoded = i64::try_from(wanted.entry.decode_time).unwrap_or(i64::MAX).saturating_sub(edit);
        let (_, out) = place.points(strip.timescale);
        let (samples, times) = before(out, decoded, &media.samples.samples);
        if samples.is_empty() {
            return Ok(());
        }
        strip.go_on(run, place, times);
        strip.table.push_aux(media.aux.as_ref(), samples.len());
        strip.table.push_groups(&media.groups, samples.len());
        let cell = u32::try_from(self.cells.len() - 1).unwrap_or(u32::MAX);
        let mut ends = None;
        for sample in samples {
            if ends != Some(sample.offset) {
                strip.table.open_chunk(self.media_bytes, sample_entry);
                self.pieces.push(Piece { cell, start: sample.offset, at: self.media_bytes, bytes: 0 });
            }
            if let Some(piece) = self.pieces.last_mut() {
                piece.bytes += u64::from(sample.size);
            }
            self.media_bytes += u64::from(sample.size);
            ends = Some(sample.offset + u64::from(sample.size));
            strip.table.push(&table_sample(sample)?)?;
        }
        Ok(())
    }

    /// Hands out what the tables have grown by: which track, which column, and the bytes behind those before.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn drain(&mut self, mut to: impl FnMut(usize, Column, &[u8]) -> Result<()>) -> Result<()> {
        let mut strips = self.strips.iter_mut().enumerate();
        strips.try_for_each(|(n, strip)| strip.table.drain(|column, bytes| to(n, column, bytes)))
    }

    /// Ends the tables, when all jobs are taken. The last of them is to be drained after it.
    pub fn finish(&mut self) {
        self.strips.iter_mut().for_each(Strip::finish);
    }

    /// The head of the file, with a note in it that players pass over. Tracks of its columns are those of [`Film::drain`].
    ///
    /// # Errors
    /// [`Kind::NotFound`] if nothing is presented; those of [`movie_head`].
    pub fn head(&self, note: &str) -> Result<Vec<HeadPart>> {
        let is_shown = |strip: &Strip| strip.edits.iter().any(|edit| edit.media_ticks.is_some());
        let shown: Vec<usize> = (0..self.strips.len()).filter(|n| is_shown(&self.strips[*n])).collect();
        if shown.is_empty() {
            return Err(Error::new(Kind::NotFound, "none of its tracks has media there"));
        }
        let track = |n: &usize| {
            let (strip, medium) = (&self.strips[*n], self.media[*n]);
            let alike = |other: &&usize| self.media[**other] == medium;
            MovieTrack {
                inits: &strip.inits,
                table: &strip.table,
                edits: &strip.edits,
                enabled: shown.iter().find(alike) == Some(n),
                alternate_group: medium.map_or(0, |medium| medium as u16 + 1),
            }
        };
        let tracks: Vec<MovieTrack<'_>> = shown.iter().map(track).collect();
        let movie = Movie { timescale: self.movie, tracks: &tracks, note, media_bytes: self.media_bytes };
        let mut parts = movie_head(&movie)?;
        for part in &mut parts {
            if let HeadPart::Column { track, .. } = part {
                *track = shown[*track];
            }
        }
        Ok(parts)
    }

    /// The chunks that its pieces are from.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The body of the file, in order.
    pub fn into_pieces(self) -> Vec<Piece> {
        self.pieces
    }

    /// How long its body is, in bytes.
    pub fn media_bytes(&self) -> u64 {
        self.media_bytes
    }

    /// How long what is presented is, in nanoseconds.
    pub fn presented_ns(&self) -> i64 {
        let longest = self.strips.iter().map(Strip::presented).max().unwrap_or(0);
        self.movie.ns(i64::try_from(longest).unwrap_or(i64::MAX))
    }
}

/// What is to be read, chunk by chunk, in the order in which it is played.
fn jobs(reel: &Reel, ids: &[u32]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (run, of_run) in reel.runs.iter().enumerate() {
        let mut cells: BTreeMap<Cell, Vec<Wanted>> = BTreeMap::new();
        for (track, id) in ids.iter().enumerate() {
            for (span, entry) in of_run.track(*id).into_iter().flat_map(|track| track.fragments()) {
                let wanted = Wanted { entry: *entry, file_track_id: span.file_track_id, track };
                cells.entry(span.cell).or_default().push(wanted);
            }
        }
        for (cell, mut fragments) in cells {
            fragments.sort_by_key(|wanted| (wanted.entry.moof_offset, wanted.track));
            jobs.push(Job { cell, fragments, run });
        }
    }
    jobs
}

/// The samples up to the last that is presented before `out`, and the times of these.
fn before(out: i64, decoded: i64, samples: &[Sample]) -> (&[Sample], Times) {
    let mut times = Times { decoded, decoded_until: decoded, starts: i64::MAX, ends: i64::MIN };
    let (mut count, mut at) = (0, decoded);
    for (n, sample) in samples.iter().enumerate() {
        let lasts = i64::from(sample.duration_ticks);
        let presented = at.saturating_add(sample.composition_ticks);
        at = at.saturating_add(lasts);
        if presented < out {
            count = n + 1;
            times.decoded_until = at;
        }
    }
    let mut at = decoded;
    for sample in &samples[..count] {
        let presented = at.saturating_add(sample.composition_ticks);
        let lasts = i64::from(sample.duration_ticks);
        times.starts = times.starts.min(presented);
        times.ends = times.ends.max(presented.saturating_add(lasts));
        at = at.saturating_add(lasts);
    }
    (&samples[..count], times)
}

pub(super) fn table_sample(sample: &Sample) -> Result<TableSample> {
    let composition_ticks = i32::try_from(sample.composition_ticks)
        .map_err(|_| Error::new(Kind::Unsupported, "a sample is presented too long after it is decoded"))?;
    Ok(TableSample {
        size: sample.size,
        duration_ticks: sample.duration_ticks,
        composition_ticks,
        sync: sample.is_sync(),
    })
}
