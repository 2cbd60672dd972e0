//! The spool file of one cell: where a chunk grows, and the lock that says who lets it grow.
//!
//! The lock is the operating system's, on the file itself, so it dies with its holder. It is taken before the ledger's
//! row: whoever has it may believe that a row which says `capturing` was left by a dead process. Two races are
//! prevented here. A file that was opened just before its holder deleted it is not the spool any more, though its lock
//! is free: so the path is looked at again under the lock. And a finished spool may already be the archive's own file
//! under a second name (a disk store links it): so a file that ends with `mfra` is never written to again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::contents::{Contents, read_contents};
use crate::error::{Context, Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::JobId;

/// The extension of another program's own file, by which the program knows what to write.
pub(crate) const PART: &str = "ismv";

/// Read and hash at once, in bytes.
const BLOCK: usize = 256 * 1024;

/// A locked spool file.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
    len: u64,
}

/// Where the spool file of a cell is, below the spool folder.
pub(crate) fn spool_path(folder: &Path, channel: &str, cell: Cell) -> PathBuf {
    folder.join(channel).join(format!("{cell}.spool"))
}

impl Spool {
    /// Locks the spool file of a cell, which is made if need be. `None` if another process has it.
    pub(crate) fn lock(folder: &Path, channel: &str, cell: Cell) -> Result<Option<Spool>> {
        let path = spool_path(folder, channel, cell);
        let at = |what: &str| format!("{what} {}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| at("make the folder of"))?;
        }
        loop {
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = open.with_context(|| at("open"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(Error::from(e).context(at("lock"))),
            }
            let locked = file.metadata().with_context(|| at("look at"))?;
            match std::fs::metadata(&path) {
                Ok(named) if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) => {
                    return Ok(Some(Spool { file, len: locked.len(), path }));
                }
                // Its holder deleted it, or put another in its place, between our open and our lock.
                _ => continue,
            }
        }
    }

    /// True if no process has the spool file of a cell locked, or there is none. Changes nothing.
    pub(crate) fn is_free(folder: &Path, channel: &str, cell: Cell) -> bool {
        File::open(spool_path(folder, channel, cell)).map_or(true, |file| file.try_lock_shared().is_ok())
    }

    /// What a process before us left in it. A torn end, as a kill leaves it, is cut off.
    pub(crate) fn contents(&mut self) -> Result<Option<Contents>> {
        let path = self.path.clone();
        let contents =
            read_contents(&mut self.file, self.len).with_context(|| format!("read {}", path.display()))?;
        let whole = contents.as_ref().map_or(0, |c| c.whole_bytes);
        if whole < self.len {
            self.file.set_len(whole).with_context(|| format!("cut {}", path.display()))?;
            self.len = whole;
        }
        self.file.seek(SeekFrom::Start(self.len)).with_context(|| format!("read {}", path.display()))?;
        Ok(contents)
    }

    /// What another program put there, if it is whole. Changes nothing, whatever stands behind its last fragment.
    pub(crate) fn read_whole(&mut self) -> Result<Option<Contents>> {
        let contents = read_contents(&mut self.file, self.len);
        let contents = contents.with_context(|| format!("read {}", self.path.display()))?;
        Ok(contents.filter(|c| c.whole))
    }

    /// Where the next byte goes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The file, for the store to take.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).with_context(|| format!("write {}", self.path.display()))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Puts another header in front of the fragments: tracks or sample entries have joined.
    pub(crate) fn replace_header(&mut self, old_len: u64, header: &[u8]) -> Result<()> {
        self.replace(header, old_len)
    }

    /// Begins again with an empty file. The old one is left as it is: it may have a second name in the archive.
    pub(crate) fn start_over(&mut self) -> Result<()> {
        if self.len == 0 { Ok(()) } else { self.replace(&[], self.len) }
    }

    /// A path beside the spool for the file of another program, which no other attempt has.
    pub(crate) fn part(&self, job: JobId) -> PathBuf {
        self.path.with_extension(format!("{job}.{PART}"))
    }

    /// Takes the file at `path`, which another program has finished, in place of the old one.
    pub(crate) fn take(&mut self, path: &Path) -> Result<()> {
        let take = || -> Result<(File, u64)> {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            file.try_lock().map_err(|_| Error::new(Kind::Busy, "another process has it"))?;
            let len = file.metadata()?.len();
            std::fs::rename(path, &self.path)?;
            Ok((file, len))
        };
        (self.file, self.len) = take().with_context(|| format!("take {}", path.display()))?;
        Ok(())
    }

    /// Takes a new file in place of the old one: `head`, and what the old one has from `from` on. The new file is locked
    /// before it takes the name, so that the lock is never free.
    fn replace(&mut self, head: &[u8], from: u64) -> Result<()> {
        let path = self.path.with_extension("new");
        let mut replace = || -> Result<(File, u64)> {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
            file.try_lock().map_err(|_| Error::new(Kind::Busy, "another process has it"))?;
            file.write_all(head)?;
            self.file.seek(SeekFrom::Start(from))?;
            let moved = std::io::copy(&mut self.file, &mut file)?;
            file.sync_all()?;
            std::fs::rename(&path, &self.path)?;
            Ok((file, head.len() as u64 + moved))
        };
        (self.file, self.len) = replace().with_context(|| format!("rewrite {}", self.path.display()))?;
        Ok(())
    }

    /// Makes what was written survive a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().with_context(|| format!("write {}", self.path.display()))
    }

    /// SHA-256 of the whole file, by reading it.
    pub(crate) fn sha256(&mut self) -> Result<[u8; 32]> {
        let mut hash = || -> std::io::Result<[u8; 32]> {
            self.file.seek(SeekFrom::Start(0))?;
            let mut hasher = Sha256::new();
            let mut block = vec![0; BLOCK];
            loop {
                match self.file.read(&mut block)? {
                    0 => return Ok(hasher.finalize().into()),
                    n => hasher.update(&block[..n]),
                }
            }
        };
        hash().with_context(|| format!("read {}", self.path.display()))
    }

    /// Deletes it; then the lock goes.
    pub(crate) fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path).with_context(|| format!("delete {}", self.path.display()))
    }
}
