//! One chunk of 200 MB: npvr beside `curl --parallel` and `ffmpeg -c copy`, in turns, on one disk.
//!
//! npvr says of a chunk that it is archived only when a power cut cannot take it away. So what the others wrote is brought to
//! the disk too, in the cheapest way there is (one syncfs(2) for all files), and that time counts as theirs. What they take
//! without it is printed beside: then they stop before the disk has the media, and npvr does not.

use std::fs::{self, File};
use std::path::Path;

use npvr::clock::{self, Tick};

use crate::cost::{Cost, cost, empty, heading, spread};
use crate::media::{Media, SECONDS};
use crate::{Figure, NPVR, Result, folder};

/// How often each is run.
const ROUNDS: usize = 7;
/// npvr's own default, and curl's for this bench.
const CONNECTIONS: &str = "4";

/// A run, and how long fsync took after it.
struct Run {
    cost: Cost,
    sync_s: f64,
}

impl Run {
    fn durable_s(&self) -> f64 {
        self.cost.wall_s + self.sync_s
    }
}

/// Captures a chunk as npvr, curl and ffmpeg do it.
pub(crate) fn capture() -> Result<Vec<Figure>> {
    let media = Media::serve(clock::now())?;
    let out = folder("capture")?;
    let (mut npvr, mut curl, mut ffmpeg) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        npvr.push(quietly(&out, || run_npvr(&media, &out))?);
        curl.push(quietly(&out, || run_curl(&media, &out))?);
        ffmpeg.push(quietly(&out, || run_ffmpeg(&media, &out))?);
    }
    heading(&format!("capture of {} MB, {ROUNDS} times, {CONNECTIONS} connections", media.bytes / 1_000_000));
    let wall = |runs: &[Run]| spread(runs.iter().map(|r| r.cost.wall_s));
    let durable = |runs: &[Run]| spread(runs.iter().map(Run::durable_s));
    for (name, runs) in [("npvr capture", &npvr), ("curl --parallel", &curl), ("ffmpeg -c copy", &ffmpeg)] {
        durable(runs).print(&format!("{name}, durable"), "s");
        wall(runs).print(&format!("{name}, until it ends"), "s");
        spread(runs.iter().map(|r| r.cost.cpu_s)).print(&format!("{name}, CPU"), "s");
    }
    let peak = spread(npvr.iter().map(|r| r.cost.peak_mb));
    peak.print("npvr capture, peak memory", "MB");
    let unsynced = |other: &[Run]| durable(&npvr).median / wall(other).median;
    println!(
        "  npvr beside curl that syncs nothing: {:.2} x; beside such an ffmpeg: {:.2} x",
        unsynced(&curl),
        unsynced(&ffmpeg)
    );
    let beside = |other: &[Run]| durable(&npvr).median / durable(other).median;
    Ok(vec![
        Figure {
            what: "capture beside curl --parallel, both durable",
            value: beside(&curl),
            unit: "x",
            limit: 1.3,
        },
        Figure {
            what: "capture beside ffmpeg -c copy, both durable",
            value: beside(&ffmpeg),
            unit: "x",
            limit: 1.0,
        },
        // The limit is in MiB.
        Figure { what: "capture, peak memory", value: peak.median, unit: "MB", limit: 67.0 },
    ])
}

/// Runs on an empty folder and a disk that has nothing left to write from the run before.
fn quietly(out: &Path, run: impl FnOnce() -> Result<Run>) -> Result<Run> {
    empty(out)?;
    rustix::fs::sync();
    run()
}

fn run_npvr(media: &Media, out: &Path) -> Result<Run> {
    let channels = out.join("channels.d");
    fs::create_dir(&channels)?;
    let channel = format!(
        "channel_url = {:?}\nchunk_duration = \"PT{SECONDS}S\"\nmax_rate = \"unlimited\"\nmax_connections = {CONNECTIONS}\n",
        media.manifest
    );
    fs::write(channels.join("bench.toml"), channel)?;
    let (config, state) = (out.display().to_string(), out.join("state"));
    let range = media.cell.to_string();
    let cost = cost(
        NPVR,
        ["--config", &config, "--state", &state.display().to_string(), "capture", "bench", &range],
    )?;
    let chunk = state.join("archive").join(media.cell.key("bench"));
    let bytes = chunk.metadata().map_err(|e| format!("{}: {e}", chunk.display()))?.len();
    // A chunk has its headers once, and they are not a hundredth of it.
    if bytes < media.bytes / 100 * 99 {
        return Err(format!("the chunk has {bytes} of {} bytes", media.bytes).into());
    }
    Ok(Run { cost, sync_s: 0.0 })
}

fn run_curl(media: &Media, out: &Path) -> Result<Run> {
    let segments = out.join("segments");
    fs::create_dir(&segments)?;
    let one = |url: &String| {
        let name = url.rsplit('/').next().unwrap_or_default();
        format!("url = {url:?}\noutput = {:?}\n", segments.join(name))
    };
    let list = out.join("curl.cfg");
    fs::write(&list, media.urls.iter().map(one).collect::<String>())?;
    let list = list.display().to_string();
    let cost = cost(
        "curl",
        [
            "--silent",
            "--show-error",
            "--fail",
            "--parallel",
            "--parallel-max",
            CONNECTIONS,
            "--config",
            &list,
        ],
    )?;
    Ok(Run { cost, sync_s: sync(&segments)? })
}

fn run_ffmpeg(media: &Media, out: &Path) -> Result<Run> {
    let copy = out.join("copy");
    fs::create_dir(&copy)?;
    let file = copy.join("copy.mp4").display().to_string();
    let said = ["-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-i", &media.manifest];
    let cost = cost("ffmpeg", said.into_iter().chain(["-map", "0", "-c", "copy", &file]))?;
    Ok(Run { cost, sync_s: sync(&copy)? })
}

/// Makes what was written to a folder survive a power cut; says how long that took.
fn sync(folder: &Path) -> Result<f64> {
    let began = Tick::now();
    rustix::fs::syncfs(File::open(folder)?)?;
    Ok(began.elapsed().as_secs_f64())
}
