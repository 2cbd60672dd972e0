//! Sources: where a channel's media comes from. A small port, and one adapter for each kind of source.

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use crate::error::Result;
use crate::time::{MediaTime, Range, Ranges, Timescale};
use crate::timeline::Timeline;
use crate::track::Track;

/// Something that can be fetched: a segment or an init segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Where it is; absolute. May carry secrets: show it with `source::redacted`.
    pub url: Url,
    /// First and last byte, both included, where it is a part of a larger file.
    pub bytes: Option<(u64, u64)>,
}

/// One segment of one track, as the manifest announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its start on the Unix epoch, in the manifest's timescale. Decides, exactly, which cell it belongs to.
    pub start: MediaTime,
    /// Its announced length, in ticks of the same timescale.
    pub duration_ticks: i64,
    /// Where its media is.
    pub media: Resource,
    /// Which init segment it needs: an index into [`TrackListing::inits`].
    pub init: usize,
}

/// An init segment, and how media time that belongs to it relates to the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitRef {
    /// Where it is.
    pub media: Resource,
    /// What the manifest adds to media time to get to the Unix epoch (`availabilityStartTime + Period@start −
    /// presentationTimeOffset`), in ticks of [`InitRef::timescale`]. A segment whose `tfdt` agrees with the manifest is
    /// moved by this; see `capture`.
    pub epoch_offset_ticks: i64,
    /// The manifest's timescale for this track and period.
    pub timescale: Timescale,
    /// True if the manifest promises that every segment starts with a sync sample (`startWithSAP` 1 or 2).
    pub starts_with_sync: bool,
}

/// The segments of one track that start in a range, in order.
#[derive(Debug, Clone)]
pub struct TrackListing {
    /// Which track.
    pub track: Track,
    /// The init segments that [`Segment::init`] points at, in the order of use.
    pub inits: Vec<InitRef>,
    /// Every segment whose start lies in the range that was asked for.
    pub segments: Vec<Segment>,
    /// What the manifest holds of the track around that range, neighbours of the range's ends included: what lets one
    /// tell a segment that straddles the start (it belongs to the cell before) from a hole.
    pub held: Ranges,
}

/// A source of live media. Implementations are cheap to make, and keep one connection pool, one rate limit and one
/// connection limit for the channel.
///
/// Promises, held by every adapter:
/// - nothing returned is invented: what the answer does not say is not in it;
/// - every answer is bounded in size and time, whatever the other side sends;
/// - transient failures (time-out, reset, short body, 429, 5xx) were retried with backoff before an error of
///   [`crate::error::Kind::TryLater`] comes out; 404, 403 and 410 of media come out as [`crate::error::Kind::Expired`] at once;
/// - an error names the URL without its secrets.
#[async_trait]
pub trait Source: Send + Sync {
    /// What the source holds now. One request where the kind of source allows it.
    async fn timeline(&self) -> Result<Timeline>;

    /// The segments of every selected track that start in `range`, in the order of [`Timeline::tracks`]. May answer from
    /// what the last [`Source::timeline`] fetched.
    async fn list(&self, range: Range) -> Result<Vec<TrackListing>>;

    /// The bytes of a segment or init segment, whole. `expect_bytes` is a guess that the connection budget uses.
    async fn fetch(&self, what: &Resource, expect_bytes: u64) -> Result<Bytes>;
}
