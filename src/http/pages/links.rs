//! What can be made of a range: the one list of links, for the page and for its script.

use super::frame::Frame;
use crate::time::Range;

/// What a link is for, and its path: `{name}` is the channel, `{start}` and `{end}` the range.
const LINKS: [(&str, &str, &str); 6] = [
    ("HLS", "/hls/{name}/{start}--{end}/master.m3u8", "plays in browsers, hls.js, Shaka Player and ffmpeg"),
    ("DASH", "/dash/{name}/{start}--{end}.mpd", "plays in dash.js, Shaka Player and ffmpeg"),
    ("MP4", "/mp4/{name}/{start}--{end}.mp4?download=1", "one file, cut to the frame"),
    ("SMIL", "/smil/{name}/{start}--{end}.smil", "a playlist for Unified Remix"),
    ("ISM", "/ism/{name}/{start}--{end}.ism", "a server manifest for Unified Origin"),
    ("Chunks", "/api/v1/channels/{name}/chunks?from={start}&to={end}", "keys, sizes and checksums, as JSON"),
];

/// A link.
pub(super) struct Link {
    pub(super) label: &'static str,
    pub(super) note: &'static str,
    /// With `{start}` and `{end}` in it.
    pub(super) pattern: String,
    /// That of the range; `None` where none is chosen.
    pub(super) url: Option<String>,
}

/// The links of a channel, and of a range of it.
pub(super) fn links(frame: &Frame, name: &str, range: Option<Range>) -> Vec<Link> {
    let link = |(label, path, note): &(&'static str, &str, &'static str)| {
        let pattern = frame.url(&path.replace("{name}", name));
        let url = range.map(|range| {
            let (start, end) = (range.start.to_string(), range.end.to_string());
            pattern.replace("{start}", &start).replace("{end}", &end)
        });
        Link { label, note, pattern, url }
    };
    LINKS.iter().map(link).collect()
}
