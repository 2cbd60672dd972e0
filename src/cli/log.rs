//! `npvr log JOB`.

use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::error::{Error, Kind, Result};
use crate::ledger::JobId;

/// Show the log of one capture
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the job, as `npvr status --jobs` shows it
    job: String,
}

pub(crate) fn run(args: &Args, places: &Places) -> Result<Exit> {
    let id: JobId = args.job.parse()?;
    let site = Site::open(places)?;
    let log = site.place.ledger.log(id)?;
    let log = log.ok_or_else(|| {
        Error::new(Kind::Usage, format!("there is no job {id}")).hint("npvr status --jobs lists the latest")
    })?;
    // Of a job that said much, the early lines are gone, and with them what it ran.
    let command = site.place.ledger.job(id)?.and_then(|job| job.command);
    if let Some(command) = command.filter(|command| !log.contains(command)) {
        out::data(&format!("runs: {command}\n"))?;
    }
    out::data(&log)?;
    Ok(Exit::Well)
}
