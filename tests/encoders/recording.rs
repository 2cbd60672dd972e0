//! The minute that all tests look at: every encoder at once, and `npvr check` again and again, as cron would run it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use npvr::clock::Tick;
use npvr::ledger::SqliteLedger;
use npvr::store::DiskStore;
use npvr::time::{Range, Time};
use npvr::verify::{ReadAll, read_all};
use serde_json::Value;

use super::encoder::{Encoder, Running};
use super::origin;

/// How long each encoder runs, in seconds: a minute, or what NPVR_ENCODER_SECONDS says, for a long run by hand.
pub(crate) fn seconds() -> u64 {
    std::env::var("NPVR_ENCODER_SECONDS").map_or(60, |text| text.parse().unwrap())
}

/// The one that is killed is killed after so long, and started again after so long.
const KILLED_AFTER: Duration = Duration::from_secs(21);
const RESTARTED_AFTER: Duration = Duration::from_secs(29);
/// The cron line runs so often.
const EVERY: Duration = Duration::from_secs(2);
/// Nothing here takes longer than the encoders and this.
const PATIENCE: Duration = Duration::from_secs(120);
/// More than a segment.
const EARLIER: Duration = Duration::from_secs(10);

/// A channel: its name, the length of its chunks, and what feeds it.
type Channel = (&'static str, &'static str, Encoder);

const DISCONT: Encoder = Encoder::Ffmpeg { window: 60, movflags: "+cmaf+frag_discont" };
const CHANNELS: [Channel; 6] = [
    ("discont", "PT10S", DISCONT),
    ("plain", "PT10S", Encoder::Ffmpeg { window: 60, movflags: "+cmaf" }),
    ("short", "PT20S", Encoder::Ffmpeg { window: 5, movflags: "+cmaf+frag_discont" }),
    ("restarted", "PT10S", DISCONT),
    ("clear", "PT10S", Encoder::Shaka { encryption: "none" }),
    ("cbcs", "PT10S", Encoder::Shaka { encryption: "cbcs" }),
];

/// What came of it.
pub(crate) struct Recording {
    folder: PathBuf,
    status: Value,
}

/// What is archived of one channel.
pub(crate) struct Archived {
    /// From when on.
    pub(crate) since: Time,
    /// Its chunk files, oldest first.
    pub(crate) chunks: Vec<PathBuf>,
    /// All of them as one file.
    pub(crate) joined: PathBuf,
    /// What it lacks.
    pub(crate) gaps: Vec<Gap>,
    /// How many of its chunks are.
    pub(crate) complete: u64,
    /// How far the source is behind, by npvr status, in seconds; `None` if it has ended.
    pub(crate) lag_s: Option<u64>,
    /// What npvr finds when it reads them back.
    pub(crate) verified: ReadAll,
}

#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) track: String,
    pub(crate) range: Range,
    pub(crate) reason: String,
}

/// The recording; the first who asks waits for it.
pub(crate) fn recording() -> &'static Recording {
    static RECORDING: LazyLock<Recording> = LazyLock::new(|| runtime().block_on(record()));
    &RECORDING
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn record() -> Recording {
    let folder = fresh_folder();
    let site = folder.join("site");
    CHANNELS.iter().for_each(|(name, ..)| std::fs::create_dir_all(site.join(name)).unwrap());
    let mut recording = Recording { folder, status: Value::Null };
    let address = origin::serve(&site);
    let began = Tick::now();
    let start = |(name, _, encoder): &Channel, seconds| encoder.start(&site.join(name), seconds);
    let mut running: Vec<Option<Running>> = CHANNELS.iter().map(|c| Some(start(c, seconds()))).collect();
    for (name, chunk, _) in CHANNELS {
        let manifest = format!("{name}/manifest.mpd");
        while !site.join(&manifest).exists() {
            assert!(began.elapsed() < PATIENCE, "{name} publishes nothing: see {}", site.display());
            tokio::time::sleep(EVERY / 20).await;
        }
        let url = format!("http://{address}/{manifest}");
        let added = recording.npvr(&["channel", "add", name, "--url", &url, "--chunk", chunk]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
    let of_restarted = CHANNELS.iter().position(|c| c.0 == "restarted").unwrap();
    let (mut was_restarted, mut checks_after_the_end) = (false, 0);
    while checks_after_the_end < 3 {
        assert!(
            began.elapsed() < PATIENCE + Duration::from_secs(seconds()),
            "the encoders do not come to an end"
        );
        let at = Tick::now();
        let checked = recording.npvr(&["check"]);
        // 3: something is lost, or has a gap, and that is news. The tests look at what it is.
        assert!(matches!(checked.status.code(), Some(0 | 3)), "{checked:?}");
        if !was_restarted && began.elapsed() > KILLED_AFTER {
            running[of_restarted] = None;
        }
        if !was_restarted && began.elapsed() > RESTARTED_AFTER {
            let left = seconds() - began.elapsed().as_secs();
            running[of_restarted] = Some(start(&CHANNELS[of_restarted], left));
            was_restarted = true;
        }
        let have_ended = running.iter_mut().flatten().all(Running::has_ended);
        checks_after_the_end += u32::from(was_restarted && have_ended);
        tokio::time::sleep(EVERY.saturating_sub(at.elapsed())).await;
    }
    let status = recording.npvr(&["status", "--json"]);
    recording.status = serde_json::from_slice(&status.stdout).unwrap();
    recording
}

/// A folder that no run had before: something of an interrupted one may still be at work in its own. It stays until the
/// next run, to be looked at.
fn fresh_folder() -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("encoders");
    std::fs::create_dir_all(&parent).unwrap();
    for old in std::fs::read_dir(&parent).unwrap().flatten() {
        let _ = std::fs::remove_dir_all(old.path());
    }
    tempfile::tempdir_in(parent).unwrap().keep()
}

impl Recording {
    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_npvr"));
        command.args(args).arg("--config").arg(self.folder.join("config")).arg("--state").arg(self.state());
        command.env_remove("NPVR_CONFIG").env_remove("NPVR_STATE");
        command
    }

    fn npvr(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// All of a channel as one MP4 file.
    pub(crate) fn clip(&self, channel: &str, archived: &Archived) -> PathBuf {
        // The first chunk has what its cell holds, also of before the archive was begun.
        let range = Range::new(archived.since.minus(EARLIER), archived.end()).to_string();
        let path = self.folder.join(format!("{channel}-clip.mp4"));
        let made = self.npvr(&["clip", channel, &range, "-o", path.to_str().unwrap(), "--force"]);
        // 3: something is missing, at the beginning or at the end.
        assert!(matches!(made.status.code(), Some(0 | 3)), "{made:?}");
        path
    }

    /// A server that plays all channels.
    pub(crate) fn play(&self) -> Playing {
        let mut command = self.command(&["serve-smil", "--listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Playing { process, url: line.trim().trim_end_matches('/').to_owned() }
    }

    /// What is archived of a channel.
    pub(crate) fn archived(&self, channel: &str) -> Archived {
        let status =
            self.status["channels"].as_array().unwrap().iter().find(|c| c["name"] == channel).unwrap();
        let gap = |gap: &Value| Gap {
            track: gap["track"].as_str().unwrap().to_owned(),
            range: range(&gap["range"]),
            reason: gap["reason"].as_str().unwrap().to_owned(),
        };
        let archive = self.state().join("archive");
        let days = std::fs::read_dir(archive.join(channel)).unwrap().map(|day| day.unwrap().path());
        let files = days.flat_map(|day| std::fs::read_dir(day).unwrap()).map(|file| file.unwrap().path());
        let mut chunks: Vec<PathBuf> = files.collect();
        chunks.sort();
        let joined = self.folder.join(format!("{channel}.mp4"));
        // Several tests look at one channel at once: none sees a half of it.
        let part = tempfile::NamedTempFile::new_in(&self.folder).unwrap();
        std::fs::write(part.path(), join(&chunks)).unwrap();
        part.persist(&joined).unwrap();
        let ledger = SqliteLedger::open(&self.state()).unwrap();
        let store = DiskStore::open(&archive).unwrap();
        let all = Range::new(Time::EPOCH, Time::MAX);
        Archived {
            since: status["since"].as_str().unwrap().parse().unwrap(),
            chunks,
            joined,
            gaps: status["gaps"].as_array().unwrap().iter().map(gap).collect(),
            complete: status["counts"]["complete"].as_u64().unwrap(),
            lag_s: status["lag_s"].as_u64(),
            verified: runtime().block_on(read_all(&ledger, &store, channel, all)).unwrap(),
        }
    }
}

/// A server that ends with this.
pub(crate) struct Playing {
    process: Child,
    pub(crate) url: String,
}

impl Drop for Playing {
    fn drop(&mut self) {
        // It may have ended by itself: then the test has failed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Archived {
    /// The end of its last chunk's cell, by that chunk's name.
    pub(crate) fn end(&self) -> Time {
        let name = self.chunks[self.chunks.len() - 1].file_stem().unwrap().to_str().unwrap();
        name.split_once("--").unwrap().1.parse().unwrap()
    }
}

fn range(value: &Value) -> Range {
    let at = |edge: &str| value[edge].as_str().unwrap().parse().unwrap();
    Range::new(at("start"), at("end"))
}

/// One file: the first chunk's header, and every chunk's fragments. Fails if another chunk has another header.
fn join(chunks: &[PathBuf]) -> Vec<u8> {
    let mut joined = Vec::new();
    let mut header: Option<Vec<u8>> = None;
    for chunk in chunks {
        let bytes = std::fs::read(chunk).unwrap();
        let (mut own_header, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let (whole, after) = rest.split_at(size);
            match &whole[4..8] {
                b"ftyp" | b"moov" => own_header.extend_from_slice(whole),
                // The index of one chunk is none of all.
                b"mfra" => {}
                _ if header.is_none() => {
                    joined.extend_from_slice(&own_header);
                    joined.extend_from_slice(whole);
                    header = Some(own_header.clone());
                }
                _ => joined.extend_from_slice(whole),
            }
            rest = after;
        }
        assert_eq!(header.as_ref(), Some(&own_header), "{}: another header than the first", chunk.display());
    }
    joined
}
