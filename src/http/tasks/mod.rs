//! Verifications and prunes that somebody asked the server for: they go on in the background, and are looked at by number.
//!
//! They are kept in memory, the last hundred of them: what they did is in the ledger and in the store. One that the end of the
//! server cuts short does no harm, as no kill of `verify` or `prune` does.

mod work;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::{App, Refusal};
use crate::channel::Channel;
use crate::error::{Error, Kind, Result};
use crate::time::Time;
use crate::{prune, verify};

/// So many tasks are remembered.
const KEPT: usize = 100;
/// So many may wait or be at work.
const UNFINISHED: usize = 50;
/// So many are at work at once: each of them reads and lists as much as a run of the command does.
const AT_WORK: usize = 2;
/// So many lines of the log of one are kept.
const LOG_LINES: usize = 500;
/// So many findings, or lines of a plan, are kept of one.
const DETAILS: usize = 200;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Holds the ledger against the store.
    Verify,
    /// Deletes what retention no longer keeps.
    Prune,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Others go first.
    Waiting,
    /// It is at work.
    Running,
    /// It came to its end, whatever it found.
    Done,
    /// It did not come to its end.
    Failed,
}

/// What is asked for, beside channel and kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskOptions {
    /// Verify: read chunks back, too.
    pub deep: bool,
    /// Verify: read at most so many bytes.
    pub budget_bytes: Option<u64>,
    /// Verify: write down what the ledger does not know, and write off what is gone.
    pub repair: bool,
    /// Prune: delete even more of the channel than the fuse lets go.
    pub force: bool,
    /// Change nothing: say what would be done.
    pub dry_run: bool,
}

/// What there is to say of a task in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TaskSummary {
    /// Its name, like `verify-1`.
    pub id: String,
    /// What it does.
    pub kind: TaskKind,
    /// Of which channel.
    pub channel: String,
    /// With which options.
    pub options: TaskOptions,
    /// How far it is.
    pub state: TaskState,
    /// When it was asked for.
    pub created: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// What it is doing.
    pub progress: Option<String>,
    /// True if something failed or is wrong: where the command ends with 3. `null` until it ends.
    pub problem: Option<bool>,
}

/// One verification, or one prune, of one channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Task {
    /// In short.
    #[serde(flatten)]
    pub summary: TaskSummary,
    /// What it said, as the command does.
    pub log: Vec<String>,
    /// What a verification found.
    pub verified: Option<verify::told::Document>,
    /// What a prune did.
    pub pruned: Option<prune::told::Document>,
}

impl Task {
    fn is_over(&self) -> bool {
        matches!(self.summary.state, TaskState::Done | TaskState::Failed)
    }

    fn say(&mut self, line: impl Into<String>) {
        if self.log.len() < LOG_LINES {
            self.log.push(line.into());
        }
    }
}

/// A task while it is at work: who does it writes, and who asks reads.
type Shared = Arc<Mutex<Task>>;

/// The last tasks.
pub struct Tasks {
    list: Mutex<List>,
    at_work: Arc<Semaphore>,
}

#[derive(Default)]
struct List {
    /// The number of the last one.
    last: u64,
    /// The oldest first.
    tasks: VecDeque<Shared>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { list: Mutex::default(), at_work: Arc::new(Semaphore::new(AT_WORK)) }
    }
}

impl Tasks {
    /// All that are remembered, the newest first.
    pub fn all(&self) -> Vec<TaskSummary> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.tasks.iter().rev().map(|task| locked(task).summary.clone()).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// [`Kind::NotFound`]
    pub fn one(&self, id: &str) -> Result<Task> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let found = list.tasks.iter().map(locked).find(|task| task.summary.id == id).map(|task| task.clone());
        found.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no task {:?}", shortened(id)))
                .hint("the last hundred are remembered, until the server ends")
        })
    }

    /// Makes a task, or finds the one that does the same: of one channel there is one of each kind at a time.
    fn add(&self, channel: &str, kind: TaskKind, options: TaskOptions, now: Time) -> Result<(Shared, bool)> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |task: &&Shared| {
            let task = locked(task);
            !task.is_over() && task.summary.channel == channel && task.summary.kind == kind
        };
        if let Some(same) = list.tasks.iter().find(same) {
            return Ok((Arc::clone(same), false));
        }
        if list.tasks.iter().filter(|task| !locked(task).is_over()).count() >= UNFINISHED {
            return Err(Error::new(Kind::TryLater, format!("{UNFINISHED} tasks are waiting or at work"))
                .hint("ask again when some of them are over"));
        }
        while list.tasks.len() >= KEPT {
            let Some(over) = list.tasks.iter().position(|task| locked(task).is_over()) else { break };
            list.tasks.remove(over);
        }
        list.last += 1;
        let word = match kind {
            TaskKind::Verify => "verify",
            TaskKind::Prune => "prune",
        };
        let summary = TaskSummary {
            id: format!("{word}-{}", list.last),
            kind,
            channel: channel.to_owned(),
            options,
            state: TaskState::Waiting,
            created: now,
            ended: None,
            progress: None,
            problem: None,
        };
        let task = Task { summary, log: Vec::new(), verified: None, pruned: None };
        let task = Arc::new(Mutex::new(task));
        list.tasks.push_back(Arc::clone(&task));
        Ok((task, true))
    }
}

/// Starts a task in the background, or finds the one that does the same already; returns it as it is now.
///
/// # Errors
/// 429 where too many are waiting; an `npvr.toml` that cannot be used.
pub(super) fn start(
    app: &App,
    channel: &Channel,
    kind: TaskKind,
    options: TaskOptions,
) -> Result<Task, Refusal> {
    let settings = app.configuration.settings()?;
    let added = app.tasks.add(channel.name.as_str(), kind, options, app.now());
    let (task, is_new) = added.map_err(|e| Refusal::new(StatusCode::TOO_MANY_REQUESTS, e))?;
    let as_it_is = locked(&task).clone();
    if is_new {
        let at_work = Arc::clone(&app.tasks.at_work);
        let work = work::Work::new(app, channel.clone(), settings, options, Arc::clone(&task));
        tokio::spawn(work.run(kind, at_work));
    }
    Ok(as_it_is)
}

fn locked(task: &Shared) -> std::sync::MutexGuard<'_, Task> {
    task.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As much of a text of somebody else as a message takes.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(tasks: &Tasks, channel: &str, kind: TaskKind) -> Result<(Shared, bool)> {
        tasks.add(channel, kind, TaskOptions::default(), Time::EPOCH)
    }

    #[test]
    fn who_asks_for_what_is_under_way_is_told_its_number() {
        let tasks = Tasks::default();
        let (first, is_new) = add(&tasks, "news", TaskKind::Verify).unwrap();
        assert!(is_new && !add(&tasks, "news", TaskKind::Verify).unwrap().1);
        assert!(add(&tasks, "news", TaskKind::Prune).unwrap().1);
        assert!(add(&tasks, "film", TaskKind::Verify).unwrap().1);
        locked(&first).summary.state = TaskState::Failed;
        assert!(add(&tasks, "news", TaskKind::Verify).unwrap().1);
        let ids: Vec<String> = tasks.all().into_iter().map(|task| task.id).collect();
        assert_eq!(ids, ["verify-4", "verify-3", "prune-2", "verify-1"]);
        assert_eq!(tasks.one("prune-2").unwrap().summary.channel, "news");
        assert_eq!(tasks.one("2").unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn a_hundred_are_remembered_and_not_more_than_half_of_them_wait() {
        let tasks = Tasks::default();
        for n in 0..500 {
            let (task, _) = add(&tasks, &format!("channel{n}"), TaskKind::Prune).unwrap();
            locked(&task).summary.state = TaskState::Done;
        }
        assert_eq!((tasks.all().len(), tasks.all()[0].id.as_str()), (KEPT, "prune-500"));
        for n in 0..UNFINISHED {
            add(&tasks, &format!("channel{n}"), TaskKind::Prune).unwrap();
        }
        assert_eq!(add(&tasks, "one-more", TaskKind::Prune).unwrap_err().kind(), Kind::TryLater);
        assert_eq!(tasks.all().len(), KEPT);
    }
}
