//! Jobs: the list of captures, and one of them with its log. A list keeps itself up to date by asking again: a page that is the
//! same is answered in no bytes, so asking costs next to nothing, and unlike events it passes every proxy.

use std::sync::Arc;

use askama::Template;

use super::frame::{self, Frame, Part};
use super::moments::{moment, stretch};
use super::{blocking, channel, colour};
use crate::error::{Context, Error, Kind, Result};
use crate::http::{Answer, App, Refusal, Request};
use crate::ledger::{JobFilter, JobId, JobRow, Outcome};
use crate::status;
use crate::time::{Time, human_duration};
use crate::words::{counted, human_bytes};

/// So many jobs are on a page.
const PAGE: u32 = 50;

/// The outcomes that can be asked for: what is shown, and which they are.
const FILTERS: [(&str, &str, &[Outcome]); 4] = [
    ("", "all", &[]),
    ("running", "in progress", &[Outcome::Running, Outcome::Piece]),
    ("success", "success", &[Outcome::Complete, Outcome::Partial]),
    ("failed", "failed", &[Outcome::Failed, Outcome::Died]),
];

#[derive(Template)]
#[template(path = "jobs.html")]
struct List {
    frame: Frame,
    channels: Vec<Choice>,
    outcomes: Vec<Choice>,
    jobs: Vec<Job>,
    newest: Option<String>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "job.html")]
struct One {
    frame: Frame,
    job: Job,
    facts: Vec<(&'static str, String)>,
    command: Option<String>,
    log: String,
    /// True while more may come.
    is_running: bool,
}

/// A choice of a filter.
struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

/// A job, as a line.
struct Job {
    id: String,
    path: String,
    channel: String,
    channel_path: String,
    cell: String,
    cell_path: String,
    outcome: String,
    colour: &'static str,
    started: String,
    took: String,
    told: String,
    message: String,
}

/// `GET /job/`, for browsers: `?channel=&outcome=&before=`.
pub(in crate::http) async fn jobs(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    blocking(move || Ok(frame::answer(&list(&app, &request)?)?)).await
}

/// `GET /job/{id}`, for browsers.
pub(in crate::http) async fn job(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    blocking(move || Ok(frame::answer(&one(&app, &request)?)?)).await
}

fn list(app: &App, request: &Request) -> Result<List> {
    let frame = Frame::new(request, Part::Jobs, "Jobs");
    let channel = request.query("channel").filter(|name| !name.is_empty());
    let outcome = request.query("outcome").unwrap_or_default();
    let (_, _, outcomes) = FILTERS.iter().find(|(value, ..)| *value == outcome).ok_or_else(|| {
        Error::new(Kind::Usage, format!("{outcome:?} is no outcome")).hint("running, success or failed")
    })?;
    let before = request.query("before").map(str::parse::<JobId>).transpose()?;
    // One more than is shown says whether there are more.
    let filter = JobFilter { outcomes: outcomes.to_vec(), before, ..JobFilter::latest(channel, PAGE + 1) };
    let mut rows = app.place.ledger.jobs(&filter)?;
    let is_more = rows.len() > PAGE as usize;
    rows.truncate(PAGE as usize);
    let link = |before: Option<JobId>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let before = before.map(|id| id.to_string());
        for (key, value) in [("channel", channel), ("outcome", Some(outcome)), ("before", before.as_deref())]
        {
            value.filter(|value| !value.is_empty()).map(|value| query.append_pair(key, value));
        }
        frame.to(&format!("/job/?{}", query.finish()))
    };
    let known = app.place.ledger.channels()?;
    let choice = |name: &String| Choice {
        value: name.clone(),
        label: name.clone(),
        chosen: channel == Some(name.as_str()),
    };
    let any = Choice { value: String::new(), label: "all".to_owned(), chosen: channel.is_none() };
    let outcome = |(value, label, _): &(&str, &str, &[Outcome])| Choice {
        value: (*value).to_owned(),
        label: (*label).to_owned(),
        chosen: outcome == *value,
    };
    Ok(List {
        channels: std::iter::once(any).chain(known.iter().map(choice)).collect(),
        outcomes: FILTERS.iter().map(outcome).collect(),
        newest: before.map(|_| link(None)),
        older: rows.last().filter(|_| is_more).map(|row| link(Some(row.id))),
        jobs: rows.iter().map(|row| line(app, &frame, row)).collect(),
        frame,
    })
}

fn one(app: &App, request: &Request) -> Result<One> {
    let text = request.param("id");
    let unknown =
        || Error::new(Kind::NotFound, format!("there is no job {text}")).hint("jobs are kept for a week");
    let id: JobId = text.parse().map_err(|_| unknown())?;
    let row = app.place.ledger.job(id)?.ok_or_else(unknown)?;
    let log = app.place.ledger.log(id).with_context(|| format!("the log of job {id}"))?;
    let frame = Frame::new(request, Part::Jobs, format!("Job {id}"));
    let mut facts = vec![
        ("Engine", row.engine.clone()),
        ("Host", format!("{}, process {}", row.host, row.pid)),
        ("Fetched", told(&row)),
    ];
    if let Some(code) = row.exit_code {
        facts.push(("Exit code", code.to_string()));
    }
    let outcome = status::job(&app.place, row.clone()).outcome;
    Ok(One {
        job: line(app, &frame, &row),
        facts,
        command: row.command.clone(),
        log: log.unwrap_or_default(),
        is_running: outcome == Outcome::Running,
        frame,
    })
}

fn line(app: &App, frame: &Frame, row: &JobRow) -> Job {
    let outcome = status::job(&app.place, row.clone()).outcome;
    let cell = row.cell.range();
    let channel_path = frame.to(&format!("/channel/{}", row.channel));
    let took = |end: Time| human_duration(end.since(row.started));
    Job {
        id: row.id.to_string(),
        path: frame.to(&format!("/job/{}", row.id)),
        channel: row.channel.clone(),
        cell: stretch(cell),
        cell_path: channel::zoom(&channel_path, cell),
        channel_path,
        outcome: outcome.to_string(),
        colour: colour(outcome),
        started: moment(row.started),
        took: row.ended.map(took).unwrap_or_default(),
        told: told(row),
        message: row.message.clone().unwrap_or_default(),
    }
}

fn told(row: &JobRow) -> String {
    let retries = match row.stats.retries {
        0 => String::new(),
        n => format!(", {n} asked for again"),
    };
    format!("{}, {}{retries}", counted(row.stats.segments, "segment"), human_bytes(row.stats.bytes))
}
