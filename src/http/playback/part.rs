//! A part of a body whose length is known, and what is said of it.

use http::StatusCode;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE};

use crate::error::{Error, Kind};
use crate::http::byte_range::{Wanted, asked};
use crate::http::{Answer, Refusal, Request};
use crate::store::ByteRange;

/// Some bytes of a body, or all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Which.
    pub(super) range: ByteRange,
    total: u64,
    is_partial: bool,
}

impl Part {
    /// What a request asks for of a body of so many bytes, with that entity tag.
    ///
    /// # Errors
    /// 416 for bytes of which there is none.
    pub(super) fn of(request: &Request, tag: &str, total: u64) -> Result<Part, Refusal> {
        let (range, is_partial) = match asked(request, tag, total) {
            Wanted::All => (ByteRange { start: 0, end: total }, false),
            Wanted::Part(range) => (range, true),
            Wanted::Nothing => {
                let error = Error::new(Kind::Invalid, format!("it has {total} bytes, and none of these"));
                let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, error);
                return Err(refusal.with_header(CONTENT_RANGE, format!("bytes */{total}")));
            }
        };
        Ok(Part { range, total, is_partial })
    }

    /// How long it is, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// An answer whose body is this part, with what is said of it.
    pub(super) fn dress(&self, answer: Answer) -> Answer {
        let ByteRange { start, end } = self.range;
        let answer =
            answer.with_header(ACCEPT_RANGES, "bytes").with_header(CONTENT_LENGTH, self.length().to_string());
        match self.is_partial {
            true => answer
                .with_status(StatusCode::PARTIAL_CONTENT)
                .with_header(CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, self.total)),
            false => answer,
        }
    }
}
