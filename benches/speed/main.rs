//! How fast npvr is, beside what else would do the work: `cargo bench`.
//!
//! Machines differ and are shared, so what counts is a ratio of two things that were run in turns, several times, in this
//! same run; medians are compared. Beside the ratios stand limits in seconds, which no other program gives a measure
//! for. Each line says whether its limit is met; the exit code is 1 if one is not.
//!
//! Names after `--` choose among `bytes`, `capture`, `check`, `claim`, `dash`, `hls`, `mp4`, `overview`, `plan`, `prune`, `reel`, `serve`, `start` and `upload`; all
//! by default. Needs nginx, curl, ffmpeg, wrk and aws (`pip install awscli`). What it makes (200 MB of media, and 1 GB of
//! anything, once) is under `target/speed`.

#![allow(clippy::print_stdout, reason = "printing figures is what a bench is for")]

mod archive;
mod bytes;
mod capture;
mod cost;
mod dash;
mod hls;
mod ledger;
mod media;
mod mp4;
mod overview;
mod reel;
mod serve;
mod small;
mod upload;

use std::path::PathBuf;
use std::process::ExitCode;

/// Anything may fail here, and ends the run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// One of the things that are measured.
type Part = fn() -> Result<Vec<Figure>>;

/// The program under test.
const NPVR: &str = env!("CARGO_BIN_EXE_npvr");

/// A figure with the limit that it has to keep.
struct Figure {
    what: &'static str,
    value: f64,
    unit: &'static str,
    limit: f64,
}

impl Figure {
    fn is_met(&self) -> bool {
        self.value <= self.limit
    }
}

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == cost::MEASURE) {
        return cost::measure(&args[1..]);
    }
    match args.first().map(String::as_str) {
        Some(upload::SERVE) => return upload::serve(&args[1..]),
        Some(upload::PUT) => return upload::put(&args[1..]),
        _ => {}
    }
    // Cargo says so to every bench.
    args.retain(|a| a != "--bench");
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            println!("the bench itself failed: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; true if all of it keeps its limits.
fn run(names: &[String]) -> Result<bool> {
    let parts: [(&str, Part); 14] = [
        ("start", small::start),
        ("plan", small::plan_a_week),
        ("prune", archive::plan_of_a_prune),
        ("check", archive::check_with_nothing_new),
        ("claim", ledger::claim),
        ("overview", overview::overview),
        ("reel", reel::reel),
        ("hls", hls::hls),
        ("dash", dash::dash),
        ("mp4", mp4::mp4),
        ("serve", serve::serve),
        ("bytes", bytes::bytes),
        ("capture", capture::capture),
        ("upload", upload::upload),
    ];
    if let Some(unknown) = names.iter().find(|n| parts.iter().all(|(name, _)| name != n)) {
        return Err(format!(
            "no part is called {unknown}: there are start, plan, prune, check, claim, overview, reel, hls, dash, mp4, serve, bytes, capture and upload"
        )
        .into());
    }
    let mut figures = Vec::new();
    for (name, part) in parts {
        if names.is_empty() || names.iter().any(|n| n == name) {
            figures.extend(part()?);
        }
    }
    println!("\n{:<58} {:>10} {:>10}", "figure", "measured", "limit");
    for figure in &figures {
        let Figure { what, value, unit, limit } = figure;
        let verdict = if figure.is_met() { "met" } else { "MISSED" };
        println!("{what:<58} {value:>7.2} {unit:<2} {limit:>7.2} {unit:<2}  {verdict}");
    }
    Ok(figures.iter().all(Figure::is_met))
}

/// Where everything that is made goes: on the disk of the build.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("speed").join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
