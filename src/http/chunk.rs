//! Chunks: `/chunk/NAME/DAY/FILE.ismv`, which is where playlists say that they are, unless there is a public URL.
//!
//! The path is read as the name of a cell, and never put together as one: what is served is the object of a row of the ledger,
//! and nothing else that lies in the store. Bytes are read as the client takes them, so a slow one holds no thread and little
//! memory. Players and Remix ask for parts of a file, so ranges are what this is mostly about.
//!
//! Of a bucket they come either through npvr, or npvr sends the client there. Who asks here although there is a public URL is
//! served: it may be the cache behind that URL.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, LAST_MODIFIED,
    LOCATION, RETRY_AFTER,
};
use http::{Method, StatusCode};

use super::byte_range::{Wanted, asked};
use super::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::channel::{Channel, Media};
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::ledger::{CellRow, Coverage, State, Stored};
use crate::store::{ByteRange, Digest, Object, Store};

/// How long a complete chunk may be kept, in seconds: it is never written again.
const COMPLETE_S: u32 = 86_400;
/// A partial one may be replaced by one that holds more.
const PARTIAL_S: u32 = 10;
/// How long the books take to say what was just stored, in seconds.
const REPLACED_S: &str = "1";

/// The routes of this file.
pub(super) fn routes(to: &mut Routes) {
    to.add_both(Method::GET, "/chunk/{name}/{day}/{file}", Style::Plain, Access::Read, chunk)
        .shared()
        .signed();
}

/// A chunk
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
        (status = 302, description = "It is in a bucket: `Location` is good for a quarter of an hour"),
        (status = 400, description = "This is not the name of a channel", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such chunk", body = String, content_type = "text/plain"),
        (status = 416, description = "It has none of the bytes that were asked for", body = String, content_type = "text/plain"),
        (status = 503, description = "It is being replaced at this moment, or its store is not there", body = String,
            content_type = "text/plain"),
    ))]
pub(super) async fn chunk(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let cell = cell(&channel, &request)?;
    let row = app.place.ledger.cell(channel.name.as_str(), cell)?;
    let (state, stored) = stored(&channel, row)?;
    let store = app.store(&channel).await?;
    // One that is being captured again may be replaced at any moment, which only who serves it can see.
    if channel.media == Media::Redirect && state != State::Capturing {
        return elsewhere(&app, &channel, store.as_ref(), &request, &stored).await;
    }
    match serve(store.as_ref(), &request, &stored).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(unlike(&app, &channel, cell, &stored)),
        Err(refusal) => Err(refusal),
    }
}

/// Sends the client to the bucket. What it asks for by `HEAD` the ledger knows: a presigned URL is for `GET` only.
async fn elsewhere(
    app: &App,
    channel: &Arc<Channel>,
    store: &dyn Store,
    request: &Request,
    stored: &Stored,
) -> Result<Answer, Refusal> {
    if request.method == Method::HEAD {
        let nothing = futures_util::stream::empty().boxed();
        return Ok(described(Answer::stream("video/mp4", Some(stored.bytes), nothing), stored, stored.bytes));
    }
    let url = app.presigned.url(channel, store, &stored.key).await?;
    let (url, seconds) = url.ok_or_else(|| missing(channel))?;
    let answer = Answer::empty(StatusCode::FOUND).with_header(LOCATION, url.as_str());
    Ok(answer.with_header(CACHE_CONTROL, format!("private, max-age={seconds}")))
}

/// Serves the object; `None` if it is not the one that the ledger speaks of.
async fn serve(store: &dyn Store, request: &Request, stored: &Stored) -> Result<Option<Answer>, Refusal> {
    let asked = asked(request, &tag(stored), stored.bytes);
    let range = match asked {
        Wanted::Part(range) => Some(range),
        Wanted::All => None,
        Wanted::Nothing => {
            let error =
                Error::new(Kind::Invalid, format!("it has {} bytes, and none of these", stored.bytes));
            let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, error);
            return Err(refusal.with_header(CONTENT_RANGE, format!("bytes */{}", stored.bytes)));
        }
    };
    let is_read = request.method != Method::HEAD && !is_known(request, &tag(stored));
    let (object, pieces) = match is_read {
        false => (store.head(&stored.key).await?, futures_util::stream::empty().boxed()),
        true => match store.get(&stored.key, range).await {
            // What goes wrong from here on cuts the connection.
            Ok(reading) => (reading.object, reading.bytes.map_err(|e| e.context("read a chunk")).boxed()),
            // The range lies within what the ledger says: the object is shorter.
            Err(e) if e.kind() == Kind::Invalid => return Ok(None),
            Err(e) => return Err(e.into()),
        },
    };
    let Object { bytes, modified, .. } = object;
    if bytes != stored.bytes {
        return Ok(None);
    }
    let length = range.map_or(bytes, |range| range.end - range.start);
    let answer = described(Answer::stream("video/mp4", Some(length), pieces), stored, length)
        .with_header(LAST_MODIFIED, modified.http_date());
    Ok(Some(match range {
        Some(ByteRange { start, end }) => answer
            .with_status(StatusCode::PARTIAL_CONTENT)
            .with_header(CONTENT_RANGE, format!("bytes {start}-{}/{bytes}", end - 1)),
        None => answer,
    }))
}

/// An answer with what the ledger knows of the chunk, of which it has so many bytes.
fn described(answer: Answer, stored: &Stored, length: u64) -> Answer {
    let seconds = if stored.coverage == Coverage::Complete { COMPLETE_S } else { PARTIAL_S };
    answer
        .with_header(CONTENT_LENGTH, length.to_string())
        .with_header(ACCEPT_RANGES, "bytes")
        .with_header(ETAG, tag(stored))
        .with_header(CACHE_CONTROL, format!("max-age={seconds}"))
}

/// The entity tag of a chunk.
fn tag(stored: &Stored) -> String {
    let digest = Digest { bytes: stored.bytes, sha256: stored.sha256 };
    format!("\"{}\"", digest.hex())
}

/// The cell that the path names. Playlists of fragments say `.mp4`: there are players that judge media by the ending of its name.
fn cell(channel: &Channel, request: &Request) -> Result<Cell> {
    let (name, day, file) = (channel.name.as_str(), request.param("day"), request.param("file"));
    let stem = file.strip_suffix(".mp4").or(file.strip_suffix(".ismv")).ok_or_else(|| missing(channel))?;
    Cell::of_key(name, &format!("{name}/{day}/{stem}.ismv")).ok_or_else(|| missing(channel))
}

/// What is stored of a cell, and how far its row is.
fn stored(channel: &Channel, row: Option<CellRow>) -> Result<(State, Stored)> {
    row.and_then(|row| Some((row.state, row.stored?))).ok_or_else(|| missing(channel))
}

fn missing(channel: &Channel) -> Error {
    Error::new(Kind::NotFound, format!("channel {}: there is no such chunk", channel.name))
}

/// Why an object is not the one that the ledger spoke of: it was replaced a moment ago, and the books say so now, or will at
/// once; or somebody changed it.
fn unlike(app: &App, channel: &Channel, cell: Cell, before: &Stored) -> Refusal {
    let name = channel.name.as_str();
    let now = app.place.ledger.cell(name, cell).and_then(|row| stored(channel, row));
    match now {
        Err(e) => e.into(),
        Ok((state, stored)) if state == State::Capturing || stored != *before => {
            let what = format!("{}: it is being replaced by one that holds more", stored.key);
            let error = Error::new(Kind::TryLater, what).hint("ask again in a moment");
            Refusal::from(error).with_header(RETRY_AFTER, REPLACED_S)
        }
        Ok((_, stored)) => {
            let what = format!("{}: it is not as it was when it was written", stored.key);
            Error::new(Kind::Corrupt, what).hint(format!("npvr verify {name}")).into()
        }
    }
}

/// True if the client has the chunk already.
fn is_known(request: &Request, tag: &str) -> bool {
    let known = request.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| known.contains(tag) || known.trim() == "*")
}
