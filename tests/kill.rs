//! Killed at any moment, whatever it was doing, the program loses nothing and needs no hand: the next run carries on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use common::Site;
use common::live::{CELL_S, Live, SETTLE_S, for_media};
use common::random::Random;
use npvr::ledger::{JobFilter, Ledger};
use npvr::sim::{Class, Fault, FaultKind};
use npvr::time::{Range, Time};
use rusqlite::Connection;
use tokio::time::timeout;

/// Processes at once.
const PROCESSES: u64 = 20;
/// Rounds.
const ROUNDS: u64 = 50;
/// The length of a cell.
const CELL: Duration = Duration::from_secs(CELL_S.unsigned_abs());
/// The longest life of a process, in milliseconds.
const LONGEST_MS: u64 = 900;

/// How often each end came.
#[derive(Debug, Default)]
struct Ends {
    killed: usize,
    well: usize,
}

/// Runs `PROCESSES` checks at once and kills each at its moment; those that end before it must have ended well.
async fn round(site: &Site, random: &mut Random) -> Ends {
    let mut lives = tokio::task::JoinSet::new();
    for _ in 0..PROCESSES {
        let mut command = tokio::process::Command::from(site.command(["check"]));
        let life = Duration::from_millis(random.below(LONGEST_MS));
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
    // And the cell in which the archive begins.
    assert_eq!(counts["complete"], complete + 1, "{counts}");
    for other in ["partial", "capturing", "failed", "lost"] {
        assert_eq!(counts[other], 0, "{counts}");
    }
    assert!(status["gaps"].as_array().unwrap().is_empty(), "{}", status["gaps"]);
    let running = JobFilter::running(None, 10);
    assert_eq!(site.ledger().jobs(&running).unwrap(), vec![], "jobs that are said to run");
    assert_eq!(site.spool(), Vec::<PathBuf>::new());
    site.assert_sound(name);
}

#[test]
fn twenty_overlapping_checks_killed_at_random_moments_fifty_times_leave_every_cell_whole() {
    const BACKLOG: i64 = 10;
    let live = Live::with(BACKLOG, |options| options.window = Duration::from_secs(3_600));
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    let window = Duration::from_secs((BACKLOG * CELL_S + SETTLE_S + 4).unsigned_abs());
    // Everything lasts long enough to be struck in the middle, on a fast machine too.
    let all = Range::new(Time::EPOCH, Time::MAX);
    let slow = for_media(FaultKind::Delay(Duration::from_millis(80)), all);
    let late =
        Fault { class: Some(Class::Archive), ..Fault::new(FaultKind::Delay(Duration::from_millis(150))) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut ends = Ends::default();
    let mut random = Random::new(1);
    for n in 0..ROUNDS {
        // A new cell each time, so that there is always something to do. Nothing leaves the window: it grows.
        let window = Fault::new(FaultKind::Window(window + CELL * u32::try_from(n).unwrap()));
        live.set_faults([slow.clone(), late.clone(), window]);
        let Ends { killed, well } = runtime.block_on(round(&site, &mut random));
        ends = Ends { killed: ends.killed + killed, well: ends.well + well };
        live.go_on(if n + 1 < ROUNDS { CELL_S } else { 0 });
    }
    assert!(ends.killed >= 200, "many were killed: {ends:?}");
    let died = site.jobs().iter().filter(|job| job["outcome"] == "died").count();
    assert!(died >= 15, "many of those while they captured: {died} jobs died");

    site.check().expect_silence();
    assert_healed(&site, "news", BACKLOG + i64::try_from(ROUNDS).unwrap() - 1);
}

/// A site with one cell that was captured up to a step of the order of effects, and killed there.
///
/// The store refuses the chunk at first: that leaves a finished spool, with its progress in the ledger, as a kill after
/// step 4 does. What the row says of a failed attempt is taken back by hand.
struct Killed {
    live: Live,
    site: Site,
}

impl Killed {
    fn after_finishing_the_spool() -> Killed {
        let live = Live::holding(1);
        let site = Site::new();
        site.channel("news", live.url("news"), "");
        site.check().expect_silence();
        live.go_on(CELL_S);
        // A file where the channel's folder should be.
        let (folder, aside) = (site.archive().join("news"), site.archive().join("aside"));
        fs::rename(&folder, &aside).unwrap();
        fs::write(&folder, "").unwrap();
        let told = site.check().expect(3);
        assert!(told.stderr.contains("archive/news/"), "{}", told.stderr);
        fs::remove_file(&folder).unwrap();
        fs::rename(&aside, &folder).unwrap();
        let killed = Killed { live, site };
        killed.sql(
            "UPDATE job SET outcome = 'running', ended_ns = NULL, message = NULL WHERE outcome = 'failed';
             UPDATE chunk SET state = 'capturing', attempts = 0, retry_at_ns = NULL, reason = NULL
                 WHERE state = 'failed';",
        );
        killed
    }

    fn sql(&self, text: &str) {
        Connection::open(self.site.state().join("ledger.db")).unwrap().execute_batch(text).unwrap();
    }

    /// The one spool file.
    fn spool(&self) -> PathBuf {
        let spool = self.site.spool();
        assert_eq!(spool.len(), 1, "{spool:?}");
        spool[0].clone()
    }

    /// Where the chunk of the spool file belongs.
    fn object(&self) -> PathBuf {
        let name = self.spool().with_extension("ismv").file_name().unwrap().to_str().unwrap().to_owned();
        self.site.archive().join("news").join(&name[..10]).join(name)
    }

    /// One check heals it, and needs no segment for it that is in the spool already.
    #[track_caller]
    fn assert_heals(&self, most_segments: u64) {
        let before = self.live.requests();
        self.site.check().expect_silence();
        let asked = self.live.requests_since(before);
        assert!(asked.segment <= most_segments, "{asked:?}");
        assert_healed(&self.site, "news", 2);
    }
}

#[test]
fn killed_before_the_chunk_is_put_the_next_run_puts_it() {
    Killed::after_finishing_the_spool().assert_heals(0);
}

#[test]
fn killed_while_the_chunk_is_put_the_next_run_puts_it_and_clears_up() {
    let killed = Killed::after_finishing_the_spool();
    let unfinished = killed.object().with_file_name(".tmp-killed");
    fs::hard_link(killed.spool(), unfinished).unwrap();
    killed.assert_heals(0);
}

#[test]
fn killed_after_the_chunk_is_put_the_next_run_writes_it_down() {
    let killed = Killed::after_finishing_the_spool();
    fs::hard_link(killed.spool(), killed.object()).unwrap();
    killed.assert_heals(0);
}

#[test]
fn killed_after_the_commit_the_next_run_deletes_the_spool() {
    let killed = Killed::after_finishing_the_spool();
    let (spool, object) = (killed.spool(), killed.object());
    killed.assert_heals(0);
    fs::hard_link(object, spool).unwrap();
    killed.assert_heals(0);
}

/// Cuts the spool so many bytes before the end of its fragments, as a kill while it was written does, before anything of it
/// was written down.
#[track_caller]
fn torn(bytes_off: usize, most_segments: u64) {
    let killed = Killed::after_finishing_the_spool();
    let spool = killed.spool();
    let bytes = fs::read(&spool).unwrap();
    let end = bytes.windows(4).rposition(|w| w == b"mfra").unwrap() - 4;
    fs::write(&spool, &bytes[..end.saturating_sub(bytes_off)]).unwrap();
    killed.sql("UPDATE chunk SET progress = NULL");
    killed.assert_heals(most_segments);
}

#[test]
fn killed_while_fragments_are_written_the_next_run_fetches_what_is_not_whole() {
    // The last segment of each track may be torn, and is asked for again; so is the one before it, which the cut reaches.
    torn(0, 4);
    torn(1, 5);
    torn(9_000, 8);
}

#[test]
fn killed_before_the_first_byte_the_next_run_fetches_all() {
    torn(usize::MAX, 24);
}

#[test]
fn killed_while_the_header_was_replaced_the_next_run_clears_up() {
    let killed = Killed::after_finishing_the_spool();
    fs::write(killed.spool().with_extension("new"), "half a header").unwrap();
    killed.site.check().expect_silence();
    assert_healed(&killed.site, "news", 2);
}
