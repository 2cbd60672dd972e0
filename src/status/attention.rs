//! What of a channel needs attention, worst first: a pure decision over what is known of it.

use std::time::Duration;

use serde::Serialize;

use super::Counts;
use crate::grid::Cell;
use crate::plan::Risk;
use crate::time::{Time, human_duration};

/// How bad it is. Later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is as it is: nothing is to be done, or it mends itself.
    Notice,
    /// Somebody should look.
    Warning,
    /// Media is being lost, or will be soon, and something can be done about it.
    Critical,
}

/// What it is about. In the order in which those of one severity are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Cells that begin to fall out of the source's window.
    AtRisk,
    /// A folder with so little space that nothing more is captured into it.
    LowSpace,
    /// A source that could not be asked.
    Source,
    /// No check for long.
    StaleCheck,
    /// Cells that are lost.
    Lost,
    /// Cells whose last attempt failed.
    Failed,
    /// Chunks with gaps.
    Partial,
}

/// Something that needs attention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub about: About,
    /// A sentence without a full stop.
    pub text: String,
    /// Seconds until the first media is lost, negative once it has begun; only where something is at risk.
    pub seconds_to_loss: Option<i64>,
}

/// What is known of a channel.
pub(super) struct Facts<'a> {
    pub(super) name: &'a str,
    pub(super) enabled: bool,
    /// How long a cell is.
    pub(super) cell: Duration,
    pub(super) checked: Option<Time>,
    pub(super) error: Option<&'a str>,
    /// Soonest first.
    pub(super) at_risk: &'a [Risk],
    pub(super) counts: Counts,
    /// How many gaps, and how long something is missing.
    pub(super) gaps: u64,
    pub(super) missing: Duration,
    /// The folders of this channel that have too little space.
    pub(super) low_space: &'a [String],
}

/// No check for as long as it takes two cells to end is a check that does not come, and never less than this: cron is not
/// punctual, and a long capture keeps the next check waiting.
const SHORTEST_STALE: Duration = Duration::from_secs(10 * 60);

/// All that needs attention, worst first.
pub(super) fn attention(facts: &Facts<'_>, now: Time) -> Vec<Attention> {
    let Facts { counts, .. } = facts;
    let mut all: Vec<Attention> =
        facts.at_risk.first().map(|first| at_risk(facts, first, now)).into_iter().collect();
    let mut add = |severity, about, text| {
        all.push(Attention { severity, about, text, seconds_to_loss: None });
    };
    for folder in facts.low_space {
        let text = format!("{folder} has less free space than is to stay free: nothing more is captured");
        add(Severity::Critical, About::LowSpace, text);
    }
    if let Some(error) = facts.error {
        add(Severity::Critical, About::Source, format!("the source could not be asked: {error}"));
    }
    if let Some(text) = stale(facts, now) {
        add(Severity::Critical, About::StaleCheck, text);
    }
    if counts.lost > 0 {
        let were = if counts.lost == 1 { "is" } else { "are" };
        add(Severity::Warning, About::Lost, format!("{} {were} lost", counted(counts.lost, "chunk")));
    }
    if counts.failed > 0 {
        let text = format!("{} failed, and will be tried again", counted(counts.failed, "capture"));
        add(Severity::Warning, About::Failed, text);
    }
    if counts.partial > 0 {
        let (chunks, gaps) = (counted(counts.partial, "chunk"), counted(facts.gaps, "gap"));
        let missing = human_duration(facts.missing);
        add(
            Severity::Notice,
            About::Partial,
            format!("{chunks} with gaps: {gaps} in all, {missing} of time"),
        );
    }
    all.sort_by_key(|one| (std::cmp::Reverse(one.severity), one.about));
    all
}

fn at_risk(facts: &Facts<'_>, first: &Risk, now: Time) -> Attention {
    let chunks = counted(facts.at_risk.len() as u64, "chunk");
    let Risk { cell, deadline, reason } = first;
    let when = match *deadline > now {
        true => format!("begins to be lost in {}", human_duration(deadline.since(now))),
        false => "is being lost".to_owned(),
    };
    Attention {
        severity: Severity::Critical,
        about: About::AtRisk,
        text: format!("{chunks} at risk: {} {when}: {reason}", of_day(*cell)),
        seconds_to_loss: Some(deadline.signed_ns_since(now).div_euclid(1_000_000_000)),
    }
}

/// A channel that is disabled is meant to be left alone.
fn stale(facts: &Facts<'_>, now: Time) -> Option<String> {
    let Some(checked) = facts.checked else {
        return facts.enabled.then(|| format!("never checked: run npvr check {}", facts.name));
    };
    let age = now.since(checked);
    let is_stale = facts.enabled && age > SHORTEST_STALE.max(facts.cell * 2);
    is_stale.then(|| format!("no check for {}: is cron, or the timer, running?", human_duration(age)))
}

/// `2018-12-06 12:55:00–13:00:00`.
fn of_day(cell: Cell) -> String {
    format!("{} {}–{}", cell.start().day(), cell.start().time_of_day(), cell.end().time_of_day())
}

/// `1 chunk`, `2 chunks`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn t(s: i64) -> Time {
        Time::from_s(1_700_000_100 + s)
    }

    fn quiet() -> Facts<'static> {
        Facts {
            name: "news",
            enabled: true,
            cell: Duration::from_secs(300),
            checked: Some(t(0)),
            error: None,
            at_risk: &[],
            counts: Counts { complete: 9, capturing: 1, ..Counts::default() },
            gaps: 0,
            missing: Duration::ZERO,
            low_space: &[],
        }
    }

    fn risk(deadline_s: i64) -> Risk {
        let cell = Grid::new(Duration::from_secs(300)).unwrap().cell_at(t(0));
        Risk { cell, deadline: t(deadline_s), reason: "the window is short".into() }
    }

    fn told(facts: &Facts<'_>, now: Time) -> Vec<String> {
        attention(facts, now).into_iter().map(|one| one.text).collect()
    }

    #[test]
    fn where_all_is_well_nothing_is_said() {
        assert_eq!(told(&quiet(), t(60)), Vec::<String>::new());
    }

    #[test]
    fn what_can_still_be_saved_comes_before_what_is_gone() {
        let counts = Counts { lost: 1, failed: 2, partial: 3, ..Counts::default() };
        let at_risk = [risk(90), risk(400)];
        let low_space = ["/archive".to_owned()];
        let (gaps, missing) = (4, Duration::from_secs(72));
        let facts = Facts {
            counts,
            at_risk: &at_risk,
            error: Some("503"),
            gaps,
            missing,
            low_space: &low_space,
            ..quiet()
        };
        let all = attention(&facts, t(30));
        let texts: Vec<&str> = all.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "2 chunks at risk: 2023-11-14 22:15:00–22:20:00 begins to be lost in 1m: the window is short",
                "/archive has less free space than is to stay free: nothing more is captured",
                "the source could not be asked: 503",
                "1 chunk is lost",
                "2 captures failed, and will be tried again",
                "3 chunks with gaps: 4 gaps in all, 1m 12s of time",
            ]
        );
        assert_eq!(all[0].seconds_to_loss, Some(60));
        assert!(all.is_sorted_by_key(|one| std::cmp::Reverse(one.severity)));
    }

    #[test]
    fn a_deadline_that_has_passed_is_told_as_such() {
        let at_risk = [risk(-61)];
        let all = attention(&Facts { at_risk: &at_risk, ..quiet() }, t(0));
        assert!(
            all[0].text.starts_with("1 chunk at risk: ") && all[0].text.contains(" is being lost: "),
            "{all:?}"
        );
        assert_eq!(all[0].seconds_to_loss, Some(-61));
    }

    #[test]
    fn a_check_that_does_not_come_is_told_after_two_cells_and_never_of_a_disabled_channel() {
        assert_eq!(told(&quiet(), t(600)), Vec::<String>::new());
        assert_eq!(told(&quiet(), t(660)), ["no check for 11m: is cron, or the timer, running?"]);
        let long = Facts { cell: HOUR, ..quiet() };
        assert_eq!(told(&long, t(7_200)), Vec::<String>::new());
        assert_eq!(told(&long, t(7_260)).len(), 1);
        let never = Facts { checked: None, ..quiet() };
        assert_eq!(told(&never, t(0)), ["never checked: run npvr check news"]);
        for facts in [never, quiet()] {
            assert_eq!(told(&Facts { enabled: false, ..facts }, t(99_999)), Vec::<String>::new());
        }
    }
}
