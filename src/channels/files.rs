//! Reading and writing files of the configuration: bounded, whole or not at all, and safe from a power cut.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Context, Error, Kind, Result};

/// The longest file that is read, in bytes: far more than anyone writes by hand.
const MAX_BYTES: u64 = 1 << 20;

/// A new file may hold a password: readable for its owner and group only.
const NEW_MODE: u32 = 0o640;

/// The text of a file. [`Kind::NotFound`] if it is not there.
pub(super) fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.with_context(|| path.display())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::new(Kind::Config, "longer than 1 MiB").context(path.display()));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::new(Kind::Config, "this is not UTF-8").context(path.display()))
}

/// The names of the `.toml` files in a folder, without the `.toml`; none if there is no such folder.
pub(super) fn stems(folder: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| folder.display())?,
    };
    let mut stems = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| folder.display())?.file_name();
        // Lossy: a name that is not UTF-8 cannot be a channel's, and the message about it shows it like this.
        let name = name.to_string_lossy();
        if let Some(stem) = name.strip_suffix(".toml").filter(|_| !name.starts_with('.')) {
            stems.push(stem.to_owned());
        }
    }
    Ok(stems)
}

/// Makes a new file, and the folder that it is in. [`Kind::Busy`] if there is one of that name.
pub(super) fn create(path: &Path, text: &str) -> Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).with_context(|| folder.display())?;
    let written = write(path, text, Permissions::from_mode(NEW_MODE))?;
    match written.persist_noclobber(path) {
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::new(Kind::Busy, "it is there already").context(path.display()));
        }
        other => other.map_err(|e| e.error).with_context(|| path.display())?,
    };
    sync(folder)
}

/// Gives a file a new text; its permissions stay. Where it is a link, what it points at is replaced.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let path = path.canonicalize().with_context(|| path.display())?;
    let permissions = std::fs::metadata(&path).with_context(|| path.display())?.permissions();
    write(&path, text, permissions)?.persist(&path).map_err(|e| e.error).with_context(|| path.display())?;
    sync(folder_of(&path))
}

pub(super) fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).with_context(|| path.display())?;
    sync(folder_of(path))
}

/// A file beside `path`, with its text on the disk. The name starts with a dot: nobody takes it for a channel.
fn write(path: &Path, text: &str, permissions: Permissions) -> Result<NamedTempFile> {
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".npvr-").tempfile_in(folder_of(path))?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        Ok::<_, io::Error>(file)
    };
    write().with_context(|| path.display())
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).with_context(|| folder.display())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
