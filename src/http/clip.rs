//! What every playlist is made of: the clip that a request asks for, why there is none, and what is to be known of it besides.

use std::fmt::Write as _;

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderName, StatusCode};

use super::{Answer, App, Refusal};
use crate::channel::Channel;
use crate::clip::{Ask, Clip, Missing};
use crate::error::{Error, Kind};
use crate::playback;
use crate::time::Time;

/// What is missing of a clip.
const GAPS: HeaderName = HeaderName::from_static("x-npvr-gaps");
/// How many gaps are told in that header, and how many bytes it may have: proxies refuse long ones.
const MOST_GAPS: usize = 50;
const MOST_GAP_BYTES: usize = 3_000;
/// How much of a track's name is told.
const MOST_NAME: usize = 100;

/// How long a playlist may be kept of which nothing can change any more, in seconds. Not for ever: what is pruned one day, or
/// captured again because it went bad, is seen by then.
const CLOSED_S: u32 = 86_400;
/// The same where something may: a chunk may come at any moment, and cron comes once a minute.
const OPEN_S: u32 = 2;

/// The clip that is asked for, if there is anything of it.
///
/// # Errors
/// 425 for what lies ahead, 404 where nothing is archived, 400 for what is too much.
pub(super) fn clip(app: &App, channel: &Channel, ask: &Ask) -> Result<Clip, Refusal> {
    let (name, grid, now) = (channel.name.as_str(), channel.grid, app.now());
    may_be_there(channel, ask, now)?;
    let clip = playback::clip(app.place.ledger.as_ref(), name, grid, ask, now)?;
    is_there(channel, ask, &clip)?;
    Ok(clip)
}

/// Refuses what cannot be there: what lies ahead, and what is too much.
pub(super) fn may_be_there(channel: &Channel, ask: &Ask, now: Time) -> Result<(), Refusal> {
    ask.fits(channel.grid)?;
    if !ask.is_ahead_of(now) {
        return Ok(());
    }
    let error = Error::new(Kind::NotFound, format!("channel {}: {ask} is still to come", channel.name));
    let wait_s = ask.wait(now, channel.grid).as_secs().max(1);
    Err(Refusal::new(StatusCode::TOO_EARLY, error).with_header(RETRY_AFTER, wait_s.to_string()))
}

/// Refuses a clip of nothing.
pub(super) fn is_there(channel: &Channel, ask: &Ask, clip: &Clip) -> Result<(), Refusal> {
    if !clip.is_empty() {
        return Ok(());
    }
    let name = channel.name.as_str();
    let error = Error::new(Kind::NotFound, format!("channel {name}: nothing of {ask} is archived"));
    let is_late = clip.gaps().any(|gap| gap.what == Missing::NotYet);
    Err(error
        .hint(match is_late {
            true => "not yet: the next check may bring it".to_owned(),
            false => format!("npvr status {name} shows what is archived"),
        })
        .into())
}

/// An answer with what is to be known of its clip.
pub(super) fn with_facts(answer: Answer, clip: &Clip) -> Answer {
    let seconds = if clip.is_closed() { CLOSED_S } else { OPEN_S };
    let answer = answer.with_header(CACHE_CONTROL, format!("max-age={seconds}"));
    match gaps(clip) {
        Some(gaps) => answer.with_header(GAPS, gaps),
        None => answer,
    }
}

/// What is missing, with commas between: `START--END` where nothing is there, `START--END NAME` where a track is not,
/// `START--END not-yet`. Where there is no room for all, the last is `and 17 more`.
fn gaps(clip: &Clip) -> Option<String> {
    let mut text = String::new();
    let mut told = 0;
    let total = clip.gaps().count();
    for gap in clip.gaps().take(MOST_GAPS) {
        let what = match &gap.what {
            Missing::All => String::new(),
            Missing::NotYet => " not-yet".to_owned(),
            // What no header can have is left out of the name of a track, which comes from the source.
            Missing::Track(name) => {
                let plain = |c: &char| c.is_ascii_graphic() && *c != ',';
                format!(" {}", name.chars().filter(plain).take(MOST_NAME).collect::<String>())
            }
        };
        let comma = if told == 0 { "" } else { ", " };
        let one = format!("{comma}{}{what}", gap.range);
        if text.len() + one.len() > MOST_GAP_BYTES {
            break;
        }
        text.push_str(&one);
        told += 1;
    }
    if told < total {
        // Writing to a string cannot fail.
        let _ = write!(text, ", and {} more", total - told);
    }
    (total > 0).then_some(text)
}
