//! Chunk files of stores on disk: `/chunk/NAME/DAY/FILE.ismv`, which is where playlists say that they are.
//!
//! The path is read as the name of a cell, and never put together as one: what is served is the object of a row of the ledger,
//! and nothing else that lies in the folder. Bytes are read as the client takes them, so a slow one holds no thread and little
//! memory. Players and Remix ask for parts of a file, so ranges are what this is mostly about.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderName, Method, StatusCode};

use super::byte_range::{Wanted, wanted};
use super::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::channel::Channel;
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::{Coverage, Stored};
use crate::store::{ByteRange, Digest};

/// How long a complete chunk may be kept, in seconds: it is never written again.
const COMPLETE_S: u32 = 86_400;
/// A partial one may be replaced by one that holds more.
const PARTIAL_S: u32 = 10;

/// The routes of this file.
pub(super) fn routes(to: &mut Routes) {
    to.add_both(Method::GET, "/chunk/{name}/{day}/{file}", Style::Plain, Access::Read, chunk).shared();
}

/// A chunk of a disk store
#[utoipa::path(get, path = "/chunk/{name}/{day}/{file}", tag = "playback", operation_id = "chunk",
    params(
        ("name" = String, Path, description = "Channel"),
        ("day" = String, Path, description = "Day of the start", example = "2018-12-06"),
        ("file" = String, Path, description = "Name of the file",
            example = "2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv"),
    ),
    responses(
        (status = 200, description = "The chunk", body = Vec<u8>, content_type = "video/mp4"),
        (status = 206, description = "The range of it that was asked for", body = Vec<u8>, content_type = "video/mp4"),
        (status = 400, description = "This is not the name of a channel", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such chunk on a disk", body = String, content_type = "text/plain"),
        (status = 416, description = "It has none of the bytes that were asked for", body = String, content_type = "text/plain"),
    ))]
pub(super) async fn chunk(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let stored = stored(&app, &channel, &request)?;
    let store = app.store(&channel).await?;
    let object = store.head(&stored.key).await?;
    if object.bytes != stored.bytes {
        let what = format!("{}: it is not as it was when it was written", stored.key);
        let hint = format!("npvr verify {}", channel.name);
        return Err(Error::new(Kind::Corrupt, what).hint(hint).into());
    }
    let digest = Digest { bytes: stored.bytes, sha256: stored.sha256 };
    let tag = format!("\"{}\"", digest.hex());
    let range = match asked(&request, &tag, stored.bytes) {
        Wanted::All => None,
        Wanted::Part(range) => Some(range),
        Wanted::Nothing => {
            let error =
                Error::new(Kind::Invalid, format!("it has {} bytes, and none of these", stored.bytes));
            let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, error);
            return Err(refusal.with_header(CONTENT_RANGE, format!("bytes */{}", stored.bytes)));
        }
    };
    let length = range.map_or(stored.bytes, |range| range.end - range.start);
    let pieces = match request.method {
        Method::HEAD => futures_util::stream::empty().boxed(),
        // What goes wrong from here on cuts the connection.
        _ => store.get(&stored.key, range).await?.bytes.map_err(|e| e.context("read a chunk")).boxed(),
    };
    let seconds = if stored.coverage == Coverage::Complete { COMPLETE_S } else { PARTIAL_S };
    let answer = Answer::stream("video/mp4", Some(length), pieces)
        .with_header(CONTENT_LENGTH, length.to_string())
        .with_header(ACCEPT_RANGES, "bytes")
        .with_header(ETAG, tag)
        .with_header(LAST_MODIFIED, object.modified.http_date())
        .with_header(CACHE_CONTROL, format!("max-age={seconds}"));
    Ok(match range {
        Some(ByteRange { start, end }) => answer
            .with_status(StatusCode::PARTIAL_CONTENT)
            .with_header(CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, stored.bytes)),
        None => answer,
    })
}

/// What the ledger knows of the chunk at the path.
fn stored(app: &App, channel: &Channel, request: &Request) -> Result<Stored> {
    let name = channel.name.as_str();
    let (day, file) = (request.param("day"), request.param("file"));
    let missing = || Error::new(Kind::NotFound, format!("channel {name}: there is no such chunk"));
    let cell = Cell::of_key(name, &format!("{name}/{day}/{file}")).ok_or_else(missing)?;
    if channel.s3.is_some() {
        let error = Error::new(Kind::NotFound, format!("channel {name}: its chunks are in a bucket"));
        return Err(error.hint("the playlist says where"));
    }
    let row = app.place.ledger.cell(name, cell)?;
    row.and_then(|row| row.stored).ok_or_else(missing)
}

/// Which bytes are asked for. Of one that is known already, or has changed since its first part, all.
fn asked(request: &Request, tag: &str, bytes: u64) -> Wanted {
    let text = |name: &HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    let is_known = text(&IF_NONE_MATCH).is_some_and(|known| known.contains(tag) || known.trim() == "*");
    let has_changed = text(&IF_RANGE).is_some_and(|known| known.trim() != tag);
    match text(&RANGE) {
        Some(range) if !is_known && !has_changed && request.method == Method::GET => wanted(range, bytes),
        _ => Wanted::All,
    }
}
