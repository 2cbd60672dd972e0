//! The page of a channel: a calendar of what is archived, from weeks down to one chunk; links for a range of it; what is
//! missing and why; and its configuration.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;

use super::attention::{self, Point};
use super::blocking;
use super::calendar::Calendar;
use super::cell::Cell;
use super::frame::{self, Frame, Part};
use super::links::{Link, links};
use super::missing::{Gap, Hold, Risk, gaps};
use super::moments::{ceil, clock_label, day_label, floor, moment, stretch, typed};
use super::picture::{Block, Lanes, Mark, Picture};
use crate::channel::{Channel, Setting};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, App, Refusal, Request};
use crate::ledger::{Shelved, State};
use crate::status::{self, ChannelStatus, Slot};
use crate::time::{Range, Time, human_duration};
use crate::words::{counted, human_bytes};

/// So much is shown where nothing else is asked for: lines of days for as long.
const SHOWN: Duration = Duration::from_secs(35 * 86_400);
/// So many cells are looked at for one page; a longer span of short cells has to be asked for in parts.
const MOST_CELLS: u64 = 100_000;
/// So few cells are listed one by one.
const LISTED: usize = 36;

#[derive(Template)]
#[template(path = "channel.html")]
struct Page {
    frame: Frame,
    name: String,
    path: String,
    enabled: bool,
    facts: Vec<String>,
    points: Vec<Point>,
    crumbs: Vec<Crumb>,
    earlier: Option<String>,
    later: Option<String>,
    /// What is shown, in words.
    shown: String,
    grid_s: u64,
    calendar: Option<Calendar>,
    cells: Vec<Listed>,
    cell: Option<Cell>,
    from: String,
    to: String,
    links: Vec<Link>,
    gaps: Vec<Gap>,
    more_gaps: usize,
    risks: Vec<Risk>,
    holds: Vec<Hold>,
    settings: Vec<Setting>,
}

/// A level above the one that is shown.
struct Crumb {
    label: String,
    path: String,
}

/// A cell in the list of few.
struct Listed {
    when: String,
    path: String,
    mark: Mark,
    bytes: String,
    job: Option<String>,
}

/// `GET /channel/{name}`, for browsers: `?from=&to=` zooms, and chooses a range.
pub(in crate::http) async fn channel(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    blocking(move || {
        let channel = app.channel(request.param("name"))?;
        let now = app.now();
        let mut status = status::status(&app.place, &[Channel::clone(&channel)], now)?;
        let Some(status) = status.channels.pop() else {
            return Err(Error::new(Kind::NotFound, "there is no such channel").into());
        };
        let asked = asked(&request)?;
        Ok(frame::answer(&page(&app, &request, &channel, &status, asked, now)?)?)
    })
    .await
}

/// The range of `?from=&to=`; `None` if neither is there.
pub(super) fn asked(request: &Request) -> Result<Option<Range>> {
    let value = |key| request.query(key).filter(|text| !text.trim().is_empty());
    let range = match (value("from"), value("to")) {
        (None, None) => return Ok(None),
        (Some(from), Some(to)) => Range::new(typed(from)?, typed(to)?),
        _ => return Err(Error::new(Kind::Usage, "from and to go together")),
    };
    match range.is_empty() {
        true => Err(Error::new(Kind::Usage, format!("{range} ends before it begins"))),
        false => Ok(Some(range)),
    }
}

fn page(
    app: &App,
    request: &Request,
    channel: &Channel,
    status: &ChannelStatus,
    asked: Option<Range>,
    now: Time,
) -> Result<Page> {
    let name = channel.name.as_str();
    let frame = Frame::new(request, Part::Channels, name);
    let path = frame.to(&format!("/channel/{name}"));
    let grid_s = channel.grid.duration();
    let all = status.span.map(|span| Range::new(floor(span.start, grid_s), ceil(span.end, grid_s)));
    let shown = asked.or(all.map(|all| Range::new(all.start.max(all.end.minus(SHOWN)), all.end)));
    let shown = shown.map(|span| bounded(span, grid_s)).transpose()?;
    let around = shown.map(|span| Calendar::around(span, grid_s));
    let shelf = around.map(|span| app.place.ledger.shelf(name, span)).transpose()?.unwrap_or_default();
    let blocks = around.zip(all).map(|(around, all)| blocks(&shelf, around, all)).unwrap_or_default();
    let cell = match shown.filter(|span| channel.grid.cell_at(span.start).end() >= span.end) {
        Some(span) => Some(Cell::at(app, &request.base, channel, span.start)?),
        None => None,
    };
    let within = shown.unwrap_or(Range::new(now, now));
    let (gaps, more_gaps) = gaps(app, name, within, &shelf)?;
    Ok(Page {
        facts: facts(status, now),
        points: attention::of_channel(status, now),
        crumbs: asked.map(|asked| crumbs(&path, asked)).unwrap_or_default(),
        earlier: shown.zip(all).and_then(|(shown, all)| {
            let before = Range::new(shown.start.minus(shown.duration()), shown.start);
            (shown.start > all.start).then(|| zoom(&path, before))
        }),
        later: shown.zip(all).and_then(|(shown, all)| {
            let after = Range::new(shown.end, shown.end.plus(shown.duration()));
            (shown.end < all.end).then(|| zoom(&path, after))
        }),
        shown: shown.map(stretch).unwrap_or_default(),
        grid_s: grid_s.as_secs(),
        calendar: shown.map(|span| Calendar::new(span, grid_s, &blocks, &lanes(status))),
        cells: listed(&path, &shelf, within, &frame),
        cell,
        from: asked.map(|r| r.start.to_string()).unwrap_or_default(),
        to: asked.map(|r| r.end.to_string()).unwrap_or_default(),
        links: links(&frame, name, asked),
        gaps,
        more_gaps,
        risks: status.at_risk.iter().map(|risk| Risk::new(risk, now)).collect(),
        holds: status.holds.iter().map(Hold::new).collect(),
        settings: channel.effective().to_vec(),
        name: name.to_owned(),
        enabled: channel.enabled,
        frame,
        path,
    })
}

/// The link to a range of a channel's page.
pub(super) fn zoom(path: &str, range: Range) -> String {
    format!("{path}?from={}&to={}", range.start, range.end)
}

/// The span on the grid, if it can be shown at once.
fn bounded(span: Range, cell: Duration) -> Result<Range> {
    let span = Range::new(floor(span.start, cell), ceil(span.end, cell));
    if span.duration().as_secs() / cell.as_secs().max(1) > MOST_CELLS {
        let what = format!("{} have more than {MOST_CELLS} chunks", human_duration(span.duration()));
        return Err(Error::new(Kind::Usage, what).hint("ask for less at once"));
    }
    Ok(span)
}

/// How `shown` stands, within the archive `all`. Where no row is, nothing is archived yet.
fn blocks(shelf: &[Shelved], shown: Range, all: Range) -> Vec<Block> {
    let within = shown.intersect(all);
    let mut blocks = Vec::with_capacity(shelf.len());
    let mut at = within.start;
    for row in shelf {
        // Rows overlap where the channel's chunk_duration was changed: each instant is shown once.
        let range = Range::new(row.cell.start().max(at), row.cell.end().min(shown.end));
        if range.is_empty() {
            continue;
        }
        if at < range.start {
            blocks.push(Block { range: Range::new(at, range.start), slot: Slot::Open });
        }
        blocks.push(Block { range, slot: slot(row) });
        at = range.end;
    }
    if at < within.end {
        blocks.push(Block { range: Range::new(at, within.end), slot: Slot::Open });
    }
    blocks
}

/// A strip of a channel.
pub(super) struct Strip {
    pub(super) name: String,
    /// What it spans; `None` where nothing is archived yet.
    pub(super) span: Option<Range>,
    pub(super) picture: Picture,
}

/// The strip of a channel, in so many slots: of `asked`, or of all that is kept.
pub(super) fn strip(app: &App, name: &str, asked: Option<Range>, slots: usize) -> Result<Strip> {
    let channel = app.channel(name)?;
    let now = app.now();
    let name = channel.name.to_string();
    let status = status::status(&app.place, &[Channel::clone(&channel)], now)?.channels.pop();
    let Some((status, all)) = status.and_then(|status| status.span.map(|span| (status, span))) else {
        return Ok(Strip { name, span: None, picture: Picture::default() });
    };
    let grid = channel.grid.duration();
    let span = bounded(asked.unwrap_or(all), grid)?;
    let shelf = app.place.ledger.shelf(&name, span)?;
    let all = Range::new(floor(all.start, grid), ceil(all.end, grid));
    let picture = Picture::sampled(span, slots, &blocks(&shelf, span, all), &lanes(&status));
    Ok(Strip { name, span: Some(span), picture })
}

fn lanes(status: &ChannelStatus) -> Lanes {
    Lanes {
        at_risk: status.at_risk.iter().map(|risk| risk.cell.range()).collect(),
        held: status.holds.iter().filter(|hold| hold.in_force).map(|hold| hold.range).collect(),
    }
}

/// How a row is shown.
pub(super) fn slot(row: &Shelved) -> Slot {
    match (row.state, row.stored) {
        (State::Complete, _) => Slot::Archived,
        (State::Lost, _) => Slot::Missing,
        (State::Partial, _) | (State::Capturing | State::Failed, Some(_)) => Slot::Partial,
        (State::Capturing | State::Failed, None) => Slot::Open,
    }
}

fn facts(c: &ChannelStatus, now: Time) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(span) = c.span {
        facts.push(format!("{} since {}", human_duration(span.duration()), moment(span.start)));
        let chunks = counted(c.counts.complete + c.counts.partial, "chunk");
        facts.push(format!("{chunks}, {}", human_bytes(c.counts.bytes)));
    }
    if let Some(cell) = c.last_chunk {
        facts.push(format!("last chunk {}", stretch(cell.range())));
    }
    if let Some(lag) = c.lag_s {
        facts.push(format!("lag {}", human_duration(Duration::from_secs(lag))));
    }
    if let Some(at) = c.checked {
        facts.push(format!("checked {} ago", human_duration(now.floor_s().since(at.floor_s()))));
    }
    facts
}

/// The way from the whole archive to `range`: the day and the hour that it is in.
fn crumbs(path: &str, range: Range) -> Vec<Crumb> {
    let mut crumbs = vec![Crumb { label: "All".to_owned(), path: path.to_owned() }];
    for (seconds, is_day) in [(86_400, true), (3_600, false)] {
        let length = Duration::from_secs(seconds);
        let start = floor(range.start, length);
        let around = Range::new(start, start.plus(length));
        if range.end <= around.end && range.duration() < length {
            let label = match is_day {
                true => day_label(start),
                false => format!("{}–{}", clock_label(start), clock_label(around.end)),
            };
            crumbs.push(Crumb { label, path: zoom(path, around) });
        }
    }
    crumbs
}

/// The cells one by one, if they are few.
fn listed(path: &str, shelf: &[Shelved], within: Range, frame: &Frame) -> Vec<Listed> {
    let inside: Vec<&Shelved> =
        shelf.iter().filter(|row| !row.cell.range().intersect(within).is_empty()).collect();
    // One alone is told in full.
    if !(2..=LISTED).contains(&inside.len()) {
        return Vec::new();
    }
    let one = |row: &&Shelved| Listed {
        when: stretch(row.cell.range()),
        path: zoom(path, row.cell.range()),
        mark: slot(row).into(),
        bytes: if row.stored.is_some() { human_bytes(row.bytes) } else { String::new() },
        job: row.job.map(|id| frame.to(&format!("/job/{id}"))),
    };
    inside.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Cell;

    fn range(from: i64, to: i64) -> Range {
        Range::new(Time::from_s(from), Time::from_s(to))
    }

    fn row(from: i64, to: i64, state: State) -> Shelved {
        let cell = Cell::from_range(range(from, to));
        Shelved { cell, state, stored: None, retry: false, bytes: 0, job: None }
    }

    #[test]
    fn what_has_no_row_is_open_and_rows_that_overlap_are_shown_once() {
        let shelf = [row(0, 10, State::Complete), row(5, 20, State::Lost), row(30, 40, State::Complete)];
        let shown = blocks(&shelf, range(0, 60), range(0, 50));
        let told: Vec<_> = shown.iter().map(|b| (b.range.start.s(), b.range.end.s(), b.slot)).collect();
        assert_eq!(
            told,
            [
                (0, 10, Slot::Archived),
                (10, 20, Slot::Missing),
                (20, 30, Slot::Open),
                (30, 40, Slot::Archived),
                (40, 50, Slot::Open)
            ]
        );
    }

    #[test]
    fn the_way_down_names_the_day_and_the_hour() {
        let range: Range = "2026-11-22T14:05:00Z--2026-11-22T14:10:00Z".parse().unwrap();
        let labels: Vec<String> = crumbs("/channel/a", range).into_iter().map(|c| c.label).collect();
        assert_eq!(labels, ["All", "Sun 22 Nov", "14:00–15:00"]);
    }
}
