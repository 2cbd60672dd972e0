//! Init segments: `/init/NAME/START--END/TRACK.mp4`, what a player reads before the fragments of one track of a chunk.

use std::sync::Arc;

use http::Method;
use http::header::CACHE_CONTROL;

use crate::error::{Context, Error, Kind};
use crate::grid::Cell;
use crate::http::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::media::{Index, init_segment};
use crate::time::Range;

/// How long one may be kept, in seconds: that of a complete chunk never changes.
const KEEP_S: u32 = 86_400;

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/init/{name}/{cell}/{track}", Style::Plain, Access::Read, init).shared().signed();
}

/// The init segment of one track of a chunk
#[utoipa::path(get, path = "/init/{name}/{cell}/{track}", tag = "playback", operation_id = "init",
    params(
        ("name" = String, Path, description = "Channel"),
        ("cell" = String, Path, description = "`START--END` of the chunk",
            example = "2018-12-06T12:55:00Z--2018-12-06T13:00:00Z"),
        ("track" = String, Path, description = "Number of the track in the chunk; `.mp4` may follow", example = "1.mp4"),
    ),
    responses(
        (status = 200, description = "The init segment", body = Vec<u8>, content_type = "video/mp4"),
        (status = 400, description = "The range makes no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such chunk or track", body = String, content_type = "text/plain"),
    ))]
pub(in crate::http) async fn init(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let name = channel.name.as_str();
    let range: Range = request.param("cell").parse()?;
    let cell = Cell::from_range(range);
    let track = request.param("track");
    let missing = || Error::new(Kind::NotFound, format!("channel {name}: chunk {cell}: no track {track:?}"));
    let track: u32 = track.strip_suffix(".mp4").unwrap_or(track).parse().map_err(|_| missing())?;
    let index = app.place.ledger.index(name, cell)?.ok_or_else(missing)?;
    let index = Index::decode(&index).with_context(|| format!("channel {name}: chunk {cell}"))?;
    let header = app.headers.read(&app, &channel, cell, index.header_bytes().ok_or_else(missing)?).await?;
    let segment = init_segment(&header, track).with_context(|| format!("channel {name}: chunk {cell}"))?;
    Ok(Answer::bytes("video/mp4", segment).tagged().with_header(CACHE_CONTROL, format!("max-age={KEEP_S}")))
}
