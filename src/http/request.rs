//! A request, as a plain value.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::Base;
use crate::error::{Error, Kind, Result};

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// The path as it came, escapes and all.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, all of it.
    pub body: Bytes,
    /// Who is at the other end of the connection: a proxy, perhaps. `None` where there is no connection.
    pub peer: Option<IpAddr>,
    /// Who asks: the peer, or who a proxy that is believed says it is.
    pub client: Option<IpAddr>,
    /// What links begin with.
    pub base: Base,
    query: Vec<(String, String)>,
    params: Vec<(String, String)>,
}

impl Request {
    /// A request for `target`, a path and perhaps a query.
    pub fn new(method: Method, target: &str, headers: HeaderMap, body: Bytes) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let base = Base::of(&headers);
        let (path, params) = (base.below(path).to_owned(), Vec::new());
        Request { method, path, headers, body, peer: None, client: None, base, query, params }
    }

    /// What stands in the path where the route's pattern has `{name}`, escapes resolved; nothing if it has no such place.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The first value of that name in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All values of that name in the query.
    pub fn queries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// True if the client names JSON among what it takes.
    pub fn wants_json(&self) -> bool {
        self.takes("application/json")
    }

    /// True if the client would rather have JSON than a page: it names JSON, and no HTML that it likes as much.
    pub fn prefers_json(&self) -> bool {
        self.likes("application/json") > self.likes("text/html")
    }

    /// True if the client would rather have a page, or as well, than JSON: a browser.
    pub fn prefers_page(&self) -> bool {
        self.wants_html() && !self.prefers_json()
    }

    /// How much the client likes a type that it names, from 0 to 1000 (RFC 9110 §12.4.2); 0 for one that it does not name.
    fn likes(&self, media_type: &str) -> u32 {
        let values = self.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let quality = |part: &str| {
            let mut words = part.split(';').map(str::trim);
            let is_it = words.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
            let said = words.find_map(|word| word.strip_prefix("q=").or(word.strip_prefix("Q=")));
            let parts = said.map_or(1.0, |q| q.parse::<f32>().unwrap_or(1.0)).clamp(0.0, 1.0);
            is_it.then_some((parts * 1_000.0) as u32)
        };
        values.flat_map(|value| value.split(',')).filter_map(quality).max().unwrap_or(0)
    }

    /// True if the body is said to be JSON.
    pub fn is_json(&self) -> bool {
        let said = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_like_json = |rest: &str| rest == "json" || rest.ends_with("+json");
        essence.strip_prefix("application/").is_some_and(is_like_json)
    }

    /// True if the client names HTML among what it takes: a browser.
    pub fn wants_html(&self) -> bool {
        self.takes("text/html")
    }

    fn takes(&self, media_type: &str) -> bool {
        let values = self.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = values.flat_map(|value| value.split(',')).map(|part| part.split(';').next());
        types.any(|t| t.is_some_and(|t| t.trim().eq_ignore_ascii_case(media_type)))
    }

    /// Keeps what stands in the places of a route's pattern.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for what is no text: there is nothing of that name.
    pub(super) fn set_params<'a>(&mut self, raw: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
        let decoded = raw.map(|(name, value)| {
            let text = percent_decode_str(value).decode_utf8().ok().filter(|t| !t.contains('\0'));
            let text = text.ok_or_else(|| Error::new(Kind::NotFound, "there is nothing at this path"))?;
            Ok((name.to_owned(), text.into_owned()))
        });
        self.params = decoded.collect::<Result<_>>()?;
        Ok(())
    }
}
