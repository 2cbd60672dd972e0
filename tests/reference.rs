//! The archiver that npvr replaces, as its clients know it: the commands of its README as they are printed there, and what else
//! its API has, against a channel of a simulated origin, in a bucket and on a disk.
//!
//! What is changed in the commands is where things are: host and port of the API, the stream, and the bucket's server, with its
//! keys; and chunks are of ten seconds, so that there are some.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::home::Home;
use common::live::Live;
use common::s3::{ACCESS, BUCKET, SECRET};
use common::serving::Serving;
use common::{Site, finish};
use serde_json::{Value, json};

/// As printed, without the prompt.
const PUT: &str = r#"curl \
    -X PUT \
    -H 'Content-Type: application/json' \
    -d '{"channel_url": "https://demo.unified-streaming.com/k8s/live/scte35.isml", "chunk_duration": "PT5M", "s3_endpoint": "minio:9000", "s3_access_key": "minioadmin", "s3_secret_key": "minioadmin", "s3_bucket": "npvr-demo", "s3_region": "default", "archive_length": "P7D", "secure": false}' \
    http://localhost/api/channel/scte35"#;
const SMIL: &str = "curl http://localhost/api/smil/scte35/2019-07-08T06:00:00Z--2019-07-08T06:04:30Z.smil";

/// What the second one answers there, by elements and attributes.
const SAMPLE: [&str; 6] = ["smil xmlns", "head", "body", "seq", "video src clipBegin", "video src clipEnd"];

/// A channel that was never checked, its server, and where both are.
struct Stage {
    live: Live,
    site: Site,
    home: Home,
    server: Serving,
}

impl Stage {
    fn new(home: Home) -> Stage {
        let (live, site) = (Live::holding(4), Site::new());
        // What the reference's clients cannot say, and what is short here.
        std::fs::write(site.config().join("npvr.toml"), "[defaults]\nmargin = \"PT0S\"\n").unwrap();
        let server = Serving::start(&site, &[]);
        Stage { live, site, home, server }
    }

    /// A command of the README, with what is elsewhere here. Its status, and what it printed.
    fn curl(&self, command: &str) -> (String, String) {
        let mut command = command
            .replace("curl", "curl --silent --show-error --max-time 60 --write-out '\\n%{http_code}'")
            .replace("http://localhost/", &format!("http://{}/", self.server.authority))
            .replace("https://demo.unified-streaming.com/k8s/live/scte35.isml", &self.live.url("scte35"))
            .replace("PT5M", "PT10S");
        if let Home::Bucket(server) = &self.home {
            command = command
                .replace("minio:9000", &server.addr.to_string())
                .replace("\"s3_access_key\": \"minioadmin\"", &format!("\"s3_access_key\": {ACCESS:?}"))
                .replace("\"s3_secret_key\": \"minioadmin\"", &format!("\"s3_secret_key\": {SECRET:?}"))
                .replace("npvr-demo", BUCKET);
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]);
        let said = finish(shell).expect(0).stdout;
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    }

    /// JSON at a path of the API; asserts the status.
    #[track_caller]
    fn json(&self, status: &str, options: &str, path: &str) -> Value {
        let command = format!("curl -H 'Accept: application/json' {options} http://localhost/api{path}");
        let (got, body) = self.curl(&command);
        assert_eq!(got, status, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
    }
}

/// The fields of an object.
fn fields(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Elements with their attributes, in the order of the document.
fn elements(xml: &str) -> Vec<String> {
    let tags = xml.split('<').skip(1).filter(|tag| !tag.starts_with(['?', '/', '!']));
    let of = |tag: &str| {
        let tag = tag.split('>').next().unwrap().trim_end_matches('/');
        let name = tag.split(' ').next().unwrap().to_owned();
        let values = tag.split("=\"").map(|part| part.rsplit(['"', ' ']).next().unwrap());
        let count = tag.matches("=\"").count();
        values.take(count).fold(name, |all, attribute| format!("{all} {attribute}"))
    };
    tags.map(of).collect()
}

/// From the stream to the playlist, and what the API says on the way: the channel is there, and was never checked.
fn archive_and_play(stage: &Stage) {
    let channel = stage.json("200", "", "/channel/scte35");
    assert_eq!(stage.json("200", "", "/channel/"), json!({ "scte35": channel }));
    assert_eq!(
        fields(&channel),
        BTreeSet::from([
            "archive_length",
            "channel_url",
            "chunk_duration",
            "disk_path",
            "enabled",
            "engine",
            "s3_access_key",
            "s3_bucket",
            "s3_endpoint",
            "s3_region",
            "s3_secret_key",
            "secure",
        ])
    );
    assert!(!channel.to_string().contains(SECRET), "{channel}");
    assert_eq!(stage.json("200", "", "/channel/scte35/archive"), json!([]));
    assert_eq!(stage.json("200", "", "/job/"), json!({}));

    stage.site.check().expect(0);
    let keys = stage.json("200", "", "/channel/scte35/archive");
    let keys: Vec<String> = serde_json::from_value(keys).unwrap();
    assert_eq!(keys, stage.home.objects(&stage.site));
    assert!(keys.len() >= 4, "{keys:?}");
    let gaps: Vec<String> =
        serde_json::from_value(stage.json("200", "", "/channel/scte35/archive/gaps")).unwrap();
    // The clock of the origin stands still, some minutes ago: what has passed since is not archived.
    assert!(gaps.iter().all(|key| *key > keys[keys.len() - 1]), "{gaps:?}");

    let jobs = stage.json("200", "", "/job/");
    // A chunk may be captured piece by piece, each by a job.
    assert!(jobs.as_object().unwrap().len() >= keys.len(), "{jobs}");
    let mut stored =
        jobs.as_object().unwrap().iter().filter(|(_, job)| job["stages"].get("s3_put").is_some());
    let (id, job) = stored.next().unwrap();
    assert_eq!(
        fields(job),
        BTreeSet::from([
            "capture_command",
            "capture_file_path",
            "capture_log",
            "capture_returncode",
            "channel_name",
            "channel_url",
            "chunk",
            "complete_time",
            "complete_timestamp",
            "end",
            "id",
            "stages",
            "start",
            "start_time",
            "start_timestamp",
        ])
    );
    let done = json!({
        "mark_chunk_in_progress": "done", "capture": "done", "s3_put": "done", "mark_chunk_not_in_progress": "done",
    });
    assert_eq!((&job["id"], &job["capture_returncode"], &job["stages"]), (&json!(id), &json!(0), &done));
    assert!(keys.contains(&job["chunk"].as_str().unwrap().to_owned()), "{job}");
    assert_eq!(&stage.json("200", "", &format!("/job/{id}")), job);
    let log = stage.json("200", "", &format!("/job/{id}/capture_log"));
    assert!(log["stderr"].as_str().unwrap().contains(" stored "), "{log}");

    let verify = stage.json("202", "-X POST", "/channel/scte35/archive/verify");
    assert_eq!(verify, json!({"verify_task_id": "verify-1"}));
    let cleanup = stage.json("202", "-X POST", "/channel/scte35/archive/cleanup");
    assert_eq!(cleanup, json!({"cleanup_task_id": "prune-2"}));
    for id in ["verify-1", "prune-2"] {
        let task = (0..600)
            .map(|_| stage.json("200", "", &format!("/v1/tasks/{id}")))
            .find(|task| !task["ended"].is_null())
            .unwrap();
        assert_eq!((&task["state"], &task["problem"]), (&json!("done"), &json!(false)), "{task}");
    }

    play(stage, &keys);
}

/// The playlist has the elements and attributes of the sample: it begins with the chunk before, for its first pictures.
fn play(stage: &Stage, keys: &[String]) {
    let last = stage.live.cell_before_end(0);
    let asked = format!("{}--{}", last.start, last.start.plus(std::time::Duration::from_secs(9)));
    let command = SMIL.replace("2019-07-08T06:00:00Z--2019-07-08T06:04:30Z", &asked);
    let (status, smil) = stage.curl(&command);
    assert_eq!((status.as_str(), elements(&smil)), ("200", SAMPLE.map(str::to_owned).to_vec()), "{smil}");
    assert!(smil.starts_with("<?xml version='1.0' encoding='UTF-8'?>"), "{smil}");
    for key in &keys[keys.len() - 2..] {
        assert!(smil.contains(&format!("/{key}\"")), "{key} is not in {smil}");
    }
    let below = command.replace("curl", "curl -H 'X-Path-Prefix: /npvr'").replace("/api/", "/npvr/api/");
    let (status, behind) = stage.curl(&below);
    assert_eq!((status.as_str(), elements(&behind)), ("200", elements(&smil)), "{behind}");
    assert_eq!(stage.curl("curl http://localhost/api/smil/"), ("200".to_owned(), "alive".to_owned()));
}

#[test]
fn the_commands_of_the_readme_archive_a_channel_into_a_bucket_and_play_it() {
    let stage = Stage::new(Home::Bucket(common::s3::S3Server::start()));
    let made = ("201".to_owned(), "{\"success\":\"created new channel\"}\n".to_owned());
    assert_eq!(stage.curl(PUT), made);
    assert_eq!(stage.curl(PUT), ("200".to_owned(), "{\"success\":\"updated channel\"}\n".to_owned()));
    let text = std::fs::read_to_string(stage.site.channel_file("scte35")).unwrap();
    assert!(text.contains("\nchunk_duration = \"PT10S\"\n") && text.contains("\n[s3]\n"), "{text}");
    archive_and_play(&stage);
    assert_eq!(stage.json("200", "-X DELETE", "/channel/scte35"), json!({"success": "channel deleted"}));
    assert_eq!(stage.json("404", "", "/channel/scte35/archive"), json!({"error": "channel not found"}));
    assert!(stage.home.objects(&stage.site).len() >= 4, "what is archived stays");
}

#[test]
fn a_channel_on_a_disk_is_served_alike() {
    let stage = Stage::new(Home::Disk);
    stage.site.channel("scte35", stage.live.url("scte35"), "archive_length = \"P7D\"");
    archive_and_play(&stage);
    assert_eq!(stage.json("200", "", "/channel/scte35")["s3_bucket"], Value::Null);
}
