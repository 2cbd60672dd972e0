//! Buckets with their credentials and connections, shared by all channels of a process.
//!
//! A client reads the system's root certificates, and asking for credentials may go over the network: hundreds of channels
//! must not do either hundreds of times. So there is one HTTP client for all, and one set of credentials for all channels that
//! say the same of them.

use std::sync::{Arc, Mutex, PoisonError};

use s3::creds::Credentials;
use s3::{Bucket, Region};

use super::health::Health;
use crate::channel::{S3, S3Keys};
use crate::error::{Error, Kind, Result};

/// What was opened so far, with what it was opened for. A handful: what differs is servers and keys, not channels.
static OPEN: Mutex<Vec<(S3, Bucket, Arc<Health>)>> = Mutex::new(Vec::new());

/// The bucket of `s3`, and how its server is. Nothing is asked of it yet.
///
/// # Errors
/// [`Kind::Config`] if there are no credentials, [`Kind::Io`] if the machine has no TLS to offer.
pub(super) async fn bucket(s3: &S3) -> Result<(Bucket, Arc<Health>)> {
    let wanted = s3.clone();
    let opened = tokio::task::spawn_blocking(move || open(&wanted)).await;
    let (mut bucket, health) = opened
        .unwrap_or_else(|e| Err(Error::new(Kind::Io, "looking for credentials failed").caused_by(e)))?;
    bucket.name.clone_from(&s3.bucket);
    Ok((bucket, health))
}

/// As [`bucket`], on a thread that may block. One at a time: the second finds what the first has opened.
fn open(s3: &S3) -> Result<(Bucket, Arc<Health>)> {
    let mut all = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |other: &S3| S3 { bucket: s3.bucket.clone(), ..other.clone() } == *s3;
    if let Some((_, bucket, health)) = all.iter().find(|(other, ..)| same(other)) {
        return Ok((bucket.clone(), Arc::clone(health)));
    }
    let credentials = credentials(&s3.keys)?;
    let endpoint = s3.endpoint.as_str().trim_end_matches('/').to_owned();
    let region = Region::Custom { region: s3.region.clone(), endpoint };
    let mut bucket = match all.first() {
        Some((_, other, _)) => {
            let mut bucket = other.clone();
            bucket.region = region;
            bucket.set_credentials(credentials);
            bucket
        }
        None => *Bucket::new(&s3.bucket, region, credentials)
            .map_err(|e| Error::new(Kind::Io, "cannot set up HTTP").caused_by(e))?,
    };
    // How long a request may take is decided where it is sent.
    bucket.set_request_timeout(None);
    match s3.path_style {
        true => bucket.set_path_style(),
        false => bucket.set_subdomain_style(),
    }
    let health = Arc::<Health>::default();
    all.push((s3.clone(), bucket.clone(), Arc::clone(&health)));
    Ok((bucket, health))
}

/// Whole ones: signing without a secret key would panic inside the library.
fn credentials(keys: &S3Keys) -> Result<Credentials> {
    let none = |what: String| {
        Error::new(Kind::Config, what).hint(
            "set access_key and secret_key_file under [s3], or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or see aws configure",
        )
    };
    let found = match keys {
        S3Keys::Given { access, secret, session } => {
            let token = session.as_ref().map(|token| token.expose());
            Credentials::new(Some(access.expose()), Some(secret.expose()), None, token, None)
        }
        S3Keys::Profile(name) => Credentials::from_profile(Some(name)),
        // The library does not read AWS_PROFILE by itself.
        S3Keys::Usual => {
            Credentials::new(None, None, None, None, std::env::var("AWS_PROFILE").ok().as_deref())
        }
    };
    let found = found.map_err(|e| match keys {
        S3Keys::Profile(name) => none(format!("there are no keys in the AWS profile {name:?}")).caused_by(e),
        _ => none("there are no keys for the bucket".to_owned()).caused_by(e),
    })?;
    let is_there = |key: &Option<String>| key.as_deref().is_some_and(|key| !key.is_empty());
    match is_there(&found.access_key) && is_there(&found.secret_key) {
        true => Ok(found),
        false => Err(none("the keys for the bucket are empty".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn given(bucket: &str, secret: &str) -> S3 {
        S3 {
            endpoint: "http://client.test:9000".parse().unwrap(),
            bucket: bucket.to_owned(),
            region: "default".to_owned(),
            path_style: true,
            keys: S3Keys::Given { access: Secret::new("a"), secret: Secret::new(secret), session: None },
        }
    }

    #[tokio::test]
    async fn channels_that_say_the_same_share_their_credentials_and_others_do_not() {
        let one = bucket(&given("one", "x")).await.unwrap().0;
        let two = bucket(&given("two", "x")).await.unwrap().0;
        let other = bucket(&given("one", "y")).await.unwrap().0;
        assert_eq!(
            (one.url(), two.url()),
            ("http://client.test:9000/one".into(), "http://client.test:9000/two".into())
        );
        assert_eq!(other.secret_key().await.unwrap().as_deref(), Some("y"));
        assert_eq!(two.secret_key().await.unwrap().as_deref(), Some("x"));
        let opened = OPEN
            .lock()
            .unwrap()
            .iter()
            .filter(|(s3, ..)| s3.endpoint.host_str() == Some("client.test"))
            .count();
        assert_eq!(opened, 2, "by keys, not by bucket");
    }

    #[tokio::test]
    async fn keys_that_are_empty_are_no_keys() {
        let e = bucket(&given("one", "")).await.unwrap_err();
        assert_eq!((e.kind(), e.to_string().as_str()), (Kind::Config, "the keys for the bucket are empty"));
    }
}
