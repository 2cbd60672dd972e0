//! Who may play a channel whose links are signed, and the links that playlists hand on.
//!
//! Such a channel is played by who has a signed link, by who has a token that may read, and, where there are no tokens, by who
//! is on this host. What npvr gives out itself it signs anew, for as long as the link is good that was asked with: so a player
//! that can send nothing but what stands in a playlist gets all of it, and nothing for longer.

use std::time::Duration;

use http::header::CACHE_CONTROL;
use percent_encoding::percent_decode_str;

use super::signature::{EXPIRES, Key, SIGNATURE, until};
use super::{Access, Answer, App, Refusal, Request};
use crate::channel::Channel;
use crate::error::{Error, Kind, Result};
use crate::time::Time;

/// How long the links are good that stand in a playlist which was asked for without one; it is rounded up to the hour, so
/// that the playlist stays the same for as long.
const USUAL: Duration = Duration::from_secs(12 * 3_600);
const HOUR_S: i64 = 3_600;

/// How a request was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Like any other: the links of the channel are not signed.
    Open,
    /// By a link that is good for so many seconds more.
    Signed(u64),
    /// By who asks.
    Trusted,
}

impl Pass {
    /// The answer, kept by nobody for longer than the link is good, and by no cache for others who have none.
    pub(super) fn limit(self, answer: Answer) -> Answer {
        let said =
            answer.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let limited = match self {
            Pass::Open => return answer,
            Pass::Trusted if said.starts_with("private") || said == "no-store" => return answer,
            Pass::Trusted if said.is_empty() => "private".to_owned(),
            Pass::Trusted => format!("private, {said}"),
            Pass::Signed(left_s) => {
                let lower = |part: &str| match part.strip_prefix("max-age=").map(str::parse::<u64>) {
                    Some(Ok(seconds)) => format!("max-age={}", seconds.min(left_s)),
                    _ => part.to_owned(),
                };
                said.split(", ").map(lower).collect::<Vec<_>>().join(", ")
            }
        };
        if limited.is_empty() { answer } else { answer.with_header(CACHE_CONTROL, limited) }
    }
}

/// Lets a request in to what is played of the channel in its path, or says why not.
pub(super) fn admit(app: &App, request: &Request, access: Access) -> Result<Pass, Refusal> {
    let guard = &app.options.guard;
    // What is wrong with a name, or with its file, the handler says.
    let channel = app.channel(request.param("name")).ok();
    let Some(channel) = channel.filter(|channel| !channel.sign_key_files.is_empty()) else {
        guard.admit(request, access)?;
        return Ok(Pass::Open);
    };
    match shown(app, &channel, request)? {
        Some(until) => {
            guard.check_name(&request.headers)?;
            Ok(Pass::Signed(until.since(app.now()).as_secs()))
        }
        None => guard.admit_unsigned(request).map(|()| Pass::Trusted),
    }
}

/// Until when the link is good that a request came by; `None` if it is not signed.
///
/// # Errors
/// 403 for one that is not good, or no longer.
fn shown(app: &App, channel: &Channel, request: &Request) -> Result<Option<Time>, Refusal> {
    let Some(signature) = request.query(SIGNATURE) else { return Ok(None) };
    // A file that cannot be read lets nobody in; who runs the server is told of it where something is to be signed.
    let keys: Vec<Key> =
        channel.sign_key_files.iter().filter_map(|file| app.sign_keys.of(file).ok()).collect();
    let path = percent_decode_str(&request.path).decode_utf8().unwrap_or_default();
    let expires = request.query(EXPIRES).unwrap_or_default();
    let denied = |what: &str, hint: &str| Refusal::from(Error::new(Kind::Denied, what).hint(hint));
    let until = until(&keys, &path, expires, signature)
        .ok_or_else(|| denied("this link is not as it was signed", "copy all of it, and change nothing"))?;
    match app.now() < until {
        true => Ok(Some(until)),
        false => Err(denied("this link has expired", "ask whoever gave it to you for a new one")),
    }
}

/// What signs the links of one playlist.
pub(super) struct Signer {
    key: Key,
    until: Time,
}

impl Signer {
    /// That of a playlist which `request` asks for; `None` if the links of its channel are not signed.
    ///
    /// # Errors
    /// [`Kind::Config`] where the key cannot be read.
    pub(super) fn of(app: &App, channel: &Channel, request: &Request) -> Result<Option<Signer>> {
        // It was let in: what is not good now has run out this moment.
        let until = shown(app, channel, request).ok().flatten().unwrap_or_else(|| usual(app.now()));
        Signer::until(app, channel, until)
    }

    /// One whose links are good until then; `None` if the links of the channel are not signed.
    ///
    /// # Errors
    /// [`Kind::Config`] where the key cannot be read.
    pub(super) fn until(app: &App, channel: &Channel, until: Time) -> Result<Option<Signer>> {
        let Some(file) = channel.sign_key_files.first() else { return Ok(None) };
        let name = channel.name.as_str();
        let key = app.sign_keys.of(file).map_err(|e| {
            // Where the file is, and what is wrong with it, is for who runs the server.
            let what = format!("channel {name}: its links cannot be signed");
            Error::new(Kind::Config, what)
                .hint(format!("npvr sign {name} /hls/{name}/ says why"))
                .caused_by(e)
        })?;
        Ok(Some(Signer { key, until }))
    }

    /// One with a key that is known.
    #[cfg(test)]
    pub(super) fn test(until: Time) -> Signer {
        // Of 32 bytes: it is a key.
        Signer { key: Key::new(&[7; 32]).unwrap(), until }
    }

    /// A link to `path`, which may have a query already.
    pub(super) fn link(&self, path: &str) -> String {
        self.key.link(path, self.until)
    }

    /// The query of a link to `path`, which begins with a slash; to everything below it, if it ends with one.
    pub(super) fn query(&self, path: &str) -> String {
        self.key.query(path, self.until)
    }
}

/// Until when links are good that are asked for at `now`, without a link.
fn usual(now: Time) -> Time {
    Time::from_s((now.plus(USUAL).s() / HOUR_S + 1) * HOUR_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_no_longer_than_its_link_is_good_and_for_nobody_else() {
        let limited = |pass: Pass, said: &str| {
            let answer = Answer::text("x").with_header(CACHE_CONTROL, said);
            pass.limit(answer).headers[CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        assert_eq!(limited(Pass::Open, "max-age=86400"), "max-age=86400");
        assert_eq!(limited(Pass::Signed(50), "max-age=86400"), "max-age=50");
        assert_eq!(limited(Pass::Signed(50), "private, max-age=10"), "private, max-age=10");
        assert_eq!(limited(Pass::Trusted, "max-age=86400"), "private, max-age=86400");
        assert_eq!(limited(Pass::Trusted, "private, max-age=10"), "private, max-age=10");
        let none = Pass::Trusted.limit(Answer::text("x"));
        assert_eq!(none.headers[CACHE_CONTROL], "private");
        assert!(Pass::Signed(1).limit(Answer::text("x")).headers.get(CACHE_CONTROL).is_none());
    }

    #[test]
    fn links_in_a_playlist_stay_the_same_for_an_hour_and_are_good_for_half_a_day() {
        let at = |text: &str| usual(text.parse().unwrap()).to_string();
        assert_eq!(at("2026-11-22T08:00:00Z"), "2026-11-22T21:00:00Z");
        assert_eq!(at("2026-11-22T08:59:59.999Z"), "2026-11-22T21:00:00Z");
        assert_eq!(at("2026-11-22T09:00:00Z"), "2026-11-22T22:00:00Z");
    }
}
