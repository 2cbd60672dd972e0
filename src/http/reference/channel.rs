//! Channels, as the reference serves them: each with its nine fields, made and changed by `PUT`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::config::{Change, Config, ToPut};
use super::{Failure, Success, known, not_found};
use crate::channel::Name;
use crate::error::{Error, Kind};
use crate::http::{Answer, App, Refusal, Request, pages};

/// All channels, by name
///
/// A page, unless JSON is asked for. Keys of buckets are redacted. A channel whose file cannot be used is not among them: see
/// `/api/v1/channels`.
#[utoipa::path(get, path = "/channel/", tag = "reference", operation_id = "channels", responses(
    (status = 200, description = "The channels",
        content((BTreeMap<String, Config> = "application/json"), (String = "text/html"))),
))]
pub(in crate::http) async fn all(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    if !request.prefers_json() {
        return pages::overview(app, request).await;
    }
    let loaded = app.channels()?;
    let all: BTreeMap<&str, Config> =
        loaded.channels.iter().map(|channel| (channel.name.as_str(), Config::of(channel))).collect();
    Ok(Answer::json(&all)?.tagged())
}

/// One channel
#[utoipa::path(get, path = "/channel/{name}", tag = "reference", operation_id = "channel",
    params(("name" = String, Path, description = "Channel")),
    responses(
        (status = 200, description = "The channel, with its keys redacted",
            content((Config = "application/json"), (String = "text/html"))),
        (status = 404, description = "There is none of that name", body = Failure),
    ))]
pub(in crate::http) async fn one(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    if request.prefers_page() {
        return pages::channel(app, request).await;
    }
    let name = known(&app, request.param("name"))?;
    Ok(Answer::json(&Config::of(app.channel(name.as_str())?.as_ref()))?.tagged())
}

/// Make or change a channel
///
/// Writes `channels.d/NAME.toml`. Of a file that is there, what these fields do not say stays as it is, comments included. Fields
/// beyond these are passed over.
#[utoipa::path(put, path = "/channel/{name}", tag = "reference", operation_id = "put_channel",
    params(("name" = String, Path, description = "Channel: letters, digits, '.', '_' and '-', at most 64")),
    request_body = ToPut,
    responses(
        (status = 200, description = "It was there, and is changed", body = Success),
        (status = 201, description = "It is made", body = Success),
        (status = 400, description = "Fields are missing, or make no sense", body = Failure),
        (status = 415, description = "This is not JSON", body = Failure),
    ))]
pub(in crate::http) async fn put(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let sent = json(&request).ok_or_else(|| {
        let error = Error::new(Kind::Invalid, "invalid data format, expect application/json");
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
    })?;
    let name: Name = request.param("name").parse()?;
    let is_new = app.change_channels(|channels| {
        let before = channels.load(&name).ok();
        let change = Change::read(&sent, before.as_ref())?;
        channels.put(&name, &change.values(), &change.without)
    });
    // Whatever could not be understood came from the client: the file is as it was.
    let is_new = is_new.map_err(|e| match e.kind() {
        Kind::Config => Refusal::new(StatusCode::BAD_REQUEST, e),
        _ => Refusal::from(e),
    })?;
    Ok(match is_new {
        true => Answer::json(&Success { success: "created new channel" })?.with_status(StatusCode::CREATED),
        false => Answer::json(&Success { success: "updated channel" })?,
    })
}

/// Remove a channel
///
/// Removes `channels.d/NAME.toml`. What is archived of it stays.
#[utoipa::path(delete, path = "/channel/{name}", tag = "reference", operation_id = "delete_channel",
    params(("name" = String, Path, description = "Channel")),
    responses(
        (status = 200, description = "It is removed", body = Success),
        (status = 404, description = "There is none of that name", body = Failure),
    ))]
pub(in crate::http) async fn delete(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let unknown = || not_found("channel does not exist");
    let name: Name = request.param("name").parse().map_err(|_| unknown())?;
    app.change_channels(|channels| channels.remove(&name)).map_err(|e| match e.kind() {
        Kind::NotFound => unknown(),
        _ => e.into(),
    })?;
    Ok(Answer::json(&Success { success: "channel deleted" })?)
}

/// What the body says, if it is JSON and says so; nothing for what says nothing, as the reference has it.
fn json(request: &Request) -> Option<Value> {
    let sent: Value = request.is_json().then(|| serde_json::from_slice(&request.body).ok())??;
    let says_nothing = match &sent {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    };
    (!says_nothing).then_some(sent)
}
