//! What the simulated origin holds at one moment: for each track, runs of segment numbers.
//!
//! Pure. Everything that it publishes (lists of ranges, manifests, segments) asks here, so they never disagree.

use std::ops;
use std::time::Duration;

use super::faults::Faults;
use super::tracks::{SEGMENT_NS, SimTrack};
use crate::time::{Range, Time};

/// Audio segments end at most so much after their nominal end.
const HALF_A_FRAME: Duration = Duration::from_millis(11);

/// The origin at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) faults: &'a Faults,
    /// The simulation's clock: skewed, where a fault says so.
    pub(super) now: Time,
    /// The earliest instant that is held.
    pub(super) window_start: Time,
    /// How far behind the clock manifests and ranges end. Segments themselves are there as soon as they end.
    pub(super) live_delay: Duration,
}

/// One DASH period: what the encoder made between two restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Period {
    /// How many restarts made a period before this one.
    pub(super) index: usize,
    /// The segments that can belong to it.
    pub(super) segments: ops::Range<i64>,
}

impl Moment<'_> {
    /// The segments of `track` that are published and have an instant in `within`: runs without a hole, in order.
    pub(super) fn published(&self, track: &SimTrack, within: Range) -> Vec<ops::Range<i64>> {
        let all = self.all(track, self.now.minus(self.live_delay));
        let mut first = track.first_from(within.start);
        if track.start(first).cmp_instant(within.start).is_gt() {
            first -= 1;
        }
        let shown = all.start.max(first)..all.end.min(track.first_from(within.end));
        self.without_gaps(track, shown)
    }

    /// True if segment `n` can be fetched: from its nominal end on, because by that clients count where segments are not
    /// listed.
    pub(super) fn has(&self, track: &SimTrack, n: i64) -> bool {
        self.all(track, self.now.plus(HALF_A_FRAME)).contains(&n)
            && !self.without_gaps(track, n..n + 1).is_empty()
    }

    /// The periods that overlap `segments`, in order.
    pub(super) fn periods(&self, segments: &ops::Range<i64>) -> Vec<Period> {
        let starts: Vec<i64> = self.faults.period_starts();
        let ends = starts.iter().copied().chain([i64::MAX]);
        let starts = [i64::MIN].into_iter().chain(starts.iter().copied());
        let all =
            starts.zip(ends).enumerate().map(|(index, (start, end))| Period { index, segments: start..end });
        all.filter(|p| p.segments.start < segments.end && segments.start < p.segments.end).collect()
    }

    /// How many restarts a track has behind it, as the init segment of period `index` shows it now.
    ///
    /// Within a period, a restart that changes bytes under the same URL shows once it has happened.
    pub(super) fn restarts_shown(&self, track: &SimTrack, index: usize) -> usize {
        let starts = self.faults.period_starts();
        let first = index.checked_sub(1).and_then(|i| starts.get(i)).copied().unwrap_or(i64::MIN);
        let last = starts.get(index).map_or(i64::MAX, |next| next - 1);
        let current = self.now.ns().div_euclid(SEGMENT_NS);
        self.faults.restarts_before(track.id, current.clamp(first, last.max(first)))
    }

    /// From the first segment that begins in the window to the last that ends by `edge`.
    fn all(&self, track: &SimTrack, edge: Time) -> ops::Range<i64> {
        let after = track.first_from(edge);
        let ends_on_edge = track.start(after).cmp_instant(edge).is_eq();
        track.first_from(self.window_start)..if ends_on_edge { after } else { after - 1 }
    }

    fn without_gaps(&self, track: &SimTrack, all: ops::Range<i64>) -> Vec<ops::Range<i64>> {
        let gaps = self.faults.gaps(track.id).map(|g| track.first_from(g.start)..track.first_from(g.end));
        let mut gaps: Vec<_> = gaps.collect();
        gaps.sort_unstable_by_key(|g| g.start);
        let mut runs = Vec::new();
        let mut at = all.start;
        for gap in gaps {
            runs.push(at..gap.start.min(all.end));
            at = at.max(gap.end);
        }
        runs.push(at..all.end);
        runs.retain(|r| !r.is_empty());
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::{Fault, FaultKind, RestartStyle};
    use super::super::tracks::tracks;
    use super::*;

    const NOW: Time = Time::from_s(1_790_000_000);

    fn moment(faults: &Faults) -> Moment<'_> {
        let hour = Duration::from_secs(3_600);
        Moment {
            faults,
            now: NOW,
            window_start: NOW.minus(hour),
            live_delay: Duration::from_nanos(1_920_000_000),
        }
    }

    fn always() -> Range {
        Range::new(Time::EPOCH, Time::MAX)
    }

    fn at_most_a_segment(ns: i64) -> bool {
        (0..=SEGMENT_NS + 22_000_000).contains(&ns)
    }

    #[test]
    fn a_track_fills_the_window_up_to_the_live_edge() {
        let faults = Faults::default();
        let moment = moment(&faults);
        for track in tracks().unwrap() {
            let runs = moment.published(&track, always());
            let [run] = runs.as_slice() else { panic!("{runs:?}") };
            let start = track.start(run.start).instant().signed_ns_since(moment.window_start);
            let lag = NOW.minus(moment.live_delay).signed_ns_since(track.start(run.end).instant());
            assert!(at_most_a_segment(start) && at_most_a_segment(lag), "{} {start} {lag}", track.id);
            assert!(!moment.has(&track, run.start - 1) && moment.has(&track, run.start));
            assert!(!moment.has(&track, run.end + 1));
        }
    }

    #[test]
    fn a_segment_is_there_at_its_nominal_end_and_not_before() {
        let faults = Faults::default();
        for n in [1_000_000, 1_000_001, 1_000_002] {
            let end = Time::from_ns((n + 1) * SEGMENT_NS);
            let at = |now| Moment { now, window_start: Time::EPOCH, ..moment(&faults) };
            for track in tracks().unwrap() {
                assert!(at(end).has(&track, n), "{} {n}", track.id);
                assert!(!at(end.offset_ns(-40_000_000)).has(&track, n), "{} {n}", track.id);
            }
        }
    }

    #[test]
    fn a_range_shows_the_segments_that_have_an_instant_in_it() {
        let faults = Faults::default();
        let moment = moment(&faults);
        let within = Range::new(NOW.minus(Duration::from_secs(600)), NOW.minus(Duration::from_secs(300)));
        for track in tracks().unwrap() {
            let run = moment.published(&track, within)[0].clone();
            let starts = |n| track.start(n).instant();
            assert!(starts(run.start) <= within.start && within.start < starts(run.start + 1));
            assert!(starts(run.end - 1) < within.end && within.end <= starts(run.end));
        }
    }

    #[test]
    fn gaps_overlap_touch_and_hang_over_the_edges_without_harm() {
        let gap = |from: i64, to: i64| Fault {
            track: Some("audio".into()),
            range: Range::new(NOW.offset_ns(-from * 1_000_000_000), NOW.offset_ns(-to * 1_000_000_000)),
            ..Fault::new(FaultKind::Gap)
        };
        let script = vec![gap(600, 500), gap(550, 450), gap(4_000, 3_500), gap(100, -100), gap(590, 580)];
        let faults = Faults::new(0, script);
        let moment = moment(&faults);
        let tracks = tracks().unwrap();
        assert_eq!(moment.published(&tracks[0], always()).len(), 1);
        let runs = moment.published(&tracks[2], always());
        let seconds = |n| NOW.signed_ns_since(tracks[2].start(n).instant()) / 1_000_000_000;
        let seen: Vec<_> = runs.iter().map(|r| (seconds(r.start), seconds(r.end))).collect();
        assert_eq!(seen.len(), 2);
        for (is, meant) in seen.iter().zip([(3_500, 600), (450, 100)]) {
            assert!((meant.0 - is.0).abs() <= 2 && (meant.1 - is.1).abs() <= 2, "{seen:?}");
        }
        assert!(!moment.has(&tracks[2], runs[0].end) && moment.has(&tracks[0], runs[0].end));
    }

    #[test]
    fn a_restart_ends_a_period_and_its_init_segment_shows_when_it_is_due() {
        let restart = |ago: i64, style| Fault {
            range: Range::new(NOW.offset_ns(-ago * 1_000_000_000), Time::MAX),
            ..Fault::new(FaultKind::Restart(style))
        };
        let script = vec![restart(100, RestartStyle::Period), restart(-50, RestartStyle::SameUrl)];
        let faults = Faults::new(0, script);
        let track = &tracks().unwrap()[0];
        let moment = moment(&faults);
        let run = moment.published(track, always())[0].clone();
        let periods = moment.periods(&run);
        assert_eq!(periods.iter().map(|p| p.index).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(periods[0].segments.end, periods[1].segments.start);
        assert_eq!((moment.restarts_shown(track, 0), moment.restarts_shown(track, 1)), (0, 1));
        let later = Moment { now: NOW.plus(Duration::from_secs(60)), ..moment };
        assert_eq!((later.restarts_shown(track, 0), later.restarts_shown(track, 1)), (0, 2));
    }
}
