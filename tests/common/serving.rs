//! `npvr serve-smil`, as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};

use super::{Site, kill};

/// A running server. It is killed when it is dropped.
pub(crate) struct Serving {
    process: Child,
    /// `host:port`.
    pub(crate) authority: String,
    // Kept open: a server may say more.
    _stdout: BufReader<ChildStdout>,
}

impl Serving {
    /// Starts it on a free port, with these arguments besides, and waits until it listens.
    pub(crate) fn start(site: &Site, more: &[&str]) -> Serving {
        let args = ["serve-smil", "--listen", "127.0.0.1:0"].iter().chain(more);
        let mut process = site.command(args).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let authority = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
        let authority = authority.unwrap_or_else(|| panic!("it said {line:?}")).to_owned();
        Serving { process, authority, _stdout: stdout }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        kill(self.process.id());
        let _ = self.process.wait();
    }
}
