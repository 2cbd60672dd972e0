//! Buckets on the command line: the flags of `channel add`, and what trying a bucket out says.

use super::out::{self, WARN, styled};
use crate::channel::{Channel, S3};
use crate::error::{Error, Kind, Result};
use crate::store::S3Store;

/// More than this, and a clock is worth a word, in seconds. Servers refuse a request at fifteen minutes.
const AHEAD_S: i64 = 60;

/// Where its chunks go, if that is a bucket.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Bucket")]
pub(super) struct BucketArgs {
    /// Bucket for its chunks, on an S3 server
    #[arg(long, value_name = "BUCKET", conflicts_with = "disk")]
    s3_bucket: Option<String>,
    /// The server, like minio:9000 [default: Amazon's]
    #[arg(long, value_name = "HOST:PORT", requires = "s3_bucket")]
    s3_endpoint: Option<String>,
    /// The region that the server counts itself to [default: us-east-1]
    #[arg(long, value_name = "REGION", requires = "s3_bucket")]
    s3_region: Option<String>,
    /// Access key [default: what the AWS environment, profile or role gives]
    #[arg(long, value_name = "KEY", requires = "s3_bucket", conflicts_with = "s3_profile")]
    s3_access_key: Option<String>,
    /// File that holds the secret key
    #[arg(long, value_name = "PATH", requires = "s3_access_key", conflicts_with = "s3_secret_key_env")]
    s3_secret_key_file: Option<String>,
    /// Environment variable that holds the secret key
    #[arg(long, value_name = "NAME", requires = "s3_access_key")]
    s3_secret_key_env: Option<String>,
    /// AWS profile to take the keys from
    #[arg(long, value_name = "NAME", requires = "s3_bucket")]
    s3_profile: Option<String>,
    /// Speak plain HTTP to the server
    #[arg(long, requires = "s3_bucket")]
    no_secure: bool,
    /// Make the bucket if it is not there
    #[arg(long, requires = "s3_bucket", conflicts_with = "no_probe")]
    create_bucket: bool,
}

impl BucketArgs {
    /// The keys of a channel file that were given, and their values.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let secure = self.no_secure.then_some("false");
        let all = [
            ("s3.bucket", self.s3_bucket.as_deref()),
            ("s3.endpoint", self.s3_endpoint.as_deref()),
            ("s3.region", self.s3_region.as_deref()),
            ("s3.access_key", self.s3_access_key.as_deref()),
            ("s3.secret_key_file", self.s3_secret_key_file.as_deref()),
            ("s3.secret_key_env", self.s3_secret_key_env.as_deref()),
            ("s3.profile", self.s3_profile.as_deref()),
            ("s3.secure", secure),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }

    /// Tries the bucket of a new channel out, and makes it if that is wanted. Says what it found; nothing for a disk.
    pub(super) async fn try_out(&self, channel: &Channel) -> Result<String> {
        let Some(s3) = &channel.s3 else { return Ok(String::new()) };
        let store = S3Store::open(s3).await?;
        if !store.is_there().await? {
            let question = format!("{} is not there. Make it?", store.shown());
            if !self.create_bucket && !out::ask(&question)? {
                return Err(Error::new(Kind::Usage, format!("{} is not there", store.shown()))
                    .hint("--create-bucket makes it"));
            }
            store.create_bucket().await?;
            out::say(format_args!("{} is made", store.shown()));
        }
        probe(channel, s3, &store).await
    }
}

/// Tries the bucket of a channel out. Says what it found; nothing for a disk.
pub(super) async fn describe(channel: &Channel) -> Result<String> {
    match &channel.s3 {
        Some(s3) => probe(channel, s3, &S3Store::open(s3).await?).await,
        None => Ok(String::new()),
    }
}

async fn probe(channel: &Channel, s3: &S3, store: &S3Store) -> Result<String> {
    let found = store.probe(&format!("{}/", channel.name)).await?;
    let mut text =
        format!("  {:<8}{} at {}: may list, write, read and delete\n", "store", store.shown(), s3.endpoint);
    if let Some(ahead) = found.ahead_s.filter(|s| s.abs() > AHEAD_S) {
        let (by, word) = (ahead.unsigned_abs(), if ahead > 0 { "ahead of" } else { "behind" });
        text += &format!(
            "  {:<8}{}\n",
            "",
            styled(WARN, format!("this host's clock is {by}s {word} the server's"))
        );
    }
    if !found.atomic_create {
        text += &format!(
            "  {:<8}it does not refuse a second object under one key: one npvr alone may write there\n",
            ""
        );
    }
    Ok(text)
}
