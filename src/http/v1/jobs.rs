//! Jobs: attempts to capture a cell, the newest first.

use std::sync::Arc;

use super::{Page, Problem, query};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, App, Refusal, Request};
use crate::ledger::{JobFilter, JobId, Outcome};
use crate::status::{self, Job};

/// Jobs
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", operation_id = "list_jobs",
    params(
        ("channel" = Option<String>, Query, description = "Only those of this channel"),
        ("outcome" = Option<Vec<Outcome>>, Query, explode, description = "Only those that ended like this; may be given more than once"),
        ("from" = Option<String>, Query, format = DateTime, description = "Only those whose chunk ends after this"),
        ("to" = Option<String>, Query, format = DateTime, description = "Only those whose chunk begins before this"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many, if not 100"),
        ("before" = Option<i64>, Query, description = "Only those with a lower number: the next page"),
    ),
    responses(
        (status = 200, description = "Some of them, the newest first", body = Page<Job>),
        (status = 400, description = "The query makes no sense", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn all(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let limit = query::limit(&request, 100, 1_000)?;
    let is_bounded = request.query("from").or(request.query("to")).is_some();
    let filter = JobFilter {
        channel: request.query("channel").map(str::to_owned),
        outcomes: request.queries("outcome").map(outcome).collect::<Result<_>>()?,
        touching: is_bounded.then(|| query::range(&request)).transpose()?,
        before: request.query("before").map(str::parse::<JobId>).transpose()?,
        limit,
    };
    let rows = app.place.ledger.jobs(&filter)?;
    let is_full = rows.len() >= limit as usize;
    let next = rows.last().filter(|_| is_full).map(|row| row.id.to_string());
    let items: Vec<Job> = rows.into_iter().map(|row| status::job(&app.place, row)).collect();
    Ok(Answer::json(&Page { items, next })?)
}

fn outcome(word: &str) -> Result<Outcome> {
    word.parse().map_err(|_| {
        let known: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        Error::new(Kind::Usage, "outcome is no outcome of a job")
            .hint(format!("one of: {}", known.join(", ")))
    })
}

/// One job
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", operation_id = "get_job",
    params(("id" = i64, Path, description = "Number of the job")),
    responses(
        (status = 200, description = "The job", body = Job),
        (status = 400, description = "This is no number", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none of that number", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn one(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let id: JobId = request.param("id").parse()?;
    let row = app.place.ledger.job(id)?.ok_or_else(|| unknown(id))?;
    Ok(Answer::json(&status::job(&app.place, row))?)
}

/// The log of a job
#[utoipa::path(get, path = "/api/v1/jobs/{id}/log", tag = "jobs", operation_id = "get_job_log",
    params(("id" = i64, Path, description = "Number of the job")),
    responses(
        (status = 200, description = "The last 64 KiB of it", body = String, content_type = "text/plain"),
        (status = 400, description = "This is no number", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn log(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let id: JobId = request.param("id").parse()?;
    Ok(Answer::text(app.place.ledger.log(id)?.ok_or_else(|| unknown(id))?))
}

fn unknown(id: JobId) -> Error {
    Error::new(Kind::NotFound, format!("there is no job {id}")).hint("/api/v1/jobs lists them")
}
