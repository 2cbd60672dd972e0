//! What every ledger promises, as tests. An adapter gives a [`Fixture`] and gets all of them by `ledger_suite!`.

use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use super::{
    CellRow, Claimed, Commit, Coverage, Gap, HoldId, JobFilter, JobId, JobStats, Kept, Ledger, MAX_LOG_BYTES,
    Outcome, Record, Report, Shelved, State, Stored,
};
use crate::error::{Error, Kind, Result};
use crate::grid::{Cell, Grid};
use crate::time::{Range, Time, Timescale};
use crate::track::{Medium, Track};

/// A place for a ledger that can be opened more than once.
pub(super) trait Fixture {
    /// A new, empty place.
    fn new() -> Self;
    /// A handle of its own.
    fn open(&self) -> Box<dyn Ledger>;
    /// A ledger that a backup was put in the place of.
    fn restored(&self, backup: &Path) -> Box<dyn Ledger>;
}

/// Runs every test of the suite on a fixture.
macro_rules! ledger_suite {
    ($fixture:ty: $($test:ident)+) => {
        $(#[test]
        fn $test() {
            $crate::ledger::suite::$test::<$fixture>();
        })+
    };
    ($fixture:ty) => {
        ledger_suite! { $fixture:
            a_channel_answers_for_the_earliest_instant_that_it_was_opened_with
            what_a_check_saw_replaces_what_the_one_before_saw
            a_track_keeps_its_id_and_a_new_timescale_is_a_new_track
            a_captured_cell_becomes_complete_and_is_never_claimed_again
            a_partial_cell_is_claimed_again_and_keeps_its_object_meanwhile
            a_failed_job_leaves_its_progress_and_counts
            a_piece_hands_its_progress_on
            the_job_of_a_dead_claimer_is_written_down_as_died_and_cannot_come_back
            a_lost_cell_is_news_once_and_keeps_what_is_stored
            gaps_keep_the_time_of_their_first_record
            cells_that_touch_a_range_are_found_whatever_their_length
            a_shelf_says_what_the_rows_say
            the_indexes_of_a_range_are_those_of_its_stored_chunks
            what_shows_of_a_channel_is_counted_when_it_changes_and_nothing_else_is
            a_refused_commit_changes_nothing
            a_cell_off_the_second_is_refused
            channels_do_not_see_each_other
            a_log_keeps_its_last_lines
            jobs_are_listed_newest_first
            jobs_are_found_by_outcome_cell_and_page
            recent_jobs_are_those_that_began_since_then
            a_report_counts_every_state
            what_one_handle_writes_the_other_reads
            a_handle_that_is_dropped_midway_leaves_the_cell_to_the_next
            a_walk_finds_every_row_once_in_order
            what_a_job_ran_is_kept_with_it
            old_jobs_are_forgotten_where_no_row_is
            what_is_held_is_never_discarded
            a_hold_of_nothing_is_refused
            what_is_discarded_is_garbage_until_it_is_forgotten
            a_cell_whose_object_is_being_deleted_is_not_claimed
            how_far_a_channel_is_pruned_is_remembered
            what_was_read_back_longest_ago_comes_first
            an_object_that_is_not_there_is_captured_again
            an_object_without_a_row_is_adopted_once
            everything_that_is_exported_is_imported_again
            an_import_is_whole_or_not_at_all
            a_ledger_says_how_much_room_it_takes
            a_backup_is_of_one_moment_while_cells_are_claimed
            eight_threads_claim_each_cell_once_and_lose_no_job
            eight_threads_on_one_cell_leave_one_running_job
        }
    };
}
pub(super) use ledger_suite;

const NEWS: &str = "news";

fn t(s: i64) -> Time {
    Time::from_s(1_700_000_100 + s)
}

/// The n-th five-minute cell from a fixed one on.
fn cell(n: i64) -> Cell {
    Grid::new(Duration::from_secs(300)).unwrap().cell_at(t(300 * n))
}

fn claim(ledger: &dyn Ledger, cell: Cell, now: Time) -> (JobId, Option<String>) {
    match ledger.claim(NEWS, cell, "native", now, "host-1", 4711).unwrap() {
        Claimed::Job { id, progress } => (id, progress),
        other => panic!("{cell}: {other:?}"),
    }
}

fn stored(coverage: Coverage, n: i64) -> Stored {
    Stored { coverage, key: cell(n).key(NEWS), bytes: 1_000, sha256: [7; 32] }
}

fn commit<'a>(stored: &'a Stored, gaps: &'a [Gap]) -> Commit<'a> {
    let stats = JobStats { bytes: 1_200, segments: 150, retries: 2 };
    Commit { stored, index: b"index", gaps, stats, retry_at: None, message: None }
}

fn gap(start: Time, end: Time) -> Gap {
    Gap { track: "video=1".into(), range: Range::new(start, end), reason: "expired".into() }
}

fn row(ledger: &dyn Ledger, n: i64) -> CellRow {
    ledger.cell(NEWS, cell(n)).unwrap().unwrap()
}

fn track(id: &str) -> Track {
    let language = Some("eng".to_owned());
    let size = Some((1280, 720));
    Track { medium: Medium::Video, id: id.into(), language, bandwidth: Some(1_000_000), codecs: None, size }
}

pub(super) fn a_channel_answers_for_the_earliest_instant_that_it_was_opened_with<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    assert_eq!(ledger.since(NEWS).unwrap(), None);
    claim(&*ledger, cell(0), t(0));
    assert_eq!(ledger.since(NEWS).unwrap(), None, "a claim opens nothing");
    assert_eq!(ledger.open_channel(NEWS, t(10), t(10)).unwrap(), t(10));
    assert_eq!(ledger.open_channel(NEWS, t(20), t(20)).unwrap(), t(10));
    assert_eq!(ledger.open_channel(NEWS, t(5), t(20)).unwrap(), t(5));
    assert_eq!(ledger.since(NEWS).unwrap(), Some(t(5)));
}

pub(super) fn what_a_check_saw_replaces_what_the_one_before_saw<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    assert_eq!(ledger.observed("news").unwrap(), None);
    ledger.observe("news", "first", t(1)).unwrap();
    ledger.observe("news", "second", t(2)).unwrap();
    assert_eq!(ledger.observed("news").unwrap(), Some((t(2), "second".to_owned())));
    assert_eq!(ledger.since("news").unwrap(), None);
}

pub(super) fn a_track_keeps_its_id_and_a_new_timescale_is_a_new_track<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let scale = |n| Timescale::new(n).unwrap();
    let (a, b) = (track("a"), track("b"));
    let register = |tracks: &[(&Track, Timescale)], now| ledger.register_tracks(NEWS, tracks, now).unwrap();
    assert_eq!(register(&[(&b, scale(90_000)), (&a, scale(90_000))], t(0)), [1, 2]);
    assert_eq!(register(&[(&a, scale(90_000)), (&b, scale(90_000)), (&a, scale(600))], t(1)), [2, 1, 3]);
    let faster = Track { bandwidth: Some(u64::MAX), ..a.clone() };
    assert_eq!(register(&[(&faster, scale(90_000))], t(2)), [2]);
    let rows = ledger.tracks(NEWS).unwrap();
    let ids: Vec<_> =
        rows.iter().map(|r| (r.id, r.track.id.as_str(), r.timescale.get(), r.first_seen)).collect();
    assert_eq!(ids, [(1, "b", 90_000, t(0)), (2, "a", 90_000, t(0)), (3, "a", 600, t(1))]);
    assert_eq!(rows[1].track.bandwidth, Some(i64::MAX.unsigned_abs()));
    assert_eq!(rows[0].track, b);
}

pub(super) fn a_captured_cell_becomes_complete_and_is_never_claimed_again<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (job, progress) = claim(&*ledger, cell(0), t(1));
    assert_eq!(progress, None);
    assert_eq!((row(&*ledger, 0).state, row(&*ledger, 0).job), (State::Capturing, Some(job)));
    assert_eq!(ledger.index(NEWS, cell(0)).unwrap(), None);
    let chunk = stored(Coverage::Complete, 0);
    ledger.commit(job, t(2), &commit(&chunk, &[])).unwrap();
    let row = row(&*ledger, 0);
    assert_eq!((row.state, row.stored, row.updated), (State::Complete, Some(chunk.clone()), t(2)));
    assert_eq!(ledger.index(NEWS, cell(0)).unwrap().as_deref(), Some(&b"index"[..]));
    assert_eq!(ledger.job(job).unwrap().unwrap().outcome, Outcome::Complete);
    assert_eq!(ledger.claim(NEWS, cell(0), "native", t(3), "h", 1).unwrap(), Claimed::Complete);
    assert!(!ledger.lose(NEWS, cell(0), &[gap(t(0), t(1))], "expired", t(4)).unwrap());
    assert_eq!(ledger.commit(job, t(5), &commit(&chunk, &[])).unwrap_err().kind(), Kind::Busy);
    assert_eq!(ledger.fail(job, t(5), "late", None, JobStats::default()).unwrap_err().kind(), Kind::Busy);
    assert_eq!(self::row(&*ledger, 0).updated, t(2));
    assert_eq!(ledger.gaps(NEWS, cell(0).range()).unwrap(), []);
}

pub(super) fn a_partial_cell_is_claimed_again_and_keeps_its_object_meanwhile<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (job, _) = claim(&*ledger, cell(0), t(1));
    let partial = stored(Coverage::Partial, 0);
    let gaps = [gap(cell(0).start(), cell(0).start().offset_ns(7))];
    let retry = Commit { retry_at: Some(t(60)), message: Some("one gap"), ..commit(&partial, &gaps) };
    ledger.commit(job, t(2), &retry).unwrap();
    let first = row(&*ledger, 0);
    assert_eq!(
        (first.state, first.retry_at, first.reason.as_deref()),
        (State::Partial, Some(t(60)), Some("one gap"))
    );
    let (job, progress) = claim(&*ledger, cell(0), t(3));
    assert_eq!(progress, None);
    let again = row(&*ledger, 0);
    assert_eq!(
        (again.state, again.stored.as_ref(), again.retry_at),
        (State::Capturing, Some(&partial), None)
    );
    ledger.fail(job, t(4), "origin is down", Some(t(90)), JobStats::default()).unwrap();
    let failed = row(&*ledger, 0);
    assert_eq!((failed.state, failed.attempts, failed.retry_at), (State::Partial, 1, Some(t(90))));
    assert_eq!(ledger.gaps(NEWS, cell(0).range()).unwrap().len(), 1);
    let (job, _) = claim(&*ledger, cell(0), t(5));
    ledger.commit(job, t(6), &commit(&stored(Coverage::Complete, 0), &[])).unwrap();
    let done = row(&*ledger, 0);
    assert_eq!((done.state, done.attempts, done.reason, done.retry_at), (State::Complete, 0, None, None));
    assert_eq!(ledger.gaps(NEWS, cell(0).range()).unwrap(), [], "a complete cell lacks nothing");
}

pub(super) fn a_failed_job_leaves_its_progress_and_counts<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (job, _) = claim(&*ledger, cell(0), t(1));
    let stats = JobStats { bytes: 10, segments: 2, retries: 1 };
    ledger.checkpoint(job, "{\"at\":1}", stats).unwrap();
    assert_eq!(ledger.job(job).unwrap().unwrap().stats, stats);
    ledger.fail(job, t(2), "time-out", Some(t(30)), stats).unwrap();
    let failed = row(&*ledger, 0);
    assert_eq!((failed.state, failed.attempts, failed.retry_at), (State::Failed, 1, Some(t(30))));
    assert_eq!(failed.reason.as_deref(), Some("time-out"));
    let ended = ledger.job(job).unwrap().unwrap();
    assert_eq!(
        (ended.outcome, ended.ended, ended.message.as_deref()),
        (Outcome::Failed, Some(t(2)), Some("time-out"))
    );
    let (job, progress) = claim(&*ledger, cell(0), t(31));
    assert_eq!(progress.as_deref(), Some("{\"at\":1}"));
    ledger.fail(job, t(32), "time-out", None, stats).unwrap();
    assert_eq!(row(&*ledger, 0).attempts, 2);
}

pub(super) fn a_piece_hands_its_progress_on<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (job, _) = claim(&*ledger, cell(0), t(1));
    ledger.checkpoint(job, "half", JobStats::default()).unwrap();
    ledger.release(job, t(2), JobStats::default()).unwrap();
    assert_eq!(row(&*ledger, 0).state, State::Capturing);
    assert_eq!(ledger.job(job).unwrap().unwrap().outcome, Outcome::Piece);
    let (next, progress) = claim(&*ledger, cell(0), t(3));
    assert_eq!(progress.as_deref(), Some("half"));
    assert_eq!(ledger.job(job).unwrap().unwrap().outcome, Outcome::Piece, "it did not die");
    assert!(next > job);
}

pub(super) fn the_job_of_a_dead_claimer_is_written_down_as_died_and_cannot_come_back<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (dead, _) = claim(&*ledger, cell(0), t(1));
    ledger.checkpoint(dead, "half", JobStats::default()).unwrap();
    let (heir, progress) = claim(&*ledger, cell(0), t(9));
    assert_eq!(progress.as_deref(), Some("half"));
    let row = ledger.job(dead).unwrap().unwrap();
    assert_eq!((row.outcome, row.ended), (Outcome::Died, Some(t(9))));
    let chunk = stored(Coverage::Complete, 0);
    let stats = JobStats::default();
    for refused in [
        ledger.checkpoint(dead, "stale", stats),
        ledger.release(dead, t(10), stats),
        ledger.commit(dead, t(10), &commit(&chunk, &[])),
        ledger.fail(dead, t(10), "x", None, stats),
        ledger.fail(JobId::new(999), t(10), "x", None, stats),
    ] {
        assert_eq!(refused.unwrap_err().kind(), Kind::Busy);
    }
    assert_eq!(self::row(&*ledger, 0).job, Some(heir));
    ledger.commit(heir, t(11), &commit(&chunk, &[])).unwrap();
}

pub(super) fn a_lost_cell_is_news_once_and_keeps_what_is_stored<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let whole = gap(cell(0).start(), cell(0).end());
    assert!(ledger.lose(NEWS, cell(0), std::slice::from_ref(&whole), "expired", t(1)).unwrap());
    assert!(!ledger.lose(NEWS, cell(0), &[], "expired", t(2)).unwrap());
    let lost = row(&*ledger, 0);
    assert_eq!((lost.state, lost.reason.as_deref(), lost.updated), (State::Lost, Some("expired"), t(1)));
    assert_eq!(ledger.gaps(NEWS, cell(0).range()).unwrap()[0].gap, whole);

    let (job, _) = claim(&*ledger, cell(1), t(1));
    let partial = stored(Coverage::Partial, 1);
    let gaps = [gap(cell(1).start(), cell(1).start().offset_ns(9))];
    ledger.commit(job, t(2), &Commit { retry_at: Some(t(3)), ..commit(&partial, &gaps) }).unwrap();
    let (job, _) = claim(&*ledger, cell(1), t(3));
    ledger.checkpoint(job, "more", JobStats::default()).unwrap();
    assert!(ledger.lose(NEWS, cell(1), &[gap(cell(1).start(), cell(1).end())], "expired", t(4)).unwrap());
    let kept = row(&*ledger, 1);
    assert_eq!((kept.state, kept.stored, kept.retry_at), (State::Partial, Some(partial), None));
    assert_eq!(
        ledger.gaps(NEWS, cell(1).range()).unwrap()[0].gap,
        gaps[0],
        "the gaps of the object stay true"
    );
    assert_eq!(ledger.job(job).unwrap().unwrap().outcome, Outcome::Died);
    assert!(!ledger.lose(NEWS, cell(1), &[], "expired", t(5)).unwrap());
    assert_eq!(claim(&*ledger, cell(1), t(6)).1, None, "the progress is gone with the spool");
}

pub(super) fn gaps_keep_the_time_of_their_first_record<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let start = cell(0).start();
    let (old, new) = (gap(start, start.offset_ns(5)), gap(start.offset_ns(9), cell(0).end().offset_ns(3)));
    let partial = stored(Coverage::Partial, 0);
    let (job, _) = claim(&*ledger, cell(0), t(1));
    ledger
        .commit(job, t(2), &commit(&partial, &[old.clone(), gap(start.offset_ns(5), start.offset_ns(6))]))
        .unwrap();
    let (job, _) = claim(&*ledger, cell(0), t(3));
    // Twice the same is one gap.
    ledger.commit(job, t(4), &commit(&partial, &[new.clone(), old.clone(), old.clone()])).unwrap();
    let rows = ledger.gaps(NEWS, cell(0).range()).unwrap();
    let shown: Vec<_> = rows.iter().map(|r| (&r.gap, r.recorded, r.cell)).collect();
    assert_eq!(shown, [(&old, t(2), cell(0)), (&new, t(4), cell(0))]);
    let beyond = Range::new(cell(0).end(), cell(0).end().offset_ns(1));
    assert_eq!(ledger.gaps(NEWS, beyond).unwrap().len(), 1, "the part of the gap past its cell is found");
    let between = Range::new(start.offset_ns(6), start.offset_ns(9));
    assert_eq!(ledger.gaps(NEWS, between).unwrap(), []);
}

pub(super) fn cells_that_touch_a_range_are_found_whatever_their_length<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let day = Grid::new(Duration::from_secs(86_400)).unwrap().cell_at(t(0));
    let mut all = vec![day];
    all.extend((-3..3).map(cell));
    for cell in &all {
        claim(&*ledger, *cell, t(0));
    }
    all.sort();
    let start = cell(0).start();
    for (from, to) in [
        (start, start),
        (start, start.offset_ns(1)),
        (start.offset_ns(-1), start),
        (start.offset_ns(-1), start.offset_ns(1)),
        (day.start(), day.end()),
        (day.end().offset_ns(-1), day.end()),
        (day.end(), Time::MAX),
        (Time::from_ns(i64::MIN), Time::MAX),
        (cell(2).end(), cell(2).end().offset_ns(1)),
    ] {
        let within = Range::new(from, to);
        let found: Vec<Cell> = ledger.cells(NEWS, within).unwrap().into_iter().map(|r| r.cell).collect();
        let expected: Vec<Cell> =
            all.iter().copied().filter(|c| !c.range().intersect(within).is_empty()).collect();
        assert_eq!(found, expected, "{within}");
        let shelf: Vec<Cell> = ledger.shelf(NEWS, within).unwrap().into_iter().map(|s| s.cell).collect();
        assert_eq!(shelf, expected, "{within}");
    }
}

pub(super) fn a_shelf_says_what_the_rows_say<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let all = Range::new(Time::EPOCH, Time::MAX);
    assert_eq!(ledger.shelf(NEWS, all).unwrap(), []);
    archive(&*ledger, 0, Coverage::Complete);
    archive(&*ledger, 1, Coverage::Partial);
    let part = archive(&*ledger, 2, Coverage::Partial);
    ledger.spoil(NEWS, cell(2), &part, "it is not there", t(901)).unwrap();
    archive(&*ledger, 3, Coverage::Partial);
    claim(&*ledger, cell(3), t(902));
    ledger.lose(NEWS, cell(4), &[], "expired", t(0)).unwrap();
    let (job, _) = claim(&*ledger, cell(5), t(903));
    let partial = stored(Coverage::Partial, 5);
    ledger.commit(job, t(904), &Commit { retry_at: Some(t(999)), ..commit(&partial, &[]) }).unwrap();
    ledger.claim("sports", cell(6), "native", t(0), "h", 1).unwrap();
    let shelf = ledger.shelf(NEWS, all).unwrap();
    let of = |row: &CellRow| (row.cell, row.state, row.stored.as_ref().map(|s| s.coverage), row.job);
    let rows = ledger.cells(NEWS, all).unwrap();
    let shown = |s: &Shelved| (s.cell, s.state, s.stored, s.job);
    assert_eq!(shelf.iter().map(shown).collect::<Vec<_>>(), rows.iter().map(of).collect::<Vec<_>>());
    assert_eq!(shelf.iter().map(|s| s.bytes).collect::<Vec<_>>(), [1_000, 1_000, 0, 1_000, 0, 1_000]);
    let retried: Vec<bool> = shelf.iter().map(|s| s.retry).collect();
    assert_eq!(retried, [false, false, true, true, false, true], "nothing changes a cell that has no retry");
}

pub(super) fn the_indexes_of_a_range_are_those_of_its_stored_chunks<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let all = Range::new(Time::EPOCH, Time::MAX);
    assert_eq!(ledger.indexes(NEWS, all).unwrap(), []);
    let chunks = [(3, &b"three"[..]), (0, b"zero"), (1, b"one"), (2, b"two")];
    for (n, index) in chunks {
        let (job, _) = claim(&*ledger, cell(n), t(0));
        let partial = stored(Coverage::Partial, n);
        ledger.commit(job, t(1), &Commit { index, ..commit(&partial, &[]) }).unwrap();
    }
    ledger.spoil(NEWS, cell(2), &stored(Coverage::Partial, 2), "it is not there", t(2)).unwrap();
    // Captured again, it still has what it had.
    claim(&*ledger, cell(1), t(3));
    claim(&*ledger, cell(4), t(3));
    ledger.claim("sports", cell(0), "native", t(0), "h", 1).unwrap();
    let of = |n: i64| (cell(n), chunks.iter().find(|chunk| chunk.0 == n).unwrap().1.to_vec());
    assert_eq!(ledger.indexes(NEWS, all).unwrap(), [of(0), of(1), of(3)]);
    let (start, end) = (cell(1).start(), cell(3).start());
    for (within, found) in [
        (Range::new(start, end), vec![of(1)]),
        (Range::new(start.offset_ns(-1), end.offset_ns(1)), vec![of(0), of(1), of(3)]),
        (Range::new(start, start), vec![]),
    ] {
        assert_eq!(ledger.indexes(NEWS, within).unwrap(), found, "{within}");
    }
}

pub(super) fn what_shows_of_a_channel_is_counted_when_it_changes_and_nothing_else_is<F: Fixture>() {
    let fixture = F::new();
    let (ledger, other) = (fixture.open(), fixture.open());
    let last = std::cell::Cell::new(0);
    let grows = |what: &str| {
        let now = ledger.changes(NEWS).unwrap();
        assert!(now > last.replace(now), "{what}");
    };
    let stays = |what: &str| assert_eq!(ledger.changes(NEWS).unwrap(), last.get(), "{what}");
    stays("there is no such channel");
    other.open_channel(NEWS, t(0), t(0)).unwrap();
    other.observe(NEWS, "{}", t(3)).unwrap();
    stays("nothing of it is archived");
    let (job, _) = claim(&*other, cell(0), t(1));
    grows("claim");
    other.checkpoint(job, "half", JobStats::default()).unwrap();
    other.append_log(job, "a line\n").unwrap();
    stays("checkpoint");
    other.fail(job, t(2), "x", Some(t(3)), JobStats::default()).unwrap();
    grows("fail");
    let (job, _) = claim(&*other, cell(0), t(4));
    let partial = stored(Coverage::Partial, 0);
    other.commit(job, t(5), &commit(&partial, &[gap(t(0), t(1))])).unwrap();
    grows("commit");
    other.verified(NEWS, cell(0), &partial, t(6)).unwrap();
    stays("reading back");
    other.spoil(NEWS, cell(0), &partial, "gone", t(7)).unwrap();
    grows("spoil");
    other.adopt(NEWS, cell(0), &partial, b"index", &[gap(t(0), t(1))], t(8)).unwrap();
    grows("adopt");
    other.lose(NEWS, cell(1), &[], "expired", t(9)).unwrap();
    grows("lose");
    other.lose(NEWS, cell(1), &[], "expired", t(9)).unwrap();
    stays("lost already");
    let hold = other.hold(NEWS, cell(9).range(), None, None, t(10)).unwrap();
    grows("hold");
    other.release_hold(hold).unwrap();
    grows("no hold");
    other.claim("sports", cell(0), "native", t(0), "h", 1).unwrap();
    stays("another channel");
    other.discard(NEWS, &[cell(0)], "old", t(11)).unwrap();
    grows("discard");
    let heads = ledger.heads().unwrap();
    assert_eq!(heads.iter().map(|h| h.channel.as_str()).collect::<Vec<_>>(), [NEWS, "sports"]);
    let news = &heads[0];
    assert_eq!(
        (news.changes, news.since, news.pruned, news.checked),
        (last.get(), Some(t(0)), Some(cell(0).end()), Some(t(3)))
    );
    assert_eq!((heads[1].since, heads[1].checked), (None, None));
}

pub(super) fn a_refused_commit_changes_nothing<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (job, _) = claim(&*ledger, cell(0), t(1));
    let gaps = [gap(t(0), t(1))];
    let chunk = stored(Coverage::Complete, 0);
    assert_eq!(ledger.commit(job, t(2), &commit(&chunk, &gaps)).unwrap_err().kind(), Kind::Invalid);
    let backwards = [gap(t(0), t(1)), gap(t(9), t(8))];
    let partial = stored(Coverage::Partial, 0);
    assert_eq!(ledger.commit(job, t(2), &commit(&partial, &backwards)).unwrap_err().kind(), Kind::Invalid);
    assert_eq!(row(&*ledger, 0).state, State::Capturing);
    assert_eq!(ledger.index(NEWS, cell(0)).unwrap(), None);
    assert_eq!(ledger.gaps(NEWS, cell(0).range()).unwrap(), []);
    assert_eq!(ledger.job(job).unwrap().unwrap().outcome, Outcome::Running);
}

pub(super) fn a_cell_off_the_second_is_refused<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    for range in [Range::new(t(0), t(1).offset_ns(1)), Range::new(t(1), t(1)), Range::new(t(2), t(1))] {
        let odd = Cell::from_range(range);
        assert_eq!(
            ledger.claim(NEWS, odd, "native", t(0), "h", 1).unwrap_err().kind(),
            Kind::Invalid,
            "{odd}"
        );
        assert_eq!(ledger.lose(NEWS, odd, &[], "x", t(0)).unwrap_err().kind(), Kind::Invalid, "{odd}");
    }
}

pub(super) fn channels_do_not_see_each_other<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    claim(&*ledger, cell(0), t(0));
    ledger.register_tracks(NEWS, &[(&track("a"), Timescale::ONE)], t(0)).unwrap();
    let all = Range::new(Time::from_ns(i64::MIN), Time::MAX);
    assert_eq!(ledger.cells("sports", all).unwrap(), []);
    assert_eq!(ledger.cell("sports", cell(0)).unwrap(), None);
    assert_eq!(ledger.tracks("sports").unwrap(), []);
    assert_eq!(ledger.register_tracks("sports", &[(&track("z"), Timescale::ONE)], t(0)).unwrap(), [1]);
    assert_eq!(ledger.report("sports", all).unwrap(), Report::default());
    let odd = "Robert'); DROP TABLE chunk; --";
    assert!(matches!(ledger.claim(odd, cell(0), "native", t(0), "h", 1).unwrap(), Claimed::Job { .. }));
    assert_eq!(ledger.cells(odd, all).unwrap().len(), 1);
}

pub(super) fn a_log_keeps_its_last_lines<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (job, _) = claim(&*ledger, cell(0), t(0));
    assert_eq!(ledger.log(job).unwrap().as_deref(), Some(""));
    ledger.append_log(job, "first\n").unwrap();
    ledger.append_log(job, "second\n").unwrap();
    assert_eq!(ledger.log(job).unwrap().as_deref(), Some("first\nsecond\n"));
    for n in 0..40 {
        ledger.append_log(job, &format!("{n:04}{}\n", "é".repeat(1_500))).unwrap();
    }
    let log = ledger.log(job).unwrap().unwrap();
    assert!(log.len() <= MAX_LOG_BYTES + 64, "{}", log.len());
    assert!(log.len() > MAX_LOG_BYTES - 4_000, "{}", log.len());
    assert!(
        log.starts_with("(earlier lines were dropped)\n")
            && log.contains("\n0039é")
            && !log.contains("first")
    );
    ledger.append_log(job, &"é".repeat(MAX_LOG_BYTES)).unwrap();
    assert!(ledger.log(job).unwrap().unwrap().len() <= MAX_LOG_BYTES + 64);
    let unknown = JobId::new(999);
    assert_eq!(ledger.log(unknown).unwrap(), None);
    assert_eq!(ledger.append_log(unknown, "x").unwrap_err().kind(), Kind::NotFound);
}

pub(super) fn jobs_are_listed_newest_first<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let ids: Vec<JobId> = (0..4).map(|n| claim(&*ledger, cell(n), t(n)).0).collect();
    ledger.release(ids[3], t(5), JobStats::default()).unwrap();
    ledger.claim("sports", cell(0), "unified", t(6), "host-2", 1).unwrap();
    let list = |filter: JobFilter| {
        ledger.jobs(&filter).unwrap().into_iter().map(|j| (j.channel, j.cell)).collect::<Vec<_>>()
    };
    let news = |n| (NEWS.to_owned(), cell(n));
    assert_eq!(list(JobFilter::latest(Some(NEWS), 3)), [news(3), news(2), news(1)]);
    assert_eq!(list(JobFilter::running(Some(NEWS), 9)), [news(2), news(1), news(0)]);
    assert_eq!(list(JobFilter::running(None, 2)), [("sports".to_owned(), cell(0)), news(2)]);
    assert_eq!(list(JobFilter::latest(None, 9)).len(), 5);
    assert_eq!(list(JobFilter::default()), []);
    let job = ledger.job(ids[0]).unwrap().unwrap();
    assert_eq!((job.engine.as_str(), job.host.as_str(), job.pid), ("native", "host-1", 4711));
    assert_eq!((job.started, job.ended, job.outcome), (t(0), None, Outcome::Running));
    assert_eq!(ledger.job(JobId::new(999)).unwrap(), None);
}

pub(super) fn jobs_are_found_by_outcome_cell_and_page<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let ids: Vec<JobId> = (0..6).map(|n| claim(&*ledger, cell(n % 3), t(n)).0).collect();
    ledger.fail(ids[5], t(9), "x", None, JobStats::default()).unwrap();
    ledger.release(ids[4], t(9), JobStats::default()).unwrap();
    ledger.claim("sports", cell(1), "native", t(10), "h", 1).unwrap();
    let list = |filter: &JobFilter| {
        ledger.jobs(filter).unwrap().iter().map(|j| j.id.get() - ids[0].get()).collect::<Vec<_>>()
    };
    let of = |outcomes: &[Outcome]| JobFilter { outcomes: outcomes.to_vec(), ..JobFilter::latest(None, 9) };
    assert_eq!(list(&of(&[Outcome::Died])), [2, 1, 0]);
    assert_eq!(list(&of(&[Outcome::Died, Outcome::Failed, Outcome::Running])), [6, 5, 3, 2, 1, 0]);
    assert_eq!(list(&of(&[Outcome::Failed, Outcome::Failed])), [5], "named twice, found once");
    assert_eq!(list(&of(&[Outcome::Complete])), [0; 0]);
    assert_eq!(list(&JobFilter { limit: 2, ..of(&[Outcome::Died, Outcome::Piece]) }), [4, 2]);
    let page = |before: usize| JobFilter { before: Some(ids[before]), ..JobFilter::latest(None, 2) };
    assert_eq!((list(&page(4)), list(&page(2)), list(&page(0))), (vec![3, 2], vec![1, 0], vec![]));
    let touching = |range| JobFilter { touching: Some(range), ..JobFilter::latest(None, 9) };
    let middle = cell(1);
    assert_eq!(list(&touching(middle.range())), [6, 4, 1]);
    let edge = Range::new(middle.end().offset_ns(-1), middle.end().offset_ns(1));
    assert_eq!(list(&touching(edge)), [6, 5, 4, 2, 1]);
    assert_eq!(list(&touching(Range::new(middle.start(), middle.start()))), [0; 0]);
    let all = JobFilter {
        channel: Some(NEWS.to_owned()),
        outcomes: vec![Outcome::Died, Outcome::Piece],
        touching: Some(middle.range()),
        before: Some(ids[4]),
        limit: 9,
    };
    assert_eq!(list(&all), [1]);
    let latest = ledger.latest_jobs().unwrap();
    let latest: Vec<_> = latest.iter().map(|j| (j.channel.as_str(), j.id.get() - ids[0].get())).collect();
    assert_eq!(latest, [(NEWS, 5), ("sports", 6)]);
}

pub(super) fn recent_jobs_are_those_that_began_since_then<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (old, _) = claim(&*ledger, cell(0), t(0));
    archive(&*ledger, 1, Coverage::Complete);
    claim(&*ledger, cell(2), t(600));
    ledger.claim("sports", cell(0), "native", t(600), "host-1", 1).unwrap();
    ledger.fail(old, t(900), "x", None, JobStats::default()).unwrap();
    let briefs = ledger.recent_jobs(NEWS, t(300)).unwrap();
    let told: Vec<_> = briefs.iter().map(|b| (b.outcome, b.started, b.ended.is_some())).collect();
    assert_eq!(told, [(Outcome::Running, t(600), false), (Outcome::Complete, t(300), true)]);
    assert_eq!(briefs[1].stats, JobStats { bytes: 1_200, segments: 150, retries: 2 });
    assert_eq!(ledger.recent_jobs(NEWS, t(0)).unwrap().len(), 3, "the one that began then counts");
    assert_eq!(ledger.recent_jobs(NEWS, t(601)).unwrap(), []);
    assert_eq!(ledger.recent_jobs("films", t(0)).unwrap(), []);
}

pub(super) fn a_ledger_says_how_much_room_it_takes<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let before = ledger.size_bytes().unwrap();
    let (job, _) = claim(&*ledger, cell(0), t(0));
    for _ in 0..20 {
        ledger.append_log(job, &"x".repeat(50_000)).unwrap();
    }
    let after = ledger.size_bytes().unwrap();
    assert!(before > 0 && after > before + 50_000, "{before} {after}");
}

pub(super) fn a_report_counts_every_state<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    for (n, coverage) in [(0, Coverage::Partial), (1, Coverage::Complete), (2, Coverage::Complete)] {
        let (job, _) = claim(&*ledger, cell(n), t(0));
        ledger.commit(job, t(1), &commit(&stored(coverage, n), &[])).unwrap();
    }
    let (job, _) = claim(&*ledger, cell(3), t(0));
    ledger.fail(job, t(1), "x", None, JobStats::default()).unwrap();
    ledger.lose(NEWS, cell(4), &[], "expired", t(1)).unwrap();
    claim(&*ledger, cell(5), t(0));
    let report = ledger.report(NEWS, Range::new(cell(0).start(), cell(5).end())).unwrap();
    let expected = Report {
        capturing: 1,
        complete: 2,
        partial: 1,
        failed: 1,
        lost: 1,
        bytes: 3_000,
        first: Some(cell(0)),
        last: Some(cell(2)),
    };
    assert_eq!(report, expected);
    let report = ledger.report(NEWS, cell(1).range()).unwrap();
    assert_eq!(
        report,
        Report { complete: 1, bytes: 1_000, first: Some(cell(1)), last: Some(cell(1)), ..Report::default() }
    );
}

pub(super) fn what_one_handle_writes_the_other_reads<F: Fixture>() {
    let fixture = F::new();
    let (one, other) = (fixture.open(), fixture.open());
    let (job, _) = claim(&*one, cell(0), t(0));
    assert_eq!(row(&*other, 0).state, State::Capturing);
    other.commit(job, t(1), &commit(&stored(Coverage::Complete, 0), &[])).unwrap();
    assert_eq!(one.claim(NEWS, cell(0), "native", t(2), "h", 1).unwrap(), Claimed::Complete);
}

pub(super) fn a_handle_that_is_dropped_midway_leaves_the_cell_to_the_next<F: Fixture>() {
    let fixture = F::new();
    let gone = fixture.open();
    let (dead, _) = claim(&*gone, cell(0), t(0));
    gone.checkpoint(dead, "half", JobStats::default()).unwrap();
    drop(gone);
    let ledger = fixture.open();
    assert_eq!(row(&*ledger, 0).state, State::Capturing);
    let (heir, progress) = claim(&*ledger, cell(0), t(1));
    assert_eq!(progress.as_deref(), Some("half"));
    ledger.commit(heir, t(2), &commit(&stored(Coverage::Complete, 0), &[])).unwrap();
    assert_eq!(ledger.job(dead).unwrap().unwrap().outcome, Outcome::Died);
}

/// Captures the n-th cell.
fn archive(ledger: &dyn Ledger, n: i64, coverage: Coverage) -> Stored {
    let (job, _) = claim(ledger, cell(n), t(300 * n));
    let stored = stored(coverage, n);
    let gaps = [gap(cell(n).start(), cell(n).start().offset_ns(7))];
    let gaps = if coverage == Coverage::Partial { &gaps[..] } else { &[] };
    ledger.commit(job, t(300 * n), &commit(&stored, gaps)).unwrap();
    stored
}

pub(super) fn a_walk_finds_every_row_once_in_order<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let day = Grid::new(Duration::from_secs(86_400)).unwrap().cell_at(t(0));
    claim(&*ledger, day, t(0));
    archive(&*ledger, 0, Coverage::Complete);
    archive(&*ledger, 1, Coverage::Partial);
    claim(&*ledger, cell(-1), t(0));
    ledger.lose(NEWS, cell(2), &[], "expired", t(0)).unwrap();
    ledger.claim("sports", cell(3), "native", t(0), "h", 1).unwrap();
    let (mut pages, mut light, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = ledger.page(NEWS, after, 2).unwrap();
        light.extend(ledger.oldest(NEWS, after, 2).unwrap());
        let Some(last) = page.last() else { break };
        after = Some(last.cell);
        pages.extend(page);
    }
    assert_eq!(pages.iter().map(|r| r.cell).collect::<Vec<_>>(), [day, cell(-1), cell(0), cell(1), cell(2)]);
    let of = |row: &CellRow| Kept {
        cell: row.cell,
        state: row.state,
        bytes: row.stored.as_ref().map(|stored| stored.bytes),
    };
    assert_eq!(light, pages.iter().map(of).collect::<Vec<_>>());
    assert_eq!(light[2].bytes, Some(1_000));
    assert_eq!(ledger.channels().unwrap(), [NEWS, "sports"]);
    assert_eq!(ledger.page("nosuch", None, 2).unwrap(), []);
}

pub(super) fn what_a_job_ran_is_kept_with_it<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let (job, _) = claim(&*ledger, cell(0), t(0));
    let ran = |ledger: &dyn Ledger| ledger.job(job).unwrap().map(|j| (j.command, j.exit_code)).unwrap();
    assert_eq!(ran(&*ledger), (None, None));
    ledger.note_command(job, "unified_capture -o x", None).unwrap();
    assert_eq!(ran(&*ledger), (Some("unified_capture -o x".to_owned()), None));
    ledger.note_command(job, "unified_capture -o x", Some(1)).unwrap();
    ledger.fail(job, t(1), "exit code 1", None, JobStats::default()).unwrap();
    assert_eq!(ran(&*ledger).1, Some(1));
    assert_eq!(ledger.note_command(job, "late", None).unwrap_err().kind(), Kind::Busy);
}

pub(super) fn old_jobs_are_forgotten_where_no_row_is<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    for n in 0..4 {
        archive(&*ledger, n, Coverage::Complete);
        ledger.append_log(JobId::new(n + 1), "a line\n").unwrap();
    }
    let (running, _) = claim(&*ledger, cell(4), t(900));
    ledger.discard(NEWS, &[cell(0), cell(1), cell(3)], "old", t(1_500)).unwrap();
    assert_eq!(ledger.forget_jobs("sports", Time::MAX).unwrap(), 0);
    // The second is young enough, the third has its row, the fourth is younger, the fifth runs.
    assert_eq!(ledger.forget_jobs(NEWS, t(300)).unwrap(), 1);
    assert_eq!(ledger.forget_jobs(NEWS, t(300)).unwrap(), 0);
    assert_eq!(ledger.log(JobId::new(1)).unwrap(), None);
    assert_eq!(ledger.forget_jobs(NEWS, Time::MAX).unwrap(), 2);
    let filter = JobFilter::latest(None, 9);
    let left: Vec<JobId> = ledger.jobs(&filter).unwrap().iter().map(|j| j.id).collect();
    assert_eq!(left, [running, JobId::new(3)]);
    ledger.fail(running, t(901), "x", None, JobStats::default()).unwrap();
    ledger.discard(NEWS, &[cell(4)], "old", t(1_500)).unwrap();
    assert_eq!(ledger.forget_jobs(NEWS, t(901)).unwrap(), 0, "it began before that, and ended then");
    assert_eq!(ledger.forget_jobs(NEWS, Time::MAX).unwrap(), 1);
    assert!(claim(&*ledger, cell(5), t(0)).0 > running, "no number is given twice");
}

pub(super) fn what_is_held_is_never_discarded<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let all: Vec<Cell> = (0..5).map(cell).collect();
    for n in 0..4 {
        archive(&*ledger, n, Coverage::Complete);
    }
    // From the last nanosecond of one cell to the first of another; and one that runs out.
    let range = Range::new(cell(0).end().offset_ns(-1), cell(1).start().offset_ns(1));
    let forever = ledger.hold(NEWS, range, Some("the trial"), None, t(1)).unwrap();
    let until = ledger.hold(NEWS, cell(2).range(), None, Some(t(5_000)), t(2)).unwrap();
    ledger.hold("sports", cell(3).range(), None, None, t(3)).unwrap();
    let holds = ledger.holds(Some(NEWS)).unwrap();
    assert_eq!(holds.iter().map(|h| h.id).collect::<Vec<_>>(), [forever, until]);
    assert_eq!(
        (holds[0].note.as_deref(), holds[0].range, holds[0].created),
        (Some("the trial"), range, t(1))
    );
    assert!(holds[1].holds_at(t(4_999)) && !holds[1].holds_at(t(5_000)) && holds[0].holds_at(Time::MAX));
    assert_eq!(ledger.holds(None).unwrap().len(), 3);
    let keys = |garbage: Vec<super::Garbage>| garbage.into_iter().map(|g| g.key).collect::<Vec<_>>();
    assert_eq!(keys(ledger.discard(NEWS, &all, "old", t(4_999)).unwrap()), [cell(3).key(NEWS)]);
    assert_eq!(keys(ledger.discard(NEWS, &all, "old", t(5_000)).unwrap()), [cell(2).key(NEWS)]);
    assert_eq!(ledger.release_hold(forever).unwrap().map(|h| h.range), Some(range));
    assert_eq!(ledger.release_hold(forever).unwrap(), None);
    assert_eq!(ledger.discard(NEWS, &all, "old", t(5_000)).unwrap().len(), 2);
    assert!(ledger.hold(NEWS, range, None, None, t(9)).unwrap() > until, "no number is given twice");
}

pub(super) fn a_hold_of_nothing_is_refused<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    for range in [Range::new(t(1), t(1)), Range::new(t(2), t(1))] {
        assert_eq!(ledger.hold(NEWS, range, None, None, t(0)).unwrap_err().kind(), Kind::Usage);
    }
    assert_eq!(ledger.holds(None).unwrap(), []);
    assert_eq!(ledger.release_hold(HoldId::new(1)).unwrap(), None);
}

pub(super) fn what_is_discarded_is_garbage_until_it_is_forgotten<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    archive(&*ledger, 0, Coverage::Complete);
    archive(&*ledger, 1, Coverage::Partial);
    ledger.lose(NEWS, cell(2), &[gap(cell(2).start(), cell(2).end())], "expired", t(0)).unwrap();
    archive(&*ledger, 3, Coverage::Partial);
    claim(&*ledger, cell(3), t(0));
    let cells: Vec<Cell> = (0..5).map(cell).collect();
    let made = ledger.discard(NEWS, &cells, "older than P7D", t(9)).unwrap();
    let shown: Vec<_> = made.iter().map(|g| (g.key.clone(), g.bytes, g.reason.as_str(), g.since)).collect();
    let expected = |n| (cell(n).key(NEWS), 1_000, "older than P7D", t(9));
    assert_eq!(shown, [expected(0), expected(1)]);
    assert_eq!(ledger.garbage(NEWS).unwrap(), made);
    assert_eq!(ledger.garbage("sports").unwrap(), []);
    let all = Range::new(Time::EPOCH, Time::MAX);
    let left: Vec<_> = ledger.cells(NEWS, all).unwrap().iter().map(|r| (r.cell, r.state)).collect();
    assert_eq!(left, [(cell(3), State::Capturing)], "what is being captured is left alone");
    assert_eq!(ledger.gaps(NEWS, all).unwrap().len(), 1, "of the cell that is left");
    assert_eq!(ledger.index(NEWS, cell(0)).unwrap(), None);
    assert_eq!(ledger.discard(NEWS, &cells, "again", t(10)).unwrap(), []);
    ledger.forget("sports", &[cell(0).key(NEWS)]).unwrap();
    assert_eq!(ledger.garbage(NEWS).unwrap().len(), 2);
    ledger.forget(NEWS, &[cell(0).key(NEWS), "no such key".to_owned()]).unwrap();
    assert_eq!(ledger.garbage(NEWS).unwrap(), made[1..]);
}

pub(super) fn a_cell_whose_object_is_being_deleted_is_not_claimed<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    archive(&*ledger, 0, Coverage::Complete);
    ledger.discard(NEWS, &[cell(0)], "old", t(9)).unwrap();
    assert_eq!(ledger.claim(NEWS, cell(0), "native", t(10), "h", 1).unwrap(), Claimed::Deleting);
    assert_eq!(ledger.cell(NEWS, cell(0)).unwrap(), None);
    assert_eq!(ledger.jobs(&JobFilter::running(None, 9)).unwrap(), []);
    assert!(!ledger.adopt(NEWS, cell(0), &stored(Coverage::Complete, 0), b"index", &[], t(10)).unwrap());
    ledger.forget(NEWS, &[cell(0).key(NEWS)]).unwrap();
    claim(&*ledger, cell(0), t(11));
}

pub(super) fn how_far_a_channel_is_pruned_is_remembered<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    assert_eq!(ledger.pruned(NEWS).unwrap(), None);
    assert_eq!(ledger.discard(NEWS, &[cell(0)], "old", t(0)).unwrap(), []);
    (0..3).for_each(|n| drop(archive(&*ledger, n, Coverage::Complete)));
    ledger.discard(NEWS, &[cell(7)], "old", t(9)).unwrap();
    assert_eq!(ledger.pruned(NEWS).unwrap(), None, "there was nothing to discard");
    ledger.discard(NEWS, &[cell(1), cell(0)], "old", t(9)).unwrap();
    assert_eq!(ledger.pruned(NEWS).unwrap(), Some(cell(1).end()));
    archive(&*ledger, -5, Coverage::Complete);
    ledger.discard(NEWS, &[cell(-5)], "old", t(9)).unwrap();
    assert_eq!(ledger.pruned(NEWS).unwrap(), Some(cell(1).end()), "never back");
}

pub(super) fn what_was_read_back_longest_ago_comes_first<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let stored: Vec<Stored> = (0..4).map(|n| archive(&*ledger, n, Coverage::Partial)).collect();
    claim(&*ledger, cell(4), t(0));
    let next = |before, limit| {
        let rows = ledger.unverified(NEWS, before, limit).unwrap();
        rows.iter().map(|r| (r.cell, r.verified)).collect::<Vec<_>>()
    };
    assert!(ledger.verified(NEWS, cell(0), &stored[0], t(50)).unwrap());
    assert!(ledger.verified(NEWS, cell(1), &stored[1], t(40)).unwrap());
    let (first, second) = ((cell(2), None), (cell(3), None));
    assert_eq!(next(t(60), 9), [first, second, (cell(1), Some(t(40))), (cell(0), Some(t(50)))]);
    assert_eq!(next(t(50), 3), [first, second, (cell(1), Some(t(40)))]);
    assert_eq!(next(t(40), 9), [first, second]);
    assert_eq!(next(t(60), 1), [first]);
    // What was stored since is another object, though it may have the same key.
    let (job, _) = claim(&*ledger, cell(0), t(70));
    let more = Stored { coverage: Coverage::Complete, sha256: [8; 32], ..stored[0].clone() };
    ledger.commit(job, t(71), &commit(&more, &[])).unwrap();
    assert_eq!(row(&*ledger, 0).verified, None);
    assert!(!ledger.verified(NEWS, cell(0), &stored[0], t(72)).unwrap());
    assert!(!ledger.verified(NEWS, cell(9), &stored[0], t(72)).unwrap());
    assert_eq!(row(&*ledger, 0).verified, None);
}

pub(super) fn an_object_that_is_not_there_is_captured_again<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let was = archive(&*ledger, 0, Coverage::Complete);
    ledger.verified(NEWS, cell(0), &was, t(300)).unwrap();
    let other = Stored { sha256: [9; 32], ..was.clone() };
    assert!(!ledger.spoil(NEWS, cell(0), &other, "it is not there", t(301)).unwrap());
    assert_eq!(row(&*ledger, 0).state, State::Complete);
    assert!(ledger.spoil(NEWS, cell(0), &was, "it is not there", t(301)).unwrap());
    let spoilt = row(&*ledger, 0);
    assert_eq!(
        (spoilt.state, spoilt.stored, spoilt.retry_at, spoilt.attempts),
        (State::Failed, None, None, 0)
    );
    assert_eq!((spoilt.reason.as_deref(), spoilt.verified), (Some("it is not there"), None));
    assert_eq!(ledger.index(NEWS, cell(0)).unwrap(), None);
    assert!(!ledger.spoil(NEWS, cell(0), &was, "again", t(302)).unwrap());

    let partial = archive(&*ledger, 1, Coverage::Partial);
    let (job, _) = claim(&*ledger, cell(1), t(303));
    let busy = ledger.spoil(NEWS, cell(1), &partial, "damaged", t(304)).unwrap_err();
    assert_eq!(busy.kind(), Kind::Busy);
    ledger.fail(job, t(305), "x", None, JobStats::default()).unwrap();
    assert!(ledger.spoil(NEWS, cell(1), &partial, "damaged", t(306)).unwrap());
    assert_eq!(ledger.gaps(NEWS, cell(1).range()).unwrap(), []);
    archive(&*ledger, 1, Coverage::Complete);
}

pub(super) fn an_object_without_a_row_is_adopted_once<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let gaps = [gap(cell(0).start(), cell(0).end())];
    let whole = stored(Coverage::Complete, 0);
    assert_eq!(ledger.adopt(NEWS, cell(0), &whole, b"index", &gaps, t(0)).unwrap_err().kind(), Kind::Invalid);
    ledger.lose(NEWS, cell(0), &gaps, "expired", t(0)).unwrap();
    assert!(ledger.adopt(NEWS, cell(0), &whole, b"index", &[], t(1)).unwrap());
    let adopted = row(&*ledger, 0);
    assert_eq!((adopted.state, adopted.stored, adopted.reason), (State::Complete, Some(whole.clone()), None));
    assert_eq!(ledger.index(NEWS, cell(0)).unwrap().as_deref(), Some(&b"index"[..]));
    assert_eq!(ledger.gaps(NEWS, cell(0).range()).unwrap(), []);
    assert!(!ledger.adopt(NEWS, cell(0), &whole, b"other", &[], t(2)).unwrap());
    assert_eq!(ledger.index(NEWS, cell(0)).unwrap().as_deref(), Some(&b"index"[..]));

    let part = stored(Coverage::Partial, 1);
    let gaps = [gap(cell(1).start(), cell(1).start().offset_ns(5))];
    assert!(ledger.adopt(NEWS, cell(1), &part, b"index", &gaps, t(3)).unwrap());
    let adopted = row(&*ledger, 1);
    assert_eq!((adopted.state, adopted.retry_at), (State::Partial, Some(t(3))));
    assert_eq!(ledger.gaps(NEWS, cell(1).range()).unwrap()[0].gap, gaps[0]);

    let (job, _) = claim(&*ledger, cell(2), t(4));
    assert!(!ledger.adopt(NEWS, cell(2), &stored(Coverage::Complete, 2), b"index", &[], t(5)).unwrap());
    ledger.fail(job, t(6), "x", Some(t(60)), JobStats::default()).unwrap();
    assert!(ledger.adopt(NEWS, cell(2), &stored(Coverage::Complete, 2), b"index", &[], t(7)).unwrap());
    assert_eq!((row(&*ledger, 2).state, row(&*ledger, 2).retry_at), (State::Complete, None));
    assert_eq!(ledger.claim(NEWS, cell(0), "native", t(8), "h", 1).unwrap(), Claimed::Complete);
}

/// A ledger with a row of every kind.
fn with_everything(ledger: &dyn Ledger) {
    ledger.open_channel(NEWS, t(0), t(0)).unwrap();
    ledger.observe(NEWS, "{\"at\": \"é\\n\"}", t(1)).unwrap();
    ledger.register_tracks(NEWS, &[(&track("a"), Timescale::ONE)], t(0)).unwrap();
    ledger.claim("archive 2", cell(0), "unified", t(9), "h", 1).unwrap();
    (0..4).for_each(|n| drop(archive(ledger, n, Coverage::Complete)));
    let partial = archive(ledger, 4, Coverage::Partial);
    ledger.verified(NEWS, cell(4), &partial, t(8)).unwrap();
    ledger.lose(NEWS, cell(5), &[gap(cell(5).start(), cell(5).end())], "expired", t(9)).unwrap();
    let (job, _) = claim(ledger, cell(6), t(10));
    ledger.checkpoint(job, "half", JobStats { bytes: 1, segments: 2, retries: 3 }).unwrap();
    ledger.note_command(job, "unified_capture", Some(-9)).unwrap();
    (0..60).for_each(|n| ledger.append_log(job, &format!("{n}{}\n", "x".repeat(1_200))).unwrap());
    ledger.fail(job, t(11), "time-out", Some(t(60)), JobStats::default()).unwrap();
    claim(ledger, cell(7), t(12));
    ledger.hold(NEWS, cell(1).range(), Some("the trial"), Some(t(9_999)), t(13)).unwrap();
    let last = ledger.hold("sports", cell(1).range(), None, None, t(13)).unwrap();
    ledger.release_hold(last).unwrap();
    ledger.discard(NEWS, &[cell(0), cell(1), cell(2)], "old", t(14)).unwrap();
    let (job, _) = claim(ledger, cell(8), t(15));
    ledger.fail(job, t(16), "x", None, JobStats::default()).unwrap();
    ledger.discard(NEWS, &[cell(8)], "old", t(17)).unwrap();
    assert_eq!(ledger.forget_jobs(NEWS, Time::MAX).unwrap(), 3, "the last number is in no row");
}

fn exported(ledger: &dyn Ledger) -> Vec<Record> {
    let mut records = Vec::new();
    let mut keep = |record| {
        records.push(record);
        Ok(())
    };
    ledger.export(&mut keep).unwrap();
    records
}

pub(super) fn everything_that_is_exported_is_imported_again<F: Fixture>() {
    let (here, there) = (F::new(), F::new());
    let (ledger, copy) = (here.open(), there.open());
    with_everything(&*ledger);
    let records = exported(&*ledger);
    let kinds: std::collections::HashSet<_> = records.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 9, "a record of every kind");
    let lines: String = records.iter().map(|r| r.line().unwrap()).collect();
    let count = copy.import(&mut super::read_records(lines.as_bytes())).unwrap();
    assert_eq!(count, records.len() as u64 - 1);
    assert_eq!(exported(&*copy), records);
    let all = Range::new(Time::EPOCH, Time::MAX);
    assert_eq!(copy.cells(NEWS, all).unwrap(), ledger.cells(NEWS, all).unwrap());
    // What no row says is kept too: numbers that were given, and how long cells are.
    for ledger in [&ledger, &copy] {
        assert_eq!(
            ledger.cells(NEWS, Range::new(cell(5).end().offset_ns(-1), cell(5).end())).unwrap().len(),
            1
        );
        assert_eq!(claim(&**ledger, cell(9), t(20)).0, JobId::new(10));
        assert_eq!(ledger.hold(NEWS, cell(9).range(), None, None, t(20)).unwrap(), HoldId::new(3));
        assert_eq!(ledger.problems().unwrap(), Vec::<String>::new());
    }
    // Also where no row is left that has a number.
    let (here, there) = (F::new(), F::new());
    let (ledger, copy) = (here.open(), there.open());
    let gone = ledger.hold(NEWS, cell(0).range(), None, None, t(0)).unwrap();
    ledger.release_hold(gone).unwrap();
    copy.import(&mut exported(&*ledger).into_iter().map(Ok)).unwrap();
    assert_eq!(copy.hold(NEWS, cell(0).range(), None, None, t(0)).unwrap(), HoldId::new(2));
}

pub(super) fn an_import_is_whole_or_not_at_all<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    with_everything(&*ledger);
    let records = exported(&*ledger);
    let refused = ledger.import(&mut records.clone().into_iter().map(Ok)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage);
    assert!(refused.to_string().contains("not empty") && refused.remedy().is_some(), "{refused}");
    assert_eq!(exported(&*ledger), records);

    let fixture = F::new();
    let ledger = fixture.open();
    let import = |records: Vec<Result<Record>>| ledger.import(&mut records.into_iter()).unwrap_err();
    let whole = || records.iter().cloned().map(Ok).collect::<Vec<Result<Record>>>();
    let cut =
        |at: usize| whole().into_iter().enumerate().filter(move |(n, _)| *n != at).map(|(_, r)| r).collect();
    assert!(import(Vec::new()).to_string().contains("does not begin as an export does"));
    assert!(import(cut(0)).to_string().contains("does not begin as an export does"));
    assert!(import(cut(1)).to_string().contains("channel archive 2 has not come before it"));
    let of = |wanted: fn(&Record) -> bool| records.iter().position(wanted).unwrap();
    let job = of(|r| matches!(r, Record::Job(_)));
    assert_eq!(import(cut(job)).kind(), Kind::Invalid, "the row that refers to it is refused");
    let partial = of(|r| matches!(r, Record::Chunk(chunk) if chunk.state == State::Partial));
    assert_eq!(
        import(cut(partial)).kind(),
        Kind::Invalid,
        "the gaps of a chunk that is not there are refused"
    );
    let twice = [whole(), vec![Ok(records[0].clone())]].concat_results();
    assert!(import(twice).to_string().contains("a second header"));
    let broken = [whole(), vec![Err(Error::new(Kind::Invalid, "the line is cut short"))]].concat_results();
    assert!(import(broken).to_string().contains("the line is cut short"));
    assert_eq!(ledger.channels().unwrap(), Vec::<String>::new());
    ledger.import(&mut whole().into_iter()).unwrap();
}

/// Joining what cannot be cloned.
trait Concat {
    fn concat_results(self) -> Vec<Result<Record>>;
}

impl Concat for [Vec<Result<Record>>; 2] {
    fn concat_results(self) -> Vec<Result<Record>> {
        self.into_iter().flatten().collect()
    }
}

pub(super) fn a_backup_is_of_one_moment_while_cells_are_claimed<F: Fixture>() {
    let fixture = F::new();
    let (ledger, other) = (fixture.open(), fixture.open());
    with_everything(&*ledger);
    let dir = tempfile::tempdir().unwrap();
    let (started, done) = (Barrier::new(2), std::sync::atomic::AtomicBool::new(false));
    let order = std::sync::atomic::Ordering::SeqCst;
    let count = std::thread::scope(|scope| {
        let claimer = scope.spawn(|| {
            let mut n = 100;
            while !done.load(order) || n < 110 {
                claim(&*other, cell(n), t(n));
                if n == 100 {
                    started.wait();
                }
                n += 1;
            }
            n
        });
        started.wait();
        let files: Vec<_> = (0..3).map(|n| dir.path().join(format!("{n}.db"))).collect();
        files.iter().for_each(|file| ledger.backup(file, false).unwrap());
        done.store(true, order);
        claimer.join().unwrap()
    });
    assert!(count >= 110);
    assert_eq!(ledger.problems().unwrap(), Vec::<String>::new());
    let there = ledger.backup(&dir.path().join("0.db"), false).unwrap_err();
    assert!(there.kind() == Kind::Usage && there.to_string().contains("it is there already"), "{there}");
    ledger.backup(&dir.path().join("0.db"), true).unwrap();
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 3, "no temporary file stays");
    let nowhere = ledger.backup(&dir.path().join("no/such/folder.db"), false).unwrap_err();
    assert_eq!(nowhere.kind(), Kind::NotFound);
    let restored = fixture.restored(&dir.path().join("0.db"));
    assert_eq!(exported(&*restored), exported(&*ledger));
    for n in 1..3 {
        let restored = fixture.restored(&dir.path().join(format!("{n}.db")));
        let claims = |ledger: &dyn Ledger| ledger.page(NEWS, Some(cell(99)), 100_000).unwrap();
        let (then, now) = (claims(&*restored), claims(&*ledger));
        assert!(!then.is_empty() && then[..] == now[..then.len()], "a beginning of what was claimed");
        assert_eq!(restored.problems().unwrap(), Vec::<String>::new());
    }
}

pub(super) fn eight_threads_claim_each_cell_once_and_lose_no_job<F: Fixture>() {
    let fixture = F::new();
    let barrier = Barrier::new(8);
    let handles: Vec<_> = (0..8).map(|_| fixture.open()).collect();
    let ids: Vec<JobId> = std::thread::scope(|scope| {
        let claimers = handles.iter().enumerate().map(|(n, ledger)| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                let cells = (0..10).map(|i| cell(i * 8 + i64::try_from(n).unwrap()));
                cells.map(|c| claim(&**ledger, c, t(0)).0).collect::<Vec<_>>()
            })
        });
        let claimers: Vec<_> = claimers.collect();
        claimers.into_iter().flat_map(|c| c.join().unwrap()).collect()
    });
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 80);
    let rows = handles[0].cells(NEWS, Range::new(cell(0).start(), cell(80).end())).unwrap();
    assert_eq!(rows.len(), 80);
}

pub(super) fn eight_threads_on_one_cell_leave_one_running_job<F: Fixture>() {
    let fixture = F::new();
    let ledger = fixture.open();
    let chunk = stored(Coverage::Complete, 0);
    let committed: usize = std::thread::scope(|scope| {
        let claimers = (0..8).map(|_| {
            scope.spawn(|| match ledger.claim(NEWS, cell(0), "native", t(0), "h", 1).unwrap() {
                Claimed::Complete | Claimed::Deleting => 0,
                // Each claim takes the cell from the one before, so a commit may come too late; it must not win twice.
                Claimed::Job { id, .. } => usize::from(ledger.commit(id, t(1), &commit(&chunk, &[])).is_ok()),
            })
        });
        let claimers: Vec<_> = claimers.collect();
        claimers.into_iter().map(|c| c.join().unwrap()).sum()
    });
    assert_eq!(committed, 1);
    let filter = JobFilter::running(None, 9);
    assert_eq!(ledger.jobs(&filter).unwrap(), []);
    assert_eq!(row(&*ledger, 0).state, State::Complete);
}
