//! DASH: `/dash/NAME/RANGES.mpd`, and the segments that it names by time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, ETAG};
use http::{Method, StatusCode};

use super::{Places, Scene, scene};
use crate::channel::{Channel, Media};
use crate::clip::{Ask, Missing, PRIMING};
use crate::error::{Context, Error, Kind, Result};
use crate::grid::Cell;
use crate::http::clip::with_facts;
use crate::http::signed::Signer;
use crate::http::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::ledger::Coverage;
use crate::media::{Index, IndexEntry, TrackIndex};
use crate::playlist::Gaps;
use crate::playlist::dash::{Growth, Naming, Show, Shown, mpd};
use crate::store::{ByteRange, Digest};
use crate::time::{MediaTime, Range};

/// How many slashes the path of a description has behind the first.
const DEPTH: usize = 2;
/// How often there may be more of a presentation that goes on.
const EVERY: Duration = Duration::from_secs(10);
/// How much longer than its cell lasts a chunk takes until it can be played, where cron comes every minute.
const LATE: Duration = Duration::from_secs(120);
/// How long a description may be kept of which there will be more, in seconds.
const GROWING_S: u32 = 2;
/// How long a segment of a complete chunk may be kept, and one of a partial one, in seconds: as the chunks themselves.
const COMPLETE_S: u32 = 86_400;
const PARTIAL_S: u32 = 10;

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/dash/{name}/{ranges}", Style::Plain, Access::Read, dash).shared().signed();
    let path = "/dash/{name}/{ranges}/{track}/{time}";
    to.add(Method::GET, path, Style::Plain, Access::Read, segment).shared().signed();
}

/// DASH: the media presentation description of a clip
#[utoipa::path(get, path = "/dash/{name}/{ranges}", tag = "playback", operation_id = "dash",
    params(
        ("name" = String, Path, description = "Channel"),
        ("ranges" = String, Path, description = "`START--END`, several with commas between, `START--` for what goes on, or \
            `START--now`; `.mpd` may follow", example = "2019-07-08T06:00:00Z--2019-07-08T06:04:30Z.mpd"),
        ("gaps" = Option<String>, Query, description = "`skip` (a gap is left out), `mark` (it takes as long as it lasted) or \
            `fail`; `skip` if not said"),
        ("segments" = Option<String>, Query, description = "`template` (npvr answers for each) or `list` (byte ranges in the \
            chunks), if not as the channel says"),
    ),
    responses(
        (status = 200, description = "The description; `X-Npvr-Gaps` says what is missing",
            body = String, content_type = "application/dash+xml"),
        (status = 400, description = "The ranges make no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such channel, or nothing of the ranges is archived", body = String, content_type = "text/plain"),
        (status = 409, description = "There are gaps, and `gaps=fail`", body = String, content_type = "text/plain"),
        (status = 425, description = "The ranges are still to come; `Retry-After` says when", body = String, content_type = "text/plain"),
    ))]
pub(in crate::http) async fn dash(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let text = request.param("ranges");
    answer(&app, &request, text.strip_suffix(".mpd").unwrap_or(text), DEPTH).await
}

/// The description of `ranges`, at a path that has `depth` slashes behind the first.
pub(super) async fn answer(
    app: &App,
    request: &Request,
    ranges: &str,
    depth: usize,
) -> Result<Answer, Refusal> {
    let gaps: Gaps = request.query("gaps").map_or(Ok(Gaps::default()), str::parse)?;
    let scene = scene(app, request.param("name"), ranges).await?;
    if gaps == Gaps::Fail {
        refuse_gaps(&scene)?;
    }
    let text = written(app, &scene, request, gaps, depth)?;
    let answer = with_facts(Answer::bytes("application/dash+xml", text).tagged(), &scene.footage.clip);
    Ok(match scene.grows {
        true => answer.with_header(CACHE_CONTROL, format!("max-age={GROWING_S}")),
        false => answer,
    })
}

pub(super) fn refuse_gaps(scene: &Scene) -> Result<(), Refusal> {
    let mut gaps = scene.footage.clip.gaps().filter(|gap| gap.what != Missing::NotYet);
    match gaps.next() {
        None => Ok(()),
        Some(gap) => {
            let what = format!("channel {}: {} is not archived", scene.channel.name, gap.range);
            let error = Error::new(Kind::Busy, what).hint("leave out gaps=fail, and what is there is played");
            Err(Refusal::new(StatusCode::CONFLICT, error))
        }
    }
}

fn written(app: &App, scene: &Scene, request: &Request, gaps: Gaps, depth: usize) -> Result<String> {
    let Scene { channel, footage, ranges, .. } = scene;
    let places = Places::new(channel, depth).signed(Signer::of(app, channel, request)?);
    let reel = footage.reel(&[]);
    let first = |id: u32| reel.runs.iter().find_map(|run| run.track(id)?.spans.first());
    let rate = |id: u32| {
        let span = first(id)?;
        footage.index(span.cell)?.tracks.iter().find(|track| track.track_id == id)?.rate()
    };
    let tracks: Vec<Shown<'_>> = (footage.tracks.iter())
        .map(|row| Shown { id: row.id, track: &row.track, rate: rate(row.id) })
        .collect();
    // The folder is what is signed: a player fills in the rest.
    let template = places.below(&format!("dash/{}/{ranges}/", channel.name), "$RepresentationID$/$Time$.m4s");
    let is_list = match request.query("segments") {
        Some("list") => true,
        Some("template") => false,
        Some(other) => {
            let error = Error::new(Kind::Usage, format!("{other:?} is no way to name segments"));
            return Err(error.hint("use template or list"));
        }
        None => channel.media != Media::Serve,
    };
    let clock = request.base.url("/time");
    let since = scene.ask.ranges().first().map(|range| range.start);
    let growth = since.filter(|_| scene.grows).map(|since| Growth {
        clock: &clock,
        since,
        every: EVERY,
        delay: channel.grid.duration().saturating_add(LATE),
    });
    let show = Show {
        clip: &footage.clip,
        reel: &reel,
        tracks: &tracks,
        naming: if is_list { Naming::List } else { Naming::Template },
        template: &template,
        keeps_gaps: gaps == Gaps::Mark,
        growth,
    };
    Ok(mpd(&show, &places))
}

/// A segment of DASH: one fragment, by when it begins
#[utoipa::path(get, path = "/dash/{name}/{ranges}/{track}/{time}", tag = "playback", operation_id = "dash_segment",
    params(
        ("name" = String, Path, description = "Channel"),
        ("ranges" = String, Path, description = "Those of the description"),
        ("track" = u32, Path, description = "Id of the track"),
        ("time" = String, Path, description = "When it begins, in ticks of the track since the Unix epoch; `.m4s` may follow",
            example = "140683680000000.m4s"),
    ),
    responses(
        (status = 200, description = "The segment", body = Vec<u8>, content_type = "video/iso.segment"),
        (status = 400, description = "The ranges make no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "The ranges have no such segment", body = String, content_type = "text/plain"),
        (status = 503, description = "Its chunk is being replaced at this moment", body = String, content_type = "text/plain"),
    ))]
pub(in crate::http) async fn segment(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let (ask, _) = Ask::read(request.param("ranges"), app.now())?;
    let found = || find(&app, &channel, &ask, request.param("track"), request.param("time"));
    let Found { cell, fragment } = found()?;
    let row = app.place.ledger.cell(channel.name.as_str(), cell)?;
    let stored = row.and_then(|row| row.stored).ok_or_else(|| missing(&channel))?;
    // Only a partial chunk is ever replaced, and then its index and its row by one commit.
    if stored.coverage != Coverage::Complete && found()?.fragment != fragment {
        return Err(replaced(&channel, cell).into());
    }
    let range = ByteRange { start: fragment.offset(), end: fragment.offset().saturating_add(fragment.size) };
    let pieces = match request.method {
        Method::HEAD => futures_util::stream::empty().boxed(),
        // What goes wrong from here on cuts the connection.
        _ => {
            let reading = app.store(&channel).await?.get(&stored.key, Some(range)).await?;
            if reading.object.bytes != stored.bytes {
                return Err(replaced(&channel, cell).into());
            }
            reading.bytes.map_err(|e| e.context("read a segment")).boxed()
        }
    };
    let digest = Digest { bytes: stored.bytes, sha256: stored.sha256 };
    let seconds = if stored.coverage == Coverage::Complete { COMPLETE_S } else { PARTIAL_S };
    Ok(Answer::stream("video/iso.segment", Some(fragment.size), pieces)
        .with_header(CONTENT_LENGTH, fragment.size.to_string())
        .with_header(ETAG, format!("\"{}-{}\"", digest.hex(), range.start))
        .with_header(CACHE_CONTROL, format!("max-age={seconds}")))
}

/// A fragment, and where it is.
struct Found {
    cell: Cell,
    fragment: IndexEntry,
}

/// The fragment that begins at `time`, or nearest to it: numbers in browsers are good for 53 bits, and ticks of a ten-millionth
/// of a second since 1970 have one more. Only the indexes of the chunks around that time are read.
fn find(app: &App, channel: &Channel, ask: &Ask, track: &str, time: &str) -> Result<Found> {
    let (ledger, name) = (app.place.ledger.as_ref(), channel.name.as_str());
    let missing = || missing(channel);
    let id: u32 = track.parse().map_err(|_| missing())?;
    let ticks: i64 = time.strip_suffix(".m4s").unwrap_or(time).parse().map_err(|_| missing())?;
    let row = ledger.tracks(name)?.into_iter().find(|row| row.id == id).ok_or_else(missing)?;
    let at = MediaTime::new(ticks, row.timescale).instant();
    // It may be presented a little before or after it is decoded, by which it is in its chunk.
    let around = Range::new(at.minus(PRIMING), at.plus(PRIMING));
    let is_asked = |cell: &Cell| {
        let near = |range: &Range| Range::new(range.start.minus(PRIMING), range.end);
        ask.ranges().iter().any(|range| !near(range).intersect(cell.range()).is_empty())
    };
    let mut best: Option<(u64, Found)> = None;
    for (cell, bytes) in ledger.indexes(name, around)?.into_iter().filter(|(cell, _)| is_asked(cell)) {
        let index = Index::decode(&bytes).with_context(|| format!("channel {name}: chunk {cell}"))?;
        let tracks =
            index.tracks.iter().filter(|track| track.track_id == id && track.timescale == row.timescale);
        for (far, fragment) in tracks.filter_map(|track| nearest(track, ticks)) {
            // Where chunks overlap, the first is played.
            if best.as_ref().is_none_or(|(least, _)| far < *least) {
                best = Some((far, Found { cell, fragment }));
            }
        }
    }
    best.map(|(_, found)| found).ok_or_else(missing)
}

/// The fragment that begins nearest to `ticks`, and how far from that; at most half as long as it lasts.
fn nearest(track: &TrackIndex, ticks: i64) -> Option<(u64, IndexEntry)> {
    let shift = track.presentation_shift_ticks();
    let far = |fragment: &IndexEntry| {
        let starts = i64::try_from(fragment.decode_time).unwrap_or(i64::MAX).saturating_add(shift);
        starts.abs_diff(ticks)
    };
    let fragment = track.fragments.iter().min_by_key(|fragment| far(fragment))?;
    (far(fragment) <= u64::from(fragment.duration_ticks) / 2).then(|| (far(fragment), *fragment))
}

fn missing(channel: &Channel) -> Error {
    Error::new(Kind::NotFound, format!("channel {}: there is no such segment", channel.name))
}

fn replaced(channel: &Channel, cell: Cell) -> Error {
    let what = format!("channel {}: chunk {cell}: it is not as the ledger has it", channel.name);
    Error::new(Kind::TryLater, what)
        .hint(format!("if it is not just being replaced: npvr verify {}", channel.name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Timescale;

    proptest! {
        #[test]
        fn every_fragment_is_found_by_when_it_begins_as_a_browser_says_it(
            hz in prop::sample::select(vec![600_u32, 48_000, 90_000, 10_000_000]),
            durations in prop::collection::vec(20_u32..400, 1..50),
            wanted in any::<prop::sample::Index>(),
        ) {
            let mut index = Index::default();
            let mut at = 1_800_000_000 * u64::from(hz) + 1;
            for (n, tenths) in durations.iter().enumerate() {
                let duration_ticks = hz / 10 * tenths / 10;
                let moof_offset = u64::try_from(n).unwrap();
                let entry =
                    IndexEntry { decode_time: at, duration_ticks, moof_offset, prefix_size: 0, size: 1, sync: true };
                index.push(1, Timescale::new(hz).unwrap(), entry);
                at += u64::from(duration_ticks);
            }
            let track = &index.tracks[0];
            let fragment = wanted.get(&track.fragments);
            // Doubles have 53 bits.
            let said = fragment.decode_time as f64 as i64;
            prop_assert_eq!(nearest(track, said).map(|found| found.1), Some(*fragment));
            let first = 1_800_000_000 * i64::from(hz);
            prop_assert_eq!(nearest(track, first - i64::from(hz) * 100), None);
        }
    }
}
