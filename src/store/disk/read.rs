//! Reading a file piece by piece: what the system has in memory at once, and the rest on a thread that may wait for the disk.
//!
//! Most of what players ask for was read a moment ago by another one, or is read ahead by the system. Going to another thread
//! and back for that would take longer than the reading.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::consume_budget;

use super::{blocking, failed};
use crate::error::{Error, Kind, Result};

/// How much is read at once, in bytes. A reader that is slow holds so much; and what was just read is still in the caches of
/// the processor when it is sent.
const READ_BYTES: usize = 64 * 1024;

/// Opens a file whose path the system has in memory; `None` if it has not, or cannot tell, or there is no such file.
pub(super) fn opened(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok().map(File::from)
}

/// The bytes from `start` to `end` of a file.
pub(super) fn pieces(file: File, start: u64, end: u64) -> BoxStream<'static, Result<Bytes>> {
    let file = Arc::new(file);
    let next = move |at: u64| {
        let file = Arc::clone(&file);
        async move {
            let length = usize::try_from(end.saturating_sub(at)).unwrap_or(READ_BYTES).min(READ_BYTES);
            if length == 0 {
                return Ok(None);
            }
            // What is always there at once would leave no turn to others.
            consume_budget().await;
            let bytes = match in_memory(&file, at, length) {
                Some(bytes) => bytes,
                None => {
                    let mut buffer = Buffer::take(length);
                    let read =
                        move || from_disk(&file, at, buffer.room()).map(|()| Bytes::from_owner(buffer));
                    blocking(read).await?
                }
            };
            let after = at + bytes.len() as u64;
            Ok(Some((bytes, after)))
        }
    };
    Box::pin(stream::try_unfold(start, next))
}

/// What of these bytes, from the first on, is in memory; `None` if nothing is, or the file system cannot tell.
fn in_memory(file: &File, at: u64, length: usize) -> Option<Bytes> {
    let mut buffer = Buffer::take(length);
    let read = loop {
        match preadv2(file, &mut [IoSliceMut::new(buffer.room())], at, ReadWriteFlags::NOWAIT) {
            Err(Errno::INTR) => {}
            read => break read.ok(),
        }
    };
    // None at all is the end of a file that is too short, which the other way tells.
    buffer.length = read.filter(|read| *read > 0)?;
    Some(Bytes::from_owner(buffer))
}

/// Fills `into` with the bytes from `at` on.
pub(super) fn from_disk(file: &File, at: u64, into: &mut [u8]) -> Result<()> {
    file.read_exact_at(into, at).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => {
            Error::new(Kind::Corrupt, "the object became shorter while it was read")
        }
        _ => failed(e),
    })
}

/// Room for [`READ_BYTES`], of which so many bytes are filled. It is used again when what it holds has been sent: to make it
/// anew, and to fill it with zeros first, would cost half as much as the reading.
struct Buffer {
    room: Vec<u8>,
    length: usize,
}

/// Those that are not in use: the last one first, which the processor still has in its caches.
static IDLE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
/// How many of them are kept, 32 MB at most: what many slow readers needed once is there for the next of them, and the memory
/// does not go to pieces.
const MOST_IDLE: usize = 512;

impl Buffer {
    fn take(length: usize) -> Buffer {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Buffer { room: idle.unwrap_or_else(|| vec![0; READ_BYTES]), length: length.min(READ_BYTES) }
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.room[..self.length]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.room[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(std::mem::take(&mut self.room));
        }
    }
}
