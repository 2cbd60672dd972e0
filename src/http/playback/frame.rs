//! Pictures without a decoder: `/frame/NAME/TIME.mp4`, a file of one picture, which any browser shows as a video that stands still.

use std::sync::Arc;

use http::Method;
use http::header::{CACHE_CONTROL, ETAG};

use super::part::Part;
use crate::error::{Error, Kind};
use crate::http::{Access, Answer, App, Body, Refusal, Request, Routes, Style};
use crate::playback::movie;
use crate::time::typed_time;

/// How long a picture may be kept, in seconds, if its chunk is as it will be; else it may be replaced.
const SETTLED_S: u32 = 86_400;
const OPEN_S: u32 = 10;

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/frame/{name}/{time}", Style::Plain, Access::Read, frame).shared().signed();
}

/// The last picture before a moment, as an MP4 file
#[utoipa::path(get, path = "/frame/{name}/{time}", tag = "playback", operation_id = "frame",
    params(
        ("name" = String, Path, description = "Channel"),
        ("time" = String, Path, description = "The moment; `.mp4` may follow", example = "2018-12-06T12:55:00Z.mp4"),
        ("height" = Option<u32>, Query, description = "How high it is to be at least; without it the smallest there is"),
    ),
    responses(
        (status = 200, description = "A file of one picture", body = Vec<u8>, content_type = "video/mp4"),
        (status = 206, description = "The range of it that was asked for", body = Vec<u8>, content_type = "video/mp4"),
        (status = 304, description = "It is as it was"),
        (status = 400, description = "The time, or the height, makes no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such channel, or no picture of that moment", body = String, content_type = "text/plain"),
    ))]
pub(in crate::http) async fn frame(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let time = request.param("time");
    let at = typed_time(time.strip_suffix(".mp4").unwrap_or(time))?;
    let height = request.query("height").map(|text| {
        let height = text.trim_end_matches('p').parse::<u32>();
        height.map_err(|_| Error::new(Kind::Usage, format!("{text:?} is no height")).hint("write height=360"))
    });
    let store = app.store(&channel).await?;
    let (ledger, name) = (app.place.ledger.as_ref(), channel.name.as_str());
    let picture = movie::frame(ledger, store.as_ref(), name, channel.grid, at, height.transpose()?).await?;
    let seconds = if picture.is_settled { SETTLED_S } else { OPEN_S };
    let total = picture.bytes.len() as u64;
    let mut answer = Answer::bytes("video/mp4", picture.bytes).tagged();
    let tag = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    let part = Part::of(&request, tag, total)?;
    if let Body::Whole(bytes) = &mut answer.body {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        *bytes = bytes.slice(place(part.range.start)..place(part.range.end));
    }
    Ok(part.dress(answer).with_header(CACHE_CONTROL, format!("max-age={seconds}")))
}
