//! The `npvr` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    npvr::cli::main()
}
