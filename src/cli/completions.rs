//! `npvr completions SHELL`.

use clap::CommandFactory;

use super::exit::Exit;
use super::{Cli, out};
use crate::error::Result;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "npvr", &mut script);
    out::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Well)
}
