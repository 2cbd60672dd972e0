//! The models over a real ledger: what is kept between two looks is as right as what is read anew.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::capture::{Event, Observer};
use crate::channel::{Layer, Settings};
use crate::error::{Error, Kind};
use crate::ledger::{Claimed, Commit, Coverage, JobStats, SqliteLedger, Stored};
use crate::plan::{Outlook, Sight};

pub(super) const CELL_S: i64 = 300;

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _channel: &str, _cell: Cell, _event: Event) {}
}

/// A place with an empty ledger.
pub(super) fn place(folder: &TempDir) -> Workplace {
    let ledger = Arc::new(SqliteLedger::open(folder.path()).unwrap());
    Workplace::new(ledger, folder.path().join("spool"), "host".to_owned(), Arc::new(Nobody))
}

/// A channel of five-minute chunks that are kept for two hours, with more lines in its file.
pub(super) fn channel(name: &str, more: &str) -> Arc<Channel> {
    let text = format!("channel_url = \"http://127.0.0.1/x.mpd\"\nchunk_duration = \"PT5M\"\n{more}");
    let text = if more.contains("archive_length") { text } else { text + "archive_length = \"PT2H\"\n" };
    let file = Layer::parse(&text, "news.toml").unwrap();
    let settings = Settings::parse("", "").unwrap();
    let none = |_: &_| Err(Error::new(Kind::NotFound, "no secret"));
    Arc::new(Channel::resolve(&name.parse().unwrap(), &file, &settings.defaults, &none).unwrap())
}

/// So many seconds after a fixed moment on the grid.
pub(super) fn t(s: i64) -> Time {
    Time::from_s(1_700_000_100 + s)
}

/// The n-th cell from there.
pub(super) fn cell(n: i64) -> Cell {
    Cell::from_range(Range::new(t(n * CELL_S), t((n + 1) * CELL_S)))
}

pub(super) fn claim(place: &Workplace, n: i64) -> JobId {
    match place.ledger.claim("news", cell(n), "native", cell(n).end(), "h", 1).unwrap() {
        Claimed::Job { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

pub(super) fn gap(n: i64, from_s: i64, until_s: i64, reason: &str) -> crate::ledger::Gap {
    let start = cell(n).start();
    let range = Range::new(start.offset_ns(from_s * 1_000_000_000), start.offset_ns(until_s * 1_000_000_000));
    crate::ledger::Gap { track: "video=1".to_owned(), range, reason: reason.to_owned() }
}

/// Stores a cell, with a gap or without.
pub(super) fn archive(place: &Workplace, n: i64, gaps: &[crate::ledger::Gap], retry_at: Option<Time>) {
    let coverage = if gaps.is_empty() { Coverage::Complete } else { Coverage::Partial };
    let stored = Stored { coverage, key: cell(n).key("news"), bytes: 1_000, sha256: [7; 32] };
    let job = claim(place, n);
    let stats = JobStats::default();
    let commit = Commit { stored: &stored, index: b"", gaps, stats, retry_at, message: None };
    place.ledger.commit(job, cell(n).end(), &commit).unwrap();
}

fn sight(now: Time, edge: Time) -> Sight {
    Sight {
        now,
        window_start: now.minus(Duration::from_secs(1_800)),
        live_edge: Some(edge),
        live: true,
        zero: None,
        tracks: Vec::new(),
        notes: Vec::new(),
    }
}

/// What a check at `now` saw: a live source, and a cell that is at risk.
pub(super) fn observe(place: &Workplace, now: Time, at_risk: Option<i64>) {
    let risk = |n| Risk { cell: cell(n), deadline: now.plus(Duration::from_secs(90)), reason: "late".into() };
    let outlook = Outlook {
        error: None,
        source: Some(sight(now, now.minus(Duration::from_secs(8)))),
        at_risk: at_risk.map(risk).into_iter().collect(),
    };
    place.ledger.observe("news", &outlook.text(), now).unwrap();
}

fn json(overview: &Overview) -> serde_json::Value {
    serde_json::to_value(overview).unwrap()
}

#[test]
fn a_channel_of_which_nothing_is_known_has_a_row_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    let overview = Overviews::new().at(&place, &[channel("news", "")], 8, t(0)).unwrap();
    let row = &overview.channels[0];
    assert_eq!((row.span, row.strip.len(), row.last_job.is_none()), (None, 0, true));
    assert_eq!(row.attention[0].text, "never checked: run npvr check news");
}

#[test]
fn a_row_says_what_is_archived_what_is_missing_and_what_needs_attention() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    place.ledger.open_channel("news", t(0), t(0)).unwrap();
    archive(&place, 0, &[gap(0, 0, 9, BEFORE_THE_ARCHIVE)], None);
    archive(&place, 1, &[], None);
    archive(&place, 2, &[gap(2, 10, 22, "expired"), gap(2, 100, 112, "expired")], None);
    place.ledger.lose("news", cell(3), &[gap(3, 0, 300, "expired")], "expired", t(1_500)).unwrap();
    let failed = claim(&place, 4);
    place.ledger.fail(failed, t(1_501), "503", Some(t(1_600)), JobStats::default()).unwrap();
    place.ledger.hold("news", cell(1).range(), None, None, t(0)).unwrap();
    place.ledger.hold("news", cell(0).range(), None, Some(t(1_000)), t(0)).unwrap();
    observe(&place, t(1_590), Some(4));
    let overview = Overviews::new().at(&place, &[channel("news", "")], 5, t(1_500)).unwrap();
    let row = &overview.channels[0];
    let strip: Vec<(Slot, bool, bool)> = row.strip.iter().map(|p| (p.state, p.held, p.at_risk)).collect();
    assert_eq!(
        strip,
        [
            (Slot::Archived, false, false),
            (Slot::Archived, true, false),
            (Slot::Partial, false, false),
            (Slot::Missing, false, false),
            (Slot::Open, false, true),
        ]
    );
    let Counts { complete, partial, failed, lost, bytes, .. } = row.counts;
    assert_eq!((complete, partial, failed, lost, bytes), (2, 1, 1, 1, 3_000));
    assert_eq!((row.gaps, row.holds, row.lag_s, row.last_chunk), (3, 1, Some(8), Some(cell(2))));
    assert!((row.missing_s - 324.0).abs() < 1e-9, "{}", row.missing_s);
    assert_eq!(row.last_job.as_ref().unwrap().message.as_deref(), Some("503"));
    let about: Vec<About> = row.attention.iter().map(|one| one.about).collect();
    assert_eq!(about, [About::AtRisk, About::Lost, About::Failed, About::Partial]);
    assert_eq!(row.seconds_to_loss, Some(180));
    // What the row says is what `status` says.
    let status = status(&place, &[Channel::clone(&channel("news", ""))], t(1_500)).unwrap();
    let same = &status.channels[0];
    assert_eq!((same.gaps.len() as u64, same.lag_s, same.span), (row.gaps, row.lag_s, row.span));
    assert_eq!(same.at_risk[0].deadline, t(1_680));
}

#[test]
fn the_window_is_told_on_our_clock_and_moves_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    // The source's clock is 400 s ahead of ours.
    let source = Sight { window_start: t(100), ..sight(t(1_000), t(1_000)) };
    let outlook = Outlook { source: Some(source), ..Outlook::default() };
    place.ledger.observe("news", &outlook.text(), t(600)).unwrap();
    let seen = Seen::read(place.ledger.as_ref(), "news").unwrap();
    assert_eq!(seen.window_start(t(660)), Some(t(-240)));
}

#[test]
fn the_worst_comes_first_and_then_what_is_lost_soonest() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    let ledger = &place.ledger;
    for name in ["calm", "lost", "news"] {
        ledger.observe(name, &Outlook::default().text(), t(0)).unwrap();
    }
    ledger.lose("lost", cell(0), &[], "expired", t(0)).unwrap();
    observe(&place, t(0), Some(0));
    let channels = ["calm", "lost", "news", "unseen"].map(|name| channel(name, ""));
    let mut overview = Overviews::new().at(&place, &channels, 5, t(60)).unwrap();
    overview.channels.sort_by(|a, b| a.need().cmp(&b.need()));
    let names: Vec<&str> = overview.channels.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["news", "unseen", "lost", "calm"]);
}

#[test]
fn a_capture_that_died_is_not_running() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    let job = claim(&place, 0);
    let overview = Overviews::new().at(&place, &[channel("news", "")], 5, t(400)).unwrap();
    let row = &overview.channels[0];
    assert!(row.running.is_empty());
    assert_eq!(row.last_job.as_ref().map(|job| (job.id, job.outcome)), Some((job, Outcome::Died)));
}

#[test]
fn a_file_that_changes_is_looked_at_anew() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    place.ledger.open_channel("news", t(0), t(0)).unwrap();
    (0..9).for_each(|n| archive(&place, n, &[], None));
    let overviews = Overviews::new();
    let chunks = |channel: Arc<Channel>| {
        let overview = overviews.at(&place, &[channel], 5, cell(8).end()).unwrap();
        overview.channels[0].counts.complete
    };
    assert_eq!(chunks(channel("news", "")), 9);
    assert_eq!(chunks(channel("news", "archive_length = \"PT10M\"\n")), 2);
    assert_eq!(chunks(channel("news", "")), 9);
}

/// Something that happens to a channel.
#[derive(Debug, Clone)]
enum Deed {
    Archive(i64, bool),
    Fail(i64),
    Lose(i64),
    Hold(i64),
    Release,
    Discard(i64),
    Check(Option<i64>),
    Wait(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let n = -3_i64..30;
    prop_oneof![
        (n.clone(), any::<bool>()).prop_map(|(n, whole)| Deed::Archive(n, whole)),
        n.clone().prop_map(Deed::Fail),
        n.clone().prop_map(Deed::Lose),
        n.clone().prop_map(Deed::Hold),
        Just(Deed::Release),
        n.clone().prop_map(Deed::Discard),
        proptest::option::of(n).prop_map(Deed::Check),
        (1_i64..4_000).prop_map(Deed::Wait),
    ]
}

impl Deed {
    /// Does it, where the ledger lets it, and says what time it is then.
    fn done(&self, place: &Workplace, now: Time) -> Time {
        let ledger = &place.ledger;
        let claimed = |n: i64| match ledger.claim("news", cell(n), "native", now, "h", 1).unwrap() {
            Claimed::Job { id, .. } => Some(id),
            _ => None,
        };
        match *self {
            Deed::Archive(n, whole) => {
                if claimed(n).is_some() {
                    let gaps = [gap(n, 5, 301, "expired")];
                    archive(place, n, if whole { &[] } else { &gaps }, None);
                }
            }
            Deed::Fail(n) => {
                if let Some(job) = claimed(n) {
                    ledger.fail(job, now, "503", None, JobStats::default()).unwrap();
                }
            }
            Deed::Lose(n) => drop(ledger.lose("news", cell(n), &[gap(n, 0, 300, "x")], "x", now).unwrap()),
            Deed::Hold(n) => drop(ledger.hold("news", cell(n).range(), None, Some(t(n * 900)), now).unwrap()),
            Deed::Release => {
                if let Some(hold) = ledger.holds(None).unwrap().first() {
                    ledger.release_hold(hold.id).unwrap();
                }
            }
            Deed::Discard(n) => {
                let garbage = ledger.discard("news", &[cell(n)], "old", now).unwrap();
                ledger.forget("news", &garbage.into_iter().map(|g| g.key).collect::<Vec<_>>()).unwrap();
            }
            // No two checks are of one moment.
            Deed::Check(at_risk) => {
                let now = now.offset_ns(1);
                observe(place, now, at_risk);
                return now;
            }
            Deed::Wait(s) => return now.plus(Duration::from_secs(s.unsigned_abs())),
        }
        now
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn what_was_kept_is_as_right_as_what_is_read_anew(deeds in proptest::collection::vec(deed(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let (place, channels) = (place(&folder), [channel("news", "")]);
        place.ledger.open_channel("news", t(0), t(0)).unwrap();
        let overviews = Overviews::new();
        let mut now = t(3_000);
        for deed in deeds {
            now = deed.done(&place, now);
            let kept = overviews.at(&place, &channels, 24, now).unwrap();
            let anew = Overviews::new().at(&place, &channels, 24, now).unwrap();
            prop_assert_eq!(json(&kept), json(&anew), "after {:?}", deed);
            let status = status(&place, &[Channel::clone(&channels[0])], now).unwrap();
            let (row, same) = (&kept.channels[0], &status.channels[0]);
            prop_assert_eq!(json_of(&row.counts), json_of(&same.counts));
            prop_assert_eq!(row.gaps, same.gaps.len() as u64);
            prop_assert_eq!(row.last_chunk, same.last_chunk);
            prop_assert_eq!(row.seconds_to_loss.is_some(), !same.at_risk.is_empty());
        }
    }
}

fn json_of(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}
