//! What a channel lacks or may lose, and what is held, as its page tells it: with the reason, and what can still be done.

use super::moments::{moment, stretch};
use crate::error::Result;
use crate::grid::Cell;
use crate::http::App;
use crate::ledger::{Shelved, State};
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
    /// Its cell, for a link.
    pub(super) cell: Range,
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

/// The gaps within a span, the latest first, and how many more there are.
pub(super) fn gaps(app: &App, name: &str, within: Range, shelf: &[Shelved]) -> Result<(Vec<Gap>, usize)> {
    let rows = app.place.ledger.gaps(name, within)?;
    let shown = rows.iter().rev().filter(|row| row.gap.reason != crate::capture::BEFORE_THE_ARCHIVE);
    let gap = |row: &crate::ledger::GapRow| Gap {
        track: row.gap.track.clone(),
        when: stretch(row.gap.range),
        length: human_duration(row.gap.range.duration()),
        reason: row.gap.reason.clone(),
        fate: fate(shelf, row.cell),
        cell: row.cell.range(),
    };
    let count = shown.clone().count();
    Ok((shown.take(MOST_GAPS).map(gap).collect(), count.saturating_sub(MOST_GAPS)))
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
