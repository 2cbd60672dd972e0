//! `npvr check`: the cron job.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::capture::{BEFORE_THE_ARCHIVE, Captured};
use crate::check::{ChannelReport, Done, Options, check, shortages};
use crate::clock::{self, Tick};
use crate::error::{Context, Result};
use crate::grid::Cell;
use crate::ledger::Gap;
use crate::metrics;
use crate::plan::{Action, Decision, Standing, urgency};
use crate::time::{Range, human_duration, parse_duration};
use crate::words::{counted, human_bytes};

/// What a person should know of [`Captured::Deleting`].
pub(super) const DELETING: &str =
    "its former chunk is being deleted first: npvr prune brings that to its end";

/// Find and capture what the archive lacks: the cron job
///
/// Asks every enabled channel (or those named) what its window still holds, and captures what is not archived yet; what
/// would be lost first goes first. Says nothing where there is nothing to say; what fails or is lost is told on standard
/// error, and makes exit code 3, once.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Channels to check; all that are enabled, if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print what was done (or would be) as one JSON document
    #[arg(long, conflicts_with = "every")]
    json: bool,
    /// Go on, one check every so often, for windows that are shorter than cron's minute
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "dry_run")]
    every: Option<Duration>,
    /// Write what monitoring reads into this file after each check, for the textfile collector of node_exporter
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    textfile: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, places: &Places) -> Result<Exit> {
    let site = Site::open(places)?;
    let Some(every) = args.every else { return once_and_measured(&args, &site).await };
    loop {
        let began = Tick::now();
        // What fails in one round is told, and the next round goes on; only a site that cannot be used ends the loop.
        once_and_measured(&args, &site).await?;
        tokio::time::sleep(every.saturating_sub(began.elapsed())).await;
    }
}

/// A check, and what monitoring wants to know after it, however it ended. A file that cannot be written stops nothing.
async fn once_and_measured(args: &Args, site: &Site) -> Result<Exit> {
    let exit = once(args, site).await;
    let Some(file) = &args.textfile else { return exit };
    let written = site.metrics(clock::now()).and_then(|families| metrics::write(file, &families));
    let Err(error) = written.context("textfile") else { return exit };
    out::complain_of(&error);
    exit.map(|_| Exit::Problem)
}

async fn once(args: &Args, site: &Site) -> Result<Exit> {
    let channels = site.channels(&args.names)?;
    let options = Options { dry_run: args.dry_run, ..site.check_options() };
    let reports = check(site.place.clone(), channels.enabled(&args.names), &options).await;
    reports.iter().for_each(complain);
    complain_of_space(&reports, site);
    if args.json {
        out::json(&document(&reports))?;
    } else if args.dry_run {
        out::data(&plan_table(&reports))?;
    } else if out::is_watched() && args.every.is_none() {
        out::say(summary(&reports));
    }
    Ok(Exit::problem_if(channels.any_unusable || reports.iter().any(ChannelReport::has_problem)))
}

/// Tells what failed or was lost, if that is news.
pub(super) fn complain(report: &ChannelReport) {
    if let Some(error) = &report.error {
        out::complain_of(error);
    }
    for done in report.done.iter().filter(|d| d.is_problem()) {
        let of_chunk = |what: &str| format!("channel {}: chunk {}: {what}", report.name, done.decision.cell);
        match &done.result {
            Err(error) => out::complain_of(error),
            Ok(Captured::Partial { .. }) => {
                let hint = format!("all gaps: npvr status --gaps {}", report.name);
                let gaps = in_words(&gaps_told(done));
                out::complain(of_chunk(&format!("stored with gaps: {gaps}")), Some(&hint));
            }
            Ok(_) => {}
        }
    }
    complain_of_losses(report);
}

/// Tells which folder has too little space, what that held up, and what it will cost when.
pub(super) fn complain_of_space(reports: &[ChannelReport], site: &Site) {
    for shortage in shortages(reports) {
        let (folder, free) = (shortage.folder.display(), human_bytes(shortage.free_bytes));
        let least = human_bytes(site.place.min_free_bytes);
        let held_up = format!(
            "{} of {} not captured",
            counted(shortage.cells, "chunk"),
            counted(shortage.channels, "channel")
        );
        let loss = shortage
            .first_loss
            .map(|(at, name)| format!("; the first ({name}) is lost from {}", at.floor_s()));
        let hint = "free some space, or lower [state] min_free in npvr.toml";
        out::complain(
            format!(
                "{folder}: {free} are free, less than min_free ({least}): {held_up}{}",
                loss.unwrap_or_default()
            ),
            Some(hint),
        );
    }
}

/// Tells what was lost: after a long pause that is many chunks, which are told as one where they join.
fn complain_of_losses(report: &ChannelReport) {
    let mut lost: Vec<&Decision> =
        report.done.iter().filter(|d| matches!(d.result, Ok(Captured::Lost))).map(|d| &d.decision).collect();
    lost.sort_by_key(|d| d.cell);
    for run in lost.chunk_by(|a, b| a.cell.end() == b.cell.start() && a.reason == b.reason) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let range = Range::new(first.cell.start(), last.cell.end());
        let chunks = counted(run.len() as u64, "chunk");
        let hint = "check more often than the window is long; npvr status shows what else is at risk";
        out::complain(
            format!("channel {}: {range}: {chunks} lost: {}", report.name, first.reason),
            Some(hint),
        );
    }
}

/// The gaps of a chunk that are worth telling: not what was gone before the archive began.
fn gaps_told(done: &Done) -> Vec<&Gap> {
    match &done.result {
        Ok(Captured::Partial { gaps, .. }) => {
            gaps.iter().filter(|g| g.reason != BEFORE_THE_ARCHIVE).collect()
        }
        _ => Vec::new(),
    }
}

fn in_words(gaps: &[&Gap]) -> String {
    let one = |g: &&Gap| format!("{} lacks {} ({})", g.track, human_duration(g.range.duration()), g.reason);
    let shown: Vec<String> = gaps.iter().take(3).map(one).collect();
    match gaps.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

/// One line for the person who typed the command.
fn summary(reports: &[ChannelReport]) -> String {
    let done = || reports.iter().flat_map(|r| &r.done);
    let count = |of: &str| done().filter(|d| word(d) == of).count();
    // The first chunk of an archive lacks what was gone before it began, and nothing else.
    let whole = done().filter(|d| word(d) == "partial" && gaps_told(d).is_empty()).count();
    let counts = [
        (count("complete") + whole, "archived"),
        (count("partial") - whole, "stored with gaps"),
        (count("piece"), "begun"),
        (count("lost"), "lost"),
        (count("failed"), "failed"),
        (count("no_space"), "not captured for want of space"),
    ];
    let told: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let told =
        if told.is_empty() { "nothing new".to_owned() } else { format!("chunks: {}", told.join(", ")) };
    format!("{} checked; {told}", counted(reports.len() as u64, "channel"))
}

/// What would be done, the most urgent first; what is archived is only counted.
fn plan_table(reports: &[ChannelReport]) -> String {
    let mut text = String::new();
    for report in reports.iter().filter(|r| r.error.is_none()) {
        let (archived, mut rest): (Vec<&Decision>, Vec<&Decision>) =
            report.decisions.iter().partition(|d| d.standing == Standing::Archived);
        rest.sort_by_key(|d| urgency(d));
        text += &format!("{}: {} archived\n", out::styled(out::STRONG, &report.name), archived.len());
        for note in &report.notes {
            text += &format!("  note: {note}\n");
        }
        for d in rest {
            let what = match d.action {
                Some(Action::Capture) => "capture",
                Some(Action::CapturePiece) => "capture a piece",
                Some(Action::WriteOff) => "write off",
                None => "-",
            };
            let deadline = d.deadline.map(|at| format!("; lost from {}", at.floor_s())).unwrap_or_default();
            text += &format!("  {}  {:<14}  {what:<15}  {}{deadline}\n", d.cell, d.standing, d.reason);
        }
    }
    text
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    channels: Vec<ChannelDocument<'a>>,
}

#[derive(Serialize)]
struct ChannelDocument<'a> {
    name: &'a str,
    error: Option<String>,
    notes: &'a [String],
    /// Every cell that is not archived.
    plan: Vec<&'a Decision>,
    done: Vec<DoneDocument>,
}

#[derive(Serialize)]
struct DoneDocument {
    cell: Cell,
    result: &'static str,
    problem: bool,
    message: Option<String>,
}

fn document(reports: &[ChannelReport]) -> Document<'_> {
    Document { schema: 1, channels: reports.iter().map(channel_document).collect() }
}

fn channel_document(report: &ChannelReport) -> ChannelDocument<'_> {
    ChannelDocument {
        name: &report.name,
        error: report.error.as_ref().map(ToString::to_string),
        notes: &report.notes,
        plan: report.decisions.iter().filter(|d| d.standing != Standing::Archived).collect(),
        done: report.done.iter().map(done_document).collect(),
    }
}

fn done_document(done: &Done) -> DoneDocument {
    let message = match &done.result {
        Err(e) => Some(e.to_string()),
        Ok(Captured::Partial { .. }) => Some(in_words(&gaps_told(done))),
        Ok(Captured::Deleting) => Some(DELETING.to_owned()),
        Ok(Captured::NoSpace(space)) => {
            Some(format!("{} has {} free", space.folder.display(), human_bytes(space.free_bytes)))
        }
        Ok(_) => None,
    };
    DoneDocument { cell: done.decision.cell, result: word(done), problem: done.is_problem(), message }
}

/// What came of a decision, in a word.
pub(super) fn word(done: &Done) -> &'static str {
    match &done.result {
        Ok(Captured::Busy) => "busy",
        Ok(Captured::AlreadyThere) => "already_there",
        Ok(Captured::Deleting) => "deleting",
        Ok(Captured::NoSpace(_)) => "no_space",
        Ok(Captured::Piece) => "piece",
        Ok(Captured::Complete) => "complete",
        Ok(Captured::Partial { .. }) => "partial",
        Ok(Captured::Lost) => "lost",
        Err(_) => "failed",
    }
}
