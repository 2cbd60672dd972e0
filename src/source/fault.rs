//! What can go wrong with a request, sorted into kinds, with the remedy where there is one. And how a URL is shown.

use std::error::Error as _;
use std::io::ErrorKind as Io;
use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use crate::error::{Error, Kind};

/// A request that failed, and how long the other side asks us to wait before the next.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, retry_after: None }
    }
}

/// What was asked for: a missing segment has left the window, a missing manifest is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Document,
    Media,
}

/// A URL as it may be shown: without user and password, and with `…` for the value of every query parameter that we
/// did not set ourselves, since any of them may be a token.
pub fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only where a URL cannot have a user.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    shown.set_query(None);
    let mut text = shown.to_string();
    for (i, pair) in url.query().unwrap_or_default().split('&').filter(|p| !p.is_empty()).enumerate() {
        text.push(if i == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some(("vbegin" | "vend" | "filter", _)) => text.push_str(pair),
            Some((name, _)) => text.push_str(&format!("{name}=…")),
            None => text.push('…'),
        }
    }
    text
}

/// The error of an answer that is not a success.
pub(super) fn from_status(status: StatusCode, what: What) -> Error {
    let code = status.as_u16();
    let kind = match (code, what) {
        (403 | 404 | 410, What::Media) => Kind::Expired,
        (401 | 403 | 407, _) => Kind::Denied,
        (404 | 410, What::Document) => Kind::NotFound,
        (408 | 425 | 429, _) | (500..=599, _) => Kind::TryLater,
        _ => Kind::Invalid,
    };
    let reason = status.canonical_reason().unwrap_or("a status without a name");
    let error = Error::new(kind, format!("{code} {reason}"));
    match (code, what) {
        (401, _) => error.hint("set username and password in the channel file"),
        (403, What::Document) => error.hint(
            "the source does not let this host or user in: check the credentials, headers or an address list",
        ),
        (404 | 410, What::Document) => {
            error.hint("check channel_url: is the channel running, and is its name right?")
        }
        (407, _) => error.hint("the proxy wants a user and a password: see HTTPS_PROXY"),
        (429, _) => {
            error.hint("the source asks for fewer requests: lower max_connections in the channel file")
        }
        _ => error,
    }
}

/// The error of a request that got no answer, or a broken one. reqwest's own text is not shown: it holds the URL.
pub(super) fn from_transport(e: reqwest::Error) -> Error {
    let e = e.without_url();
    let mut io = None;
    let mut causes = Vec::new();
    let mut cause = e.source();
    while let Some(c) = cause {
        io = io.or_else(|| c.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        causes.push(c.to_string());
        cause = c.source();
    }
    let says = |word: &str| causes.iter().any(|c| c.contains(word));
    let error = if says("certificate") {
        let why = causes.last().map(String::as_str).unwrap_or_default();
        Error::new(Kind::Denied, format!("its certificate is not trusted: {why}")).hint(
            "install the issuer's certificate in the system's store (ca-certificates), and check the clock",
        )
    } else if says("dns error") || says("failed to lookup address") {
        Error::new(Kind::TryLater, "the host's name cannot be resolved")
            .hint("check the host in channel_url, and this machine's DNS")
    } else if io == Some(Io::ConnectionRefused) {
        Error::new(Kind::TryLater, "connection refused").hint("is the source running, and is the port right?")
    } else if e.is_timeout() && e.is_connect() {
        Error::new(Kind::TryLater, "no connection in time")
            .hint("a firewall may drop the packets, or raise connect_timeout")
    } else if e.is_timeout() || io == Some(Io::TimedOut) {
        Error::new(Kind::TryLater, "no answer in time")
    } else if io == Some(Io::ConnectionReset) || io == Some(Io::BrokenPipe) {
        Error::new(Kind::TryLater, "connection reset")
    } else if e.is_body() || e.is_decode() {
        Error::new(Kind::TryLater, "the body ended too early")
    } else if e.is_builder() {
        Error::new(Kind::Invalid, "a request that cannot be made")
    } else {
        Error::new(Kind::TryLater, "the connection broke")
    };
    error.caused_by(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            (
                "https://joe:pw@host:81/a/b.mpd?token=abc&vbegin=2025-01-01T00:00:00Z#x",
                "https://host:81/a/b.mpd?token=…&vbegin=2025-01-01T00:00:00Z",
            ),
            ("http://host/?s3cr3t", "http://host/?…"),
            ("http://host/a", "http://host/a"),
        ] {
            assert_eq!(redacted(&Url::parse(url).unwrap()), shown);
        }
    }

    #[test]
    fn each_status_has_its_kind() {
        for (code, document, media) in [
            (401, Kind::Denied, Kind::Denied),
            (403, Kind::Denied, Kind::Expired),
            (404, Kind::NotFound, Kind::Expired),
            (410, Kind::NotFound, Kind::Expired),
            (429, Kind::TryLater, Kind::TryLater),
            (503, Kind::TryLater, Kind::TryLater),
            (400, Kind::Invalid, Kind::Invalid),
            (204, Kind::Invalid, Kind::Invalid),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(from_status(status, What::Document).kind(), document, "{code}");
            assert_eq!(from_status(status, What::Media).kind(), media, "{code}");
        }
    }
}
