//! A disk that is nearly full stops captures before it stops everything else: it is told once a run, with what it will cost
//! when, and with room again nothing is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::PathBuf;

use common::Site;
use common::live::{Live, for_media};
use npvr::sim::FaultKind;

/// More than any disk has.
const ALL_OF_IT: &str = "900000TB";

/// An origin with two cells, and a site with two channels of it.
fn staged() -> (Live, Site) {
    let live = Live::holding(2);
    let site = Site::new();
    for name in ["news", "sport"] {
        site.channel(name, live.url(name), "");
    }
    (live, site)
}

fn ask_for(site: &Site, min_free: &str) {
    fs::write(site.config().join("npvr.toml"), format!("[state]\nmin_free = \"{min_free}\"\n")).unwrap();
}

#[test]
fn below_the_limit_nothing_is_begun_and_one_sentence_says_what_it_will_cost() {
    let (live, site) = staged();
    ask_for(&site, ALL_OF_IT);
    let before = live.requests();
    let told = site.check().expect(3);
    assert_eq!(told.stderr.lines().count(), 2, "{}", told.stderr);
    assert!(told.stderr.contains(&format!("{}: ", site.state().join("spool").display())), "{}", told.stderr);
    assert!(told.stderr.contains(" are free, less than min_free (900000 TB): "), "{}", told.stderr);
    assert!(
        told.stderr.contains("6 chunks of 2 channels not captured; the first (news) is lost from 20"),
        "{}",
        told.stderr
    );
    assert!(told.stderr.contains("\n  hint: free some space, or lower [state] min_free"), "{}", told.stderr);
    assert_eq!((site.jobs().len(), site.spool()), (0, Vec::<PathBuf>::new()));
    assert_eq!(live.requests_since(before).segment, 0);

    let (code, document) = site.check_json();
    assert_eq!(code, 3);
    let done = document["channels"][0]["done"].as_array().unwrap();
    assert!(done.iter().all(|d| d["result"] == "no_space" && d["problem"] == true), "{done:?}");
    let status = site.run(["status", "--json"]).expect(0).json();
    assert_eq!(status["low_space"][0]["folder"], site.state().join("spool").display().to_string());
    assert_eq!(status["low_space"][0]["min_free_bytes"], 900_000_000_000_000_000_u64);
    let text = site.run(["status"]).expect(0).stdout;
    assert!(text.contains("less than min_free (900000 TB): nothing more is captured\n"), "{text}");
    let cell = live.cell_before_end(0).to_string();
    let ran = site.run(["capture", "news", &cell]).expect(3);
    assert!(ran.stdout.contains("no space") && ran.stderr.contains("less than min_free"), "{ran:?}");

    ask_for(&site, "0");
    site.check().expect_silence();
    for name in ["news", "sport"] {
        assert_eq!(site.status(name)["counts"]["complete"], 3);
        site.assert_sound(name);
    }
    assert_eq!(site.run(["status", "--json"]).expect(0).json()["low_space"], serde_json::json!([]));
}

#[test]
fn status_looks_at_the_folders_of_stores_too() {
    let (_live, site) = staged();
    // A file system without any room, which every Linux has.
    let text = fs::read_to_string(site.channel_file("news")).unwrap();
    fs::write(site.channel_file("news"), format!("{text}\n[disk]\npath = \"/proc\"\n")).unwrap();
    ask_for(&site, "1kB");
    let status = site.run(["status", "--json"]).expect(0).json();
    assert_eq!(status["low_space"][0]["folder"], "/proc");
    assert_eq!(status["low_space"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_in_the_spool_waits_there_for_space() {
    let (live, site) = staged();
    let (range, cell) = (live.cell_before_end(0), live.cell_before_end(0).to_string());
    live.set_faults([for_media(FaultKind::Status(400), range)]);
    site.check().expect(3);
    live.set_faults([]);
    let spool = site.spool();
    assert_eq!(spool.len(), 2);
    ask_for(&site, ALL_OF_IT);
    let told = site.run(["capture", "news", &cell, "--force"]).expect(3);
    assert!(told.stderr.contains("less than min_free"), "{}", told.stderr);
    assert_eq!(site.spool(), spool);
    ask_for(&site, "0");
    for name in ["news", "sport"] {
        site.run(["capture", name, &cell, "--force"]).expect(0);
    }
    assert_eq!(site.spool(), Vec::<PathBuf>::new());
}
