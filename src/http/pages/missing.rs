//! What a channel lacks or may lose, and what is held, as its page tells it.

use std::time::Duration;

use super::moments::{ceil, floor, moment, stretch};
use crate::plan;
use crate::status::{Held, Missing};
use crate::time::{Range, Time, human_duration};
use crate::words::{counted, human_bytes};

/// Media that is not there.
pub(super) struct Gap {
    pub(super) track: String,
    pub(super) when: String,
    pub(super) length: String,
    pub(super) reason: String,
    /// What can still be done.
    pub(super) prospect: String,
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

/// What is missing within a span, the latest first. What several tracks lack at once is told once.
pub(super) fn gaps(missing: &[Missing], within: Range, cell: Duration) -> Vec<Gap> {
    let mut inside: Vec<&Missing> =
        missing.iter().filter(|one| !one.range.intersect(within).is_empty()).collect();
    let outage = |one: &Missing| (one.range, one.reason.clone(), one.prospect.text.clone());
    // Stable: those of one outage come in the order of their tracks.
    inside.sort_by_key(|one| outage(one));
    let alike = inside.chunk_by(|a, b| outage(a) == outage(b));
    let mut gaps: Vec<Gap> = alike.map(|alike| gap(alike, cell)).collect();
    gaps.reverse();
    gaps
}

/// One gap of those that differ only in their tracks.
fn gap(alike: &[&Missing], cell: Duration) -> Gap {
    let one = alike[0];
    let tracks: Option<Vec<&str>> = alike.iter().map(|one| one.track.as_deref()).collect();
    Gap {
        track: tracks.map_or("all".to_owned(), |tracks| tracks.join(", ")),
        when: stretch(one.range),
        length: human_duration(one.range.duration()),
        reason: one.reason.clone(),
        prospect: one.prospect.text.clone(),
        cells: Range::new(floor(one.range.start, cell), ceil(one.range.end, cell)),
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
    use crate::grid::Cell;
    use crate::status::Prospect;

    fn missing(track: &str, from: i64, to: i64) -> Missing {
        let range = Range::new(Time::from_s(from), Time::from_s(to));
        Missing {
            range,
            track: Some(track.to_owned()),
            reason: "expired".to_owned(),
            cell: Cell::from_range(range),
            cells: 1,
            recorded: None,
            prospect: Prospect { text: "nothing".to_owned(), hope: false, until: None },
        }
    }

    #[test]
    fn an_outage_of_all_tracks_is_told_once_and_the_latest_comes_first() {
        let all = [missing("audio", 0, 10), missing("video", 0, 10), missing("audio", 20, 30)];
        let within = Range::new(Time::from_s(0), Time::from_s(60));
        let of = |within| gaps(&all, within, Duration::from_secs(10));
        let told: Vec<_> = of(within).into_iter().map(|gap| (gap.track, gap.cells.start.s())).collect();
        assert_eq!(told, [("audio".to_owned(), 20), ("audio, video".to_owned(), 0)]);
        assert_eq!(of(Range::new(Time::from_s(10), Time::from_s(20))).len(), 0);
    }
}
