//! Requests and answers without a socket, over an application in a temporary folder.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};
use proptest::sample::select;
use tempfile::TempDir;

use super::{Access, Answer, App, Body, Guard, Options, Refusal, Request, Routes, Rules, Style};
use crate::capture::{Event, Observer, Workplace};
use crate::channels::{Channels, Env};
use crate::error::{Error, Kind};
use crate::grid::Cell;
use crate::ledger::SqliteLedger;

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _channel: &str, _cell: Cell, _event: Event) {}
}

/// An application over a folder with an empty ledger and no channel.
pub(super) fn app(folder: &TempDir) -> Arc<App> {
    let state = folder.path().join("state");
    let ledger = Arc::new(SqliteLedger::open(&state).unwrap());
    let place = Workplace::new(ledger, state.join("spool"), "host".to_owned(), Arc::new(Nobody));
    let configuration = folder.path().join("config");
    std::fs::create_dir_all(configuration.join("channels.d")).unwrap();
    let channels = Channels::new(configuration, Env::of_process().unwrap());
    let options = Options { archive: state.join("archive"), public_url: None, guard: Arc::default() };
    Arc::new(App::new(Arc::new(place), channels, options))
}

/// A request without a body.
pub(super) fn request(method: Method, target: &str, headers: &[(&'static str, &str)]) -> Request {
    let header = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    Request::new(method, target, headers.iter().map(header).collect::<HeaderMap>(), Bytes::new())
}

/// The body of an answer that is no stream.
pub(super) fn body(answer: &Answer) -> &str {
    match &answer.body {
        Body::Whole(bytes) => str::from_utf8(bytes).unwrap(),
        Body::Stream { .. } => panic!("it is a stream"),
    }
}

async fn echo(_app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    Ok(Answer::text(request.param("word")).tagged())
}

async fn fail(_app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    Err(Error::new(Kind::NotFound, "there is no <channel> \"x\"").hint("look again").into())
}

/// The same with another guard.
fn guarded(folder: &TempDir, rules: Rules) -> Arc<App> {
    let Ok(app) = Arc::try_unwrap(app(folder)) else { panic!("nobody else has it") };
    let options = Options { guard: Guard::new(rules), ..app.options };
    Arc::new(App::new(app.place, app.configuration, options))
}

fn routes() -> Routes {
    let mut routes = Routes::default();
    routes.add_both(Method::GET, "/media/{word}", Style::Plain, Access::Read, echo).shared();
    routes.add_both(Method::GET, "/dear", Style::V1, Access::Read, echo).dear();
    routes.add_both(Method::GET, "/echo/{word}", Style::Plain, Access::Read, echo);
    routes.add(Method::PUT, "/write", Style::Plain, Access::Write, echo);
    for (path, style) in
        [("/plain", Style::Plain), ("/page", Style::Page), ("/v1", Style::V1), ("/ref", Style::Reference)]
    {
        routes.add(Method::GET, path, style, Access::Read, fail);
    }
    routes
}

async fn answer(method: Method, target: &str, headers: &[(&'static str, &str)]) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    routes().answer(&app(&folder), request(method, target, headers)).await
}

#[tokio::test]
async fn a_place_in_a_pattern_takes_one_segment_and_its_escapes_are_resolved() {
    assert_eq!(body(&answer(Method::GET, "/echo/a%20b%2Fc?x=y", &[]).await), "a b/c");
    assert_eq!(body(&answer(Method::GET, "/api/echo/a", &[]).await), "a");
    for target in ["/echo/a/b", "/echo/", "/nowhere", "/echo/%00", "/echo/%ff"] {
        assert_eq!(answer(Method::GET, target, &[]).await.status, StatusCode::NOT_FOUND, "{target}");
    }
}

#[tokio::test]
async fn another_method_is_told_which_are_allowed_and_head_has_no_body() {
    let refused = answer(Method::DELETE, "/echo/a", &[]).await;
    assert_eq!(
        (refused.status, &refused.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("GET"))
    );
    let head = answer(Method::HEAD, "/echo/abc", &[]).await;
    assert_eq!((body(&head), &head.headers["content-length"]), ("", &HeaderValue::from_static("3")));
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let put = async |origin| answer(Method::PUT, "/write", &[("host", "tv:80"), ("origin", origin)]).await;
    assert_eq!(put("http://tv:80").await.status, StatusCode::OK);
    for origin in ["http://evil.example", "https://tv:80", "null", "http://tv:80.evil.example"] {
        assert_eq!(put(origin).await.status, StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(answer(Method::PUT, "/write", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_has_the_bytes_is_not_sent_them_again() {
    let first = answer(Method::GET, "/echo/abc", &[]).await;
    let tag = first.headers["etag"].to_str().unwrap();
    for known in [tag, "*", &format!("\"x\", W/{tag}")] {
        let second = answer(Method::GET, "/echo/abc", &[("if-none-match", known)]).await;
        assert_eq!((second.status, body(&second)), (StatusCode::NOT_MODIFIED, ""), "{known}");
    }
    assert_eq!(answer(Method::GET, "/echo/abd", &[("if-none-match", tag)]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_style_says_the_same_in_its_own_way() {
    let plain = answer(Method::GET, "/plain", &[]).await;
    assert_eq!(body(&plain), "there is no <channel> \"x\"\n  hint: look again\n");
    let page = answer(Method::GET, "/page", &[("accept", "text/html,*/*")]).await;
    assert!(body(&page).contains("There is no &#60;channel&#62; &#34;x&#34;."), "{}", body(&page));
    assert_eq!(body(&answer(Method::GET, "/page", &[]).await), body(&plain));
    let problem = answer(Method::GET, "/v1", &[]).await;
    assert_eq!(problem.headers["content-type"], "application/problem+json");
    assert!(body(&problem).contains("\"status\":404"), "{}", body(&problem));
    assert_eq!(
        body(&answer(Method::GET, "/ref", &[]).await),
        "{\"error\":\"there is no <channel> \\\"x\\\"\"}\n"
    );
}

#[tokio::test]
async fn what_players_on_other_sites_play_may_be_fetched_from_there_and_nothing_else() {
    for (path, shared) in [("/media/a", true), ("/api/media/a", true), ("/echo/a", false), ("/write", false)]
    {
        let asked = answer(Method::OPTIONS, path, &[("origin", "https://player.example")]).await;
        assert_eq!(asked.status == StatusCode::NO_CONTENT, shared, "{path}");
        for answer in [asked, answer(Method::GET, path, &[]).await] {
            let origin = answer.headers.get("access-control-allow-origin").map(|v| v.to_str().unwrap());
            assert_eq!(origin, shared.then_some("*"), "{path}");
            let policy = &answer.headers["cross-origin-resource-policy"];
            assert_eq!(policy, if shared { "cross-origin" } else { "same-origin" }, "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_dear_has_turns_and_who_has_none_left_is_told_when_to_come_back() {
    let (folder, routes) = (tempfile::tempdir().unwrap(), routes());
    let app = guarded(&folder, Rules { dear_per_minute: 8, ..Rules::default() });
    let ask = async |path| routes.answer(&app, request(Method::GET, path, &[])).await;
    // Two at once, at either path.
    assert_eq!([ask("/dear").await.status, ask("/api/dear").await.status], [StatusCode::OK; 2]);
    let refused = ask("/dear").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=8).contains(&wait), "{wait}");
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(ask("/echo/a").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_server_that_is_read_only_has_nothing_that_writes() {
    let folder = tempfile::tempdir().unwrap();
    let routes = routes().read_only();
    let put = routes.answer(&app(&folder), request(Method::PUT, "/write", &[])).await;
    assert_eq!(put.status, StatusCode::NOT_FOUND);
    let put = routes.answer(&app(&folder), request(Method::PUT, "/echo/a", &[])).await;
    assert_eq!(
        (put.status, &put.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("GET"))
    );
}

#[tokio::test]
async fn who_is_not_let_in_learns_nothing_of_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let app = guarded(&folder, Rules { names: vec!["tv".to_owned()], ..Rules::default() });
    for path in ["/echo/a", "/plain", "/v1"] {
        let refused = routes().answer(&app, request(Method::GET, path, &[("host", "evil.example")])).await;
        assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
        assert!(!body(&refused).contains("channel"), "{}", body(&refused));
    }
}

/// Words that paths are made of, and some that they should not be.
const WORDS: [&str; 24] = [
    "api",
    "v1",
    "smil",
    "ism",
    "chunk",
    "channel",
    "job",
    "assets",
    "metrics",
    "readyz",
    "news",
    "1",
    "cell",
    "archive",
    "",
    "fixed.smil",
    "coverage.svg",
    "2026-11-22",
    "2026-11-22T08:00:00Z--2026-11-22T09:00:00Z",
    "0001-01-01T00:00:00Z--9999",
    "2026-11-22T08:00:00Z--2026-11-22T08:05:00Z.ismv",
    "%2e%2e",
    "%00",
    "%ff",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_request_is_too_much_for_a_handler(
        method in select(&["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "FOO"][..]),
        words in vec(prop_oneof![4 => select(&WORDS[..]).prop_map(str::to_owned), 1 => "[!->@-~]{0,9}"], 0..6),
        query in prop_oneof![Just(String::new()), "(from|to|limit|dialect|width|of)=[ -~]{0,20}(&[a-z]=[!-~]{0,5}){0,2}"],
        name in select(&["accept", "host", "range", "x-path-prefix", "if-none-match", "authorization", "content-type"][..]),
        value in prop_oneof!["[ -~]{0,30}", Just("application/json".to_owned()), Just("text/html".to_owned())],
        body in vec(any::<u8>(), 0..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        let file = folder.path().join("config/channels.d/news.toml");
        std::fs::write(file, "channel_url = \"http://127.0.0.1:1/news.isml\"\n").unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut asked = request(method, &format!("/{}?{query}", words.join("/")), &[(name, &value)]);
        asked.body = body.into();
        let told = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&told);
        let routes = Routes::new().unwrap().telling(move |what| kept.lock().unwrap().push_str(what));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(routes.answer(&app, asked));
        // What npvr cannot do, and a store that is not there, are no mistakes of the program.
        let is_fine = answer.status.as_u16() < 500 || matches!(answer.status.as_u16(), 501 | 503);
        prop_assert!(is_fine, "{} {}", answer.status, told.lock().unwrap());
    }
}
