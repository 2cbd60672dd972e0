//! The description of the whole API, made from the code: OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.0>).
//!
//! Each handler says beside its code what it takes and answers; here they are put together. What is served at `/` and below
//! `/api` alike is described once. Pages, and what they are made of, are no API.

use std::sync::{Arc, OnceLock};

use http::Method;
use serde_json::{Value, json};
use utoipa::openapi::Components;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    Access, Answer, App, Refusal, Request, Routes, Style, chunk, health, ism, metrics, pages, playback,
    reference, smil, v1,
};
use crate::error::{Error, Kind, Result};

/// Where the document is.
const PATH: &str = "/api/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "npvr",
        description = "A permanent archive of live channels. `/api/v1/` is npvr's own; what has the tag *reference* is for clients \
                       of the archiver that npvr replaces, and is below `/api` too, as is *playback*.",
        license(name = "MIT", identifier = "MIT"),
    ),
    tags(
        (name = "status", description = "How the channels stand"),
        (name = "channels", description = "What is configured, archived and missing"),
        (name = "jobs", description = "Captures"),
        (name = "holds", description = "Ranges of which nothing is pruned"),
        (name = "tasks", description = "Verifications and prunes"),
        (name = "playback", description = "Playlists, server manifests and chunk files"),
        (name = "monitoring", description = "Health and metrics"),
        (name = "reference", description = "The API of the archiver that npvr replaces"),
    ),
    paths(
        document,
        v1::status::status,
        v1::status::at_risk,
        v1::channels::all,
        v1::channels::one,
        v1::channels::change,
        v1::channels::remove,
        v1::chunks::all,
        v1::chunks::one,
        v1::gaps::all,
        v1::jobs::all,
        v1::jobs::one,
        v1::jobs::log,
        v1::links::sign,
        v1::holds::all,
        v1::holds::one,
        v1::holds::add,
        v1::holds::release,
        v1::tasks::all,
        v1::tasks::one,
        v1::tasks::start,
        smil::alive,
        smil::fixed,
        smil::ranges,
        ism::manifest,
        chunk::chunk,
        playback::dash::dash,
        playback::dash::segment,
        playback::flussonic::recording_status,
        playback::hls::playlist,
        playback::hls::nothing,
        playback::init::init,
        playback::short::short,
        playback::time::time,
        playback::frame::frame,
        playback::mp4::mp4,
        health::alive,
        health::ready,
        metrics::metrics,
        reference::channel::all,
        reference::channel::one,
        reference::channel::put,
        reference::channel::delete,
        reference::archive::keys,
        reference::archive::gaps,
        reference::archive::verify,
        reference::archive::cleanup,
        reference::job::all,
        reference::job::one,
        reference::job::log,
    ),
    modifiers(&Token),
)]
struct Described;

/// Who may write shows a token, where the server asks for one.
struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_with(Components::new).add_security_scheme("token", bearer);
    }
}

/// The description, as a value.
pub(super) fn openapi() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// The routes of this file.
pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, PATH, Style::V1, Access::Read, document);
    to.add_both(Method::GET, "/apidocs", Style::Page, Access::Read, page);
    to.add_both(Method::GET, "/apidocs/", Style::Page, Access::Read, page);
}

/// This description
#[utoipa::path(get, path = "/api/openapi.json", tag = "monitoring", operation_id = "openapi", responses(
    (status = 200, description = "OpenAPI 3.1", body = Value),
))]
async fn document(_app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    // Below a path prefix every path is below it.
    let mut described = described()?.as_ref().clone();
    let prefix = request.base.path("");
    if !prefix.is_empty() {
        described["servers"] = json!([{ "url": prefix }]);
    }
    Ok(Answer::json(&described)?.tagged())
}

/// The description for people, who may ask for JSON here, too.
async fn page(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    if request.prefers_json() {
        return document(app, request).await;
    }
    Ok(pages::apidocs(&request, described()?.as_ref())?.tagged())
}

/// The description, made once.
fn described() -> Result<Arc<Value>> {
    static MADE: OnceLock<Option<Arc<Value>>> = OnceLock::new();
    let made = MADE.get_or_init(|| serde_json::to_value(openapi()).ok().map(Arc::new)).clone();
    made.ok_or_else(|| Error::new(Kind::Io, "make the description of the API"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What browsers are shown, and what pages are made of.
    const PAGES: &[&str] = &[
        "/",
        "/apidocs",
        "/apidocs/",
        "/assets/{file}",
        "/assets/hls.js",
        "/channel/{name}/cell",
        "/channel/{name}/coverage.svg",
    ];

    /// The operations of the document, as `GET /path`.
    fn described(document: &Value) -> BTreeSet<String> {
        let paths = document["paths"].as_object().unwrap();
        let of = |(path, item): (&String, &Value)| {
            let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
            methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let document = serde_json::to_value(openapi()).unwrap();
        let routes = Routes::new().unwrap();
        let all: BTreeSet<(String, String)> =
            routes.patterns().map(|(method, pattern)| (method.to_string(), pattern.to_owned())).collect();
        // What is below /api too is described once.
        let is_alias = |(method, pattern): &&(String, String)| {
            pattern.strip_prefix("/api").is_some_and(|rest| all.contains(&(method.clone(), rest.to_owned())))
        };
        let is_page = |(_, pattern): &&(String, String)| PAGES.contains(&pattern.as_str());
        let own = all.iter().filter(|route| !is_alias(route) && !is_page(route));
        let served: BTreeSet<String> = own.map(|(method, pattern)| format!("{method} {pattern}")).collect();
        assert_eq!(described(&document), served);
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let text = openapi().to_json().unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let named = text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        let named: BTreeSet<&str> = named.collect();
        assert!(named.contains("ChunkTrack") && named.len() > 20, "{named:?}");
        for name in named {
            assert!(document["components"]["schemas"].get(name).is_some(), "{name} is not there");
        }
    }

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        let document = serde_json::to_value(openapi()).unwrap();
        let items =
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap());
        let names: Vec<&str> =
            items.map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
