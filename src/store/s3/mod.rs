//! Chunks in a bucket of an S3 server: the key is the object's.
//!
//! Built on rust-s3, which signs, addresses and holds credentials and connections; `wire` says what is done here instead, and
//! why. A bucket that is not there, or does not let us in, is never an empty one.

mod client;
mod fault;
mod health;
mod listing;
mod probe;
mod read;
mod upload;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, LAST_MODIFIED};
use http::{HeaderMap, HeaderName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3::Bucket;
use s3::command::Command;
use url::Url;

use self::fault::{Refusal, http_date};
use self::health::Health;
use self::wire::Ask;
use super::{ByteRange, Digest, Object, Reading, Store, check_key};
use crate::channel::S3;
use crate::error::{Error, Kind, Result};
use crate::time::Time;

pub use self::probe::Found;

/// What stands in the path of a URL as it is (RFC 3986 §3.3); the rest is encoded.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');
/// The longest that a presigned URL can hold: S3's own limit.
const LONGEST_PRESIGNED: Duration = Duration::from_secs(7 * 86_400);

/// A store in a bucket. Cheap to make: connections and credentials are those of all such stores.
#[derive(Debug, Clone)]
pub struct S3Store {
    bucket: Bucket,
    health: Arc<Health>,
    /// `s3://npvr-demo`, for messages.
    shown: String,
}

/// An object, as the server describes it.
struct Described {
    bytes: u64,
    headers: HeaderMap,
}

impl Described {
    /// What one of the headers says.
    fn told(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn object(&self, key: &str) -> Object {
        let modified = self.told(&LAST_MODIFIED).and_then(http_date);
        Object { key: key.to_owned(), bytes: self.bytes, modified: modified.unwrap_or(Time::EPOCH) }
    }
}

impl S3Store {
    /// The store in a bucket. The server is not asked yet.
    ///
    /// # Errors
    /// [`Kind::Config`] if there are no credentials for it.
    pub async fn open(s3: &S3) -> Result<S3Store> {
        let shown = s3.shown();
        let (bucket, health) = client::bucket(s3).await.map_err(|e| e.context(&shown))?;
        Ok(S3Store { bucket, health, shown })
    }

    /// What went wrong, with what was to be done, to which object.
    fn failed(&self, what: &str, key: &str) -> impl FnOnce(Refusal) -> Error + use<> {
        let context = format!("{what} {}/{key}", self.shown);
        move |refusal| refusal.error.context(context)
    }

    async fn put_with(&self, key: &str, file: &Path, expect: &Digest, only_new: bool) -> Result<bool> {
        check_key(key)?;
        let order = upload::Order { bucket: &self.bucket, key, file, expect, only_new };
        self.health.heed(upload::put(&order)).await.map_err(self.failed("put", key))
    }
}

/// What the server says of an object.
async fn head(bucket: &Bucket, key: &str) -> std::result::Result<Described, Refusal> {
    let refusal = match Ask::new(bucket, key, Command::HeadObject).response().await {
        Ok(answer) => {
            let headers = answer.headers().clone();
            let bytes = read::number(headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()))?;
            return Ok(Described { bytes, headers });
        }
        Err(refusal) => refusal,
    };
    // An answer to HEAD has no body, so it does not say whether the object or the bucket is not there, nor what is wrong with
    // the key. One byte of the object is refused for the same reason, with a word for it.
    if refusal.status == 0 || refusal.passes {
        return Err(refusal);
    }
    match Ask::new(bucket, key, Command::GetObjectRange { start: 0, end: Some(0) }).response().await {
        Ok(answer) => {
            Ok(Described { bytes: read::length(&answer, true)?, headers: answer.headers().clone() })
        }
        // It was missed a moment ago, and has no first byte: it is being written, and HEAD is right next time.
        Err(other) if other.status == 416 => Err(Refusal::passing(refusal.error)),
        Err(other) => Err(other),
    }
}

#[async_trait]
impl Store for S3Store {
    async fn put(&self, key: &str, file: &Path, expect: &Digest) -> Result<()> {
        self.put_with(key, file, expect, false).await.map(drop)
    }

    async fn put_new(&self, key: &str, file: &Path, expect: &Digest) -> Result<bool> {
        self.put_with(key, file, expect, true).await
    }

    async fn get(&self, key: &str, range: Option<ByteRange>) -> Result<Reading> {
        check_key(key)?;
        if let Some(ByteRange { start, end }) = range.filter(|r| r.start >= r.end) {
            return Err(Error::new(Kind::Invalid, format!("{key}: no bytes {start} to {end}")));
        }
        let context = format!("read {}/{key}", self.shown);
        let begun = read::read(&self.bucket, key, range, context).await.map_err(|refusal| {
            let refusal = match refusal.status {
                416 => Error::new(Kind::Invalid, "it is shorter than that").into(),
                _ => refusal,
            };
            self.failed("read", key)(refusal)
        })?;
        let (found, bytes) = begun;
        Ok(Reading { object: found.object(key), bytes })
    }

    async fn head(&self, key: &str) -> Result<Object> {
        check_key(key)?;
        let found = head(&self.bucket, key).await.map_err(self.failed("look at", key))?;
        Ok(found.object(key))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Object>> {
        listing::list(&self.bucket, prefix, after, limit).await.map_err(self.failed("list", prefix))
    }

    async fn delete(&self, keys: &[String]) -> Vec<(String, Error)> {
        let bad = keys.iter().filter_map(|key| Some((key.clone(), check_key(key).err()?)));
        let mut left: Vec<_> = bad.collect();
        let good: Vec<&String> = keys.iter().filter(|key| check_key(key).is_ok()).collect();
        let failed = listing::delete(&self.bucket, &good).await;
        left.extend(failed.into_iter().map(|(key, e)| {
            let e = e.context(format!("delete {}/{key}", self.shown));
            (key, e)
        }));
        left
    }

    async fn sweep(&self, prefix: &str, now: Time) -> Result<u64> {
        listing::sweep(&self.bucket, prefix, now).await.map_err(self.failed("sweep", prefix))
    }

    fn url(&self, key: &str) -> Result<Option<Url>> {
        check_key(key)?;
        let text = format!("{}/{}", self.bucket.url(), utf8_percent_encode(key, PATH));
        let url = Url::parse(&text);
        url.map(Some).map_err(|e| Error::new(Kind::Invalid, format!("{key}: it has no URL")).caused_by(e))
    }

    async fn presign(&self, key: &str, lifetime: Duration) -> Result<Option<Url>> {
        check_key(key)?;
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        if lifetime > LONGEST_PRESIGNED || seconds == 0 {
            return Err(Error::new(Kind::Invalid, "a URL can be signed for one second to seven days"));
        }
        let signed = self.bucket.presign_get(key, seconds, None).await.map_err(fault::unmade);
        let signed = signed.map_err(self.failed("sign a URL of", key))?;
        Url::parse(&signed).map(Some).map_err(|e| Error::new(Kind::Invalid, "it has no URL").caused_by(e))
    }
}

#[cfg(test)]
mod tests;
