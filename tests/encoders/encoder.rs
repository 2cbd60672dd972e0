//! An encoder that runs: a script beside this file, and all processes that it starts.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// What makes a live presentation in a folder.
#[derive(Clone, Copy)]
pub(crate) enum Encoder {
    /// ffmpeg, with so many segments in its manifest, and these flags for the muxer of its segments.
    Ffmpeg { window: u32, movflags: &'static str },
    /// Shaka Packager, with this encryption: `none` or `cbcs`.
    Shaka { encryption: &'static str },
}

/// It ends with this value.
pub(crate) struct Running {
    child: Child,
    /// Its processes; `None` when it has ended, for the number may be another's then.
    group: Option<Pid>,
}

impl Encoder {
    /// Starts it, for so many seconds, with its manifest at `folder`/manifest.mpd.
    pub(crate) fn start(self, folder: &Path, seconds: u64) -> Running {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encoders");
        let (script, last) = match self {
            Encoder::Ffmpeg { window, movflags } => {
                ("ffmpeg-dash.sh", vec![window.to_string(), movflags.into()])
            }
            Encoder::Shaka { encryption } => ("shaka.sh", vec![encryption.into()]),
        };
        let log = std::fs::File::create(folder.with_extension("log")).unwrap();
        let mut command = Command::new(scripts.join(script));
        command.arg(folder).arg(seconds.to_string()).args(last).env("NPVR_PACKAGER", packager());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let child = command.spawn().unwrap();
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Running { child, group }
    }
}

impl Running {
    /// True if it has come to its end.
    pub(crate) fn has_ended(&mut self) -> bool {
        if self.child.try_wait().unwrap().is_some() {
            self.group = None;
        }
        self.group.is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // A group that is just going needs no killing.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Shaka Packager.
pub(crate) fn packager() -> PathBuf {
    let named = std::env::var_os("NPVR_PACKAGER").map(PathBuf::from);
    let named =
        named.expect("NPVR_PACKAGER does not name the Shaka Packager: tests/run installs it, and sets that");
    named.canonicalize().unwrap_or_else(|e| panic!("{}: {e}: tests/run installs it", named.display()))
}
