//! Reading chunks back: a few at once, over all channels, those first that were read longest ago.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::chunk::examine;
use super::finding::{ChannelReport, Finding, What};
use super::queue::{Budget, Next, Queue};
use super::subject::Subject;
use super::{Event, Watcher, could_not};
use crate::capture::read_back;
use crate::clock;
use crate::error::{Kind, Result};
use crate::grid::Cell;
use crate::ledger::{CellRow, Ledger, State, Stored};
use crate::time::Time;

/// A channel whose chunks are read.
pub(super) struct Reader {
    pub(super) subject: Arc<Subject>,
    pub(super) report: ChannelReport,
    /// Cells whose objects are known to be bad.
    pub(super) bad: HashSet<Cell>,
}

/// What came of one chunk.
struct Read {
    channel: usize,
    cell: Cell,
    bytes: u64,
    result: Result<Looked>,
}

/// What was found in a chunk.
#[derive(Default)]
struct Looked {
    findings: Vec<Finding>,
    /// True if the ledger now says that it was read.
    is_noted: bool,
}

/// Reading under way.
struct Run<'a> {
    ledger: Arc<dyn Ledger>,
    readers: &'a mut [Reader],
    queue: Queue,
    budget: Budget,
    parallel: usize,
    /// What the budget has no room for, unless something that is being read turns out to be bad.
    waiting: Option<Next>,
    running: JoinSet<Read>,
}

/// Reads chunks of all channels, within the budget, and adds what is found to the reports.
pub(super) async fn read(
    ledger: Arc<dyn Ledger>,
    readers: &mut [Reader],
    watcher: &dyn Watcher,
    began: Time,
    options: &super::Options,
) {
    let total: u64 = readers.iter().map(|reader| reader.report.bytes).sum();
    watcher.event(Event::WillRead { bytes: options.budget.map_or(total, |budget| budget.min(total)) });
    let lines = readers.iter().map(|r| (r.report.name.clone(), r.bad.clone()));
    let mut queue = Queue::new(lines, began);
    for (channel, reader) in readers.iter_mut().enumerate() {
        let lined_up = queue.line_up(channel, ledger.as_ref());
        note_error(&mut reader.report, lined_up);
    }
    let (budget, running) = (Budget::new(options.budget), JoinSet::new());
    let parallel = options.parallel.max(1);
    let mut run = Run { ledger, readers, queue, budget, parallel, waiting: None, running };
    loop {
        run.start();
        let Some(done) = run.running.join_next().await else { break };
        // Tasks are never cancelled, so a failed one has panicked: that is a bug, and is to be seen.
        let done = done.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        watcher.event(Event::Read { bytes: done.bytes });
        run.ended(done);
    }
}

impl Run<'_> {
    /// Begins to read as many chunks as may be.
    fn start(&mut self) {
        while self.running.len() < self.parallel {
            let next =
                self.waiting.take().map_or_else(|| self.queue.next(self.ledger.as_ref()), |n| Ok(Some(n)));
            let Next { channel, row, stored } = match next {
                Ok(Some(next)) => next,
                Ok(None) => return,
                Err((channel, e)) => {
                    note_error(&mut self.readers[channel].report, Err(e));
                    continue;
                }
            };
            // A channel whose store fails is left alone.
            if self.readers[channel].report.error.is_some() {
                continue;
            }
            if !self.budget.take(stored.bytes) {
                self.waiting = Some(Next { channel, row, stored });
                return;
            }
            let subject = Arc::clone(&self.readers[channel].subject);
            self.running.spawn(async move {
                let (cell, bytes) = (row.cell, stored.bytes);
                let result = look(&subject, &row, &stored).await;
                Read { channel, cell, bytes, result }
            });
        }
    }

    fn ended(&mut self, read: Read) {
        let Read { channel, cell, bytes, result } = read;
        let report = &mut self.readers[channel].report;
        match result {
            Ok(looked) => {
                report.read += 1;
                report.read_bytes += bytes;
                if looked.is_noted {
                    self.queue.noted(channel, cell);
                } else {
                    self.budget.was_bad(bytes);
                }
                looked.findings.into_iter().for_each(|finding| report.add(finding));
            }
            Err(e) => note_error(report, Err(e)),
        }
    }
}

/// The first error of a channel is the one to tell.
fn note_error(report: &mut ChannelReport, result: Result<()>) {
    if let Err(e) = result {
        report.error.get_or_insert(could_not(&report.name, e));
    }
}

/// Reads one chunk, says what is wrong, and does what can be done about it.
async fn look(subject: &Subject, row: &CellRow, stored: &Stored) -> Result<Looked> {
    let (ledger, name) = (subject.ledger(), subject.name());
    let found = match read_back(subject.store.as_ref(), &stored.key).await {
        Err(e) if e.kind() == Kind::NotFound => Err((What::Missing, "it is not in the store".to_owned())),
        found => Ok(found?),
    };
    let faults = match &found {
        Ok(found) => examine(ledger, name, row, stored, found)?,
        Err(fault) => vec![fault.clone()],
    };
    // Another run may have stored the cell anew, or pruned it, since the row was read.
    let again = ledger.cell(name, row.cell)?;
    if again.is_none_or(|a| a.stored.as_ref() != Some(stored) || a.state == State::Capturing) {
        return Ok(Looked::default());
    }
    let mut looked = Looked::default();
    if faults.is_empty() {
        looked.is_noted = ledger.verified(name, row.cell, stored, clock::now())?;
    }
    for (what, message) in faults {
        let repair = match what {
            what if what.is_bad_object() => subject.mend(row, stored, what, &message).await?,
            What::Index | What::Gap => subject.write_down_anew(row, stored).await?,
            _ => None,
        };
        looked.findings.push(Finding::new(what, &stored.key, Some(row.cell), message).with(repair));
    }
    Ok(looked)
}
