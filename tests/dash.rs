//! DASH as ffmpeg plays it: the real server, over an archive of a simulated channel. What browsers make of it is another test's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use common::live::{CELL_S, Live, for_media};
use common::serving::Serving;
use common::{PATIENCE, Ran, Site, finish};
use npvr::sim::{Fault, FaultKind};
use npvr::time::{Range, Time};
use serde_json::Value;

/// The most of an answer that is read, in bytes.
const MOST: u64 = 16 << 20;
/// Pictures and frames of sound a second.
const PICTURES: i64 = 25;

/// An archive of cells of ten seconds, and its server.
struct Stage {
    live: Live,
    site: Site,
    server: Serving,
}

/// What was answered.
struct Said {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Said {
    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// All values of an attribute, in order.
    fn all(&self, name: &str) -> Vec<&str> {
        let name = format!(" {name}=\"");
        self.text().split(name.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }
}

impl Stage {
    /// So many whole cells of `news`.
    fn of(cells: i64, faults: impl FnOnce(&Live) -> Vec<Fault>) -> Stage {
        let (live, site) = (Live::holding(cells), Site::new());
        live.set_faults(faults(&live));
        site.channel("news", live.url("news"), "");
        let code = site.check().code;
        assert!(matches!(code, Some(0 | 3)), "{code:?}");
        let server = Serving::start(&site, &[]);
        Stage { live, site, server }
    }

    fn ask(&self, method: &str, target: &str) -> Said {
        let mut stream = TcpStream::connect(&self.server.authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = &self.server.authority;
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.take(MOST).read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let headers = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Said { status, headers, body: answer[end + 4..].to_vec() }
    }

    fn get(&self, target: &str) -> Said {
        self.ask("GET", target)
    }

    /// From so many milliseconds after the start of the `n`th cell before the end, so many milliseconds long.
    fn range(&self, n: i64, from_ms: i64, long_ms: i64) -> Range {
        let start = self.live.end().s() * 1_000 - n * CELL_S * 1_000 + from_ms;
        Range::new(Time::from_ns(start * 1_000_000), Time::from_ns((start + long_ms) * 1_000_000))
    }

    fn tool(&self, tool: &str, path: &str, args: &[&str]) -> Ran {
        let mut command = Command::new(tool);
        let url = format!("http://{}{path}", self.server.authority);
        command.args(["-v", "warning", "-i", &url]).args(args);
        finish(command)
    }

    /// Decodes all of every track without a word, and says of each how it begins, in microseconds since the Unix epoch, and how many
    /// frames it has.
    #[track_caller]
    fn decoded(&self, path: &str) -> Vec<(String, i64, i64)> {
        self.tool("ffmpeg", path, &["-map", "0", "-fps_mode", "passthrough", "-f", "null", "-"])
            .expect_silence();
        let entries = "stream=codec_type,start_time,nb_read_frames";
        let ran =
            self.tool("ffprobe", path, &["-count_frames", "-show_entries", entries, "-of", "json"]).expect(0);
        assert_eq!(ran.stderr, "");
        let of = |stream: &Value| {
            let text = |name: &str| stream[name].as_str().unwrap().to_owned();
            let us = text("start_time").replace('.', "").parse().unwrap();
            (text("codec_type"), us, text("nb_read_frames").parse().unwrap())
        };
        ran.json()["streams"].as_array().unwrap().iter().map(of).collect()
    }
}

/// Segments of pictures begin at multiples of 1.92 s. From the one that holds the start to the one that holds the end.
fn segments(range: Range) -> (i64, i64) {
    let n = |at: Time| at.ns().div_euclid(1_920_000_000);
    (n(range.start), n(Time::from_ns(range.end.ns() - 1)) + 1)
}

#[test]
fn ffmpeg_decodes_every_frame_of_a_range_across_chunks_in_either_form() {
    let stage = Stage::of(4, |_| Vec::new());
    let range = stage.range(3, 3_700, 17_400);
    let (first, last) = segments(range);
    for path in [
        format!("/dash/news/{range}.mpd"),
        format!("/news/{range}.mpd"),
        format!("/dash/news/{range}.mpd?segments=list"),
    ] {
        let tracks = stage.decoded(&path);
        assert_eq!(tracks.len(), 4, "{path}");
        for (medium, start_us, frames) in tracks {
            if medium == "video" {
                assert_eq!((start_us, frames), (first * 1_920_000, (last - first) * 48), "{path}");
            } else {
                // Frames of sound last 21.3 ms, and segments of it begin with the first within those of pictures.
                let expected = (last - first) * 90;
                assert!(
                    (frames - expected).abs() <= 2 && (start_us - first * 1_920_000).abs() < 43_000,
                    "{path}"
                );
            }
        }
        let said = stage.get(&path);
        assert!(said.headers.contains("content-type: application/dash+xml\r\n"), "{}", said.headers);
        assert!(said.headers.contains("cache-control: max-age=86400\r\n"), "{}", said.headers);
        assert_eq!(said.all("mediaPresentationDuration"), ["PT17.4S"]);
        assert_eq!(said.all("frameRate"), ["25"; 2]);
        assert_eq!(PICTURES * 1_920 / 1_000, 48);
    }
}

#[test]
fn a_gap_is_left_out_or_kept_and_ranges_are_joined() {
    let stage = Stage::of(5, |live| vec![for_media(FaultKind::Gap, live.cell_before_end(2))]);
    let range = stage.range(4, 1_000, 38_000);
    let skipped = stage.get(&format!("/dash/news/{range}.mpd"));
    assert!(skipped.headers.contains("x-npvr-gaps: "), "{}", skipped.headers);
    let kept = stage.get(&format!("/dash/news/{range}.mpd?gaps=mark"));
    let [first, second] = kept.all("start")[..] else { panic!("{}", kept.text()) };
    assert_eq!(first, "PT0S");
    let gap_s = npvr::time::parse_duration(second).unwrap().as_secs();
    assert!((19..=31).contains(&gap_s), "{second}");
    assert_eq!(kept.all("mediaPresentationDuration"), ["PT38S"]);
    assert_eq!(skipped.all("start").len(), 2);
    let failed = stage.get(&format!("/dash/news/{range}.mpd?gaps=fail"));
    assert_eq!(failed.status, 409, "{}", failed.text());
    let (a, b) = (stage.range(1, 0, 3_000), stage.range(1, 5_000, 4_500));
    let joined = stage.get(&format!("/dash/news/{b},{a}.mpd"));
    assert_eq!(
        (joined.all("start"), joined.all("mediaPresentationDuration")),
        (vec!["PT0S", "PT4.5S"], vec!["PT7.5S"])
    );
    // ffmpeg plays one period, the longest.
    let (first, last) = segments(b);
    let tracks = stage.decoded(&format!("/dash/news/{b},{a}.mpd"));
    assert!(tracks.iter().any(|(medium, _, frames)| medium == "video" && *frames == (last - first) * 48));
}

#[test]
fn a_segment_is_the_bytes_of_its_fragment_and_no_other_is_there() {
    let stage = Stage::of(3, |_| Vec::new());
    let range = stage.range(2, 0, 10_000);
    let list = stage.get(&format!("/dash/news/{range}.mpd?segments=list"));
    let template = stage.get(&format!("/dash/news/{range}.mpd"));
    let first: i64 = template.all("t")[0].parse().unwrap();
    let folder = format!("/dash/news/{range}/1");
    let segment = stage.get(&format!("{folder}/{first}.m4s"));
    let (key, bytes) = (list.all("media")[0].trim_start_matches("../"), list.all("mediaRange")[0]);
    let (from, to) = bytes.split_once('-').unwrap();
    let chunk = stage.get(&format!("/{key}")).body;
    assert!(segment.body == chunk[from.parse().unwrap()..=to.parse().unwrap()], "{key} {bytes}");
    assert!(
        segment.headers.contains("etag: \"") && segment.headers.contains("access-control-allow-origin: *")
    );
    assert!(
        segment.headers.contains(&format!("content-length: {}\r\n", segment.body.len())),
        "{}",
        segment.headers
    );
    // What a browser rounds is found; what lies between segments, elsewhere, or out of the range, is not.
    assert!(stage.get(&format!("{folder}/{}.m4s", first + 1)).body == segment.body);
    let head = stage.ask("HEAD", &format!("{folder}/{first}.m4s"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    let far = first - 600 * 3_600;
    for path in [
        format!("{folder}/{far}.m4s"),
        format!("{folder}/x.m4s"),
        format!("/dash/news/{range}/9/{first}.m4s"),
        format!("/dash/news/{}/1/{first}.m4s", Range::new(Time::from_s(1_000), Time::from_s(2_000))),
    ] {
        assert_eq!(stage.get(&path).status, 404, "{path}");
    }
    assert_eq!(stage.get("/nothing/here.txt").status, 404);
    // A chunk that is not the one of the books is not read by their index.
    let file = stage.site.archive().join(key.strip_prefix("chunk/").unwrap()).with_extension("ismv");
    std::fs::OpenOptions::new().append(true).open(file).unwrap().write_all(b"more").unwrap();
    assert_eq!(stage.get(&format!("{folder}/{first}.m4s")).status, 503);
}

#[test]
fn start_over_grows_and_closes_at_its_end() {
    let stage = Stage::of(2, |_| Vec::new());
    // The clock of the origin stands still, some minutes ago, and that of the server does not: what is asked for is still to come
    // for both.
    // Segments that begin before the first chunk are not there.
    let start = stage.range(2, 3_000, 0).start;
    let open = stage.get(&format!("/dash/news/{start}--.mpd"));
    assert_eq!(open.status, 200, "{}", open.text());
    assert_eq!(
        (open.all("type"), open.all("availabilityStartTime")),
        (vec!["dynamic"], vec![start.to_string().as_str()])
    );
    assert!(open.headers.contains("cache-control: max-age=2\r\n"), "{}", open.headers);
    assert!(
        open.text().contains(&format!("http-iso:2014\" value=\"http://{}/time\"", stage.server.authority))
    );
    let time: Time = stage.get("/time").text().parse().unwrap();
    assert!(npvr::clock::now().since(time) < PATIENCE);
    let media = open.all("media")[0].trim_start_matches("../").replace("$RepresentationID$", "1");
    let segment = media.replace("$Time$", open.all("t")[0]);
    assert_eq!(stage.get(&format!("/{segment}")).status, 200, "{segment}");
    stage.live.go_on(CELL_S);
    stage.site.check().expect(0);
    let later = stage.get(&format!("/dash/news/{start}--.mpd"));
    let rows = |said: &Said| said.text().matches("<S ").count();
    assert!(later.all("publishTime") > open.all("publishTime") && rows(&later) > rows(&open));
    let asked = npvr::clock::now();
    let now = stage.get(&format!("/dash/news/{start}--now.mpd"));
    assert_eq!(now.all("type"), ["static"]);
    // The origin may be ahead of our clock, and nobody is shown what is still to come.
    let end = stage.live.end();
    let shown_until = |asked: Time| end.min(asked).since(start);
    let lasts = npvr::time::parse_duration(now.all("mediaPresentationDuration")[0]).unwrap();
    let (least, most) = (shown_until(asked), shown_until(npvr::clock::now()));
    assert!((least..=most).contains(&lasts), "{lasts:?} is not {least:?} to {most:?}");
}
