//! The API of npvr's own as its clients know it, without a socket.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::tests::{app, body, request};
use super::super::{Answer, App, Routes};
use crate::grid::{Cell, Grid};
use crate::ledger::{Claimed, Commit, Coverage, Gap, JobStats, Stored};
use crate::media::{Index, IndexEntry};
use crate::time::{Range, Time, Timescale};
use crate::track::{Medium, Track};

/// 2018-12-06T12:00:00Z.
const NOON: i64 = 1_544_097_600;

struct Server {
    folder: TempDir,
    app: std::sync::Arc<App>,
    routes: Routes,
}

impl Server {
    /// A server with a channel `news` that was never checked.
    fn new() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        let server = Server { folder, app, routes: Routes::new().unwrap() };
        server.channel(
            "news",
            "channel_url = \"https://tv/a.isml?token=s3cr3t\"\narchive_length = \"P36500D\"\n",
        );
        server
    }

    fn channel(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(format!("config/channels.d/{name}.toml")), text).unwrap();
        self.app.channels_changed();
    }

    async fn answer(&self, method: Method, path: &str, sent: Option<&Value>) -> Answer {
        let mut request = request(method, &format!("/api/v1{path}"), &[("content-type", "application/json")]);
        request.body = sent.map(|sent| Bytes::from(sent.to_string())).unwrap_or_default();
        self.routes.answer(&self.app, request).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.answer(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", body(&answer));
        serde_json::from_str(body(&answer)).unwrap()
    }

    /// The status and the words of an answer that is a problem.
    async fn problem(&self, method: Method, path: &str, sent: Option<&Value>) -> (u16, String) {
        let answer = self.answer(method, path, sent).await;
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        let problem: Value = serde_json::from_str(body(&answer)).unwrap();
        assert_eq!(problem["status"], answer.status.as_u16(), "{path}");
        (answer.status.as_u16(), problem["detail"].as_str().unwrap().to_owned())
    }

    /// Captures the `n`th five minutes after noon: with a hole in its one track, if `gap` is one.
    fn capture(&self, n: i64, gap: Option<Range>) {
        let ledger = self.app.place.ledger.as_ref();
        let (cell, now) = (cell(n), Time::from_s(NOON + 86_400));
        let timescale = Timescale::new(1_000).unwrap();
        let track = Track {
            medium: Medium::Video,
            id: "video=1".to_owned(),
            language: None,
            bandwidth: None,
            codecs: None,
            size: None,
        };
        ledger.open_channel("news", Time::from_s(NOON), now).unwrap();
        ledger.register_tracks("news", &[(&track, timescale)], now).unwrap();
        let Ok(Claimed::Job { id, .. }) = ledger.claim("news", cell, "native", now, "host", 1) else {
            panic!()
        };
        let mut index = Index::default();
        let holes = gap.map(|g| g.start).unwrap_or(cell.end());
        for start in (cell.start().s()..holes.s()).step_by(2) {
            let entry = IndexEntry {
                decode_time: u64::try_from(start * 1_000).unwrap(),
                duration_ticks: 2_000,
                moof_offset: 1,
                prefix_size: 0,
                size: 10,
                sync: true,
            };
            index.push(1, timescale, entry);
        }
        let coverage = if gap.is_some() { Coverage::Partial } else { Coverage::Complete };
        let gaps: Vec<Gap> = gap
            .map(|range| Gap { track: track.name(), range, reason: "expired".to_owned() })
            .into_iter()
            .collect();
        let stored = Stored { coverage, key: cell.key("news"), bytes: 1_500, sha256: [7; 32] };
        let chunk = Commit {
            stored: &stored,
            index: &index.encode(),
            gaps: &gaps,
            stats: JobStats::default(),
            retry_at: None,
            message: None,
        };
        ledger.commit(id, now, &chunk).unwrap();
    }
}

fn cell(n: i64) -> Cell {
    Grid::new(Duration::from_secs(300)).unwrap().cell_at(Time::from_s(NOON + n * 300))
}

#[tokio::test]
async fn chunks_come_in_pages_and_each_page_says_how_to_go_on() {
    let server = Server::new();
    (0..7).for_each(|n| server.capture(n, None));
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/channels/news/chunks?limit=3{next}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|item| item["key"].as_str().unwrap().to_owned()));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={after}");
    }
    assert_eq!(seen, (0..7).map(|n| cell(n).key("news")).collect::<Vec<_>>());
    // In the middle of the second one, to the start of the fifth.
    let page = server.get("/channels/news/chunks?from=2018-12-06T12:07:00Z&to=2018-12-06T12:20:00Z").await;
    let starts: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["cell"]["start"].as_str().unwrap())
        .collect();
    assert_eq!(starts, ["2018-12-06T12:05:00Z", "2018-12-06T12:10:00Z", "2018-12-06T12:15:00Z"]);
    assert_eq!(page["next"], Value::Null);
    let none = server.get("/channels/news/chunks?from=2019-01-01T00:00:00Z").await;
    assert_eq!(none, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn a_chunk_has_its_object_and_if_asked_for_what_of_each_track_is_in_it() {
    let server = Server::new();
    let gap = Range::new(Time::from_s(NOON + 100), Time::from_s(NOON + 300));
    server.capture(0, Some(gap));
    // No store was ever made, so nobody knows where the file is.
    let plain = &server.get("/channels/news/chunks").await["items"][0];
    let sum = "07".repeat(32);
    let expected = json!({
        "cell": {"start": "2018-12-06T12:00:00Z", "end": "2018-12-06T12:05:00Z"},
        "state": "partial", "key": cell(0).key("news"), "url": null, "bytes": 1_500, "sha256": sum, "verified": null,
        "updated": "2018-12-07T12:00:00Z", "attempts": 0, "retry_at": null, "reason": null, "job": 1,
    });
    assert_eq!(plain, &expected);
    server.channel("news", "channel_url = \"https://tv/a.isml\"\npublic_url = \"https://cdn/archive/\"\n");
    let full = &server.get("/channels/news/chunks?tracks=true").await["items"][0];
    assert_eq!(full["url"], format!("https://cdn/archive/{}", cell(0).key("news")));
    assert_eq!(
        full["tracks"],
        json!([{
            "id": 1, "name": "video=1", "description": "video=1", "timescale": 1_000, "fragments": 50, "bytes": 500,
            "ranges": [{"start": "2018-12-06T12:00:00Z", "end": "2018-12-06T12:01:40Z"}], "starts_with_sync": true,
            "gaps": [{"range": {"start": "2018-12-06T12:01:40Z", "end": "2018-12-06T12:05:00Z"}, "reason": "expired"}],
        }])
    );
}

#[tokio::test]
async fn one_cell_is_told_in_full_also_where_it_has_no_row_yet() {
    let server = Server::new();
    server.capture(0, None);
    let full = server.get("/channels/news/chunks/2018-12-06T12:00:00Z--2018-12-06T12:05:00Z").await;
    assert_eq!((&full["state"], &full["chunk"]["bytes"]), (&json!("complete"), &json!(1_500)));
    assert_eq!((&full["tracks"][0]["fragments"], &full["job"]["id"]), (&json!(150), &json!(1)));
    let none = server.get("/channels/news/chunks/2018-12-06T12:05:00Z--2018-12-06T12:10:00Z").await;
    assert_eq!((&none["state"], &none["chunk"]), (&Value::Null, &Value::Null));
    let other = "/channels/news/chunks/2018-12-06T12:00:00Z--2018-12-06T12:00:01Z";
    let (status, said) = server.problem(Method::GET, other, None).await;
    assert!(status == 404 && said.ends_with("is none of its chunks"), "{said}");
    for nonsense in ["yesterday", "2018-12-06T12:00:00.5Z--2018-12-06T12:00:01Z"] {
        let path = format!("/channels/news/chunks/{nonsense}");
        assert_eq!(server.problem(Method::GET, &path, None).await.0, 400, "{nonsense}");
    }
}

#[tokio::test]
async fn gaps_say_why_and_what_can_still_be_done_and_a_page_ends_with_a_cell() {
    let server = Server::new();
    for n in 0..450 {
        let (start, end) = (cell(n).start(), cell(n).end());
        let gap = Range::new(start.plus(Duration::from_secs(2)), end);
        // Only the first and the last of many.
        server.capture(n, (n % 449 == 0).then_some(gap));
    }
    let page = server.get("/channels/news/gaps?limit=1").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let gap = &page["items"][0];
    assert_eq!((&gap["reason"], &gap["track"]), (&json!("expired"), &json!("video=1")));
    assert_eq!(gap["prospect"]["text"], "lost: the source has no more of it", "{gap}");
    let next = page["next"].as_str().unwrap();
    let rest = server.get(&format!("/channels/news/gaps?limit=1&after={next}")).await;
    assert_eq!(rest["items"][0]["cell"]["start"], cell(449).start().to_string());
    assert_eq!(rest["next"], Value::Null);
    assert_eq!(server.get("/channels/news/gaps").await["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn channels_are_shown_without_secrets_switched_and_removed() {
    let server = Server::new();
    server.channel("film", "channel_url = 7\n");
    server
        .channel("sport", "channel_url = \"https://tv/b.isml\"\nusername = \"u\"\npassword = \"hunter2\"\n");
    let all = server.get("/channels?limit=1").await;
    assert_eq!((&all["items"][0]["name"], &all["next"]), (&json!("news"), &json!("news")));
    let unusable = all["unusable"][0].as_str().unwrap();
    assert!(unusable.contains("channel_url must be text"), "{unusable}");
    let rest = server.get("/channels?after=news").await;
    assert_eq!((&rest["items"][0]["name"], &rest["next"]), (&json!("sport"), &Value::Null));
    assert!(!format!("{all}{rest}").contains("hunter2") && !all.to_string().contains("s3cr3t"));
    let settings = rest["items"][0]["settings"].as_array().unwrap();
    assert!(
        settings.contains(&json!({"key": "password", "value": "<redacted>", "origin": "sport.toml, line 3"})),
        "{settings:?}"
    );
    let switched = server.answer(Method::PATCH, "/channels/news", Some(&json!({"enabled": false}))).await;
    assert_eq!((switched.status.as_u16(), body(&switched).contains("\"enabled\":false")), (200, true));
    assert_eq!(server.get("/channels/news").await["enabled"], false);
    let unknown = server.problem(Method::PATCH, "/channels/news", Some(&json!({"engine": "unified"}))).await;
    assert!(unknown.0 == 400 && unknown.1.contains("unknown field `engine`"), "{unknown:?}");
    assert_eq!(server.answer(Method::DELETE, "/channels/sport", None).await.status, 204);
    assert_eq!(server.problem(Method::DELETE, "/channels/sport", None).await.0, 404);
    assert_eq!(server.problem(Method::GET, "/channels/..%2Fnews", None).await.0, 404);
}

#[tokio::test]
async fn a_range_is_held_shown_and_let_go() {
    let server = Server::new();
    server.capture(0, None);
    let range = json!({"start": "2018-12-06T12:01:00Z", "end": "2018-12-06T12:02:00Z"});
    let wanted = json!({"channel": "news", "range": range, "note": "the crash"});
    let made = server.answer(Method::POST, "/holds", Some(&wanted)).await;
    assert_eq!(
        (made.status.as_u16(), &made.headers["location"]),
        (201, &http::HeaderValue::from_static("/api/v1/holds/1"))
    );
    let hold = server.get("/holds/1").await;
    assert_eq!((&hold["note"], &hold["range"], &hold["chunks"]), (&json!("the crash"), &range, &json!(1)));
    assert_eq!(server.get("/holds?channel=news").await, json!({"items": [hold], "next": null}));
    assert_eq!(server.get("/holds?after=1").await["items"], json!([]));
    assert_eq!(server.answer(Method::DELETE, "/holds/1", None).await.status, 204);
    assert_eq!(
        server.problem(Method::DELETE, "/holds/1", None).await,
        (404, "there is no hold 1".to_owned())
    );
    for (change, status) in [
        (json!({"channel": "nobody"}), 404),
        (json!({"until": "2018-12-06T12:00:00Z"}), 400),
        (json!({"range": {"start": "2018-12-06T12:02:00Z", "end": "2018-12-06T12:01:00Z"}}), 400),
        (json!({"note": "x".repeat(1_001)}), 400),
        (json!({"range": "yesterday"}), 400),
        (json!({"unti": null}), 400),
    ] {
        let mut asked = wanted.clone();
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(server.problem(Method::POST, "/holds", Some(&asked)).await.0, status, "{change}");
    }
}

#[tokio::test]
async fn jobs_are_found_by_channel_outcome_and_time_and_come_in_pages() {
    let server = Server::new();
    (0..5).for_each(|n| server.capture(n, None));
    let ids = |page: &Value| -> Vec<i64> {
        page["items"].as_array().unwrap().iter().map(|job| job["id"].as_i64().unwrap()).collect()
    };
    let page = server.get("/jobs?limit=2").await;
    assert_eq!((ids(&page), page["next"].as_str()), (vec![5, 4], Some("4")));
    assert_eq!(ids(&server.get("/jobs?before=4&channel=news").await), [3, 2, 1]);
    assert_eq!(ids(&server.get("/jobs?channel=film").await), [0; 0]);
    assert_eq!(ids(&server.get("/jobs?outcome=failed&outcome=died").await), [0; 0]);
    assert_eq!(
        ids(&server.get("/jobs?outcome=complete&from=2018-12-06T12:11:00Z&to=2018-12-06T12:16:00Z").await),
        [4, 3]
    );
    assert_eq!(server.get("/jobs/3").await["cell"]["start"], "2018-12-06T12:10:00Z");
    assert_eq!(server.answer(Method::GET, "/jobs/3/log", None).await.status, 200);
    assert_eq!(server.problem(Method::GET, "/jobs/6", None).await.0, 404);
    assert_eq!(server.problem(Method::GET, "/jobs/six", None).await.0, 400);
    assert_eq!(server.problem(Method::GET, "/jobs?outcome=lost", None).await.0, 400);
}

#[tokio::test]
async fn the_status_is_that_of_the_command_line() {
    let server = Server::new();
    server.capture(0, None);
    let status = server.get("/status").await;
    assert_eq!(
        (&status["schema"], &status["channels"][0]["name"], &status["next"]),
        (&json!(1), &json!("news"), &Value::Null)
    );
    assert_eq!(status["channels"][0]["counts"]["complete"], 1);
    assert_eq!(server.get("/status?channel=news&after=news").await["channels"], json!([]));
    assert_eq!(server.get("/at-risk").await, json!({"items": [], "next": null}));
    assert_eq!(server.problem(Method::GET, "/status?channel=film", None).await.0, 404);
}

#[tokio::test]
async fn nonsense_in_a_query_is_a_problem_with_a_sentence() {
    let server = Server::new();
    for (path, said) in [
        ("/channels/news/chunks?limit=0", "limit is not a number from 1 to 1000"),
        ("/channels/news/chunks?limit=1001", "limit is not"),
        ("/channels/news/chunks?from=yesterday", "from is not a time"),
        ("/channels/news/chunks?from=2019-01-01T00:00:00Z&to=2018-01-01T00:00:00Z", "to is not after from"),
        ("/channels/news/chunks?after=1", "is not a range"),
        ("/channels/news/chunks?tracks=maybe", "tracks is neither true nor false"),
        ("/holds?after=first", "is not the number of a hold"),
        ("/status?limit=x", "limit is not"),
    ] {
        let (status, detail) = server.problem(Method::GET, path, None).await;
        assert!(status == 400 && detail.contains(said), "{path}: {detail}");
    }
    assert_eq!(server.problem(Method::GET, "/channels/nobody/gaps", None).await.0, 404);
    let sent = json!({"channel": "news", "kind": "verify", "force": true});
    assert_eq!(server.problem(Method::POST, "/tasks", Some(&sent)).await.0, 400);
    let request = request(Method::POST, "/api/v1/tasks", &[("content-type", "text/plain")]);
    assert_eq!(server.routes.answer(&server.app, request).await.status, 415);
}

#[tokio::test]
async fn a_verification_goes_on_in_the_background_and_tells_what_the_command_would() {
    let server = Server::new();
    server.capture(0, None);
    std::fs::create_dir_all(server.folder.path().join("state/archive")).unwrap();
    std::fs::write(server.folder.path().join("state/archive/.npvr-store"), "").unwrap();
    let sent = json!({"channel": "news", "kind": "verify", "dry_run": true});
    let started = server.answer(Method::POST, "/tasks", Some(&sent)).await;
    assert_eq!(
        (started.status.as_u16(), &started.headers["location"]),
        (202, &http::HeaderValue::from_static("/api/v1/tasks/verify-1"))
    );
    let task = loop {
        let task = server.get("/tasks/verify-1").await;
        if !task["ended"].is_null() {
            break task;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&task["state"], &task["problem"]), (&json!("done"), &json!(true)), "{task}");
    let log = task["log"].to_string();
    assert!(log.contains("channel news: missing: 1") && log.contains("1 wrong, 0 mended"), "{log}");
    assert_eq!(task["verified"]["findings"][0]["kind"], "missing");
    let list = server.get("/tasks").await;
    assert_eq!((&list["items"][0]["id"], list["items"][0].get("log")), (&json!("verify-1"), None));
    let sent = json!({"channel": "news", "kind": "prune", "dry_run": true});
    assert_eq!(server.answer(Method::POST, "/tasks", Some(&sent)).await.status, 202);
    let task = loop {
        let task = server.get("/tasks/prune-2").await;
        if !task["ended"].is_null() {
            break task;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&task["state"], &task["problem"]), (&json!("done"), &json!(false)), "{task}");
    assert_eq!(task["log"], json!(["nothing would go, 1 chunk, 1.5 kB would stay"]));
    assert_eq!(server.problem(Method::GET, "/tasks/7", None).await.0, 404);
}
