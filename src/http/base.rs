//! How a client reached this server: what its links begin with.

use http::HeaderMap;
use http::header::HOST;
use url::Url;

/// The start of every link: scheme and host as the client used them, and the path below which a proxy has put us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// `https://example.com`, without a slash at the end.
    origin: String,
    /// `/npvr`, or nothing.
    prefix: String,
}

impl Base {
    /// What `headers` say: `Host`, `X-Forwarded-Proto`, `X-Path-Prefix`. What makes no sense there is left out of links.
    pub fn of(headers: &HeaderMap) -> Base {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = match text("x-forwarded-proto") {
            Some("https") => "https",
            _ => "http",
        };
        let host = text(HOST.as_str()).filter(|host| is_host(host)).unwrap_or("localhost");
        let prefix = text("x-path-prefix").map(|prefix| prefix.trim_end_matches('/'));
        let prefix = prefix.filter(|prefix| is_prefix(prefix)).unwrap_or_default();
        Base { origin: format!("{scheme}://{host}"), prefix: prefix.to_owned() }
    }

    /// A path as we know it: a proxy may send what it was asked for, with the prefix that it tells us of.
    pub(super) fn below<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.prefix.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(path)
    }

    /// That of a URL which the operator gave.
    pub fn of_url(url: &Url) -> Base {
        Base {
            origin: url.origin().ascii_serialization(),
            prefix: url.path().trim_end_matches('/').to_owned(),
        }
    }

    /// True if `origin` is that of our own pages.
    pub(super) fn is_at(&self, origin: &str) -> bool {
        self.origin == origin
    }

    /// An absolute link to `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.prefix)
    }

    /// A link to `path` on this host.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

/// A name or an address, and perhaps a port: nothing that means something in a URL, XML or HTML.
fn is_host(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (1..=255).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Segments of letters and digits. `//` at the start would name another host.
fn is_prefix(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~' | b'/');
    text.len() <= 255 && text.starts_with('/') && !text.contains("//") && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(headers: &[(&'static str, &str)]) -> Base {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap())
        });
        Base::of(&headers.collect())
    }

    #[test]
    fn links_begin_as_the_client_reached_us() {
        assert_eq!(base(&[("host", "tv:8080")]).url("/smil/"), "http://tv:8080/smil/");
        let behind = base(&[("host", "tv"), ("x-forwarded-proto", "https"), ("x-path-prefix", "/npvr/")]);
        assert_eq!(behind.url("/smil/"), "https://tv/npvr/smil/");
        assert_eq!(behind.path("/smil/"), "/npvr/smil/");
        let asked = ["/npvr/smil/", "/smil/", "/npvrs/", "/npvr"].map(|path| behind.below(path));
        assert_eq!(asked, ["/smil/", "/smil/", "/npvrs/", "/npvr"]);
    }

    #[test]
    fn what_would_break_out_of_a_link_is_left_out_of_it() {
        for host in ["tv/evil", "tv\"onload=", "a b", "tv@evil", ""] {
            assert_eq!(base(&[("host", host)]).url("/"), "http://localhost/", "{host}");
        }
        for prefix in ["//evil.example", "npvr", "/<b>", "/a?b", "/a//b"] {
            assert_eq!(base(&[("host", "tv"), ("x-path-prefix", prefix)]).path("/x"), "/x", "{prefix}");
        }
        assert_eq!(base(&[("host", "tv"), ("x-forwarded-proto", "javascript")]).url("/"), "http://tv/");
    }

    #[test]
    fn a_public_url_is_taken_as_it_is() {
        let url = Url::parse("https://archive.example.com/tv/").unwrap();
        assert_eq!(Base::of_url(&url).url("/smil/"), "https://archive.example.com/tv/smil/");
    }
}
