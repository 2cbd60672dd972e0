//! What came of a verification, in words and as a document: for the terminal and for the tasks of the server alike.

use serde::Serialize;
use utoipa::ToSchema;

use super::{ChannelReport, Finding, What};
use crate::error::{Error, Kind};
use crate::grid::Cell;
use crate::words::{counted, human_bytes};

/// So many findings of one kind are told for a channel; the rest is counted.
const MOST_LINES: usize = 10;

impl Finding {
    /// `KEY: what is wrong: what was done`.
    fn in_words(&self) -> String {
        let repair = self.repair.as_ref().map(|done| format!(": {done}")).unwrap_or_default();
        format!("{}: {}{repair}", self.key, self.message)
    }
}

fn remedy(what: What, name: &str) -> Option<String> {
    match what {
        What::Missing => {
            Some(format!("what cannot be captured again is written off by: npvr verify --repair {name}"))
        }
        What::Size | What::Hash | What::Boxes => Some(format!(
            "bring the file back from a copy; if there is none, delete it, and have it written off: npvr verify --repair {name}"
        )),
        What::Index | What::Gap => {
            Some(format!("by what is in the file: npvr verify --deep --repair {name}"))
        }
        What::Unfinished => Some(format!("npvr check {name}")),
        What::Foreign => {
            Some("what is none of npvr's is never touched; move it away, or leave it".to_owned())
        }
        What::Times | What::Joint | What::Overlap => None,
    }
}

impl ChannelReport {
    /// What is wrong, and stays so, by kind, with the remedies. What kept the channel from being verified is not among it.
    pub fn complaints(&self) -> Vec<Error> {
        let mut complaints = Vec::new();
        for what in What::ALL {
            let wrong = || self.findings.iter().filter(|f| f.what == *what && !f.mended);
            let count = wrong().count();
            if count == 0 {
                continue;
            }
            let mut text = format!("channel {}: {what}: {count}", self.name);
            for finding in wrong().take(MOST_LINES) {
                text += &format!("\n  {}", finding.in_words());
            }
            if count > MOST_LINES {
                let more = count - MOST_LINES;
                text += &format!("\n  and {more} more: npvr verify --json {}", self.name);
            }
            let error = Error::new(Kind::Corrupt, text);
            complaints.push(match remedy(*what, &self.name) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        let untold = self.found - self.findings.len() as u64;
        if untold > 0 {
            let what = format!("channel {}: {untold} findings more, not listed one by one", self.name);
            complaints.push(Error::new(Kind::Corrupt, what));
        }
        complaints
    }

    /// What was wrong, and is not any more: a line each.
    pub fn mended_lines(&self) -> String {
        let mut text = String::new();
        for what in What::ALL {
            let all = || self.findings.iter().filter(|f| f.what == *what && f.mended);
            for finding in all().take(MOST_LINES) {
                text += &format!("{}  {what}  {}\n", self.name, finding.in_words());
            }
            let more = all().count().saturating_sub(MOST_LINES);
            if more > 0 {
                text += &format!("{}  {what}  {more} more, all mended\n", self.name);
            }
        }
        text
    }

    /// What was found, in a line without the name of the channel.
    pub fn summary(&self) -> String {
        let mut text = format!("{}, {}", counted(self.chunks, "chunk"), human_bytes(self.bytes));
        if self.read > 0 {
            text += &format!("; {} read back, {}", self.read, human_bytes(self.read_bytes));
        }
        text += &match self.found {
            _ if self.error.is_some() => "; not all of it could be verified".to_owned(),
            0 => "; all as it should be".to_owned(),
            found => format!("; {} wrong, {} mended", found, self.mended),
        };
        if self.garbage > 0 {
            let objects = counted(self.garbage, "object");
            text += &format!("; {objects} still to be deleted: npvr prune {}", self.name);
        }
        text
    }

    /// All of it as a document, with at most so many findings.
    pub fn document(&self, most_findings: usize) -> Document {
        Document {
            name: self.name.clone(),
            error: self.error.as_ref().map(ToString::to_string),
            chunks: self.chunks,
            bytes: self.bytes,
            read: self.read,
            read_bytes: self.read_bytes,
            garbage: self.garbage,
            found: self.found,
            mended: self.mended,
            notes: self.notes.clone(),
            findings: self.findings.iter().take(most_findings).map(FindingDocument::of).collect(),
        }
    }
}

/// What came of a channel, as `verify --json` prints it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Verified)]
pub struct Document {
    /// The channel.
    pub name: String,
    /// Why it could not be verified, or not all of it.
    pub error: Option<String>,
    /// Chunks that its rows say are stored.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Chunks that were read back.
    pub read: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// Objects that a prune has given up and not deleted yet.
    pub garbage: u64,
    /// How many things are wrong.
    pub found: u64,
    /// How many of them are mended.
    pub mended: u64,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The first things that are wrong.
    pub findings: Vec<FindingDocument>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingDocument {
    /// The invariant that it breaks.
    pub invariant: u8,
    /// What.
    pub kind: What,
    /// The key of the object that it is about.
    pub key: String,
    /// The cell, if the key is one of a chunk.
    pub cell: Option<Cell>,
    /// A sentence.
    pub message: String,
    /// What was done about it, or would be.
    pub repair: Option<String>,
    /// True if nothing is wrong any more.
    pub mended: bool,
}

impl FindingDocument {
    fn of(finding: &Finding) -> Self {
        Self {
            invariant: finding.what.invariant(),
            kind: finding.what,
            key: finding.key.clone(),
            cell: finding.cell,
            message: finding.message.clone(),
            repair: finding.repair.clone(),
            mended: finding.mended,
        }
    }
}
