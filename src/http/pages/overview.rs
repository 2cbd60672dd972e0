//! The overview: one row a channel, what needs attention first.

use std::sync::Arc;

use askama::Template;

use super::frame::{self, Frame, Part};
use super::picture::{Mark, Picture};
use super::points::{Point, class, points};
use super::{blocking, colour};
use crate::error::Error;
use crate::http::{Answer, App, Loaded, Refusal, Request};
use crate::status::{self, Overview, Severity, Slot};
use crate::time::{Time, human_duration};
use crate::words::{counted, human_bytes};

/// How many slots a strip has: a bit more than half an hour of a week each, and two pixels on most screens.
const SLOTS: usize = 288;
/// So many sentences of a channel are shown.
const MOST_POINTS: usize = 3;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    sum: String,
    rows: Vec<Row>,
    unusable: Vec<Unusable>,
    /// The configuration folder.
    folder: String,
}

/// A channel.
pub(super) struct Row {
    name: String,
    path: String,
    enabled: bool,
    /// How long its archive is.
    kept: String,
    /// How much it matters, for the style sheet.
    class: &'static str,
    points: Vec<Point>,
    slots: usize,
    picture: Picture,
    /// The picture in words.
    told: String,
    lag: String,
    last_chunk: String,
    job: Option<LastJob>,
    bytes: String,
}

struct LastJob {
    outcome: String,
    colour: &'static str,
    path: String,
}

/// A channel file that cannot be used.
struct Unusable {
    what: String,
    hint: Option<String>,
}

/// `GET /` and `GET /channel/`, for browsers.
pub(in crate::http) async fn overview(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    blocking(move || {
        let loaded = app.channels()?;
        let overview = app.overviews.at(&app.place, &loaded.channels, SLOTS, app.now())?;
        let folder = app.configuration.folder().display().to_string();
        Ok(frame::answer(&page(&request, &overview, &loaded, folder))?)
    })
    .await
}

fn page(request: &Request, overview: &Overview, loaded: &Loaded, folder: String) -> Page {
    let mut channels: Vec<&status::Row> = overview.channels.iter().collect();
    channels.sort_by(|a, b| (!a.enabled, a.need()).cmp(&(!b.enabled, b.need())));
    let rows: Vec<Row> = channels.iter().map(|channel| row(channel, overview.now)).collect();
    let (chunks, bytes) = channels.iter().fold((0, 0), |(chunks, bytes), c| {
        (chunks + c.counts.complete + c.counts.partial, bytes + c.counts.bytes)
    });
    let worst = |channel: &&&status::Row| channel.attention.first().map(|one| one.severity);
    let concerned = channels.iter().filter(|c| c.enabled && worst(c) >= Some(Severity::Warning)).count();
    let well = match concerned {
        0 => "all is well".to_owned(),
        1 => "1 needs attention".to_owned(),
        n => format!("{n} need attention"),
    };
    let sum = format!(
        "{}, {well} · {} in {} · as of {}",
        counted(rows.len() as u64, "channel"),
        human_bytes(bytes),
        counted(chunks, "chunk"),
        overview.now.time_of_day()
    );
    Page {
        frame: Frame::new(request, Part::Channels, "Channels"),
        sum,
        rows,
        unusable: loaded.unusable.iter().map(unusable).collect(),
        folder,
    }
}

fn unusable(error: &Error) -> Unusable {
    Unusable { what: error.to_string(), hint: error.remedy().map(str::to_owned) }
}

/// A channel as a row.
fn row(c: &status::Row, now: Time) -> Row {
    let mut points = points(&c.attention);
    // A row is for a glance: the channel's page tells everything.
    points.truncate(MOST_POINTS);
    let ago = |at: Time| format!("{} ago", human_duration(now.floor_s().since(at)));
    Row {
        name: c.name.clone(),
        path: format!("/channel/{}", c.name),
        enabled: c.enabled,
        kept: c.span.map(|span| human_duration(span.duration())).unwrap_or_default(),
        class: c.attention.first().map_or("fine", |one| class(one.severity)),
        points,
        slots: c.strip.len(),
        picture: Picture::of_patches(&c.strip),
        told: told(c),
        lag: c.lag_s.map_or("–".to_owned(), |s| human_duration(std::time::Duration::from_secs(s))),
        last_chunk: c.last_chunk.map_or("–".to_owned(), |cell| ago(cell.end())),
        job: c.last_job.as_ref().map(|job| LastJob {
            outcome: job.outcome.to_string(),
            colour: colour(job.outcome),
            path: format!("/job/{}", job.id),
        }),
        bytes: human_bytes(c.counts.bytes),
    }
}

/// A strip in words, for those who do not see it.
fn told(c: &status::Row) -> String {
    let part =
        |slot: Slot| c.strip.iter().filter(|patch| patch.state == slot).count() * 100 / c.strip.len().max(1);
    let all = [Slot::Archived, Slot::Partial, Slot::Missing, Slot::Open];
    let parts = all.iter().filter(|slot| part(**slot) > 0);
    let parts: Vec<String> =
        parts.map(|slot| format!("{} % {}", part(*slot), Mark::from(*slot).meaning())).collect();
    format!("{}: {}", c.name, parts.join(", "))
}
