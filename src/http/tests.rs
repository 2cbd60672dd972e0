//! Requests and answers without a socket, over an application in a temporary folder.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tempfile::TempDir;

use super::{Access, Answer, App, Body, Options, Refusal, Request, Routes, Style};
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
    app_with(folder, |_| {})
}

/// The same, with other options.
pub(super) fn app_with(folder: &TempDir, change: impl FnOnce(&mut Options)) -> Arc<App> {
    let state = folder.path().join("state");
    let ledger = Arc::new(SqliteLedger::open(&state).unwrap());
    let place = Workplace::new(ledger, state.join("spool"), "host".to_owned(), Arc::new(Nobody));
    let configuration = folder.path().join("config");
    std::fs::create_dir_all(configuration.join("channels.d")).unwrap();
    let channels = Channels::new(configuration, Env::of_process().unwrap());
    let mut options = Options::usual(state.join("archive"));
    change(&mut options);
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

fn routes() -> Routes {
    let mut routes = Routes::default();
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

#[test]
fn whatever_plays_a_channel_can_ask_for_a_signed_link() {
    let routes = Routes::new().unwrap();
    // A picture of what is archived, and no media.
    let open: Vec<&str> = routes.played().filter(|(_, is_signed)| !is_signed).map(|(path, _)| path).collect();
    assert_eq!(open, ["/channel/{name}/coverage.svg"]);
    assert!(routes.played().any(|(path, is_signed)| path == "/api/chunk/{name}/{day}/{file}" && is_signed));
}
