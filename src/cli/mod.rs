//! The command line: one file a subcommand, each with its help, its arguments and a `run`; exit codes; the only printing.

mod bars;
mod bucket;
mod capture;
mod channel;
mod check;
mod clip;
mod clip_file;
mod completions;
mod config;
mod demo;
mod exit;
mod hold;
mod ledger;
mod log;
mod out;
mod program;
mod prune;
mod screen;
mod serve_smil;
mod serving;
mod sign;
mod sim;
mod site;
mod status;
mod verify;
mod verify_bar;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use self::exit::Exit;
use self::site::Places;
use crate::error::{Context, Result};
use crate::program::BECOME;

/// Turns live channels into a permanent archive, from a cron line.
#[derive(Debug, Parser)]
#[command(name = "npvr", version, disable_help_subcommand = true, after_help = AFTER_HELP)]
struct Cli {
    /// Configuration folder, with channels.d in it
    #[arg(long, global = true, value_name = "DIR", help_heading = "Folders")]
    config: Option<PathBuf>,
    /// State folder: ledger, spool, and the archive of channels without a store of their own
    #[arg(long, global = true, value_name = "DIR", help_heading = "Folders")]
    state: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 all well, 1 could not run, 2 usage, 3 ran, and something failed, was lost, or is wrong.
Start with: npvr channel add NAME --url URL; then let cron run: npvr check";

#[derive(Debug, Subcommand)]
enum Command {
    Channel(channel::Args),
    Check(check::Args),
    Capture(capture::Args),
    Clip(clip::Args),
    Status(status::Args),
    Log(log::Args),
    Prune(prune::Args),
    Hold(hold::Args),
    Verify(verify::Args),
    #[command(name = "serve-smil")]
    ServeSmil(serve_smil::Args),
    Sign(sign::Args),
    Ledger(ledger::Args),
    Config(config::Args),
    Sim(sim::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    #[command(name = BECOME, hide = true)]
    Become(program::Args),
}

/// Runs the program: parses the command line, calls the subcommand, and maps what comes back to an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = run(cli).unwrap_or_else(|error| {
        out::complain_of(&error);
        Exit::of(&error)
    });
    exit.into()
}

fn run(cli: Cli) -> Result<Exit> {
    let places = Places { config: cli.config, state: cli.state };
    match cli.command {
        Command::Channel(args) => block_on(channel::run(args, &places)),
        Command::Check(args) => block_on(check::run(args, &places)),
        Command::Capture(args) => block_on(capture::run(args, &places)),
        Command::Clip(args) => block_on(clip::run(args, &places)),
        Command::Status(args) => block_on(status::run(args, &places)),
        Command::Verify(args) => block_on(verify::run(args, &places)),
        Command::ServeSmil(args) => serve_smil::run(args, &places),
        Command::Sign(args) => sign::run(&args, &places),
        Command::Log(args) => log::run(&args, &places),
        Command::Hold(args) => hold::run(args, &places),
        Command::Ledger(args) => ledger::run(args, &places),
        Command::Prune(args) => block_on(prune::run(args, &places)),
        Command::Config(args) => config::run(&args, &places),
        Command::Sim(args) => block_on(sim::run(args)),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Completions(args) => completions::run(&args),
        Command::Become(args) => program::run(&args),
    }
}

/// How long what still runs in the background has when a subcommand is done: a thread may wait for a disk that hangs.
const GRACE: Duration = Duration::from_secs(2);

/// Runs a subcommand that waits for others. Ctrl-C just ends the process: everything here is safe to kill.
fn block_on(work: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("start the runtime")?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(GRACE);
    done
}
