//! `npvr serve-smil`, as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, Ran, Site, kill, until};

/// A running server. It is killed when it is dropped.
pub(crate) struct Serving {
    process: Child,
    /// `host:port`; of a socket in the file system, `unix:/path`.
    pub(crate) authority: String,
    stdout: Said,
    stderr: Said,
}

/// What a stream of the process has said so far.
#[derive(Clone, Default)]
struct Said(Arc<(Mutex<(String, bool)>, Condvar)>);

impl Said {
    /// Reads on for ever: a process whose talk nobody reads stands still.
    fn of(stream: impl Read + Send + 'static) -> Said {
        let said = Said::default();
        let kept = said.clone();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stream);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
                kept.0.0.lock().unwrap().0.push_str(&line);
                kept.0.1.notify_all();
                line.clear();
            }
            kept.0.0.lock().unwrap().1 = true;
            kept.0.1.notify_all();
        });
        said
    }

    /// All of it, as soon as `is_enough`, or when the process has ended.
    fn when(&self, is_enough: impl Fn(&str) -> bool) -> String {
        let said = self.0.0.lock().unwrap();
        let (said, waited) = self
            .0
            .1
            .wait_timeout_while(said, PATIENCE, |(text, is_over)| !*is_over && !is_enough(text))
            .unwrap();
        assert!(!waited.timed_out(), "it has only said: {}", said.0);
        said.0.clone()
    }
}

impl Serving {
    /// Starts it on a free port, with these arguments besides, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(site: &Site, more: &[&str]) -> Serving {
        let args = ["serve-smil", "--listen", "127.0.0.1:0"].iter().chain(more);
        Serving::of(site.command(args))
    }

    /// What `command` starts, which is a server in the end.
    #[track_caller]
    pub(crate) fn of(mut command: Command) -> Serving {
        let mut process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let stdout = Said::of(process.stdout.take().unwrap());
        let stderr = Said::of(process.stderr.take().unwrap());
        let line = stdout.when(|text| text.contains('\n'));
        let address = line.lines().next().unwrap_or_else(|| panic!("it ended: {}", stderr.when(|_| false)));
        let authority = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Serving { process, authority, stdout, stderr }
    }

    /// Standard output, as soon as `is_enough`.
    pub(crate) fn stdout(&self, is_enough: impl Fn(&str) -> bool) -> String {
        self.stdout.when(is_enough)
    }

    /// Standard error, as soon as `is_enough`.
    pub(crate) fn stderr(&self, is_enough: impl Fn(&str) -> bool) -> String {
        self.stderr.when(is_enough)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits for its end, and for all that it said.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ran {
        let (stdout, stderr) = (self.stdout.when(|_| false), self.stderr.when(|_| false));
        let code = self.process.wait().unwrap().code();
        Ran { code, stdout, stderr }
    }

    /// Ends it as systemd does.
    #[track_caller]
    pub(crate) fn stop(self) -> Ran {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Resident memory, in KiB, and open descriptors, at this moment.
    pub(crate) fn uses(&self) -> (u64, usize) {
        let proc = format!("/proc/{}", self.pid());
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib = resident.split_whitespace().next().unwrap().parse().unwrap();
        (kib, std::fs::read_dir(format!("{proc}/fd")).unwrap().count())
    }

    /// Waits until it has no more than so many descriptors open.
    #[track_caller]
    pub(crate) fn settles_at(&self, descriptors: usize) {
        until("its descriptors are closed", || self.uses().1 <= descriptors);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        kill(self.process.id());
        let _ = self.process.wait();
    }
}
