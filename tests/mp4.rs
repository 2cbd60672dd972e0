//! Clips as MP4 files, from the command and over HTTP: read by ffmpeg, and held against the chunks that they are made of.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::home::Home;
use common::live::{Live, for_media};
use common::serving::Serving;
use common::{PATIENCE, Site, finish};
use npvr::grid::Cell;
use npvr::sim::{Fault, FaultKind, RestartStyle};
use npvr::time::{Range, Time};

/// No file in these tests is longer, in bytes.
const MOST_BYTES: u64 = 64 << 20;
/// A frame of the simulation's pictures.
const FRAME_NS: i64 = 40_000_000;

/// An archive of a simulated channel, `news`, in cells of ten seconds.
struct Stage {
    live: Live,
    site: Site,
}

impl Stage {
    fn of(cells: i64, more: &str, faults: impl FnOnce(&Live) -> Vec<Fault>) -> Stage {
        let (live, site) = (Live::holding(cells), Site::new());
        live.set_faults(faults(&live));
        site.channel("news", live.url("news"), more);
        let code = site.check().code;
        assert!(matches!(code, Some(0 | 3)), "{code:?}");
        Stage { live, site }
    }

    fn whole(cells: i64) -> Stage {
        Stage::of(cells, "", |_| Vec::new())
    }

    /// From so many milliseconds after the start of the `n`th cell before the end, for so long.
    fn range(&self, n: i64, ms: i64, long_ms: i64) -> Range {
        let start = self.live.cell_before_end(n).start.offset_ns(ms * 1_000_000);
        Range::new(start, start.offset_ns(long_ms * 1_000_000))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.state().join(name)
    }

    /// The clip of some ranges.
    #[track_caller]
    fn clip(&self, ranges: &str, name: &str, more: &[&str], code: i32) -> PathBuf {
        let path = self.path(name);
        let args = ["clip", "news", ranges, "-o", path.to_str().unwrap()];
        let ran = self.site.run(args.iter().chain(more)).expect(code);
        assert_eq!(ran.stdout, "");
        path
    }

    /// All frames of the `n`th track of pictures that are archived: when each begins, and the hash of what it shows.
    fn frames(&self, track: usize) -> BTreeMap<Time, String> {
        let mut all = BTreeMap::new();
        for chunk in self.site.chunks("news") {
            let stream = format!("0:v:{track}");
            let args = ["-fps_mode", "passthrough", "-f", "framemd5", "-"];
            let hashes = ffmpeg(&["-copyts", "-i", chunk.to_str().unwrap(), "-map", &stream], &args);
            let base = hashes.lines().find_map(|line| line.strip_prefix("#tb 0: 1/")).unwrap();
            let base: i128 = base.trim().parse().unwrap();
            for (ticks, hash) in lines(&hashes) {
                let ns = (i128::from(ticks) * 1_000_000_000 + base / 2) / base;
                all.insert(Time::from_ns(i64::try_from(ns).unwrap()), hash);
            }
        }
        all
    }
}

/// Presentation time and hash of each line.
fn lines(hashes: &str) -> impl Iterator<Item = (i64, String)> {
    let lines = hashes.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        (fields[2].parse().unwrap(), (*fields.last().unwrap()).to_owned())
    })
}

/// What ffmpeg writes to its standard output; it must have nothing to complain of.
#[track_caller]
fn ffmpeg(input: &[&str], output: &[&str]) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-nostdin", "-xerror"]).args(input).args(output);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ran = finish(command);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{input:?}");
    ran.stdout
}

/// The hashes of the frames that ffmpeg shows of a track of a file, in order. They are numbered anew: where an edit begins among
/// frames that are not in the order of their times, ffmpeg is off by one or two of them.
#[track_caller]
fn shown(file: &Path, stream: &str) -> Vec<String> {
    let output = ["-vf", "setpts=N/25/TB", "-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let hashes = ffmpeg(&["-i", file.to_str().unwrap(), "-map", stream], &output);
    lines(&hashes).map(|(_, hash)| hash).collect()
}

/// What ffprobe says of a file: a value for each stream, or for the file.
fn probed(file: &Path, entries: &str) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "csv=p=0", "-show_entries", entries]).arg(file);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ran = finish(command);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    ran.stdout.lines().map(str::to_owned).collect()
}

fn seconds(file: &Path) -> f64 {
    probed(file, "format=duration")[0].parse().unwrap()
}

/// Those of `frames` that begin in one of the ranges.
fn expected(frames: &BTreeMap<Time, String>, ranges: &[Range]) -> Vec<String> {
    let of = |range: &Range| {
        // Times of media are in ticks, those of the map in nanoseconds.
        let near = |at: Time| at.offset_ns(-FRAME_NS / 100);
        frames.range(near(range.start)..near(range.end)).map(|(_, hash)| hash.clone()).collect::<Vec<_>>()
    };
    ranges.iter().flat_map(of).collect()
}

#[test]
fn a_clip_has_just_the_frames_that_were_asked_for() {
    let stage = Stage::whole(4);
    let frames = stage.frames(0);
    // On a frame and between two, within a cell, over the edges of several, and on the grid.
    for (n, ms, long_ms) in
        [(3, 3_280, 2_000), (3, 1_230, 25_010), (2, 0, 10_000), (2, 9_960, 80), (1, 4_999, 2_001)]
    {
        let range = stage.range(n, ms, long_ms);
        let file = stage.clip(&range.to_string(), "a.mp4", &["--force"], 0);
        let got = shown(&file, "0:v");
        assert!(!got.is_empty() && got == expected(&frames, &[range]), "{range}: {} frames", got.len());
        let lasts = range.duration().as_secs_f64();
        assert!((seconds(&file) - lasts).abs() < 0.001, "{range}: {} s", seconds(&file));
        for sound in ["0:a:0", "0:a:1"] {
            ffmpeg(&["-i", file.to_str().unwrap(), "-map", sound], &["-f", "null", "-"]);
        }
        let starts = probed(&file, "stream=start_time");
        assert!(starts.iter().all(|s| s.parse::<f64>().unwrap() < 0.025), "{range}: {starts:?}");
    }
}

#[test]
fn several_ranges_are_joined_in_the_order_in_which_they_are_asked_for() {
    let stage = Stage::whole(4);
    let ranges = [stage.range(1, 2_000, 3_000), stage.range(3, 500, 12_000), stage.range(1, 2_000, 3_000)];
    let text: Vec<String> = ranges.iter().map(Range::to_string).collect();
    let file = stage.clip(&text.join(","), "a.mp4", &[], 0);
    let got = shown(&file, "0:v");
    assert_eq!(got.len(), expected(&stage.frames(0), &ranges).len());
    assert!(got == expected(&stage.frames(0), &ranges));
    assert!((seconds(&file) - 18.0).abs() < 0.001, "{}", seconds(&file));
}

#[test]
fn what_is_missing_is_skipped_or_marked_or_refused_and_told() {
    let stage = Stage::of(5, "tracks = [\"video\", \"audio=eng\"]", |live| {
        vec![for_media(FaultKind::Gap, live.cell_before_end(2))]
    });
    let range = stage.range(3, 5_000, 20_000);
    let text = range.to_string();
    let frames = stage.frames(0);
    // A segment that reaches into the cell that is not there is not played there.
    let there = expected(&frames, &[stage.range(3, 5_000, 5_000), stage.range(1, 0, 5_000)]);
    let file = stage.clip(&text, "skip.mp4", &[], 3);
    assert!(shown(&file, "0:v") == there);
    let skipped = seconds(&file);
    assert!((8.0..=10.0).contains(&skipped), "{skipped}");
    let file = stage.clip(&text, "mark.mp4", &["--gaps", "mark"], 3);
    // What the last frames before the gap need comes after them, and is shown before the picture stands still.
    let mut marked = shown(&file, "0:v");
    let needed = marked.len() - there.len();
    assert!(needed <= 2, "{needed}");
    let run = expected(&frames, &[stage.range(3, 5_000, 5_000)]).len();
    marked.drain(run..run + needed);
    assert!(marked == there);
    assert!((seconds(&file) - 20.0).abs() < 0.001, "{}", seconds(&file));

    let path = stage.path("fail.mp4");
    let ran =
        stage.site.run(["clip", "news", &text, "-o", path.to_str().unwrap(), "--gaps", "fail"]).expect(1);
    assert!(ran.stderr.contains(" is missing") && !path.exists(), "{}", ran.stderr);
    let ran = stage.site.run(["clip", "news", &text, "-o", path.to_str().unwrap(), "--json"]).expect(3);
    assert!(ran.stderr.contains(" is not archived"), "{}", ran.stderr);
    let document = ran.json();
    assert_eq!(document["bytes"], fs::metadata(&path).unwrap().len());
    assert!(!document["missing"].as_array().unwrap().is_empty(), "{document}");

    let server = Serving::start(&stage.site, &[]);
    let target = format!("/mp4/news/{text}.mp4");
    assert_eq!(ask(&server.authority, "GET", &format!("{target}?gaps=fail"), &[]).status, 409);
    assert_eq!(ask(&server.authority, "GET", &format!("{target}?gaps=leave"), &[]).status, 400);
    let said = ask(&server.authority, "GET", &target, &[]);
    assert!(said.header("x-npvr-gaps").is_some() && said.body == fs::read(stage.path("skip.mp4")).unwrap());
}

#[test]
fn an_encoder_that_was_restarted_with_other_parameters_is_one_clip() {
    let stage = Stage::of(4, "", |live| {
        let at = live.cell_before_end(2).start.offset_ns(3_000_000_000);
        let range = Range::new(at, Time::MAX);
        vec![Fault { range, ..Fault::new(FaultKind::Restart(RestartStyle::Period)) }]
    });
    let range = stage.range(3, 1_000, 28_000);
    let file = stage.clip(&range.to_string(), "a.mp4", &[], 0);
    let got = shown(&file, "0:v");
    assert_eq!(got.len(), 700);
    // Of the chunk in which it was restarted ffmpeg does not make sense: the others come before it and after it.
    let restarted = stage.site.archive().join(Cell::from_range(stage.live.cell_before_end(2)).key("news"));
    fs::remove_file(restarted).unwrap();
    let frames = stage.frames(0);
    assert!(got.starts_with(&expected(&frames, &[stage.range(3, 1_000, 9_000)])));
    assert!(got.ends_with(&expected(&frames, &[stage.range(1, 2_000, 7_000)])));
    let (bytes, moov) = moov(&file);
    let entries: Vec<usize> = moov.trak.iter().map(|t| t.mdia.minf.stbl.stsd.codecs.len()).collect();
    assert_eq!(entries, [2, 2, 2], "of {} bytes", bytes.len());
}

/// A file, and its `moov`.
fn moov(file: &Path) -> (Vec<u8>, mp4_atom::Moov) {
    let bytes = fs::read(file).unwrap();
    let mut rest = bytes.as_slice();
    mp4_atom::Decode::decode(&mut rest).map(|_: mp4_atom::Ftyp| ()).unwrap();
    mp4_atom::Decode::decode(&mut rest).map(|_: mp4_atom::Free| ()).unwrap();
    let moov = mp4_atom::Decode::decode(&mut rest).unwrap();
    assert_eq!(&rest[4..8], b"mdat");
    (bytes, moov)
}

#[test]
fn tracks_are_chosen_and_the_same_request_gives_the_same_bytes_from_any_store() {
    for home in Home::both() {
        let stage = Stage::of(3, &home.lines(), |_| Vec::new());
        let range = stage.range(1, 3_000, 8_000).to_string();
        let whole = stage.clip(&range, "a.mp4", &[], 0);
        assert_eq!(probed(&whole, "stream=width,height"), ["640,360", "", ""]);
        let again = stage.clip(&range, "b.mp4", &[], 0);
        assert!(fs::read(&whole).unwrap() == fs::read(&again).unwrap());
        let some = ["--track", "video=180", "--track", "audio=nld"];
        let some = stage.clip(&range, "c.mp4", &some, 0);
        assert_eq!(probed(&some, "stream=width,height"), ["320,180", ""]);
        let sound = stage.clip(&range, "d.mp4", &["--track", "video=none", "--track", "audio=eng"], 0);
        assert_eq!(probed(&sound, "stream=codec_name"), ["aac"]);
        ffmpeg(&["-i", sound.to_str().unwrap()], &["-f", "null", "-"]);
        let server = Serving::start(&stage.site, &[]);
        let target = format!("/mp4/news/{range}.mp4?video=180&audio=nld");
        assert!(ask(&server.authority, "GET", &target, &[]).body == fs::read(&some).unwrap());
        let wrong = ["clip", "news", &range, "-o", "e.mp4", "--track", "audio=fra"];
        let ran = stage.site.run(wrong).expect(2);
        assert!(
            ran.stderr.contains("audio=fra: there is no such track\n  hint: there are: "),
            "{}",
            ran.stderr
        );
    }
}

/// What was answered.
#[derive(Debug)]
struct Said {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Said {
    /// A header, by its name in small letters.
    fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &&str| line.split_once(": ").is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        self.headers.lines().find(of).map(|line| line.split_once(": ").unwrap().1)
    }
}

/// Asks a server, with these lines besides.
fn ask(authority: &str, method: &str, target: &str, more: &[&str]) -> Said {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{more}\r\n")
        .unwrap();
    let mut answer = Vec::new();
    // A connection that is cut is what some tests ask for.
    let _ = stream.take(MOST_BYTES).read_to_end(&mut answer);
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Said { status, headers, body: answer[end + 4..].to_vec() }
}

#[test]
fn any_part_of_a_file_that_was_never_made_is_answered_as_of_one_that_lies_there() {
    let stage = Stage::whole(4);
    let server = Serving::start(&stage.site, &[]);
    let range = stage.range(3, 2_000, 25_000);
    let target = format!("/mp4/news/{range}.mp4");
    let get = |more: &[&str]| ask(&server.authority, "GET", &target, more);
    let head = ask(&server.authority, "HEAD", &target, &[]);
    let whole = get(&[]);
    let file = fs::read(stage.clip(&range.to_string(), "a.mp4", &[], 0)).unwrap();
    assert!(whole.body == file);
    let length = file.len().to_string();
    for said in [&head, &whole] {
        assert_eq!((said.status, said.header("content-length")), (200, Some(length.as_str())));
        assert_eq!(
            (said.header("accept-ranges"), said.header("content-type")),
            (Some("bytes"), Some("video/mp4"))
        );
        assert_eq!(said.header("cache-control"), Some("max-age=86400"));
        assert!(said.header("last-modified").is_some_and(|at| at.ends_with(" GMT")));
        let name = said.header("content-disposition").unwrap();
        assert!(name.starts_with("inline; filename=\"news 20") && name.ends_with("Z.mp4\""), "{name}");
        assert!(!name.contains(':'), "{name}");
    }
    assert!(head.body.is_empty());
    let tag = whole.header("etag").unwrap();
    let last = file.len() - 1;
    for (first, end) in
        [(0, 0), (0, last), (10, 99_999), (100_000, 100_001), (last - 5, last), (300_000, 900_000)]
    {
        let end = end.min(last);
        let said = get(&[&format!("Range: bytes={first}-{end}"), &format!("If-Range: {tag}")]);
        assert_eq!(said.status, 206);
        assert_eq!(said.header("content-range").unwrap(), format!("bytes {first}-{end}/{length}"));
        assert!(said.body == file[first..=end], "{first}-{end}");
    }
    assert_eq!(get(&[&format!("If-None-Match: {tag}")]).status, 304);
    let changed = get(&["Range: bytes=0-9", "If-Range: \"other\""]);
    assert_eq!((changed.status, changed.body.len()), (200, file.len()));
    let none = get(&[&format!("Range: bytes={length}-")]);
    assert_eq!(
        (none.status, none.header("content-range")),
        (416, Some(format!("bytes */{length}").as_str()))
    );
    let saved = ask(&server.authority, "HEAD", &format!("{target}?download=1"), &[]);
    assert!(saved.header("content-disposition").unwrap().starts_with("attachment; "));
    let now = format!("/mp4/news/{}--now.mp4", range.start);
    let said = ask(&server.authority, "GET", &now, &[]);
    assert_eq!((said.status, said.header("x-npvr-gaps")), (200, None), "{}", said.headers);
    for (target, status) in [
        ("/mp4/news/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.mp4", 404),
        ("/mp4/other/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.mp4", 404),
        ("/mp4/news/2050-12-06T12:55:00Z--2050-12-06T13:00:00Z.mp4", 425),
        ("/mp4/news/yesterday.mp4", 400),
        (&format!("{target}?video=none&audio=none"), 400),
        (&format!("{target}?video="), 400),
    ] {
        assert_eq!(ask(&server.authority, "GET", target, &[]).status, status, "{target}");
    }
}

#[test]
fn a_chunk_that_is_another_or_gone_cuts_the_connection_and_fails_the_command() {
    let stage = Stage::whole(4);
    let server = Serving::start(&stage.site, &[]);
    let range = stage.range(3, 2_000, 25_000);
    let target = format!("/mp4/news/{range}.mp4");
    let before = ask(&server.authority, "GET", &target, &[]).body;
    let chunk = stage.site.archive().join(Cell::from_range(stage.live.cell_before_end(1)).key("news"));
    let bytes = fs::read(&chunk).unwrap();
    for change in [None, Some(&bytes[..bytes.len() - 1])] {
        fs::remove_file(&chunk).unwrap();
        if let Some(bytes) = change {
            fs::write(&chunk, bytes).unwrap();
        }
        // Its head is known already: it begins, and ends where the chunk begins.
        let cut = ask(&server.authority, "GET", &target, &[]);
        assert_eq!(cut.status, 200);
        assert!(cut.body.len() < before.len() && before.starts_with(&cut.body), "{}", cut.body.len());
        let path = stage.path("b.mp4");
        let ran =
            stage.site.run(["clip", "news", &range.to_string(), "-o", path.to_str().unwrap()]).expect(1);
        assert!(ran.stderr.contains(chunk.file_name().unwrap().to_str().unwrap()), "{}", ran.stderr);
        assert!(!path.exists());
        fs::write(&chunk, &bytes).unwrap();
    }
    assert!(ask(&server.authority, "GET", &target, &[]).body == before);
}

#[test]
fn a_clip_that_was_interrupted_goes_on_where_it_ended_and_one_of_something_else_does_not() {
    let stage = Stage::whole(3);
    let range = stage.range(2, 1_000, 20_000).to_string();
    let whole = fs::read(stage.clip(&range, "whole.mp4", &[], 0)).unwrap();
    let (path, part) = (stage.path("a.mp4"), stage.path("a.mp4.part"));
    let args = ["clip", "news", &range, "-o", path.to_str().unwrap()];
    fs::write(&part, &whole[..whole.len() / 2]).unwrap();
    let ran = stage.site.run(args).expect(0);
    assert!(ran.stderr.contains(" are there already; going on"), "{}", ran.stderr);
    assert!(fs::read(&path).unwrap() == whole && !part.exists());

    let ran = stage.site.run(args).expect(2);
    assert!(ran.stderr.contains(" is there already\n  hint: --force"), "{}", ran.stderr);
    let mut other = whole[..whole.len() / 2].to_vec();
    other[100] ^= 1;
    for begun in [other, whole[..50].to_vec(), vec![7; whole.len() + 1]] {
        fs::write(&part, begun).unwrap();
        stage.site.run(args.iter().chain(&["--force"])).expect_silence();
        assert!(fs::read(&path).unwrap() == whole && !part.exists());
    }
    let busy = fs::File::create(&part).unwrap();
    busy.lock().unwrap();
    let ran = stage.site.run(args.iter().chain(&["--force"])).expect(1);
    assert!(ran.stderr.contains("another process is writing it"), "{}", ran.stderr);
}

#[test]
fn a_clip_goes_to_standard_output_and_one_that_has_no_room_is_not_begun() {
    let stage = Stage::whole(3);
    let range = stage.range(2, 1_000, 20_000).to_string();
    let whole = fs::read(stage.clip(&range, "whole.mp4", &[], 0)).unwrap();
    let output = stage.site.command(["clip", "news", &range, "-o", "-"]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty() && output.stdout == whole);
    stage.site.run(["clip", "news", &range, "-o", "-", "--json"]).expect(2);

    let full = stage.path("full");
    fs::create_dir_all(&full).unwrap();
    let script = "mount -t tmpfs -o size=64k npvr-test full && exec \"$@\"";
    let mut command = Command::new("unshare");
    let program = env!("CARGO_BIN_EXE_npvr");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", program]);
    command.args(["clip", "news", &range, "-o", "full/a.mp4"]);
    stage.site.settle_in(&mut command);
    command.current_dir(stage.site.state());
    let ran = finish(command).expect(1);
    assert!(
        ran.stderr.contains("full/a.mp4: it needs ") && ran.stderr.contains(" are free"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_picture_before_a_moment_is_a_file_of_one_frame() {
    let stage = Stage::of(3, "", |live| vec![for_media(FaultKind::Gap, live.cell_before_end(1))]);
    let server = Serving::start(&stage.site, &[]);
    let file = stage.path("frame.mp4");
    for (query, track, width) in [("", 1, "320"), ("?height=300", 0, "640"), ("?height=4000", 0, "640")] {
        let frames = stage.frames(track);
        for ms in [1_930, 3_845, 9_000] {
            let at = stage.range(0, ms, 1).start;
            let target = format!("/frame/news/{at}.mp4{query}");
            let said = ask(&server.authority, "GET", &target, &[]);
            assert_eq!((said.status, said.header("cache-control")), (200, Some("max-age=86400")), "{target}");
            fs::write(&file, &said.body).unwrap();
            assert_eq!(probed(&file, "stream=width"), [width]);
            let got = shown(&file, "0:v");
            let [hash] = &got[..] else { panic!("{target}: {} frames", got.len()) };
            let (when, _) = frames.iter().rfind(|(when, known)| **when <= at && *known == hash).unwrap();
            let late = at.since(*when).as_secs_f64();
            assert!(late < 1.97, "{target}: it is {late} s before");
            let tag = said.header("etag").unwrap();
            assert_eq!(
                ask(&server.authority, "GET", &target, &[&format!("If-None-Match: {tag}")]).status,
                304
            );
            let part = ask(&server.authority, "GET", &target, &["Range: bytes=4-7"]);
            assert_eq!((part.status, &part.body[..]), (206, &b"ftyp"[..]));
        }
    }
    let gone = stage.range(1, 5_000, 1).start;
    for (target, status) in [
        (format!("/frame/news/{gone}.mp4"), 404),
        ("/frame/news/2018-12-06T12:55:00Z.mp4".to_owned(), 404),
        ("/frame/news/noon.mp4".to_owned(), 400),
        (format!("/frame/news/{gone}.mp4?height=tall"), 400),
        (format!("/frame/other/{gone}.mp4"), 404),
    ] {
        assert_eq!(ask(&server.authority, "GET", &target, &[]).status, status, "{target}");
    }
}
