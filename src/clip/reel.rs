//! From the runs of a clip to its fragments: for each track those that cover a run, in order, each once.
//!
//! What a player does with a fragment counts, so all here is presentation time: decode time and what reordering of frames adds,
//! less what an edit list takes off. Instants are compared with ticks exactly.
//!
//! Fragments of one chunk that follow one another are a span. A span ends with its chunk, and where its track has a hole: at its
//! border a playlist says whatever is to be said, and in it there is nothing to say.

use std::collections::BTreeMap;

use super::{Clip, Run};
use crate::grid::Cell;
use crate::media::{Index, IndexEntry, TrackIndex, Traits};
use crate::time::{MediaTime, Range, Ranges, Timescale};

/// A clip down to its fragments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reel<'a> {
    /// One for each run of the clip, in the order in which they are played.
    pub runs: Vec<ReelRun<'a>>,
}

/// A stretch that plays without a break, but for holes of single tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReelRun<'a> {
    /// From the in point to the out point.
    pub range: Range,
    /// Those that have media of it, by id.
    pub tracks: Vec<ReelTrack<'a>>,
}

/// One track of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReelTrack<'a> {
    /// Its id in the channel's ledger.
    pub id: u32,
    /// What its times count in.
    pub timescale: Timescale,
    /// The in point: the first tick of presentation time at or after it, since the Unix epoch.
    pub in_ticks: i64,
    /// The out point, likewise: the first tick that is not played any more.
    pub out_ticks: i64,
    /// In order; at least one. They begin with the fragment that holds the in point, or, where that one begins with no sync sample,
    /// with the last one before it that does, and that is there.
    pub spans: Vec<Span<'a>>,
}

/// Fragments of one track in one chunk that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    /// The chunk.
    pub cell: Cell,
    /// The track's number in it.
    pub file_track_id: u32,
    /// What is known of the track there; `None` in old indexes, as long as nobody has read it from the header of the chunk.
    pub traits: Option<&'a Traits>,
    /// What is to be added to decode times to get to presentation times, in ticks.
    pub shift_ticks: i64,
    /// True if its fragments hold media of other tracks too.
    pub muxed: bool,
    /// What lies between the span before and this one.
    pub joint: Joint,
    /// At least one, in order.
    pub fragments: &'a [IndexEntry],
}

/// What lies between two spans of one track, or in front of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Joint {
    /// How long the track has nothing, in ticks; 0 if it goes on at once. In front of the first span: from the in point on.
    pub hole_ticks: u64,
    /// True if another init segment is needed from here on; always true for the first.
    pub new_init: bool,
}

impl Reel<'_> {
    /// The ids of all tracks that have media in it, in order.
    pub fn track_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.runs.iter().flat_map(|run| &run.tracks).map(|track| track.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl<'a> ReelRun<'a> {
    /// One of its tracks, if that has media of it.
    pub fn track(&self, id: u32) -> Option<&ReelTrack<'a>> {
        self.tracks.iter().find(|track| track.id == id)
    }
}

impl<'a> ReelTrack<'a> {
    /// All its fragments in order, each with its span.
    pub fn fragments(&self) -> impl Iterator<Item = (&Span<'a>, &'a IndexEntry)> {
        self.spans.iter().flat_map(|span| span.fragments.iter().map(move |fragment| (span, fragment)))
    }

    /// When its first fragment begins, in ticks of presentation time; that may be before the in point, and after it.
    pub fn first_ticks(&self) -> i64 {
        self.spans.first().map_or(self.in_ticks, Span::start_ticks)
    }

    /// What of `range`, which is that of its run, it has no media of.
    pub fn holes(&self, range: Range) -> Ranges {
        let at = |ticks| MediaTime::new(ticks, self.timescale).instant();
        let mut there = Ranges::none();
        for (n, span) in self.spans.iter().enumerate() {
            // What is no hole is closed: rounding leaves a tick or two.
            let joined = self.spans.get(n + 1).filter(|next| next.joint.hole_ticks == 0);
            there.add(Range::new(
                at(span.start_ticks()),
                at(joined.map_or(span.end_ticks(), Span::start_ticks)),
            ));
        }
        let missing = there.missing_in(range);
        // In and out point lie between ticks.
        let tick = std::time::Duration::from_nanos(at(1).ns().unsigned_abs());
        missing.as_slice().iter().filter(|hole| hole.duration() > tick).copied().collect()
    }
}

impl Span<'_> {
    /// When a fragment of it begins, in ticks of presentation time.
    pub fn presented(&self, fragment: &IndexEntry) -> i64 {
        start(fragment, self.shift_ticks)
    }

    /// When it begins, in ticks of presentation time.
    pub fn start_ticks(&self) -> i64 {
        self.fragments.first().map_or(0, |fragment| self.presented(fragment))
    }

    /// When it ends, in ticks of presentation time.
    pub fn end_ticks(&self) -> i64 {
        self.fragments.last().map_or(0, |fragment| end(fragment, self.shift_ticks))
    }

    /// Which init segment it needs; `None` where that is not known.
    pub fn init(&self) -> Option<u64> {
        self.traits.map(|traits| traits.init)
    }
}

/// The fragments of a clip. `indexes` has that of each of its chunks, as the ledger numbers tracks; a chunk without one has no
/// media. `tracks` are the ids of those that are wanted; empty: all that are the channel's.
pub fn reel<'a>(clip: &Clip, indexes: &'a BTreeMap<Cell, Index>, tracks: &[u32]) -> Reel<'a> {
    let of_run = |run: &Run| reel_run(run, indexes, tracks);
    Reel { runs: clip.runs().map(of_run).collect() }
}

/// A track of a chunk.
#[derive(Clone, Copy)]
struct Piece<'a> {
    cell: Cell,
    track: &'a TrackIndex,
    muxed: bool,
}

fn reel_run<'a>(run: &Run, indexes: &'a BTreeMap<Cell, Index>, tracks: &[u32]) -> ReelRun<'a> {
    let mut pieces: BTreeMap<u32, Vec<Piece<'a>>> = BTreeMap::new();
    for cell in &run.chunks {
        let Some(index) = indexes.get(cell) else { continue };
        let muxed = index.is_muxed();
        let is_wanted = |id: u32| id != 0 && (tracks.is_empty() || tracks.contains(&id));
        for track in index.tracks.iter().filter(|track| is_wanted(track.track_id)) {
            pieces.entry(track.track_id).or_default().push(Piece { cell: *cell, track, muxed });
        }
    }
    let tracks = pieces.into_iter().filter_map(|(id, pieces)| reel_track(id, run.range, &pieces));
    ReelRun { range: run.range, tracks: tracks.collect() }
}

/// `None` if the track has no media in the range.
fn reel_track<'a>(id: u32, range: Range, pieces: &[Piece<'a>]) -> Option<ReelTrack<'a>> {
    let timescale = pieces.first()?.track.timescale;
    let tick = |at| MediaTime::first_at_or_after(at, timescale).ticks;
    let (in_ticks, out_ticks) = (tick(range.start), tick(range.end));
    let mut spans = Spans { in_ticks, found: Vec::new(), has_in: false };
    // An id stands for one timescale; another one is a damaged index's.
    for piece in pieces.iter().filter(|piece| piece.track.timescale == timescale) {
        spans.take(*piece, out_ticks);
    }
    let spans = spans.finish();
    (!spans.is_empty()).then_some(ReelTrack { id, timescale, in_ticks, out_ticks, spans })
}

/// The spans of a track, as they are found.
struct Spans<'a> {
    in_ticks: i64,
    found: Vec<Span<'a>>,
    /// True once the first fragment that is played is found. Those before it may still go.
    has_in: bool,
}

impl<'a> Spans<'a> {
    /// Takes over the fragments of a chunk that begin before the out point.
    fn take(&mut self, piece: Piece<'a>, out_ticks: i64) {
        let shift = piece.track.presentation_shift_ticks();
        let all = piece.track.fragments.as_slice();
        // Of the span that is being filled: where it begins, and where it would go on.
        let (mut first, mut next) = (0, None);
        for (n, fragment) in all.iter().enumerate().filter(|(_, f)| start(f, shift) < out_ticks) {
            let (starts, lasts) = (start(fragment, shift), i64::from(fragment.duration_ticks));
            let before = self.found.last().and_then(|span| Some((span.end_ticks(), span.fragments.last()?)));
            let before = before.map(|(ends, last)| (ends, i64::from(last.duration_ticks)));
            // Where chunks overlap, what the one before has already is left out.
            if before.is_some_and(|(ends, _)| starts.saturating_add(lasts / 2) < ends) {
                continue;
            }
            // Up to half a fragment is rounding.
            let hole = before.and_then(|(ends, lasted)| {
                let ticks = starts.saturating_sub(ends);
                (ticks > lasts.max(lasted) / 2).then_some(ticks.unsigned_abs())
            });
            let is_played = end(fragment, shift) > self.in_ticks;
            // Nothing so far is played. A player can begin here, or what is before does not lead here.
            if !self.has_in && (fragment.sync || hole.is_some()) {
                self.found.clear();
            }
            if self.found.is_empty() && !fragment.sync && !is_played {
                continue;
            }
            self.has_in |= is_played;
            match self.found.last_mut().filter(|_| hole.is_none() && next == Some(n)) {
                Some(span) => span.fragments = &all[first..=n],
                None => {
                    first = n;
                    self.found.push(piece.span(shift, hole.unwrap_or(0), &all[n..=n]));
                }
            }
            next = Some(n + 1);
        }
    }

    /// All of them, each with its joint; none if nothing of them is played.
    fn finish(mut self) -> Vec<Span<'a>> {
        if !self.has_in {
            return Vec::new();
        }
        let mut before: Option<(u32, Option<u64>)> = None;
        for span in &mut self.found {
            let now = (span.file_track_id, span.init());
            match before {
                None => {
                    let late = span.start_ticks().saturating_sub(self.in_ticks);
                    span.joint = Joint { hole_ticks: u64::try_from(late).unwrap_or(0), new_init: true };
                }
                // One that is not known may be any.
                Some(before) => span.joint.new_init = now.1.is_none() || before != now,
            }
            before = Some(now);
        }
        self.found
    }
}

impl<'a> Piece<'a> {
    fn span(self, shift_ticks: i64, hole_ticks: u64, fragments: &'a [IndexEntry]) -> Span<'a> {
        Span {
            cell: self.cell,
            file_track_id: self.track.file_track_id,
            traits: self.track.traits.as_ref(),
            shift_ticks,
            muxed: self.muxed,
            joint: Joint { hole_ticks, new_init: false },
            fragments,
        }
    }
}

fn start(fragment: &IndexEntry, shift_ticks: i64) -> i64 {
    i64::try_from(fragment.decode_time).unwrap_or(i64::MAX).saturating_add(shift_ticks)
}

fn end(fragment: &IndexEntry, shift_ticks: i64) -> i64 {
    start(fragment, shift_ticks).saturating_add(i64::from(fragment.duration_ticks))
}

#[cfg(test)]
mod tests;
