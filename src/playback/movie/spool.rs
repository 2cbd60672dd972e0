//! Where the columns of a file's tables grow, and how its head is put together of them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{SpooledTempFile, spooled_tempfile_in, tempfile_in};

use crate::error::{Context, Error, Kind, Result};
use crate::media::{COLUMNS, Column, HeadPart};

/// A column that is no longer than this stays in memory, in bytes; also how much is copied at once. A multiple of the length of
/// every entry that is changed on the way.
const SMALL: usize = 256 << 10;

/// The columns of all tracks.
pub(super) struct Spool {
    folder: PathBuf,
    columns: Vec<[Option<SpooledTempFile>; COLUMNS.len()]>,
}

impl Spool {
    /// For so many tracks; what is not small goes into files in `folder`, which have no names.
    pub(super) fn new(folder: &Path, tracks: usize) -> Spool {
        let columns = (0..tracks).map(|_| [const { None }; COLUMNS.len()]).collect();
        Spool { folder: folder.to_owned(), columns }
    }

    /// Adds to the end of a column.
    pub(super) fn append(&mut self, track: usize, column: Column, bytes: &[u8]) -> Result<()> {
        let Some(of_track) = self.columns.get_mut(track) else { return Ok(()) };
        let file = of_track[column as usize].get_or_insert_with(|| spooled_tempfile_in(SMALL, &self.folder));
        file.write_all(bytes).with_context(|| write_to(&self.folder))
    }

    /// Writes the head; how long it is, in bytes.
    pub(super) fn write(&mut self, parts: &[HeadPart]) -> Result<(File, u64)> {
        let at = || write_to(&self.folder);
        let mut head = tempfile_in(&self.folder).with_context(at)?;
        let mut written = 0;
        for part in parts {
            let HeadPart::Column { track, column, bytes, change } = part else {
                let HeadPart::Bytes(bytes) = part else { continue };
                head.write_all(bytes).with_context(at)?;
                written += bytes.len() as u64;
                continue;
            };
            let before = written;
            let file = self.columns.get_mut(*track).and_then(|of_track| of_track[*column as usize].as_mut());
            if let Some(file) = file {
                file.seek(SeekFrom::Start(0)).with_context(at)?;
                let mut block = Vec::with_capacity(SMALL);
                loop {
                    block.clear();
                    file.take(SMALL as u64).read_to_end(&mut block).with_context(at)?;
                    if block.is_empty() {
                        break;
                    }
                    let changed = change.of(&block);
                    head.write_all(&changed).with_context(at)?;
                    written += changed.len() as u64;
                }
            }
            if written - before != *bytes {
                let what = format!("a table has {} bytes in place of {bytes}", written - before);
                return Err(Error::new(Kind::Io, what).context(at()));
            }
        }
        Ok((head, written))
    }
}

fn write_to(folder: &Path) -> String {
    format!("write the head of a file in {}", folder.display())
}
