//! Reading a stored chunk back from the store: its digest and what it holds.
//!
//! An object passes once, from its beginning to its end, and none of its media is kept: not in memory, for a chunk may be
//! larger than that, and not on a disk, for a night's verification reads all that a disk has. What reads its boxes goes
//! back by no more than a header, so that much is kept behind the place where it reads.

use std::collections::{HashSet, VecDeque};
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use futures_util::StreamExt;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::contents::{Contents, read_contents};
use crate::error::{Error, Kind, Result};
use crate::media::{BoxHeader, Index, MAX_INIT};
use crate::store::{Digest, Store};

/// So many blocks wait for the one who reads them.
const WAITING: usize = 4;

/// What is kept of an object that passes, in bytes: the largest header, and the start of the box behind it.
const KEPT: u64 = (MAX_INIT + BoxHeader::MAX_LEN) as u64;

/// A stored chunk, read back.
pub struct ReadBack {
    /// Its length and SHA-256.
    pub digest: Digest,
    /// What it holds; [`Kind::Corrupt`] if that cannot be read.
    pub contents: Result<Contents>,
}

/// Reads an object, whole.
///
/// # Errors
/// Those of the store.
pub async fn read_back(store: &dyn Store, key: &str) -> Result<ReadBack> {
    let mut reading = store.get(key, None).await?;
    let (send, blocks) = mpsc::channel(WAITING);
    let bytes = reading.object.bytes;
    let looked = tokio::task::spawn_blocking(move || look(Passing::new(blocks), bytes));
    while let Some(block) = reading.bytes.next().await {
        // The other side takes all of it; it only ends early if it has panicked, which is seen below.
        if send.send(block?).await.is_err() {
            break;
        }
    }
    drop(send);
    looked.await.map_err(|e| Error::new(Kind::Io, "the thread that reads the chunk was lost").caused_by(e))
}

fn look(mut passing: Passing, bytes: u64) -> ReadBack {
    let contents = read_contents(&mut passing, bytes);
    passing.drain();
    let digest = Digest { bytes: passing.passed, sha256: passing.hasher.finalize().into() };
    let unreadable = |what: String| Error::new(Kind::Corrupt, what);
    let contents = match contents {
        Ok(Some(contents)) => Ok(contents),
        Ok(None) => Err(unreadable("not even its header is whole".to_owned())),
        Err(e) => Err(unreadable(e.to_string())),
    };
    ReadBack { digest, contents }
}

/// An object that passes: a file in which one can go on as far as one likes, and back by [`KEPT`].
struct Passing {
    blocks: mpsc::Receiver<Bytes>,
    hasher: Sha256,
    /// How much has come, in bytes.
    passed: u64,
    /// The last of it, and how much that is.
    kept: VecDeque<Bytes>,
    kept_bytes: u64,
    /// Where the next byte is read.
    at: u64,
}

impl Passing {
    fn new(blocks: mpsc::Receiver<Bytes>) -> Self {
        Self { blocks, hasher: Sha256::new(), passed: 0, kept: VecDeque::new(), kept_bytes: 0, at: 0 }
    }

    /// Takes the next block; false at the end.
    fn pull(&mut self) -> bool {
        let Some(block) = self.blocks.blocking_recv() else { return false };
        self.hasher.update(&block);
        self.passed += block.len() as u64;
        self.kept_bytes += block.len() as u64;
        self.kept.push_back(block);
        while let Some(first) = self.kept.front().map(|b| b.len() as u64)
            && self.kept_bytes - first >= KEPT
        {
            self.kept.pop_front();
            self.kept_bytes -= first;
        }
        true
    }

    /// Takes all that is left.
    fn drain(&mut self) {
        while self.pull() {}
    }

    /// What is kept from `at` on, as far as its block goes.
    fn kept_from(&self, at: u64) -> Option<&[u8]> {
        let mut start = self.passed - self.kept_bytes;
        for block in &self.kept {
            let end = start + block.len() as u64;
            if (start..end).contains(&at) {
                return block.get(usize::try_from(at - start).ok()?..);
            }
            start = end;
        }
        None
    }
}

impl Read for Passing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.passed <= self.at {
            if !self.pull() {
                return Ok(0);
            }
        }
        let Some(found) = self.kept_from(self.at) else {
            return Err(io::Error::other("it points back further than a header is long"));
        };
        let n = found.len().min(buf.len());
        buf[..n].copy_from_slice(&found[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Passing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else {
            return Err(io::Error::other("only places from the start are known of an object that passes"));
        };
        self.at = at;
        Ok(at)
    }
}

/// True if `one` has every fragment that `other` has, by track and decode time.
pub(crate) fn holds_all(one: &Index, other: &Index) -> bool {
    let times = |index: &Index| -> HashSet<(u32, u64)> {
        let of_track = index.tracks.iter().map(|t| t.fragments.iter().map(|f| (t.track_id, f.decode_time)));
        of_track.flatten().collect()
    };
    times(other).is_subset(&times(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object of `len` bytes, none like its neighbours, in blocks of `block` bytes.
    fn passing(len: usize, block: usize) -> Passing {
        let (send, blocks) = mpsc::channel(len / block + 1);
        let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        for block in bytes.chunks(block) {
            send.try_send(Bytes::copy_from_slice(block)).unwrap();
        }
        Passing::new(blocks)
    }

    fn read_at(passing: &mut Passing, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        passing.seek(SeekFrom::Start(at))?;
        passing.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn one_can_go_on_and_back_by_a_header_and_all_of_it_is_hashed() {
        let len = 3 * KEPT + 5;
        let expected = |at: u64, len: u64| (at..at + len).map(|n| (n % 251) as u8).collect::<Vec<u8>>();
        let mut object = passing(usize::try_from(len).unwrap(), 1_000);
        for (at, n) in [(0, 16), (8, 16), (1_990, 30), (KEPT - 8, 8), (0, KEPT), (2 * KEPT, 16)] {
            assert_eq!(
                read_at(&mut object, at, usize::try_from(n).unwrap()).unwrap(),
                expected(at, n),
                "{at}"
            );
        }
        assert!(object.kept_bytes < KEPT + 1_000);
        assert!(read_at(&mut object, 0, 1).is_err(), "that is gone");
        assert_eq!(read_at(&mut object, len - 4, 8).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        object.drain();
        assert_eq!(object.passed, len);
        assert_eq!(object.hasher.finalize(), Sha256::digest(expected(0, len)));
    }
}
