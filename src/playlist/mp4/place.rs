//! Where the runs of a clip are in a file: one behind another, or, where gaps are kept, as far apart as they were.

use crate::clip::{Clip, Reel, ReelRun, Span};
use crate::time::{MediaTime, Range, Time, Timescale};

/// The finest timescale that a file gets; players count in 64 bits, and multiply.
const FINEST: u64 = 100_000_000;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// What is presented of it.
    pub(super) range: Range,
    /// When it begins in the file, and how long it is, in ticks of the movie.
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Place {
    /// The in and out point in ticks of a track.
    pub(super) fn points(&self, timescale: Timescale) -> (i64, i64) {
        let tick = |at| MediaTime::first_at_or_after(at, timescale).ticks;
        (tick(self.range.start), tick(self.range.end))
    }

    /// When an instant of it is in the file, in ticks of the movie; `ticks` are those of a track.
    pub(super) fn at(&self, ticks: i64, timescale: Timescale, movie: Timescale) -> u64 {
        let (from, to) = self.points(timescale);
        if ticks >= to {
            return self.start + self.length;
        }
        let into = timescale.convert(ticks.saturating_sub(from).max(0), movie);
        self.start + into.unsigned_abs().min(self.length)
    }
}

/// The timescale in which every tick of all tracks is whole; where there is none, the finest of theirs.
pub(super) fn timescale(tracks: impl Iterator<Item = Timescale> + Clone) -> Timescale {
    let common = tracks.clone().try_fold(1_u64, |all, next| {
        let next = u64::from(next.get());
        let least = all / common_divisor(all, next) * next;
        (least <= FINEST).then_some(least)
    });
    let common = common.and_then(|n| u32::try_from(n).ok()).and_then(|n| Timescale::new(n).ok());
    common.or_else(|| tracks.max_by_key(|scale| scale.get())).unwrap_or(Timescale::ONE)
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The places of all runs. A run that begins with nothing, or ends so, in all of its tracks, is that much shorter. They begin and
/// end on ticks of `lead`, the timescale of the first track: less than a tick of a frame would be a frame too many.
pub(super) fn places(
    clip: &Clip,
    reel: &Reel<'_>,
    movie: Timescale,
    lead: Timescale,
    keeps_gaps: bool,
) -> Vec<Place> {
    // In ticks of `lead`: where a part begins, and up to where there is something already.
    let (mut at, mut filled): (i64, i64) = (0, 0);
    let mut runs = reel.runs.iter();
    let mut places = Vec::with_capacity(reel.runs.len());
    for part in &clip.parts {
        for run in runs.by_ref().take(part.runs.len()) {
            let range = if keeps_gaps { run.range } else { with_media(run) };
            let gap_ns = if keeps_gaps { range.start.signed_ns_since(part.asked.start) } else { 0 };
            let start = filled.max(at + lead.ticks_nearest(i128::from(gap_ns)));
            let mut place = Place { range, start: ticks(start, lead, movie), length: 0 };
            let (from, to) = place.points(lead);
            place.length = ticks(to - from, lead, movie);
            places.push(place);
            filled = start + (to - from).max(0);
            if !keeps_gaps {
                at = filled;
            }
        }
        if keeps_gaps {
            at += lead.ticks_nearest(i128::from(part.asked.end.signed_ns_since(part.asked.start)));
        }
    }
    places
}

fn ticks(ticks: i64, lead: Timescale, movie: Timescale) -> u64 {
    lead.convert(ticks.max(0), movie).unsigned_abs()
}

/// What of a run some track has media of, at its ends.
fn with_media(run: &ReelRun) -> Range {
    let (mut first, mut last) = (run.range.end, run.range.start);
    for track in &run.tracks {
        let at = |ticks| MediaTime::new(ticks, track.timescale).instant();
        first = first.min(at(track.first_ticks()));
        last = last.max(track.spans.last().map_or(Time::EPOCH, |span: &Span| at(span.end_ticks())));
    }
    run.range.intersect(Range::new(first, last))
}
