//! What is answered where something cannot be: a status, a sentence and a remedy, in the style of its route.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::{Answer, Request, pages};
use crate::error::{Error, Kind};

/// Why there is no answer, or another one than was asked for.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: Error,
    headers: Vec<(HeaderName, String)>,
}

/// How a refusal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A sentence, and the remedy below it.
    Plain,
    /// A page for a browser, and as [`Style::Plain`] for others.
    Page,
    /// `{"error": "…"}`, as the reference does.
    Reference,
    /// Problem details (RFC 9457).
    V1,
}

impl Refusal {
    /// A refusal with a status of its own.
    pub fn new(status: StatusCode, error: Error) -> Refusal {
        Refusal { status, error, headers: Vec::new() }
    }

    /// The same, with a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Refusal {
        self.headers.push((name, value.into()));
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says.
    pub(super) fn error(&self) -> &Error {
        &self.error
    }

    /// The answer.
    pub(super) fn answer(&self, style: Style, request: &Request) -> Answer {
        let answer = match style {
            Style::Page if request.wants_html() => self.page(request),
            Style::Reference if !request.wants_html() || request.wants_json() => Answer::bytes(
                "application/json",
                json!({ "error": self.error.to_string() }).to_string() + "\n",
            ),
            Style::Reference => self.page(request),
            Style::V1 => self.problem(),
            Style::Plain | Style::Page => Answer::text(self.sentence()),
        };
        let answer = answer.with_status(self.status).with_header(CACHE_CONTROL, "no-store");
        self.headers.iter().fold(answer, |answer, (name, value)| answer.with_header(name.clone(), value))
    }

    fn sentence(&self) -> String {
        let hint = self.error.remedy().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        format!("{}\n{hint}", self.error)
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    fn problem(&self) -> Answer {
        let mut document = json!({
            "type": "about:blank",
            "title": self.title(),
            "status": self.status.as_u16(),
            "detail": self.error.to_string(),
        });
        if let Some(hint) = self.error.remedy() {
            document["hint"] = hint.into();
        }
        let mut answer = Answer::bytes("application/json", document.to_string() + "\n");
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        answer
    }

    fn page(&self, request: &Request) -> Answer {
        pages::refused(request, self.status.as_u16(), self.title(), &self.error)
    }
}

impl From<Error> for Refusal {
    /// The one place where the kind of an error becomes a status.
    fn from(error: Error) -> Refusal {
        let status = match error.kind() {
            Kind::Usage | Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Expired => StatusCode::GONE,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::Busy => StatusCode::CONFLICT,
            Kind::TryLater => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            Kind::Storage => StatusCode::INSUFFICIENT_STORAGE,
            Kind::Config | Kind::Corrupt | Kind::Io => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal::new(status, error)
    }
}
