//! `npvr config show`.

use clap::Subcommand;

use super::exit::Exit;
use super::out::{self, FAINT, styled};
use super::site::{Places, name};
use crate::error::Result;

/// Show the configuration that is in force
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the values of a channel, and where each came from; secrets are left out
    Show {
        /// Channel
        name: String,
    },
}

pub(crate) fn run(args: &Args, places: &Places) -> Result<Exit> {
    let Command::Show { name: text } = &args.command;
    let channel = places.configuration()?.load(&name(text)?)?;
    for setting in channel.effective() {
        let origin = styled(FAINT, format!("# {}", setting.origin));
        out::data(&format!("{:<18} = {:<24} {origin}\n", setting.key, setting.shown))?;
    }
    Ok(Exit::Well)
}
