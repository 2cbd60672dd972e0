//! Scripted faults: what goes wrong, when, and for whom.
//!
//! Pure but for the count of attempts. The same seed, script and order of requests give the same faults, so a test
//! that failed once fails again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tracks::SEGMENT_NS;
use crate::time::{Range, Time};

/// Attempts are counted for at most so many URLs; then counting starts anew. It bounds the memory of a long rehearsal.
const MAX_COUNTED_URLS: usize = 200_000;

/// What a request is for; faults choose by it, and requests are counted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// `…isml/archive`.
    Archive,
    /// `…isml/state`.
    State,
    /// A DASH manifest.
    Mpd,
    /// An init segment.
    Init,
    /// A media segment.
    Segment,
    /// The clock at `/time`, and what is not there.
    Other,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Archive => "archive",
            Class::State => "state",
            Class::Mpd => "mpd",
            Class::Init => "init",
            Class::Segment => "segment",
            Class::Other => "other",
        })
    }
}

/// One scripted fault. See [`super::parse_script`] for how it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Only for tracks whose id begins like this, `audio_nld`; `None` for all.
    pub track: Option<String>,
    /// Only for requests of this class; `None` for all.
    pub class: Option<Class>,
    /// Only in this range: of media time for segments and gaps, of the real clock for everything else.
    pub range: Range,
    /// For this share of the requests, from 0 to 1, decided by a hash of seed, URL and attempt.
    pub share: f64,
    /// At most so many times for each URL.
    pub times: Option<u32>,
}

impl Fault {
    /// A fault that strikes always, everywhere and for ever, to be narrowed by its fields.
    pub fn new(kind: FaultKind) -> Self {
        let range = Range::new(Time::from_ns(i64::MIN), Time::MAX);
        Self { kind, track: None, class: None, range, share: 1.0, times: None }
    }

    fn is_for_track(&self, id: &str) -> bool {
        self.track.as_deref().is_none_or(|prefix| id.starts_with(prefix))
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// The segments that begin in the range were never made: they are in no list, and 404.
    Gap,
    /// An answer with this status instead of the right one.
    Status(u16),
    /// The connection is reset before any answer.
    Reset,
    /// The body ends half-way, though `Content-Length` promised all of it.
    Short,
    /// The body comes at so many bytes a second.
    Slow(u64),
    /// The answer begins so much later.
    Delay(Duration),
    /// Headers come, and then nothing, for ever.
    Stall,
    /// The window is only so long.
    Window(Duration),
    /// The simulation's clock is off by so many nanoseconds.
    Skew(i64),
    /// The encoder restarts at the start of the range, with other parameters: new init segments from there on.
    Restart(RestartStyle),
}

/// How a restart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartStyle {
    /// A new `Period`, whose init segments have URLs of their own.
    Period,
    /// Nothing shows: the same URL gives other bytes from then on. The worst case, and a real one.
    SameUrl,
}

/// What a fault does to one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    Status(u16),
    Reset,
    Short,
    Slow(u64),
    Delay(Duration),
    Stall,
}

/// Everything that goes wrong in one simulation.
#[derive(Debug, Default)]
pub(super) struct Faults {
    seed: u64,
    all: Vec<Fault>,
    /// Requests of each URL, and how often each fault has struck it.
    attempts: Mutex<HashMap<String, Attempts>>,
}

#[derive(Debug, Default)]
struct Attempts {
    made: u64,
    struck: Vec<u32>,
}

impl Faults {
    pub(super) fn new(seed: u64, all: Vec<Fault>) -> Self {
        Self { seed, all, attempts: Mutex::default() }
    }

    /// The simulation's clock when the real one says `real`.
    pub(super) fn skewed(&self, real: Time) -> Time {
        self.active(real).fold(real, |now, f| match f.kind {
            FaultKind::Skew(ns) => now.offset_ns(ns),
            _ => now,
        })
    }

    /// How much of `window` is left when the real clock says `real`.
    pub(super) fn window(&self, real: Time, window: Duration) -> Duration {
        self.active(real).fold(window, |window, f| match f.kind {
            FaultKind::Window(only) => window.min(only),
            _ => window,
        })
    }

    fn active(&self, real: Time) -> impl Iterator<Item = &Fault> {
        self.all.iter().filter(move |f| f.range.contains(real))
    }

    /// The ranges in which a track has no segments.
    pub(super) fn gaps(&self, track: &str) -> impl Iterator<Item = Range> {
        let of_track = self.all.iter().filter(move |f| f.kind == FaultKind::Gap && f.is_for_track(track));
        of_track.map(|f| f.range)
    }

    /// The first segments after each restart that makes a period, in order.
    pub(super) fn period_starts(&self) -> Vec<i64> {
        let all = self.all.iter().filter(|f| f.kind == FaultKind::Restart(RestartStyle::Period));
        let mut starts: Vec<i64> = all.map(first_segment_after).collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    /// How often the encoder of a track was restarted before segment `n`.
    pub(super) fn restarts_before(&self, track: &str, n: i64) -> usize {
        let restarts = self.all.iter().filter(|f| matches!(f.kind, FaultKind::Restart(_)));
        restarts.filter(|f| f.is_for_track(track) && first_segment_after(f) <= n).count()
    }

    /// What happens to this request. `at` is the start of the segment that is asked for, or the real clock.
    pub(super) fn strike(&self, class: Class, track: Option<&str>, at: Time, url: &str) -> Option<Trouble> {
        let mut candidates = self.all.iter().enumerate().filter_map(|(i, f)| Some((i, f, f.trouble()?)));
        candidates.clone().next()?;
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= MAX_COUNTED_URLS {
            attempts.clear();
        }
        let of_url = attempts.entry(url.to_owned()).or_default();
        of_url.struck.resize(self.all.len(), 0);
        of_url.made += 1;
        let (made, struck) = (of_url.made, &mut of_url.struck);
        candidates.find_map(|(i, f, trouble)| {
            let is_meant = f.class.is_none_or(|c| c == class)
                && (f.track.is_none() || track.is_some_and(|id| f.is_for_track(id)))
                && f.range.contains(at)
                && f.times.is_none_or(|times| struck[i] < times)
                && self.draw(i, url, made) < f.share;
            struck[i] += u32::from(is_meant);
            is_meant.then_some(trouble)
        })
    }

    /// A number from 0 up to and without 1, that depends on nothing but seed, fault, URL and attempt.
    fn draw(&self, fault: usize, url: &str, attempt: u64) -> f64 {
        let hash = Sha256::digest(format!("{} {fault} {attempt} {url}", self.seed));
        let bits = hash.iter().take(6).fold(0_u64, |n, b| n << 8 | u64::from(*b));
        // 48 bits: a double holds them exactly.
        bits as f64 / (1_u64 << 48) as f64
    }
}

impl Fault {
    fn trouble(&self) -> Option<Trouble> {
        match self.kind {
            FaultKind::Status(status) => Some(Trouble::Status(status)),
            FaultKind::Reset => Some(Trouble::Reset),
            FaultKind::Short => Some(Trouble::Short),
            FaultKind::Slow(bytes_per_s) => Some(Trouble::Slow(bytes_per_s)),
            FaultKind::Delay(delay) => Some(Trouble::Delay(delay)),
            FaultKind::Stall => Some(Trouble::Stall),
            FaultKind::Gap | FaultKind::Window(_) | FaultKind::Skew(_) | FaultKind::Restart(_) => None,
        }
    }
}

/// The first segment that the restarted encoder makes: the first whose nominal start is not before the restart.
fn first_segment_after(restart: &Fault) -> i64 {
    -(restart.range.start.ns().saturating_neg()).div_euclid(SEGMENT_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(faults: &Faults, url: &str, attempts: usize) -> usize {
        let strike = |_| faults.strike(Class::Segment, Some("video=1"), Time::EPOCH, url).is_some();
        (0..attempts).map(strike).filter(|struck| *struck).count()
    }

    #[test]
    fn a_share_strikes_about_so_often_and_the_same_way_every_time() {
        let script = || vec![Fault { share: 0.3, ..Fault::new(FaultKind::Reset) }];
        let count = |seed| {
            let faults = Faults::new(seed, script());
            (0..2_000).map(|i| strikes(&faults, &format!("/{i}"), 1)).collect::<Vec<_>>()
        };
        let (a, b, other) = (count(1), count(1), count(2));
        assert_eq!(a, b);
        assert_ne!(a, other);
        assert!((500..700).contains(&a.iter().sum::<usize>()), "{}", a.iter().sum::<usize>());
    }

    #[test]
    fn a_url_is_struck_at_most_so_many_times() {
        let faults = Faults::new(0, vec![Fault { times: Some(2), ..Fault::new(FaultKind::Stall) }]);
        assert_eq!(strikes(&faults, "/a", 5), 2);
        assert_eq!(strikes(&faults, "/b", 1), 1);
    }

    #[test]
    fn a_fault_strikes_only_what_it_is_meant_for() {
        let fault = Fault {
            class: Some(Class::Segment),
            track: Some("audio".into()),
            range: Range::new(Time::from_s(10), Time::from_s(20)),
            ..Fault::new(FaultKind::Status(503))
        };
        let faults = Faults::new(0, vec![fault]);
        let strike = |class, track, s| faults.strike(class, track, Time::from_s(s), "/").is_some();
        assert!(strike(Class::Segment, Some("audio_eng=1"), 10));
        assert!(!strike(Class::Segment, Some("video=1"), 10));
        assert!(!strike(Class::Init, Some("audio_eng=1"), 10));
        assert!(!strike(Class::Segment, None, 10));
        assert!(!strike(Class::Segment, Some("audio_eng=1"), 20));
    }

    #[test]
    fn a_restart_counts_from_the_first_segment_that_begins_no_earlier() {
        let at = |ns| {
            let range = Range::new(Time::from_ns(ns), Time::MAX);
            Faults::new(0, vec![Fault { range, ..Fault::new(FaultKind::Restart(RestartStyle::Period)) }])
        };
        assert_eq!(at(SEGMENT_NS).period_starts(), [1]);
        assert_eq!(at(SEGMENT_NS + 1).period_starts(), [2]);
        assert_eq!(at(SEGMENT_NS + 1).restarts_before("video=1", 1), 0);
        assert_eq!(at(SEGMENT_NS + 1).restarts_before("video=1", 2), 1);
    }
}
