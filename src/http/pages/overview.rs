//! The overview: one row a channel, what needs attention first.

use std::sync::Arc;

use askama::Template;

use super::attention::{self, Level, Point};
use super::frame::{self, Frame, Part};
use super::picture::{Mark, Picture};
use super::{blocking, colour};
use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::http::{Answer, App, Loaded, Refusal, Request};
use crate::status::{self, ChannelStatus, Job, Slot, Status};
use crate::time::{Range, Time, human_duration};
use crate::words::{counted, human_bytes};

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    sum: String,
    /// What concerns every channel.
    troubles: Vec<Point>,
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
    level: Level,
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
        let (loaded, now) = (app.channels()?, app.now());
        let channels: Vec<Channel> = loaded.channels.iter().map(|c| Channel::clone(c)).collect();
        let status = status::status(&app.place, &channels, now)?;
        let jobs = channels.iter().map(|channel| {
            Ok(status::jobs(&app.place, &[channel.name.as_str().to_owned()], 1)?.into_iter().next())
        });
        let jobs: Vec<Option<Job>> = jobs.collect::<Result<_>>()?;
        let folder = app.configuration.folder().display().to_string();
        Ok(frame::answer(&page(&request, &status, &jobs, &loaded, folder))?)
    })
    .await
}

fn page(request: &Request, status: &Status, jobs: &[Option<Job>], loaded: &Loaded, folder: String) -> Page {
    let rows = status.channels.iter().zip(jobs).map(|(channel, job)| row(channel, job.as_ref(), status.now));
    let mut rows: Vec<Row> = rows.collect();
    // Stable: channels that are equally well stay in the order of their names.
    rows.sort_by_key(|row| (!row.enabled, std::cmp::Reverse(row.level)));
    let (chunks, bytes) = status.channels.iter().fold((0, 0), |(chunks, bytes), c| {
        (chunks + c.counts.complete + c.counts.partial, bytes + c.counts.bytes)
    });
    let concerned = rows.iter().filter(|row| row.level >= Level::Warn).count();
    let well = match concerned {
        0 => "all is well".to_owned(),
        1 => "1 needs attention".to_owned(),
        n => format!("{n} need attention"),
    };
    let sum = format!(
        "{}, {well} · {} in {} · {}",
        counted(rows.len() as u64, "channel"),
        human_bytes(bytes),
        counted(chunks, "chunk"),
        status.now.time_of_day()
    );
    Page {
        frame: Frame::new(request, Part::Channels, "Channels"),
        sum,
        troubles: status.low_space.iter().map(attention::of_space).collect(),
        rows,
        unusable: loaded.unusable.iter().map(unusable).collect(),
        folder,
    }
}

fn unusable(error: &Error) -> Unusable {
    Unusable { what: error.to_string(), hint: error.remedy().map(str::to_owned) }
}

/// A channel as a row.
fn row(c: &ChannelStatus, job: Option<&Job>, now: Time) -> Row {
    let mut points = attention::of_channel(c, now);
    let level = points.first().map_or(Level::Fine, |point| point.level);
    // A row is for a glance: the channel's page tells everything.
    points.truncate(3);
    let mut picture = Picture::of_slots(&c.strip);
    if let Some(span) = c.span {
        let within = |range: Range| slots_of(range, span, c.strip.len());
        for hold in c.holds.iter().filter(|hold| hold.in_force) {
            let (from, to) = within(hold.range);
            picture.bar(Mark::Held, from, to);
        }
        for risk in &c.at_risk {
            let (from, to) = within(risk.cell.range());
            picture.bar(Mark::Risk, from, to);
        }
    }
    let ago = |at: Time| format!("{} ago", human_duration(now.floor_s().since(at)));
    Row {
        name: c.name.clone(),
        path: format!("/channel/{}", c.name),
        enabled: c.enabled,
        kept: c.span.map(|span| human_duration(span.duration())).unwrap_or_default(),
        level,
        points,
        slots: c.strip.len(),
        picture,
        told: told(c),
        lag: c.lag_s.map_or("–".to_owned(), |s| human_duration(std::time::Duration::from_secs(s))),
        last_chunk: c.last_chunk.map_or("–".to_owned(), |cell| ago(cell.end())),
        job: job.map(|job| LastJob {
            outcome: job.outcome.to_string(),
            colour: colour(job.outcome),
            path: format!("/job/{}", job.id),
        }),
        bytes: human_bytes(c.counts.bytes),
    }
}

/// The slots that `range` touches, of `count` in `span`.
fn slots_of(range: Range, span: Range, count: usize) -> (u64, u64) {
    let inside = range.intersect(span);
    let length = span.duration().as_nanos().max(1);
    if inside.is_empty() {
        return (0, 0);
    }
    let at = |at: Time| at.since(span.start).as_nanos() * count as u128;
    let slot = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
    (slot(at(inside.start) / length), slot(at(inside.end).div_ceil(length)))
}

/// A strip in words, for those who do not see it.
fn told(c: &ChannelStatus) -> String {
    let part = |slot: Slot| c.strip.iter().filter(|s| **s == slot).count() * 100 / c.strip.len().max(1);
    let all = [Slot::Archived, Slot::Partial, Slot::Missing, Slot::Open];
    let parts = all.iter().filter(|slot| part(**slot) > 0);
    let parts: Vec<String> =
        parts.map(|slot| format!("{} % {}", part(*slot), Mark::from(*slot).meaning())).collect();
    format!("{}: {}", c.name, parts.join(", "))
}
