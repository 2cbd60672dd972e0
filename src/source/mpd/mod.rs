//! DASH manifests (ISO/IEC 23009-1): text in, per-track timelines and segment lists out.
//!
//! Pure: no clock and no network, so that it can be fuzzed and tested with plain values. [`parse()`] reads the document
//! into a small [`Mpd`]; [`Presentation::new`] lays that out on the Unix epoch for one moment.

mod layout;
mod model;
mod offer;
mod parse;
mod pattern;
mod runs;

#[cfg(test)]
mod tests;

use std::time::Duration;

use url::Url;

pub(in crate::source) use self::layout::joined;
use self::layout::{Laid, Piece, lay_out};
pub use self::model::{
    AdaptationSet, Common, Entry, Initialization, Mpd, Period, Representation, Template, Timing,
};
pub use self::parse::parse;
use self::runs::slots;
use super::{Resource, Segment, TrackListing};
use crate::error::{Error, Kind, Result};
use crate::time::{Range, Ranges, Time};
use crate::timeline::{Timeline, TrackTimeline};
use crate::track::{Select, Track, is_selected};

/// More segments than a day of the shortest ones: the most that one listing can hold of a track.
const MAX_LISTED: usize = 500_000;

/// An MPD laid out on the Unix epoch, as it is at one moment. Holds only selected tracks, in the order of
/// [`Track::order`].
#[derive(Debug)]
pub struct Presentation {
    /// False if nothing will be added any more.
    pub live: bool,
    /// What a person should know.
    pub notes: Vec<String>,
    now: Time,
    time_shift: Option<Duration>,
    zero: Option<Time>,
    tracks: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    laid: Laid,
    held: Ranges,
    last_start: Option<Time>,
    longest: Duration,
}

impl Presentation {
    /// Lays out `mpd`, which came from `base` (the URL after all redirects), as it is at `now`.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if nothing in it can be followed, [`Kind::Invalid`] if a timeline makes no sense,
    /// [`Kind::Config`] if `select` selects none of its tracks.
    pub fn new(mpd: &Mpd, base: &Url, now: Time, select: &[Select]) -> Result<Presentation> {
        let (laid, notes) = lay_out(mpd, base, now)?;
        require_selected(select, laid.iter().map(|l| &l.track))?;
        let selected = laid.into_iter().filter(|l| is_selected(select, &l.track));
        let mut tracks: Vec<Held> = selected.map(Held::new).collect();
        tracks.sort_by_cached_key(|t| t.laid.track.order());
        let zero = mpd.availability_start;
        Ok(Presentation { live: mpd.dynamic, notes, now, time_shift: mpd.time_shift, zero, tracks })
    }

    /// The selected tracks, in order.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().map(|t| &t.laid.track)
    }

    /// The longest segment of any selected track.
    pub fn longest_segment(&self) -> Duration {
        self.tracks.iter().map(|t| t.longest).max().unwrap_or_default()
    }

    /// From the first instant that any track holds to the last.
    pub fn span(&self) -> Option<Range> {
        let spans = self.tracks.iter().filter_map(|t| t.held.span());
        spans.reduce(|a, b| Range::new(a.start.min(b.start), a.end.max(b.end)))
    }

    /// What the source holds. `settle` replaces two segments as the time after which a cell is settled.
    pub fn timeline(&self, settle: Option<Duration>) -> Timeline {
        let earliest = self.span().map_or(self.now, |s| s.start);
        let segment = self.longest_segment();
        let promised =
            self.time_shift.filter(|_| self.live).map(|d| self.now.minus(d.saturating_add(segment)));
        let window_start = match promised {
            // It still has its first segment, so nothing has been dropped yet: the window grows until it is as long as promised.
            Some(promised) if earliest <= self.zero.unwrap_or(Time::EPOCH).plus(segment) => promised,
            // What is listed may be more than the depth promises; what is older may go at any moment.
            Some(promised) => earliest.max(promised),
            None => earliest,
        };
        let track = |t: &Held| TrackTimeline {
            track: t.laid.track.clone(),
            held: t.held.clone(),
            last_start: t.last_start,
            settle: settle.unwrap_or(t.longest.saturating_mul(2)),
        };
        Timeline {
            now: self.now,
            window_start,
            live: self.live,
            zero: self.zero,
            tracks: self.tracks.iter().map(track).collect(),
            notes: self.notes.clone(),
        }
    }

    /// The segments of every selected track that start in `range`, exactly.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if there are absurdly many, or a URL cannot be made.
    pub fn list(&self, range: Range) -> Result<Vec<TrackListing>> {
        self.tracks.iter().map(|t| t.list(range)).collect()
    }
}

impl Held {
    fn new(laid: Laid) -> Held {
        let (mut held, mut longest, mut last_start) = (Ranges::none(), Duration::ZERO, None);
        // Runs come in order: what grows at its end is kept aside, and added once.
        let mut open: Option<Range> = None;
        for piece in &laid.pieces {
            for run in piece.runs.iter() {
                let range = Range::new(piece.epoch(run.start).instant(), piece.epoch(run.end()).instant());
                let segment = Duration::from_nanos(piece.init.timescale.ns(run.duration).unsigned_abs());
                longest = longest.max(segment);
                last_start = last_start.max(Some(piece.epoch(run.last_start()).instant()));
                open = match open {
                    Some(before)
                        if before.start <= range.start && range.start <= before.end.plus(segment / 2) =>
                    {
                        Some(Range::new(before.start, before.end.max(range.end)))
                    }
                    before => {
                        before.into_iter().for_each(|r| held.add(r));
                        Some(range)
                    }
                };
            }
        }
        open.into_iter().for_each(|r| held.add(r));
        Held { laid, held, last_start, longest }
    }

    fn list(&self, range: Range) -> Result<TrackListing> {
        let mut listing = TrackListing {
            track: self.laid.track.clone(),
            inits: Vec::new(),
            segments: Vec::new(),
            held: self.held.clone(),
        };
        for piece in &self.laid.pieces {
            let before = listing.segments.len();
            piece.list(range, &mut listing)?;
            if listing.segments.len() > before {
                listing.inits.push(piece.init.clone());
            }
        }
        Ok(listing)
    }
}

impl Piece {
    fn list(&self, range: Range, listing: &mut TrackListing) -> Result<()> {
        let init = listing.inits.len();
        for slot in slots(self.between(range)) {
            if listing.segments.len() == MAX_LISTED {
                let what = format!("more than {MAX_LISTED} segments of {} in {range}", listing.track.name());
                return Err(Error::new(Kind::Invalid, what));
            }
            let url = joined(&self.base, Some(&self.media.fill(slot.number, slot.start)))?;
            listing.segments.push(Segment {
                start: self.epoch(slot.start),
                duration_ticks: slot.duration,
                media: Resource { url, bytes: None },
                init,
            });
        }
        Ok(())
    }
}

/// Fails if `select` selects none of `tracks`.
pub(super) fn require_selected<'t>(select: &[Select], tracks: impl Iterator<Item = &'t Track>) -> Result<()> {
    let mut names = Vec::new();
    for track in tracks {
        if is_selected(select, track) {
            return Ok(());
        }
        names.push(track.name());
    }
    names.truncate(20);
    let what = format!("no track is selected; the source has {}", names.join(", "));
    Err(Error::new(Kind::Config, what).hint("change tracks = […] in the channel file"))
}
