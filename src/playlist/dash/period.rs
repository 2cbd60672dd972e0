//! From the runs of a reel to periods. Within a period each track has one init segment, as DASH has it.

use std::collections::BTreeMap;

use crate::clip::{Clip, Reel, ReelRun, Span};
use crate::media::IndexEntry;
use crate::time::{MediaTime, Range, Time, Timescale};

/// A stretch that is played without a break, and in which no track changes its init segment.
#[derive(Debug)]
pub(super) struct Period<'a> {
    /// From its first instant to its last.
    pub(super) range: Range,
    /// By id.
    pub(super) tracks: Vec<PeriodTrack<'a>>,
}

/// What a period has of a track.
#[derive(Debug)]
pub(super) struct PeriodTrack<'a> {
    pub(super) id: u32,
    pub(super) timescale: Timescale,
    /// The tick with which the period begins.
    pub(super) start_ticks: i64,
    /// At least one.
    pub(super) pieces: Vec<Piece<'a>>,
}

/// Fragments that follow one another in one chunk; at least one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) span: &'a Span<'a>,
    pub(super) fragments: &'a [IndexEntry],
}

impl<'a> PeriodTrack<'a> {
    /// What its init segment is made of, and which that is; `None` where it is not known which.
    pub(super) fn init(&self) -> Option<(&'a Span<'a>, Option<(u32, u64)>)> {
        self.pieces.first().map(|piece| (piece.span, identity(piece.span)))
    }

    /// All its fragments.
    pub(super) fn fragments(&self) -> impl Iterator<Item = &'a IndexEntry> {
        self.pieces.iter().flat_map(|piece| piece.fragments)
    }
}

impl Piece<'_> {
    fn start_ticks(&self) -> i64 {
        self.fragments.first().map_or(0, |first| self.span.presented(first))
    }

    fn end_ticks(&self) -> i64 {
        let end = |last| self.span.presented(last).saturating_add(i64::from(last.duration_ticks));
        self.fragments.last().map_or(0, end)
    }
}

/// The periods of a clip, in the order in which they are played; with `keeps_gaps` a gap within a part does not end one.
pub(super) fn periods<'a>(clip: &Clip, reel: &'a Reel<'a>, keeps_gaps: bool) -> Vec<Period<'a>> {
    let mut rest = reel.runs.as_slice();
    let mut all = Vec::new();
    for part in &clip.parts {
        let (of_part, others) = rest.split_at(part.runs.len().min(rest.len()));
        rest = others;
        let at_once = if keeps_gaps { of_part.len().max(1) } else { 1 };
        of_part.chunks(at_once).for_each(|runs| all.extend(Stretch::of(runs).periods()));
    }
    all
}

/// What one init segment is enough for, of a track.
struct Group<'a> {
    /// The period with which it begins, and the one before which it ends.
    from: usize,
    until: usize,
    pieces: Vec<Piece<'a>>,
}

/// Runs that are played as one.
struct Stretch<'a> {
    range: Range,
    tracks: BTreeMap<u32, (Timescale, Vec<Piece<'a>>)>,
}

impl<'a> Stretch<'a> {
    fn of(runs: &'a [ReelRun<'a>]) -> Stretch<'a> {
        let start = runs.first().map_or(Time::EPOCH, |run| run.range.start);
        let range = Range::new(start, runs.last().map_or(start, |run| run.range.end));
        let mut tracks: BTreeMap<u32, (Timescale, Vec<Piece<'a>>)> = BTreeMap::new();
        for track in runs.iter().flat_map(|run| &run.tracks) {
            let (timescale, pieces) = tracks.entry(track.id).or_insert((track.timescale, Vec::new()));
            if *timescale != track.timescale {
                continue;
            }
            for span in &track.spans {
                // What leads to the in point of a later run may be there already.
                let ends = pieces.last().map_or(i64::MIN, Piece::end_ticks);
                let new = span.fragments.partition_point(|fragment| span.presented(fragment) < ends);
                let fragments = if pieces.is_empty() { span.fragments } else { &span.fragments[new..] };
                if !fragments.is_empty() {
                    pieces.push(Piece { span, fragments });
                }
            }
        }
        Stretch { range, tracks }
    }

    fn periods(&self) -> Vec<Period<'a>> {
        let near = self.longest_fragment_ns();
        let cuts = self.cuts(near);
        let groups: Vec<(u32, Timescale, Vec<Group<'a>>)> = (self.tracks.iter())
            .map(|(id, (timescale, pieces))| (*id, *timescale, groups(pieces, *timescale, &cuts, near)))
            .collect();
        let mut all = Vec::new();
        for n in 0..=cuts.len() {
            let start = if n == 0 { self.range.start } else { cuts[n - 1] };
            let range = Range::new(start, cuts.get(n).copied().unwrap_or(self.range.end));
            let tracks = groups.iter().filter_map(|(id, timescale, groups)| {
                let group = groups.iter().find(|group| (group.from..group.until).contains(&n))?;
                of_period(*id, *timescale, group, n, range)
            });
            all.push(Period { range, tracks: tracks.collect() });
        }
        all
    }

    /// The instants at which a track needs another init segment. Tracks change at one moment, and their fragments begin at
    /// instants of their own: what is as near as a fragment lasts is one cut, where the first track has it.
    fn cuts(&self, near: i64) -> Vec<Time> {
        let mut found: Vec<(Time, u32)> = Vec::new();
        for (id, (timescale, pieces)) in &self.tracks {
            for pair in pieces.windows(2).filter(|pair| !is_same_init(pair[0].span, pair[1].span)) {
                let at = MediaTime::new(pair[1].start_ticks(), *timescale).instant();
                if self.range.start < at && at < self.range.end {
                    found.push((at, *id));
                }
            }
        }
        found.sort_unstable();
        let mut cuts: Vec<(Time, u32)> = Vec::new();
        for (at, id) in found {
            match cuts.last_mut() {
                Some(last) if at.signed_ns_since(last.0) < near => {
                    if id < last.1 {
                        *last = (at, id);
                    }
                }
                _ => cuts.push((at, id)),
            }
        }
        cuts.into_iter().map(|(at, _)| at).collect()
    }

    fn longest_fragment_ns(&self) -> i64 {
        let of = |(timescale, pieces): &(Timescale, Vec<Piece<'_>>)| {
            let all = pieces.iter().flat_map(|piece| piece.fragments);
            timescale.ns(all.map(|f| i64::from(f.duration_ticks)).max().unwrap_or(0))
        };
        self.tracks.values().map(of).max().unwrap_or(0)
    }
}

/// The pieces of a track by their init segments, each from the period with which it begins.
fn groups<'a>(pieces: &[Piece<'a>], timescale: Timescale, cuts: &[Time], near: i64) -> Vec<Group<'a>> {
    let mut all: Vec<Group<'a>> = Vec::new();
    for piece in pieces {
        let is_same = |group: &Group<'_>| group.pieces.iter().all(|last| is_same_init(last.span, piece.span));
        if let Some(group) = all.last_mut().filter(|group| is_same(group)) {
            group.pieces.push(*piece);
            continue;
        }
        let at = MediaTime::new(piece.start_ticks(), timescale).instant();
        // The cut that was made for it lies no further away than a fragment lasts.
        let from = match all.last_mut() {
            None => 0,
            Some(before) => {
                let from = cuts.partition_point(|cut| cut.signed_ns_since(at) < near);
                before.until = from;
                from
            }
        };
        all.push(Group { from, until: cuts.len() + 1, pieces: vec![*piece] });
    }
    all
}

/// What the `n`th period has of a track.
fn of_period<'a>(
    id: u32,
    timescale: Timescale,
    group: &Group<'a>,
    n: usize,
    range: Range,
) -> Option<PeriodTrack<'a>> {
    let tick = |at| MediaTime::first_at_or_after(at, timescale).ticks;
    let (start_ticks, end_ticks) = (tick(range.start), tick(range.end));
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    for Piece { span, fragments } in &group.pieces {
        let starts = |fragment: &IndexEntry| span.presented(fragment);
        let ends =
            |fragment: &IndexEntry| starts(fragment).saturating_add(i64::from(fragment.duration_ticks));
        let first = match n == group.from {
            true => 0,
            false => {
                let first = fragments.partition_point(|fragment| ends(fragment) <= start_ticks);
                fragments[..(first + 1).min(fragments.len())].iter().rposition(|f| f.sync).unwrap_or(first)
            }
        };
        let last = match n + 1 == group.until {
            true => fragments.len(),
            false => fragments.partition_point(|fragment| starts(fragment) < end_ticks),
        };
        // A piece that is over is needed by none that follows.
        let is_over = n > group.from && fragments.last().is_some_and(|last| ends(last) <= start_ticks);
        match fragments.get(first..last) {
            Some(fragments) if !fragments.is_empty() && !is_over => pieces.push(Piece { span, fragments }),
            _ => {}
        }
    }
    (!pieces.is_empty()).then_some(PeriodTrack { id, timescale, start_ticks, pieces })
}

fn identity(span: &Span<'_>) -> Option<(u32, u64)> {
    Some((span.file_track_id, span.init()?))
}

/// One that is not known may be any, but in one chunk there is one.
fn is_same_init(a: &Span<'_>, b: &Span<'_>) -> bool {
    let (a, b) = ((a.cell, a.file_track_id, identity(a)), (b.cell, b.file_track_id, identity(b)));
    (a.0, a.1) == (b.0, b.1) || (a.2.is_some() && a.2 == b.2)
}
