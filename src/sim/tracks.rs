//! The four tracks of every simulated channel, and where their segments begin.
//!
//! Pure. Any instant since 1970 has content: frame n of a track is frame n mod (frames in the loop), and a segment is
//! a run of frames whose number follows from its time alone. So the same URL has the same bytes for ever.

use bytes::Bytes;

use super::mux::{Asset, Place};
use crate::error::Result;
use crate::time::{MediaTime, Time, Timescale};
use crate::track::Medium;

/// How long a segment is, before audio moves its ends to frame edges: 48 frames of video, 90 of audio.
pub(super) const SEGMENT_NS: i64 = 1_920_000_000;

/// One rendition, and its media before and after a restart of the encoder.
#[derive(Debug)]
pub(super) struct SimTrack {
    pub(super) medium: Medium,
    /// `Representation@id`, in the form of Unified Origin.
    pub(super) id: &'static str,
    pub(super) language: Option<&'static str>,
    pub(super) bandwidth: u32,
    pub(super) size: Option<(u32, u32)>,
    pub(super) timescale: Timescale,
    /// RFC 6381, for each of the two encoders.
    codecs: [&'static str; 2],
    assets: [Asset; 2],
    frame_ticks: u32,
    frames_per_segment: i64,
    /// Where frame 0 begins. Audio is half a frame off, so that its segments never line up with video.
    phase_ticks: i64,
    /// By how many frames segment n begins early or late, for n mod 3.
    shift_frames: [i64; 3],
}

impl SimTrack {
    /// When segment `n` begins, in ticks since the epoch. Segments are contiguous: it ends where `n + 1` begins.
    pub(super) fn start_ticks(&self, n: i64) -> i64 {
        self.first_frame(n) * i64::from(self.frame_ticks) + self.phase_ticks
    }

    /// How long segment `n` is.
    pub(super) fn duration_ticks(&self, n: i64) -> i64 {
        self.start_ticks(n + 1) - self.start_ticks(n)
    }

    /// When segment `n` begins.
    pub(super) fn start(&self, n: i64) -> MediaTime {
        MediaTime::new(self.start_ticks(n), self.timescale)
    }

    /// The first segment that begins at or after `at`.
    pub(super) fn first_from(&self, at: Time) -> i64 {
        let mut n = (at.ns().div_euclid(SEGMENT_NS) - 1).max(0);
        while self.start(n).cmp_instant(at).is_lt() {
            n += 1;
        }
        n
    }

    /// The segment that begins at `ticks`, if one does.
    pub(super) fn segment_at(&self, ticks: i64) -> Option<i64> {
        let guess = ticks / self.nominal_ticks();
        (guess.saturating_sub(1)..=guess.saturating_add(1))
            .find(|n| (0..=MAX_SEGMENT).contains(n) && self.start_ticks(*n) == ticks)
    }

    /// The length that segments have on average.
    pub(super) fn nominal_ticks(&self) -> i64 {
        self.frames_per_segment * i64::from(self.frame_ticks)
    }

    /// The init segment after `restarts` restarts: they take turns.
    pub(super) fn init(&self, restarts: usize) -> Bytes {
        self.assets[restarts % 2].init()
    }

    /// The codecs after `restarts` restarts.
    pub(super) fn codecs(&self, restarts: usize) -> &'static str {
        self.codecs[restarts % 2]
    }

    /// The bytes of segment `n` after `restarts` restarts.
    pub(super) fn segment(&self, n: i64, restarts: usize) -> Bytes {
        let place = Place {
            // Origins number fragments as they like; it only has to move on. `n` fits for the next 260 years.
            sequence: u32::try_from(n).unwrap_or(u32::MAX),
            decode_time: self.start_ticks(n).unsigned_abs(),
            frame_ticks: self.frame_ticks,
        };
        let frame = |n| self.first_frame(n).max(0).unsigned_abs();
        self.assets[restarts % 2].segment(place, frame(n), frame(n + 1))
    }

    fn first_frame(&self, n: i64) -> i64 {
        // The remainder is 0, 1 or 2.
        n * self.frames_per_segment + self.shift_frames[usize::try_from(n.rem_euclid(3)).unwrap_or(0)]
    }
}

/// The last segment that has a number: an instant ends in the year 2262, and so do the tracks.
pub(super) const MAX_SEGMENT: i64 = i64::MAX / SEGMENT_NS - 2;

/// The tracks of every channel: video of two bit rates, audio in two languages.
///
/// # Errors
/// [`crate::error::Kind::Corrupt`] where an embedded file is not what it should be.
pub(super) fn tracks() -> Result<Vec<SimTrack>> {
    let (high, low) = (include_bytes!("media/video-high.mp4"), include_bytes!("media/video-low.mp4"));
    let (eng, nld) = (include_bytes!("media/audio-eng.mp4"), include_bytes!("media/audio-nld.mp4"));
    let high_2 = include_bytes!("media/restart-video-high.mp4");
    let low_2 = include_bytes!("media/restart-video-low.mp4");
    let eng_2 = include_bytes!("media/restart-audio-eng.mp4");
    let nld_2 = include_bytes!("media/restart-audio-nld.mp4");
    Ok(vec![
        video("video=110000", 110_000, (640, 360), ["avc1.4D401F", "avc1.64001F"], [high, high_2])?,
        video("video=45000", 45_000, (320, 180), ["avc1.42C015", "avc1.4D4015"], [low, low_2])?,
        audio("audio_eng=32000", "eng", [eng, eng_2])?,
        audio("audio_nld=32000", "nld", [nld, nld_2])?,
    ])
}

fn video(
    id: &'static str,
    bandwidth: u32,
    size: (u32, u32),
    codecs: [&'static str; 2],
    files: [&'static [u8]; 2],
) -> Result<SimTrack> {
    // 25 frames a second at 600 ticks a second, the timescale that Unified Origin has by default for video.
    let frame_ticks = 24;
    Ok(SimTrack {
        medium: Medium::Video,
        id,
        language: None,
        bandwidth,
        size: Some(size),
        timescale: Timescale::new(600)?,
        codecs,
        assets: [Asset::read(files[0], frame_ticks)?, Asset::read(files[1], frame_ticks)?],
        frame_ticks,
        frames_per_segment: 48,
        phase_ticks: 0,
        shift_frames: [0, 0, 0],
    })
}

fn audio(id: &'static str, language: &'static str, files: [&'static [u8]; 2]) -> Result<SimTrack> {
    let frame_ticks = 1024;
    Ok(SimTrack {
        medium: Medium::Audio,
        id,
        language: Some(language),
        bandwidth: 32_000,
        size: None,
        timescale: Timescale::new(48_000)?,
        codecs: ["mp4a.40.2"; 2],
        assets: [Asset::read(files[0], frame_ticks)?, Asset::read(files[1], frame_ticks)?],
        frame_ticks,
        frames_per_segment: 90,
        phase_ticks: 512,
        // 89, 91, 90 frames: as a packager cuts that closes audio at the frame edge nearest to the picture's.
        shift_frames: [0, -1, 0],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_media_is_of_the_length_that_the_loop_needs() {
        for track in tracks().unwrap() {
            let seconds_of_loop = |ticks: u64| ticks * 100 / u64::from(track.timescale.get());
            let ticks = |a: &Asset| a.len() as u64 * u64::from(track.frame_ticks);
            assert_eq!(seconds_of_loop(ticks(&track.assets[0])), 3072, "{}", track.id);
            assert_eq!(seconds_of_loop(ticks(&track.assets[1])), 192, "{}", track.id);
        }
    }

    #[test]
    fn every_segment_of_video_starts_with_a_sync_sample() {
        for track in tracks().unwrap() {
            for asset in &track.assets {
                for n in 0..16 {
                    assert!(asset.is_sync(u64::try_from(track.first_frame(n)).unwrap()), "{} {n}", track.id);
                }
            }
        }
    }

    #[test]
    fn audio_cycles_and_never_lines_up_with_video() {
        let tracks = tracks().unwrap();
        let (video, audio) = (&tracks[0], &tracks[2]);
        let frames: Vec<i64> = (0..3).map(|n| audio.duration_ticks(n) / 1024).collect();
        assert_eq!(frames, [89, 91, 90]);
        assert!((1_000..2_000).all(|n| audio.start(n) != video.start(n)));
    }

    #[test]
    fn a_restart_changes_the_init_segment_and_two_bring_it_back() {
        for track in tracks().unwrap() {
            assert_ne!(track.init(0), track.init(1), "{}", track.id);
            assert_eq!(track.init(0), track.init(2), "{}", track.id);
            assert_ne!(track.segment(900_000_000, 0), track.segment(900_000_000, 1), "{}", track.id);
        }
    }

    proptest! {
        #[test]
        fn a_segment_is_found_by_its_start_and_by_no_other_tick(n in 0..=MAX_SEGMENT, off in -3_000_i64..3_000) {
            for track in tracks().unwrap() {
                let start = track.start_ticks(n);
                prop_assert_eq!(track.segment_at(start), Some(n));
                let near = track.segment_at(start + off).map(|n| track.start_ticks(n));
                prop_assert!(near.is_none() || near == Some(start + off));
            }
        }

        #[test]
        fn the_first_segment_from_an_instant_is_the_first(ns in 0_i64..1 << 62) {
            let at = Time::from_ns(ns);
            for track in tracks().unwrap() {
                let n = track.first_from(at);
                prop_assert!(!track.start(n).cmp_instant(at).is_lt());
                prop_assert!(n == 0 || track.start(n - 1).cmp_instant(at).is_lt());
            }
        }

        #[test]
        fn no_tick_is_too_large(ticks: i64) {
            for track in tracks().unwrap() {
                track.segment_at(ticks);
            }
        }
    }
}
