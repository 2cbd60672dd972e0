//! Splitting a segment into its fragments.
//!
//! A segment may hold one fragment or many, and other boxes beside them. What describes the file that a segment was part of
//! (`styp`, `sidx`, `ssix`, `mfra`, a second `ftyp` or `moov`) is dropped: its offsets and sizes would lie once the fragments
//! are moved. `free` and `skip` say nothing. All else (`emsg`, `prft`, boxes unknown to us) belongs to the fragment that
//! follows, and stays in front of it; behind the last fragment it belongs to none, and is dropped.

use super::boxes::{BoxIter, Boxed, refuse_other_formats, wide};
use super::init::Init;
use super::moof::{Moof, MoofInfo, tfhd_flag};
use crate::error::{Context, Error, Kind, Result};
use crate::time::Timescale;

/// One `moof` and its `mdat`, inside the bytes of a segment.
#[derive(Debug, Clone)]
pub struct Fragment<'a> {
    /// The boxes in front of it that belong to it, whole.
    pub prefix: Vec<&'a [u8]>,
    /// The `moof` box, whole.
    pub moof: &'a [u8],
    /// The `mdat` box, whole: goes into the chunk as it is, right behind what [`Fragment::write_moof`] appends.
    pub mdat: &'a [u8],
    /// What the `moof` says.
    pub info: MoofInfo,
    pub(super) parts: Moof<'a>,
    pub(super) timescale: Timescale,
    pub(super) data: Data,
}

/// Where the samples of a fragment are.
#[derive(Debug, Clone)]
pub(super) struct Data {
    /// What offsets count from (§8.8.7), in bytes from the start of the segment.
    pub(super) base: u64,
    /// Where the `mdat` box begins, counted in the same way.
    pub(super) mdat: u64,
    /// Where the samples of each run begin, in bytes from the start of the `mdat` box.
    pub(super) runs: Vec<u64>,
}

/// Splits a segment into fragments, of which there is at least one.
///
/// # Errors
/// [`Kind::Invalid`] for what is no fragmented MP4, is cut short, or points outside its `mdat`; [`Kind::Unsupported`] for
/// several tracks in one segment, and for MPEG-TS. The error says at which byte.
pub fn fragments<'a>(init: &Init, segment: &'a [u8]) -> Result<Vec<Fragment<'a>>> {
    refuse_other_formats(segment)?;
    let mut found: Vec<Fragment<'a>> = Vec::new();
    let mut prefix = Vec::new();
    let mut waiting: Option<Boxed<'a>> = None;
    for next in BoxIter::new(segment) {
        let next = next?;
        match &next.kind.0 {
            b"ftyp" | b"moov" | b"styp" | b"sidx" | b"ssix" | b"mfra" | b"free" | b"skip" => {}
            b"moof" => {
                if let Some(moof) = waiting.replace(next) {
                    return Err(moof.error("has no mdat"));
                }
            }
            b"mdat" => {
                let moof = waiting.take().ok_or_else(|| next.error("has no moof in front of it"))?;
                let fragment = join(init, std::mem::take(&mut prefix), moof, next)
                    .with_context(|| format!("fragment at byte {}", moof.offset))?;
                if found.last().is_some_and(|f| f.info.track_id != fragment.info.track_id) {
                    let what = format!("at byte {}: a second track in one segment (muxed)", moof.offset);
                    return Err(
                        Error::new(Kind::Unsupported, what).hint("use a source that keeps its tracks apart")
                    );
                }
                found.push(fragment);
            }
            _ => prefix.push(next.bytes),
        }
    }
    if let Some(moof) = waiting {
        return Err(moof.error("has no mdat: the segment is cut short"));
    }
    if found.is_empty() {
        return Err(Error::new(Kind::Invalid, "there is no fragment in it: not one moof box"));
    }
    Ok(found)
}

fn join<'a>(init: &Init, prefix: Vec<&'a [u8]>, moof: Boxed<'a>, mdat: Boxed<'a>) -> Result<Fragment<'a>> {
    // A segment has one track, and some packagers number it otherwise than their init segment does.
    let parts = Moof::parse(moof, |_| Some(init.defaults()))?;
    let end = wide(mdat.offset).saturating_add(wide(mdat.bytes.len()));
    let place = MdatPlace { start: wide(mdat.offset), body: wide(mdat.body_offset()), end };
    let data = locate(&parts, wide(moof.offset), place, None)?;
    Ok(Fragment {
        prefix,
        moof: moof.bytes,
        mdat: mdat.bytes,
        info: parts.info,
        parts,
        timescale: init.timescale(),
        data,
    })
}

/// Where an `mdat` box and its body begin, and where it ends, counted as the place of its `moof` is.
#[derive(Debug, Clone, Copy)]
pub(super) struct MdatPlace {
    pub(super) start: u64,
    pub(super) body: u64,
    pub(super) end: u64,
}

/// Finds what the runs' offsets count from, and checks that all samples lie inside the `mdat`. `before` is where the samples
/// of the `traf` before end, if there is one.
pub(super) fn locate(moof: &Moof<'_>, moof_at: u64, mdat: MdatPlace, before: Option<u64>) -> Result<Data> {
    let MdatPlace { start, body, end } = mdat;
    // An absolute base counts from the start of a file. If the segment was cut from a larger one, that is not the start of
    // what we have; but writers of absolute bases set them to the place of the moof.
    let absolute = moof.tfhd.base_data_offset;
    // Without any offset, Smooth writers mean the start of the media.
    let unsaid = moof.runs.first().is_some_and(|r| r.data_offset.is_none()).then_some(body);
    let before = before.filter(|_| moof.tfhd.flags & tfhd_flag::DEFAULT_BASE_IS_MOOF == 0);
    let bases = [absolute, before, Some(moof_at), unsaid];
    let fitting = bases.into_iter().flatten().find_map(|base| {
        let runs = run_starts(moof, base, body, end)?;
        Some(Data { base, mdat: start, runs: runs.into_iter().map(|at| at - start).collect() })
    });
    fitting.ok_or_else(|| moof.whole.error("has samples that do not lie in its mdat"))
}

/// Where each run begins, counted as `base`; `None` unless all lie in `body..end`.
fn run_starts(moof: &Moof<'_>, base: u64, body: u64, end: u64) -> Option<Vec<u64>> {
    let mut next = base;
    let mut starts = Vec::with_capacity(moof.runs.len());
    for run in &moof.runs {
        let at = match run.data_offset {
            Some(offset) => base.checked_add_signed(i64::from(offset))?,
            None => next,
        };
        next = at.checked_add(run.bytes)?;
        if run.bytes == 0 {
            starts.push(body);
        } else if body <= at && next <= end {
            starts.push(at);
        } else {
            return None;
        }
    }
    Some(starts)
}
