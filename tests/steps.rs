//! Killed between any two effects, the program loses nothing and needs no hand: a walk over all failpoints, on disk and on
//! S3.
//!
//! `tests/kill.rs` strikes at random, and many at once; here every instant has its turn, one at a time, so that none is
//! missed for being short. The instants are those of `npvr::failpoint::STEPS`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use common::home::Home;
use common::live::{CELL_S, Live};
use common::s3::S3Server;
use common::{Site, finish};
use npvr::failpoint::STEPS;
use npvr::ledger::Ledger;
use npvr::time::{Range, Time};

/// Cells of the archives here, and the short one in which each begins.
const CELLS: i64 = 3;

/// An archive of a channel, in one kind of store.
struct Staged {
    live: Live,
    site: Site,
    home: Home,
}

impl Staged {
    fn new(home: Home, cells: i64, more: &str) -> Staged {
        let (live, site) = (Live::holding(cells), Site::new());
        site.channel("news", live.url("news"), &format!("{more}\n{}", home.lines()));
        Staged { live, site, home }
    }

    /// Runs the program up to a step, at which it dies.
    #[track_caller]
    fn run_to(&self, step: &str, args: &[&str]) {
        let mut command = self.site.command(args);
        command.env("NPVR_FAILPOINT", step);
        let ran = finish(command);
        assert_eq!(ran.code, None, "{step} was not reached by npvr {args:?}: {ran:?}");
    }

    /// Asserts that so many cells are whole and no other is there, that what is stored reads back, that every object has its
    /// row, and that nothing is left over.
    #[track_caller]
    fn assert_whole(&self, step: &str, complete: i64) {
        let status = self.site.status("news");
        let counts = &status["counts"];
        assert_eq!(counts["complete"], complete, "{step}: {counts}");
        for other in ["partial", "capturing", "failed", "lost"] {
            assert_eq!(counts[other], 0, "{step}: {counts}");
        }
        self.site.run(["verify", "--deep"]).expect_silence();
        let rows = self.site.ledger().cells("news", Range::new(Time::EPOCH, Time::MAX)).unwrap();
        let keys: Vec<String> = rows.into_iter().filter_map(|row| Some(row.stored?.key)).collect();
        assert_eq!(keys, self.home.objects(&self.site), "{step}: rows, and objects");
        assert_eq!(self.site.spool(), Vec::<PathBuf>::new(), "{step}");
    }
}

/// Goes to every step of some procedures, in both kinds of store.
fn walk(procedures: &[&str], each: impl Fn(&Staged, &'static str)) {
    let of = |step: &&str| procedures.iter().any(|procedure| step.starts_with(procedure));
    for step in STEPS.iter().copied().filter(of) {
        for home in Home::both() {
            let is_others = match home {
                Home::Disk => step.starts_with("s3-"),
                Home::Bucket(_) => step.starts_with("disk-"),
            };
            if !is_others {
                each(&Staged::new(home, CELLS, ""), step);
            }
        }
    }
}

#[test]
fn every_step_belongs_to_a_walk() {
    let walked = ["capture-", "disk-", "s3-", "prune-", "repair-"];
    for step in STEPS {
        assert!(walked.iter().any(|procedure| step.starts_with(procedure)), "{step}");
    }
}

#[test]
fn a_capture_that_is_killed_after_any_step_is_finished_by_the_next_run() {
    walk(&["capture-", "disk-"], |staged, step| {
        staged.run_to(step, &["check"]);
        staged.site.check().expect_silence();
        staged.assert_whole(step, CELLS + 1);
        // In the midst of an archive too.
        staged.live.go_on(CELL_S);
        staged.run_to(step, &["check"]);
        staged.site.check().expect_silence();
        staged.assert_whole(step, CELLS + 2);
    });
}

#[test]
fn an_upload_in_parts_that_is_killed_after_any_step_is_finished_by_the_next_run() {
    for step in STEPS.iter().copied().filter(|step| step.starts_with("s3-")) {
        // Long enough for several parts.
        const CELL: Duration = Duration::from_secs(720);
        let home = Home::Bucket(S3Server::start());
        let staged = Staged::new(home, CELL.as_secs() as i64 / CELL_S, "chunk_duration = \"PT12M\"");
        let cell = Range::new(staged.live.end().minus(CELL), staged.live.end());
        staged.run_to(step, &["capture", "news", &cell.to_string()]);
        let before = staged.live.requests();
        staged.site.check().expect_silence();
        staged.assert_whole(step, 2);
        // Those of the short cell in which the archive begins; of this one nothing is fetched that is in the spool.
        let asked = staged.live.requests_since(before).segment;
        assert!(asked < 20, "{step}: {asked} segments were fetched again");
    }
}

#[test]
fn a_prune_that_is_killed_after_any_step_is_finished_by_the_next_run() {
    walk(&["prune-"], |staged, step| {
        staged.site.check().expect_silence();
        let sizes = staged.site.status("news")["counts"]["bytes"].as_u64().unwrap();
        let limit = format!("archive_size = \"{}B\"\n{}", sizes / 2, staged.home.lines());
        staged.site.channel("news", staged.live.url("news"), &limit);
        staged.run_to(step, &["prune", "--force"]);
        // A check in between brings nothing back.
        staged.site.check().expect_silence();
        staged.site.run(["prune", "--force"]).expect_silence();
        let kept = staged.site.status("news")["counts"]["complete"].as_i64().unwrap();
        assert!((1..=CELLS - 1).contains(&kept), "{step}: {kept} chunks");
        staged.assert_whole(step, kept);
        staged.site.check().expect_silence();
        staged.assert_whole(step, kept);
    });
}

#[test]
fn a_repair_that_is_killed_after_any_step_is_finished_by_the_next_run() {
    walk(&["repair-"], |staged, step| {
        staged.site.check().expect_silence();
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            // The two beside it are not always there.
            let _ = fs::remove_file(staged.site.state().join(name));
        }
        staged.run_to(step, &["verify", "--repair"]);
        staged.site.run(["verify", "--repair"]).expect(0);
        let before = staged.live.requests();
        staged.site.check().expect_silence();
        staged.assert_whole(step, CELLS + 1);
        assert_eq!(staged.live.requests_since(before).segment, 0, "{step}: nothing is captured twice");
    });
}
