//! `npvr verify`: what is wrong with an archive is found, and named; what can be put right is; and the rest is left alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::live::{CELL_S, Live, for_media};
use common::{Ran, Site, finish};
use npvr::ledger::Ledger;
use npvr::sim::{Fault, FaultKind};
use npvr::time::Time;
use rusqlite::Connection;
use serde_json::{Value, json};

/// An archive of `cells` whole cells and the one before them, and its origin.
fn archived(cells: i64) -> (Live, Site) {
    let live = Live::holding(cells);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    site.check().expect_silence();
    (live, site)
}

/// The same, of a channel that check leaves alone from now on: nothing is captured again.
fn settled(cells: i64) -> (Live, Site) {
    let (live, site) = archived(cells);
    site.run(["channel", "disable", "news"]).expect(0);
    (live, site)
}

fn verify(site: &Site, more: &[&str]) -> Ran {
    site.run([&["verify"], more].concat())
}

/// What `verify --json` finds: kind and key, sorted, with an exit code of 3 if that is anything.
#[track_caller]
fn findings(site: &Site, more: &[&str]) -> Vec<(String, String)> {
    let ran = verify(site, &[&["--json"], more].concat());
    let document = ran.json();
    let all = document["channels"][0]["findings"].as_array().unwrap();
    assert_eq!(ran.code, Some(if all.is_empty() { 0 } else { 3 }), "{ran:?}");
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let mut found: Vec<_> = all.iter().map(|f| (text(&f["kind"]), text(&f["key"]))).collect();
    found.sort();
    found
}

/// The key of a chunk file.
fn key(site: &Site, chunk: &Path) -> String {
    chunk.strip_prefix(site.archive()).unwrap().to_str().unwrap().to_owned()
}

/// Turns one bit of the first box of that kind, so many bytes behind its name.
fn flip(chunk: &Path, kind: &[u8; 4], behind: usize) {
    let mut bytes = fs::read(chunk).unwrap();
    let at = bytes.windows(4).position(|w| w == kind).unwrap() + 4 + behind;
    bytes[at] ^= 1;
    // Another file: the old one may have a second name.
    fs::remove_file(chunk).unwrap();
    fs::write(chunk, bytes).unwrap();
}

fn sql(site: &Site, text: &str) {
    Connection::open(site.state().join("ledger.db")).unwrap().execute_batch(text).unwrap();
}

fn lose_ledger(site: &Site) {
    for entry in fs::read_dir(site.state()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("ledger.db") {
            fs::remove_file(path).unwrap();
        }
    }
}

/// The bytes of every file of the channel.
fn bytes(site: &Site) -> BTreeMap<PathBuf, Vec<u8>> {
    site.chunks("news").into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_kind_of_damage_is_found_and_named_and_nothing_else_is() {
    let (_live, site) = settled(8);
    verify(&site, &[]).expect_silence();
    verify(&site, &["--deep"]).expect_silence();
    let chunks = site.chunks("news");
    let keys: Vec<String> = chunks.iter().map(|chunk| key(&site, chunk)).collect();

    fs::remove_file(&chunks[0]).unwrap();
    let whole = fs::read(&chunks[1]).unwrap();
    fs::remove_file(&chunks[1]).unwrap();
    fs::write(&chunks[1], &whole[..whole.len() - 100]).unwrap();
    flip(&chunks[2], b"mdat", 40);
    flip(&chunks[3], b"traf", 0);
    flip(&chunks[4], b"moov", 12);
    let aside = site.archive().join("aside");
    for (from, to) in [(&chunks[5], &aside), (&chunks[6], &chunks[5]), (&aside, &chunks[6])] {
        fs::rename(from, to).unwrap();
    }
    let cell = keys[7].rsplit('/').next().unwrap();
    sql(&site, &format!("UPDATE chunk SET bytes = bytes + 1 WHERE key LIKE '%{cell}'"));
    let folder = chunks[0].parent().unwrap();
    fs::write(folder.join(".tmp-unfinished"), "a dead writer's").unwrap();
    fs::write(folder.join("readme.txt"), "a person's").unwrap();
    let later = "news/2019-01-01/2019-01-01T00:00:00Z--2019-01-01T00:00:10Z.ismv";
    fs::create_dir_all(site.archive().join(later).parent().unwrap()).unwrap();
    fs::copy(&chunks[8], site.archive().join(later)).unwrap();

    let of = |kind: &str, key: &str| (kind.to_owned(), key.to_owned());
    let readme = key(&site, &folder.join("readme.txt"));
    let mut expected = vec![
        of("missing", &keys[0]),
        of("size", &keys[1]),
        of("size", &keys[7]),
        of("foreign", &readme),
        of("foreign", later),
    ];
    expected.sort();
    // Two chunks have one length as a rule, and need not.
    let shallow = |found: Vec<(String, String)>| {
        let swapped = |(_, key): &(String, String)| *key == keys[5] || *key == keys[6];
        found.into_iter().filter(|f| !swapped(f)).collect::<Vec<_>>()
    };
    assert_eq!(shallow(findings(&site, &[])), expected);
    expected.extend([2, 3, 4].map(|n| of("hash", &keys[n])));
    expected.sort();
    let deep = findings(&site, &["--deep"]);
    for n in [5, 6] {
        assert!(
            deep.iter().any(|(kind, key)| (kind == "hash" || kind == "size") && *key == keys[n]),
            "{deep:?}"
        );
    }
    assert_eq!(shallow(deep), expected);

    // A repair writes off what is not there, and leaves what is, whatever it is.
    let before = bytes(&site);
    let told = verify(&site, &["--deep", "--repair"]).expect(3);
    assert!(told.stderr.contains(&format!("{later}: no row of the ledger speaks of it, and it stays as it is: its times are not those of its cell")), "{}", told.stderr);
    assert!(told.stderr.contains("its bytes are not those that were written: at byte "), "{}", told.stderr);
    assert!(told.stderr.contains("\n  hint: bring the file back from a copy"), "{}", told.stderr);
    assert_eq!(bytes(&site), before);
}

#[test]
fn a_bad_chunk_that_the_source_still_holds_is_captured_again_at_once() {
    let (_live, site) = archived(4);
    let before = bytes(&site);
    let chunks = site.chunks("news");
    flip(&chunks[1], b"mdat", 40);
    fs::remove_file(&chunks[2]).unwrap();
    fs::write(&chunks[3], "short").unwrap();
    let damaged = bytes(&site);
    let told = verify(&site, &["--deep", "--dry-run"]).expect(3);
    assert!(told.stderr.contains("would be captured again: the source still holds it"), "{told:?}");
    assert_eq!(bytes(&site), damaged, "a dry run changes nothing");

    let told = verify(&site, &["--deep"]).expect(0);
    assert_eq!(told.stderr, "");
    assert_eq!(told.stdout.matches("captured again\n").count(), 3, "{}", told.stdout);
    assert!(told.stdout.contains("news  hash  news/"), "{}", told.stdout);
    assert_eq!(bytes(&site), before);
    verify(&site, &["--deep"]).expect_silence();
    site.assert_sound("news");
}

#[test]
fn a_bad_chunk_that_a_hold_kept_from_being_pruned_is_captured_again_too() {
    let (live, site) = archived(6);
    let held = live.cell_before_end(5);
    site.run(["hold", "news", &held.to_string()]).expect(0);
    site.channel("news", live.url("news"), "archive_size = \"600kB\"");
    site.run(["prune", "--force"]).expect_silence();
    let chunks = site.chunks("news");
    assert!(chunks[0].to_str().unwrap().contains(&held.to_string()) && chunks.len() < 6, "{chunks:?}");
    flip(&chunks[0], b"mdat", 100);
    let told = verify(&site, &["--deep"]).expect(0);
    assert!(told.stdout.contains("captured again"), "{told:?}");
    verify(&site, &["--deep"]).expect_silence();
    assert_eq!(site.chunks("news"), chunks);
}

#[test]
fn a_bad_chunk_that_has_left_the_window_is_told_every_time_and_stays_as_it_is() {
    let (live, site) = archived(4);
    live.go_on(200);
    let chunks = site.chunks("news");
    flip(&chunks[1], b"mdat", 40);
    let damaged = bytes(&site);
    for _ in 0..2 {
        let told = verify(&site, &["--deep", "--repair"]).expect(3);
        assert!(told.stderr.contains("hash: 1\n  news/"), "{told:?}");
        assert_eq!(told.stdout, "");
        assert_eq!(bytes(&site), damaged);
    }
    // Half of it is in the window: what could be had would be less than what is there.
    live.set_faults([Fault::new(FaultKind::Window(std::time::Duration::from_secs(205)))]);
    verify(&site, &["--deep", "--repair"]).expect(3);
    assert_eq!(bytes(&site), damaged);
}

#[test]
fn a_chunk_that_is_gone_for_good_is_told_and_written_off_by_a_repair_alone() {
    let (live, site) = archived(4);
    live.go_on(200);
    site.check().expect(3);
    let lost = || site.status("news")["counts"]["lost"].as_u64().unwrap();
    let before = lost();
    fs::remove_file(&site.chunks("news")[2]).unwrap();
    for more in [&[][..], &["--dry-run", "--repair"]] {
        let told = verify(&site, more).expect(3);
        assert!(
            told.stderr.contains("missing: 1\n") && told.stderr.contains("it is not in the store"),
            "{told:?}"
        );
        assert_eq!(lost(), before);
    }
    let told = verify(&site, &["--repair"]).expect(3);
    assert!(told.stderr.contains("it is not in the store: written off as lost"), "{told:?}");
    assert_eq!(lost(), before + 1);
    let gaps = site.run(["status", "--gaps"]).expect(0).stdout;
    assert_eq!(gaps.matches("its chunk was stored, and is not in the store any more").count(), 4, "{gaps}");
    verify(&site, &["--deep"]).expect_silence();
    site.check().expect_silence();
}

#[test]
fn what_no_row_speaks_of_is_told_and_stays_and_a_chunk_of_ours_is_written_down_by_a_repair() {
    let (_live, site) = archived(4);
    let keys: Vec<String> = site.chunks("news").iter().map(|chunk| key(&site, chunk)).collect();
    let before = bytes(&site);
    let index = || {
        let (ledger, all) = (site.ledger(), npvr::time::Range::new(Time::EPOCH, Time::MAX));
        let rows = ledger.cells("news", all).unwrap();
        let cells =
            rows.iter().map(|r| (r.cell, r.state, r.stored.clone(), ledger.index("news", r.cell).unwrap()));
        cells.collect::<Vec<_>>()
    };
    let books = index();
    for key in &keys[1..3] {
        let cell = key.rsplit('/').next().unwrap();
        sql(&site, &format!("PRAGMA foreign_keys = 1; DELETE FROM chunk WHERE key LIKE '%{cell}'"));
    }
    assert_eq!(
        findings(&site, &[]),
        [("foreign".into(), keys[1].clone()), ("foreign".into(), keys[2].clone())]
    );
    let told = verify(&site, &["--repair", "--dry-run"]).expect(3);
    assert!(told.stderr.contains("would be written down"), "{told:?}");
    assert_eq!(findings(&site, &[]).len(), 2);
    let told = verify(&site, &["--repair"]).expect(0);
    assert_eq!(told.stdout.matches("speaks of it: written down\n").count(), 2, "{told:?}");
    assert_eq!(index(), books, "as it was, to the last bit of the index");
    verify(&site, &["--deep"]).expect_silence();
    assert_eq!(bytes(&site), before);
    site.assert_sound("news");
}

#[test]
fn a_lost_ledger_is_made_again_from_the_store_and_the_next_check_goes_on_as_if_nothing_had_been() {
    for plain in [false, true] {
        let live = Live::holding(6);
        let site = Site::new();
        let url = if plain { live.plain_url("news", "time") } else { live.url("news") };
        site.channel("news", url, "");
        site.check().expect_silence();
        let books = || {
            let status = site.status("news");
            let tracks: Vec<_> = site.ledger().tracks("news").unwrap();
            let tracks: Vec<_> = tracks.into_iter().map(|t| (t.id, t.track.name(), t.timescale)).collect();
            (status["counts"].clone(), status["gaps"].clone(), status["last_chunk"].clone(), tracks)
        };
        let (before, requests) = (books(), live.requests());
        lose_ledger(&site);
        let told = verify(&site, &["--repair"]).expect(0);
        assert_eq!(
            (told.stdout.matches(": written down\n").count(), told.stderr.as_str()),
            (7, ""),
            "{told:?}"
        );
        assert_eq!(books(), before);
        site.check().expect_silence();
        assert_eq!(live.requests_since(requests).segment, 0, "nothing is captured twice");
        // What comes after joins what was before, track by track.
        live.go_on(2 * CELL_S);
        site.check().expect_silence();
        assert_eq!(site.chunks("news").len(), 9);
        site.assert_sound("news");
        verify(&site, &["--deep"]).expect_silence();
    }
}

/// Takes a backup, does something, and brings the backup back.
#[track_caller]
fn as_restored(site: &Site, meanwhile: impl FnOnce()) {
    let backup = site.state().join("backup.db");
    site.run(["ledger", "backup", backup.to_str().unwrap()]).expect(0);
    meanwhile();
    lose_ledger(site);
    fs::rename(backup, site.state().join("ledger.db")).unwrap();
}

fn books(site: &Site) -> Value {
    let mut status = site.status("news");
    json!([status["counts"].take(), status["gaps"].take(), status["last_chunk"].take()])
}

#[test]
fn a_ledger_that_was_brought_back_from_a_backup_learns_what_was_stored_since() {
    let (live, site) = archived(3);
    live.go_on(CELL_S);
    // One cell is under way when the backup is made.
    let mut killed = site.command(["check"]);
    killed.env("NPVR_FAILPOINT", "capture-3-written");
    assert_eq!(finish(killed).code, None);
    as_restored(&site, || {
        site.check().expect_silence();
        live.go_on(2 * CELL_S);
        site.check().expect_silence();
    });
    let requests = live.requests();
    let told = verify(&site, &["--repair"]).expect(0);
    assert_eq!((told.stdout.matches(": written down\n").count(), told.stderr.as_str()), (3, ""), "{told:?}");
    site.check().expect_silence();
    assert_eq!(live.requests_since(requests).segment, 0);
    assert_eq!(site.status("news")["counts"]["complete"], 7);
    verify(&site, &["--deep"]).expect_silence();
    site.assert_sound("news");
}

#[test]
fn a_ledger_that_was_brought_back_from_a_backup_takes_the_better_chunk_that_was_stored_since() {
    let live = Live::holding(3);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    let gap = for_media(FaultKind::Gap, live.cell_before_end(1));
    live.set_faults([Fault { track: Some("audio_nld".to_owned()), ..gap }]);
    site.check().expect(3);
    let mut after = Value::Null;
    as_restored(&site, || {
        live.set_faults([]);
        site.check().expect_silence();
        after = books(&site);
    });
    assert_ne!(books(&site), after);
    // The source can no longer say which is right.
    live.go_on(100);
    assert_eq!(
        verify(&site, &["--repair", "--dry-run"])
            .expect(3)
            .stderr
            .matches("would be written down anew")
            .count(),
        1
    );
    let told = verify(&site, &["--repair"]).expect(0);
    assert!(
        told.stdout.starts_with("news  size  news/") && told.stdout.ends_with(": written down\n"),
        "{told:?}"
    );
    assert_eq!(books(&site), after);
    verify(&site, &["--deep"]).expect_silence();
}

#[test]
fn a_ledger_that_was_brought_back_from_a_backup_forgets_what_was_pruned_since() {
    let (_live, site) = settled(3);
    let text = fs::read_to_string(site.channel_file("news")).unwrap().replace("PT2H", "PT10S");
    let mut left = 0;
    as_restored(&site, || {
        fs::write(site.channel_file("news"), &text).unwrap();
        // By the clock of this host, on which the last cell may be younger than that.
        site.run(["prune", "news", "--force"]).expect(0);
        left = site.chunks("news").len();
    });
    assert!(left <= 1, "{left}");
    let told = verify(&site, &["--repair"]).expect(0);
    let dropped = told.stdout.matches("its row is dropped: retention keeps it no longer").count();
    assert_eq!(dropped, 4 - left, "{told:?}");
    verify(&site, &[]).expect_silence();
    assert_eq!(site.status("news")["counts"]["lost"], 0);
}

#[test]
fn without_ledger_and_source_nothing_is_guessed_unless_the_channel_is_disabled() {
    let (live, site) = archived(2);
    drop(live);
    lose_ledger(&site);
    let told = verify(&site, &["--repair"]).expect(3);
    assert!(told.stderr.contains("can be told by the source only"), "{told:?}");
    assert!(told.stderr.contains("npvr channel disable news"), "{told:?}");
    assert_eq!(site.ledger().tracks("news").unwrap(), vec![]);
    site.run(["channel", "disable", "news"]).expect(0);
    let told = verify(&site, &["--repair"]).expect(0);
    assert_eq!(
        told.stderr,
        "channel news: the source could not be asked for the names of tracks: ".to_owned()
            + told.stderr.split_once("tracks: ").unwrap().1
    );
    let names: Vec<String> = site.ledger().tracks("news").unwrap().iter().map(|t| t.track.name()).collect();
    assert_eq!(names, ["video=found-1", "video=found-2", "audio=found-3", "audio=found-4"]);
    verify(&site, &["--deep"]).expect_silence();
    site.assert_sound("news");
}

/// As another program would have written it: other brands, no `mfra`.
fn as_the_reference_does(chunk: &[u8]) -> Vec<u8> {
    let mfra = chunk.windows(4).rposition(|w| w == b"mfra").unwrap() - 4;
    let mut bytes = chunk[..mfra].to_vec();
    bytes[8..12].copy_from_slice(b"isml");
    bytes
}

#[test]
fn the_archive_of_another_program_is_taken_over_and_goes_on() {
    let (live, site) = archived(6);
    // Only files under the reference's names: nothing else is there.
    for (path, bytes) in bytes(&site) {
        fs::remove_file(&path).unwrap();
        fs::write(&path, as_the_reference_does(&bytes)).unwrap();
    }
    lose_ledger(&site);
    fs::remove_file(site.archive().join(".npvr-store")).unwrap();
    let before = bytes(&site);
    verify(&site, &["--repair", "--dry-run"]).expect(0);
    let told = verify(&site, &["--repair"]).expect(0);
    assert_eq!(told.stdout.matches(": written down\n").count(), 7, "{told:?}");
    assert_eq!(bytes(&site), before, "not a byte of it is changed");
    let requests = live.requests();
    live.go_on(CELL_S);
    site.check().expect_silence();
    assert!(live.requests_since(requests).segment < 30, "one cell is captured");
    site.assert_sound("news");
    verify(&site, &["--deep"]).expect_silence();
    let names: Vec<String> = site.ledger().tracks("news").unwrap().iter().map(|t| t.track.name()).collect();
    assert_eq!(names, ["video=110000", "video=45000", "audio_eng=32000", "audio_nld=32000"]);
}

#[test]
fn a_chunk_that_another_grid_left_is_written_down_unless_its_time_is_taken() {
    let (_live, site) = archived(6);
    let chunks = site.chunks("news");
    lose_ledger(&site);
    let wide = |from: &Path, to: &Path| {
        let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (from, to) = (stem(from), stem(to));
        format!("{}--{}.ismv", from.split_once("--").unwrap().0, to.split_once("--").unwrap().1)
    };
    let over = chunks[2].with_file_name(wide(&chunks[2], &chunks[3]));
    let aside = chunks[5].with_file_name(wide(&chunks[5], &chunks[6]));
    fs::copy(&chunks[2], &over).unwrap();
    fs::rename(&chunks[5], &aside).unwrap();
    fs::remove_file(&chunks[6]).unwrap();
    let told = verify(&site, &["--repair"]).expect(3);
    assert_eq!(told.stdout.matches("speaks of it: written down").count(), 6, "{told:?}");
    assert!(
        told.stdout.contains(&format!(
            "{}: no row of the ledger speaks of it: written down, with gaps: ",
            key(&site, &aside)
        )),
        "{told:?}"
    );
    assert!(
        told.stderr.contains(&format!(
            "{}: no row of the ledger speaks of it, and for a part of its time ",
            key(&site, &over)
        )),
        "{told:?}"
    );
    assert_eq!(findings(&site, &["--deep"]), [("foreign".into(), key(&site, &over))]);
}

#[test]
fn a_small_budget_gets_round_everything_and_what_is_bad_does_not_stop_it() {
    let (_live, site) = settled(9);
    let chunks = site.chunks("news");
    let largest = chunks.iter().map(|c| fs::metadata(c).unwrap().len()).max().unwrap();
    for chunk in &chunks[..3] {
        flip(chunk, b"mdat", 40);
    }
    let budget = (3 * largest).to_string() + "B";
    let left = || {
        let rows = site.ledger().unverified("news", Time::EPOCH, 100).unwrap();
        rows.len()
    };
    let mut read = Vec::new();
    for _ in 0..3 {
        let ran = verify(&site, &["--budget", &budget, "--json"]).expect(3);
        read.push(ran.json()["channels"][0]["read"].as_u64().unwrap());
    }
    assert_eq!(read, [6, 6, 6], "three bad ones each time, and three good ones");
    assert_eq!(left(), 3, "all but the bad ones were read");
    // And then again, from the one that was read longest ago.
    verify(&site, &["--budget", &budget]).expect(3);
    assert!(verify(&site, &["--budget", "0B", "--json"]).expect(0).json()["channels"][0]["read"] == 0);
    let usage = verify(&site, &["--budget", "50"]).expect(2);
    assert!(usage.stderr.contains("it has no unit"), "{usage:?}");
}

#[test]
fn a_store_that_is_not_there_is_an_error_and_no_finding_and_nothing_is_written_off() {
    let (_live, site) = archived(3);
    site.channel(
        "other",
        "http://127.0.0.1:1/other.isml",
        "enabled = false\ndisk.path = \"/nonexistent/npvr\"",
    );
    let counts = site.status("news")["counts"].clone();
    fs::rename(site.archive(), site.state().join("unmounted")).unwrap();
    fs::create_dir(site.archive()).unwrap();
    for more in [&[][..], &["--deep", "--repair"]] {
        let told = verify(&site, more).expect(3);
        assert!(told.stderr.starts_with("npvr: channel news: could not verify: store "), "{told:?}");
        assert!(told.stderr.contains("hint: is the disk mounted?"), "{told:?}");
        assert_eq!(told.stdout, "");
    }
    let document = verify(&site, &["--json"]).expect(3).json();
    assert_eq!(document["channels"][0]["found"], 0);
    fs::remove_dir(site.archive()).unwrap();
    fs::rename(site.state().join("unmounted"), site.archive()).unwrap();
    assert_eq!(site.status("news")["counts"], counts);
    verify(&site, &["--deep"]).expect_silence();
}

#[test]
fn while_checks_go_on_nothing_is_wrong() {
    let (live, site) = archived(3);
    for _ in 0..12 {
        live.go_on(CELL_S);
        std::thread::scope(|scope| {
            let check = scope.spawn(|| finish(site.command(["check"])));
            for _ in 0..3 {
                verify(&site, &["--deep"]).expect_silence();
            }
            check.join().unwrap().expect_silence();
        });
    }
    assert_eq!(site.chunks("news").len(), 16);
}

#[test]
fn what_the_books_say_wrongly_is_written_down_anew_by_what_is_in_the_file() {
    let (_live, site) = archived(4);
    let chunks = site.chunks("news");
    let named =
        |n: usize| chunks[n].file_stem().unwrap().to_str().unwrap().split_once("--").unwrap().0.to_owned();
    let at = |n: usize| named(n).parse::<Time>().unwrap().s();
    sql(&site, &format!("UPDATE chunk_index SET fragments = x'0100' WHERE start_s = {}", at(1)));
    sql(&site, &format!("UPDATE chunk SET state = 'partial', stored = 'partial' WHERE start_s = {}", at(2)));
    let found = findings(&site, &["--deep"]);
    let of = |kind: &str, n: usize| (kind.to_owned(), key(&site, &chunks[n]));
    assert_eq!(found, [of("gap", 2), of("index", 1)]);
    let told = verify(&site, &["--deep", "--repair"]).expect(0);
    assert_eq!(told.stdout.matches(": written down\n").count(), 2, "{told:?}");
    verify(&site, &["--deep"]).expect_silence();
    assert_eq!(site.status("news")["counts"]["complete"], 5);
    site.assert_sound("news");
}

#[test]
fn a_cell_whose_spool_was_taken_away_is_told() {
    let (live, site) = archived(2);
    live.go_on(CELL_S);
    let mut killed = site.command(["check"]);
    killed.env("NPVR_FAILPOINT", "capture-3-written");
    assert_eq!(finish(killed).code, None);
    // What was killed is carried on by the next check: nothing is wrong.
    verify(&site, &[]).expect_silence();
    site.spool().iter().for_each(|file| fs::remove_file(file).unwrap());
    let found = findings(&site, &[]);
    assert!(found.len() == 1 && found[0].0 == "unfinished", "{found:?}");
    site.check().expect_silence();
    verify(&site, &["--deep"]).expect_silence();
}

#[test]
fn the_json_document_has_the_shape_that_is_promised() {
    let (_live, site) = settled(2);
    fs::remove_file(&site.chunks("news")[1]).unwrap();
    let document = verify(&site, &["--deep", "--json"]).expect(3).json();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&document), ["channels", "schema", "without_file"]);
    assert_eq!(document["schema"], 1);
    let channel = &document["channels"][0];
    assert_eq!(
        fields(channel),
        [
            "bytes",
            "chunks",
            "error",
            "findings",
            "found",
            "garbage",
            "mended",
            "name",
            "notes",
            "read",
            "read_bytes"
        ]
    );
    let finding = &channel["findings"][0];
    assert_eq!(fields(finding), ["cell", "invariant", "key", "kind", "mended", "message", "repair"]);
    assert_eq!((&finding["invariant"], &finding["kind"]), (&json!(1), &json!("missing")));
    assert_eq!((channel["chunks"].clone(), channel["read"].clone()), (json!(3), json!(2)));

    // A channel without a file is named, and cannot be verified.
    fs::remove_file(site.channel_file("news")).unwrap();
    let document = verify(&site, &["--json"]).expect(0).json();
    assert_eq!(document["channels"], json!([]));
    assert_eq!(fields(&document["without_file"][0]), ["bytes", "chunks", "name"]);
    verify(&site, &[]).expect_silence();
    assert_eq!(verify(&site, &["news"]).code, Some(1));
}
