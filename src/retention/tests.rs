//! Retention on archives made up here: cells of five minutes, the n-th of which begins n times five minutes after 1970.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::grid::Grid;

const CELL_S: i64 = 300;

fn cell(n: i64) -> Cell {
    Grid::new(Duration::from_secs(300)).unwrap().cell_at(Time::from_s(n * CELL_S))
}

/// A moment `n` cells after 1970.
fn at(n: i64) -> Time {
    Time::from_s(n * CELL_S)
}

fn chunk(n: i64, bytes: u64) -> Row {
    Row { cell: cell(n), bytes: Some(bytes), capturing: false }
}

/// So many cells, and so many bytes.
fn rules(cells: u32, size: Option<u64>) -> Rules {
    Rules { archive_length: Duration::from_secs(300) * cells, archive_size: size }
}

fn hold(id: i64, from: i64, to: i64) -> Held {
    Held { id, range: Range::new(at(from), at(to)) }
}

fn total(rows: &[Row]) -> Total {
    let bytes: Vec<u64> = rows.iter().filter_map(|r| r.bytes).collect();
    Total { chunks: bytes.len() as u64, bytes: bytes.iter().sum() }
}

fn plan(rules: &Rules, now: Time, holds: &[Held], rows: &[Row]) -> Plan {
    let rows_read = rows.iter().map(|row| Ok::<_, Infallible>(*row));
    let Ok(plan) = super::plan(rules, now, total(rows), holds, rows_read);
    plan
}

/// The numbers of the cells that go, and why.
fn going(plan: &Plan) -> Vec<(i64, Why)> {
    let goes = plan.decisions.iter().filter(|d| d.fate == Fate::Goes);
    goes.map(|d| (d.cell.start().s() / CELL_S, d.why)).collect()
}

#[test]
fn a_backlog_is_worth_capturing_as_far_as_it_fits_into_the_size_limit() {
    let week = Duration::from_secs(7 * 86_400);
    let rules = |archive_size| Rules { archive_length: week, archive_size };
    assert_eq!(rules(Some(1_000_000)).reach(80_000), Duration::from_secs(100));
    assert_eq!(rules(Some(u64::MAX)).reach(1), week);
    assert_eq!(rules(Some(1)).reach(0), week, "nobody knows its rate");
    assert_eq!(rules(None).reach(80_000), week);
}

#[test]
fn what_ended_longer_ago_than_the_archive_is_long_goes_and_what_just_reaches_into_it_stays() {
    let rows: Vec<Row> = (0..10).map(|n| chunk(n, 100)).collect();
    let at_its_end = plan(&rules(4, None), at(7), &[], &rows);
    assert_eq!(going(&at_its_end), [(0, Why::TooOld), (1, Why::TooOld), (2, Why::TooOld)]);
    assert_eq!(at_its_end.going, Total { chunks: 3, bytes: 300 });
    assert_eq!(at_its_end.kept(), Total { chunks: 7, bytes: 700 });
    let a_moment_before = plan(&rules(4, None), at(7).offset_ns(-1), &[], &rows);
    assert_eq!(going(&a_moment_before).len(), 2);
}

#[test]
fn over_the_size_the_oldest_go_and_no_more_of_them_than_must() {
    let rows: Vec<Row> = (0..10).map(|n| chunk(n, 100)).collect();
    assert_eq!(going(&plan(&rules(99, Some(1_000)), at(10), &[], &rows)), []);
    let one_byte_over = plan(&rules(99, Some(999)), at(10), &[], &rows);
    assert_eq!(going(&one_byte_over), [(0, Why::OverSize)]);
    assert_eq!(going(&plan(&rules(99, Some(1)), at(10), &[], &rows)).len(), 10);
}

#[test]
fn whichever_limit_bites_first_counts_and_names_itself() {
    let rows: Vec<Row> = (0..10).map(|n| chunk(n, 100)).collect();
    let by_both = plan(&rules(8, Some(600)), at(10), &[], &rows);
    assert_eq!(going(&by_both), [(0, Why::TooOld), (1, Why::TooOld), (2, Why::OverSize), (3, Why::OverSize)]);
    let rules = rules(8, Some(600));
    assert_eq!([rules.say(Why::TooOld), rules.say(Why::OverSize)], ["older than 40m", "over 600B"]);
}

#[test]
fn what_is_held_or_being_captured_stays_and_is_told() {
    let mut rows: Vec<Row> = (0..10).map(|n| chunk(n, 100)).collect();
    rows[0].capturing = true;
    // From the middle of the third cell to the end of the fourth.
    let holds = [Held { id: 7, range: Range::new(at(2).offset_ns(1), at(4)) }];
    let plan = plan(&rules(5, None), at(10), &holds, &rows);
    let told: Vec<String> = plan.decisions.iter().map(|d| d.fate.to_string()).collect();
    assert_eq!(told, ["being captured", "goes", "held by 7", "held by 7", "goes"]);
    assert_eq!(plan.held, Total { chunks: 2, bytes: 200 });
    assert_eq!(plan.kept(), Total { chunks: 8, bytes: 800 });
}

#[test]
fn what_is_held_counts_towards_the_size_and_others_go_in_its_place() {
    let rows: Vec<Row> = (0..10).map(|n| chunk(n, 100)).collect();
    let plan = plan(&rules(99, Some(700)), at(10), &[hold(1, 0, 4)], &rows);
    assert_eq!(going(&plan), [(4, Why::OverSize), (5, Why::OverSize), (6, Why::OverSize)]);
}

#[test]
fn a_row_without_a_chunk_goes_with_its_time_and_counts_for_nothing() {
    let lost = |n| Row { bytes: None, ..chunk(n, 0) };
    let rows = [lost(0), chunk(1, 100), lost(2), chunk(3, 100), lost(4), chunk(5, 100)];
    let by_age = plan(&rules(3, None), at(6), &[], &rows);
    assert_eq!(going(&by_age).len(), 3);
    assert_eq!(by_age.going, Total { chunks: 1, bytes: 100 });
    let by_size = plan(&rules(99, Some(150)), at(6), &[], &rows);
    assert_eq!(going(&by_size).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_cell_of_another_length_goes_when_it_has_ended() {
    let long = Row { cell: Cell::from_range(Range::new(at(0), at(6))), ..chunk(0, 100) };
    let rows = [long, chunk(1, 100), chunk(2, 100), chunk(6, 100)];
    assert_eq!(going(&plan(&rules(1, None), at(4), &[], &rows)), [(1, Why::TooOld), (2, Why::TooOld)]);
    assert_eq!(going(&plan(&rules(1, None), at(7), &[], &rows)).len(), 3);
}

#[test]
fn no_row_is_read_that_cannot_go() {
    let mut read = 0;
    let endless = (0..).map(|n| {
        read += 1;
        Ok::<_, Infallible>(chunk(n, 100))
    });
    let stored = Total { chunks: 100, bytes: 10_000 };
    let Ok(plan) = super::plan(&rules(10, Some(9_500)), at(13), stored, &[], endless);
    assert_eq!((plan.going.chunks, read), (5, 6));
}

#[test]
fn the_first_row_that_cannot_be_read_ends_it() {
    let rows = [Ok(chunk(0, 1)), Err("no"), Ok(chunk(1, 1))];
    assert_eq!(super::plan(&rules(1, None), at(9), Total::default(), &[], rows), Err("no"));
}

#[test]
fn the_fuse_bites_above_its_fraction_of_chunks_or_of_bytes_and_one_chunk_may_always_go() {
    let blows = |gone: i64, all: i64, most: f64| {
        let rows: Vec<Row> = (0..all).map(|n| chunk(n, 100)).collect();
        plan(&rules(u32::try_from(all - gone).unwrap(), None), at(all), &[], &rows).blows_fuse(most)
    };
    assert!(!blows(20, 100, 0.2) && blows(21, 100, 0.2));
    assert!(!blows(1, 1, 0.2) && !blows(1, 3, 0.0) && blows(2, 3, 0.2));
    assert!(!blows(100, 100, 1.0) && blows(2, 1_000, 0.0) && !blows(0, 0, 0.0));
    // A tenth of the chunks, with most of the bytes.
    let rows: Vec<Row> = (0..20).map(|n| chunk(n, if n < 2 { 1_000 } else { 10 })).collect();
    let plan = plan(&rules(18, None), at(20), &[], &rows);
    assert!(plan.blows_fuse(0.9) && plan.fraction() > 0.9);
}

#[test]
fn a_clock_that_is_years_ahead_blows_the_fuse() {
    let rows: Vec<Row> = (0..2_016).map(|n| chunk(n, 100)).collect();
    let week = rules(2_016, None);
    let years_ahead = plan(&week, at(2_016).plus(Duration::from_secs(3 * 365 * 86_400)), &[], &rows);
    assert_eq!((years_ahead.going.chunks, years_ahead.blows_fuse(0.2)), (2_016, true));
    assert_eq!(
        plan(&week, Time::EPOCH, &[], &rows).going,
        Total::default(),
        "one that is behind deletes nothing"
    );
}

#[test]
fn pruned_five_times_in_an_archives_length_or_more_often_the_fuse_never_bites() {
    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;
    for (cell_s, kept_s, every_s) in [
        (300, 7 * DAY, HOUR),
        (300, 7 * DAY, DAY),
        (HOUR, 7 * DAY, DAY),
        (10, 7 * DAY, DAY),
        (DAY, 7 * DAY, DAY),
        (DAY, DAY, HOUR),
        (HOUR, 5 * HOUR, HOUR),
        (300, 5 * HOUR, HOUR),
        (10, 5 * HOUR, HOUR),
        (10, 300, 60),
    ] {
        let grid = Grid::new(Duration::from_secs(cell_s)).unwrap();
        // Wherever cells end, and somewhat late.
        for late_s in 0..(every_s / 10).min(100) {
            let now = Time::from_s(1_800_000_000).plus(Duration::from_secs(late_s));
            // What was due the time before is gone.
            let span = Range::new(now.minus(Duration::from_secs(kept_s + every_s + late_s)), now);
            let rows: Vec<Row> =
                grid.cells(span).map(|cell| Row { cell, bytes: Some(100), capturing: false }).collect();
            let rules = Rules { archive_length: Duration::from_secs(kept_s), archive_size: None };
            let plan = plan(&rules, now, &[], &rows);
            let fraction = plan.fraction();
            assert!(!plan.blows_fuse(0.2), "cells of {cell_s} s kept for {kept_s} s: {fraction}");
        }
    }
}

prop_compose! {
    /// Rows without overlap, some of them missing; and holds.
    fn archive()(
        kinds in prop::collection::vec((0_u8..8, 0_u64..1_000), 0..60),
        holds in prop::collection::vec((0_i64..60, 1_i64..8), 0..4),
    ) -> (Vec<Row>, Vec<Held>) {
        let rows = (0..).zip(kinds).filter_map(|(n, (kind, bytes))| match kind {
            0 => None,
            1 => Some(Row { bytes: None, ..chunk(n, 0) }),
            2 => Some(Row { capturing: true, ..chunk(n, bytes) }),
            _ => Some(chunk(n, bytes)),
        });
        let held = (1..).zip(holds).map(|(id, (from, length))| hold(id, from, from + length));
        (rows.collect(), held.collect())
    }
}

proptest! {
    #[test]
    fn nothing_held_and_nothing_being_captured_ever_goes(
        (rows, holds) in archive(), length in 1_u32..70, size in prop::option::of(0_u64..20_000), now in 0_i64..200,
    ) {
        let plan = plan(&rules(length, size), at(now), &holds, &rows);
        for d in plan.decisions.iter().filter(|d| d.fate == Fate::Goes) {
            prop_assert!(holds.iter().all(|h| h.range.intersect(d.cell.range()).is_empty()));
            prop_assert!(!rows.iter().any(|r| r.cell == d.cell && r.capturing));
        }
    }

    #[test]
    fn what_goes_at_one_time_goes_at_every_later_one(
        (rows, holds) in archive(), length in 1_u32..70, size in prop::option::of(0_u64..20_000),
        now in 0_i64..100, later in 0_i64..100,
    ) {
        let rules = rules(length, size);
        let cells = |now| going(&plan(&rules, at(now), &holds, &rows)).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        let (early, late) = (cells(now), cells(now + later));
        prop_assert!(early.iter().all(|n| late.contains(n)), "{early:?}, later {late:?}");
    }

    #[test]
    fn by_size_alone_no_chunk_goes_that_could_have_stayed_and_none_stays_that_is_too_much(
        (rows, holds) in archive(), size in 0_u64..20_000,
    ) {
        let plan = plan(&rules(1_000, Some(size)), at(100), &holds, &rows);
        let kept = plan.kept().bytes;
        let last = plan.decisions.iter().rev().find(|d| d.fate == Fate::Goes && d.bytes.is_some());
        if let Some(last) = last {
            prop_assert!(kept + last.bytes.unwrap() > size, "the last one need not have gone");
        }
        let may_go = |row: &&Row| {
            !row.capturing && row.bytes.is_some() && holds.iter().all(|h| h.range.intersect(row.cell.range()).is_empty())
        };
        prop_assert!(kept <= size || plan.going.chunks == rows.iter().filter(may_go).count() as u64);
        // Oldest first: before the last that goes, none stays that could have gone.
        let before = rows.iter().filter(may_go).filter(|r| last.is_some_and(|l| r.cell <= l.cell)).count() as u64;
        prop_assert_eq!(before, plan.going.chunks);
    }

    #[test]
    fn two_limits_take_all_that_each_of_them_alone_would_take(
        (rows, holds) in archive(), length in 1_u32..70, size in 0_u64..20_000, now in 0_i64..100,
    ) {
        let cells = |rules: Rules| going(&plan(&rules, at(now), &holds, &rows)).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        let both = cells(rules(length, Some(size)));
        let (age, by_size) = (cells(rules(length, None)), cells(rules(1_000, Some(size))));
        let bytes_alone: Vec<_> = by_size.iter().filter(|n| rows.iter().any(|r| r.cell == cell(**n) && r.bytes.is_some())).collect();
        prop_assert!(age.iter().all(|n| both.contains(n)));
        prop_assert!(bytes_alone.iter().all(|n| both.contains(n)));
        prop_assert!(both.iter().all(|n| age.contains(n) || by_size.contains(n)));
    }

    #[test]
    fn totals_are_those_of_the_decisions(
        (rows, holds) in archive(), length in 1_u32..70, size in prop::option::of(0_u64..20_000), now in 0_i64..200,
    ) {
        let plan = plan(&rules(length, size), at(now), &holds, &rows);
        let goes: Vec<Row> = rows.iter().filter(|r| plan.decisions.iter().any(|d| d.cell == r.cell && d.fate == Fate::Goes)).copied().collect();
        prop_assert_eq!(plan.going, total(&goes));
        prop_assert!(plan.decisions.is_sorted_by_key(|d| d.cell));
        prop_assert!((0.0..=1.0).contains(&plan.fraction()));
    }
}
