//! Chunks: what the ledger has of each cell, and, if asked for, which media of each track are in its file.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Page, Problem, known, query};
use crate::error::{Context, Result};
use crate::grid::Cell;
use crate::http::{Answer, App, Refusal, Request, smil};
use crate::ledger::{CellRow, JobId, Ledger, State, TrackRow};
use crate::media::{Index, TrackIndex};
use crate::store::Digest;
use crate::time::{MediaTime, Range, Ranges, Time};

/// Fragments of one track that are no further apart are one stretch.
const JOINED: Duration = Duration::from_millis(50);

/// How many rows are read at once.
const ROWS: u32 = 1_000;

/// A cell of which the ledger knows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Chunk)]
pub(super) struct ChunkDocument {
    /// Which cell.
    cell: Cell,
    /// How far it is.
    state: State,
    /// The key of its chunk; `null`, as all that follows down to `verified`, if nothing is stored.
    key: Option<String>,
    /// Where a player, or Remix, fetches the chunk.
    url: Option<String>,
    /// The length of the chunk.
    bytes: Option<u64>,
    /// SHA-256 of the chunk, in hexadecimal.
    sha256: Option<String>,
    /// When it was last read back and found whole; `null`: not since it was stored.
    verified: Option<Time>,
    /// When its row last changed.
    updated: Time,
    /// How many attempts have failed so far.
    attempts: u32,
    /// When the next attempt is due.
    retry_at: Option<Time>,
    /// Why it is not complete.
    reason: Option<String>,
    /// The last job that worked on it.
    job: Option<JobId>,
    /// What of each track is in the file; only if asked for, and if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracks: Option<Vec<TrackDocument>>,
}

/// What of a track is in a chunk, and what is not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChunkTrack)]
struct TrackDocument {
    /// Its id in the file.
    id: u32,
    /// Its name.
    track: String,
    /// What is there: a segment belongs to the chunk in whose cell it begins, so this may reach past the end of the cell.
    held: Vec<Range>,
    /// What of the cell is missing.
    gaps: Vec<GapOfTrack>,
    /// How many fragments it has.
    fragments: u64,
    /// Their bytes.
    bytes: u64,
}

/// What a track lacks.
#[derive(Debug, Serialize, ToSchema)]
struct GapOfTrack {
    /// What is not there.
    range: Range,
    /// Why.
    reason: String,
}

/// Chunks
///
/// Every cell of which the ledger has a row, oldest first; also those that are being captured, failed or are lost. Cells that no
/// run has looked at yet have none.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chunks", tag = "channels", operation_id = "list_chunks",
    params(
        ("name" = String, Path, description = "Channel"),
        ("from" = Option<String>, Query, format = DateTime, description = "Only those that end after this"),
        ("to" = Option<String>, Query, format = DateTime, description = "Only those that begin before this"),
        ("tracks" = Option<bool>, Query, description = "With what of each track is in the file"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many, if not 100"),
        ("after" = Option<String>, Query, description = "Only those after this one, START--END"),
    ),
    responses(
        (status = 200, description = "Some of them, oldest first", body = Page<ChunkDocument>),
        (status = 400, description = "The query makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn all(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let name = known(&app, request.param("name"))?;
    let limit = query::limit(&request, 100, 1_000)? as usize;
    let with_tracks = query::switch(&request, "tracks")?;
    let ledger = app.place.ledger.as_ref();
    let (rows, is_more) =
        rows(ledger, name.as_str(), query::range(&request)?, query::after(&request)?, limit)?;
    // Where the files are is not known of a channel whose own file is gone, or of a store that is away.
    let folder = match app.channel(name.as_str()) {
        Ok(channel) => smil::folder(&app, &channel, &request).await.ok(),
        Err(_) => None,
    };
    let known = if with_tracks { ledger.tracks(name.as_str())? } else { Vec::new() };
    let next = rows.last().filter(|_| is_more).map(|row| row.cell.to_string());
    let document = |row: CellRow| -> Result<ChunkDocument> {
        let tracks = with_tracks.then(|| tracks(ledger, name.as_str(), row.cell, &known)).transpose()?;
        Ok(document(row, name.as_str(), folder.as_deref(), tracks.flatten()))
    };
    let items: Vec<ChunkDocument> = rows.into_iter().map(document).collect::<Result<_>>()?;
    Ok(Answer::json(&Page { items, next })?.tagged())
}

/// At most `limit` rows that touch `within` and come after `after`, and whether there are more.
pub(super) fn rows(
    ledger: &dyn Ledger,
    name: &str,
    within: Range,
    after: Option<Cell>,
    limit: usize,
) -> Result<(Vec<CellRow>, bool)> {
    // The first row that touches the start of the range may begin long before it. What lies before that is passed over by a
    // cell of one second, which need not be there.
    let first = ledger.cells(name, Range::new(within.start, within.start.offset_ns(1)))?;
    let start = first.first().map_or(within.start.floor_s(), |row| row.cell.start());
    let second = Range::new(start.minus(Duration::from_secs(1)), start);
    let before = (within.start > Time::from_ns(i64::MIN)).then(|| Cell::from_range(second));
    let (mut at, mut found) = (after.max(before), Vec::new());
    loop {
        let page = ledger.page(name, at, ROWS.min(u32::try_from(limit).unwrap_or(ROWS) + 1))?;
        let Some(last) = page.last().map(|row| row.cell) else { return Ok((found, false)) };
        for row in page {
            if row.cell.start() >= within.end {
                return Ok((found, false));
            }
            if row.cell.end() > within.start {
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(row);
            }
        }
        at = Some(last);
    }
}

fn document(
    row: CellRow,
    name: &str,
    folder: Option<&str>,
    tracks: Option<Vec<TrackDocument>>,
) -> ChunkDocument {
    let stored = row.stored.as_ref();
    let url = |key: &str| Some(format!("{}{}", folder?, key.strip_prefix(name)?.strip_prefix('/')?));
    ChunkDocument {
        cell: row.cell,
        state: row.state,
        url: stored.and_then(|stored| url(&stored.key)),
        bytes: stored.map(|stored| stored.bytes),
        sha256: stored.map(|stored| Digest { bytes: stored.bytes, sha256: stored.sha256 }.hex()),
        key: row.stored.map(|stored| stored.key),
        verified: row.verified,
        updated: row.updated,
        attempts: row.attempts,
        retry_at: row.retry_at,
        reason: row.reason,
        job: row.job,
        tracks,
    }
}

/// What of each track is in the chunk of a cell; `None` if there is none.
fn tracks(
    ledger: &dyn Ledger,
    name: &str,
    cell: Cell,
    known: &[TrackRow],
) -> Result<Option<Vec<TrackDocument>>> {
    let Some(bytes) = ledger.index(name, cell)? else { return Ok(None) };
    let index = Index::decode(&bytes).with_context(|| format!("channel {name}: chunk {cell}"))?;
    let gaps = ledger.gaps(name, cell.range())?;
    let document = |track: &TrackIndex| {
        let known = known.iter().find(|row| row.id == track.track_id);
        let name = known.map_or_else(|| format!("track {}", track.file_track_id), |row| row.track.name());
        let gaps = gaps.iter().filter(|row| row.cell == cell && row.gap.track == name);
        let gaps = gaps.map(|row| GapOfTrack { range: row.gap.range, reason: row.gap.reason.clone() });
        TrackDocument {
            id: track.file_track_id,
            held: held(track).as_slice().to_vec(),
            gaps: gaps.collect(),
            fragments: track.fragments.len() as u64,
            bytes: track.fragments.iter().map(|fragment| fragment.size).sum(),
            track: name,
        }
    };
    Ok(Some(index.tracks.iter().map(document).collect()))
}

fn held(track: &TrackIndex) -> Ranges {
    let at = |ticks: u64| MediaTime::new(i64::try_from(ticks).unwrap_or(i64::MAX), track.timescale).instant();
    let mut held = Ranges::none();
    for fragment in &track.fragments {
        let end = fragment.decode_time.saturating_add(u64::from(fragment.duration_ticks));
        held.add_bridging(Range::new(at(fragment.decode_time), at(end)), JOINED);
    }
    held
}
