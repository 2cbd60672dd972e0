//! Where a channel's chunks go, if that is a bucket: the keys of `[s3]`, read and made one value.
//!
//! Which credentials hold is decided here; those that the environment gives are looked up by the store, which alone may ask
//! the network for them.

use url::Url;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// A bucket, and how to get at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    /// The server: scheme, host and port, perhaps a path; nothing secret.
    pub endpoint: Url,
    /// The bucket's name.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// True for `https://endpoint/bucket/key`, false for `https://bucket.endpoint/key`.
    pub path_style: bool,
    /// Who asks.
    pub keys: S3Keys,
}

/// Where the credentials of a bucket come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Keys {
    /// From the channel file, or where that points.
    Given {
        /// The access key.
        access: Secret,
        /// The secret key.
        secret: Secret,
        /// What belongs to keys that are lent.
        session: Option<Secret>,
    },
    /// From a profile in the AWS credentials file.
    Profile(String),
    /// From the usual AWS chain: environment, profile, web identity, container, instance metadata.
    Usual,
}

impl S3 {
    /// Where browsers find its objects: scheme, host and port.
    pub fn origin(&self) -> String {
        let origin = self.endpoint.origin().ascii_serialization();
        match self.path_style {
            true => origin,
            false => origin.replacen("://", &format!("://{}.", self.bucket), 1),
        }
    }

    /// `s3://bucket`, for messages.
    pub fn shown(&self) -> String {
        format!("s3://{}", self.bucket)
    }
}

/// The server's URL. `text` is what the file says, with or without a scheme; `secure` is `None` where the file does not say.
pub(super) fn endpoint(text: Option<&str>, secure: Option<bool>, region: &str) -> Result<Url> {
    let fault = |what: &str| Error::new(Kind::Config, what.to_owned());
    let scheme = if secure == Some(false) { "http" } else { "https" };
    let text = match text {
        None => format!("{scheme}://s3.{region}.amazonaws.com"),
        Some(text) if text.contains("://") => text.to_owned(),
        Some(text) => format!("{scheme}://{text}"),
    };
    let url = Url::parse(&text).map_err(|_| {
        fault("this is not the address of a server").hint("write it like endpoint = \"minio:9000\"")
    })?;
    let plain = match url.scheme() {
        "http" => true,
        "https" => false,
        other => return Err(fault(&format!("{other} is neither http nor https"))),
    };
    if secure.is_some_and(|secure| secure == plain) {
        return Err(
            fault("s3.secure says one thing, and its http:// or https:// another").hint("keep one of them")
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("a user or password stands in it").hint("use access_key and secret_key_file"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("a server's address has no part after ? or #"));
    }
    Ok(url)
}

/// A bucket's name: what all kinds of servers allow, so that it is safe in a URL.
pub(super) fn name(text: &str) -> Result<String> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let starts = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if starts && text.bytes().all(fine) && (3..=255).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(Error::new(Kind::Config, format!("{text:?} cannot be the name of a bucket"))
        .hint("letters, digits, '.', '_' and '-', a letter or digit first, at least three of them"))
}

/// A region's name. It stands in signatures, between slashes.
pub(super) fn region(text: &str) -> Result<String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return Ok(text.to_owned());
    }
    Err(Error::new(Kind::Config, format!("{text:?} cannot be the name of a region")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_with_and_without_its_scheme() {
        for (text, secure, url) in [
            (Some("minio:9000"), None, "https://minio:9000/"),
            (Some("minio:9000"), Some(false), "http://minio:9000/"),
            (Some("http://minio:9000"), None, "http://minio:9000/"),
            (Some("http://minio:80/"), Some(false), "http://minio/"),
            (Some("https://host/storage/s3"), Some(true), "https://host/storage/s3"),
            (Some("[::1]:9000"), Some(false), "http://[::1]:9000/"),
            (None, None, "https://s3.eu-west-1.amazonaws.com/"),
        ] {
            assert_eq!(endpoint(text, secure, "eu-west-1").unwrap().as_str(), url, "{text:?}");
        }
        for (text, secure, said) in [
            ("http://minio", Some(true), "s3.secure says one thing"),
            ("https://minio", Some(false), "s3.secure says one thing"),
            ("ftp://minio", None, "ftp is neither http nor https"),
            ("https://a:hunter2@minio", None, "a user or password stands in it"),
            ("minio/?hunter2", None, "no part after ?"),
            ("", None, "this is not the address of a server"),
            ("a b", None, "this is not the address of a server"),
        ] {
            let e = endpoint(Some(text), secure, "r").unwrap_err().to_string();
            assert!(e.contains(said) && !e.contains("hunter2"), "{text}: {e}");
        }
    }

    #[test]
    fn names_of_buckets_and_regions_are_safe_in_urls_and_signatures() {
        for name in ["npvr-demo", "a.b", "Old_Bucket", "123"] {
            assert_eq!(super::name(name).unwrap(), name);
        }
        for name in ["", "ab", ".ab", "a/b", "a b", "a?b", "ü-bucket", "-abc"] {
            assert_eq!(super::name(name).unwrap_err().kind(), Kind::Config, "{name}");
        }
        assert_eq!(region("default").unwrap(), "default");
        assert!(region("").is_err() && region("a/b").is_err());
    }
}
