//! `npvr capture NAME START--END`.

use super::check::{DELETING, complain, complain_of_space, word};
use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::capture::Captured;
use crate::check::{Options, check};
use crate::error::{Error, Kind, Result};
use crate::plan::Standing;
use crate::time::Range;

/// Capture one range now
///
/// Captures every cell that touches the range, as far as the source still holds it. A chunk that is complete is left alone;
/// one that is partial is replaced only by one that covers more.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Channel
    name: String,
    /// Range in UTC, like 2018-12-06T12:55:00Z--2018-12-06T13:00:00Z
    #[arg(value_name = "START--END")]
    range: String,
    /// Also what is not due yet, waits for a retry, or was pruned
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(args: Args, places: &Places) -> Result<Exit> {
    let range: Range = args.range.parse()?;
    let site = Site::open(places)?;
    let channel = site.channel(&args.name)?;
    let options = Options { within: Some(range), force: args.force, ..site.check_options() };
    let reports = check(site.place.clone(), vec![channel], &options).await;
    let Some(report) = reports.first() else { return Ok(Exit::Well) };
    complain(report);
    complain_of_space(&reports, &site);
    if report.error.is_none() && report.decisions.is_empty() {
        let what = format!("channel {}: {range} is not in its archive's span", args.name);
        return Err(Error::new(Kind::Usage, what).hint(
            "npvr status shows from when on it is archived; what was pruned comes back by --force, if the source still has it",
        ));
    }
    let mut missing = false;
    for decision in &report.decisions {
        let done = report.done.iter().find(|d| d.decision.cell == decision.cell);
        let told = match done {
            Some(done) if matches!(done.result, Ok(Captured::Deleting)) => DELETING.to_owned(),
            Some(done) => word(done).replace('_', " "),
            None => format!("{}: {}", decision.standing, decision.reason),
        };
        missing |= done.is_none() && decision.standing != Standing::Archived;
        out::data(&format!("{}  {told}\n", decision.cell))?;
    }
    Ok(Exit::problem_if(missing || report.has_problem()))
}
