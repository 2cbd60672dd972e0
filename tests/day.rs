//! A day in the life of an archive, in minutes: a simulated channel whose clock the test sets, checks that overlap and are
//! killed at random, a store that goes away, an origin that has bad moments and holes.
//!
//! In the end every cell is whole or told as gap, what is stored reads back, and nothing else is there. Half an hour of the
//! channel is run each time; `NPVR_DAY_MINUTES=1440` makes it the whole day.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the figures of a long run are for people")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use common::home::Home;
use common::live::{CELL_S, Live, for_media};
use common::random::Random;
use common::s3::S3Server;
use common::{PATIENCE, Site};
use npvr::capture::BEFORE_THE_ARCHIVE;
use npvr::ledger::{Ledger, State};
use npvr::sim::{Class, Fault, FaultKind};
use npvr::time::{Range, Ranges, Time};
use tokio::time::timeout;

/// The clock goes on by up to so many seconds between two rounds.
const LONGEST_STEP_S: u64 = 600;
/// Checks at once.
const PROCESSES: usize = 3;
/// The longest life of a process that is killed, in milliseconds.
const LONGEST_MS: u64 = 2_000;
/// What the origin holds: less than the longest row of bad rounds would need.
const WINDOW: Duration = Duration::from_secs(3_600);
/// A track that has holes now and then.
const HOLED: &str = "audio_nld=64000";

fn length() -> Duration {
    let minutes = std::env::var("NPVR_DAY_MINUTES").map_or(30, |text| text.parse().unwrap());
    Duration::from_secs(minutes * 60)
}

/// What happened, for the figures.
#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    killed: usize,
    outages: usize,
    holes: usize,
    codes: BTreeMap<i32, usize>,
}

struct Day {
    live: Live,
    site: Site,
    home: Home,
    random: Random,
    /// Where [`HOLED`] has none.
    holes: Ranges,
    tally: Tally,
}

impl Day {
    fn begin(home: Home) -> Day {
        let live = Live::with(1, |options| options.window = WINDOW);
        live.go_on(-(length().as_secs() as i64));
        let site = Site::new();
        // A margin of some rounds: what fails in one has its chance in others.
        let more = "margin = \"PT30M\"\narchive_length = \"P3D\"";
        site.channel("news", live.url("news"), &format!("{more}\n{}", home.lines()));
        Day { live, site, home, random: Random::new(7), holes: Ranges::none(), tally: Tally::default() }
    }

    /// The origin's bad moments for the time until the next round. Holes stay: what it never had it never has.
    fn trouble(&mut self) {
        let now = self.live.now();
        if self.random.below(2) == 0 {
            let start = now.minus(Duration::from_secs(30 + self.random.below(60)));
            let hole = Range::new(start, start.plus(Duration::from_secs(3 + self.random.below(20))));
            self.holes.add(hole);
            self.tally.holes += 1;
        }
        let mut faults = self.holes();
        let all = Range::new(Time::EPOCH, Time::MAX);
        let share = |kind, share| Fault { share, times: Some(2), ..for_media(kind, all) };
        match self.random.below(5) {
            0 => faults.push(share(FaultKind::Status(503), 0.2)),
            1 => faults.push(share(FaultKind::Reset, 0.1)),
            2 => faults.push(for_media(FaultKind::Delay(Duration::from_millis(20)), all)),
            3 => faults.push(Fault {
                class: Some(Class::Archive),
                times: Some(2),
                ..Fault::new(FaultKind::Status(500))
            }),
            _ => {}
        }
        self.live.set_faults(faults);
    }

    fn holes(&self) -> Vec<Fault> {
        let hole =
            |range: &Range| Fault { track: Some(HOLED.into()), range: *range, ..Fault::new(FaultKind::Gap) };
        self.holes.as_slice().iter().map(hole).collect()
    }

    /// Some checks at once. Each may be killed at any moment.
    async fn round(&mut self) {
        let outage = self.random.below(8) == 0;
        if outage {
            self.tally.outages += 1;
            self.home.set_away(&self.site, true);
        }
        let mut lives = tokio::task::JoinSet::new();
        for n in 0..PROCESSES {
            // Beside the checks, now and then, what else a crontab runs.
            let args: &[&str] = match (n, self.random.below(4)) {
                (0, 0) => &["prune"],
                (0, 1) => &["verify", "--budget", "20MB"],
                _ => &["check"],
            };
            let life = match self.random.below(2) {
                0 => Duration::from_millis(self.random.below(LONGEST_MS)),
                _ => PATIENCE,
            };
            let mut child =
                tokio::process::Command::from(self.site.command(args)).kill_on_drop(true).spawn().unwrap();
            lives.spawn(async move {
                if timeout(life, child.wait()).await.is_err() {
                    child.start_kill().unwrap();
                }
                (life < PATIENCE, child.wait_with_output().await.unwrap())
            });
        }
        while let Some(ended) = lives.join_next().await {
            let (may_be_killed, output) = ended.unwrap();
            match output.status.code() {
                None if may_be_killed => self.tally.killed += 1,
                Some(code @ (0 | 3)) => *self.tally.codes.entry(code).or_default() += 1,
                _ => panic!("{output:?}"),
            }
        }
        if outage {
            self.home.set_away(&self.site, false);
        }
        self.tally.rounds += 1;
    }

    /// The trouble is over: what waits for its next attempt gets it.
    fn settle(&self) {
        self.live.set_faults(self.holes());
        let range = format!("{}--{}", self.live.now().minus(WINDOW), self.live.now());
        let ran = self.site.run(["capture", "news", &range, "--force"]);
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        self.site.check().expect_silence();
    }

    fn assert_whole(&self) {
        let ledger = self.site.ledger();
        let all = Range::new(Time::EPOCH, Time::MAX);
        let since = ledger.since("news").unwrap().unwrap();
        let rows = ledger.cells("news", all).unwrap();
        let end = self.live.end();
        let cells = rows.iter().filter(|row| row.cell.end() <= end);
        assert_eq!(cells.clone().count() as i64, (end.s() - since.s() / CELL_S * CELL_S) / CELL_S, "cells");
        for row in cells {
            let gaps: Vec<_> = ledger.gaps("news", row.cell.range()).unwrap();
            let gaps: Vec<_> =
                gaps.into_iter().filter(|gap| gap.cell == row.cell).map(|gap| gap.gap).collect();
            let is_told = |gap: &npvr::ledger::Gap| {
                let is_hole = gap.track.starts_with("audio_nld") && !self.holes.clip(gap.range).is_empty();
                is_hole || gap.reason == BEFORE_THE_ARCHIVE
            };
            match row.state {
                State::Complete => assert_eq!(gaps, []),
                State::Partial => assert!(!gaps.is_empty() && gaps.iter().all(is_told), "{row:?}: {gaps:?}"),
                _ => panic!("{row:?}: {gaps:?}"),
            }
        }
        assert_eq!(self.site.spool(), Vec::<PathBuf>::new());
        self.site.run(["verify", "--deep"]).expect_silence();
        let keys: Vec<String> = rows.into_iter().filter_map(|row| Some(row.stored?.key)).collect();
        assert_eq!(keys, self.home.objects(&self.site), "rows, and objects");
    }
}

#[test]
fn a_day_of_kills_outages_and_overlapping_runs_leaves_every_cell_whole_or_told_as_gap_and_nothing_else() {
    live_through(Home::Disk);
}

#[test]
fn a_day_in_a_bucket_leaves_every_cell_whole_or_told_as_gap_and_nothing_else() {
    live_through(Home::Bucket(S3Server::start()));
}

fn live_through(home: Home) {
    let mut day = Day::begin(home);
    // What the origin holds at first is at the edge of its window, and lost with the first bad round.
    day.site.check().expect_silence();
    let end = day.live.now().plus(length());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    while day.live.now() < end {
        day.trouble();
        runtime.block_on(day.round());
        let step = i64::try_from(1 + day.random.below(LONGEST_STEP_S)).unwrap();
        day.live.go_on(step.min(end.s() - day.live.now().s()));
    }
    day.settle();
    day.assert_whole();
    let Tally { rounds, killed, holes, .. } = &day.tally;
    assert!(*rounds > 3 && *killed > 0 && *holes > 0, "{:?}", day.tally);
    println!("{:?}, {holes} holes: {:?}", length(), day.tally);
}
