//! What the chunk of the cell before says of this cell: its last segments may reach into it.

use std::collections::HashMap;

use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::Ledger;
use crate::media::Index;
use crate::time::{MediaTime, Range, Time};

/// Where each track of the chunk before ends, by name; nothing if that chunk is not stored. By decode times: a hole that
/// begins there is exact but for the track's edit list.
///
/// # Errors
/// Those of the ledger.
pub(crate) fn ends(ledger: &dyn Ledger, channel: &str, cell: Cell) -> Result<HashMap<String, Time>> {
    let start = cell.start();
    let rows = ledger.cells(channel, Range::new(start.offset_ns(-1), start))?;
    let Some(row) = rows.into_iter().find(|row| row.cell.end() == start) else { return Ok(HashMap::new()) };
    let Some(index) = ledger.index(channel, row.cell)? else { return Ok(HashMap::new()) };
    let index = Index::decode(&index)?;
    let names: HashMap<u32, String> =
        ledger.tracks(channel)?.into_iter().map(|row| (row.id, row.track.name())).collect();
    let end = |track: &crate::media::TrackIndex| {
        let last = track.fragments.last()?;
        let ticks = i64::try_from(last.decode_time).ok()?.checked_add(i64::from(last.duration_ticks))?;
        Some((names.get(&track.track_id)?.clone(), MediaTime::new(ticks, track.timescale).instant()))
    };
    Ok(index.tracks.iter().filter_map(end).collect())
}
