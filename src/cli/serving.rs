//! A server as a process: its signals, its log, its descriptors, and what systemd is told of it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::out;
use crate::error::{Context, Result};
use crate::http::{AccessLog, Listener, Server, systemd};

/// Descriptors that are not for connections: the ledger, chunks that are read, and so on.
const OTHERS: u64 = 128;

/// Serves until a signal asks for an end.
pub(super) async fn run(server: Server, listeners: Vec<Listener>) -> Result<()> {
    let mut ends = Ends { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? };
    let mut hang_ups = on(SignalKind::hangup())?;
    let addresses: String = listeners.iter().map(|l| format!("{}\n", l.address())).collect();
    out::data(&addresses)?;
    systemd::ready();
    let log = server.log.clone();
    let (stop, stopped) = oneshot::channel();
    let serving = server.run(listeners, async { drop(stopped.await) });
    let ending = async {
        ends.next().await;
        systemd::stopping();
        let _ = stop.send(());
        if out::is_watched() {
            out::say("answers that are under way end; Ctrl-C again ends at once");
        }
        ends.next().await;
    };
    let reopening = async {
        while hang_ups.recv().await.is_some() {
            if let Some(log) = &log {
                log.reopen();
            }
        }
    };
    let meanwhile = async { tokio::join!(reopening, systemd::live_on()) };
    tokio::select! {
        () = serving => {}
        () = ending => {}
        _ = meanwhile => {}
    }
    Ok(())
}

/// The signals that end a server.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn on(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("wait for signals")
}

/// The access log in `file`; `-` is standard output.
pub(super) fn access_log(file: &Path) -> Result<AccessLog> {
    let file = PathBuf::from(file);
    AccessLog::start(Box::new(move || {
        if file.as_os_str() == "-" {
            return Ok(Box::new(std::io::stdout()) as Box<dyn Write + Send>);
        }
        // Addresses of people are not for every user of this host.
        let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(&file);
        Ok(Box::new(opened.with_context(|| format!("access log {}", file.display()))?))
    }))
}

/// How many of `wanted` connections there are descriptors for, after asking for as many as we may have.
pub(super) fn room_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return wanted };
    let most = descriptors.saturating_sub(OTHERS).max(descriptors / 2).max(1);
    wanted.min(usize::try_from(most).unwrap_or(usize::MAX))
}
