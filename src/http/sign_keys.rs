//! The keys of signed links, each in a file of its own: what is in it, but for a line end, is the key.
//!
//! A file is read again when it is needed, at most once a second, so a change holds at once. One that cannot be read lets
//! nobody in.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::signature::Key;
use crate::clock::Tick;
use crate::error::{Context, Result};

/// What was read of a file is taken for good for so long.
const FRESH: Duration = Duration::from_secs(1);

/// What a person can do to have a good file.
const MAKE: &str = "make one with: (umask 077; openssl rand -hex 32 > FILE)";

/// Those that were read lately, by file.
#[derive(Default)]
pub(super) struct SignKeys(Mutex<HashMap<PathBuf, (Tick, Key)>>);

impl SignKeys {
    /// The key in a file.
    ///
    /// # Errors
    /// As [`read_key`].
    pub(super) fn of(&self, file: &Path) -> Result<Key> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, key)) = known.get(file)
            && at.elapsed() < FRESH
        {
            return Ok(key.clone());
        }
        let read = read_key(file);
        match &read {
            Ok(key) => drop(known.insert(file.to_owned(), (Tick::now(), key.clone()))),
            Err(_) => drop(known.remove(file)),
        }
        read
    }
}

/// The key in a file.
///
/// # Errors
/// If the file cannot be read, or has fewer than 32 bytes. What is in it is in no message.
pub fn read_key(file: &Path) -> Result<Key> {
    let read = || {
        let bytes = std::fs::read(file)?;
        Key::new(bytes.trim_ascii_end()).map_err(|e| e.hint(MAKE))
    };
    read().with_context(|| format!("key file {}", file.display()))
}

/// True if any user of this host can read the file, or write it.
pub fn is_open_to_all(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|data| data.permissions().mode() & 0o006 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn a_key_is_what_is_in_its_file_and_a_changed_one_holds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let keys = SignKeys::default();
        let signed = |key: &Key| key.query("/a", Time::from_s(1));
        let (old, new) = ("0123456789abcdef0123456789abcdef", "an-other-key-an-other-key-an-other-key");
        let of = |text: &str| signed(&Key::new(text.as_bytes()).unwrap());
        std::fs::write(&file, format!("{old}\n")).unwrap();
        assert_eq!(signed(&keys.of(&file).unwrap()), of(old));
        std::fs::write(&file, new).unwrap();
        assert_eq!(signed(&keys.of(&file).unwrap()), of(old), "within the second");
        // As if it had gone by.
        keys.0.lock().unwrap().clear();
        assert_eq!(signed(&keys.of(&file).unwrap()), of(new));
    }

    #[test]
    fn a_file_that_is_no_key_is_told_without_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let keys = SignKeys::default();
        assert!(keys.of(&file).is_err());
        std::fs::write(&file, "too-short-a-secret\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n").unwrap();
        let e = keys.of(&file).err().unwrap();
        assert!(e.to_string().contains("at least 32 bytes") && e.remedy() == Some(MAKE), "{e}");
        assert!(!e.to_string().contains("too-short"), "{e}");
        for (mode, open) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_all(&file), open, "{mode:o}");
        }
    }
}
