//! SMIL for Unified Remix: `/smil/NAME/START--END`, with or without `.smil`.
//!
//! Remix asks for a playlist again and again, and takes it as it is: the whole of it, in one encoding. So a body is never
//! compressed and never cut, and its entity tag and its age are true: long where nothing in it can change any more.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderName, Method, StatusCode};

use super::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::channel::Channel;
use crate::clip::{Ask, Clip, Missing};
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::playback;
use crate::playlist;
use crate::time::{Range, Time};

/// What is missing of a clip.
const GAPS: HeaderName = HeaderName::from_static("x-npvr-gaps");
/// How many gaps are told in that header, and how many bytes it may have: proxies refuse long ones.
const MOST_GAPS: usize = 50;
const MOST_GAP_BYTES: usize = 3_000;
/// How much of a track's name is told.
const MOST_NAME: usize = 100;

/// How long a playlist may be kept of which nothing can change any more, in seconds. Not for ever: what is pruned one day, or
/// captured again because it went bad, is seen by then.
const CLOSED_S: u32 = 86_400;
/// The same where something may: a chunk may come at any moment, and cron comes once a minute.
const OPEN_S: u32 = 2;

/// How long ago the fixed range began, and how long it is: a test of the whole chain that always has media.
const FIXED_AGO: Duration = Duration::from_secs(3_600);
const FIXED_LONG: Duration = Duration::from_secs(300);

/// The routes of this file.
pub(super) fn routes(to: &mut Routes) {
    to.add_both(Method::GET, "/smil/", Style::Plain, Access::Read, alive).shared();
    to.add_both(Method::GET, "/smil/{name}/fixed.smil", Style::Plain, Access::Read, fixed).shared();
    to.add_both(Method::GET, "/smil/{name}/{ranges}", Style::Plain, Access::Read, ranges).shared();
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
    let text = playlist::smil(&clip, &folder, dialect);
    Ok(with_facts(Answer::bytes("application/xml", text).tagged(), &clip))
}

/// The clip that is asked for, if there is anything of it.
///
/// # Errors
/// 425 for what lies ahead, 404 where nothing is archived, 400 for what is too much.
pub(super) fn clip(app: &App, channel: &Channel, ask: &Ask) -> Result<Clip, Refusal> {
    let (name, grid, now) = (channel.name.as_str(), channel.grid, app.now());
    ask.fits(grid)?;
    if ask.is_ahead_of(now) {
        let error = Error::new(Kind::NotFound, format!("channel {name}: {ask} is still to come"));
        let wait_s = ask.wait(now, grid).as_secs().max(1);
        return Err(Refusal::new(StatusCode::TOO_EARLY, error).with_header(RETRY_AFTER, wait_s.to_string()));
    }
    let clip = playback::clip(app.place.ledger.as_ref(), name, grid, ask, now)?;
    if !clip.is_empty() {
        return Ok(clip);
    }
    let error = Error::new(Kind::NotFound, format!("channel {name}: nothing of {ask} is archived"));
    let is_late = clip.gaps().any(|gap| gap.what == Missing::NotYet);
    Err(error
        .hint(match is_late {
            true => "not yet: the next check may bring it".to_owned(),
            false => format!("npvr status {name} shows what is archived"),
        })
        .into())
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
    Ok(folder.unwrap_or_else(|| request.base.url(&format!("/chunk/{name}/"))))
}

/// An answer with what is to be known of its clip.
pub(super) fn with_facts(answer: Answer, clip: &Clip) -> Answer {
    let seconds = if clip.is_closed() { CLOSED_S } else { OPEN_S };
    let answer = answer.with_header(CACHE_CONTROL, format!("max-age={seconds}"));
    match gaps(clip) {
        Some(gaps) => answer.with_header(GAPS, gaps),
        None => answer,
    }
}

/// What is missing, with commas between: `START--END` where nothing is there, `START--END NAME` where a track is not,
/// `START--END not-yet`. Where there is no room for all, the last is `and 17 more`.
fn gaps(clip: &Clip) -> Option<String> {
    let mut text = String::new();
    let mut told = 0;
    let total = clip.gaps().count();
    for gap in clip.gaps().take(MOST_GAPS) {
        let what = match &gap.what {
            Missing::All => String::new(),
            Missing::NotYet => " not-yet".to_owned(),
            // What no header can have is left out of the name of a track, which comes from the source.
            Missing::Track(name) => {
                let plain = |c: &char| c.is_ascii_graphic() && *c != ',';
                format!(" {}", name.chars().filter(plain).take(MOST_NAME).collect::<String>())
            }
        };
        let comma = if told == 0 { "" } else { ", " };
        let one = format!("{comma}{}{what}", gap.range);
        if text.len() + one.len() > MOST_GAP_BYTES {
            break;
        }
        text.push_str(&one);
        told += 1;
    }
    if told < total {
        // Writing to a string cannot fail.
        let _ = write!(text, ", and {} more", total - told);
    }
    (total > 0).then_some(text)
}
