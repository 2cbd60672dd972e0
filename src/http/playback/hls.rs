//! HLS: `/hls/NAME/RANGES/master.m3u8`, and the playlists of tracks behind it.
//!
//! A playlist that grows is followed by players for hours, and no cache may keep it for longer than a moment. Who began to follow
//! one is led to names of its own (`?as=event`), so that it ends as the playlist that it was.

use std::sync::Arc;

use http::Method;
use http::header::CACHE_CONTROL;

use super::dash::refuse_gaps;
use super::{Places, Scene, scene};
use crate::error::{Error, Kind, Result};
use crate::http::clip::with_facts;
use crate::http::signed::Signer;
use crate::http::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::playlist::Gaps;
use crate::playlist::hls::{Child, Form, Hls, Listed};

const TYPE: &str = "application/vnd.apple.mpegurl";
/// How many slashes the path of a playlist has behind the first.
const DEPTH: usize = 3;
/// A `free` box with nothing in it (14496-12 §8.1.2).
const NOTHING: &[u8] = b"\0\0\0\x08free";
/// How long that may be kept, in seconds.
const KEEP_S: u32 = 86_400;
/// How long a playlist that grows may be kept, in seconds.
const GROWING_S: u32 = 2;

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/hls/nothing.mp4", Style::Plain, Access::Open, nothing).shared();
    to.add(Method::GET, "/hls/{name}/{ranges}/{file}", Style::Plain, Access::Read, playlist)
        .shared()
        .signed();
}

/// Media for segments that are not there
#[utoipa::path(get, path = "/hls/nothing.mp4", tag = "playback", operation_id = "hls_nothing", responses(
    (status = 200, description = "An MP4 box with nothing in it, for players that do not know `EXT-X-GAP`",
        body = Vec<u8>, content_type = "video/mp4"),
))]
pub(in crate::http) async fn nothing(_app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    Ok(Answer::bytes("video/mp4", NOTHING).tagged().with_header(CACHE_CONTROL, format!("max-age={KEEP_S}")))
}

/// HLS: the playlists of a clip
#[utoipa::path(get, path = "/hls/{name}/{ranges}/{file}", tag = "playback", operation_id = "hls",
    params(
        ("name" = String, Path, description = "Channel"),
        ("ranges" = String, Path, description = "`START--END`, several with commas between, `START--` for what goes on, or \
            `START--now`", example = "2019-07-08T06:00:00Z--2019-07-08T06:04:30Z"),
        ("file" = String, Path, description = "`master.m3u8`; `1.m3u8` and `1-iframes.m3u8` for track 1", example = "master.m3u8"),
        ("gaps" = Option<String>, Query, description = "`skip` (a gap is left out), `mark` (it takes as long as it lasted) or \
            `fail`; `skip` if not said"),
        ("as" = Option<String>, Query, description = "`event`: a playlist that may have grown; the master playlist says so"),
    ),
    responses(
        (status = 200, description = "The playlist; `X-Npvr-Gaps` says what is missing",
            body = String, content_type = "application/vnd.apple.mpegurl"),
        (status = 400, description = "The ranges make no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such channel or track, or nothing of the ranges is archived",
            body = String, content_type = "text/plain"),
        (status = 409, description = "There are gaps, and `gaps=fail`", body = String, content_type = "text/plain"),
        (status = 425, description = "The ranges are still to come; `Retry-After` says when", body = String, content_type = "text/plain"),
    ))]
pub(in crate::http) async fn playlist(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let (ranges, file) = (request.param("ranges"), request.param("file"));
    if file == "master.m3u8" {
        return master(&app, &request, ranges, DEPTH).await;
    }
    let child: Child = file.parse()?;
    let stage = Stage::of(&app, &request, ranges).await?;
    let reel = stage.scene.footage.reel(&[]);
    let hls = Hls::new(&stage.scene.footage.clip, &reel, stage.gaps, stage.form)?;
    let channel = &stage.scene.channel;
    let places = Places::new(channel, DEPTH).signed(Signer::of(&app, channel, &request)?);
    let text = match child {
        Child::Media(id) => hls.media(id, &places),
        Child::KeyFrames(id) => hls.key_frames(id, &places),
    };
    stage.answer(text, "no such track")
}

/// The master playlist of `ranges`, at a path that has `depth` slashes behind the first.
pub(super) async fn master(
    app: &App,
    request: &Request,
    ranges: &str,
    depth: usize,
) -> Result<Answer, Refusal> {
    let stage = Stage::of(app, request, ranges).await?;
    let Scene { channel, footage, ranges, .. } = &stage.scene;
    let reel = footage.reel(&[]);
    let rate = |id: u32| {
        let span = reel.runs.iter().find_map(|run| run.track(id)?.spans.first())?;
        footage.index(span.cell)?.tracks.iter().find(|track| track.track_id == id)?.rate()
    };
    let tracks: Vec<Listed<'_>> = footage
        .tracks
        .iter()
        .map(|row| Listed { id: row.id, track: &row.track, rate: rate(row.id) })
        .collect();
    let places = Places::new(channel, depth).signed(Signer::of(app, channel, request)?);
    let query = stage.query();
    let link = |child: Child| places.here(&format!("hls/{}/{ranges}/{child}{query}", channel.name));
    let text = Hls::new(&footage.clip, &reel, stage.gaps, stage.form)?.master(&tracks, &link);
    stage.answer(text, "neither pictures nor sound")
}

/// What a request asks for, and how its playlists are written.
struct Stage {
    scene: Scene,
    gaps: Gaps,
    form: Form,
}

impl Stage {
    async fn of(app: &App, request: &Request, ranges: &str) -> Result<Stage, Refusal> {
        let gaps: Gaps = request.query("gaps").map_or(Ok(Gaps::default()), str::parse)?;
        let is_event = match request.query("as") {
            None => false,
            Some("event") => true,
            Some(other) => {
                let error = Error::new(Kind::Usage, format!("{other:?} is no kind of playlist"));
                return Err(error.hint("leave out as, or use as=event").into());
            }
        };
        let scene = scene(app, request.param("name"), ranges).await?;
        if gaps == Gaps::Fail {
            refuse_gaps(&scene)?;
        }
        let form = match (scene.grows, is_event) {
            (true, _) => Form::Growing,
            (false, true) => Form::Grown,
            (false, false) => Form::Whole,
        };
        Ok(Stage { scene, gaps, form })
    }

    /// What the playlists behind the master playlist are asked for with.
    fn query(&self) -> String {
        let gaps = (self.gaps == Gaps::Mark).then_some("gaps=mark");
        let event = (self.form != Form::Whole).then_some("as=event");
        let all: Vec<&str> = [gaps, event].into_iter().flatten().collect();
        if all.is_empty() { String::new() } else { format!("?{}", all.join("&")) }
    }

    fn answer(&self, text: Option<String>, lacking: &str) -> Result<Answer, Refusal> {
        let Scene { channel, ask, .. } = &self.scene;
        let text = text.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("channel {}: {lacking} in {ask}", channel.name))
        })?;
        let answer = with_facts(Answer::bytes(TYPE, text).tagged(), self.scene.whole());
        Ok(match self.form {
            Form::Growing => answer.with_header(CACHE_CONTROL, format!("max-age={GROWING_S}")),
            Form::Whole | Form::Grown => answer,
        })
    }
}
