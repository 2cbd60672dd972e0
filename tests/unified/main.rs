//! The `unified` engine, with a stand-in for the program: what it makes well is archived and proved as our own, and for every
//! way in which it can fail there is a failed job, nothing in the store, nothing left running, and its log to read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::live::{CELL_S, Live, for_media};
use common::{Ran, Site, finish, kill, mp4};
use npvr::failpoint::STEPS;
use npvr::ledger::Ledger;
use npvr::sim::{Fault, FaultKind};
use npvr::time::{Range, Time};

/// The licence, which nobody is to see.
const LICENCE: &str = "LICENCE-2f7c1e";

/// An origin, and a site that archives it with the stand-in.
struct Staged {
    live: Live,
    site: Site,
}

impl Staged {
    fn holding(cells: i64) -> Staged {
        Staged::with(cells, "")
    }

    /// `more` are lines of `[unified]`.
    fn with(cells: i64, more: &str) -> Staged {
        let (live, site) = (Live::holding(cells), Site::new());
        let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unified/stand_in.py");
        let licence = site.config().join("licence");
        fs::write(&licence, format!("{LICENCE}\n")).unwrap();
        let keys = format!(
            "engine = \"unified\"\n[unified]\nprogram = {stand_in:?}\nlicence_file = {licence:?}\n{more}"
        );
        site.channel("news", live.url("news"), &keys);
        Staged { live, site }
    }

    /// The program, with a stand-in that goes wrong in this way; the empty word is none.
    fn command(&self, mode: &str, args: &[&str]) -> Command {
        let mut command = self.site.command(args);
        command.env("STAND_IN", mode).env("STAND_IN_RUNS", self.runs_file());
        command
    }

    fn check(&self, mode: &str) -> Ran {
        finish(self.command(mode, &["check"]))
    }

    /// Captures the last cell that is due, now.
    fn capture(&self, mode: &str) -> Ran {
        let cell = self.live.cell_before_end(0).to_string();
        finish(self.command(mode, &["capture", "news", &cell, "--force"]))
    }

    fn runs_file(&self) -> PathBuf {
        self.site.config().join("runs")
    }

    /// How often the stand-in was run to the point at which it knows what to do.
    fn runs(&self) -> usize {
        fs::read_to_string(self.runs_file()).map_or(0, |text| text.lines().count())
    }

    /// The log of the newest job.
    fn log(&self) -> String {
        let job = self.site.jobs()[0]["id"].to_string();
        self.site.run(["log", &job]).expect(0).stdout
    }

    /// Asserts that so many cells are whole, and the one in which the archive begins, and that nothing is left over.
    #[track_caller]
    fn assert_whole(&self, cells: i64) {
        let counts = &self.site.status("news")["counts"];
        assert_eq!(counts["complete"], cells + 1, "{counts}");
        for other in ["partial", "capturing", "failed", "lost"] {
            assert_eq!(counts[other], 0, "{counts}");
        }
        assert_eq!(self.site.spool(), Vec::<PathBuf>::new());
        self.site.assert_sound("news");
    }

    /// Asserts that the licence is in no file that npvr wrote.
    #[track_caller]
    fn assert_no_licence(&self, told: &Ran) {
        assert!(!told.stdout.contains(LICENCE) && !told.stderr.contains(LICENCE), "{told:?}");
        for file in common::files_below(&self.site.state()) {
            let bytes = fs::read(&file).unwrap();
            let found = bytes.windows(LICENCE.len()).any(|w| w == LICENCE.as_bytes());
            assert!(!found, "{} has the licence", file.display());
        }
    }
}

/// The media of an archive: the payloads of all fragments, sorted.
fn media(site: &Site) -> Vec<Vec<u8>> {
    let chunks = site.chunks("news").into_iter().map(|path| fs::read(path).unwrap());
    let mut all: Vec<_> = chunks.flat_map(|bytes| mp4::fragments(&bytes)).map(|f| f.mdat).collect();
    all.sort();
    all
}

#[test]
fn a_channel_is_archived_by_the_program_and_the_media_is_that_of_our_own_engine() {
    let staged = Staged::holding(3);
    let told = staged.check("");
    staged.assert_no_licence(&told);
    told.expect_silence();
    staged.assert_whole(3);
    let native = Site::new();
    native.channel("news", staged.live.url("news"), "");
    native.check().expect_silence();
    assert!(media(&staged.site) == media(&native), "the media differs");

    // Tracks are known by what they are, under numbers that are not the file's.
    let index = |site: &Site| {
        let ledger = site.ledger();
        let cell = npvr::grid::Cell::from_range(staged.live.cell_before_end(0));
        let index = npvr::ledger::Ledger::index(&ledger, "news", cell).unwrap().unwrap();
        let tracks = npvr::ledger::Ledger::tracks(&ledger, "news").unwrap();
        let mut named: Vec<_> = npvr::media::Index::decode(&index)
            .unwrap()
            .tracks
            .into_iter()
            .map(|of| {
                let name = tracks.iter().find(|t| t.id == of.track_id).unwrap().track.name();
                let times: Vec<u64> = of.fragments.iter().map(|f| f.decode_time).collect();
                (name, times)
            })
            .collect();
        named.sort();
        named
    };
    assert_eq!(index(&staged.site), index(&native));

    let (job, runs) = (&staged.site.jobs()[0], staged.runs());
    let command = job["command"].as_str().unwrap();
    assert!(
        command.contains("stand_in.py --remix -v 3 -o ") && command.contains(".ismv 'http://"),
        "{command}"
    );
    assert!(
        command.contains("&filter=(type!=%22meta%22)'") && command.contains("/.mpd?vbegin="),
        "{command}"
    );
    assert_eq!(job["exit_code"], 0);
    let log = staged.log();
    assert!(log.contains("  unified_capture stand-in, licence <redacted>, http://"), "{log}");
    assert!(log.contains("\n  done\n") && log.contains("it ended with exit code 0"), "{log}");

    staged.check("").expect_silence();
    assert_eq!(staged.runs(), runs, "nothing is new, and nothing is run");
    staged.live.go_on(CELL_S);
    staged.check("").expect_silence();
    staged.assert_whole(4);
}

#[test]
fn a_file_with_all_tracks_in_one_moof_is_archived_as_well() {
    let staged = Staged::holding(2);
    let mut command = staged.command("", &["check"]);
    command.env("LAYOUT", "muxed");
    finish(command).expect_silence();
    staged.assert_whole(2);
}

#[test]
fn a_lost_ledger_is_made_again_from_the_files_of_the_program_and_the_archive_goes_on() {
    for layout in ["", "muxed"] {
        let staged = Staged::holding(3);
        let check = || {
            let mut command = staged.command("", &["check"]);
            command.env("LAYOUT", layout);
            finish(command).expect_silence();
        };
        check();
        let tracks = || -> BTreeSet<String> {
            let rows = staged.site.ledger().tracks("news").unwrap();
            rows.into_iter().map(|row| row.track.name()).collect()
        };
        let before = tracks();
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            let _ = fs::remove_file(staged.site.state().join(name));
        }
        let told = staged.site.run(["verify", "--repair"]).expect(0);
        assert_eq!(
            (told.stdout.matches(": written down\n").count(), told.stderr.as_str()),
            (4, ""),
            "{told:?}"
        );
        assert_eq!(tracks(), before, "whatever numbers they have in the files");
        let runs = staged.runs();
        check();
        assert_eq!(staged.runs(), runs, "nothing is captured twice");
        staged.live.go_on(CELL_S);
        check();
        staged.assert_whole(4);
        staged.site.run(["verify", "--deep"]).expect_silence();
    }
}

/// A way to fail: what the message of the job says, and what its log ends with.
#[track_caller]
fn fails(mode: &str, said: &str, log: &str) -> Staged {
    // Those that end by themselves may take as long as a busy machine needs.
    let limit = if matches!(mode, "slow" | "silent") { "PT5S" } else { "PT100S" };
    let staged = Staged::with(2, &format!("timeout = \"{limit}\""));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = staged.command(mode, &["capture", "news", &staged.live.cell_before_end(0).to_string()]);
    command.env("STAND_IN_TELL", listener.local_addr().unwrap().port().to_string());
    let told = finish(command);
    staged.assert_no_licence(&told);
    let told = told.expect(3);
    assert!(told.stderr.contains(said), "{mode}: {}", told.stderr);
    assert!(told.stderr.contains("\n  hint: "), "{}", told.stderr);
    let job = &staged.site.jobs()[0];
    assert_eq!(job["outcome"], "failed");
    assert!(job["message"].as_str().unwrap().contains(said), "{job}");
    assert!(staged.log().contains(log), "{mode}: {}", staged.log());
    assert_eq!(staged.site.chunks("news"), Vec::<PathBuf>::new());
    let parts = staged.site.spool().into_iter().filter(|p| p.extension().is_some_and(|e| e == "ismv"));
    assert_eq!(parts.collect::<Vec<_>>(), Vec::<PathBuf>::new());

    // The command line of the program, and the end of all that held on to the connection.
    let (line, _) = listener.accept().unwrap();
    line.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut line = BufReader::new(line);
    let mut called = String::new();
    line.read_line(&mut called).unwrap();
    assert!(called.contains("--remix") && !called.contains(LICENCE), "{called}");
    line.read_to_end(&mut Vec::new()).expect("something of the program lives on");

    staged.capture("").expect(0);
    assert_eq!(staged.site.chunks("news").len(), 1, "{mode}");
    staged.site.assert_sound("news");
    staged
}

#[test]
fn a_program_that_fails_is_told_with_its_exit_code_and_its_last_words() {
    let staged =
        fails("fails", "it ended with exit code 7: its last words: the end of it", "\n  the end of it\n");
    assert_eq!(staged.site.jobs()[1]["exit_code"], 7);
}

#[test]
fn a_program_that_crashes_is_told_with_its_signal() {
    let staged = fails("crashes", "it was ended by signal 6", "licence <redacted>");
    assert_eq!(staged.site.jobs()[1]["exit_code"], serde_json::Value::Null);
}

#[test]
fn a_slow_program_is_ended_with_all_its_children_when_its_time_is_up() {
    fails("slow", "it was ended after 5s, its timeout: its last words: slowly", "\n  slowly\n");
}

#[test]
fn a_silent_program_is_ended_when_its_time_is_up() {
    fails("silent", "it was ended after 5s, its timeout: and said nothing", "runs: ");
}

#[test]
fn an_exit_code_of_0_without_a_file_is_a_failure() {
    fails("no-file", "it ended with exit code 0 and made no file", "licence <redacted>");
}

#[test]
fn an_empty_file_is_a_failure() {
    fails("empty", "it ended with exit code 0 and made an empty file", "\n  done\n");
}

#[test]
fn a_file_that_is_cut_short_is_a_failure() {
    fails("half", "is cut short", "\n  done\n");
}

#[test]
fn a_file_that_lacks_a_track_is_a_failure() {
    fails("lacks", "its file lacks audio_nld=32000; it has 3 tracks", "\n  done\n");
}

#[test]
fn a_file_that_lacks_media_that_the_source_has_is_a_failure() {
    fails("short", "its file is short: video=110000 lacks", "\n  done\n");
}

#[test]
fn a_file_that_is_not_on_the_epoch_is_a_failure() {
    fails("rebased", "its file is not of this time: it begins at 19", "\n  done\n");
}

#[test]
fn a_flood_of_log_is_cut_and_its_end_is_kept() {
    let staged = fails("flood", "it ended with exit code 7", "\n  the end of it\n");
    let job = staged.site.jobs()[1]["id"].to_string();
    let log = staged.site.run(["log", &job]).expect(0).stdout;
    assert!(log.len() < 70_000 && log.contains("flood 299999 of <redacted>"), "{} bytes", log.len());
    assert!(log.contains("runs: /") && log.contains("lines were dropped"), "{}", &log[..400]);
}

#[test]
fn a_program_that_is_not_there_is_told_with_a_remedy() {
    let staged = Staged::holding(1);
    let file = staged.site.channel_file("news");
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|l| l.starts_with("program")).unwrap().to_owned();
    fs::write(&file, text.replace(&line, "program = \"no_such_program\"")).unwrap();
    let told = staged.check("").expect(3);
    assert!(told.stderr.contains("there is no program no_such_program in the PATH"), "{}", told.stderr);
    assert!(told.stderr.contains("hint: install it, or give its whole path"), "{}", told.stderr);
}

#[test]
fn what_the_source_does_not_have_is_a_gap_and_no_failure() {
    let staged = Staged::holding(3);
    let cell = staged.live.cell_before_end(1);
    let range = Range::new(cell.start.plus(Duration::from_secs(3)), cell.end.minus(Duration::from_secs(3)));
    staged.live.set_faults([Fault { track: Some("audio_nld".into()), range, ..Fault::new(FaultKind::Gap) }]);
    let told = staged.check("").expect(3);
    assert!(told.stderr.contains("stored with gaps: audio_nld=32000 lacks"), "{}", told.stderr);
    let status = staged.site.status("news");
    assert_eq!((&status["counts"]["complete"], &status["counts"]["partial"]), (&3.into(), &1.into()));
    assert!(status["gaps"][0]["reason"].as_str().unwrap().contains("the source has no media for it"));
    staged.site.assert_sound("news");
    staged.check("").expect_silence();
    // The source has it after all.
    staged.live.set_faults([]);
    staged.check("").expect_silence();
    staged.assert_whole(3);
}

#[test]
fn segments_that_the_program_cannot_have_are_a_failure_that_is_tried_again() {
    let staged = Staged::holding(1);
    let all = Range::new(Time::EPOCH, Time::MAX);
    staged.live.set_faults([for_media(FaultKind::Status(404), all)]);
    let told = staged.check("").expect(3);
    assert!(
        told.stderr.contains("it ended with exit code 1: its last words: urllib.error"),
        "{}",
        told.stderr
    );
    staged.live.set_faults([]);
    staged.capture("").expect(0);
    staged.site.assert_sound("news");
}

#[test]
fn a_file_that_the_store_did_not_take_is_stored_by_the_next_run_without_running_the_program_again() {
    let staged = Staged::holding(1);
    staged.check("").expect_silence();
    staged.live.go_on(CELL_S);
    // A file where the channel's folder should be.
    let (folder, aside) = (staged.site.archive().join("news"), staged.site.archive().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    let told = staged.check("").expect(3);
    assert!(told.stderr.contains("archive/news/"), "{}", told.stderr);
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    let (runs, requests) = (staged.runs(), staged.live.requests());
    staged.capture("fails").expect(0);
    assert_eq!(staged.runs(), runs);
    let asked = staged.live.requests_since(requests);
    assert_eq!((asked.mpd, asked.init, asked.segment), (0, 0, 0));
    assert!(staged.log().contains("in the spool, which are proved"), "{}", staged.log());
    staged.assert_whole(2);
}

#[test]
fn killed_after_any_step_the_next_run_carries_on() {
    let staged = Staged::holding(1);
    for step in STEPS.iter().filter(|step| step.starts_with("capture-")) {
        let mut command = staged.command("", &["check"]);
        command.env("NPVR_FAILPOINT", step);
        assert_eq!(finish(command).code, None, "{step} was not reached");
        staged.check("").expect_silence();
        staged.live.go_on(CELL_S);
    }
    staged.check("").expect_silence();
    let steps = STEPS.iter().filter(|step| step.starts_with("capture-")).count();
    staged.assert_whole(1 + i64::try_from(steps).unwrap());
}

#[test]
fn the_program_ends_with_npvr_and_what_it_left_is_cleared_up() {
    let staged = Staged::holding(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = staged.command("silent", &["check"]);
    command.env("STAND_IN_TELL", listener.local_addr().unwrap().port().to_string());
    let mut npvr = command.spawn().unwrap();
    let (mut line, _) = listener.accept().unwrap();
    // What a program that writes at once would have left.
    let part = staged.site.spool()[0].with_extension("1.ismv");
    fs::write(&part, "half of it").unwrap();
    kill(npvr.id());
    npvr.wait().unwrap();
    line.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    line.read_to_end(&mut Vec::new()).expect("the program lives on");
    staged.check("").expect_silence();
    staged.assert_whole(1);
}

#[test]
fn a_spool_of_one_engine_is_none_of_the_others() {
    let staged = Staged::holding(1);
    let file = staged.site.channel_file("news");
    let unified = fs::read_to_string(&file).unwrap();
    let native = unified.replace("\"unified\"", "\"native\"");
    // The step at which a whole file is in the spool, and not in the store.
    for (first, then) in [(&unified, &native), (&native, &unified)] {
        fs::write(&file, first).unwrap();
        let mut command = staged.command("", &["check"]);
        command.env("NPVR_FAILPOINT", "capture-3-written");
        assert_eq!(finish(command).code, None);
        fs::write(&file, then).unwrap();
        staged.check("").expect_silence();
        staged.live.go_on(CELL_S);
    }
    staged.check("").expect_silence();
    let counts = &staged.site.status("news")["counts"];
    assert_eq!((&counts["complete"], &counts["failed"]), (&4.into(), &0.into()), "{counts}");
}

#[test]
fn a_window_that_is_too_short_for_a_whole_chunk_is_told_in_the_plan() {
    let staged = Staged::holding(3);
    staged.live.set_faults([Fault::new(FaultKind::Window(Duration::from_secs(8)))]);
    let plan = finish(staged.command("", &["check", "--dry-run"])).expect(0).stdout;
    assert!(plan.contains("at risk") && plan.contains("the engine captures whole chunks only"), "{plan}");
    assert!(!plan.contains("capture a piece"), "{plan}");
}
