//! `npvr sim`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::exit::Exit;
use super::out;
use crate::error::{Context, Result};
use crate::sim::{Options, parse_script, serve};
use crate::time::parse_duration;

/// Run a simulated live origin, to rehearse with
///
/// Any name is a channel on it: a publishing point at /NAME/NAME.isml, and plain DASH at /NAME/manifest.mpd. A script makes
/// things go wrong: gaps, errors, resets, short bodies, slowness, a shrinking window, a wrong clock, a restart.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Let other hosts in; there is no access control
    #[arg(long)]
    allow_remote: bool,
    /// How long media can be asked for
    #[arg(long, value_name = "DURATION", default_value = "PT1H", value_parser = parse_duration)]
    window: Duration,
    /// How much of it a plain manifest shows
    #[arg(long, value_name = "DURATION", default_value = "PT1M", value_parser = parse_duration)]
    dvr_window: Duration,
    /// What goes wrong, in TOML; the README tells how
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Decides which requests a fault with a share strikes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

pub(crate) async fn run(args: Args) -> Result<Exit> {
    let defaults = Options::default();
    let faults = match &args.script {
        Some(path) => {
            let named = || format!("script {}", path.display());
            let text = std::fs::read_to_string(path).with_context(named)?;
            parse_script(&text, (defaults.clock)()).with_context(named)?
        }
        None => Vec::new(),
    };
    let sim = serve(Options {
        listen: args.listen,
        allow_remote: args.allow_remote,
        window: args.window,
        dvr_window: args.dvr_window,
        faults,
        seed: args.seed,
        ..defaults
    })
    .await?;
    out::data(&format!("{}\n{}\n", sim.url("news"), sim.plain_url("news")))?;
    out::say("any other name is a channel too; Ctrl-C ends it");
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")?;
    sim.stop().await;
    Ok(Exit::Well)
}
