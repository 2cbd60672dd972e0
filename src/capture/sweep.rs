//! Clearing up after dead runs: spool files that nobody will carry on.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;

use super::Workplace;
use super::spool::{PART, Spool};
use crate::error::{Context, Kind, Result};
use crate::grid::Cell;
use crate::ledger::{CellRow, State};
use crate::time::Range;

/// Deletes the spool files of a channel whose cells are settled (a run was killed after the commit and before it deleted its
/// spool), half-made replacements, and what other programs were writing for runs that are dead. `rows` are the channel's
/// cells, sorted. A file that is locked is in use and stays; so does one of a cell that is still to be captured: it holds
/// media.
///
/// # Errors
/// A spool folder that cannot be read, a file that cannot be deleted.
pub fn sweep(place: &Workplace, channel: &str, rows: &[CellRow]) -> Result<()> {
    let row = |cell: Cell| rows.binary_search_by_key(&cell, |row| row.cell).ok().map(|at| &rows[at]);
    sweep_each(place, channel, |cell| Ok(row(cell).is_some_and(is_settled)))?;
    Ok(())
}

/// The same, and also spool files of which no row speaks: of a run that was killed before its claim, or of a cell that
/// retention has let go. Looks in the ledger for each. Returns how many there were.
///
/// # Errors
/// Those of [`sweep`], and those of the ledger.
pub fn sweep_orphans(place: &Workplace, channel: &str) -> Result<u64> {
    sweep_each(place, channel, |cell| match place.ledger.cell(channel, cell) {
        Ok(row) => Ok(row.as_ref().is_none_or(is_settled)),
        // The name of a file that is none of ours.
        Err(e) if e.kind() == Kind::Invalid => Ok(false),
        Err(e) => Err(e),
    })
}

fn is_settled(row: &CellRow) -> bool {
    matches!(row.state, State::Complete | State::Partial | State::Lost)
}

/// Deletes spool files that nobody has locked and that are `of_no_use`, which is asked again under the lock.
fn sweep_each(place: &Workplace, channel: &str, of_no_use: impl Fn(Cell) -> Result<bool>) -> Result<u64> {
    let folder = place.spool.join(channel);
    let entries = match fs::read_dir(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries.with_context(|| format!("read {}", folder.display()))?,
    };
    let mut deleted = 0;
    for entry in entries {
        let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
        if path.extension() == Some(OsStr::new(PART)) {
            deleted += u64::from(sweep_part(place, channel, &path)?);
            continue;
        }
        let cell = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse::<Range>().ok());
        let Some(cell) = cell.map(Cell::from_range) else { continue };
        if path.extension() == Some(OsStr::new("new")) {
            let is_free = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if is_free {
                fs::remove_file(&path).with_context(|| format!("delete {}", path.display()))?;
                deleted += 1;
            }
            continue;
        }
        if of_no_use(cell)?
            && let Some(spool) = Spool::lock(&place.spool, channel, cell)?
            && of_no_use(cell)?
        {
            spool.remove()?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// Deletes `CELL.JOB.ismv` if nobody works on its cell. A program that lives on may still write to it, and nobody reads that.
fn sweep_part(place: &Workplace, channel: &str, path: &Path) -> Result<bool> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let cell = name.split('.').next().and_then(|cell| cell.parse::<Range>().ok()).map(Cell::from_range);
    if !cell.is_some_and(|cell| place.is_free(channel, cell)) {
        return Ok(false);
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true).with_context(|| format!("delete {}", path.display())),
    }
}
