//! Where a test can kill the program: a name for each instant between two effects.
//!
//! "A kill at any instant loses nothing" is a promise that is easy to make. In a debug build, the environment variable
//! `NPVR_FAILPOINT` names one of [`STEPS`], and the process that comes there kills itself, as SIGKILL would: nothing is
//! flushed, dropped or said. `tests/kill.rs` walks all of them. In a release build [`reach`] is nothing.

/// Every instant, by procedure and number; the numbers are those of the procedure's own list of effects.
pub const STEPS: &[&str] = &[
    // Capture, after each step of the order of effects in `capture`.
    "capture-1-locked",
    "capture-2-claimed",
    "capture-3-written",
    "capture-4-finished",
    "capture-5-put",
    "capture-6-committed",
    // Putting into a disk store, after each step of `store::disk`.
    "disk-2-placed",
    "disk-3-synced",
    "disk-4-renamed",
    // Putting into an S3 store, after each step of `store::s3`.
    "s3-1-initiated",
    "s3-2-part",
    "s3-3-parts",
    "s3-4-completed",
    // Pruning, after each step of `prune`.
    "prune-1-discarded",
    "prune-2-deleted",
    "prune-3-forgotten",
    // Repairing, after each step of `verify`'s repair.
    "repair-1-read",
    "repair-2-written",
];

/// Kills the process, if this is a debug build and `NPVR_FAILPOINT` names `step`.
pub fn reach(step: &'static str) {
    debug_assert!(STEPS.contains(&step), "{step} is not in the list");
    if cfg!(debug_assertions) && std::env::var_os("NPVR_FAILPOINT").is_some_and(|named| named == step) {
        // It cannot fail for one's own process, and if it did the test would see a process that lives on.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
