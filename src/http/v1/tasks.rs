//! Tasks: verifications and prunes of one channel, in the background.

use std::sync::Arc;

use http::StatusCode;
use http::header::LOCATION;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Page, Problem, body, known};
use crate::error::{Error, Kind, Result};
use crate::http::tasks::{self, Task, TaskKind, TaskOptions, TaskSummary};
use crate::http::{Answer, App, Refusal, Request};

/// A task that is to be started.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTask {
    /// The channel.
    channel: String,
    /// What to do.
    kind: TaskKind,
    /// Verify: read chunks back, too.
    #[serde(default)]
    deep: bool,
    /// Verify: read at most so many bytes, what was read longest ago first; means `deep`.
    budget_bytes: Option<u64>,
    /// Verify: write down chunks that the ledger does not know, and write off those that are gone.
    #[serde(default)]
    repair: bool,
    /// Prune: delete it even if it is more of the channel than the fuse lets go.
    #[serde(default)]
    force: bool,
    /// Change nothing: say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Tasks
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", operation_id = "list_tasks", responses(
    (status = 200, description = "The last hundred since the server began, the newest first", body = Page<TaskSummary>),
))]
pub(in crate::http) async fn all(app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    Ok(Answer::json(&Page { items: app.tasks.all(), next: None })?)
}

/// One task
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks", operation_id = "get_task",
    params(("id" = String, Path, description = "Name of the task")),
    responses(
        (status = 200, description = "The task, with what it said and found", body = Task),
        (status = 404, description = "There is none of that name", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn one(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    Ok(Answer::json(&app.tasks.one(request.param("id"))?)?)
}

/// Start a task
///
/// Of one channel there is one of each kind at a time: who asks again for what is under way is told its name.
#[utoipa::path(post, path = "/api/v1/tasks", tag = "tasks", operation_id = "start_task",
    request_body = NewTask,
    responses(
        (status = 202, description = "It goes on in the background; `Location` says where the task is", body = Task),
        (status = 400, description = "The body makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "One of that kind is under way, with other options", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Asked too often, or too many tasks are waiting", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn start(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let NewTask { channel, kind, deep, budget_bytes, repair, force, dry_run } = body(&request)?;
    let deep = deep || budget_bytes.is_some();
    let options = TaskOptions { deep, budget_bytes, repair, force, dry_run };
    let foreign = match kind {
        TaskKind::Verify => TaskOptions { force, ..TaskOptions::default() },
        TaskKind::Prune => TaskOptions { deep, budget_bytes, repair, ..TaskOptions::default() },
    };
    if foreign != TaskOptions::default() {
        return Err(Error::new(Kind::Invalid, "verify has no force; prune has only force and dry_run").into());
    }
    let channel = app.channel(known(&app, &channel)?.as_str())?;
    let task = tasks::start(&app, &channel, kind, options)?;
    let id = &task.summary.id;
    if task.summary.options != options {
        let error = Error::new(Kind::Busy, format!("{id} is under way, with other options"));
        return Err(error.hint("ask again when it is over").into());
    }
    let location = request.base.path(&format!("/api/v1/tasks/{id}"));
    Ok(Answer::json(&task)?.with_status(StatusCode::ACCEPTED).with_header(LOCATION, location))
}
