//! What is measured of a clip's fragments: bit rates, and how long the longest lasts.

use std::time::Duration;

use super::Show;
use crate::clip::ReelTrack;
use crate::grid::Cell;
use crate::media::IndexEntry;

/// How long the longest fragment lasts, in nanoseconds.
pub(super) fn longest(show: &Show<'_>) -> Duration {
    let tracks = show.reel.runs.iter().flat_map(|run| &run.tracks);
    let of = |track: &ReelTrack<'_>| track.timescale.ns(i64::from(longest_ticks(measured(show, track))));
    Duration::from_nanos(tracks.map(of).max().unwrap_or(0).unsigned_abs())
}

/// `@bandwidth` of a track (§5.3.5.2): who receives so many bits a second, and has buffered for `@minBufferTime`, which is as
/// long as the longest fragment, never waits. That is the most that any fragments together have which last as long as that.
pub(super) fn bandwidth(show: &Show<'_>, id: u32) -> u64 {
    let tracks = show.reel.runs.iter().flat_map(|run| run.track(id));
    let of = |track: &ReelTrack<'_>| {
        let all: Vec<&IndexEntry> = measured(show, track).collect();
        peak(&all, u64::from(track.timescale.get()))
    };
    tracks.map(of).max().unwrap_or(0)
}

/// The fragments that count: what is said of a presentation that goes on is said once, by its first chunk.
fn measured<'a>(show: &Show<'_>, track: &'a ReelTrack<'a>) -> impl Iterator<Item = &'a IndexEntry> + use<'a> {
    let only = show.growth.and_then(|_| first_cell(show));
    track.fragments().filter(move |(span, _)| only.is_none_or(|cell| span.cell == cell)).map(|(_, f)| f)
}

fn first_cell(show: &Show<'_>) -> Option<Cell> {
    let spans = show.reel.runs.iter().flat_map(|run| &run.tracks).flat_map(|track| &track.spans);
    spans.map(|span| span.cell).min()
}

fn longest_ticks<'a>(fragments: impl Iterator<Item = &'a IndexEntry>) -> u32 {
    fragments.map(|fragment| fragment.duration_ticks).max().unwrap_or(0)
}

/// The most bits in a second of any fragments in a row that last as long as the longest, or of all.
fn peak(all: &[&IndexEntry], ticks_per_s: u64) -> u64 {
    let window = u64::from(longest_ticks(all.iter().copied()));
    let (mut most, mut from, mut bytes, mut ticks) = (0_u64, 0, 0_u64, 0_u64);
    for fragment in all {
        bytes = bytes.saturating_add(fragment.size);
        ticks = ticks.saturating_add(u64::from(fragment.duration_ticks));
        while let Some(first) =
            all.get(from).filter(|first| ticks.saturating_sub(u64::from(first.duration_ticks)) >= window)
        {
            (bytes, ticks) = (bytes.saturating_sub(first.size), ticks - u64::from(first.duration_ticks));
            from += 1;
        }
        if ticks >= window && ticks > 0 {
            most = most.max(bytes.saturating_mul(8).saturating_mul(ticks_per_s).div_ceil(ticks));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_fragment_is_measured_with_its_neighbours() {
        let fragment = |duration_ticks, size| IndexEntry {
            decode_time: 0,
            duration_ticks,
            moof_offset: 0,
            prefix_size: 0,
            size,
            sync: true,
        };
        let all = [fragment(200, 1_000), fragment(200, 3_000), fragment(10, 500), fragment(200, 1_000)];
        let all: Vec<&IndexEntry> = all.iter().collect();
        // The second alone: 24,000 bits in two seconds; with the short one: 28,000 in 2.1.
        assert_eq!(peak(&all, 100), 13_334);
        assert_eq!((peak(&all[2..3], 100), peak(&[], 100)), (40_000, 0));
    }
}
