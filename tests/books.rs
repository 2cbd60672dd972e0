//! The books as a person handles them: holds, and the ledger's export, import, backup and check.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;

use npvr::ledger::Ledger;
use serde_json::{Value, json};

use common::Site;
use common::live::Live;

/// A site with three archived chunks of `news`, and their cells, oldest first.
fn archived() -> (Live, Site, Vec<String>) {
    let live = Live::holding(2);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    site.check().expect(0);
    let all = npvr::time::Range::new(npvr::time::Time::EPOCH, npvr::time::Time::MAX);
    let rows = site.ledger().cells("news", all).unwrap();
    let cells = rows.iter().filter(|row| row.stored.is_some()).map(|row| row.cell.to_string()).collect();
    (live, site, cells)
}

#[test]
fn a_hold_is_made_listed_shown_and_removed() {
    let (_live, site, cells) = archived();
    let (first, last) = (cells.first().unwrap(), cells.last().unwrap());
    let made = site.run(["hold", "news", last, "--note", "the trial", "--until", "2100-01-01"]).expect(0);
    assert_eq!(made.stdout, "1\n");
    let told = format!("channel news: {last} is held until 2100-01-01T00:00:00Z: 1 chunk, ");
    assert!(made.stderr.starts_with(&told), "{made:?}");
    let range = format!("2001-01-01T00:00:00Z--{}", &first[..20]);
    let early = site.run(["hold", "add", "news", &range]).expect(0);
    assert!(
        early.stderr.ends_with(&format!("{range} is held: nothing of it is archived now\n")),
        "{early:?}"
    );

    let list = site.run(["hold", "list"]).expect(0).stdout;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.starts_with(&format!("   1  news  {last} until 2100-01-01T00:00:00Z, 1 chunk, ")), "{list}");
    assert!(list.lines().next().unwrap().ends_with(": the trial"), "{list}");
    assert_eq!(site.run(["hold", "list", "sports"]).expect(0).stdout, "");
    let document = site.run(["hold", "list", "news", "--json"]).expect(0).json();
    assert_eq!(document.as_array().unwrap().len(), 2);
    assert_eq!(site.status("news")["holds"], document);
    assert_eq!((&document[0]["chunks"], &document[0]["in_force"]), (&json!(1), &json!(true)));

    let status = site.run(["status"]).expect(0).stdout;
    assert!(
        status.contains(&format!("held            hold 1: {last} until ")) && status.contains("▔ held"),
        "{status}"
    );
    let marks = status.lines().nth(1).unwrap();
    assert_eq!(marks.chars().filter(|c| *c != ' ' && *c != '▔').count(), 0, "{status}");
    assert!(marks.contains('▔'), "{status}");

    let removed = site.run(["hold", "remove", "1"]).expect(0);
    assert!(removed.stderr.contains(&format!("channel news: {last} is no longer held")), "{removed:?}");
    site.run(["hold", "remove", "2"]).expect(0);
    assert!(!site.run(["status"]).expect(0).stdout.contains("held"));
    let again = site.run(["hold", "remove", "1"]).expect(2);
    assert!(
        again.stderr.contains("there is no hold 1") && again.stderr.contains("hint: npvr hold list"),
        "{again:?}"
    );
}

#[test]
fn what_cannot_be_held_is_refused_with_what_to_write() {
    let site = Site::new();
    site.channel("list", "http://127.0.0.1:1/a.isml", "");
    let range = "2018-12-06T12:55:00Z--2018-12-06T13:00:00Z";
    for (args, words) in [
        (vec!["add", "list", "2018"], "npvr: \"2018\" is not a range"),
        (vec!["add", "list", "2018--2019"], "npvr: \"2018\" is not a time"),
        (vec!["add", "list", "2018-12-06T13:00:00Z--2018-12-06T12:55:00Z"], "ends before it begins"),
        (vec!["add", "list", range, "--until", "2018-12-07"], "such a hold would hold nothing"),
        (vec!["add", "list", range, "--until", "soon"], "\"soon\" is neither a date nor a time"),
        (vec!["remove", "one"], "\"one\" is not the number of a hold"),
        (vec![], "required arguments were not provided"),
    ] {
        let ran = site.run(["hold"].iter().chain(&args)).expect(2);
        assert!(ran.stderr.contains(words), "{args:?}: {ran:?}");
    }
    let unknown = site.run(["hold", "news", range]).expect(1);
    assert!(unknown.stderr.contains("there is no channel news"), "{unknown:?}");
    assert_eq!(site.run(["hold", "list"]).expect(0).stdout, "");
    assert_eq!(site.run(["hold", "add", "list", range]).expect(0).stdout, "1\n");
}

#[test]
fn what_is_archived_of_a_channel_that_was_removed_can_be_held() {
    let (_live, site, cells) = archived();
    site.run(["channel", "remove", "news"]).expect(0);
    let held = site.run(["hold", "news", &cells[0]]).expect(0);
    assert!(held.stderr.contains("1 chunk, "), "{held:?}");
}

#[test]
fn a_ledger_is_exported_and_imported_and_the_next_check_has_nothing_to_do() {
    let (live, site, cells) = archived();
    site.run(["hold", "news", &cells[0], "--note", "the trial"]).expect(0);
    let export = site.run(["ledger", "export"]).expect(0);
    assert_eq!(export.stderr, "");
    let lines: Vec<Value> = export.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["kind"], &lines[0]["format"]), (&json!("ledger"), &json!(1)));
    let chunks = lines.iter().filter(|line| line["kind"] == "chunk" && line["stored"] == "complete").count();
    assert!(chunks >= 2, "{}", export.stdout);
    let file = site.state().join("export.jsonl");
    let name = file.to_str().unwrap();
    site.run(["ledger", "export", "-o", name]).expect_silence();
    assert_eq!(fs::read_to_string(&file).unwrap(), export.stdout);
    let there = site.run(["ledger", "export", "-o", name]).expect(2);
    assert!(there.stderr.contains("it is there already") && there.stderr.contains("--force"), "{there:?}");
    site.run(["ledger", "export", "-o", name, "--force"]).expect_silence();

    let full = site.run(["ledger", "import", name]).expect(2);
    assert!(full.stderr.contains("it is not empty") && full.stderr.contains("hint: "), "{full:?}");
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(site.state().join(format!("ledger.db{suffix}")));
    }
    let imported = site.run(["ledger", "import", name]).expect(0);
    assert_eq!(imported.stderr, format!("{} records imported\n", lines.len() - 1));
    assert_eq!(site.run(["ledger", "export"]).expect(0).stdout, export.stdout);
    site.assert_sound("news");
    let before = live.requests();
    site.check().expect_silence();
    assert_eq!(live.requests_since(before).segment, 0, "nothing is fetched again");
}

#[test]
fn a_ledger_is_backed_up_and_restored() {
    let (_live, site, cells) = archived();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("npvr.backup");
    let name = file.to_str().unwrap();
    let before = site.run(["ledger", "export"]).expect(0).stdout;
    site.run(["ledger", "backup", name]).expect_silence();
    let there = site.run(["ledger", "backup", name]).expect(2);
    assert!(
        there.stderr.contains(&format!("back up the ledger to {name}: it is there already")),
        "{there:?}"
    );
    site.run(["hold", "news", &cells[0]]).expect(0);
    site.run(["ledger", "backup", name, "--force"]).expect_silence();
    site.run(["hold", "remove", "1"]).expect(0);
    // As the help says.
    fs::rename(&file, site.state().join("ledger.db")).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(site.state().join(format!("ledger.db{suffix}")));
    }
    let restored = site.run(["hold", "list"]).expect(0).stdout;
    assert!(restored.contains(&cells[0]), "{restored}");
    assert_ne!(site.run(["ledger", "export"]).expect(0).stdout, before);
    site.run(["ledger", "check"]).expect_silence();
    site.check().expect_silence();
    site.assert_sound("news");
    let nowhere = site.run(["ledger", "backup", "/no/such/folder/file"]).expect(1);
    assert!(nowhere.stderr.contains("/no/such/folder: no such file or directory"), "{nowhere:?}");
}

#[test]
fn what_is_no_export_is_refused_with_its_line_and_nothing_is_imported() {
    let site = Site::new();
    let file = site.config().join("export.jsonl");
    let header = "{\"kind\":\"ledger\",\"format\":1}\n";
    for (text, words) in [
        ("", "it does not begin as an export does"),
        ("hello\n", "line 1: it is no line of an export"),
        (
            "{\"kind\":\"ledger\",\"format\":9,\"new\":[]}\n",
            "line 1: it was written by a newer npvr (format 9, here 1)",
        ),
        (&format!("{header}{{\"kind\":\"channel\",\"name\":\"a\"}}\n{{\"kind\":\"chu"), "line 3: "),
        (&format!("{header}{{\"kind\":\"channel\",\"name\":\"a\",\"since\":12}}\n"), "line 2: "),
    ] {
        fs::write(&file, text).unwrap();
        let ran = site.run(["ledger", "import", file.to_str().unwrap()]).expect(1);
        assert!(ran.stderr.contains(words) && ran.stderr.contains("hint: "), "{text}: {ran:?}");
        assert!(ran.stderr.starts_with(&format!("npvr: import {}: ", file.display())), "{ran:?}");
    }
    assert_eq!(site.run(["ledger", "export"]).expect(0).stdout.lines().count(), 1);
}

#[test]
fn a_damaged_ledger_is_told_by_the_check() {
    let (_live, site, _) = archived();
    let database = || rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
    database().execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM job").unwrap();
    let ran = site.run(["ledger", "check"]).expect(3);
    assert!(ran.stderr.contains("npvr: ledger: rows of chunk that refer to no job: "), "{ran:?}");
    assert!(ran.stderr.contains("hint: restore it from a backup"), "{ran:?}");
    let backup = site.config().join("backup");
    let refused = site.run(["ledger", "backup", backup.to_str().unwrap()]).expect(1);
    assert!(refused.stderr.contains("the copy is damaged: rows of chunk") && !backup.exists(), "{refused:?}");

    // A page of the database that the disk has lost.
    let page: i64 = database()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'chunk_index'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = fs::read(site.state().join("ledger.db")).unwrap();
    let from = usize::try_from((page - 1) * 4096).unwrap();
    bytes[from..from + 4096].fill(0x5a);
    fs::write(site.state().join("ledger.db"), bytes).unwrap();
    let ran = site.run(["ledger", "check"]);
    assert!(matches!(ran.code, Some(1 | 3)) && ran.stderr.contains("npvr: ledger"), "{ran:?}");
    assert!(ran.stderr.contains("hint: restore it from a backup"), "{ran:?}");
}
