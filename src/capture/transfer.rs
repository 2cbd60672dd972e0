//! From the source into the spool: segments are fetched several at a time, and written one after the other, in order.
//!
//! Memory is bounded by a budget that all captures of a process share: a fetch starts when there is room for its segment,
//! and the room is given back when it has been written. Room is taken in the order of writing, so the segment that is
//! waited for always has some, and nothing waits for ever.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::batch::{Wanted, bounds};
use super::writer::{Arrived, Writer};
use super::{Event, Feed, Order, Workplace};
use crate::error::{Context, Error, Kind, Result};
use crate::ledger::JobStats;
use crate::media::Init;
use crate::source::{InitRef, TrackListing};
use crate::time::Range;

/// What is taken for the size of a segment whose track has no announced bit rate, in bytes.
const UNKNOWN_SEGMENT: u64 = 1 << 20;
/// The unit of the memory budget, in bytes.
pub(crate) const ROOM_UNIT: u64 = 64 << 10;

/// What goes from the fetching to the writing.
enum Item {
    Segment(Arrived, Option<OwnedSemaphorePermit>),
    Missed(Wanted, Error),
}

/// The init segments of a listing, fetched and read; by track and number.
pub(crate) struct Inits(HashMap<(usize, usize), std::result::Result<Arc<Init>, String>>);

impl Inits {
    /// Fetches every init segment that the listing names. One that is gone is kept as the reason for what it makes
    /// impossible; any other failure ends the attempt.
    pub(crate) async fn fetch(feed: &Feed, listing: &[TrackListing]) -> Result<Inits> {
        let mut all = HashMap::new();
        for (track, of_track) in listing.iter().enumerate() {
            for (number, init) in of_track.inits.iter().enumerate() {
                let read = fetch_init(feed, init).await.with_context(|| of_track.track.name());
                let kept = match read {
                    Ok(init) => Ok(Arc::new(init)),
                    Err(e) if e.kind() == Kind::Expired => Err(format!("its init segment: {}", e.gist())),
                    Err(e) => return Err(e),
                };
                all.insert((track, number), kept);
            }
        }
        Ok(Inits(all))
    }

    /// The first of a track that could be had.
    pub(crate) fn first_of(&self, track: usize, listing: &TrackListing) -> Option<&Arc<Init>> {
        (0..listing.inits.len()).find_map(|n| self.0.get(&(track, n))?.as_ref().ok())
    }

    fn of(&self, wanted: &Wanted) -> std::result::Result<Arc<Init>, String> {
        let known = self.0.get(&(wanted.track, wanted.segment.init)).cloned();
        known.unwrap_or_else(|| Err("its init segment is not in the manifest".to_owned()))
    }
}

async fn fetch_init(feed: &Feed, init: &InitRef) -> Result<Init> {
    let bytes = feed.source.fetch(&init.media, ROOM_UNIT).await?;
    Init::parse(&bytes).context("init segment")
}

/// What a batch is fetched with.
pub(crate) struct Transfer<'a> {
    pub(crate) place: &'a Workplace,
    pub(crate) feed: &'a Feed,
    pub(crate) order: Order,
    pub(crate) listing: &'a [TrackListing],
    pub(crate) inits: &'a Inits,
}

/// A segment that may be fetched now: its expected size, and the room for it.
struct Admitted {
    wanted: Wanted,
    bytes: u64,
    room: Option<OwnedSemaphorePermit>,
}

/// A segment's bytes with its init segment.
type Fetched = Result<(Arc<Init>, Bytes)>;

impl Transfer<'_> {
    /// Fetches `batch` and hands it to the writer, which comes back with all that was written, whatever happened.
    pub(crate) async fn run(
        &self,
        batch: Vec<Wanted>,
        mut writer: Writer,
        stats: &mut JobStats,
    ) -> (Option<Writer>, Result<()>) {
        let (to_writer, mut items) = mpsc::channel(1);
        let names: Vec<String> = self.listing.iter().map(|t| t.track.name()).collect();
        let writing = tokio::task::spawn_blocking(move || {
            let mut written = Ok(());
            while let Some(item) = items.blocking_recv() {
                written = write_one(&mut writer, &names, item);
                if written.is_err() {
                    break;
                }
            }
            (writer, written)
        });
        let fetched = self.fetch_all(batch, to_writer, stats).await;
        match writing.await {
            Ok((writer, written)) => (Some(writer), written.and(fetched)),
            Err(e) => (None, Err(Error::new(Kind::Io, "the writing thread ended early").caused_by(e))),
        }
    }

    async fn fetch_all(
        &self,
        batch: Vec<Wanted>,
        to_writer: mpsc::Sender<Item>,
        stats: &mut JobStats,
    ) -> Result<()> {
        let mut waiting = batch.into_iter();
        let mut admission: Option<BoxFuture<'static, Admitted>> = None;
        let mut fetching = FuturesOrdered::new();
        loop {
            if admission.is_none() && fetching.len() < self.feed.channel.max_connections {
                admission = waiting.next().map(|wanted| self.admit(wanted));
            }
            tokio::select! {
                Some(admitted) = OptionFuture::from(admission.as_mut()) => {
                    admission = None;
                    fetching.push_back(self.fetch(admitted));
                }
                Some((admitted, fetched)) = fetching.next() => {
                    let item = self.item(admitted, fetched, stats)?;
                    // A closed pipe means that the writer has failed; it says why itself.
                    if to_writer.send(item).await.is_err() {
                        return Ok(());
                    }
                }
                else => return Ok(()),
            }
        }
    }

    /// What the writer gets of a fetch; an error if the attempt ends here.
    fn item(&self, admitted: Admitted, fetched: Fetched, stats: &mut JobStats) -> Result<Item> {
        let Admitted { wanted, room, .. } = admitted;
        let listing = &self.listing[wanted.track];
        match fetched {
            Ok((init, bytes)) => {
                let count = bytes.len() as u64;
                stats.segments += 1;
                stats.bytes += count;
                let channel = self.feed.channel.name.as_str();
                self.place.observer.event(channel, self.order.cell, Event::Segment { bytes: count });
                let init_ref = listing.inits[wanted.segment.init].clone();
                Ok(Item::Segment(Arrived { wanted, bytes, init_ref, init }, room))
            }
            Err(e) if e.kind() == Kind::Expired || self.order.last_chance => Ok(Item::Missed(wanted, e)),
            Err(e) => Err(e.context(listing.track.name())),
        }
    }

    fn admit(&self, wanted: Wanted) -> BoxFuture<'static, Admitted> {
        let bytes = expected_bytes(&self.listing[wanted.track], &wanted);
        let room = self.place.room(bytes);
        async move { Admitted { wanted, bytes, room: room.await } }.boxed()
    }

    fn fetch(&self, admitted: Admitted) -> BoxFuture<'_, (Admitted, Fetched)> {
        async move {
            let fetched = match self.inits.of(&admitted.wanted) {
                Ok(init) => {
                    let media = &admitted.wanted.segment.media;
                    self.feed.source.fetch(media, admitted.bytes).await.map(|bytes| (init, bytes))
                }
                Err(reason) => Err(Error::new(Kind::Expired, reason)),
            };
            (admitted, fetched)
        }
        .boxed()
    }
}

fn write_one(writer: &mut Writer, names: &[String], item: Item) -> Result<()> {
    let (wanted, error) = match item {
        Item::Segment(arrived, _room) => match writer.take(&arrived) {
            // What is no media is as good as not there, and says so; a full disk is another matter.
            Err(e) if matches!(e.kind(), Kind::Invalid | Kind::Unsupported) => (arrived.wanted, e),
            written => return written,
        },
        Item::Missed(wanted, error) => (wanted, error),
    };
    let (start, end) = bounds(&wanted.segment);
    let name = names.get(wanted.track).cloned().unwrap_or_default();
    writer.notes.push(format!("{name}: the segment at {start} is given up: {error}"));
    // Without the URL: segments in a row that are missed for one reason are one gap.
    writer.progress.misses.push((name, Range::new(start, end), error.gist().to_owned()));
    Ok(())
}

/// How large a segment should be, by its track's bit rate, in bytes.
fn expected_bytes(listing: &TrackListing, wanted: &Wanted) -> u64 {
    let (start, end) = bounds(&wanted.segment);
    let ms = u64::try_from(end.since(start).as_millis()).unwrap_or(u64::MAX);
    listing.track.bandwidth.map_or(UNKNOWN_SEGMENT, |b| b.saturating_mul(ms) / 8_000)
}
