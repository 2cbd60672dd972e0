//! Killed between any two effects, the program loses nothing and needs no hand: a walk over all failpoints.
//!
//! `tests/kill.rs` strikes at random, and many at once; here every instant has its turn, one at a time, so that none is
//! missed for being short. The instants are those of `npvr::failpoint::STEPS`.

mod common;

use std::path::PathBuf;

use common::live::{CELL_S, Live};
use common::{Site, finish};
use npvr::failpoint::STEPS;

/// The steps of these procedures.
fn steps(procedures: &[&str]) -> Vec<&'static str> {
    let of = |step: &&str| procedures.iter().any(|procedure| step.starts_with(procedure));
    let found: Vec<&str> = STEPS.iter().copied().filter(of).collect();
    assert!(found.len() > procedures.len(), "{found:?}");
    found
}

/// Runs the program up to a step, at which it dies.
#[track_caller]
fn run_to(site: &Site, step: &str, args: &[&str]) {
    let mut command = site.command(args);
    command.env("NPVR_FAILPOINT", step);
    let ran = finish(command);
    assert_eq!(ran.code, None, "{step} was not reached by npvr {args:?}: {ran:?}");
}

/// Asserts that every cell is whole, and that nothing else is left.
#[track_caller]
fn assert_whole(site: &Site, step: &str, cells: i64) {
    let status = site.status("news");
    let counts = &status["counts"];
    // And the cell in which the archive begins.
    assert_eq!(counts["complete"], cells + 1, "{step}: {counts}");
    for other in ["partial", "capturing", "failed", "lost"] {
        assert_eq!(counts[other], 0, "{step}: {counts}");
    }
    assert_eq!(site.spool(), Vec::<PathBuf>::new(), "{step}");
    site.assert_sound("news");
}

#[test]
fn a_capture_to_disk_that_is_killed_after_any_step_is_finished_by_the_next_run() {
    for step in steps(&["capture-", "disk-"]) {
        let live = Live::holding(2);
        let site = Site::new();
        site.channel("news", live.url("news"), "");
        run_to(&site, step, &["check"]);
        site.check().expect_silence();
        assert_whole(&site, step, 2);
        // In the midst of an archive too.
        live.go_on(CELL_S);
        run_to(&site, step, &["check"]);
        site.check().expect_silence();
        assert_whole(&site, step, 3);
    }
}
