//! From what is archived of one range to its runs and its gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::grid::{Cell, Grid};
use crate::time::{Range, Ranges, Time};

/// A chunk holds the segments that start in its cell. So media of an instant soon after the start of a cell also lies in the
/// chunk before, which then goes first, for priming. Soon is as long as a segment may be: origins publish up to ten seconds.
pub const PRIMING: Duration = Duration::from_secs(10);

/// How long after its end a cell may take to be archived: settling, a run of cron every few minutes, and the capture itself.
/// Until then what is not there is not missing.
const SOON: Duration = Duration::from_secs(600);

/// How many chunks are looked through for the one before: some may overlap where `chunk_duration` was changed.
const NEAR: usize = 16;

/// One cell as the ledger has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelved {
    /// Which cell. Cells of different durations may overlap.
    pub cell: Cell,
    /// True if a chunk of it is stored.
    pub stored: bool,
    /// True if nothing of it is to change: it is complete, lost, or partial and not tried again.
    pub settled: bool,
    /// True while it is being captured: it is going to be there in a moment.
    pub capturing: bool,
}

/// What a stored chunk lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The cell of the chunk.
    pub cell: Cell,
    /// What is not there.
    pub range: Range,
    /// Which track lacks it; `None`: no track has media there.
    pub track: Option<String>,
}

/// What there is of one range that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What was asked for.
    pub asked: Range,
    /// What can be played of it, in order; they do not overlap.
    pub runs: Vec<Run>,
    /// What is missing of it: by start, and what lacks everything before what lacks a track.
    pub gaps: Vec<Gap>,
    /// True if nothing in it will change, as far as can be foreseen: it is over, and all its cells are settled.
    pub closed: bool,
    /// Where something is still to come: the instant up to which nothing is expected that is not there. What lies before may be shown
    /// to who is shown the rest later, for nothing will be put in between. Else its end.
    pub settled_until: Time,
}

/// A stretch that plays without a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// From the in point to the out point.
    pub range: Range,
    /// The chunks it is played from, in order, each beginning where the one before ends. Those that end at or before the in
    /// point are there for priming.
    pub chunks: Vec<Cell>,
}

/// What is missing of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What is not there.
    pub range: Range,
    /// What of it.
    pub what: Missing,
}

/// What is missing in a gap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// Everything.
    All,
    /// Everything, as it is not archived yet: it lies ahead, or has only just been.
    NotYet,
    /// One track, by name.
    Track(String),
}

/// A stretch of one chunk in which some track has media.
#[derive(Debug, Clone, Copy)]
struct Piece {
    range: Range,
    cell: Cell,
}

/// Cuts `asked` from the cells that touch it and the [`PRIMING`] before it, by start, then end; `lacks` are those of the stored
/// ones. `grid` is today's.
pub fn cut(asked: Range, shelf: &[Shelved], lacks: &[Lack], grid: Grid, now: Time) -> Part {
    let runs = runs(asked, &pieces(shelf, lacks));
    let played: Ranges = runs.iter().map(|run| run.range).collect();
    let nothing = played.missing_in(asked);
    let expected_from = expected_from(asked, shelf, grid, now);
    let mut gaps: Vec<Gap> = nothing.as_slice().iter().flat_map(|r| told(*r, expected_from)).collect();
    gaps.extend(track_gaps(asked, &runs, &nothing, lacks));
    gaps.sort_by(|a, b| (a.range.start, &a.what).cmp(&(b.range.start, &b.what)));
    let settled_until =
        asked.end.min(expected_from).min(unsettled(asked, shelf.iter(), now)).max(asked.start);
    Part { asked, runs, gaps, closed: is_closed(asked, shelf, now), settled_until }
}

/// From when on what is not there is only not there yet: behind all that is there, and where a cell is being captured while
/// cells behind it are there. One that comes for priming comes in front of what is there, too.
fn expected_from(asked: Range, shelf: &[Shelved], grid: Grid, now: Time) -> Time {
    let settled = shelf.iter().filter(|s| s.stored || s.settled).map(|s| s.cell.end()).max();
    let near = Range::new(asked.start.minus(PRIMING), asked.end);
    let captured = unsettled(near, shelf.iter().filter(|s| s.capturing && !s.stored), now);
    grid.cell_at(now.minus(SOON)).start().max(settled.unwrap_or(Time::EPOCH)).min(captured)
}

/// The stretches of all stored chunks, by start.
fn pieces(shelf: &[Shelved], lacks: &[Lack]) -> Vec<Piece> {
    let mut holes: BTreeMap<Cell, Ranges> = BTreeMap::new();
    for lack in lacks.iter().filter(|lack| lack.track.is_none()) {
        holes.entry(lack.cell).or_default().add(lack.range);
    }
    let mut pieces = Vec::with_capacity(shelf.len());
    for Shelved { cell, .. } in shelf.iter().filter(|s| s.stored) {
        match holes.get(cell) {
            None => pieces.push(Piece { range: cell.range(), cell: *cell }),
            Some(holes) => {
                let media = holes.missing_in(cell.range());
                pieces.extend(media.as_slice().iter().map(|range| Piece { range: *range, cell: *cell }));
            }
        }
    }
    pieces.sort_by_key(|piece| piece.range);
    pieces
}

/// Takes, from the start of `asked` on, always the piece that reaches furthest.
fn runs(asked: Range, pieces: &[Piece]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut at, mut next) = (asked.start, 0);
    let mut furthest: Option<usize> = None;
    while at < asked.end {
        while let Some(piece) = pieces.get(next).filter(|piece| piece.range.start <= at) {
            // Of two that reach as far, the later one is the more likely to begin where the one before ended.
            if furthest.is_none_or(|n| pieces[n].range.end <= piece.range.end) {
                furthest = Some(next);
            }
            next += 1;
        }
        let Some(n) = furthest.filter(|n| pieces[*n].range.end > at) else {
            match pieces.get(next) {
                Some(piece) => at = piece.range.start,
                None => break,
            }
            continue;
        };
        let piece = pieces[n];
        let out = piece.range.end.min(asked.end);
        match runs.last_mut().filter(|run| goes_on(run, at, piece)) {
            Some(run) => {
                run.range.end = out;
                run.chunks.push(piece.cell);
            }
            None => {
                let mut chunks = primers(at, n, pieces);
                chunks.push(piece.cell);
                runs.push(Run { range: Range::new(at, out), chunks });
            }
        }
        at = piece.range.end;
    }
    runs
}

/// True if the run plays on in `piece`: neither a hole nor media twice lies between.
fn goes_on(run: &Run, at: Time, piece: Piece) -> bool {
    let joins = run.chunks.last().is_some_and(|last| last.end() == at);
    run.range.end == at && joins && piece.range.start == at && piece.cell.start() == at
}

/// The chunks before `pieces[n]` that may hold media of the instant `at`, at which a run begins in it.
fn primers(at: Time, n: usize, pieces: &[Piece]) -> Vec<Cell> {
    let mut found = Vec::new();
    let mut first = pieces[n];
    // Where the piece begins behind a hole, nothing reaches over it.
    while first.range.start == first.cell.start() && first.cell.start() > at.minus(PRIMING) {
        let joins = |p: &&Piece| p.range.end == first.cell.start() && p.cell.end() == first.cell.start();
        let Some(before) = pieces[..n].iter().rev().take(NEAR).find(joins) else { break };
        found.push(before.cell);
        first = *before;
    }
    found.reverse();
    found
}

/// A stretch of which nothing is there: what of it is missing, and what is only not there yet.
fn told(range: Range, expected_from: Time) -> impl Iterator<Item = Gap> {
    let missing = Range::new(range.start, range.end.min(expected_from));
    let not_yet = Range::new(range.start.max(expected_from), range.end);
    let both = [(missing, Missing::All), (not_yet, Missing::NotYet)];
    both.into_iter().filter(|(range, _)| !range.is_empty()).map(|(range, what)| Gap { range, what })
}

/// What single tracks lack of the chunks that are played, where not everything is missing anyway.
fn track_gaps(asked: Range, runs: &[Run], nothing: &Ranges, lacks: &[Lack]) -> Vec<Gap> {
    if lacks.is_empty() {
        return Vec::new();
    }
    let played: BTreeSet<Cell> = runs.iter().flat_map(|run| &run.chunks).copied().collect();
    let mut of_tracks: BTreeMap<&str, Ranges> = BTreeMap::new();
    for lack in lacks.iter().filter(|lack| played.contains(&lack.cell)) {
        if let Some(track) = &lack.track {
            // One gap of several chunks is told once.
            of_tracks.entry(track).or_default().add(lack.range.intersect(asked));
        }
    }
    let gaps = of_tracks.into_iter().flat_map(|(track, lacking)| {
        let of = |range: &Range| Gap { range: *range, what: Missing::Track(track.to_owned()) };
        lacking.minus(nothing).as_slice().iter().map(of).collect::<Vec<_>>()
    });
    gaps.collect()
}

/// When the first cell begins that may yet become another, and is not too old to wait for.
fn unsettled<'a>(asked: Range, shelf: impl Iterator<Item = &'a Shelved>, now: Time) -> Time {
    let touching = shelf.filter(|s| !s.cell.range().intersect(asked).is_empty());
    let coming = touching.filter(|s| !s.settled && s.cell.end() > now.minus(SOON));
    coming.map(|s| s.cell.start()).min().unwrap_or(Time::MAX)
}

/// True if `asked` is over, and every instant of it lies in a settled cell, and in no other.
fn is_closed(asked: Range, shelf: &[Shelved], now: Time) -> bool {
    let touching = || shelf.iter().filter(|s| !s.cell.range().intersect(asked).is_empty());
    let until = touching().fold(asked.start, |at, s| match s.cell.start() <= at {
        true => at.max(s.cell.end()),
        false => at,
    });
    asked.end <= now && until >= asked.end && touching().all(|s| s.settled)
}
