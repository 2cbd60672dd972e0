//! What a capture leaves behind for the next one, beside the spool file: a small text in the cell's ledger row.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::place::Anchor;
use crate::ledger::Gap;
use crate::source::TrackListing;
use crate::time::{Range, Ranges, Time};

/// What is known of an unfinished cell. Losing it loses no media: what can be read from the spool file is read there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Everything before this is in the spool, or known to be missing.
    pub(crate) until: Option<Time>,
    /// True if what is in the spool was made by another program: the `unified` engine.
    #[serde(default)]
    pub(crate) unified: bool,
    /// By track name.
    pub(crate) tracks: BTreeMap<String, TrackProgress>,
    /// Segments that were given up: track, range, reason.
    pub(crate) misses: Vec<(String, Range, String)>,
}

/// What is known of one track.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrackProgress {
    /// Its id in the chunk file, once it has a fragment there.
    pub(crate) id: Option<u32>,
    /// Its number in the file, where another program gave it one of its own.
    #[serde(default)]
    pub(crate) file_id: Option<u32>,
    /// How long the source's segments are at most, where fragments need not be segments.
    #[serde(default)]
    pub(crate) segment: Option<Duration>,
    /// What the source was seen to hold of it in and around the cell.
    pub(crate) seen: Ranges,
    /// The end of the last segment that is in the spool as a whole, as the manifest announced it.
    pub(crate) done: Option<Time>,
    /// The shift of that segment, and whether it is the manifest's own.
    pub(crate) anchor: Option<(i64, bool)>,
}

impl Progress {
    /// Reads what [`Progress::text`] wrote. A text that cannot be read is as good as none.
    pub(crate) fn read(text: Option<&str>) -> Progress {
        text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
    }

    /// As it is kept in the ledger.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Adds what a listing shows of the tracks.
    pub(crate) fn see(&mut self, listing: &[TrackListing]) {
        for of_track in listing {
            let seen = &mut self.track(&of_track.track.name()).seen;
            of_track.held.as_slice().iter().for_each(|range| seen.add(*range));
        }
    }

    /// What is known of a track.
    pub(crate) fn track(&mut self, name: &str) -> &mut TrackProgress {
        self.tracks.entry(name.to_owned()).or_default()
    }

    /// The segments that were given up, as gaps.
    pub(crate) fn missed(&self) -> Vec<Gap> {
        let gap = |(track, range, reason): &(String, Range, String)| Gap {
            track: track.clone(),
            range: *range,
            reason: reason.clone(),
        };
        self.misses.iter().map(gap).collect()
    }
}

impl TrackProgress {
    /// How the last segment was moved onto the epoch.
    pub(crate) fn anchor(&self) -> Option<Anchor> {
        self.anchor.map(|(shift_ticks, agrees)| Anchor { shift_ticks, agrees })
    }
}

/// Up to where a cell is in the spool, by the text in its row.
pub fn spooled_until(progress: Option<&str>) -> Option<Time> {
    Progress::read(progress).until
}
