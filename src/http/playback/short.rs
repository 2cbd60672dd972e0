//! Short addresses: `/NAME/RANGES.m3u8` and `/NAME/RANGES.mpd`, the form by its ending; and those of Flussonic.

use std::sync::Arc;

use http::Method;

use super::{dash, flussonic, hls};
use crate::error::{Error, Kind};
use crate::http::{Access, Answer, App, Refusal, Request, Routes, Style};

/// How many slashes the path has behind the first.
const DEPTH: usize = 1;

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/{name}/{file}", Style::Page, Access::Read, short).shared().signed();
}

/// A clip, in the form that the ending says
#[utoipa::path(get, path = "/{name}/{file}", tag = "playback", operation_id = "short",
    params(
        ("name" = String, Path, description = "Channel"),
        ("file" = String, Path, description = "`RANGES.m3u8`: as `/hls/NAME/RANGES/master.m3u8`; `RANGES.mpd`: as \
            `/dash/NAME/RANGES.mpd`; `archive-UTC-SECONDS.m3u8`, `archive-UTC-now.m3u8`, `timeshift_abs-UTC.m3u8`: as Flussonic \
            has them", example = "2019-07-08T06:00:00Z--2019-07-08T06:04:30Z.m3u8"),
        ("gaps" = Option<String>, Query, description = "As there"),
    ),
    responses(
        (status = 200, description = "As there", body = String, content_type = "application/vnd.apple.mpegurl"),
        (status = 400, description = "The ranges make no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is nothing at this path", body = String, content_type = "text/plain"),
        (status = 409, description = "There are gaps, and `gaps=fail`", body = String, content_type = "text/plain"),
        (status = 425, description = "The ranges are still to come; `Retry-After` says when", body = String, content_type = "text/plain"),
    ))]
pub(in crate::http) async fn short(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    match request.param("file").rsplit_once('.') {
        Some((stem, "m3u8")) => {
            let ranges = flussonic::ranges(stem, app.now());
            hls::master(&app, &request, ranges.as_deref().unwrap_or(stem), DEPTH).await
        }
        Some((ranges, "mpd")) => dash::answer(&app, &request, ranges, DEPTH).await,
        _ => Err(Error::new(Kind::NotFound, "there is nothing at this path").into()),
    }
}
