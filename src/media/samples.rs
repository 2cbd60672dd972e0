//! The samples of a fragment, one by one: what an MP4 with a table of samples is made of, and a single picture.

use super::TrexDefaults;
use super::boxes::{BoxHeader, wide};
use super::fragment::{MdatPlace, locate};
use super::moof::{Moof, NON_SYNC, moof_in};
use super::run::RunSample;
use crate::error::{Context, Error, Kind, Result};

/// The most samples of one fragment: half a minute of the finest sound, each by itself. A `trun` of twenty bytes may claim
/// thousands of millions.
pub const MAX_SAMPLES: usize = 1 << 20;

/// One sample, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// How long it is, in bytes.
    pub size: u32,
    /// How long it lasts, in ticks.
    pub duration_ticks: u32,
    /// How much later it is presented than decoded, in ticks, before any edit list.
    pub composition_ticks: i64,
    /// As in 14496-12 §8.8.3.1.
    pub flags: u32,
}

impl Sample {
    /// True if it can be decoded without any other.
    pub fn is_sync(&self) -> bool {
        self.flags & NON_SYNC == 0
    }
}

/// What a fragment has of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FragmentSamples {
    /// The decode time of the first sample, in ticks; `None` if the fragment does not say.
    pub decode_time: Option<i64>,
    /// Which sample entry of the file's header they use, from 1.
    pub sample_description_index: u32,
    /// In the order of decoding.
    pub samples: Vec<Sample>,
}

/// Reads the samples of one track. `moof` is a whole `moof` box and at least the header of the `mdat` behind it, `moof_offset`
/// where it begins in its file; `defaults` gives the `trex` of a track.
///
/// # Errors
/// [`Kind::Invalid`] if a box breaks its format, or a sample does not lie in the `mdat`; [`Kind::NotFound`] if there is nothing
/// of the track; [`Kind::Unsupported`] for more than [`MAX_SAMPLES`], and for several sample entries in one fragment.
pub fn read_samples(
    defaults: impl Fn(u32) -> Option<TrexDefaults>,
    moof: &[u8],
    moof_offset: u64,
    file_track_id: u32,
) -> Result<FragmentSamples> {
    read(defaults, moof, moof_offset, file_track_id)
        .with_context(|| format!("fragment at byte {moof_offset}"))
}

fn read(
    defaults: impl Fn(u32) -> Option<TrexDefaults>,
    bytes: &[u8],
    moof_offset: u64,
    id: u32,
) -> Result<FragmentSamples> {
    let whole = moof_in(bytes)?;
    let mdat = mdat_behind(whole.bytes.len(), bytes, moof_offset)?;
    let mut found: Option<FragmentSamples> = None;
    let mut before = None;
    for child in whole.children() {
        let child = child?;
        if child.kind.0 != *b"traf" {
            continue;
        }
        let traf = Moof::parse_traf(whole, child, &defaults)?;
        let data = locate(&traf, moof_offset, mdat, before)?;
        let starts: Vec<u64> = data.runs.iter().map(|from_mdat| mdat.start + from_mdat).collect();
        before = starts.last().zip(traf.runs.last()).map(|(start, run)| start + run.bytes);
        if traf.tfhd.track_id == id {
            add(&mut found, &traf, &starts)?;
        }
    }
    found.ok_or_else(|| Error::new(Kind::NotFound, format!("nothing of track {id}")))
}

/// Where the `mdat` is whose header lies behind a `moof` of `moof_len` bytes.
fn mdat_behind(moof_len: usize, bytes: &[u8], moof_offset: u64) -> Result<MdatPlace> {
    let header = BoxHeader::parse(&bytes[moof_len..])?;
    if header.kind.0 != *b"mdat" {
        return Err(Error::new(Kind::Invalid, format!("{} where its mdat should be", header.kind)));
    }
    let start = moof_offset.saturating_add(wide(moof_len));
    Ok(MdatPlace {
        start,
        body: start.saturating_add(header.header_len),
        end: start.saturating_add(header.size),
    })
}

/// Adds the samples of a `traf` whose runs begin at `starts`.
fn add(found: &mut Option<FragmentSamples>, traf: &Moof<'_>, starts: &[u64]) -> Result<()> {
    let info = traf.info;
    let all = found.get_or_insert_with(|| FragmentSamples {
        decode_time: info.decode_time,
        sample_description_index: info.sample_description_index,
        samples: Vec::new(),
    });
    if all.sample_description_index != info.sample_description_index {
        return Err(Error::new(Kind::Unsupported, "several sample entries in one fragment"));
    }
    let count = usize::try_from(info.samples).unwrap_or(usize::MAX).saturating_add(all.samples.len());
    if count > MAX_SAMPLES {
        return Err(Error::new(Kind::Unsupported, format!("{count} samples in one fragment")));
    }
    for (run, start) in traf.runs.iter().zip(starts) {
        let mut offset = *start;
        for RunSample { duration, size, flags, composition_offset } in run.each_sample() {
            all.samples.push(Sample {
                offset,
                size,
                duration_ticks: duration,
                composition_ticks: composition_offset,
                flags,
            });
            // All of them lie in the mdat.
            offset += u64::from(size);
        }
    }
    Ok(())
}
