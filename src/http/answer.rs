//! An answer, as a plain value.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Request;
use crate::error::{Error, Kind, Result};

/// What is answered to a request.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that the connection needs.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// A body that is made while it is sent.
    Stream {
        /// How many bytes it will have; `None` where nobody knows, as of events.
        bytes: Option<u64>,
        /// The bytes. An error cuts the connection, so that nobody takes half a body for a whole one.
        pieces: BoxStream<'static, Result<Bytes>>,
    },
}

impl Answer {
    /// 200, with a body of that type.
    pub fn bytes(content_type: &'static str, bytes: impl Into<Bytes>) -> Answer {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Answer { status: StatusCode::OK, headers, body: Body::Whole(bytes.into()) }
    }

    /// 200, with a body that is made while it is sent.
    pub fn stream(
        content_type: &'static str,
        bytes: Option<u64>,
        pieces: BoxStream<'static, Result<Bytes>>,
    ) -> Answer {
        Answer { body: Body::Stream { bytes, pieces }, ..Answer::bytes(content_type, Bytes::new()) }
    }

    /// 200, with plain text.
    pub fn text(text: impl Into<String>) -> Answer {
        Answer::bytes("text/plain; charset=utf-8", text.into())
    }

    /// 200, with a page.
    pub fn html(html: impl Into<String>) -> Answer {
        Answer::bytes("text/html; charset=utf-8", html.into())
    }

    /// 200, with a JSON document and a line end.
    ///
    /// # Errors
    /// [`Kind::Io`] for a value that has no JSON form: a mistake in the program.
    pub fn json(value: &impl Serialize) -> Result<Answer> {
        let mut text = serde_json::to_vec(value)
            .map_err(|e| Error::new(Kind::Io, "make the JSON document").caused_by(e))?;
        text.push(b'\n');
        Ok(Answer::bytes("application/json", text))
    }

    /// A status without a body.
    pub fn empty(status: StatusCode) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: Body::Whole(Bytes::new()) }
    }

    /// The same, with that status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Answer {
        self.status = status;
        self
    }

    /// The same, with a header more, in place of one of that name. A value that no header can have is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl AsRef<str>) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The same, with an entity tag made of its bytes (RFC 9110 §8.8.3): who has them already is not sent them again.
    #[must_use]
    pub fn tagged(self) -> Answer {
        let Body::Whole(bytes) = &self.body else { return self };
        let digest = Sha256::digest(bytes);
        let tag: String = digest.iter().take(12).map(|b| format!("{b:02x}")).collect();
        self.with_header(ETAG, format!("\"{tag}\""))
    }

    /// The same for `HEAD`: every header, also of how long the body would be, and none of it.
    pub(super) fn without_body(self) -> Answer {
        let bytes = match &self.body {
            Body::Whole(bytes) => Some(bytes.len() as u64),
            Body::Stream { bytes, .. } => *bytes,
        };
        let answer = Answer { body: Body::Whole(Bytes::new()), ..self };
        match bytes {
            Some(bytes) => answer.with_header(CONTENT_LENGTH, bytes.to_string()),
            None => answer,
        }
    }

    /// 304 in place of this, if `request` names its entity tag in `If-None-Match` (RFC 9110 §13.1.2).
    pub(super) fn unless_known(self, request: &Request) -> Answer {
        let Some(tag) = self.headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else { return self };
        let asked = request.headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let mut known = asked.flat_map(|value| value.split(','));
        if self.status != StatusCode::OK
            || !known.any(|known| known.trim() == "*" || weak(known) == weak(tag))
        {
            return self;
        }
        let mut answer = Answer { headers: self.headers, ..Answer::empty(StatusCode::NOT_MODIFIED) };
        answer.headers.remove(CONTENT_TYPE);
        answer.headers.remove(LAST_MODIFIED);
        answer
    }
}
