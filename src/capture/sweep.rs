//! Clearing up after dead runs: spool files that nobody will carry on.

use std::ffi::OsStr;
use std::fs::{self, File};

use super::Workplace;
use super::spool::Spool;
use crate::error::{Context, Result};
use crate::grid::Cell;
use crate::ledger::{CellRow, State};
use crate::time::Range;

/// Deletes the spool files of a channel whose cells are settled (a run was killed after the commit and before it deleted its
/// spool), and half-made replacements. `rows` are the channel's cells, sorted. A file that is locked is in use and stays; so
/// does one of a cell that is still to be captured: it holds media.
///
/// # Errors
/// A spool folder that cannot be read, a file that cannot be deleted.
pub fn sweep(place: &Workplace, channel: &str, rows: &[CellRow]) -> Result<()> {
    let folder = place.spool.join(channel);
    let entries = match fs::read_dir(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("read {}", folder.display()))?,
    };
    for entry in entries {
        let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
        let cell = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse::<Range>().ok());
        let Some(cell) = cell.map(Cell::from_range) else { continue };
        if path.extension() == Some(OsStr::new("new")) {
            let is_free = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if is_free {
                fs::remove_file(&path).with_context(|| format!("delete {}", path.display()))?;
            }
            continue;
        }
        let row = rows.binary_search_by_key(&cell, |row| row.cell).ok().map(|at| &rows[at]);
        let is_settled =
            row.is_some_and(|r| matches!(r.state, State::Complete | State::Partial | State::Lost));
        if is_settled && let Some(spool) = Spool::lock(&place.spool, channel, cell)? {
            spool.remove()?;
        }
    }
    Ok(())
}
