//! A clip as one file: `/mp4/NAME/START--END.mp4`. It is never made: its length, its entity tag and any part of it are answered
//! from its head, which is made once, and from the chunks.

use std::sync::Arc;

use futures_util::StreamExt;
use http::Method;
use http::header::{CONTENT_DISPOSITION, ETAG, IF_NONE_MATCH, LAST_MODIFIED};

use super::part::Part;
use super::scene::{Scene, still};
use crate::error::Result;
use crate::http::clip::with_facts;
use crate::http::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::playback::movie::plan;
use crate::playlist::Gaps;
use crate::playlist::mp4::Choice;
use crate::track::Medium;

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/mp4/{name}/{ranges}", Style::Plain, Access::Read, mp4).shared().signed();
}

/// A clip as one MP4 file
#[utoipa::path(get, path = "/mp4/{name}/{ranges}", tag = "playback", operation_id = "mp4",
    params(
        ("name" = String, Path, description = "Channel"),
        ("ranges" = String, Path, description = "`START--END`, several with commas between, or `START--now`; `.mp4` may follow",
            example = "2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.mp4"),
        ("video" = Option<String>, Query, description = "`best` (as without it), `all`, `none`, a height, a bit rate, an id or a name"),
        ("audio" = Option<String>, Query, description = "`all` (as without it), `none`, `best`, a language, a bit rate, an id or a name"),
        ("text" = Option<String>, Query, description = "`all` (as without it), `none`, a language, an id or a name"),
        ("gaps" = Option<String>, Query, description = "`skip` what is missing (as without it), `mark` it: the picture stands still, or `fail`"),
        ("download" = Option<String>, Query, description = "With anything in it, a browser saves the file, and does not play it"),
    ),
    responses(
        (status = 200, description = "The file; `X-Npvr-Gaps` says what is missing", body = Vec<u8>, content_type = "video/mp4"),
        (status = 206, description = "The range of it that was asked for", body = Vec<u8>, content_type = "video/mp4"),
        (status = 304, description = "It is as it was"),
        (status = 400, description = "The range or a parameter makes no sense, or it is too much", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such channel, or nothing of the range is archived", body = String, content_type = "text/plain"),
        (status = 409, description = "Something is missing, and `gaps=fail`", body = String, content_type = "text/plain"),
        (status = 416, description = "It has none of the bytes that were asked for", body = String, content_type = "text/plain"),
        (status = 425, description = "The range is still to come; `Retry-After` says when", body = String, content_type = "text/plain"),
        (status = 501, description = "One file cannot hold it: the timescale of a track changes", body = String, content_type = "text/plain"),
    ))]
pub(in crate::http) async fn mp4(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let ranges = request.param("ranges");
    let (choice, gaps) = (choice(&request)?, request.query("gaps").unwrap_or("skip").parse::<Gaps>()?);
    let scene = still(&app, request.param("name"), ranges.strip_suffix(".mp4").unwrap_or(ranges)).await?;
    let name = scene.channel.name.as_str();
    let plan = plan(app.place.ledger.as_ref(), name, &scene.footage, &choice, gaps)
        .map_err(|e| e.context(format_args!("channel {name}")))?;
    let tag = format!("\"{}\"", plan.tag);
    let facts = |answer: Answer| {
        let disposition = if request.query("download").is_some() { "attachment" } else { "inline" };
        with_facts(answer, &scene.footage.clip)
            .with_header(ETAG, &tag)
            .with_header(LAST_MODIFIED, plan.modified.http_date())
            .with_header(CONTENT_DISPOSITION, format!("{disposition}; filename=\"{}\"", file_name(&scene)))
    };
    let whole = facts(Answer::stream("video/mp4", None, futures_util::stream::empty().boxed()));
    if request.headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        // Becomes 304 on its way out.
        return Ok(whole);
    }
    let store = app.store(&scene.channel).await?;
    let movie = app.movies.get(&app, store.as_ref(), plan).await?;
    let part = Part::of(&request, &tag, movie.bytes)?;
    let pieces = match request.method {
        Method::HEAD => futures_util::stream::empty().boxed(),
        // What goes wrong from here on cuts the connection.
        _ => movie.read(store, name, part.range),
    };
    let answer = Answer::stream("video/mp4", Some(part.length()), pieces);
    Ok(part.dress(Answer { headers: whole.headers, ..answer }))
}

/// The tracks that are asked for.
fn choice(request: &Request) -> Result<Choice> {
    [Medium::Video, Medium::Audio, Medium::Text].into_iter().try_fold(Choice::default(), |choice, medium| {
        match request.query(medium.as_str()) {
            Some(words) => choice.with(medium, words),
            None => Ok(choice),
        }
    })
}

/// What the file is to be called where it is saved: no file system takes every character of a time.
fn file_name(scene: &Scene) -> String {
    let ranges = scene.ask.ranges();
    let first = ranges.first().map(|range| range.to_string().replace(':', ".")).unwrap_or_default();
    let more = if ranges.len() > 1 { format!(" and {} more", ranges.len() - 1) } else { String::new() };
    format!("{} {first}{more}.mp4", scene.channel.name)
}
