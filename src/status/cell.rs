//! One cell in all detail: its chunk, its tracks, what it lacks and what can still be done.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::blocks::Look;
use super::missing::{Missing, Sources, missing};
use super::prospect::{Circumstances, Lacking, Prospect, prospect};
use super::{Job, Seen, is_shown, job, low_space, oldest};
use crate::capture::Workplace;
use crate::channel::Channel;
use crate::error::{Context, Result};
use crate::grid::Cell;
use crate::ledger::{CellRow, Coverage, HoldId, Ledger, Shelved, State, Stored, TrackRow};
use crate::media::{Index, IndexEntry, TrackIndex};
use crate::store::Digest;
use crate::time::{MediaTime, Range, Ranges, Time};

/// A cell.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CellStatus {
    /// Its channel.
    pub channel: String,
    /// Which cell.
    pub cell: Cell,
    /// How it stands.
    pub look: Look,
    /// Its state in the ledger; `null`: it has no row.
    pub state: Option<State>,
    /// Its chunk; `null`: nothing is stored.
    pub chunk: Option<Chunk>,
    /// How many attempts have failed so far.
    pub attempts: u32,
    /// When the next attempt is due.
    pub retry_at: Option<Time>,
    /// Why it is not complete, as the last job saw it.
    pub reason: Option<String>,
    /// When its row last changed its state.
    pub updated: Option<Time>,
    /// The last job that worked on it.
    pub job: Option<Job>,
    /// The tracks of its chunk, in the order of the file.
    pub tracks: Vec<TrackStatus>,
    /// What it lacks, oldest first.
    pub missing: Vec<Missing>,
    /// The holds that keep it, by number.
    pub holds: Vec<HoldId>,
    /// When it begins to be lost, on this host's clock; `null` where it is not at risk.
    pub deadline: Option<Time>,
}

/// A chunk that is stored.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = StoredChunk)]
pub struct Chunk {
    /// Its key in the channel's store.
    pub key: String,
    /// How much of its cell it holds.
    pub coverage: Coverage,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of all its bytes, in hexadecimal.
    pub sha256: String,
    /// When it was last read back and found whole; `null`: not since it was stored.
    pub verified: Option<Time>,
}

/// A track of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrackStatus {
    /// Its track id in every chunk of the channel.
    pub id: u32,
    /// Its name, like `video=1000000`.
    pub name: String,
    /// What the source last said of it, as people read it.
    pub description: String,
    /// Ticks a second of its media.
    pub timescale: u32,
    /// How many fragments there are.
    pub fragments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What they cover, by decode times. What is shorter than half a fragment is no hole.
    pub ranges: Vec<Range>,
    /// True if the first of them begins with a sync sample.
    pub starts_with_sync: bool,
}

/// All that is known of a cell; also of one that has no row.
///
/// # Errors
/// Those of the ledger; [`crate::error::Kind::Corrupt`] for a damaged fragment index.
pub fn cell(place: &Workplace, channel: &Channel, cell: Cell, now: Time) -> Result<CellStatus> {
    let (ledger, name) = (place.ledger.as_ref(), channel.name.as_str());
    let row = ledger.cell(name, cell)?;
    let mut gaps = ledger.gaps(name, cell.range())?;
    gaps.retain(|row| row.cell == cell && is_shown(row));
    let (seen, circumstances) = circumstances(place, channel, now)?;
    let at_risk = seen.at_risk(ledger, name, circumstances.oldest)?;
    let mut shelf = ledger.shelf(name, cell.range())?;
    shelf.retain(|shelved: &Shelved| shelved.cell == cell);
    let open = [cell.range()];
    let open = if row.is_none() { &open[..] } else { &[] };
    let sources = Sources { gaps: &gaps, shelf: &shelf, open };
    let holds = ledger.holds(Some(name))?.into_iter();
    let holds = holds.filter(|h| h.holds_at(now) && !h.range.intersect(cell.range()).is_empty());
    let last = row.as_ref().and_then(|row| row.job).map(|id| ledger.job(id)).transpose()?.flatten();
    Ok(CellStatus {
        channel: name.to_owned(),
        cell,
        look: row.as_ref().map_or(Look::Open, |row| Look::of(row.state, !gaps.is_empty())),
        state: row.as_ref().map(|row| row.state),
        attempts: row.as_ref().map_or(0, |row| row.attempts),
        retry_at: row.as_ref().and_then(|row| row.retry_at),
        reason: row.as_ref().and_then(|row| row.reason.clone()),
        updated: row.as_ref().map(|row| row.updated),
        chunk: row.and_then(chunk),
        job: last.map(|row| job(place, row)),
        tracks: tracks(ledger, name, cell)?,
        missing: missing(ledger, channel, &sources, &circumstances)?.0,
        holds: holds.map(|hold| hold.id).collect(),
        deadline: at_risk.iter().find(|risk| risk.cell == cell).map(|risk| risk.deadline),
    })
}

/// What the last check saw of a channel, and what bears on what can be done.
fn circumstances(place: &Workplace, channel: &Channel, now: Time) -> Result<(Seen, Circumstances)> {
    let (ledger, name) = (place.ledger.as_ref(), channel.name.as_str());
    let seen = Seen::read(ledger, name)?;
    let oldest = oldest(channel, ledger.pruned(name)?, now);
    let low = low_space(place, [channel]);
    let folder = low.first().map(|low| low.folder.display().to_string());
    let circumstances = Circumstances::new(channel, &seen, oldest, folder.as_deref(), now);
    Ok((seen, circumstances))
}

/// What can still be done about what cells of one channel lack.
pub struct Prospects(Circumstances);

impl Prospects {
    /// As a channel stands at `now`.
    ///
    /// # Errors
    /// Those of the ledger.
    pub fn read(place: &Workplace, channel: &Channel, now: Time) -> Result<Prospects> {
        Ok(Prospects(circumstances(place, channel, now)?.1))
    }

    /// What can still be done about a range that a cell lacks.
    pub fn of(&self, row: &CellRow, range: Range) -> Prospect {
        let retry = match row.state {
            State::Capturing | State::Failed => true,
            State::Partial => row.retry_at.is_some(),
            State::Complete | State::Lost => false,
        };
        let lacking = Lacking { state: Some(row.state), retry, retry_at: row.retry_at, range };
        prospect(&lacking, &self.0)
    }
}

fn chunk(row: CellRow) -> Option<Chunk> {
    let Stored { coverage, key, bytes, sha256 } = row.stored?;
    Some(Chunk { key, coverage, bytes, sha256: Digest { bytes, sha256 }.hex(), verified: row.verified })
}

/// The tracks of the chunk of a cell, in the order of the file; none if nothing is stored.
///
/// # Errors
/// Those of the ledger; [`crate::error::Kind::Corrupt`] for a damaged fragment index.
pub fn tracks(ledger: &dyn Ledger, name: &str, cell: Cell) -> Result<Vec<TrackStatus>> {
    let Some(index) = ledger.index(name, cell)? else { return Ok(Vec::new()) };
    let index = Index::decode(&index).with_context(|| format!("channel {name}: chunk {cell}"))?;
    let known = ledger.tracks(name)?;
    Ok(index.tracks.iter().map(|track| track_status(track, &known)).collect())
}

fn track_status(track: &TrackIndex, known: &[TrackRow]) -> TrackStatus {
    let row = known.iter().find(|row| row.id == track.track_id);
    let name = row.map_or_else(|| format!("track {}", track.file_track_id), |row| row.track.name());
    let description = row.map_or_else(|| name.clone(), |row| row.track.to_string());
    TrackStatus {
        id: track.track_id,
        name,
        description,
        timescale: track.timescale.get(),
        fragments: track.fragments.len() as u64,
        bytes: track.fragments.iter().map(|fragment| fragment.size).sum(),
        ranges: ranges(track).as_slice().to_vec(),
        starts_with_sync: track.fragments.first().is_some_and(|fragment| fragment.sync),
    }
}

fn ranges(track: &TrackIndex) -> Ranges {
    let at = |ticks: u64| MediaTime::new(i64::try_from(ticks).unwrap_or(i64::MAX), track.timescale).instant();
    let range = |f: &IndexEntry| {
        Range::new(at(f.decode_time), at(f.decode_time.saturating_add(u64::from(f.duration_ticks))))
    };
    let longest = track.fragments.iter().map(|f| range(f).duration()).max().unwrap_or(Duration::ZERO);
    let mut covered = Ranges::none();
    track.fragments.iter().for_each(|f| covered.add_bridging(range(f), longest / 2));
    covered
}

#[cfg(test)]
mod tests {
    use super::super::tests::{archive, cell as nth, channel, claim, gap, observe, place, t};
    use super::*;
    use crate::capture::BEFORE_THE_ARCHIVE;
    use crate::error::Kind;
    use crate::ledger::JobStats;
    use crate::time::Timescale;
    use crate::track::{Medium, Track};

    fn index() -> Index {
        let mut index = Index::default();
        let scale = Timescale::new(1_000).unwrap();
        // Ten seconds, a hole of four, ten seconds; and a tick too few in the middle of the first.
        for (n, start_s) in [0, 2, 4, 6, 8, 14, 16, 18, 20, 22].into_iter().enumerate() {
            let decode_time = u64::try_from((t(0).s() + start_s) * 1_000).unwrap();
            let entry = IndexEntry {
                decode_time,
                duration_ticks: if n == 2 { 1_999 } else { 2_000 },
                moof_offset: 1_000 + n as u64 * 500,
                prefix_size: 0,
                size: 500,
                sync: n != 3,
            };
            index.push(1, scale, entry);
        }
        index
    }

    #[test]
    fn a_cell_tells_its_chunk_its_tracks_and_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let (place, news) = (place(&folder), channel("news", ""));
        let ledger = place.ledger.as_ref();
        let language = Some("eng".to_owned());
        let video = Track {
            medium: Medium::Video,
            id: "1".into(),
            language,
            bandwidth: None,
            codecs: None,
            size: None,
        };
        ledger.register_tracks("news", &[(&video, Timescale::new(1_000).unwrap())], t(0)).unwrap();
        let gaps = [gap(0, 10, 14, "404")];
        let job = archive_with(&place, &index().encode(), &gaps);
        let hold = ledger.hold("news", nth(0).range(), None, None, t(0)).unwrap();
        let told = cell(&place, &news, nth(0), t(400)).unwrap();
        assert_eq!((told.look, told.state, told.attempts), (Look::Partial, Some(State::Partial), 0));
        let chunk = told.chunk.unwrap();
        assert_eq!((chunk.key, chunk.bytes, chunk.coverage), (nth(0).key("news"), 1_000, Coverage::Partial));
        assert_eq!(chunk.sha256, "07".repeat(32));
        let at = |s: i64| t(s);
        let expected = TrackStatus {
            id: 1,
            name: "video=1".to_owned(),
            description: "video=1 eng".to_owned(),
            timescale: 1_000,
            fragments: 10,
            bytes: 5_000,
            ranges: vec![Range::new(at(0), at(10)), Range::new(at(14), at(24))],
            starts_with_sync: true,
        };
        assert_eq!(told.tracks, [expected]);
        assert_eq!((told.job.unwrap().id, told.holds, told.deadline), (job, vec![hold], None));
        let lacks: Vec<_> = told.missing.iter().map(|m| (m.range, m.prospect.text.as_str())).collect();
        assert_eq!(lacks, [(gaps[0].range, "lost: the source has no more of it")]);
    }

    fn archive_with(place: &Workplace, index: &[u8], gaps: &[crate::ledger::Gap]) -> crate::ledger::JobId {
        let stored =
            Stored { coverage: Coverage::Partial, key: nth(0).key("news"), bytes: 1_000, sha256: [7; 32] };
        let job = claim(place, 0);
        let stats = JobStats::default();
        let commit =
            crate::ledger::Commit { stored: &stored, index, gaps, stats, retry_at: None, message: None };
        place.ledger.commit(job, t(301), &commit).unwrap();
        job
    }

    #[test]
    fn a_cell_without_a_row_is_told_too() {
        let folder = tempfile::tempdir().unwrap();
        let (place, news) = (place(&folder), channel("news", ""));
        observe(&place, t(600), Some(0));
        let told = cell(&place, &news, nth(0), t(605)).unwrap();
        assert_eq!((told.look, told.state, told.tracks.len()), (Look::Open, None, 0));
        assert_eq!(told.deadline, Some(t(690)));
        assert_eq!(told.missing[0].prospect.text, "captured by the next check, until 22:45:00");
    }

    #[test]
    fn the_first_chunk_of_an_archive_lacks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (place, news) = (place(&folder), channel("news", ""));
        archive(&place, 1, &[gap(1, 0, 9, BEFORE_THE_ARCHIVE)], None);
        // An index of nothing is damaged, and says of which chunk.
        let damaged = cell(&place, &news, nth(1), t(900)).unwrap_err();
        assert_eq!(damaged.kind(), Kind::Corrupt);
        assert!(damaged.to_string().starts_with("channel news: chunk 2023-11-14T22:20:00Z--"), "{damaged}");
    }
}
