//! What the last check saw of a channel, as it stands on this host's clock.

use super::is_settled;
use crate::error::Result;
use crate::ledger::{CellRow, Ledger};
use crate::plan::{Outlook, Risk, Sight};
use crate::time::Time;

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
    risks: Vec<Risk>,
}

impl Seen {
    /// # Errors
    /// Those of the ledger.
    pub(crate) fn read(ledger: &dyn Ledger, channel: &str) -> Result<Seen> {
        let observed = ledger.observed(channel)?;
        let outlook = Outlook::read(observed.as_ref().map(|(_, text)| text.as_str()));
        let checked = observed.map(|(at, _)| at);
        let (lag_s, ahead_ns) = (outlook.lag_s(), checked.map_or(0, |checked| outlook.ahead_ns(checked)));
        let Outlook { error, source, at_risk } = outlook;
        let risks = super::at_risk(at_risk, ahead_ns, |_| false);
        Ok(Seen { checked, error, source, lag_s, risks })
    }

    /// What may still be lost of what ends after `oldest`, soonest first: not what was stored, or lost, since.
    pub(crate) fn at_risk(&self, rows: &[CellRow], oldest: Time) -> Vec<Risk> {
        let is_settled = |risk: &Risk| rows.iter().any(|row| row.cell == risk.cell && is_settled(row));
        let open = self.risks.iter().filter(|risk| risk.cell.end() > oldest && !is_settled(risk));
        open.cloned().collect()
    }
}
