//! What is archived of a channel and what is not, as the reference serves it: keys of chunks. And the two tasks that it starts.
//!
//! An archive may have millions of keys, so they are sent a page of the ledger at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Failure, known};
use crate::channel::Channel;
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::http::tasks::{self, TaskKind, TaskOptions};
use crate::http::{Answer, App, Refusal, Request, pages};
use crate::time::{Range, Ranges, Time};

/// Keys that are read, and sent, together.
const PAGE: u32 = 1_000;

/// A chunk that is not there so long after the end of its cell is missing: a check each minute would have had it by then.
const DUE: Duration = Duration::from_secs(120);

/// The number of a verification that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerifyTask {
    /// See `/api/v1/tasks/{id}`.
    #[schema(example = "verify-1")]
    verify_task_id: String,
}

/// The number of a clean-up that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CleanupTask {
    /// See `/api/v1/tasks/{id}`.
    #[schema(example = "prune-1")]
    cleanup_task_id: String,
}

/// The keys of all chunks
#[utoipa::path(get, path = "/channel/{name}/archive", tag = "reference", operation_id = "archive",
    params(("name" = String, Path, description = "Channel")),
    responses(
        (status = 200, description = "The keys, oldest first", body = Vec<String>),
        (status = 404, description = "There is no such channel", body = Failure),
    ))]
pub(in crate::http) async fn keys(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let name = known(&app, request.param("name"))?.to_string();
    if request.prefers_page() {
        return Ok(pages::part_of(&request, &format!("/channel/{name}")));
    }
    let pages = move |after: Option<Cell>| {
        let rows = app.place.ledger.page(&name, after, PAGE)?;
        let last = rows.last().map(|row| row.cell);
        let keys = rows.into_iter().filter_map(|row| row.stored).map(|stored| stored.key).collect();
        Ok((keys, last))
    };
    Ok(array(None, pages)?)
}

/// The keys of the chunks that the archive lacks
///
/// Of the retention, as far back as the channel is archived, and up to what a check each minute would have captured by now. What
/// was pruned is not missing.
#[utoipa::path(get, path = "/channel/{name}/archive/gaps", tag = "reference", operation_id = "archive_gaps",
    params(("name" = String, Path, description = "Channel")),
    responses(
        (status = 200, description = "The keys, oldest first", body = Vec<String>),
        (status = 404, description = "There is no such channel", body = Failure),
    ))]
pub(in crate::http) async fn gaps(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let name = known(&app, request.param("name"))?;
    if request.prefers_page() {
        return Ok(pages::part_of(&request, &format!("/channel/{name}#gaps")));
    }
    let channel = app.channel(name.as_str())?;
    let promised = promised(&app, &channel)?;
    let pages = move |after: Option<Cell>| {
        let rest = Range::new(after.map_or(promised.start, Cell::end), promised.end);
        let cells: Vec<Cell> = channel.grid.cells(rest).take(PAGE as usize).collect();
        let whole = |cell: &Cell| promised.start <= cell.start() && cell.end() <= promised.end;
        let missing = missing(&app, channel.name.as_str(), &cells)?;
        let keys = missing.filter(whole).map(|cell| cell.key(channel.name.as_str())).collect();
        Ok((keys, cells.last().copied()))
    };
    Ok(array(None, pages)?)
}

/// Of which time everything should be archived by now.
fn promised(app: &App, channel: &Channel) -> Result<Range> {
    let (name, now) = (channel.name.as_str(), app.now());
    let Some(since) = app.place.ledger.since(name)? else { return Ok(Range::new(now, now)) };
    let pruned = app.place.ledger.pruned(name)?.unwrap_or(Time::EPOCH);
    let start = since.max(now.minus(channel.archive_length)).max(pruned);
    Ok(Range::new(start, now.minus(DUE)))
}

/// Those of `cells`, which follow each other, that are not covered by what is stored, whatever grid it was captured on.
fn missing<'a>(app: &App, channel: &str, cells: &'a [Cell]) -> Result<impl Iterator<Item = Cell> + 'a> {
    let mut there = Ranges::none();
    if let (Some(first), Some(last)) = (cells.first(), cells.last()) {
        let rows = app.place.ledger.cells(channel, Range::new(first.start(), last.end()))?;
        rows.iter().filter(|row| row.stored.is_some()).for_each(|row| there.add(row.cell.range()));
    }
    Ok(cells.iter().copied().filter(move |cell| !there.missing_in(cell.range()).is_empty()))
}

/// A JSON array of texts, made page by page. `page` gives those after a cell, and the last cell that it looked at; that is
/// `None` where there is no more. The first page is read before anything is answered: what is wrong is told by the status.
fn array(
    after: Option<Cell>,
    page: impl Fn(Option<Cell>) -> Result<(Vec<String>, Option<Cell>)> + Send + Sync + 'static,
) -> Result<Answer> {
    let (first, last) = page(after)?;
    let head = stream::iter([text(&first, true)]);
    let rest = stream::try_unfold((last, first.is_empty()), move |(last, is_first)| {
        let read = last.is_some().then(|| page(last));
        async move {
            let Some(read) = read else { return Ok(None) };
            let (keys, last) = read?;
            let bytes = text(&keys, is_first)?;
            Ok(Some((bytes, (last, is_first && keys.is_empty()))))
        }
    });
    let tail = stream::iter([Ok(Bytes::from_static(b"]\n"))]);
    let open = stream::iter([Ok(Bytes::from_static(b"["))]);
    let pieces: BoxStream<'static, Result<Bytes>> = open.chain(head).chain(rest).chain(tail).boxed();
    Ok(Answer::stream("application/json", None, pieces))
}

/// Texts as items of a JSON array, a line each.
fn text(items: &[String], is_first: bool) -> Result<Bytes> {
    let mut text = String::new();
    for (n, item) in items.iter().enumerate() {
        text += if is_first && n == 0 { "" } else { ",\n" };
        text += &serde_json::to_string(item)
            .map_err(|e| Error::new(Kind::Io, "make the JSON document").caused_by(e))?;
    }
    Ok(Bytes::from(text))
}

/// Verify the archive of a channel
///
/// The ledger beside the store, in the background. Who asks again while that goes on is told the same number.
#[utoipa::path(post, path = "/channel/{name}/archive/verify", tag = "reference", operation_id = "verify_archive",
    params(("name" = String, Path, description = "Channel")),
    responses(
        (status = 202, description = "It goes on in the background", body = VerifyTask),
        (status = 404, description = "There is no such channel", body = Failure),
        (status = 429, description = "Asked too often, or too many tasks are waiting", body = Failure),
    ))]
pub(in crate::http) async fn verify(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let verify_task_id = start(&app, &request, TaskKind::Verify)?;
    Ok(Answer::json(&VerifyTask { verify_task_id })?.with_status(StatusCode::ACCEPTED))
}

/// Delete what retention no longer keeps of a channel
///
/// In the background. Who asks again while that goes on is told the same number.
#[utoipa::path(post, path = "/channel/{name}/archive/cleanup", tag = "reference", operation_id = "clean_archive_up",
    params(("name" = String, Path, description = "Channel")),
    responses(
        (status = 202, description = "It goes on in the background", body = CleanupTask),
        (status = 404, description = "There is no such channel", body = Failure),
        (status = 429, description = "Asked too often, or too many tasks are waiting", body = Failure),
    ))]
pub(in crate::http) async fn cleanup(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let cleanup_task_id = start(&app, &request, TaskKind::Prune)?;
    Ok(Answer::json(&CleanupTask { cleanup_task_id })?.with_status(StatusCode::ACCEPTED))
}

fn start(app: &App, request: &Request, kind: TaskKind) -> Result<String, Refusal> {
    let channel = app.channel(known(app, request.param("name"))?.as_str())?;
    Ok(tasks::start(app, &channel, kind, TaskOptions::default())?.summary.id)
}
