//! What a check saw of a channel, in the form in which the ledger keeps it for `status`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Decision, Standing};
use crate::grid::Cell;
use crate::time::Time;
use crate::timeline::Timeline;

/// What the last check saw of a channel's source, and what it decided to worry about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// Why the source could not be asked, if it could not.
    pub error: Option<String>,
    /// What the source said, if it could be asked.
    pub source: Option<Sight>,
    /// What may be lost, and when.
    pub at_risk: Vec<Risk>,
}

/// What a source said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sight {
    /// The source's clock.
    pub now: Time,
    /// The start of its window.
    pub window_start: Time,
    /// The end of its slowest track.
    pub live_edge: Option<Time>,
    /// False if the presentation is over.
    pub live: bool,
    /// The instant that its times count from, where it said so.
    #[serde(default)]
    pub zero: Option<Time>,
    /// Its selected tracks, as people read them.
    pub tracks: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// A cell that may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Risk {
    /// Which cell.
    pub cell: Cell,
    /// When it begins to be lost.
    pub deadline: Time,
    /// Why it is not in the archive yet.
    pub reason: String,
}

impl Outlook {
    /// What a check that reached the source has to say.
    pub fn new(timeline: &Timeline, decisions: &[Decision]) -> Outlook {
        let risk = |d: &Decision| {
            let deadline = d.deadline.filter(|_| d.standing == Standing::AtRisk)?;
            Some(Risk { cell: d.cell, deadline, reason: d.reason.clone() })
        };
        let sight = Sight {
            now: timeline.now,
            window_start: timeline.window_start,
            live_edge: timeline.common_end(),
            live: timeline.live,
            zero: timeline.zero,
            tracks: timeline.tracks.iter().map(|t| t.track.to_string()).collect(),
            notes: timeline.notes.clone(),
        };
        Outlook { error: None, source: Some(sight), at_risk: decisions.iter().filter_map(risk).collect() }
    }

    /// What a check that did not reach the source has to say: what was seen before still stands.
    #[must_use]
    pub fn unreachable(self, error: String) -> Outlook {
        Outlook { error: Some(error), ..self }
    }

    /// Reads what [`Outlook::text`] wrote; a text that cannot be read is as good as none.
    pub fn read(text: Option<&str>) -> Outlook {
        text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
    }

    /// As the ledger keeps it.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
