//! Where the bytes of playback come from: chunks on a disk, in a bucket through npvr, in a bucket that players are sent to; and
//! who gets them.
//!
//! A chunk here is any bytes with a row in the ledger: what is served is not looked into.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod readers;
mod signed;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use common::home::Home;
use common::s3::BUCKET;
use common::serving::Serving;
use common::{PATIENCE, Site};
use npvr::grid::Cell;
use npvr::ledger::{Coverage, Ledger, Stored};
use npvr::time::{Range, Time};
use sha2::{Digest, Sha256};

/// What was answered.
#[derive(Debug)]
struct Said {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Said {
    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// A header, by its name in small letters; nothing where there is none.
    fn header(&self, name: &str) -> &str {
        let of = |line: &&str| line.split_once(": ").is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        self.headers.lines().find(of).map_or("", |line| line.split_once(": ").unwrap().1)
    }
}

/// Begins to ask a server, with these lines besides.
fn begin(authority: &str, method: &str, target: &str, more: &[&str]) -> TcpStream {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
    let host = authority.split('@').next().unwrap();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n").unwrap();
    stream
}

/// Asks a server, and takes the whole answer.
#[track_caller]
fn ask(authority: &str, method: &str, target: &str, more: &[&str]) -> Said {
    let mut answer = Vec::new();
    // Nothing here is longer.
    begin(authority, method, target, more).take(256 << 20).read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Said { status, headers, body: answer[end + 4..].to_vec() }
}

/// An archive whose one chunk is of `bytes` bytes, and its server.
struct Stage {
    home: Home,
    site: Site,
    server: Serving,
    cell: Cell,
    bytes: Vec<u8>,
}

impl Stage {
    /// `more` are lines of the channel file, before those of its store.
    fn new(home: Home, more: &str, bytes: usize, coverage: Coverage) -> Stage {
        let site = Site::new();
        site.channel("news", "http://127.0.0.1:1/news.isml", &format!("{more}\n{}", home.lines()));
        let cell = Cell::from_range(Range::new(Time::from_s(1_544_100_900), Time::from_s(1_544_100_910)));
        fs::create_dir_all(site.archive()).unwrap();
        fs::write(site.archive().join(".npvr-store"), "").unwrap();
        // Bytes that tell where they are from.
        let bytes: Vec<u8> = (0..bytes.div_ceil(8) as u64).flat_map(u64::to_le_bytes).take(bytes).collect();
        let server = Serving::start(&site, &[]);
        let stage = Stage { home, site, server, cell, bytes };
        stage.write(&stage.bytes);
        let (ledger, now) = (stage.site.ledger(), npvr::clock::now());
        ledger.open_channel("news", cell.start(), now).unwrap();
        assert!(ledger.adopt("news", cell, &stage.row(coverage), &[], &[], now).unwrap());
        stage
    }

    /// The row of its chunk.
    fn row(&self, coverage: Coverage) -> Stored {
        let sha256 = Sha256::digest(&self.bytes).into();
        Stored { coverage, key: self.cell.key("news"), bytes: self.bytes.len() as u64, sha256 }
    }

    /// The file of its chunk.
    fn file(&self) -> PathBuf {
        let folder = match &self.home {
            Home::Disk => self.site.archive(),
            Home::Bucket(server) => server.folder().join(BUCKET),
        };
        folder.join(self.cell.key("news"))
    }

    fn write(&self, bytes: &[u8]) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), bytes).unwrap();
    }

    /// The path of its chunk.
    fn path(&self) -> String {
        format!("/chunk/{}", self.cell.key("news"))
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str, more: &[&str]) -> Said {
        ask(&self.server.authority, method, target, more)
    }

    /// Asks for its chunk.
    #[track_caller]
    fn get(&self, more: &[&str]) -> Said {
        self.ask("GET", &self.path(), more)
    }
}

/// Two stores, each of which npvr itself serves.
fn served(bytes: usize, coverage: Coverage) -> Vec<Stage> {
    let serve = |home| Stage::new(home, "[playback]\nmedia = \"serve\"", bytes, coverage);
    Home::both().into_iter().map(serve).collect()
}

#[test]
fn a_chunk_is_served_whole_and_in_parts_wherever_it_is() {
    for stage in served(100_000, Coverage::Complete) {
        let whole = stage.get(&[]);
        assert_eq!((whole.status, whole.header("cache-control")), (200, "max-age=86400"));
        assert_eq!((whole.header("accept-ranges"), whole.header("content-type")), ("bytes", "video/mp4"));
        assert!(whole.body == stage.bytes && whole.header("last-modified").ends_with(" GMT"));
        let tag = whole.header("etag");
        for (range, from, to) in
            [("0-99", 0, 100), ("99990-", 99_990, 100_000), ("-7", 99_993, 100_000), ("5-999999", 5, 100_000)]
        {
            let said = stage.get(&[&format!("Range: bytes={range}"), &format!("If-Range: {tag}")]);
            assert_eq!(said.status, 206, "{range}");
            assert!(said.body == stage.bytes[from..to], "{range}");
            assert_eq!(said.header("content-range"), format!("bytes {from}-{}/100000", to - 1));
            assert_eq!(said.header("content-length"), (to - from).to_string());
            assert_eq!(said.header("etag"), tag);
        }
        for nonsense in ["bytes=5-4", "bytes=-", "bytes=a-b", "bytes=0-1,4-5", "lines=0-1", "bytes"] {
            let said = stage.get(&[&format!("Range: {nonsense}")]);
            assert!(said.status == 200 && said.body == stage.bytes, "{nonsense}: {}", said.headers);
        }
        for nothing in ["bytes=100000-", "bytes=100000-200000", "bytes=-0"] {
            let said = stage.get(&[&format!("Range: {nothing}")]);
            assert_eq!((said.status, said.header("content-range")), (416, "bytes */100000"), "{nothing}");
        }
        let other = stage.get(&["Range: bytes=0-1", "If-Range: \"other\""]);
        assert!(other.status == 200 && other.body == stage.bytes, "it has changed since its first part");
        let known = stage.get(&[&format!("If-None-Match: {tag}"), "Range: bytes=0-1"]);
        assert_eq!((known.status, known.body.len()), (304, 0));
        let head = stage.ask("HEAD", &stage.path(), &["Range: bytes=0-1"]);
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "100000", 0));
        assert_eq!(head.header("etag"), tag);
    }
}

#[test]
fn players_are_sent_to_the_bucket_and_get_their_part_there() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut stage = Stage::new(Home::Bucket(common::s3::S3Server::start()), "", 100_000, Coverage::Complete);
    stage.server = Serving::start(&stage.site, &["--access-log", log.path().to_str().unwrap()]);
    let range = "Range: bytes=1000-1999";
    let sent = stage.get(&[range]);
    let url = sent.header("location");
    assert_eq!((sent.status, sent.header("content-length")), (302, "0"), "{}", sent.headers);
    assert!(url.contains("X-Amz-Signature="), "{url}");
    assert_eq!(sent.header("access-control-allow-origin"), "*", "pages of other sites play it");
    // What is kept of it is used up before the URL is.
    let (kept, good) = (sent.header("cache-control"), url.split("X-Amz-Expires=").nth(1).unwrap());
    let kept: u32 = kept.strip_prefix("private, max-age=").unwrap().parse().unwrap();
    let good: u32 = good.split('&').next().unwrap().parse().unwrap();
    assert!(0 < kept && kept * 2 <= good, "{kept} {good}");
    // As players do: with the same headers.
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let part = ask(authority, "GET", &format!("/{path}"), &[range]);
    assert_eq!(part.status, 206, "{}", part.headers);
    assert!(part.body == stage.bytes[1_000..2_000]);
    // The same for a while, so that what was kept of it is of use.
    assert_eq!(stage.get(&["Range: bytes=5000-5999"]).header("location"), url);
    let head = stage.ask("HEAD", &stage.path(), &[]);
    assert_eq!(
        (head.status, head.header("content-length"), head.header("accept-ranges")),
        (200, "100000", "bytes")
    );
    let signature = url.split("X-Amz-Signature=").nth(1).unwrap().split('&').next().unwrap();
    let ran = stage.server.stop().expect(0);
    let said = format!("{}{}{}", ran.stdout, ran.stderr, fs::read_to_string(log.path()).unwrap());
    assert!(said.contains("/chunk/news/") && !said.contains(signature), "{said}");
}

#[test]
fn a_chunk_that_is_being_replaced_is_to_be_asked_for_in_a_moment_and_one_that_was_changed_is_told() {
    for stage in served(10_000, Coverage::Partial) {
        let ledger = stage.site.ledger();
        let spoilt = |status: u16, words: &str| {
            for range in [&[][..], &["Range: bytes=0-9"], &["Range: bytes=9990-"]] {
                let said = stage.get(range);
                assert_eq!(said.status, status, "{}: {}", said.headers, said.text());
                assert!(said.text().contains(words), "{}", said.text());
                assert_eq!(said.header("retry-after"), if status == 503 { "1" } else { "" });
            }
        };
        assert_eq!((stage.get(&[]).status, stage.get(&[]).header("cache-control")), (200, "max-age=10"));
        // Longer, or shorter, than the row says.
        for bytes in [12_000, 9_990] {
            stage.write(&vec![1; bytes]);
            spoilt(500, "npvr verify news");
        }
        ledger.claim("news", stage.cell, "native", npvr::clock::now(), "host", 1).unwrap();
        for bytes in [12_000, 9_990] {
            stage.write(&vec![1; bytes]);
            spoilt(503, "it is being replaced");
        }
        stage.write(&stage.bytes);
        assert_eq!(stage.get(&[]).status, 200, "while it has not been replaced, it is what it was");
    }
}

#[test]
fn a_bucket_that_is_away_is_told_and_a_chunk_that_is_gone_is_not_there() {
    for stage in served(10_000, Coverage::Complete) {
        stage.home.set_away(&stage.site, true);
        let said = stage.get(&[]);
        assert_eq!(said.status, 503, "{}: {}", said.headers, said.text());
        assert!(!said.text().contains(common::s3::SECRET), "{}", said.text());
        stage.home.set_away(&stage.site, false);
        assert_eq!(stage.get(&[]).status, 200);
        fs::remove_file(stage.file()).unwrap();
        assert_eq!(stage.get(&[]).status, 404);
        assert_eq!(stage.get(&["Range: bytes=0-9"]).status, 404);
    }
}
