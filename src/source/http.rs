//! The HTTP client of a channel: bounded in size, time and memory, polite, patient with what passes, and silent about
//! secrets.
//!
//! Credentials and extra headers go only to the origin of the channel's own URL (scheme, host and port): never to the
//! target of a redirect or a `BaseURL` elsewhere. That is why redirects are followed here, one request at a time.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use reqwest::header::{
    ACCEPT_ENCODING, AGE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{Client as Http, Method, Response, StatusCode, redirect};
use url::{Origin, Url};

use super::fault::{Failure, What, from_status, from_transport, redacted};
use super::limits::{Limits, Share};
use super::{Options, Resource, tls};
use crate::clock::Tick;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::time::{Time, human_duration};

/// The largest manifest that is read, decompressed.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;
/// The largest segment that is read.
const MAX_MEDIA_BYTES: u64 = 256 << 20;
/// All the time that a manifest gets.
const DOCUMENT_TIME: Duration = Duration::from_secs(120);
/// What a segment gets beside the time that its size allows.
const MEDIA_TIME: Duration = Duration::from_secs(60);
/// Slower than this for longer than [`MEDIA_TIME`], and a segment is given up.
const LEAST_BYTES_PER_S: u64 = 64 << 10;
/// More would be a loop.
const MAX_REDIRECTS: usize = 10;
/// The longest that we let the other side keep us waiting between two tries.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10);

/// One connection pool and one set of limits.
pub(super) struct Client {
    http: Http,
    /// Where credentials and extra headers go, and nowhere else.
    origin: Origin,
    headers: HeaderMap,
    basic: Option<(String, Option<Secret>)>,
    read_timeout: Duration,
    /// To connect, and then to answer.
    answer_timeout: Duration,
    limits: Limits,
}

/// A document, and what the answer said around it.
pub(super) struct Document {
    /// Where it came from in the end: relative URLs count from here.
    pub(super) url: Url,
    pub(super) body: Bytes,
    /// The other side's clock: its `Date`, and `Age` where a cache answered.
    pub(super) date: Option<Time>,
}

impl Document {
    /// The body as text.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if it is not UTF-8, which both XML's default and all manifests are.
    pub(super) fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body)
            .map_err(|e| Error::new(Kind::Invalid, format!("not UTF-8 at byte {}", e.valid_up_to())))
    }

    /// What is wrong with it, and where it came from; and what to do, if it is not what it should be.
    pub(super) fn unusable(&self, e: Error) -> Error {
        let e = e.context(self.shown());
        match e.kind() {
            Kind::Invalid => {
                e.hint("no player could use it either: check channel_url, and look at what the source sends")
            }
            _ => e,
        }
    }

    /// `fetch https://…`: the context of what is wrong with it.
    pub(super) fn shown(&self) -> String {
        fetch(&self.url)
    }
}

fn fetch(url: &Url) -> String {
    format!("fetch {}", redacted(url))
}

impl Client {
    /// A client for the channel at `url`, whose user and password count where the options have none.
    ///
    /// # Errors
    /// [`Kind::Config`] for a header that cannot be sent, [`Kind::Io`] if the machine has no TLS to offer.
    pub(super) fn new(url: &Url, options: &Options) -> Result<Client> {
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let wrong = || {
                Error::new(Kind::Config, format!("{name:?} cannot be a request header"))
                    .hint("check [headers]")
            };
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let http = Http::builder()
            .tls_backend_preconfigured(tls::shared()?)
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(options.connect_timeout)
            .user_agent(&options.user_agent)
            .pool_max_idle_per_host(options.max_connections)
            .build()
            .map_err(|e| Error::new(Kind::Io, "cannot set up HTTP").caused_by(e.without_url()))?;
        Ok(Client {
            http,
            origin: url.origin(),
            headers,
            basic: options.username.clone().map(|user| (user, options.password.clone())),
            read_timeout: options.read_timeout,
            answer_timeout: options.connect_timeout.saturating_add(options.read_timeout),
            limits: Limits::new(options.max_connections, options.max_bytes_per_s),
        })
    }

    /// A manifest, whole; at most 64 MiB, decompressed, in at most two minutes a try.
    pub(super) async fn document(&self, url: &Url) -> Result<Document> {
        let mut tries = Tries::new();
        loop {
            match self.document_once(url).await {
                Ok(document) => return Ok(document),
                Err(failure) => tries.wait(failure).await.map_err(|e| e.context(fetch(url)))?,
            }
        }
    }

    async fn document_once(&self, url: &Url) -> Result<Document, Failure> {
        let _connection = self.limits.connection().await?;
        let (url, response) = self.answer(Method::GET, url, None, What::Document).await?;
        let date = date(response.headers());
        let body = self.body(response, What::Document, None).await?;
        Ok(Document { url, body, date })
    }

    /// The other side's clock by the headers of an answer alone.
    pub(super) async fn head_date(&self, url: &Url) -> Result<Option<Time>> {
        let mut tries = Tries::new();
        loop {
            match self.head_once(url).await {
                Ok(date) => return Ok(date),
                Err(failure) => tries.wait(failure).await.map_err(|e| e.context(fetch(url)))?,
            }
        }
    }

    async fn head_once(&self, url: &Url) -> Result<Option<Time>, Failure> {
        let _connection = self.limits.connection().await?;
        let (_, response) = self.answer(Method::HEAD, url, None, What::Document).await?;
        Ok(date(response.headers()))
    }

    /// A segment or init segment, whole; at most 256 MiB.
    pub(super) async fn media(&self, what: &Resource, expect_bytes: u64) -> Result<Bytes> {
        let mut tries = Tries::new();
        loop {
            match self.media_once(what, expect_bytes).await {
                Ok(body) => return Ok(body),
                Err(failure) => tries.wait(failure).await.map_err(|e| e.context(fetch(&what.url)))?,
            }
        }
    }

    async fn media_once(&self, what: &Resource, expect_bytes: u64) -> Result<Bytes, Failure> {
        let exact = what.bytes.map(|(first, last)| last.saturating_sub(first).saturating_add(1));
        let mut share = self.limits.memory(exact.unwrap_or(expect_bytes)).await?;
        let _connection = self.limits.connection().await?;
        let (_, response) = self.answer(Method::GET, &what.url, what.bytes, What::Media).await?;
        let body = self.body(response, What::Media, Some(&mut share)).await?;
        match exact {
            Some(exact) if u64::try_from(body.len()) != Ok(exact) => {
                Err(Error::new(Kind::TryLater, "the part of the file has the wrong length").into())
            }
            _ => Ok(body),
        }
    }

    /// The answer after all redirects, and its URL.
    async fn answer(
        &self,
        method: Method,
        url: &Url,
        bytes: Option<(u64, u64)>,
        what: What,
    ) -> Result<(Url, Response), Failure> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(method.clone(), &url, bytes).await?;
            let status = response.status();
            let target = response.headers().get(LOCATION).filter(|_| is_redirect(status));
            let Some(target) = target else {
                return match (status, bytes) {
                    (StatusCode::OK, None) | (StatusCode::PARTIAL_CONTENT, Some(_)) => Ok((url, response)),
                    (StatusCode::OK, Some(_)) => {
                        let why = "the server sends whole files where a range of bytes is asked for";
                        Err(Error::new(Kind::Unsupported, why).into())
                    }
                    _ => {
                        let error = from_status(status, what);
                        Err(Failure { error, retry_after: retry_after(response.headers()) })
                    }
                };
            };
            let target = target.to_str().ok().and_then(|t| url.join(t).ok());
            url = target.filter(|t| matches!(t.scheme(), "http" | "https")).ok_or_else(|| {
                Error::new(Kind::Invalid, format!("{} to what is no HTTP URL", status.as_u16()))
            })?;
        }
        Err(Error::new(Kind::Invalid, format!("more than {MAX_REDIRECTS} redirects")).into())
    }

    async fn send(&self, method: Method, url: &Url, bytes: Option<(u64, u64)>) -> Result<Response> {
        let mut request = self.http.request(method, url.clone());
        if url.origin() == self.origin {
            request = request.headers(self.headers.clone());
            if let Some((user, password)) = &self.basic {
                request = request.basic_auth(user, password.as_ref().map(Secret::expose));
            }
        }
        if let Some((first, last)) = bytes {
            let range = format!("bytes={first}-{last}");
            request = request.header(RANGE, range).header(ACCEPT_ENCODING, "identity");
        }
        // Connecting has its own limit; the headers have to follow in the time that any pause may take.
        match tokio::time::timeout(self.answer_timeout, request.send()).await {
            Ok(sent) => sent.map_err(from_transport),
            Err(_) => Err(stalled(self.answer_timeout)),
        }
    }

    /// The whole body. Its limits hold whatever the headers say.
    async fn body(
        &self,
        mut response: Response,
        what: What,
        mut share: Option<&mut Share<'_>>,
    ) -> Result<Bytes, Failure> {
        let limit = if what == What::Media { MAX_MEDIA_BYTES } else { MAX_DOCUMENT_BYTES };
        let announced = response.content_length().unwrap_or(0);
        if announced > limit {
            return Err(too_large(limit).into());
        }
        let mut body = BytesMut::new();
        let (started, mut throttled) = (Tick::now(), Duration::ZERO);
        loop {
            let held = u64::try_from(body.len()).unwrap_or(u64::MAX);
            let allowed = match what {
                What::Document => DOCUMENT_TIME,
                What::Media => MEDIA_TIME.saturating_add(Duration::from_secs(held / LEAST_BYTES_PER_S)),
            };
            let left = allowed.saturating_add(throttled).saturating_sub(started.elapsed());
            let chunk = match tokio::time::timeout(self.read_timeout.min(left), response.chunk()).await {
                Ok(chunk) => chunk.map_err(from_transport)?,
                Err(_) if left <= self.read_timeout => {
                    return Err(Error::new(Kind::TryLater, "far too slow").into());
                }
                Err(_) => return Err(stalled(self.read_timeout).into()),
            };
            let Some(chunk) = chunk else { break };
            let held = held.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if held > limit {
                return Err(too_large(limit).into());
            }
            if let Some(share) = &mut share {
                let before = Tick::now();
                share.grow(held.max(announced)).await;
                throttled = throttled.saturating_add(before.elapsed());
            }
            throttled = throttled.saturating_add(self.limits.pay(chunk.len()).await);
            if body.is_empty() {
                // At most what was announced, so that a lie costs no more than the limit.
                body.reserve(usize::try_from(announced).unwrap_or(0).max(chunk.len()));
            }
            body.extend_from_slice(&chunk);
        }
        if body.is_empty() {
            return Err(Error::new(Kind::TryLater, "an empty answer").into());
        }
        Ok(body.freeze())
    }
}

/// Up to four tries, while the failure is one that passes. Nothing is held while waiting.
struct Tries(ExponentialBackoff);

impl Tries {
    fn new() -> Tries {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_factor(3.0)
            .with_max_delay(Duration::from_secs(3))
            .with_max_times(3)
            .with_jitter();
        Tries(delays.build())
    }

    /// Waits until it is time for the next try, or gives the failure back.
    async fn wait(&mut self, failure: Failure) -> Result<()> {
        let Some(delay) = self.0.next().filter(|_| failure.error.is_transient()) else {
            return Err(failure.error);
        };
        let asked = failure.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        tokio::time::sleep(delay.max(asked)).await;
        Ok(())
    }
}

fn too_large(limit: u64) -> Error {
    Error::new(Kind::Invalid, format!("larger than {} MiB", limit >> 20))
        .hint("neither a manifest nor a segment is that large: check channel_url")
}

fn stalled(after: Duration) -> Error {
    Error::new(Kind::TryLater, format!("nothing came for {}", human_duration(after)))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// `Date`, moved on by the `Age` that a cache gives it.
fn date(headers: &HeaderMap) -> Option<Time> {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let date = http_date(text(DATE)?)?;
    let age: u64 = text(AGE).and_then(|a| a.trim().parse().ok()).unwrap_or(0);
    Some(date.plus(Duration::from_secs(age)))
}

/// A date as HTTP writes it (RFC 9110 §5.6.7).
pub(super) fn http_date(text: &str) -> Option<Time> {
    DateTime::parse_from_rfc2822(text.trim()).ok().map(|at| Time::from_s(at.timestamp()))
}

/// `Retry-After` in seconds. Its date form is left alone: it would need both clocks to agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_counts_the_age_in_a_cache() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(date(&headers), Some("1994-11-06T08:49:37Z".parse().unwrap()));
        headers.insert(AGE, HeaderValue::from_static("13"));
        assert_eq!(date(&headers), Some("1994-11-06T08:49:50Z".parse().unwrap()));
    }
}
