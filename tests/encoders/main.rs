//! Real encoders, in real time: what ffmpeg and Shaka Packager publish is archived without an error or a hole.
//!
//! All encoders run at once for a minute (`recording.rs`), while `npvr check` is run again and again, as cron would. Then
//! each test reads one channel's chunks back: with ffmpeg and ffprobe, and by npvr's own books. It needs ffmpeg, and the
//! Shaka Packager that NPVR_PACKAGER names: tests/run installs both.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod decode;
mod encoder;
mod origin;
mod recording;

use std::path::PathBuf;
use std::time::Duration;

use decode::{Decoder, Track};
use npvr::time::Range;
use recording::{Archived, Playing, recording, seconds};

/// Frames a second of every video track.
const FPS: i64 = 25;
const SEGMENT: Duration = Duration::from_secs(2);
/// ffmpeg's first audio segment has another name than its manifest says.
const NO_FIRST_AUDIO: &str = "404 Not Found";
const NO_MEDIA: &str = "the source has no media for it";
const BEGINS_LATER: &str = "the archive begins later";

/// A channel's archive, of which each chunk, and all chunks joined, were decoded without a complaint; and its tracks.
fn decoded(channel: &str, decoder: &Decoder) -> (Archived, Vec<Track>) {
    let archived = recording().archived(channel);
    assert!(archived.complete >= 2, "too few chunks to say anything: {}", archived.complete);
    archived.chunks.iter().for_each(|chunk| decoder.decodes(chunk));
    decoder.decodes(&archived.joined);
    assert_eq!(archived.verified.problems, [] as [String; 0]);
    assert_eq!(archived.verified.chunks as usize, archived.chunks.len());
    let tracks = decoder.packets(&archived.joined);
    for track in &tracks {
        assert_eq!(track.decoded, track.packets.len(), "{}: frames that were decoded", track.name);
    }
    (archived, tracks)
}

/// The channel is archived from its beginning to its end.
fn is_archived_without_a_hole(channel: &str, decoder: &Decoder) {
    let (archived, tracks) = decoded(channel, decoder);
    for track in &tracks {
        assert_eq!(track.breaks(), [], "{}", track.name);
    }
    for track in tracks.iter().filter(|t| t.is_video()) {
        assert_eq!(track.packets.len() as i64, track.frames(FPS), "{}: frames", track.name);
    }
    // By its edit list or without, ffmpeg's audio is a frame off its manifest.
    let first_segments = archived.since.plus(SEGMENT + SEGMENT / 4);
    for gap in &archived.gaps {
        let is_said = |reasons: &[&str]| reasons.iter().any(|r| gap.reason.contains(r));
        let at_beginning =
            gap.range.end <= first_segments && is_said(&[NO_FIRST_AUDIO, NO_MEDIA, BEGINS_LATER]);
        let at_end = gap.range.end == archived.end() && is_said(&[NO_MEDIA]);
        assert!(at_beginning || at_end, "since {}: {gap:?}", archived.since);
    }
}

/// Every frame that the encoder made is there, and npvr knows that no more will come.
fn has_every_video_frame(channel: &str, renditions: usize) {
    let (archived, tracks) = decoded(channel, &Decoder::clear());
    assert_eq!(archived.lag_s, None, "what has ended does not lag");
    let frames: Vec<usize> = tracks.iter().filter(|t| t.is_video()).map(|t| t.packets.len()).collect();
    assert_eq!(frames, vec![seconds() as usize * FPS as usize; renditions]);
}

#[test]
fn ffmpeg_with_its_times_on_the_manifests_clock_is_archived_without_a_hole_to_its_last_frame() {
    is_archived_without_a_hole("discont", &Decoder::clear());
    has_every_video_frame("discont", 2);
}

#[test]
fn ffmpeg_with_decode_times_that_are_not_the_manifests_is_archived_without_a_hole_to_its_last_frame() {
    is_archived_without_a_hole("plain", &Decoder::clear());
    has_every_video_frame("plain", 2);
}

#[test]
fn ffmpegs_own_window_of_ten_seconds_fills_chunks_that_are_twice_as_long() {
    is_archived_without_a_hole("short", &Decoder::clear());
}

/// A clip of all that is archived decodes, with its key if it has one, and has just the frames of the best pictures.
fn is_clipped_whole(channel: &str, decoder: &Decoder) {
    let (archived, tracks) = decoded(channel, decoder);
    let clip = recording().clip(channel, &archived);
    decoder.decodes(&clip);
    let of_clip = decoder.packets(&clip);
    // The last segment reaches into a cell of which nothing is stored, and is not played there.
    let there = |track: &Track| track.before(archived.end());
    let best = tracks.iter().find(|track| track.is_video()).map(there);
    assert_eq!(of_clip.iter().find(|track| track.is_video()).map(|track| track.decoded), best);
    let sound = |tracks: &[Track], frames: &dyn Fn(&Track) -> usize| -> usize {
        tracks.iter().filter(|track| !track.is_video()).map(frames).sum()
    };
    let (got, expected) = (sound(&of_clip, &|track| track.decoded), sound(&tracks, &there));
    assert!(got.abs_diff(expected) <= 2, "{got} frames of sound in place of {expected}");
}

#[test]
fn clips_of_real_encoders_have_every_frame() {
    is_clipped_whole("discont", &Decoder::clear());
    is_clipped_whole("plain", &Decoder::clear());
    is_clipped_whole("clear", &Decoder::clear());
}

#[test]
fn a_clip_of_an_encrypted_channel_decodes_with_its_key() {
    is_clipped_whole("cbcs", &Decoder::with_key());
}

/// What is archived plays as HLS and DASH from its chunks to its last frame: every frame decodes, and there are as many as the
/// range has, and what the first segment has besides.
fn is_played_whole(playing: &Playing, channel: &str) {
    let (archived, tracks) = decoded(channel, &Decoder::clear());
    // Where ffmpeg's sound begins a segment late, DASH has another period, and ffmpeg plays one.
    let range = Range::new(archived.since.plus(SEGMENT * 3), archived.end());
    let there = |track: &Track| track.packets.len() - track.before(range.start);
    let least = tracks.iter().find(|track| track.is_video()).map(there).unwrap();
    for path in [format!("hls/{channel}/{range}/master.m3u8"), format!("dash/{channel}/{range}.mpd")] {
        let url = PathBuf::from(format!("{}/{path}", playing.url));
        Decoder::clear().decodes(&url);
        for track in Decoder::clear().packets(&url).iter().filter(|track| track.is_video()) {
            assert_eq!(track.decoded, track.packets.len(), "{}: frames that were decoded", track.name);
            assert_eq!(track.breaks(), [], "{}", track.name);
            let most = least + SEGMENT.as_secs() as usize * FPS as usize;
            assert!((least..=most).contains(&track.decoded), "{}: {} frames", track.name, track.decoded);
        }
    }
}

#[test]
fn real_encoders_play_from_their_chunks() {
    let playing = recording().play();
    ["discont", "plain", "clear"].iter().for_each(|channel| is_played_whole(&playing, channel));
}

#[test]
fn shaka_packager_is_archived_without_a_hole() {
    is_archived_without_a_hole("clear", &Decoder::clear());
}

#[test]
fn shaka_packager_with_cbcs_is_archived_as_it_is_encrypted_and_decodes_with_its_key() {
    is_archived_without_a_hole("cbcs", &Decoder::with_key());
}

#[test]
fn what_an_encoder_published_before_and_after_a_restart_is_archived_and_the_hole_between_is_a_gap() {
    let (archived, tracks) = decoded("restarted", &Decoder::clear());
    for track in &tracks {
        let breaks = track.breaks();
        assert!(breaks.len() == 1 && breaks[0].1 > 0.0, "{}: {breaks:?}", track.name);
        let hole = Duration::from_secs_f64(breaks[0].1);
        let of_track = archived.gaps.iter().filter(|g| g.track.ends_with(&format!("={}", track.index)));
        let written_down: Duration = of_track
            .filter(|g| archived.since.plus(SEGMENT * 2) < g.range.start && g.range.end < track.end())
            .map(|g| g.range.duration())
            .sum();
        assert!(written_down.abs_diff(hole) < SEGMENT / 2, "{}: {hole:?}: {:?}", track.name, archived.gaps);
    }
}
