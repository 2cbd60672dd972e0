//! What the integration tests share: a site of one's own, the real program in it, and origins to point it at.
//!
//! A test here is a user: it writes channel files, runs the program, and reads what comes out. It looks into the library
//! only where the question is whether what the program left behind is sound.
//!
//! Every wait has an end: a program that hangs fails its test, and does not hang the suite.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub(crate) mod front;
pub(crate) mod home;
pub(crate) mod live;
pub(crate) mod measure;
pub(crate) mod mp4;
pub(crate) mod random;
pub(crate) mod s3;
pub(crate) mod server;
pub(crate) mod serving;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// No run of the program in these tests may take longer, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A configuration folder and a state folder of one's own. Both go when it is dropped.
pub(crate) struct Site {
    dir: TempDir,
}

/// What a run of the program left on the terminal, had there been one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// Asserts the exit code, and shows everything that was said if it is another.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that all was well, and nothing was said.
    #[track_caller]
    pub(crate) fn expect_silence(self) {
        assert_eq!(self, Ran { code: Some(0), stdout: String::new(), stderr: String::new() });
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Site {
    /// An empty site.
    pub(crate) fn new() -> Site {
        let dir = tempfile::Builder::new().prefix("npvr-test-").tempdir().unwrap();
        fs::create_dir_all(dir.path().join("config/channels.d")).unwrap();
        Site { dir }
    }

    /// The configuration folder.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// The state folder. The program makes it.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The archive of channels without a store of their own.
    pub(crate) fn archive(&self) -> PathBuf {
        self.state().join("archive")
    }

    /// The file of a channel.
    pub(crate) fn channel_file(&self, name: &str) -> PathBuf {
        self.config().join("channels.d").join(format!("{name}.toml"))
    }

    /// Writes a channel: cells of ten seconds, no margin, no limit of speed, and then the lines of `more`.
    pub(crate) fn channel(&self, name: &str, url: impl std::fmt::Display, more: &str) {
        let basics = "chunk_duration = \"PT10S\"\narchive_length = \"PT2H\"\nmargin = \"PT0S\"\n\
                      max_rate = \"unlimited\"\n";
        let is_set = |line: &&str| {
            let key = line.split(' ').next().unwrap_or_default();
            !more.lines().any(|m| m.split(' ').next() == Some(key))
        };
        let basics: Vec<&str> = basics.lines().filter(is_set).collect();
        let text = format!("channel_url = \"{url}\"\n{}\n{more}\n", basics.join("\n"));
        fs::write(self.channel_file(name), text).unwrap();
    }

    /// The program with these arguments, in this site, and with nothing else from the environment that it would heed.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_npvr"));
        self.settle_in(&mut command);
        command.args(args);
        command
    }

    /// Sets folders and streams of any command as [`Site::command`] does: for a program that starts npvr.
    pub(crate) fn settle_in(&self, command: &mut Command) {
        for name in ["STATE_DIRECTORY", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command.env("NPVR_CONFIG", self.config()).env("NPVR_STATE", self.state());
        command.current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Runs the program to its end.
    #[track_caller]
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        finish(self.command(args))
    }

    /// `npvr check`.
    #[track_caller]
    pub(crate) fn check(&self) -> Ran {
        self.run(["check"])
    }

    /// `npvr check --json`, with its exit code.
    #[track_caller]
    pub(crate) fn check_json(&self) -> (i32, Value) {
        let ran = self.run(["check", "--json"]);
        (ran.code.unwrap(), ran.json())
    }

    /// One channel of `npvr status --json`.
    #[track_caller]
    pub(crate) fn status(&self, name: &str) -> Value {
        let mut document = self.run(["status", "--json", name]).expect(0).json();
        document["channels"][0].take()
    }

    /// The job list of `npvr status --jobs --json`.
    #[track_caller]
    pub(crate) fn jobs(&self) -> Vec<Value> {
        let document = self.run(["status", "--jobs", "--limit", "100000", "--json"]).expect(0).json();
        document.as_array().unwrap().clone()
    }

    /// The chunk files of a channel, by name, which is by time.
    pub(crate) fn chunks(&self, name: &str) -> Vec<PathBuf> {
        files_below(&self.archive().join(name))
    }

    /// The files of the spool folder: what is unfinished, or left over.
    pub(crate) fn spool(&self) -> Vec<PathBuf> {
        files_below(&self.state().join("spool"))
    }

    /// The ledger, opened for reading beside the program. A test may also write with it, to stage what a kill leaves.
    pub(crate) fn ledger(&self) -> npvr::ledger::SqliteLedger {
        npvr::ledger::SqliteLedger::open(&self.state()).unwrap()
    }

    /// Asserts what must hold of an archive at any moment at which nothing runs: every row's object is stored as the row
    /// says, chunks join, every file has its row, and nothing unfinished lies in the store.
    #[track_caller]
    pub(crate) fn assert_sound(&self, name: &str) {
        use npvr::ledger::Ledger;
        let ledger = self.ledger();
        let all = npvr::time::Range::new(npvr::time::Time::EPOCH, npvr::time::Time::MAX);
        let store = npvr::store::DiskStore::open(&self.archive()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let verified = runtime.block_on(npvr::verify::read_all(&ledger, &store, name, all)).unwrap();
        assert_eq!(verified.problems, Vec::<String>::new());
        let rows = ledger.cells(name, all).unwrap();
        let keyed = rows.iter().filter_map(|row| row.stored.as_ref()).map(|s| self.archive().join(&s.key));
        assert_eq!(keyed.collect::<Vec<_>>(), self.chunks(name), "rows, and files of the store");
        let overlap = rows.windows(2).find(|pair| pair[0].cell.end() > pair[1].cell.start());
        assert!(overlap.is_none(), "two rows for one time: {overlap:?}");
    }
}

/// Runs a command to its end, with its output. Panics if it takes longer than [`PATIENCE`], after ending it.
#[track_caller]
pub(crate) fn finish(mut command: Command) -> Ran {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let pid = child.id();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    match told.recv_timeout(PATIENCE) {
        Ok(output) => ran(&output.unwrap()),
        Err(_) => {
            kill(pid);
            let output = told.recv_timeout(PATIENCE);
            panic!("{command:?} hung; so far it had said {output:?}");
        }
    }
}

/// Waits until something is so that another process does. Panics after [`PATIENCE`].
#[expect(clippy::disallowed_methods, reason = "what another process does is no event here")]
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    const STEP: Duration = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
        if is_so() {
            return;
        }
        std::thread::sleep(STEP);
    }
    panic!("it never came to pass that {what}");
}

/// SIGKILL. Only for a child that nobody has waited for yet.
pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself meanwhile.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// All files below a folder, by path; none if there is no such folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}
