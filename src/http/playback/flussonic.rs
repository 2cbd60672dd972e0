//! The addresses by which IPTV middleware asks Flussonic for its archive: times are whole seconds since 1970.
//!
//! What is a playlist there is the master playlist of the same range here ([`ranges`]). What Flussonic does for set-top boxes that
//! know no master playlist (`video-…`, `mono-…`: all tracks in one stream) is not here: chunks have their tracks apart.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use crate::channel::Channel;
use crate::clip::Ask;
use crate::error::{Error, Kind, Result};
use crate::http::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::playback;
use crate::time::{Range, Ranges, Time};

/// How long an answer may be kept, in seconds.
const KEEP_S: u32 = 10;

pub(super) fn routes(to: &mut Routes) {
    let path = "/{name}/recording_status.json";
    to.add(Method::GET, path, Style::Plain, Access::Read, recording_status).shared().signed();
}

/// The ranges that the name of a playlist there stands for: `archive-UTC-SECONDS`, `archive-UTC-now`, `timeshift_abs-UTC`,
/// `timeshift_rel-SECONDS`; `index-…` as `archive-…`. `None` for any other.
///
/// What goes on (`now`, and both time shifts) goes on here too, from its start.
pub(super) fn ranges(stem: &str, now: Time) -> Option<String> {
    let mut words = stem.split('-');
    let (kind, first, last) = (words.next()?, words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    match (kind, last) {
        ("archive" | "index", Some("now")) | ("timeshift_abs", None) => Some(format!("{}--", at(first)?)),
        ("archive" | "index", Some(seconds)) => {
            let start = at(first)?;
            Some(format!("{start}--{}", start.plus(length(seconds)?)))
        }
        ("timeshift_rel", None) => Some(format!("{}--", now.minus(length(first)?).floor_s())),
        _ => None,
    }
}

fn at(seconds: &str) -> Option<Time> {
    length(seconds).map(|since| Time::EPOCH.plus(since))
}

/// No sign, and no more digits than a time has.
fn length(seconds: &str) -> Option<Duration> {
    let is_plain = (1..=10).contains(&seconds.len()) && seconds.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| seconds.parse().ok().map(Duration::from_secs)).flatten()
}

/// What of a channel is recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Recorded {
    /// The channel.
    stream: String,
    /// What is archived without a break, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Vec<Stretch>>,
    /// What is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    locks: Option<Vec<Stretch>>,
}

/// A stretch of time.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::http) struct Stretch {
    /// When it begins, in seconds since 1970.
    from: i64,
    /// How long it is, in seconds.
    duration: u64,
}

impl Stretch {
    /// The whole seconds in a range; `None` if there are none.
    fn of(range: Range) -> Option<Stretch> {
        let from = range.start.plus(Duration::from_nanos(999_999_999)).s();
        let duration = u64::try_from(range.end.s() - from).ok()?;
        (duration > 0).then_some(Stretch { from, duration })
    }
}

/// What is recorded, as Flussonic says it
#[utoipa::path(get, path = "/{name}/recording_status.json", tag = "playback", operation_id = "recording_status",
    params(
        ("name" = String, Path, description = "Channel"),
        ("from" = Option<i64>, Query, description = "Seconds since 1970; the beginning of the archive if not said"),
        ("to" = Option<String>, Query, description = "The same, or `now`, which is what it is if not said"),
        ("request" = Option<String>, Query, description = "`ranges`, `locks` (what is held), or both with a comma; `ranges` if \
            not said"),
    ),
    responses(
        (status = 200, description = "One item: the channel", body = Vec<Recorded>),
        (status = 400, description = "The range, or what is asked for, makes no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such channel", body = String, content_type = "text/plain"),
    ))]
pub(in crate::http) async fn recording_status(
    app: Arc<App>,
    request: Arc<Request>,
) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let (name, now) = (channel.name.as_str(), app.now());
    let asked = asked(&app, &channel, &request, now)?;
    let words: Vec<&str> = request.query("request").unwrap_or("ranges").split(',').collect();
    if let Some(other) = words.iter().find(|word| !matches!(**word, "ranges" | "locks")) {
        let error = Error::new(Kind::Usage, format!("{other:?} is nothing to be asked for"));
        return Err(error.hint("use ranges, locks, or both with a comma between").into());
    }
    let mut recorded = Recorded { stream: name.to_owned(), ranges: None, locks: None };
    if words.contains(&"ranges") {
        recorded.ranges = Some(ranges_of(&app, &channel, asked, now)?);
    }
    if words.contains(&"locks") {
        let holds = app.place.ledger.holds(Some(name))?;
        let held: Ranges =
            holds.iter().filter(|hold| hold.holds_at(now)).map(|hold| hold.range.intersect(asked)).collect();
        recorded.locks = Some(held.as_slice().iter().filter_map(|range| Stretch::of(*range)).collect());
    }
    Ok(Answer::json(&[recorded])?.tagged().with_header(CACHE_CONTROL, format!("max-age={KEEP_S}")))
}

fn ranges_of(app: &App, channel: &Channel, asked: Range, now: Time) -> Result<Vec<Stretch>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let ask = Ask::from(asked);
    ask.fits(channel.grid)?;
    let clip = playback::clip(app.place.ledger.as_ref(), channel.name.as_str(), channel.grid, &ask, now)?;
    // Where the grid was changed a run ends, and yet nothing is missing.
    let there: Ranges = clip.runs().map(|run| run.range).collect();
    Ok(there.as_slice().iter().filter_map(|range| Stretch::of(*range)).collect())
}

/// The range that is asked for; nothing before the archive begins.
fn asked(app: &App, channel: &Channel, request: &Request, now: Time) -> Result<Range> {
    let time = |name: &str| match request.query(name) {
        None | Some("now") => Ok(None),
        Some(text) => at(text)
            .map(Some)
            .ok_or_else(|| Error::new(Kind::Usage, format!("{name} is not a number of seconds since 1970"))),
    };
    let (from, to) = (time("from")?, time("to")?);
    let oldest = app.place.ledger.page(channel.name.as_str(), None, 1)?;
    let begins = oldest.first().map_or(now, |row| row.cell.start());
    Ok(Range::new(from.unwrap_or(begins).max(begins), to.unwrap_or(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_playlists_are_ranges() {
        let now: Time = "2018-12-06T13:00:00.5Z".parse().unwrap();
        for (stem, expected) in [
            ("archive-1544100900-300", Some("2018-12-06T12:55:00Z--2018-12-06T13:00:00Z")),
            ("index-1544100900-300", Some("2018-12-06T12:55:00Z--2018-12-06T13:00:00Z")),
            ("archive-1544100900-now", Some("2018-12-06T12:55:00Z--")),
            ("timeshift_abs-1544100900", Some("2018-12-06T12:55:00Z--")),
            ("timeshift_rel-300", Some("2018-12-06T12:55:00Z--")),
            ("timeshift_abs-1544100900-300", None),
            ("timeshift_abs-now", None),
            ("archive-1544100900", None),
            ("archive-1544100900--300", None),
            ("archive-+544100900-300", None),
            ("archive-15441009000-300", None),
            ("mono-1544100900-300", None),
            ("", None),
        ] {
            assert_eq!(ranges(stem, now).as_deref(), expected, "{stem}");
        }
    }

    #[test]
    fn a_stretch_has_whole_seconds_that_are_all_there() {
        let range = |start_ms: i64, end_ms: i64| {
            Range::new(Time::from_ns(start_ms * 1_000_000), Time::from_ns(end_ms * 1_000_000))
        };
        assert_eq!(Stretch::of(range(1_500, 9_900)), Some(Stretch { from: 2, duration: 7 }));
        assert_eq!(Stretch::of(range(2_000, 9_000)), Some(Stretch { from: 2, duration: 7 }));
        assert_eq!(Stretch::of(range(1_500, 2_500)), None);
    }
}
