//! The pages that people look at: rendered here, whole, so that they can be read without a script.
//!
//! The script adds what a document cannot do: telling a cell under the pointer, selecting a range, copying a link, and
//! keeping a page up to date. There is one style sheet and one script, in the program itself; nothing stands in a page that a
//! strict content security policy forbids, and nothing comes from elsewhere. A page shows values that the lines below make;
//! what is decided here is only how to say it.
//!
//! The paths of channels, jobs and the description of the API have JSON, too, and are the API's: its handlers call those here
//! where a browser asks.

mod apidocs;
mod assets;
mod calendar;
mod cell;
mod channel;
#[cfg(test)]
mod colours;
mod coverage;
mod frame;
mod jobs;
mod links;
mod missing;
mod moments;
mod overview;
mod picture;
mod player;
mod points;
mod refused;
#[cfg(test)]
mod tests;

use http::header::LOCATION;
use http::{Method, StatusCode};

pub(super) use apidocs::apidocs;
pub(super) use channel::channel;
pub(super) use jobs::{job, jobs};
pub(super) use overview::overview;
pub(super) use refused::refused;

use super::{Access, Answer, Refusal, Request, Routes, Style};
use crate::error::{Error, Kind};
use crate::ledger::Outcome;

/// The pages.
pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/assets/{file}", Style::Plain, Access::Open, assets::asset);
    to.add(Method::GET, "/", Style::Page, Access::Read, overview);
    to.add(Method::GET, "/channel/{name}/cell", Style::Page, Access::Read, cell::cell);
    // A wiki is another site.
    to.add(Method::GET, "/channel/{name}/coverage.svg", Style::Plain, Access::Read, coverage::coverage)
        .shared();
}

/// Sends a browser on to the page that shows what it asks for: `path`, in which names are known to be plain.
pub(super) fn part_of(request: &Request, path: &str) -> Answer {
    Answer::empty(StatusCode::SEE_OTHER).with_header(LOCATION, request.base.path(path))
}

/// Makes a page on a thread that may wait: for the ledger, and for the disk that it is on.
async fn blocking(
    make: impl FnOnce() -> Result<Answer, Refusal> + Send + 'static,
) -> Result<Answer, Refusal> {
    let made = tokio::task::spawn_blocking(make).await;
    made.unwrap_or_else(|e| Err(Error::new(Kind::Io, "make the page").caused_by(e).into()))
}

/// The reference's three colours: in progress, success, failed.
fn colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Running | Outcome::Piece => "grey",
        Outcome::Complete | Outcome::Partial => "green",
        Outcome::Failed | Outcome::Died => "red",
    }
}
