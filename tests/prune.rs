//! Pruning as its users know it: what goes and what stays, what is said of it, and that nothing else is ever touched.
//!
//! Most archives here are written by hand through the ledger's port: chunks of an hour, whose content does not matter.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use common::live::{CELL_S, Live};
use common::{Ran, Site, files_below, finish};
use npvr::clock;
use npvr::grid::Cell;
use npvr::ledger::{Claimed, Commit, Coverage, Gap, JobFilter, JobStats, Ledger, State, Stored};
use npvr::store::DiskStore;
use npvr::time::{Range, Time};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3_600);
/// Bytes of each chunk.
const BYTES: usize = 1_000;

/// The cell of an hour that ended so many hours, and a half, before these tests began. A half, so that it is a matter of half
/// an hour, and not of a second, how long ago that is.
fn hour(ago: u32) -> Cell {
    static BEGAN: LazyLock<Time> = LazyLock::new(|| Time::from_s(clock::now().s()));
    let end = BEGAN.minus(HOUR / 2).minus(HOUR * ago);
    Cell::from_range(Range::new(end.minus(HOUR), end))
}

/// Before and after everything.
fn ever() -> Range {
    Range::new(Time::from_ns(i64::MIN), Time::MAX)
}

/// A site with a channel of `hours` chunks, kept for so many hours.
fn archive(site: &Site, name: &str, hours: u32, kept: u32) {
    configure(site, name, &format!("archive_length = \"PT{kept}H\""));
    for ago in (0..hours).rev() {
        store(site, name, hour(ago));
    }
}

/// Nothing here asks the source.
fn configure(site: &Site, name: &str, more: &str) {
    site.channel(name, "http://127.0.0.1:1/a.isml", &format!("chunk_duration = \"PT1H\"\n{more}"));
}

/// Stores a chunk as a capture does.
fn store(site: &Site, name: &str, cell: Cell) {
    let key = cell.key(name);
    DiskStore::open_or_create(&site.archive()).unwrap();
    let path = site.archive().join(&key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![b'x'; BYTES]).unwrap();
    let ledger = site.ledger();
    let now = clock::now();
    ledger.open_channel(name, cell.start(), now).unwrap();
    let Claimed::Job { id, .. } = ledger.claim(name, cell, "native", cell.end(), "host", 1).unwrap() else {
        panic!("{cell} cannot be claimed");
    };
    let stored = Stored { coverage: Coverage::Complete, key, bytes: BYTES as u64, sha256: [7; 32] };
    let (stats, gaps) = (JobStats::default(), &[]);
    let commit = Commit { stored: &stored, index: b"index", gaps, stats, retry_at: None, message: None };
    ledger.commit(id, cell.end(), &commit).unwrap();
}

/// The cells of which a chunk is archived, oldest first. Rows and files must agree, and nothing may wait to be deleted.
#[track_caller]
fn kept(site: &Site, name: &str) -> Vec<Cell> {
    let ledger = site.ledger();
    let rows = ledger.cells(name, ever()).unwrap();
    let stored: Vec<_> = rows.iter().filter(|row| row.stored.is_some()).collect();
    let files: Vec<PathBuf> =
        stored.iter().map(|r| site.archive().join(&r.stored.as_ref().unwrap().key)).collect();
    assert_eq!(files, site.chunks(name), "rows, and files of the store");
    assert_eq!(ledger.garbage(name).unwrap(), []);
    assert_eq!(site.spool(), Vec::<PathBuf>::new());
    stored.iter().map(|row| row.cell).collect()
}

/// The last so many hours.
fn last(hours: u32) -> Vec<Cell> {
    (0..hours).rev().map(hour).collect()
}

fn prune(site: &Site) -> Ran {
    site.run(["prune"])
}

/// Everything below the state folder with its length, but for the ledger's own files.
fn everything(site: &Site) -> Vec<(PathBuf, u64)> {
    let is_ledger = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with("ledger.");
    let files = files_below(&site.state()).into_iter().filter(|path| !is_ledger(path));
    files.map(|path| (path.clone(), fs::metadata(path).unwrap().len())).collect()
}

#[test]
fn what_is_older_than_the_archive_is_long_goes_silently_and_once() {
    let site = Site::new();
    archive(&site, "news", 12, 10);
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news"), last(10));
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news"), last(10));
    // Its index went with its row, and what is kept still has its own.
    let ledger = site.ledger();
    assert_eq!(ledger.index("news", hour(11)).unwrap(), None);
    assert_eq!(ledger.index("news", hour(9)).unwrap(), Some(b"index".to_vec()));
}

#[test]
fn the_fuse_says_how_much_would_go_and_how_to_insist() {
    let site = Site::new();
    archive(&site, "news", 10, 7);
    let before = everything(&site);
    for _ in 0..2 {
        let ran = prune(&site).expect(3);
        assert_eq!(
            ran.stderr,
            "npvr: channel news: nothing is deleted: 3 chunks, 3.0 kB of 10 chunks, 10 kB would go, 30 % of the \
             channel, and one run may take 20 %\n  hint: see what would go: npvr prune news --dry-run; if the clock \
             and the limits are right: npvr prune news --force\n"
        );
        assert_eq!((ran.stdout.as_str(), everything(&site)), ("", before.clone()));
    }
    assert_eq!(kept(&site, "news").len(), 10);
    site.run(["prune", "news", "--force"]).expect_silence();
    assert_eq!(kept(&site, "news"), last(7));
}

#[test]
fn the_fuse_is_set_in_npvr_toml_and_lets_one_chunk_pass() {
    let site = Site::new();
    archive(&site, "news", 10, 7);
    let fuse = |most: &str| {
        fs::write(site.config().join("npvr.toml"), format!("[prune]\nmax_fraction = {most}\n")).unwrap();
    };
    fuse("0.29");
    prune(&site).expect(3);
    fuse("0.3");
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news").len(), 7);
    fuse("0");
    configure(&site, "news", "archive_length = \"PT6H\"");
    prune(&site).expect_silence();
    configure(&site, "news", "archive_length = \"PT4H\"");
    prune(&site).expect(3);
    fuse("1");
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news").len(), 4);
}

#[test]
fn a_host_whose_clock_is_years_off_deletes_nothing() {
    let site = Site::new();
    archive(&site, "news", 12, 24);
    for (wrong, code) in [("+3y", 3), ("-3y", 0)] {
        let mut faketime = Command::new("faketime");
        site.settle_in(&mut faketime);
        faketime.args(["-f", wrong, env!("CARGO_BIN_EXE_npvr"), "prune"]);
        finish(faketime).expect(code);
        assert_eq!(kept(&site, "news"), last(12), "{wrong}");
    }
}

#[test]
fn a_fuse_that_bites_in_one_channel_stops_no_other() {
    let site = Site::new();
    archive(&site, "a", 10, 1);
    archive(&site, "b", 10, 9);
    let ran = prune(&site).expect(3);
    assert!(
        ran.stderr.starts_with("npvr: channel a: nothing is deleted") && !ran.stderr.contains("channel b")
    );
    assert_eq!((kept(&site, "a").len(), kept(&site, "b").len()), (10, 9));
}

#[test]
fn a_dry_run_names_every_chunk_with_its_reason_and_deletes_nothing() {
    let site = Site::new();
    archive(&site, "news", 10, 8);
    let ledger = site.ledger();
    ledger.hold("news", hour(9).range(), Some("for the court"), None, clock::now()).unwrap();
    ledger.hold("news", hour(8).range(), Some("ran out"), Some(clock::now()), clock::now()).unwrap();
    let before = everything(&site);
    let ran = site.run(["prune", "--dry-run"]).expect(0);
    let expected = format!(
        "news: 1 chunk, 1.0 kB would go, 9 chunks, 9.0 kB would stay\n  \
         {}     1.0 kB  held by 1       older than 8h (for the court)\n  \
         {}     1.0 kB  goes            older than 8h\n",
        hour(9),
        hour(8)
    );
    assert_eq!((ran.stdout, ran.stderr), (expected, String::new()));

    let document = site.run(["prune", "news", "--dry-run", "--json"]).expect(0).json();
    let one = |chunks: u64| json!({"chunks": chunks, "bytes": chunks * 1_000});
    assert_eq!(document["schema"], 1);
    let channel = &document["channels"][0];
    let totals = ["stored", "going", "held", "deleted"].map(|key| channel[key].clone());
    assert_eq!(totals, [one(10), one(1), one(1), one(0)]);
    let decision = |cell: Cell, fate: &str, hold: Value| json!({"cell": cell, "bytes": 1_000, "why": "too_old", "reason": "older than 8h", "fate": fate, "hold": hold});
    assert_eq!(
        channel["plan"],
        json!([decision(hour(9), "held", json!(1)), decision(hour(8), "goes", Value::Null)])
    );
    assert_eq!(everything(&site), before);
    assert_eq!(kept(&site, "news").len(), 10);

    configure(&site, "news", "archive_length = \"PT1H\"");
    let ran = site.run(["prune", "--dry-run"]).expect(3);
    assert!(ran.stderr.contains("nothing is deleted") && ran.stdout.contains("8 chunks, 8.0 kB would go"));
    assert_eq!(everything(&site), before);
}

#[test]
fn what_is_held_stays_whatever_retention_says_and_goes_when_the_hold_ends() {
    let site = Site::new();
    archive(&site, "news", 10, 2);
    let held = Range::new(hour(6).start().plus(HOUR / 2), hour(4).start());
    let id = site.ledger().hold("news", held, None, None, clock::now()).unwrap();
    // Another channel's hold is none of ours.
    site.ledger().hold("news2", ever(), None, None, clock::now()).unwrap();
    site.run(["prune", "--force"]).expect_silence();
    assert_eq!(kept(&site, "news"), [hour(6), hour(5), hour(1), hour(0)]);
    site.ledger().release_hold(id).unwrap().unwrap();
    site.run(["prune", "--force"]).expect_silence();
    assert_eq!(kept(&site, "news"), last(2));
}

#[test]
fn over_its_size_the_oldest_chunks_go_however_young() {
    let site = Site::new();
    archive(&site, "news", 10, 100);
    configure(&site, "news", "archive_length = \"P7D\"\narchive_size = \"8.5kB\"");
    let ran = site.run(["prune", "--dry-run"]).expect(0);
    assert!(
        ran.stdout.contains("2 chunks, 2.0 kB would go") && ran.stdout.contains("  over 8500B\n"),
        "{ran:?}"
    );
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news"), last(8));
    // Whichever limit bites first.
    configure(&site, "news", "archive_length = \"PT7H\"\narchive_size = \"8.5kB\"");
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news"), last(7));
}

#[test]
fn a_store_that_is_not_there_loses_nothing_and_is_not_forgotten() {
    let site = Site::new();
    archive(&site, "news", 10, 9);
    let (archive, aside) = (site.archive(), site.state().join("aside"));
    fs::rename(&archive, &aside).unwrap();
    // First no folder at all, then an empty mount point.
    for mounted in [false, true] {
        if mounted {
            fs::create_dir(&archive).unwrap();
        }
        let ran = prune(&site).expect(3);
        assert!(
            ran.stderr.contains("channel news: store ") && ran.stderr.contains("is the disk mounted?"),
            "{ran:?}"
        );
        assert_eq!(site.ledger().cells("news", ever()).unwrap().len(), 10, "no row went");
        assert_eq!(site.ledger().garbage("news").unwrap(), []);
    }
    assert!(files_below(&archive).is_empty(), "nothing is written to the wrong disk");
    fs::remove_dir(&archive).unwrap();
    fs::rename(&aside, &archive).unwrap();
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news"), last(9));
}

#[test]
fn what_cannot_be_deleted_is_told_and_waits_for_the_next_run() {
    let site = Site::new();
    archive(&site, "news", 20, 17);
    // A folder in the place of one of the three: it cannot be deleted as a file.
    let object = site.archive().join(hour(18).key("news"));
    fs::remove_file(&object).unwrap();
    fs::create_dir(&object).unwrap();
    let ran = prune(&site).expect(3);
    for word in ["channel news: an object could not be deleted: delete ", "npvr prune news"] {
        assert!(ran.stderr.contains(word), "{word:?} is not in {}", ran.stderr);
    }
    let garbage = site.ledger().garbage("news").unwrap();
    assert_eq!(garbage.iter().map(|g| g.key.as_str()).collect::<Vec<_>>(), [hour(18).key("news")]);
    let told = site.run(["prune", "--dry-run"]).expect(0);
    assert!(
        told.stdout.contains("note: 1 chunk, 1.0 kB of an earlier run are still to be deleted"),
        "{told:?}"
    );
    // What can never be deleted does not stop the rest.
    configure(&site, "news", "archive_length = \"PT15H\"");
    prune(&site).expect(3);
    assert_eq!(site.chunks("news").len(), 15);
    fs::remove_dir(&object).unwrap();
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news"), last(15));
}

#[test]
fn killed_after_any_step_the_next_run_goes_on() {
    for step in ["prune-1-discarded", "prune-2-deleted", "prune-3-forgotten"] {
        let site = Site::new();
        archive(&site, "news", 12, 10);
        let mut command = site.command(["prune"]);
        command.env("NPVR_FAILPOINT", step);
        let ran = finish(command);
        assert_eq!(ran.code, None, "{step} was not reached: {ran:?}");
        let rows = site.ledger().cells("news", ever()).unwrap();
        assert_eq!(rows.len(), 10, "{step}: no row speaks of what goes");
        prune(&site).expect_silence();
        assert_eq!(kept(&site, "news"), last(10), "{step}");
    }
}

#[test]
fn garbage_of_a_dead_run_goes_even_where_the_fuse_bites() {
    let site = Site::new();
    archive(&site, "news", 12, 1);
    site.ledger().discard("news", &[hour(11), hour(10)], "older than 10h", clock::now()).unwrap();
    assert_eq!(site.chunks("news").len(), 12);
    prune(&site).expect(3);
    assert_eq!(kept(&site, "news"), last(10));
}

#[test]
fn an_object_that_a_row_speaks_of_is_never_deleted_as_garbage() {
    let site = Site::new();
    archive(&site, "news", 3, 10);
    // No version writes such a ledger; a hand may.
    let db = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
    db.execute("INSERT INTO garbage SELECT channel_id, key, bytes, 'by hand', 0 FROM chunk", []).unwrap();
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news"), last(3));
}

#[test]
fn channels_of_one_bucket_whose_names_begin_alike_do_not_touch_each_other() {
    let site = Site::new();
    for name in ["news", "news2", "new", "news.hd"] {
        archive(&site, name, 12, 12);
    }
    // And what is none of ours.
    let stranger = site.archive().join("news/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv");
    fs::create_dir_all(stranger.parent().unwrap()).unwrap();
    fs::write(&stranger, "kept").unwrap();
    configure(&site, "news", "archive_length = \"PT10H\"");
    prune(&site).expect_silence();
    assert_eq!(fs::read_to_string(&stranger).unwrap(), "kept");
    fs::remove_file(&stranger).unwrap();
    assert_eq!(kept(&site, "news"), last(10));
    for name in ["news2", "new", "news.hd"] {
        assert_eq!(kept(&site, name), last(12), "{name}");
    }
}

#[test]
fn overlapping_prunes_delete_each_chunk_once_and_do_not_mind_each_other() {
    let site = Site::new();
    for name in ["a", "b", "c"] {
        archive(&site, name, 30, 25);
    }
    let children: Vec<_> = (0..8).map(|_| site.command(["prune", "--json"]).spawn().unwrap()).collect();
    let mut deleted = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let channels = document["channels"].as_array().unwrap();
        deleted += channels.iter().map(|c| c["deleted"]["chunks"].as_u64().unwrap()).sum::<u64>();
    }
    // Whoever had the lock of a channel took all of it.
    assert_eq!(deleted, 15);
    for name in ["a", "b", "c"] {
        assert_eq!(kept(&site, name), last(25), "{name}");
    }
}

#[test]
fn a_channel_that_another_prune_is_busy_with_is_left_to_it() {
    let site = Site::new();
    archive(&site, "news", 12, 10);
    let folder = site.state().join("spool/news");
    fs::create_dir_all(&folder).unwrap();
    let other = fs::File::open(&folder).unwrap();
    other.lock().unwrap();
    let document = site.run(["prune", "--json"]).expect(0).json();
    assert_eq!(document["channels"][0]["busy"], true);
    assert_eq!(kept(&site, "news").len(), 12);
    drop(other);
    prune(&site).expect_silence();
    assert_eq!(kept(&site, "news").len(), 10);
}

#[test]
fn a_channel_without_a_file_keeps_its_chunks_and_a_disabled_one_does_not() {
    let site = Site::new();
    archive(&site, "gone", 12, 10);
    archive(&site, "off", 12, 10);
    fs::remove_file(site.channel_file("gone")).unwrap();
    configure(&site, "off", "archive_length = \"PT10H\"\nenabled = false");
    prune(&site).expect_silence();
    assert_eq!((kept(&site, "gone").len(), kept(&site, "off").len()), (12, 10));
    let ran = site.run(["prune", "gone"]).expect(1);
    assert!(
        ran.stderr.starts_with("npvr: channel gone has no file: ") && ran.stderr.contains("hint: "),
        "{ran:?}"
    );
    let ran = site.run(["prune", "goen"]).expect(1);
    assert!(ran.stderr.starts_with("npvr: there is no channel goen"), "{ran:?}");
    assert_eq!(kept(&site, "gone").len(), 12);
}

/// Claims a cell and leaves it, as a run that was killed does; with a spool file.
fn die_capturing(site: &Site, name: &str, cell: Cell) -> PathBuf {
    let ledger = site.ledger();
    ledger.open_channel(name, cell.start(), clock::now()).unwrap();
    ledger.claim(name, cell, "native", cell.end(), "host", 1).unwrap();
    let spool = site.state().join("spool").join(name).join(format!("{cell}.spool"));
    fs::create_dir_all(spool.parent().unwrap()).unwrap();
    fs::write(&spool, "half").unwrap();
    spool
}

#[test]
fn what_dead_captures_left_goes_when_it_is_too_old_and_what_can_go_on_stays() {
    let site = Site::new();
    archive(&site, "news", 8, 10);
    die_capturing(&site, "news", hour(11));
    let young = die_capturing(&site, "news", hour(8));
    // Killed between its lock and its claim.
    let orphan = young.with_file_name(format!("{}.spool", hour(20)));
    let other = young.with_file_name("notes.txt");
    for path in [&orphan, &other] {
        fs::write(path, "").unwrap();
    }
    // One that is at work, on a cell that nobody else would look at.
    let busy = die_capturing(&site, "news", hour(12));
    let lock = fs::File::open(&busy).unwrap();
    lock.lock().unwrap();

    prune(&site).expect_silence();
    let mut left = vec![busy.clone(), young.clone(), other.clone()];
    left.sort();
    assert_eq!(site.spool(), left);
    let rows = site.ledger().cells("news", Range::new(hour(20).start(), hour(7).start())).unwrap();
    let states: Vec<_> = rows.iter().map(|row| (row.cell, row.state)).collect();
    assert_eq!(states, [(hour(12), State::Capturing), (hour(8), State::Capturing)]);
    drop(lock);
    prune(&site).expect_silence();
    let mut left = vec![young, other];
    left.sort();
    assert_eq!(site.spool(), left);
}

#[test]
fn rows_of_what_was_lost_go_with_their_time_and_jobs_later() {
    let site = Site::new();
    archive(&site, "news", 3, 10);
    let ledger = site.ledger();
    let gap = Gap { track: "video".into(), range: hour(12).range(), reason: "expired".into() };
    ledger.lose("news", hour(12), std::slice::from_ref(&gap), "expired", hour(12).end()).unwrap();
    ledger.lose("news", hour(9), std::slice::from_ref(&gap), "expired", hour(9).end()).unwrap();
    // Two that are gone for long, of which one began more than a week before the rest.
    for ago in [24 * 9, 12] {
        store(&site, "old", hour(ago));
    }
    configure(&site, "old", "archive_length = \"PT10H\"");
    site.run(["prune", "--force"]).expect_silence();
    let rows = ledger.cells("news", ever()).unwrap();
    assert_eq!(
        rows.iter().filter(|row| row.state == State::Lost).map(|r| r.cell).collect::<Vec<_>>(),
        [hour(9)]
    );
    assert_eq!(ledger.gaps("news", hour(12).range()).unwrap().len(), 0);
    let of_old = JobFilter::latest(Some("old"), 9);
    assert_eq!(ledger.jobs(&of_old).unwrap().iter().map(|job| job.cell).collect::<Vec<_>>(), [hour(12)]);
}

/// How much of a live channel is stored.
fn bytes_of(site: &Site, name: &str) -> u64 {
    site.chunks(name).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[test]
fn what_was_pruned_by_size_is_neither_captured_again_nor_called_lost() {
    let live = Live::holding(12);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    site.check().expect_silence();
    let chunks = site.chunks("news");
    // One byte too many for all of them: the oldest goes.
    site.channel("news", live.url("news"), &format!("archive_size = \"{}B\"", bytes_of(&site, "news") - 1));
    prune(&site).expect_silence();
    assert_eq!(site.chunks("news"), chunks[1..]);
    let before = live.requests();
    site.check().expect_silence();
    assert_eq!(live.requests_since(before).segment, 0, "nothing was fetched again");
    assert_eq!(site.chunks("news"), chunks[1..]);
    let status = site.status("news");
    assert_eq!(status["counts"]["lost"], 0);
    let oldest = chunks[1].file_stem().unwrap().to_str().unwrap().split_once("--").unwrap().0;
    assert_eq!(status["span"]["start"], oldest, "what is shown begins with what is kept");
    site.assert_sound("news");
}

#[test]
fn prunes_during_checks_leave_an_archive_that_is_sound() {
    let live = Live::holding(20);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    site.check().expect_silence();
    let most = bytes_of(&site, "news");
    site.channel("news", live.url("news"), &format!("archive_size = \"{most}B\""));
    for _ in 0..6 {
        live.go_on(2 * CELL_S);
        let runs = ["check", "prune", "check", "prune", "prune"];
        let children: Vec<_> = runs.iter().map(|run| site.command([run]).spawn().unwrap()).collect();
        for (run, child) in runs.iter().zip(children) {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{run}");
        }
    }
    site.check().expect_silence();
    prune(&site).expect_silence();
    assert!(bytes_of(&site, "news") <= most);
    let status = site.status("news");
    assert_eq!(status["last_chunk"]["end"], live.end().to_string());
    assert_eq!((&status["counts"]["lost"], &status["counts"]["failed"]), (&json!(0), &json!(0)));
    site.assert_sound("news");
}

#[test]
fn of_a_backlog_that_exceeds_the_size_limit_only_what_fits_is_captured() {
    let (live, site) = (Live::holding(20), Site::new());
    site.channel("news", live.url("news"), "archive_size = \"1MB\"");
    site.check().expect_silence();
    let chunks = site.chunks("news").len();
    assert!((2..10).contains(&chunks), "{chunks} of 20 chunks, of some 200 kB each");
    prune(&site).expect_silence();
    site.check().expect_silence();
    assert_eq!(site.chunks("news").len(), chunks, "and none of them goes, and comes back");
}

#[test]
fn what_was_pruned_is_at_no_risk_and_comes_back_only_by_force() {
    let (live, site) = (Live::holding(6), Site::new());
    site.channel("news", live.url("news"), "margin = \"PT1H\"");
    site.check().expect_silence();
    site.channel("news", live.url("news"), "margin = \"PT1H\"\narchive_size = \"600kB\"");
    site.run(["prune", "--force"]).expect_silence();
    let kept = site.chunks("news").len();
    assert!(kept < 6, "{kept}");
    let status = site.status("news");
    let starts =
        status["at_risk"].as_array().unwrap().iter().map(|risk| risk["cell"]["start"].as_str().unwrap());
    // The newest, which goes on, is at risk by that margin.
    assert!(
        starts
            .map(|start| start.parse::<Time>().unwrap())
            .all(|start| start >= live.cell_before_end(0).start),
        "{status}"
    );
    let gone = live.cell_before_end(5).to_string();
    let told = site.run(["capture", "news", &gone]).expect(2);
    assert!(told.stderr.contains("--force"), "{told:?}");
    assert_eq!(site.chunks("news").len(), kept);
    site.run(["capture", "news", &gone, "--force"]).expect(0);
    assert_eq!(site.chunks("news").len(), kept + 1);
    // Of what has left the window nobody says that it was lost.
    let gone = live.cell_before_end(4).to_string();
    live.go_on(120);
    site.run(["capture", "news", &gone, "--force"]).expect(2);
    assert_eq!(site.status("news")["counts"]["lost"], 0);
}
