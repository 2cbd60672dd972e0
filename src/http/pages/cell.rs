//! One cell, told in full: its state and why, its chunk, and each of its tracks.

use std::sync::Arc;

use askama::Template;

use super::moments::{moment, stretch, typed};
use super::picture::{Mark, Picture};
use super::{blocking, channel, frame};
use crate::channel::Channel;
use crate::error::{Error, Kind, Result};
use crate::grid;
use crate::http::{Answer, App, Base, Refusal, Request};
use crate::ledger::{CellRow, GapRow, State, Stored};
use crate::media::{Index, TrackIndex};
use crate::status::Slot;
use crate::time::{MediaTime, Range, Ranges, Time, human_duration};
use crate::words::{counted, human_bytes};

/// Fragments of one track that are no further apart are one stretch.
const JOINED: std::time::Duration = std::time::Duration::from_millis(50);

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
    /// Its last job.
    job: Option<String>,
    /// Where its chunk can be had from this server.
    download: Option<String>,
    tracks: Vec<Track>,
    /// How wide the pictures are: milliseconds.
    width_ms: u64,
    gaps: Vec<String>,
}

/// A track of a cell.
struct Track {
    name: String,
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
        let ledger = app.place.ledger.as_ref();
        let name = channel.name.as_str();
        let here = Range::new(at, at.offset_ns(1));
        let row = ledger.cells(name, here)?.pop();
        let cell = row.as_ref().map_or_else(|| channel.grid.cell_at(at), |row| row.cell);
        let gaps: Vec<GapRow> =
            ledger.gaps(name, cell.range())?.into_iter().filter(|gap| gap.cell == cell).collect();
        let index = match ledger.index(name, cell)? {
            Some(bytes) => Index::decode(&bytes)?,
            None => Index::default(),
        };
        let known = ledger.tracks(name)?;
        let tracks = index.tracks.iter().map(|track| {
            let known = known.iter().find(|row| row.id == track.track_id);
            let name = known.map_or(format!("track {}", track.file_track_id), |row| row.track.name());
            track_of(track, name, cell, &gaps)
        });
        let stored = row.as_ref().and_then(|row| row.stored.as_ref());
        Ok(Cell {
            base: base.clone(),
            when: stretch(cell.range()),
            told: gist(row.as_ref()),
            zoom: channel::zoom(&format!("/channel/{name}"), cell.range()),
            mark: row.as_ref().map_or(Mark::Open, mark),
            facts: facts(row.as_ref(), app.now()),
            job: row.as_ref().and_then(|row| row.job).map(|id| format!("/job/{id}")),
            download: stored.filter(|_| channel.s3.is_none()).map(|stored| format!("/chunk/{}", stored.key)),
            tracks: tracks.collect(),
            width_ms: u64::try_from(cell.range().duration().as_millis()).unwrap_or(u64::MAX),
            gaps: gaps.iter().map(gap).collect(),
        })
    }
}

fn mark(row: &CellRow) -> Mark {
    Mark::from(match (row.state, &row.stored) {
        (State::Complete, _) => Slot::Archived,
        (State::Lost, _) => Slot::Missing,
        (State::Partial, _) | (_, Some(_)) => Slot::Partial,
        (State::Capturing | State::Failed, None) => Slot::Open,
    })
}

fn gist(row: Option<&CellRow>) -> String {
    let Some(row) = row else { return Mark::Open.meaning().to_owned() };
    let mut parts = vec![mark(row).meaning().to_owned()];
    parts.extend(row.stored.as_ref().map(|stored| human_bytes(stored.bytes)));
    parts.extend(row.job.map(|id| format!("job {id}")));
    parts.extend(row.reason.clone());
    parts.join(" · ")
}

fn facts(row: Option<&CellRow>, now: Time) -> Vec<(&'static str, String)> {
    let Some(row) = row else { return vec![("State", "nothing is known of it yet".to_owned())] };
    let mut facts = vec![("State", row.state.to_string())];
    if let Some(reason) = &row.reason {
        facts.push(("Reason", reason.clone()));
    }
    if let Some(at) = row.retry_at {
        let wait = human_duration(at.since(now));
        let text =
            if at > now { format!("{} (in {wait})", moment(at)) } else { "by the next check".to_owned() };
        facts.push(("Tried again", text));
    }
    if row.attempts > 0 {
        facts.push(("Failed attempts", row.attempts.to_string()));
    }
    if let Some(Stored { key, bytes, sha256, .. }) = &row.stored {
        let hex: String = sha256.iter().map(|b| format!("{b:02x}")).collect();
        facts.extend([("Size", human_bytes(*bytes)), ("Key", key.clone()), ("SHA-256", hex)]);
        facts.push(("Read back", row.verified.map_or("not since it was stored".to_owned(), moment)));
    }
    facts.push(("Changed", moment(row.updated)));
    facts
}

fn gap(row: &GapRow) -> String {
    let length = human_duration(row.gap.range.duration());
    format!("{} lacks {length} ({}): {}", row.gap.track, stretch(row.gap.range), row.gap.reason)
}

fn track_of(track: &TrackIndex, name: String, cell: grid::Cell, gaps: &[GapRow]) -> Track {
    let (mut ranges, mut bytes) = (Ranges::none(), 0_u64);
    for fragment in &track.fragments {
        let at =
            |ticks: u64| MediaTime::new(i64::try_from(ticks).unwrap_or(i64::MAX), track.timescale).instant();
        let end = fragment.decode_time.saturating_add(u64::from(fragment.duration_ticks));
        ranges.add_bridging(Range::new(at(fragment.decode_time), at(end)), JOINED);
        bytes = bytes.saturating_add(fragment.size);
    }
    let mut picture = Picture::default();
    let offset = |at: Time| u64::try_from(at.since(cell.start()).as_millis()).unwrap_or(u64::MAX);
    for range in ranges.clip(cell.range()).as_slice() {
        picture.bar(Mark::Archived, offset(range.start), offset(range.end));
    }
    for gap in gaps.iter().filter(|row| row.gap.track == name) {
        picture.bar(Mark::Missing, offset(gap.gap.range.start), offset(gap.gap.range.end));
    }
    let fragments = counted(track.fragments.len() as u64, "fragment");
    Track { name, told: format!("{fragments}, {}", human_bytes(bytes)), picture }
}
