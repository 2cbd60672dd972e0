//! From the runs of a reel to periods. Within a period each track has one init segment, as DASH has it, and no hole: where a
//! track of pictures or sound has one, it is not there for a period, and players take another one meanwhile. In a period with a
//! hole they jump over what the other tracks have (Shaka), or stand still (dash.js). What no track of sound has is left out like
//! any gap: of a period that lacks sound where others have some, Shaka makes that none has, and dash.js stands still. Likewise
//! pictures. All of that was seen with Shaka 5.2 and dash.js 5.2.

use std::time::Duration;

use super::Show;
use crate::clip::{ReelRun, ReelTrack, Span};
use crate::media::IndexEntry;
use crate::time::{MediaTime, Range, Time, Timescale};
use crate::track::Medium;

/// A stretch that is played without a break, and in which no track changes its init segment.
#[derive(Debug)]
pub(super) struct Period<'a> {
    /// From its first instant to its last.
    pub(super) range: Range,
    /// When it begins in the presentation.
    pub(super) start: Duration,
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
    fn starts(&self, timescale: Timescale) -> Time {
        MediaTime::new(self.span.start_ticks(), timescale).instant()
    }

    fn ends(&self, timescale: Timescale) -> Time {
        MediaTime::new(self.span.end_ticks(), timescale).instant()
    }
}

/// The periods of a clip, in the order in which they are played. With `keeps_gaps` one begins in the presentation as long after
/// the one before as it did on the wall; ranges that were asked for follow each other at once in any case.
pub(super) fn periods<'a>(show: &Show<'a>) -> Vec<Period<'a>> {
    let Show { clip, reel, keeps_gaps, .. } = *show;
    let mut rest = reel.runs.as_slice();
    let (mut all, mut start) = (Vec::new(), Duration::ZERO);
    for part in &clip.parts {
        let (of_part, others) = rest.split_at(part.runs.len().min(rest.len()));
        rest = others;
        let mut before: Option<Time> = None;
        for mut period in of_part.iter().flat_map(|run| Stretch::of(run, show).periods()) {
            if let Some(before) = before.filter(|_| keeps_gaps) {
                start = start.saturating_add(period.range.start.since(before));
            }
            period.start = start;
            start = start.saturating_add(period.range.duration());
            before = Some(period.range.end);
            all.push(period);
        }
    }
    all
}

/// What one init segment is enough for, of a track, without a hole.
struct Group<'a> {
    /// The period with which it begins, and the one before which it ends.
    from: usize,
    until: usize,
    pieces: Vec<Piece<'a>>,
}

/// A run, its tracks in pieces.
struct Stretch<'a> {
    range: Range,
    tracks: Vec<Line<'a>>,
}

/// A track of a run.
struct Line<'a> {
    id: u32,
    timescale: Timescale,
    medium: Medium,
    pieces: Vec<Piece<'a>>,
}

impl<'a> Line<'a> {
    /// True if the second of two pieces that follow one another cannot be in a period with the first.
    fn breaks(&self, pair: (&Piece<'a>, &Piece<'a>)) -> bool {
        !is_same_init(pair.0.span, pair.1.span)
            || (self.medium != Medium::Text && pair.1.span.joint.hole_ticks > 0)
    }

    fn longest_fragment_ns(&self) -> i64 {
        let all = self.pieces.iter().flat_map(|piece| piece.fragments);
        self.timescale.ns(all.map(|fragment| i64::from(fragment.duration_ticks)).max().unwrap_or(0))
    }

    /// Its pieces by where it breaks, each group with the periods that it is in.
    fn groups(&self, cuts: &[Time], near: i64) -> Vec<Group<'a>> {
        let mut all: Vec<Group<'a>> = Vec::new();
        // The cut that was made for an instant is no further away than that.
        let periods_before = |at: Time| cuts.partition_point(|cut| cut.signed_ns_since(at) < near);
        for piece in &self.pieces {
            let mut from = 0;
            if let Some((group, last)) = all.last_mut().and_then(|g| g.pieces.last().copied().map(|l| (g, l)))
            {
                if !self.breaks((&last, piece)) {
                    group.pieces.push(*piece);
                    continue;
                }
                from = periods_before(piece.starts(self.timescale));
                group.until = match piece.span.joint.hole_ticks {
                    0 => from,
                    _ => periods_before(last.ends(self.timescale)),
                };
            }
            all.push(Group { from, until: cuts.len() + 1, pieces: vec![*piece] });
        }
        all
    }
}

impl<'a> Stretch<'a> {
    fn of(run: &'a ReelRun<'a>, show: &Show<'a>) -> Stretch<'a> {
        let line = |track: &'a ReelTrack<'a>| {
            let shown = show.tracks.iter().find(|shown| shown.id == track.id)?;
            let all = track.spans.iter().map(|span| Piece { span, fragments: span.fragments });
            let medium = shown.track.medium;
            Some(Line { id: track.id, timescale: track.timescale, medium, pieces: all.collect() })
        };
        let mut stretch = Stretch { range: run.range, tracks: run.tracks.iter().filter_map(line).collect() };
        if !show.keeps_gaps {
            stretch.begin_with_media();
        }
        stretch
    }

    /// The first chunk of a run may begin with a segment that is in the chunk before, which is missing: of what no track has,
    /// there is no period.
    fn begin_with_media(&mut self) {
        let starts = self.tracks.iter().filter_map(|line| Some(line.pieces.first()?.starts(line.timescale)));
        if let Some(begins) = starts.min().filter(|begins| self.range.contains(*begins)) {
            self.range = Range::new(begins, self.range.end);
        }
    }

    /// Its periods, as if each began the presentation. One that lacks pictures, or sound, while others have some is left out.
    fn periods(&self) -> Vec<Period<'a>> {
        let near = self.tracks.iter().map(Line::longest_fragment_ns).min().unwrap_or(0) / 2;
        let cuts = self.cuts(near);
        let groups: Vec<(&Line<'a>, Vec<Group<'a>>)> =
            self.tracks.iter().map(|line| (line, line.groups(&cuts, near))).collect();
        let mut all = Vec::new();
        for n in 0..=cuts.len() {
            let from = if n == 0 { self.range.start } else { cuts[n - 1] };
            let range = Range::new(from, cuts.get(n).copied().unwrap_or(self.range.end));
            let tracks = groups.iter().filter_map(|(line, groups)| {
                let group = groups.iter().find(|group| (group.from..group.until).contains(&n))?;
                of_period(line.id, line.timescale, group, n, range)
            });
            let tracks: Vec<PeriodTrack<'a>> = tracks.collect();
            let has = |medium| {
                self.tracks.iter().any(|l| l.medium == medium && tracks.iter().any(|t| t.id == l.id))
            };
            if self.tracks.iter().all(|line| line.medium == Medium::Text || has(line.medium))
                && !tracks.is_empty()
            {
                all.push(Period { range, start: Duration::ZERO, tracks });
            }
        }
        all
    }

    /// The instants at which a track breaks. Tracks break at one moment, and their fragments begin at instants of their own: what
    /// is near is one cut, where the first track has it.
    fn cuts(&self, near: i64) -> Vec<Time> {
        let mut found: Vec<(Time, u32)> = Vec::new();
        for line in &self.tracks {
            for pair in line.pieces.windows(2).filter(|pair| line.breaks((&pair[0], &pair[1]))) {
                found.push((pair[1].starts(line.timescale), line.id));
                if pair[1].span.joint.hole_ticks > 0 {
                    found.push((pair[0].ends(line.timescale), line.id));
                }
            }
        }
        found.retain(|(at, _)| self.range.start < *at && *at < self.range.end);
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
