//! Reels of archives in all states, held against what was put into the chunks.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clip::{Shelved, cut};
use crate::grid::Grid;
use crate::time::Time;

/// Cells of 20 s.
const CELL_S: i64 = 20;
/// The archive begins here, in seconds, and has so many cells.
const START_S: i64 = 1_700_000_000;
const CELLS: i64 = 6;
const VIDEO: u32 = 1;
const AUDIO: u32 = 2;

fn scale(track: u32) -> Timescale {
    Timescale::new(if track == VIDEO { 90_000 } else { 48_000 }).unwrap()
}

/// What the source had, and what became of it.
#[derive(Debug, Clone)]
struct Archive {
    /// How long a fragment of pictures is, in seconds; sound is cut at the frame after.
    fragment_s: i64,
    /// Every so many fragments of pictures begin with a sync sample.
    sync_every: usize,
    /// What frames are delayed by, and what an edit list takes off of that, in ticks.
    reorder: i64,
    edit: i64,
    /// Cells that were never stored.
    lost: BTreeSet<i64>,
    /// Fragments that are not there: track, and number since the start.
    holes: BTreeSet<(u32, usize)>,
    /// Which chunks another program made: both tracks in one `moof`, other numbers, and the fragment before the cell once more.
    foreign: BTreeSet<i64>,
}

/// A fragment: its track, its entry, and which cell holds its start.
type Made = (u32, IndexEntry, i64);

impl Archive {
    fn grid() -> Grid {
        Grid::new(Duration::from_secs(CELL_S.unsigned_abs())).unwrap()
    }

    fn cell(n: i64) -> Cell {
        Self::grid().cell_at(Time::from_s(START_S + n * CELL_S))
    }

    fn shift(&self, track: u32) -> i64 {
        if track == VIDEO { self.reorder - self.edit } else { 0 }
    }

    /// All fragments of a track that the source had.
    fn made(&self, track: u32) -> Vec<Made> {
        let ticks = i64::from(scale(track).get());
        let frame = if track == VIDEO { 1 } else { 1_024 };
        let up = |at: i64| -(-at).div_euclid(frame) * frame;
        let count = CELLS * CELL_S / self.fragment_s;
        let one = |n: i64| {
            let at = |n: i64| up((START_S + n * self.fragment_s) * ticks);
            let presented = MediaTime::new(at(n), scale(track));
            let offset = u64::try_from(10_000 + n * 1_000).unwrap() + u64::from(track) * 300;
            let entry = IndexEntry {
                decode_time: u64::try_from(at(n) - self.shift(track)).unwrap(),
                duration_ticks: u32::try_from(at(n + 1) - at(n)).unwrap(),
                moof_offset: offset,
                prefix_size: 0,
                size: 300,
                sync: track == AUDIO || usize::try_from(n).unwrap().is_multiple_of(self.sync_every),
            };
            (track, entry, (presented.instant().s() - START_S).div_euclid(CELL_S))
        };
        (0..count).map(one).collect()
    }

    fn index(&self, cell: i64) -> Index {
        let is_foreign = self.foreign.contains(&cell);
        let mut index = Index::default();
        for track in [VIDEO, AUDIO] {
            let all = self.made(track);
            let there = |n: usize| !self.holes.contains(&(track, n));
            let own = all.iter().enumerate().filter(|(n, made)| {
                let again = is_foreign && all.get(n + 1).is_some_and(|next| next.2 == cell) && made.2 != cell;
                (made.2 == cell || again) && there(*n)
            });
            let number = if is_foreign { track + 10 } else { track };
            for (n, (_, made, _)) in own {
                let mut entry = *made;
                if is_foreign {
                    entry.moof_offset = u64::try_from(10_000 + n * 1_000).unwrap();
                }
                index.push(number, scale(track), entry).traits = Some(Traits {
                    init: u64::from(number),
                    reorder_ticks: if track == VIDEO { self.reorder } else { 0 },
                    edit_ticks: if track == VIDEO { self.edit } else { 0 },
                    ..Traits::default()
                });
            }
        }
        index.number(|number| if is_foreign { number - 10 } else { number });
        index
    }

    fn indexes(&self) -> BTreeMap<Cell, Index> {
        let stored = (0..CELLS).filter(|n| !self.lost.contains(n));
        stored.map(|n| (Self::cell(n), self.index(n))).collect()
    }

    fn clip(&self, asked: Range) -> Clip {
        let shelf: Vec<Shelved> = (0..CELLS)
            .map(|n| Shelved {
                cell: Self::cell(n),
                stored: !self.lost.contains(&n),
                settled: true,
                capturing: false,
            })
            .collect();
        let later = Time::from_s(START_S + 1_000_000);
        Clip { parts: vec![cut(asked, &shelf, &[], Self::grid(), later)] }
    }

    /// Its indexes are never freed, which a test can afford.
    fn reel(&self, asked: Range) -> Reel<'static> {
        reel(&self.clip(asked), Box::leak(Box::new(self.indexes())), &[])
    }

    /// What the chunks have of a track, by decode time.
    fn stored(&self, track: u32, cells: &[Cell]) -> Vec<IndexEntry> {
        let indexes = self.indexes();
        let of = |cell: &Cell| indexes[cell].tracks.iter().find(|t| t.track_id == track).cloned();
        let mut all: Vec<IndexEntry> =
            cells.iter().filter_map(of).flat_map(|track| track.fragments).collect();
        all.sort_by_key(|entry| entry.decode_time);
        all.dedup_by_key(|entry| entry.decode_time);
        all
    }
}

fn any_archive() -> impl Strategy<Value = Archive> {
    let numbers = prop::collection::btree_set(0..CELLS, 0..3);
    let holes = prop::collection::btree_set((prop::sample::select(vec![VIDEO, AUDIO]), 0_usize..60), 0..5);
    let clock = (0_i64..3, any::<bool>());
    (prop::sample::select(vec![2_i64, 4, 5]), 1_usize..5, clock, numbers.clone(), holes, numbers).prop_map(
        |(fragment_s, sync_every, (frames, is_edited), lost, holes, foreign)| {
            let reorder = frames * 3_600;
            let edit = if is_edited { reorder } else { 0 };
            Archive { fragment_s, sync_every, reorder, edit, lost, holes, foreign }
        },
    )
}

fn any_range() -> impl Strategy<Value = Range> {
    let ms = 0_i64..CELLS * CELL_S * 1_000;
    (ms.clone(), ms).prop_map(|(a, b)| of_ms(a.min(b), a.max(b) + 1))
}

/// Milliseconds since the start of the archive.
fn of_ms(start: i64, end: i64) -> Range {
    let at = |ms: i64| Time::from_s(START_S).offset_ns(ms * 1_000_000);
    Range::new(at(start), at(end))
}

/// Which fragments a reel has, by track and decode time.
fn all(reel: &Reel) -> BTreeSet<(u32, u64)> {
    let of = |track: &ReelTrack| {
        track.fragments().map(|(_, fragment)| (track.id, fragment.decode_time)).collect::<Vec<_>>()
    };
    reel.runs.iter().flat_map(|run| &run.tracks).flat_map(of).collect()
}

fn whole() -> Archive {
    Archive {
        fragment_s: 2,
        sync_every: 1,
        reorder: 0,
        edit: 0,
        lost: BTreeSet::new(),
        holes: BTreeSet::new(),
        foreign: BTreeSet::new(),
    }
}

/// Where a track's fragments begin, in seconds since the start of the archive, span by span.
fn starts(reel: &Reel, track: u32) -> Vec<Vec<i64>> {
    let track = reel.runs[0].track(track).unwrap();
    let s = |span: &Span, f: &IndexEntry| span.presented(f) / i64::from(track.timescale.get()) - START_S;
    track.spans.iter().map(|span| span.fragments.iter().map(|f| s(span, f)).collect()).collect()
}

#[test]
fn a_reel_begins_with_the_fragment_that_holds_the_in_point_and_ends_before_the_out_point() {
    let reel = whole().reel(of_ms(3_500, 24_000));
    assert_eq!(starts(&reel, VIDEO), [vec![2, 4, 6, 8, 10, 12, 14, 16, 18], vec![20, 22]]);
    let run = &reel.runs[0];
    let video = run.track(VIDEO).unwrap();
    assert_eq!((video.in_ticks, video.out_ticks), (START_S * 90_000 + 315_000, (START_S + 24) * 90_000));
    assert_eq!(video.spans[0].joint, Joint { hole_ticks: 0, new_init: true });
    assert_eq!(video.spans[1].joint, Joint { hole_ticks: 0, new_init: false });
    // Sound is cut at the frame after: its third fragment begins a little after four seconds, and the one before reaches there.
    let audio = run.track(AUDIO).unwrap();
    assert!(audio.first_ticks() < audio.in_ticks);
    assert!(audio.holes(run.range).is_empty() && video.holes(run.range).is_empty());
    assert_eq!(reel.track_ids(), [VIDEO, AUDIO]);
}

#[test]
fn pictures_begin_with_a_sync_sample_also_where_it_is_in_the_chunk_before() {
    let archive = Archive { sync_every: 4, ..whole() };
    // Sync at 0, 8, 16, 24 …; the second cell begins at 20.
    assert_eq!(starts(&archive.reel(of_ms(21_000, 22_500)), VIDEO), [vec![16, 18], vec![20, 22]]);
    assert_eq!(starts(&archive.reel(of_ms(15_999, 17_000)), VIDEO), [vec![8, 10, 12, 14, 16]]);
    assert_eq!(starts(&archive.reel(of_ms(16_000, 17_000)), VIDEO), [vec![16]]);
    // What leads to it is not there: it begins where it can.
    let torn = Archive { holes: [(VIDEO, 9)].into(), ..archive };
    assert_eq!(starts(&torn.reel(of_ms(21_000, 24_500)), VIDEO), [vec![20, 22, 24]]);
}

#[test]
fn a_hole_of_one_track_is_between_two_spans_and_told() {
    let archive = Archive { holes: [(AUDIO, 2), (AUDIO, 3), (VIDEO, 0)].into(), ..whole() };
    let reel = archive.reel(of_ms(0, 12_000));
    let run = &reel.runs[0];
    assert_eq!(starts(&reel, VIDEO), [vec![2, 4, 6, 8, 10]]);
    let video = run.track(VIDEO).unwrap();
    assert_eq!(video.spans[0].joint, Joint { hole_ticks: 180_000, new_init: true });
    assert_eq!(video.holes(run.range).as_slice(), [of_ms(0, 2_000)]);
    assert_eq!(starts(&reel, AUDIO), [vec![0, 2], vec![8, 10]]);
    let audio = run.track(AUDIO).unwrap();
    assert_eq!(audio.spans[1].joint, Joint { hole_ticks: 187 * 1_024, new_init: false });
    let hole = audio.holes(run.range).span().unwrap();
    assert_eq!(hole.duration().as_millis(), 3_989);
    let late = archive.reel(of_ms(5_000, 7_000));
    assert_eq!(late.runs[0].tracks.len(), 1, "sound has nothing there");
}

#[test]
fn chunks_of_both_engines_join_and_say_where_another_init_segment_begins() {
    let archive = Archive { foreign: [1].into(), ..whole() };
    let reel = archive.reel(of_ms(17_000, 43_000));
    assert_eq!(
        starts(&reel, VIDEO),
        [vec![16, 18], (10..20).map(|n| n * 2).collect(), vec![40, 42]],
        "the fragment that the second chunk has once more is left out"
    );
    let video = reel.runs[0].track(VIDEO).unwrap();
    let facts: Vec<_> = video.spans.iter().map(|s| (s.file_track_id, s.muxed, s.joint.new_init)).collect();
    assert_eq!(facts, [(1, false, true), (11, true, true), (1, false, true)]);
}

#[test]
fn tracks_are_chosen_and_a_track_that_is_none_of_the_channels_is_left_out() {
    let archive = whole();
    let (clip, mut indexes) = (archive.clip(of_ms(0, 50_000)), archive.indexes());
    assert_eq!(reel(&clip, &indexes, &[AUDIO]).track_ids(), [AUDIO]);
    assert_eq!(reel(&clip, &indexes, &[7]).track_ids(), [0_u32; 0]);
    indexes.values_mut().for_each(|index| index.number(|number| if number == AUDIO { 0 } else { number }));
    assert_eq!(reel(&clip, &indexes, &[]).track_ids(), [VIDEO]);
    // A chunk that is gone meanwhile leaves a hole in each track.
    indexes.remove(&Archive::cell(1));
    let reel = reel(&clip, &indexes, &[]);
    let video = reel.runs[0].track(VIDEO).unwrap();
    assert_eq!(video.holes(reel.runs[0].range).as_slice(), [of_ms(20_000, 40_000)]);
}

proptest! {
    #[test]
    fn every_fragment_that_is_asked_for_comes_once_and_no_other(archive in any_archive(), asked in any_range()) {
        let clip = archive.clip(asked);
        let indexes = archive.indexes();
        let reel = reel(&clip, &indexes, &[]);
        prop_assert_eq!(reel.runs.len(), clip.runs().count());
        for (run, chunks) in reel.runs.iter().zip(clip.runs().map(|run| &run.chunks)) {
            for id in [VIDEO, AUDIO] {
                let stored = archive.stored(id, chunks);
                let shift = archive.shift(id);
                let begins = |f: &IndexEntry| MediaTime::new(start(f, shift), scale(id));
                let ends = |f: &IndexEntry| MediaTime::new(end(f, shift), scale(id));
                let is_asked = |f: &&IndexEntry| {
                    begins(f).cmp_instant(run.range.end).is_lt() && ends(f).cmp_instant(run.range.start).is_gt()
                };
                let asked: Vec<u64> = stored.iter().filter(is_asked).map(|f| f.decode_time).collect();
                let Some(track) = run.track(id) else {
                    prop_assert!(asked.is_empty());
                    continue;
                };
                let got: Vec<IndexEntry> = track.fragments().map(|(_, f)| *f).collect();
                prop_assert!(got.windows(2).all(|w| w[0].decode_time < w[1].decode_time));
                let before = got.iter().take_while(|f| !is_asked(f)).count();
                let played: Vec<u64> = got[before..].iter().map(|f| f.decode_time).collect();
                prop_assert_eq!(played, asked);
                // What comes before the in point leads up to it from a sync sample, without a hole.
                prop_assert!(before == 0 || got[0].sync);
                prop_assert!(got[1..].iter().take(before).all(|f| !f.sync));
                prop_assert!(track.spans.iter().skip(1).take(1).all(|s| before == 0 || s.fragments[0].decode_time > got[before].decode_time || s.joint.hole_ticks == 0));
                // If it does not begin with one, there is none that leads up to it.
                if !got[0].sync {
                    let at = stored.iter().position(|f| f.decode_time == got[0].decode_time).unwrap();
                    let led: Vec<&IndexEntry> = stored[..at].iter().rev()
                        .scan(got[0].decode_time, |next, f| {
                            let joins = f.decode_time + u64::from(f.duration_ticks) == *next;
                            *next = f.decode_time;
                            joins.then_some(f)
                        })
                        .collect();
                    prop_assert!(led.iter().all(|f| !f.sync));
                }
            }
        }
    }

    #[test]
    fn what_is_not_covered_is_told_as_a_hole(archive in any_archive(), asked in any_range()) {
        for run in archive.reel(asked).runs {
            for track in &run.tracks {
                let mut told = track.holes(run.range);
                for (span, f) in track.fragments() {
                    let at = |ticks| MediaTime::new(ticks, track.timescale).instant();
                    let from = span.presented(f);
                    told.add(Range::new(at(from), at(from + i64::from(f.duration_ticks))));
                }
                let left = told.missing_in(run.range);
                let most = left.as_slice().iter().map(|r| r.duration()).max().unwrap_or_default();
                prop_assert!(most < Duration::from_millis(1), "{left:?}");
            }
        }
    }

    #[test]
    fn joined_clips_have_the_fragments_of_the_whole(
        archive in any_archive(), asked in any_range(), at in 0_i64..CELLS * CELL_S * 1_000,
    ) {
        let between = of_ms(at, at).start;
        prop_assume!(asked.contains(between));
        let [before, after] = [Range::new(asked.start, between), Range::new(between, asked.end)];
        let parts = &all(&archive.reel(before)) | &all(&archive.reel(after));
        prop_assert_eq!(parts, all(&archive.reel(asked)));
        // The out point of the one is the in point of the other, to the tick.
        for id in [VIDEO, AUDIO] {
            let points = |range, point: fn(&ReelTrack) -> i64| {
                archive.reel(range).runs.iter().flat_map(|run| run.track(id)).map(point).collect::<Vec<_>>()
            };
            let (out, into) = (points(before, |t| t.out_ticks), points(after, |t| t.in_ticks));
            let cut = MediaTime::first_at_or_after(between, scale(id)).ticks;
            prop_assert!(out.last().is_none_or(|out| *out <= cut) && into.first().is_none_or(|at| *at >= cut));
        }
    }
}
