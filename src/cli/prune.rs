//! `npvr prune`: what retention no longer keeps.

use serde::Serialize;

use super::bars;
use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::error::{Error, Kind, Result};
use crate::prune::{ChannelReport, Options, prune, told};
use crate::retention::{Decision, Fate};
use crate::words::human_bytes;

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
    for report in &reports {
        report.error.iter().for_each(out::complain_of);
        report.fuse_error(options.max_fraction).iter().for_each(out::complain_of);
    }
    if args.json {
        out::json(&document(&reports))?;
    } else if args.dry_run {
        out::data(&reports.iter().map(would_go).collect::<String>())?;
    } else if out::is_watched() {
        for report in reports.iter().filter(|r| r.error.is_none()) {
            out::say(format_args!("{}  {}", out::styled(out::STRONG, &report.name), report.summary()));
        }
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

/// Every chunk that a limit bites, with the reason.
fn would_go(report: &ChannelReport) -> String {
    let mut text = format!("{}: {}\n", out::styled(out::STRONG, &report.name), report.forecast());
    if report.left_over.chunks > 0 {
        text += &format!(
            "  note: {} of an earlier run are still to be deleted\n",
            told::in_words(report.left_over)
        );
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

#[derive(Serialize)]
struct Document {
    schema: u32,
    channels: Vec<told::Document>,
}

fn document(reports: &[ChannelReport]) -> Document {
    Document { schema: 1, channels: reports.iter().map(|report| report.document(usize::MAX)).collect() }
}
