//! From layers of raw values to a [`Channel`]: merging, reading each value, and the limits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::keys::{Form, KEYS};
use super::playback::base_url;
use super::raw::{Entry, Layer, Origin, Value};
use super::{Channel, Name, S3, S3Keys, Setting, bucket, parse_rate, parse_size};
use crate::error::{Error, Kind, Result};
use crate::grid::Grid;
use crate::secret::Secret;
use crate::time::{format_duration, parse_duration};

const DAY: Duration = Duration::from_secs(86_400);

/// The longest `archive_length`; a typing error ends up beyond it, and instants reach no further than 2262.
const MAX_ARCHIVE: Duration = Duration::from_secs(100 * 36_525 * 864);
/// The most requests at once: more than an origin takes from one client.
const MAX_CONNECTIONS: u64 = 64;

const PASSWORDS: [&str; 3] = ["password", "password_file", "password_env"];
const ACCESS_KEYS: [&str; 3] = ["s3.access_key", "s3.access_key_file", "s3.access_key_env"];
const SECRET_KEYS: [&str; 3] = ["s3.secret_key", "s3.secret_key_file", "s3.secret_key_env"];
const SESSION_TOKENS: [&str; 3] = ["s3.session_token", "s3.session_token_file", "s3.session_token_env"];

/// Keys of which at most one can hold: a layer that sets one puts out the others in the layers below. With a star at its end
/// a name stands for all that begin so.
const RIVALS: [&[&str]; 9] = [
    &PASSWORDS,
    &ACCESS_KEYS,
    &SECRET_KEYS,
    &SESSION_TOKENS,
    &["s3.access_key*", "s3.profile"],
    &["s3.secret_key*", "s3.profile"],
    &["s3.session_token*", "s3.profile"],
    &["disk.*", "s3.*"],
    &["unified.licence_file", "unified.licence_env"],
];

/// Request headers that npvr sets by itself, and that would break the answer if set by hand.
const OWN_HEADERS: [&str; 6] =
    ["connection", "content-length", "transfer-encoding", "range", "accept-encoding", "upgrade"];

/// Where a password is kept, if not in the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// A file that holds it, and nothing else.
    File(PathBuf),
    /// An environment variable of that name.
    Env(String),
}

impl Channel {
    /// Makes a channel of its file, over the `[defaults]` of `npvr.toml`, over the built-in defaults. `look_up` gets a
    /// password that is kept elsewhere.
    ///
    /// # Errors
    /// [`Kind::Config`] with file, line, key, what is wrong and what would be right; what `look_up` fails with.
    pub fn resolve(
        name: &Name,
        file: &Layer,
        defaults: &Layer,
        look_up: &dyn Fn(&SecretFrom) -> Result<Secret>,
    ) -> Result<Channel> {
        let values = Values::merge([&Layer::defaults()?, defaults, file])?;
        let fine = |s: &str| Ok(s.to_owned());
        let grid = values.need("chunk_duration", |text| Grid::new(parse_duration(text)?))?;
        let archive_length = values.need("archive_length", between(grid.duration(), MAX_ARCHIVE))?;
        let second = Duration::from_secs(1);
        let url = values
            .need("channel_url", parse_url)
            .map_err(|e| e.hint("write it like channel_url = \"https://example.com/live/news.isml\""))?;
        let (s3, public_url) = (values.s3(look_up)?, values.text("public_url", base_url)?);
        let channel = Channel {
            name: name.clone(),
            engine: values.engine(&url, look_up)?,
            url,
            enabled: values.switch("enabled"),
            grid,
            archive_length,
            archive_size: values.text("archive_size", parse_archive_size)?.flatten(),
            tracks: values.each("tracks", str::parse)?,
            margin: values.need("margin", between(Duration::ZERO, DAY))?,
            settle: values.text("settle", between(Duration::ZERO, Duration::from_secs(3_600)))?,
            max_connections: values.count("max_connections", 1, MAX_CONNECTIONS)?,
            max_bytes_per_s: values.need("max_rate", parse_rate)?,
            username: values.text("username", fine)?,
            password: values.secret(PASSWORDS, look_up)?,
            headers: values.headers()?,
            connect_timeout: values.need("connect_timeout", between(second, 300 * second))?,
            read_timeout: values.need("read_timeout", between(second, 600 * second))?,
            disk_path: values.text("disk.path", parse_folder)?,
            media: values.media(public_url.is_some(), s3.is_some())?,
            sign_key_files: values.sign_key_files()?,
            s3,
            public_url,
            smil_dialect: values.need("smil_dialect", str::parse)?,
            ism: values.ism()?,
            effective: values.shown(),
        };
        if let (None, Some(entry)) = (&channel.username, PASSWORDS.iter().find_map(|k| values.all.get(*k))) {
            return Err(Error::new(Kind::Config, "a password without a username").context(&entry.origin));
        }
        Ok(channel)
    }
}

/// All layers in one.
pub(super) struct Values {
    pub(super) all: BTreeMap<String, Entry>,
    /// The last layer's file: the one to be blamed for what is missing.
    file: String,
}

impl Values {
    /// Later layers win.
    fn merge<'a>(layers: impl IntoIterator<Item = &'a Layer>) -> Result<Self> {
        let (mut all, mut file) = (BTreeMap::<String, Entry>::new(), String::new());
        for layer in layers {
            for rivals in RIVALS {
                let of = |key: &&'static str| {
                    let mut set = layer.entries.iter().filter(|(name, e)| is_of(name, key) && e.is_set());
                    set.next().map(|(name, entry)| (*key, name, entry))
                };
                let mut there = rivals.iter().filter_map(of);
                let Some((holds, one, _)) = there.next() else { continue };
                if let Some((_, other, entry)) = there.next() {
                    let error = Error::new(Kind::Config, format!("both {one} and {other} are given"));
                    return Err(error.context(&entry.origin).hint("keep one of them"));
                }
                let is_out = |name: &str| !is_of(name, holds) && rivals.iter().any(|r| is_of(name, r));
                all.retain(|name, entry| !entry.is_set() || !is_out(name));
            }
            all.extend(layer.entries.clone());
            file.clone_from(&layer.file);
        }
        Ok(Self { all, file })
    }

    /// A text and what it means; `None` where it is not set.
    pub(super) fn text<T>(&self, key: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
        match self.all.get(key) {
            Some(Entry { value: Value::Text(text), origin }) => {
                read(text).map(Some).map_err(|e| at(origin, key, &e))
            }
            _ => Ok(None),
        }
    }

    /// The same, for a key that has to be there.
    pub(super) fn need<T>(&self, key: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        self.text(key, read)?.ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> Error {
        Error::new(Kind::Config, format!("{key} is missing")).context(&self.file)
    }

    pub(super) fn switch(&self, key: &str) -> bool {
        matches!(self.all.get(key), Some(Entry { value: Value::Switch(true), .. }))
    }

    pub(super) fn count(&self, key: &str, least: u64, most: u64) -> Result<usize> {
        let Some(Entry { value: Value::Count(n), origin }) = self.all.get(key) else {
            return Err(self.missing(key));
        };
        let inside = usize::try_from(*n).ok().filter(|_| (least..=most).contains(n));
        inside.ok_or_else(|| {
            let error = Error::new(Kind::Config, format!("{n} is not from {least} to {most}"));
            at(origin, key, &error)
        })
    }

    pub(super) fn each<T>(&self, key: &str, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
        let Some(Entry { value: Value::List(items), origin }) = self.all.get(key) else {
            return Ok(Vec::new());
        };
        items.iter().map(|item| read(item).map_err(|e| at(origin, key, &e))).collect()
    }

    /// A secret that stands in the file, in a file of its own, or in the environment.
    fn secret(
        &self,
        [here, file, env]: [&str; 3],
        look_up: &dyn Fn(&SecretFrom) -> Result<Secret>,
    ) -> Result<Option<Secret>> {
        let file = self.text(file, |path| look_up(&SecretFrom::File(parse_folder(path)?)))?;
        let env = self.text(env, |name| look_up(&SecretFrom::Env(name.to_owned())))?;
        let here = self.text(here, |text| Ok(Secret::new(text)))?;
        Ok(here.or(file).or(env))
    }

    /// True if chunks go into a bucket: a key of `[s3]` was set, whichever.
    fn is_s3(&self) -> bool {
        self.is_any_set("s3.*")
    }

    /// True if a person set one of these keys.
    fn is_any_set(&self, keys: &str) -> bool {
        self.all.iter().any(|(name, entry)| is_of(name, keys) && entry.is_set())
    }

    fn s3(&self, look_up: &dyn Fn(&SecretFrom) -> Result<Secret>) -> Result<Option<S3>> {
        if !self.is_s3() {
            return Ok(None);
        }
        let region = self.need("s3.region", bucket::region)?;
        let secure = self.all.get("s3.secure").filter(|e| e.is_set()).map(|_| self.switch("s3.secure"));
        let given = self.text("s3.endpoint", |text| bucket::endpoint(Some(text), secure, &region))?;
        let secret_key = self.secret(SECRET_KEYS, look_up)?;
        let session = self.secret(SESSION_TOKENS, look_up)?;
        let profile = self.text("s3.profile", |name| Ok(name.to_owned()))?;
        let keys = match (self.secret(ACCESS_KEYS, look_up)?, secret_key, profile) {
            (Some(access), Some(secret), None) => S3Keys::Given { access, secret, session },
            (None, None, Some(profile)) => S3Keys::Profile(profile),
            (None, None, None) => S3Keys::Usual,
            (_, _, Some(_)) => return Err(self.half("s3.profile", "both s3.profile and keys are given")),
            (Some(_), None, None) => {
                return Err(self.half("s3.access_key", "an access key without a secret key"));
            }
            (None, Some(_), None) => {
                return Err(self.half("s3.secret_key", "a secret key without an access key"));
            }
        };
        Ok(Some(S3 {
            endpoint: given.map_or_else(|| bucket::endpoint(None, secure, &region), Ok)?,
            bucket: self.need("s3.bucket", bucket::name)?,
            region,
            path_style: self.switch("s3.path_style"),
            keys,
        }))
    }

    /// A fault about a key that may be written in several ways: `name` is how they begin.
    fn half(&self, name: &str, what: &str) -> Error {
        let error = Error::new(Kind::Config, what.to_owned());
        match self.all.iter().find(|(key, _)| key.starts_with(name)) {
            Some((_, entry)) => error.context(&entry.origin),
            None => error.context(&self.file),
        }
    }

    fn headers(&self) -> Result<Vec<(String, Secret)>> {
        let all = self.all.iter().filter_map(|(key, entry)| Some((key.strip_prefix("headers.")?, entry)));
        all.map(|(name, entry)| {
            // RFC 9110 section 5.1: a name is a token. Section 5.5: a value is visible ASCII, spaces and tabs inside.
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let Value::Text(value) = &entry.value else { return Ok((name.to_owned(), Secret::new(""))) };
            let fault = if name.is_empty() || !name.bytes().all(token) {
                "this is not the name of a header"
            } else if OWN_HEADERS.contains(&name) {
                "npvr sets this header by itself"
            } else if !value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b))
                || value.trim() != value
            {
                "the value of a header is plain ASCII, without spaces around it"
            } else {
                return Ok((name.to_owned(), Secret::new(value)));
            };
            let error = Error::new(Kind::Config, fault);
            Err(at(&entry.origin, &format!("headers.{name}"), &error))
        })
        .collect()
    }

    /// Every value as a person may see it.
    fn shown(&self) -> Vec<Setting> {
        let of_key = |key: &'static super::Key| {
            let inside = move |name: &str| match key.form {
                Form::SecretTable => name.split_once('.').is_some_and(|(table, _)| table == key.name),
                _ => name == key.name,
            };
            // Defaults of what is not used say nothing.
            let idle = ["s3.*", "ism.*"].iter().any(|all| is_of(key.name, all) && !self.is_any_set(all));
            let used = |(name, entry): &(&String, &Entry)| self.is_used(name, &entry.origin);
            let entries = self.all.iter().filter(move |(name, _)| inside(name) && !idle).filter(used);
            entries.map(|(name, entry)| Setting {
                key: name.clone(),
                shown: show(key.name, key.form, &entry.value),
                origin: entry.origin.clone(),
            })
        };
        KEYS.iter().flat_map(of_key).collect()
    }
}

/// True if `name` is the key `key`, or begins like it where that ends with a star.
fn is_of(name: &str, key: &str) -> bool {
    key.strip_suffix('*').map_or(name == key, |start| name.starts_with(start))
}

fn show(key: &str, form: Form, value: &Value) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    match value {
        _ if matches!(form, Form::Secret | Form::SecretList | Form::SecretTable) => "<redacted>".to_owned(),
        Value::Text(text) if key == "channel_url" => quoted(&without_query_values(text)),
        Value::Text(text) => quoted(text),
        Value::Switch(on) => on.to_string(),
        Value::Count(n) => n.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(|i| quoted(i)).collect::<Vec<_>>().join(", ")),
    }
}

/// Values in a query are often tokens; their names are worth showing.
fn without_query_values(url: &str) -> String {
    let Some((base, query)) = url.split_once('?') else { return url.to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) => format!("{name}=<redacted>"),
        None => "<redacted>".to_owned(),
    });
    format!("{base}?{}", shown.collect::<Vec<_>>().join("&"))
}

/// Says which line a bad value stands on. Whatever was wrong with the text, the configuration is at fault.
pub(super) fn at(origin: &Origin, key: &str, e: &Error) -> Error {
    let error = Error::new(Kind::Config, e.to_string()).context(key).context(origin);
    match e.remedy() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

pub(super) fn between(least: Duration, most: Duration) -> impl Fn(&str) -> Result<Duration> {
    move |text| {
        let d = parse_duration(text)?;
        if (least..=most).contains(&d) {
            return Ok(d);
        }
        let (least, most) = (format_duration(least), format_duration(most));
        Err(Error::new(Kind::Config, format!("{} is not from {least} to {most}", format_duration(d))))
    }
}

/// `None` lifts a limit that a layer below has set.
fn parse_archive_size(text: &str) -> Result<Option<u64>> {
    if text.trim().eq_ignore_ascii_case("unlimited") {
        return Ok(None);
    }
    match parse_size(text)? {
        0 => Err(Error::new(Kind::Config, "nothing at all could be kept").hint("write it like 2TB or 500GB")),
        bytes => Ok(Some(bytes)),
    }
}

/// The text is in no message: it may hold a password or a token.
pub(super) fn parse_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|e| {
        Error::new(Kind::Config, format!("this is not a URL: {}", e.to_string().to_lowercase()))
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::new(Kind::Config, "a user or password stands in the URL")
            .hint("use the keys username and password_file"));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::new(Kind::Config, format!("{} is neither http nor https", url.scheme())));
    }
    if url.fragment().is_some() {
        return Err(Error::new(Kind::Config, "a URL of a channel has no part after #"));
    }
    Ok(url)
}

/// Absolute, because cron and systemd start npvr in a folder of their own.
pub(super) fn parse_folder(text: &str) -> Result<PathBuf> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::new(Kind::Config, format!("{text:?} is not an absolute path")))
}

/// A program: its name, or its path.
pub(super) fn program(text: &str) -> Result<String> {
    match text.trim() {
        "" => Err(Error::new(Kind::Config, "the program has no name")
            .hint("write its name, like \"unified_capture\", or its whole path")),
        // Relative to what? cron and systemd start npvr in a folder of their own.
        name if name.contains('/') && !name.starts_with('/') => {
            Err(Error::new(Kind::Config, format!("{name:?} is neither a name nor an absolute path")))
        }
        name => Ok(name.to_owned()),
    }
}
