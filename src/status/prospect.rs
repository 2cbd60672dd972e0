//! What can still be done about media that is missing: a pure decision, told as a sentence.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::Seen;
use crate::channel::Channel;
use crate::ledger::State;
use crate::time::{Range, Time};

/// What can still be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, ToSchema)]
pub struct Prospect {
    /// A sentence without a full stop.
    pub text: String,
    /// True if another attempt will come, as things stand.
    pub hope: bool,
    /// When it begins to fall out of the source's window, on this host's clock; `null` where that is not known, or there is no
    /// hope.
    pub until: Option<Time>,
}

/// How a cell stands that lacks something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lacking {
    /// `None`: there is no row.
    pub(super) state: Option<State>,
    /// True if its row says that another attempt will come.
    pub(super) retry: bool,
    pub(super) retry_at: Option<Time>,
    /// What it lacks.
    pub(super) range: Range,
}

/// What bears on all of a channel's cells.
#[derive(Debug, Clone)]
pub(super) struct Circumstances {
    pub(super) now: Time,
    /// Nothing that ended before is captured.
    pub(super) oldest: Time,
    /// Where the source's window begins by now, on this host's clock; `None` where it does not move, or was never seen.
    pub(super) window_start: Option<Time>,
    /// What keeps captures from being made: a word or more, to be said after "held back".
    pub(super) held_back: Option<String>,
}

impl Circumstances {
    /// Those of a channel at `now`. `low_space` is a folder of its that has too little of it.
    pub(super) fn new(
        channel: &Channel,
        seen: &Seen,
        oldest: Time,
        low_space: Option<&str>,
        now: Time,
    ) -> Self {
        let held_back = Self::held_back_by(channel.enabled, low_space, seen.error.as_deref());
        Self { now, oldest, window_start: seen.window_start(now), held_back }
    }

    /// What keeps captures of a channel from being made, in words for [`Circumstances::held_back`].
    fn held_back_by(is_enabled: bool, low_space: Option<&str>, error: Option<&str>) -> Option<String> {
        match (is_enabled, low_space, error) {
            (false, ..) => Some(": the channel is disabled".to_owned()),
            (_, Some(folder), _) => Some(format!(" by too little space in {folder}")),
            (.., Some(error)) => Some(format!(" by the source: {error}")),
            _ => None,
        }
    }
}

/// What can still be done about what a cell lacks.
pub(super) fn prospect(lacking: &Lacking, all: &Circumstances) -> Prospect {
    let lost = |text: &str| Prospect { text: text.to_owned(), hope: false, until: None };
    if lacking.state == Some(State::Lost) {
        return lost("lost: the source no longer holds it");
    }
    if lacking.state.is_some() && !lacking.retry {
        return lost("lost: the source has no more of it");
    }
    if lacking.range.end <= all.oldest {
        return lost("not captured any more: it is older than the retention");
    }
    if all.window_start.is_some_and(|start| lacking.range.end <= start) {
        return lost("lost: it has left the source's window");
    }
    let until = all.window_start.map(|start| all.now.plus(lacking.range.start.since(start)));
    let what = match (lacking.state, &all.held_back, lacking.retry_at.filter(|at| *at > all.now)) {
        (Some(State::Capturing), ..) => "being captured".to_owned(),
        (_, Some(by), _) => format!("held back{by}"),
        (.., Some(at)) => format!("waits for a retry at {}", clock_time(at, all.now)),
        (None, ..) => "captured by the next check".to_owned(),
        _ => "captured again by the next check".to_owned(),
    };
    let text = match until {
        Some(at) if at > all.now => format!("{what}, until {}", clock_time(at, all.now)),
        Some(_) => format!("{what}, and being lost"),
        None => what,
    };
    Prospect { text, hope: true, until }
}

/// How far apart two instants are told by their time of day alone.
const SAME_DAY: Duration = Duration::from_secs(20 * 3_600);

/// `12:40:00`, with the day where that could be mistaken.
fn clock_time(at: Time, now: Time) -> String {
    let time = at.time_of_day();
    if at.since(now).max(now.since(at)) < SAME_DAY { time } else { format!("{} {time}", at.day()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(s: i64) -> Time {
        Time::from_s(1_700_000_100 + s)
    }

    fn lacking(state: Option<State>, retry: bool, retry_at: Option<Time>) -> Lacking {
        Lacking { state, retry, retry_at, range: Range::new(t(0), t(300)) }
    }

    fn calm() -> Circumstances {
        Circumstances { now: t(600), oldest: t(-9_000), window_start: Some(t(-1_200)), held_back: None }
    }

    fn told(lacking: Lacking, all: &Circumstances) -> (String, bool) {
        let told = prospect(&lacking, all);
        assert!(told.hope || told.until.is_none());
        (told.text, told.hope)
    }

    #[test]
    fn what_another_attempt_may_bring_is_told_with_its_time_and_its_deadline() {
        let again = told(lacking(Some(State::Failed), true, None), &calm());
        assert_eq!(again, ("captured again by the next check, until 22:45:00".to_owned(), true));
        let waits = told(lacking(Some(State::Partial), true, Some(t(700))), &calm());
        assert_eq!(waits, ("waits for a retry at 22:26:40, until 22:45:00".to_owned(), true));
        let due = told(lacking(Some(State::Partial), true, Some(t(599))), &calm());
        assert_eq!(due.0, "captured again by the next check, until 22:45:00");
        let open = told(lacking(None, false, None), &calm());
        assert_eq!(open, ("captured by the next check, until 22:45:00".to_owned(), true));
        let now = told(lacking(Some(State::Capturing), true, None), &calm());
        assert_eq!(now.0, "being captured, until 22:45:00");
    }

    #[test]
    fn what_cannot_be_had_any_more_is_told_as_lost() {
        for (state, retry, text) in [
            (State::Lost, false, "lost: the source no longer holds it"),
            (State::Partial, false, "lost: the source has no more of it"),
        ] {
            assert_eq!(told(lacking(Some(state), retry, None), &calm()), (text.to_owned(), false));
        }
        let failed = lacking(Some(State::Failed), true, None);
        let gone = Circumstances { window_start: Some(t(300)), ..calm() };
        assert_eq!(told(failed, &gone), ("lost: it has left the source's window".to_owned(), false));
        let going = Circumstances { window_start: Some(t(299)), ..calm() };
        assert_eq!(
            told(failed, &going),
            ("captured again by the next check, and being lost".to_owned(), true)
        );
        let old = Circumstances { oldest: t(300), ..calm() };
        assert!(!told(failed, &old).1);
    }

    #[test]
    fn what_holds_captures_back_is_named() {
        let failed = lacking(Some(State::Failed), true, None);
        let error = Some("503");
        for (enabled, space, error, text) in [
            (false, None, error, "held back: the channel is disabled"),
            (true, Some("/archive"), error, "held back by too little space in /archive"),
            (true, None, error, "held back by the source: 503"),
            (true, None, None, "captured again by the next check"),
        ] {
            let held_back = Circumstances::held_back_by(enabled, space, error);
            let all = Circumstances { window_start: None, held_back, ..calm() };
            assert_eq!(told(failed, &all), (text.to_owned(), true));
        }
    }

    #[test]
    fn a_deadline_of_another_day_says_which() {
        let all = Circumstances { window_start: Some(t(-86_400)), ..calm() };
        let told = told(lacking(Some(State::Failed), true, None), &all);
        assert_eq!(told.0, "captured again by the next check, until 2023-11-15 22:25:00");
    }
}
