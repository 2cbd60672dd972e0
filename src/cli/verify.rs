//! `npvr verify`.

use serde::Serialize;

use super::exit::Exit;
use super::out;
use super::site::{Places, Site, WithoutFile};
use super::verify_bar;
use crate::channel::parse_size;
use crate::error::Result;
use crate::verify::{ChannelReport, Options, told, verify};
use crate::words::{counted, human_bytes};

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
            out::data(&report.mended_lines())?;
            if out::is_watched() {
                out::say(format_args!("{}  {}", out::styled(out::STRONG, &report.name), report.summary()));
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

/// Tells what is wrong, and stays so.
fn complain(report: &ChannelReport) {
    report.error.iter().for_each(out::complain_of);
    report.complaints().iter().for_each(out::complain_of);
    for note in &report.notes {
        out::say(format_args!("channel {}: {note}", report.name));
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    channels: Vec<told::Document>,
    /// Channels of which chunks are stored, and that have no file.
    without_file: Vec<WithoutFileDocument<'a>>,
}

#[derive(Serialize)]
struct WithoutFileDocument<'a> {
    name: &'a str,
    chunks: u64,
    bytes: u64,
}

fn document<'a>(reports: &[ChannelReport], without_file: &'a [WithoutFile]) -> Document<'a> {
    let without_file = without_file.iter().map(|channel| WithoutFileDocument {
        name: &channel.name,
        chunks: channel.report.complete + channel.report.partial,
        bytes: channel.report.bytes,
    });
    Document {
        schema: 1,
        channels: reports.iter().map(|report| report.document(usize::MAX)).collect(),
        without_file: without_file.collect(),
    }
}
