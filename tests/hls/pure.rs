//! Playlists of archives of all kinds: what each of them must be, and what they must be together.

use std::collections::BTreeMap;
use std::time::Duration;

use npvr::clip::{Ask, Clip, Reel, Shelved, cut, reel};
use npvr::grid::{Cell, Grid};
use npvr::media::{Index, IndexEntry, Traits};
use npvr::playlist::hls::{Child, Form, Hls, Listed};
use npvr::playlist::{Addresses, Gaps};
use npvr::time::{Range, Time, Timescale};
use npvr::track::{Medium, Track};
use proptest::prelude::*;

use super::m3u8::{Master, Media};

/// No multiple of how long segments without media are.
const CELL_S: i64 = 15;
const START_S: i64 = 1_700_000_010;

fn grid() -> Grid {
    Grid::new(Duration::from_secs(CELL_S.unsigned_abs())).unwrap()
}

fn at_ms(ms: i64) -> Time {
    Time::from_ns((START_S * 1_000 + ms) * 1_000_000)
}

fn cell(n: usize) -> Cell {
    grid().cell_at(at_ms(i64::try_from(n).unwrap() * CELL_S * 1_000))
}

struct Plain;

impl Addresses for Plain {
    fn chunk(&self, cell: Cell) -> String {
        format!("{}.mp4", cell.start().s())
    }

    fn init(&self, cell: Cell, file_track_id: u32) -> String {
        format!("{}-{file_track_id}.init", cell.start().s())
    }

    fn nothing(&self) -> String {
        "nothing".to_owned()
    }
}

/// What a track has in a cell.
#[derive(Debug, Clone)]
struct Stretch {
    /// Which of its fragments are there.
    there: Vec<bool>,
    /// Which init segment it has.
    init: u64,
}

/// What there is of a cell, and when.
#[derive(Debug, Clone)]
struct Captured {
    /// False: nobody ever looks at it.
    is_looked_at: bool,
    is_stored: bool,
    /// When it is settled, in seconds behind the end of its cell. Never: until then it is as it is.
    late_s: Option<i64>,
    tracks: Vec<Stretch>,
}

/// Pictures of two seconds a fragment, sound of about as much, and one of five seconds that are out of step.
const TRACKS: [(u32, i64, u32); 3] =
    [(90_000, 180_000, 90_000), (48_000, 95_232, 48_000), (1_000, 5_003, 1_000)];

/// The ticks at which the fragments of a track begin that are in a cell.
fn starts(track: usize, cell: Cell) -> Vec<i64> {
    let (hz, step, _) = TRACKS[track];
    let tick = |s: i64| s * i64::from(hz);
    let first =
        tick(cell.start().s()).div_euclid(step) + i64::from(tick(cell.start().s()).rem_euclid(step) > 0);
    (first..).map(|n| n * step).take_while(|at| *at < tick(cell.end().s())).collect()
}

fn index(n: usize, captured: &Captured) -> Index {
    let mut index = Index::default();
    let mut offset = 1_000;
    for (track, stretch) in captured.tracks.iter().enumerate() {
        let (hz, step, _) = TRACKS[track];
        let id = u32::try_from(track).unwrap() + 1;
        for (k, start) in starts(track, cell(n)).into_iter().enumerate() {
            let size = 100 + u64::try_from(start % 97).unwrap();
            offset += size;
            if !stretch.there.get(k % stretch.there.len()).copied().unwrap_or(true) {
                continue;
            }
            let entry = IndexEntry {
                // Origins round.
                decode_time: u64::try_from(start + start % 3).unwrap(),
                duration_ticks: u32::try_from(step).unwrap(),
                moof_offset: offset,
                prefix_size: 0,
                size,
                sync: true,
            };
            index.push(id, Timescale::new(hz).unwrap(), entry);
        }
    }
    for track in &mut index.tracks {
        let stretch = &captured.tracks[usize::try_from(track.track_id - 1).unwrap()];
        track.traits = Some(Traits { init: stretch.init, samples: 1, ..Traits::default() });
    }
    index
}

/// An archive at one moment: what the ledger says of each cell, and what is in the chunks.
fn archive(all: &[Captured], now: Time) -> (Vec<Shelved>, BTreeMap<Cell, Index>) {
    let mut shelf = Vec::new();
    let mut indexes = BTreeMap::new();
    for (n, captured) in all.iter().enumerate() {
        let cell = cell(n);
        // Cells are claimed in their order, and captured in any.
        if !captured.is_looked_at || cell.end() > now {
            continue;
        }
        let settles = captured.late_s.map(|s| cell.end().plus(Duration::from_secs(s.unsigned_abs())));
        let settled = settles.is_some_and(|at| at <= now);
        let index = index(n, captured);
        let stored = captured.is_stored && !index.tracks.is_empty();
        let there = stored && (settled || settles.is_none());
        shelf.push(Shelved { cell, stored: there, settled, capturing: !settled && settles.is_some() });
        if there {
            indexes.insert(cell, index);
        }
    }
    (shelf, indexes)
}

fn captured() -> impl Strategy<Value = Captured> {
    let mask = prop_oneof![4 => Just(vec![true]), 1 => prop::collection::vec(any::<bool>(), 1..6)];
    let stretch = (mask, prop_oneof![8 => Just(1_u64), 1 => Just(2_u64)]);
    let stretch = stretch.prop_map(|(there, init)| Stretch { there, init });
    let tracks = prop::collection::vec(stretch, TRACKS.len());
    (prop::bool::weighted(0.9), prop::bool::weighted(0.9), prop::option::weighted(0.9, 0_i64..60), tracks)
        .prop_map(|(is_looked_at, is_stored, late_s, tracks)| Captured {
            is_looked_at,
            is_stored,
            late_s,
            tracks,
        })
}

fn archives() -> impl Strategy<Value = Vec<Captured>> {
    prop::collection::vec(captured(), 1..9)
}

fn clip_of(ask: &Ask, shelf: &[Shelved], now: Time) -> Clip {
    let part = |asked: &Range| {
        let near: Vec<Shelved> = shelf
            .iter()
            .filter(|s| {
                !s.cell
                    .range()
                    .intersect(Range::new(asked.start.minus(npvr::clip::PRIMING), asked.end))
                    .is_empty()
            })
            .copied()
            .collect();
        cut(*asked, &near, &[], grid(), now)
    };
    Clip { parts: ask.ranges().iter().map(part).collect() }
}

fn gaps() -> impl Strategy<Value = Gaps> {
    prop::sample::select(vec![Gaps::Skip, Gaps::Mark])
}

/// All media playlists, by track.
fn playlists(clip: &Clip, reel: &Reel<'_>, gaps: Gaps, form: Form) -> BTreeMap<u32, String> {
    let hls = Hls::new(clip, reel, gaps, form).unwrap();
    reel.track_ids().into_iter().map(|id| (id, hls.media(id, &Plain).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_playlist_keeps_the_rules_and_has_every_fragment_once_at_its_time(
        all in archives(), from_ms in -5_000_i64..60_000, long_ms in 1_i64..120_000, again in any::<bool>(), gaps in gaps()
    ) {
        let now = at_ms(1_000_000_000);
        let (shelf, indexes) = archive(&all, now);
        let range = Range::new(at_ms(from_ms), at_ms(from_ms + long_ms));
        let ask: Ask = if again { format!("{range},{range}") } else { range.to_string() }.parse().unwrap();
        let clip = clip_of(&ask, &shelf, now);
        let reel = reel(&clip, &indexes, &[]);
        let mut breaks = None;
        let mut broken: BTreeMap<(usize, Cell), u64> = BTreeMap::new();
        let mut holes = Vec::new();
        let texts = playlists(&clip, &reel, gaps, Form::Whole);
        let mut targets: Vec<u64> = Vec::new();
        for (id, text) in texts {
            let media = Media::read(&text);
            targets.push(media.target_s);
            // All tracks break the line of time as often.
            let count = text.matches("#EXT-X-DISCONTINUITY\n").count();
            prop_assert_eq!(*breaks.get_or_insert(count), count);
            prop_assert!(media.is_independent && media.is_ended && media.kind == "VOD");
            let mut segments = media.segments.iter().filter(|segment| !segment.is_gap);
            holes.extend(media.segments.iter().filter(|segment| segment.is_gap).cloned());
            let mut before = None;
            for (n, run) in reel.runs.iter().enumerate() {
                let Some(track) = run.track(id) else { continue };
                for (span, fragment) in track.fragments() {
                    let segment = segments.next().unwrap();
                    prop_assert_eq!(segment.bytes, Some((fragment.offset(), fragment.size)));
                    prop_assert_eq!(&segment.uri, &Plain.chunk(span.cell));
                    let end = span.presented(fragment) + i64::from(fragment.duration_ticks);
                    let end_us = track.timescale.ns(end) / 1_000;
                    let said_us = segment.at_us + i64::try_from(segment.us).unwrap();
                    prop_assert!((said_us - end_us).abs() <= 500, "{} is not {}: {:?}", said_us, end_us, segment);
                    // And they break it at the same places.
                    let known = *broken.entry((n, span.cell)).or_insert(segment.breaks);
                    prop_assert_eq!(known, segment.breaks, "{:?}", span.cell);
                    let map = segment.map.as_deref().unwrap();
                    let of: i64 = map.split('-').next().unwrap().parse().unwrap();
                    let init = indexes.get(&grid().cell_at(Time::from_s(of))).unwrap();
                    let init = init.tracks.iter().find(|t| t.track_id == id).unwrap().traits.as_ref().unwrap().init;
                    prop_assert_eq!(Some(init), span.init());
                    if let Some((known, breaks)) = before.replace((init, segment.breaks)) {
                        prop_assert!(known == init || breaks < segment.breaks, "another init segment is a break");
                    }
                }
            }
            prop_assert!(segments.next().is_none());
            if let (Some(start), Some(run)) = (media.start_us, reel.runs.first()) {
                let in_us = run.range.start.ns() / 1_000;
                let said = media.segments[0].at_us + i64::try_from(start).unwrap();
                prop_assert!((said - in_us).abs() <= 500, "the in point is {}, not {}", in_us, said);
            }
        }
        // Those that have nothing to say break it there, too; but for what is too short to be told.
        for hole in holes.iter().filter(|hole| !again && hole.us > 2_600_000) {
            let cell = grid().cell_at(Time::from_ns(hole.at_us * 1_000 + 1_000_000));
            let known: Vec<u64> = broken.iter().filter(|((_, of), _)| *of == cell).map(|(_, breaks)| *breaks).collect();
            if let [known] = known.as_slice() {
                prop_assert_eq!(*known, hole.breaks, "{:?}", hole);
            }
        }
        targets.dedup();
        prop_assert!(targets.len() <= 1, "{:?}", targets);
    }

    #[test]
    fn a_playlist_that_grew_begins_with_what_it_was(
        all in archives(), from_ms in 0_i64..60_000, long_ms in 1_i64..90_000, first_s in prop_oneof![1_i64..150, 1_i64..900], more_s in 0_i64..1_000, gaps in gaps()
    ) {
        let ask = Ask::from(Range::new(at_ms(from_ms), at_ms(from_ms + long_ms)));
        let said = |now: Time| {
            let (shelf, indexes) = archive(&all, now);
            // As the server asks for it.
            let all = clip_of(&ask, &shelf, now);
            let stays = if all.grows() { all.settled() } else { Some(ask.clone()) };
            let Some(stays) = stays else { return BTreeMap::new() };
            let form = if all.grows() { Form::Growing } else { Form::Grown };
            let clip = clip_of(&stays, &shelf, now);
            let reel = reel(&clip, &indexes, &[]);
            playlists(&clip, &reel, gaps, form)
        };
        let (before, after) = (said(at_ms(first_s * 1_000)), said(at_ms((first_s + more_s) * 1_000)));
        for (id, before) in before {
            let after = after.get(&id).unwrap();
            Media::read(&before);
            prop_assert_eq!(Media::read(after).kind, "EVENT");
            if before.ends_with("#EXT-X-ENDLIST\n") {
                // Nobody asks for it again; and who comes new finds the same, and perhaps something for priming in front.
                let media = |text: &str| -> Vec<_> {
                    let segments = Media::read(text).segments.into_iter();
                    segments.filter(|s| !s.is_gap).map(|s| (s.uri, s.bytes)).collect()
                };
                prop_assert!(media(after).ends_with(&media(&before)), "track {} was\n{}\nand is\n{}", id, before, after);
                continue;
            }
            prop_assert!(after.starts_with(&before), "track {} was\n{}\nand is\n{}", id, before, after);
        }
    }

    #[test]
    fn the_key_frames_are_as_long_as_the_track(all in archives(), long_ms in 1_i64..60_000) {
        let now = at_ms(1_000_000_000);
        let (shelf, indexes) = archive(&all, now);
        let clip = clip_of(&Ask::from(Range::new(at_ms(0), at_ms(long_ms))), &shelf, now);
        let reel = reel(&clip, &indexes, &[]);
        let hls = Hls::new(&clip, &reel, Gaps::Skip, Form::Whole).unwrap();
        for id in reel.track_ids() {
            let frames = Media::read(&hls.key_frames(id, &Plain).unwrap());
            let media = Media::read(&hls.media(id, &Plain).unwrap());
            prop_assert!(frames.is_frames && frames.us() == media.us());
        }
    }
}

#[test]
fn a_master_playlist_keeps_the_rules_and_says_what_was_measured() {
    let whole = Stretch { there: vec![true], init: 1 };
    let captured = Captured { is_looked_at: true, is_stored: true, late_s: Some(0), tracks: vec![whole; 3] };
    let (shelf, indexes) = archive(&vec![captured; 4], at_ms(1_000_000_000));
    let ask = Ask::from(Range::new(at_ms(0), at_ms(40_000)));
    let clip = clip_of(&ask, &shelf, at_ms(1_000_000_000));
    let reel = reel(&clip, &indexes, &[]);
    let hls = Hls::new(&clip, &reel, Gaps::Skip, Form::Whole).unwrap();
    let track = |medium, language: Option<&str>, codecs: &str| Track {
        medium,
        id: "1".to_owned(),
        language: language.map(str::to_owned),
        bandwidth: None,
        codecs: Some(codecs.to_owned()),
        size: (medium == Medium::Video).then_some((640, 360)),
    };
    let tracks = [
        track(Medium::Video, None, "avc1.64001F"),
        track(Medium::Audio, Some("eng"), "mp4a.40.2"),
        track(Medium::Text, Some("und"), "wvtt"),
    ];
    let rates = [Some((30_000, 1_001)), Some((48_000, 1_024)), None];
    let listed: Vec<Listed<'_>> =
        tracks.iter().zip(rates).zip(1..).map(|((track, rate), id)| Listed { id, track, rate }).collect();
    let link = |child: Child| child.to_string();
    let master = Master::read(&hls.master(&listed, &link).unwrap());
    let [variant] = master.variants.as_slice() else { panic!("{master:?}") };
    assert_eq!(variant.need("CODECS"), "avc1.64001F,mp4a.40.2,wvtt");
    assert_eq!((variant.need("RESOLUTION"), variant.need("FRAME-RATE")), ("640x360", "29.970"));
    assert_eq!((variant.need("URI"), variant.get("SUBTITLES").is_some()), ("1.m3u8", true));
    let [sound, text] = master.renditions.as_slice() else { panic!("{master:?}") };
    assert_eq!((sound.need("LANGUAGE"), sound.need("URI"), sound.get("CHANNELS")), ("en", "2.m3u8", None));
    assert_eq!((text.get("LANGUAGE"), text.need("NAME")), (None, "text"));
    assert_eq!(master.frames[0].need("URI"), "1-iframes.m3u8");
    // Measured over what the playlists list.
    let average = |id: u32| {
        let media = Media::read(&hls.media(id, &Plain).unwrap());
        let there = media.segments.iter().filter_map(|s| Some((s.us, s.bytes?.1)));
        let (us, bytes) = there.fold((0, 0), |(us, bytes), (more, length)| (us + more, bytes + length));
        (bytes * 8_000_000_u64).div_ceil(us)
    };
    assert_eq!(variant.number("AVERAGE-BANDWIDTH"), (1..=3).map(average).sum::<u64>());

    // Without pictures sound is what is played.
    let master = Master::read(&hls.master(&listed[1..2], &link).unwrap());
    assert_eq!((master.renditions.len(), master.variants[0].need("URI")), (0, "2.m3u8"));
    assert_eq!(hls.master(&listed[2..], &link), None);
}
