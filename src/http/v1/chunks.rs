//! Chunks: what the ledger has of each cell, and, if asked for, which media of each track are in its file.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Page, Problem, known, query};
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::http::{Answer, App, Refusal, Request, smil};
use crate::ledger::{CellRow, JobId, Ledger, State};
use crate::status::{self, CellStatus, TrackStatus};
use crate::store::Digest;
use crate::time::{Range, Time};

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

/// What of a track is in a chunk, and what is not. A segment belongs to the chunk in whose cell it begins, so `ranges` may reach
/// past the end of the cell.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChunkTrack)]
struct TrackDocument {
    /// What is there.
    #[serde(flatten)]
    status: TrackStatus,
    /// What of the cell is missing.
    gaps: Vec<GapOfTrack>,
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
    let next = rows.last().filter(|_| is_more).map(|row| row.cell.to_string());
    let document = |row: CellRow| -> Result<ChunkDocument> {
        let is_wanted = with_tracks && row.stored.is_some();
        let tracks = is_wanted.then(|| tracks(ledger, name.as_str(), row.cell)).transpose()?;
        Ok(document(row, name.as_str(), folder.as_deref(), tracks))
    };
    let items: Vec<ChunkDocument> = rows.into_iter().map(document).collect::<Result<_>>()?;
    Ok(Answer::json(&Page { items, next })?.tagged())
}

/// One cell
///
/// All that is known of it, also if it has no row yet: its chunk, its tracks, its last job, what it lacks, and what can still be
/// done about that.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chunks/{cell}", tag = "channels", operation_id = "get_chunk",
    params(
        ("name" = String, Path, description = "Channel"),
        ("cell" = String, Path, description = "START--END", example = "2018-12-06T12:55:00Z--2018-12-06T13:00:00Z"),
    ),
    responses(
        (status = 200, description = "The cell", body = CellStatus),
        (status = 400, description = "This is no range", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel, or no such cell", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn one(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let name = known(&app, request.param("name"))?;
    let channel = app.channel(name.as_str())?;
    let cell = query::cell(request.param("cell"))?;
    let is_of_grid = channel.grid.cell_at(cell.start()) == cell;
    if !is_of_grid && app.place.ledger.cell(name.as_str(), cell)?.is_none() {
        let what = format!("channel {name}: {cell} is none of its chunks");
        let of_grid = channel.grid.cell_at(cell.start());
        return Err(Error::new(Kind::NotFound, what).hint(format!("did you mean {of_grid}?")).into());
    }
    Ok(Answer::json(&status::cell(&app.place, &channel, cell, app.now())?)?)
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

/// What of each track is in the chunk of a cell, and what is not.
fn tracks(ledger: &dyn Ledger, name: &str, cell: Cell) -> Result<Vec<TrackDocument>> {
    let gaps = ledger.gaps(name, cell.range())?;
    let document = |status: TrackStatus| {
        let gaps = gaps.iter().filter(|row| row.cell == cell && row.gap.track == status.name);
        let gaps = gaps.map(|row| GapOfTrack { range: row.gap.range, reason: row.gap.reason.clone() });
        TrackDocument { gaps: gaps.collect(), status }
    };
    Ok(status::tracks(ledger, name, cell)?.into_iter().map(document).collect())
}
