//! Init segments: one track's description, kept raw.
//!
//! The `trak` box is kept as it came, so that a sample entry or a box that npvr does not know reaches the archive whole.
//! Only what decisions need is read out of it.

use std::sync::Arc;

use super::boxes::{BoxIter, Boxed, refuse_other_formats};
use super::moof::TrexDefaults;
use super::sample_entry::SampleEntry;
use super::{MAX_HEADER, MAX_INIT, MAX_TRACKS};
use crate::error::{Error, Kind, Result};
use crate::time::Timescale;
use crate::track::Medium;

/// The description of one track: its raw `trak`, the defaults of its `trex`, and the `pssh` boxes beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    pub(super) track_id: u32,
    /// What the durations of `tkhd` and `elst` count in.
    pub(super) movie_timescale: Timescale,
    pub(super) trak: Arc<[u8]>,
    /// The boxes in its `stsd`; at least one.
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) defaults: TrexDefaults,
    pub(super) pssh: Arc<[Vec<u8>]>,
    pub(super) timescale: Timescale,
    pub(super) medium: Option<Medium>,
    pub(super) language: Option<String>,
    pub(super) edit_media_time: i64,
    pub(super) frame_ticks: Option<i64>,
}

impl Init {
    /// Reads an init segment of one track.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what is no MP4, is cut short, or lacks a box that a track must have; [`Kind::Unsupported`] for
    /// several tracks (muxed), for samples in the init segment itself, and for more than [`MAX_INIT`] bytes.
    pub fn parse(bytes: &[u8]) -> Result<Init> {
        let moov = Moov::parse(bytes, MAX_INIT)?;
        match moov.traks.as_slice() {
            [trak] => moov.init(*trak),
            [] => Err(Error::new(Kind::Invalid, "the init segment has no track")),
            more => {
                Err(Error::new(Kind::Unsupported, format!("{} tracks in one stream (muxed)", more.len()))
                    .hint("use a source that keeps its tracks apart"))
            }
        }
    }

    /// Ticks per second of the track's media.
    pub fn timescale(&self) -> Timescale {
        self.timescale
    }

    /// What the track carries, from its handler. `None` for metadata and anything else.
    pub fn medium(&self) -> Option<Medium> {
        self.medium
    }

    /// The language that the file gives the track: a tag like `en-GB`, or three letters like `eng`. `None` if it is not
    /// determined.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// What its `trex` says of samples whose fragment does not.
    pub fn defaults(&self) -> TrexDefaults {
        self.defaults
    }

    /// The media time that is presented first, in ticks, where the track has one plain edit (`elst` with one entry at the
    /// usual rate); else 0. Presentation time is decode time plus composition offset less this.
    pub fn edit_media_time_ticks(&self) -> i64 {
        self.edit_media_time
    }

    /// How long a frame of sound is, in ticks, rounded up: AAC 1024 samples, AC-3 and E-AC-3 1536. Else `None`.
    pub fn sample_rate_frame_ticks(&self) -> Option<i64> {
        self.frame_ticks
    }

    /// What its first sample entry says.
    pub fn sample_entry(&self) -> SampleEntry {
        self.entries.first().map_or_else(SampleEntry::default, |entry| SampleEntry::read(entry))
    }

    /// True if its samples are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.sample_entry().protection.is_some()
    }

    /// True if fragments of both can stand in one track with the same sample entries: same timescale, same medium, same
    /// `stsd`. Dates, names, sizes on the screen and `trex` do not count: fragments carry their defaults with them.
    pub fn same_track_shape(&self, other: &Init) -> bool {
        (self.timescale, self.medium, &self.entries) == (other.timescale, other.medium, &other.entries)
    }
}

/// A `moov`, with its tracks still raw.
pub(super) struct Moov<'a> {
    pub(super) traks: Vec<Boxed<'a>>,
    movie_timescale: Timescale,
    trexs: Vec<(u32, TrexDefaults)>,
    pssh: Vec<Vec<u8>>,
}

impl<'a> Moov<'a> {
    /// Finds the `moov` among the boxes of an init segment or of a header.
    pub(super) fn parse(bytes: &'a [u8], limit: usize) -> Result<Self> {
        debug_assert!(limit <= MAX_HEADER);
        refuse_other_formats(bytes)?;
        if bytes.len() > limit {
            return Err(Error::new(Kind::Unsupported, format!("an init segment of {} bytes", bytes.len())));
        }
        let mut moov = None;
        for found in BoxIter::new(bytes) {
            let found = found?;
            if found.kind.0 == *b"moov" && moov.replace(found).is_some() {
                return Err(found.error("is the second of its kind"));
            }
        }
        let moov = moov.ok_or_else(|| Error::new(Kind::Invalid, "there is no moov box in it"))?;
        let mut found =
            Self { traks: Vec::new(), movie_timescale: Timescale::ONE, trexs: Vec::new(), pssh: Vec::new() };
        for child in moov.children() {
            let child = child?;
            match &child.kind.0 {
                b"mvhd" => found.movie_timescale = timescale(child)?,
                b"trak" => found.traks.push(child),
                b"mvex" => found.read_mvex(child)?,
                b"pssh" => found.pssh.push(child.bytes.to_vec()),
                // Names, tags and the like, of the source's file as a whole; and mehd, whose duration is not the chunk's.
                _ => {}
            }
        }
        if found.traks.len().max(found.pssh.len()).max(found.trexs.len()) > MAX_TRACKS {
            return Err(moov.error("has too many tracks"));
        }
        Ok(found)
    }

    fn read_mvex(&mut self, mvex: Boxed<'_>) -> Result<()> {
        for child in mvex.children() {
            let child = child?;
            if child.kind.0 == *b"trex" {
                let mut fields = child.fields();
                fields.version_flags()?;
                let id = fields.u32()?;
                let defaults = TrexDefaults {
                    sample_description_index: fields.u32()?,
                    duration: fields.u32()?,
                    size: fields.u32()?,
                    flags: fields.u32()?,
                };
                self.trexs.push((id, defaults));
            }
        }
        Ok(())
    }

    /// Reads one of its tracks.
    pub(super) fn init(&self, trak: Boxed<'_>) -> Result<Init> {
        let track_id = track_id(trak)?;
        let mdia = trak.required(b"mdia")?;
        let stbl = mdia.required(b"minf")?.required(b"stbl")?;
        refuse_samples(stbl)?;
        let stsd = stbl.required(b"stsd")?;
        let timescale = timescale(mdia.required(b"mdhd")?)?;
        let entries = sample_entries(stsd)?.collect::<Result<Vec<_>>>()?;
        let Some(first) = entries.first() else { return Err(stsd.error("has no sample entry")) };
        if entries.len() > MAX_TRACKS {
            return Err(stsd.error("has too many sample entries"));
        }
        let medium = medium(mdia)?;
        let of_track = self.trexs.iter().find(|(id, _)| *id == track_id);
        Ok(Init {
            track_id,
            movie_timescale: self.movie_timescale,
            trak: trak.bytes.into(),
            frame_ticks: if medium == Some(Medium::Audio) { frame_ticks(*first, timescale)? } else { None },
            entries: entries.iter().map(|e| e.bytes.to_vec()).collect(),
            // With one track there is no doubt whose it is, whatever its number says.
            defaults: match (of_track, self.trexs.as_slice()) {
                (Some((_, defaults)), _) => *defaults,
                (None, [(_, defaults)]) if self.traks.len() == 1 => *defaults,
                _ => TrexDefaults::default(),
            },
            pssh: self.pssh.as_slice().into(),
            timescale,
            medium,
            language: language(mdia)?,
            edit_media_time: edit_media_time(trak)?,
        })
    }
}

/// The track ID in a `trak`'s `tkhd` (14496-12 §8.3.2).
pub(super) fn track_id(trak: Boxed<'_>) -> Result<u32> {
    let mut fields = trak.required(b"tkhd")?.fields();
    let (version, _) = fields.version_flags()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    fields.u32()
}

/// The boxes of an `stsd` (§8.5.2).
pub(super) fn sample_entries<'a>(stsd: Boxed<'a>) -> Result<impl Iterator<Item = Result<Boxed<'a>>>> {
    let mut fields = stsd.fields();
    fields.skip(8)?;
    Ok(BoxIter::new(fields.rest()))
}

/// The timescale in `mvhd` (§8.2.2) or `mdhd` (§8.4.2): both begin alike.
fn timescale(header: Boxed<'_>) -> Result<Timescale> {
    let mut fields = header.fields();
    let (version, _) = fields.version_flags()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    Timescale::new(fields.u32()?).map_err(|e| e.context(format_args!("box {}", header.kind)))
}

/// Samples described by the `moov` itself lie outside any fragment, and would be lost.
fn refuse_samples(stbl: Boxed<'_>) -> Result<()> {
    let Some(stsz) = stbl.child(b"stsz")? else { return Ok(()) };
    let mut fields = stsz.fields();
    fields.skip(8)?;
    match fields.u32()? {
        0 => Ok(()),
        n => Err(Error::new(Kind::Unsupported, format!("the init segment itself holds {n} samples"))
            .hint("this is a file, not a live stream; npvr needs an empty moov")),
    }
}

/// The handler type (§8.4.3, §12).
fn medium(mdia: Boxed<'_>) -> Result<Option<Medium>> {
    let mut fields = mdia.required(b"hdlr")?.fields();
    fields.skip(8)?;
    Ok(match &fields.array()? {
        b"vide" => Some(Medium::Video),
        b"soun" => Some(Medium::Audio),
        b"text" | b"subt" | b"sbtl" | b"subp" | b"clcp" => Some(Medium::Text),
        _ => None,
    })
}

/// The language of a track: from `elng` (§8.4.6), else from `mdhd` (§8.4.2), where each letter takes five bits.
fn language(mdia: Boxed<'_>) -> Result<Option<String>> {
    if let Some(elng) = mdia.child(b"elng")? {
        let text = elng.body().get(4..).unwrap_or_default().split(|b| *b == 0).next().unwrap_or_default();
        return Ok(String::from_utf8(text.to_vec()).ok().filter(|tag| !tag.is_empty()));
    }
    let mut fields = mdia.required(b"mdhd")?.fields();
    let (version, _) = fields.version_flags()?;
    let before = if version == 0 { 16 } else { 28 };
    // A track is no worse for a box that ends too early for it.
    let Ok(packed) = fields.skip(before).and_then(|()| fields.array()).map(u16::from_be_bytes) else {
        return Ok(None);
    };
    let letter = |shift: u16| char::from(0x60 + u8::try_from(packed >> shift & 0x1F).unwrap_or(0));
    let code: String = [10, 5, 0].map(letter).iter().collect();
    let is_one = code.bytes().all(|b| b.is_ascii_lowercase()) && code != "und";
    Ok(is_one.then_some(code))
}

/// The media time of a single edit at rate 1 (§8.6.6).
fn edit_media_time(trak: Boxed<'_>) -> Result<i64> {
    let Some(elst) = trak.child(b"edts")?.map(|e| e.child(b"elst")).transpose()?.flatten() else {
        return Ok(0);
    };
    let mut fields = elst.fields();
    let (version, _) = fields.version_flags()?;
    if fields.u32()? != 1 {
        return Ok(0);
    }
    fields.wide(version)?;
    let media_time =
        if version == 0 { i64::from(fields.u32()?.cast_signed()) } else { fields.u64()?.cast_signed() };
    let rate = fields.u32()?;
    Ok(if rate == 0x1_0000 && media_time > 0 { media_time } else { 0 })
}

/// The length of a frame from an audio sample entry (§12.2.3), whose rate is 16.16 bits, and 0 above 65,535 Hz.
fn frame_ticks(entry: Boxed<'_>, timescale: Timescale) -> Result<Option<i64>> {
    let samples = match &entry.kind.0 {
        b"mp4a" | b"enca" => 1024,
        b"ac-3" | b"ec-3" => 1536,
        _ => return Ok(None),
    };
    let mut fields = entry.fields();
    fields.skip(24)?;
    let rate = match fields.u32()? >> 16 {
        0 => timescale.get(),
        rate => rate,
    };
    Ok(i64::try_from((samples * u64::from(timescale.get())).div_ceil(u64::from(rate))).ok())
}
