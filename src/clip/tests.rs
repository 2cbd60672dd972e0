//! Clips of archives that are whole, full of holes, and cut by two grids.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::Kind;
use crate::grid::{Cell, Grid};
use crate::time::{Range, Time};

/// Cells of 300 s.
const CELL: i64 = 300;
/// Long after everything in these tests.
const LATER: i64 = 1_000_000;

fn grid() -> Grid {
    Grid::new(Duration::from_secs(300)).unwrap()
}

fn r(start: i64, end: i64) -> Range {
    Range::new(Time::from_s(start), Time::from_s(end))
}

fn cell(start: i64, end: i64) -> Cell {
    Cell::from_range(r(start, end))
}

fn complete(start: i64, end: i64) -> Shelved {
    Shelved { cell: cell(start, end), stored: true, settled: true, capturing: false }
}

/// Complete cells of [`CELL`], by number.
fn cells(numbers: impl IntoIterator<Item = i64>) -> Vec<Shelved> {
    numbers.into_iter().map(|n| complete(n * CELL, (n + 1) * CELL)).collect()
}

fn of(asked: Range, shelf: &[Shelved], lacks: &[Lack]) -> Part {
    cut(asked, shelf, lacks, grid(), Time::from_s(LATER))
}

fn run(start: i64, end: i64, chunks: impl IntoIterator<Item = Shelved>) -> Run {
    Run { range: r(start, end), chunks: chunks.into_iter().map(|s| s.cell).collect() }
}

fn gap(start: i64, end: i64) -> Gap {
    Gap { range: r(start, end), what: Missing::All }
}

fn hole_of(of: &Shelved, start: i64, end: i64) -> Lack {
    Lack { cell: of.cell, range: r(start, end), track: None }
}

#[test]
fn an_archive_without_gaps_is_one_run() {
    let part = of(r(350, 1_000), &cells(0..9), &[]);
    assert_eq!(part.runs, [run(350, 1_000, cells(1..4))]);
    assert_eq!((part.gaps, part.closed), (vec![], true));
}

#[test]
fn the_chunk_before_goes_first_where_the_start_is_on_a_boundary_or_soon_after_it() {
    let shelf = cells(0..3);
    for (start, first) in [(300, 0), (309, 0), (310, 1), (599, 1), (0, 0)] {
        assert_eq!(of(r(start, 700), &shelf, &[]).runs, [run(start, 700, cells(first..3))], "{start}");
    }
    assert_eq!(of(r(300, 700), &cells([1, 2]), &[]).runs, [run(300, 700, cells([1, 2]))], "it is not stored");
    // Chunks shorter than a segment: the one with the media at the in point may be several before.
    let short: Vec<_> = (0..20).map(|n| complete(n * 4, n * 4 + 4)).collect();
    assert_eq!(of(r(40, 44), &short, &[]).runs, [run(40, 44, short[7..11].to_vec())]);
}

#[test]
fn what_is_not_archived_ends_a_run_and_is_told() {
    let part = of(r(0, 1_500), &cells([0, 1, 3, 4]), &[]);
    assert_eq!(part.runs, [run(0, 600, cells([0, 1])), run(900, 1_500, cells([3, 4]))]);
    assert_eq!(part.gaps, [gap(600, 900)]);
    let part = of(r(100, 1_400), &cells([1, 2]), &[]);
    assert_eq!(part.runs, [run(300, 900, cells([1, 2]))], "neither point is moved outwards");
    assert_eq!(part.gaps, [gap(100, 300), gap(900, 1_400)]);
    let part = of(r(100, 200), &[], &[]);
    assert_eq!((part.runs, part.gaps), (vec![], vec![gap(100, 200)]));
}

#[test]
fn a_hole_inside_a_chunk_ends_a_run_in_it_and_another_begins_in_it() {
    let shelf = cells(0..3);
    let part = of(r(0, 900), &shelf, &[hole_of(&shelf[1], 400, 450)]);
    assert_eq!(part.runs, [run(0, 400, cells([0, 1])), run(450, 900, cells([1, 2]))]);
    assert_eq!(part.gaps, [gap(400, 450)]);
    // At the edges of a chunk nothing reaches over it, so there is nothing to prime from.
    let part = of(r(0, 900), &shelf, &[hole_of(&shelf[1], 300, 305), hole_of(&shelf[1], 590, 600)]);
    assert_eq!(
        part.runs,
        [run(0, 300, cells([0])), run(305, 590, cells([1])), run(600, 900, cells([2]))],
        "the chunk before ends in a hole"
    );
}

#[test]
fn a_hole_of_one_track_is_told_once_and_ends_nothing() {
    let shelf = cells(0..4);
    let lack = |n: usize, start, end| Lack {
        cell: shelf[n].cell,
        range: r(start, end),
        track: Some("audio=eng".to_owned()),
    };
    let lacks = [lack(1, 500, 600), lack(2, 600, 700), lack(3, 1_000, 1_200)];
    let part = of(r(0, 900), &shelf, &lacks);
    assert_eq!(part.runs, [run(0, 900, cells(0..3))]);
    assert_eq!(part.gaps, [Gap { range: r(500, 700), what: Missing::Track("audio=eng".to_owned()) }]);
}

#[test]
fn what_a_track_lacks_is_told_only_where_others_have_media_and_of_chunks_that_are_played() {
    let shelf = cells(0..2);
    let of_track =
        |of: &Shelved, start, end| Lack { track: Some("video".to_owned()), ..hole_of(of, start, end) };
    let part = of(r(0, 600), &shelf, &[hole_of(&shelf[1], 400, 450), of_track(&shelf[1], 350, 460)]);
    let video = |start, end| Gap { range: r(start, end), what: Missing::Track("video".to_owned()) };
    assert_eq!(part.gaps, [video(350, 400), gap(400, 450), video(450, 460)]);
    // The chunk of another duration holds the same, and is not played from.
    let shelf = [complete(0, 300), complete(60, 120)];
    assert_eq!(of(r(0, 300), &shelf, &[of_track(&shelf[1], 70, 80)]).gaps, []);
}

#[test]
fn where_chunks_overlap_no_media_comes_twice() {
    // The chunk duration was changed: the last old chunk reaches into the first new ones.
    let shelf = [complete(0, 300), complete(240, 360), complete(300, 360), complete(360, 480)];
    let part = of(r(0, 480), &shelf, &[]);
    assert_eq!(part.runs, [run(0, 480, [shelf[0], shelf[2], shelf[3]])], "they join, and one is left over");
    let shelf = [complete(0, 300), complete(240, 360), complete(360, 480)];
    let part = of(r(0, 480), &shelf, &[]);
    assert_eq!(part.runs, [run(0, 300, [shelf[0]]), run(300, 480, [shelf[1], shelf[2]])]);
    assert_eq!(part.gaps, []);
    // One lies inside another.
    let shelf = [complete(0, 300), complete(60, 120), complete(300, 600)];
    assert_eq!(of(r(70, 400), &shelf, &[]).runs, [run(70, 400, [shelf[0], shelf[2]])]);
}

#[test]
fn a_hole_of_one_chunk_is_filled_by_another_that_overlaps_it() {
    let shelf = [complete(0, 300), complete(60, 120)];
    let part = of(r(0, 300), &shelf, &[hole_of(&shelf[0], 50, 100)]);
    assert_eq!(part.runs, [run(0, 50, [shelf[0]]), run(60, 120, [shelf[1]]), run(120, 300, [shelf[0]])]);
    assert_eq!(part.gaps, [gap(50, 60)]);
}

#[test]
fn nothing_is_put_in_front_of_what_is_shown_of_a_clip_that_grows() {
    let until =
        |shelf: &[Shelved], now| cut(r(0, 3_000), shelf, &[], grid(), Time::from_s(now)).settled_until.s();
    assert_eq!(until(&cells(0..3), 1_000), 900, "the fourth is still to come");
    let mut shelf = cells(0..3);
    shelf[1].settled = false;
    assert_eq!(until(&shelf, 1_000), 300, "the second is captured, or tried again");
    assert_eq!(until(&shelf, 1_300), 900, "nobody waits for it for ever");
    let over = |shelf: &[Shelved], asked| {
        let clip = Clip { parts: vec![cut(asked, shelf, &[], grid(), Time::from_s(1_000))] };
        (clip.grows(), clip.parts[0].settled_until.s())
    };
    assert!(!over(&shelf, r(0, 900)).0, "what is over is played as it is");
    shelf[1].stored = false;
    assert!(!over(&shelf, r(0, 900)).0, "what failed is a gap of it");
    shelf[1].capturing = true;
    assert_eq!(over(&shelf, r(0, 900)), (true, 300), "but what is being captured is there in a moment");
    assert_eq!(over(&shelf, r(605, 1_200)), (true, 605), "and may be needed for priming");
    assert_eq!(until(&cells(0..3), 2_000), 1_200, "what has not come by now is missing");
    assert_eq!(until(&cells(0..9), LATER), 3_000);
    let clip = |shelf: &[Shelved]| Clip {
        parts: [r(0, 300), r(600, 3_000)]
            .map(|asked| cut(asked, shelf, &[], grid(), Time::from_s(1_000)))
            .into(),
    };
    let settled = |shelf: &[Shelved]| clip(shelf).settled().map(|ask| ask.ranges().to_vec());
    assert_eq!(settled(&cells(0..3)), Some(vec![r(0, 300), r(600, 900)]));
    assert_eq!(settled(&cells(0..2)), Some(vec![r(0, 300)]));
    assert_eq!((settled(&[]), clip(&cells(0..3)).grows()), (Some(vec![r(0, 300)]), true));
}

#[test]
fn a_chunk_that_is_there_for_priming_and_may_change_holds_up_nothing() {
    let mut shelf = cells(0..3);
    shelf[0].settled = false;
    let until = |start: i64| cut(r(start, 900), &shelf, &[], grid(), Time::from_s(850)).settled_until.s();
    assert_eq!((until(302), until(298)), (900, 298));
}

#[test]
fn what_may_still_change_is_not_closed() {
    let with = |change: &dyn Fn(&mut Shelved)| {
        let mut shelf = cells(0..3);
        change(&mut shelf[1]);
        of(r(100, 700), &shelf, &[]).closed
    };
    assert!(with(&|_| {}));
    assert!(with(&|s| s.stored = false), "it is lost");
    assert!(!with(&|s| (s.stored, s.settled) = (false, false)), "it is being captured");
    assert!(!with(&|s| s.settled = false), "it is partial, and tried again");
    assert!(!of(r(100, 700), &cells([0, 2]), &[]).closed, "of one nothing is known");
    let now = |s| cut(r(100, 700), &cells(0..3), &[], grid(), Time::from_s(s)).closed;
    assert_eq!((now(699), now(700)), (false, true));
}

#[test]
fn what_has_only_just_been_or_is_to_come_is_not_missing() {
    let gaps = |now: i64, shelf: &[Shelved]| cut(r(0, 900), shelf, &[], grid(), Time::from_s(now)).gaps;
    let not_yet = |start| Gap { range: r(start, 900), what: Missing::NotYet };
    assert_eq!(gaps(700, &cells([0])), [not_yet(300)]);
    assert_eq!(gaps(1_199, &cells([0])), [not_yet(300)]);
    assert_eq!(gaps(1_200, &cells([0])), [gap(300, 600), not_yet(600)]);
    assert_eq!(gaps(900, &cells([0, 2])), [gap(300, 600)], "what comes after it is there");
    let lost = Shelved { cell: cell(300, 600), stored: false, settled: true, capturing: false };
    assert_eq!(gaps(700, &[cells([0])[0], lost]), [gap(300, 600), not_yet(600)], "it is lost already");
}

#[test]
fn ranges_are_read_and_written_in_one_form() {
    let text = "2018-12-06T12:55:00Z--2018-12-06T13:00:00Z";
    let loose = "2018-12-06T13:55:00+01:00--2018-12-06T13:00:00.000Z";
    let ask: Ask = format!("{loose},{text}").parse().unwrap();
    assert_eq!(ask.ranges().len(), 2, "they may overlap");
    assert_eq!(ask.to_string(), format!("{text},{text}"));
}

#[test]
fn an_ask_that_makes_no_sense_or_is_too_much_is_refused_in_a_sentence() {
    let day = "2018-12-06T00:00:00Z--2018-12-07T00:00:00Z";
    let month = "2018-12-01T00:00:00Z--2019-01-01T00:00:00Z";
    let many = [day; Ask::MAX_RANGES + 1].join(",");
    for (text, said) in [
        ("", "is not a range"),
        ("yesterday", "is not a range"),
        ("2018-12-06T00:00:00Z--tomorrow", "\"tomorrow\" is not a time"),
        ("2018-12-07T00:00:00Z--2018-12-06T00:00:00Z", "ends before it begins"),
        ("2018-12-07T00:00:00Z--2018-12-07T00:00:00Z", "ends before it begins"),
        (&format!("{day},"), "is not a range"),
        (&format!("{month},{day}"), "32d are too long: a clip lasts at most 31d"),
        (&many, "more than 64 ranges at once"),
    ] {
        let e = text.parse::<Ask>().unwrap_err();
        assert_eq!(e.kind(), Kind::Usage, "{text}");
        assert!(e.to_string().contains(said) && (e.remedy().is_some() || said.contains("ends")), "{e}");
    }
    assert!(month.parse::<Ask>().is_ok());
    let seconds = Grid::new(Duration::from_secs(1)).unwrap();
    let ask: Ask = day.parse().unwrap();
    assert!(ask.fits(grid()).is_ok());
    assert!(ask.fits(seconds).unwrap_err().remedy().unwrap().contains("5h 33m"), "{:?}", ask.fits(seconds));
}

#[test]
fn an_ask_is_ahead_only_if_nothing_of_it_has_begun() {
    let ask: Ask = "2018-12-06T12:55:00Z--2018-12-06T13:00:00Z".parse().unwrap();
    let at = |text: &str| text.parse::<Time>().unwrap();
    assert!(ask.is_ahead_of(at("2018-12-06T12:55:00Z")));
    assert!(!ask.is_ahead_of(at("2018-12-06T12:55:01Z")));
    assert_eq!(ask.wait(at("2018-12-06T12:45:00Z"), grid()), Duration::from_secs(900));
}

/// An archive of up to two grids, with holes.
fn archives() -> impl Strategy<Value = (Vec<Shelved>, Vec<Lack>)> {
    let one = (
        0_i64..40,
        prop::sample::select(vec![3_i64, 7, 10]),
        any::<bool>(),
        prop::option::of((0_i64..10, 1_i64..6)),
    );
    prop::collection::vec(one, 0..14).prop_map(|all| {
        let mut shelf: Vec<(Shelved, Option<(i64, i64)>)> = Vec::new();
        for (n, s, stored, hole) in all {
            let start = n * s;
            let made = Shelved { cell: cell(start, start + s), stored, settled: true, capturing: false };
            if shelf.iter().all(|(other, _)| other.cell != made.cell) {
                shelf.push((made, hole));
            }
        }
        shelf.sort_by_key(|(s, _)| s.cell);
        let hole = |(s, hole): &(Shelved, Option<(i64, i64)>)| {
            let (from, s_long) = (*hole)?;
            let start = s.cell.start().s() + from;
            let range = r(start, start + s_long).intersect(s.cell.range());
            (s.stored && !range.is_empty()).then_some(Lack { cell: s.cell, range, track: None })
        };
        let lacks = shelf.iter().filter_map(hole).collect();
        (shelf.into_iter().map(|(s, _)| s).collect(), lacks)
    })
}

proptest! {
    #[test]
    fn every_archived_instant_is_played_once_and_every_other_is_told((shelf, lacks) in archives(), start in 0_i64..400, long in 1_i64..200) {
        let asked = r(start, start + long);
        let part = of(asked, &shelf, &lacks);
        let has_hole = |cell: Cell, at| lacks.iter().any(|l| l.cell == cell && l.range.contains(at));
        let has = |cell: Cell, at| cell.range().contains(at) && !has_hole(cell, at);
        prop_assert!(part.runs.windows(2).all(|w| w[0].range.end <= w[1].range.start), "runs in order");
        for second in start..start + long {
            let at = Time::from_s(second);
            let archived = shelf.iter().any(|s| s.stored && has(s.cell, at));
            let playing: Vec<&Run> = part.runs.iter().filter(|run| run.range.contains(at)).collect();
            prop_assert_eq!(playing.len(), usize::from(archived), "{}", at);
            let from = playing.iter().flat_map(|run| &run.chunks).filter(|c| c.range().contains(at));
            let from: Vec<&Cell> = from.collect();
            prop_assert_eq!(from.len(), usize::from(archived), "one chunk of the run has it: {}", at);
            prop_assert!(from.iter().all(|c| has(**c, at)), "and has it indeed: {}", at);
            let missing = part.gaps.iter().filter(|gap| gap.range.contains(at)).count();
            prop_assert_eq!(missing, usize::from(!archived), "{}", at);
        }
        for run in &part.runs {
            prop_assert!(!run.range.is_empty() && run.range.intersect(asked) == run.range);
            prop_assert!(run.chunks.windows(2).all(|w| w[0].end() == w[1].start()), "chunks join");
            let early = run.chunks.iter().filter(|c| c.end() <= run.range.start);
            prop_assert!(early.clone().all(|c| c.end() > run.range.start.minus(PRIMING)));
            prop_assert!(run.chunks.iter().all(|c| shelf.iter().any(|s| s.stored && s.cell == *c)));
        }
    }
}
