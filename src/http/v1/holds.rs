//! Holds: ranges of which nothing is pruned.

use std::sync::Arc;

use http::StatusCode;
use http::header::LOCATION;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Page, Problem, body, known, query};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, App, Refusal, Request};
use crate::ledger::{Hold, HoldId};
use crate::status::{Held, held};
use crate::time::{Range, Time};

/// The longest note, in characters.
const NOTE: usize = 1_000;

/// A hold that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHold {
    /// The channel.
    channel: String,
    /// What is held: every chunk that touches it.
    range: Range,
    /// Why.
    #[schema(max_length = 1000)]
    note: Option<String>,
    /// It holds until then; left out: until it is removed.
    until: Option<Time>,
}

/// Holds
#[utoipa::path(get, path = "/api/v1/holds", tag = "holds", operation_id = "list_holds",
    params(
        ("channel" = Option<String>, Query, description = "Only those of this channel"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many, if not 100"),
        ("after" = Option<i64>, Query, description = "Only those with a higher number"),
    ),
    responses(
        (status = 200, description = "Some of them, by number; also those that have run out", body = Page<Held>),
        (status = 400, description = "The query makes no sense", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn all(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let limit = query::limit(&request, 100, 1_000)? as usize;
    let after = request.query("after").map(str::parse::<HoldId>).transpose()?;
    let (ledger, now) = (app.place.ledger.as_ref(), app.now());
    let mut holds = ledger.holds(request.query("channel"))?;
    holds.retain(|hold| after.is_none_or(|after| hold.id > after));
    let is_more = holds.len() > limit;
    holds.truncate(limit);
    let next = holds.last().filter(|_| is_more).map(|hold| hold.id.to_string());
    let items: Vec<Held> = holds.into_iter().map(|hold| held(ledger, hold, now)).collect::<Result<_>>()?;
    Ok(Answer::json(&Page { items, next })?)
}

/// One hold
#[utoipa::path(get, path = "/api/v1/holds/{id}", tag = "holds", operation_id = "get_hold",
    params(("id" = i64, Path, description = "Number of the hold")),
    responses(
        (status = 200, description = "The hold", body = Held),
        (status = 400, description = "This is no number", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none of that number", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn one(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let id: HoldId = request.param("id").parse()?;
    let hold = find(&app, None, id)?.ok_or_else(|| unknown(id))?;
    Ok(Answer::json(&held(app.place.ledger.as_ref(), hold, app.now())?)?)
}

/// Hold a range
///
/// Every chunk that touches it is kept, whatever retention says.
#[utoipa::path(post, path = "/api/v1/holds", tag = "holds", operation_id = "add_hold",
    request_body = NewHold,
    responses(
        (status = 201, description = "It is held; `Location` says where the hold is", body = Held),
        (status = 400, description = "The body makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn add(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let NewHold { channel, range, note, until } = body(&request)?;
    let (ledger, now) = (app.place.ledger.as_ref(), app.now());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE) {
        return Err(Error::new(Kind::Invalid, format!("note is longer than {NOTE} characters")).into());
    }
    if let Some(until) = until.filter(|until| *until <= now) {
        return Err(
            Error::new(Kind::Invalid, format!("{until} is over: such a hold would hold nothing")).into()
        );
    }
    let name = known(&app, &channel)?;
    let id = ledger.hold(name.as_str(), range, note.as_deref(), until, now)?;
    let hold = find(&app, Some(name.as_str()), id)?.ok_or_else(|| unknown(id))?;
    Ok(Answer::json(&held(ledger, hold, now)?)?
        .with_status(StatusCode::CREATED)
        .with_header(LOCATION, request.base.path(&format!("/api/v1/holds/{id}"))))
}

/// Remove a hold
///
/// Retention decides on its chunks again.
#[utoipa::path(delete, path = "/api/v1/holds/{id}", tag = "holds", operation_id = "remove_hold",
    params(("id" = i64, Path, description = "Number of the hold")),
    responses(
        (status = 204, description = "It is removed"),
        (status = 400, description = "This is no number", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none of that number", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn release(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let id: HoldId = request.param("id").parse()?;
    app.place.ledger.release_hold(id)?.ok_or_else(|| unknown(id))?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

fn find(app: &App, channel: Option<&str>, id: HoldId) -> Result<Option<Hold>> {
    Ok(app.place.ledger.holds(channel)?.into_iter().find(|hold| hold.id == id))
}

fn unknown(id: HoldId) -> Error {
    Error::new(Kind::NotFound, format!("there is no hold {id}")).hint("/api/v1/holds lists them")
}
