//! Holds as they are shown: each with what is archived of it by now.

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::ledger::{Hold, HoldId, Ledger};
use crate::time::{Range, Time};

/// A range of which nothing is pruned.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Held {
    /// Its number, for `npvr hold remove`.
    pub id: HoldId,
    /// Its channel.
    pub channel: String,
    /// What is held: every chunk that touches it.
    pub range: Range,
    /// Why, in a person's words.
    pub note: Option<String>,
    /// It holds until then; `null`: until it is removed.
    pub until: Option<Time>,
    /// When it was made.
    pub created: Time,
    /// False if it has run out.
    pub in_force: bool,
    /// How many chunks of it are archived by now.
    pub chunks: u64,
    /// How many of its cells are lost.
    pub lost: u64,
    /// Bytes stored of it.
    pub bytes: u64,
}

/// The holds of a channel, or all, by number; also those that have run out.
///
/// # Errors
/// Those of the ledger.
pub fn holds(ledger: &dyn Ledger, channel: Option<&str>, now: Time) -> Result<Vec<Held>> {
    ledger.holds(channel)?.into_iter().map(|hold| held(ledger, hold, now)).collect()
}

/// A hold, and what is archived of it.
///
/// # Errors
/// Those of the ledger.
pub fn held(ledger: &dyn Ledger, hold: Hold, now: Time) -> Result<Held> {
    let report = ledger.report(&hold.channel, hold.range)?;
    let in_force = hold.holds_at(now);
    let Hold { id, channel, range, note, until, created } = hold;
    let (chunks, lost, bytes) = (report.complete + report.partial, report.lost, report.bytes);
    Ok(Held { id, channel, range, note, until, created, in_force, chunks, lost, bytes })
}
