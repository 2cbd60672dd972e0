//! What running a program costs: wall time, CPU time and peak memory, and the medians of several runs.
//!
//! The kernel tells a process the CPU time and the peak memory of its dead children, all of them together. So each program
//! is run by a copy of this bench that has no other child, and is small itself.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use npvr::clock::Tick;

use crate::Result;

/// The first argument of that copy.
pub(crate) const MEASURE: &str = "--measure";

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    /// User and system, all threads.
    pub(crate) cpu_s: f64,
    /// Resident.
    pub(crate) peak_mb: f64,
}

/// Runs a program to its end, and says what it cost.
///
/// # Errors
/// If it cannot be run, or fails.
pub(crate) fn cost<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<Cost> {
    let mut copy = Command::new(std::env::current_exe()?);
    copy.arg(MEASURE).arg(program).args(args);
    let output = copy.output()?;
    let told = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("{program} failed: {}", told.trim()).into());
    }
    let mut numbers = told.split_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next().ok_or("no measure")?.map_err(|_| "no number");
    Ok(Cost { wall_s: next()?, cpu_s: next()?, peak_mb: next()? })
}

/// What the copy does: runs the program, prints what it cost. What the program has to say is told only if it fails.
pub(crate) fn measure(command: &[String]) -> ExitCode {
    let Some((program, args)) = command.split_first() else { return ExitCode::FAILURE };
    let began = Tick::now();
    let output = Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).output();
    let wall_s = began.elapsed().as_secs_f64();
    let (Ok(output), Ok(usage)) = (output, getrusage(UsageWho::RUSAGE_CHILDREN)) else {
        return ExitCode::FAILURE;
    };
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stderr));
        return ExitCode::FAILURE;
    }
    let us = |t: nix::sys::time::TimeVal| t.tv_sec() * 1_000_000 + t.tv_usec();
    let cpu_s = Duration::from_micros((us(usage.user_time()) + us(usage.system_time())).unsigned_abs());
    // Linux counts the peak in KiB.
    let peak_mb = usage.max_rss() * 1024 / 1_000_000;
    println!("{wall_s} {} {peak_mb}", cpu_s.as_secs_f64());
    ExitCode::SUCCESS
}

/// How much memory this process has by now, in KiB.
pub(crate) fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}

/// The least, the middle and the greatest of some numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// Spreads numbers, of which there is at least one.
pub(crate) fn spread(numbers: impl IntoIterator<Item = f64>) -> Spread {
    let mut all: Vec<f64> = numbers.into_iter().collect();
    all.sort_by(f64::total_cmp);
    let at = |i: usize| all.get(i).copied().unwrap_or(f64::NAN);
    Spread { min: at(0), median: at(all.len() / 2), max: at(all.len().saturating_sub(1)) }
}

impl Spread {
    /// Prints a line of figures, in thousandths where they are small.
    pub(crate) fn print(self, what: &str, unit: &str) {
        let Spread { min, median, max } = self;
        println!("  {what:<44} {min:>8.3} {median:>8.3} {max:>8.3} {unit}");
    }
}

/// The heading over lines of [`Spread::print`].
pub(crate) fn heading(what: &str) {
    println!("\n{what:<46} {:>8} {:>8} {:>8}", "min", "median", "max");
}

/// Empties a folder, which is there afterwards.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(std::fs::create_dir_all(folder)?)
}
