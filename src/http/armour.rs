//! Headers that every answer has, so that a browser makes nothing of it that was not meant.
//!
//! Pages use what this server serves, and nothing else: no script of another place, none inside a page, no frame around one.
//! What other sites show (playlists, media, the picture of a coverage) may be fetched from there; it is only read, and no password goes with it.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONTENT_SECURITY_POLICY, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Answer;

/// What a page may load, and from where.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; media-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The same for a page that plays: with the script at `script`, and media at `media`, if these are elsewhere.
pub(super) fn player_policy(script: Option<&str>, media: Option<&str>) -> String {
    let mut policy = POLICY.to_owned();
    for (kind, place) in [("script", script), ("connect", media), ("media", media)] {
        if let Some(place) = place {
            let own = format!("{kind}-src 'self'");
            policy = policy.replace(&own, &format!("{own} {place}"));
        }
    }
    policy
}
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Puts them on. `shared` is what pages of other sites may fetch. A handler that has set one of the first kind knows better.
pub(super) fn dress(mut answer: Answer, shared: bool) -> Answer {
    let headers = &mut answer.headers;
    let whose = if shared { "cross-origin" } else { "same-origin" };
    keep(headers, CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    keep(headers, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Less, and browsers would not say in Origin that a form of ours is ours.
    keep(headers, REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    keep(headers, RESOURCE_POLICY, HeaderValue::from_static(whose));
    if shared {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
    }
    answer
}

fn keep(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

/// What a browser is told that asks whether a page of another site may fetch something with headers of its own: yes (Fetch
/// Standard, CORS-preflight fetch).
pub(super) fn preflight() -> Answer {
    Answer::empty(StatusCode::NO_CONTENT)
        .with_header(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD")
        .with_header(ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, If-None-Match, If-Range, Range")
        .with_header(ACCESS_CONTROL_MAX_AGE, "86400")
}
