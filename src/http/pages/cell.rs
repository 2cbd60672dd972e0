//! One cell, told in full: its state and why, its chunk, and each of its tracks.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;

use super::moments::{moment, stretch, typed};
use super::picture::{Mark, Picture};
use super::{blocking, channel, frame};
use crate::channel::Channel;
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, App, Base, Refusal, Request};
use crate::status::{self, CellStatus, Chunk, TrackStatus};
use crate::time::{Range, Time, human_duration};
use crate::words::{counted, human_bytes};

/// A cell.
#[derive(Template)]
#[template(path = "cell.html")]
pub(super) struct Cell {
    base: Base,
    when: String,
    /// The gist of it, for who only passes by.
    told: String,
    zoom: String,
    mark: Mark,
    /// What is to be said of it: word and value.
    facts: Vec<(&'static str, String)>,
    /// What tells its chunk from any other: its key and its checksum.
    codes: Vec<(&'static str, String)>,
    /// Its last job: its number and its page.
    job: Option<(String, String)>,
    /// Where its chunk can be had from this server.
    download: Option<String>,
    tracks: Vec<Track>,
    /// How long the cell is, and how wide the pictures are: as far as the last segment that begins in it reaches.
    cell_ms: u64,
    width_ms: u64,
    missing: Vec<String>,
}

/// A track of a cell.
struct Track {
    name: String,
    /// Its description, without the name.
    what: String,
    told: String,
    picture: Picture,
}

/// `GET /channel/{name}/cell?at=`: a piece of a page, for the script.
pub(super) async fn cell(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    blocking(move || {
        let channel = app.channel(request.param("name"))?;
        let at = request.query("at").ok_or_else(|| Error::new(Kind::Usage, "at is missing"))?;
        Ok(frame::answer(&Cell::at(&app, &request.base, &channel, typed(at)?)?)?)
    })
    .await
}

impl Cell {
    /// The cell of `channel` at an instant: as the ledger has it, or as the grid cuts it.
    pub(super) fn at(app: &App, base: &Base, channel: &Channel, at: Time) -> Result<Cell> {
        let name = channel.name.as_str();
        let row = app.place.ledger.shelf(name, Range::new(at, at.offset_ns(1)))?.pop();
        let cell = row.map_or_else(|| channel.grid.cell_at(at), |row| row.cell);
        let now = app.now();
        let told = status::cell(&app.place, channel, cell, now)?;
        let range = cell.range();
        Ok(Cell {
            base: base.clone(),
            when: stretch(range),
            told: gist(&told),
            zoom: channel::zoom(&format!("/channel/{name}"), range),
            mark: told.look.slot().into(),
            facts: facts(&told, now),
            codes: told.chunk.as_ref().map(codes).unwrap_or_default(),
            job: told.job.as_ref().map(|job| (job.id.to_string(), format!("/job/{}", job.id))),
            download: told.chunk.as_ref().map(|chunk| format!("/chunk/{}", chunk.key)),
            tracks: told.tracks.iter().map(|track| track_of(track, &told)).collect(),
            cell_ms: ms(range.duration()),
            width_ms: ms(last_end(&told).since(range.start)),
            missing: told
                .missing
                .iter()
                .map(|one| {
                    let track = one.track.as_deref().unwrap_or("every track");
                    let length = human_duration(one.range.duration());
                    format!("{track} lacks {length}: {}: {}", one.reason, one.prospect.text)
                })
                .collect(),
        })
    }
}

fn ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Where the last track ends, and not before the end of the cell.
fn last_end(cell: &CellStatus) -> Time {
    let ends = cell.tracks.iter().filter_map(|track| track.ranges.last()).map(|range| range.end);
    ends.fold(cell.cell.end(), Time::max)
}

fn gist(cell: &CellStatus) -> String {
    let mut parts = vec![Mark::from(cell.look.slot()).meaning().to_owned()];
    parts.extend(cell.chunk.as_ref().map(|chunk| human_bytes(chunk.bytes)));
    parts.extend(cell.job.as_ref().map(|job| format!("job {}", job.id)));
    parts.extend(cell.reason.clone());
    parts.join(" · ")
}

fn facts(cell: &CellStatus, now: Time) -> Vec<(&'static str, String)> {
    let Some(state) = cell.state else { return vec![("State", "not looked at yet".to_owned())] };
    let mut facts = vec![("State", state.to_string())];
    facts.extend(cell.reason.clone().map(|reason| ("Reason", reason)));
    if let Some(at) = cell.deadline {
        let wait = human_duration(at.since(now));
        let text = if at > now { format!("{} (in {wait})", moment(at)) } else { "is being lost".to_owned() };
        facts.push(("Lost from", text));
    }
    if let Some(at) = cell.retry_at {
        let wait = human_duration(at.since(now));
        let text =
            if at > now { format!("{} (in {wait})", moment(at)) } else { "by the next check".to_owned() };
        facts.push(("Tried again", text));
    }
    if cell.attempts > 0 {
        facts.push(("Failed attempts", cell.attempts.to_string()));
    }
    if let Some(Chunk { bytes, verified, .. }) = &cell.chunk {
        facts.push(("Size", human_bytes(*bytes)));
        facts.push(("Read back", verified.map_or("not since it was stored".to_owned(), moment)));
    }
    facts.extend(cell.updated.map(|at| ("Changed", moment(at))));
    let holds: Vec<String> = cell.holds.iter().map(|id| format!("hold {id}")).collect();
    facts.extend((!holds.is_empty()).then(|| ("Kept by", holds.join(", "))));
    facts
}

fn codes(chunk: &Chunk) -> Vec<(&'static str, String)> {
    vec![("Key", chunk.key.clone()), ("SHA-256", chunk.sha256.clone())]
}

fn track_of(track: &TrackStatus, cell: &CellStatus) -> Track {
    let within = Range::new(cell.cell.start(), last_end(cell));
    let mut picture = Picture::default();
    let mut bar = |mark, range: Range| {
        let part = range.intersect(within);
        picture.bar(mark, ms(part.start.since(within.start)), ms(part.end.since(within.start)));
    };
    track.ranges.iter().for_each(|range| bar(Mark::Archived, *range));
    let lacks = cell.missing.iter().filter(|one| one.track.as_ref().is_none_or(|name| *name == track.name));
    lacks.for_each(|one| bar(Mark::Missing, one.range));
    let what = track.description.strip_prefix(&track.name).unwrap_or_default().trim().to_owned();
    let told = format!("{}, {}", counted(track.fragments, "fragment"), human_bytes(track.bytes));
    Track { name: track.name.clone(), what, told, picture }
}
