//! The start of a chunk file, `ftyp` and `moov`: written from init segments, and read back.
//!
//! Raw `trak` boxes are copied. What changes is the track's number (`tkhd`, `tref`, `trex`), its list of sample entries where
//! the encoder was restarted with other parameters, and durations in the movie's timescale, of which a file has only one.

use super::boxes::{BoxIter, Boxed, put_at, put_box, put_version_flags};
use super::init::{Init, Moov};
use super::{MAX_HEADER, MAX_TRACKS};
use crate::error::{Context, Error, Kind, Result};
use crate::time::Timescale;

/// How deep the boxes that are rewritten lie in a `trak`: `trak/mdia/minf/stbl/stsd`.
const MAX_DEPTH: usize = 5;

/// A track of a chunk: its number there, and its init segments in the order of use.
///
/// There is more than one where the encoder was restarted with other parameters; they share one timescale. The `trak` is that
/// of the first; each sample entry of the others that is not there yet is added to its `stsd`.
#[derive(Debug, Clone, Copy)]
pub struct HeaderTrack<'a> {
    /// Its number in the chunk, not 0.
    pub id: u32,
    /// At least one.
    pub inits: &'a [Init],
}

impl<'a> HeaderTrack<'a> {
    /// The distinct sample entries of all inits, in order.
    pub(super) fn entries(&self) -> Vec<&'a [u8]> {
        let mut distinct: Vec<&[u8]> = Vec::new();
        for entry in self.inits.iter().flat_map(|i| &i.entries) {
            if !distinct.contains(&entry.as_slice()) {
                distinct.push(entry);
            }
        }
        distinct
    }

    /// Which sample entry of the header stands for sample entry `own` of `init`, both from 1. `None` if there is none:
    /// then `init` is of another shape than this track's inits, and has to be added to them.
    pub fn sample_description_index(&self, init: &Init, own: u32) -> Option<u32> {
        let own = usize::try_from(own).ok()?.checked_sub(1)?;
        let wanted = init.entries.get(own)?;
        let at = self.entries().iter().position(|e| e == wanted)?;
        u32::try_from(at + 1).ok()
    }
}

/// Writes `ftyp` and `moov` for a chunk, or for an init segment of some of its tracks.
///
/// # Errors
/// [`Kind::Invalid`] without tracks or inits, or where two tracks have one number; [`Kind::Unsupported`] where the inits of a
/// track have several timescales, and for more than [`MAX_TRACKS`].
pub fn header(tracks: &[HeaderTrack<'_>]) -> Result<Vec<u8>> {
    let first = check(tracks)?;
    let movie = first.movie_timescale;
    let mut out = Vec::new();
    put_box(&mut out, b"ftyp", |out| {
        // iso6: 64-bit times, default-base-is-moof and sample groups in fragments, all of which a chunk may have.
        out.extend(b"iso6\0\0\0\0iso6iso5mp41");
        Ok(())
    })?;
    put_box(&mut out, b"moov", |out| {
        put_mvhd(out, movie, tracks)?;
        for track in tracks {
            put_trak(out, *track, tracks, movie).with_context(|| format!("track {}", track.id))?;
        }
        put_box(out, b"mvex", |out| tracks.iter().try_for_each(|t| put_trex(out, *t)))?;
        let mut seen: Vec<&[u8]> = Vec::new();
        for pssh in tracks.iter().flat_map(|t| t.inits).flat_map(|i| i.pssh.iter()) {
            if !seen.contains(&pssh.as_slice()) {
                seen.push(pssh);
                out.extend(pssh);
            }
        }
        Ok(())
    })?;
    Ok(out)
}

/// The init segment of one track: `ftyp` and `moov` with that track alone, made of a chunk's header. The same header gives the
/// same bytes. An encrypted track keeps all `pssh` boxes, since the header does not say whose they are; another has none.
///
/// # Errors
/// As [`read_header`]; [`Kind::NotFound`] if the header has no track of that number.
pub fn init_segment(ftyp_moov: &[u8], file_track_id: u32) -> Result<Vec<u8>> {
    let tracks = read_header(ftyp_moov)?;
    let found = tracks.into_iter().find(|(id, _)| *id == file_track_id);
    let Some((id, mut inits)) = found else {
        return Err(Error::new(Kind::NotFound, format!("the header has no track {file_track_id}")));
    };
    if inits.iter().all(|init| init.sample_entry().protection.is_none()) {
        inits.iter_mut().for_each(|init| init.pssh = [].into());
    }
    header(&[HeaderTrack { id, inits: &inits }])
}

/// Reads a header back: for each track its number, and an [`Init`] for each of its sample entries.
///
/// Works for what [`header()`] wrote and for what Unified Capture writes. Every init has all `pssh` boxes, as a file does not
/// say whose they are. Writing what was read gives the same header.
///
/// # Errors
/// As [`Init::parse`], but several tracks are welcome.
pub fn read_header(ftyp_moov: &[u8]) -> Result<Vec<(u32, Vec<Init>)>> {
    let moov = Moov::parse(ftyp_moov, MAX_HEADER)?;
    let mut tracks = Vec::new();
    for trak in &moov.traks {
        let mut track = moov.init(*trak)?;
        let entries = std::mem::take(&mut track.entries);
        let one_each = entries.into_iter().map(|entry| Init { entries: vec![entry], ..track.clone() });
        tracks.push((track.track_id, one_each.collect()));
    }
    if tracks.is_empty() {
        return Err(Error::new(Kind::Invalid, "the header has no track"));
    }
    Ok(tracks)
}

/// The first init of the first track, once all tracks can be written.
fn check<'a>(tracks: &[HeaderTrack<'a>]) -> Result<&'a Init> {
    if tracks.len() > MAX_TRACKS {
        return Err(Error::new(Kind::Unsupported, format!("a chunk of {} tracks", tracks.len())));
    }
    for (n, track) in tracks.iter().enumerate() {
        let scale = track.inits.first().map(Init::timescale);
        if track.id == 0 || tracks[..n].iter().any(|t| t.id == track.id) || scale.is_none() {
            let what = format!("track {}: a track has a number of its own, and an init segment", track.id);
            return Err(Error::new(Kind::Invalid, what));
        }
        if track.inits.iter().any(|i| Some(i.timescale()) != scale) {
            let what = format!("track {}: its timescale changed", track.id);
            return Err(Error::new(Kind::Unsupported, what));
        }
    }
    let first = tracks.first().and_then(|t| t.inits.first());
    first.ok_or_else(|| Error::new(Kind::Invalid, "a chunk has at least one track"))
}

/// `mvhd` (14496-12 §8.2.2): no dates, and no duration, as fragments have it.
fn put_mvhd(out: &mut Vec<u8>, movie: Timescale, tracks: &[HeaderTrack<'_>]) -> Result<()> {
    let next_id = tracks.iter().map(|t| t.id).max().unwrap_or(0).saturating_add(1);
    put_box(out, b"mvhd", |out| {
        put_version_flags(out, 0, 0);
        out.extend([0; 8]);
        out.extend(movie.get().to_be_bytes());
        out.extend([0; 4]);
        // Rate 1, volume 1, reserved; then the unity matrix and six fields that are 0.
        out.extend([0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for n in [0x1_0000_u32, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
            out.extend(n.to_be_bytes());
        }
        out.extend([0; 24]);
        out.extend(next_id.to_be_bytes());
        Ok(())
    })
}

/// `trex` (§8.8.3), from the first init. Fragments carry what they need of other ones.
fn put_trex(out: &mut Vec<u8>, track: HeaderTrack<'_>) -> Result<()> {
    let defaults = track.inits.first().map(Init::defaults).unwrap_or_default();
    put_box(out, b"trex", |out| {
        put_version_flags(out, 0, 0);
        let index = defaults.sample_description_index;
        for n in [track.id, index, defaults.duration, defaults.size, defaults.flags] {
            out.extend(n.to_be_bytes());
        }
        Ok(())
    })
}

fn put_trak(
    out: &mut Vec<u8>,
    track: HeaderTrack<'_>,
    all: &[HeaderTrack<'_>],
    movie: Timescale,
) -> Result<()> {
    let Some(init) = track.inits.first() else { return Ok(()) };
    let edit = TrakEdit { track, all, from: init.movie_timescale, to: movie };
    for trak in BoxIter::new(&init.trak) {
        edit.copy(out, trak?, 0)?;
    }
    Ok(())
}

/// How a raw `trak` becomes one of the chunk's.
struct TrakEdit<'a> {
    track: HeaderTrack<'a>,
    all: &'a [HeaderTrack<'a>],
    from: Timescale,
    to: Timescale,
}

impl TrakEdit<'_> {
    fn copy(&self, out: &mut Vec<u8>, found: Boxed<'_>, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(found.error("lies too deep"));
        }
        match &found.kind.0 {
            b"trak" | b"mdia" | b"minf" | b"stbl" | b"edts" => put_box(out, &found.kind.0, |out| {
                found.children().try_for_each(|child| self.copy(out, child?, depth + 1))
            }),
            b"tkhd" => self.put_tkhd(out, found),
            b"tref" => self.put_tref(out, found),
            b"elst" => self.put_elst(out, found),
            b"stsd" => self.put_stsd(out, found),
            _ => {
                out.extend(found.bytes);
                Ok(())
            }
        }
    }

    /// `ticks` of the init's movie timescale in the chunk's. All ones mean "unknown" and stay.
    fn rescale(&self, ticks: u64, unknown: u64) -> u64 {
        if ticks == unknown || self.from == self.to {
            return ticks;
        }
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        self.from.convert(ticks, self.to).unsigned_abs().min(unknown)
    }

    /// Writes a duration of 32 or 64 bits over the one at `at`.
    fn put_duration(&self, out: &mut [u8], at: usize, version: u8, ticks: u64) {
        if version == 0 {
            let ticks = u32::try_from(self.rescale(ticks, u64::from(u32::MAX))).unwrap_or(u32::MAX);
            put_at(out, at, &ticks.to_be_bytes());
        } else {
            put_at(out, at, &self.rescale(ticks, u64::MAX).to_be_bytes());
        }
    }

    /// `tkhd` (§8.3.2): the number, and a duration in the movie's timescale.
    fn put_tkhd(&self, out: &mut Vec<u8>, tkhd: Boxed<'_>) -> Result<()> {
        let mut fields = tkhd.fields();
        let (version, _) = fields.version_flags()?;
        let dates = if version == 0 { 8 } else { 16 };
        fields.skip(dates + 8)?;
        let duration = fields.wide(version)?;
        let id_at = out.len() + tkhd.header_len + 4 + dates;
        out.extend(tkhd.bytes);
        put_at(out, id_at, &self.track.id.to_be_bytes());
        self.put_duration(out, id_at + 8, version, duration);
        Ok(())
    }

    /// `elst` (§8.6.6): the lengths of the edits are in the movie's timescale.
    fn put_elst(&self, out: &mut Vec<u8>, elst: Boxed<'_>) -> Result<()> {
        let mut fields = elst.fields();
        let (version, _) = fields.version_flags()?;
        let count = fields.u32()?;
        let mut at = out.len() + elst.header_len + 8;
        out.extend(elst.bytes);
        let (duration_len, rest_len) = if version == 0 { (4, 8) } else { (8, 12) };
        for _ in 0..count {
            // Ends with an error where the count lies.
            let duration = fields.wide(version)?;
            fields.skip(rest_len)?;
            self.put_duration(out, at, version, duration);
            at += duration_len + rest_len;
        }
        Ok(())
    }

    /// `tref` (§8.3.3): the other tracks' new numbers. A reference to a track that is not in the chunk, or that could be
    /// one of several, is left out: it would point at nothing, or at the wrong one.
    fn put_tref(&self, out: &mut Vec<u8>, tref: Boxed<'_>) -> Result<()> {
        let mut kept = Vec::new();
        for kind in tref.children() {
            let kind = kind?;
            let ids: Vec<u32> = kind
                .body()
                .as_chunks::<4>()
                .0
                .iter()
                .filter_map(|id| self.renumbered(u32::from_be_bytes(*id)))
                .collect();
            if !ids.is_empty() {
                kept.push((kind, ids));
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        put_box(out, b"tref", |out| {
            kept.iter().try_for_each(|(kind, ids)| {
                put_box(out, &kind.kind.0, |out| {
                    ids.iter().for_each(|id| out.extend(id.to_be_bytes()));
                    Ok(())
                })
            })
        })
    }

    /// The number in the chunk of the one track that had `id` at the source.
    fn renumbered(&self, id: u32) -> Option<u32> {
        let mut had = self.all.iter().filter(|t| t.inits.first().is_some_and(|i| i.track_id == id));
        had.next().filter(|_| had.next().is_none()).map(|t| t.id)
    }

    /// `stsd` (§8.5.2), with the entries of all inits.
    fn put_stsd(&self, out: &mut Vec<u8>, stsd: Boxed<'_>) -> Result<()> {
        let version_flags: [u8; 4] = stsd.fields().array()?;
        let entries = self.track.entries();
        let count = u32::try_from(entries.len()).map_err(|_| stsd.error("has too many sample entries"))?;
        put_box(out, b"stsd", |out| {
            out.extend(version_flags);
            out.extend(count.to_be_bytes());
            entries.iter().for_each(|e| out.extend(*e));
            Ok(())
        })
    }
}
