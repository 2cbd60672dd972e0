//! The pages without a socket and without a browser.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};
use tempfile::TempDir;

use super::assets;
use crate::channel::HlsJs;
use crate::grid::Cell;
use crate::http::tests::{app, app_with, body, request};
use crate::http::{Answer, App, Library, Routes};
use crate::ledger::{Claimed, JobStats};
use crate::time::Time;

/// A site with these channel files.
fn site(files: &[(&str, &str)]) -> (TempDir, Arc<App>) {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder);
    for (name, text) in files {
        std::fs::write(folder.path().join(format!("config/channels.d/{name}.toml")), text).unwrap();
    }
    (folder, app)
}

const NEWS: (&str, &str) = (
    "news",
    "channel_url = \"https://origin.example.com/live/news.isml?token=hush\"\nusername = \"npvr\"\npassword = \"hush-hush\"\n",
);

async fn get(app: &Arc<App>, target: &str, headers: &[(&'static str, &str)]) -> Answer {
    let page = [("accept", "text/html")].into_iter().filter(|_| !headers.iter().any(|h| h.0 == "accept"));
    let headers: Vec<_> = page.chain([("host", "tv")]).chain(headers.iter().copied()).collect();
    Routes::new().unwrap().answer(app, request(Method::GET, target, &headers)).await
}

/// Every address that a page leads to, and what it loads.
fn links(page: &str) -> Vec<&str> {
    let values = ["href=\"", "src=\"", "action=\"", "data-cell=\"", "data-path=\"", "data-log=\""];
    values
        .iter()
        .flat_map(|name| page.split(name).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

/// A job that failed, with what it said.
fn failed_job(app: &App, said: &str) -> String {
    let ledger = &app.place.ledger;
    let cell = Cell::from_range("2026-11-22T14:00:00Z--2026-11-22T14:05:00Z".parse().unwrap());
    let claimed = ledger.claim("news", cell, "native", Time::EPOCH, "host", 1).unwrap();
    let Claimed::Job { id, .. } = claimed else { panic!("{claimed:?}") };
    ledger.append_log(id, said).unwrap();
    ledger.fail(id, Time::from_s(2), said, None, JobStats::default()).unwrap();
    id.to_string()
}

#[tokio::test]
async fn every_link_of_every_page_is_below_the_prefix_and_leads_somewhere() {
    let (_folder, app) = site(&[NEWS]);
    let id = failed_job(&app, "it broke");
    for target in ["/", "/channel/news", "/job/", &format!("/job/{id}"), "/channel/nosuch", "/apidocs"] {
        let answer = get(&app, target, &[("x-path-prefix", "/npvr")]).await;
        let page = body(&answer);
        for link in links(page).into_iter().filter(|link| !link.starts_with('#') && !link.is_empty()) {
            let rest = link.strip_prefix("/npvr").unwrap_or_else(|| panic!("{target}: {link}"));
            let rest = rest.replace("&amp;", "&").replace("&#38;", "&");
            let there = get(&app, &rest, &[]).await.status;
            // What a script adds an instant to is there, and asks for it.
            let fine = there == StatusCode::OK || rest.ends_with("/cell");
            assert!(fine, "{target}: {link}: {there}");
        }
    }
}

#[tokio::test]
async fn every_link_of_a_range_leads_to_a_route() {
    let (_folder, app) = site(&[NEWS]);
    let now = app.now();
    app.place.ledger.open_channel("news", Time::from_s(now.s() - 86_400), now).unwrap();
    let page = get(&app, "/channel/news?from=2026-11-22T14:00:00Z&to=2026-11-22T14:05:00Z", &[]).await;
    let urls: Vec<&str> =
        links(body(&page)).into_iter().filter_map(|link| link.strip_prefix("http://tv")).collect();
    assert!(urls.len() >= 2, "{urls:?}");
    for url in urls {
        let answer = get(&app, url, &[]).await;
        assert!(!body(&answer).contains("there is nothing at this path"), "{url}");
    }
}

#[tokio::test]
async fn a_channels_page_may_load_its_media_and_hls_js_from_where_they_are_and_nothing_else() {
    let url = "channel_url = \"https://origin.example.com/live/news.isml\"";
    let bucket = "[s3]\nendpoint = \"https://s3.example.com\"\nbucket = \"tv-news\"\naccess_key = \"a\"\nsecret_key = \"b\"\n";
    let direct = format!("{url}\npublic_url = \"https://cdn.example.com/tv\"\n");
    let redirect = format!("{url}\n{bucket}");
    let serve = format!("{url}\n[playback]\nmedia = \"serve\"\n{bucket}");
    let (folder, _) = site(&[("direct", &direct), ("redirect", &redirect), ("serve", &serve)]);
    let library = HlsJs::There("https://js.example.com/hls.min.js".parse().unwrap());
    let app = app_with(&folder, |options| options.library = Some(Library::find(&library).unwrap()));
    for (name, media) in
        [("direct", " https://cdn.example.com"), ("redirect", " https://s3.example.com"), ("serve", "")]
    {
        let answer = get(&app, &format!("/channel/{name}"), &[]).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        for part in [
            "script-src 'self' https://js.example.com/hls.min.js;".to_owned(),
            format!("connect-src 'self'{media};"),
            format!("media-src 'self'{media} blob:;"),
        ] {
            assert!(policy.contains(&part), "{name}: {part}: {policy}");
        }
    }
    let policy = get(&app, "/", &[]).await.headers["content-security-policy"].clone();
    assert!(!policy.to_str().unwrap().contains("https://"), "{policy:?}");
}

#[tokio::test]
async fn who_may_change_nothing_is_not_offered_to_hold_a_range() {
    let (folder, _) = site(&[NEWS]);
    for (read_only, offered) in [(false, true), (true, false)] {
        let app = app_with(&folder, |options| options.read_only = read_only);
        let now = app.now();
        app.place.ledger.open_channel("news", Time::from_s(now.s() - 86_400), now).unwrap();
        let page = get(&app, "/channel/news", &[]).await;
        assert_eq!(body(&page).contains("id=\"hold\""), offered);
        assert!(body(&page).contains("id=\"player\""));
    }
}

#[tokio::test]
async fn what_others_wrote_is_text_and_never_markup() {
    let (_folder, app) = site(&[NEWS, ("bad", "channel_url = \"<script>alert(1)</script>\"\n")]);
    let id = failed_job(&app, "<img src=x onerror=alert(1)> \"'&");
    for target in [
        "/",
        "/job/",
        &format!("/job/{id}"),
        "/channel/<script>alert(1)<%2Fscript>",
        "/job/?outcome=<script>",
    ] {
        let answer = get(&app, target, &[]).await;
        let page = body(&answer);
        assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{target}: {page}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{target}: {policy}");
        // What the policy forbids is not there: a browser would leave it out.
        assert!(
            !page.contains(" style=\"") && !page.contains("<style") && !page.contains(" onclick"),
            "{target}"
        );
    }
}

#[tokio::test]
async fn no_page_shows_a_secret() {
    let (_folder, app) = site(&[NEWS]);
    for target in ["/", "/channel/news", "/job/"] {
        let answer = get(&app, target, &[]).await;
        assert_eq!((answer.status, body(&answer).contains("hush")), (StatusCode::OK, false), "{target}");
    }
}

const ACCEPT: HeaderValue = HeaderValue::from_static("Accept");

#[tokio::test]
async fn a_path_of_the_reference_is_a_page_for_a_browser_and_json_for_others() {
    let (_folder, app) = site(&[NEWS]);
    let id = failed_job(&app, "it broke");
    for target in ["/channel/", "/api/channel/", "/channel/news", "/job/", &format!("/job/{id}")] {
        let page = get(&app, target, &[]).await;
        assert!(body(&page).starts_with("<!doctype html>"), "{target}");
        let asked = request(Method::GET, target, &[("accept", "application/json")]);
        let json = Routes::new().unwrap().answer(&app, asked).await;
        assert_eq!(json.headers["content-type"], "application/json", "{target}");
        assert_eq!((&page.headers["vary"], &json.headers["vary"]), (&ACCEPT, &ACCEPT), "{target}");
    }
    for (target, to) in
        [("/channel/news/archive", "/channel/news"), ("/channel/news/archive/gaps", "/channel/news#gaps")]
    {
        let answer = get(&app, target, &[]).await;
        assert_eq!(
            (answer.status, answer.headers["location"].to_str().unwrap()),
            (StatusCode::SEE_OTHER, to)
        );
    }
}

#[tokio::test]
async fn an_empty_site_says_how_to_begin_and_a_bad_file_is_named() {
    let (_folder, app) = site(&[]);
    assert!(body(&get(&app, "/", &[]).await).contains("npvr channel add news --url"));
    let (_folder, app) = site(&[("bad", "chunk = 1\n")]);
    let page = get(&app, "/", &[]).await;
    assert!(body(&page).contains("bad.toml, line 1: unknown key"), "{}", body(&page));
}

#[tokio::test]
async fn an_asset_is_kept_for_good_and_an_old_name_of_it_is_gone() {
    let (_folder, app) = site(&[]);
    for asset in [assets::style(), assets::script(), assets::player(), assets::icon()] {
        let answer = get(&app, &asset.path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.headers["cache-control"].to_str().unwrap().contains("immutable"));
    }
    assert_eq!(get(&app, "/assets/style-000000000000.css", &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_list_that_has_not_changed_is_not_sent_again() {
    let (_folder, app) = site(&[NEWS]);
    failed_job(&app, "it broke");
    let first = get(&app, "/job/?outcome=failed", &[]).await;
    let tag = first.headers["etag"].to_str().unwrap();
    let again = get(&app, "/job/?outcome=failed", &[("if-none-match", tag)]).await;
    assert_eq!((again.status, body(&again)), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn the_picture_of_a_channel_has_words_and_a_width_that_can_be_chosen() {
    let (_folder, app) = site(&[NEWS]);
    let now = app.now();
    app.place.ledger.open_channel("news", Time::from_s(now.s() - 86_400), now).unwrap();
    let answer = get(&app, "/channel/news/coverage.svg?width=400", &[]).await;
    assert_eq!(answer.headers["content-type"], "image/svg+xml");
    let svg = body(&answer);
    for part in
        ["width=\"400\"", "<title id=\"t\">Coverage of news</title>", "not yet archived", "class=\"open\""]
    {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    for query in ["width=10", "width=wide", "from=now&to=then", "from=2026-11-22"] {
        let target = format!("/channel/news/coverage.svg?{query}");
        assert_eq!(get(&app, &target, &[]).await.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_range_that_makes_no_sense_is_told_in_one_sentence() {
    let (_folder, app) = site(&[NEWS]);
    for query in [
        "from=2026-11-22T15:00:00Z&to=2026-11-22T14:00:00Z",
        "from=yesterday&to=now",
        "from=1970-01-01&to=2026-11-22",
        "to=2026-11-22",
    ] {
        let answer = get(&app, &format!("/channel/news?{query}"), &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(body(&answer).contains("<h1>Bad Request</h1>"), "{query}");
    }
}
