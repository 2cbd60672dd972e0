//! A clip as one MP4 file that is never made: its head is, and its media is read from the chunks as somebody reads the file.
//!
//! The head needs the `moof` of every fragment, as the index says where fragments are and nothing of samples. So they are read,
//! a few chunks ahead, and their tables grow in temporary files that nobody sees, since those of a day would not fit into
//! memory. What is kept of the file then is a descriptor, and one small value for each fragment.

mod frame;
mod learn;
mod make;
mod read;
mod spool;
mod stream;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Footage;
use super::MAX_FRAGMENTS;
use crate::clip::{Clip, Gap, Missing};
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::Ledger;
use crate::playlist::Gaps;
use crate::playlist::mp4::{Choice, Film, Job, Piece};
use crate::time::{Range, Time};
use crate::track::Track;

pub use frame::{Picture, frame};
pub use learn::learn;
pub use read::read_fragment;

/// Changes with the form of the file: whoever has begun to fetch one of another form begins again.
const FORM: &str = "npvr mp4 1";

/// A chunk that a file is made of, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    cell: Cell,
    key: String,
    bytes: u64,
    /// How many bytes are enough to read its header.
    header_bytes: u64,
}

/// A file that could be made. Nothing was read of any chunk.
#[derive(Debug)]
pub struct Plan {
    /// What it will be, but for its length: the same for the same media, asked for in the same way.
    pub tag: String,
    /// When the last of its chunks was written down.
    pub modified: Time,
    /// Its tracks.
    pub tracks: Vec<Track>,
    channel: String,
    film: Film,
    jobs: Vec<Job>,
    sources: BTreeMap<Cell, Source>,
}

/// A file, as good as made.
#[derive(Debug)]
pub struct Movie {
    /// As [`Plan::tag`].
    pub tag: String,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// As [`Plan::modified`].
    pub modified: Time,
    /// How long it lasts, in nanoseconds.
    pub presented_ns: i64,
    head: Arc<File>,
    head_bytes: u64,
    /// By the numbers that pieces name.
    sources: Vec<Source>,
    pieces: Vec<Piece>,
}

/// The file of a clip.
///
/// # Errors
/// [`Kind::Usage`] for tracks that are not there, and for too much at once; [`Kind::NotFound`] where no chosen track has media;
/// [`Kind::Unsupported`] where a track's timescale changes; [`Kind::Expired`] where a chunk has just gone; those of the ledger.
/// With [`Gaps::Fail`] [`Kind::Busy`], if anything is missing.
pub fn plan(
    ledger: &dyn Ledger,
    channel: &str,
    footage: &Footage,
    choice: &Choice,
    gaps: Gaps,
) -> Result<Plan> {
    let all = footage.reel(&[]).track_ids();
    let there: Vec<_> = footage.tracks.iter().filter(|row| all.contains(&row.id)).collect();
    if there.is_empty() {
        return Err(Error::new(Kind::NotFound, "none of the tracks has media there"));
    }
    let names: Vec<&Track> = there.iter().map(|row| &row.track).collect();
    let chosen: Vec<_> = choice.of(&names)?.into_iter().map(|n| there[n]).collect();
    for (n, row) in chosen.iter().enumerate() {
        if chosen[..n].iter().any(|other| other.track.name() == row.track.name()) {
            let what = format!("the timescale of track {} changes within the clip", row.track.name());
            return Err(Error::new(Kind::Unsupported, what)
                .hint("ask for what is before the change, and for what is after it"));
        }
    }
    if gaps == Gaps::Fail {
        refuse_gaps(&footage.clip, &chosen.iter().map(|row| row.track.name()).collect::<Vec<_>>())?;
    }
    let ids: Vec<u32> = chosen.iter().map(|row| row.id).collect();
    let reel = footage.reel(&ids);
    let (film, jobs) = Film::new(&footage.clip, &reel, &ids, gaps == Gaps::Mark);
    let fragments: usize = jobs.iter().map(|job| job.fragments.len()).sum();
    if fragments > MAX_FRAGMENTS {
        let what = format!("{fragments} fragments are too many for one file: there may be {MAX_FRAGMENTS}");
        return Err(Error::new(Kind::Usage, what).hint("ask for it in several files, or for fewer tracks"));
    }
    let (sources, modified, hash) = sources(ledger, channel, footage, &jobs)?;
    let mut hasher = Sha256::new();
    hasher.update(format!("{FORM}\n{channel}\n{gaps:?}\n{ids:?}\n"));
    for part in &footage.clip.parts {
        hasher.update(format!("{}\n", part.asked));
        part.runs.iter().for_each(|run| hasher.update(format!("{}\n", run.range)));
    }
    hasher.update(hash);
    let digest: [u8; 32] = hasher.finalize().into();
    let tag = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
    let tracks = chosen.iter().map(|row| row.track.clone()).collect();
    Ok(Plan { tag, modified, tracks, channel: channel.to_owned(), film, jobs, sources })
}

/// Refuses a clip of which something is missing of these tracks.
fn refuse_gaps(clip: &Clip, names: &[String]) -> Result<()> {
    let counts = |gap: &&Gap| match &gap.what {
        Missing::Track(name) => names.contains(name),
        _ => true,
    };
    let missing: Vec<String> = clip.gaps().filter(counts).map(|gap| gap.range.to_string()).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let more = if missing.len() > 1 { format!(", and {} more", missing.len() - 1) } else { String::new() };
    Err(Error::new(Kind::Busy, format!("{first} is missing{more}")).hint("gaps=skip leaves it out"))
}

/// The chunks of all jobs, when the last of them was written, and a hash of what they are.
fn sources(
    ledger: &dyn Ledger,
    channel: &str,
    footage: &Footage,
    jobs: &[Job],
) -> Result<(BTreeMap<Cell, Source>, Time, [u8; 32])> {
    let mut sources: BTreeMap<Cell, Source> = BTreeMap::new();
    let (mut modified, mut hasher) = (Time::EPOCH, Sha256::new());
    for run in footage.clip.runs() {
        let (Some(first), Some(last)) = (run.chunks.first(), run.chunks.last()) else { continue };
        let within = Range::new(first.start(), last.end());
        for row in ledger.cells(channel, within)?.into_iter().filter(|row| run.chunks.contains(&row.cell)) {
            let header_bytes = footage.index(row.cell).and_then(|index| index.header_bytes());
            let (Some(stored), Some(header_bytes)) = (row.stored, header_bytes) else { continue };
            modified = modified.max(row.updated);
            hasher.update(format!("{}\n{}\n", stored.key, stored.bytes));
            hasher.update(stored.sha256);
            let source = Source { cell: row.cell, key: stored.key, bytes: stored.bytes, header_bytes };
            sources.insert(row.cell, source);
        }
    }
    match jobs.iter().find(|job| !sources.contains_key(&job.cell)) {
        Some(job) => {
            let what = format!("channel {channel}: chunk {} has just been deleted", job.cell);
            Err(Error::new(Kind::TryLater, what).hint("ask again"))
        }
        None => Ok((sources, modified, hasher.finalize().into())),
    }
}
