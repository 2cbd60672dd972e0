//! A DASH manifest as a source: any MPD, live or static.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;
use url::Url;

use super::http::Client;
use super::mpd::{self, Presentation};
use super::watch::Watch;
use super::{Options, Resource, Source, TrackListing};
use crate::clock::Tick;
use crate::error::Result;
use crate::time::{Range, Time};
use crate::timeline::Timeline;
use crate::track::Select;

/// A manifest that is younger than this need not be fetched again for a listing.
const FRESH: Duration = Duration::from_secs(10);

/// A DASH manifest at one URL.
pub(super) struct Dash {
    client: Client,
    url: Url,
    select: Vec<Select>,
    settle: Option<Duration>,
    zero: Option<Time>,
    watch: Watch,
    last: Mutex<Option<(Arc<Presentation>, Tick)>>,
}

impl Dash {
    pub(super) fn new(client: Client, url: Url, options: Options) -> Dash {
        let (select, settle, zero) = (options.tracks, options.settle, options.zero);
        Dash { client, url, select, settle, zero, watch: Watch::default(), last: Mutex::default() }
    }

    async fn refresh(&self) -> Result<Arc<Presentation>> {
        let fetched = presentation(&self.client, &self.url, &self.watch, &self.select, self.zero).await?;
        let fetched = Arc::new(fetched);
        *self.last.lock().await = Some((Arc::clone(&fetched), Tick::now()));
        Ok(fetched)
    }

    /// The last manifest, where it can answer for `range`.
    async fn remembered(&self, range: Range) -> Option<Arc<Presentation>> {
        let last = self.last.lock().await;
        let (presentation, at) = last.as_ref()?;
        let span = presentation.span();
        let covers = span.is_some_and(|s| s.start <= range.start && range.end <= s.end);
        (at.elapsed() < FRESH || (!presentation.live && covers)).then(|| Arc::clone(presentation))
    }
}

/// Fetches a manifest, and lays it out as it is now on the source's clock. `zero` is what its times were last seen to count
/// from: some encoders leave that out of their last manifest.
pub(super) async fn presentation(
    client: &Client,
    url: &Url,
    watch: &Watch,
    select: &[Select],
    zero: Option<Time>,
) -> Result<Presentation> {
    let document = client.document(url).await?;
    let mut mpd = document.text().and_then(mpd::parse).map_err(|e| document.unusable(e))?;
    let has_lost_its_zero = !mpd.dynamic && mpd.availability_start.is_none() && zero.is_some();
    if has_lost_its_zero {
        mpd.availability_start = zero;
    }
    let (now, note) = watch.read(client, &document, &mpd).await;
    let presentation = Presentation::new(&mpd, &document.url, now, select);
    let mut presentation = presentation.map_err(|e| document.unusable(e))?;
    presentation.notes.extend(note);
    if has_lost_its_zero {
        let note = "the manifest has ended, and lost its availabilityStartTime: the one that it had is taken";
        presentation.notes.push(note.to_owned());
    }
    Ok(presentation)
}

#[async_trait]
impl Source for Dash {
    async fn timeline(&self) -> Result<Timeline> {
        Ok(self.refresh().await?.timeline(self.settle))
    }

    async fn list(&self, range: Range) -> Result<Vec<TrackListing>> {
        match self.remembered(range).await {
            Some(presentation) => presentation.list(range),
            None => self.refresh().await?.list(range),
        }
    }

    async fn fetch(&self, what: &Resource, expect_bytes: u64) -> Result<Bytes> {
        self.client.media(what, expect_bytes).await
    }
}
