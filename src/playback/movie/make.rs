//! Making the head.

use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::read::{ChunkMedia, read_chunk};
use super::spool::Spool;
use super::{FORM, Movie, Plan, Source};
use crate::error::{Context, Error, Kind, Result};
use crate::playlist::mp4::{Film, Job};
use crate::store::Store;

/// How many chunks are read at once. Each takes some megabytes of memory.
const AT_ONCE: usize = 4;

/// What grows.
struct Growing {
    film: Film,
    spool: Spool,
}

impl Plan {
    /// How many chunks have to be read.
    pub fn chunks(&self) -> usize {
        self.jobs.len()
    }

    /// Reads the heads of all fragments, and makes that of the file, in a file in `folder` that has no name. `read` is told of
    /// each chunk.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if a chunk is not there; [`Kind::Corrupt`] if it is another, or cannot be read;
    /// [`Kind::Unsupported`] for what one file cannot hold; [`Kind::Storage`] for a full disk.
    pub async fn make(
        self,
        store: &dyn Store,
        folder: &Path,
        read: impl Fn() + Send + Sync,
    ) -> Result<Movie> {
        let Plan { tag, modified, channel, film, jobs, sources, tracks } = self;
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let mut growing = Growing { film, spool: Spool::new(folder, tracks.len()) };
        let fetch = |job: Job| {
            let source = sources.get(&job.cell);
            let channel = &channel;
            async move {
                let source =
                    source.ok_or_else(|| Error::new(Kind::NotFound, format!("chunk {}", job.cell)))?;
                let media = read_chunk(store, source, job.fragments.clone(), channel).await?;
                Ok::<_, Error>((job, media))
            }
        };
        let mut chunks = stream::iter(jobs).map(fetch).buffered(AT_ONCE).boxed();
        while let Some((job, media)) = chunks.try_next().await? {
            growing = aside(move || growing.take(&job, &media)).await?;
            read();
        }
        drop(chunks);
        let note = format!("{FORM} {tag}");
        let (film, head, head_bytes) = aside(move || growing.finish(&note)).await?;
        let cells: Vec<Source> = film.cells().iter().filter_map(|cell| sources.get(cell).cloned()).collect();
        Ok(Movie {
            tag,
            modified,
            bytes: head_bytes + film.media_bytes(),
            presented_ns: film.presented_ns(),
            head: Arc::new(head),
            head_bytes,
            sources: cells,
            pieces: film.into_pieces(),
        })
    }
}

impl Growing {
    fn take(mut self, job: &Job, media: &ChunkMedia) -> Result<Growing> {
        self.film.take(job, &media.header, &media.fragments)?;
        self.drain()?;
        Ok(self)
    }

    fn drain(&mut self) -> Result<()> {
        let Growing { film, spool } = self;
        film.drain(|track, column, bytes| spool.append(track, column, bytes))
    }

    fn finish(mut self, note: &str) -> Result<(Film, std::fs::File, u64)> {
        self.film.finish();
        self.drain()?;
        let (head, bytes) = self.spool.write(&self.film.head(note)?)?;
        Ok((self.film, head, bytes))
    }
}

/// Runs work on a thread where it may block.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(Kind::Io, "the thread that makes a file was lost").caused_by(e)))
}
