//! What ffmpeg and ffprobe make of a file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use npvr::time::{MediaTime, Time, Timescale};
use serde_json::Value;

use super::encoder::packager;

/// The key of tests/encoders/shaka.sh.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// An ffmpeg and its ffprobe.
pub(crate) struct Decoder {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    key: Option<&'static str>,
}

/// One track, as ffprobe reads it.
pub(crate) struct Track {
    /// For messages.
    pub(crate) name: String,
    /// Its place in the file; ffmpeg's DASH has it as the track's id.
    pub(crate) index: i64,
    /// The decode time of each packet, in ticks.
    pub(crate) packets: Vec<i64>,
    /// How many frames came out of the decoder.
    pub(crate) decoded: usize,
    /// Ticks a second.
    timescale: i64,
}

impl Decoder {
    /// The system's.
    pub(crate) fn clear() -> Decoder {
        Decoder { ffmpeg: "ffmpeg".into(), ffprobe: "ffprobe".into(), key: None }
    }

    /// One that has the key. Debian's ffmpeg 5.1 decrypts cbcs in a file of one track only; what comes beside the packager is newer.
    pub(crate) fn with_key() -> Decoder {
        let beside = |tool: &str| {
            let packager = packager();
            let name = packager.file_name().unwrap().to_str().unwrap().replace("packager", tool);
            let path = packager.with_file_name(name);
            make_executable(&path);
            path
        };
        Decoder { ffmpeg: beside("ffmpeg"), ffprobe: beside("ffprobe"), key: Some(KEY) }
    }

    /// Fails unless every frame of every track of `file` decodes without a complaint.
    pub(crate) fn decodes(&self, file: &Path) {
        self.run(&self.ffmpeg, file, &["-map", "0", "-fps_mode", "passthrough", "-f", "null", "-"]);
    }

    /// The tracks of `file`.
    pub(crate) fn packets(&self, file: &Path) -> Vec<Track> {
        let entries = "stream=index,codec_type,time_base,nb_read_frames:packet=stream_index,dts";
        let output =
            self.run(&self.ffprobe, file, &["-count_frames", "-show_entries", entries, "-of", "json"]);
        let read: Value = serde_json::from_slice(&output.stdout).unwrap();
        let packets = read["packets"].as_array().unwrap();
        let track = |stream: &Value| Track {
            name: format!("{} {} of {}", stream["codec_type"], stream["index"], file.display()),
            index: stream["index"].as_i64().unwrap(),
            packets: packets
                .iter()
                .filter(|p| p["stream_index"] == stream["index"])
                .map(|p| p["dts"].as_i64().unwrap())
                .collect(),
            decoded: stream["nb_read_frames"].as_str().unwrap().parse().unwrap(),
            timescale: stream["time_base"].as_str().unwrap().strip_prefix("1/").unwrap().parse().unwrap(),
        };
        read["streams"].as_array().unwrap().iter().map(track).collect()
    }

    fn run(&self, tool: &Path, file: &Path, args: &[&str]) -> Output {
        let key = self.key.map(|key| ["-decryption_key", key]);
        let mut command = Command::new(tool);
        command.args(["-v", "error"]).args(key.into_iter().flatten());
        let output = command.arg("-i").arg(file).args(args).output();
        let output = output.unwrap_or_else(|e| panic!("{}: {e}: tests/run installs it", tool.display()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said:.2000}", file.display());
        output
    }
}

impl Track {
    pub(crate) fn is_video(&self) -> bool {
        self.name.contains("video")
    }

    /// From the first frame to the end of the last, in frames of `rate` a second.
    pub(crate) fn frames(&self, rate: i64) -> i64 {
        let (first, last) = (self.packets[0], self.packets[self.packets.len() - 1]);
        (last + self.frame() - first) * rate / self.timescale
    }

    /// How many frames begin before that.
    pub(crate) fn before(&self, at: Time) -> usize {
        let timescale = Timescale::new(self.timescale.try_into().unwrap()).unwrap();
        let end = MediaTime::first_at_or_after(at, timescale).ticks;
        self.packets.iter().filter(|dts| **dts < end).count()
    }

    /// When its last frame ends.
    pub(crate) fn end(&self) -> Time {
        let last = self.packets[self.packets.len() - 1] + self.frame();
        MediaTime::new(last, Timescale::new(self.timescale.try_into().unwrap()).unwrap()).instant()
    }

    /// Where frames do not follow one another: the decode time after which, and by how many seconds.
    pub(crate) fn breaks(&self) -> Vec<(i64, f64)> {
        let frame = self.frame();
        let broken = self.packets.windows(2).filter(|w| w[1] - w[0] != frame);
        broken.map(|w| (w[0], (w[1] - w[0] - frame) as f64 / self.timescale as f64)).collect()
    }

    /// The length of a frame, in ticks: all have one here.
    fn frame(&self) -> i64 {
        self.packets[1] - self.packets[0]
    }
}

/// pip does not keep the permissions of what it installs.
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let there =
        std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}: tests/run installs it", path.display()));
    if there.permissions().mode() & 0o111 == 0 {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
}
