//! The exit codes, and which error has which.

use crate::error::{Error, Kind};

/// How the program ends. Documented in the README; scripts rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All well. A channel that another run is busy with is well.
    Well = 0,
    /// Could not run.
    CouldNotRun = 1,
    /// Used in a way that makes no sense. clap ends with this code too.
    Usage = 2,
    /// Ran, and something failed, was lost, or is wrong.
    Problem = 3,
}

impl Exit {
    /// The code for an error that ended the program.
    pub(crate) fn of(error: &Error) -> Exit {
        match error.kind() {
            Kind::Usage => Exit::Usage,
            _ => Exit::CouldNotRun,
        }
    }

    /// [`Exit::Problem`] if there was one.
    pub(crate) fn problem_if(problem: bool) -> Exit {
        if problem { Exit::Problem } else { Exit::Well }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}
