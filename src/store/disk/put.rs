//! Putting and deleting, in an order of effects that survives a kill, or a power cut, after any step:
//!
//! 1. folders · 2. the file under an unfinished name (a second link to it, or a copy) · 3. fsync, and size and hash of what
//!    is there · 4. rename to the key · 5. fsync of the folders.
//!
//! A kill before 4 leaves an unfinished name, which the next put into the folder removes, or `sweep`; after 4 the object is
//! whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempPath;

use super::{dead, failed, folder_of, present};
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::store::{Digest, UNFINISHED, check_key};

/// How often the folder is made again if it vanishes: `delete` removes folders that it left empty.
const TRIES: usize = 3;

/// How an object gets its name.
pub(super) type Name = fn(&Path, &Path) -> io::Result<()>;

/// Takes the place of what is there.
pub(super) fn replace(unfinished: &Path, key: &Path) -> io::Result<()> {
    std::fs::rename(unfinished, key)
}

/// Takes a place where nothing is; [`io::ErrorKind::AlreadyExists`] if something is. Where the file system cannot do that at
/// once, it is looked at before.
pub(super) fn place_new(unfinished: &Path, key: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let taken = || io::ErrorKind::AlreadyExists.into();
    match renameat_with(CWD, unfinished, CWD, key, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match key.try_exists()? {
            true => Err(taken()),
            false => replace(unfinished, key),
        },
        other => Ok(other?),
    }
}

pub(super) fn put(root: &Path, key: &str, file: &Path, expect: &Digest, name: Name) -> Result<()> {
    present(root)?;
    let folder = folder_of(root, key);
    let Placed { path: temporary, copy: _held } = place(&folder, file)?;
    failpoint::reach("disk-2-placed");
    let found = durable_digest(&temporary).map_err(failed)?;
    if found != *expect {
        let what = format!("the file has {found:?}, and should have {expect:?}");
        return Err(Error::new(Kind::Corrupt, what).hint("capture it again"));
    }
    failpoint::reach("disk-3-synced");
    name(&temporary, &root.join(key)).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => Error::new(Kind::Busy, "it is there already"),
        _ => failed(e),
    })?;
    failpoint::reach("disk-4-renamed");
    // rename(2) does nothing where both names are links to one file: the dropped temporary name is removed then.
    drop(temporary);
    // Up to the root, since another run may have made the folders a moment ago and not have come to this.
    for parent in folder.ancestors().take_while(|p| p.starts_with(root)) {
        sync_folder(parent).map_err(failed)?;
    }
    Ok(())
}

/// An unfinished name.
struct Placed {
    path: TempPath,
    /// Of a copy: the file, locked, so that no other writer takes it for a dead one's.
    copy: Option<File>,
}

/// Gives `file` an unfinished name in `folder`, and takes away those that dead writers left there.
fn place(folder: &Path, file: &Path) -> Result<Placed> {
    // Looked at first, so that "no such file" further down is about the folder.
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(e) => return Err(Error::new(Kind::Io, format!("{}: {}", file.display(), Error::from(e)))),
    };
    dead::clear(folder, &metadata);
    let mut tries = 0;
    loop {
        std::fs::create_dir_all(folder).map_err(failed)?;
        let linked = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .make_in(folder, |path| std::fs::hard_link(file, path));
        let placed = match linked {
            Ok(linked) => Ok(Placed { path: linked.into_temp_path(), copy: None }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(e),
            // Another file system (EXDEV), one without links, or a rule against links to other users' files.
            Err(_) => copy(folder, file, metadata.permissions()),
        };
        match placed {
            Err(e) if e.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
            Err(e) => return Err(failed(e)),
            Ok(placed) => return Ok(placed),
        }
    }
}

fn copy(folder: &Path, file: &Path, permissions: std::fs::Permissions) -> io::Result<Placed> {
    let mut temporary = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    if !dead::claim(temporary.as_file())? {
        return Err(io::ErrorKind::NotFound.into());
    }
    io::copy(&mut File::open(file)?, temporary.as_file_mut())?;
    temporary.as_file().set_permissions(permissions)?;
    let (file, path) = temporary.into_parts();
    Ok(Placed { path, copy: Some(file) })
}

/// Brings a file to the disk, and reads it back meanwhile: the one waits for the disk, the other for a core.
fn durable_digest(path: &Path) -> io::Result<Digest> {
    std::thread::scope(|scope| {
        let synced = scope.spawn(|| File::open(path)?.sync_all());
        let found = digest(path)?;
        synced.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(found)
    })
}

fn digest(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0_u64;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest { bytes, sha256: hash.finalize().into() }),
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Deletes objects; those that could not be deleted, and why.
pub(super) fn delete(root: &Path, keys: Vec<String>) -> Vec<(String, Error)> {
    let mut left = Vec::new();
    let mut folders: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for key in keys {
        match remove(root, &key) {
            Ok(()) => folders.entry(folder_of(root, &key)).or_default().push(key),
            Err(e) => left.push((key, e)),
        }
    }
    for (folder, keys) in folders {
        match sync_folder(&folder) {
            Ok(()) => remove_empty(root, &folder),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => {
                let kind = failed(e).kind();
                left.extend(
                    keys.into_iter().map(|key| (key, Error::new(kind, "the folder cannot be synced"))),
                );
            }
        }
    }
    left
}

/// Removes a folder and those above it, as far as they are empty. One that comes back after a power cut does no harm,
/// so this is not synced.
fn remove_empty(root: &Path, folder: &Path) {
    let mut empty = folder.ancestors().take_while(|p| *p != root);
    while empty.next().is_some_and(|p| std::fs::remove_dir(p).is_ok()) {}
}

fn remove(root: &Path, key: &str) -> Result<()> {
    check_key(key)?;
    match std::fs::remove_file(root.join(key)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => present(root),
        other => other.map_err(|e| failed(e).context(format!("delete {}", root.join(key).display()))),
    }
}
