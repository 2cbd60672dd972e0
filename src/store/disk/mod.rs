//! Chunks in a folder: the key is the path below it.
//!
//! An empty mount point looks just like an empty store, and taking one for the other makes an archiver believe that it
//! has lost everything, or fill the wrong disk. So the root holds a marker file: without it the store is "not there"
//! ([`Kind::TryLater`]), never "empty".

mod dead;
mod put;
mod read;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use url::Url;

use super::{ByteRange, Digest, Object, Parts, Reading, Space, Store, check_key};
use crate::error::{Context, Error, Kind, Result};
use crate::time::Time;

/// The file that says that its folder is a store.
const MARKER: &str = ".npvr-store";

/// A store in a folder.
#[derive(Debug, Clone)]
pub struct DiskStore {
    root: Arc<Path>,
}

impl DiskStore {
    /// The store in `root`, which was made before.
    ///
    /// # Errors
    /// [`Kind::TryLater`] if it is not there: the disk may not be mounted.
    pub fn open(root: &Path) -> Result<Self> {
        present(root)?;
        Ok(Self { root: root.into() })
    }

    /// The store in `root`; made if it is not there. For a channel of which nothing is stored yet; elsewhere
    /// [`DiskStore::open`] is right.
    pub fn open_or_create(root: &Path) -> Result<Self> {
        if !Self::is_initialised(root)? {
            create(root).map_err(failed).with_context(|| format!("store {}", root.display()))?;
        }
        Self::open(root)
    }

    /// True if `root` is a store: it holds the marker.
    pub fn is_initialised(root: &Path) -> Result<bool> {
        let there = root.join(MARKER).try_exists().or_else(|e| match e.kind() {
            io::ErrorKind::NotADirectory => Ok(false),
            _ => Err(failed(e)),
        });
        there.with_context(|| format!("store {}", root.display()))
    }

    async fn put_with(&self, key: &str, file: &Path, expect: &Digest, name: put::Name) -> Result<()> {
        check_key(key)?;
        let (key, file, expect) = (key.to_owned(), file.to_owned(), *expect);
        let put = move |root: &Path| {
            put::put(root, &key, &file, &expect, name)
                .with_context(|| format!("put {}", root.join(&key).display()))
        };
        self.blocking(put).await
    }

    /// Runs file work on a thread where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let root = Arc::clone(&self.root);
        blocking(move || work(&root)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| {
        Err(Error::new(Kind::Io, "the thread that reads and writes was lost").caused_by(e))
    })
}

fn create(root: &Path) -> io::Result<()> {
    std::fs::create_dir_all(root)?;
    let text = "npvr keeps chunks in this folder. Without this file it takes the disk for unmounted.\n";
    std::fs::write(root.join(MARKER), text)?;
    std::fs::File::open(root.join(MARKER))?.sync_all()?;
    std::fs::File::open(root)?.sync_all()
}

/// Fails unless the store is there.
fn present(root: &Path) -> Result<()> {
    if DiskStore::is_initialised(root)? {
        return Ok(());
    }
    let error =
        Error::new(Kind::TryLater, format!("store {}: it is not there: no {MARKER} in it", root.display()));
    Err(error.hint(format!(
        "is the disk mounted? If this is the right, empty folder: touch {}/{MARKER}",
        root.display()
    )))
}

/// An I/O error in the store's kinds: a file system that went away will come back.
fn failed(e: io::Error) -> Error {
    use io::ErrorKind as K;
    match e.kind() {
        K::TimedOut
        | K::NotConnected
        | K::StaleNetworkFileHandle
        | K::HostUnreachable
        | K::NetworkUnreachable
        | K::NetworkDown
        | K::Interrupted => Error::new(Kind::TryLater, "the disk does not answer")
            .caused_by(e)
            .hint("is it mounted, and well?"),
        _ => Error::from(e),
    }
}

/// The same for an object, where "no such file" means missing only if the store itself is there.
fn object_failed(root: &Path, key: &str, e: io::Error) -> Error {
    if e.kind() == io::ErrorKind::NotFound {
        return match present(root) {
            Ok(()) => missing(key),
            Err(absent) => absent,
        };
    }
    failed(e).context(root.join(key).display())
}

fn missing(key: &str) -> Error {
    Error::new(Kind::NotFound, format!("{key}: no such object"))
}

fn describe(key: &str, metadata: &std::fs::Metadata) -> Result<Object> {
    if !metadata.is_file() {
        return Err(missing(key));
    }
    let since_epoch = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Object { key: key.to_owned(), bytes: metadata.len(), modified: Time::EPOCH.plus(since_epoch) })
}

#[async_trait]
impl Store for DiskStore {
    async fn put(&self, key: &str, file: &Path, expect: &Digest) -> Result<()> {
        self.put_with(key, file, expect, put::replace).await
    }

    async fn put_new(&self, key: &str, file: &Path, expect: &Digest) -> Result<bool> {
        let placed = self.put_with(key, file, expect, put::place_new).await;
        match placed {
            Err(e) if e.kind() == Kind::Busy => Ok(false),
            placed => placed.map(|()| true),
        }
    }

    async fn get(&self, key: &str, range: Option<ByteRange>) -> Result<Reading> {
        check_key(key)?;
        let name = key.to_owned();
        let file = match read::opened(&self.root.join(key)) {
            Some(file) => file,
            None => {
                let open = move |root: &Path| {
                    std::fs::File::open(root.join(&name)).map_err(|e| object_failed(root, &name, e))
                };
                self.blocking(open).await?
            }
        };
        let object = describe(key, &file.metadata()?)?;
        let range = range.unwrap_or(ByteRange { start: 0, end: object.bytes });
        let whole = range.start == 0 && object.bytes == 0;
        let end = range.end.min(object.bytes);
        if range.start >= end && !whole {
            let ByteRange { start, end } = range;
            return Err(Error::new(
                Kind::Invalid,
                format!("{key}: no bytes {start} to {end} of {}", object.bytes),
            ));
        }
        Ok(Reading { object, bytes: read::pieces(file, range.start, end) })
    }

    /// Opened once, and read at one go: going to another thread costs more than a part.
    async fn parts(&self, key: &str, wanted: &[ByteRange]) -> Result<Parts> {
        check_key(key)?;
        let (key, wanted) = (key.to_owned(), wanted.to_vec());
        let read = move |root: &Path| {
            let file = std::fs::File::open(root.join(&key)).map_err(|e| object_failed(root, &key, e))?;
            let object = describe(&key, &file.metadata()?)?;
            let part = |range: &ByteRange| {
                let end = range.end.min(object.bytes);
                let start = range.start.min(end);
                let length = usize::try_from(end - start)
                    .map_err(|_| Error::new(Kind::Invalid, "a part too large to read at once"))?;
                let mut part = vec![0; length];
                read::from_disk(&file, start, &mut part)?;
                Ok(part.into())
            };
            let bytes = wanted.iter().map(part).collect::<Result<_>>();
            Ok(Parts { bytes: bytes.with_context(|| format!("read {}", root.join(&key).display()))?, object })
        };
        self.blocking(read).await
    }

    async fn head(&self, key: &str) -> Result<Object> {
        check_key(key)?;
        let key = key.to_owned();
        let look = move |root: &Path| {
            let metadata = std::fs::metadata(root.join(&key)).map_err(|e| object_failed(root, &key, e))?;
            describe(&key, &metadata)
        };
        self.blocking(look).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Object>> {
        let (prefix, after) = (prefix.to_owned(), after.unwrap_or_default().to_owned());
        self.blocking(move |root| walk::list(root, &prefix, &after, limit)).await
    }

    async fn delete(&self, keys: &[String]) -> Vec<(String, Error)> {
        let all = keys.to_vec();
        let work = move |root: &Path| Ok(put::delete(root, all));
        // The error of a lost thread belongs to every key: none is known to be gone.
        self.blocking(work).await.unwrap_or_else(|e| {
            keys.iter().map(|key| (key.clone(), Error::new(e.kind(), e.to_string()))).collect()
        })
    }

    async fn sweep(&self, prefix: &str, now: Time) -> Result<u64> {
        let prefix = prefix.to_owned();
        self.blocking(move |root| walk::sweep(root, &prefix, now)).await
    }

    async fn space(&self) -> Result<Option<Space>> {
        self.blocking(|root| Space::of(root).map(Some)).await
    }

    /// Only this host reads its disk: players go through npvr.
    fn url(&self, _key: &str) -> Result<Option<Url>> {
        Ok(None)
    }

    async fn presign(&self, _key: &str, _lifetime: Duration) -> Result<Option<Url>> {
        Ok(None)
    }
}

/// The folder that an object is in.
fn folder_of(root: &Path, key: &str) -> PathBuf {
    match key.rsplit_once('/') {
        Some((folder, _)) => root.join(folder),
        None => root.to_owned(),
    }
}

#[cfg(test)]
mod tests;
