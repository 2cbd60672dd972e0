//! What one run has to fetch for a cell, in the order in which it goes into the chunk: (segment start, track).

use std::time::Duration;

use crate::source::{Segment, TrackListing};
use crate::time::{Ranges, Time};

use super::progress::Progress;

/// One segment of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// An index into the listing's tracks.
    pub(crate) track: usize,
    /// The segment.
    pub(crate) segment: Segment,
}

/// Up to where a piece may go: the live edge of the slowest track, so that no segment with an earlier start can still
/// come. A track that is more than `patience` behind the others is not waited for.
pub(crate) fn watermark(listing: &[TrackListing], patience: Duration) -> Option<Time> {
    let edge = |held: &Ranges| held.span().map(|s| s.end);
    let edges = || listing.iter().filter_map(|t| edge(&t.held));
    let furthest = edges().max()?;
    edges().filter(|e| furthest.since(*e) <= patience).min()
}

/// The segments that are not in the spool yet, in order; for a piece, only those before `watermark`. `written_end` tells,
/// per track, up to where the spool file goes.
pub(crate) fn wanted(
    listing: &[TrackListing],
    progress: &Progress,
    written_end: impl Fn(usize) -> Option<Time>,
    watermark: Option<Time>,
) -> Vec<Wanted> {
    let mut all = Vec::new();
    for (track, of_track) in listing.iter().enumerate() {
        let done = progress.tracks.get(&of_track.track.name()).and_then(|t| t.done);
        let end = written_end(track);
        let open = of_track.segments.iter().filter(|s| {
            let (_, segment_end) = bounds(s);
            let is_done = done.is_some_and(|done| segment_end <= done) && reaches(s, end);
            !is_done && !is_written(s, end) && watermark.is_none_or(|w| s.start.cmp_instant(w).is_lt())
        });
        all.extend(open.map(|segment| Wanted { track, segment: segment.clone() }));
    }
    // Tracks are listed in the order of their ids; a stable sort keeps it among equal starts.
    all.sort_by_key(|w| w.segment.start);
    all
}

/// Start and announced end of a segment.
pub(crate) fn bounds(segment: &Segment) -> (Time, Time) {
    let mut end = segment.start;
    end.ticks = end.ticks.saturating_add(segment.duration_ticks);
    (segment.start.instant(), end.instant())
}

/// True if the file goes up to the end of a segment, give or take half of it. After a power cut it may be shorter than the
/// ledger has it.
fn reaches(segment: &Segment, written_end: Option<Time>) -> bool {
    let (start, end) = bounds(segment);
    written_end.is_some_and(|written| written.plus(end.since(start) / 2) >= end)
}

/// True if the file goes on well past the segment's end: a part of the next one is there, so this one is there whole. The
/// last one may be torn, and is fetched again; the writer leaves out the fragments that it has.
fn is_written(segment: &Segment, written_end: Option<Time>) -> bool {
    let (start, end) = bounds(segment);
    written_end.is_some_and(|written| written >= end.plus(end.since(start) / 4))
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::source::Resource;
    use crate::time::{MediaTime, Range, Timescale};
    use crate::track::{Medium, Track};

    fn listing(id: &str, starts_ms: &[i64], held_end_ms: i64) -> TrackListing {
        let track = Track {
            medium: Medium::Video,
            id: id.into(),
            language: None,
            bandwidth: None,
            codecs: None,
            size: None,
        };
        let timescale = Timescale::new(1_000).unwrap();
        let media = Resource { url: Url::parse("http://127.0.0.1/a").unwrap(), bytes: None };
        let segment = |ms: &i64| {
            let start = MediaTime::new(*ms, timescale);
            Segment { start, duration_ticks: 2_000, media: media.clone(), init: 0 }
        };
        let held = Ranges::from_iter([Range::new(ms(0), ms(held_end_ms))]);
        TrackListing { track, inits: Vec::new(), segments: starts_ms.iter().map(segment).collect(), held }
    }

    fn ms(n: i64) -> Time {
        Time::from_ns(n * 1_000_000)
    }

    fn starts(batch: &[Wanted]) -> Vec<(usize, i64)> {
        batch.iter().map(|w| (w.track, w.segment.start.ticks)).collect()
    }

    #[test]
    fn segments_go_in_the_order_of_start_then_track() {
        let tracks = [listing("1", &[0, 2_000, 4_000], 6_000), listing("2", &[0, 1_900, 4_100], 6_100)];
        let batch = wanted(&tracks, &Progress::default(), |_| None, None);
        assert_eq!(starts(&batch), [(0, 0), (1, 0), (1, 1_900), (0, 2_000), (0, 4_000), (1, 4_100)]);
    }

    #[test]
    fn a_piece_stops_where_the_slowest_track_may_still_bring_something() {
        let tracks = [listing("1", &[0, 2_000, 4_000], 6_000), listing("2", &[0, 2_000], 4_000)];
        let mark = watermark(&tracks, Duration::from_secs(60));
        assert_eq!(mark, Some(ms(4_000)));
        let batch = wanted(&tracks, &Progress::default(), |_| None, mark);
        assert_eq!(starts(&batch), [(0, 0), (1, 0), (0, 2_000), (1, 2_000)]);
        // A track that stopped long ago does not hold the others up.
        assert_eq!(watermark(&tracks, Duration::from_secs(1)), Some(ms(6_000)));
    }

    #[test]
    fn what_is_whole_in_the_spool_is_not_fetched_again_and_what_may_be_torn_is() {
        let tracks = [listing("1", &[0, 2_000, 4_000], 6_000)];
        let batch = |written| starts(&wanted(&tracks, &Progress::default(), |_| Some(ms(written)), None));
        assert_eq!(batch(2_033), [(0, 0), (0, 2_000), (0, 4_000)]);
        assert_eq!(batch(4_000), [(0, 2_000), (0, 4_000)]);
        let mut progress = Progress::default();
        progress.track("video=1").done = Some(ms(4_000));
        assert_eq!(starts(&wanted(&tracks, &progress, |_| Some(ms(4_000)), None)), [(0, 4_000)]);
        // A power cut has taken what the ledger has written down.
        let after_cut = wanted(&tracks, &progress, |_| Some(ms(2_000)), None);
        assert_eq!(starts(&after_cut), [(0, 2_000), (0, 4_000)]);
    }
}
