//! What an S3 server says when it says no: status and code, told apart, each with its own sentence and remedy.
//!
//! Only one of them means that an object is missing. A bucket that is not there is a store that is not there. What the
//! server writes about credentials is not repeated: it quotes keys.

use std::error::Error as _;
use std::io::ErrorKind as Io;
use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;

use crate::clock;
use crate::error::{Error, Kind};
use crate::time::{Time, human_duration};

/// How much of a server's own message is shown, in characters.
const SHOWN: usize = 200;

/// A request that did not succeed.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What to tell.
    pub(super) error: Error,
    /// The status of the answer; 0 if there was none.
    pub(super) status: u16,
    /// The server's word for it: `NoSuchKey`. Empty if there was none.
    pub(super) code: Box<str>,
    /// True if the same request may succeed a moment later.
    pub(super) passes: bool,
    /// True if the server said nothing for as long as we wait.
    pub(super) silent: bool,
    /// How long the server asks us to wait.
    pub(super) retry_after: Option<Duration>,
}

/// A failure that was not the server's word, and that trying again does not mend.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal { error, status: 0, code: Box::default(), passes: false, silent: false, retry_after: None }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl Refusal {
    /// A failure on the way, which may pass.
    pub(super) fn passing(error: Error) -> Self {
        Refusal { passes: true, ..Refusal::from(error) }
    }

    /// Nothing came, or went, for so long.
    pub(super) fn silence(waited: Duration) -> Self {
        let what = format!("the server was silent for {}", human_duration(waited));
        Refusal { silent: true, ..Refusal::passing(Error::new(Kind::TryLater, what)) }
    }

    /// True if the server knows the bucket and has no such object.
    pub(super) fn is_missing(&self) -> bool {
        self.error.kind() == Kind::NotFound
    }

    /// True if the server, by now, gives no answer, or none but that it is busy.
    pub(super) fn is_away(&self) -> bool {
        self.passes && matches!(self.status, 0 | 503)
    }

    /// True if there is no such bucket.
    pub(super) fn is_no_bucket(&self) -> bool {
        &*self.code == "NoSuchBucket"
    }

    /// True if something is there where nothing may be (`If-None-Match: *`).
    pub(super) fn is_taken(&self) -> bool {
        self.status == 412
    }

    /// True if the server does not know what is asked for.
    pub(super) fn is_unknown(&self) -> bool {
        self.status == 501 || &*self.code == "NotImplemented"
    }
}

/// The document that comes with a refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Document {
    code: String,
    message: String,
    region: String,
}

/// Where the request went, for sentences that name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) bucket: &'a str,
    pub(super) region: &'a str,
    /// False for a request about the bucket itself.
    pub(super) is_object: bool,
}

/// The refusal that an answer is.
pub(super) fn refused(asked: Asked<'_>, status: u16, headers: &HeaderMap, body: &str) -> Refusal {
    let document: Document = quick_xml::de::from_str(body).unwrap_or_default();
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let there = if document.region.is_empty() { header("x-amz-bucket-region") } else { &document.region };
    // Whatever a server calls it: without an object, it is the bucket that is not there.
    let code = if status == 404 && !asked.is_object { "NoSuchBucket" } else { document.code.as_str() };
    let error = match code {
        "NoSuchBucket" => {
            Error::new(Kind::TryLater, format!("bucket {} is not there", asked.bucket)).hint(
                "check s3.bucket and s3.endpoint; npvr channel add --create-bucket makes the bucket of a new channel",
            )
        }
        "RequestTimeTooSkewed" => skewed(header("date")),
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
            elsewhere(asked, there)
        }
        _ if matches!(status, 301 | 307) || (status == 400 && !there.is_empty() && there != asked.region) => {
            elsewhere(asked, there)
        }
        _ => by_code(status, code, &document.message),
    };
    let passes = matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
        || CHANGED.contains(&code)
        || matches!(code, "RequestTimeout" | "SlowDown" | "InternalError" | "ServiceUnavailable");
    let retry_after = header("retry-after").trim().parse().ok().map(Duration::from_secs);
    Refusal { error, status, code: code.into(), passes, silent: false, retry_after }
}

/// Codes that say that other bytes arrived than were sent.
const CHANGED: [&str; 4] = ["BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "InvalidDigest"];

fn by_code(status: u16, code: &str, message: &str) -> Error {
    let said = |kind: Kind, what: &str, hint: &str| Error::new(kind, what.to_owned()).hint(hint);
    match (code, status) {
        ("NoSuchKey", _) | ("", 404) => Error::new(Kind::NotFound, "no such object"),
        ("NoSuchUpload", _) => {
            Error::new(Kind::TryLater, "the upload is no longer there: something aborted it")
        }
        ("InvalidAccessKeyId", _) => said(
            Kind::Denied,
            "the server does not know this access key",
            "check s3.access_key and s3.endpoint",
        ),
        ("SignatureDoesNotMatch", _) => said(
            Kind::Denied,
            "the secret key does not fit the access key",
            "check s3.secret_key; a proxy before the server has to leave the Host header as it is",
        ),
        ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => said(
            Kind::Denied,
            "the session token holds no longer",
            "get new keys, or leave them to the AWS chain",
        ),
        ("QuotaExceeded" | "XMinioStorageFull" | "InsufficientCapacity" | "EntityTooLarge", _) | (_, 507) => {
            said(Kind::Storage, "the store has no room for it", "make room, or raise the quota of the bucket")
        }
        (_, 401 | 403) => said(
            Kind::Denied,
            "access denied",
            "the key has to be allowed to list, read, write and delete in the bucket: check its policy",
        ),
        (code, _) if CHANGED.contains(&code) => Error::new(Kind::TryLater, "its bytes changed on their way"),
        ("SlowDown", _) | (_, 429) => Error::new(Kind::TryLater, "the server asks for fewer requests"),
        ("RequestTimeout" | "InternalError" | "ServiceUnavailable", _) | (_, 408 | 500 | 502..=599) => {
            Error::new(Kind::TryLater, words(status, code, message))
        }
        ("NotImplemented", _) | (_, 501) => Error::new(Kind::Unsupported, words(status, code, message)),
        ("OperationAborted" | "ConditionalRequestConflict", _) | (_, 409) => {
            Error::new(Kind::TryLater, words(status, code, message))
        }
        _ => Error::new(Kind::Invalid, words(status, code, message)),
    }
}

/// `503 SlowDown: Please reduce your request rate.`
fn words(status: u16, code: &str, message: &str) -> String {
    let mut text = format!("{status} {code}").trim_end().to_owned();
    if !message.is_empty() {
        text.push_str(": ");
        text.extend(message.chars().filter(|c| !c.is_control()).take(SHOWN));
    }
    text
}

fn elsewhere(asked: Asked<'_>, there: &str) -> Error {
    let Asked { bucket, region, .. } = asked;
    if there.is_empty() || there == region {
        return Error::new(
            Kind::Invalid,
            format!("the server does not count itself to the region {region:?}"),
        )
        .hint("set s3.region to the server's own");
    }
    Error::new(Kind::Invalid, format!("bucket {bucket} is in the region {there:?}, not in {region:?}"))
        .hint(format!("set s3.region = {there:?}"))
}

fn skewed(date: &str) -> Error {
    let by = http_date(date).map(|theirs| {
        let ns = clock::now().signed_ns_since(theirs);
        let word = if ns > 0 { "ahead of" } else { "behind" };
        format!(": {} {word} the server's", human_duration(Duration::from_nanos(ns.unsigned_abs())))
    });
    let by = by.unwrap_or_default();
    Error::new(Kind::Denied, format!("this host's clock is wrong{by}"))
        .hint("set it, and keep it right: see timedatectl, or chrony")
}

/// A date as HTTP writes it (RFC 9110 §5.6.7).
pub(super) fn http_date(text: &str) -> Option<Time> {
    chrono::DateTime::parse_from_rfc2822(text.trim()).ok().map(|at| Time::from_s(at.timestamp()))
}

/// The refusal of a request that got no answer, or half of one. The library's own text is not shown: it holds the URL.
pub(super) fn broken(e: reqwest_of_s3::Error) -> Refusal {
    let e = e.without_url();
    let (mut io, mut causes) = (None, Vec::new());
    let mut cause = e.source();
    while let Some(c) = cause {
        io = io.or_else(|| c.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        causes.push(c.to_string());
        cause = c.source();
    }
    let says = |word: &str| causes.iter().any(|c| c.contains(word));
    let later = |what: &str| Error::new(Kind::TryLater, what.to_owned());
    let error = if says("certificate") {
        let why = causes.last().map(String::as_str).unwrap_or_default();
        later(&format!("its certificate is not trusted: {why}")).hint(
            "install the issuer's certificate in the system's store (ca-certificates), and check the clock",
        )
    } else if says("dns error") || says("failed to lookup address") {
        later("the host's name cannot be resolved").hint("check s3.endpoint, and this machine's DNS")
    } else if io == Some(Io::ConnectionRefused) {
        later("connection refused").hint("is the server running, and is the port in s3.endpoint right?")
    } else if says("InvalidContentType") || says("corrupt message") {
        later("it does not speak HTTPS").hint("for plain HTTP, set s3.secure = false")
    } else if e.is_timeout() || io == Some(Io::TimedOut) {
        later("no answer in time")
    } else if matches!(io, Some(Io::ConnectionReset | Io::BrokenPipe)) {
        later("connection reset")
    } else {
        later("the connection broke")
    };
    Refusal::passing(error.caused_by(e))
}

/// The refusal of a request that could not even be made: no credentials any more, a header that cannot be.
pub(super) fn unmade(e: s3::error::S3Error) -> Refusal {
    use s3::error::S3Error;
    match e {
        S3Error::Credentials(e) => {
            Error::new(Kind::Denied, "the credentials cannot be renewed").caused_by(e).into()
        }
        e => Error::new(Kind::Invalid, "a request that cannot be made").caused_by(e).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, headers: &[(&'static str, &str)], body: &str) -> Refusal {
        let headers = headers.iter().map(|(k, v)| (http::HeaderName::from_static(k), v.parse().unwrap()));
        refused(
            Asked { bucket: "npvr", region: "us-east-1", is_object: true },
            status,
            &headers.collect(),
            body,
        )
    }

    fn document(code: &str, more: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>M</Message>{more}<HostId/></Error>"
        )
    }

    #[test]
    fn each_answer_has_its_kind_and_its_sentence() {
        for (status, code, kind, said, passes) in [
            (404, "NoSuchKey", Kind::NotFound, "no such object", false),
            (404, "", Kind::NotFound, "no such object", false),
            (404, "NoSuchBucket", Kind::TryLater, "bucket npvr is not there", false),
            (404, "NoSuchUpload", Kind::TryLater, "the upload is no longer there", false),
            (403, "AccessDenied", Kind::Denied, "access denied", false),
            (403, "", Kind::Denied, "access denied", false),
            (403, "InvalidAccessKeyId", Kind::Denied, "does not know this access key", false),
            (403, "SignatureDoesNotMatch", Kind::Denied, "the secret key does not fit", false),
            (400, "ExpiredToken", Kind::Denied, "the session token holds no longer", false),
            (403, "RequestTimeTooSkewed", Kind::Denied, "this host's clock is wrong", false),
            (400, "AuthorizationHeaderMalformed", Kind::Invalid, "does not count itself to", false),
            (301, "", Kind::Invalid, "does not count itself to the region \"us-east-1\"", false),
            (503, "SlowDown", Kind::TryLater, "the server asks for fewer requests", true),
            (500, "InternalError", Kind::TryLater, "500 InternalError: M", true),
            (200, "InternalError", Kind::TryLater, "200 InternalError: M", true),
            (502, "", Kind::TryLater, "502", true),
            (400, "BadDigest", Kind::TryLater, "its bytes changed on their way", true),
            (400, "RequestTimeout", Kind::TryLater, "400 RequestTimeout: M", true),
            (403, "QuotaExceeded", Kind::Storage, "the store has no room for it", false),
            (501, "NotImplemented", Kind::Unsupported, "501 NotImplemented: M", false),
            (409, "OperationAborted", Kind::TryLater, "409 OperationAborted: M", false),
            (400, "InvalidArgument", Kind::Invalid, "400 InvalidArgument: M", false),
        ] {
            let body = if code.is_empty() { String::new() } else { document(code, "") };
            let refusal = told(status, &[], &body);
            let text = refusal.error.to_string();
            assert!(text.contains(said), "{status} {code}: {text}");
            assert_eq!((refusal.error.kind(), refusal.passes), (kind, passes), "{status} {code}");
        }
    }

    #[test]
    fn without_an_object_it_is_the_bucket_that_is_not_there() {
        let asked = Asked { bucket: "npvr", region: "us-east-1", is_object: false };
        for body in ["", &document("NoSuchKey", ""), &document("NoSuchBucket", "")] {
            let refusal = refused(asked, 404, &HeaderMap::new(), body);
            assert!(refusal.is_no_bucket() && !refusal.is_missing(), "{body}: {refusal:?}");
        }
    }

    #[test]
    fn a_wrong_region_names_the_right_one() {
        let by_document =
            told(400, &[], &document("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"));
        let by_header = told(301, &[("x-amz-bucket-region", "eu-west-1")], "");
        for refusal in [by_document, by_header] {
            assert_eq!(
                refusal.error.to_string(),
                "bucket npvr is in the region \"eu-west-1\", not in \"us-east-1\""
            );
            assert_eq!(refusal.error.remedy(), Some("set s3.region = \"eu-west-1\""));
        }
    }

    #[test]
    fn a_wrong_clock_is_told_by_how_much() {
        let refusal =
            told(403, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], &document("RequestTimeTooSkewed", ""));
        assert!(refusal.error.to_string().ends_with("ahead of the server's"), "{}", refusal.error);
    }

    #[test]
    fn what_a_server_writes_of_keys_is_not_repeated() {
        let body = "<Error><Code>InvalidAccessKeyId</Code><Message>hunter2</Message>\
                    <AWSAccessKeyId>hunter2</AWSAccessKeyId></Error>";
        assert!(!format!("{:?}", told(403, &[], body)).contains("hunter2"));
        assert_eq!(told(503, &[("retry-after", "7")], "").retry_after, Some(Duration::from_secs(7)));
    }
}
