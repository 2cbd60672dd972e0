//! What is in the archive is what the source had: each segment once, byte for byte, in the cell that holds its start.
//!
//! The source is asked for its segments directly and by number, and chunks are read by a reader of our own: neither the
//! program's manifests nor its boxes have a say in what is right.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::live::{CELL_S, Live, for_media};
use common::{Site, mp4, server};
use npvr::ledger::Ledger;
use npvr::sim::{Fault, FaultKind, Requests};
use npvr::time::Time;

/// Every track of the simulated origin, with its timescale.
const TRACKS: [(&str, u64); 4] =
    [("video=110000", 600), ("video=45000", 600), ("audio_eng=32000", 48_000), ("audio_nld=32000", 48_000)];
/// How long a segment is, in milliseconds, before audio moves its ends to frame edges.
const SEGMENT_MS: i64 = 1_920;

/// Media by the start of its cell in seconds, and by track: decode times and payloads, in order.
type Media = BTreeMap<(i64, String), Vec<(u64, Vec<u8>)>>;

/// What the source's manifest says of the start of a segment.
#[derive(Clone, Copy)]
enum Start {
    /// Its decode time: that is on the epoch.
    Decoded,
    /// Its number times the length of a segment. Audio does not begin at just that instant, but the manifest says so.
    Counted,
}

/// What the source has of all cells that end no later than [`Live::end`]. No window here is longer than 300 s.
fn at_the_source(live: &Live, name: &str, start: Start) -> Media {
    let first = (live.now().s() - 300) * 1_000 / SEGMENT_MS;
    let last = live.now().s() * 1_000 / SEGMENT_MS;
    let mut media = Media::new();
    for (id, timescale) in TRACKS {
        for n in first..=last {
            let answer = server::get_raw(&live.authority(), &format!("/{name}/{id}/n{n}.m4s"));
            if answer.starts_with(b"HTTP/1.1 404") {
                continue;
            }
            assert!(answer.starts_with(b"HTTP/1.1 200"));
            let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            for fragment in mp4::fragments(&answer[body..]) {
                let start_ms = match start {
                    Start::Decoded => i64::try_from(fragment.decode_time * 1_000 / timescale).unwrap(),
                    Start::Counted => n * SEGMENT_MS,
                };
                let cell = start_ms / 1_000 / CELL_S * CELL_S;
                if cell < live.end().s() {
                    let of_cell = media.entry((cell, id.to_owned())).or_default();
                    of_cell.push((fragment.decode_time, fragment.mdat));
                }
            }
        }
    }
    media
}

/// What the archive has, by the names of its files.
fn in_the_archive(site: &Site, name: &str) -> Media {
    let tracks = site.ledger().tracks(name).unwrap();
    let mut media = Media::new();
    for path in site.chunks(name) {
        let cell = start_of(&path).s();
        for fragment in mp4::fragments(&fs::read(&path).unwrap()) {
            let track = tracks.iter().find(|t| t.id == fragment.track_id).unwrap();
            let of_cell = media.entry((cell, track.track.id.clone())).or_default();
            of_cell.push((fragment.decode_time, fragment.mdat));
        }
    }
    media
}

/// `…/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv`: its start.
fn start_of(chunk: &Path) -> Time {
    let stem = chunk.file_stem().unwrap().to_str().unwrap();
    stem.split_once("--").unwrap().0.parse().unwrap()
}

/// Archives 20 cells and a bit, and compares all of it.
#[track_caller]
fn archives_everything(url: impl Fn(&Live) -> String, start: Start, when_nothing_is_new: Requests) {
    const CELLS: i64 = 20;
    let live = Live::holding(CELLS);
    let site = Site::new();
    site.channel("news", url(&live), "");
    site.check().expect_silence();

    let (source, archive) = (at_the_source(&live, "news", start), in_the_archive(&site, "news"));
    let differing: Vec<_> =
        source.iter().filter(|(k, v)| archive.get(k) != Some(v)).map(|(k, _)| k).collect();
    assert!(differing.is_empty(), "the archive has other media than the source for {differing:?}");
    assert_eq!(source.keys().collect::<Vec<_>>(), archive.keys().collect::<Vec<_>>());

    let status = site.status("news");
    let counts = &status["counts"];
    // And the cell in which the archive begins.
    assert_eq!(counts["complete"], CELLS + 1, "{counts}");
    for other in ["partial", "failed", "lost"] {
        assert_eq!(counts[other], 0, "{counts}");
    }
    assert!(status["gaps"].as_array().unwrap().is_empty(), "{}", status["gaps"]);
    assert_eq!(status["last_chunk"]["end"], live.end().to_string());
    let bytes: u64 = site.chunks("news").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(counts["bytes"], bytes);
    assert_eq!(site.spool(), Vec::<std::path::PathBuf>::new());
    site.assert_sound("news");

    let before = live.requests();
    site.check().expect_silence();
    assert_eq!(live.requests_since(before), when_nothing_is_new);
}

#[test]
fn a_publishing_point_is_archived_whole_and_asked_once_when_nothing_is_new() {
    archives_everything(
        |live| live.url("news"),
        Start::Decoded,
        Requests { archive: 1, ..Requests::default() },
    );
}

#[test]
fn dash_by_time_is_archived_whole_and_asked_once_when_nothing_is_new() {
    // Its clock is asked too: that is in its manifest.
    let asked = Requests { mpd: 1, other: 1, ..Requests::default() };
    archives_everything(|live| live.plain_url("news", "time"), Start::Decoded, asked);
}

#[test]
fn dash_by_number_is_archived_whole_and_asked_once_when_nothing_is_new() {
    let asked = Requests { mpd: 1, other: 1, ..Requests::default() };
    archives_everything(|live| live.plain_url("news", "number"), Start::Decoded, asked);
}

#[test]
fn dash_by_duration_is_archived_whole_and_asked_once_when_nothing_is_new() {
    let asked = Requests { mpd: 1, other: 1, ..Requests::default() };
    archives_everything(|live| live.plain_url("news", "duration"), Start::Counted, asked);
}

/// The chunks of cells from `from` on: names within the archive, and bytes.
fn chunks_from(site: &Site, name: &str, from: Time) -> BTreeMap<String, Vec<u8>> {
    let chunks = site.chunks(name).into_iter().filter(|path| start_of(path) >= from);
    let name_of = |path: &Path| path.strip_prefix(site.archive()).unwrap().to_str().unwrap().to_owned();
    chunks.map(|path| (name_of(&path), fs::read(&path).unwrap())).collect()
}

#[test]
fn the_same_segments_make_the_same_bytes_on_every_host() {
    let live = Live::holding(4);
    let [one, other] = [Site::new(), Site::new()];
    for site in [&one, &other] {
        site.channel("news", live.url("news"), "");
    }
    // Another number of connections: segments arrive in another order.
    other.channel("news", live.url("news"), "max_connections = 1");
    for site in [&one, &other] {
        site.check().expect_silence();
    }
    let chunks = chunks_from(&one, "news", Time::EPOCH);
    assert_eq!(chunks.len(), 5);
    assert!(chunks == chunks_from(&other, "news", Time::EPOCH));
}

/// Archives three cells from a window that is hardly longer than one, a few seconds at a time, and then the same cells from a
/// window that holds them all.
#[track_caller]
fn pieces_make_the_same_bytes(url: impl Fn(&Live) -> String) {
    const CELLS: i64 = 3;
    let live = Live::holding(CELLS + 3);
    let [by_pieces, whole] = [Site::new(), Site::new()];
    for site in [&by_pieces, &whole] {
        site.channel("news", url(&live), "");
    }
    live.set_faults([Fault::new(FaultKind::Window(std::time::Duration::from_secs(12)))]);
    let from = live.end().plus(std::time::Duration::from_secs(10));
    let pieces = |site: &Site| site.jobs().iter().filter(|job| job["outcome"] == "piece").count();
    for _ in 0..=CELLS * CELL_S / 2 + 5 {
        by_pieces.check().expect_silence();
        live.go_on(2);
    }
    assert!(pieces(&by_pieces) >= 3, "it was captured piece by piece: {}", pieces(&by_pieces));
    by_pieces.assert_sound("news");

    live.set_faults([]);
    whole.check().expect_silence();
    assert_eq!(pieces(&whole), 0);
    let to = from.plus(std::time::Duration::from_secs(u64::try_from(CELLS * CELL_S).unwrap()));
    let [a, b] = [&by_pieces, &whole].map(|site| {
        let mut chunks = chunks_from(site, "news", from);
        chunks.retain(|name, _| start_of(Path::new(name)) < to);
        chunks
    });
    assert_eq!(a.len(), 3);
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    assert!(a == b, "the bytes differ");
}

#[test]
fn a_cell_of_a_publishing_point_captured_in_pieces_has_the_bytes_of_one_captured_at_once() {
    pieces_make_the_same_bytes(|live| live.url("news"));
}

#[test]
fn a_cell_of_dash_captured_in_pieces_has_the_bytes_of_one_captured_at_once() {
    pieces_make_the_same_bytes(|live| live.plain_url("news", "time"));
}

#[test]
fn wherever_the_window_begins_a_first_check_has_no_gap_to_tell() {
    let live = Live::holding(1);
    for n in 0..12 {
        let (site, name) = (Site::new(), format!("news{n}"));
        site.channel(&name, live.url(&name), "");
        site.check().expect_silence();
        assert_eq!(site.status(&name)["gaps"], serde_json::json!([]));
        live.go_on(1);
    }
}

#[test]
fn segments_that_had_to_be_asked_for_again_make_the_same_bytes() {
    let live = Live::holding(2);
    let [calm, stormy] = [Site::new(), Site::new()];
    for site in [&calm, &stormy] {
        site.channel("news", live.url("news"), "");
    }
    calm.check().expect_silence();
    let all = npvr::time::Range::new(Time::EPOCH, Time::MAX);
    live.set_faults([Fault { share: 0.2, times: Some(1), ..for_media(FaultKind::Reset, all) }]);
    stormy.check().expect_silence();
    assert!(chunks_from(&calm, "news", Time::EPOCH) == chunks_from(&stormy, "news", Time::EPOCH));
}
