//! Channels with a week of chunks each: a check of 500 with nothing new, which is what cron pays every minute, and the plan of
//! a prune of 1,000.
//!
//! The origin is the simulation, in a process of its own, whose CPU time does not count. One channel's week is written
//! through the ledger's port; the other channels are copies of its rows, since a million commits would take an hour of fsyncs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use npvr::clock;
use npvr::grid::Grid;
use npvr::ledger::{Claimed, Commit, Coverage, JobStats, Ledger, SqliteLedger, Stored};
use npvr::store::DiskStore;
use npvr::time::{Range, Time};

use crate::cost::{cost, empty, heading, spread};
use crate::{Figure, NPVR, Result, folder};

const CHECKED: u32 = 500;
const PRUNED: u32 = 1_000;
const ROUNDS: usize = 5;
const CHUNK: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// How long the archive is ahead of the clock, so that nothing becomes due while the bench runs.
const AHEAD: Duration = Duration::from_secs(3_600);

/// Checks 500 channels that have everything.
pub(crate) fn check_with_nothing_new() -> Result<Vec<Figure>> {
    let site = folder("check")?;
    empty(&site)?;
    let origin = Origin::start()?;
    write_channels(&site, CHECKED, &origin.url)?;
    write_ledger(&site, CHECKED, clock::now())?;
    DiskStore::open_or_create(&site.join("state").join("archive"))?;

    let (config, state) = (site.display().to_string(), site.join("state").display().to_string());
    let check = || cost(NPVR, ["--config", &config, "--state", &state, "check"]);
    // The first one meets a database that nobody has read yet.
    check()?;
    let costs = (0..ROUNDS).map(|_| check()).collect::<Result<Vec<_>>>()?;
    heading(&format!("check of {CHECKED} channels with nothing new, {ROUNDS} times"));
    let per_channel = spread(costs.iter().map(|c| c.cpu_s * 1_000.0 / f64::from(CHECKED)));
    per_channel.print("CPU a channel", "ms");
    spread(costs.iter().map(|c| c.wall_s)).print("all of it", "s");
    spread(costs.iter().map(|c| c.peak_mb)).print("peak memory", "MB");
    let what = "check with nothing new, CPU a channel";
    Ok(vec![Figure { what, value: per_channel.median, unit: "ms", limit: 10.0 }])
}

/// Decides what would go of 1,000 channels: a day of each, where the clock has gone on by one since the last prune. Nothing is
/// deleted; the program is measured from its start to its end, the reading of a thousand files included.
pub(crate) fn plan_of_a_prune() -> Result<Vec<Figure>> {
    let site = folder("prune")?;
    empty(&site)?;
    write_channels(&site, PRUNED, "http://127.0.0.1:1/live/news.isml")?;
    write_ledger(&site, PRUNED, clock::now().minus(DAY))?;
    let (config, state) = (site.display().to_string(), site.join("state").display().to_string());
    let plan = || cost(NPVR, ["--config", &config, "--state", &state, "prune", "--dry-run", "--json"]);
    plan()?;
    let costs = (0..ROUNDS).map(|_| plan()).collect::<Result<Vec<_>>>()?;
    heading(&format!("plan of a prune of {PRUNED} channels, a week each, a day goes, {ROUNDS} times"));
    let wall = spread(costs.iter().map(|c| c.wall_s));
    wall.print("all of it", "s");
    spread(costs.iter().map(|c| c.cpu_s)).print("CPU", "s");
    spread(costs.iter().map(|c| c.peak_mb)).print("peak memory", "MB");
    Ok(vec![Figure { what: "plan of a prune, 1,000 channels", value: wall.median, unit: "s", limit: 2.0 }])
}

/// The simulation, as long as this lives.
struct Origin {
    process: Child,
    /// The URL of a channel on it; any other name will do too.
    url: String,
}

impl Origin {
    fn start() -> Result<Origin> {
        let mut command = Command::new(NPVR);
        command.args(["sim", "--listen", "127.0.0.1:0", "--window", "PT12H"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut url = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        Ok(Origin { process, url: url.trim().to_owned() })
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(crate) fn name(number: u32) -> String {
    format!("bench-{number:03}")
}

pub(crate) fn write_channels(site: &Path, channels: u32, url: &str) -> Result<()> {
    let folder = site.join("channels.d");
    fs::create_dir_all(&folder)?;
    for number in 0..channels {
        let url = url.replace("news", &name(number));
        fs::write(folder.join(format!("{}.toml", name(number))), format!("channel_url = {url:?}\n"))?;
    }
    Ok(())
}

pub(crate) fn write_ledger(site: &Path, channels: u32, now: Time) -> Result<()> {
    println!("writing a week of {channels} channels…");
    let state = site.join("state");
    let ledger = SqliteLedger::open(&state)?;
    let since = now.minus(WEEK);
    for number in 0..channels {
        ledger.open_channel(&name(number), since, now)?;
    }
    let first = name(0);
    for cell in Grid::new(CHUNK)?.cells(Range::new(since, now.plus(AHEAD))) {
        let Claimed::Job { id, .. } = ledger.claim(&first, cell, "native", now, "bench", 1)? else {
            continue;
        };
        let key = cell.key(&first);
        let stored = Stored { coverage: Coverage::Complete, key, bytes: 200_000_000, sha256: [7; 32] };
        let (stats, gaps) = (JobStats::default(), &[]);
        let commit = Commit { stored: &stored, index: &[0; 64], gaps, stats, retry_at: None, message: None };
        ledger.commit(id, now, &commit)?;
    }
    drop(ledger);
    let copy = rusqlite::Connection::open(state.join("ledger.db"))?;
    // Nothing of it is worth an fsync; the version and the rows are as they would be.
    copy.pragma_update(None, "synchronous", "OFF")?;
    copy.execute_batch(
        "UPDATE channel SET longest_cell_s = (SELECT max(longest_cell_s) FROM channel);
         INSERT INTO chunk (channel_id, start_s, end_s, state, stored, key, bytes, sha256, updated_ns)
            SELECT c.id, k.start_s, k.end_s, k.state, k.stored, replace(k.key, 'bench-000', c.name), k.bytes, k.sha256, k.updated_ns
            FROM channel c CROSS JOIN chunk k WHERE c.name <> 'bench-000' AND k.channel_id = (SELECT id FROM channel WHERE name = 'bench-000');",
    )?;
    Ok(())
}
