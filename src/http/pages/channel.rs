//! The page of a channel: a calendar of what is archived, from weeks down to one chunk; links for a range of it; what is
//! missing and why; and its configuration.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use http::header::CONTENT_SECURITY_POLICY;

use super::blocking;
use super::calendar::Calendar;
use super::cell::Cell;
use super::frame::{self, Frame, Part};
use super::links::{Link, links};
use super::missing::{Gap, Hold, Risk, gaps};
use super::moments::{ceil, clock_label, day_label, floor, moment, stretch, typed};
use super::picture::{Mark, Picture};
use super::player::{self, Player};
use super::points::{Point, points};
use crate::channel::{Channel, Setting};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, App, Refusal, Request};
use crate::status::{self, Block, Overviews, Row};
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
    player: Player,
    links: Vec<Link>,
    gaps: Vec<Gap>,
    more_gaps: u64,
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
        let asked = asked(&request)?;
        let answer = frame::answer(&page(&app, &request, &channel, asked, app.now())?)?;
        Ok(answer.with_header(CONTENT_SECURITY_POLICY, player::policy(&app, &channel)))
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
    channel: &Arc<Channel>,
    asked: Option<Range>,
    now: Time,
) -> Result<Page> {
    let name = channel.name.as_str();
    let frame = Frame::new(request, Part::Channels, name);
    let path = frame.to(&format!("/channel/{name}"));
    let grid_s = channel.grid.duration();
    let row = row(app, channel, now)?;
    let all = row.span.map(|span| Range::new(floor(span.start, grid_s), ceil(span.end, grid_s)));
    let shown = asked.or(all.map(|all| Range::new(all.start.max(all.end.minus(SHOWN)), all.end)));
    let shown = shown.map(|span| bounded(span, grid_s)).transpose()?;
    let drawn = shown.zip(all).map(|(shown, all)| Calendar::around(shown, grid_s).intersect(all));
    let model = status::calendar(&app.place, channel, Some(drawn.unwrap_or(Range::new(now, now))), now)?;
    let blocks: Vec<Block> = model.days.into_iter().flat_map(|day| day.blocks).collect();
    let within = shown.unwrap_or(Range::new(now, now));
    let one = shown.filter(|span| channel.grid.cell_at(span.start).end() >= span.end);
    Ok(Page {
        facts: facts(&row, now),
        points: points(&row.attention),
        crumbs: asked.map(|asked| crumbs(&path, asked)).unwrap_or_default(),
        earlier: shown.zip(all).and_then(|(shown, all)| earlier(&path, shown, all)),
        later: shown.zip(all).and_then(|(shown, all)| later(&path, shown, all)),
        shown: shown.map(stretch).unwrap_or_default(),
        grid_s: grid_s.as_secs(),
        calendar: shown.filter(|_| all.is_some()).map(|span| Calendar::new(span, grid_s, &blocks, asked)),
        cells: listed(&path, &blocks, within, &frame),
        cell: one.map(|span| Cell::at(app, &request.base, channel, span.start)).transpose()?,
        from: asked.map(|r| r.start.to_string()).unwrap_or_default(),
        to: asked.map(|r| r.end.to_string()).unwrap_or_default(),
        player: Player::new(app, &frame, name),
        links: links(&frame, name, asked),
        gaps: gaps(&model.missing, within, grid_s),
        more_gaps: model.missing_left_out,
        risks: model.at_risk.iter().map(|risk| Risk::new(risk, now)).collect(),
        holds: model.holds.iter().map(Hold::new).collect(),
        settings: channel.effective().to_vec(),
        name: name.to_owned(),
        enabled: channel.enabled,
        frame,
        path,
    })
}

/// The link to as much before what is shown, if there is any of it.
fn earlier(path: &str, shown: Range, all: Range) -> Option<String> {
    let before = Range::new(shown.start.minus(shown.duration()), shown.start);
    (shown.start > all.start).then(|| zoom(path, before))
}

/// The same of what comes after.
fn later(path: &str, shown: Range, all: Range) -> Option<String> {
    let after = Range::new(shown.end, shown.end.plus(shown.duration()));
    (shown.end < all.end).then(|| zoom(path, after))
}

/// How the channel stands.
fn row(app: &App, channel: &Arc<Channel>, now: Time) -> Result<Row> {
    // What the server keeps for the overview is of all channels; this is of one, and read anew.
    let overview = Overviews::new().at(&app.place, std::slice::from_ref(channel), 1, now)?;
    let row = overview.channels.into_iter().next();
    row.ok_or_else(|| Error::new(Kind::NotFound, format!("nothing is known of channel {}", channel.name)))
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
    let asked = asked.map(|asked| bounded(asked, channel.grid.duration())).transpose()?;
    let model = status::calendar(&app.place, &channel, asked, app.now())?;
    let blocks: Vec<Block> = model.days.into_iter().flat_map(|day| day.blocks).collect();
    let picture = model.span.map(|span| Picture::sampled(span, slots, &blocks)).unwrap_or_default();
    Ok(Strip { name: model.channel, span: model.span, picture })
}

fn facts(c: &Row, now: Time) -> Vec<String> {
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
fn listed(path: &str, blocks: &[Block], within: Range, frame: &Frame) -> Vec<Listed> {
    let inside: Vec<&Block> =
        blocks.iter().filter(|block| !block.range.intersect(within).is_empty()).collect();
    // One alone is told in full; what was merged is no cell.
    if !(2..=LISTED).contains(&inside.len()) || inside.iter().any(|block| block.cells > 1) {
        return Vec::new();
    }
    let one = |block: &&Block| Listed {
        when: stretch(block.range),
        path: zoom(path, block.range),
        mark: block.state.slot().into(),
        bytes: if block.bytes > 0 { human_bytes(block.bytes) } else { String::new() },
        job: block.job.map(|id| frame.to(&format!("/job/{id}"))),
    };
    inside.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_down_names_the_day_and_the_hour() {
        let range: Range = "2026-11-22T14:05:00Z--2026-11-22T14:10:00Z".parse().unwrap();
        let labels: Vec<String> = crumbs("/channel/a", range).into_iter().map(|c| c.label).collect();
        assert_eq!(labels, ["All", "Sun 22 Nov", "14:00–15:00"]);
    }
}
