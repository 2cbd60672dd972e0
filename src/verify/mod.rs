//! `verify`: the ledger beside the store, for every invariant; and putting right what can be.
//!
//! One pass over the rows of a channel and the listing of its folder finds what is missing, foreign or of another length
//! (`walk`): a request for a thousand objects, none for each. `--deep` reads chunks back, those first that were read longest
//! ago (`queue`, `deep`, `chunk`). What is bad and still in the source's window is captured again (`mend`); `--repair` writes
//! down what the ledger does not know (`adopt`, `names`), and writes off what is gone. A store that cannot be reached is an
//! error, and never a finding.

mod adopt;
mod chunk;
mod deep;
mod finding;
mod mend;
mod merge;
mod names;
mod queue;
mod read_all;
mod subject;
pub mod told;
mod walk;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;

pub use self::finding::{ChannelReport, Finding, What};
pub use self::read_all::{ReadAll, read_all};

use self::deep::Reader;
use self::subject::{Subject, connect};
use self::walk::Walk;
use crate::capture::Workplace;
use crate::channel::Channel;
use crate::clock;
use crate::error::{Error, Result};
use crate::grid::Cell;

/// Channels that are listed at once.
const LISTED_AT_ONCE: usize = 8;

/// How verification goes about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Read chunks back, too.
    pub deep: bool,
    /// At most so many bytes of them; `None`: all.
    pub budget: Option<u64>,
    /// Write down what the ledger does not know, and write off what is gone.
    pub repair: bool,
    /// Change nothing: say what would be done.
    pub dry_run: bool,
    /// Chunks that are read at once.
    pub parallel: usize,
    /// The archive folder of channels without a store of their own.
    pub archive: PathBuf,
}

/// How far it is, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Objects of a channel were listed.
    Listed {
        /// Its name.
        channel: &'a str,
        /// How many more.
        objects: u64,
    },
    /// Something of a channel was found that no row speaks of; with a repair, each takes a while.
    Told {
        /// Its name.
        channel: &'a str,
        /// How many findings it has so far.
        findings: u64,
    },
    /// Chunks are going to be read, at most so much of them.
    WillRead {
        /// In bytes.
        bytes: u64,
    },
    /// A chunk was read.
    Read {
        /// Its length.
        bytes: u64,
    },
    /// It is over.
    Ended,
}

/// Somebody who is told how it goes.
pub trait Watcher: Send + Sync {
    /// Something happened. Called from several threads; returns at once.
    fn event(&self, event: Event<'_>);
}

/// Verifies `channels`. The reports are in the order of names.
pub async fn verify(
    place: Arc<Workplace>,
    channels: Vec<Channel>,
    options: &Options,
    watcher: Arc<dyn Watcher>,
) -> Vec<ChannelReport> {
    let began = clock::now();
    let mut walks = JoinSet::new();
    let (mut waiting, mut reports, mut readers) = (channels.into_iter(), Vec::new(), Vec::new());
    loop {
        while walks.len() < LISTED_AT_ONCE {
            let Some(channel) = waiting.next() else { break };
            walks.spawn(walk(Arc::clone(&place), channel, options.clone(), Arc::clone(&watcher)));
        }
        let Some(walked) = walks.join_next().await else { break };
        // Tasks are never cancelled, so a failed one has panicked: that is a bug, and is to be seen.
        match walked.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic())) {
            (report, Some((subject, bad))) if options.deep => readers.push(Reader { subject, report, bad }),
            (report, _) => reports.push(report),
        }
    }
    if options.deep {
        readers.sort_by(|a, b| a.report.name.cmp(&b.report.name));
        deep::read(Arc::clone(&place.ledger), &mut readers, watcher.as_ref(), began, options).await;
    }
    watcher.event(Event::Ended);
    reports.extend(readers.into_iter().map(|reader| reader.report));
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    reports
}

/// A channel whose chunks can be read, and the cells of which the objects are known to be bad.
type Readable = (Arc<Subject>, HashSet<Cell>);

/// The pass over a channel's rows and listing. A report alone is of a channel of which no more can be said.
async fn walk(
    place: Arc<Workplace>,
    channel: Channel,
    options: Options,
    watcher: Arc<dyn Watcher>,
) -> (ChannelReport, Option<Readable>) {
    let mut report = ChannelReport { name: channel.name.to_string(), ..ChannelReport::default() };
    let walked = async {
        let Some(store) = connect(&place, &channel, &options).await? else { return Result::Ok(None) };
        let subject = Arc::new(Subject::new(Arc::clone(&place), channel, store, options));
        let bad = Walk::new(&subject, watcher.as_ref(), &mut report).finish().await?;
        Ok(Some((subject, bad)))
    };
    match walked.await {
        Ok(readable) => (report, readable),
        Err(e) => {
            report.error = Some(could_not(&report.name, e));
            (report, None)
        }
    }
}

fn could_not(channel: &str, e: Error) -> Error {
    e.context(format!("channel {channel}: could not verify"))
}

#[cfg(test)]
mod tests;
