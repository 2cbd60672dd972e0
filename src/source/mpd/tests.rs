//! Manifests of real encoders and of known shapes, from text to timelines and URLs.

use proptest::prelude::*;

use super::*;
use crate::clock::Tick;
use crate::time::MediaTime;
use crate::track::Medium;

const ORIGIN: &str = include_str!("../../../tests/fixtures/mpd/origin-live.mpd");
const PERIODS: &str = include_str!("../../../tests/fixtures/mpd/periods.mpd");
const TIME: &str = include_str!("../../../tests/fixtures/mpd/ffmpeg-time-static.mpd");
const NUMBER: &str = include_str!("../../../tests/fixtures/mpd/ffmpeg-number-static.mpd");
const LIVE: &str = include_str!("../../../tests/fixtures/mpd/ffmpeg-live.mpd");

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn lay(text: &str, now: &str, select: &[&str]) -> Presentation {
    let base = Url::parse("http://origin.example/scte35.isml/.mpd?x=1").unwrap();
    let select: Vec<Select> = select.iter().map(|s| s.parse().unwrap()).collect();
    Presentation::new(&parse(text).unwrap(), &base, at(now), &select).unwrap()
}

fn names(presentation: &Presentation) -> Vec<String> {
    presentation.tracks().map(Track::name).collect()
}

fn everything() -> Range {
    Range::new(Time::EPOCH, Time::MAX)
}

fn held(timeline: &Timeline, name: &str) -> Vec<String> {
    let track = timeline.tracks.iter().find(|t| t.track.name() == name).unwrap();
    track.held.as_slice().iter().map(Range::to_string).collect()
}

#[test]
fn an_origins_manifest_is_laid_out_on_the_epoch_with_its_gaps() {
    let origin = lay(ORIGIN, "2024-09-04T07:30:30Z", &[]);
    let wanted = ["video=1000000", "video=500000", "audio=128000", "audio=69000", "textstream=1000"];
    assert_eq!(names(&origin), wanted);
    let timeline = origin.timeline(None);
    assert!(timeline.live);
    assert_eq!(timeline.window_start, at("2024-09-04T07:29:30Z"));
    assert_eq!(
        held(&timeline, "video=500000"),
        [
            "2024-09-04T07:30:00Z--2024-09-04T07:30:09.600Z",
            "2024-09-04T07:30:12.480Z--2024-09-04T07:30:29.760Z"
        ],
        "an open repeat ends at the live edge"
    );
    assert_eq!(
        held(&timeline, "audio=69000").len(),
        2,
        "a hole of one tick is none, a hole of two segments is one"
    );
    assert_eq!(held(&timeline, "textstream=1000"), ["2024-09-04T07:29:30Z--2024-09-04T07:30:30Z"]);
    assert_eq!(timeline.tracks[0].settle, Duration::from_millis(3_840));
    let notes = timeline.notes.join("\n");
    for left_out in ["trick is for trick modes", "tiles is images", "sidecar is text/vtt"] {
        assert!(notes.contains(left_out), "{notes}");
    }
    assert_eq!(timeline.tracks[0].track.size, Some((1280, 720)), "inherited");
    assert_eq!(timeline.tracks[1].track.size, Some((640, 360)), "its own");
}

#[test]
fn a_listing_has_exactly_the_segments_that_start_in_the_range() {
    let origin = lay(ORIGIN, "2024-09-04T07:30:30Z", &["audio=69000", "text"]);
    let range = Range::new(at("2024-09-04T07:30:02.922687500Z"), at("2024-09-04T07:30:08.682687500Z"));
    let listings = origin.list(range).unwrap();
    let [audio, text] = &listings[..] else { panic!("{listings:?}") };
    let urls: Vec<&str> = audio.segments.iter().map(|s| s.media.url.as_str()).collect();
    let of = |t: i64| format!("http://origin.example/scte35.isml/dash/scte35-audio=69000-{t}.dash");
    assert_eq!(urls, [of(82_820_880_140_289), of(82_820_880_232_449), of(82_820_880_324_609)]);
    assert_eq!(audio.inits.len(), 1);
    assert_eq!(
        audio.inits[0].media.url.as_str(),
        "http://origin.example/scte35.isml/dash/scte35-audio=69000.dash"
    );
    assert!(audio.inits[0].starts_with_sync);
    assert_eq!(text.segments[0].media.url.path(), "/scte35.isml/dash/s-862717503");
    assert_eq!(text.segments[0].start.instant(), at("2024-09-04T07:30:04Z"));
    assert!(text.held.covers(range));
}

#[test]
fn ffmpegs_two_ways_to_address_one_stream_agree() {
    let (time, number) = (lay(TIME, "2026-01-01T00:00:00Z", &[]), lay(NUMBER, "2026-01-01T00:00:00Z", &[]));
    assert_eq!(names(&time), ["video=0", "audio=1"]);
    assert_eq!(names(&number), names(&time));
    assert!(!time.live);
    for presentation in [&time, &number] {
        let timeline = presentation.timeline(None);
        assert_eq!(held(&timeline, "video=0"), ["1970-01-01T00:00:00Z--1970-01-01T00:00:12Z"]);
        assert!(timeline.notes.iter().any(|n| n.contains("availabilityStartTime")));
        assert_eq!(presentation.list(everything()).unwrap()[0].segments.len(), 6);
    }
    let urls = |p: &Presentation| p.list(everything()).unwrap()[1].segments[1].media.url.path().to_owned();
    assert_eq!(urls(&time), "/scte35.isml/v-1-95232.m4s");
    assert_eq!(urls(&number), "/scte35.isml/v-1-00002.m4s");
}

#[test]
fn a_window_that_has_not_dropped_anything_yet_begins_where_its_depth_says() {
    let window_start = |first: u32, now: &str| {
        let text = format!(
            r#"<MPD type="dynamic" availabilityStartTime="2026-11-22T08:00:00Z" timeShiftBufferDepth="PT2M"><Period start="PT0S">
            <AdaptationSet contentType="video"><SegmentTemplate media="$Time$.m4s" initialization="i.mp4"><SegmentTimeline>
            <S t="{first}" d="2" r="9"/></SegmentTimeline></SegmentTemplate>
            <Representation id="v" mimeType="video/mp4" bandwidth="1"/></AdaptationSet></Period></MPD>"#
        );
        lay(&text, now, &[]).timeline(None).window_start
    };
    assert_eq!(window_start(0, "2026-11-22T08:00:20Z"), at("2026-11-22T07:58:18Z"));
    assert_eq!(
        window_start(0, "2026-11-22T08:05:00Z"),
        at("2026-11-22T08:02:58Z"),
        "the encoder has stalled"
    );
    let dropped = window_start(10, "2026-11-22T08:00:30Z");
    assert_eq!(dropped, at("2026-11-22T08:00:10Z"), "it drops more than it should");
}

#[test]
fn a_live_encoders_times_count_from_its_start() {
    let live = lay(LIVE, "2026-11-22T08:44:06Z", &[]);
    let timeline = live.timeline(Some(Duration::from_secs(1)));
    assert_eq!(
        held(&timeline, "video=0"),
        ["2026-11-22T08:43:57.608984375Z--2026-11-22T08:44:03.608984375Z"]
    );
    assert_eq!(
        timeline.window_start,
        at("2026-11-22T08:43:57.994666667Z"),
        "depth and one segment before now"
    );
    assert_eq!(timeline.tracks[0].settle, Duration::from_secs(1));
    let listing = live.list(everything()).unwrap().remove(0);
    assert_eq!(listing.segments[0].media.url.path(), "/scte35.isml/chunk-stream0-00003.m4s");
    assert_eq!(
        listing.inits[0].epoch_offset_ticks,
        listing.inits[0].timescale.ticks_nearest(i128::from(at("2026-11-22T08:43:53.609Z").ns()))
    );
}

#[test]
fn tracks_go_on_across_periods_where_they_match() {
    let periods = lay(PERIODS, "2026-01-01T00:00:00Z", &[]);
    assert_eq!(names(&periods), ["video=hd", "video=sd", "audio=hd"]);
    let timeline = periods.timeline(None);
    assert_eq!(held(&timeline, "video=hd"), ["2025-01-01T00:00:00Z--2025-01-01T00:00:30Z"]);
    let sd = ["2025-01-01T00:00:00Z--2025-01-01T00:00:10Z", "2025-01-01T00:00:18Z--2025-01-01T00:00:30Z"];
    assert_eq!(held(&timeline, "video=sd"), sd, "a segment past the end of its period is not presented");
    let notes = timeline.notes.join("\n");
    for said in [
        "period ad has nothing that goes on as video=sd",
        "period ad begins a track of its own: audio=hd",
        "period p2 has nothing that goes on as audio=hd",
    ] {
        assert!(notes.contains(said), "{notes}");
    }
    let hd = periods.list(everything()).unwrap().remove(0);
    let seen: Vec<(&str, usize)> = hd.segments.iter().map(|s| (s.media.url.path(), s.init)).collect();
    assert_eq!(seen[4..7], [("/hd/13000", 0), ("/ads/1", 1), ("/ads/2", 1)]);
    assert_eq!(seen[10], ("/hd/15000", 2), "what the period before already has is not listed again");
    assert!(hd.segments.windows(2).all(|w| w[0].start < w[1].start));
    let inits: Vec<&str> = hd.inits.iter().map(|i| i.media.url.as_str()).collect();
    assert_eq!(inits, ["http://cdn.example/hd/i", "http://cdn.example/ads/i", "http://cdn.example/hd/i"]);
    let some = Range::new(at("2025-01-01T00:00:10Z"), at("2025-01-01T00:00:12Z"));
    let some = periods.list(some).unwrap().remove(0);
    assert_eq!((some.inits.len(), some.segments[0].init), (1, 0), "only init segments that are used");
}

#[test]
fn a_length_that_counts_from_the_cut_does_not_hide_what_is_listed() {
    let cut = ORIGIN.replace("type=\"dynamic\"", "type=\"static\" mediaPresentationDuration=\"PT28S\"");
    let cut = lay(&cut, "2024-09-04T08:00:00Z", &["audio"]);
    assert_eq!(held(&cut.timeline(None), "audio=69000").len(), 2);
    assert!(!cut.live);
}

#[test]
fn a_manifest_without_anything_for_us_says_why() {
    let base = Url::parse("http://h/").unwrap();
    let fails = |text: &str, select: &[Select]| {
        Presentation::new(&parse(text).unwrap(), &base, Time::EPOCH, select).unwrap_err()
    };
    let list = "<MPD><Period><AdaptationSet mimeType='video/mp4'><Representation id='1'><SegmentList/></Representation></AdaptationSet></Period></MPD>";
    let error = fails(list, &[]);
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("SegmentList"), "{error}");
    assert_eq!(fails("<MPD/>", &[]).kind(), Kind::Unsupported);
    let error = fails(TIME, &["audio=fin".parse().unwrap()]);
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("video=0, audio=1"), "{error}");
    let file = TIME.replace("media=\"v-", "media=\"file:///etc/v-");
    let presentation = Presentation::new(&parse(&file).unwrap(), &base, Time::EPOCH, &[]).unwrap();
    assert_eq!(presentation.list(everything()).unwrap_err().kind(), Kind::Unsupported);
}

/// A week of 4 s segments, each an element of its own.
fn week() -> String {
    let mut text = String::from(
        "<MPD type='dynamic' availabilityStartTime='1970-01-01T00:00:00Z'><Period start='PT0S'><AdaptationSet mimeType='video/mp4'>\
         <SegmentTemplate timescale='48000' initialization='i' media='$Time$'><SegmentTimeline>",
    );
    for i in 0..151_200_i64 {
        text += &format!("<S t=\"{}\" d=\"{}\"/>", 84_000_000_000_000 + i * 192_000, 192_000 - i % 3);
    }
    text + "</SegmentTimeline></SegmentTemplate><Representation id='1'/><Representation id='2'/></AdaptationSet></Period></MPD>"
}

#[test]
fn a_week_of_single_segments_is_one_range() {
    let text = week();
    let started = Tick::now();
    let week = lay(&text, "2026-01-01T00:00:00Z", &[]);
    let timeline = week.timeline(None);
    let took = started.elapsed();
    assert_eq!(timeline.tracks[1].held.as_slice().len(), 1);
    assert_eq!(timeline.tracks[1].held.total().as_secs(), 604_800 - 1);
    assert!(cfg!(debug_assertions) || took < Duration::from_millis(100), "{took:?}");
}

proptest! {
    #[test]
    fn every_listed_segment_is_held_and_cells_share_none(
        entries in prop::collection::vec((0_i64..30, 1_i64..40, 0_i64..5), 1..12),
        timescale in 1_u32..30,
        pto in 0_i64..50,
        cell in 1_i64..20,
    ) {
        let mut t = pto;
        let s: String = entries.iter().map(|(skip, d, r)| {
            t += skip;
            let s = format!("<S t='{t}' d='{d}' r='{r}'/>");
            t += d * (r + 1);
            s
        }).collect();
        let text = format!("<MPD><Period><AdaptationSet mimeType='audio/mp4'><SegmentTemplate timescale='{timescale}' \
            presentationTimeOffset='{pto}' initialization='i' media='$Time$'><SegmentTimeline>{s}</SegmentTimeline>\
            </SegmentTemplate><Representation id='1'/></AdaptationSet></Period></MPD>");
        let presentation = lay(&text, "2026-01-01T00:00:00Z", &[]);
        let all = presentation.list(everything()).unwrap().remove(0);
        let held = &presentation.timeline(None).tracks[0].held;
        let mut in_cells = Vec::new();
        for n in 0..20_000_i64 {
            let range = Range::new(Time::from_s(n * cell), Time::from_s((n + 1) * cell));
            if range.start > all.segments.last().unwrap().start.instant() {
                break;
            }
            in_cells.extend(presentation.list(range).unwrap().remove(0).segments);
        }
        prop_assert_eq!(&in_cells, &all.segments);
        for s in &all.segments {
            let end = MediaTime::new(s.start.ticks + s.duration_ticks, s.start.timescale).instant();
            prop_assert!(held.covers(Range::new(s.start.instant(), end)));
        }
    }

    #[test]
    fn nothing_that_is_parsed_makes_a_panic(
        numbers in prop::collection::vec(any::<i64>(), 6), dynamic: bool, repeat in -2_i64..3, duration: bool,
    ) {
        let n = |i: usize| numbers[i].unsigned_abs() >> (numbers[(i + 1) % 6].unsigned_abs() % 64);
        let how = if duration { format!("duration='{}'", n(0)) } else { String::new() };
        let timeline = format!("<SegmentTimeline><S t='{}' d='{}' r='{repeat}'/><S d='{}'/></SegmentTimeline>", n(1), n(2), n(3));
        let text = format!("<MPD type='{}' timeShiftBufferDepth='PT{}S'><Period start='PT{}S' duration='PT{}S'>\
            <AdaptationSet mimeType='video/mp4'><SegmentTemplate timescale='{}' presentationTimeOffset='{}' {how} startNumber='{}' \
            initialization='i' media='$Number$'>{}</SegmentTemplate><Representation id='1'/></AdaptationSet></Period></MPD>",
            if dynamic { "dynamic" } else { "static" }, n(4) % 1_000_000, n(5) % 10_000_000_000, n(1) % 10_000_000_000,
            n(0) % 4_000_000_000, n(4), n(3), if duration { "" } else { &timeline });
        let base = Url::parse("http://h/").unwrap();
        if let Ok(mpd) = parse(&text)
            && let Ok(presentation) = Presentation::new(&mpd, &base, Time::from_s(1_800_000_000), &[])
        {
            presentation.timeline(None);
            let _ = presentation.list(Range::new(Time::from_s(1_000), Time::from_s(2_000)));
        }
    }
}

#[test]
fn media_are_told_apart() {
    let origin = lay(ORIGIN, "2024-09-04T07:30:30Z", &["text"]);
    assert!(origin.tracks().all(|t| t.medium == Medium::Text));
}
