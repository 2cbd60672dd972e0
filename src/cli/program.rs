//! `npvr become-program`: not for people. npvr starts itself by it, to run another program that ends when npvr does.

use crate::error::Result;
use crate::program::become_program;

use super::exit::Exit;

/// Become another program, which ends when its parent ends
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the parent process
    parent: u32,
    /// The path of the program
    program: String,
    /// What it is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<Exit> {
    Err(become_program(args.parent, &args.program, &args.args))
}
