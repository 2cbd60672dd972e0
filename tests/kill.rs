//! Killed at any moment, whatever it was doing, the program loses nothing and needs no hand: the next run carries on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::Site;
use common::live::{CELL_S, Live, SETTLE_S, for_media};
use npvr::ledger::{JobFilter, Ledger};
use npvr::sim::{Fault, FaultKind};
use npvr::time::{Range, Time};
use tokio::time::timeout;

/// Processes at once.
const PROCESSES: u64 = 20;
/// Rounds.
const ROUNDS: u64 = 50;
/// The longest life of a process, in milliseconds.
const LONGEST_MS: u64 = 1_200;

/// A number that depends on nothing but its seed (splitmix64): a test that failed once fails again.
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// How often each end came.
#[derive(Debug, Default)]
struct Ends {
    killed: usize,
    well: usize,
}

/// Runs `PROCESSES` checks at once and kills each at its moment; those that end before it must have ended well.
async fn round(site: &Site, round: u64) -> Ends {
    let mut lives = tokio::task::JoinSet::new();
    for process in 0..PROCESSES {
        let mut command = tokio::process::Command::from(site.command(["check"]));
        let life = Duration::from_millis(random(round * PROCESSES + process) % LONGEST_MS);
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        lives.spawn(async move {
            if timeout(life, child.wait()).await.is_err() {
                child.start_kill().unwrap();
            }
            child.wait_with_output().await.unwrap()
        });
    }
    let mut ends = Ends::default();
    while let Some(output) = lives.join_next().await {
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            None => ends.killed += 1,
            Some(0) => ends.well += 1,
            Some(code) => panic!("exit {code}: {said}"),
        }
        assert_eq!(said, "");
    }
    ends
}

/// Asserts that nothing of all the killing is left: every cell whole, and not a file too many.
#[track_caller]
fn assert_healed(site: &Site, name: &str, complete: i64) {
    let status = site.status(name);
    let counts = &status["counts"];
    assert_eq!(counts["complete"], complete, "{counts}");
    for other in ["capturing", "failed", "lost"] {
        assert_eq!(counts[other], 0, "{counts}");
    }
    assert!(status["gaps"].as_array().unwrap().is_empty(), "{}", status["gaps"]);
    let running = JobFilter { channel: None, running_only: true, limit: 10 };
    assert_eq!(site.ledger().jobs(&running).unwrap(), vec![], "jobs that are said to run");
    assert_eq!(site.spool(), Vec::<PathBuf>::new());
    site.assert_sound(name);
}

#[test]
fn twenty_overlapping_checks_killed_at_random_moments_fifty_times_leave_every_cell_whole() {
    const BACKLOG: i64 = 30;
    let live = Live::with(BACKLOG, |options| options.window = Duration::from_secs(3_600));
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    let mut window = Duration::from_secs((BACKLOG * CELL_S + SETTLE_S + 4).unsigned_abs());
    // Captures last long enough to be struck in the middle.
    let all = Range::new(Time::EPOCH, Time::MAX);
    let slow = for_media(FaultKind::Delay(Duration::from_millis(20)), all);
    live.set_faults([slow.clone(), Fault::new(FaultKind::Window(window))]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut ends = Ends::default();
    for n in 0..ROUNDS {
        // A new cell now and then, so that there is always something to do. Nothing leaves the window: it grows.
        if n % 5 == 4 {
            live.go_on(CELL_S);
            window = window.saturating_add(Duration::from_secs(CELL_S.unsigned_abs()));
            live.set_faults([slow.clone(), Fault::new(FaultKind::Window(window))]);
        }
        let Ends { killed, well } = runtime.block_on(round(&site, n));
        ends = Ends { killed: ends.killed + killed, well: ends.well + well };
    }
    let half = usize::try_from(PROCESSES * ROUNDS / 2).unwrap();
    assert!(ends.killed >= half, "most were killed: {ends:?}");
    let died = site.jobs().iter().filter(|job| job["outcome"] == "died").count();
    assert!(died >= 20, "many were killed while they captured: {died} jobs died");

    eprintln!("{ends:?} {died}");
    site.check().expect_silence();
    assert_healed(&site, "news", BACKLOG + i64::try_from(ROUNDS / 5).unwrap());
}
