//! One request to an S3 server: signed by rust-s3, sent and watched here, tried again where that may help.
//!
//! rust-s3 makes address, headers, signature and body, and holds the credentials and the connections. It is not let send: its
//! one time-out is over a whole transfer, however long; it drops the headers of a refusal, which name the right region; it
//! copies each part; and it tries again for the whole process alike, without jitter. So that is done here, in one place, and
//! the same for every kind of request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, Method};
use reqwest_of_s3::{Body, Response};
use s3::Bucket;
use s3::command::Command;
use s3::request::Request as _;
use s3::request::tokio_backend::ReqwestRequest;

use super::fault::{Asked, Refusal, broken, refused, unmade};
use crate::error::{Error, Kind};

/// How long nothing may come, and nothing go, before a request is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// The same for putting parts together, over which servers take their time.
const LONG_SILENCE: Duration = Duration::from_secs(300);
/// How often it is looked at whether something has moved.
const LOOK: Duration = Duration::from_secs(2);
/// So many silences, and it is not tried again: they have taken long enough.
const MOST_SILENCES: usize = 2;
/// The longest that we let a server keep us waiting between two tries.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(20);
/// The longest document that is read: a page of a listing has about 400 KB.
const MAX_DOCUMENT_BYTES: usize = 16 << 20;
/// Media goes to the socket in blocks of this size; each one that is taken is a sign of life.
const BLOCK: usize = 256 * 1024;

/// A document, and the headers that came with it.
pub(super) struct Document {
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    /// The MD5 of the media that was sent, if the server has told the same; `None` if it does not tell.
    pub(super) md5: Option<[u8; 16]>,
}

/// A request. `media` are the bytes of the command, where it carries an object's.
#[derive(Clone)]
pub(super) struct Ask<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) key: &'a str,
    pub(super) command: Command<'a>,
    pub(super) media: Option<&'a Bytes>,
}

impl<'a> Ask<'a> {
    /// A request that carries no media.
    pub(super) fn new(bucket: &'a Bucket, key: &'a str, command: Command<'a>) -> Self {
        Ask { bucket, key, command, media: None }
    }

    /// Sends it, and gives the answer as soon as its headers are there.
    pub(super) async fn response(&self) -> Result<Response, Refusal> {
        let mut tries = Tries::new();
        loop {
            match self.once().await {
                Ok((response, _)) => return Ok(response),
                Err(refusal) => tries.wait(refusal).await?,
            }
        }
    }

    /// Sends it, and gives the whole answer.
    pub(super) async fn document(&self) -> Result<Document, Refusal> {
        let mut tries = Tries::new();
        loop {
            match self.document_once().await {
                Ok(document) => return Ok(document),
                Err(refusal) => tries.wait(refusal).await?,
            }
        }
    }

    async fn document_once(&self) -> Result<Document, Refusal> {
        let (response, sent) = self.once().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = whole(response).await?;
        // A server that has begun to answer 200 has no other way to say that putting parts together failed.
        if root(&text) == Some("Error") {
            return Err(refused(self.asked(&self.bucket.region().to_string()), status, &headers, &text));
        }
        let md5 = match (self.media, told_md5(&headers)) {
            (Some(_), Some(theirs)) if Some(theirs) != sent => {
                let error = Error::new(Kind::TryLater, "its bytes changed on their way");
                return Err(Refusal::passing(error.hint("a proxy in between, or bad memory, changes them")));
            }
            (_, told) => told,
        };
        Ok(Document { headers, text, md5 })
    }

    /// The answer, if it is one of success; and the MD5 of what was sent.
    async fn once(&self) -> Result<(Response, Option<[u8; 16]>), Refusal> {
        let request =
            ReqwestRequest::new(self.bucket, self.key, self.command.clone()).await.map_err(unmade)?;
        let headers = request.headers().await.map_err(unmade)?;
        // rust-s3 has summed it up for the server to compare.
        let sent = headers.get("content-md5").and_then(|sum| STANDARD.decode(sum).ok()?.try_into().ok());
        let method = Method::from_bytes(request.command.http_verb().to_string().as_bytes());
        let method = method.map_err(|_| Error::new(Kind::Invalid, "a request without a method"))?;
        let taken = Arc::new(AtomicU64::new(0));
        let body = match self.media {
            Some(media) => Body::wrap_stream(blocks(media.clone(), Arc::clone(&taken))),
            None => Body::from(request.request_body().map_err(unmade)?),
        };
        let url = request.url().map_err(unmade)?;
        let sending = self.bucket.http_client().request(method, url).headers(headers).body(body).send();
        let silence = match self.command {
            Command::CompleteMultipartUpload { .. } => LONG_SILENCE,
            _ => SILENCE,
        };
        let response = watched(sending, &taken, silence).await?;
        let status = response.status();
        if status.is_success() {
            return Ok((response, sent));
        }
        let headers = response.headers().clone();
        // Half of what it says would be told as something else.
        let text = whole(response).await?;
        Err(refused(self.asked(&self.bucket.region().to_string()), status.as_u16(), &headers, &text))
    }

    fn asked<'r>(&'r self, region: &'r str) -> Asked<'r> {
        Asked { bucket: &self.bucket.name, region, is_object: !self.key.is_empty() }
    }
}

/// The name of a document's outermost element.
fn root(text: &str) -> Option<&str> {
    let mut tags = text.split('<').skip(1).filter(|tag| tag.starts_with(|c: char| c.is_ascii_alphabetic()));
    tags.next()?.split(|c: char| !c.is_ascii_alphanumeric()).next()
}

/// The MD5 that an answer tells as its `ETag`. Where a key service encrypts, or a server makes its own, that is no MD5.
fn told_md5(headers: &HeaderMap) -> Option<[u8; 16]> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let opaque = header("x-amz-server-side-encryption").is_some_and(|how| how != "AES256")
        || header("x-amz-server-side-encryption-customer-algorithm").is_some();
    let etag = header("etag").filter(|_| !opaque)?.trim_matches('"');
    let byte = |at: usize| u8::from_str_radix(etag.get(at..at + 2)?, 16).ok();
    let sum: Vec<u8> = (0..etag.len()).step_by(2).map(byte).collect::<Option<_>>()?;
    sum.try_into().ok()
}

/// Media in blocks; counts those that the connection has taken.
fn blocks(
    media: Bytes,
    taken: Arc<AtomicU64>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let count = media.len().div_ceil(BLOCK);
    stream::iter((0..count).map(move |n| {
        taken.fetch_add(1, Ordering::Relaxed);
        Ok(media.slice(n * BLOCK..media.len().min((n + 1) * BLOCK)))
    }))
}

/// Waits for an answer as long as something moves.
async fn watched(
    sending: impl Future<Output = Result<Response, reqwest_of_s3::Error>>,
    taken: &AtomicU64,
    silence: Duration,
) -> Result<Response, Refusal> {
    let mut sending = std::pin::pin!(sending);
    let mut quiet = Duration::ZERO;
    loop {
        let before = taken.load(Ordering::Relaxed);
        match tokio::time::timeout(LOOK, &mut sending).await {
            Ok(answer) => return answer.map_err(broken),
            Err(_) if taken.load(Ordering::Relaxed) != before => quiet = Duration::ZERO,
            Err(_) => quiet += LOOK,
        }
        if quiet >= silence {
            return Err(Refusal::silence(silence));
        }
    }
}

/// The next bytes of an answer; `None` at its end.
pub(super) async fn next_block(response: &mut Response) -> Result<Option<Bytes>, Refusal> {
    match tokio::time::timeout(SILENCE, response.chunk()).await {
        Ok(block) => block.map_err(broken),
        Err(_) => Err(Refusal::silence(SILENCE)),
    }
}

/// The whole body of an answer.
async fn whole(mut response: Response) -> Result<String, Refusal> {
    let mut all = BytesMut::new();
    while let Some(block) = next_block(&mut response).await? {
        if all.len() + block.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::new(Kind::Invalid, "the answer is longer than 16 MiB").into());
        }
        all.extend_from_slice(&block);
    }
    String::from_utf8(all.into()).map_err(|_| Error::new(Kind::Invalid, "the answer is not UTF-8").into())
}

/// Up to five tries, while the failure is one that passes.
pub(super) struct Tries {
    delays: ExponentialBackoff,
    silences: usize,
}

impl Tries {
    pub(super) fn new() -> Tries {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_factor(2.5)
            .with_max_times(4)
            .with_jitter();
        Tries { delays: delays.build(), silences: 0 }
    }

    /// Waits for the next try; the refusal comes back if there is none.
    pub(super) async fn wait(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        self.silences += usize::from(refusal.silent);
        if !refusal.passes || self.silences >= MOST_SILENCES {
            return Err(refusal);
        }
        let Some(delay) = self.delays.next() else { return Err(refusal) };
        let asked = refusal.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        tokio::time::sleep(delay.max(asked)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_began_as_a_success_is_known_by_its_outermost_element() {
        for (text, name) in [
            ("<?xml version=\"1.0\"?>\n<!-- x --><Error><Code>x</Code></Error>", Some("Error")),
            ("  <Error/>", Some("Error")),
            ("<DeleteResult xmlns=\"x\"><Error><Key>a</Key></Error></DeleteResult>", Some("DeleteResult")),
            ("", None),
            ("\u{feff}plain", None),
        ] {
            assert_eq!(root(text), name, "{text}");
        }
    }

    #[test]
    fn only_an_md5_is_taken_for_one() {
        let told = |etag: &'static str, more: &[(&'static str, &'static str)]| {
            let all = more.iter().copied().chain([("etag", etag)]);
            let header =
                |(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value));
            told_md5(&all.map(header).collect())
        };
        const ETAG: &str = "\"0123456789abcdef0123456789ABCDEF\"";
        assert_eq!(told(ETAG, &[]).unwrap()[..3], [0x01, 0x23, 0x45]);
        assert!(told(ETAG, &[("x-amz-server-side-encryption", "AES256")]).is_some());
        assert_eq!(told(ETAG, &[("x-amz-server-side-encryption", "aws:kms")]), None);
        assert_eq!(told(ETAG, &[("x-amz-server-side-encryption-customer-algorithm", "AES256")]), None);
        for other in [
            "\"0123456789abcdef0123456789abcdef-2\"",
            "\"\"",
            "\"0123\"",
            "\"xyz3456789abcdef0123456789abcdef\"",
        ] {
            assert_eq!(told(other, &[]), None, "{other}");
        }
    }
}
