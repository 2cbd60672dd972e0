//! What a task does: `verify` or `prune` of one channel, as the command does it, and what it says meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::{DETAILS, Shared, TaskKind, TaskOptions, TaskState, locked};
use crate::capture::Workplace;
use crate::channel::{Channel, Settings};
use crate::clock;
use crate::error::{Error, Kind};
use crate::http::App;
use crate::words::{counted, human_bytes};
use crate::{prune, verify};

/// Everything that a task needs: it outlives the request that asked for it.
pub(super) struct Work {
    place: Arc<Workplace>,
    channel: Channel,
    options: TaskOptions,
    prune: prune::Options,
    verify: verify::Options,
    task: Shared,
}

impl Work {
    pub(super) fn new(
        app: &App,
        channel: Channel,
        settings: Settings,
        options: TaskOptions,
        task: Shared,
    ) -> Work {
        let archive = || app.options.archive.clone();
        let prune = prune::Options {
            max_fraction: settings.max_fraction,
            force: options.force,
            dry_run: options.dry_run,
            archive: archive(),
        };
        let verify = verify::Options {
            deep: options.deep || options.budget_bytes.is_some(),
            budget: options.budget_bytes,
            repair: options.repair,
            dry_run: options.dry_run,
            parallel: settings.parallel,
            archive: archive(),
        };
        Work { place: Arc::clone(&app.place), channel, options, prune, verify, task }
    }

    /// Waits for its turn, works, and writes down how it went.
    pub(super) async fn run(self, kind: TaskKind, at_work: Arc<Semaphore>) {
        let task = Arc::clone(&self.task);
        let _turn = at_work.acquire_owned().await;
        locked(&task).summary.state = TaskState::Running;
        // In a task of its own: one that panics is to be seen as failed, and not as at work for ever.
        let work = tokio::spawn(async move {
            match kind {
                TaskKind::Verify => self.verify().await,
                TaskKind::Prune => self.prune().await,
            }
        });
        let worked = work.await;
        let mut task = locked(&task);
        if worked.is_err() {
            tell(&mut task, &Error::new(Kind::Io, "it ended by a mistake in the program"));
        }
        let outcome = worked.unwrap_or(Outcome { is_whole: false, problem: true });
        let summary = &mut task.summary;
        summary.state = if outcome.is_whole { TaskState::Done } else { TaskState::Failed };
        summary.problem = Some(outcome.problem);
        summary.progress = None;
        summary.ended = Some(clock::now());
    }

    async fn verify(self) -> Outcome {
        let watcher = Arc::new(Watched { task: Arc::clone(&self.task), counts: Mutex::default() });
        let reports = verify::verify(self.place, vec![self.channel], &self.verify, watcher).await;
        let mut task = locked(&self.task);
        let mut outcome = Outcome { is_whole: true, problem: false };
        for report in &reports {
            report.error.iter().for_each(|error| tell(&mut task, error));
            report.complaints().iter().for_each(|error| tell(&mut task, error));
            report.notes.iter().for_each(|note| task.say(note.clone()));
            report.mended_lines().lines().for_each(|line| task.say(line));
            task.say(report.summary());
            outcome.note(report.error.is_none(), report.has_problem());
            task.verified = Some(report.document(DETAILS));
        }
        outcome
    }

    async fn prune(self) -> Outcome {
        let watcher = Arc::new(Pruned { task: Arc::clone(&self.task), deleted: AtomicU64::new(0) });
        let reports = prune::prune(self.place, vec![self.channel], &self.prune, watcher).await;
        let mut task = locked(&self.task);
        let mut outcome = Outcome { is_whole: true, problem: false };
        for report in &reports {
            report.error.iter().for_each(|error| tell(&mut task, error));
            report.fuse_error(self.prune.max_fraction).iter().for_each(|error| tell(&mut task, error));
            task.say(if self.options.dry_run { report.forecast() } else { report.summary() });
            outcome.note(report.error.is_none(), report.has_problem());
            task.pruned = Some(report.document(DETAILS));
        }
        outcome
    }
}

/// How a task went.
struct Outcome {
    /// True if it came to its end.
    is_whole: bool,
    /// True if something failed or is wrong.
    problem: bool,
}

impl Outcome {
    fn note(&mut self, is_whole: bool, problem: bool) {
        self.is_whole &= is_whole;
        self.problem |= problem;
    }
}

/// Writes an error into the log, with its remedy.
fn tell(task: &mut super::Task, error: &Error) {
    error.to_string().lines().for_each(|line| task.say(line));
    error.remedy().iter().for_each(|hint| task.say(format!("  hint: {hint}")));
}

/// Keeps the progress of a verification.
struct Watched {
    task: Shared,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    objects: u64,
    to_read: u64,
    read: u64,
}

impl verify::Watcher for Watched {
    fn event(&self, event: verify::Event<'_>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            verify::Event::Listed { objects, .. } => counts.objects += objects,
            verify::Event::WillRead { bytes } => counts.to_read = bytes,
            verify::Event::Read { bytes } => counts.read += bytes,
            verify::Event::Told { .. } | verify::Event::Ended => {}
        }
        let listed = format!("{} listed", counted(counts.objects, "object"));
        locked(&self.task).summary.progress = Some(match counts.to_read {
            0 => listed,
            all => format!("{listed}; {} of {} read back", human_bytes(counts.read), human_bytes(all)),
        });
    }
}

/// Keeps the progress of a prune.
struct Pruned {
    task: Shared,
    deleted: AtomicU64,
}

impl prune::Watcher for Pruned {
    fn event(&self, _channel: &str, event: prune::Event) {
        let progress = match event {
            prune::Event::Started { chunks } => format!("{} to be deleted", counted(chunks, "chunk")),
            prune::Event::Deleted { chunks } => {
                let deleted = self.deleted.fetch_add(chunks, Ordering::Relaxed) + chunks;
                format!("{} deleted", counted(deleted, "chunk"))
            }
            prune::Event::Ended => return,
        };
        locked(&self.task).summary.progress = Some(progress);
    }
}
