//! SMIL for Unified Remix: `/smil/NAME/START--END`, with or without `.smil`.
//!
//! Remix asks for a playlist again and again, and takes it as it is: the whole of it, in one encoding. So a body is never
//! compressed and never cut, and its entity tag and its age are true: long where nothing in it can change any more.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::clip::{clip, with_facts};
use super::signed::Signer;
use super::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::channel::Channel;
use crate::clip::Ask;
use crate::error::Result;
use crate::grid::Cell;
use crate::playlist;
use crate::time::{Range, Time};

/// How long ago the fixed range began, and how long it is: a test of the whole chain that always has media.
const FIXED_AGO: Duration = Duration::from_secs(3_600);
const FIXED_LONG: Duration = Duration::from_secs(300);

/// The routes of this file.
pub(super) fn routes(to: &mut Routes) {
    to.add_both(Method::GET, "/smil/", Style::Plain, Access::Read, alive).shared();
    to.add_both(Method::GET, "/smil/{name}/fixed.smil", Style::Plain, Access::Read, fixed).shared().signed();
    to.add_both(Method::GET, "/smil/{name}/{ranges}", Style::Plain, Access::Read, ranges).shared().signed();
}

/// Whether there are playlists here
#[utoipa::path(get, path = "/smil/", tag = "playback", operation_id = "smil_alive", responses(
    (status = 200, description = "`alive`", body = String, content_type = "text/plain"),
))]
pub(super) async fn alive(_app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    Ok(Answer::text("alive"))
}

/// SMIL of the five minutes that began an hour ago
#[utoipa::path(get, path = "/smil/{name}/fixed.smil", tag = "playback", operation_id = "smil_fixed",
    params(
        ("name" = String, Path, description = "Channel"),
        ("dialect" = Option<String>, Query, description = "`classic` or `continuous`, if not as the channel says"),
    ),
    responses(
        (status = 200, description = "The playlist", body = String, content_type = "application/xml"),
        (status = 400, description = "The range, or the dialect, makes no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such channel, or nothing of the range is archived", body = String, content_type = "text/plain"),
        (status = 425, description = "The range is still to come; `Retry-After` says when", body = String, content_type = "text/plain"),
    ))]
pub(super) async fn fixed(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let start = app.now().minus(FIXED_AGO).floor_s();
    let ask = Ask::from(Range::new(start, start.plus(FIXED_LONG)));
    answer(&app, &request, &ask).await
}

/// SMIL for Unified Remix
#[utoipa::path(get, path = "/smil/{name}/{ranges}", tag = "playback", operation_id = "smil",
    params(
        ("name" = String, Path, description = "Channel"),
        ("ranges" = String, Path, description = "`START--END`, or several with commas between; `.smil` may follow",
            example = "2019-07-08T06:00:00Z--2019-07-08T06:04:30Z.smil"),
        ("dialect" = Option<String>, Query, description = "`classic` or `continuous`, if not as the channel says"),
    ),
    responses(
        (status = 200, description = "The playlist; `X-Npvr-Gaps` says what is missing",
            body = String, content_type = "application/xml"),
        (status = 400, description = "The range, or the dialect, makes no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such channel, or nothing of the range is archived", body = String, content_type = "text/plain"),
        (status = 425, description = "The range is still to come; `Retry-After` says when", body = String, content_type = "text/plain"),
    ))]
pub(super) async fn ranges(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let text = request.param("ranges");
    let ask: Ask = text.strip_suffix(".smil").unwrap_or(text).parse()?;
    answer(&app, &request, &ask).await
}

async fn answer(app: &Arc<App>, request: &Request, ask: &Ask) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let dialect = match request.query("dialect") {
        Some(word) => word.parse()?,
        None => channel.smil_dialect,
    };
    let clip = clip(app, &channel, ask)?;
    let folder = folder(app, &channel, request).await?;
    let (name, here) = (channel.name.as_str(), here(&channel, request));
    let text = match Signer::of(app, &channel, request)?.filter(|_| folder == here) {
        Some(signer) => {
            let query = |cell: Cell| format!("?{}", signer.query(&format!("/chunk/{}", cell.key(name))));
            playlist::smil_with(&clip, &folder, &query, dialect)
        }
        None => playlist::smil(&clip, &folder, dialect),
    };
    Ok(with_facts(Answer::bytes("application/xml", text).tagged(), &clip))
}

/// Where the chunks of a channel are: the URL of its folder, with a slash at the end.
///
/// # Errors
/// Those of opening the store.
pub(super) async fn folder(app: &Arc<App>, channel: &Arc<Channel>, request: &Request) -> Result<String> {
    let name = channel.name.as_str();
    if let Some(url) = &channel.public_url {
        return Ok(format!("{}/{name}/", url.as_str().trim_end_matches('/')));
    }
    // Keys stand in URLs as they are, so what is before the key of one chunk is before those of all.
    let of_epoch = Cell::from_range(Range::new(Time::EPOCH, Time::EPOCH)).key(name);
    let key = &of_epoch[name.len() + 1..];
    let url = app.store(channel).await?.url(&of_epoch)?;
    let folder = url.as_ref().and_then(|url| url.as_str().strip_suffix(key)).map(str::to_owned);
    Ok(folder.unwrap_or_else(|| here(channel, request)))
}

/// The same where the chunks are on this server.
fn here(channel: &Channel, request: &Request) -> String {
    request.base.url(&format!("/chunk/{}/", channel.name))
}
