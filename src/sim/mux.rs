//! Samples out of an embedded asset, and segments made of them.
//!
//! Pure: bytes in, bytes out. It writes its own `moof` instead of moving a fragment with `media`, for two reasons: a
//! segment may start at any sample, and a rehearsal proves more when the other side does not share our code.
//! Clauses are of ISO/IEC 14496-12.

use bytes::Bytes;

use crate::error::{Error, Kind, Result};

/// `sample_flags` (§8.8.3.1) of a sample that depends on no other.
const SYNC: u32 = 0x0200_0000;
/// `sample_flags` of a sample that depends on others, and is no sync sample.
const NOT_SYNC: u32 = 0x0101_0000;
/// The bit of `sample_flags` that says "no sync sample".
const NON_SYNC_BIT: u32 = 0x0001_0000;

/// One sample of an asset.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: usize,
    size: u32,
    composition_ticks: i32,
    sync: bool,
}

/// One track that repeats for ever: an init segment, and the samples of one round.
#[derive(Debug)]
pub(super) struct Asset {
    file: &'static [u8],
    init_len: usize,
    samples: Vec<Sample>,
    has_composition: bool,
    all_sync: bool,
}

impl Asset {
    /// Reads the init segment and the sample tables of a fragmented file with one track, every sample of which lasts
    /// `frame_ticks`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where the file is not of the form that `contrib/sim-media.sh` makes.
    pub(super) fn read(file: &'static [u8], frame_ticks: u32) -> Result<Self> {
        let mut init_len = None;
        let mut samples = Vec::new();
        for b in boxes(file, 0)? {
            match &b.kind {
                b"moof" => {
                    init_len.get_or_insert(b.start);
                    read_moof(file, b, frame_ticks, &mut samples)?;
                }
                b"mdat" | b"mfra" | b"ftyp" | b"moov" => {}
                _ => return Err(bad("an unexpected box")),
            }
        }
        let init_len = init_len.ok_or_else(|| bad("no fragment"))?;
        let fits = |s: &Sample| s.at.checked_add(size(s.size)).is_some_and(|end| end <= file.len());
        if samples.is_empty() || !samples.iter().all(fits) {
            return Err(bad("samples that are not in it"));
        }
        Ok(Self {
            file,
            init_len,
            has_composition: samples.iter().any(|s| s.composition_ticks != 0),
            all_sync: samples.iter().all(|s| s.sync),
            samples,
        })
    }

    /// The init segment.
    pub(super) fn init(&self) -> Bytes {
        Bytes::from_static(&self.file[..self.init_len])
    }

    /// How many samples one round has.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// True if sample `n` of the endless track is a sync sample.
    #[cfg(test)]
    pub(super) fn is_sync(&self, n: u64) -> bool {
        self.sample(n).sync
    }

    /// A segment, `styp moof mdat`, of samples `first` up to and without `end` of the endless track.
    pub(super) fn segment(&self, place: Place, first: u64, end: u64) -> Bytes {
        let samples = || (first..end).map(|n| self.sample(n));
        let mut out = Vec::new();
        boxed(&mut out, b"styp", |out| out.extend(b"msdh\0\0\0\0msdhmsix"));
        let moof_at = out.len();
        let mut data_offset_at = 0;
        boxed(&mut out, b"moof", |out| {
            full_box(out, b"mfhd", 0, 0, |out| out.extend(place.sequence.to_be_bytes()));
            boxed(out, b"traf", |out| {
                // default-base-is-moof, default duration and default flags (§8.8.7.1).
                full_box(out, b"tfhd", 0, 0x02_0028, |out| {
                    let flags = if self.all_sync { SYNC } else { NOT_SYNC };
                    for word in [1, place.frame_ticks, flags] {
                        out.extend(word.to_be_bytes());
                    }
                });
                full_box(out, b"tfdt", 1, 0, |out| out.extend(place.decode_time.to_be_bytes()));
                // data offset, first sample's flags, sizes, and composition offsets where there are any (§8.8.8.1).
                let flags = if self.has_composition { 0x0a05 } else { 0x0205 };
                full_box(out, b"trun", 1, flags, |out| {
                    out.extend(word(samples().count()).to_be_bytes());
                    data_offset_at = out.len();
                    out.extend([0; 4]);
                    let first_is_sync = samples().next().is_some_and(|s| s.sync);
                    out.extend((if first_is_sync { SYNC } else { NOT_SYNC }).to_be_bytes());
                    for s in samples() {
                        out.extend(s.size.to_be_bytes());
                        if self.has_composition {
                            out.extend(s.composition_ticks.to_be_bytes());
                        }
                    }
                });
            });
        });
        let data_offset = word(out.len() - moof_at + 8);
        out[data_offset_at..data_offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
        out.reserve_exact(8 + samples().map(|s| size(s.size)).sum::<usize>());
        boxed(&mut out, b"mdat", |out| {
            samples().for_each(|s| out.extend_from_slice(&self.file[s.at..s.at + size(s.size)]));
        });
        out.into()
    }

    fn sample(&self, n: u64) -> Sample {
        let round = self.samples.len();
        // The remainder is less than a length in memory, so it fits.
        self.samples[usize::try_from(n % round as u64).unwrap_or(0)]
    }
}

/// Where a segment stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// `mfhd.sequence_number`.
    pub(super) sequence: u32,
    /// `tfdt.baseMediaDecodeTime`: ticks since the epoch.
    pub(super) decode_time: u64,
    /// How long each sample lasts.
    pub(super) frame_ticks: u32,
}

/// One box of a file: its type, where it starts, and its body.
struct Found<'a> {
    kind: [u8; 4],
    start: usize,
    body: &'a [u8],
}

/// The boxes side by side in `bytes`, which start at `base` in their file. Sizes are 32 bits here (§4.2).
fn boxes(bytes: &[u8], base: usize) -> Result<Vec<Found<'_>>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let mut head = Words(&bytes[at..]);
        let len = size(head.u32()?);
        let kind = head.u32()?.to_be_bytes();
        let body = bytes.get(at + 8..at.saturating_add(len)).ok_or_else(|| bad("a box that does not fit"))?;
        found.push(Found { kind, start: base + at, body });
        at += len;
    }
    Ok(found)
}

/// Adds the samples of one fragment with one `traf`.
fn read_moof(file: &[u8], moof: Found<'_>, frame_ticks: u32, samples: &mut Vec<Sample>) -> Result<()> {
    let traf = boxes(moof.body, 0)?.into_iter().find(|b| &b.kind == b"traf");
    let mut default_flags = 0;
    for b in boxes(traf.ok_or_else(|| bad("a fragment without a track"))?.body, 0)? {
        let mut words = Words(b.body);
        match &b.kind {
            b"tfhd" => {
                let flags = words.u32()? & 0xff_ffff;
                words.u32()?;
                if flags & 0x02_0009 != 0x02_0008 {
                    return Err(bad("a fragment whose offsets are not from its moof"));
                }
                if flags & 2 != 0 {
                    words.u32()?;
                }
                if words.u32()? != frame_ticks {
                    return Err(bad("samples of another length"));
                }
                if flags & 0x10 != 0 {
                    words.u32()?;
                }
                default_flags = words.u32()?;
            }
            b"trun" => {
                let flags = words.u32()? & 0xff_ffff;
                // A data offset and sizes, neither durations nor flags of each sample (§8.8.8.1).
                if flags & 0x0701 != 0x0201 {
                    return Err(bad("a run of samples of another form"));
                }
                let count = words.u32()?;
                let mut at = moof.start.saturating_add(size(words.u32()?));
                let mut sample_flags = if flags & 4 != 0 { words.u32()? } else { default_flags };
                for _ in 0..count {
                    let bytes = words.u32()?;
                    let composition_ticks = if flags & 0x800 != 0 { words.u32()?.cast_signed() } else { 0 };
                    let sync = sample_flags & NON_SYNC_BIT == 0;
                    samples.push(Sample { at, size: bytes, composition_ticks, sync });
                    at = at.saturating_add(size(bytes));
                    sample_flags = default_flags;
                }
                if at > file.len() {
                    return Err(bad("samples that are not in it"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Big-endian words, one after the other.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn u32(&mut self) -> Result<u32> {
        let (word, rest) = self.0.split_first_chunk().ok_or_else(|| bad("a box that ends too soon"))?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*word))
    }
}

fn bad(what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the simulation's media has {what}"))
        .hint("make it again: contrib/sim-media.sh")
}

/// Writes a box around what `body` appends.
fn boxed(out: &mut Vec<u8>, kind: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    body(out);
    let len = word(out.len() - at);
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

/// The same with a version and flags (§4.2).
fn full_box(out: &mut Vec<u8>, kind: &[u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, kind, |out| {
        out.extend((u32::from(version) << 24 | flags).to_be_bytes());
        body(out);
    });
}

/// A size that a box field has room for: segments are far below 4 GiB, because an asset is.
fn word(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
