//! What all pages share: the frame around them, with its links and assets, and how they are answered. What a browser may do with
//! a page is said for all answers alike, by [`crate::http`]'s `armour`.

use askama::Template;
use http::header::{CACHE_CONTROL, VARY};

use super::assets;
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, Base, Library, Request};

/// The part of the site that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Channels,
    Jobs,
    Api,
    /// None of them: an error.
    Elsewhere,
}

/// The frame around a page.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) part: Part,
    base: Base,
}

impl Frame {
    /// The frame of the page with that title, as the client of `request` sees it.
    pub(super) fn new(request: &Request, part: Part, title: impl Into<String>) -> Frame {
        Frame { title: title.into(), part, base: request.base.clone() }
    }

    /// A link to `path`.
    pub(super) fn to(&self, path: &str) -> String {
        self.base.path(path)
    }

    /// The address of hls.js, as this page finds it.
    pub(super) fn library(&self, library: &Library) -> String {
        library.address(&self.base)
    }

    /// A link to `path` that works outside of the page too.
    pub(super) fn url(&self, path: &str) -> String {
        self.base.url(path)
    }

    pub(super) fn style(&self) -> String {
        self.base.path(&assets::style().path)
    }

    pub(super) fn script(&self) -> String {
        self.base.path(&assets::script().path)
    }

    pub(super) fn player(&self) -> String {
        self.base.path(&assets::player().path)
    }

    pub(super) fn icon(&self) -> String {
        self.base.path(&assets::icon().path)
    }

    /// `page`, for the link of the part that the page belongs to.
    pub(super) fn current(&self, part: Part) -> &'static str {
        if part == self.part { "page" } else { "false" }
    }
}

/// The answer with a page. A browser asks again each time whether it is still the same, and is told so in no bytes.
///
/// # Errors
/// [`Kind::Io`] where the template fails: a mistake in the program.
pub(super) fn answer(page: &impl Template) -> Result<Answer> {
    let html = page.render().map_err(|e| Error::new(Kind::Io, "make the page").caused_by(e))?;
    let answer = Answer::html(html).tagged().with_header(CACHE_CONTROL, "no-cache");
    // JSON is at some of the same paths: a cache in between keeps them apart.
    Ok(answer.with_header(VARY, "Accept"))
}
