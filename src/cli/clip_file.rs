//! Where a clip is written: to a file that grows under another name, so that nobody takes half a file for a whole one, or to
//! standard output.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use tokio::io::AsyncWriteExt;

use super::{bars, out};
use crate::error::{Context, Error, Kind, Result};
use crate::playback::movie::Movie;
use crate::store::{ByteRange, Space, Store};
use crate::words::human_bytes;

/// How much is gathered before it is written, in bytes.
const BLOCK: usize = 1 << 20;

/// Where a clip goes.
pub(super) enum Target {
    Stdout,
    File { path: PathBuf, part: PathBuf },
}

impl Target {
    /// # Errors
    /// [`Kind::Usage`] for a file that is there already, unless it may be replaced, and for a terminal.
    pub(super) fn new(path: &Path, may_replace: bool) -> Result<Target> {
        if path == Path::new("-") {
            if out::is_terminal() {
                let error = Error::new(Kind::Usage, "standard output is a terminal, which shows no film");
                return Err(error.hint("-o FILE.mp4"));
            }
            return Ok(Target::Stdout);
        }
        let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
            return Err(
                Error::new(Kind::Usage, format!("{} is a folder", path.display())).hint("-o FILE.mp4")
            );
        };
        if path.exists() && !may_replace {
            let error = Error::new(Kind::Usage, format!("{} is there already", path.display()));
            return Err(error.hint("--force replaces it"));
        }
        let mut part = name.to_owned();
        part.push(".part");
        Ok(Target::File { path: path.to_owned(), part: path.with_file_name(part) })
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Target::Stdout)
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        match self {
            Target::Stdout => "standard output".to_owned(),
            Target::File { path, .. } => path.display().to_string(),
        }
    }
}

/// Writes a file that is as good as made.
///
/// # Errors
/// [`Kind::Storage`] where there is no room for it; [`Kind::Busy`] if another process writes it; those of reading.
pub(super) async fn write(
    movie: &Arc<Movie>,
    store: Arc<dyn Store>,
    channel: &str,
    to: &Target,
) -> Result<()> {
    let Target::File { path, part } = to else { return pour(movie, store, channel).await };
    let (file, done) = open(movie, part).await?;
    refuse_too_much(movie.bytes - done, path)?;
    let bar = bars::bytes(&to.name(), movie.bytes);
    bar.inc(done);
    let mut pieces = movie.read(store, channel, ByteRange { start: done, end: movie.bytes });
    let mut writer = tokio::io::BufWriter::with_capacity(BLOCK, tokio::fs::File::from_std(file));
    let failed = |e: Error| e.context(format_args!("write {}", part.display())).hint(GO_ON);
    while let Some(piece) = pieces.try_next().await.map_err(|e| e.hint(GO_ON))? {
        writer.write_all(&piece).await.map_err(|e| failed(e.into()))?;
        bar.inc(piece.len() as u64);
    }
    writer.flush().await.map_err(|e| failed(e.into()))?;
    writer.get_ref().sync_all().await.map_err(|e| failed(e.into()))?;
    bar.finish_and_clear();
    std::fs::rename(part, path)
        .with_context(|| format!("rename {} to {}", part.display(), path.display()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("sync {}", folder.display()))
}

const GO_ON: &str = "run the same command again: it goes on where this one ended";

/// Opens what is written of the file so far, and how much of it is good: nothing, unless it begins as this one does.
async fn open(movie: &Arc<Movie>, part: &Path) -> Result<(File, u64)> {
    let at = || format!("write {}", part.display());
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(part);
    let mut file = opened.with_context(at)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::new(Kind::Busy, "another process is writing it").context(at()));
        }
        Err(TryLockError::Error(e)) => return Err(Error::from(e).context(at())),
    }
    let there = file.metadata().with_context(at)?.len();
    if there >= movie.head_bytes() && there <= movie.bytes && begins_alike(movie, &mut file).await? {
        let (done, all) = (human_bytes(there), human_bytes(movie.bytes));
        out::say(format_args!("{}: {done} of {all} are there already; going on", part.display()));
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(there)).with_context(at)?;
        return Ok((file, there));
    }
    file.set_len(0).with_context(at)?;
    std::io::Seek::rewind(&mut file).with_context(at)?;
    Ok((file, 0))
}

/// True if the head of what is there is that of this file. It has a checksum of all media in it.
async fn begins_alike(movie: &Arc<Movie>, file: &mut File) -> Result<bool> {
    let mut head = movie.head();
    let mut block = Vec::new();
    while let Some(expected) = head.try_next().await? {
        block.resize(expected.len(), 0);
        if file.read_exact(&mut block).is_err() || block != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Fails before anything is written, where it would not fit.
fn refuse_too_much(bytes: u64, path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Space { free_bytes, .. } = Space::of(folder)?;
    if bytes <= free_bytes {
        return Ok(());
    }
    let (needed, free) = (human_bytes(bytes), human_bytes(free_bytes));
    let what = format!("{}: it needs {needed}, and {free} are free", path.display());
    Err(Error::new(Kind::Storage, what).hint("free some space, or write it to a larger disk"))
}

/// To standard output. A reader that has gone is no error.
async fn pour(movie: &Arc<Movie>, store: Arc<dyn Store>, channel: &str) -> Result<()> {
    let mut pieces = movie.read(store, channel, ByteRange { start: 0, end: movie.bytes });
    let mut stdout = std::io::stdout();
    debug_assert!(!stdout.is_terminal());
    while let Some(piece) = pieces.try_next().await? {
        match stdout.write_all(&piece) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("write to standard output")?,
        }
    }
    stdout.flush().context("write to standard output")
}
