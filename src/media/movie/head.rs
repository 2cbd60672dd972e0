//! The head as a list of parts: what is written at once, and where columns go.

use super::table::{Column, Table};
use super::trak::put_trak;
use crate::error::{Error, Kind, Result};
use crate::media::{Init, MAX_TRACKS};
use crate::time::Timescale;

/// A progressive file.
#[derive(Debug, Clone, Copy)]
pub struct Movie<'a> {
    /// What the lengths of edits count in.
    pub timescale: Timescale,
    /// At least one.
    pub tracks: &'a [MovieTrack<'a>],
    /// What is written into it beside, where no player looks: of two files that differ, two notes.
    pub note: &'a str,
    /// How many bytes of media it has: the body of its `mdat`.
    pub media_bytes: u64,
}

/// One track of it. Its number is its place, from 1.
#[derive(Debug, Clone, Copy)]
pub struct MovieTrack<'a> {
    /// One for each sample entry, in the order of their numbers; at least one. The first says everything else.
    pub inits: &'a [Init],
    /// Its samples, finished.
    pub table: &'a Table,
    /// What is presented of them.
    pub edits: &'a [MovieEdit],
    /// True if players play it unless they are told otherwise.
    pub enabled: bool,
    /// Tracks of one group, if that is not 0, are for one another: languages, say.
    pub alternate_group: u16,
}

/// A stretch of what is presented (14496-12 §8.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovieEdit {
    /// How long it is, in ticks of the movie.
    pub duration_ticks: u64,
    /// Which composition time of the track is presented first, in its ticks, by offsets as the table was given them; `None`:
    /// nothing is.
    pub media_ticks: Option<i64>,
}

/// A part of the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadPart {
    /// These bytes.
    Bytes(Vec<u8>),
    /// All of a column.
    Column {
        /// Of which track of [`Movie::tracks`].
        track: usize,
        /// Which.
        column: Column,
        /// How many bytes it takes here.
        bytes: u64,
        /// What happens to its entries.
        change: Change,
    },
}

/// What happens to the entries of a column on their way into the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// So much is added to composition offsets.
    Compositions(u32),
    /// So much is added to offsets of chunks, which then take 64 bits, or 32.
    Offsets {
        /// Where the body of the `mdat` begins, in bytes from the start of the file.
        base: u64,
        /// True for `co64`.
        wide: bool,
    },
}

impl Change {
    /// Makes of entries, whole ones, what is written.
    pub fn of(self, entries: &[u8]) -> Vec<u8> {
        let Change::Offsets { base, wide } = self else {
            let Change::Compositions(shift) = self else { return entries.to_vec() };
            let (each, _) = entries.as_chunks::<8>();
            return each.iter().flat_map(|entry| shifted(*entry, shift)).collect();
        };
        let (each, _) = entries.as_chunks::<8>();
        let offsets = each.iter().map(|offset| u64::from_be_bytes(*offset).saturating_add(base));
        match wide {
            true => offsets.flat_map(u64::to_be_bytes).collect(),
            false => offsets.flat_map(|o| u32::try_from(o).unwrap_or(u32::MAX).to_be_bytes()).collect(),
        }
    }
}

/// An entry of `ctts` with another offset.
fn shifted(mut entry: [u8; 8], shift: u32) -> [u8; 8] {
    let [.., a, b, c, d] = entry;
    let offset = i32::from_be_bytes([a, b, c, d]).wrapping_add_unsigned(shift);
    entry[4..].copy_from_slice(&offset.to_be_bytes());
    entry
}

/// Writes the head of a file: everything up to the body of its `mdat`.
///
/// # Errors
/// [`Kind::Unsupported`] for what no box can hold; [`Kind::Invalid`] for a track without an init segment, or whose `trak` breaks
/// its format.
pub fn movie_head(movie: &Movie<'_>) -> Result<Vec<HeadPart>> {
    if movie.tracks.is_empty() || movie.tracks.len() > MAX_TRACKS {
        let what = format!("a file of {} tracks", movie.tracks.len());
        return Err(Error::new(Kind::Unsupported, what));
    }
    let columns: u64 = movie.tracks.iter().map(|track| track.table.bytes_of(Column::Offsets)).sum();
    // Nothing else in a head comes near 2 GiB.
    let wide = movie.media_bytes.saturating_add(columns) > u64::from(u32::MAX) / 2;
    let mut parts = Parts::default();
    // iso6 for sample groups; mp41 and mp42 for players that know no other name.
    parts.bytes(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso6mp41mp42");
    parts.put_box(b"free", |parts| {
        parts.bytes(movie.note.as_bytes());
        Ok(())
    })?;
    parts.put_box(b"moov", |parts| {
        put_mvhd(parts, movie)?;
        for (n, track) in movie.tracks.iter().enumerate() {
            put_trak(parts, movie, n, wide).map_err(|e| e.context(format_args!("track {}", n + 1)))?;
            debug_assert!(track.table.samples() > 0, "a track without samples is none");
        }
        put_pssh(parts, movie);
        Ok(())
    })?;
    match u32::try_from(movie.media_bytes.saturating_add(8)) {
        Ok(size) => {
            parts.bytes(&size.to_be_bytes());
            parts.bytes(b"mdat");
        }
        Err(_) => {
            parts.bytes(b"\0\0\0\x01mdat");
            parts.bytes(&movie.media_bytes.saturating_add(16).to_be_bytes());
        }
    }
    Ok(parts.resolve())
}

/// `mvhd` (§8.2.2), without dates.
fn put_mvhd(parts: &mut Parts, movie: &Movie<'_>) -> Result<()> {
    let longest = movie.tracks.iter().map(|track| presented(track.edits)).max().unwrap_or(0);
    parts.put_box(b"mvhd", |parts| {
        parts.bytes(&[1, 0, 0, 0]);
        parts.bytes(&[0; 16]);
        parts.bytes(&movie.timescale.get().to_be_bytes());
        parts.bytes(&longest.to_be_bytes());
        // Rate 1, volume 1, reserved; then the unity matrix and six fields that are 0.
        parts.bytes(&[0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for n in [0x1_0000_u32, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
            parts.bytes(&n.to_be_bytes());
        }
        parts.bytes(&[0; 24]);
        parts.bytes(&u32::try_from(movie.tracks.len() + 1).unwrap_or(u32::MAX).to_be_bytes());
        Ok(())
    })
}

/// What players need to ask for keys, if anything is encrypted; each box once.
fn put_pssh(parts: &mut Parts, movie: &Movie<'_>) {
    let inits = movie.tracks.iter().flat_map(|track| track.inits);
    let encrypted = inits.filter(|init| init.is_encrypted());
    let mut seen: Vec<&[u8]> = Vec::new();
    for pssh in encrypted.flat_map(|init| init.pssh.iter()) {
        if !seen.contains(&pssh.as_slice()) {
            seen.push(pssh);
            parts.bytes(pssh);
        }
    }
}

/// How long what is presented is, in ticks of the movie.
pub(super) fn presented(edits: &[MovieEdit]) -> u64 {
    edits.iter().map(|edit| edit.duration_ticks).fold(0, u64::saturating_add)
}

/// Parts of a head that grows.
#[derive(Default)]
pub(super) struct Parts(Vec<Part>);

enum Part {
    Known(HeadPart),
    /// Where the auxiliary data of a track is, in 64 bits.
    AuxAt(usize),
}

impl Part {
    fn bytes(&self) -> u64 {
        match self {
            Part::Known(HeadPart::Bytes(bytes)) => bytes.len() as u64,
            Part::Known(HeadPart::Column { bytes, .. }) => *bytes,
            Part::AuxAt(_) => 8,
        }
    }
}

impl Parts {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            Some(Part::Known(HeadPart::Bytes(before))) => before.extend_from_slice(bytes),
            _ => self.0.push(Part::Known(HeadPart::Bytes(bytes.to_vec()))),
        }
    }

    pub(super) fn column(&mut self, track: usize, column: Column, bytes: u64, change: Change) {
        self.0.push(Part::Known(HeadPart::Column { track, column, bytes, change }));
    }

    pub(super) fn aux_at(&mut self, track: usize) {
        self.0.push(Part::AuxAt(track));
    }

    /// Appends a box: its header, then whatever `body` appends.
    pub(super) fn put_box(
        &mut self,
        kind: &[u8; 4],
        body: impl FnOnce(&mut Parts) -> Result<()>,
    ) -> Result<()> {
        let mut inside = Parts::default();
        body(&mut inside)?;
        let size = u32::try_from(inside.len().saturating_add(8)).map_err(|_| {
            Error::new(Kind::Unsupported, format!("box {} would be over 4 GiB", kind.escape_ascii()))
        })?;
        self.bytes(&size.to_be_bytes());
        self.bytes(kind);
        for part in inside.0 {
            match part {
                Part::Known(HeadPart::Bytes(bytes)) => self.bytes(&bytes),
                other => self.0.push(other),
            }
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        self.0.iter().map(Part::bytes).sum()
    }

    /// All of them, now that it is known where everything is.
    fn resolve(self) -> Vec<HeadPart> {
        let length = self.len();
        let mut aux: Vec<(usize, u64)> = Vec::new();
        let mut at = 0;
        for part in &self.0 {
            if let Part::Known(HeadPart::Column { track, column: Column::Aux, .. }) = part {
                aux.push((*track, at));
            }
            at += part.bytes();
        }
        let mut resolved: Vec<HeadPart> = Vec::with_capacity(self.0.len());
        for part in self.0 {
            match part {
                Part::Known(HeadPart::Column { track, column, bytes, change }) => {
                    let change = match change {
                        Change::Offsets { wide, .. } => Change::Offsets { base: length, wide },
                        other => other,
                    };
                    resolved.push(HeadPart::Column { track, column, bytes, change });
                }
                Part::Known(known) => resolved.push(known),
                Part::AuxAt(of) => {
                    let at = aux.iter().find(|(track, _)| *track == of).map_or(0, |(_, at)| *at);
                    resolved.push(HeadPart::Bytes(at.to_be_bytes().to_vec()));
                }
            }
        }
        resolved
    }
}
