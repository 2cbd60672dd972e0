//! Where the playlists of a channel say that its chunks and init segments are.
//!
//! Addresses here are relative: a playlist is the same whoever asks for it by whatever name, also behind proxies, so that caches
//! can keep one for all.

use crate::channel::{Channel, Media};
use crate::grid::Cell;
use crate::playlist::Addresses;

/// The addresses in one playlist.
pub(super) struct Places<'a> {
    channel: &'a Channel,
    /// What leads from the playlist to the root of this server: `../../../`.
    root: &'static str,
}

impl<'a> Places<'a> {
    /// Those of a playlist whose path has `depth` slashes behind the first.
    pub(super) fn new(channel: &'a Channel, depth: usize) -> Places<'a> {
        const UP: &str = "../../../../../../";
        Places { channel, root: UP.get(..3 * depth).unwrap_or(UP) }
    }

    /// An address on this server; `path` has no slash in front.
    pub(super) fn here(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }
}

impl Addresses for Places<'_> {
    fn chunk(&self, cell: Cell) -> String {
        let key = cell.key(self.channel.name.as_str());
        // ffmpeg takes a segment of HLS by the ending of its address only, and it does not know the one that chunks have.
        match (&self.channel.media, &self.channel.public_url) {
            (Media::Direct, Some(url)) => format!("{}/{key}?.mp4", url.as_str().trim_end_matches('/')),
            _ => self.here(&format!("chunk/{}.mp4", key.trim_end_matches(".ismv"))),
        }
    }

    fn init(&self, cell: Cell, file_track_id: u32) -> String {
        self.here(&format!("init/{}/{cell}/{file_track_id}.mp4", self.channel.name))
    }

    fn nothing(&self) -> String {
        self.here("hls/nothing.mp4")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Layer, Name};

    fn channel(text: &str) -> Channel {
        let layer = Layer::parse(&format!("channel_url = \"http://a/b.isml\"\n{text}"), "news.toml").unwrap();
        let name: Name = "news".parse().unwrap();
        Channel::resolve(&name, &layer, &Layer::default(), &|_| unreachable!()).unwrap()
    }

    #[test]
    fn chunks_are_here_unless_the_channel_sends_players_elsewhere() {
        let cell = Cell::from_range("2018-12-06T12:55:00Z--2018-12-06T13:00:00Z".parse().unwrap());
        let key = "news/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z";
        let cdn = "public_url = \"https://cdn.example.com/a/\"\n";
        for (text, depth, expected) in [
            ("", 1, format!("../chunk/{key}.mp4")),
            ("", 3, format!("../../../chunk/{key}.mp4")),
            (cdn, 3, format!("https://cdn.example.com/a/{key}.ismv?.mp4")),
            (&format!("{cdn}[playback]\nmedia = \"serve\""), 0, format!("chunk/{key}.mp4")),
        ] {
            assert_eq!(Places::new(&channel(text), depth).chunk(cell), expected, "{text}");
        }
        let init = Places::new(&channel(cdn), 2).init(cell, 4);
        assert_eq!(init, "../../init/news/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z/4.mp4");
    }
}
