//! The configuration of a channel as the reference has it: nine fields, all of them needed to make a channel.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::channel::{Channel, Engine, S3Keys};
use crate::error::{Error, Kind, Result};

/// What stands in place of a key, and what leaves the key as it is where it is sent back.
const REDACTED: &str = "<REDACTED>";

/// The fields, and the keys of a channel file that they are.
const FIELDS: [(&str, &str); 9] = [
    ("channel_url", "channel_url"),
    ("chunk_duration", "chunk_duration"),
    ("archive_length", "archive_length"),
    ("s3_endpoint", "s3.endpoint"),
    ("s3_bucket", "s3.bucket"),
    ("s3_access_key", "s3.access_key"),
    ("s3_secret_key", "s3.secret_key"),
    ("s3_region", "s3.region"),
    ("secure", "s3.secure"),
];

/// Other ways to say who asks a bucket: they go where keys are given.
const OTHER_KEYS: [&str; 8] = [
    "s3.access_key_file",
    "s3.access_key_env",
    "s3.secret_key_file",
    "s3.secret_key_env",
    "s3.session_token",
    "s3.session_token_file",
    "s3.session_token_env",
    "s3.profile",
];

/// A channel. What begins with `s3_`, and `secure`, is `null` where its chunks go to a disk.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
pub(super) struct Config {
    /// Where the live stream is.
    channel_url: String,
    /// How long a chunk is, like `PT5M`.
    chunk_duration: String,
    /// How long a chunk is kept, like `P7D`.
    archive_length: String,
    /// The S3 server, like `minio:9000`.
    s3_endpoint: Option<String>,
    /// The bucket.
    s3_bucket: Option<String>,
    /// `<REDACTED>`, or `null` where the keys come from the environment of npvr.
    s3_access_key: Option<&'static str>,
    /// The same.
    s3_secret_key: Option<&'static str>,
    /// The region that the server counts itself to.
    s3_region: Option<String>,
    /// False for plain HTTP to the S3 server.
    secure: Option<bool>,
    /// False if it is left alone.
    enabled: bool,
    /// What captures it: `native` or `unified`.
    engine: &'static str,
    /// The folder for its chunks; `null` for a bucket, or for one under the state folder.
    disk_path: Option<String>,
}

/// A channel as it is made: all of the fields.
#[derive(ToSchema)]
#[schema(as = ChannelToPut)]
#[expect(dead_code, reason = "it is the shape of what is read field by field, to name all that is missing")]
pub(super) struct ToPut {
    /// Where the live stream is.
    #[schema(format = "uri", example = "https://demo.unified-streaming.com/k8s/live/scte35.isml")]
    channel_url: String,
    /// How long a chunk is.
    #[schema(example = "PT5M")]
    chunk_duration: String,
    /// How long a chunk is kept.
    #[schema(example = "P7D")]
    archive_length: String,
    /// The S3 server.
    #[schema(example = "minio:9000")]
    s3_endpoint: String,
    /// The bucket.
    #[schema(example = "npvr-demo")]
    s3_bucket: String,
    /// `<REDACTED>` leaves it as it is.
    #[schema(example = "minioadmin")]
    s3_access_key: String,
    /// `<REDACTED>` leaves it as it is.
    #[schema(example = "minioadmin")]
    s3_secret_key: String,
    /// The region that the server counts itself to.
    #[schema(example = "default")]
    s3_region: String,
    /// False for plain HTTP to the S3 server.
    secure: bool,
}

impl Config {
    pub(super) fn of(channel: &Channel) -> Config {
        let s3 = channel.s3.as_ref();
        let key = s3.filter(|s3| matches!(s3.keys, S3Keys::Given { .. })).map(|_| REDACTED);
        let endpoint = |s3: &crate::channel::S3| {
            s3.endpoint
                .as_str()
                .split_once("://")
                .map_or("", |(_, rest)| rest.trim_end_matches('/'))
                .to_owned()
        };
        Config {
            channel_url: written(channel, "channel_url").unwrap_or_default(),
            chunk_duration: written(channel, "chunk_duration").unwrap_or_default(),
            archive_length: written(channel, "archive_length").unwrap_or_default(),
            s3_endpoint: s3.map(|s3| written(channel, "s3.endpoint").unwrap_or_else(|| endpoint(s3))),
            s3_bucket: s3.map(|s3| s3.bucket.clone()),
            s3_access_key: key,
            s3_secret_key: key,
            s3_region: s3.map(|s3| s3.region.clone()),
            secure: s3.map(|s3| s3.endpoint.scheme() == "https"),
            enabled: channel.enabled,
            engine: match channel.engine {
                Engine::Native => "native",
                Engine::Unified(_) => "unified",
            },
            disk_path: channel.disk_path.as_ref().map(|path| path.display().to_string()),
        }
    }
}

/// A text as it stands in the file, so that a client finds again what it sent; without the values of a URL's query, as those
/// are often tokens.
fn written(channel: &Channel, key: &str) -> Option<String> {
    let setting = channel.effective().iter().find(|setting| setting.key == key)?;
    let mut line = toml::from_str::<toml::Table>(&format!("x = {}", setting.shown)).ok()?;
    line.remove("x")?.as_str().map(str::to_owned)
}

/// What a client wants a channel file to say.
pub(super) struct Change {
    /// Keys and their values.
    values: Vec<(&'static str, String)>,
    /// Keys that are to go.
    pub(super) without: Vec<&'static str>,
}

impl Change {
    /// Reads what a client sent. `before` is the channel as it is, if it is: what was shown of it, and is sent back, stays.
    /// Fields beyond the nine are passed over, as the reference does.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for fields that are missing, all of them by name, or that are no text.
    pub(super) fn read(sent: &Value, before: Option<&Channel>) -> Result<Change> {
        let nothing = Map::new();
        let fields = sent.as_object().unwrap_or(&nothing);
        let missing: Vec<String> =
            FIELDS.iter().filter(|(f, _)| !fields.contains_key(*f)).map(|(f, _)| format!("'{f}'")).collect();
        if !missing.is_empty() {
            let what = format!("missing required fields: [{}]", missing.join(", "));
            return Err(Error::new(Kind::Invalid, what));
        }
        let mut change = Change { values: Vec::new(), without: Vec::new() };
        for (field, key) in FIELDS {
            let text = match (&fields[field], field) {
                (Value::String(text), field) if field != "secure" => text.clone(),
                (Value::Bool(switch), "secure") => switch.to_string(),
                (_, "secure") => return Err(Error::new(Kind::Invalid, "secure must be true or false")),
                _ => return Err(Error::new(Kind::Invalid, format!("{field} must be text"))),
            };
            let is_key = key.ends_with("_key");
            let is_as_shown = match before {
                Some(_) if is_key => text == REDACTED,
                Some(before) => key == "channel_url" && written(before, key).as_ref() == Some(&text),
                None => false,
            };
            if is_key && text == REDACTED && !is_as_shown {
                return Err(Error::new(Kind::Invalid, format!("{field} is redacted: there is none to keep")));
            }
            if !is_as_shown {
                change.without.extend(OTHER_KEYS.iter().filter(|_| is_key));
                change.values.push((key, text));
            }
        }
        Ok(change)
    }

    /// Keys and their values.
    pub(super) fn values(&self) -> Vec<(&str, &str)> {
        self.values.iter().map(|(key, text)| (*key, text.as_str())).collect()
    }
}
