//! One capture fetches while another is in its put, and a finished spool goes to its store even from a disk that is full.
//!
//! Nothing here is timed: a put waits for the very event that can only happen if the other capture goes on meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::live::Live;
use common::{PATIENCE, Site};
use npvr::capture::{Captured, Event, Feed, Lanes, Observer, Order, Workplace, capture};
use npvr::channel::{Channel, Layer};
use npvr::error::{Error, Kind, Result};
use npvr::grid::Cell;
use npvr::secret::Secret;
use npvr::source::{Resource, Source, TrackListing, of_channel};
use npvr::store::{ByteRange, Digest, DiskStore, Object, Reading, Space, Store};
use npvr::time::{Range, Time};
use npvr::timeline::Timeline;
use tokio::sync::Notify;
use tokio::time::timeout;

/// A store on disk, and what a test does to its puts.
struct Watched {
    disk: DiskStore,
    /// The first put waits until this happens.
    first_waits_for: Option<Arc<Notify>>,
    is_first: AtomicBool,
    refuses: AtomicBool,
    /// What it says is free; `u64::MAX` is no answer, as of a bucket.
    free_bytes: AtomicU64,
}

impl Watched {
    /// What comes before every put.
    async fn before(&self) -> Result<()> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Error::new(Kind::TryLater, "not today"));
        }
        if let Some(event) =
            self.first_waits_for.as_ref().filter(|_| self.is_first.swap(false, Ordering::SeqCst))
        {
            let waited = timeout(PATIENCE / 4, event.notified()).await;
            waited.map_err(|_| Error::new(Kind::TryLater, "nobody fetched meanwhile"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Watched {
    async fn put(&self, key: &str, file: &Path, expect: &Digest) -> Result<()> {
        self.before().await?;
        self.disk.put(key, file, expect).await
    }

    async fn put_new(&self, key: &str, file: &Path, expect: &Digest) -> Result<bool> {
        self.before().await?;
        self.disk.put_new(key, file, expect).await
    }

    async fn get(&self, key: &str, range: Option<ByteRange>) -> Result<Reading> {
        self.disk.get(key, range).await
    }

    async fn head(&self, key: &str) -> Result<Object> {
        self.disk.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Object>> {
        self.disk.list(prefix, after, limit).await
    }

    async fn delete(&self, keys: &[String]) -> Vec<(String, Error)> {
        self.disk.delete(keys).await
    }

    async fn sweep(&self, prefix: &str, now: Time) -> Result<u64> {
        self.disk.sweep(prefix, now).await
    }

    async fn space(&self) -> Result<Option<Space>> {
        let free_bytes = self.free_bytes.load(Ordering::SeqCst);
        Ok((free_bytes < u64::MAX).then(|| Space { folder: "/a/store".into(), free_bytes }))
    }

    fn url(&self, key: &str) -> Result<Option<url::Url>> {
        self.disk.url(key)
    }

    async fn presign(&self, key: &str, lifetime: Duration) -> Result<Option<url::Url>> {
        self.disk.presign(key, lifetime).await
    }
}

/// A source that tells when the media of a cell is fetched.
struct Told {
    source: Box<dyn Source>,
    cell: Range,
    event: Arc<Notify>,
}

#[async_trait]
impl Source for Told {
    async fn timeline(&self) -> Result<Timeline> {
        self.source.timeline().await
    }

    async fn list(&self, range: Range) -> Result<Vec<TrackListing>> {
        if range == self.cell {
            self.event.notify_one();
        }
        self.source.list(range).await
    }

    async fn fetch(&self, what: &Resource, expect_bytes: u64) -> Result<Bytes> {
        self.source.fetch(what, expect_bytes).await
    }
}

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _channel: &str, _cell: Cell, _event: Event) {}
}

/// A channel of an origin with two cells, ready to be captured by hand.
struct Staged {
    live: Live,
    site: Site,
    place: Workplace,
    feed: Feed,
    store: Arc<Watched>,
}

fn staged() -> Staged {
    let (live, site) = (Live::holding(2), Site::new());
    let ledger = site.ledger();
    let place = Workplace::new(Arc::new(ledger), site.state().join("spool"), "here".into(), Arc::new(Nobody));
    let text = format!("channel_url = \"{}\"\nchunk_duration = \"PT10S\"", live.url("news"));
    let file = Layer::parse(&text, "news.toml").unwrap();
    let look_up = |_: &_| Ok(Secret::new(""));
    let channel = Channel::resolve(&"news".parse().unwrap(), &file, &Layer::default(), &look_up).unwrap();
    let event = Arc::new(Notify::new());
    let source = Told {
        source: of_channel(&channel, None).unwrap(),
        cell: live.cell_before_end(0),
        event: Arc::clone(&event),
    };
    let store = Arc::new(Watched {
        disk: DiskStore::open_or_create(&site.archive()).unwrap(),
        first_waits_for: Some(event),
        is_first: AtomicBool::new(true),
        refuses: AtomicBool::new(false),
        free_bytes: AtomicU64::new(u64::MAX),
    });
    let feed = Feed { channel, source: Arc::new(source), store: store.clone() };
    Staged { live, site, place, feed, store }
}

impl Staged {
    /// The `n`th cell before the end.
    fn order(&self, n: i64) -> Order {
        let cell = Cell::from_range(self.live.cell_before_end(n));
        Order { cell, whole: true, last_chance: false, attempts: 0, since: Time::EPOCH }
    }
}

#[tokio::test]
async fn a_capture_fetches_while_another_is_in_its_put() {
    let staged = tokio::task::spawn_blocking(staged).await.unwrap();
    let lanes = Lanes::new(1);
    let capture_one = async |n| {
        let turn = lanes.turn().await;
        capture(&staged.place, &staged.feed, staged.order(n), turn).await
    };
    // The put of the first waits until the second is asked for: with one lane for all that would be never.
    let (first, second) = tokio::join!(capture_one(1), capture_one(0));
    assert_eq!((first.unwrap(), second.unwrap()), (Captured::Complete, Captured::Complete));
    assert_eq!(staged.site.chunks("news").len(), 2);
    tokio::task::spawn_blocking(|| drop(staged)).await.unwrap();
}

#[tokio::test]
async fn a_finished_spool_goes_to_a_store_elsewhere_even_from_a_full_disk() {
    let mut staged = tokio::task::spawn_blocking(staged).await.unwrap();
    staged.store.is_first.store(false, Ordering::SeqCst);
    let lanes = Lanes::new(1);
    staged.store.refuses.store(true, Ordering::SeqCst);
    let order = staged.order(1);
    let failed = capture(&staged.place, &staged.feed, order, lanes.turn().await).await.unwrap_err();
    assert!(failed.to_string().contains("not today"), "{failed}");
    assert_eq!(staged.site.spool().len(), 1);
    staged.store.refuses.store(false, Ordering::SeqCst);
    staged.place.min_free_bytes = u64::MAX;

    // Another cell is not begun; and nothing is stored where the store itself is full.
    let other = capture(&staged.place, &staged.feed, staged.order(0), lanes.turn().await).await.unwrap();
    assert!(matches!(other, Captured::NoSpace(space) if space.folder == staged.site.state().join("spool")));
    staged.store.free_bytes.store(1, Ordering::SeqCst);
    let full = capture(&staged.place, &staged.feed, order, lanes.turn().await).await.unwrap();
    assert!(matches!(full, Captured::NoSpace(space) if space.folder == Path::new("/a/store")));
    staged.store.free_bytes.store(u64::MAX, Ordering::SeqCst);
    let done = capture(&staged.place, &staged.feed, order, lanes.turn().await).await.unwrap();
    assert_eq!((done, staged.site.spool().len()), (Captured::Complete, 0));
    tokio::task::spawn_blocking(|| drop(staged)).await.unwrap();
}
