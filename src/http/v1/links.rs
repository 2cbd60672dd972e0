//! Signed links: what `npvr sign` prints, for pages and programs.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Problem, body};
use crate::error::{Error, Kind};
use crate::http::signed::Signer;
use crate::http::{Answer, App, Refusal, Request};
use crate::time::{Time, parse_duration};

/// How long a link is good where nothing is said, and at most.
const USUAL: Duration = Duration::from_secs(6 * 3_600);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A link that is to be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLink {
    /// The path that it is to: of the channel, as `/hls/NAME/START--END/master.m3u8`; with a slash at its end, to all below it.
    path: String,
    /// How long it is to be good, as `PT6H`, which it is if nothing is said; at most a year.
    lasting: Option<String>,
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Link {
    /// The link.
    url: String,
    /// Until when it is good; `null` where links of the channel are not signed.
    until: Option<Time>,
}

/// Sign a link
///
/// It plays for whoever has it.
#[utoipa::path(post, path = "/api/v1/channels/{name}/links", tag = "playback", operation_id = "sign_link",
    params(("name" = String, Path, description = "Channel")),
    request_body = NewLink,
    responses(
        (status = 200, description = "The link", body = Link),
        (status = 400, description = "The body makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn sign(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let NewLink { path, lasting } = body(&request)?;
    let name = channel.name.as_str();
    let is_of_channel = path.starts_with('/') && path.split('/').skip(1).take(2).any(|part| part == name);
    if !is_of_channel {
        let error = Error::new(Kind::Invalid, format!("path is none of channel {name}"));
        return Err(error.hint(format!("write it like /hls/{name}/START--END/master.m3u8")).into());
    }
    let lasting = lasting.as_deref().map_or(Ok(USUAL), parse_duration)?;
    if lasting < Duration::from_secs(1) || lasting > LONGEST {
        return Err(Error::new(Kind::Invalid, "a link is good for a second to a year").into());
    }
    let until = app.now().plus(lasting).floor_s();
    let signer = Signer::until(&app, &channel, until)?;
    let link = match &signer {
        Some(signer) => signer.link(&path),
        None => path,
    };
    Ok(Answer::json(&Link { url: request.base.url(&link), until: signer.map(|_| until) })?)
}
