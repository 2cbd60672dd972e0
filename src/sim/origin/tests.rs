//! Answers as values: every route, every fault that needs no socket.

use proptest::prelude::*;

use super::super::faults::{FaultKind, RestartStyle};
use super::*;
use crate::media;

const NOW: Time = Time::from_s(1_790_000_000);
/// A segment of video that began 100 s before, and its number.
const VIDEO_N: i64 = 1_789_999_900_000 / 1_920;

fn origin(faults: Vec<Fault>) -> Origin {
    let options = Options { faults, clock: Arc::new(|| NOW), ..Options::default() };
    Origin::new(&options, "127.0.0.1:1").unwrap()
}

fn get(origin: &Origin, url: &str) -> Answer {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    origin.answer(path, query)
}

fn text(answer: &Answer) -> &str {
    str::from_utf8(&answer.body).unwrap()
}

fn point_segment(n: i64) -> String {
    format!("/news/news.isml/dash/news-video=110000-{}.dash", n * 1_152)
}

#[test]
fn every_route_answers_with_its_class() {
    let origin = origin(vec![]);
    let segment = point_segment(VIDEO_N);
    let by_number = format!("/news/video=110000/n{VIDEO_N}.m4s");
    for (url, class, content_type) in [
        ("/", Class::Other, TEXT),
        ("/time", Class::Other, TEXT),
        ("/news/news.isml/archive", Class::Archive, XML),
        ("/news/news.isml/state", Class::State, XML),
        ("/news/news.isml/.mpd?filter=(type!=\"meta\")", Class::Mpd, DASH),
        ("/news/manifest.mpd?timeline=duration&window=PT20S", Class::Mpd, DASH),
        ("/news/news.isml/dash/news-audio_eng=32000.dash", Class::Init, "audio/mp4"),
        ("/news/news.isml/dash/news-audio_eng%3D32000.dash", Class::Init, "audio/mp4"),
        ("/a-b/a-b.isml/dash/a-b-video=45000.dash", Class::Init, "video/mp4"),
        (&segment, Class::Segment, "video/mp4"),
        (&by_number, Class::Segment, "video/mp4"),
    ] {
        let answer = get(&origin, url);
        assert_eq!((answer.status, answer.class, answer.content_type), (200, class, content_type), "{url}");
    }
    assert_eq!(get(&origin, &segment).body, get(&origin, &by_number).body);
}

#[test]
fn what_is_not_there_is_404_and_what_makes_no_sense_is_400() {
    let origin = origin(vec![]);
    let point = "/news/news.isml";
    for (url, status) in [
        ("/news/other.isml/archive".into(), 404),
        ("/news/news.isml".into(), 404),
        ("//x".into(), 404),
        ("/../etc/passwd".into(), 404),
        (format!("{point}/dash/news-video=110000-17.dash"), 404),
        (format!("{point}/dash/news-video=9-1152.dash"), 404),
        (point_segment(VIDEO_N + 100), 404),
        (point_segment(VIDEO_N - 2_000), 404),
        (format!("/news/video=110000/n{}.m4s", i64::MAX), 404),
        (format!("{point}/.mpd?vbegin=2000-01-01T00:00:00Z&vend=2000-01-01T01:00:00Z"), 404),
        (format!("{point}/.mpd?vbegin=yesterday"), 400),
        (format!("{point}/.mpd?vbegin=2026-01-01T00:00:00Z&vend=2026-01-01T00:00:00Z"), 400),
        (format!("{point}/.mpd?filter=(size>3)"), 400),
        ("/news/manifest.mpd?timeline=spiral".into(), 400),
        ("/news/manifest.mpd?window=long".into(), 400),
        ("/news/manifest.mpd?vbegin=now".into(), 400),
    ] {
        let answer = get(&origin, &url);
        assert_eq!(answer.status, status, "{url}");
        assert!(text(&answer).len() > 10, "{url}: a sentence");
    }
}

#[test]
fn a_closed_range_in_the_past_is_static_and_an_open_one_is_live() {
    let origin = origin(vec![]);
    let (begin, end, later) =
        (NOW.offset_ns(-90_000_000_000), NOW.offset_ns(-9_000_000_000), NOW.offset_ns(1));
    for (query, live) in [
        (format!("vbegin={begin}&vend={end}"), false),
        (format!("vbegin={begin}"), true),
        (format!("vbegin={begin}&vend={later}"), true),
    ] {
        let answer = get(&origin, &format!("/n/n.isml/.mpd?{query}"));
        assert_eq!(text(&answer).contains("type=\"dynamic\""), live, "{query}");
    }
}

#[test]
fn segments_say_their_own_time_and_join_over_the_edge_of_the_loop() {
    let origin = origin(vec![]);
    for track in &origin.tracks {
        let init = media::Init::parse(&track.init(0)).unwrap();
        assert_eq!(init.timescale(), track.timescale);
        // 16 segments and more: every edge of the loop is in it.
        for n in VIDEO_N..VIDEO_N + 20 {
            let bytes = track.segment(n, 0);
            assert_eq!(bytes, track.segment(n, 0));
            let fragments = media::fragments(&init, &bytes).unwrap();
            let [fragment] = fragments.as_slice() else { panic!("one fragment") };
            assert_eq!(fragment.info.decode_time, Some(track.start_ticks(n)), "{}", track.id);
            assert_eq!(fragment.info.duration_ticks, track.duration_ticks(n));
            assert!(fragment.info.starts_with_sync);
        }
    }
}

#[test]
fn a_gap_is_404_and_absent_from_every_list() {
    let n = VIDEO_N;
    let start = Time::from_ns(n * super::super::tracks::SEGMENT_NS);
    let gap = Fault { range: Range::new(start, start.offset_ns(1)), ..Fault::new(FaultKind::Gap) };
    let origin = origin(vec![Fault { track: Some("video".into()), ..gap }]);
    assert_eq!(get(&origin, &point_segment(n)).status, 404);
    assert_eq!(get(&origin, &point_segment(n + 1)).status, 200);
    let archive = get(&origin, "/n/n.isml/archive");
    assert_eq!(text(&archive).matches("<c ").count(), 2 + 2 + 1 + 1);
    let mpd = get(&origin, &format!("/n/n.isml/.mpd?vbegin={}", NOW.offset_ns(-200_000_000_000)));
    assert_eq!(text(&mpd).matches("<S t=").count(), 2 + 1 + 1);
    origin.set_faults(vec![]);
    assert_eq!(get(&origin, &point_segment(n)).status, 200);
}

#[test]
fn the_window_shrinks_and_the_clock_is_wrong_while_the_script_says_so() {
    let range = Range::new(NOW.offset_ns(-1), NOW.offset_ns(1));
    let fault = |kind| Fault { range, ..Fault::new(kind) };
    let origin = origin(vec![fault(FaultKind::Window(Duration::from_secs(30)))]);
    assert_eq!(get(&origin, &point_segment(VIDEO_N)).status, 404);
    origin.set_faults(vec![fault(FaultKind::Skew(-7_000_000_000))]);
    let answer = get(&origin, "/time");
    assert_eq!(text(&answer), NOW.offset_ns(-7_000_000_000).to_string());
    assert_eq!(answer.now, NOW.offset_ns(-7_000_000_000));
    origin.set_faults(vec![Fault {
        range: Range::new(NOW.offset_ns(1), Time::MAX),
        ..Fault::new(FaultKind::Skew(7))
    }]);
    assert_eq!(get(&origin, "/time").now, NOW);
}

#[test]
fn a_restart_under_the_same_url_changes_bytes_when_it_is_due_and_not_before() {
    let restart = |ns| Fault {
        range: Range::new(NOW.offset_ns(ns), Time::MAX),
        ..Fault::new(FaultKind::Restart(RestartStyle::SameUrl))
    };
    let origin = origin(vec![]);
    let init = "/n/n.isml/dash/n-video=110000.dash";
    let (before, segment) = (get(&origin, init).body, get(&origin, &point_segment(VIDEO_N)).body);
    origin.set_faults(vec![restart(20_000_000_000)]);
    assert_eq!(get(&origin, init).body, before);
    origin.set_faults(vec![restart(-20_000_000_000)]);
    assert_ne!(get(&origin, init).body, before);
    assert_eq!(get(&origin, &point_segment(VIDEO_N)).body, segment, "it was made before the restart");
    origin.set_faults(vec![restart(-200_000_000_000)]);
    assert_ne!(get(&origin, &point_segment(VIDEO_N)).body, segment);
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(path in "(/[a-z.0-9=%-]{0,12}){0,5}", query in "[a-z0-9=&%:!()\"-]{0,30}") {
        let origin = origin(vec![]);
        get(&origin, &format!("{path}?{query}"));
        get(&origin, &format!("/n/n.isml/.mpd?vbegin={query}"));
        get(&origin, &format!("/n/manifest.mpd?window=PT{query}"));
    }

    #[test]
    fn no_number_makes_it_panic(n: i64, period: usize, from: i64, to: i64) {
        let origin = origin(vec![]);
        get(&origin, &format!("/n/n.isml/dash/r{period}/n-audio_eng=32000-{n}.dash"));
        get(&origin, &format!("/n/r{period}/video=110000/n{n}.m4s"));
        get(&origin, &format!("/n/n.isml/.mpd?vbegin={}&vend={}", Time::from_ns(from), Time::from_ns(to)));
        get(&origin, &format!("/n/r{period}/video=110000/init.mp4"));
    }
}
