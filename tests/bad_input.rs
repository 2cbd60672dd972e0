//! Bad input, at the level of the user: what a source, a disk, a ledger or a file can do to npvr.
//!
//! Each gets a message that says what is wrong, where, and what to do; exit code 1 or 3; no panic, no hang, no memory
//! without bound; and nothing is lost: with the fault gone, the archive becomes whole.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and says why"
)]

mod common;

use std::time::Duration;

use common::front::{Answer, Front};
use common::live::{CELL_S, Live};
use common::measure::measured;
use common::server::Reply;
use common::{Ran, Site};
use serde_json::json;

/// A document of at most 64 MiB, twice while its buffer grows, and the program.
const DOCUMENT_PEAK_MIB: u64 = 64 * 2 + 50;
/// A segment of at most 256 MiB, twice while its buffer grows, and the program.
const SEGMENT_PEAK_MIB: u64 = 256 * 2 + 50;
/// Whatever is wrong, a run is over long before cron's patience ends.
const QUICK: Duration = Duration::from_secs(60);

/// How many cells are whole in the end: that in which the archive begins, two more at first, and two that come while
/// something is broken.
const CELLS: u64 = 5;

/// A channel that is archived as far as two cells ago, on a simulated origin whose clock stands still, with a server in
/// between that breaks what it is told to.
struct Broken {
    site: Site,
    front: Front,
    live: Live,
}

impl Broken {
    fn at(path: &str) -> Broken {
        let live = Live::holding(2);
        let (site, front) = (Site::new(), Front::before(live.authority()));
        site.channel("news", front.url(path), "");
        site.check().expect_silence();
        live.go_on(2 * CELL_S);
        Broken { site, front, live }
    }

    /// On the publishing point.
    fn publishing_point() -> Broken {
        Broken::at("/news/news.isml")
    }

    /// On the plain DASH origin.
    fn dash() -> Broken {
        Broken::at("/news/manifest.mpd")
    }

    /// A check that has to fail, with a message that has all of `words`; nothing is archived, and memory is bounded.
    #[track_caller]
    fn refuses(&self, words: &[&str], peak_mib: u64) {
        let began = npvr::clock::Tick::now();
        let (ran, peak) = measured(self.site.command(["check"]));
        assert!(began.elapsed() < QUICK, "{:?}: {ran:?}", began.elapsed());
        assert!(peak < peak_mib, "{peak} MiB: {ran:?}");
        tells(&ran, 3, &[&["channel news"], words].concat());
    }

    /// With the fault gone, one check archives everything, and the next finds nothing to do.
    #[track_caller]
    fn heals(&self) {
        self.front.mend();
        self.site.check().expect_silence();
        self.is_whole();
    }

    /// With the fault gone, what was captured with a hole is captured again without one.
    #[track_caller]
    fn heals_by_force(&self) {
        self.front.mend();
        let (first, last) = (self.live.cell_before_end(1), self.live.cell_before_end(0));
        let range = format!("{}--{}", first.start, last.end);
        self.site.run(["capture", "news", &range, "--force"]).expect(0);
        self.is_whole();
    }

    #[track_caller]
    fn is_whole(&self) {
        let status = self.site.status("news");
        let counts = &status["counts"];
        assert_eq!((&counts["complete"], &counts["failed"]), (&json!(CELLS), &json!(0)), "{status:#}");
        assert_eq!((&status["gaps"], &status["error"]), (&json!([]), &json!(null)), "{status:#}");
        self.site.check().expect_silence();
        self.site.assert_sound("news");
    }
}

/// A failure, told as one: what, where, and what to do.
#[track_caller]
fn tells(ran: &Ran, code: i32, words: &[&str]) {
    says(ran, code, &[words, &["\n  hint: "]].concat());
}

/// A failure, told as one: what and where. What to do is in the sentence itself: a value from this to that.
#[track_caller]
fn says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for word in words.iter().chain(&["npvr: "]) {
        assert!(ran.stderr.contains(word), "{word:?} is not in:\n{}", ran.stderr);
    }
    for word in ["panicked", "(os error", "RUST_BACKTRACE"] {
        assert!(!ran.stderr.contains(word), "{word:?} is in:\n{}", ran.stderr);
    }
    assert_eq!(ran.stdout, "", "a failure is no data");
}

const LOGIN: &str = "<!DOCTYPE html><html><body>Please log in</body></html>";
const BOMB: &str = "<!DOCTYPE m [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]><MPD>&c;</MPD>";
const NO_TRACKS: &str =
    "<MPD type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\"><Period start=\"PT0S\"/></MPD>";

/// 200, and 2 GB announced.
fn two_gigabytes() -> Answer {
    Answer::Instead(Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n<MPD>".to_vec()))
}

/// More than any document may have, in few bytes.
fn zip_bomb() -> Answer {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let block = vec![b' '; 1 << 20];
    (0..80).for_each(|_| std::io::Write::write_all(&mut zipped, &block).unwrap());
    let zipped = zipped.finish().unwrap();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", zipped.len());
    Answer::Instead(Reply::Raw([head.into_bytes(), zipped].concat()))
}

#[test]
fn what_is_no_manifest_is_refused_and_later_everything_is_archived() {
    let broken = Broken::dash();
    let half = |t: &str| t[..t.len() / 2].to_owned();
    for (answer, words) in [
        (Answer::ok("<MPD><Period></MPD>"), "not well-formed XML at byte 13"),
        (Answer::text(half), "it ends in the middle"),
        (Answer::ok(BOMB), "DOCTYPE"),
        (Answer::ok(LOGIN), "it is HTML"),
        (Answer::ok("<smil/>"), "its root element is <smil>"),
        (Answer::ok(vec![0xff; 1_000]), "not UTF-8 at byte 0"),
        (Answer::ok(NO_TRACKS), "it lists no representation"),
        (Answer::ok(NO_TRACKS.replace("<Period start=\"PT0S\"/>", "")), "it lists no representation"),
        (Answer::status("401 Unauthorized", ""), "401"),
        (Answer::status("404 Not Found", ""), "404"),
        (Answer::status("302 Found", "Location: /news/manifest.mpd\r\n"), "redirects"),
        (Answer::status("302 Found", "Location: file:///etc/passwd\r\n"), "no HTTP URL"),
    ] {
        broken.front.mend();
        broken.front.answer("manifest.mpd", answer);
        broken.refuses(&["/news/manifest.mpd: ", words], 50);
    }
    let status = broken.site.status("news");
    assert!(status["error"].as_str().unwrap().contains("no HTTP URL"), "{status:#}");
    broken.heals();
}

#[test]
fn a_manifest_without_an_end_is_given_up_with_bounded_memory() {
    let broken = Broken::dash();
    for answer in [two_gigabytes(), Answer::endless(), zip_bomb()] {
        broken.front.mend();
        broken.front.answer("manifest.mpd", answer);
        broken.refuses(&["/news/manifest.mpd: larger than 64 MiB"], DOCUMENT_PEAK_MIB);
    }
    broken.heals();
}

#[test]
fn numbers_of_a_manifest_that_cannot_be_are_refused_and_later_everything_is_archived() {
    let broken = Broken::dash();
    let put = |from: &'static str, to: &'static str| Answer::text(move |t| t.replace(from, to));
    for (answer, words) in [
        (put(" timescale=\"", " timescale=\"0\" x=\""), "timescale"),
        (put(" d=\"", " d=\"0\" x=\""), "an S element whose d is not more than 0"),
        (put(" d=\"", " d=\"-5\" x=\""), "an S element whose d is not more than 0"),
        (put(" d=\"", " d=\"99999999999999999999\" x=\""), "S@d"),
        (put(" r=\"", " r=\"9223372036854775807\" x=\""), "segment"),
        (put(" t=\"", " t=\"9223372036854775807\" x=\""), "segment"),
        (put("availabilityStartTime=\"1970", "availabilityStartTime=\"Yesterday"), "availabilityStartTime"),
    ] {
        broken.front.mend();
        broken.front.answer("manifest.mpd", answer);
        broken.refuses(&["/news/manifest.mpd: ", words], 50);
    }
    broken.heals();
}

#[test]
fn what_is_no_archive_document_is_refused_and_later_everything_is_archived() {
    let broken = Broken::publishing_point();
    let half = |t: &str| t[..t.len() / 2 + 1].to_owned();
    for (answer, words) in [
        (Answer::text(half), "not well-formed XML at byte"),
        (Answer::ok(BOMB), "DOCTYPE"),
        (Answer::ok(LOGIN), "it is HTML"),
        (Answer::ok("<smil><body/></smil>"), "it lists no track"),
        (Answer::text(|t| t.replace("<c start=\"20", "<c start=\"xx")), "start"),
        (two_gigabytes(), "larger than 64 MiB"),
    ] {
        broken.front.mend();
        broken.front.answer("/archive", answer);
        broken.refuses(&["/news/news.isml/archive: ", words], 50);
    }
    // The document is fine, and the manifest behind it is not: that is found when a cell is captured.
    broken.front.mend();
    broken.front.answer(".mpd", Answer::ok(LOGIN));
    broken.refuses(&["chunk 20", "/news/news.isml/.mpd?vbegin=", "it is HTML"], 50);
    broken.heals_by_force();
}

/// A segment or init segment that is broken, and what is said of it.
#[track_caller]
fn a_broken_one(part: &str, answer: Answer, words: &[&str], peak_mib: u64) {
    let broken = Broken::publishing_point();
    broken.front.answer_one(part, answer);
    broken.refuses(words, peak_mib);
    let status = broken.site.status("news");
    assert_eq!(status["counts"]["complete"], json!(CELLS - 1), "the other cells are whole: {status:#}");
    broken.heals_by_force();
}

/// Writes `bytes` so many bytes behind the first `what`.
fn write(what: &'static [u8; 4], behind: usize, bytes: &'static [u8]) -> Answer {
    Answer::bytes(move |mut segment| {
        let at = segment.windows(4).position(|w| w == what).unwrap() + 4 + behind;
        segment[at..at + bytes.len()].copy_from_slice(bytes);
        segment
    })
}

const VIDEO: &str = "video=110000-";

#[test]
fn a_segment_that_is_not_mp4_is_a_gap_until_it_can_be_had() {
    a_broken_one(
        VIDEO,
        Answer::ok(LOGIN),
        &["stored with gaps: video=110000 lacks 1.", "not fragmented MP4"],
        50,
    );
}

#[test]
fn a_segment_whose_boxes_lie_about_their_size_is_a_gap_until_it_can_be_had() {
    let lacks = "video=110000 lacks 1.";
    // The size of a box stands before its type.
    for answer in [
        Answer::bytes(|s| s[..s.len() / 2].to_vec()),
        Answer::bytes(|s| s.iter().map(|_| 0).collect()),
        Answer::bytes(|s| [&[0xff, 0xff, 0xff, 0xff], &s[4..]].concat()),
        Answer::bytes(|s| [&[0, 0, 0, 1], &s[4..8], &[0xff; 8], &s[8..]].concat()),
        // The count of samples in the run.
        write(b"trun", 4, &[0xff, 0xff, 0xff, 0xff]),
    ] {
        a_broken_one(VIDEO, answer, &["stored with gaps", lacks], 50);
    }
}

#[test]
fn a_segment_whose_samples_last_for_hours_does_not_pass_for_those_that_follow() {
    // `tfhd`: version and flags, track, and then how long each sample lasts.
    let hours = write(b"tfhd", 8, &[0, 0x10, 0, 0]);
    a_broken_one(
        VIDEO,
        hours,
        &["stored with gaps: video=110000 lacks 1.", "and the manifest says 1.9s"],
        50,
    );
}

#[test]
fn a_segment_whose_decode_time_runs_backwards_is_put_where_the_manifest_has_it() {
    let broken = Broken::publishing_point();
    broken.front.answer_one(VIDEO, write(b"tfdt", 4, &[0; 8]));
    broken.site.check().expect_silence();
    broken.is_whole();
}

#[test]
fn a_segment_without_an_end_is_given_up_with_bounded_memory() {
    a_broken_one(VIDEO, Answer::endless(), &["larger than 256 MiB"], SEGMENT_PEAK_MIB);
}

#[test]
fn an_init_segment_that_is_not_mp4_fails_its_cell_and_later_everything_is_archived() {
    let broken = Broken::publishing_point();
    broken.front.answer("video=110000.dash", Answer::ok(LOGIN));
    broken.refuses(&["chunk 20", "video=110000: init segment"], 50);
    broken.heals_by_force();
}

/// `npvr check` in a shell that has run `before`: limits, mounts, another user.
fn check_after(site: &Site, before: &str) -> Ran {
    let mut shell = std::process::Command::new("sh");
    site.settle_in(&mut shell);
    shell.args(["-c", &format!("{before}; exec \"$0\" check"), env!("CARGO_BIN_EXE_npvr")]);
    common::finish(shell)
}

#[test]
fn a_limit_on_the_size_of_files_fails_the_cells_and_loses_nothing() {
    let broken = Broken::publishing_point();
    // In blocks of 512 bytes: far less than a chunk, and more than the ledger and what it needs beside it.
    let ran = check_after(&broken.site, "trap '' XFSZ; ulimit -f 200");
    tells(&ran, 3, &["channel news: chunk 20", "write ", ".spool: file too large"]);
    broken.heals_by_force();
}

/// Runs `script` in a shell that may mount what it wants, seen by nobody else: `$0` is npvr, `$1` is `argument`. `None`
/// where the machine does not let anybody have a namespace of his own.
fn with_mounts(site: &Site, script: &str, argument: &str) -> Option<Ran> {
    let mut shell = std::process::Command::new("unshare");
    if !shell.args(["-rm", "true"]).output().is_ok_and(|o| o.status.success()) {
        eprintln!("not tested: unshare -rm is not allowed here");
        return None;
    }
    let mut shell = std::process::Command::new("unshare");
    site.settle_in(&mut shell);
    shell.args(["-rm", "sh", "-ec", script, env!("CARGO_BIN_EXE_npvr"), argument]);
    Some(common::finish(shell))
}

#[test]
fn a_full_disk_fails_the_cells_and_with_room_again_everything_is_archived() {
    let live = Live::holding(2);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    std::fs::write(site.config().join("npvr.toml"), "[state]\nmin_free = \"0\"\n").unwrap();
    std::fs::create_dir_all(site.state()).unwrap();
    // The disk is gone with the namespace, so everything happens in one shell. The ledger is made first; what the ballast
    // leaves is less than a chunk.
    let script = "mount -t tmpfs -o size=2m npvr-test state
        \"$0\" status > /dev/null
        dd if=/dev/zero of=state/ballast bs=1k count=1740 status=none
        code=0; \"$0\" check || code=$?
        rm state/ballast; mount -o remount,size=64m state
        \"$0\" capture news \"$1\" --force
        \"$0\" check
        exit $code";
    let range = format!("{}--{}", live.cell_before_end(1).start, live.cell_before_end(0).end);
    let Some(ran) = with_mounts(&site, script, &range) else { return };
    assert_eq!(ran.stdout.matches("complete").count(), 2, "{ran:?}");
    let full = Ran { stdout: String::new(), ..ran };
    tells(
        &full,
        3,
        &["channel news: chunk 20", "write ", ".spool: no space left on device", "free some space"],
    );
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named_and_nothing_is_lost() {
    let broken = Broken::publishing_point();
    for (state, words) in [
        ("/proc/npvr", "state folder"),
        ("/dev/null", "the state folder is not a folder"),
        ("/dev/null/npvr", "the state folder is not a folder"),
    ] {
        let ran = broken.site.run(["check", "--state", state]);
        tells(&ran, 1, &[&format!("state {state}: "), words, "point --state at a folder"]);
    }
    let script = "mount -o bind,ro state state; exec \"$0\" check";
    if let Some(ran) = with_mounts(&broken.site, script, "") {
        tells(&ran, 1, &["/state: ", "read-only file system", "that can be written"]);
    }
    broken.heals();
}

#[test]
fn a_ledger_that_cannot_be_used_is_named_and_left_as_it_is() {
    let broken = Broken::publishing_point();
    let path = broken.site.state().join("ledger.db");
    let good = std::fs::read(&path).unwrap();
    // Offsets are those of the file's header: https://sqlite.org/fileformat2.html, section 1.3.
    for (bytes, words) in [
        (b"This is a letter to my aunt.".repeat(9), "this is not a database"),
        (good[..good.len() / 2].to_vec(), "the database is damaged"),
        (good[..100].to_vec(), "the database is damaged"),
        ([&good[..4_096], &vec![0xa5; good.len() - 4_096]].concat(), "the database is damaged"),
        ([&good[..60], &[0, 0, 0, 99], &good[64..]].concat(), "made by a newer npvr (version 99, here 3)"),
        ([&good[..68], &[0, 0, 0, 99], &good[72..]].concat(), "the database of another program"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        for args in [
            &["check"][..],
            &["status"],
            &["log", "1"],
            &["capture", "news", "2020-01-01T00:00:00Z--2020-01-01T00:00:10Z"],
        ] {
            tells(&broken.site.run(args), 1, &["state/ledger.db: ", words]);
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "{words}: the file is touched");
    }
    std::fs::write(&path, good).unwrap();
    broken.heals();
}

#[test]
fn a_new_ledger_takes_over_chunks_that_are_stored_and_never_replaces_one_by_less() {
    let broken = Broken::publishing_point();
    broken.site.check().expect_silence();
    let before: Vec<Vec<u8>> = broken.site.chunks("news").iter().map(|f| std::fs::read(f).unwrap()).collect();
    // The window has moved on meanwhile: the source has only the end of the first chunk that it still knows.
    broken.live.go_on(5);
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        drop(std::fs::remove_file(broken.site.state().join(name)));
    }
    broken.site.check().expect_silence();
    let after: Vec<Vec<u8>> = broken.site.chunks("news").iter().map(|f| std::fs::read(f).unwrap()).collect();
    assert!(before == after, "stored chunks are as they were");
    let jobs = broken.site.jobs();
    let logs: String =
        jobs.iter().map(|job| broken.site.run(["log", &job["id"].to_string()]).expect(0).stdout).collect();
    let kept = logs.matches("is stored already, and has all that there is of it").count();
    assert_eq!(kept, jobs.len(), "{logs}");
    broken.site.check().expect_silence();
    let problems = broken.site.status("news")["gaps"].clone();
    assert_eq!(problems, json!([]));
}

#[test]
fn a_channel_file_that_cannot_be_used_is_named_with_its_line_and_the_others_go_on() {
    let broken = Broken::publishing_point();
    for (line, words, hint) in [
        ("chunk_duratoin = \"PT5M\"", "unknown key \"chunk_duratoin\"", "did you mean chunk_duration?"),
        ("chunk_duration = \"PT0S\"", "chunk_duration: ", ""),
        ("chunk_duration = \"-PT5S\"", "chunk_duration: ", ""),
        ("chunk_duration = \"PT0.5S\"", "chunk_duration: ", ""),
        ("chunk_duration = \"P400000000D\"", "chunk_duration: ", ""),
        ("chunk_duration = 300", "chunk_duration must be text in quotes", ""),
        ("archive_length = \"PT1S\"", "archive_length: ", ""),
        ("max_connections = 0", "max_connections: 0 is not from 1 to 64", ""),
        ("max_rate = \"fast\"", "max_rate: ", ""),
        ("enabled = \"yes\"", "enabled must be true or false", ""),
        ("tracks = [\"smell\"]", "tracks: ", ""),
        ("username = \"joe", "this is not TOML", ""),
        ("[disk]\npath = \"relative\"", "is not an absolute path", ""),
    ] {
        let text = format!("channel_url = \"http://127.0.0.1:1/a.isml\"\n{line}\n");
        std::fs::write(broken.site.channel_file("bad"), text).unwrap();
        let ran = broken.site.check();
        says(&ran, 3, &["channel bad: ", "channels.d/bad.toml, line ", words, hint]);
        assert!(!ran.stderr.contains("channel news"), "{ran:?}");
        // Alone it is no channel that can be checked at all.
        says(&broken.site.run(["check", "bad"]), 1, &["channel bad: ", words, hint]);
        says(&broken.site.run(["config", "show", "bad"]), 1, &["channel bad: ", words, hint]);
    }
    std::fs::remove_file(broken.site.channel_file("bad")).unwrap();
    broken.is_whole();
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_with_its_line() {
    let site = Site::new();
    for (text, words, hint) in [
        ("[stat]\ndir = \"/x\"\n", "npvr.toml, line 1: unknown key \"stat\"", "did you mean state?"),
        ("\n[state]\ndir = \"x\"\n", "npvr.toml, line 3: state.dir must be an absolute path", "dir = "),
        ("[defaults]\nchunk = 1\n", "npvr.toml, line 2: unknown key \"chunk\"", "did you mean"),
        ("[check]\nparallel = 0\n", "npvr.toml, line 2: check.parallel must be", ""),
        (
            "chunk_duration = \"PT5M\"\n",
            "npvr.toml, line 1: chunk_duration belongs to a channel",
            "[defaults]",
        ),
        ("= 1", "npvr.toml, line 1: this is not TOML", ""),
    ] {
        std::fs::write(site.config().join("npvr.toml"), text).unwrap();
        says(&site.check(), 1, &[words, hint]);
    }
    let ran = site.run(["check", "--config", "/nowhere"]);
    tells(&ran, 1, &["there is no configuration: /nowhere is not there", "npvr channel add"]);
}

/// Everything that must not be seen, each in a place of its own.
const SECRETS: [&str; 4] = ["s3cr3t-password", "s3cr3t-header", "s3cr3t-query", "s3cr3t-redirect"];

#[test]
fn secrets_are_in_no_output_no_log_and_no_ledger_whatever_goes_wrong() {
    let broken = Broken::publishing_point();
    let (site, front) = (&broken.site, &broken.front);
    let [password, header, query, redirect] = SECRETS;
    let more = format!("username = \"joe\"\npassword = \"{password}\"\n[headers]\nX-Key = \"{header}\"");
    site.channel("news", front.url(&format!("/news/news.isml?token={query}")), &more);
    let elsewhere = format!("Location: /elsewhere?key={redirect}\r\n");
    let all = broken.live.cell_before_end(1).start.to_string() + "--" + &broken.live.end().to_string();
    let mut said = String::new();
    let everything = [
        &["check", "--dry-run"][..],
        &["check"],
        &["check", "--json"],
        &["channel", "list"],
        &["channel", "probe", "news"],
        &["channel", "disable", "news"],
        &["channel", "enable", "news"],
        &["config", "show", "news"],
        &["status"],
        &["status", "--json"],
        &["status", "--gaps"],
        &["status", "--jobs"],
        &["status", "--jobs", "--json"],
    ];
    for (part, answer) in [
        ("/archive", Answer::status("401 Unauthorized", "")),
        ("/archive", Answer::status("302 Found", &elsewhere)),
        ("/archive", Answer::ok(LOGIN)),
        (".mpd", Answer::ok("<MPD>")),
        (".dash", Answer::status("403 Forbidden", "")),
        ("nothing of it", Answer::ok("")),
    ] {
        front.mend();
        front.answer(part, answer);
        front.answer("/elsewhere", Answer::status("404 Not Found", ""));
        for args in everything.iter().copied().chain([&["capture", "news", &all, "--force"][..]]) {
            let ran = site.run(args);
            said += &format!("{args:?}\n{}{}", ran.stdout, ran.stderr);
        }
    }
    // What passes is tried again and again, which takes its time: once is enough.
    for (part, answer) in
        [("/archive", Answer::Instead(Reply::Close)), (".mpd", Answer::status("503 Service Unavailable", ""))]
    {
        front.mend();
        front.answer(part, answer);
        said += &site.run(["capture", "news", &all, "--force"]).stderr;
        said += &site.run(["status"]).expect(0).stdout;
    }
    for job in site.jobs() {
        said += &site.run(["log", &job["id"].to_string()]).expect(0).stdout;
    }
    // What a person types wrongly may hold one too.
    let url = format!("http://joe:{password}@127.0.0.1:1/a.isml");
    said += &site.run(["channel", "add", "a", "--url", &url]).expect(1).stderr;
    said += &site.run(["channel", "probe", &url]).stderr;
    let text = format!("channel_url = \"{url}\"\npassword = \"{password}\" \"{header}\"\n");
    std::fs::write(site.channel_file("b"), text).unwrap();
    said += &site.run(["check", "b"]).expect(1).stderr;

    assert!(said.contains("token=…"), "URLs are told, without values: {said}");
    assert!(front.seen().iter().any(|r| r.headers.iter().any(|h| h.contains(header))), "they were sent");
    let mut places = vec![("an output".to_owned(), said.into_bytes())];
    for file in common::files_below(&site.state()) {
        places.push((file.display().to_string(), std::fs::read(&file).unwrap()));
    }
    for (place, bytes) in places {
        // Basic auth is base64: "joe:s3cr3t-password".
        for secret in SECRETS.iter().chain(&["am9lOnMzY3Izd"]) {
            let found = bytes.windows(secret.len()).position(|w| w == secret.as_bytes());
            let around = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(300)..at + 20]));
            assert_eq!(around, None, "{secret} is in {place}");
        }
    }
}
