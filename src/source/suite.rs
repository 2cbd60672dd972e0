//! What every adapter promises, tried against a server that misbehaves on demand.
//!
//! The server is a few lines over a socket, so that it can do what no server library lets one do: lie about lengths,
//! stop in the middle, never end.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::time::Time;

const ARCHIVE: &str = r#"<smil><head><meta name="updated" content="2024-09-04T07:30:30Z"/></head><body><switch>
    <video systemBitrate="1000000"><c start="2024-09-04T07:30:00Z" end="2024-09-04T07:30:20Z"/></video>
    <audio systemBitrate="69000" systemLanguage="en"><c start="2024-09-04T07:30:01Z" end="2024-09-04T07:30:21Z"/></audio>
    </switch></body></smil>"#;

const MPD: &str = r#"<MPD type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z">
    <UTCTiming schemeIdUri="urn:mpeg:dash:utc:direct:2014" value="2024-09-04T07:30:30Z"/>
    <Period start="PT0S"><AdaptationSet mimeType="video/mp4">
    <SegmentTemplate timescale="1" initialization="i-$RepresentationID$" media="v-$Time$">
      <SegmentTimeline><S t="1725435000" d="2" r="9"/></SegmentTimeline></SegmentTemplate>
    <Representation id="video=1000000" bandwidth="1000000" codecs="avc1.4d401f"/></AdaptationSet>
    <AdaptationSet mimeType="audio/mp4" lang="en"><SegmentTemplate timescale="1" initialization="ai" media="a-$Time$">
      <SegmentTimeline><S t="1725435001" d="2" r="9"/></SegmentTimeline></SegmentTemplate>
    <Representation id="audio=69000" bandwidth="69000"/></AdaptationSet></Period></MPD>"#;

/// What the server does with a request for a path.
#[derive(Clone)]
enum Act {
    /// Answers with these bytes, `head` and all.
    Raw(Vec<u8>),
    /// Closes the connection with a reset, without a word.
    Reset,
    /// Sends a head, and then bytes without an end.
    Endless,
    /// Sends a head, and then nothing.
    Silent,
}

fn ok(body: impl AsRef<[u8]>) -> Act {
    answer("200 OK", "", body)
}

fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Act {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    Act::Raw([head.as_bytes(), body].concat())
}

/// A server with a script: per path, what it does the first, the second, … and from then on the last time.
struct Server {
    url: Url,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(script: &[(&str, &[Act])]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let script: HashMap<String, Vec<Act>> =
            script.iter().map(|(p, a)| (p.to_string(), a.to_vec())).collect();
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Server { url, seen }
    }

    fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }

    /// The heads of all requests for a path.
    fn heads(&self, path: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|h| path_of(h) == path).cloned().collect()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn path_of(head: &str) -> &str {
    head.split(' ').nth(1).and_then(|p| p.split('?').next()).unwrap_or_default()
}

async fn serve(mut socket: TcpStream, script: Arc<HashMap<String, Vec<Act>>>, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let times = {
        let mut seen = seen.lock().unwrap();
        seen.push(head.clone());
        seen.iter().filter(|h| path_of(h) == path_of(&head)).count()
    };
    let acts = script.get(path_of(&head)).map(Vec::as_slice).unwrap_or_default();
    let act = acts.get(times - 1).or(acts.last()).cloned().unwrap_or(answer("404 Not Found", "", ""));
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";
    // The client may be gone already: that is its right.
    match act {
        Act::Raw(bytes) => drop(socket.write_all(&bytes).await),
        Act::Reset => drop(socket.set_zero_linger()),
        Act::Silent => {
            let _ = socket.write_all(HEAD).await;
            let _ = socket.read_u8().await;
        }
        Act::Endless => {
            let _ = socket.write_all(HEAD).await;
            while socket.write_all(&[b' '; 1 << 16]).await.is_ok() {}
        }
    }
}

fn options() -> Options {
    Options {
        username: Some("joe".into()),
        password: Some(Secret::new("hunter2")),
        headers: vec![("X-Token".into(), Secret::new("s3cr3t"))],
        read_timeout: Duration::from_millis(400),
        ..Options::default()
    }
}

fn dash(server: &Server, path: &str) -> Box<dyn Source> {
    open(SourceKind::Dash, &server.at(path), options()).unwrap()
}

async fn fetch(source: &dyn Source, url: Url) -> Result<Bytes> {
    source.fetch(&Resource { url, bytes: None }, 1_000).await
}

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

#[tokio::test]
async fn both_kinds_of_source_tell_the_same_of_one_channel() {
    let script: &[(&str, &[Act])] = &[("/ch.isml/archive", &[ok(ARCHIVE)]), ("/ch.isml/.mpd", &[ok(MPD)])];
    let server = Server::start(script).await;
    let unified = open(SourceKind::Unified, &server.at("/ch.isml"), options()).unwrap();
    let dash = dash(&server, "/ch.isml/.mpd");
    let range = Range::new(at("2024-09-04T07:30:04Z"), at("2024-09-04T07:30:08Z"));
    let (a, b) = (unified.timeline().await.unwrap(), dash.timeline().await.unwrap());
    assert_eq!(server.heads("/ch.isml/archive").len(), 1);
    assert_eq!(server.count(), 2, "one request a timeline");
    assert_eq!(a.span(), b.span());
    let names = |t: &Timeline| t.tracks.iter().map(|t| t.track.name()).collect::<Vec<_>>();
    assert_eq!(names(&a), ["video=1000000", "audio=69000"]);
    assert_eq!(names(&a), names(&b));
    let (a, b) = (unified.list(range).await.unwrap(), dash.list(range).await.unwrap());
    assert_eq!(server.count(), 3, "a fresh manifest is not fetched again");
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((&a.track, &a.segments, &a.inits), (&b.track, &b.segments, &b.inits));
        assert_eq!(a.segments.len(), 2);
        assert!(a.held.covers(range));
    }
    let asked = server.heads("/ch.isml/.mpd").pop().unwrap();
    assert!(asked.contains("?vbegin=2024-09-04T07:29:54Z&vend=2024-09-04T07:30:18Z "), "{asked}");
    let again = unified.timeline().await.unwrap();
    assert_eq!(again.tracks[0].settle, Duration::from_secs(4), "two segments, once a manifest was seen");
    assert_eq!(again.tracks[0].track.codecs.as_deref(), Some("avc1.4d401f"));
}

#[tokio::test]
async fn a_track_that_the_manifest_lacks_is_listed_as_holding_nothing() {
    let mpd = MPD.replace("audio=69000", "other").replace("69000", "5");
    let script: &[(&str, &[Act])] = &[("/ch.isml/archive", &[ok(ARCHIVE)]), ("/ch.isml/.mpd", &[ok(&mpd)])];
    let server = Server::start(script).await;
    let mut options = options();
    options.filter = Some("(type!=\"meta\")&&a".into());
    options.minimum_fragment_length = Some("384/100".into());
    let unified = open(SourceKind::Unified, &server.at("/ch.isml/?k=v"), options).unwrap();
    let range = Range::new(at("2024-09-04T07:30:04Z"), at("2024-09-04T07:30:08Z"));
    let listed = unified.list(range).await.unwrap();
    let seen: Vec<_> = listed.iter().map(|l| (l.track.name(), l.segments.len())).collect();
    assert_eq!(seen, [("video=1000000".into(), 2), ("audio=69000".into(), 0), ("audio=other".into(), 2)]);
    let asked = server.heads("/ch.isml/.mpd").pop().unwrap();
    assert!(asked.contains("?k=v&vbegin="), "{asked}");
    assert!(
        asked.contains("&filter=(type!=%22meta%22)%26%26a&mpd_minimum_fragment_length=384/100 "),
        "{asked}"
    );
    assert!(unified.timeline().await.unwrap().notes.iter().any(|n| n.contains("audio=69000")));
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_is_gone_is_not() {
    let short = Act::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec());
    let busy = answer("503 Service Unavailable", "Retry-After: 0\r\n", "");
    let script: &[(&str, &[Act])] = &[
        ("/short", &[short.clone(), ok("whole")]),
        ("/reset", &[Act::Reset, ok("whole")]),
        ("/silent", &[Act::Silent, ok("whole")]),
        ("/busy", &[busy.clone(), answer("429 Too Many Requests", "", ""), ok("whole")]),
        ("/empty", &[ok(""), ok("whole")]),
        ("/always", &[short]),
        ("/403", &[answer("403 Forbidden", "", "")]),
        ("/410", &[answer("410 Gone", "", "")]),
        ("/401", &[answer("401 Unauthorized", "", "")]),
    ];
    let server = Server::start(script).await;
    let source = dash(&server, "/m.mpd");
    // At once, since each waits between its tries.
    let passing = ["/short", "/reset", "/silent", "/busy", "/empty"].map(async |path| {
        assert_eq!(fetch(&*source, server.at(path)).await.unwrap(), "whole", "{path}");
    });
    futures_util::future::join_all(passing).await;
    for path in ["/403", "/404", "/410"] {
        let error = fetch(&*source, server.at(path)).await.unwrap_err();
        assert_eq!((error.kind(), server.heads(path).len()), (Kind::Expired, 1), "{path}");
    }
    let error = fetch(&*source, server.at("/401")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.remedy().unwrap().contains("username"));
    let error = fetch(&*source, server.at("/always")).await.unwrap_err();
    assert_eq!((error.kind(), server.heads("/always").len()), (Kind::TryLater, 4), "{error}");
}

#[tokio::test]
async fn a_part_of_a_file_is_fetched_as_such() {
    let part = answer("206 Partial Content", "Content-Range: bytes 2-5/9\r\n", "part");
    let server = Server::start(&[("/part", &[part]), ("/whole", &[ok("the whole")])]).await;
    let source = dash(&server, "/m.mpd");
    let fetch = |path| {
        let what = Resource { url: server.at(path), bytes: Some((2, 5)) };
        let source = &source;
        async move { source.fetch(&what, 0).await }
    };
    assert_eq!(fetch("/part").await.unwrap(), "part");
    assert!(server.heads("/part")[0].contains("range: bytes=2-5"));
    assert_eq!(fetch("/whole").await.unwrap_err().kind(), Kind::Unsupported);
}

#[tokio::test]
async fn no_answer_is_larger_than_its_limit() {
    let bomb = gzip(&vec![b' '; 65 << 20]);
    let lie = Act::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000000\r\n\r\nhello".to_vec());
    let script: &[(&str, &[Act])] = &[
        ("/endless.mpd", &[Act::Endless]),
        ("/bomb.mpd", &[answer("200 OK", "Content-Encoding: gzip\r\n", bomb)]),
        ("/lie", &[lie]),
    ];
    let server = Server::start(script).await;
    for path in ["/endless.mpd", "/bomb.mpd"] {
        let error = dash(&server, path).timeline().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().ends_with("larger than 64 MiB"), "{error}");
    }
    let error = fetch(&*dash(&server, "/m.mpd"), server.at("/lie")).await.unwrap_err();
    assert!(error.to_string().ends_with("larger than 256 MiB"), "{error}");
}

#[tokio::test]
async fn a_compressed_manifest_is_read_and_its_base_is_where_it_came_from() {
    let elsewhere = answer("302 Found", "Location: /cdn/x.mpd?s=1\r\n", "");
    let packed = answer("200 OK", "Content-Encoding: gzip\r\n", gzip(MPD.as_bytes()));
    let server = Server::start(&[("/m.mpd", &[elsewhere]), ("/cdn/x.mpd", &[packed])]).await;
    let source = dash(&server, "/m.mpd");
    let listed = source.list(Range::new(Time::EPOCH, Time::MAX)).await.unwrap();
    assert_eq!(listed[0].segments[0].media.url, server.at("/cdn/v-1725435000"));
    assert!(server.heads("/cdn/x.mpd")[0].contains("accept-encoding: gzip"));
}

#[tokio::test]
async fn credentials_go_to_the_channels_own_origin_only() {
    let other = Server::start(&[("/seg", &[ok("media")]), ("/x.mpd", &[ok(MPD)])]).await;
    let away = answer("307 Temporary Redirect", &format!("Location: {}\r\n", other.at("/x.mpd")), "");
    let server = Server::start(&[("/m.mpd", &[away]), ("/seg", &[ok("media")])]).await;
    let source = dash(&server, "/m.mpd");
    source.timeline().await.unwrap();
    for url in [server.at("/seg"), other.at("/seg")] {
        fetch(&*source, url).await.unwrap();
    }
    let basic = "authorization: Basic am9lOmh1bnRlcjI=";
    for head in [&server.heads("/m.mpd")[0], &server.heads("/seg")[0]] {
        assert!(head.contains(basic) && head.contains("x-token: s3cr3t"), "{head}");
        assert!(head.contains("user-agent: npvr/"), "{head}");
    }
    for head in [&other.heads("/x.mpd")[0], &other.heads("/seg")[0]] {
        assert!(!head.to_lowercase().contains("authorization") && !head.contains("s3cr3t"), "{head}");
    }
    // The user of a URL is the user of the channel.
    let mut url = server.at("/seg");
    url.set_username("joe").unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let source = open(SourceKind::Dash, &url, Options::default()).unwrap();
    fetch(&*source, server.at("/seg")).await.unwrap();
    assert!(server.heads("/seg")[1].contains(basic));
}

#[tokio::test]
async fn errors_name_the_url_and_no_secret() {
    let loops = answer("302 Found", "Location: /loop.mpd\r\n", "");
    let script: &[(&str, &[Act])] = &[
        ("/html.mpd", &[ok("<!DOCTYPE html><html><body>Log in</body></html>")]),
        ("/binary.mpd", &[ok([0xff, 0xfe, 0x00])]),
        ("/loop.mpd", &[loops]),
        ("/401.mpd", &[answer("401 Unauthorized", "", "")]),
        ("/x.isml/archive", &[ok("<smil/>")]),
    ];
    let server = Server::start(script).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = format!("http://{closed}/m.mpd?token=s3cr3t");
    let cases = [
        (server.at("/html.mpd?token=s3cr3t"), Kind::Invalid, "HTML"),
        (server.at("/binary.mpd?token=s3cr3t"), Kind::Invalid, "not UTF-8"),
        (server.at("/loop.mpd"), Kind::Invalid, "redirects"),
        (server.at("/401.mpd?token=s3cr3t"), Kind::Denied, "401 Unauthorized"),
        (server.at("/404.mpd?token=s3cr3t"), Kind::NotFound, "404 Not Found"),
        (server.at("/x.isml?token=s3cr3t"), Kind::Invalid, "no track"),
        (Url::parse(&refused).unwrap(), Kind::TryLater, "connection refused"),
        (Url::parse("http://no-such-host.invalid/?s3cr3t").unwrap(), Kind::TryLater, "cannot be resolved"),
    ];
    // At once: those that may pass are each tried for some seconds.
    futures_util::future::join_all(cases.map(async |(url, kind, why)| {
        let source = open(SourceKind::of(&url).unwrap(), &url, options()).unwrap();
        let error = source.timeline().await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert_eq!(error.kind(), kind, "{shown}");
        assert!(error.to_string().contains(why), "{shown}");
        assert!(error.to_string().starts_with("fetch http://"), "{shown}");
        assert!(!shown.contains("s3cr3t") && !shown.contains("hunter2"), "{shown}");
    }))
    .await;
    assert!(!format!("{:?}", options()).contains("hunter2"));
}

#[tokio::test]
async fn the_clock_of_the_source_counts() {
    let no_direct = |value: &str| MPD.replace("direct:2014\" value=\"2024-09-04T07:30:30Z", value);
    let asked = no_direct("http-iso:2014\" value=\"/time");
    let head = no_direct("http-head:2014\" value=\"/time");
    let ntp = no_direct("ntp:2014\" value=\"ntp.example");
    let date = "Date: Wed, 04 Sep 2024 08:00:00 GMT\r\n";
    let script: &[(&str, &[Act])] = &[
        ("/direct.mpd", &[answer("200 OK", date, MPD)]),
        ("/iso.mpd", &[answer("200 OK", date, asked)]),
        ("/head.mpd", &[answer("200 OK", "", head)]),
        ("/date.mpd", &[answer("200 OK", date, ntp)]),
        ("/time", &[answer("200 OK", "Date: Wed, 04 Sep 2024 10:00:00 GMT\r\n", "2024-09-04T09:00:00Z")]),
    ];
    let server = Server::start(script).await;
    for (path, wanted) in [
        ("/direct.mpd", "2024-09-04T07:30:30Z"),
        ("/iso.mpd", "2024-09-04T09:00:00Z"),
        ("/head.mpd", "2024-09-04T10:00:00Z"),
        ("/date.mpd", "2024-09-04T08:00:00Z"),
    ] {
        let source = dash(&server, path);
        let timeline = source.timeline().await.unwrap();
        assert!(
            timeline.now.since(at(wanted)) < Duration::from_secs(5) && timeline.now >= at(wanted),
            "{path}"
        );
        assert!(timeline.notes.iter().any(|n| n.contains("clock")), "{path}");
        let before = server.heads("/time").len();
        source.timeline().await.unwrap();
        assert_eq!(server.heads("/time").len(), before, "a time server is asked once");
    }
}

#[test]
fn the_kind_of_a_source_is_seen_from_its_url() {
    let of = |url: &str| SourceKind::of(&Url::parse(url).unwrap());
    assert_eq!(of("http://h/a/b.isml").unwrap(), SourceKind::Unified);
    assert_eq!(of("http://h/a/b.isml/").unwrap(), SourceKind::Unified);
    assert_eq!(of("http://h/a/b.isml/.mpd").unwrap(), SourceKind::Dash);
    assert_eq!(of("http://h/a.m3u8").unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(of("http://h/a.isml/Manifest").unwrap_err().kind(), Kind::Unsupported);
    let ftp = Url::parse("ftp://h/a").unwrap();
    assert_eq!(open(SourceKind::Dash, &ftp, Options::default()).err().unwrap().kind(), Kind::Config);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}
