//! What goes wrong at the source costs what it costs and no more: every other cell is whole, what is missing is written down
//! with track, range and reason, and it is told once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use common::live::{CELL_S, Live, for_media};
use common::server::HandMade;
use common::{Site, finish};
use npvr::clock::Tick;
use npvr::sim::{Class, Fault, FaultKind, RestartStyle};
use npvr::time::{Range, Time};
use serde_json::Value;

/// All time.
fn ever() -> Range {
    Range::new(Time::EPOCH, Time::MAX)
}

/// An origin with `cells` cells, and a site that archives it, not yet.
fn staged(cells: i64) -> (Live, Site) {
    let live = Live::holding(cells);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    (live, site)
}

/// The middle of the second cell before the last: four seconds of it.
fn middle(live: &Live) -> Range {
    let cell = live.cell_before_end(2);
    Range::new(cell.start.plus(Duration::from_secs(3)), cell.end.minus(Duration::from_secs(3)))
}

/// Asserts what counts say, in the order complete, partial, failed, lost. The cell in which the archive begins counts too.
#[track_caller]
fn assert_counts(site: &Site, expected: [i64; 4]) -> Value {
    let status = site.status("news");
    let counts =
        ["complete", "partial", "failed", "lost"].map(|word| status["counts"][word].as_i64().unwrap());
    assert_eq!(counts, expected, "complete, partial, failed, lost; {:#}", status["gaps"]);
    site.assert_sound("news");
    status
}

/// Asserts that all gaps are of this track, for this reason, without a break, and lie about `range`: within a segment.
#[track_caller]
fn assert_gap(status: &Value, track: &str, range: Range, reason: &str) {
    let gaps = status["gaps"].as_array().unwrap();
    let instant = |gap: &Value, name: &str| gap["range"][name].as_str().unwrap().parse::<Time>().unwrap();
    for gap in gaps {
        assert_eq!(gap["track"], track);
        assert!(gap["reason"].as_str().unwrap().contains(reason), "{gap}");
    }
    assert!(gaps.windows(2).all(|two| instant(&two[0], "end") == instant(&two[1], "start")), "{gaps:#?}");
    let [first, last] = [gaps.first(), gaps.last()].map(Option::unwrap);
    for (is, should) in [(instant(first, "start"), range.start), (instant(last, "end"), range.end)] {
        assert!(is.signed_ns_since(should).abs() < 2_000_000_000, "{gaps:#?} should be about {range}");
    }
}

#[test]
fn a_gap_in_one_audio_track_is_one_gap_told_once_and_every_other_cell_is_whole() {
    let (live, site) = staged(5);
    let range = middle(&live);
    live.set_faults([Fault { track: Some("audio_nld".into()), range, ..Fault::new(FaultKind::Gap) }]);
    let told = site.check().expect(3);
    assert!(told.stderr.contains("stored with gaps: audio_nld=32000 lacks"), "{}", told.stderr);
    assert!(told.stderr.contains("hint: all gaps: npvr status --gaps news"), "{}", told.stderr);
    let status = assert_counts(&site, [5, 1, 0, 0]);
    assert_gap(&status, "audio_nld=32000", range, "the source has no media for it");
    let table = site.run(["status", "--gaps"]).expect(0).stdout;
    assert!(table.contains("audio_nld=32000") && table.contains("the source has no media for it"), "{table}");
    assert!(table.contains(&range.start.day()), "{table}");
    site.check().expect_silence();
}

#[test]
fn a_gap_that_the_source_fills_later_is_filled_in_the_archive() {
    let (live, site) = staged(5);
    let range = middle(&live);
    live.set_faults([Fault { track: Some("audio_nld".into()), range, ..Fault::new(FaultKind::Gap) }]);
    site.check().expect(3);
    live.set_faults([]);
    site.check().expect_silence();
    assert_counts(&site, [6, 0, 0, 0]);
}

#[test]
fn segments_that_are_gone_are_a_gap_with_the_answer_as_its_reason() {
    let (live, site) = staged(5);
    let range = middle(&live);
    let gone = Fault { track: Some("audio_eng".into()), ..for_media(FaultKind::Status(404), range) };
    live.set_faults([gone]);
    let told = site.check().expect(3);
    assert!(told.stderr.contains("audio_eng=32000 lacks"), "{}", told.stderr);
    let status = assert_counts(&site, [5, 1, 0, 0]);
    assert_gap(&status, "audio_eng=32000", range, "404");
    site.check().expect_silence();
}

#[test]
fn bursts_of_errors_resets_and_short_bodies_leave_no_trace() {
    let (live, site) = staged(5);
    let burst = |kind| Fault { share: 0.3, times: Some(1), ..for_media(kind, ever()) };
    let manifest = Fault { class: Some(Class::Mpd), times: Some(1), ..Fault::new(FaultKind::Status(502)) };
    let archive = Fault { class: Some(Class::Archive), times: Some(1), ..Fault::new(FaultKind::Reset) };
    let init = Fault { class: Some(Class::Init), times: Some(1), ..Fault::new(FaultKind::Short) };
    live.set_faults([
        burst(FaultKind::Status(503)),
        burst(FaultKind::Reset),
        burst(FaultKind::Short),
        manifest,
        archive,
        init,
    ]);
    site.check().expect_silence();
    let status = assert_counts(&site, [6, 0, 0, 0]);
    assert_eq!(status["gaps"], serde_json::json!([]));
}

#[test]
fn a_slow_source_is_waited_for() {
    let (live, site) = staged(2);
    live.set_faults([for_media(FaultKind::Slow(40_000), ever())]);
    site.check().expect_silence();
    assert_counts(&site, [3, 0, 0, 0]);
}

#[test]
fn a_source_that_falls_silent_is_given_up_and_what_it_had_is_kept_and_captured_later() {
    let (live, site) = staged(2);
    site.channel("news", live.url("news"), "read_timeout = \"PT1S\"");
    live.set_faults([for_media(FaultKind::Stall, live.cell_before_end(0))]);
    let told = site.check().expect(3);
    assert!(told.stderr.contains("channel news"), "{}", told.stderr);
    live.set_faults([]);
    // By hand, now, and not when the next attempt is due.
    let cell = live.cell_before_end(0).to_string();
    site.run(["capture", "news", &cell, "--force"]).expect(0);
    assert_counts(&site, [3, 0, 0, 0]);
}

/// A restart of the encoder in the middle of a cell.
#[track_caller]
fn survives_a_restart(style: RestartStyle) {
    let (live, site) = staged(5);
    let at = middle(&live);
    live.set_faults([Fault {
        range: Range::new(at.start, Time::MAX),
        ..Fault::new(FaultKind::Restart(style))
    }]);
    site.check().expect_silence();
    let status = assert_counts(&site, [6, 0, 0, 0]);
    assert_eq!(status["gaps"], serde_json::json!([]));
}

#[test]
fn a_restart_that_begins_a_new_period_costs_nothing() {
    survives_a_restart(RestartStyle::Period);
}

#[test]
fn a_restart_that_shows_nowhere_but_in_the_bytes_of_the_init_segment_costs_no_segment() {
    survives_a_restart(RestartStyle::SameUrl);
}

#[test]
fn a_source_whose_clock_is_wrong_is_archived_on_its_own_clock() {
    for hours in [-1, 1] {
        let (live, site) = staged(3);
        live.set_faults([Fault::new(FaultKind::Skew(hours * 3_600_000_000_000))]);
        site.check().expect_silence();
        assert_counts(&site, [4, 0, 0, 0]);
        let last: Time = site.status("news")["last_chunk"]["end"].as_str().unwrap().parse::<Time>().unwrap();
        assert_eq!(last, live.end().offset_ns(hours * 3_600_000_000_000));
    }
}

#[test]
fn a_host_whose_clock_is_wrong_archives_by_the_clock_of_the_source() {
    for wrong in ["-1h", "+1h"] {
        let (live, site) = staged(3);
        let mut faketime = Command::new("faketime");
        site.settle_in(&mut faketime);
        faketime.args(["-f", wrong, env!("CARGO_BIN_EXE_npvr"), "check"]);
        finish(faketime).expect_silence();
        let chunks = site.chunks("news");
        let end = live.end().to_string();
        assert!(chunks.last().unwrap().to_str().unwrap().contains(&format!("--{end}")), "{chunks:?}");
        assert_eq!(chunks.len(), 4);
        site.check().expect_silence();
        assert_counts(&site, [4, 0, 0, 0]);
    }
}

#[test]
fn a_retry_is_due_by_our_clock_whatever_the_source_s_clock_says() {
    let (live, site) = staged(2);
    live.set_faults([Fault { class: Some(Class::Init), ..Fault::new(FaultKind::Status(500)) }]);
    site.check().expect(3);
    // An hour behind: by that clock the retry is far away.
    live.set_faults([Fault::new(FaultKind::Window(Duration::from_secs(3_000)))]);
    let ledger = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
    let now = npvr::clock::now().ns();
    let due = ledger.execute("UPDATE chunk SET retry_at_ns = ?1 WHERE state = 'failed'", [now]).unwrap();
    assert_eq!(due, 3);
    assert!(live.now() < npvr::clock::now(), "the origin's clock is behind in these tests");
    site.check().expect_silence();
    assert_counts(&site, [3, 0, 0, 0]);
}

#[test]
fn a_window_that_shrinks_costs_what_fell_out_of_it_and_that_is_told_once() {
    let (live, site) = staged(8);
    site.check().expect_silence();
    live.go_on(6 * CELL_S);
    live.set_faults([Fault::new(FaultKind::Window(Duration::from_secs(35)))]);
    let told = site.check().expect(3);
    assert!(told.stderr.contains("lost: it left the window before it was captured"), "{}", told.stderr);
    assert!(told.stderr.contains("hint: check more often"), "{}", told.stderr);
    let status = site.status("news");
    let lost = status["counts"]["lost"].as_i64().unwrap();
    assert!((3..=4).contains(&lost), "{}", status["counts"]);
    let gaps = status["gaps"].as_array().unwrap();
    let of_lost = gaps.iter().filter(|gap| gap["reason"].as_str().unwrap().contains("left the window"));
    assert!(of_lost.count() >= 4 * 3, "one of each track of each lost cell: {gaps:#?}");
    site.check().expect_silence();
    live.go_on(CELL_S);
    site.check().expect_silence();
    site.assert_sound("news");
}

#[test]
fn a_source_that_is_down_is_told_with_a_remedy_and_the_others_are_archived() {
    let (_live, site) = staged(2);
    // Nobody listens there any more.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    site.channel("down", format!("http://{nobody}/down/down.isml"), "connect_timeout = \"PT1S\"");
    for _ in 0..2 {
        let told = site.check().expect(3);
        assert!(told.stderr.starts_with("npvr: channel down: "), "{}", told.stderr);
        assert!(told.stderr.contains("\n  hint: "), "{}", told.stderr);
        assert!(!told.stderr.contains("news"), "{}", told.stderr);
    }
    assert!(site.status("down")["error"].is_string());
    assert_counts(&site, [3, 0, 0, 0]);
}

#[test]
fn no_more_requests_run_at_once_than_max_connections_however_long_the_backlog() {
    let live = Live::holding(6);
    live.set_faults([for_media(FaultKind::Delay(Duration::from_millis(5)), ever())]);
    let front = HandMade::in_front_of(live.authority());
    let site = Site::new();
    site.channel("news", front.url("/news/news.isml"), "max_connections = 2");
    site.check().expect_silence();
    assert_counts(&site, [7, 0, 0, 0]);
    assert!(front.total() > 100, "{}", front.total());
    assert_eq!(front.most_at_once(), 2);
}

#[test]
fn no_more_bytes_are_fetched_in_a_second_than_max_rate() {
    let (live, site) = staged(2);
    site.channel("news", live.url("news"), "max_rate = \"200kB/s\"");
    let began = Tick::now();
    site.check().expect_silence();
    let took = began.elapsed();
    let bytes = assert_counts(&site, [3, 0, 0, 0])["counts"]["bytes"].as_u64().unwrap();
    // A burst of a quarter of a second is free.
    let least = Duration::from_millis(bytes / 200 - 250);
    assert!(took >= least, "{bytes} bytes in {took:?}");
}
