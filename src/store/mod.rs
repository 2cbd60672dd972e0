//! Stores: where chunk files are. A small port, one adapter for each kind of store, one suite for all of them.
//!
//! A key is a relative path with `/` between its segments, as [`crate::grid::Cell::key`] makes it. Four kinds of error
//! have to be told apart, because only the first may ever lead to "this chunk is missing":
//!
//! | kind | meaning |
//! |---|---|
//! | [`Kind::NotFound`] | the store is there and has no such object |
//! | [`Kind::Denied`] | we are not allowed in |
//! | [`Kind::TryLater`] | the store is not there, or not well: an unmounted disk, a time-out |
//! | [`Kind::Storage`], [`Kind::Corrupt`], [`Kind::Io`], [`Kind::Invalid`] | gone wrong: full, read-only, other bytes than announced, a broken disk, a key that cannot be |

mod disk;
mod parts;
mod s3;
#[cfg(test)]
mod suite;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use url::Url;

pub use disk::DiskStore;
pub use s3::{Found, S3Store};

use crate::channel::Channel;
use crate::error::{Context, Error, Kind, Result};
use crate::time::Time;

/// What a file must be: how many bytes, and their SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of all of them.
    pub sha256: [u8; 32],
}

impl Digest {
    /// The SHA-256 in hexadecimal, in small letters.
    pub fn hex(&self) -> String {
        self.sha256.iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, sha256 {}", self.bytes, self.hex())
    }
}

/// What a store says of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Length in bytes.
    pub bytes: u64,
    /// When its bytes were written, on the clock of the store or of the host that wrote them.
    pub modified: Time,
}

/// A part of an object: `[start, end)` in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The first byte after it.
    pub end: u64,
}

/// An object that is being read. Dropping it stops the reading.
pub struct Reading {
    /// The whole object, as it was when the reading began.
    pub object: Object,
    /// The bytes asked for, in order. Ends with an error if fewer arrive than were announced.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

/// Parts of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The whole object, as it was when the reading began.
    pub object: Object,
    /// One for each part that was asked for; shorter where the object ends within it, empty where it ended before.
    pub bytes: Vec<Bytes>,
}

/// How much room a folder has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// The folder.
    pub folder: PathBuf,
    /// What is free on its file system for who asks, in bytes.
    pub free_bytes: u64,
}

impl Space {
    /// The room of a folder; of one that is not there yet, that of the nearest above it.
    ///
    /// # Errors
    /// Where nothing of it is there, or its file system does not answer.
    pub fn of(folder: &Path) -> Result<Space> {
        let there = folder.ancestors().find(|above| above.exists()).unwrap_or(folder);
        let of_system = rustix::fs::statvfs(there).map_err(std::io::Error::from);
        let of_system = of_system.with_context(|| format!("look at {}", there.display()))?;
        let free_bytes = of_system.f_bavail.saturating_mul(of_system.f_frsize);
        Ok(Space { folder: folder.to_owned(), free_bytes })
    }
}

/// Where chunk files are.
///
/// Promises, held by every adapter:
/// - readers see an object whole or not at all, whatever happens to the writer;
/// - what a call that came back `Ok` did survives a power cut;
/// - memory does not grow with the size of an object or of the archive;
/// - an object that is not finished is in no answer;
/// - a key that [`check_key`] refuses is [`Kind::Invalid`], and touches nothing.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores the bytes of `file` under `key`, and replaces what was there. They are compared with `expect` before a reader
    /// can see them, and what was stored with what was sent: a disk reads it back, a server tells its checksums.
    ///
    /// The caller never writes to `file` again, also not after this returns: a disk store may give the very same file its
    /// second name, once it has brought it to the disk. Deleting `file` afterwards is fine.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if `file` is not what `expect` says; nothing is stored then, and what was there stays.
    async fn put(&self, key: &str, file: &Path, expect: &Digest) -> Result<()>;

    /// The same, but only if nothing is under `key` yet. `false`: something is, and stays as it is.
    ///
    /// Of several that do this at once one is told `true`, as far as the store can be made to promise it: not every server
    /// can, and there the last one stays. Where all bytes under one key are alike that does no harm.
    ///
    /// # Errors
    /// As [`Store::put`].
    async fn put_new(&self, key: &str, file: &Path, expect: &Digest) -> Result<bool>;

    /// Reads an object, or the part of it that lies in `range`. An `end` past the object's end means its end.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none; [`Kind::Invalid`] if `range` is empty or starts past the end.
    async fn get(&self, key: &str, range: Option<ByteRange>) -> Result<Reading>;

    /// Reads many small parts of an object, in any order: the headers of its fragments, say.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is no object; [`Kind::TryLater`] if it is replaced meanwhile.
    async fn parts(&self, key: &str, wanted: &[ByteRange]) -> Result<Parts> {
        parts::by_get(self, key, wanted).await
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none.
    async fn head(&self, key: &str) -> Result<Object>;

    /// One page of the objects whose key starts with `prefix` and comes after `after`, in the byte order of keys, at
    /// most `limit`. Fewer than `limit` means that there are no more. An object that is put or deleted between two
    /// pages may be in the answer or not; all others are there exactly once.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Object>>;

    /// Deletes objects. One that is not there is as good as deleted. Goes on after an error; the answer names those
    /// that could not be deleted, and is empty if all are gone.
    async fn delete(&self, keys: &[String]) -> Vec<(String, Error)>;

    /// Removes what writers of keys that start with `prefix` left unfinished when they died, more than a day before `now`;
    /// how many there were. What others keep in the same store is not touched: `prefix` is a channel's, `NAME/`.
    async fn sweep(&self, prefix: &str, now: Time) -> Result<u64>;

    /// The folder that chunks fill, and what is free there; `None` for a store that is no disk of this host.
    async fn space(&self) -> Result<Option<Space>> {
        Ok(None)
    }

    /// Where a player, or Unified Remix, fetches the object itself, if it is let in; `None` if it can only be had through
    /// npvr.
    fn url(&self, key: &str) -> Result<Option<Url>>;

    /// A URL that lets whoever has it fetch the object for so long, at most seven days; `None` as for [`Store::url`]. It is
    /// as good as a password.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a longer time.
    async fn presign(&self, key: &str, lifetime: Duration) -> Result<Option<Url>>;
}

/// The store of a channel. `archive` is the folder for those that have no store of their own. `is_known` says that the ledger
/// has the channel's archive: then its folder has to be there, and one that is not is an unmounted disk. Else it is made.
///
/// # Errors
/// Those of [`DiskStore::open`] and [`S3Store::open`].
pub async fn of_channel(channel: &Channel, archive: &Path, is_known: bool) -> Result<Arc<dyn Store>> {
    if let Some(s3) = &channel.s3 {
        return Ok(Arc::new(S3Store::open(s3).await?));
    }
    let folder = channel.disk_path.as_deref().unwrap_or(archive);
    let store = if is_known { DiskStore::open(folder)? } else { DiskStore::open_or_create(folder)? };
    Ok(Arc::new(store))
}

/// The start of the name of an object that is not finished.
pub const UNFINISHED: &str = ".tmp-";

/// The longest key, in bytes: S3's limit.
const MAX_KEY: usize = 1024;
/// The longest segment of a key, in bytes: what file systems allow for a name.
const MAX_SEGMENT: usize = 255;

/// Refuses a key that would leave the store, that stores write differently, or that looks unfinished.
///
/// # Errors
/// [`Kind::Invalid`], with the key and the reason.
pub fn check_key(key: &str) -> Result<()> {
    let fault = |segment: &str| match segment {
        "" => Some("it is absolute, or has an empty segment"),
        "." | ".." => Some("it has a segment of dots"),
        s if s.starts_with(UNFINISHED) => Some("it is the name of an unfinished object"),
        s if s.starts_with('.') => Some("a segment starts with a dot"),
        s if s.len() > MAX_SEGMENT => Some("a segment is longer than 255 bytes"),
        s if s.chars().any(|c| c.is_control() || c == '\\') => {
            Some("it has a character that stores cannot keep")
        }
        _ => None,
    };
    let too_long = (key.len() > MAX_KEY).then_some("it is longer than 1024 bytes");
    match too_long.or_else(|| key.split('/').find_map(fault)) {
        Some(why) => {
            let shown: String = key.chars().take(100).collect();
            Err(Error::new(Kind::Invalid, format!("{shown:?} cannot be a key: {why}")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_would_leave_the_store_is_refused() {
        let long = "a/".repeat(600);
        let long_segment = "a".repeat(256);
        for key in [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            "../a",
            "a/../../b",
            "a/./b",
            ".tmp-1",
            "a/.tmp-1/b",
            "a/.hidden",
            "a\\b",
            "a\nb",
            "a\0b",
            &long,
            &long_segment,
        ] {
            assert_eq!(check_key(key).map_err(|e| e.kind()), Err(Kind::Invalid), "{key:?}");
        }
        check_key("scte35/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv").unwrap();
    }
}
