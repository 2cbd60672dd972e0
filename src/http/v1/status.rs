//! The status of the channels, as `npvr status --json` prints it, and what is at risk.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Page, Problem, query};
use crate::channel::Channel;
use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::http::{Answer, App, Refusal, Request};
use crate::status::{self, Seen, Status};
use crate::time::Time;

/// The status of some channels.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusPage {
    /// What `npvr status --json` prints of them.
    #[serde(flatten)]
    status: Status,
    /// What to ask for as `after` to have the next ones; `null` on the last page.
    next: Option<String>,
}

/// A cell that may be lost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AtRisk)]
pub(super) struct RiskDocument {
    /// Its channel.
    channel: String,
    /// Which cell.
    cell: Cell,
    /// When it begins to be lost, on this host's clock.
    deadline: Time,
    /// How long that is from now; 0 if it is over.
    seconds_to_loss: u64,
    /// Why it is not in the archive yet.
    reason: String,
}

/// The status
///
/// A channel that is asked for and has no file that can be used is an error; without names, such are left out.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", operation_id = "get_status",
    params(
        ("channel" = Option<Vec<String>>, Query, explode, description = "Only these; may be given more than once"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "At most so many channels, if not 50"),
        ("after" = Option<String>, Query, description = "Only those whose names come after this"),
    ),
    responses(
        (status = 200, description = "Some of the channels, by name", body = StatusPage),
        (status = 400, description = "The query makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Asked too often", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn status(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let limit = query::limit(&request, 50, 200)? as usize;
    let after = request.query("after").unwrap_or_default();
    let mut channels = wanted(&app, &request)?;
    channels.retain(|channel| channel.name.as_str() > after);
    let is_more = channels.len() > limit;
    channels.truncate(limit);
    let next = channels.last().filter(|_| is_more).map(|channel| channel.name.to_string());
    let channels: Vec<Channel> = channels.iter().map(|channel| Channel::clone(channel)).collect();
    // It reads every row of the retention: not on a thread that others wait for.
    let place = Arc::clone(&app.place);
    let now = app.now();
    let read = tokio::task::spawn_blocking(move || status::status(&place, &channels, now)).await;
    let status = read.map_err(|e| Error::new(Kind::Io, "read the status").caused_by(e))??;
    Ok(Answer::json(&StatusPage { status, next })?)
}

/// What may be lost, soonest first
#[utoipa::path(get, path = "/api/v1/at-risk", tag = "status", operation_id = "list_at_risk",
    params(
        ("channel" = Option<Vec<String>>, Query, explode, description = "Only of these; may be given more than once"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many cells, if not 100"),
    ),
    responses(
        (status = 200, description = "The cells, the most urgent first; `next` is always `null`", body = Page<RiskDocument>),
        (status = 400, description = "The query makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn at_risk(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let limit = query::limit(&request, 100, 1_000)? as usize;
    let now = app.now();
    let mut items = Vec::new();
    for channel in wanted(&app, &request)? {
        items.extend(risks(&app, &channel, now)?);
        items.sort_by(|a, b| (a.deadline, &a.channel).cmp(&(b.deadline, &b.channel)));
        items.truncate(limit);
    }
    Ok(Answer::json(&Page { items, next: None })?)
}

fn risks(app: &App, channel: &Channel, now: Time) -> Result<Vec<RiskDocument>> {
    let (name, ledger) = (channel.name.as_str(), app.place.ledger.as_ref());
    let pruned = ledger.pruned(name)?.unwrap_or(Time::EPOCH);
    let oldest = now.minus(channel.archive_length).max(pruned);
    let risks = Seen::read(ledger, name)?.at_risk(ledger, name, oldest)?;
    let document = |risk: crate::plan::Risk| RiskDocument {
        channel: name.to_owned(),
        cell: risk.cell,
        deadline: risk.deadline,
        seconds_to_loss: risk.deadline.since(now).as_secs(),
        reason: risk.reason,
    };
    Ok(risks.into_iter().map(document).collect())
}

/// The channels that the query names, or all.
fn wanted(app: &App, request: &Request) -> Result<Vec<Arc<Channel>>> {
    let mut named: Vec<&str> = request.queries("channel").collect();
    named.sort_unstable();
    named.dedup();
    match named[..] {
        [] => Ok(app.channels()?.channels.clone()),
        _ => named.into_iter().map(|name| app.channel(super::known(app, name)?.as_str())).collect(),
    }
}
