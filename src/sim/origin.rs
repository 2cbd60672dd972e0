//! The simulated origin without its socket: a request in, an answer out.
//!
//! Its one state is the script of faults; the time comes from the clock that it was given. That makes most of what can be
//! wrong with an answer testable as a value.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;

use super::Options;
use super::faults::{Class, Fault, Faults, Trouble};
use super::mpd::{self, Addressing, Manners, Show};
use super::schedule::Moment;
use super::smil;
use super::tracks::{SimTrack, tracks};
use crate::error::{Error, Kind, Result};
use crate::time::{Range, Time, parse_duration};
use crate::track::Medium;

/// What one request gets.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) class: Class,
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    /// The simulation's clock, for the `Date` header.
    pub(super) now: Time,
    /// What goes wrong on the way.
    pub(super) trouble: Option<Trouble>,
}

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted<'a> {
    Help,
    Clock,
    Archive,
    State,
    /// The manifest of a publishing point.
    Point(&'a str),
    /// The manifest of a plain origin.
    Plain,
    Init {
        track: usize,
        period: usize,
    },
    Segment {
        track: usize,
        n: i64,
    },
    /// It looks like media, and there is none.
    NoMedia,
    Nothing,
}

/// Every channel there is: any name answers, and all have the same media.
pub(super) struct Origin {
    tracks: Vec<SimTrack>,
    faults: RwLock<Arc<Faults>>,
    clock: Arc<dyn Fn() -> Time + Send + Sync>,
    seed: u64,
    window: Duration,
    dvr_window: Duration,
    live_delay: Duration,
    clock_url: String,
}

impl Origin {
    /// # Errors
    /// [`Kind::Corrupt`] where the embedded media cannot be used.
    pub(super) fn new(options: &Options, authority: &str) -> Result<Self> {
        Ok(Self {
            tracks: tracks()?,
            faults: RwLock::new(Arc::new(Faults::new(options.seed, options.faults.clone()))),
            clock: Arc::clone(&options.clock),
            seed: options.seed,
            window: options.window,
            dvr_window: options.dvr_window,
            live_delay: options.live_delay,
            clock_url: format!("http://{authority}/time"),
        })
    }

    /// The real clock, or what stands for it.
    pub(super) fn real_now(&self) -> Time {
        (self.clock)()
    }

    /// Replaces the script; attempts are counted anew.
    pub(super) fn set_faults(&self, faults: Vec<Fault>) {
        let faults = Arc::new(Faults::new(self.seed, faults));
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Answers a GET. `path` and `query` are as they came.
    pub(super) fn answer(&self, path: &str, query: &str) -> Answer {
        let faults = Arc::clone(&self.faults.read().unwrap_or_else(PoisonError::into_inner));
        let real = self.real_now();
        let now = faults.skewed(real);
        let window = faults.window(real, self.window);
        let live_delay = self.live_delay;
        let moment =
            Moment { faults: &faults, now, window_start: now.minus(window).max(Time::EPOCH), live_delay };

        // `=` in ids is the one character of our paths that clients escape.
        let path = path.replace("%3D", "=").replace("%3d", "=");
        let wanted = self.route(&path);
        let class = wanted.class();
        let (track, at) = match wanted {
            Wanted::Init { track, .. } => (self.tracks.get(track), real),
            Wanted::Segment { track, n } => {
                let track = self.tracks.get(track);
                (track, track.map_or(real, |t| t.start(n).instant()))
            }
            _ => (None, real),
        };
        let url = format!("{path}?{query}");
        let trouble = faults.strike(class, track.map(|t| t.id), at, &url);
        if let Some(Trouble::Status(status)) = trouble {
            let body = Bytes::from_static(b"a scripted fault\n");
            return Answer { class, status, content_type: TEXT, body, now, trouble: None };
        }
        match self.content(wanted, query, moment) {
            Ok((content_type, body)) => Answer { class, status: 200, content_type, body, now, trouble },
            Err(e) => {
                let status = if e.kind() == Kind::NotFound { 404 } else { 400 };
                Answer { class, status, content_type: TEXT, body: format!("{e}\n").into(), now, trouble }
            }
        }
    }

    fn content(&self, wanted: Wanted<'_>, query: &str, moment: Moment<'_>) -> Result<(&'static str, Bytes)> {
        let track = |i: usize| self.tracks.get(i).ok_or_else(nothing);
        match wanted {
            Wanted::Help => Ok((TEXT, HELP.into())),
            Wanted::Clock => Ok((TEXT, moment.now.to_string().into())),
            Wanted::Archive => Ok((XML, smil::archive(&self.tracks, moment).into())),
            Wanted::State => Ok((XML, smil::state(moment).into())),
            Wanted::Point(name) => Ok((DASH, self.point_manifest(name, query, moment)?.into())),
            Wanted::Plain => Ok((DASH, self.plain_manifest(query, moment)?.into())),
            Wanted::Init { track: i, period } => {
                let track = track(i)?;
                Ok((mp4(track), track.init(moment.restarts_shown(track, period))))
            }
            Wanted::Segment { track: i, n } => {
                let track = track(i)?;
                if !moment.has(track, n) {
                    return Err(Error::new(Kind::NotFound, "that segment is not there, or not any more"));
                }
                Ok((mp4(track), track.segment(n, moment.faults.restarts_before(track.id, n))))
            }
            Wanted::NoMedia | Wanted::Nothing => Err(nothing()),
        }
    }

    /// `…isml/.mpd`: the DVR window, or what `vbegin` and `vend` cut out of the whole archive.
    fn point_manifest(&self, name: &str, query: &str, moment: Moment<'_>) -> Result<String> {
        let (mut begin, mut end, mut media) = (None, None, all as fn(Medium) -> bool);
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match key.as_ref() {
                "vbegin" => begin = Some(value.parse::<Time>()?),
                "vend" => end = Some(value.parse::<Time>()?),
                "filter" => media = filter(&value)?,
                // Unified Origin ignores what it does not know, and we ignore what only shapes its segments.
                _ => {}
            }
        }
        let live_edge = moment.now.minus(moment.live_delay);
        let range = match (begin, end) {
            (None, None) => mpd::live_range(moment, self.dvr_window),
            (begin, end) => Range::new(begin.unwrap_or(moment.window_start), end.unwrap_or(moment.now)),
        };
        if range.is_empty() {
            return Err(Error::new(Kind::Usage, "vend is not after vbegin"));
        }
        let live = end.is_none_or(|end| end > live_edge);
        let show = Show { manners: Manners::Unified(name), range, live, media };
        mpd::manifest(&self.tracks, moment, show)
            .ok_or_else(|| Error::new(Kind::NotFound, "the archive has nothing in that range"))
    }

    /// `…/manifest.mpd?timeline=time|number|duration&window=PT60S`.
    fn plain_manifest(&self, query: &str, moment: Moment<'_>) -> Result<String> {
        let (mut addressing, mut window) = (Addressing::Time, self.dvr_window);
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match (key.as_ref(), value.as_ref()) {
                ("timeline", "time") => addressing = Addressing::Time,
                ("timeline", "number") => addressing = Addressing::Number,
                ("timeline", "duration") => addressing = Addressing::Duration,
                ("timeline", _) => {
                    return Err(Error::new(Kind::Usage, "timeline is time, number or duration"));
                }
                ("window", text) => window = parse_duration(text)?,
                _ => return Err(Error::new(Kind::Usage, "the query knows only timeline and window")),
            }
        }
        // Without a list, clients compute the live edge from the clock: the manifest cannot hold it back.
        let live_delay = if addressing == Addressing::Duration { Duration::ZERO } else { moment.live_delay };
        let moment = Moment { live_delay, ..moment };
        let manners = Manners::Plain { addressing, clock_url: &self.clock_url };
        let show = Show { manners, range: mpd::live_range(moment, window), live: true, media: all };
        mpd::manifest(&self.tracks, moment, show)
            .ok_or_else(|| Error::new(Kind::NotFound, "the window has no segment"))
    }

    fn route<'a>(&self, path: &'a str) -> Wanted<'a> {
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        match parts.as_slice() {
            [""] => return Wanted::Help,
            ["time"] => return Wanted::Clock,
            _ => {}
        }
        let Some((name, rest)) = parts.split_first().filter(|(name, _)| is_name(name)) else {
            return Wanted::Nothing;
        };
        match rest {
            ["manifest.mpd"] => Wanted::Plain,
            [point, rest @ ..] if point.strip_suffix(".isml") == Some(name) => match rest {
                ["archive"] => Wanted::Archive,
                ["state"] => Wanted::State,
                [".mpd"] => Wanted::Point(name),
                ["dash", file] => self.dash_file(name, 0, file),
                ["dash", period, file] => with_period(period, |p| self.dash_file(name, p, file)),
                _ => Wanted::Nothing,
            },
            [id, file] => self.plain_file(0, id, file),
            [period, id, file] => with_period(period, |p| self.plain_file(p, id, file)),
            _ => Wanted::Nothing,
        }
    }

    /// `NAME-audio_eng=32000.dash`, or with `-TICKS` before the dot.
    fn dash_file<'a>(&self, name: &str, period: usize, file: &str) -> Wanted<'a> {
        let middle =
            file.strip_prefix(name).and_then(|f| f.strip_prefix('-')).and_then(|f| f.strip_suffix(".dash"));
        let Some(middle) = middle else { return Wanted::Nothing };
        match middle.rsplit_once('-') {
            None => self.init(period, middle),
            Some((id, ticks)) => self.segment(id, |track| track.segment_at(number(ticks)?)),
        }
    }

    /// `init.mp4`, `TICKS.m4s` or `nNUMBER.m4s`.
    fn plain_file<'a>(&self, period: usize, id: &str, file: &str) -> Wanted<'a> {
        if file == "init.mp4" {
            return self.init(period, id);
        }
        let Some(place) = file.strip_suffix(".m4s") else { return Wanted::Nothing };
        self.segment(id, |track| match place.strip_prefix('n') {
            Some(n) => number(n).filter(|n| *n <= super::tracks::MAX_SEGMENT),
            None => track.segment_at(number(place)?),
        })
    }

    fn init<'a>(&self, period: usize, id: &str) -> Wanted<'a> {
        self.tracks
            .iter()
            .position(|t| t.id == id)
            .map_or(Wanted::NoMedia, |track| Wanted::Init { track, period })
    }

    fn segment<'a>(&self, id: &str, find: impl FnOnce(&SimTrack) -> Option<i64>) -> Wanted<'a> {
        let track = self.tracks.iter().enumerate().find(|(_, t)| t.id == id);
        let found = track.and_then(|(track, t)| Some(Wanted::Segment { track, n: find(t)? }));
        found.unwrap_or(Wanted::NoMedia)
    }
}

impl Wanted<'_> {
    fn class(self) -> Class {
        match self {
            Wanted::Archive => Class::Archive,
            Wanted::State => Class::State,
            Wanted::Point(_) | Wanted::Plain => Class::Mpd,
            Wanted::Init { .. } => Class::Init,
            Wanted::Segment { .. } | Wanted::NoMedia => Class::Segment,
            Wanted::Help | Wanted::Clock | Wanted::Nothing => Class::Other,
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const XML: &str = "application/xml";
const DASH: &str = "application/dash+xml";

const HELP: &str = "\
A simulated live origin. Any NAME is a channel, and all have the same media.

/NAME/NAME.isml                a publishing point of Unified Origin: what npvr takes as channel_url
/NAME/NAME.isml/archive        what it holds
/NAME/NAME.isml/state          whether it runs
/NAME/NAME.isml/.mpd           DASH; vbegin=TIME, vend=TIME, filter=(type!=\"audio\")
/NAME/manifest.mpd             the same as a plain DASH origin; timeline=time|number|duration, window=PT60S
/time                          the clock
PUT or DELETE /_faults         the script of faults
GET /_requests                 how many requests came, by class
";

/// `rN`: the period after N restarts.
fn with_period<'a>(text: &str, then: impl FnOnce(usize) -> Wanted<'a>) -> Wanted<'a> {
    text.strip_prefix('r').and_then(|n| n.parse().ok()).map_or(Wanted::Nothing, then)
}

/// Digits only: no sign, and nothing beyond an `i64`.
fn number(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// A channel's name: what needs no escape anywhere.
fn is_name(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with(['.', '_'])
}

/// `(type!="meta")`, and the like with `==`; the part of Unified Origin's language that npvr uses.
fn filter(text: &str) -> Result<fn(Medium) -> bool> {
    let plain = text.replace([' ', '(', ')', '"'], "");
    Ok(match plain.as_str() {
        "type!=meta" | "type!=textstream" => all,
        "type==video" | "type!=audio" => |m| m == Medium::Video,
        "type==audio" | "type!=video" => |m| m == Medium::Audio,
        _ => {
            let what = "this filter is not simulated: use type==\"video\", type==\"audio\" or type!=\"meta\"";
            return Err(Error::new(Kind::Usage, what));
        }
    })
}

fn all(_: Medium) -> bool {
    true
}

fn mp4(track: &SimTrack) -> &'static str {
    if track.medium == Medium::Video { "video/mp4" } else { "audio/mp4" }
}

fn nothing() -> Error {
    Error::new(Kind::NotFound, "there is nothing here; / says what there is")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::faults::{FaultKind, RestartStyle};
    use super::*;
    use crate::media;

    const NOW: Time = Time::from_s(1_790_000_000);
    /// A segment of video that began 100 s before, and its number.
    const VIDEO_N: i64 = 1_789_999_900_000 / 1_920;

    fn origin(faults: Vec<Fault>) -> Origin {
        let options = Options { faults, clock: Arc::new(|| NOW), ..Options::default() };
        Origin::new(&options, "127.0.0.1:1").unwrap()
    }

    fn get(origin: &Origin, url: &str) -> Answer {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        origin.answer(path, query)
    }

    fn text(answer: &Answer) -> &str {
        str::from_utf8(&answer.body).unwrap()
    }

    fn point_segment(n: i64) -> String {
        format!("/news/news.isml/dash/news-video=110000-{}.dash", n * 1_152)
    }

    #[test]
    fn every_route_answers_with_its_class() {
        let origin = origin(vec![]);
        let segment = point_segment(VIDEO_N);
        let by_number = format!("/news/video=110000/n{VIDEO_N}.m4s");
        for (url, class, content_type) in [
            ("/", Class::Other, TEXT),
            ("/time", Class::Other, TEXT),
            ("/news/news.isml/archive", Class::Archive, XML),
            ("/news/news.isml/state", Class::State, XML),
            ("/news/news.isml/.mpd?filter=(type!=\"meta\")", Class::Mpd, DASH),
            ("/news/manifest.mpd?timeline=duration&window=PT20S", Class::Mpd, DASH),
            ("/news/news.isml/dash/news-audio_eng=32000.dash", Class::Init, "audio/mp4"),
            ("/news/news.isml/dash/news-audio_eng%3D32000.dash", Class::Init, "audio/mp4"),
            ("/a-b/a-b.isml/dash/a-b-video=45000.dash", Class::Init, "video/mp4"),
            (&segment, Class::Segment, "video/mp4"),
            (&by_number, Class::Segment, "video/mp4"),
        ] {
            let answer = get(&origin, url);
            assert_eq!(
                (answer.status, answer.class, answer.content_type),
                (200, class, content_type),
                "{url}"
            );
        }
        assert_eq!(get(&origin, &segment).body, get(&origin, &by_number).body);
    }

    #[test]
    fn what_is_not_there_is_404_and_what_makes_no_sense_is_400() {
        let origin = origin(vec![]);
        let point = "/news/news.isml";
        for (url, status) in [
            ("/news/other.isml/archive".into(), 404),
            ("/news/news.isml".into(), 404),
            ("//x".into(), 404),
            ("/../etc/passwd".into(), 404),
            (format!("{point}/dash/news-video=110000-17.dash"), 404),
            (format!("{point}/dash/news-video=9-1152.dash"), 404),
            (point_segment(VIDEO_N + 100), 404),
            (point_segment(VIDEO_N - 2_000), 404),
            (format!("/news/video=110000/n{}.m4s", i64::MAX), 404),
            (format!("{point}/.mpd?vbegin=2000-01-01T00:00:00Z&vend=2000-01-01T01:00:00Z"), 404),
            (format!("{point}/.mpd?vbegin=yesterday"), 400),
            (format!("{point}/.mpd?vbegin=2026-01-01T00:00:00Z&vend=2026-01-01T00:00:00Z"), 400),
            (format!("{point}/.mpd?filter=(size>3)"), 400),
            ("/news/manifest.mpd?timeline=spiral".into(), 400),
            ("/news/manifest.mpd?window=long".into(), 400),
            ("/news/manifest.mpd?vbegin=now".into(), 400),
        ] {
            let answer = get(&origin, &url);
            assert_eq!(answer.status, status, "{url}");
            assert!(text(&answer).len() > 10, "{url}: a sentence");
        }
    }

    #[test]
    fn a_closed_range_in_the_past_is_static_and_an_open_one_is_live() {
        let origin = origin(vec![]);
        let (begin, end, later) =
            (NOW.offset_ns(-90_000_000_000), NOW.offset_ns(-9_000_000_000), NOW.offset_ns(1));
        for (query, live) in [
            (format!("vbegin={begin}&vend={end}"), false),
            (format!("vbegin={begin}"), true),
            (format!("vbegin={begin}&vend={later}"), true),
        ] {
            let answer = get(&origin, &format!("/n/n.isml/.mpd?{query}"));
            assert_eq!(text(&answer).contains("type=\"dynamic\""), live, "{query}");
        }
    }

    #[test]
    fn segments_say_their_own_time_and_join_over_the_edge_of_the_loop() {
        let origin = origin(vec![]);
        for track in &origin.tracks {
            let init = media::Init::parse(&track.init(0)).unwrap();
            assert_eq!(init.timescale(), track.timescale);
            // 16 segments and more: every edge of the loop is in it.
            for n in VIDEO_N..VIDEO_N + 20 {
                let bytes = track.segment(n, 0);
                assert_eq!(bytes, track.segment(n, 0));
                let fragments = media::fragments(&init, &bytes).unwrap();
                let [fragment] = fragments.as_slice() else { panic!("one fragment") };
                assert_eq!(fragment.info.decode_time, Some(track.start_ticks(n)), "{}", track.id);
                assert_eq!(fragment.info.duration_ticks, track.duration_ticks(n));
                assert!(fragment.info.starts_with_sync);
            }
        }
    }

    #[test]
    fn a_gap_is_404_and_absent_from_every_list() {
        let n = VIDEO_N;
        let start = Time::from_ns(n * super::super::tracks::SEGMENT_NS);
        let gap = Fault { range: Range::new(start, start.offset_ns(1)), ..Fault::new(FaultKind::Gap) };
        let origin = origin(vec![Fault { track: Some("video".into()), ..gap }]);
        assert_eq!(get(&origin, &point_segment(n)).status, 404);
        assert_eq!(get(&origin, &point_segment(n + 1)).status, 200);
        let archive = get(&origin, "/n/n.isml/archive");
        assert_eq!(text(&archive).matches("<c ").count(), 2 + 2 + 1 + 1);
        let mpd = get(&origin, &format!("/n/n.isml/.mpd?vbegin={}", NOW.offset_ns(-200_000_000_000)));
        assert_eq!(text(&mpd).matches("<S t=").count(), 2 + 1 + 1);
        origin.set_faults(vec![]);
        assert_eq!(get(&origin, &point_segment(n)).status, 200);
    }

    #[test]
    fn the_window_shrinks_and_the_clock_is_wrong_while_the_script_says_so() {
        let range = Range::new(NOW.offset_ns(-1), NOW.offset_ns(1));
        let fault = |kind| Fault { range, ..Fault::new(kind) };
        let origin = origin(vec![fault(FaultKind::Window(Duration::from_secs(30)))]);
        assert_eq!(get(&origin, &point_segment(VIDEO_N)).status, 404);
        origin.set_faults(vec![fault(FaultKind::Skew(-7_000_000_000))]);
        let answer = get(&origin, "/time");
        assert_eq!(text(&answer), NOW.offset_ns(-7_000_000_000).to_string());
        assert_eq!(answer.now, NOW.offset_ns(-7_000_000_000));
        origin.set_faults(vec![Fault {
            range: Range::new(NOW.offset_ns(1), Time::MAX),
            ..Fault::new(FaultKind::Skew(7))
        }]);
        assert_eq!(get(&origin, "/time").now, NOW);
    }

    #[test]
    fn a_restart_under_the_same_url_changes_bytes_when_it_is_due_and_not_before() {
        let restart = |ns| Fault {
            range: Range::new(NOW.offset_ns(ns), Time::MAX),
            ..Fault::new(FaultKind::Restart(RestartStyle::SameUrl))
        };
        let origin = origin(vec![]);
        let init = "/n/n.isml/dash/n-video=110000.dash";
        let (before, segment) = (get(&origin, init).body, get(&origin, &point_segment(VIDEO_N)).body);
        origin.set_faults(vec![restart(20_000_000_000)]);
        assert_eq!(get(&origin, init).body, before);
        origin.set_faults(vec![restart(-20_000_000_000)]);
        assert_ne!(get(&origin, init).body, before);
        assert_eq!(get(&origin, &point_segment(VIDEO_N)).body, segment, "it was made before the restart");
        origin.set_faults(vec![restart(-200_000_000_000)]);
        assert_ne!(get(&origin, &point_segment(VIDEO_N)).body, segment);
    }

    proptest! {
        #[test]
        fn no_request_makes_it_panic(path in "(/[a-z.0-9=%-]{0,12}){0,5}", query in "[a-z0-9=&%:!()\"-]{0,30}") {
            let origin = origin(vec![]);
            get(&origin, &format!("{path}?{query}"));
            get(&origin, &format!("/n/n.isml/.mpd?vbegin={query}"));
            get(&origin, &format!("/n/manifest.mpd?window=PT{query}"));
        }

        #[test]
        fn no_number_makes_it_panic(n: i64, period: usize, from: i64, to: i64) {
            let origin = origin(vec![]);
            get(&origin, &format!("/n/n.isml/dash/r{period}/n-audio_eng=32000-{n}.dash"));
            get(&origin, &format!("/n/r{period}/video=110000/n{n}.m4s"));
            get(&origin, &format!("/n/n.isml/.mpd?vbegin={}&vend={}", Time::from_ns(from), Time::from_ns(to)));
            get(&origin, &format!("/n/r{period}/video=110000/init.mp4"));
        }
    }
}
