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
use super::route::{Wanted, route};
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
        let wanted = route(&self.tracks, &path);
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
mod tests;
