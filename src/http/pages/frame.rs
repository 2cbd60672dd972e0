//! What all pages share: the frame around them, with its links and assets, and how they are answered.

use askama::Template;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};

use super::assets;
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, Base, Request};

/// What a browser may load for a page: our own style sheet, script and pictures, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

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
    // JSON is at the same paths.
    Ok(guarded(answer.with_header(VARY, "Accept")))
}

/// An answer that a browser may show, and that may load nothing but what is ours.
pub(super) fn guarded(answer: Answer) -> Answer {
    let answer = answer.with_header(CONTENT_SECURITY_POLICY, POLICY);
    let answer = answer.with_header(HeaderName::from_static("x-content-type-options"), "nosniff");
    answer.with_header(HeaderName::from_static("referrer-policy"), "same-origin")
}
