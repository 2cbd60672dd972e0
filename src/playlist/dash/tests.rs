//! Descriptions of clips of two tracks of pictures and one of sound, in cells of ten seconds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::clip::{Shelved, cut, reel};
use crate::grid::{Cell, Grid};
use crate::media::{Index, IndexEntry, Protection, Traits};
use crate::time::{Range, Timescale};
use crate::track::Medium;

const START_S: i64 = 1_700_000_000;
const CELL_S: i64 = 10;

fn at_ms(ms: i64) -> Time {
    Time::from_ns((START_S * 1_000 + ms) * 1_000_000)
}

fn grid() -> Grid {
    Grid::new(Duration::from_secs(10)).unwrap()
}

/// An archive: the cells that are stored, by number, each with its index.
struct Archive(BTreeMap<Cell, Index>);

impl Archive {
    /// Fragments of two seconds of pictures; of sound in frames, so that they begin elsewhere.
    fn of(cells: impl IntoIterator<Item = i64>, mut change: impl FnMut(i64, &mut Index)) -> Archive {
        let index = |n: i64| {
            let mut index = Index::default();
            for fragment in n * 5..n * 5 + 5 {
                for track in 1..=3 {
                    let (hz, frame) = if track < 3 { (90_000, 1) } else { (48_000, 1_024) };
                    let ticks = |k: i64| -(-(START_S + k * 2) * hz).div_euclid(frame) * frame;
                    let entry = IndexEntry {
                        decode_time: ticks(fragment).try_into().unwrap(),
                        duration_ticks: (ticks(fragment + 1) - ticks(fragment)).try_into().unwrap(),
                        moof_offset: (1_000 + fragment % 5 * 3_000 + track * 1_000).try_into().unwrap(),
                        prefix_size: 0,
                        size: 1_000,
                        sync: true,
                    };
                    index.push(
                        track.try_into().unwrap(),
                        Timescale::new(hz.try_into().unwrap()).unwrap(),
                        entry,
                    );
                }
            }
            for track in &mut index.tracks {
                track.traits =
                    Some(Traits { init: track.track_id.into(), samples: 250, ..Traits::default() });
            }
            change(n, &mut index);
            (grid().cell_at(at_ms(n * CELL_S * 1_000)), index)
        };
        Archive(cells.into_iter().map(index).collect())
    }

    fn whole() -> Archive {
        Archive::of(0..6, |_, _| {})
    }

    /// The description of ranges in milliseconds from the start.
    fn mpd(&self, ranges: &[(i64, i64)], change: impl FnOnce(&mut Show<'_>)) -> String {
        let shelf: Vec<Shelved> = self
            .0
            .keys()
            .map(|cell| Shelved { cell: *cell, stored: true, settled: true, capturing: false })
            .collect();
        let part = |(start, end): &(i64, i64)| {
            cut(Range::new(at_ms(*start), at_ms(*end)), &shelf, &[], grid(), Time::from_s(START_S * 2))
        };
        let clip = Clip { parts: ranges.iter().map(part).collect() };
        let reel = reel(&clip, &self.0, &[]);
        let track = |id: u32| Track {
            medium: if id < 3 { Medium::Video } else { Medium::Audio },
            id: id.to_string(),
            language: (id == 3).then(|| "en\"g".to_owned()),
            bandwidth: None,
            codecs: Some(if id < 3 { "avc1.64001F" } else { "mp4a.40.2" }.to_owned()),
            size: (id < 3).then_some((1_280, 720)),
        };
        let tracks: Vec<Track> = (1..=3).map(track).collect();
        let shown = |(id, track)| Shown { id, track, rate: Some((30_000, 1_001)) };
        let tracks: Vec<Shown<'_>> = (1..).zip(&tracks).map(shown).collect();
        let mut show = Show {
            clip: &clip,
            reel: &reel,
            tracks: &tracks,
            naming: Naming::Template,
            template: "../f/$RepresentationID$/$Time$.m4s?a=1&b=2",
            keeps_gaps: false,
            growth: None,
        };
        change(&mut show);
        mpd(&show, &Here)
    }
}

struct Here;

impl Addresses for Here {
    fn chunk(&self, cell: Cell) -> String {
        format!("c/{}", cell.start().s() - START_S)
    }

    fn init(&self, cell: Cell, file_track_id: u32) -> String {
        format!("i/{}/{file_track_id}", cell.start().s() - START_S)
    }

    fn nothing(&self) -> String {
        String::new()
    }
}

/// All values of an attribute, in order.
fn all<'a>(text: &'a str, element: &str, name: &str) -> Vec<&'a str> {
    let (element, name) = (format!("<{element}"), format!(" {name}=\""));
    let tags = text.split(element.as_str()).skip(1).map(|rest| rest.split('>').next().unwrap());
    let tags = tags.filter(|tag| tag.starts_with(' '));
    tags.filter_map(|tag| tag.split_once(name.as_str())?.1.split('"').next()).collect()
}

/// The segments of each representation of each period: when each begins, and how long it lasts.
fn timelines(text: &str) -> Vec<Vec<(i64, i64)>> {
    let of = |timeline: &str| {
        let (mut at, mut segments) = (0, Vec::new());
        for row in timeline.split("<S ").skip(1) {
            let row = format!(" {row}");
            let value = |name: &str| {
                Some(row.split_once(&format!(" {name}=\""))?.1.split('"').next()?.parse().unwrap())
            };
            at = value("t").unwrap_or(at);
            for _ in 0..=value("r").unwrap_or(0) {
                segments.push((at, value("d").unwrap()));
                at += value("d").unwrap();
            }
        }
        segments
    };
    text.split("<SegmentTimeline>")
        .skip(1)
        .map(|rest| of(rest.split("</SegmentTimeline>").next().unwrap()))
        .collect()
}

#[test]
fn a_clip_within_a_run_is_one_period_that_begins_at_its_in_point() {
    let text = Archive::whole().mpd(&[(5_000, 25_500)], |_| {});
    assert_eq!(
        (all(&text, "Period", "start"), all(&text, "Period", "duration")),
        (vec!["PT0S"], vec!["PT20.5S"])
    );
    assert_eq!(all(&text, "MPD", "mediaPresentationDuration"), ["PT20.5S"]);
    let offsets =
        [90_000 * (START_S + 5), 90_000 * (START_S + 5), 48_000 * (START_S + 5)].map(|t| t.to_string());
    assert_eq!(all(&text, "SegmentTemplate", "presentationTimeOffset"), offsets);
    let media = "../f/$RepresentationID$/$Time$.m4s?a=1&amp;b=2";
    assert_eq!(all(&text, "SegmentTemplate", "media"), [media; 3]);
    assert_eq!(all(&text, "SegmentTemplate", "initialization"), ["i/0/1", "i/0/2", "i/0/3"]);
    assert_eq!(all(&text, "AdaptationSet", "lang"), ["en&quot;g"]);
    assert_eq!(all(&text, "Representation", "bandwidth"), ["4000", "4000", "4011"]);
    assert_eq!(all(&text, "Representation", "frameRate"), ["30000/1001"; 2]);
    assert_eq!(all(&text, "AdaptationSet", "segmentAlignment"), ["true"; 2]);
    let video = &timelines(&text)[0];
    assert_eq!((video.len(), video[0]), (11, (90_000 * (START_S + 4), 180_000)), "it begins in a segment");
}

#[test]
fn a_gap_is_left_out_or_lasts_as_long_as_it_did() {
    let archive = Archive::of([0, 1, 4, 5], |_, _| {});
    let skipped = archive.mpd(&[(5_000, 50_000)], |_| {});
    assert_eq!(all(&skipped, "Period", "start"), ["PT0S", "PT15S"]);
    assert_eq!(all(&skipped, "MPD", "mediaPresentationDuration"), ["PT25S"]);
    assert_eq!(skipped.matches("period-connectivity:2015\" value=\"1\"").count(), 2, "one for each set");
    let kept = archive.mpd(&[(5_000, 50_000), (0, 5_000)], |show| show.keeps_gaps = true);
    assert_eq!(all(&kept, "Period", "start"), ["PT0S", "PT35S", "PT45S"]);
    assert_eq!(all(&kept, "Period", "duration"), ["PT15S", "PT10S", "PT5S"]);
    assert_eq!(all(&kept, "MPD", "mediaPresentationDuration"), ["PT50S"]);
}

#[test]
fn another_init_segment_begins_another_period() {
    let archive = Archive::of(0..6, |n, index| {
        let track = &mut index.tracks[0];
        track.traits = Some(Traits { init: if n < 3 { 1 } else { 9 }, ..Traits::default() });
    });
    let text = archive.mpd(&[(0, 60_000)], |_| {});
    assert_eq!(all(&text, "Period", "duration"), ["PT30S", "PT30S"]);
    let inits = ["i/0/1", "i/0/2", "i/0/3", "i/30/1", "i/20/2", "i/20/3"];
    let found = all(&text, "SegmentTemplate", "initialization");
    assert_eq!((&found[..4], found.len()), (&inits[..4], 6));
    assert_eq!(text.matches("period-connectivity").count(), 1, "sound goes on with its own");
}

#[test]
fn where_a_track_has_a_hole_the_others_have_a_period_of_their_own_if_it_is_not_the_only_one() {
    let without = |id: u32| {
        Archive::of(0..3, move |n, index| {
            if n == 1 {
                index.tracks.retain(|track| track.track_id != id);
            }
        })
    };
    let text = without(2).mpd(&[(0, 30_000)], |_| {});
    assert_eq!(all(&text, "Period", "duration"), ["PT10S"; 3]);
    assert_eq!(all(&text, "Representation", "id"), ["1", "2", "3", "1", "3", "1", "2", "3"]);
    let text = without(3).mpd(&[(0, 30_000)], |show| show.keeps_gaps = true);
    assert_eq!(all(&text, "Representation", "id"), ["1", "2", "3", "1", "2", "3"]);
    assert_eq!(all(&text, "MPD", "mediaPresentationDuration"), ["PT30S"]);
    assert_eq!(all(&text, "Period", "start").len(), 2);
}

#[test]
fn even_segments_are_listed_by_their_bytes_and_uneven_ones_are_not() {
    let text = Archive::whole().mpd(&[(5_000, 25_500)], |show| show.naming = Naming::List);
    assert_eq!(all(&text, "SegmentList", "duration"), ["180000", "180000", "95949"]);
    let urls: Vec<_> =
        all(&text, "SegmentURL", "media").into_iter().zip(all(&text, "SegmentURL", "mediaRange")).collect();
    assert_eq!((urls.len(), urls[0], urls[2]), (33, ("c/0", "8000-8999"), ("c/0", "14000-14999")));
    let uneven = Archive::of(0..3, |n, index| {
        if n == 2 {
            // One of eight seconds, and one of two.
            index.tracks[0].fragments.drain(1..4);
            index.tracks[0].fragments[0].duration_ticks *= 4;
        }
    });
    let text = uneven.mpd(&[(0, 30_000)], |show| show.naming = Naming::List);
    assert_eq!(
        (all(&text, "SegmentTemplate", "media").len(), all(&text, "SegmentList", "duration").len()),
        (1, 2)
    );
}

#[test]
fn what_is_encrypted_says_with_which_key() {
    let protection = Some(Protection { scheme: *b"cbcs", key_id: [0xab; 16] });
    let archive =
        Archive::of(0..2, |_, index| index.tracks[0].traits.as_mut().unwrap().protection = protection);
    let text = archive.mpd(&[(0, 20_000)], |_| {});
    let expected = "value=\"cbcs\" cenc:default_KID=\"abababab-abab-abab-abab-abababababab\"/>";
    assert_eq!((text.matches(expected).count(), text.matches("xmlns:cenc").count()), (1, 1));
    assert_eq!(
        all(&text, "AdaptationSet", "id"),
        ["1", "2", "3"],
        "players do not switch from it to a clear one"
    );
}

#[test]
fn what_goes_on_never_takes_back_what_it_said() {
    let growth = Growth {
        clock: "http://a/time",
        since: at_ms(5_000),
        every: Duration::from_secs(10),
        delay: Duration::from_secs(130),
    };
    let of = |cells: i64| {
        let archive = Archive::of((0..cells).filter(|n| *n != 3), |n, index| {
            for fragment in &mut index.tracks[2].fragments {
                fragment.size += 100 * n.unsigned_abs();
            }
        });
        archive.mpd(&[(5_000, cells * CELL_S * 1_000)], |show| show.growth = Some(growth))
    };
    let before = of(2);
    assert_eq!((all(&before, "MPD", "type"), all(&before, "Period", "duration")), (vec!["dynamic"], vec![]));
    assert_eq!(all(&before, "MPD", "availabilityStartTime"), [at_ms(5_000).to_string()]);
    for cells in 3..6 {
        let after = of(cells);
        for name in ["id", "bandwidth", "codecs"] {
            assert!(
                all(&after, "Representation", name).starts_with(&all(&before, "Representation", name)),
                "{name}"
            );
        }
        for (before, after) in timelines(&before).iter().zip(&timelines(&after)) {
            assert!(after.starts_with(before), "{before:?} {after:?}");
        }
        assert_eq!(all(&after, "Period", "start")[0], "PT0S");
        assert_eq!(all(&after, "Period", "id").len(), if cells > 4 { 2 } else { 1 });
    }
}

proptest! {
    #[test]
    fn periods_add_up_to_what_is_archived_and_their_segments_cover_them(
        stored in prop::collection::btree_set(0_i64..8, 1..8),
        changed in prop::collection::btree_set(0_i64..8, 0..3),
        start in 0_i64..79_000,
        long in 1_i64..80_000,
    ) {
        let archive = Archive::of(stored.iter().copied(), |n, index| {
            if changed.contains(&n) {
                index.tracks.iter_mut().for_each(|t| t.traits.as_mut().unwrap().init += 100);
            }
        });
        let end = (start + long).min(80_000);
        let there: i64 = stored.iter().map(|n| (end.min(n * 10_000 + 10_000) - start.max(n * 10_000)).max(0)).sum();
        prop_assume!(there > 0);
        let text = archive.mpd(&[(start, end)], |_| {});
        let ms = |text: &str| crate::time::parse_duration(text).unwrap().as_nanos();
        let expected = u128::try_from(there).unwrap() * 1_000_000;
        prop_assert_eq!(all(&text, "Period", "duration").into_iter().map(ms).sum::<u128>(), expected);
        prop_assert_eq!(ms(all(&text, "MPD", "mediaPresentationDuration")[0]), expected);
        // Each period of pictures is covered, and no segment is there twice.
        let offsets = all(&text, "SegmentTemplate", "presentationTimeOffset");
        let timelines = timelines(&text);
        prop_assert_eq!(timelines.len(), offsets.len());
        let durations = all(&text, "Period", "duration");
        let video = offsets.iter().zip(&timelines).step_by(3);
        for ((offset, segments), lasts) in video.zip(durations) {
            let offset: i64 = offset.parse().unwrap();
            let last = segments.last().unwrap();
            let until = i128::from(offset) + i128::try_from(ms(lasts)).unwrap() * 90_000 / 1_000_000_000;
            prop_assert!(segments[0].0 <= offset && offset < segments[0].0 + 180_000, "{:?}", segments);
            prop_assert!(i128::from(last.0 + last.1) >= until && i128::from(last.0) < until, "{:?}", segments);
            prop_assert!(segments.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
        }
    }
}
