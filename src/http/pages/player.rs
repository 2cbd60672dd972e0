//! The player of a channel's page: what its script is told, and what the page may load for it.

use super::frame::Frame;
use crate::channel::{Channel, Media};
use crate::http::{App, armour};

/// Where the script finds things: `{start}` and `{end}` stand for the range, `{time}` for an instant.
pub(super) struct Player {
    /// What is played. What is missing is left out of it: the bar below the picture shows where.
    pub(super) hls: String,
    /// The same, as a file.
    pub(super) mp4: String,
    /// The picture at an instant.
    pub(super) picture: String,
    /// The page with that range.
    pub(super) page: String,
    /// hls.js, if the operator has it.
    pub(super) library: Option<String>,
    /// Where ranges are held; `None` where nobody may change anything.
    pub(super) holds: Option<String>,
}

impl Player {
    pub(super) fn new(app: &App, frame: &Frame, name: &str) -> Player {
        let options = &app.options;
        Player {
            hls: frame.to(&format!("/hls/{name}/{{start}}--{{end}}/master.m3u8?gaps=skip")),
            mp4: frame.to(&format!("/mp4/{name}/{{start}}--{{end}}.mp4?download=1")),
            picture: frame.to(&format!("/frame/{name}/{{time}}.mp4")),
            page: frame.url(&format!("/channel/{name}?from={{start}}&to={{end}}#play")),
            library: options.library.as_ref().map(|library| frame.library(library)),
            holds: (!options.read_only).then(|| frame.to("/api/v1/holds")),
        }
    }
}

/// What the page of a channel may load: as any other, and also hls.js and the channel's media from where they are.
pub(super) fn policy(app: &App, channel: &Channel) -> String {
    let media = match channel.media {
        Media::Direct => channel.public_url.as_ref().map(|url| url.origin().ascii_serialization()),
        Media::Redirect => channel.s3.as_ref().map(|bucket| bucket.origin()),
        Media::Serve => None,
    };
    let script = app.options.library.as_ref().and_then(|library| library.source());
    armour::player_policy(script.as_deref(), media.as_deref())
}
