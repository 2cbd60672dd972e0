//! Another program, run in a process group of its own, for a limited time, with its standard error kept, and never longer than
//! npvr itself.
//!
//! A line above the ports, for what a program says is kept as the ledger keeps logs, and shown as URLs are shown; below
//! everything that runs one.
//!
//! Whatever happens, nothing of it goes on: the whole group is ended when the program has ended, when its time is up, and
//! when nobody waits any more. Should npvr be killed, the kernel ends the program: it is started by npvr once more, which asks
//! the kernel for that and then becomes the program ([`become_program`]). The kernel goes by the thread that started it, so
//! that thread waits until it has ended.

mod tail;

use std::env;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getppid, kill_process_group, set_parent_process_death_signal, waitid,
};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::time::{interval, sleep, timeout};

pub use tail::Tail;

use crate::error::{Context, Error, Kind, Result};
use crate::secret::Secret;

/// The hidden subcommand by which npvr becomes the program.
pub const BECOME: &str = "become-program";

/// How often what was said goes into the log.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How long the last words of a program that has ended are waited for: a child of it may hold on to the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Read at once, in bytes.
const BLOCK: usize = 64 << 10;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// Its time was up.
    TimedOut,
}

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The program's path, as [`find`] gives it.
    pub program: &'a Path,
    /// What it is given.
    pub args: &'a [String],
    /// A variable more in its environment.
    pub env: Option<(&'a str, &'a Secret)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Runs a program. `flush` gets what it says, again and again, as it may be shown. If this is dropped, the program is ended.
///
/// # Errors
/// If it cannot be started, or `flush` fails; it is ended then.
pub async fn run(
    order: &Order<'_>,
    tail: &mut Tail,
    mut flush: impl FnMut(&str) -> Result<()>,
) -> Result<End> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(BECOME).arg(std::process::id().to_string()).arg("--").arg(order.program).args(order.args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    if let Some((name, value)) = order.env {
        command.env(name, value.expose());
    }
    let group = Arc::new(Group::default());
    let _end_in_any_case = EndInAnyCase(Arc::clone(&group));
    let (tell, told) = oneshot::channel();
    let of_thread = Arc::clone(&group);
    let mut ending = tokio::task::spawn_blocking(move || watch(command, tell, &of_thread));
    let mut said = match told.await {
        Ok(stderr) => tokio::process::ChildStderr::from_std(stderr)?,
        // It could not be started, and the thread says why.
        Err(_) => return ended(ending.await, false),
    };
    let mut block = vec![0; BLOCK];
    let mut silent = false;
    let mut timed_out = false;
    let mut time_is_up = std::pin::pin!(sleep(order.timeout));
    let mut flushing = interval(FLUSH_EVERY);
    let end = loop {
        tokio::select! {
            read = said.read(&mut block), if !silent => match read {
                Ok(0) | Err(_) => silent = true,
                Ok(n) => tail.feed(&block[..n]),
            },
            end = &mut ending => break ended(end, timed_out)?,
            () = &mut time_is_up, if !timed_out => {
                timed_out = true;
                group.end();
            }
            _ = flushing.tick() => flush(&tail.take())?,
        }
    };
    hear_last_words(&mut said, tail).await;
    flush(&tail.take())?;
    Ok(end)
}

/// What the program had said before it ended, and nobody had read yet.
async fn hear_last_words(said: &mut tokio::process::ChildStderr, tail: &mut Tail) {
    let mut block = vec![0; BLOCK];
    let words = async {
        while let Ok(n @ 1..) = said.read(&mut block).await {
            tail.feed(&block[..n]);
        }
    };
    // Whoever still holds the pipe has left the group, and is none of ours.
    let _ = timeout(LAST_WORDS, words).await;
    tail.end_line();
}

type Joined = std::result::Result<io::Result<ExitStatus>, tokio::task::JoinError>;

fn ended(joined: Joined, timed_out: bool) -> Result<End> {
    let status = joined.map_err(|e| Error::new(Kind::Io, "the waiting thread was lost").caused_by(e))?;
    let status = status.context("start the program")?;
    Ok(match (timed_out, status.code()) {
        (true, _) => End::TimedOut,
        (false, Some(code)) => End::Exit(code),
        (false, None) => End::Signal(status.signal().unwrap_or_default()),
    })
}

/// Starts the program and waits until it has ended, and all of its group with it.
fn watch(
    mut command: Command,
    started: oneshot::Sender<ChildStderr>,
    group: &Group,
) -> io::Result<ExitStatus> {
    let mut child = command.spawn()?;
    let pid = Pid::from_child(&child);
    group.begin(pid);
    if let Some(stderr) = child.stderr.take() {
        // If nobody listens any more, the group is being ended.
        let _ = started.send(stderr);
    }
    // It stays a zombie until `wait`, so that its number, which is the group's, is nobody else's yet.
    while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        .is_err_and(|e| e == rustix::io::Errno::INTR)
    {}
    group.end();
    group.forget();
    child.wait()
}

/// The process group of the program.
#[derive(Default)]
struct Group(Mutex<(Option<Pid>, bool)>);

impl Group {
    fn begin(&self, pid: Pid) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = Some(pid);
        if state.1 {
            end(pid);
        }
    }

    /// Ends all of it; also if it begins later.
    fn end(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = true;
        state.0.iter().copied().for_each(end);
    }

    /// Its number is free for others from here on.
    fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }
}

fn end(group: Pid) {
    // Nothing of it is left: that is what was wanted.
    let _ = kill_process_group(group, Signal::KILL);
}

/// Ends the group when it is dropped: an error, or a capture that nobody waits for any more.
struct EndInAnyCase(Arc<Group>);

impl Drop for EndInAnyCase {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Where a program is: one of that name in the `PATH`, or at that path. `key` is what a channel file calls it.
///
/// # Errors
/// [`Kind::Config`] if there is none.
pub fn find(program: &str, key: &str) -> Result<PathBuf> {
    let is_program =
        |path: &Path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let missing = |where_: &str| {
        Error::new(Kind::Config, format!("there is no program {program}{where_}"))
            .hint(format!("install it, or give its whole path in {key} of the channel file"))
    };
    if program.contains('/') {
        let path = PathBuf::from(program);
        return if is_program(&path) { Ok(path) } else { Err(missing("")) };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|path| is_program(path));
    found.ok_or_else(|| missing(&format!(" in the PATH, which is {}", path.display())))
}

/// Becomes `program`, which the kernel ends when its parent ends; `parent` is the number of that process. Comes back only if
/// that fails.
pub fn become_program(parent: u32, program: &str, args: &[String]) -> Error {
    if let Err(e) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return Error::from(io::Error::from(e)).context("ask to be ended with npvr");
    }
    // Between our start and that request npvr may have gone.
    let alive = getppid().map(|pid| pid.as_raw_nonzero().get());
    if alive != i32::try_from(parent).ok() {
        return Error::new(Kind::Io, "npvr is gone");
    }
    Error::from(Command::new(program).args(args).exec()).context(format!("run {program}"))
}
