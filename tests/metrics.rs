//! What monitoring reads: that it says what `status` says, in a form that Prometheus takes, and is there when it is needed
//! most, after a check that failed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::live::{Live, for_media};
use common::server::get;
use common::serving::Serving;
use common::{Site, files_below, kill};
use npvr::sim::{Fault, FaultKind};
use npvr::time::Time;

/// The file that node_exporter would read.
fn file(site: &Site) -> PathBuf {
    let folder = site.state().with_file_name("textfile");
    fs::create_dir_all(&folder).unwrap();
    folder.join("npvr.prom")
}

/// Prometheus' own reader, which names also what only its customs forbid.
#[track_caller]
fn assert_liked_by_prometheus(text: &str) {
    let promtool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
    let mut promtool = promtool.unwrap_or_else(|e| panic!("promtool: {e}; tests/run installs it"));
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(promtool.wait().unwrap().success(), "promtool said why, above, of:\n{text}");
}

/// The value of a series, as it is written: `npvr_gaps{channel="news"}`.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// `npvr check --textfile`, with its exit code, and what is in the file then.
#[track_caller]
fn check(site: &Site, code: i32) -> String {
    let file = file(site);
    site.run(["check", "--textfile", file.to_str().unwrap()]).expect(code);
    fs::read_to_string(file).unwrap()
}

fn now_s() -> f64 {
    npvr::clock::now().s() as f64
}

#[test]
fn the_file_says_what_status_says_and_prometheus_likes_it() {
    let (live, site) = (Live::holding(5), Site::new());
    let (gone, bad) = (live.cell_before_end(2), live.cell_before_end(1));
    let of_nld = |kind, range| Fault { track: Some("audio_nld".to_owned()), ..for_media(kind, range) };
    live.set_faults([of_nld(FaultKind::Gap, gone), of_nld(FaultKind::Status(400), bad)]);
    site.channel("news", live.url("news"), "margin = \"PT1H\"");
    site.channel("films", live.url("films"), "enabled = false");
    let text = check(&site, 3);
    assert_liked_by_prometheus(&text);

    let of_news = |name: &str| value(&text, &format!("{name}{{channel=\"news\"}}"));
    let status = site.status("news");
    for state in ["complete", "partial", "capturing", "failed", "lost"] {
        let series = format!("npvr_chunks{{channel=\"news\",state=\"{state}\"}}");
        assert_eq!(value(&text, &series), status["counts"][state].as_f64(), "{state}");
    }
    assert_eq!(of_news("npvr_stored_bytes"), status["counts"]["bytes"].as_f64());
    assert_eq!(of_news("npvr_lag_seconds"), status["lag_s"].as_f64());
    assert_eq!(of_news("npvr_gaps"), Some(status["gaps"].as_array().unwrap().len() as f64));
    let instant = |text: &serde_json::Value| text.as_str().unwrap().parse::<Time>().unwrap();
    let missing = status["gaps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gap| instant(&gap["range"]["end"]).since(instant(&gap["range"]["start"])).as_secs_f64());
    assert!((of_news("npvr_missing_seconds").unwrap() - missing.sum::<f64>()).abs() < 0.001);
    let at_risk = status["at_risk"].as_array().unwrap();
    assert_eq!(of_news("npvr_at_risk_chunks"), Some(at_risk.len() as f64));
    let first = instant(&at_risk[0]["deadline"]).ns() as f64 / 1e9;
    assert!((of_news("npvr_next_loss_timestamp_seconds").unwrap() - first).abs() < 0.001);
    let left = first - now_s();
    assert!((of_news("npvr_time_to_loss_seconds").unwrap() - left).abs() < 60.0);
    let last = instant(&status["last_chunk"]["end"]).s() as f64;
    assert_eq!(of_news("npvr_last_chunk_timestamp_seconds"), Some(last));
    assert!((of_news("npvr_last_check_timestamp_seconds").unwrap() - now_s()).abs() < 60.0);

    let jobs = site.jobs();
    for outcome in ["running", "piece", "complete", "partial", "failed", "died"] {
        let series = format!("npvr_recent_jobs{{channel=\"news\",outcome=\"{outcome}\"}}");
        let count = jobs.iter().filter(|job| job["outcome"] == outcome).count();
        assert_eq!(value(&text, &series), Some(count as f64), "{outcome}");
    }
    let fetched = jobs.iter().map(|job| job["bytes"].as_f64().unwrap()).sum();
    assert_eq!(of_news("npvr_recent_fetched_bytes"), Some(fetched));
    assert!(of_news("npvr_recent_job_median_seconds") <= of_news("npvr_recent_job_longest_seconds"));
    assert_eq!((of_news("npvr_source_up"), of_news("npvr_running_jobs")), (Some(1.0), Some(0.0)));

    let of_films = |name: &str| value(&text, &format!("{name}{{channel=\"films\"}}"));
    assert_eq!([of_news("npvr_channel_enabled"), of_films("npvr_channel_enabled")], [Some(1.0), Some(0.0)]);
    assert_eq!(of_films("npvr_last_check_timestamp_seconds"), Some(0.0));
    assert_eq!([of_films("npvr_lag_seconds"), of_films("npvr_source_up")], [None, None]);
    assert!(value(&text, "npvr_ledger_size_bytes").unwrap() > 10_000.0);
    assert_eq!(value(&text, "npvr_min_free_bytes"), Some(1e9));
    let spool = format!("npvr_folder_free_bytes{{folder=\"{}\"}}", site.state().join("spool").display());
    assert!(value(&text, &spool).unwrap() > 0.0, "{text}");
    assert_eq!(value(&text, "npvr_unusable_channels"), Some(0.0));
}

#[test]
fn the_first_chunk_of_an_archive_counts_as_whole_as_it_does_in_status() {
    let (live, site) = (Live::holding(2), Site::new());
    site.channel("news", live.url("news"), "");
    let text = check(&site, 0);
    let partial = value(&text, "npvr_chunks{channel=\"news\",state=\"partial\"}");
    let complete = value(&text, "npvr_chunks{channel=\"news\",state=\"complete\"}");
    assert_eq!((complete, partial), (Some(3.0), Some(0.0)));
    assert_eq!(value(&text, "npvr_gaps{channel=\"news\"}"), Some(0.0));
    assert_eq!(value(&text, "npvr_next_loss_timestamp_seconds{channel=\"news\"}"), None);
}

#[test]
fn the_file_is_there_after_a_check_that_failed_and_others_can_read_it_and_it_has_no_secret() {
    let site = Site::new();
    let secret = "s3cr3t-word";
    let more = format!("username = \"joe\"\npassword = \"{secret}\"");
    site.channel("news", format!("http://127.0.0.1:1/{secret}/news.isml?token={secret}"), &more);
    fs::write(site.channel_file("bad"), "nonsense = true\n").unwrap();
    let text = check(&site, 3);
    assert_liked_by_prometheus(&text);
    assert_eq!(value(&text, "npvr_source_up{channel=\"news\"}"), Some(0.0));
    assert_eq!(value(&text, "npvr_unusable_channels"), Some(1.0));
    assert!(!text.contains(secret) && !text.contains("joe"), "{text}");
    let file = file(&site);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(files_below(file.parent().unwrap()), std::slice::from_ref(&file), "no temporary file stays");

    // Not even the configuration can be read: that is an error, and monitoring hears of it.
    fs::write(site.config().join("npvr.toml"), "[state]\nmin_free = \"1kB\"\n").unwrap();
    fs::remove_file(site.channel_file("bad")).unwrap();
    fs::rename(site.config().join("channels.d"), site.config().join("away")).unwrap();
    fs::write(site.config().join("channels.d"), "").unwrap();
    let text = check(&site, 1);
    assert_eq!(value(&text, "npvr_unusable_channels"), Some(1.0));
}

#[test]
fn a_file_that_cannot_be_written_is_complained_of_and_everything_is_archived() {
    let (live, site) = (Live::holding(2), Site::new());
    site.channel("news", live.url("news"), "");
    let nowhere = site.state().join("nowhere/npvr.prom");
    let ran = site.run(["check", "--textfile", nowhere.to_str().unwrap()]).expect(3);
    let told = format!("npvr: textfile: {}: no such file or directory\n  hint: ", nowhere.display());
    assert!(ran.stderr.starts_with(&told), "{ran:?}");
    assert_eq!(site.status("news")["counts"]["complete"], 3);
    // A folder in its place: what is there stays.
    let ran = site.run(["check", "--textfile", site.state().to_str().unwrap()]).expect(3);
    assert!(ran.stderr.starts_with("npvr: textfile: ") && site.state().is_dir(), "{ran:?}");
    site.run(["check", "--textfile", "x.prom", "--dry-run"]).expect(2);
}

/// Waits until the file has another text than `before`.
fn changed(file: &Path, before: &str) -> String {
    let began = npvr::clock::Tick::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text != before {
            return text;
        }
        assert!(began.elapsed() < common::PATIENCE, "nothing new in:\n{before}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn every_round_writes_the_file_anew() {
    let (live, site) = (Live::holding(2), Site::new());
    site.channel("news", live.url("news"), "");
    let file = file(&site);
    let mut command = site.command(["check", "--every", "PT0.2S", "--textfile", file.to_str().unwrap()]);
    let mut rounds = command.spawn().unwrap();
    let first = changed(&file, "");
    live.go_on(10);
    let mut text = first.clone();
    let last = "npvr_last_chunk_timestamp_seconds{channel=\"news\"}";
    while value(&text, last) == value(&first, last) {
        text = changed(&file, &text);
        assert!(text.ends_with('\n') && text.contains(last), "read while it was written: {text}");
    }
    kill(rounds.id());
    rounds.wait().unwrap();
}

/// The names of families that a text speaks of, in order.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let starts = text.match_indices("npvr_").map(|(at, _)| &text[at..]);
    starts.map(|rest| rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())].to_owned()).collect()
}

#[test]
fn the_server_tells_the_same_and_everything_that_is_told_is_in_the_readme_and_everything_in_the_alerts_is_told()
 {
    let (live, site) = (Live::holding(2), Site::new());
    site.channel("news", live.url("news"), "margin = \"PT1H\"");
    let of_file = check(&site, 0);
    let serving = Serving::start(&site, &[]);
    get(&serving.authority, "/healthz");
    let text = String::from_utf8(get(&serving.authority, "/metrics")).unwrap();
    assert_liked_by_prometheus(&text);
    let still = |text: &str| -> Vec<String> {
        // What a clock, a disk, or the reading itself changes.
        let changing = ["npvr_time_to_loss", "npvr_folder_free", "npvr_ledger_size", "npvr_http_", "# "];
        let is_still = |line: &&str| !changing.iter().any(|start| line.starts_with(start));
        text.lines().filter(is_still).map(str::to_owned).collect()
    };
    assert_eq!(still(&text), still(&of_file));

    let told: BTreeSet<String> =
        text.lines().filter_map(|l| Some(l.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned())).collect();
    assert!(told.len() > 25, "{told:?}");
    let of =
        |path: &str| names(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap());
    assert_eq!(of("README.md").symmetric_difference(&told).collect::<Vec<_>>(), [""; 0]);
    let in_alerts = of("contrib/prometheus/npvr-alerts.yml");
    assert!(in_alerts.len() > 10 && in_alerts.is_subset(&told), "{in_alerts:?}");
}
