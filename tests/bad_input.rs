//! Bad input, at the level of the user: what a source, a disk, a ledger or a file can do to npvr.
//!
//! Each gets a message that says what is wrong, where, and what to do; exit code 1 or 3; no panic, no hang, no memory
//! without bound; and nothing is lost: with the fault gone, the archive becomes whole.

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

/// How many whole cells there are to archive in the end: two at first, and two that come while something is broken.
const CELLS: u64 = 4;

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
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for word in words.iter().chain(&["npvr: ", "\n  hint: "]) {
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
