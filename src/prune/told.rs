//! What came of a prune, in words and as a document: for the terminal and for the tasks of the server alike.

use serde::Serialize;
use utoipa::ToSchema;

use super::ChannelReport;
use crate::error::{Error, Kind};
use crate::grid::Cell;
use crate::retention::{Decision, Fate, Total, Why};
use crate::words::{counted, human_bytes};

/// `2 chunks, 1.2 GB`.
pub fn in_words(total: Total) -> String {
    format!("{}, {}", counted(total.chunks, "chunk"), human_bytes(total.bytes))
}

impl ChannelReport {
    /// What is to be said where the fuse bit, with the remedy.
    pub fn fuse_error(&self, max_fraction: f64) -> Option<Error> {
        if !self.fuse {
            return None;
        }
        let (name, plan) = (&self.name, &self.plan);
        let (percent, most) = (plan.fraction() * 100.0, max_fraction * 100.0);
        let what = format!(
            "channel {name}: nothing is deleted: {} of {} would go, {percent:.0} % of the channel, and one run may take {most:.0} %",
            in_words(plan.going),
            in_words(plan.stored),
        );
        let hint = format!(
            "see what would go: npvr prune {name} --dry-run; if the clock and the limits are right: npvr prune {name} --force"
        );
        Some(Error::new(Kind::Denied, what).hint(hint))
    }

    /// What was done, in a line without the name of the channel.
    pub fn summary(&self) -> String {
        if self.busy {
            return "another prune is at work on it".to_owned();
        }
        let deleted = match self.deleted {
            Total { chunks: 0, .. } => "nothing deleted".to_owned(),
            some if self.left_over.chunks == 0 => format!("{}: {}", in_words(some), self.reasons()),
            some => format!("{}, some of them left over by an earlier run", in_words(some)),
        };
        let kept = if self.fuse { self.plan.stored } else { self.plan.kept() };
        let kept = format!("kept {}", in_words(kept));
        let parts: Vec<String> = [Some(deleted), Some(kept), self.held()].into_iter().flatten().collect();
        parts.join("; ")
    }

    /// What would be done, in a line without the name of the channel.
    pub fn forecast(&self) -> String {
        let going = match self.plan.going {
            Total { chunks: 0, .. } => "nothing would go".to_owned(),
            some => format!("{} would go", in_words(some)),
        };
        format!("{going}, {} would stay", in_words(self.plan.kept()))
    }

    /// `older than 7d`, and the same for the other limit, where they bite.
    fn reasons(&self) -> String {
        let going = || self.plan.decisions.iter().filter(|d| d.fate == Fate::Goes && d.bytes.is_some());
        let bites = |why: Why| going().any(|d| d.why == why).then(|| self.rules.say(why));
        [Why::TooOld, Why::OverSize].into_iter().filter_map(bites).collect::<Vec<_>>().join(", ")
    }

    /// What would be gone if it were not held.
    fn held(&self) -> Option<String> {
        let held = self.plan.held;
        (held.chunks > 0).then(|| format!("{} of them only because held", in_words(held)))
    }

    /// All of it as a document, with at most so many lines of the plan.
    pub fn document(&self, most_lines: usize) -> Document {
        let plan = &self.plan;
        Document {
            name: self.name.clone(),
            error: self.error.as_ref().map(ToString::to_string),
            busy: self.busy,
            fuse: self.fuse,
            fraction: plan.fraction(),
            stored: plan.stored,
            going: plan.going,
            held: plan.held,
            left_over: self.left_over,
            deleted: self.deleted,
            cleared: ClearedDocument {
                spool_files: self.cleared.spool_files,
                unfinished: self.cleared.unfinished,
                jobs: self.cleared.jobs,
            },
            plan: plan.decisions.iter().take(most_lines).map(|d| self.line(d)).collect(),
        }
    }

    fn line(&self, d: &Decision) -> Line {
        let (fate, hold) = match d.fate {
            Fate::Goes => ("goes", None),
            Fate::Held(id) => ("held", Some(id)),
            Fate::Busy => ("busy", None),
        };
        Line { cell: d.cell, bytes: d.bytes, why: d.why, reason: self.rules.say(d.why), fate, hold }
    }
}

/// What came of a channel, as `prune --json` prints it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Pruned)]
pub struct Document {
    /// The channel.
    pub name: String,
    /// Why it was not pruned, or not to the end.
    pub error: Option<String>,
    /// True if another prune was at work on it.
    pub busy: bool,
    /// True if more would go than may: nothing went.
    pub fuse: bool,
    /// The part of the channel that goes, by chunks or by bytes, from 0 to 1.
    pub fraction: f64,
    /// What was there.
    pub stored: Total,
    /// What goes.
    pub going: Total,
    /// What would go if it were not held.
    pub held: Total,
    /// Discarded by an earlier run, and not deleted by it.
    pub left_over: Total,
    /// What was deleted.
    pub deleted: Total,
    /// What else was cleared away.
    pub cleared: ClearedDocument,
    /// Every row that a limit bites.
    pub plan: Vec<Line>,
}

/// What dead runs had left, and what nobody asks for any more.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Cleared)]
pub struct ClearedDocument {
    /// Spool files.
    pub spool_files: u64,
    /// Unfinished objects in the store.
    pub unfinished: u64,
    /// Jobs, with their logs.
    pub jobs: u64,
}

/// One row that a limit bites.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PlannedRow)]
pub struct Line {
    /// The cell.
    pub cell: Cell,
    /// `null` where nothing of the cell is stored.
    pub bytes: Option<u64>,
    /// Which limit.
    pub why: Why,
    /// The same in words.
    pub reason: String,
    /// `goes`, `held` or `busy`.
    pub fate: &'static str,
    /// The hold that keeps it.
    pub hold: Option<i64>,
}
