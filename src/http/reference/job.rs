//! Jobs, as the reference serves them: captures, each with the stages that it went through.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{Failure, not_found};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, App, Refusal, Request, pages};
use crate::ledger::{JobFilter, JobId, Outcome};
use crate::source::redacted;
use crate::status::{self, Job};
use crate::time::Time;

/// So many jobs are in one answer at most, and where nobody says how many.
const MOST: u32 = 1_000;

/// One attempt to capture one chunk.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReferenceJob)]
pub(super) struct JobDocument {
    /// Its number.
    id: String,
    /// Its channel.
    channel_name: String,
    /// The URL of the channel; `null` if the channel is there no longer.
    channel_url: Option<String>,
    /// The start of the chunk.
    start: Time,
    /// The end of the chunk.
    end: Time,
    /// The stages that it came to, each `starting`, `done` or `failed`: `mark_chunk_in_progress`, `capture`, `s3_put`,
    /// `mark_chunk_not_in_progress`.
    stages: BTreeMap<&'static str, &'static str>,
    /// When it began.
    start_time: Time,
    /// The same, in seconds since 1970.
    start_timestamp: f64,
    /// The key of the chunk.
    chunk: String,
    /// What the engine ran; empty where it runs no program.
    capture_command: Vec<String>,
    /// 0 if it captured, another number if it failed; not there while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    capture_returncode: Option<i32>,
    /// Where its log is, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    capture_log: Option<String>,
    /// The name of the file that it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    capture_file_path: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_time: Option<Time>,
    /// The same, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_timestamp: Option<f64>,
}

/// What a capture wrote.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CaptureLog {
    /// The last 64 KiB of it.
    stderr: String,
}

impl JobDocument {
    fn of(app: &App, job: Job) -> JobDocument {
        let seconds = |at: Time| at.ns() as f64 / 1e9;
        let has_captured = matches!(job.outcome, Outcome::Complete | Outcome::Partial | Outcome::Piece);
        let is_over = job.outcome != Outcome::Running;
        let code = job.exit_code.unwrap_or(if has_captured { 0 } else { 1 });
        JobDocument {
            id: job.id.to_string(),
            channel_url: app.channel(&job.channel).ok().map(|channel| redacted(&channel.url)),
            start: job.cell.start(),
            end: job.cell.end(),
            stages: stages(&job),
            start_time: job.started,
            start_timestamp: seconds(job.started),
            chunk: job.cell.key(&job.channel),
            capture_command: job.command.as_deref().map(words).unwrap_or_default(),
            // A program that did its part, and whose file was no good, failed all the same.
            capture_returncode: is_over.then_some(if has_captured { 0 } else { code.max(1) }),
            capture_log: is_over.then(|| format!("/job/{}/capture_log", job.id)),
            capture_file_path: has_captured.then(|| format!("{}.ismv", job.cell)),
            complete_time: job.ended,
            complete_timestamp: job.ended.map(seconds),
            channel_name: job.channel,
        }
    }
}

/// The stages of a job. Those of the reference are four; which of them a job of ours is in is told from how it ended.
fn stages(job: &Job) -> BTreeMap<&'static str, &'static str> {
    let put_failed = job.message.as_ref().is_some_and(|message| message.starts_with("put "));
    let (capture, put, end) = match job.outcome {
        Outcome::Running => ("starting", None, None),
        Outcome::Piece => ("done", None, Some("done")),
        Outcome::Complete | Outcome::Partial => ("done", Some("done"), Some("done")),
        Outcome::Failed if put_failed => ("done", Some("failed"), Some("done")),
        Outcome::Failed | Outcome::Died => ("failed", None, Some("done")),
    };
    let all = [
        ("mark_chunk_in_progress", Some("done")),
        ("capture", Some(capture)),
        ("s3_put", put),
        ("mark_chunk_not_in_progress", end),
    ];
    all.into_iter().filter_map(|(stage, state)| Some((stage, state?))).collect()
}

/// A command line as it is kept, in words: an argument with spaces stands in single quotes.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in command.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Jobs by number, the newest first.
struct ByNumber(Vec<JobDocument>);

impl Serialize for ByNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|job| map.serialize_entry(&job.id, job))?;
        map.end()
    }
}

/// The latest jobs, by number
///
/// The newest first; a page, unless JSON is asked for. `/api/v1/jobs` has filters.
#[utoipa::path(get, path = "/job/", tag = "reference", operation_id = "reference_jobs",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many, if not 1000"),
        ("before" = Option<i64>, Query, description = "Only those with a lower number: the next page"),
    ),
    responses(
        (status = 200, description = "The jobs",
            content((BTreeMap<String, JobDocument> = "application/json"), (String = "text/html"))),
        (status = 400, description = "The limit, or the number, is none", body = Failure),
    ))]
pub(in crate::http) async fn all(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    if !request.prefers_json() {
        return pages::jobs(app, request).await;
    }
    let limit = request.query("limit").map(|text| text.parse().ok().filter(|n| (1..=MOST).contains(n)));
    let limit = limit
        .unwrap_or(Some(MOST))
        .ok_or_else(|| Error::new(Kind::Usage, format!("limit is not a number from 1 to {MOST}")))?;
    let before = request.query("before").map(str::parse::<JobId>).transpose()?;
    let rows = app.place.ledger.jobs(&JobFilter { before, ..JobFilter::latest(None, limit) })?;
    let jobs = rows.into_iter().map(|row| JobDocument::of(&app, status::job(&app.place, row)));
    Ok(Answer::json(&ByNumber(jobs.collect()))?)
}

/// One job
#[utoipa::path(get, path = "/job/{id}", tag = "reference", operation_id = "reference_job",
    params(("id" = String, Path, description = "Number of the job")),
    responses(
        (status = 200, description = "The job",
            content((JobDocument = "application/json"), (String = "text/html"))),
        (status = 404, description = "There is none of that number", body = Failure),
    ))]
pub(in crate::http) async fn one(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    if request.prefers_page() {
        return pages::job(app, request).await;
    }
    Ok(Answer::json(&JobDocument::of(&app, job(&app, &request)?))?)
}

/// The log of a job
///
/// A page, unless JSON is asked for.
#[utoipa::path(get, path = "/job/{id}/capture_log", tag = "reference", operation_id = "capture_log",
    params(("id" = String, Path, description = "Number of the job")),
    responses(
        (status = 200, description = "What it wrote",
            content((CaptureLog = "application/json"), (String = "text/html"))),
        (status = 404, description = "There is no such job, or it has written nothing yet", body = Failure),
    ))]
pub(in crate::http) async fn log(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    if !request.prefers_json() {
        // The page of a job has its log in it.
        return pages::job(app, request).await;
    }
    let job = job(&app, &request)?;
    let stderr = app.place.ledger.log(job.id)?.unwrap_or_default();
    if stderr.is_empty() && job.outcome == Outcome::Running {
        return Err(not_found("no capture logs"));
    }
    Ok(Answer::json(&CaptureLog { stderr })?)
}

fn job(app: &App, request: &Request) -> Result<Job, Refusal> {
    let unknown = || not_found("job not found");
    let id: JobId = request.param("id").parse().map_err(|_| unknown())?;
    let row = app.place.ledger.job(id)?.ok_or_else(unknown)?;
    Ok(status::job(&app.place, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_given_back_as_the_words_that_it_was() {
        let command =
            "unified_capture --remix -v 3 -o a.ismv 'http://tv/a.isml/.mpd?filter=(type!=\"meta\")&x=a b'";
        let found = words(command);
        assert_eq!(found.len(), 7);
        assert_eq!(found[6], "http://tv/a.isml/.mpd?filter=(type!=\"meta\")&x=a b");
    }
}
