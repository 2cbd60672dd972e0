//! A run of a program, with the most memory that it held.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::{PATIENCE, Ran, kill, ran};

/// How often the memory of a run is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Runs a command to its end; its output, and its peak resident memory in MiB. Panics if it takes longer than
/// [`PATIENCE`], after ending it.
#[track_caller]
pub(crate) fn measured(mut command: Command) -> (Ran, u64) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let pid = child.id();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let mut peak_kib = 0;
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        // The kernel keeps the peak, so looking now and then misses next to nothing. After the end there is none.
        peak_kib = peak_kib.max(peak(pid).unwrap_or(0));
        match told.recv_timeout(LOOK) {
            Ok(output) => return (ran(&output.unwrap()), peak_kib / 1024),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    kill(pid);
    panic!("{command:?} hung; so far it had said {:?}", told.recv_timeout(PATIENCE));
}

/// In KiB; `None` if the process is over.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
