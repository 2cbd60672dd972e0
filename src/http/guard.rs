//! Who is let in: before any handler sees a request, or anybody its body.
//!
//! Three questions, in this order. Is the server called by a name of its own? If not, a page of another site has had its
//! name point here (DNS rebinding), and the browser takes us for that site. May this client do that: has it the token? Is it
//! our own page that makes a browser write? A browser sends passwords that it knows to us whoever asks it to.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};

use super::client::is_forwarded;
use super::tokens::Tokens;
use super::turns::Turns;
use super::{Access, Base, Refusal, Request};
use crate::error::{Error, Kind, Result};

/// What a browser is asked for: `Basic`, since browsers can do that by themselves, with the token as the password.
const CHALLENGE: &str = "Basic realm=\"npvr\", charset=\"UTF-8\", Bearer realm=\"npvr\"";

/// Whose word is taken, and by which names the server may be called.
#[derive(Debug)]
pub struct Guard {
    names: Option<Vec<String>>,
    writers: Option<Tokens>,
    readers: Option<Tokens>,
    proxies: Vec<IpAddr>,
    turns: Turns,
}

/// What the operator says of that.
#[derive(Debug, Default)]
pub struct Rules {
    /// Names of the server beside `localhost` and plain addresses; one that is `*` stands for any.
    pub names: Vec<String>,
    /// The tokens that may write, and read. Without them nobody needs one to write.
    pub writers: Option<Tokens>,
    /// The tokens that may read. Without them nobody needs one to read.
    pub readers: Option<Tokens>,
    /// Proxies that are believed when they say who their client is.
    pub proxies: Vec<IpAddr>,
    /// How many dear requests a client has a minute; 0 is no limit.
    pub dear_per_minute: u32,
}

impl Guard {
    /// A guard that goes by `rules`. Any name is good where reading needs a token: a page of another site has none.
    pub fn new(rules: Rules) -> Arc<Guard> {
        let Rules { names, writers, readers, proxies, dear_per_minute } = rules;
        let is_any = readers.is_some() || names.iter().any(|name| name == "*");
        let names = names.into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        Arc::new(Guard {
            names: (!is_any).then(|| names.collect()),
            writers,
            readers,
            proxies,
            turns: Turns::new(dear_per_minute),
        })
    }

    /// Lets a request in, or says why not.
    pub(super) fn admit(&self, request: &Request, access: Access) -> Result<(), Refusal> {
        if access == Access::Open {
            return Ok(());
        }
        self.check_name(&request.headers)?;
        match access {
            Access::Write => {
                self.check_writer(&request.headers)?;
                check_page(request)
            }
            _ => self.check_reader(&request.headers),
        }
    }

    /// Lets in who asks without a link for what is given out by signed links: with a token, or, where there are none, from
    /// this host.
    pub(super) fn admit_unsigned(&self, request: &Request) -> Result<(), Refusal> {
        self.check_name(&request.headers)?;
        if self.readers.is_none() && self.writers.is_none() {
            let is_here = request.client.is_none_or(|client| client.to_canonical().is_loopback());
            return match is_here && !is_forwarded(&request.headers) {
                true => Ok(()),
                false => Err(forbidden("this needs a signed link")
                    .hint("npvr sign prints one, on the host of the server")
                    .into()),
            };
        }
        match shown_token(&request.headers) {
            Some(token) if self.is_reader(&token) => Ok(()),
            shown => Err(unknown(shown.is_some())),
        }
    }

    /// Takes one of the client's turns at what is dear.
    pub(super) fn take_turn(&self, request: &Request) -> Result<(), Refusal> {
        self.turns.take(request.client).map_err(|wait| {
            let error = Error::new(Kind::TryLater, "too many such requests from one client");
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, error.hint(format!("try again in {seconds} s")))
                .with_header(RETRY_AFTER, seconds.to_string())
        })
    }

    /// The client behind a connection from `peer`.
    pub(super) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        super::client::client(peer, headers, &self.proxies)
    }

    /// Refuses a request that calls the server by a name that is none of its own.
    pub(super) fn check_name(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(names) = &self.names else { return Ok(()) };
        // Browsers always say it.
        let Some(host) = headers.get(HOST) else { return Ok(()) };
        let name = host.to_str().map(name_of).unwrap_or_default();
        // A plain address is nothing that somebody could have had pointed elsewhere.
        let is_plain = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if is_plain || name == "localhost" || name.ends_with(".localhost") || names.contains(&name) {
            return Ok(());
        }
        let error = Error::new(Kind::Denied, "this server is not known by the name that it was called")
            .hint("if the name is right, start it with --host NAME, or put serve.hosts into npvr.toml");
        Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, error))
    }

    fn check_reader(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.readers.is_none() {
            return Ok(());
        }
        match shown_token(headers) {
            Some(token) if self.is_reader(&token) => Ok(()),
            shown => Err(unknown(shown.is_some())),
        }
    }

    fn check_writer(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.writers.is_none() {
            // Who reaches us from this host is trusted, and a proxy on this host brings others.
            return match is_forwarded(headers) {
                true => Err(forbidden("who comes from another host needs a token to change something")
                    .hint("start the server with --token-file FILE, or --read-only")
                    .into()),
                false => Ok(()),
            };
        }
        match shown_token(headers) {
            Some(token) if self.is_writer(&token) => Ok(()),
            Some(token) if self.readers.as_ref().is_some_and(|readers| readers.hold(&token)) => {
                Err(forbidden("this token may read, and not write").into())
            }
            shown => Err(unknown(shown.is_some())),
        }
    }

    fn is_reader(&self, token: &str) -> bool {
        self.readers.as_ref().is_some_and(|readers| readers.hold(token)) || self.is_writer(token)
    }

    fn is_writer(&self, token: &str) -> bool {
        self.writers.as_ref().is_some_and(|writers| writers.hold(token))
    }
}

impl Default for Guard {
    /// One that lets everybody in, but for pages of other sites that would write.
    fn default() -> Guard {
        let turns = Turns::new(0);
        Guard { names: None, writers: None, readers: None, proxies: Vec::new(), turns }
    }
}

/// A page of another site that makes a browser write here is turned away: the browser says whose page it is, in
/// `Sec-Fetch-Site` (Fetch Metadata), or in `Origin` (RFC 6454 §7), which behind a proxy that hides how it was reached is
/// not the one we know. No page can change what the browser says there.
fn check_page(request: &Request) -> Result<(), Refusal> {
    let headers = &request.headers;
    let is_ours = match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        Some(b"same-origin" | b"none") => true,
        Some(_) => false,
        None => headers.get(ORIGIN).is_none_or(|origin| {
            let as_called = Base::of(headers);
            origin.to_str().is_ok_and(|origin| request.base.is_at(origin) || as_called.is_at(origin))
        }),
    };
    if is_ours { Ok(()) } else { Err(forbidden("a page of another site may change nothing here").into()) }
}

fn forbidden(what: &str) -> Error {
    Error::new(Kind::Denied, what)
}

fn unknown(is_shown: bool) -> Refusal {
    let what = if is_shown { "this token is not known" } else { "this needs a token" };
    let hint = "send Authorization: Bearer TOKEN; in a browser, the token is the password, whatever the name";
    Refusal::new(StatusCode::UNAUTHORIZED, forbidden(what).hint(hint))
        .with_header(WWW_AUTHENTICATE, CHALLENGE)
}

/// The token of a request: `Bearer` (RFC 6750), or the password of `Basic` (RFC 7617).
fn shown_token(headers: &HeaderMap) -> Option<String> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64_STANDARD.decode(value.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// The name in a `Host`, without its port.
fn name_of(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        // The colons inside `[::1]` are no port's.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Method};

    use super::*;

    const WRITER: &str = "a-token-that-writes";
    const READER: &str = "a-token-that-reads-only";

    fn status(guard: &Guard, access: Access, headers: &[(&'static str, &str)]) -> u16 {
        let one = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let headers = headers.iter().map(one).collect();
        let request = Request::new(Method::PUT, "/", headers, bytes::Bytes::new());
        guard.admit(&request, access).map_or_else(|refusal| refusal.status().as_u16(), |()| 200)
    }

    fn tokens(folder: &tempfile::TempDir, token: &str) -> Option<Tokens> {
        let file = folder.path().join(token);
        std::fs::write(&file, token).unwrap();
        Some(Tokens::open(&file).unwrap())
    }

    #[test]
    fn only_a_name_of_its_own_is_heard_and_plain_addresses() {
        let names = vec!["Archive.example.com".to_owned()];
        let guard = Guard::new(Rules { names, ..Rules::default() });
        let read = |host| status(&guard, Access::Read, &[("host", host)]);
        for fine in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "192.0.2.1:80",
            "a.localhost",
            "archive.example.com",
            "archive.example.com.:443",
        ] {
            assert_eq!(read(fine), 200, "{fine}");
        }
        for other in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "", "[::1", "a b"]
        {
            assert_eq!(read(other), 421, "{other:?}");
        }
        assert_eq!(status(&guard, Access::Write, &[("host", "evil.example")]), 421);
        assert_eq!(status(&guard, Access::Open, &[("host", "evil.example")]), 200);
        assert_eq!(status(&guard, Access::Read, &[]), 200, "no browser");
        let any = Guard::new(Rules { names: vec!["*".to_owned()], ..Rules::default() });
        assert_eq!(status(&any, Access::Read, &[("host", "evil.example")]), 200);
    }

    #[test]
    fn a_token_is_asked_for_where_one_is_needed_and_each_is_good_for_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (writers, readers) = (tokens(&folder, WRITER), tokens(&folder, READER));
        let guard = Guard::new(Rules { writers, readers, ..Rules::default() });
        let bearer = |token: &str| format!("Bearer {token}");
        let basic = |token: &str| format!("basic {}", BASE64_STANDARD.encode(format!("me:{token}")));
        for (shown, read, write) in [
            (bearer(WRITER), 200, 200),
            (basic(WRITER), 200, 200),
            (bearer(READER), 200, 403),
            (basic(READER), 200, 403),
            (bearer("another-token-0123"), 401, 401),
            (format!("Token {WRITER}"), 401, 401),
            (WRITER.to_owned(), 401, 401),
            ("Basic !!!".to_owned(), 401, 401),
            (format!("Basic {}", BASE64_STANDARD.encode(WRITER)), 401, 401),
            ("Bearer".to_owned(), 401, 401),
            ("Bearer ".to_owned(), 401, 401),
        ] {
            assert_eq!(status(&guard, Access::Read, &[("authorization", &shown)]), read, "{shown}");
            assert_eq!(status(&guard, Access::Write, &[("authorization", &shown)]), write, "{shown}");
        }
        assert_eq!(
            [Access::Open, Access::Read, Access::Write].map(|a| status(&guard, a, &[])),
            [200, 401, 401]
        );
    }

    #[test]
    fn reading_is_open_where_only_writing_has_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::new(Rules { writers: tokens(&folder, WRITER), ..Rules::default() });
        assert_eq!([Access::Read, Access::Write].map(|a| status(&guard, a, &[])), [200, 401]);
    }

    #[test]
    fn without_a_token_this_host_writes_and_who_comes_through_a_proxy_does_not() {
        let guard = Guard::default();
        let write = |headers: &[_]| status(&guard, Access::Write, headers);
        assert_eq!(write(&[]), 200);
        assert_eq!(write(&[("x-forwarded-for", "127.0.0.1")]), 200);
        assert_eq!(write(&[("x-forwarded-for", "127.0.0.1, 192.0.2.1")]), 403);
        assert_eq!(write(&[("forwarded", "for=192.0.2.1")]), 403);
    }

    #[test]
    fn only_our_own_pages_write_and_the_browser_says_whose_they_are() {
        let guard = Guard::default();
        let write = |more: (&'static str, &str)| status(&guard, Access::Write, &[("host", "tv:80"), more]);
        assert_eq!(write(("origin", "http://tv:80")), 200);
        for other in ["http://evil.example", "https://tv:80", "null", "http://tv:80.evil.example", ""] {
            assert_eq!(write(("origin", other)), 403, "{other}");
        }
        assert_eq!(write(("sec-fetch-site", "same-origin")), 200);
        assert_eq!(write(("sec-fetch-site", "none")), 200);
        assert_eq!(write(("sec-fetch-site", "cross-site")), 403);
        assert_eq!(write(("sec-fetch-site", "same-site")), 403);
        let behind = [("host", "tv"), ("sec-fetch-site", "same-origin"), ("origin", "https://tv")];
        assert_eq!(status(&guard, Access::Write, &behind), 200, "a proxy that does not say https");
    }
}
