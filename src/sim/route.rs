//! Paths of the simulated origin: text in, what it asks for out.
//!
//! Pure. A path that looks like media but names none is told apart, so that faults and counts take it as a segment.

use super::faults::Class;
use super::tracks::{MAX_SEGMENT, SimTrack};

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
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

impl Wanted<'_> {
    /// What faults and counts call it.
    pub(super) fn class(self) -> Class {
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

/// What `path` asks for; escapes are resolved.
pub(super) fn route<'a>(tracks: &[SimTrack], path: &'a str) -> Wanted<'a> {
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
            ["dash", file] => dash_file(tracks, name, 0, file),
            ["dash", period, file] => with_period(period, |p| dash_file(tracks, name, p, file)),
            _ => Wanted::Nothing,
        },
        [id, file] => plain_file(tracks, 0, id, file),
        [period, id, file] => with_period(period, |p| plain_file(tracks, p, id, file)),
        _ => Wanted::Nothing,
    }
}

/// `NAME-audio_eng=32000.dash`, or with `-TICKS` before the dot.
fn dash_file<'a>(tracks: &[SimTrack], name: &str, period: usize, file: &str) -> Wanted<'a> {
    let middle =
        file.strip_prefix(name).and_then(|f| f.strip_prefix('-')).and_then(|f| f.strip_suffix(".dash"));
    let Some(middle) = middle else { return Wanted::Nothing };
    match middle.rsplit_once('-') {
        None => init(tracks, period, middle),
        Some((id, ticks)) => segment(tracks, id, |track| track.segment_at(number(ticks)?)),
    }
}

/// `init.mp4`, `TICKS.m4s` or `nNUMBER.m4s`.
fn plain_file<'a>(tracks: &[SimTrack], period: usize, id: &str, file: &str) -> Wanted<'a> {
    if file == "init.mp4" {
        return init(tracks, period, id);
    }
    let Some(place) = file.strip_suffix(".m4s") else { return Wanted::Nothing };
    segment(tracks, id, |track| match place.strip_prefix('n') {
        Some(n) => number(n).filter(|n| *n <= MAX_SEGMENT),
        None => track.segment_at(number(place)?),
    })
}

fn init<'a>(tracks: &[SimTrack], period: usize, id: &str) -> Wanted<'a> {
    tracks.iter().position(|t| t.id == id).map_or(Wanted::NoMedia, |track| Wanted::Init { track, period })
}

fn segment<'a>(tracks: &[SimTrack], id: &str, find: impl FnOnce(&SimTrack) -> Option<i64>) -> Wanted<'a> {
    let track = tracks.iter().enumerate().find(|(_, t)| t.id == id);
    let found = track.and_then(|(track, t)| Some(Wanted::Segment { track, n: find(t)? }));
    found.unwrap_or(Wanted::NoMedia)
}

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
