//! Reading a file that was never made: its head from where it was written, its body from the chunks.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};

use super::make::aside;
use super::{Movie, Source};
use crate::error::{Context, Error, Kind, Result};
use crate::playlist::mp4::Piece;
use crate::store::{ByteRange, Store};

/// What lies between two pieces of a chunk is read too where it is no longer than this, in bytes, and dropped: that takes less
/// than to ask the store once more.
const NEAR: u64 = 512 << 10;
/// How much of the head is read at once, in bytes.
const BLOCK: u64 = 256 << 10;

/// Pieces of one chunk that are read at one go, and how much of the first and of the last is wanted.
struct Fetch {
    source: Source,
    pieces: Vec<ByteRange>,
}

impl Movie {
    /// The bytes of the file from `range`, which lies in it. An error where a chunk is not there, or not the one that the head was
    /// made of: then nothing more comes, and never a wrong byte.
    pub fn read(
        self: &Arc<Movie>,
        store: Arc<dyn Store>,
        channel: &str,
        range: ByteRange,
    ) -> BoxStream<'static, Result<Bytes>> {
        let (movie, channel) = (Arc::clone(self), channel.to_owned());
        let next = move |at: u64| {
            let (movie, store, channel) = (Arc::clone(&movie), Arc::clone(&store), channel.clone());
            async move {
                if at >= range.end {
                    return Ok::<_, Error>(None);
                }
                if at < movie.head_bytes {
                    let end = range.end.min(movie.head_bytes).min(at + BLOCK);
                    let bytes = movie.read_head(at, end).await?;
                    return Ok(Some((stream::iter([Ok(bytes)]).boxed(), end)));
                }
                let (fetch, length) = movie.fetch(at - movie.head_bytes, range.end - movie.head_bytes)?;
                Ok(Some((fetch.open(store.as_ref(), &channel).await?, at + length)))
            }
        };
        stream::try_unfold(range.start, next).try_flatten().boxed()
    }

    /// How long its head is, in bytes: everything but media.
    pub fn head_bytes(&self) -> u64 {
        self.head_bytes
    }

    /// The bytes of its head.
    pub fn head(self: &Arc<Movie>) -> BoxStream<'static, Result<Bytes>> {
        let movie = Arc::clone(self);
        let next = move |at: u64| {
            let movie = Arc::clone(&movie);
            async move {
                let end = movie.head_bytes.min(at + BLOCK);
                if at < end { Ok(Some((movie.read_head(at, end).await?, end))) } else { Ok(None) }
            }
        };
        stream::try_unfold(0, next).boxed()
    }

    async fn read_head(&self, start: u64, end: u64) -> Result<Bytes> {
        let head = Arc::clone(&self.head);
        let length = usize::try_from(end - start).unwrap_or(0);
        let read = move || {
            let mut block = vec![0; length];
            head.read_exact_at(&mut block, start).context("read the head of a file")?;
            Ok(Bytes::from(block))
        };
        aside(read).await
    }

    /// What to fetch for the body from `at` to `end` or less, and how many bytes of the body that is.
    fn fetch(&self, at: u64, end: u64) -> Result<(Fetch, u64)> {
        let lost = || Error::new(Kind::Io, format!("there is no byte {at} in a file"));
        let first = self.pieces.partition_point(|piece| piece.at + piece.bytes <= at);
        let cell = self.pieces.get(first).ok_or_else(lost)?.cell;
        let source = usize::try_from(cell).ok().and_then(|cell| self.sources.get(cell)).ok_or_else(lost)?;
        let mut pieces: Vec<ByteRange> = Vec::new();
        let mut length = 0;
        let rest = self.pieces[first..].iter().take_while(|piece| piece.cell == cell && piece.at < end);
        for Piece { start, at: starts, bytes, .. } in rest.filter(|piece| piece.bytes > 0) {
            let skip = at.saturating_sub(*starts);
            let until = (end - starts).min(*bytes);
            let wanted = ByteRange { start: start + skip, end: start + until };
            let is_near = |last: &ByteRange| (last.end..=last.end + NEAR).contains(&wanted.start);
            if pieces.last().is_some_and(|last| !is_near(last)) {
                break;
            }
            length += wanted.end - wanted.start;
            pieces.push(wanted);
        }
        if length == 0 { Err(lost()) } else { Ok((Fetch { source: source.clone(), pieces }, length)) }
    }
}

impl Fetch {
    /// The bytes of its pieces.
    async fn open(self, store: &dyn Store, channel: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        let Fetch { source, pieces } = self;
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
            return Ok(stream::empty().boxed());
        };
        let range = ByteRange { start: first.start, end: last.end };
        let reading = store.get(&source.key, Some(range)).await?;
        source.refuse_another(reading.object.bytes, channel)?;
        let mut cutter = Cutter { at: range.start, next: 0, pieces };
        let key = source.key;
        let cut = reading.bytes.map(move |block| match block {
            Ok(block) => stream::iter(cutter.cut(&block).into_iter().map(Ok).collect::<Vec<_>>()),
            Err(e) => stream::iter(vec![Err(e.context(format_args!("read {key}")))]),
        });
        Ok(cut.flatten().boxed())
    }
}

/// Cuts the pieces out of what comes.
struct Cutter {
    pieces: Vec<ByteRange>,
    /// Where the next block begins in the chunk.
    at: u64,
    /// The first piece that has not come whole.
    next: usize,
}

impl Cutter {
    fn cut(&mut self, block: &Bytes) -> Vec<Bytes> {
        let (start, end) = (self.at, self.at + block.len() as u64);
        self.at = end;
        let mut found = Vec::new();
        while let Some(piece) = self.pieces.get(self.next).filter(|piece| piece.start < end) {
            let place = |at: u64| usize::try_from(at.clamp(start, end) - start).unwrap_or(0);
            let (from, to) = (place(piece.start), place(piece.end));
            if from < to {
                found.push(block.slice(from..to));
            }
            if piece.end > end {
                break;
            }
            self.next += 1;
        }
        found
    }
}
