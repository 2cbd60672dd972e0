//! What the last check saw of a channel, as it stands on this host's clock.

use std::collections::HashSet;

use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::{Ledger, State};
use crate::plan::{Outlook, Risk, Sight};
use crate::time::{Range, Time};

/// What the last check saw of a channel.
pub(crate) struct Seen {
    /// When that was; `None` before the first check.
    pub(crate) checked: Option<Time>,
    /// Why it could not ask the source.
    pub(crate) error: Option<String>,
    /// What the source said of itself.
    pub(crate) source: Option<Sight>,
    /// How far the source's slowest track was behind its clock, in seconds; `None` where the presentation is over.
    pub(crate) lag_s: Option<u64>,
    /// How far the source's clock was ahead of ours, in nanoseconds.
    ahead_ns: i64,
    risks: Vec<Risk>,
}

impl Seen {
    /// # Errors
    /// Those of the ledger.
    pub(crate) fn read(ledger: &dyn Ledger, channel: &str) -> Result<Seen> {
        let observed = ledger.observed(channel)?;
        let Outlook { error, source, at_risk: mut risks } =
            Outlook::read(observed.as_ref().map(|(_, text)| text.as_str()));
        let checked = observed.map(|(at, _)| at);
        let ahead_ns = match (checked, &source) {
            (Some(checked), Some(source)) => source.now.signed_ns_since(checked),
            _ => 0,
        };
        risks.iter_mut().for_each(|risk| risk.deadline = risk.deadline.offset_ns(-ahead_ns));
        risks.sort_by_key(|risk| risk.deadline);
        let live = source.as_ref().filter(|s| s.live);
        let lag_s = live.and_then(|s| Some(s.now.since(s.live_edge?).as_secs()));
        Ok(Seen { checked, error, source, lag_s, ahead_ns, risks })
    }

    /// What may still be lost of what ends after `oldest`, soonest first: not what was stored, or lost, since. Only the rows
    /// between the first and the last of it are read.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(crate) fn at_risk(&self, ledger: &dyn Ledger, channel: &str, oldest: Time) -> Result<Vec<Risk>> {
        let mut risks: Vec<Risk> =
            self.risks.iter().filter(|risk| risk.cell.end() > oldest).cloned().collect();
        let start = risks.iter().map(|risk| risk.cell.start()).min();
        let end = risks.iter().map(|risk| risk.cell.end()).max();
        let Some((start, end)) = start.zip(end) else { return Ok(risks) };
        let shelf = ledger.shelf(channel, Range::new(start, end))?;
        let is_settled = |state| matches!(state, State::Complete | State::Partial | State::Lost);
        let settled: HashSet<Cell> =
            shelf.iter().filter(|cell| is_settled(cell.state)).map(|cell| cell.cell).collect();
        risks.retain(|risk| !settled.contains(&risk.cell));
        Ok(risks)
    }

    /// Where the window of a live source begins at `now`, on this host's clock: it moves with the clock.
    pub(crate) fn window_start(&self, now: Time) -> Option<Time> {
        let source = self.source.as_ref().filter(|source| source.live)?;
        Some(source.window_start.offset_ns(-self.ahead_ns).plus(now.since(self.checked?)))
    }
}
