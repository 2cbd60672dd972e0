//! The suite on SQLite, and what only a file can suffer: age, damage, a full or foreign disk.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::SqliteLedger;
use crate::error::{Error, Kind};
use crate::ledger::suite::{Fixture, ledger_suite};
use crate::ledger::{JobFilter, JobId, Ledger, Outcome, State};
use crate::time::{Range, Time};

struct Folder(TempDir);

impl Fixture for Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Box<dyn Ledger> {
        Box::new(SqliteLedger::open(self.0.path()).unwrap())
    }

    fn restored(&self, backup: &Path) -> Box<dyn Ledger> {
        let folder = tempfile::tempdir_in(self.0.path()).unwrap().keep();
        std::fs::copy(backup, folder.join("ledger.db")).unwrap();
        let ledger = SqliteLedger::open(&folder).unwrap();
        let mode: String =
            ledger.connections.writer().pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal", "readers and a writer do not wait for each other");
        Box::new(ledger)
    }
}

ledger_suite!(Folder);

/// How SQLite would go about a query, a step a line: work that is counted, not timed.
pub(super) fn plan(sql: &str) -> String {
    let folder = Folder::new();
    let ledger = SqliteLedger::open(folder.0.path()).unwrap();
    let connection = ledger.connections.writer();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.raw_query().mapped(|row| row.get::<_, String>("detail"));
    steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("\n")
}

/// Everything that a version could hold, as that version wrote it. Frozen: see `tests/fixtures/ledger/README.md`.
const VERSIONS: [&str; 3] = [
    include_str!("../../../tests/fixtures/ledger/0001.sql"),
    include_str!("../../../tests/fixtures/ledger/0002.sql"),
    include_str!("../../../tests/fixtures/ledger/0003.sql"),
];

/// A ledger as a version wrote it, opened by this one.
fn opened(version: &str) -> (TempDir, SqliteLedger) {
    let dir = tempfile::tempdir().unwrap();
    Connection::open(dir.path().join("ledger.db")).unwrap().execute_batch(version).unwrap();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    (dir, ledger)
}

fn open_error(dir: &Path) -> Error {
    match SqliteLedger::open(dir) {
        Ok(_) => panic!("it opened"),
        Err(e) => e,
    }
}

#[test]
fn a_ledger_of_every_version_is_read_by_this_one() {
    for version in VERSIONS {
        let (_dir, ledger) = opened(version);
        let all = Range::new(Time::EPOCH, Time::MAX);
        let rows = ledger.cells("news", all).unwrap();
        let states: Vec<State> = rows.iter().map(|r| r.state).collect();
        assert_eq!(states, [State::Complete, State::Partial, State::Failed, State::Lost, State::Capturing]);
        assert_eq!(rows[0].cell.key("news"), rows[0].stored.as_ref().unwrap().key);
        assert_eq!(ledger.index("news", rows[0].cell).unwrap().as_deref(), Some(&[1, 2, 3][..]));
        assert_eq!(ledger.gaps("news", all).unwrap().len(), 2);
        assert_eq!(ledger.tracks("news").unwrap()[1].track.language.as_deref(), Some("eng"));
        assert_eq!(ledger.since("news").unwrap(), Some(Time::from_s(1_700_000_100)));
        assert_eq!(ledger.log(JobId::new(3)).unwrap().as_deref(), Some("time-out\nagain\n"));
        assert_eq!(ledger.job(JobId::new(3)).unwrap().unwrap().message.as_deref(), Some("time-out"));
    }
}

#[test]
fn a_ledger_of_version_1_does_all_that_a_new_one_does() {
    let (_dir, ledger) = opened(VERSIONS[0]);
    let all = Range::new(Time::EPOCH, Time::MAX);
    let rows = ledger.cells("news", all).unwrap();
    assert_eq!(
        (ledger.pruned("news").unwrap(), ledger.job(JobId::new(1)).unwrap().unwrap().command),
        (None, None)
    );
    let now = Time::from_s(1_700_010_000);
    assert_eq!(ledger.unverified("news", now, 9).unwrap(), rows[..2]);
    assert!(ledger.verified("news", rows[1].cell, rows[1].stored.as_ref().unwrap(), now).unwrap());
    ledger.hold("news", rows[0].cell.range(), None, None, now).unwrap();
    let cells: Vec<_> = rows.iter().map(|r| r.cell).collect();
    assert_eq!(ledger.discard("news", &cells, "old", now).unwrap().len(), 1);
    let states: Vec<State> = ledger.cells("news", all).unwrap().iter().map(|r| r.state).collect();
    assert_eq!(states, [State::Complete, State::Capturing]);
    assert_eq!(ledger.forget_jobs("news", now).unwrap(), 2);
}

#[test]
fn the_changes_of_an_older_ledger_are_counted_from_now_on() {
    for (version, counted) in VERSIONS.iter().zip([0, 0, 9]) {
        let (_dir, ledger) = opened(version);
        assert_eq!(ledger.changes("news").unwrap(), counted);
        ledger
            .lose(
                "news",
                ledger.shelf("news", Range::new(Time::EPOCH, Time::MAX)).unwrap()[2].cell,
                &[],
                "x",
                Time::EPOCH,
            )
            .unwrap();
        assert_eq!(ledger.changes("news").unwrap(), counted + 1);
        let failed = JobFilter { outcomes: vec![Outcome::Failed], ..JobFilter::latest(None, 9) };
        assert_eq!(ledger.jobs(&failed).unwrap()[0].id, JobId::new(3));
    }
}

#[test]
fn a_ledger_of_version_2_has_its_holds_and_its_garbage() {
    let (_dir, ledger) = opened(VERSIONS[1]);
    let holds = ledger.holds(None).unwrap();
    assert_eq!(holds.iter().map(|h| h.note.as_deref()).collect::<Vec<_>>(), [Some("the trial"), None]);
    assert_eq!(ledger.garbage("news").unwrap()[0].bytes, 12_345);
    assert_eq!(ledger.pruned("news").unwrap(), Some(Time::from_s(1_700_000_100)));
    let job = ledger.job(JobId::new(3)).unwrap().unwrap();
    assert_eq!((job.command.as_deref(), job.exit_code), (Some("unified_capture -o x"), Some(1)));
    let verified = ledger.cells("news", Range::new(Time::EPOCH, Time::MAX)).unwrap()[0].verified;
    assert_eq!(verified, Some(Time::from_s(1_700_009_000)));
}

#[test]
fn a_newer_ledger_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteLedger::open(dir.path()).unwrap());
    let path = dir.path().join("ledger.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let e = open_error(dir.path());
    assert_eq!(e.kind(), Kind::Unsupported);
    assert!(e.to_string().contains("made by a newer npvr") && e.remedy().is_some(), "{e}");
    let version: i64 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[test]
fn the_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Connection::open(dir.path().join("ledger.db")).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    let e = open_error(dir.path());
    assert_eq!(e.kind(), Kind::Corrupt);
    assert!(e.to_string().contains("another program"), "{e}");
}

#[test]
fn a_file_that_is_no_database_is_corrupt_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ledger.db"), "hello, this is no database at all".repeat(300)).unwrap();
    let e = open_error(dir.path());
    assert_eq!(e.kind(), Kind::Corrupt);
    assert!(e.to_string().contains("ledger.db") && e.remedy().unwrap().contains("backup"), "{e}");
}

#[test]
fn a_file_cut_short_is_corrupt_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteLedger::open(dir.path()).unwrap());
    let path = dir.path().join("ledger.db");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let all = Range::new(Time::EPOCH, Time::MAX);
    let outcome = SqliteLedger::open(dir.path()).and_then(|ledger| {
        ledger.open_channel("news", Time::EPOCH, Time::EPOCH)?;
        ledger.cells("news", all)
    });
    assert_eq!(outcome.unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_state_folder_that_is_a_file_is_a_storage_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        assert_eq!(open_error(&path).kind(), Kind::Storage, "{}", path.display());
    }
}

#[test]
fn a_ledger_that_is_a_folder_is_a_storage_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("ledger.db")).unwrap();
    assert_eq!(open_error(dir.path()).kind(), Kind::Storage);
}

#[test]
fn a_full_disk_is_told_apart_and_the_ledger_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    // SQLite's own limit on the file gives the same code as a full disk does.
    let limit = |pages: i64| {
        let connection = ledger.connections.writer();
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    limit(1);
    let fill = |n: i64| ledger.open_channel(&format!("{n}{}", "x".repeat(2_000)), Time::EPOCH, Time::EPOCH);
    let e = (0..100).find_map(|n| fill(n).err()).unwrap();
    assert_eq!(e.kind(), Kind::Storage);
    assert_eq!(e.to_string(), "ledger: no space left on device");
    assert!(e.remedy().is_some());
    limit(1_000_000);
    fill(1_000).unwrap();
}

#[test]
fn sixteen_first_runs_at_once_make_one_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let barrier = std::sync::Barrier::new(16);
    // All stay open until all are open: none may wait for another to go away.
    let open: Vec<SqliteLedger> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    SqliteLedger::open(dir.path()).unwrap()
                })
            })
            .collect();
        openers.into_iter().map(|o| o.join().unwrap()).collect()
    });
    open[0].open_channel("news", Time::EPOCH, Time::EPOCH).unwrap();
    assert_eq!(open[15].since("news").unwrap(), Some(Time::EPOCH));
}

#[test]
fn errors_of_the_database_have_their_kinds() {
    let e = Error::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None));
    assert_eq!((e.kind(), e.to_string().as_str()), (Kind::Storage, "no space left on device"));
    let e = Error::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(5), None));
    assert!(e.is_transient());
    let e = Error::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(8), None));
    assert_eq!(e.kind(), Kind::Storage);
}
