//! Where a segment's media stands on the epoch.
//!
//! A manifest and its media should agree: `tfdt` plus what the manifest adds is the announced time (23009-1, 7.2.1; an
//! edit list may lie between). Real encoders break this (their `tfdt` starts at 0 while the manifest is on the epoch),
//! and then the manifest is the clock. All of it is integer arithmetic, so the same segments give the same times.

use crate::error::{Error, Kind, Result};
use crate::source::{InitRef, Segment};
use crate::time::Timescale;

/// How one track's media time has been moved onto the epoch so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Ticks of the media's timescale that were added to the last segment's `tfdt`.
    pub(crate) shift_ticks: i64,
    /// True if manifest and media agree, so that the shift is the manifest's own.
    pub(crate) agrees: bool,
}

/// What the media itself says of a segment's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaClock {
    /// Ticks per second.
    pub(crate) timescale: Timescale,
    /// What the track's edit list takes off decode times to get to presentation times, in ticks.
    pub(crate) edit_ticks: i64,
    /// Decode time of the first fragment; `None` where the media says nothing.
    pub(crate) first_decode_time: Option<i64>,
}

/// The anchor of a segment, given that of the one before it in the same chunk.
///
/// In this order: the manifest's own shift, if it puts the media within half a segment of the announced time; the shift
/// of the segment before, if that does (so that rounding in the manifest makes no holes); else the announced time itself.
pub(crate) fn anchor(
    segment: &Segment,
    init: &InitRef,
    media: MediaClock,
    before: Option<Anchor>,
) -> Result<Anchor> {
    let to_media = |ticks| segment.start.timescale.convert(ticks, media.timescale);
    let announced = to_media(segment.start.ticks).saturating_add(media.edit_ticks);
    let half = to_media(segment.duration_ticks) / 2;
    let first = media.first_decode_time.unwrap_or(0);
    let fits = |shift: i64| {
        media.first_decode_time.is_some()
            && first.saturating_add(shift).abs_diff(announced) <= half.unsigned_abs()
    };
    let own = init.timescale.convert(init.epoch_offset_ticks, media.timescale);
    if fits(own) {
        return Ok(Anchor { shift_ticks: own, agrees: true });
    }
    if let Some(before) = before.filter(|b| fits(b.shift_ticks)) {
        return Ok(Anchor { agrees: false, ..before });
    }
    let shift = announced
        .checked_sub(first)
        .ok_or_else(|| Error::new(Kind::Invalid, "a decode time out of range"))?;
    Ok(Anchor { shift_ticks: shift, agrees: false })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;
    use crate::source::Resource;
    use crate::time::MediaTime;

    fn resource() -> Resource {
        Resource { url: Url::parse("http://127.0.0.1/a").unwrap(), bytes: None }
    }

    fn scale(n: u32) -> Timescale {
        Timescale::new(n).unwrap()
    }

    fn segment(start: i64, duration: i64, timescale: u32) -> Segment {
        let start = MediaTime::new(start, scale(timescale));
        Segment { start, duration_ticks: duration, media: resource(), init: 0 }
    }

    fn init(offset: i64, timescale: u32) -> InitRef {
        let timescale = scale(timescale);
        InitRef { media: resource(), epoch_offset_ticks: offset, timescale, starts_with_sync: true }
    }

    fn clock(timescale: u32, edit: i64, tfdt: i64) -> MediaClock {
        MediaClock { timescale: scale(timescale), edit_ticks: edit, first_decode_time: Some(tfdt) }
    }

    const EPOCH_S: i64 = 1_795_341_600;

    #[test]
    fn media_that_is_on_the_epoch_is_not_moved() {
        let t = EPOCH_S * 48_000;
        let got = anchor(&segment(t, 92_160, 48_000), &init(0, 48_000), clock(48_000, 0, t), None).unwrap();
        assert_eq!(got, Anchor { shift_ticks: 0, agrees: true });
    }

    #[test]
    fn an_edit_list_is_no_disagreement() {
        // ffmpeg: the manifest says 0, the first decode time is 0, and the edit list takes 1024 ticks off it.
        let offset = EPOCH_S * 48_000;
        let got = anchor(
            &segment(offset, 96_256, 48_000),
            &init(offset, 48_000),
            clock(48_000, 1_024, 1_024),
            None,
        );
        assert_eq!(got.unwrap(), Anchor { shift_ticks: offset, agrees: true });
    }

    #[test]
    fn where_media_starts_at_zero_the_manifest_is_the_clock_and_the_edit_list_counts() {
        let t = EPOCH_S * 12_800;
        let got =
            anchor(&segment(t, 25_600, 12_800), &init(0, 12_800), clock(12_800, 1_024, 0), None).unwrap();
        assert_eq!(got, Anchor { shift_ticks: t + 1_024, agrees: false });
    }

    #[test]
    fn rounding_in_the_manifest_makes_no_holes_within_a_chunk() {
        // A manifest in milliseconds over audio at 44.1 kHz: 2.0201 s a segment has no whole number of milliseconds.
        let (mut before, mut end) = (None, None);
        for n in 0..50_i64 {
            let tfdt = n * 89_088;
            let ms = EPOCH_S * 1_000 + tfdt * 1_000 / 44_100;
            let got =
                anchor(&segment(ms, 2_020, 1_000), &init(0, 1_000), clock(44_100, 0, tfdt), before).unwrap();
            let decode = tfdt + got.shift_ticks;
            assert!(end.is_none_or(|e| e == decode), "segment {n}");
            (before, end) = (Some(got), Some(decode + 89_088));
        }
    }

    #[test]
    fn after_a_jump_the_manifest_is_asked_again() {
        let t = |s: i64| (EPOCH_S + s) * 1_000;
        let before = anchor(&segment(t(0), 2_000, 1_000), &init(0, 1_000), clock(1_000, 0, 0), None).unwrap();
        let after =
            anchor(&segment(t(60), 2_000, 1_000), &init(0, 1_000), clock(1_000, 0, 500), Some(before))
                .unwrap();
        assert_eq!(500 + after.shift_ticks, t(60));
    }

    proptest! {
        #[test]
        fn no_numbers_make_it_panic(start: i64, d: i64, ts in 1_u32.., mts in 1_u32.., edit: i64, tfdt: i64, offset: i64) {
            let _ = anchor(&segment(start, d, ts), &init(offset, ts), clock(mts, edit, tfdt), None);
        }
    }
}
