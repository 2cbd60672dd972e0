//! Playlists, server manifests and chunk files over HTTP, as Remix and Origin ask for them: the real server, over an archive of
//! a simulated channel.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use common::home::Home;
use common::live::{CELL_S, Live, for_media};
use common::serving::Serving;
use common::{PATIENCE, Site};
use npvr::grid::Cell;
use npvr::ledger::Ledger;
use npvr::sim::{Fault, FaultKind};
use npvr::time::{Range, Time};

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

    /// A header, by its name in small letters.
    fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(": ").is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        self.headers.lines().find(|line| of(line)).map(|line| line.split_once(": ").unwrap().1)
    }

    /// The `src` of each chunk.
    fn sources(&self) -> Vec<&str> {
        self.text().split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }

    /// What each run says of its in and out points, in order.
    fn points(&self) -> Vec<String> {
        let points = self.text().split(" clip").skip(1);
        points.map(|rest| rest.split_once(")\"").unwrap().0.replace("=\"wallclock(", " ")).collect()
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
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Said { status, headers, body: answer[end + 4..].to_vec() }
}

/// An archive of cells of ten seconds, and its server.
struct Stage {
    live: Live,
    site: Site,
    server: Serving,
}

impl Stage {
    /// So many whole cells of `news`. `more` are lines of its file.
    fn of(cells: i64, more: &str, faults: impl FnOnce(&Live) -> Vec<Fault>) -> Stage {
        let (live, site) = (Live::holding(cells), Site::new());
        live.set_faults(faults(&live));
        site.channel("news", live.url("news"), more);
        let code = site.check().code;
        assert!(matches!(code, Some(0 | 3)), "{code:?}");
        let server = Serving::start(&site, &[]);
        Stage { live, site, server }
    }

    fn whole(cells: i64) -> Stage {
        Stage::of(cells, "", |_| Vec::new())
    }

    fn get(&self, target: &str) -> Said {
        ask(&self.server.authority, "GET", target, &[])
    }

    fn get_with(&self, target: &str, more: &[&str]) -> Said {
        ask(&self.server.authority, "GET", target, more)
    }

    /// The same, with manifests made by a script. `more` are lines of `[ism]`.
    fn with_program(self, body: &str, more: &str) -> Stage {
        let program = stand_in(&self.site, body);
        let lines = format!("[ism]\nprogram = {program:?}\nremix_url = \"http://remix-proxy/\"\n{more}\n");
        self.site.channel("news", self.live.url("news"), &lines);
        let server = Serving::start(&self.site, &[]);
        Stage { server, ..self }
    }

    /// From so many seconds after the start of the `n`th cell before the end, to as many before the end of the last.
    fn range(&self, cells: i64, inset: i64) -> Range {
        let end = self.live.end().s();
        Range::new(Time::from_s(end - cells * CELL_S + inset), Time::from_s(end - inset))
    }

    /// The file of the `n`th cell before the end.
    fn file(&self, n: i64) -> PathBuf {
        self.site.archive().join(Cell::from_range(self.live.cell_before_end(n)).key("news"))
    }
}

#[test]
fn a_playlist_is_served_and_its_sources_are_the_chunks() {
    let stage = Stage::whole(4);
    // Longer after the start of a cell than a segment may be is not possible in ten seconds, so the one before goes first.
    let range = stage.range(3, 2);
    let said = stage.get(&format!("/smil/news/{range}.smil"));
    assert_eq!((said.status, said.header("content-type")), (200, Some("application/xml")));
    assert_eq!(said.points(), [format!("Begin {}", range.start), format!("End {}", range.end)]);
    assert_eq!(said.header("x-npvr-gaps"), None);
    assert_eq!(said.header("cache-control"), Some("max-age=86400"), "nothing in it can change");
    let sources = said.sources();
    assert_eq!(sources.len(), 4);
    for (n, source) in sources.iter().rev().enumerate() {
        let path = source.strip_prefix(&format!("http://{}", stage.server.authority)).unwrap();
        let chunk = stage.get(path);
        assert_eq!((chunk.status, chunk.header("content-type")), (200, Some("video/mp4")));
        assert!(chunk.body == fs::read(stage.file(n.try_into().unwrap())).unwrap(), "{source}");
    }
    for other in [format!("/smil/news/{range}"), format!("/api/smil/news/{range}.smil")] {
        assert_eq!(stage.get(&other).text(), said.text(), "{other}");
    }
    assert_eq!(stage.get("/smil/").text(), "alive");
    assert_eq!(stage.get("/api/smil/").text(), "alive");
}

#[test]
fn a_playlist_is_whole_and_plain_whatever_is_asked_and_not_sent_twice() {
    let stage = Stage::whole(3);
    let target = format!("/smil/news/{}", stage.range(2, 2));
    let said = stage.get_with(&target, &["Range: bytes=0-9", "Accept-Encoding: gzip, br"]);
    assert_eq!((said.status, said.header("content-encoding")), (200, None));
    assert!(said.text().ends_with("</smil>\n"), "{}", said.text());
    let tag = said.header("etag").unwrap();
    let again = stage.get_with(&target, &[&format!("If-None-Match: {tag}")]);
    assert_eq!((again.status, again.text()), (304, ""));
    let head = ask(&stage.server.authority, "HEAD", &target, &[]);
    let length = said.body.len().to_string();
    assert_eq!((head.status, head.text(), head.header("content-length")), (200, "", Some(length.as_str())));
    assert_eq!(head.header("etag"), Some(tag));
}

#[test]
fn the_dialect_is_that_of_the_channel_or_of_the_request() {
    let stage = Stage::of(3, "smil_dialect = \"continuous\"\n", |_| Vec::new());
    let range = stage.range(2, 2);
    let is_continuous =
        |target: String| stage.get(&target).text().contains("<seq isContinuous=\"true\" clipBegin=");
    assert!(is_continuous(format!("/smil/news/{range}")));
    assert!(!is_continuous(format!("/smil/news/{range}.smil?dialect=classic")));
    let said = stage.get(&format!("/smil/news/{range}?dialect=modern"));
    assert_eq!(
        (said.status, said.text()),
        (400, "\"modern\" is not a dialect of playlists\n  hint: use classic or continuous\n")
    );
}

#[test]
fn holes_end_runs_and_are_told_and_a_hole_of_one_track_is_only_told() {
    let stage = Stage::of(6, "", |live| {
        let at = |n, from: i64, to: i64| {
            let start = live.cell_before_end(n).start.s();
            Range::new(Time::from_s(start + from), Time::from_s(start + to))
        };
        let gap = |range| for_media(FaultKind::Gap, range);
        vec![gap(at(4, 3, 7)), Fault { track: Some("audio_nld".to_owned()), ..gap(at(2, 3, 7)) }]
    });
    // One cell is taken out of the books, as if it had never been captured.
    let missing = stage.live.cell_before_end(1);
    let ledger = stage.site.ledger();
    ledger.discard("news", &[Cell::from_range(missing)], "test", npvr::clock::now()).unwrap();

    let said = stage.get(&format!("/smil/news/{}", stage.range(6, 0)));
    let points: Vec<String> = said.points();
    assert_eq!(said.text().matches("<seq>").count(), 4, "one around three runs: {}", said.text());
    let (begin, end) = (stage.range(6, 0).start, stage.range(6, 0).end);
    assert_eq!((&points[0], points.last().unwrap()), (&format!("Begin {begin}"), &format!("End {end}")));
    assert_eq!(
        (&points[3], &points[4]),
        (&format!("End {}", missing.start), &format!("Begin {}", missing.end))
    );
    // The chunk with the hole is last in one run and first in the next.
    let holed = Cell::from_range(stage.live.cell_before_end(4)).key("news");
    assert_eq!(said.sources().iter().filter(|source| source.ends_with(&holed)).count(), 2);

    let gaps: Vec<&str> = said.header("x-npvr-gaps").unwrap().split(", ").collect();
    // Tracks do not begin and end together, so that some lack a little more than all of them do.
    let hole = gaps.iter().find(|gap| !gap.contains(' ')).unwrap().parse::<Range>().unwrap();
    assert_eq!((&points[1], &points[2]), (&format!("End {}", hole.start), &format!("Begin {}", hole.end)));
    let cell = stage.live.cell_before_end(4);
    assert!(cell.start < hole.start && hole.end < cell.end, "{hole}");
    assert!(hole.start.ns() % 1_000_000 == 0 && hole.end.ns() % 1_000_000 == 0, "{hole}");
    let of_track = gaps.iter().rfind(|gap| gap.ends_with(" audio_nld=32000")).unwrap();
    let of_track: Range = of_track.split_once(' ').unwrap().0.parse().unwrap();
    assert!(!of_track.intersect(stage.live.cell_before_end(2)).is_empty(), "{gaps:?}");
    assert_eq!(gaps.last(), Some(&missing.to_string().as_str()));
    assert_eq!(said.header("cache-control"), Some("max-age=2"), "the missing one may come");

    // A range of nothing but the hole has nothing in it.
    let inside = Range::new(hole.start, hole.end);
    assert_eq!(stage.get(&format!("/smil/news/{inside}")).status, 404);
}

#[test]
fn several_ranges_are_played_in_the_order_in_which_they_are_asked_for() {
    let stage = Stage::whole(4);
    let cell = |n| stage.live.cell_before_end(n);
    let said = stage.get(&format!("/smil/news/{},{},{}.smil", cell(0), cell(2), cell(2)));
    let point = |n| [format!("Begin {}", cell(n).start), format!("End {}", cell(n).end)];
    assert_eq!(said.points(), [point(0), point(2), point(2)].concat());
}

#[test]
fn what_cannot_be_played_is_refused_in_a_sentence() {
    let stage = Stage::whole(1);
    let day = |d: i64| Time::from_s(npvr::clock::now().s() + d * 86_400);
    let range = |from, to| Range::new(day(from), day(to));
    for (target, status, words) in [
        (format!("/smil/nwes/{}", stage.range(1, 2)), 404, "nwes"),
        (format!("/smil/news/{}", range(-9, -8)), 404, "nothing of"),
        ("/smil/news/fixed.smil".to_owned(), 404, "nothing of"),
        (format!("/smil/news/{}", range(1, 2)), 425, "is still to come"),
        (format!("/smil/news/{}--{}", day(-1), day(-2)), 400, "ends before it begins"),
        (format!("/smil/news/{}", range(-400, 0)), 400, "are too long"),
        ("/smil/news/yesterday".to_owned(), 400, "is not a range"),
        ("/smil/..%2fnews/yesterday".to_owned(), 400, "is not a range"),
        (format!("/smil/..%2fnews/{}", range(-9, -8)), 400, "cannot be the name of a channel"),
        ("/smil/news/".to_owned(), 404, "nothing at this path"),
    ] {
        let said = stage.get(&target);
        assert_eq!(said.status, status, "{target}: {}", said.text());
        assert!(said.text().contains(words), "{target}: {}", said.text());
    }
    let wait = stage.get(&format!("/smil/news/{}", range(1, 2)));
    let seconds: u64 = wait.header("retry-after").unwrap().parse().unwrap();
    assert!((86_000..86_500).contains(&seconds), "{seconds}");
}

#[test]
fn the_fixed_playlist_has_the_five_minutes_that_began_an_hour_ago() {
    let site = Site::new();
    site.channel("news", "http://127.0.0.1:1/news.isml", "chunk_duration = \"PT5M\"\n");
    let ledger = site.ledger();
    let (now, grid) = (npvr::clock::now(), npvr::grid::Grid::new(Duration::from_secs(300)).unwrap());
    ledger.open_channel("news", now.minus(Duration::from_secs(7_200)), now).unwrap();
    fs::create_dir_all(site.archive()).unwrap();
    fs::write(site.archive().join(".npvr-store"), "").unwrap();
    for cell in
        grid.cells(Range::new(now.minus(Duration::from_secs(4_000)), now.minus(Duration::from_secs(3_000))))
    {
        let stored = npvr::ledger::Stored {
            coverage: npvr::ledger::Coverage::Complete,
            key: cell.key("news"),
            bytes: 1,
            sha256: [0; 32],
        };
        assert!(ledger.adopt("news", cell, &stored, &[], &[], now).unwrap());
    }
    let server = Serving::start(&site, &[]);
    let said = ask(&server.authority, "GET", "/smil/news/fixed.smil", &[]);
    assert_eq!(said.status, 200, "{}", said.text());
    let of = |n: usize| said.points()[n].split_once(' ').unwrap().1.parse::<Time>().unwrap();
    assert_eq!(of(1).since(of(0)), Duration::from_secs(300));
    let ago = npvr::clock::now().since(of(0)).as_secs();
    assert!((3_600..3_660).contains(&ago), "{ago}");
}

#[test]
fn sources_are_where_the_store_is_or_where_the_channel_says() {
    let home = Home::both().into_iter().next_back().unwrap();
    let stage = Stage::of(2, &home.lines(), |_| Vec::new());
    let (range, key) = (stage.range(1, 2), Cell::from_range(stage.live.cell_before_end(0)).key("news"));
    let Home::Bucket(bucket) = &home else { panic!("a bucket") };
    let last = |said: &Said| said.sources().last().unwrap().to_string();
    let said = stage.get(&format!("/smil/news/{range}"));
    assert_eq!(last(&said), format!("{}/{}/{key}", bucket.url().trim_end_matches('/'), common::s3::BUCKET));
    let path = stage.get(&format!("/chunk/{key}"));
    assert_eq!(path.status, 302, "{}", path.text());

    let lines = format!("public_url = \"https://cdn.example.com/a&b/\"\n{}", home.lines());
    stage.site.channel("news", stage.live.url("news"), &lines);
    let server = Serving::start(&stage.site, &[]);
    let said = ask(&server.authority, "GET", &format!("/smil/news/{range}"), &[]);
    assert_eq!(last(&said), format!("https://cdn.example.com/a&amp;b/{key}"));
}

#[test]
fn links_go_where_the_client_or_the_operator_says_that_this_server_is() {
    let stage = Stage::whole(1);
    let target = format!("/smil/news/{}", stage.range(1, 2));
    let said = stage.get_with(&target, &["X-Forwarded-Proto: https", "X-Path-Prefix: /tv"]);
    let authority = &stage.server.authority;
    assert!(said.sources()[0].starts_with(&format!("https://{authority}/tv/chunk/news/")), "{}", said.text());
    let public = Serving::start(&stage.site, &["--public-url", "https://archive.example.com/npvr/"]);
    let said = ask(&public.authority, "GET", &target, &[]);
    assert!(said.sources()[0].starts_with("https://archive.example.com/npvr/chunk/news/"), "{}", said.text());
}

#[test]
fn a_part_of_a_chunk_is_served_as_players_ask_for_it() {
    let stage = Stage::whole(1);
    let file = fs::read(stage.file(0)).unwrap();
    let path = format!("/chunk/{}", Cell::from_range(stage.live.cell_before_end(0)).key("news"));
    let whole = stage.get(&path);
    let tag = whole.header("etag").unwrap();
    assert_eq!(
        (whole.header("accept-ranges"), whole.header("cache-control")),
        (Some("bytes"), Some("max-age=86400"))
    );
    assert!(whole.header("last-modified").unwrap().ends_with(" GMT"));
    let total = file.len();
    for (range, from, to) in [
        ("bytes=0-99".to_owned(), 0, 100),
        (format!("bytes={}-", total - 10), total - 10, total),
        ("bytes=-7".to_owned(), total - 7, total),
    ] {
        let said = stage.get_with(&path, &[&format!("Range: {range}"), &format!("If-Range: {tag}")]);
        assert_eq!((said.status, said.body.as_slice()), (206, &file[from..to]), "{range}");
        let expected = format!("bytes {from}-{}/{total}", to - 1);
        assert_eq!(said.header("content-range"), Some(expected.as_str()));
        assert_eq!(said.header("content-length"), Some((to - from).to_string().as_str()));
    }
    let said = stage.get_with(&path, &[&format!("Range: bytes={total}-")]);
    assert_eq!((said.status, said.header("content-range")), (416, Some(format!("bytes */{total}").as_str())));
    for ignored in [["Range: bytes=0-1", "If-Range: \"other\""], ["Range: bytes=0-1,4-5", "Accept: */*"]] {
        let said = stage.get_with(&path, &ignored);
        assert!(said.status == 200 && said.body == file, "{ignored:?}");
    }
    let known = stage.get_with(&path, &[&format!("If-None-Match: {tag}"), "Range: bytes=0-1"]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let head = ask(&stage.server.authority, "HEAD", &path, &["Range: bytes=0-1"]);
    assert_eq!((head.status, head.header("content-length")), (200, Some(total.to_string().as_str())));
    assert!(head.body.is_empty() && head.header("etag") == Some(tag));
}

#[test]
fn only_chunks_of_the_ledger_are_served() {
    let stage = Stage::whole(1);
    let range = stage.live.cell_before_end(0);
    let key = Cell::from_range(range).key("news");
    let (day, file) = key.strip_prefix("news/").unwrap().split_once('/').unwrap();
    fs::write(stage.site.archive().join(format!("news/{day}/note.txt")), "not yours").unwrap();
    let before = Cell::from_range(Range::new(Time::from_s(0), Time::from_s(10))).key("news");
    let stray = stage.site.archive().join(&before);
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    fs::write(&stray, "no row speaks of it").unwrap();
    for target in [
        format!("/chunk/news/{day}/note.txt"),
        format!("/chunk/{before}"),
        "/chunk/news/..%2f..%2fledger.db/x".to_owned(),
        "/chunk/news/..%2f../ledger.db".to_owned(),
        format!("/chunk/news/{day}/..%2f{day}%2f{file}"),
        format!("/chunk/news/{day}/{file}%00"),
        format!("/chunk/other/{day}/{file}"),
        "/chunk/news/../ledger.db".to_owned(),
    ] {
        let said = stage.get(&target);
        assert!(said.status == 404, "{target}: {} {}", said.status, said.text());
    }
    assert_eq!(stage.get(&format!("/chunk/news/{day}/{file}")).status, 200);
    // A file that is not what was written is told, and not served.
    fs::write(stage.file(0), "cut").unwrap();
    let said = stage.get(&format!("/chunk/news/{day}/{file}"));
    assert_eq!(said.status, 500);
    assert!(said.text().contains("npvr verify news"), "{}", said.text());
    fs::remove_file(stage.file(0)).unwrap();
    assert_eq!(stage.get(&format!("/chunk/news/{day}/{file}")).status, 404);
}

/// A stand-in for `mp4split`: a script with this body.
fn stand_in(site: &Site, body: &str) -> PathBuf {
    let path = site.config().join("mp4split");
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A stage whose channel has its manifests made by a script.
fn with_program(body: &str, more: &str) -> Stage {
    Stage::whole(1).with_program(body, more)
}

/// The argument after `-o` into `$out`.
const OUT: &str = "prev=; for a in \"$@\"; do [ \"$prev\" = -o ] && out=$a; prev=$a; done";

#[test]
fn without_the_program_a_manifest_is_written_and_says_so() {
    let stage = Stage::whole(1);
    let range = stage.range(1, 2);
    let said = stage.get(&format!("/ism/news/{range}.ism"));
    assert_eq!((said.status, said.header("x-npvr-manifest")), (200, Some("best-effort")));
    assert_eq!(said.header("content-type"), Some("application/xml"));
    let text = said.text();
    assert_eq!((text.matches("<video ").count(), text.matches("<audio ").count()), (2, 2), "{text}");
    assert!(
        text.contains(&format!("<audio src=\"{range}.mp4\" systemBitrate=\"32000\" systemLanguage=\"eng\">")),
        "{text}"
    );
    assert_eq!(stage.get("/ism/news/2019-01-01T00:00:00Z--2019-01-02T00:00:00Z.ism").status, 404);
    assert_eq!(stage.get("/ism/news/x.ism").status, 400);

    // What only the program can do is not left out in silence.
    let lines = "[ism]\nprogram = \"no-such-mp4split\"\nremix_url = \"http://remix\"\noptions = [\"--hls.key=hunter2hunter2\"]\n";
    stage.site.channel("news", stage.live.url("news"), lines);
    let server = Serving::start(&stage.site, &[]);
    let said = ask(&server.authority, "GET", &format!("/ism/news/{range}.ism"), &[]);
    assert_eq!(said.status, 500);
    assert!(
        said.text().contains("no program no-such-mp4split") && !said.text().contains("hunter2"),
        "{}",
        said.text()
    );
}

#[test]
fn the_program_is_given_what_the_reference_gives_it() {
    let body = format!("{OUT}\nprintf '%s\\n' \"$@\" > \"$0.args\"\necho '<smil/>' > \"$out\"");
    let stage = with_program(&body, "options = [\"--hls.key=aaaaaaaa:bbbbbbbb\"]");
    let range = stage.range(1, 2);
    let said = stage.get(&format!("/api/ism/news/{range}.ism"));
    assert_eq!((said.status, said.text(), said.header("x-npvr-manifest")), (200, "<smil/>\n", None));
    let args = fs::read_to_string(stage.site.config().join("mp4split.args")).unwrap();
    let args: Vec<&str> = args.lines().collect();
    assert_eq!(args[..3], ["--hls.client_manifest_version=4", "--hls.key=aaaaaaaa:bbbbbbbb", "-o"]);
    assert!(args[3].ends_with(".ism") && !Path::new(args[3]).exists(), "{args:?}");
    assert_eq!(args[4..], [format!("http://remix-proxy/news/{range}.mp4")]);
}

#[test]
fn the_keys_of_a_bucket_are_on_the_command_line_only_where_the_channel_says_so() {
    let home = Home::both().into_iter().next_back().unwrap();
    let stage = Stage::of(1, &home.lines(), |_| Vec::new());
    let program = stand_in(
        &stage.site,
        &format!("{OUT}\nprintf '%s\\n' \"$@\" > \"$0.args\"\necho '<smil/>' > \"$out\""),
    );
    for (line, is_given) in [("", false), ("s3_keys = true\n", true)] {
        let ism = format!("[ism]\nprogram = {program:?}\nremix_url = \"http://remix\"\n{line}");
        stage.site.channel("news", stage.live.url("news"), &format!("{}{ism}", home.lines()));
        let server = Serving::start(&stage.site, &[]);
        let said = ask(&server.authority, "GET", &format!("/ism/news/{}.ism", stage.range(1, 2)), &[]);
        assert_eq!(said.status, 200, "{}", said.text());
        let args = fs::read_to_string(stage.site.config().join("mp4split.args")).unwrap();
        let keys = format!(
            "--s3_access_key\n{}\n--s3_secret_key\n{}\n--s3_region\n",
            common::s3::ACCESS,
            common::s3::SECRET
        );
        assert_eq!(args.contains(&keys), is_given, "{args}");
        assert_eq!(args.contains(common::s3::SECRET), is_given, "{args}");
    }
}

#[test]
fn what_the_program_says_when_it_fails_is_answered_without_secrets() {
    let body = "echo \"cannot use $2\" >&2\necho 'key FEDCBA9876543210 of http://joe:pw@host/x?token=s3cr3t' >&2\nexit 4";
    let stage = with_program(body, "options = [\"--iss.key=0123456789abcdef:fedcba9876543210\"]");
    let said = stage.get(&format!("/ism/news/{}.ism", stage.range(1, 2)));
    assert_eq!(said.status, 500);
    assert!(said.text().contains("it ended with exit code 4\ncannot use --iss.key=<redacted>\nkey <redacted> of http://host/x?token=…"), "{}", said.text());
    for secret in ["0123456789abcdef", "fedcba", "FEDCBA", "s3cr3t", "pw@"] {
        assert!(!said.headers.contains(secret) && !said.text().contains(secret), "{}", said.text());
    }
    let stage = with_program("exit 0", "");
    let said = stage.get(&format!("/ism/news/{}.ism", stage.range(1, 2)));
    assert_eq!((said.status, said.text().contains("made no manifest")), (502, true), "{}", said.text());
}

/// A program that hangs, with a child, both of which have a pipe open.
struct Hanging {
    pipe: PathBuf,
}

impl Hanging {
    fn body(site: &Site) -> (Hanging, String) {
        let pipe = site.config().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let body = format!("exec 9> {}\necho started >&9\nsleep 3600 &\nwait", pipe.display());
        (Hanging { pipe }, body)
    }

    /// Tells when it has started, and when all of it has ended.
    fn watch(&self) -> mpsc::Receiver<&'static str> {
        let (tell, told) = mpsc::channel();
        let pipe = self.pipe.clone();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(fs::File::open(pipe).unwrap());
            lines.read_line(&mut String::new()).unwrap();
            tell.send("started").unwrap();
            lines.read_to_end(&mut Vec::new()).unwrap();
            tell.send("ended").unwrap();
        });
        told
    }
}

#[test]
fn a_program_that_hangs_is_ended_with_its_children_and_so_is_one_that_nobody_waits_for() {
    let stage = Stage::whole(1);
    let (hanging, body) = Hanging::body(&stage.site);
    let stage = stage.with_program(&body, "timeout = \"PT2S\"");
    let target = format!("/ism/news/{}.ism", stage.range(1, 2));
    let told = hanging.watch();
    let said = stage.get(&target);
    assert_eq!((said.status, said.text().contains("it was ended after 2s")), (504, true), "{}", said.text());
    assert_eq!((told.recv_timeout(PATIENCE), told.recv_timeout(PATIENCE)), (Ok("started"), Ok("ended")));

    let stage = stage.with_program(&body, "timeout = \"PT1M50S\"");
    let told = hanging.watch();
    let mut stream = TcpStream::connect(&stage.server.authority).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", stage.server.authority).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("started"));
    drop(stream);
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok("ended"), "long before its time is up");
}
