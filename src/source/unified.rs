//! A live publishing point of Unified Origin as a source: `/archive` says what it holds, and DASH with `vbegin` and
//! `vend` lists the segments of any part of that, however far back.
//!
//! A plain manifest shows only the DVR window; these two reach the whole of the origin's own archive.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;
use url::Url;

use super::archive::{self, Archive};
use super::dash::presentation;
use super::http::Client;
use super::mpd::require_selected;
use super::watch::{self, Watch};
use super::{Options, Resource, Source, TrackListing};
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::time::{Range, Ranges, Time};
use crate::timeline::{Timeline, TrackTimeline};
use crate::track::{Track, is_selected};

/// Two segments, while no manifest has said how long they are.
const SETTLE: Duration = Duration::from_secs(8);
/// What is asked for on both sides of a cell, so that its neighbours are seen: at least, and at most.
const MARGIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// A publishing point at one URL.
pub(super) struct Unified {
    client: Client,
    url: Url,
    options: Options,
    watch: Watch,
    known: Mutex<Known>,
}

/// What earlier answers taught us.
#[derive(Default)]
struct Known {
    /// The selected tracks of the last `/archive`, in order.
    archived: Option<Vec<Track>>,
    /// The tracks of the last manifest, under the names of `/archive`.
    listed: Vec<Track>,
    /// The longest segment that a manifest has announced.
    longest: Option<Duration>,
}

impl Unified {
    pub(super) fn new(client: Client, url: Url, options: Options) -> Unified {
        Unified { client, url, options, watch: Watch::default(), known: Mutex::default() }
    }

    fn manifest(&self, range: Range, margin: Duration) -> Url {
        let range = Range::new(range.start.minus(margin), range.end.plus(margin));
        let length = self.options.minimum_fragment_length.as_deref();
        let optional = [("filter", self.options.filter.as_deref()), ("mpd_minimum_fragment_length", length)];
        manifest(&self.url, range, &optional)
    }

    /// Asks `/archive`, and remembers its selected tracks.
    async fn archive(&self) -> Result<Timeline> {
        let document = self.client.document(&at(&self.url, "archive", &[])).await?;
        let archive = document.text().and_then(archive::parse).map_err(|e| document.unusable(e))?;
        if archive.tracks.is_empty() {
            let error = Error::new(Kind::Invalid, "not an /archive document: it lists no track");
            return Err(error
                .hint("is channel_url a live publishing point of Unified Origin?")
                .context(document.shown()));
        }
        let tracks = || archive.tracks.iter().map(|(track, _)| track);
        require_selected(&self.options.tracks, tracks()).map_err(|e| document.unusable(e))?;
        let (now, note) = watch::now(clock::now(), document.date.or(archive.updated));
        let mut known = self.known.lock().await;
        let mut timeline = timeline(archive, now, &self.options, &known);
        timeline.notes.extend(note);
        known.archived = Some(timeline.tracks.iter().map(|t| t.track.clone()).collect());
        Ok(timeline)
    }
}

/// `<channel_url>/archive`, `<channel_url>/.mpd`: with the channel's own query, and ours.
fn at(point: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = point.clone();
    url.set_path(&format!("{}/{path}", point.path().trim_end_matches('/')));
    let own = point.query().map(str::to_owned);
    let ours = query.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    let all: Vec<String> = own.into_iter().chain(ours).collect();
    url.set_query(Some(all.join("&")).as_deref().filter(|q| !q.is_empty()));
    url
}

/// The manifest of a part of what the origin holds; of `optional`, those that have a value.
fn manifest(point: &Url, range: Range, optional: &[(&str, Option<&str>)]) -> Url {
    let (begin, end) = (range.start.to_string(), range.end.to_string());
    let mut query = vec![("vbegin", begin.as_str()), ("vend", end.as_str())];
    query.extend(optional.iter().filter_map(|(name, value)| Some((*name, (*value)?))));
    at(point, ".mpd", &query)
}

/// What a publishing point holds of `range` and no more, as a manifest: what another program is pointed at.
pub fn clip_url(point: &Url, range: Range, filter: Option<&str>) -> Url {
    manifest(point, range, &[("filter", filter)])
}

/// What the origin holds, with what manifests have said of the same tracks.
fn timeline(archive: Archive, now: Time, options: &Options, known: &Known) -> Timeline {
    let settle = options.settle.or(known.longest.map(|l| l.saturating_mul(2))).unwrap_or(SETTLE);
    // Ranges that the origin tells apart stay apart, unless the hole is known to be no more than half a segment.
    let bridge = known.longest.unwrap_or_default() / 2;
    let mut notes = archive.notes;
    let mut tracks = Vec::new();
    for (track, ranges) in archive.tracks.into_iter().filter(|(t, _)| is_selected(&options.tracks, t)) {
        let listed = known.listed.iter().find(|t| t.name() == track.name());
        if listed.is_none() && !known.listed.is_empty() {
            notes.push(format!(
                "/archive has {}, the manifest has not; tracks = […] can leave it out",
                track.name()
            ));
        }
        let mut held = Ranges::none();
        ranges.as_slice().iter().for_each(|r| held.add_bridging(*r, bridge));
        tracks.push(TrackTimeline {
            track: listed.cloned().unwrap_or(track),
            held,
            last_start: None,
            settle,
        });
    }
    tracks.sort_by_cached_key(|t| t.track.order());
    let window_start = tracks.iter().filter_map(|t| t.held.span()).map(|s| s.start).min().unwrap_or(now);
    Timeline { now, window_start, live: true, zero: None, tracks, notes }
}

/// Gives the manifest's tracks the names that `/archive` uses. Origin uses the same ids in both; where it does not, the
/// only track of the same medium, language and bit rate is meant.
fn named(track: &Track, archived: &[Track]) -> String {
    if archived.iter().any(|a| a.name() == track.name()) {
        return track.id.clone();
    }
    let alike = |a: &&Track| {
        a.medium == track.medium
            && a.bandwidth == track.bandwidth
            && (a.language == track.language || a.language.is_none())
    };
    let mut alike = archived.iter().filter(alike);
    match (alike.next(), alike.next()) {
        (Some(one), None) => one.id.clone(),
        _ => track.id.clone(),
    }
}

/// In the order of `/archive`; a track that the manifest lacks holds nothing, so that its absence is not overlooked.
fn in_order(mut listings: Vec<TrackListing>, archived: &[Track]) -> Vec<TrackListing> {
    for listing in &mut listings {
        listing.track.id = named(&listing.track, archived);
    }
    for track in archived {
        if !listings.iter().any(|l| l.track.name() == track.name()) {
            let track = track.clone();
            listings.push(TrackListing { track, inits: vec![], segments: vec![], held: Ranges::none() });
        }
    }
    listings.sort_by_cached_key(|l| l.track.order());
    listings
}

/// Percent-encodes what would end a query value; the rest stays as people read it in the origin's own manual.
fn escaped(value: &str) -> String {
    value.chars().fold(String::new(), |mut out, c| {
        match c {
            '%' | '&' | '+' | '#' => out.push_str(&format!("%{:02X}", u32::from(c))),
            _ => out.push(c),
        }
        out
    })
}

#[async_trait]
impl Source for Unified {
    async fn timeline(&self) -> Result<Timeline> {
        self.archive().await
    }

    async fn list(&self, range: Range) -> Result<Vec<TrackListing>> {
        let (archived, longest) = {
            let known = self.known.lock().await;
            (known.archived.clone(), known.longest)
        };
        let archived = match archived {
            Some(archived) => archived,
            None => self.archive().await?.tracks.into_iter().map(|t| t.track).collect(),
        };
        let margin = longest.map_or(MARGIN.0, |l| l.saturating_mul(2)).clamp(MARGIN.0, MARGIN.1);
        let url = self.manifest(range, margin);
        let found = presentation(&self.client, &url, &self.watch, &self.options.tracks, None).await?;
        let listings = in_order(found.list(range)?, &archived);
        let mut known = self.known.lock().await;
        known.longest = known.longest.max(Some(found.longest_segment()).filter(|l| !l.is_zero()));
        known.listed = listings.iter().filter(|l| !l.held.is_empty()).map(|l| l.track.clone()).collect();
        Ok(listings)
    }

    async fn fetch(&self, what: &Resource, expect_bytes: u64) -> Result<Bytes> {
        self.client.media(what, expect_bytes).await
    }
}
