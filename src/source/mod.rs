//! Sources: where a channel's media comes from. A small port, and one adapter for each kind of source.
//!
//! [`open`] makes one. The adapters are private; the parsers [`mpd`] and [`archive`] are pure and public, for fuzzing.

pub mod archive;
mod dash;
mod fault;
mod http;
mod limits;
pub mod mpd;
#[cfg(test)]
mod suite;
mod tls;
mod unified;
mod watch;
mod xml;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use url::Url;

pub use self::fault::redacted;
pub use self::unified::clip_url;
use crate::channel::{Channel, Engine};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::time::{MediaTime, Range, Ranges, Time, Timescale};
use crate::timeline::Timeline;
use crate::track::{Select, Track};

/// What sort of source a channel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A live publishing point of Unified Origin.
    Unified,
    /// A DASH manifest.
    Dash,
}

impl SourceKind {
    /// What the path of a channel's URL says: `….isml` is a publishing point, all else a DASH manifest.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for what is plainly an HLS playlist or a Smooth manifest.
    pub fn of(url: &Url) -> Result<SourceKind> {
        let path = url.path().trim_end_matches('/').to_ascii_lowercase();
        let other = |what: &str| {
            let error = Error::new(Kind::Unsupported, format!("{} is {what}", redacted(url)));
            Err(error.hint("give the URL of the channel's DASH manifest, or of its publishing point (.isml)"))
        };
        match path {
            p if p.ends_with(".isml") => Ok(SourceKind::Unified),
            p if p.ends_with(".m3u8") => other("an HLS playlist"),
            p if p.ends_with("/manifest") => other("a Smooth Streaming manifest"),
            _ => Ok(SourceKind::Dash),
        }
    }
}

/// How a source is asked. Nothing here is shown: secrets are [`Secret`]s.
#[derive(Debug, Clone)]
pub struct Options {
    /// Basic authentication. Sent only to the origin of the channel's URL.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Headers of every request to the origin of the channel's URL (scheme, host and port), and to no other.
    pub headers: Vec<(String, Secret)>,
    /// How many requests may be under way at once.
    pub max_connections: usize,
    /// How much may be fetched a second, all requests together.
    pub max_bytes_per_s: Option<u64>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long the other side may say nothing.
    pub read_timeout: Duration,
    /// What we call ourselves.
    pub user_agent: String,
    /// Replaces two segments as the time after which a cell is settled.
    pub settle: Option<Duration>,
    /// Which tracks; none means all.
    pub tracks: Vec<Select>,
    /// What its times were last seen to count from, for a manifest that has ended and no longer says so (ffmpeg's).
    pub zero: Option<Time>,
    /// A publishing point's `filter` expression for the manifest: `(type!="meta")`.
    pub filter: Option<String>,
    /// A publishing point's `mpd_minimum_fragment_length`: `384/100` for longer segments and fewer requests.
    pub minimum_fragment_length: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            username: None,
            password: None,
            headers: Vec::new(),
            max_connections: 4,
            max_bytes_per_s: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            user_agent: concat!("npvr/", env!("CARGO_PKG_VERSION")).to_owned(),
            settle: None,
            tracks: Vec::new(),
            zero: None,
            filter: None,
            minimum_fragment_length: None,
        }
    }
}

/// Opens a source. Nothing is asked of it yet. A user and password in `url` are taken as the options', unless those
/// have their own.
///
/// # Errors
/// [`Kind::Config`] for a URL that is not HTTP, or a header that cannot be sent.
pub fn open(kind: SourceKind, url: &Url, mut options: Options) -> Result<Box<dyn Source>> {
    if !matches!(url.scheme(), "http" | "https") {
        let error = Error::new(Kind::Config, format!("{} is not an HTTP URL", redacted(url)));
        return Err(error.hint("channel_url begins with http:// or https://"));
    }
    let url = take_credentials(url, &mut options);
    let client = http::Client::new(&url, &options)?;
    Ok(match kind {
        SourceKind::Unified => Box::new(unified::Unified::new(client, url, options)),
        SourceKind::Dash => Box::new(dash::Dash::new(client, url, options)),
    })
}

/// Opens the source of a channel. `zero` is what its times were last seen to count from.
///
/// # Errors
/// As [`open`], and [`SourceKind::of`].
pub fn of_channel(channel: &Channel, zero: Option<Time>) -> Result<Box<dyn Source>> {
    let options = Options {
        username: channel.username.clone(),
        password: channel.password.clone(),
        headers: channel.headers.clone(),
        max_connections: channel.max_connections,
        max_bytes_per_s: channel.max_bytes_per_s,
        connect_timeout: channel.connect_timeout,
        read_timeout: channel.read_timeout,
        settle: channel.settle,
        tracks: channel.tracks.clone(),
        zero,
        // What is asked for is what the other engine can deliver.
        filter: match &channel.engine {
            Engine::Native => None,
            Engine::Unified(unified) => unified.filter.clone(),
        },
        ..Options::default()
    };
    open(SourceKind::of(&channel.url)?, &channel.url, options)
}

/// The URL without user and password, which become the options' where those have none.
fn take_credentials(url: &Url, options: &mut Options) -> Url {
    let mut bare = url.clone();
    if options.username.is_none() && !url.username().is_empty() {
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        options.username = Some(plain(url.username()));
        options.password = url.password().map(|p| Secret::new(plain(p)));
    }
    // Both fail only where a URL cannot have a user.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.set_fragment(None);
    bare
}

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
