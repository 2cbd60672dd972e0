//! `npvr status`.

use std::time::Duration;

use super::exit::Exit;
use super::out;
use super::screen::{render, render_gaps, render_jobs};
use super::site::{Places, Site};
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::status::{jobs, status};

/// How often `--watch` looks again.
const REDRAW: Duration = Duration::from_secs(1);

/// Show what is archived, what is missing, what is at risk, and what runs
///
/// Reads the ledger only; what it says of a source is what the last check saw.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Channels to show; all, if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// List the latest captures
    #[arg(long, conflicts_with = "gaps")]
    jobs: bool,
    /// List everything that is missing, with track, range and reason
    #[arg(long)]
    gaps: bool,
    /// How many jobs to list
    #[arg(long, value_name = "N", default_value_t = 20, requires = "jobs")]
    limit: u32,
    /// Redraw every second, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

pub(crate) async fn run(args: Args, places: &Places) -> Result<Exit> {
    let site = Site::open(places)?;
    if !args.watch {
        return show(&args, &site);
    }
    if !out::is_terminal() {
        let error = Error::new(Kind::Usage, "status --watch redraws a terminal, and standard output is none");
        return Err(error.hint("leave out --watch"));
    }
    loop {
        out::data(&out::redraw(&text(&args, &site)?))?;
        tokio::time::sleep(REDRAW).await;
    }
}

fn show(args: &Args, site: &Site) -> Result<Exit> {
    if !args.json {
        out::data(&text(args, site)?)?;
    } else if args.jobs {
        out::json(&jobs(&site.place, &args.names, args.limit)?)?;
    } else {
        out::json(&status(&site.place, &site.channels(&args.names)?.usable, clock::now())?)?;
    }
    Ok(Exit::Well)
}

fn text(args: &Args, site: &Site) -> Result<String> {
    if args.jobs {
        return Ok(render_jobs(&jobs(&site.place, &args.names, args.limit)?));
    }
    let channels = site.channels(&args.names)?;
    if channels.usable.is_empty() && !channels.any_unusable {
        return Ok("there is no channel yet: npvr channel add NAME --url URL\n".to_owned());
    }
    let status = status(&site.place, &channels.usable, clock::now())?;
    Ok(if args.gaps { render_gaps(&status) } else { render(&status) })
}
