//! Plans for a made-up channel: each decision, its reason and its deadline, and what no input may make of them.

use proptest::prelude::*;

use super::*;
use crate::track::{Medium, Track};

const MINUTE: i64 = 60;
/// A grid line: 2026-11-22T10:00:00Z.
const T0: i64 = 1_795_341_600;

fn at(s: i64) -> Time {
    Time::from_s(T0 + s)
}

fn range(start: i64, end: i64) -> Range {
    Range::new(at(start), at(end))
}

fn rules() -> Rules {
    Rules {
        grid: Grid::new(Duration::from_secs(300)).unwrap(),
        retention: Duration::from_secs(7 * 86_400),
        margin: Duration::from_secs(120),
        pieces: true,
        since: at(0),
    }
}

fn track(id: &str, held: &[Range]) -> TrackTimeline {
    let medium = if id.starts_with("audio") { Medium::Audio } else { Medium::Video };
    let track = Track { medium, id: id.into(), language: None, bandwidth: None, codecs: None, size: None };
    TrackTimeline {
        track,
        held: held.iter().copied().collect(),
        last_start: None,
        settle: Duration::from_secs(4),
    }
}

/// A live source with a window of an hour, whose clock says `now`.
fn live(now: i64, tracks: Vec<TrackTimeline>) -> Timeline {
    Timeline { now: at(now), window_start: at(now - 3600), live: true, zero: None, tracks, notes: Vec::new() }
}

fn both(held: &[Range]) -> Vec<TrackTimeline> {
    vec![track("video=1", held), track("audio=1", held)]
}

fn known(start: i64, record: Record) -> Known {
    Known { cell: Cell::from_range(range(start, start + 300)), record }
}

/// Standing and action of each cell.
fn decide(timeline: &Timeline, known: &[Known]) -> Vec<(Standing, Option<Action>)> {
    plan(&rules(), timeline, known).iter().map(|d| (d.standing, d.action)).collect()
}

const CAPTURE: Option<Action> = Some(Action::Capture);
const PIECE: Option<Action> = Some(Action::CapturePiece);
const WRITE_OFF: Option<Action> = Some(Action::WriteOff);

#[test]
fn a_cell_is_ready_when_every_track_has_passed_its_end_and_settled() {
    let tracks = vec![track("video=1", &[range(0, 310)]), track("audio=1", &[range(0, 303)])];
    assert_eq!(decide(&live(312, tracks), &[])[0], (Standing::NotDue, None));
    let tracks = vec![track("video=1", &[range(0, 310)]), track("audio=1", &[range(0, 304)])];
    assert_eq!(decide(&live(312, tracks), &[])[0], (Standing::Ready, CAPTURE));
}

#[test]
fn a_cell_that_the_stream_begins_in_or_has_a_hole_in_is_partly_covered_and_says_which_track() {
    let tracks =
        vec![track("video=1", &[range(0, 400)]), track("audio=1", &[range(0, 100), range(110, 400)])];
    let decisions = plan(&rules(), &live(400, tracks), &[]);
    assert_eq!((decisions[0].standing, decisions[0].action), (Standing::Partly, CAPTURE));
    assert_eq!(decisions[0].reason, "audio=1 lacks 10s");
}

#[test]
fn a_cell_before_the_window_is_lost_once_and_one_before_the_archive_began_is_not_there() {
    let timeline = live(2 * 3600, both(&[range(3600, 7200)]));
    let decisions = decide(&timeline, &[known(0, Record::Lost)]);
    assert_eq!(decisions[0], (Standing::Lost, None));
    assert_eq!(decisions[1], (Standing::Lost, WRITE_OFF));
    let rules = Rules { since: at(3600), ..rules() };
    assert_eq!(plan(&rules, &timeline, &[])[0].cell.start(), at(3600));
}

#[test]
fn a_hole_in_the_source_as_long_as_a_cell_is_lost_and_captured_after_all_if_it_fills() {
    let timeline = live(1000, both(&[range(0, 290), range(650, 1000)]));
    assert_eq!(decide(&timeline, &[])[1], (Standing::Lost, WRITE_OFF));
    let filled = live(1100, both(&[range(0, 1100)]));
    assert_eq!(decide(&filled, &[known(300, Record::Lost)])[1], (Standing::Ready, CAPTURE));
}

#[test]
fn nothing_older_than_the_retention_is_captured() {
    let rules = Rules { retention: Duration::from_secs(600), ..rules() };
    let decisions = plan(&rules, &live(3000, both(&[range(0, 3000)])), &[]);
    assert_eq!(decisions[0].cell.start(), at(2400));
}

#[test]
fn an_engine_that_captures_whole_cells_only_says_what_a_short_window_will_cost() {
    let mut timeline = live(100, both(&[range(80, 100)]));
    timeline.window_start = at(80);
    let decision = plan(&Rules { pieces: false, ..rules() }, &timeline, &[]).remove(0);
    assert_eq!((decision.standing, decision.action), (Standing::AtRisk, None));
    assert!(decision.reason.ends_with("the engine captures whole chunks only"), "{}", decision.reason);
    assert!(decision.deadline.is_some());
}

#[test]
fn a_window_shorter_than_a_cell_is_captured_piece_by_piece_and_finished_from_the_spool() {
    let mut timeline = live(100, both(&[range(80, 100)]));
    timeline.window_start = at(80);
    assert_eq!(decide(&timeline, &[])[0], (Standing::AtRisk, PIECE));
    let spool = |until| [known(0, Record::Capturing { until: Some(at(until)) })];
    // All that is held is in the spool already: there is nothing to do now.
    assert_eq!(decide(&timeline, &spool(100))[0], (Standing::NotDue, None));
    let mut timeline = live(310, both(&[range(290, 310)]));
    timeline.window_start = at(290);
    assert_eq!(decide(&timeline, &spool(298))[0], (Standing::AtRisk, CAPTURE));
    let mut timeline = live(700, both(&[range(680, 700)]));
    timeline.window_start = at(680);
    assert_eq!(decide(&timeline, &spool(200))[0], (Standing::Ready, CAPTURE));
}

#[test]
fn a_failed_cell_waits_for_its_retry_unless_it_would_be_lost_meanwhile() {
    let failed = |s| known(0, Record::Failed { retry_at: Some(at(s)), reason: "503".into(), until: None });
    let timeline = live(400, both(&[range(0, 400)]));
    assert_eq!(decide(&timeline, &[failed(500)])[0], (Standing::Waiting, None));
    assert_eq!(decide(&timeline, &[failed(400)])[0], (Standing::Ready, CAPTURE));
    let late = live(3550, both(&[range(0, 3550)]));
    let decisions = plan(&rules(), &late, &[failed(9000)]);
    assert_eq!((decisions[0].standing, decisions[0].action), (Standing::AtRisk, CAPTURE));
    assert!(decisions[0].last_chance);
    assert_eq!(decisions[0].deadline, Some(at(3600)));
}

#[test]
fn after_the_end_of_a_presentation_nothing_is_missing_and_what_was_begun_is_brought_to_its_end() {
    let over = |held: &[Range]| Timeline { live: false, ..live(4_000, both(held)) };
    let begun = known(300, Record::Capturing { until: Some(at(400)) });
    let complete = known(0, Record::Complete);
    let end = over(&[range(0, 450)]);
    assert_eq!(decide(&end, &[complete.clone(), begun.clone()])[1], (Standing::Ready, CAPTURE));
    assert_eq!(decide(&end, &[complete.clone(), begun.clone()]).len(), 2, "and nothing up to now");
    // ffmpeg's last manifest has no clock: what it holds lies in 1970.
    let lost_its_clock = over(&[Range::new(Time::EPOCH, Time::from_s(60))]);
    assert_eq!(decide(&lost_its_clock, &[complete, begun])[1], (Standing::Ready, CAPTURE));
}

#[test]
fn the_end_of_a_segment_that_starts_in_the_cell_before_is_nothing_to_capture() {
    let held = [range(0, 301)];
    let ends_at = |last_start| {
        let with = |track| TrackTimeline { last_start: Some(at(last_start)), ..track };
        both(&held).into_iter().map(with).collect::<Vec<_>>()
    };
    let done = known(0, Record::Complete);
    let over = |last_start| Timeline { live: false, ..live(302, ends_at(last_start)) };
    assert_eq!(decide(&over(299), std::slice::from_ref(&done)).len(), 1, "it ended in the cell before");
    assert_eq!(decide(&over(300), std::slice::from_ref(&done))[1], (Standing::Partly, CAPTURE));
    // A row that an earlier run left, and that has nothing: no reason to ask for more.
    let empty = known(300, Record::Capturing { until: None });
    assert_eq!(decide(&over(299), &[done.clone(), empty]).len(), 1);
    // While it is live, a short window makes no haste with a cell that nothing starts in yet.
    let short = |last_start| Timeline { window_start: at(290), ..live(302, ends_at(last_start)) };
    assert_eq!(decide(&short(299), std::slice::from_ref(&done))[1], (Standing::NotDue, None));
    assert_eq!(decide(&short(300), std::slice::from_ref(&done))[1].0, Standing::AtRisk);
}

#[test]
fn a_partial_chunk_is_captured_again_only_if_that_covers_strictly_more() {
    let gap = |s, e, retry| {
        let gaps = vec![("audio=1".to_owned(), range(s, e))];
        [known(0, Record::Partial { gaps, retry_at: retry })]
    };
    let whole = live(400, both(&[range(0, 400)]));
    let same = live(
        400,
        vec![track("video=1", &[range(0, 400)]), track("audio=1", &[range(0, 100), range(110, 400)])],
    );
    let moved = live(3620, both(&[range(20, 3620)]));
    assert_eq!(decide(&whole, &gap(100, 110, Some(at(0))))[0], (Standing::Ready, CAPTURE));
    assert_eq!(decide(&whole, &gap(100, 110, Some(at(500))))[0], (Standing::Waiting, None));
    assert_eq!(decide(&whole, &gap(100, 110, None))[0], (Standing::Archived, None));
    assert_eq!(decide(&same, &gap(100, 110, Some(at(0))))[0], (Standing::Archived, None));
    assert_eq!(decide(&moved, &gap(100, 110, Some(at(0))))[0], (Standing::Archived, None));
}

#[test]
fn a_track_that_stopped_holds_the_others_up_only_for_the_margin() {
    let tracks = |now| vec![track("video=1", &[range(0, now)]), track("audio=1", &[range(0, 200)])];
    assert_eq!(decide(&live(420, tracks(420)), &[])[0], (Standing::NotDue, None));
    assert_eq!(decide(&live(430, tracks(430)), &[])[0], (Standing::Partly, CAPTURE));
}

#[test]
fn a_source_that_stalls_altogether_is_waited_for_longer_and_an_ended_one_not_at_all() {
    let mut timeline = live(890, both(&[range(0, 200)]));
    assert_eq!(decide(&timeline, &[])[0], (Standing::NotDue, None));
    timeline.live = false;
    assert_eq!(decide(&timeline, &[])[0], (Standing::Partly, CAPTURE));
    assert_eq!(decide(&live(910, both(&[range(0, 200)])), &[])[0], (Standing::Partly, CAPTURE));
}

#[test]
fn after_a_change_of_chunk_duration_the_first_new_cell_is_what_the_old_ones_leave() {
    let old = [known(0, Record::Complete)];
    let rules =
        Rules { grid: Grid::new(Duration::from_secs(10 * MINUTE.unsigned_abs())).unwrap(), ..rules() };
    let cells: Vec<String> =
        plan(&rules, &live(1300, both(&[range(0, 1300)])), &old).iter().map(|d| d.cell.to_string()).collect();
    assert_eq!(
        cells[..3],
        [
            "2026-11-22T10:00:00Z--2026-11-22T10:05:00Z",
            "2026-11-22T10:05:00Z--2026-11-22T10:10:00Z",
            "2026-11-22T10:10:00Z--2026-11-22T10:20:00Z",
        ]
    );
}

#[test]
fn the_earliest_deadline_goes_first_and_media_that_will_not_be_lost_last() {
    let decisions = plan(&rules(), &live(900, both(&[range(0, 900)])), &[]);
    let mut sorted = decisions.clone();
    sorted.reverse();
    sorted.sort_by_key(urgency);
    assert_eq!(sorted[0].cell.start(), at(0));
}

proptest! {
    /// Whatever the source holds and the ledger says, cells never overlap, nothing complete is touched, and what is
    /// captured is really held or in the spool.
    #[test]
    fn no_plan_is_absurd(
        holes in prop::collection::vec((0_i64..4000, 1_i64..900), 0..6),
        records in prop::collection::vec(0_u8..6, 0..12),
        window in 1_i64..5000,
        is_live: bool,
    ) {
        let mut held = Ranges::from_iter([range(0, 4000)]);
        for (s, n) in holes {
            held = held.minus(&Ranges::from_iter([range(s, s + n)]));
        }
        let mut timeline = live(4000, both(held.as_slice()));
        timeline.window_start = at(4000 - window);
        timeline.live = is_live;
        let gaps = vec![("audio=1".to_owned(), range(10, 20))];
        let known: Vec<Known> = (0..).step_by(300).zip(&records).filter_map(|(start, kind)| {
            Some(known(start, match kind {
                0 => Record::Complete,
                1 => Record::Partial { gaps: gaps.clone(), retry_at: Some(at(0)) },
                2 => Record::Capturing { until: Some(at(start + 100)) },
                3 => Record::Failed { retry_at: Some(at(5000)), reason: "503".into(), until: None },
                4 => Record::Lost,
                _ => return None,
            }))
        }).collect();
        let decisions = plan(&rules(), &timeline, &known);
        prop_assert!(decisions.windows(2).all(|w| w[0].cell.end() == w[1].cell.start()));
        for d in &decisions {
            let record = known.iter().find(|k| k.cell == d.cell).map(|k| &k.record);
            let in_window = Range::new(timeline.window_start, at(4000));
            let any = !held.clip(d.cell.range().intersect(in_window)).is_empty();
            match d.action {
                Some(Action::Capture | Action::CapturePiece) => {
                    prop_assert_ne!(record, Some(&Record::Complete));
                    let has_spool = matches!(record, Some(Record::Capturing { .. }));
                    prop_assert!(any || has_spool);
                }
                Some(Action::WriteOff) => prop_assert!(!any && record != Some(&Record::Lost)),
                None => {}
            }
        }
    }
}
