//! Walking the folders of a store, in the byte order of keys, holding one folder of each level in memory.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{describe, failed, present};
use crate::error::{Context, Result};
use crate::store::{Object, UNFINISHED, check_key};
use crate::time::Time;

/// How old an unfinished object must be before nobody can be at work on it, in seconds.
const STALE_S: i64 = 86_400;

pub(super) fn list(root: &Path, prefix: &str, after: &str, limit: usize) -> Result<Vec<Object>> {
    present(root)?;
    let mut page = Page { root, prefix, after, limit, found: Vec::new() };
    page.walk("").with_context(|| format!("list {}", root.display()))?;
    Ok(page.found)
}

struct Page<'a> {
    root: &'a Path,
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    found: Vec<Object>,
}

impl Page<'_> {
    /// Adds what lies in `folder`: the empty string, or a key that ends in `/`.
    fn walk(&mut self, folder: &str) -> Result<()> {
        for key in self.names(folder)? {
            if self.found.len() >= self.limit {
                return Ok(());
            }
            if key.ends_with('/') {
                self.walk(&key)?;
                continue;
            }
            match std::fs::metadata(self.root.join(&key)) {
                Ok(metadata) => self.found.push(describe(&key, &metadata)?),
                // Deleted since the folder was read.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(e).context(key)),
            }
        }
        Ok(())
    }

    /// The wanted keys in a folder, sorted; those of folders end in `/`, which is how their contents sort among them.
    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.root.join(folder)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // What is not UTF-8 has no key, and is none of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = format!("{folder}{name}");
            if check_key(&key).is_err() {
                continue;
            }
            // Links are followed: a channel's folder may be on another disk.
            let is_folder = std::fs::metadata(entry.path()).is_ok_and(|m| m.is_dir());
            let key = if is_folder { key + "/" } else { key };
            if self.wants(&key) {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn wants(&self, key: &str) -> bool {
        if key.ends_with('/') {
            let may_match = key.starts_with(self.prefix) || self.prefix.starts_with(key);
            may_match && (key > self.after || self.after.starts_with(key))
        } else {
            key.starts_with(self.prefix) && key > self.after
        }
    }
}

/// Removes unfinished objects, of runs that are long dead, whose key would start with `prefix`.
pub(super) fn sweep(root: &Path, prefix: &str, now: Time) -> Result<u64> {
    present(root)?;
    sweep_folder(root, "", prefix, now).map_err(failed).with_context(|| format!("sweep {}", root.display()))
}

/// The same below the folder whose keys start with `at`: the empty string, or one that ends in `/`.
fn sweep_folder(root: &Path, at: &str, prefix: &str, now: Time) -> io::Result<u64> {
    let mut removed = 0;
    let entries = match std::fs::read_dir(root.join(at)) {
        // A prune has taken it away since it was seen.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            let folder = format!("{at}{name}/");
            if folder.starts_with(prefix) || prefix.starts_with(&folder) {
                removed += sweep_folder(root, &folder, prefix, now)?;
            }
        } else if name.starts_with(UNFINISHED) && at.starts_with(prefix) {
            // The change time: that of writing is the spool file's own where the name is a second link to it.
            if now.s().saturating_sub(metadata.ctime()) > STALE_S {
                std::fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}
