//! `npvr prune`: what retention no longer keeps.

use serde::Serialize;

use super::bars;
use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::prune::{ChannelReport, Options, prune};
use crate::retention::{Decision, Fate, Total, Why};
use crate::words::{counted, human_bytes};

/// Delete what retention no longer keeps: a cron job, too
///
/// Deletes chunks that are older than archive_length, and the oldest where all of them are more than archive_size; never what
/// is held. Disabled channels too. Goes on where a killed run stopped, and clears up after dead runs. Says nothing where
/// nobody watches and nothing fails.
///
/// More than prune.max_fraction of a channel (20 %, if npvr.toml does not say otherwise) is not deleted without --force: a
/// clock that is wrong looks just like a long pause.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Channels to prune; all, if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print what would be deleted and why, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete it even if it is more of a channel than the fuse lets go
    #[arg(long)]
    force: bool,
    /// Print what was deleted (or would be) as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, places: &Places) -> Result<Exit> {
    let site = Site::open_silent(places)?;
    refuse_without_file(&site, &args.names)?;
    let channels = site.channels(&args.names)?;
    let options = Options { force: args.force, dry_run: args.dry_run, ..site.prune_options() };
    let watcher = bars::watcher();
    let reports = prune(site.place.clone(), channels.usable, &options, watcher).await;
    reports.iter().for_each(|report| complain(report, options.max_fraction));
    if args.json {
        out::json(&document(&reports))?;
    } else if args.dry_run {
        out::data(&reports.iter().map(would_go).collect::<String>())?;
    } else if out::is_watched() {
        reports.iter().filter(|r| r.error.is_none()).for_each(|report| out::say(summary(report)));
    }
    Ok(Exit::problem_if(channels.any_unusable || reports.iter().any(ChannelReport::has_problem)))
}

/// A channel whose file was removed is known to the ledger, and is not to look as if it had never been.
fn refuse_without_file(site: &Site, names: &[String]) -> Result<()> {
    let known = site.place.ledger.channels()?;
    let is_gone = |name: &&String| site.channel(name).is_err_and(|e| e.kind() == Kind::NotFound);
    match names.iter().filter(|name| known.contains(name)).find(is_gone) {
        Some(name) => Err(Error::new(
            Kind::NotFound,
            format!(
                "channel {name} has no file: how long its chunks are kept, and where they are, is not known"
            ),
        )
        .hint("they stay as they are; to prune them, put its file back")),
        None => Ok(()),
    }
}

/// Tells what failed, and of a fuse that bit.
fn complain(report: &ChannelReport, max_fraction: f64) {
    if let Some(error) = &report.error {
        out::complain_of(error);
    }
    if report.fuse {
        let (name, plan) = (&report.name, &report.plan);
        let (percent, most) = (plan.fraction() * 100.0, max_fraction * 100.0);
        let what = format!(
            "channel {name}: nothing is deleted: {} of {} would go, {percent:.0} % of the channel, and one run may take {most:.0} %",
            in_words(plan.going),
            in_words(plan.stored),
        );
        let hint = format!(
            "see what would go: npvr prune {name} --dry-run; if the clock and the limits are right: npvr prune {name} --force"
        );
        out::complain(what, Some(&hint));
    }
}

/// One line for the person who typed the command.
fn summary(report: &ChannelReport) -> String {
    let name = out::styled(out::STRONG, &report.name);
    if report.busy {
        return format!("{name}  another prune is at work on it");
    }
    let deleted = match report.deleted {
        Total { chunks: 0, .. } => "nothing deleted".to_owned(),
        some if report.left_over.chunks == 0 => format!("{}: {}", in_words(some), reasons(report)),
        some => format!("{}, some of them left over by an earlier run", in_words(some)),
    };
    let kept = if report.fuse { report.plan.stored } else { report.plan.kept() };
    let kept = format!("kept {}", in_words(kept));
    let parts: Vec<String> = [Some(deleted), Some(kept), held(report)].into_iter().flatten().collect();
    format!("{name}  {}", parts.join("; "))
}

/// `older than 7d`, and the same for the other limit, where they bite.
fn reasons(report: &ChannelReport) -> String {
    let going = || report.plan.decisions.iter().filter(|d| d.fate == Fate::Goes && d.bytes.is_some());
    let bites = |why: Why| going().any(|d| d.why == why).then(|| report.rules.say(why));
    [Why::TooOld, Why::OverSize].into_iter().filter_map(bites).collect::<Vec<_>>().join(", ")
}

/// What would be gone if it were not held.
fn held(report: &ChannelReport) -> Option<String> {
    let held = report.plan.held;
    (held.chunks > 0).then(|| format!("{} of them only because held", in_words(held)))
}

/// Every chunk that a limit bites, with the reason.
fn would_go(report: &ChannelReport) -> String {
    let going = match report.plan.going {
        Total { chunks: 0, .. } => "nothing would go".to_owned(),
        some => format!("{} would go", in_words(some)),
    };
    let (name, kept) = (out::styled(out::STRONG, &report.name), in_words(report.plan.kept()));
    let mut text = format!("{name}: {going}, {kept} would stay\n");
    if report.left_over.chunks > 0 {
        text +=
            &format!("  note: {} of an earlier run are still to be deleted\n", in_words(report.left_over));
    }
    for d in &report.plan.decisions {
        let bytes = d.bytes.map_or_else(|| "no chunk".to_owned(), human_bytes);
        let note = note(report, d).map(|note| format!(" ({note})")).unwrap_or_default();
        text += &format!("  {}  {bytes:>9}  {:<14}  {}{note}\n", d.cell, d.fate, report.rules.say(d.why));
    }
    text
}

/// What a person wrote beside the hold that keeps it.
fn note<'a>(report: &'a ChannelReport, decision: &Decision) -> Option<&'a str> {
    let Fate::Held(id) = decision.fate else { return None };
    report.holds.iter().find(|hold| hold.id.get() == id)?.note.as_deref()
}

fn in_words(total: Total) -> String {
    format!("{}, {}", counted(total.chunks, "chunk"), human_bytes(total.bytes))
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    channels: Vec<ChannelDocument>,
}

#[derive(Serialize)]
struct ChannelDocument {
    name: String,
    error: Option<String>,
    /// True if another prune was at work on it.
    busy: bool,
    /// True if more would go than may: nothing went.
    fuse: bool,
    /// The part of the channel that goes, by chunks or by bytes, from 0 to 1.
    fraction: f64,
    stored: Total,
    going: Total,
    held: Total,
    /// Discarded by an earlier run, and not deleted by it.
    left_over: Total,
    deleted: Total,
    cleared: ClearedDocument,
    /// Every row that a limit bites.
    plan: Vec<DecisionDocument>,
}

#[derive(Serialize)]
struct ClearedDocument {
    spool_files: u64,
    unfinished: u64,
    jobs: u64,
}

#[derive(Serialize)]
struct DecisionDocument {
    cell: Cell,
    /// `null` where nothing of the cell is stored.
    bytes: Option<u64>,
    why: Why,
    reason: String,
    fate: &'static str,
    /// The hold that keeps it.
    hold: Option<i64>,
}

fn document(reports: &[ChannelReport]) -> Document {
    Document { schema: 1, channels: reports.iter().map(channel_document).collect() }
}

fn channel_document(report: &ChannelReport) -> ChannelDocument {
    let plan = &report.plan;
    let cleared = report.cleared;
    ChannelDocument {
        name: report.name.clone(),
        error: report.error.as_ref().map(ToString::to_string),
        busy: report.busy,
        fuse: report.fuse,
        fraction: plan.fraction(),
        stored: plan.stored,
        going: plan.going,
        held: plan.held,
        left_over: report.left_over,
        deleted: report.deleted,
        cleared: ClearedDocument {
            spool_files: cleared.spool_files,
            unfinished: cleared.unfinished,
            jobs: cleared.jobs,
        },
        plan: plan.decisions.iter().map(|d| decision_document(report, d)).collect(),
    }
}

fn decision_document(report: &ChannelReport, d: &Decision) -> DecisionDocument {
    let (fate, hold) = match d.fate {
        Fate::Goes => ("goes", None),
        Fate::Held(id) => ("held", Some(id)),
        Fate::Busy => ("busy", None),
    };
    DecisionDocument { cell: d.cell, bytes: d.bytes, why: d.why, reason: report.rules.say(d.why), fate, hold }
}
