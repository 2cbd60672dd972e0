//! What killed writers left: unfinished names that nobody will rename.
//!
//! Most are second names of the file that is put again after the kill, and are known by that. A copy is known by its lock,
//! which goes with its holder. The lock of a second name is never tried: it is the one that says who works on a cell.

use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::store::UNFINISHED;

/// Deletes the unfinished names of dead writers in `folder`, and those of the file that is to be put: its caller has it for
/// itself, so they were left by a caller before. What cannot be deleted does no harm, and goes with the next sweep.
pub(super) fn clear(folder: &Path, put: &Metadata) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let unfinished =
        entries.flatten().filter(|e| e.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()));
    for entry in unfinished {
        let _ = remove_if_dead(&entry.path(), put);
    }
}

fn remove_if_dead(path: &Path, put: &Metadata) -> io::Result<()> {
    // Open until it is gone: whoever has just made it sees by the lock that it is being taken away.
    let file = File::open(path)?;
    let found = file.metadata()?;
    let is_the_same = (found.dev(), found.ino()) == (put.dev(), put.ino());
    if is_the_same || (found.nlink() == 1 && file.try_lock().is_ok()) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// Claims a copy that was just made, empty. False if another writer has taken it for a dead one's meanwhile.
pub(super) fn claim(copy: &File) -> io::Result<bool> {
    match copy.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(false),
        // Where there are no locks nobody can find it to be free.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(copy.metadata()?.nlink() > 0),
    }
}
