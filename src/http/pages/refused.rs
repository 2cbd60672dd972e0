//! Why there is no page, in the look of the others.

use askama::Template;

use super::frame::{self, Frame, Part};
use crate::error::Error;
use crate::http::{Answer, Request};

#[derive(Template)]
#[template(path = "refusal.html")]
struct Page {
    frame: Frame,
    status: u16,
    what: String,
    hint: Option<String>,
}

/// The page of a refusal. Plain text, should the template fail.
pub(in crate::http) fn refused(request: &Request, status: u16, title: &str, error: &Error) -> Answer {
    let frame = Frame::new(request, Part::Elsewhere, title);
    let page = Page { frame, status, what: sentence(&error.to_string()), hint: error.remedy().map(sentence) };
    frame::answer(&page).unwrap_or_else(|_| Answer::text(format!("{error}\n")))
}

/// The same with a capital and a full stop: on a page it stands alone.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
