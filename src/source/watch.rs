//! The source's clock: what time it is there, so that a wrong clock here does no harm.
//!
//! The best word that the source gives counts: a time in the manifest, a time server that the manifest names (asked
//! once in a process; the difference is remembered), the `Date` of the answer, and our own clock last
//! (ISO/IEC 23009-1 §5.8.4.11).

use std::time::Duration;

use tokio::sync::OnceCell;

use super::http::{Client, Document, http_date};
use super::mpd::{Mpd, Timing, joined};
use crate::clock;
use crate::error::Result;
use crate::time::{Time, human_duration};

/// `Date` counts in seconds, and answers take a moment: less than this is no difference.
const NOTEWORTHY: Duration = Duration::from_secs(5);

/// What is known of the source's clock.
#[derive(Default)]
pub(super) struct Watch {
    /// How far the time server that the manifest names is ahead of us, in ns; `None` if it did not answer.
    ahead_ns: OnceCell<Option<i64>>,
}

impl Watch {
    /// The source's time now, for a manifest that came as `document`; and what a person should know of it.
    pub(super) async fn read(
        &self,
        client: &Client,
        document: &Document,
        mpd: &Mpd,
    ) -> (Time, Option<String>) {
        let direct =
            mpd.timings.iter().filter(|t| scheme(t) == Some("direct")).find_map(|t| t.value.parse().ok());
        let asked = match direct {
            Some(_) => None,
            // What is over does not depend on the moment: no request for that.
            None if !mpd.dynamic => None,
            None => *self.ahead_ns.get_or_init(|| ask_all(client, document, &mpd.timings)).await,
        };
        let local = clock::now();
        let asked = asked.map(|ahead| local.offset_ns(ahead));
        now(local, direct.or(asked).or(document.date))
    }
}

/// The source's time: its own word, or ours; and a note where they differ.
pub(super) fn now(local: Time, theirs: Option<Time>) -> (Time, Option<String>) {
    let Some(theirs) = theirs else { return (local, None) };
    let (apart, which) = match theirs >= local {
        true => (theirs.since(local), "ahead of"),
        false => (local.since(theirs), "behind"),
    };
    let note = format!(
        "the source's clock is {} {which} this machine's; the source's counts",
        human_duration(apart)
    );
    (theirs, (apart > NOTEWORTHY).then_some(note))
}

/// `direct`, `http-iso`, `http-xsdate` or `http-head`; the rest (NTP and SNTP) we do not speak.
fn scheme(timing: &Timing) -> Option<&str> {
    let name = timing.scheme.strip_prefix("urn:mpeg:dash:utc:")?;
    name.strip_suffix(":2014").or_else(|| name.strip_suffix(":2012"))
}

async fn ask_all(client: &Client, document: &Document, timings: &[Timing]) -> Option<i64> {
    for timing in timings {
        let Some(scheme @ ("http-iso" | "http-xsdate" | "http-head")) = scheme(timing) else { continue };
        if let Some(url) = timing.value.split_ascii_whitespace().next()
            && let Ok(Some(theirs)) = ask(client, document, scheme, url).await
        {
            return Some(theirs.signed_ns_since(clock::now()));
        }
    }
    None
}

async fn ask(client: &Client, document: &Document, scheme: &str, url: &str) -> Result<Option<Time>> {
    let url = joined(&document.url, Some(url))?;
    if scheme == "http-head" {
        return client.head_date(&url).await;
    }
    let answer = client.document(&url).await?;
    let text = answer.text()?.trim();
    Ok(text.parse().ok().or_else(|| http_date(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_clock_counts_and_a_difference_is_noted() {
        let local = Time::from_s(1_000);
        assert_eq!(now(local, None), (local, None));
        assert_eq!(now(local, Some(Time::from_s(1_003))), (Time::from_s(1_003), None));
        let (at, note) = now(local, Some(Time::from_s(400)));
        assert_eq!(at, Time::from_s(400));
        assert!(note.unwrap().contains("behind"));
    }
}
