//! The pass over rows and listing, on a store that counts what it is asked, and that others change meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use url::Url;

use super::subject::Subject;
use super::walk::Walk;
use super::*;
use crate::capture;
use crate::channel::{Layer, Settings};
use crate::error::Kind;
use crate::grid::Cell;
use crate::ledger::{Coverage, Ledger, SqliteLedger, Stored};
use crate::store::{ByteRange, Digest, Object, Reading, Store};
use crate::time::{Range, Time};

/// What others do just before a listing is made, by the number of the request.
type Meanwhile = Box<dyn FnMut(usize, &mut BTreeMap<String, u64>) + Send>;

/// Keys and lengths, and no bytes.
#[derive(Default)]
struct Counting {
    objects: Mutex<BTreeMap<String, u64>>,
    /// Keys that no listing has.
    omitted: Vec<String>,
    meanwhile: Mutex<Option<Meanwhile>>,
    lists: AtomicUsize,
    heads: AtomicUsize,
}

fn object(key: &str, bytes: u64) -> Object {
    Object { key: key.to_owned(), bytes, modified: Time::EPOCH }
}

#[async_trait]
impl Store for Counting {
    async fn put(&self, _key: &str, _file: &Path, _expect: &Digest) -> Result<()> {
        unreachable!("nothing is put")
    }

    async fn put_new(&self, _key: &str, _file: &Path, _expect: &Digest) -> Result<bool> {
        unreachable!("nothing is put")
    }

    async fn get(&self, key: &str, _range: Option<ByteRange>) -> Result<Reading> {
        Err(Error::new(Kind::NotFound, key))
    }

    async fn head(&self, key: &str) -> Result<Object> {
        self.heads.fetch_add(1, Ordering::SeqCst);
        let bytes = self.objects.lock().unwrap().get(key).copied();
        bytes.map(|bytes| object(key, bytes)).ok_or_else(|| Error::new(Kind::NotFound, key))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Object>> {
        let n = self.lists.fetch_add(1, Ordering::SeqCst);
        let mut objects = self.objects.lock().unwrap();
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().as_mut() {
            meanwhile(n, &mut objects);
        }
        let wanted = |key: &&String| {
            key.starts_with(prefix) && after.is_none_or(|a| key.as_str() > a) && !self.omitted.contains(key)
        };
        Ok(objects.keys().filter(wanted).take(limit).map(|key| object(key, objects[key])).collect())
    }

    async fn delete(&self, _keys: &[String]) -> Vec<(String, Error)> {
        unreachable!("nothing is deleted")
    }

    async fn sweep(&self, _prefix: &str, _now: Time) -> Result<u64> {
        unreachable!("nothing is swept")
    }

    fn url(&self, _key: &str) -> Result<Option<Url>> {
        Ok(None)
    }

    async fn presign(&self, _key: &str, _lifetime: Duration) -> Result<Option<Url>> {
        Ok(None)
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn event(&self, _event: Event<'_>) {}
}

impl capture::Observer for Nobody {
    fn event(&self, _channel: &str, _cell: Cell, _event: capture::Event) {}
}

fn cell(n: usize) -> Cell {
    let start = 1_700_000_000 + 10 * i64::try_from(n).unwrap();
    Cell::from_range(Range::new(Time::from_s(start), Time::from_s(start + 10)))
}

fn stored(n: usize) -> Stored {
    Stored { coverage: Coverage::Complete, key: cell(n).key("news"), bytes: 7, sha256: [1; 32] }
}

/// A channel of which `rows` chunks are stored, and are in the ledger.
struct Fixture {
    ledger: Arc<SqliteLedger>,
    store: Counting,
    dir: TempDir,
}

impl Fixture {
    fn new(rows: usize) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(SqliteLedger::open(dir.path()).unwrap());
        let fixture = Fixture { ledger, store: Counting::default(), dir };
        (0..rows).for_each(|n| fixture.row(n));
        let objects = (0..rows).map(|n| (stored(n).key, 7));
        fixture.store.objects.lock().unwrap().extend(objects);
        fixture
    }

    fn row(&self, n: usize) {
        assert!(self.ledger.adopt("news", cell(n), &stored(n), &[], &[], Time::EPOCH).unwrap());
    }

    /// Walks over it, and gives the report and the store.
    async fn walk(self) -> (ChannelReport, Arc<Counting>) {
        let file = "channel_url = \"http://127.0.0.1:1/news.isml\"\nenabled = false\n";
        let (file, settings) = (Layer::parse(file, "news.toml").unwrap(), Settings::parse("", "").unwrap());
        let no_secrets = |_: &_| Err(Error::new(Kind::Config, "there are none"));
        let channel =
            Channel::resolve(&"news".parse().unwrap(), &file, &settings.defaults, &no_secrets).unwrap();
        let place =
            Workplace::new(self.ledger.clone(), self.dir.path().to_owned(), "here".into(), Arc::new(Nobody));
        let store = Arc::new(self.store);
        let options = Options {
            deep: false,
            budget: None,
            repair: false,
            dry_run: false,
            parallel: 1,
            archive: self.dir.path().to_owned(),
        };
        let subject = Subject::new(Arc::new(place), channel, store.clone(), options);
        let mut report = ChannelReport::default();
        Walk::new(&subject, &Nobody, &mut report).finish().await.unwrap();
        (report, store)
    }
}

#[tokio::test]
async fn a_thousand_objects_take_one_request_and_none_for_each() {
    let fixture = Fixture::new(1_150);
    let (report, store) = fixture.walk().await;
    assert_eq!((report.findings, report.chunks, report.bytes), (vec![], 1_150, 7 * 1_150));
    assert_eq!(store.lists.load(Ordering::SeqCst), 2);
    assert_eq!(store.heads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_listing_that_leaves_objects_out_is_not_believed() {
    let mut fixture = Fixture::new(5);
    fixture.store.omitted = vec![stored(0).key, stored(3).key];
    let (report, store) = fixture.walk().await;
    assert_eq!(report.findings, vec![]);
    assert_eq!(store.heads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_stored_or_pruned_meanwhile_is_no_finding() {
    let fixture = Fixture::new(4);
    let ledger = fixture.ledger.clone();
    let discard = move |ledger: &SqliteLedger, n: usize| {
        ledger.discard("news", &[cell(n)], "old", Time::EPOCH).unwrap();
    };
    fixture.store.objects.lock().unwrap().insert("news/readme".into(), 1);
    *fixture.store.meanwhile.lock().unwrap() = Some(Box::new(move |request, objects| match request {
        // The rows have been read, and nothing was listed yet.
        0 => {
            discard(&ledger, 0);
            ledger.forget("news", &[stored(0).key]).unwrap();
            objects.remove(&stored(0).key);
            // Pruned up to the second step: the object is there, and is garbage.
            discard(&ledger, 1);
            assert!(ledger.adopt("news", cell(7), &stored(7), &[], &[], Time::EPOCH).unwrap());
            objects.insert(stored(7).key, 7);
            objects.insert(cell(8).key("news"), 7);
        }
        // It was listed, and is looked at again.
        _ => drop(objects.remove(&cell(8).key("news"))),
    }));
    let (report, store) = fixture.walk().await;
    let found: Vec<(What, &str)> = report.findings.iter().map(|f| (f.what, f.key.as_str())).collect();
    assert_eq!(found, [(What::Foreign, "news/readme")], "what is really wrong is found all the same");
    assert_eq!(store.lists.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn two_chunks_for_one_time_are_found() {
    let fixture = Fixture::new(3);
    let both = Cell::from_range(Range::new(cell(1).start(), cell(2).end()));
    let one = Stored { key: both.key("news"), ..stored(0) };
    assert!(fixture.ledger.adopt("news", both, &one, &[], &[], Time::EPOCH).unwrap());
    fixture.store.objects.lock().unwrap().insert(one.key.clone(), 7);
    let (report, _) = fixture.walk().await;
    let found: Vec<(What, Cell)> = report.findings.iter().map(|f| (f.what, f.cell.unwrap())).collect();
    assert_eq!(found, [(What::Overlap, both), (What::Overlap, cell(2))]);
}
