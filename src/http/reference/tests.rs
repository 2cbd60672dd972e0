//! The reference's API as its clients know it, without a socket.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::tests::{app, body, request};
use super::super::{Answer, App, Routes};
use crate::grid::Grid;
use crate::ledger::{Claimed, Commit, Coverage, JobStats, Stored};
use crate::time::Time;

/// An application, its routes, and the folder below it.
struct Server {
    folder: TempDir,
    app: std::sync::Arc<App>,
    routes: Routes,
}

impl Server {
    fn new() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        Server { folder, app, routes: Routes::new().unwrap() }
    }

    async fn ask(&self, method: Method, target: &str) -> (u16, Value) {
        self.send(method, target, "application/json", "").await
    }

    async fn send(&self, method: Method, target: &str, content_type: &str, text: &str) -> (u16, Value) {
        let headers = [("accept", "application/json"), ("content-type", content_type)];
        let mut request = request(method, target, &headers);
        request.body = Bytes::copy_from_slice(text.as_bytes());
        let answer = self.routes.answer(&self.app, request).await;
        (answer.status.as_u16(), value(answer).await)
    }

    async fn put(&self, name: &str, document: &Value) -> (u16, Value) {
        self.send(Method::PUT, &format!("/channel/{name}"), "application/json", &document.to_string()).await
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("config/channels.d/{name}.toml"))
    }
}

async fn value(answer: Answer) -> Value {
    use futures_util::StreamExt;
    let text = match answer.body {
        super::super::Body::Stream { pieces, .. } => {
            let pieces: Vec<_> = pieces.collect().await;
            let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
            String::from_utf8(bytes).unwrap()
        }
        _ => body(&answer).to_owned(),
    };
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// What the README of the reference puts.
fn sample() -> Value {
    json!({
        "channel_url": "https://demo.unified-streaming.com/k8s/live/scte35.isml",
        "chunk_duration": "PT5M",
        "s3_endpoint": "minio:9000",
        "s3_access_key": "minioadmin",
        "s3_secret_key": "minioadmin-secret",
        "s3_bucket": "npvr-demo",
        "s3_region": "default",
        "archive_length": "P7D",
        "secure": false,
    })
}

fn with(mut document: Value, field: &str, value: impl Into<Value>) -> Value {
    document[field] = value.into();
    document
}

#[tokio::test]
async fn a_channel_is_made_changed_shown_and_removed_as_in_the_reference() {
    let server = Server::new();
    std::fs::remove_dir_all(server.folder.path().join("config")).unwrap();
    assert_eq!(server.ask(Method::GET, "/channel/").await, (200, json!({})));
    assert_eq!(server.put("scte35", &sample()).await, (201, json!({"success": "created new channel"})));
    let (status, shown) = server.ask(Method::GET, "/channel/scte35").await;
    let expected = with(with(sample(), "s3_access_key", "<REDACTED>"), "s3_secret_key", "<REDACTED>");
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[field], value, "{field}");
    }
    assert_eq!((status, &shown["enabled"]), (200, &json!(true)));
    assert_eq!(server.ask(Method::GET, "/api/channel/").await, (200, json!({"scte35": shown})));
    assert_eq!(
        server.put("scte35", &with(sample(), "archive_length", "P1D")).await,
        (200, json!({"success": "updated channel"}))
    );
    assert_eq!(server.ask(Method::GET, "/channel/scte35").await.1["archive_length"], "P1D");
    let gone = server.ask(Method::DELETE, "/channel/scte35").await;
    assert_eq!(gone, (200, json!({"success": "channel deleted"})));
    let gone = server.ask(Method::DELETE, "/channel/scte35").await;
    assert_eq!(gone, (404, json!({"error": "channel does not exist"})));
    for path in ["", "/archive", "/archive/gaps"] {
        let asked = server.ask(Method::GET, &format!("/channel/scte35{path}")).await;
        assert_eq!(asked, (404, json!({"error": "channel not found"})), "{path}");
    }
    for path in ["verify", "cleanup"] {
        let asked = server.ask(Method::POST, &format!("/channel/scte35/archive/{path}")).await;
        assert_eq!(asked, (404, json!({"error": "channel not found"})), "{path}");
    }
}

#[tokio::test]
async fn fields_that_are_missing_are_named_as_the_reference_names_them() {
    let server = Server::new();
    let mut document = sample();
    document
        .as_object_mut()
        .unwrap()
        .retain(|field, _| !["channel_url", "s3_region"].contains(&field.as_str()));
    let error = json!({"error": "missing required fields: ['channel_url', 's3_region']"});
    assert_eq!(server.put("scte35", &document).await, (400, error));
    let all = server.put("scte35", &json!([1])).await;
    assert!(all.1["error"].as_str().unwrap().ends_with("'s3_region', 'secure']"), "{all:?}");
    let refused = (415, json!({"error": "invalid data format, expect application/json"}));
    for (content_type, text) in [
        ("text/plain", "{}"),
        ("application/x-www-form-urlencoded", "a=b"),
        ("", &sample().to_string()),
        ("application/json", ""),
        ("application/json", "{"),
        ("application/json", "{}"),
        ("application/json", "null"),
    ] {
        let got = server.send(Method::PUT, "/channel/scte35", content_type, text).await;
        assert_eq!(got, refused, "{content_type}: {text}");
    }
    let charset = "application/json; charset=utf-8";
    let got = server.send(Method::PUT, "/channel/scte35", charset, &sample().to_string()).await;
    assert_eq!(got.0, 201, "{got:?}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_is_written_and_no_secret_is_said() {
    let server = Server::new();
    for (field, value, said) in [
        ("channel_url", json!("ftp://tv/a"), "neither http nor https"),
        ("channel_url", json!("https://a:hunter2@tv/a"), "a user or password stands in the URL"),
        ("channel_url", json!(7), "channel_url must be text"),
        ("chunk_duration", json!("PT0S"), "chunk_duration"),
        ("archive_length", json!("seven days"), "archive_length"),
        ("s3_bucket", json!("a/../b"), "s3.bucket"),
        ("secure", json!("false"), "secure must be true or false"),
        ("s3_secret_key", json!("<REDACTED>"), "there is none to keep"),
    ] {
        let (status, answer) = server.put("scte35", &with(sample(), field, value)).await;
        let error = answer["error"].as_str().unwrap();
        assert!(status == 400 && error.contains(said), "{field}: {status}: {error}");
        assert!(!error.contains("hunter2") && !error.contains("minioadmin-secret"), "{error}");
        assert!(!error.contains(server.folder.path().to_str().unwrap()), "{error}");
        assert!(!server.path("scte35").exists(), "{field}");
    }
    for name in ["..%2Fscte35", "%2e%2e", "a%20b", &"a".repeat(65)] {
        let (status, answer) = server.put(name, &sample()).await;
        assert_eq!(status, 400, "{name}: {answer}");
    }
}

#[tokio::test]
async fn what_a_person_wrote_into_the_file_stays_and_what_was_redacted_is_kept() {
    let server = Server::new();
    server.put("scte35", &with(sample(), "channel_url", "https://tv/a.isml?token=s3cr3t")).await;
    let mine = server.file("scte35").replace("# margin =", "# mine\nmargin =");
    std::fs::write(server.path("scte35"), mine).unwrap();
    let (_, shown) = server.ask(Method::GET, "/channel/scte35").await;
    assert!(!shown.to_string().contains("s3cr3t"), "{shown}");
    let (status, answer) = server.put("scte35", &with(shown, "archive_length", "P2D")).await;
    assert_eq!(status, 200, "{answer}");
    let text = server.file("scte35");
    for kept in ["# mine\nmargin =", "minioadmin-secret", "token=s3cr3t", "archive_length = \"P2D\""] {
        assert!(text.contains(kept), "{kept} is not in:\n{text}");
    }
}

#[tokio::test]
async fn keys_that_are_given_take_the_place_of_where_they_were_before() {
    let server = Server::new();
    server.put("scte35", &sample()).await;
    std::fs::write(server.folder.path().join("key"), "other").unwrap();
    let file = server.folder.path().join("key").display().to_string();
    let text = server
        .file("scte35")
        .replace("secret_key = \"minioadmin-secret\"", &format!("secret_key_file = \"{file}\""));
    std::fs::write(server.path("scte35"), text).unwrap();
    assert_eq!(server.put("scte35", &sample()).await.0, 200);
    let text = server.file("scte35");
    assert!(text.contains("secret_key = \"minioadmin-secret\"") && !text.contains(&file), "{text}");
}

#[tokio::test]
async fn a_channel_on_a_disk_has_no_bucket_and_is_not_moved_into_one() {
    let server = Server::new();
    let text = "channel_url = \"https://tv/a.isml\"\n[disk]\npath = \"/srv/npvr\"\n";
    std::fs::write(server.path("news"), text).unwrap();
    let (_, shown) = server.ask(Method::GET, "/channel/news").await;
    assert_eq!(
        (&shown["s3_bucket"], &shown["secure"], &shown["disk_path"]),
        (&Value::Null, &Value::Null, &json!("/srv/npvr"))
    );
    let (status, answer) = server.put("news", &sample()).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("disk.path"), "{answer}");
    assert_eq!(server.file("news"), text);
}

/// A channel that was archived for a day, of cells of five minutes; each third of the last `cells` is missing.
fn archive(server: &Server, cells: i64) -> Time {
    let ledger = server.app.place.ledger.as_ref();
    let grid = Grid::new(std::time::Duration::from_secs(300)).unwrap();
    let end = grid.cell_at(server.app.now().offset_ns(-600_000_000_000)).start();
    ledger.open_channel("news", Time::from_s(end.s() - cells * 300), end).unwrap();
    for n in (1..=cells).filter(|n| n % 3 != 0) {
        let cell = grid.cell_at(Time::from_s(end.s() - n * 300));
        let Ok(Claimed::Job { id, .. }) = ledger.claim("news", cell, "native", end, "host", 1) else {
            panic!()
        };
        let stored =
            Stored { coverage: Coverage::Complete, key: cell.key("news"), bytes: 1, sha256: [0; 32] };
        let chunk = Commit {
            stored: &stored,
            index: &[],
            gaps: &[],
            stats: JobStats::default(),
            retry_at: None,
            message: None,
        };
        ledger.commit(id, end, &chunk).unwrap();
    }
    end
}

#[tokio::test]
async fn keys_and_gaps_are_all_cells_together_also_where_they_come_in_pages() {
    let server = Server::new();
    std::fs::write(server.path("news"), "channel_url = \"https://tv/a.isml\"\narchive_length = \"P30D\"\n")
        .unwrap();
    let asked = server.ask(Method::GET, "/channel/news/archive/gaps").await;
    assert_eq!(asked, (200, json!([])), "what was never checked lacks nothing");
    let end = archive(&server, 1_600);
    let texts = |value: Value| -> Vec<String> { serde_json::from_value(value).unwrap() };
    let keys = texts(server.ask(Method::GET, "/channel/news/archive").await.1);
    let gaps = texts(server.ask(Method::GET, "/channel/news/archive/gaps").await.1);
    // Since then one or two cells have ended that should be there by now.
    let after = gaps.iter().filter(|key| {
        **key >= Grid::new(std::time::Duration::from_secs(300)).unwrap().cell_at(end).key("news")
    });
    let after = after.count();
    assert!(after <= 2, "{after}");
    assert_eq!((keys.len(), gaps.len() - after), (1_067, 533));
    let mut all: Vec<&String> = keys.iter().chain(&gaps).collect();
    assert!(keys.is_sorted() && gaps.is_sorted());
    all.sort();
    all.dedup();
    assert_eq!(all.len() - after, 1_600);
}

#[tokio::test]
async fn jobs_come_by_number_the_newest_first_and_have_the_fields_of_the_reference() {
    let server = Server::new();
    archive(&server, 5);
    let grid = Grid::new(std::time::Duration::from_secs(300)).unwrap();
    let cell = grid.cell_at(Time::from_s(1_544_100_900));
    let ledger = server.app.place.ledger.as_ref();
    let Ok(Claimed::Job { id, .. }) =
        ledger.claim("news", cell, "native", Time::from_s(1_544_101_300), "host", 1)
    else {
        panic!()
    };
    ledger.append_log(id, "it began\n").unwrap();
    ledger
        .fail(id, Time::from_s(1_544_101_301), "put s3://a: access denied", None, JobStats::default())
        .unwrap();
    let job = server.ask(Method::GET, &format!("/job/{id}")).await;
    assert_eq!(
        job,
        (
            200,
            json!({
                "id": "5", "channel_name": "news", "channel_url": null,
                "start": "2018-12-06T12:55:00Z", "end": "2018-12-06T13:00:00Z",
                "stages": {
                    "mark_chunk_in_progress": "done", "capture": "done", "s3_put": "failed",
                    "mark_chunk_not_in_progress": "done",
                },
                "start_time": "2018-12-06T13:01:40Z", "start_timestamp": 1_544_101_300.0,
                "chunk": "news/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv",
                "capture_command": [], "capture_returncode": 1, "capture_log": "/job/5/capture_log",
                "complete_time": "2018-12-06T13:01:41Z", "complete_timestamp": 1_544_101_301.0,
            })
        )
    );
    let log = server.ask(Method::GET, &format!("/job/{id}/capture_log")).await;
    assert_eq!(log, (200, json!({"stderr": "it began\n"})));
    let request = request(Method::GET, "/job/?limit=2", &[("accept", "application/json")]);
    let text = body(&server.routes.answer(&server.app, request).await).to_owned();
    assert!(text.starts_with("{\"5\":{") && text.contains(",\"4\":{") && !text.contains("\"3\":{"), "{text}");
    let rest = server.ask(Method::GET, "/job/?before=4").await.1;
    assert_eq!(rest.as_object().unwrap().len(), 3);
    assert_eq!(rest["3"]["capture_returncode"], 0);
    for path in ["99", "99/capture_log", "verify-1", "-1", "9999999999999999999999"] {
        assert_eq!(
            server.ask(Method::GET, &format!("/job/{path}")).await,
            (404, json!({"error": "job not found"}))
        );
    }
    assert_eq!(server.ask(Method::GET, "/job/?limit=0").await.0, 400);
}

#[tokio::test]
async fn behind_a_proxy_a_path_may_come_with_its_prefix_or_without() {
    let server = Server::new();
    for target in ["/npvr/api/channel/", "/api/channel/", "/npvr/channel/"] {
        let request = request(Method::GET, target, &[("x-path-prefix", "/npvr")]);
        assert_eq!(server.routes.answer(&server.app, request).await.status, 200, "{target}");
    }
    let other = request(Method::GET, "/npvr/api/channel/", &[]);
    assert_eq!(server.routes.answer(&server.app, other).await.status, 404);
}

#[tokio::test]
async fn a_path_that_has_both_is_a_page_for_people_and_json_for_who_asks_for_it() {
    let server = Server::new();
    server.put("scte35", &sample()).await;
    archive(&server, 1);
    let kind = async |target: &str, accept: &'static str| {
        let request = request(Method::GET, target, &[("accept", accept)]);
        let answer = server.routes.answer(&server.app, request).await;
        assert_eq!(answer.status, 200, "{target}: {accept}: {}", body(&answer));
        answer.headers["content-type"].to_str().unwrap().starts_with("text/html")
    };
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for target in ["/channel/", "/api/channel/", "/job/", "/job/1/capture_log", "/apidocs", "/api/apidocs/"] {
        assert!(kind(target, browser).await && kind(target, "*/*").await, "{target}");
        assert!(!kind(target, "application/json").await, "{target}");
        assert!(!kind(target, "application/json, text/plain, */*").await, "{target}");
        assert!(!kind(target, "text/html;q=0.5, application/json").await, "{target}");
    }
    for target in ["/channel/scte35", "/job/1"] {
        assert!(kind(target, browser).await && !kind(target, "*/*").await, "{target}");
        assert!(!kind(target, "application/json").await, "{target}");
    }
}
