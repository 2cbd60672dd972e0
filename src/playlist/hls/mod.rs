//! HLS (draft-pantos-hls-rfc8216bis): a clip as playlists of fragments that lie in chunks, one for each track, and one in front of
//! them that says what they are. Pure.
//!
//! All tracks have decode times on the Unix epoch, so within a run every playlist is on one line of time, and a player puts sound
//! under pictures by it. What the playlists of one clip must share besides is where that line breaks (§4.4.4.3, §6.2.4): breaks
//! are found for all tracks at once ([`Hls::new`]), and every track breaks there, also one that has no reason to, or nothing to say.
//!
//! The in point is exact: `EXT-X-START` says how far into the first fragment it is. The out point is not: HLS has no way to end
//! within a fragment, so the last one is played whole.
//!
//! Encrypted tracks are listed as they are, without `EXT-X-KEY`: where a licence comes from is nothing that an archive knows. A
//! player finds the key's ID in the init segment.

mod child;
mod facts;
mod groups;
mod master;
mod media;
mod number;
mod rate;
mod walk;

pub use child::Child;
pub use facts::Listed;

use crate::clip::{Clip, Reel, Span};
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::playlist::Gaps;

/// What a playlist that grows says that its longest segment has, in seconds: it may never say anything else (§6.2.1), and does
/// not know yet how long segments are going to be. Origins publish up to ten seconds.
const GROWING_TARGET_S: u64 = 10;
/// Of fragmented MP4, and of all that is used here (§8).
const VERSION: &str = "#EXTM3U\n#EXT-X-VERSION:7\n";

/// How a playlist is going to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Not at all.
    Whole,
    /// More is put behind what is there.
    Growing,
    /// It grew, and is whole now. Who has been following it finds what it had in front, and then its end.
    Grown,
}

/// What all playlists of one clip are made of.
#[derive(Debug)]
pub struct Hls<'a> {
    reel: &'a Reel<'a>,
    form: Form,
    /// One for each run.
    openings: Vec<Opening>,
    /// How long the longest of all fragments is, in whole seconds, rounded.
    longest_s: u64,
    /// How long the segments of all its playlists are said to be at most (§4.4.3.1).
    target_s: u64,
}

/// How a run begins, and where in it the line of time breaks again.
#[derive(Debug, Default)]
struct Opening {
    /// True if it goes on from the run before: what lies between is a gap, and no break.
    is_joined: bool,
    /// The chunks with which some track needs another init segment, in order.
    breaks: Vec<Cell>,
}

impl<'a> Hls<'a> {
    /// The playlists of a clip and of its reel, which has all its tracks.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if fragments hold media of several tracks at once.
    pub fn new(clip: &Clip, reel: &'a Reel<'a>, gaps: Gaps, form: Form) -> Result<Hls<'a>> {
        let all = reel.runs.iter().flat_map(|run| &run.tracks).flat_map(|track| &track.spans);
        if let Some(span) = all.clone().find(|span| span.muxed) {
            let what = format!("chunk {}: one fragment has media of several tracks", span.cell);
            return Err(Error::new(Kind::Unsupported, what).hint("play it as MP4, or as SMIL"));
        }
        let mut openings: Vec<Opening> = Vec::with_capacity(reel.runs.len());
        for part in &clip.parts {
            for n in 0..part.runs.len() {
                let before = n.checked_sub(1).map(|before| part.runs[before].range.end);
                let is_joined =
                    gaps == Gaps::Mark && before.is_some_and(|end| end < part.runs[n].range.start);
                openings.push(Opening { is_joined, breaks: Vec::new() });
            }
        }
        openings.resize_with(reel.runs.len(), Opening::default);
        let ids = reel.track_ids();
        ids.iter().for_each(|id| part_runs(reel, *id, &mut openings));
        ids.iter().for_each(|id| find_breaks(reel, *id, &mut openings));
        for opening in &mut openings {
            opening.breaks.sort_unstable();
            opening.breaks.dedup();
        }
        let mut hls = Hls { reel, form, openings, longest_s: 1, target_s: 1 };
        hls.longest_s = hls.longest_s();
        hls.target_s = match form {
            Form::Whole => hls.longest_s,
            Form::Growing | Form::Grown => hls.longest_s.max(GROWING_TARGET_S),
        };
        Ok(hls)
    }
}

/// No player goes on from one init segment to another on one line of time: a run that needs another is not joined.
fn part_runs(reel: &Reel<'_>, id: u32, openings: &mut [Opening]) {
    let mut before: Option<u64> = None;
    for (run, opening) in reel.runs.iter().zip(openings) {
        let spans = || run.track(id).into_iter().flat_map(|track| &track.spans);
        let first = spans().next().filter(|span| span.cell.start() <= run.range.start);
        opening.is_joined &= !is_other(before, first.and_then(Span::init));
        before = spans().filter_map(Span::init).next_back().or(before);
    }
}

/// Where within a run a track needs another init segment.
fn find_breaks(reel: &Reel<'_>, id: u32, openings: &mut [Opening]) {
    let mut before: Option<u64> = None;
    for (run, opening) in reel.runs.iter().zip(openings) {
        before = before.filter(|_| opening.is_joined);
        for span in run.track(id).into_iter().flat_map(|track| &track.spans) {
            if is_other(before, span.init()) {
                opening.breaks.push(span.cell);
            }
            before = span.init().or(before);
        }
    }
}

/// What is not known is no reason to break: most likely it is the same.
fn is_other(before: Option<u64>, now: Option<u64>) -> bool {
    before.zip(now).is_some_and(|(before, now)| before != now)
}

/// Which init segment a span needs, as far as one can be told from another: its own where it is not known.
fn init_of(span: &Span<'_>) -> (u32, Result<u64, Cell>) {
    (span.file_track_id, span.init().ok_or(span.cell))
}
