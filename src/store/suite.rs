//! What every store promises, as tests. An adapter gives a [`Fixture`] and gets all of them by `store_suite!`.

use std::path::PathBuf;
use std::sync::LazyLock;

use futures_util::TryStreamExt;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{ByteRange, Digest, Store};
use crate::error::{Error, Kind, Result};
use crate::time::Time;

/// A new, empty store, and a folder for files that are to be put.
pub(super) struct Fixture<S, K = TempDir> {
    pub(super) store: S,
    pub(super) spool: TempDir,
    /// What has to outlive the store.
    pub(super) keep: K,
}

impl<S: Store, K> Fixture<S, K> {
    /// A spool file, as a caller of `put` has it.
    pub(super) fn file(&self, content: &[u8]) -> (PathBuf, Digest) {
        let (_, path) = tempfile::NamedTempFile::new_in(self.spool.path()).unwrap().keep().unwrap();
        std::fs::write(&path, content).unwrap();
        (path, Digest { bytes: content.len() as u64, sha256: Sha256::digest(content).into() })
    }

    pub(super) async fn put(&self, key: &str, content: &[u8]) {
        let (path, digest) = self.file(content);
        self.store.put(key, &path, &digest).await.unwrap();
        std::fs::remove_file(path).unwrap();
    }

    pub(super) async fn read(&self, key: &str, range: Option<(u64, u64)>) -> Result<Vec<u8>> {
        let range = range.map(|(start, end)| ByteRange { start, end });
        let parts: Vec<_> = self.store.get(key, range).await?.bytes.try_collect().await?;
        Ok(parts.concat())
    }

    async fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        self.store.list(prefix, after, limit).await.unwrap().into_iter().map(|o| o.key).collect()
    }
}

/// Runs a test on the runtime that all of them share. Connections to a server are shared too, as in the program, and end with
/// the runtime that they were made on.
pub(super) fn on_one_runtime(test: impl Future<Output = ()>) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.block_on(test);
}

/// Runs every test of the suite on the fixture that `$make` makes; only if asked to, where a reason to ignore them is given.
macro_rules! store_suite {
    (@each $ignored:tt $make:expr => $($test:ident)+) => {
        $(store_suite! { @one $ignored $make => $test })+
    };
    (@one [$($ignored:meta)?] $make:expr => $test:ident) => {
        #[test]
        $(#[$ignored])?
        fn $test() {
            $crate::store::suite::on_one_runtime(async { $crate::store::suite::$test($make).await });
        }
    };
    ($make:expr) => {
        store_suite! { @all [] $make }
    };
    ($make:expr, $ignored:meta) => {
        store_suite! { @all [$ignored] $make }
    };
    (@all $ignored:tt $make:expr) => {
        store_suite! { @each $ignored $make =>
            what_is_put_is_read_whole_and_in_parts
            many_parts_are_read_at_once_in_any_order
            an_empty_object_is_an_object
            putting_again_replaces_and_putting_the_same_twice_is_fine
            a_file_that_is_not_what_was_announced_changes_nothing
            a_new_object_takes_nobodys_place
            a_file_that_is_not_there_does_not_say_that_the_object_is_missing
            what_is_not_there_is_missing_and_nothing_else
            a_reader_keeps_the_object_that_it_began_with
            a_listing_is_in_byte_order_page_by_page
            deleting_goes_on_after_an_error_and_takes_what_is_gone_for_granted
            bad_keys_touch_nothing
            writers_of_one_key_leave_one_of_their_objects_whole
        }
    };
}
pub(super) use store_suite;

pub(super) async fn what_is_put_is_read_whole_and_in_parts<S: Store, K>(f: Fixture<S, K>) {
    let content: Vec<u8> = (0..1_000_003_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    f.put("news/2018-12-06/a.ismv", &content).await;
    assert!(f.read("news/2018-12-06/a.ismv", None).await.unwrap() == content);
    let length = content.len();
    for (start, end) in [(0, 1), (0, length), (262_143, 262_145), (length - 1, length), (5, length + 99)] {
        let part = f.read("news/2018-12-06/a.ismv", Some((start as u64, end as u64))).await.unwrap();
        assert!(part == content[start..end.min(length)], "{start}..{end}");
    }
    for (start, end) in [(5, 5), (9, 5), (length, length + 1)] {
        let e = f.read("news/2018-12-06/a.ismv", Some((start as u64, end as u64))).await.unwrap_err();
        assert_eq!(e.kind(), Kind::Invalid, "{start}..{end}");
    }
    let object = f.store.head("news/2018-12-06/a.ismv").await.unwrap();
    assert_eq!(object.bytes, length as u64);
    assert!(object.modified > Time::from_s(1_500_000_000));
}

pub(super) async fn many_parts_are_read_at_once_in_any_order<S: Store, K>(f: Fixture<S, K>) {
    let content: Vec<u8> = (0..3_000_017_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    f.put("a/b", &content).await;
    let length = content.len() as u64;
    let far = |start: u64, end: u64| ByteRange { start, end };
    let mut wanted: Vec<ByteRange> = (0..40).map(|n| far(n * 70_000, n * 70_000 + 900)).rev().collect();
    wanted.extend([
        far(0, 10),
        far(5, 7),
        far(0, length),
        far(length - 3, length + 9),
        far(length, length + 1),
    ]);
    wanted.push(far(9, 9));
    let parts = f.store.parts("a/b", &wanted).await.unwrap();
    assert_eq!((parts.object.bytes, parts.bytes.len()), (length, wanted.len()));
    for (range, part) in wanted.iter().zip(&parts.bytes) {
        let (start, end) = (range.start.min(length) as usize, range.end.min(length) as usize);
        assert!(part[..] == content[start..end], "{range:?}");
    }
    assert!(f.store.parts("a/b", &[]).await.unwrap().bytes.is_empty());
    let missing = f.store.parts("a/c", &[far(0, 1)]).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    assert_eq!(f.store.parts("../c", &[far(0, 1)]).await.unwrap_err().kind(), Kind::Invalid);
}

pub(super) async fn an_empty_object_is_an_object<S: Store, K>(f: Fixture<S, K>) {
    f.put("a", b"").await;
    assert_eq!(f.read("a", None).await.unwrap(), b"");
    assert_eq!(f.store.head("a").await.unwrap().bytes, 0);
}

pub(super) async fn putting_again_replaces_and_putting_the_same_twice_is_fine<S: Store, K>(f: Fixture<S, K>) {
    f.put("a/b", b"one").await;
    f.put("a/b", b"two!").await;
    assert_eq!(f.read("a/b", None).await.unwrap(), b"two!");
    let (path, digest) = f.file(b"three");
    f.store.put("a/b", &path, &digest).await.unwrap();
    f.store.put("a/b", &path, &digest).await.unwrap();
    assert_eq!(f.read("a/b", None).await.unwrap(), b"three");
    assert_eq!(f.keys("", None, 9).await, ["a/b"]);
}

pub(super) async fn a_file_that_is_not_what_was_announced_changes_nothing<S: Store, K>(f: Fixture<S, K>) {
    f.put("a", b"before").await;
    let (path, digest) = f.file(b"after!");
    let longer = Digest { bytes: digest.bytes + 1, ..digest };
    let other = Digest { sha256: [0; 32], ..digest };
    for wrong in [longer, other] {
        for key in ["a", "b"] {
            assert_eq!(f.store.put(key, &path, &wrong).await.unwrap_err().kind(), Kind::Corrupt);
        }
    }
    assert_eq!(f.read("a", None).await.unwrap(), b"before");
    assert_eq!(f.keys("", None, 9).await, ["a"]);
}

pub(super) async fn a_new_object_takes_nobodys_place<S: Store, K>(f: Fixture<S, K>) {
    let ((one, first), (other, second)) = (f.file(b"one"), f.file(b"another"));
    assert!(f.store.put_new("a/b", &one, &first).await.unwrap());
    assert!(!f.store.put_new("a/b", &other, &second).await.unwrap());
    assert!(!f.store.put_new("a/b", &one, &first).await.unwrap(), "not even its own");
    assert_eq!(f.read("a/b", None).await.unwrap(), b"one");
    let wrong = Digest { sha256: [0; 32], ..second };
    assert_eq!(f.store.put_new("a/c", &other, &wrong).await.unwrap_err().kind(), Kind::Corrupt);
    f.store.put("a/b", &other, &second).await.unwrap();
    assert_eq!(f.read("a/b", None).await.unwrap(), b"another");
    assert_eq!(f.keys("", None, 9).await, ["a/b"]);
}

pub(super) async fn a_file_that_is_not_there_does_not_say_that_the_object_is_missing<S: Store, K>(
    f: Fixture<S, K>,
) {
    let (path, digest) = f.file(b"x");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(f.store.put("a", &path, &digest).await.unwrap_err().kind(), Kind::Io);
}

pub(super) async fn what_is_not_there_is_missing_and_nothing_else<S: Store, K>(f: Fixture<S, K>) {
    f.put("a/b", b"x").await;
    for key in ["b", "a/c", "c/d/e"] {
        assert_eq!(f.store.head(key).await.unwrap_err().kind(), Kind::NotFound, "{key}");
        assert_eq!(f.read(key, None).await.unwrap_err().kind(), Kind::NotFound, "{key}");
    }
    assert_eq!(f.keys("nothing/", None, 9).await, [""; 0]);
}

pub(super) async fn a_reader_keeps_the_object_that_it_began_with<S: Store, K>(f: Fixture<S, K>) {
    let before = vec![1; 600_000];
    f.put("a", &before).await;
    let reading = f.store.get("a", None).await.unwrap();
    f.put("a", &vec![2; 600_000]).await;
    let parts: Vec<_> = reading.bytes.try_collect().await.unwrap();
    assert!(parts.concat() == before);
}

pub(super) async fn a_listing_is_in_byte_order_page_by_page<S: Store, K>(f: Fixture<S, K>) {
    // '-' and '.' sort before '/': the order of keys is not that of a walk through folders.
    let mut all = ["a/x", "a-b/x", "a.b", "a/x-1", "a/x/1", "b/2018-12-06/1", "b/2018-12-07/1", "b0"]
        .map(str::to_owned)
        .to_vec();
    all.remove(4);
    all.sort();
    for key in &all {
        f.put(key, key.as_bytes()).await;
    }
    assert_eq!(f.keys("", None, 99).await, all);
    for limit in 1..=3 {
        let (mut paged, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = f.keys("", after.as_deref(), limit).await;
            let full = page.len() == limit;
            after = page.last().cloned();
            paged.extend(page);
            if !full {
                break;
            }
        }
        assert_eq!(paged, all, "in pages of {limit}");
    }
    for prefix in ["a", "a/", "a/x", "b/2018-12-0", "b/2018-12-06/", "c", "a/x-1/"] {
        let expected: Vec<_> = all.iter().filter(|k| k.starts_with(prefix)).cloned().collect();
        assert_eq!(f.keys(prefix, None, 99).await, expected, "{prefix}");
    }
    assert_eq!(f.keys("b", Some("b/2018-12-06/1"), 99).await, ["b/2018-12-07/1", "b0"]);
    assert_eq!(f.store.list("a.", None, 9).await.unwrap()[0].bytes, 3);
}

pub(super) async fn deleting_goes_on_after_an_error_and_takes_what_is_gone_for_granted<S: Store, K>(
    f: Fixture<S, K>,
) {
    for key in ["a/1", "a/2", "b/1"] {
        f.put(key, b"x").await;
    }
    let left = f.store.delete(&["../x", "a/1", "a/none", "b/1"].map(str::to_owned)).await;
    let left: Vec<_> = left.iter().map(|(key, e)| (key.as_str(), e.kind())).collect();
    assert_eq!(left, [("../x", Kind::Invalid)]);
    assert_eq!(f.keys("", None, 9).await, ["a/2"]);
    f.put("b/1", b"again").await;
    assert_eq!(f.read("b/1", None).await.unwrap(), b"again");
}

pub(super) async fn bad_keys_touch_nothing<S: Store, K>(f: Fixture<S, K>) {
    let (path, digest) = f.file(b"x");
    for key in ["../x", "/tmp/x", "a//b", ".tmp-1", "a/.tmp-1", ""] {
        assert_eq!(f.store.put(key, &path, &digest).await.unwrap_err().kind(), Kind::Invalid, "{key}");
        assert_eq!(f.store.head(key).await.unwrap_err().kind(), Kind::Invalid, "{key}");
        assert_eq!(f.read(key, None).await.unwrap_err().kind(), Kind::Invalid, "{key}");
    }
    assert_eq!(f.keys("", None, 9).await, [""; 0]);
}

pub(super) async fn writers_of_one_key_leave_one_of_their_objects_whole<S: Store, K>(f: Fixture<S, K>) {
    let contents: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; 300_000 + usize::from(n)]).collect();
    let files: Vec<_> = contents.iter().map(|content| f.file(content)).collect();
    let puts = files.iter().map(|(path, digest)| f.store.put("a/b/c", path, digest));
    for put in futures_util::future::join_all(puts).await {
        // A server that mixes up whose checksum is whose is told to have done so; nobody's bytes are mixed.
        assert!(put.as_ref().map_or_else(Error::is_transient, |()| true), "{put:?}");
    }
    let kept = f.read("a/b/c", None).await.unwrap();
    assert!(contents.contains(&kept));
    assert_eq!(f.keys("", None, 9).await, ["a/b/c"]);
}
