//! Trying a bucket out: may we list, write, read and delete, is the clock right, and what can the server do.

use s3::BucketConfiguration;
use s3::command::Command;
use sha2::{Digest as _, Sha256};

use super::S3Store;
use super::fault::{Refusal, http_date};
use super::wire::Ask;
use super::{listing, upload};
use crate::clock;
use crate::error::{Context, Result};
use crate::store::Digest;
use crate::time::Time;

/// The key of the object that is written and deleted again, after the channel's prefix. No chunk can have it.
const PROBE: &str = ".npvr-probe";

/// What a bucket turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// True if the server refuses a second object under one key, if asked to.
    pub atomic_create: bool,
    /// How far this host's clock is ahead of the server's, in seconds; `None` if the server does not tell.
    pub ahead_s: Option<i64>,
}

impl S3Store {
    /// `s3://bucket`.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether there is such a bucket.
    ///
    /// # Errors
    /// Anything else that keeps us from listing it.
    pub async fn is_there(&self) -> Result<bool> {
        match self.list_one("").await {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_no_bucket() => Ok(false),
            Err(refusal) => Err(refusal.error.context(format!("list {}", self.shown))),
        }
    }

    /// Makes the bucket. One that is ours already is as good as made.
    pub async fn create_bucket(&self) -> Result<()> {
        let mut config = BucketConfiguration::public();
        // us-east-1 is the region that must not be named; other servers than Amazon's have names of their own for one region.
        let region = self.bucket.region();
        let is_amazon = region.host().ends_with(".amazonaws.com");
        if is_amazon && region.to_string() != "us-east-1" {
            config.set_location_constraint(region);
        }
        match Ask::new(&self.bucket, "", Command::CreateBucket { config }).document().await {
            Err(refusal) if &*refusal.code != "BucketAlreadyOwnedByYou" => {
                Err(refusal.error.context(format!("make {}", self.shown)))
            }
            _ => Ok(()),
        }
    }

    /// Lists, writes, reads and deletes under `prefix`, a channel's.
    ///
    /// # Errors
    /// What could not be done, with its remedy.
    pub async fn probe(&self, prefix: &str) -> Result<Found> {
        let key = format!("{prefix}{PROBE}");
        let listed = self.list_one(prefix).await.map_err(self.failed("list", prefix))?;
        let ahead_s = listed.map(|theirs| clock::now().s() - theirs.s());
        let file = tempfile::NamedTempFile::new().context("make a temporary file")?;
        let content = format!("npvr was here at {}\n", clock::now());
        std::fs::write(file.path(), &content).context("write a temporary file")?;
        let expect = Digest { bytes: content.len() as u64, sha256: Sha256::digest(&content).into() };
        let order = upload::Order {
            bucket: &self.bucket,
            key: &key,
            file: file.path(),
            expect: &expect,
            only_new: false,
        };
        upload::put(&order).await.map_err(self.failed("put", &key))?;
        let read = super::head(&self.bucket, &key).await.map_err(self.failed("read", &key));
        let refuses = upload::is_refused_if_there(&self.bucket, &key).await;
        let failed = listing::delete(&self.bucket, &[&key]).await;
        if let Some((_, e)) = failed.into_iter().next() {
            return Err(e.context(format!("delete {}/{key}", self.shown)));
        }
        read?;
        Ok(Found { atomic_create: refuses, ahead_s })
    }

    /// Asks for a page of one object; what the server's clock said.
    async fn list_one(&self, prefix: &str) -> std::result::Result<Option<Time>, Refusal> {
        let command = Command::ListObjectsV2 {
            prefix: prefix.to_owned(),
            delimiter: None,
            continuation_token: None,
            start_after: None,
            max_keys: Some(1),
        };
        let answer = Ask::new(&self.bucket, "", command).document().await?;
        Ok(answer.headers.get(http::header::DATE).and_then(|v| http_date(v.to_str().ok()?)))
    }
}
