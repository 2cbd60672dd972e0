//! One track from the beginning of a clip to its end, in the order of its playlist.
//!
//! Whatever is said of a time is said the same way when more has come behind it: a playlist that grows begins with what it was.
//! So nothing here looks ahead, but to see how long a hole is; and a hole is cut into segments at places that depend on the clock
//! and on chunks, and not on where it ends.

use super::{Hls, init_of};
use crate::clip::{ReelRun, ReelTrack, Span};
use crate::grid::Cell;
use crate::media::IndexEntry;
use crate::time::{Time, Timescale};

/// What comes next in a playlist. Times are microseconds since the Unix epoch: those of neighbours join, so that no error
/// grows along a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// The line of time breaks here.
    Break,
    /// From here on the init segment of this span is needed.
    Init(&'a Span<'a>),
    /// A fragment, and from when to when it is presented.
    Fragment(Cell, &'a IndexEntry, i64, i64),
    /// From when to when the track has nothing.
    Hole(i64, i64),
}

/// An instant, in microseconds since the Unix epoch.
pub(super) fn us(at: Time) -> i64 {
    at.ns().div_euclid(1_000)
}

/// Where a walk is.
struct Walk<F> {
    tell: F,
    /// The longest that a segment without media may be, in µs.
    longest: i64,
    /// Up to when all is told since the line of time broke, in µs.
    told: Option<i64>,
    /// How much may be missing before that is a hole, in µs: half a fragment; the rest is rounding.
    slack: i64,
    /// Which init segment is in force.
    init: Option<(u32, Result<u64, Cell>)>,
    /// When the run begins, in µs.
    begins: i64,
    /// When its chunks end, in µs, in order.
    ends: Vec<i64>,
}

impl<'a> Hls<'a> {
    /// Tells the items of a track in order. `longest_s` is the longest that a segment without media may be, in seconds.
    pub(super) fn walk(&self, id: u32, longest_s: u64, tell: impl FnMut(Item<'a>)) {
        let longest = i64::try_from(longest_s.max(1)).unwrap_or(1).saturating_mul(1_000_000);
        let mut walk = Walk { tell, longest, told: None, slack: 0, init: None, begins: 0, ends: Vec::new() };
        for (n, (run, opening)) in self.reel.runs.iter().zip(&self.openings).enumerate() {
            if n > 0 && !opening.is_joined {
                (walk.tell)(Item::Break);
                walk.told = None;
            }
            walk.enter(run);
            walk.run(run.track(id), &opening.breaks);
            walk.reach(us(run.range.end));
        }
    }
}

impl<'a, F: FnMut(Item<'a>)> Walk<F> {
    fn enter(&mut self, run: &ReelRun<'_>) {
        // The first chunk of a run may begin with a segment that is in the chunk before, which is missing. Where no track has
        // anything there is no hole either.
        let starts = run.tracks.iter().filter_map(|track| {
            track.spans.first().map(|span| ticks_us(span.start_ticks(), track.timescale))
        });
        self.begins = us(run.range.start).max(starts.min().unwrap_or(i64::MIN));
        self.slack = 0;
        let spans = run.tracks.iter().flat_map(|track| &track.spans);
        self.ends = spans.map(|span| us(span.cell.end())).collect();
        self.ends.sort_unstable();
        self.ends.dedup();
    }

    fn run(&mut self, track: Option<&'a ReelTrack<'a>>, breaks: &[Cell]) {
        let mut breaks = breaks.iter().peekable();
        for (track, span) in track.iter().flat_map(|track| track.spans.iter().map(move |span| (track, span)))
        {
            let start = ticks_us(span.start_ticks(), track.timescale);
            if self.told.is_none() {
                let first = span.fragments.first().map_or(0, |first| i64::from(first.duration_ticks));
                self.slack = ticks_us(first, track.timescale) / 2;
            }
            while let Some(cell) = breaks.next_if(|cell| **cell <= span.cell) {
                self.reach(us(cell.start()).min(start));
                (self.tell)(Item::Break);
            }
            self.reach(start);
            self.span(span, track.timescale);
        }
        for cell in breaks {
            self.reach(us(cell.start()));
            (self.tell)(Item::Break);
        }
    }

    /// Tells what is missing before `at`, if it is enough to be told.
    fn reach(&mut self, at: i64) {
        let mut from = self.told.unwrap_or(self.begins);
        if at - from <= self.slack {
            return;
        }
        while from < at {
            let until = self.next_cut(from).min(at);
            (self.tell)(Item::Hole(from, until));
            from = until;
        }
        self.told = Some(at);
    }

    /// Where a segment without media that begins at `from` ends at the latest: at a round time, or with a chunk.
    fn next_cut(&self, from: i64) -> i64 {
        let round = (from.div_euclid(self.longest) + 1) * self.longest;
        let end = self.ends.get(self.ends.partition_point(|end| *end <= from));
        end.map_or(round, |end| round.min(*end))
    }

    fn span(&mut self, span: &'a Span<'a>, timescale: Timescale) {
        let needed = init_of(span);
        if self.init.as_ref() != Some(&needed) {
            (self.tell)(Item::Init(span));
            self.init = Some(needed);
        }
        for fragment in span.fragments {
            let start = span.presented(fragment);
            let end = ticks_us(start.saturating_add(i64::from(fragment.duration_ticks)), timescale);
            // What is no hole is closed: the fragment behind it takes the rounding.
            let from = self.told.unwrap_or_else(|| ticks_us(start, timescale)).min(end);
            (self.tell)(Item::Fragment(span.cell, fragment, from, end));
            self.told = Some(end);
            self.slack = (end - from) / 2;
        }
    }
}

/// Ticks in microseconds, rounded down. There are hundreds of thousands of them in a playlist, so it goes without wide numbers.
fn ticks_us(ticks: i64, timescale: Timescale) -> i64 {
    let hz = i64::from(timescale.get());
    ticks.div_euclid(hz).saturating_mul(1_000_000).saturating_add(ticks.rem_euclid(hz) * 1_000_000 / hz)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn microseconds_are_those_of_the_nanoseconds(ticks in -1_i64 << 60..1 << 60, hz in 1_u32..=u32::MAX) {
            let timescale = Timescale::new(hz).unwrap();
            let ns = timescale.ns(ticks);
            // Beyond the year 2262 there are no nanoseconds.
            prop_assume!(ns > i64::MIN && ns < i64::MAX);
            prop_assert_eq!(ticks_us(ticks, timescale), ns.div_euclid(1_000));
        }
    }
}
