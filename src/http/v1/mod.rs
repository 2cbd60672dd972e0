//! The API beyond the reference's, at `/api/v1/`: everything that npvr knows, and what can be changed from afar.
//!
//! Lists come in pages, and each names what the next one begins with. Times are ISO 8601 in UTC, errors are problem details
//! (RFC 9457), and words are those of `npvr status --json`. Nothing here names a file or a program of the host: what can
//! be changed is what a caller with a token may decide without a shell.

pub(super) mod channels;
pub(super) mod chunks;
pub(super) mod gaps;
pub(super) mod holds;
pub(super) mod jobs;
pub(super) mod links;
mod query;
pub(super) mod status;
pub(super) mod tasks;
#[cfg(test)]
mod tests;

use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{Access, App, Refusal, Request, Routes, Style};
use crate::channel::Name;
use crate::error::{Error, Kind, Result};

/// Some of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// What is on this page.
    items: Vec<T>,
    /// What to ask for as `after` (as `before`, where the newest come first) to have the next page; `null` on the last one.
    next: Option<String>,
}

/// What is wrong (RFC 9457): the shape of what `Style::V1` writes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `about:blank`: the status says what kind it is.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What is wrong.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Every route of this API.
pub(super) fn routes(to: &mut Routes) {
    let read = (Style::V1, Access::Read);
    let write = (Style::V1, Access::Write);
    let (get, post) = (Method::GET, Method::POST);
    to.add(get.clone(), "/api/v1/status", read.0, read.1, status::status).dear();
    to.add(get.clone(), "/api/v1/at-risk", read.0, read.1, status::at_risk);
    to.add(get.clone(), "/api/v1/channels", read.0, read.1, channels::all);
    to.add(get.clone(), "/api/v1/channels/{name}", read.0, read.1, channels::one);
    to.add(Method::PATCH, "/api/v1/channels/{name}", write.0, write.1, channels::change);
    to.add(Method::DELETE, "/api/v1/channels/{name}", write.0, write.1, channels::remove);
    to.add(get.clone(), "/api/v1/channels/{name}/chunks", read.0, read.1, chunks::all);
    to.add(get.clone(), "/api/v1/channels/{name}/chunks/{cell}", read.0, read.1, chunks::one);
    to.add(get.clone(), "/api/v1/channels/{name}/gaps", read.0, read.1, gaps::all);
    to.add(post.clone(), "/api/v1/channels/{name}/links", write.0, write.1, links::sign);
    to.add(get.clone(), "/api/v1/jobs", read.0, read.1, jobs::all);
    to.add(get.clone(), "/api/v1/jobs/{id}", read.0, read.1, jobs::one);
    to.add(get.clone(), "/api/v1/jobs/{id}/log", read.0, read.1, jobs::log);
    to.add(get.clone(), "/api/v1/holds", read.0, read.1, holds::all);
    to.add(post.clone(), "/api/v1/holds", write.0, write.1, holds::add);
    to.add(get.clone(), "/api/v1/holds/{id}", read.0, read.1, holds::one);
    to.add(Method::DELETE, "/api/v1/holds/{id}", write.0, write.1, holds::release);
    to.add(get.clone(), "/api/v1/tasks", read.0, read.1, tasks::all);
    to.add(post, "/api/v1/tasks", write.0, write.1, tasks::start).dear();
    to.add(get, "/api/v1/tasks/{id}", read.0, read.1, tasks::one);
}

/// A channel that has a file, or of which the ledger knows: what is archived stays when a file is removed.
fn known(app: &App, name: &str) -> Result<Name> {
    let parsed = name.parse::<Name>().ok();
    let is_known = |name: &Name| -> Result<bool> {
        Ok(app.configuration.file(name).exists() || app.place.ledger.since(name.as_str())?.is_some())
    };
    match parsed {
        Some(name) if is_known(&name)? => Ok(name),
        _ => {
            let what = format!("there is no channel {:?}", super::tasks::shortened(name));
            Err(Error::new(Kind::NotFound, what).hint("/api/v1/channels lists those that there are"))
        }
    }
}

/// The body of a request, which has to be JSON and say so: no form of another site can.
fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Refusal> {
    if !request.is_json() {
        let error = Error::new(Kind::Invalid, "the body is not said to be application/json");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
    }
    serde_json::from_slice(&request.body)
        .map_err(|e| Error::new(Kind::Invalid, format!("the body is not what it should be: {e}")).into())
}
