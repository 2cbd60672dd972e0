//! Channels as they are configured: every value that is in force, and where it came from.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Page, Problem, body, known, query};
use crate::channel::{Channel, Origin};
use crate::http::{Answer, App, Refusal, Request};
use crate::source::redacted;
use crate::time::format_duration;

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelConfiguration)]
pub(super) struct ChannelDocument {
    /// Its name.
    name: String,
    /// False if `check` leaves it alone.
    enabled: bool,
    /// Where its live stream is, without the values of the query.
    channel_url: String,
    /// How long a chunk is.
    chunk_duration: String,
    /// How long a chunk is kept.
    archive_length: String,
    /// The most bytes that its chunks may take; `null`: no limit.
    archive_size_bytes: Option<u64>,
    /// Every value that is in force, as it would stand in its file.
    settings: Vec<SettingDocument>,
}

/// One value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Setting)]
struct SettingDocument {
    /// The key, with its table.
    key: String,
    /// The value as TOML; secrets are redacted.
    value: String,
    /// `default`, or the file and the line.
    origin: String,
}

/// The channels, and what is wrong with the files of others.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Channels {
    /// Some of the channels, by name.
    #[serde(flatten)]
    page: Page<ChannelDocument>,
    /// A sentence for each file that cannot be used.
    unusable: Vec<String>,
}

/// What may be changed of a channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelChange {
    /// False has `check` leave it alone.
    enabled: bool,
}

impl ChannelDocument {
    fn of(channel: &Channel) -> ChannelDocument {
        let settings = channel.effective().iter().map(|setting| SettingDocument {
            key: setting.key.clone(),
            value: setting.shown.clone(),
            origin: match &setting.origin {
                Origin::Default => "default".to_owned(),
                // Where the folder is, is the host's business.
                Origin::File { file, line } => {
                    format!("{}, line {line}", file.rsplit('/').next().unwrap_or(file))
                }
            },
        });
        ChannelDocument {
            name: channel.name.to_string(),
            enabled: channel.enabled,
            channel_url: redacted(&channel.url),
            chunk_duration: format_duration(channel.grid.duration()),
            archive_length: format_duration(channel.archive_length),
            archive_size_bytes: channel.archive_size,
            settings: settings.collect(),
        }
    }
}

/// The channels
#[utoipa::path(get, path = "/api/v1/channels", tag = "channels", operation_id = "list_channels",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many, if not 100"),
        ("after" = Option<String>, Query, description = "Only those whose names come after this"),
    ),
    responses(
        (status = 200, description = "Some of them, by name", body = Channels),
        (status = 400, description = "The query makes no sense", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn all(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let limit = query::limit(&request, 100, 1_000)? as usize;
    let after = request.query("after").unwrap_or_default();
    let loaded = app.channels()?;
    let from = loaded.channels.partition_point(|channel| channel.name.as_str() <= after);
    let rest = &loaded.channels[from..];
    let items: Vec<_> = rest.iter().take(limit).map(|channel| ChannelDocument::of(channel)).collect();
    let next = (rest.len() > limit).then(|| items.last().map(|last| last.name.clone())).flatten();
    let unusable = loaded.unusable.iter().map(ToString::to_string).collect();
    Ok(Answer::json(&Channels { page: Page { items, next }, unusable })?.tagged())
}

/// One channel
#[utoipa::path(get, path = "/api/v1/channels/{name}", tag = "channels", operation_id = "get_channel",
    params(("name" = String, Path, description = "Channel")),
    responses(
        (status = 200, description = "The channel", body = ChannelDocument),
        (status = 404, description = "There is none of that name", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn one(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let name = known(&app, request.param("name"))?;
    Ok(Answer::json(&ChannelDocument::of(app.channel(name.as_str())?.as_ref()))?.tagged())
}

/// Enable or disable a channel
///
/// `PUT /channel/{name}` makes channels, and changes what is archived.
#[utoipa::path(patch, path = "/api/v1/channels/{name}", tag = "channels", operation_id = "change_channel",
    params(("name" = String, Path, description = "Channel")),
    request_body = ChannelChange,
    responses(
        (status = 200, description = "The channel as it is now", body = ChannelDocument),
        (status = 400, description = "The body makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none of that name", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn change(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let ChannelChange { enabled } = body(&request)?;
    let name = known(&app, request.param("name"))?;
    app.change_channels(|channels| channels.set_enabled(&name, enabled))?;
    Ok(Answer::json(&ChannelDocument::of(app.channel(name.as_str())?.as_ref()))?)
}

/// Remove a channel
///
/// Removes its file. What is archived of it stays.
#[utoipa::path(delete, path = "/api/v1/channels/{name}", tag = "channels", operation_id = "remove_channel",
    params(("name" = String, Path, description = "Channel")),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is none of that name", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn remove(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let name = known(&app, request.param("name"))?;
    app.change_channels(|channels| channels.remove(&name))?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
