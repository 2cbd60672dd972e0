//! DASH (ISO/IEC 23009-1): a clip as a media presentation description, whose segments are the fragments in the chunks.
//!
//! A period is a stretch that plays without a break: it begins at the in point of a run, by `presentationTimeOffset`, and lasts
//! until its out point; another one begins where a track needs another init segment. What players are told of time is all in
//! ticks since the Unix epoch, as it is in the chunks.
//!
//! Segments are named in one of two ways, as players differ (see README): by a template that npvr answers, which all follow, or
//! by a list of byte ranges in the chunks, which leaves npvr out of the way of the bytes.

mod measure;
mod period;
mod segments;
mod sets;
mod writer;

use std::time::Duration;

use crate::clip::{Clip, Reel};
use crate::time::Time;
use crate::track::Track;

use super::Addresses;

/// A clip, and how it is to be shown.
#[derive(Debug, Clone, Copy)]
pub struct Show<'a> {
    /// The clip.
    pub clip: &'a Clip,
    /// Its fragments.
    pub reel: &'a Reel<'a>,
    /// The tracks, by id. One that is not here is not shown.
    pub tracks: &'a [Shown<'a>],
    /// How segments are named.
    pub naming: Naming,
    /// The address of segments that npvr answers for, with `$RepresentationID$` and `$Time$` in it.
    pub template: &'a str,
    /// True if a gap takes as long to play as it lasted, so that time in the player is time on the wall; false if what is behind
    /// it follows at once.
    pub keeps_gaps: bool,
    /// How it goes on; `None` if it does not.
    pub growth: Option<Growth<'a>>,
}

/// A track that is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its id in the channel's ledger: the id of its `Representation`.
    pub id: u32,
    /// What the source said of it.
    pub track: &'a Track,
    /// Pictures in so many seconds, as [`crate::media::TrackIndex::rate`] has it; `None` if that is not known.
    pub rate: Option<(u64, u64)>,
}

/// How segments are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By [`Show::template`].
    Template,
    /// Each by its bytes in a chunk. That goes by one duration for all, so what is uneven, has a hole, or goes on is named by the
    /// template all the same.
    List,
}

/// How a presentation goes on.
#[derive(Debug, Clone, Copy)]
pub struct Growth<'a> {
    /// Where the time is told, as an absolute URL.
    pub clock: &'a str,
    /// The instant at which its first moment was broadcast.
    pub since: Time,
    /// How often there may be more of it.
    pub every: Duration,
    /// How long after a moment it is there to be played, at most.
    pub delay: Duration,
}

/// The media presentation description of a clip.
pub fn mpd(show: &Show<'_>, addresses: &dyn Addresses) -> String {
    writer::write(show, addresses)
}

#[cfg(test)]
mod tests;
