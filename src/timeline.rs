//! What a source holds now: per track, the ranges that can still be captured.

use std::time::Duration;

use crate::time::{Range, Ranges, Time};
use crate::track::Track;

/// What a source said of itself in one answer. All instants are on the source's clock.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// The source's clock at the moment of the answer. Deadlines count from here, so a wrong local clock is harmless.
    pub now: Time,
    /// The earliest instant that can still be asked for. It moves on with the clock while the source is live.
    pub window_start: Time,
    /// False if nothing will be added any more: the presentation is over.
    pub live: bool,
    /// The instant that its times count from, where it says so.
    pub zero: Option<Time>,
    /// The selected tracks, in the order of [`Track::order`].
    pub tracks: Vec<TrackTimeline>,
    /// What a person should know: periods whose tracks do not match, a clock that is off.
    pub notes: Vec<String>,
}

/// What a source holds of one track.
#[derive(Debug, Clone)]
pub struct TrackTimeline {
    /// Which track.
    pub track: Track,
    /// What is held. Holes of up to half a segment are no gaps and are closed here.
    pub held: Ranges,
    /// Where its newest segment starts, if the source says so. No later cell has a segment of it yet, though the end of that
    /// one may reach into the next.
    pub last_start: Option<Time>,
    /// How far past a cell's end a track must be before the cell is settled: two segments.
    pub settle: Duration,
}

impl Timeline {
    /// The instant up to which every track is held: the live edge of the slowest. `None` if there is no track, or one
    /// that holds nothing.
    pub fn common_end(&self) -> Option<Time> {
        let ends = self.tracks.iter().map(|t| t.held.span().map(|s| s.end));
        ends.min().flatten()
    }

    /// From the first instant that any track holds to the last.
    pub fn span(&self) -> Option<Range> {
        let spans = self.tracks.iter().filter_map(|t| t.held.span());
        spans.reduce(|a, b| Range::new(a.start.min(b.start), a.end.max(b.end)))
    }

    /// Where the newest segment of all starts. `None` if that is not known of every track that holds something.
    pub fn last_start(&self) -> Option<Time> {
        let starts: Option<Vec<Time>> =
            self.tracks.iter().filter(|t| !t.held.is_empty()).map(|t| t.last_start).collect();
        starts?.into_iter().max()
    }

    /// How far the slowest track is behind the source's clock.
    pub fn lag(&self) -> Option<Duration> {
        self.common_end().map(|end| self.now.since(end))
    }
}
