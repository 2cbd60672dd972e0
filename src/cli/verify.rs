//! `npvr verify`.

use serde::Serialize;

use super::exit::Exit;
use super::out;
use super::site::{Places, Site, WithoutFile};
use super::verify_bar;
use crate::channel::parse_size;
use crate::error::Result;
use crate::grid::Cell;
use crate::verify::{ChannelReport, Finding, Options, What, verify};
use crate::words::{counted, human_bytes};

/// So many findings of one kind are printed for a channel; the rest is counted.
const MOST_LINES: usize = 10;

/// Hold the ledger against the store, and repair what can be
///
/// Finds chunks that are missing, that nobody knows, or that have another length, by listing the store; with --deep it also
/// reads chunks back: bytes, boxes, times, and whether they join. A bad chunk that the source still holds is captured
/// again. Says nothing where all is well; what is wrong is told on standard error, and makes exit code 3.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Channels to verify; all, if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Read chunks back, too
    #[arg(long)]
    deep: bool,
    /// Read at most so much, like 50GB, what was read longest ago first; means --deep
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    budget: Option<u64>,
    /// Write down chunks that the ledger does not know, and write off those that are gone
    #[arg(long)]
    repair: bool,
    /// Change nothing: print what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, places: &Places) -> Result<Exit> {
    let site = Site::open_silent(places)?;
    let channels = site.channels(&args.names)?;
    let without_file = if args.names.is_empty() { site.without_file()? } else { Vec::new() };
    let options = Options {
        deep: args.deep || args.budget.is_some(),
        budget: args.budget,
        repair: args.repair,
        dry_run: args.dry_run,
        ..site.verify_options()
    };
    let reports = verify(site.place.clone(), channels.usable, &options, verify_bar::watcher()).await;
    if args.json {
        out::json(&document(&reports, &without_file))?;
    }
    for report in &reports {
        complain(report);
        if !args.json {
            out::data(&mended(report))?;
            if out::is_watched() {
                out::say(summary(report));
            }
        }
    }
    if out::is_watched() && !args.json {
        for WithoutFile { name, report } in &without_file {
            let (chunks, bytes) =
                (counted(report.complete + report.partial, "chunk"), human_bytes(report.bytes));
            out::say(format_args!(
                "{name}: it has no channel file, so its {chunks}, {bytes}, were not verified"
            ));
        }
    }
    Ok(Exit::problem_if(channels.any_unusable || reports.iter().any(ChannelReport::has_problem)))
}

/// Tells what is wrong, and stays so, by kind.
fn complain(report: &ChannelReport) {
    if let Some(error) = &report.error {
        out::complain_of(error);
    }
    for what in What::ALL {
        let wrong = || report.findings.iter().filter(|f| f.what == *what && !f.mended);
        let count = wrong().count();
        if count == 0 {
            continue;
        }
        let mut text = format!("channel {}: {what}: {count}", report.name);
        for finding in wrong().take(MOST_LINES) {
            text += &format!("\n  {}", in_words(finding));
        }
        if count > MOST_LINES {
            let more = count - MOST_LINES;
            text += &format!("\n  and {more} more: npvr verify --json {}", report.name);
        }
        out::complain(text, remedy(*what, &report.name).as_deref());
    }
    let untold = report.found - report.findings.len() as u64;
    if untold > 0 {
        out::complain(
            format!("channel {}: {untold} findings more, not listed one by one", report.name),
            None,
        );
    }
    for note in &report.notes {
        out::say(format_args!("channel {}: {note}", report.name));
    }
}

/// `KEY: what is wrong: what was done`.
fn in_words(finding: &Finding) -> String {
    let repair = finding.repair.as_ref().map(|done| format!(": {done}")).unwrap_or_default();
    format!("{}: {}{repair}", finding.key, finding.message)
}

fn remedy(what: What, name: &str) -> Option<String> {
    match what {
        What::Missing => {
            Some(format!("what cannot be captured again is written off by: npvr verify --repair {name}"))
        }
        What::Size | What::Hash | What::Boxes => Some(format!(
            "bring the file back from a copy; if there is none, delete it, and have it written off: npvr verify --repair {name}"
        )),
        What::Index | What::Gap => {
            Some(format!("by what is in the file: npvr verify --deep --repair {name}"))
        }
        What::Unfinished => Some(format!("npvr check {name}")),
        What::Foreign => {
            Some("what is none of npvr's is never touched; move it away, or leave it".to_owned())
        }
        What::Times | What::Joint | What::Overlap => None,
    }
}

/// What was wrong, and is not any more.
fn mended(report: &ChannelReport) -> String {
    let mut text = String::new();
    for what in What::ALL {
        let all = || report.findings.iter().filter(|f| f.what == *what && f.mended);
        for finding in all().take(MOST_LINES) {
            text += &format!("{}  {what}  {}\n", report.name, in_words(finding));
        }
        let more = all().count().saturating_sub(MOST_LINES);
        if more > 0 {
            text += &format!("{}  {what}  {more} more, all mended\n", report.name);
        }
    }
    text
}

/// One line for the person who typed the command.
fn summary(report: &ChannelReport) -> String {
    let mut text = format!(
        "{}  {}, {}",
        out::styled(out::STRONG, &report.name),
        counted(report.chunks, "chunk"),
        human_bytes(report.bytes)
    );
    if report.read > 0 {
        text += &format!("; {} read back, {}", report.read, human_bytes(report.read_bytes));
    }
    text += &match report.found {
        _ if report.error.is_some() => "; not all of it could be verified".to_owned(),
        0 => "; all as it should be".to_owned(),
        found => format!("; {} wrong, {} mended", found, report.mended),
    };
    if report.garbage > 0 {
        let objects = counted(report.garbage, "object");
        text += &format!("; {objects} still to be deleted: npvr prune {}", report.name);
    }
    text
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    channels: Vec<ChannelDocument<'a>>,
    /// Channels of which chunks are stored, and that have no file.
    without_file: Vec<WithoutFileDocument<'a>>,
}

#[derive(Serialize)]
struct ChannelDocument<'a> {
    name: &'a str,
    error: Option<String>,
    chunks: u64,
    bytes: u64,
    read: u64,
    read_bytes: u64,
    garbage: u64,
    found: u64,
    mended: u64,
    notes: &'a [String],
    findings: Vec<FindingDocument<'a>>,
}

#[derive(Serialize)]
struct FindingDocument<'a> {
    invariant: u8,
    kind: What,
    key: &'a str,
    cell: Option<Cell>,
    message: &'a str,
    repair: Option<&'a str>,
    mended: bool,
}

#[derive(Serialize)]
struct WithoutFileDocument<'a> {
    name: &'a str,
    chunks: u64,
    bytes: u64,
}

fn document<'a>(reports: &'a [ChannelReport], without_file: &'a [WithoutFile]) -> Document<'a> {
    let without_file = without_file.iter().map(|channel| WithoutFileDocument {
        name: &channel.name,
        chunks: channel.report.complete + channel.report.partial,
        bytes: channel.report.bytes,
    });
    Document {
        schema: 1,
        channels: reports.iter().map(channel_document).collect(),
        without_file: without_file.collect(),
    }
}

fn channel_document(report: &ChannelReport) -> ChannelDocument<'_> {
    ChannelDocument {
        name: &report.name,
        error: report.error.as_ref().map(ToString::to_string),
        chunks: report.chunks,
        bytes: report.bytes,
        read: report.read,
        read_bytes: report.read_bytes,
        garbage: report.garbage,
        found: report.found,
        mended: report.mended,
        notes: &report.notes,
        findings: report.findings.iter().map(finding_document).collect(),
    }
}

fn finding_document(finding: &Finding) -> FindingDocument<'_> {
    FindingDocument {
        invariant: finding.what.invariant(),
        kind: finding.what,
        key: &finding.key,
        cell: finding.cell,
        message: &finding.message,
        repair: finding.repair.as_deref(),
        mended: finding.mended,
    }
}
