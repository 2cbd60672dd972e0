//! The API of the reference, for its clients: the same paths, fields and answers, at `/` and below `/api`.
//!
//! Where a path has a page too, a browser is shown that, by `pages`; everybody else gets JSON. Better ways to
//! ask the same, and everything more, are in `v1`.

pub(super) mod archive;
pub(super) mod channel;
mod config;
pub(super) mod job;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::VARY;
use http::{Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Access, Answer, App, Refusal, Request, Routes, Style, pages};
use crate::channel::Name;
use crate::error::{Error, Kind};

/// What has been done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Success {
    /// In words.
    pub(super) success: &'static str,
}

/// What is wrong: the shape of what `Style::Reference` writes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failure {
    /// In words.
    error: String,
}

/// Every route of the reference's API that is no page alone.
pub(super) fn routes(to: &mut Routes) {
    let style = Style::Reference;
    let get = Method::GET;
    to.add_both(get.clone(), "/channel/", style, Access::Read, either(pages::overview, channel::all));
    to.add_both(get.clone(), "/channel/{name}", style, Access::Read, either(pages::channel, channel::one));
    to.add_both(Method::PUT, "/channel/{name}", style, Access::Write, channel::put);
    to.add_both(Method::DELETE, "/channel/{name}", style, Access::Write, channel::delete);
    let keys = either(pages::part_of("/channel/{name}"), archive::keys);
    to.add_both(get.clone(), "/channel/{name}/archive", style, Access::Read, keys);
    let gaps = either(pages::part_of("/channel/{name}#gaps"), archive::gaps);
    to.add_both(get.clone(), "/channel/{name}/archive/gaps", style, Access::Read, gaps);
    to.add_both(Method::POST, "/channel/{name}/archive/verify", style, Access::Write, archive::verify).dear();
    to.add_both(Method::POST, "/channel/{name}/archive/cleanup", style, Access::Write, archive::cleanup)
        .dear();
    to.add_both(get.clone(), "/job/", style, Access::Read, either(pages::jobs, job::all));
    to.add_both(get.clone(), "/job/{id}", style, Access::Read, either(pages::job, job::one));
    let log = either(pages::part_of("/job/{id}#log"), job::log);
    to.add_both(get, "/job/{id}/capture_log", style, Access::Read, log);
}

/// A handler for a path that has a page and JSON: a browser is shown the page, everybody else gets the JSON.
fn either<P, J>(
    page: impl Fn(Arc<App>, Arc<Request>) -> P + Clone,
    json: impl Fn(Arc<App>, Arc<Request>) -> J + Clone,
) -> impl Fn(Arc<App>, Arc<Request>) -> BoxFuture<'static, Result<Answer, Refusal>> + Clone
where
    P: Future<Output = Result<Answer, Refusal>> + Send + 'static,
    J: Future<Output = Result<Answer, Refusal>> + Send + 'static,
{
    move |app, request| {
        let answer = match request.wants_html() && !request.wants_json() {
            true => page(app, request).boxed(),
            false => json(app, request).boxed(),
        };
        // A cache in between keeps them apart.
        answer.map(|answer| answer.map(|answer| answer.with_header(VARY, "Accept"))).boxed()
    }
}

/// The name of a channel that has a file.
fn known(app: &App, name: &str) -> Result<Name, Refusal> {
    let name = name.parse::<Name>().ok().filter(|name| app.configuration.file(name).exists());
    name.ok_or_else(|| not_found("channel not found"))
}

/// 404, in the words of the reference.
fn not_found(what: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, Error::new(Kind::NotFound, what))
}
