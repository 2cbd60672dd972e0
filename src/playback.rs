//! Playback: from the ledger to a clip. What the rows say becomes the plain values that [`crate::clip`] cuts from; nothing is
//! decided here, and for a clip no store is asked: what it needs of the header of a chunk, where an old index lacks it, is told as
//! a value, and handed in by whoever reads stores. That is [`movie`], for one: a clip as a file.
//!
//! For a clip of chunks, fragment indexes are read only of the few in which all tracks may have a hole at once: elsewhere rows
//! say enough. [`Footage`] is a clip with the indexes of all its chunks.

mod footage;
pub mod movie;

use std::collections::BTreeMap;

use crate::clip::{self, Ask, Clip, Lack, PRIMING, Part, cut, hole};
use crate::error::{Context, Result};
use crate::grid::{Cell, Grid};
use crate::ledger::{Coverage, GapRow, Ledger, Shelved, State, TrackRow};
use crate::media::Index;
use crate::time::{Range, Time};

pub use footage::{Footage, HeaderWanted, MAX_FRAGMENTS, footage};

/// What there is of `ask` at `now`, on a channel whose grid is `grid` today.
///
/// # Errors
/// Those of the ledger.
pub fn clip(ledger: &dyn Ledger, channel: &str, grid: Grid, ask: &Ask, now: Time) -> Result<Clip> {
    let part = |asked: &Range| part(ledger, channel, grid, *asked, now);
    Ok(Clip { parts: ask.ranges().iter().map(part).collect::<Result<_>>()? })
}

/// The tracks that the chunk of a cell has media of, in the order of the chunk.
///
/// # Errors
/// Those of the ledger; [`crate::error::Kind::Corrupt`] for an index that cannot be read.
pub fn tracks(ledger: &dyn Ledger, channel: &str, cell: Cell) -> Result<Vec<TrackRow>> {
    let Some(bytes) = ledger.index(channel, cell)? else { return Ok(Vec::new()) };
    let index = decode(channel, cell, &bytes)?;
    let known = ledger.tracks(channel)?;
    let with_media = index.tracks.iter().filter(|track| !track.fragments.is_empty());
    let of = |id: u32| known.iter().find(|row| row.id == id).cloned();
    Ok(with_media.filter_map(|track| of(track.track_id)).collect())
}

/// The index of a chunk.
fn decode(channel: &str, cell: Cell, bytes: &[u8]) -> Result<Index> {
    let index = Index::decode(bytes).map_err(|e| e.hint(format!("npvr verify --repair {channel}")));
    index.with_context(|| format!("channel {channel}: chunk {cell}"))
}

fn part(ledger: &dyn Ledger, channel: &str, grid: Grid, asked: Range, now: Time) -> Result<Part> {
    // What is before it may be needed for priming.
    let within = Range::new(asked.start.minus(PRIMING), asked.end);
    let rows = ledger.shelf(channel, within)?;
    let lacks = match rows.iter().any(|row| is_partial(&row)) {
        true => lacks(ledger, channel, within, &rows)?,
        false => Vec::new(),
    };
    let mut shelf: Vec<clip::Shelved> = rows.iter().map(shelved).collect();
    // The chunk in which the archive begins is tried again, and never gets what was before.
    if let Some(since) = ledger.since(channel)? {
        let first = shelf.iter_mut().find(|s| s.stored && s.cell.range().contains(since));
        first.into_iter().for_each(|first| first.settled = true);
    }
    Ok(cut(asked, &shelf, &lacks, grid, now))
}

fn shelved(row: &Shelved) -> clip::Shelved {
    let done = matches!(row.state, State::Complete | State::Partial | State::Lost);
    clip::Shelved {
        cell: row.cell,
        stored: row.stored.is_some(),
        settled: done && !row.retry,
        capturing: row.state == State::Capturing,
    }
}

fn is_partial(row: &&Shelved) -> bool {
    row.stored == Some(Coverage::Partial)
}

/// What the partial chunks among `rows` lack: each track for itself, and all of them together.
fn lacks(ledger: &dyn Ledger, channel: &str, within: Range, rows: &[Shelved]) -> Result<Vec<Lack>> {
    let mut of_cells: BTreeMap<Cell, Vec<GapRow>> = BTreeMap::new();
    for gap in ledger.gaps(channel, within)? {
        of_cells.entry(gap.cell).or_default().push(gap);
    }
    let mut lacks = Vec::new();
    for row in rows.iter().filter(is_partial) {
        let Some(gaps) = of_cells.remove(&row.cell) else { continue };
        let ranges: Vec<(&str, Range)> = gaps.iter().map(|g| (g.gap.track.as_str(), g.gap.range)).collect();
        let mut names: Vec<&str> = ranges.iter().map(|(track, _)| *track).collect();
        names.sort_unstable();
        names.dedup();
        // Only where the tracks that lack something do so at once is it worth asking which others there are.
        if !hole(names, &ranges).is_empty() {
            let there = tracks(ledger, channel, row.cell)?;
            let there: Vec<String> = there.iter().map(|row| row.track.name()).collect();
            let holes = hole(there.iter().map(String::as_str), &ranges);
            let lack = |range: &Range| Lack { cell: row.cell, range: in_ms(*range), track: None };
            lacks.extend(holes.as_slice().iter().map(lack));
        }
        lacks.extend(gaps.into_iter().map(|GapRow { cell, gap, .. }| Lack {
            cell,
            range: in_ms(gap.range),
            track: Some(gap.track),
        }));
    }
    Ok(lacks)
}

/// In whole milliseconds, which is as much as anybody plays by: media begins and ends in ticks of its own timescale.
fn in_ms(range: Range) -> Range {
    Range::new(range.start.floor_ms(), range.end.floor_ms())
}
