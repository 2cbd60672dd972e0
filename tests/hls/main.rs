//! HLS: playlists by the rules, and as players take them: the real server over an archive of a simulated channel.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod m3u8;
mod pure;
mod stage;

use common::home::Home;
use common::live::{Live, for_media};
use m3u8::Media;
use npvr::grid::Cell;
use npvr::ledger::Ledger;
use npvr::sim::{Fault, FaultKind, RestartStyle};
use npvr::time::Range;
use stage::Stage;

/// Pictures a second, of the simulation.
const PICTURES: u64 = 25;

/// How many pictures a playlist says that it has.
fn pictures(media: &Media) -> usize {
    let there = media.segments.iter().filter(|segment| !segment.is_gap).map(|segment| segment.us);
    usize::try_from(there.sum::<u64>() * PICTURES / 1_000_000).unwrap()
}

#[test]
fn a_range_plays_whole_from_within_a_segment_and_over_chunks_from_a_disk_and_from_a_bucket() {
    for home in Home::both() {
        let stage = Stage::of(Live::holding(5), home, |_| Vec::new());
        // Not on the grid, and not on segments.
        let range = stage.range((3, 4_321), (0, 7_654));
        let path = format!("/hls/news/{range}/master.m3u8");
        let master = stage.master(&path);
        assert_eq!(master.variants.len(), 2);
        for variant in &master.variants {
            variant.need("CODECS");
            assert_eq!(variant.need("FRAME-RATE"), "25.000");
            let media = stage.media(&stage.link(&path, variant.need("URI")));
            assert!(media.is_ended && media.is_independent && media.kind == "VOD");
            assert_eq!(
                media.segments[0].at_us + i64::try_from(media.start_us.unwrap()).unwrap(),
                range.start.ns() / 1_000
            );
            let end = media.segments.last().unwrap();
            let end_us = end.at_us + i64::try_from(end.us).unwrap();
            let late_us = end_us - range.end.ns() / 1_000;
            assert!((0..1_920_000).contains(&late_us), "it ends {late_us} µs behind the out point");
            assert!(
                media.segments.iter().all(|s| s.breaks == 0 && !s.is_gap && s.map == media.segments[0].map)
            );
        }
        let languages: Vec<&str> = master.renditions.iter().map(|r| r.need("LANGUAGE")).collect();
        assert_eq!(languages, ["en", "nl"]);
        let best = stage.best(&path);
        assert_eq!(stage.decode(&path), pictures(&stage.media(&best)));
        assert_eq!(stage.decode(&best), pictures(&stage.media(&best)));
        let short = format!("/news/{range}.m3u8");
        assert_eq!(stage.link(&short, stage.master(&short).variants[0].need("URI")), best);
        assert_eq!(stage.decode(&short), stage.decode(&best));

        // For scrubbing: the same frames as the pictures.
        let frames = stage.media(&stage.link(&path, master.frames[0].need("URI")));
        assert!(frames.is_frames && frames.segments == stage.media(&best).segments);
        assert_eq!(stage.get(&best.replace("1.m3u8", "9.m3u8")).status, 404);
        assert_eq!(stage.get(&best.replace("1.m3u8", "one.m3u8")).status, 404);
    }
}

#[test]
fn who_has_a_playlist_is_not_sent_it_twice_and_pages_of_others_may_fetch_it() {
    let stage = Stage::whole(3);
    let path = format!("/hls/news/{}/master.m3u8", stage.range((1, 0), (0, 5_000)));
    let said = stage.get(&path);
    assert_eq!(said.header("access-control-allow-origin"), "*");
    assert_eq!(said.header("cache-control"), "max-age=86400", "nothing in it can change");
    let known = stage.get_with(&path, &format!("If-None-Match: {}\r\n", said.header("etag")));
    assert_eq!((known.status, known.text()), (304, ""));
}

/// Five cells, of which one was never captured, one lacks media of all tracks, and one that of a language.
fn with_gaps() -> Stage {
    let live = Live::holding(7);
    // So long ago that nothing more is waited for.
    live.go_on(-720);
    let stage = Stage::of(live, Home::Disk, |live| {
        let at = |n: i64, from: i64, to: i64| {
            let start = live.cell_before_end(n).start;
            let plus = |s: i64| start.plus(std::time::Duration::from_secs(s.unsigned_abs()));
            Range::new(plus(from), plus(to))
        };
        let gap = |range| for_media(FaultKind::Gap, range);
        vec![gap(at(4, 3, 7)), Fault { track: Some("audio_nld".to_owned()), ..gap(at(2, 3, 7)) }]
    });
    let missing = stage.live.cell_before_end(3);
    let ledger = stage.site.ledger();
    ledger.discard("news", &[Cell::from_range(missing)], "test", npvr::clock::now()).unwrap();
    stage
}

#[test]
fn a_gap_is_skipped_or_marked_or_refused_and_one_of_a_language_leaves_the_others_alone() {
    let stage = with_gaps();
    let range = stage.range((5, 2_000), (0, 5_000));
    let path = format!("/hls/news/{range}/master.m3u8");
    let master = stage.master(&path);
    let (best, dutch) = (stage.best(&path), stage.link(&path, master.renditions[1].need("URI")));
    let pictured = stage.media(&best);
    assert_eq!(pictured.segments.last().unwrap().breaks, 2, "two gaps");
    let lacking: u64 = pictured.segments.iter().filter(|s| s.is_gap).map(|s| s.us).sum();
    assert!(lacking < 1_920_000, "up to where the sound ends: {lacking}");
    let spoken = stage.media(&dutch);
    assert_eq!(spoken.segments.last().unwrap().breaks, 2);
    let lacking: u64 = spoken.segments.iter().filter(|s| s.is_gap).map(|s| s.us).sum();
    assert!((3_000_000..8_000_000).contains(&lacking), "{lacking}");
    assert!(stage.get(&path).header("x-npvr-gaps").contains("audio_nld"));
    assert_eq!(stage.decode(&path), pictures(&pictured));
    assert_eq!(
        stage.get(&stage.link(&dutch, &spoken.segments.iter().find(|s| s.is_gap).unwrap().uri)).status,
        200
    );

    let marked = format!("{path}?gaps=mark");
    let by_the_clock = stage.media(&stage.best(&marked));
    assert_eq!(by_the_clock.segments.last().unwrap().breaks, 0);
    assert_eq!(pictures(&by_the_clock), pictures(&pictured), "the same pictures");
    let lasts = range.duration().as_micros();
    assert!((lasts..lasts + 4_000_000).contains(&u128::from(by_the_clock.us())), "{}", by_the_clock.us());
    assert_eq!(stage.decode(&marked), pictures(&pictured));

    let refused = stage.get(&format!("{path}?gaps=fail"));
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains(&stage.live.cell_before_end(4).start.day()), "{}", refused.text());
    assert_eq!(stage.get(&format!("{path}?gaps=maybe")).status, 400);
    let fine = format!("/hls/news/{}/master.m3u8?gaps=fail", stage.range((1, 0), (0, 5_000)));
    assert_eq!(stage.get(&fine).status, 200);
}

#[test]
fn ranges_are_played_one_behind_the_other_also_back_in_time() {
    let stage = Stage::whole(6);
    let (late, early) = (stage.range((1, 3_000), (1, 9_000)), stage.range((4, 1_000), (3, 2_000)));
    let path = format!("/hls/news/{late},{early}/master.m3u8");
    let media = stage.media(&stage.best(&path));
    assert_eq!(media.segments.last().unwrap().breaks, 1);
    let second = media.segments.iter().find(|segment| segment.breaks == 1).unwrap();
    assert!(second.at_us <= early.start.ns() / 1_000 && second.at_us > early.start.ns() / 1_000 - 1_920_000);
    // ffmpeg knows nothing of breaks, and follows one as long as time goes on.
    let onwards = format!("/hls/news/{early},{late}/master.m3u8");
    assert_eq!(stage.decode(&onwards), pictures(&media));
}

#[test]
fn another_init_segment_is_a_break_in_every_track() {
    let stage = Stage::of(Live::holding(6), Home::Disk, |live| {
        let from = Range::new(live.cell_before_end(2).start, npvr::time::Time::MAX);
        vec![Fault { range: from, ..Fault::new(FaultKind::Restart(RestartStyle::Period)) }]
    });
    let path = format!("/hls/news/{}/master.m3u8", stage.range((4, 2_000), (0, 5_000)));
    let master = stage.master(&path);
    let uris = master.variants.iter().chain(&master.renditions).map(|stream| stream.need("URI"));
    for uri in uris {
        let media = stage.media(&stage.link(&path, uri));
        let mut maps: Vec<_> = media.segments.iter().map(|s| (s.map.clone(), s.breaks)).collect();
        maps.dedup();
        assert_eq!(maps.len(), 2, "{maps:?}");
        assert_ne!(maps[0].0, maps[1].0);
        assert_eq!(media.segments.last().unwrap().breaks, 1);
    }
}

#[test]
fn a_playlist_grows_with_the_archive_and_ends_at_its_end() {
    // Its clock is a little behind that of the server: nothing is archived that has not been.
    let live = Live::holding(5);
    live.go_on((npvr::clock::now().s() - live.now().s()) / 10 * 10 - 60);
    let stage = Stage::of(live, Home::Disk, |_| Vec::new());
    let range = stage.range((2, 1_500), (-2, 7_000));
    let path = format!("/hls/news/{range}/master.m3u8");
    let open = stage.best(&format!("/hls/news/{}--/master.m3u8", range.start));
    let best = stage.best(&path);
    let mut known = (String::new(), String::new());
    for step in 0..3 {
        if step > 0 {
            stage.live.go_on(10);
            stage.site.check().expect(0);
        }
        let (said, said_open) = (stage.get(&best), stage.get(&open));
        assert_eq!(said_open.header("cache-control"), "max-age=2");
        for (said, known) in [(said.text(), &known.0), (said_open.text(), &known.1)] {
            let media = Media::read(said);
            assert_eq!((media.kind.as_str(), media.target_s), ("EVENT", 10));
            assert!(media.start_us.is_some(), "players begin at the end of what grows, unless they are told");
            assert!(said.starts_with(known.as_str()) && said.len() > known.len(), "{known}\n\n{said}");
        }
        assert_eq!(Media::read(said.text()).is_ended, step == 2, "{step}");
        assert!(step == 2 || said.header("cache-control") == "max-age=2");
        assert!(!Media::read(said_open.text()).is_ended);
        known = (said.text().to_owned(), said_open.text().to_owned());
    }
    // Who comes now finds a playlist like any other, with the same media.
    let late = stage.best(&path);
    assert!(late != best && Media::read(&known.0).segments == stage.media(&late).segments);
    assert_eq!(stage.media(&late).kind, "VOD");
    assert_eq!(stage.decode(&path), pictures(&stage.media(&late)));
    let now = stage.media(&stage.best(&format!("/hls/news/{}--now/master.m3u8", range.start)));
    assert!(now.is_ended && now.segments.starts_with(&stage.media(&late).segments));
}

#[test]
fn what_flussonic_is_asked_for_is_answered() {
    let stage = with_gaps();
    let range = stage.range((2, 0), (0, 5_000));
    let (from, long) = (range.start.s(), range.duration().as_secs());
    let own = stage.best(&format!("/hls/news/{range}/master.m3u8"));
    assert_eq!(stage.best(&format!("/news/archive-{from}-{long}.m3u8")), own);
    assert_eq!(stage.best(&format!("/news/index-{from}-{long}.m3u8")), own);
    for name in [format!("archive-{from}-now"), format!("timeshift_abs-{from}")] {
        let best = stage.best(&format!("/news/{name}.m3u8"));
        assert_eq!(best, format!("/hls/news/{}--/1.m3u8?as=event", range.start), "{name}");
    }
    assert_eq!(stage.get(&format!("/news/mono-{from}-{long}.m3u8")).status, 400);
    assert_eq!(stage.get("/news/embed.html").status, 404);

    let cell = |n: i64| stage.live.cell_before_end(n);
    let (start, end) = (cell(5).start.s(), cell(0).end.s());
    let path = format!("/news/recording_status.json?from={start}&to={end}&request=ranges,locks");
    stage.site.run(["hold", "add", "news", &cell(1).to_string()]).expect(0);
    let said: serde_json::Value = serde_json::from_str(stage.get(&path).text()).unwrap();
    assert_eq!(said.as_array().unwrap().len(), 1);
    assert_eq!(said[0]["stream"], "news");
    let ranges = said[0]["ranges"].as_array().unwrap();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert_eq!(ranges[0]["from"], start);
    assert_eq!(ranges[2], serde_json::json!({ "from": cell(2).start.s(), "duration": 30 }));
    assert_eq!(said[0]["locks"], serde_json::json!([{ "from": cell(1).start.s(), "duration": 10 }]));
    let all: serde_json::Value =
        serde_json::from_str(stage.get("/news/recording_status.json").text()).unwrap();
    assert!(all[0]["ranges"][0]["from"].as_i64().unwrap() <= start && all[0]["locks"].is_null());
    assert_eq!(stage.get("/news/recording_status.json?from=yesterday").status, 400);
    assert_eq!(stage.get("/news/recording_status.json?request=all").status, 400);
    assert_eq!(stage.get("/other/recording_status.json").status, 404);
}
