//! What a channel lacks or may lose, and what is held, as its page tells it: with the reason, and what can still be done.

use std::collections::BTreeMap;

use super::moments::{moment, stretch};
use crate::error::Result;
use crate::grid::Cell;
use crate::http::App;
use crate::ledger::{GapRow, Shelved, State};
use crate::plan;
use crate::status::Held;
use crate::time::{Range, Time, human_duration};
use crate::words::{counted, human_bytes};

/// So many gaps are listed.
const MOST_GAPS: usize = 200;

/// Media that is not there.
pub(super) struct Gap {
    pub(super) track: String,
    pub(super) when: String,
    pub(super) length: String,
    pub(super) reason: String,
    /// What can still be done.
    pub(super) fate: &'static str,
    /// The cells that it is in, for a link.
    pub(super) cells: Range,
}

/// A cell that may be lost.
pub(super) struct Risk {
    pub(super) when: String,
    pub(super) deadline: String,
    pub(super) left: String,
    pub(super) reason: String,
}

/// A range of which nothing is pruned.
pub(super) struct Hold {
    pub(super) id: String,
    pub(super) when: String,
    pub(super) note: String,
    pub(super) until: String,
    pub(super) told: String,
}

/// The gaps within a span, the latest first, and how many more there are. What goes on from chunk to chunk, for the same reason and
/// with the same prospect, is one gap; so is what several tracks lack at once.
pub(super) fn gaps(app: &App, name: &str, within: Range, shelf: &[Shelved]) -> Result<(Vec<Gap>, usize)> {
    let mut rows = app.place.ledger.gaps(name, within)?;
    rows.retain(|row| row.gap.reason != crate::capture::BEFORE_THE_ARCHIVE);
    let merged = merged(&rows, |cell| fate(shelf, cell));
    let more = merged.len().saturating_sub(MOST_GAPS);
    let gap = |hole: &Hole<'_>| Gap {
        track: hole.tracks.join(", "),
        when: stretch(hole.range),
        length: human_duration(hole.range.duration()),
        reason: hole.reason.to_owned(),
        fate: hole.fate,
        cells: hole.cells,
    };
    Ok((merged.iter().rev().take(MOST_GAPS).map(gap).collect(), more))
}

/// Gaps that are told as one.
#[derive(Debug, PartialEq, Eq)]
struct Hole<'a> {
    tracks: Vec<&'a str>,
    range: Range,
    /// From the start of the first cell that it is in to the end of the last.
    cells: Range,
    reason: &'a str,
    fate: &'static str,
}

/// `rows` are by start, then track.
fn merged(rows: &[GapRow], fate: impl Fn(Cell) -> &'static str) -> Vec<Hole<'_>> {
    let mut of_tracks: BTreeMap<&str, Vec<Hole<'_>>> = BTreeMap::new();
    for row in rows {
        let (range, reason, fate) = (row.gap.range, row.gap.reason.as_str(), fate(row.cell));
        let holes = of_tracks.entry(&row.gap.track).or_default();
        match holes.last_mut() {
            Some(last) if last.range.end == range.start && (last.reason, last.fate) == (reason, fate) => {
                last.range.end = range.end;
                last.cells.end = row.cell.end();
            }
            _ => {
                let tracks = vec![row.gap.track.as_str()];
                holes.push(Hole { tracks, range, cells: row.cell.range(), reason, fate });
            }
        }
    }
    let mut all: Vec<Hole<'_>> = of_tracks.into_values().flatten().collect();
    // Stable: what is alike stays in the order of its tracks.
    all.sort_by_key(|hole| (hole.range, hole.reason, hole.fate));
    all.dedup_by(|next, hole| {
        let alike = (next.range, next.reason, next.fate) == (hole.range, hole.reason, hole.fate);
        if alike {
            hole.tracks.append(&mut next.tracks);
        }
        alike
    });
    all
}

/// What can still be done about what a cell lacks.
fn fate(shelf: &[Shelved], cell: Cell) -> &'static str {
    let row = shelf.binary_search_by(|row| row.cell.cmp(&cell)).ok().map(|at| &shelf[at]);
    match row.map(|row| (row.state, row.retry)) {
        Some((State::Capturing, _)) => "being captured again now",
        Some((_, true)) => "captured again by a later check, if the source has it by then",
        Some((State::Lost, _)) => "nothing: the source no longer holds it",
        Some(_) => "nothing: the source has no more of it",
        None => "pruned",
    }
}

impl Risk {
    pub(super) fn new(risk: &plan::Risk, now: Time) -> Risk {
        Risk {
            when: stretch(risk.cell.range()),
            deadline: moment(risk.deadline),
            left: match risk.deadline > now {
                true => format!("in {}", human_duration(risk.deadline.since(now))),
                false => "being lost".to_owned(),
            },
            reason: risk.reason.clone(),
        }
    }
}

impl Hold {
    pub(super) fn new(hold: &Held) -> Hold {
        let until = hold.until.map_or("until it is removed".to_owned(), |at| format!("until {}", moment(at)));
        Hold {
            id: hold.id.to_string(),
            when: stretch(hold.range),
            note: hold.note.clone().unwrap_or_default(),
            until: if hold.in_force { until } else { "has run out".to_owned() },
            told: format!("{}, {}", counted(hold.chunks, "chunk"), human_bytes(hold.bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger;

    fn row(track: &str, from: i64, to: i64, cell: i64, reason: &str) -> GapRow {
        let at = |from, to| Range::new(Time::from_s(from), Time::from_s(to));
        let gap = ledger::Gap { track: track.to_owned(), range: at(from, to), reason: reason.to_owned() };
        GapRow { cell: Cell::from_range(at(cell, cell + 10)), gap, recorded: Time::EPOCH }
    }

    #[test]
    fn an_outage_is_one_gap_however_many_chunks_and_tracks_it_goes_through() {
        let rows = [
            row("audio", 0, 10, 0, "gone"),
            row("video", 0, 10, 0, "gone"),
            row("audio", 10, 14, 10, "gone"),
            row("video", 10, 14, 10, "gone"),
            row("video", 14, 16, 10, "404"),
            row("audio", 20, 21, 20, "gone"),
        ];
        let merged = merged(&rows, |_| "nothing");
        let told: Vec<_> = merged
            .iter()
            .map(|h| (h.tracks.join(" "), h.range.start.s(), h.range.end.s(), h.cells.end.s()))
            .collect();
        assert_eq!(
            told,
            [
                ("audio video".to_owned(), 0, 14, 20),
                ("video".to_owned(), 14, 16, 20),
                ("audio".to_owned(), 20, 21, 30)
            ]
        );
    }

    #[test]
    fn what_may_still_be_had_is_not_told_as_lost() {
        let rows = [row("video", 0, 10, 0, "404"), row("video", 10, 20, 10, "404")];
        let fates = |cell: Cell| if cell.start() == Time::EPOCH { "lost" } else { "tried again" };
        assert_eq!(merged(&rows, fates).len(), 2);
    }
}
