//! Reading an object: a stream of its bytes, which goes on where a broken connection left off, as long as it is the same object.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH};
use reqwest_of_s3::Response;
use s3::Bucket;
use s3::command::Command;

use super::Described;
use super::fault::Refusal;
use super::wire::{Ask, Tries, next_block};
use crate::error::{Error, Kind, Result};
use crate::store::ByteRange;

/// An object that is being read.
struct Reader {
    /// Asks only for the object that the reading began with.
    bucket: Bucket,
    key: String,
    answer: Response,
    /// The next byte, and the first one after the last.
    at: u64,
    end: u64,
    tries: Tries,
    /// For errors: what is read.
    context: String,
}

/// Begins to read; what is known of the object, and its bytes.
pub(super) async fn read(
    bucket: &Bucket,
    key: &str,
    range: Option<ByteRange>,
    context: String,
) -> Result<(Described, BoxStream<'static, Result<Bytes>>), Refusal> {
    let command = match range {
        None => Command::GetObject,
        Some(ByteRange { start, end }) => Command::GetObjectRange { start, end: Some(end.saturating_sub(1)) },
    };
    let answer = Ask::new(bucket, key, command).response().await?;
    let found = Described { bytes: length(&answer, range.is_some())?, headers: answer.headers().clone() };
    let (at, end) = range.map_or((0, found.bytes), |r| (r.start, r.end.min(found.bytes)));
    let same = found.headers.get(ETAG).map(|etag| (IF_MATCH, etag.clone()));
    let bucket = bucket.with_extra_headers(HeaderMap::from_iter(same)).map_err(super::fault::unmade)?;
    let reader = Reader { bucket, key: key.to_owned(), answer, at, end, tries: Tries::new(), context };
    let next = async |mut reader: Reader| match reader.next().await {
        Ok(block) => Ok(block.map(|block| (block, reader))),
        Err(refusal) => Err(refusal.error.context(&reader.context)),
    };
    Ok((found, Box::pin(stream::try_unfold(reader, next))))
}

impl Reader {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let broken = match next_block(&mut self.answer).await {
                Ok(Some(block)) => {
                    self.at += block.len() as u64;
                    if self.at > self.end {
                        return Err(Error::new(Kind::Invalid, "more came than was asked for").into());
                    }
                    return Ok(Some(block));
                }
                Ok(None) if self.at == self.end => return Ok(None),
                Ok(None) => Refusal::passing(Error::new(Kind::TryLater, "the body ended too early")),
                Err(refusal) => refusal,
            };
            self.tries.wait(broken).await?;
            let rest = Command::GetObjectRange { start: self.at, end: Some(self.end.saturating_sub(1)) };
            self.answer = match Ask::new(&self.bucket, &self.key, rest).response().await {
                Err(refusal) if refusal.is_taken() => {
                    return Err(Error::new(Kind::TryLater, "it was replaced while it was read").into());
                }
                answer => answer?,
            };
            length(&self.answer, true)?;
        }
    }
}

/// A length that a server says.
pub(super) fn number(text: Option<&str>) -> Result<u64, Refusal> {
    let number = text.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| Error::new(Kind::Invalid, "the server does not say how long the object is").into())
}

/// The length of the whole object of an answer to GET.
pub(super) fn length(answer: &Response, is_part: bool) -> Result<u64, Refusal> {
    let header = |name| answer.headers().get(name).and_then(|v| v.to_str().ok());
    match (is_part, answer.status().as_u16()) {
        // `bytes 0-99/1234`
        (true, 206) => number(header(CONTENT_RANGE).and_then(|v| v.rsplit('/').next())),
        (true, _) => {
            let what = "the server sends whole objects where a part is asked for";
            Err(Error::new(Kind::Unsupported, what).into())
        }
        (false, _) => number(header(CONTENT_LENGTH)),
    }
}
