//! The API of the reference, for its clients: the same paths, fields and answers, at `/` and below `/api`.
//!
//! Some of its paths are pages for whoever does not ask for JSON: there its handlers call `pages`. Better ways to ask the same,
//! and everything more, are in `v1`.

pub(super) mod archive;
pub(super) mod channel;
mod config;
pub(super) mod job;
#[cfg(test)]
mod tests;

use http::{Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Access, App, Refusal, Routes, Style};
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
    to.add_both(Method::GET, "/channel/", style, Access::Read, channel::all);
    to.add_both(Method::GET, "/channel/{name}", style, Access::Read, channel::one);
    to.add_both(Method::PUT, "/channel/{name}", style, Access::Write, channel::put);
    to.add_both(Method::DELETE, "/channel/{name}", style, Access::Write, channel::delete);
    to.add_both(Method::GET, "/channel/{name}/archive", style, Access::Read, archive::keys);
    to.add_both(Method::GET, "/channel/{name}/archive/gaps", style, Access::Read, archive::gaps);
    to.add_both(Method::POST, "/channel/{name}/archive/verify", style, Access::Write, archive::verify).dear();
    to.add_both(Method::POST, "/channel/{name}/archive/cleanup", style, Access::Write, archive::cleanup)
        .dear();
    to.add_both(Method::GET, "/job/", style, Access::Read, job::all);
    to.add_both(Method::GET, "/job/{id}", style, Access::Read, job::one);
    to.add_both(Method::GET, "/job/{id}/capture_log", style, Access::Read, job::log);
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
