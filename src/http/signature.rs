//! Signed links, the whole scheme: a link is good for its path until a moment, for whoever has it. For players that cannot send
//! a token.
//!
//! A link is `PATH?expires=SECONDS&sig=SIGNATURE`. `expires` is in seconds since 1970. The signature is the HMAC-SHA-256 (RFC 2104)
//! of the text `PATH?expires=SECONDS`, in base64url without padding (RFC 4648 §5). The path is as this server knows it, escapes
//! resolved, in UTF-8: without the prefix that a proxy puts before it, and without the rest of the query, which is free. A
//! signature of a path that ends with a slash is good for everything below it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Error, Kind, Result};
use crate::time::Time;

/// The parameters of a signed link.
pub(super) const EXPIRES: &str = "expires";
/// The same.
pub(super) const SIGNATURE: &str = "sig";

/// A shorter key, in bytes, is weaker than the hash.
const SHORTEST_KEY: usize = 32;
/// How many folders of a path are looked at: no path here is deeper.
const DEEPEST: usize = 8;

/// A key that links are signed with. It cannot be shown.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The key of these bytes.
    ///
    /// # Errors
    /// [`Kind::Config`] for fewer than 32.
    pub fn new(bytes: &[u8]) -> Result<Key> {
        let short = || Error::new(Kind::Config, format!("a key needs at least {SHORTEST_KEY} bytes"));
        if bytes.len() < SHORTEST_KEY {
            return Err(short());
        }
        Hmac::new_from_slice(bytes).map(Key).map_err(|_| short())
    }

    /// The query of a link to `path`, which begins with a slash, that is good until then.
    pub fn query(&self, path: &str, until: Time) -> String {
        let expires = until.s().to_string();
        let signature = self.of(path, &expires).finalize().into_bytes();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        format!("{EXPIRES}={expires}&{SIGNATURE}={signature}")
    }

    /// A link to `path`, which may have a query already, that is good until then.
    pub fn link(&self, path: &str, until: Time) -> String {
        let (own, mark) = path.split_once('?').map_or((path, '?'), |(own, _)| (own, '&'));
        format!("{path}{mark}{}", self.query(own, until))
    }

    /// True if this key made `signature` of `path`. The time that takes says nothing of how much of it is right.
    fn made(&self, path: &str, expires: &str, signature: &[u8]) -> bool {
        self.of(path, expires).verify_slice(signature).is_ok()
    }

    fn of(&self, path: &str, expires: &str) -> Hmac<Sha256> {
        let part = |mac: Hmac<Sha256>, text: &str| mac.chain_update(text.as_bytes());
        [path, "?", EXPIRES, "=", expires].into_iter().fold(self.0.clone(), part)
    }
}

/// Until when a link to `path` is good, that has these parameters; `None` if none of the keys made its signature, for this path
/// or one of its folders.
pub(super) fn until(keys: &[Key], path: &str, expires: &str, signature: &str) -> Option<Time> {
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    // As it is written by us, and nothing else that reads as the same number.
    let seconds = expires.bytes().all(|b| b.is_ascii_digit()).then(|| expires.parse::<u32>().ok())??;
    let folders = path.match_indices('/').take(DEEPEST).map(|(at, _)| &path[..=at]);
    let paths: Vec<&str> = folders.chain([path]).collect();
    let is_made = |key: &Key| {
        // All of them, whichever is right.
        paths.iter().fold(false, |found, path| key.made(path, expires, &signature) | found)
    };
    let is_good = keys.iter().fold(false, |found, key| is_made(key) | found);
    is_good.then(|| Time::from_s(i64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: &str = "1800000000";

    fn key(byte: u8) -> Key {
        Key::new(&[byte; 32]).unwrap()
    }

    /// The signature in a query.
    fn signature(query: &str) -> &str {
        query.split_once("&sig=").unwrap().1
    }

    #[test]
    fn a_link_is_signed_as_openssl_and_python_do_it() {
        // printf %s '/hls/news/2026-11-22T08:00:00Z--2026-11-22T09:00:00Z/master.m3u8?expires=1800000000' |
        //   openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | basenc --base64url | tr -d =
        let key = Key::new(b"0123456789abcdef0123456789abcdef").unwrap();
        let path = "/hls/news/2026-11-22T08:00:00Z--2026-11-22T09:00:00Z/master.m3u8";
        let query = key.query(path, Time::from_s(1_800_000_000));
        assert_eq!(query, "expires=1800000000&sig=Pb6MbN2_rB6BoGA4qRbGGbe-xLUr5qliAxs-g2zl6NM");
        assert_eq!(
            until(&[key], path, AT, "Pb6MbN2_rB6BoGA4qRbGGbe-xLUr5qliAxs-g2zl6NM"),
            Some(Time::from_s(1_800_000_000))
        );
    }

    #[test]
    fn a_signature_is_good_for_its_path_and_its_moment_and_with_its_key_only() {
        let query = key(1).query("/hls/news/a.m3u8", Time::from_s(1_800_000_000));
        let signed = signature(&query);
        let good = |keys: &[Key], path, expires, signed: &str| until(keys, path, expires, signed).is_some();
        assert!(good(&[key(1)], "/hls/news/a.m3u8", AT, signed));
        assert!(good(&[key(2), key(1)], "/hls/news/a.m3u8", AT, signed), "an old key, while it is changed");
        assert!(!good(&[key(2)], "/hls/news/a.m3u8", AT, signed));
        assert!(!good(&[], "/hls/news/a.m3u8", AT, signed));
        for path in ["/hls/news/b.m3u8", "/hls/news/a.m3u8/", "/hls/news/a.m3u", "/hls/news/", "", "/"] {
            assert!(!good(&[key(1)], path, AT, signed), "{path}");
        }
        for expires in
            ["1800000001", "01800000000", "+1800000000", "1800000000 ", "", "-1", "99999999999999999999"]
        {
            assert!(!good(&[key(1)], "/hls/news/a.m3u8", expires, signed), "{expires}");
        }
        for wrong in ["", "=", &signed[1..], &format!("{signed}="), &format!("{signed}A"), "\u{e9}"] {
            assert!(!good(&[key(1)], "/hls/news/a.m3u8", AT, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_folder_is_good_for_all_below_it_and_nothing_beside_it() {
        let query = key(1).query("/dash/news/a/", Time::from_s(1_800_000_000));
        let good = |path| until(&[key(1)], path, AT, signature(&query)).is_some();
        for below in ["/dash/news/a/", "/dash/news/a/1/2.m4s", "/dash/news/a/b"] {
            assert!(good(below), "{below}");
        }
        for beside in ["/dash/news/a", "/dash/news/ab", "/dash/news/", "/dash/news/b/a/", "/x/dash/news/a/b"]
        {
            assert!(!good(beside), "{beside}");
        }
        let deep = format!("/dash/news/a{}", "/".repeat(10_000));
        assert!(good(&deep), "however deep");
    }

    #[test]
    fn a_key_that_can_be_guessed_is_none() {
        assert!(Key::new(&[1; 31]).is_err() && Key::new(&[1; 32]).is_ok() && Key::new(&[1; 200]).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_signed_is_good_and_nothing_makes_it_fail_otherwise(
            path in "/[a-z0-9:/?=é-]{0,40}", s in 0_u32.., other in "[a-zA-Z0-9_=-]{0,50}", expires in "[0-9+-]{0,12}",
        ) {
            let query = key(1).query(&path, Time::from_s(s.into()));
            prop_assert_eq!(until(&[key(1)], &path, &s.to_string(), signature(&query)), Some(Time::from_s(s.into())));
            prop_assert_eq!(until(&[key(1)], &path, &expires, &other), None);
        }
    }
}
