//! The suite on a server that no one here wrote, and what only a bucket can suffer.

#[path = "../../../tests/common/s3.rs"]
mod server;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use self::server::{ACCESS, BUCKET, S3Server, SECRET};
use super::*;
use crate::channel::S3Keys;
use crate::secret::Secret;
use crate::store::suite::{Fixture, on_one_runtime, store_suite};

/// A bucket of a server.
fn place(endpoint: &str, bucket: &str, secret: &str) -> S3 {
    S3 {
        endpoint: endpoint.parse().unwrap(),
        bucket: bucket.to_owned(),
        region: "us-east-1".to_owned(),
        path_style: true,
        keys: S3Keys::Given { access: Secret::new(ACCESS), secret: Secret::new(secret), session: None },
    }
}

async fn fixture() -> Fixture<S3Store, S3Server> {
    let server = S3Server::start();
    let store = S3Store::open(&place(&server.url(), BUCKET, SECRET)).await.unwrap();
    Fixture { store, spool: TempDir::new().unwrap(), keep: server }
}

mod on_s3s_fs {
    use super::*;
    store_suite!(fixture().await);
}

/// Bytes that differ from one another.
fn media(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n / 251 + n) as u8).collect()
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_comes_back_whole() {
    let f = fixture().await;
    // Two whole parts and a bit, and one that ends with a part.
    for (key, bytes) in [("a/large", (17 << 20) + 1), ("a/even", 24 << 20)] {
        let content = media(bytes);
        f.put(key, &content).await;
        assert!(f.read(key, None).await.unwrap() == content, "{key}");
        let edge = (8 << 20) as usize;
        let around = Some((edge as u64 - 2, edge as u64 + 2));
        assert_eq!(f.read(key, around).await.unwrap(), content[edge - 2..edge + 2]);
        let told = super::head(&f.store.bucket, key).await.unwrap();
        assert_eq!(told.headers["x-amz-meta-sha256"], hex(&Sha256::digest(&content)));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test]
async fn a_large_file_that_is_not_what_was_announced_changes_nothing_and_leaves_no_part() {
    let f = fixture().await;
    f.put("a/b", b"before").await;
    let (path, digest) = f.file(&media(17 << 20));
    let before = names(f.keep.folder());
    for wrong in [Digest { sha256: [0; 32], ..digest }, Digest { bytes: digest.bytes - 1, ..digest }] {
        let e = f.store.put("a/b", &path, &wrong).await.unwrap_err();
        assert_eq!(e.kind(), Kind::Corrupt, "{e}");
    }
    assert_eq!(f.read("a/b", None).await.unwrap(), b"before");
    assert_eq!(names(f.keep.folder()), before, "no part is left");
}

/// Every file below a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut names: Vec<String> = entries
        .flat_map(|path| if path.is_dir() { names(&path) } else { vec![path.display().to_string()] })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_large_new_object_takes_nobodys_place() {
    let f = fixture().await;
    let (path, digest) = f.file(&media(17 << 20));
    assert!(f.store.put_new("a/b", &path, &digest).await.unwrap());
    assert!(!f.store.put_new("a/b", &path, &digest).await.unwrap());
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_an_empty_one() {
    let f = fixture().await;
    let store = S3Store::open(&place(&f.keep.url(), "another", SECRET)).await.unwrap();
    // Of an object in such a bucket this server says only that it is not there; others are asked in `on_a_real_server`.
    let e = store.list("news/", None, 9).await.unwrap_err();
    assert_eq!(e.kind(), Kind::TryLater, "{e}");
    assert_eq!(e.to_string(), "list s3://another/news/: bucket another is not there");
    let (path, digest) = f.file(b"x");
    assert!(!store.is_there().await.unwrap() && f.store.is_there().await.unwrap());
    store.create_bucket().await.unwrap();
    store.put("a/b", &path, &digest).await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_told_with_the_object_and_without_the_key() {
    let f = fixture().await;
    let store = S3Store::open(&place(&f.keep.url(), BUCKET, "hunter2")).await.unwrap();
    let (path, digest) = f.file(b"x");
    for e in [store.put("news/x", &path, &digest).await.unwrap_err(), store.head("news/x").await.unwrap_err()]
    {
        assert_eq!(e.kind(), Kind::Denied, "{e}");
        assert!(
            e.to_string().contains("s3://npvr-test/news/x: the secret key does not fit the access key"),
            "{e}"
        );
        assert!(e.remedy().unwrap().contains("s3.secret_key"), "{e}");
        assert!(!format!("{e} {e:?} {store:?}").contains("hunter2"), "{e:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_there_later() {
    let f = fixture().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = S3Store::open(&place(&format!("http://{closed}"), BUCKET, SECRET)).await.unwrap();
    let gone = ["a".to_owned()];
    let (looked, left) = futures_util::future::join(store.head("a"), store.delete(&gone)).await;
    let e = looked.unwrap_err();
    assert_eq!(e.kind(), Kind::TryLater);
    assert_eq!(e.to_string(), "look at s3://npvr-test/a: connection refused");
    assert_eq!(left[0].1.kind(), Kind::TryLater);
    drop(f);
}

#[tokio::test]
async fn a_url_is_what_the_reference_writes_and_a_signed_one_opens() {
    let f = fixture().await;
    let key = "scte35/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv";
    f.put(key, b"media").await;
    let url = f.store.url(key).unwrap().unwrap();
    assert_eq!(url.as_str(), format!("{}/{BUCKET}/{key}", f.keep.url()));
    let odd = f.store.url("a b/ü+1?#%.ismv").unwrap().unwrap();
    assert!(odd.as_str().ends_with("/npvr-test/a%20b/%C3%BC%2B1%3F%23%25.ismv"), "{odd}");
    let signed = f.store.presign(key, Duration::from_secs(60)).await.unwrap().unwrap();
    let client = reqwest_of_s3::Client::new();
    let fetched = client.get(signed.clone()).send().await.unwrap().error_for_status().unwrap();
    assert_eq!(fetched.bytes().await.unwrap(), "media");
    let other = signed.as_str().replace("13:00", "13:05").replace("13%3A00", "13%3A05");
    assert_eq!(client.get(other).send().await.unwrap().status(), 403);
    assert_eq!(client.get(url).send().await.unwrap().status(), 403, "nobody is let in without a signature");
    for wrong in [Duration::ZERO, Duration::from_secs(604_801)] {
        assert_eq!(f.store.presign(key, wrong).await.unwrap_err().kind(), Kind::Invalid);
    }
    let mut elsewhere = place("https://s3.eu-west-1.amazonaws.com", "my-bucket", SECRET);
    elsewhere.path_style = false;
    let store = S3Store::open(&elsewhere).await.unwrap();
    let url = store.url("a/b").unwrap().unwrap();
    assert_eq!(url.as_str(), "https://my-bucket.s3.eu-west-1.amazonaws.com/a/b");
}

#[tokio::test]
async fn a_bucket_is_tried_out_and_left_as_it_was() {
    let f = fixture().await;
    f.put("news/a", b"x").await;
    let found = f.store.probe("news/").await.unwrap();
    assert_eq!(found, Found { atomic_create: true, ahead_s: found.ahead_s });
    assert!(found.ahead_s.is_none_or(|s| s.abs() < 5), "{found:?}");
    let keys: Vec<_> = f.store.list("", None, 9).await.unwrap().into_iter().map(|o| o.key).collect();
    assert_eq!(keys, ["news/a"]);
}

#[tokio::test]
async fn a_server_that_cannot_list_uploads_has_none_to_sweep() {
    assert_eq!(fixture().await.store.sweep("news/", Time::MAX).await.unwrap(), 0);
}

/// A server that gives these answers, one after the other, whatever it is asked; and what it was asked.
fn scripted(answers: Vec<(u16, String)>) -> (S3, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (tell, asked) = std::sync::mpsc::channel();
    let place = place(&format!("http://{}", listener.local_addr().unwrap()), BUCKET, SECRET);
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = Vec::new();
            while head.last().is_none_or(|line: &String| !line.trim().is_empty()) {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                head.push(line);
            }
            let length = head
                .iter()
                .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            reader.take(length.unwrap_or(0)).read_to_end(&mut Vec::new()).unwrap();
            tell.send(head.remove(0)).unwrap();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    (place, asked)
}

/// A page of a listing, with what it says of its end.
fn page(keys: &[&str], end: &str) -> (u16, String) {
    let entry = |key: &&str| {
        format!(
            "<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-11-22T00:00:00.000Z</LastModified></Contents>"
        )
    };
    let entries: String = keys.iter().map(entry).collect();
    (200, format!("<ListBucketResult>{entries}{end}</ListBucketResult>"))
}

#[tokio::test]
async fn a_listing_goes_on_as_long_as_the_server_says_that_there_is_more() {
    const MORE: &str = "<IsTruncated>true</IsTruncated>";
    let with_token = format!("{MORE}<NextContinuationToken>t/1</NextContinuationToken>");
    let (place, asked) = scripted(vec![
        page(&["a", "b", "folder/", "x//y"], &with_token),
        page(&["c"], MORE),
        page(&["c", "d"], "<IsTruncated>false</IsTruncated>"),
        page(&[], MORE),
    ]);
    let store = S3Store::open(&place).await.unwrap();
    let keys: Vec<_> = store.list("", None, 100).await.unwrap().into_iter().map(|o| o.key).collect();
    assert_eq!(keys, ["a", "b", "c", "d"], "without what cannot be ours");
    let asked: Vec<String> = asked.iter().take(3).collect();
    assert!(asked[1].contains("continuation-token=t%2F1"), "{asked:?}");
    assert!(asked[2].contains("start-after=c"), "no token: from the last key on: {asked:?}");
    let e = store.list("", None, 100).await.unwrap_err();
    assert_eq!((e.kind(), e.gist()), (Kind::TryLater, "the listing does not come to its end"));
}

#[tokio::test]
async fn objects_go_one_by_one_where_a_server_cannot_delete_many() {
    let refusal = |code: &str| format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    let not_one = "<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
    let (place, _asked) = scripted(vec![
        (200, not_one.to_owned()),
        (501, refusal("NotImplemented")),
        (204, String::new()),
        (403, refusal("AccessDenied")),
    ]);
    let store = S3Store::open(&place).await.unwrap();
    for left_over in ["a", "b"] {
        let left = store.delete(&["a".to_owned(), "b".to_owned()]).await;
        let told: Vec<_> = left.iter().map(|(key, e)| (key.as_str(), e.kind())).collect();
        assert_eq!(told, [(left_over, Kind::Denied)], "{left:?}");
    }
}

/// The same on servers that run beside the tests: `tests/run --full` starts them, and says here where they are.
mod on_a_real_server {
    use super::*;

    /// A bucket of its own on the server of `NPVR_S3_ENDPOINT`, with its keys and region.
    async fn fixture() -> Fixture<S3Store, S3> {
        static MADE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let number = MADE.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let s3 = S3 {
            endpoint: variable("NPVR_S3_ENDPOINT").parse().unwrap(),
            bucket: format!("npvr-{}-{number}", std::process::id()),
            region: variable("NPVR_S3_REGION"),
            path_style: true,
            keys: S3Keys::Given {
                access: Secret::new(variable("NPVR_S3_ACCESS")),
                secret: Secret::new(variable("NPVR_S3_SECRET")),
                session: None,
            },
        };
        let store = S3Store::open(&s3).await.unwrap();
        assert!(!store.is_there().await.unwrap());
        store.create_bucket().await.unwrap();
        Fixture { store, spool: TempDir::new().unwrap(), keep: s3 }
    }

    store_suite!(fixture().await, ignore = "long: needs a server");

    #[test]
    #[ignore = "long: needs a server"]
    fn a_bucket_that_is_not_there_is_not_an_empty_one() {
        on_one_runtime(async {
            let f = fixture().await;
            let elsewhere = S3 { bucket: format!("{}-not", f.keep.bucket), ..f.keep.clone() };
            let store = S3Store::open(&elsewhere).await.unwrap();
            let (path, digest) = f.file(b"x");
            for e in [
                store.head("a/b").await.unwrap_err(),
                store.get("a/b", None).await.err().unwrap(),
                store.list("", None, 9).await.unwrap_err(),
                store.put("a/b", &path, &digest).await.unwrap_err(),
                store.put_new("a/b", &path, &digest).await.unwrap_err(),
                store.delete(&["a/b".to_owned()]).await.remove(0).1,
            ] {
                assert_eq!(e.kind(), Kind::TryLater, "{e}");
                assert!(e.to_string().ends_with("-not is not there"), "{e}");
            }
        });
    }

    #[test]
    #[ignore = "long: needs a server"]
    fn a_large_file_goes_in_parts_and_comes_back_whole() {
        on_one_runtime(async {
            let f = fixture().await;
            let content = media((17 << 20) + 1);
            let (path, digest) = f.file(&content);
            assert!(f.store.put_new("a/large", &path, &digest).await.unwrap());
            assert!(!f.store.put_new("a/large", &path, &digest).await.unwrap());
            f.store.put("a/large", &path, &digest).await.unwrap();
            assert!(f.read("a/large", None).await.unwrap() == content);
            let told = super::super::head(&f.store.bucket, "a/large").await.unwrap();
            assert_eq!(told.headers["x-amz-meta-sha256"], digest.hex());
            let wrong = Digest { sha256: [0; 32], ..digest };
            assert_eq!(f.store.put("a/large", &path, &wrong).await.unwrap_err().kind(), Kind::Corrupt);
            assert_eq!(f.store.sweep("a/", Time::MAX).await.unwrap(), 0, "that one was aborted");
        });
    }

    #[test]
    #[ignore = "long: needs a server"]
    fn stale_uploads_of_the_channel_are_aborted_and_no_others() {
        on_one_runtime(async {
            let f = fixture().await;
            let begin = async |key: &str| {
                let command = Command::InitiateMultipartUpload { content_type: "video/mp4" };
                Ask::new(&f.store.bucket, key, command).document().await.unwrap();
            };
            for key in ["news/a", "news/b", "news2/a"] {
                begin(key).await;
            }
            let now = crate::clock::now();
            // moto says that all of them were begun in 2010.
            if std::env::var("NPVR_S3_UPLOADS_SINCE").is_ok_and(|v| v == "yes") {
                assert_eq!(f.store.sweep("news/", now).await.unwrap(), 0, "somebody may be at work on them");
            }
            let later = now.plus(Duration::from_secs(90_000));
            assert_eq!(f.store.sweep("news/", later).await.unwrap(), 2);
            assert_eq!(f.store.sweep("news/", later).await.unwrap(), 0);
            assert_eq!(f.store.sweep("", later).await.unwrap(), 1);
        });
    }

    #[test]
    #[ignore = "long: needs a server"]
    fn a_bucket_is_tried_out_and_left_as_it_was() {
        on_one_runtime(async {
            let f = fixture().await;
            let found = f.store.probe("news/").await.unwrap();
            // Told by the script that starts the servers, for each kind.
            let atomic = std::env::var("NPVR_S3_ATOMIC").is_ok_and(|v| v == "yes");
            assert_eq!(found.atomic_create, atomic);
            assert_eq!(f.store.list("", None, 9).await.unwrap(), []);
        });
    }

    #[test]
    #[ignore = "long: needs a server"]
    fn a_signed_url_opens() {
        on_one_runtime(async {
            let f = fixture().await;
            let key = "scte35/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv";
            f.put(key, b"media").await;
            let signed = f.store.presign(key, Duration::from_secs(60)).await.unwrap().unwrap();
            let fetched =
                reqwest_of_s3::Client::new().get(signed).send().await.unwrap().error_for_status().unwrap();
            assert_eq!(fetched.bytes().await.unwrap(), "media");
        });
    }
}
