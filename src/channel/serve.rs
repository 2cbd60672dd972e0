//! `[serve]` of `npvr.toml`: how `serve-smil` is reached, and by whom.
//!
//! Addresses stay text here, since nothing is opened on this line of the map; the command line gives the same as flags, and wins.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::de::{DeTable, DeValue};
use url::Url;

use super::raw::Document;
use crate::error::{Error, Kind, Result};

/// The keys of the table.
const KEYS: [&str; 11] = [
    "access_log",
    "connections",
    "dear_per_minute",
    "hls_js",
    "hosts",
    "listen",
    "public_url",
    "read_only",
    "read_token_file",
    "token_file",
    "trust_proxy",
];

/// Where hls.js is, which plays HLS in browsers that do not do so by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HlsJs {
    /// On this host: its file, or the folder that it is in.
    Here(PathBuf),
    /// Elsewhere: the address of the script.
    There(Url),
}

impl FromStr for HlsJs {
    type Err = Error;

    fn from_str(text: &str) -> Result<HlsJs> {
        let path = Path::new(text);
        let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.has_host());
        match url {
            _ if path.is_absolute() => Ok(HlsJs::Here(path.to_owned())),
            Some(url) => Ok(HlsJs::There(url)),
            None => Err(Error::new(Kind::Usage, format!("hls.js cannot be at {text}"))
                .hint("give an absolute path, of its file or its folder, or an https URL")),
        }
    }
}

/// How `serve-smil` is reached, and by whom. What is not said is `None`, or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serve {
    /// Where it listens: `127.0.0.1:8080`, `unix:/run/npvr.sock`.
    pub listen: Vec<String>,
    /// Where clients reach it, if not as their requests say.
    pub public_url: Option<Url>,
    /// Names by which clients may call it; `*` for any.
    pub hosts: Vec<String>,
    /// The tokens that may write and read, one a line.
    pub token_file: Option<PathBuf>,
    /// The tokens that may read; without it everybody may.
    pub read_token_file: Option<PathBuf>,
    /// True if nobody may write.
    pub read_only: bool,
    /// Addresses of proxies that are believed when they say who their client is.
    pub trust_proxy: Vec<String>,
    /// Where requests are written down; `-` for standard output.
    pub access_log: Option<PathBuf>,
    /// How many connections there may be at once.
    pub connections: Option<usize>,
    /// How many dear requests a client has a minute; 0 for no limit.
    pub dear_per_minute: Option<u32>,
    /// What plays HLS in browsers that do not do so by themselves.
    pub hls_js: Option<HlsJs>,
}

impl Serve {
    /// Reads the table.
    pub(super) fn read(document: &Document<'_>, table: &DeTable<'_>) -> Result<Serve> {
        let mut serve = Serve::default();
        for (key, value) in table {
            let offset = key.span().start;
            let name = key.get_ref().as_ref();
            let must = |what: &str| document.fault(offset, format!("serve.{name} must be {what}"));
            let value = value.get_ref();
            match name {
                "listen" => serve.listen = texts(value).ok_or_else(|| must(TEXTS))?,
                "hosts" => serve.hosts = texts(value).ok_or_else(|| must(TEXTS))?,
                "trust_proxy" => serve.trust_proxy = texts(value).ok_or_else(|| must(TEXTS))?,
                "hls_js" => {
                    let place = value.as_str().and_then(|text| text.parse().ok());
                    serve.hls_js = Some(place.ok_or_else(|| must(LIBRARY))?);
                }
                "public_url" => serve.public_url = Some(web_url(value).ok_or_else(|| must(URL))?),
                "token_file" => serve.token_file = Some(absolute(value).ok_or_else(|| must(FILE))?),
                "read_token_file" => serve.read_token_file = Some(absolute(value).ok_or_else(|| must(FILE))?),
                "access_log" => {
                    let is_stdout = value.as_str() == Some("-");
                    let file = if is_stdout { Some("-".into()) } else { absolute(value) };
                    serve.access_log = Some(file.ok_or_else(|| must("an absolute path, or \"-\""))?);
                }
                "read_only" => serve.read_only = value.as_bool().ok_or_else(|| must("true or false"))?,
                "connections" => {
                    let number =
                        count(value).filter(|n| *n > 0).ok_or_else(|| must("a whole number from 1 on"))?;
                    serve.connections = Some(number as usize);
                }
                "dear_per_minute" => {
                    serve.dear_per_minute = Some(count(value).ok_or_else(|| must("a whole number"))?);
                }
                _ => return Err(unknown(document, offset, name)),
            }
        }
        Ok(serve)
    }
}

const TEXTS: &str = "a text, or a list of texts, in quotes";
const URL: &str = "an http or https URL, in quotes";
const FILE: &str = "an absolute path, in quotes";
const LIBRARY: &str = "an absolute path or an https URL, in quotes";

fn unknown(document: &Document<'_>, offset: usize, name: &str) -> Error {
    let known: Vec<String> = KEYS.iter().map(|key| format!("serve.{key}")).collect();
    document.unknown(offset, &format!("serve.{name}"), known.iter().map(String::as_str))
}

fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::String(text) => Some(vec![text.clone().into_owned()]),
        DeValue::Array(items) => items.iter().map(|v| v.get_ref().as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn web_url(value: &DeValue<'_>) -> Option<Url> {
    let url = Url::parse(value.as_str()?).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

fn absolute(value: &DeValue<'_>) -> Option<PathBuf> {
    value.as_str().map(Path::new).filter(|path| path.is_absolute()).map(Path::to_owned)
}

fn count(value: &DeValue<'_>) -> Option<u32> {
    let number = value.as_integer()?;
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn read(lines: &str) -> Result<Serve> {
        Ok(Settings::parse(&format!("[serve]\n{lines}"), "npvr.toml")?.serve)
    }

    #[test]
    fn every_key_is_read() {
        let serve = read(
            "access_log = \"-\"\nconnections = 100\ndear_per_minute = 0\nhls_js = \"/usr/share/hls.js\"\nhosts = [\"tv\", \"archive\"]\n\
             listen = \"unix:/run/npvr.sock\"\npublic_url = \"https://tv.example.com/npvr\"\nread_only = true\n\
             read_token_file = \"/etc/npvr/readers\"\ntoken_file = \"/etc/npvr/tokens\"\ntrust_proxy = [\"10.0.0.1\"]\n",
        );
        let expected = Serve {
            listen: vec!["unix:/run/npvr.sock".to_owned()],
            public_url: Some(Url::parse("https://tv.example.com/npvr").unwrap()),
            hosts: vec!["tv".to_owned(), "archive".to_owned()],
            token_file: Some("/etc/npvr/tokens".into()),
            read_token_file: Some("/etc/npvr/readers".into()),
            read_only: true,
            trust_proxy: vec!["10.0.0.1".to_owned()],
            access_log: Some("-".into()),
            connections: Some(100),
            dear_per_minute: Some(0),
            hls_js: Some(HlsJs::Here("/usr/share/hls.js".into())),
        };
        assert_eq!(serve.unwrap(), expected);
        assert_eq!(read("").unwrap(), Serve::default());
        let there = read("hls_js = \"https://cdn.example.com/hls.js\"").unwrap().hls_js;
        assert_eq!(there, Some(HlsJs::There(Url::parse("https://cdn.example.com/hls.js").unwrap())));
    }

    #[test]
    fn what_cannot_be_is_told_with_its_line_and_the_nearest_key() {
        for (line, what) in [
            ("listen = 8080", "npvr.toml, line 2: serve.listen must be a text"),
            ("hosts = [1]", "serve.hosts must be a text"),
            ("public_url = \"tv.example.com\"", "serve.public_url must be an http"),
            ("token_file = \"tokens\"", "serve.token_file must be an absolute path"),
            ("access_log = \"log\"", "serve.access_log must be an absolute path"),
            (
                "hls_js = \"http://cdn.example.com/hls.js\"",
                "serve.hls_js must be an absolute path or an https",
            ),
            ("connections = 0", "serve.connections must be a whole number from 1 on"),
            ("dear_per_minute = -1", "serve.dear_per_minute must be a whole number"),
            ("read_only = 1", "serve.read_only must be true or false"),
        ] {
            let e = read(line).unwrap_err().to_string();
            assert!(e.contains(what), "{line}: {e}");
        }
        let e = read("tokenfile = \"/x\"").unwrap_err();
        assert_eq!(e.remedy(), Some("did you mean serve.token_file?"));
    }
}
