//! The command line as its users know it: exit codes, help, channels and their files, the shape of `--json`, silence.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::live::{Live, for_media};
use common::{Ran, Site, files_below};
use npvr::sim::FaultKind;
use serde_json::{Value, json};

/// A usage error: code 2, on standard error alone, with all of `words`.
#[track_caller]
fn usage(ran: &Ran, words: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is not in:\n{}", ran.stderr);
    }
}

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("    "));
    lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

/// Asserts that `-h` of a command says what it is for, and has a word for each argument, option and subcommand.
fn assert_helpful(site: &Site, command: &[String]) {
    let ran = site.run(command.iter().map(String::as_str).chain(["-h"])).expect(0);
    assert_eq!(ran.stderr, "");
    let first = ran.stdout.lines().next().unwrap();
    assert!(first.len() > 10 && !first.starts_with("Usage") && !first.ends_with('.'), "{command:?}: {first}");
    let mut lines = ran.stdout.lines().peekable();
    while let Some(line) = lines.next() {
        let is_entry = line.starts_with("  ") && !line.starts_with("          ");
        // Two columns, or the text on the next line, further in.
        let is_told = line.trim().contains("  ") || lines.peek().is_some_and(|l| l.starts_with("          "));
        let is_usage = line.trim().starts_with("npvr ");
        assert!(!is_entry || is_usage || is_told, "{command:?}: {line:?} is not explained");
    }
    for name in subcommands(&ran.stdout) {
        assert_helpful(site, &[command, &[name]].concat());
    }
}

#[test]
fn every_command_and_every_flag_has_help() {
    let site = Site::new();
    let top = site.run(["--help"]).expect(0).stdout;
    let names =
        ["channel", "check", "capture", "status", "log", "prune", "hold", "ledger", "config", "sim", "demo"];
    let listed = subcommands(&top);
    assert!(names.iter().all(|name| listed.iter().any(|l| l == name)), "{listed:?}");
    assert!(top.contains("Exit codes: 0 all well, 1 could not run, 2 usage, 3 ran, and"), "{top}");
    assert_helpful(&site, &[]);
    assert!(files_below(&site.state()).is_empty(), "help touches nothing");
    assert!(site.run(["--version"]).expect(0).stdout.starts_with("npvr "));
}

#[test]
fn what_makes_no_sense_is_a_usage_error_with_a_remedy() {
    let site = Site::new();
    site.channel("news", "http://127.0.0.1:1/news.isml", "");
    let long = "a".repeat(65);
    for name in ["", ".", "..", ".news", "-news", "a/b", "../news", "a b", "é", "news\n", long.as_str()] {
        for command in [&["channel", "add", "--url", "http://127.0.0.1:1/a.isml", "--"][..], &["check", "--"]]
        {
            let ran = site.run(command.iter().copied().chain([name]));
            usage(&ran, &["cannot be the name of a channel", "hint: use letters, digits, '.', '_' and '-'"]);
        }
    }
    usage(&site.run(["capture", "news", "yesterday"]), &["npvr: ", "hint: "]);
    usage(&site.run(["capture", "news", "2020-01-01T00:00:10Z--2020-01-01T00:00:00Z"]), &["npvr: "]);
    usage(&site.run(["log", "one"]), &["npvr: "]);
    usage(&site.run(["log", "1"]), &["there is no job 1", "hint: npvr status --jobs"]);
    usage(&site.run(["status", "--watch"]), &["standard output is none", "hint: "]);
    usage(&site.run(["chekc"]), &["similar subcommand exists: 'check'"]);
    usage(&site.run(["check", "--dryrun"]), &["similar argument exists: '--dry-run'"]);
    usage(&site.run(["check", "--every", "PT5S", "--dry-run"]), &["cannot be used with"]);
    usage(&site.run(["check", "--every", "soon"]), &["soon"]);
    usage(&site.run::<&str>([]), &["Usage: npvr"]);
    assert_eq!(fs::read_dir(site.config().join("channels.d")).unwrap().count(), 1, "nothing was added");
}

#[test]
fn a_channel_that_is_not_there_is_named_with_the_one_that_may_be_meant() {
    let site = Site::new();
    site.channel("sports", "http://127.0.0.1:1/sports.isml", "");
    for args in [
        &["check", "sprots"][..],
        &["capture", "sprots", "2020-01-01T00:00:00Z--2020-01-01T00:00:10Z"],
        &["status", "sprots"],
        &["prune", "sprots"],
        &["status", "sprots", "--json"],
        &["config", "show", "sprots"],
        &["channel", "show", "sprots"],
        &["channel", "remove", "sprots"],
        &["channel", "enable", "sprots"],
        &["channel", "disable", "sprots"],
        &["channel", "probe", "sprots"],
    ] {
        let ran = site.run(args).expect(1);
        assert_eq!(
            ran.stderr, "npvr: there is no channel sprots\n  hint: did you mean sports?\n",
            "{args:?}"
        );
        assert_eq!(ran.stdout, "");
    }
    let ran = site.run(["check", "weather"]).expect(1);
    assert!(ran.stderr.contains("hint: npvr channel list shows those that there are"), "{ran:?}");
}

#[test]
fn a_channel_is_added_after_a_probe_and_goes_its_whole_way() {
    let live = Live::holding(2);
    let site = Site::new();
    fs::remove_dir_all(site.config()).unwrap();
    let url = live.url("news");
    let ran = site
        .run([
            "channel",
            "add",
            "news",
            "--url",
            &url,
            "--chunk",
            "PT10S",
            "--keep",
            "P1D",
            "--keep-size",
            "2TB",
        ])
        .expect(0);
    for word in ["Unified Origin publishing point", "window", "lag", "video=110000", "audio_nld=32000"] {
        assert!(ran.stdout.contains(word), "{word} is not in {}", ran.stdout);
    }
    assert!(ran.stderr.contains("channel news is added: ") && ran.stderr.contains("next: npvr check news"));
    let again = site.run(["channel", "add", "news", "--url", &url]);
    usage(&again, &["there is a channel news already", "hint: "]);

    let list = site.run(["channel", "list"]).expect(0).stdout;
    assert!(list.starts_with("news ") && list.contains("PT10S") && list.contains(&url), "{list}");
    let text = site.run(["channel", "show", "news"]).expect(0).stdout;
    assert_eq!(text, fs::read_to_string(site.channel_file("news")).unwrap());
    let effective = site.run(["config", "show", "news"]).expect(0).stdout;
    let origin =
        |key: &str| effective.lines().find(|l| l.starts_with(key)).unwrap().split("# ").nth(1).unwrap();
    assert!(origin("chunk_duration").contains("channels.d/news.toml, line "), "{effective}");
    assert!(effective.contains("archive_size") && effective.contains("\"2TB\""), "{effective}");
    assert_eq!(origin("max_connections"), "default");
    let probed = site.run(["channel", "probe", "news"]).expect(0).stdout;
    assert!(
        probed.contains("Unified Origin publishing point") && probed.contains("audio_nld=32000"),
        "{probed}"
    );
    // The note on the clocks is another one each time.
    let head = |text: &str| text.lines().take(4).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(head(&probed), head(&site.run(["channel", "probe", &url]).expect(0).stdout));

    site.run(["channel", "disable", "news"]).expect(0);
    site.check().expect_silence();
    assert!(site.chunks("news").is_empty(), "a disabled channel is left alone");
    let ran = site.run(["check", "news"]).expect(0);
    assert!(ran.stderr.contains("channel news: it is disabled"), "{ran:?}");
    assert!(site.run(["channel", "list"]).expect(0).stdout.contains("disabled"));
    site.run(["channel", "enable", "news"]).expect(0);
    site.check().expect_silence();
    let chunks = site.chunks("news");
    assert!(chunks.len() >= 2, "{chunks:?}");

    let ran = site.run(["channel", "remove", "news"]).expect(0);
    assert!(ran.stderr.contains("what is archived of it stays"), "{ran:?}");
    assert_eq!(site.chunks("news"), chunks);
    assert!(!site.channel_file("news").exists());
    site.check().expect_silence();
}

#[test]
fn a_source_that_does_not_answer_is_not_added_unless_the_person_insists() {
    let site = Site::new();
    let add = ["channel", "add", "news", "--url", "http://127.0.0.1:1/news.isml"];
    let ran = site.run(add).expect(1);
    assert!(ran.stderr.contains("channel news: ") && ran.stderr.contains("hint: "), "{ran:?}");
    assert!(!site.channel_file("news").exists());
    site.run(add.into_iter().chain(["--no-probe"])).expect(0);
    assert!(site.channel_file("news").exists());
    for (url, words) in [
        ("ftp://example.com/a.isml", "ftp is neither http nor https"),
        ("news.isml", "this is not a URL"),
        ("http://joe:pw@example.com/a.isml", "a user or password stands in the URL"),
    ] {
        let ran = site.run(["channel", "add", "other", "--url", url, "--no-probe"]).expect(1);
        assert!(ran.stderr.contains(words), "{ran:?}");
        assert!(!site.channel_file("other").exists());
    }
}

#[test]
fn what_a_person_wrote_in_a_file_survives_being_switched() {
    let site = Site::new();
    let text = "# Mine.\n\n  channel_url = 'http://127.0.0.1:1/a.isml'   # the backup\n\nmax_rate=\"1MB/s\"\n\
                # enabled = false would stop it\n[headers]  # for the CDN\nX-A   =  \"b\"\n# the end";
    fs::write(site.channel_file("news"), text).unwrap();
    for (word, now) in [("disable", "false"), ("disable", "false"), ("enable", "true")] {
        site.run(["channel", word, "news"]).expect(0);
        let after = fs::read_to_string(site.channel_file("news")).unwrap();
        let kept: Vec<&str> = after.lines().filter(|l| !l.starts_with("enabled = ")).collect();
        assert_eq!(kept, text.lines().collect::<Vec<_>>(), "{after}");
        assert!(after.contains(&format!("\nenabled = {now}\n")), "{after}");
    }
    let left = fs::read_dir(site.config().join("channels.d")).unwrap().count();
    assert_eq!(left, 1, "no temporary file stays");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let live = Live::holding(2);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    let before = site.status("news");
    let ran = site.run(["check", "--dry-run"]).expect(0);
    assert_eq!((ran.stdout.matches("  capture  ").count(), ran.stderr.as_str()), (3, ""), "{ran:?}");
    let document = site.run(["check", "--dry-run", "--json"]).expect(0).json();
    let plan = document["channels"][0]["plan"].as_array().unwrap();
    assert_eq!(plan.iter().filter(|d| d["action"] == "capture").count(), 3, "{document:#}");
    let names = |files: Vec<std::path::PathBuf>| -> BTreeSet<String> {
        files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let ledger = ["ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.lock"].map(str::to_owned);
    let files = names(files_below(&site.state()));
    assert!(files.is_subset(&ledger.into()), "{files:?}");
    let mut after = site.status("news");
    after["now"].take();
    assert_eq!((after["checked"].take(), after["since"].take()), (Value::Null, Value::Null));
    assert_eq!(after["counts"], before["counts"]);
    assert_eq!(site.jobs(), Vec::<Value>::new());
}

/// The paths of all fields of a document, sorted; `[]` is any element.
fn shape(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                shape(inner, &format!("{path}.{name}"), into);
            }
        }
        Value::Array(items) => {
            for item in items {
                shape(item, &format!("{path}[]"), into);
            }
        }
        _ => drop(into.insert(path.to_owned())),
    }
}

#[track_caller]
fn assert_shape(value: &Value, expected: &str) {
    let mut found = BTreeSet::new();
    shape(value, "", &mut found);
    // Notes are texts, and there may be none.
    let found: Vec<&str> =
        found.iter().map(String::as_str).filter(|path| !path.ends_with(".notes[]")).collect();
    let expected: BTreeSet<&str> = expected.split_whitespace().collect();
    assert_eq!(
        found,
        expected.into_iter().collect::<Vec<_>>(),
        "a change of shape is a new schema: {value:#}"
    );
}

#[test]
fn the_json_documents_have_the_shape_that_is_promised() {
    let live = Live::holding(2);
    let site = Site::new();
    // A gap, so that there is one to show; and a cell that fails.
    let (gone, bad) = (live.cell_before_end(1), live.cell_before_end(0));
    let of_nld =
        |kind, range| npvr::sim::Fault { track: Some("audio_nld".to_owned()), ..for_media(kind, range) };
    live.set_faults([of_nld(FaultKind::Gap, gone), of_nld(FaultKind::Status(400), bad)]);
    site.channel("news", live.url("news"), "");

    let plan = site.run(["check", "--dry-run", "--json"]).expect(0).json();
    assert_eq!(plan["schema"], 1);
    assert_shape(
        &plan,
        ".schema .channels[].name .channels[].error .channels[].plan[].cell.start .channels[].plan[].cell.end
         .channels[].plan[].standing .channels[].plan[].reason .channels[].plan[].deadline
         .channels[].plan[].action .channels[].plan[].last_chance",
    );
    let done = site.run(["check", "--json"]).expect(3).json();
    assert_shape(&done["channels"][0]["done"], "[].cell.start [].cell.end [].result [].problem [].message");
    let results: BTreeSet<&str> = done["channels"][0]["done"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["failed", "partial"].into());

    site.run(["hold", "news", &bad.to_string()]).expect(0);
    let status = site.run(["status", "--json"]).expect(0).json();
    assert_eq!(status["schema"], 1);
    assert_shape(
        &status,
        ".schema .now .channels[].name .channels[].enabled .channels[].since .channels[].checked .channels[].error
         .channels[].source.now .channels[].source.window_start .channels[].source.live_edge
         .channels[].source.live .channels[].source.zero .channels[].source.tracks[] .channels[].lag_s
         .channels[].span.start .channels[].span.end .channels[].strip[]
         .channels[].counts.complete .channels[].counts.partial .channels[].counts.capturing
         .channels[].counts.failed .channels[].counts.lost .channels[].counts.bytes
         .channels[].last_chunk.start .channels[].last_chunk.end
         .channels[].failed[].cell.start .channels[].failed[].cell.end .channels[].failed[].reason
         .channels[].failed[].retry_at .channels[].failed[].job
         .channels[].gaps[].cell.start .channels[].gaps[].cell.end .channels[].gaps[].track
         .channels[].gaps[].range.start .channels[].gaps[].range.end .channels[].gaps[].reason
         .channels[].gaps[].recorded .channels[].holds[].id .channels[].holds[].channel .channels[].holds[].range.start
         .channels[].holds[].range.end .channels[].holds[].note .channels[].holds[].until .channels[].holds[].created
         .channels[].holds[].in_force .channels[].holds[].chunks .channels[].holds[].lost .channels[].holds[].bytes",
    );
    assert_eq!(status["channels"][0]["strip"].as_array().unwrap().len(), 48);
    let jobs = site.run(["status", "--jobs", "--json"]).expect(0).json();
    assert_shape(
        &jobs,
        "[].id [].channel [].cell.start [].cell.end [].outcome [].started [].ended [].bytes [].segments [].spooled_bytes
         [].message [].command [].exit_code",
    );
    site.channel("news", live.url("news"), "archive_size = \"1B\"");
    let prune = site.run(["prune", "--dry-run", "--force", "--json"]).expect(0).json();
    assert_eq!(prune["schema"], 1);
    assert_shape(
        &prune,
        ".schema .channels[].name .channels[].error .channels[].busy .channels[].fuse .channels[].fraction
         .channels[].stored.chunks .channels[].stored.bytes .channels[].going.chunks .channels[].going.bytes
         .channels[].held.chunks .channels[].held.bytes .channels[].left_over.chunks .channels[].left_over.bytes
         .channels[].deleted.chunks .channels[].deleted.bytes .channels[].cleared.spool_files
         .channels[].cleared.unfinished .channels[].cleared.jobs .channels[].plan[].cell.start
         .channels[].plan[].cell.end .channels[].plan[].bytes .channels[].plan[].why .channels[].plan[].reason
         .channels[].plan[].fate .channels[].plan[].hold",
    );
    // The same for people, with a line for each.
    let text = site.run(["status"]).expect(0).stdout;
    assert!(text.starts_with("news "), "{text}");
    let gaps = site.run(["status", "--gaps"]).expect(0).stdout;
    assert!(
        gaps.starts_with("news  audio_nld=32000 ") && gaps.contains("the source has no media for it"),
        "{gaps}"
    );
    let jobs = site.run(["status", "--jobs"]).expect(0).stdout;
    assert!(jobs.contains("failed") && jobs.contains("partial"), "{jobs}");
    let log = site.run(["log", "1"]).expect(0).stdout;
    assert!(log.contains("capture of 20") && log.contains("segments to fetch"), "{log}");
    for text in [text, gaps, jobs, log] {
        assert!(!text.contains('\u{1b}'), "no colours where there is no terminal: {text:?}");
    }
}

#[test]
fn a_problem_is_told_once_and_then_there_is_silence() {
    let live = Live::holding(2);
    let site = Site::new();
    let gone = live.cell_before_end(1);
    let gap = npvr::sim::Fault { track: Some("audio_nld".to_owned()), ..for_media(FaultKind::Gap, gone) };
    live.set_faults([gap]);
    site.channel("news", live.url("news"), "");
    let ran = site.check().expect(3);
    assert_eq!(ran.stdout, "", "problems go to standard error");
    assert!(ran.stderr.contains("stored with gaps: audio_nld=32000 lacks "), "{ran:?}");
    assert!(ran.stderr.contains("hint: all gaps: npvr status --gaps news"), "{ran:?}");
    site.check().expect_silence();
    site.check().expect_silence();
}

#[test]
fn nothing_to_do_is_nothing_to_say() {
    let site = Site::new();
    site.check().expect_silence();
    assert!(site.run(["status"]).expect(0).stdout.contains("npvr channel add NAME --url URL"));
    assert_eq!(site.run(["status", "--json"]).expect(0).json()["channels"], json!([]));
    assert_eq!(site.run(["channel", "list"]).expect(0).stdout, "");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = Site::new();
    for n in 0..50 {
        site.channel(&format!("c{n}"), "http://127.0.0.1:1/a.isml", "");
    }
    let mut shell = std::process::Command::new("sh");
    site.settle_in(&mut shell);
    shell.args(["-c", "(\"$0\" channel list; echo \"code $?\" >&2) | head -1", env!("CARGO_BIN_EXE_npvr")]);
    let ran = common::finish(shell);
    assert_eq!((ran.stdout.lines().count(), ran.stderr.as_str()), (1, "code 0\n"));
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let site = Site::new();
    site.channel("news", "http://127.0.0.1:1/a.isml", "");
    let mut shell = std::process::Command::new("sh");
    site.settle_in(&mut shell);
    shell.args(["-c", "exec \"$0\" status --json > /dev/full", env!("CARGO_BIN_EXE_npvr")]);
    let ran = common::finish(shell).expect(1);
    assert!(ran.stderr.contains("write to standard output: no space left on device"), "{ran:?}");
}
