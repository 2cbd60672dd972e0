//! The `moof` box (14496-12 §8.8.4): what it says of its samples, and where its parts are.

use super::MAX_MOOF;
use super::boxes::{BoxIter, Boxed};
use super::run::Run;
use crate::error::{Error, Kind, Result};

/// `tfxd`, the absolute time and duration of a Smooth fragment ([MS-SSTR] §2.2.4.4).
pub(super) const TFXD: [u8; 16] = *b"\x6d\x1d\x9b\x05\x42\xd5\x44\xe6\x80\xe2\x14\x1d\xaf\xf7\x57\xb2";
/// `tfrf`, the times of the Smooth fragments that follow ([MS-SSTR] §2.2.4.5).
pub(super) const TFRF: [u8; 16] = *b"\xd4\x80\x7e\xf2\xca\x39\x46\x95\x8e\x54\x26\xcb\x9e\x46\xa7\x9f";

/// Flags of `tfhd` (§8.8.7).
pub(super) mod tfhd_flag {
    pub(in super::super) const BASE_DATA_OFFSET: u32 = 0x1;
    pub(in super::super) const SAMPLE_DESCRIPTION_INDEX: u32 = 0x2;
    pub(in super::super) const DURATION: u32 = 0x8;
    pub(in super::super) const SIZE: u32 = 0x10;
    pub(in super::super) const FLAGS: u32 = 0x20;
    pub(in super::super) const DURATION_IS_EMPTY: u32 = 0x01_0000;
    pub(in super::super) const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
}

/// `sample_is_non_sync_sample` in a sample's flags (§8.8.3.1).
pub(super) const NON_SYNC: u32 = 0x01_0000;

/// What a track's `trex` says of samples whose fragment does not (§8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrexDefaults {
    /// Which sample entry, from 1.
    pub sample_description_index: u32,
    /// Ticks of the track.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
    /// As in §8.8.3.1.
    pub flags: u32,
}

impl Default for TrexDefaults {
    fn default() -> Self {
        Self { sample_description_index: 1, duration: 0, size: 0, flags: 0 }
    }
}

/// What a `moof` says of its fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoofInfo {
    /// The track, by the numbers of the file or segment that it was read from.
    pub track_id: u32,
    /// The number of the fragment, from `mfhd`.
    pub sequence: u32,
    /// The decode time of the first sample, in ticks: from `tfdt`, else from `tfxd`. `None` if it has neither.
    pub decode_time: Option<i64>,
    /// The sum of the samples' durations, in ticks.
    pub duration_ticks: i64,
    /// The earliest presentation time less the decode time, in ticks, before any edit list: the composition offset
    /// that frame reordering asks for.
    pub presentation_offset_ticks: i64,
    /// How many samples it has.
    pub samples: u32,
    /// How many bytes of its `mdat` they take.
    pub media_bytes: u64,
    /// True if its first sample is a sync sample; true also where there are no samples.
    pub starts_with_sync: bool,
    /// Which sample entry of its init segment it uses, from 1.
    pub sample_description_index: u32,
}

/// Reads a whole `moof` box, where no more than that is at hand: what it says of each of its `traf`s, in order. Ours have one;
/// other programs write one for each track. `defaults` gives the `trex` of a track.
///
/// # Errors
/// [`Kind::Invalid`] if it breaks its format, has no `traf`, or `defaults` does not know a track; [`Kind::Unsupported`] if it
/// is larger than [`MAX_MOOF`].
pub fn read_moof(defaults: impl Fn(u32) -> Option<TrexDefaults>, moof: &[u8]) -> Result<Vec<MoofInfo>> {
    let found = moof_in(moof)?;
    let mut infos = Vec::new();
    for child in found.children() {
        let child = child?;
        if child.kind.0 == *b"traf" {
            infos.push(Moof::parse_traf(found, child, &defaults)?.info);
        }
    }
    if infos.is_empty() { Err(found.error("has no traf")) } else { Ok(infos) }
}

/// The `moof` box that bytes begin with.
pub(super) fn moof_in(bytes: &[u8]) -> Result<Boxed<'_>> {
    let found = match BoxIter::new(bytes).next().transpose()? {
        Some(found) if found.kind.0 == *b"moof" => found,
        _ => return Err(Error::new(Kind::Invalid, "this is not a moof box")),
    };
    refuse_large(found)?;
    Ok(found)
}

fn refuse_large(moof: Boxed<'_>) -> Result<()> {
    if moof.bytes.len() > MAX_MOOF {
        let what = format!("moof at byte {}: {} bytes are too many", moof.offset, moof.bytes.len());
        return Err(Error::new(Kind::Unsupported, what));
    }
    Ok(())
}

/// A `tfhd` (§8.8.7); what it leaves out is `None`.
#[derive(Debug, Clone)]
pub(super) struct Tfhd {
    pub(super) flags: u32,
    pub(super) track_id: u32,
    pub(super) base_data_offset: Option<u64>,
    pub(super) sample_description_index: Option<u32>,
    pub(super) duration: Option<u32>,
    pub(super) size: Option<u32>,
    pub(super) sample_flags: Option<u32>,
}

impl Tfhd {
    fn parse(tfhd: Boxed<'_>) -> Result<Self> {
        let mut fields = tfhd.fields();
        let (_, flags) = fields.version_flags()?;
        let track_id = fields.u32()?;
        let base_data_offset =
            if flags & tfhd_flag::BASE_DATA_OFFSET != 0 { Some(fields.u64()?) } else { None };
        let mut optional = |flag| if flags & flag != 0 { fields.u32().map(Some) } else { Ok(None) };
        Ok(Self {
            flags,
            track_id,
            base_data_offset,
            sample_description_index: optional(tfhd_flag::SAMPLE_DESCRIPTION_INDEX)?,
            duration: optional(tfhd_flag::DURATION)?,
            size: optional(tfhd_flag::SIZE)?,
            sample_flags: optional(tfhd_flag::FLAGS)?,
        })
    }

    /// What holds for samples of which the runs say nothing.
    fn defaults(&self, trex: TrexDefaults) -> TrexDefaults {
        TrexDefaults {
            sample_description_index: self.sample_description_index.unwrap_or(trex.sample_description_index),
            duration: self.duration.unwrap_or(trex.duration),
            size: self.size.unwrap_or(trex.size),
            flags: self.sample_flags.unwrap_or(trex.flags),
        }
    }
}

/// A `moof` with one `traf`, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Moof<'a> {
    pub(super) whole: Boxed<'a>,
    pub(super) tfhd: Tfhd,
    /// The `trex` that it was read with.
    pub(super) trex: TrexDefaults,
    pub(super) runs: Vec<Run<'a>>,
    pub(super) info: MoofInfo,
}

impl<'a> Moof<'a> {
    /// Takes a `moof` apart.
    pub(super) fn parse(whole: Boxed<'a>, trex: impl FnOnce(u32) -> Option<TrexDefaults>) -> Result<Self> {
        refuse_large(whole)?;
        Self::parse_traf(whole, only_traf(whole)?, trex)
    }

    pub(super) fn parse_traf(
        whole: Boxed<'a>,
        traf: Boxed<'a>,
        trex: impl FnOnce(u32) -> Option<TrexDefaults>,
    ) -> Result<Self> {
        let tfhd = Tfhd::parse(traf.required(b"tfhd")?)?;
        let trex = trex(tfhd.track_id).ok_or_else(|| {
            whole.error(format_args!("is of track {}, which its header does not have", tfhd.track_id))
        })?;
        let sequence = match whole.child(b"mfhd")? {
            Some(mfhd) => {
                let mut fields = mfhd.fields();
                fields.version_flags()?;
                fields.u32()?
            }
            None => 0,
        };
        let defaults = tfhd.defaults(trex);
        let mut runs = Vec::new();
        for found in traf.children() {
            let found = found?;
            if found.kind.0 == *b"trun" {
                runs.push(Run::parse(found, defaults)?);
            }
        }
        let decode_time = decode_time(traf)?;
        let info = sum_up(&runs, &tfhd, defaults, sequence, decode_time)
            .ok_or_else(|| whole.error("has more samples than can be counted"))?;
        Ok(Self { whole, tfhd, trex, runs, info })
    }
}

/// The totals of all runs; `None` if one does not fit.
fn sum_up(
    runs: &[Run<'_>],
    tfhd: &Tfhd,
    defaults: TrexDefaults,
    sequence: u32,
    decode_time: Option<i64>,
) -> Option<MoofInfo> {
    let mut samples = 0_u32;
    let mut media_bytes = 0_u64;
    let mut duration = 0_i64;
    let mut presentation: Option<i64> = None;
    for run in runs {
        if let Some(offset) = run.presentation_offset {
            let presented = duration.checked_add(offset)?;
            presentation = Some(presentation.map_or(presented, |p| p.min(presented)));
        }
        samples = samples.checked_add(run.samples)?;
        media_bytes = media_bytes.checked_add(run.bytes)?;
        duration = duration.checked_add(i64::try_from(run.duration).ok()?)?;
    }
    if samples == 0 && tfhd.flags & tfhd_flag::DURATION_IS_EMPTY != 0 {
        duration = i64::from(defaults.duration);
    }
    let first = runs.iter().find(|r| r.samples > 0);
    Some(MoofInfo {
        track_id: tfhd.track_id,
        sequence,
        decode_time,
        duration_ticks: duration,
        presentation_offset_ticks: presentation.unwrap_or(0),
        samples,
        media_bytes,
        starts_with_sync: first.is_none_or(|r| r.first_flags & NON_SYNC == 0),
        sample_description_index: defaults.sample_description_index,
    })
}

/// The one `traf`: media of several tracks in one fragment cannot be taken apart without touching `mdat`.
pub(super) fn only_traf<'a>(moof: Boxed<'a>) -> Result<Boxed<'a>> {
    let mut found = None;
    for child in moof.children() {
        let child = child?;
        if child.kind.0 == *b"traf" && found.replace(child).is_some() {
            let what = format!("moof at byte {}: several tracks in one fragment (muxed)", moof.offset);
            return Err(Error::new(Kind::Unsupported, what).hint("use a source that keeps its tracks apart"));
        }
    }
    found.ok_or_else(|| moof.error("has no traf"))
}

/// `tfdt` (§8.8.12), else the time of `tfxd`. Both are unsigned by the letter, and written as negative numbers by encoders
/// whose first samples are their own delay.
fn decode_time(traf: Boxed<'_>) -> Result<Option<i64>> {
    let mut smooth = None;
    for child in traf.children() {
        let child = child?;
        if child.kind.0 == *b"tfdt" {
            let mut fields = child.fields();
            let (version, _) = fields.version_flags()?;
            return Ok(Some(fields.wide(version)?.cast_signed()));
        }
        if child.user_type() == Some(&TFXD) {
            smooth = Some(Tfxd::parse(child)?.time);
        }
    }
    Ok(smooth)
}

/// The times of a `tfxd` box, in ticks of the track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tfxd {
    pub(super) time: i64,
    pub(super) duration: u64,
}

impl Tfxd {
    pub(super) fn parse(tfxd: Boxed<'_>) -> Result<Self> {
        let mut fields = tfxd.fields();
        fields.skip(TFXD.len())?;
        let (version, _) = fields.version_flags()?;
        Ok(Self { time: fields.wide(version)?.cast_signed(), duration: fields.wide(version)? })
    }
}
