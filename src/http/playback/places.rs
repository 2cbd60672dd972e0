//! Where the playlists of a channel say that its chunks and init segments are.
//!
//! Addresses here are relative: a playlist is the same whoever asks for it by whatever name, also behind proxies, so that caches
//! can keep one for all.

use crate::channel::{Channel, Media};
use crate::grid::Cell;
use crate::http::signed::Signer;
use crate::playlist::Addresses;

/// The addresses in one playlist.
pub(super) struct Places<'a> {
    channel: &'a Channel,
    /// What leads from the playlist to the root of this server: `../../../`.
    root: &'static str,
    /// What signs them, where the links of the channel are signed.
    signer: Option<Signer>,
}

impl<'a> Places<'a> {
    /// Those of a playlist whose path has `depth` slashes behind the first.
    pub(super) fn new(channel: &'a Channel, depth: usize) -> Places<'a> {
        const UP: &str = "../../../../../../";
        Places { channel, root: UP.get(..3 * depth).unwrap_or(UP), signer: None }
    }

    /// The same, signed: what [`Signer::of`] gives for the request.
    pub(super) fn signed(self, signer: Option<Signer>) -> Places<'a> {
        Places { signer, ..self }
    }

    /// An address on this server; `path` has no slash in front, and may have a query.
    pub(super) fn here(&self, path: &str) -> String {
        self.below(path, "")
    }

    /// The address of `rest`, which may be a template, below a folder on this server that ends with a slash: what is signed is
    /// the folder, and with it all that is below it.
    pub(super) fn below(&self, folder: &str, rest: &str) -> String {
        let address = format!("{}{folder}{rest}", self.root);
        let Some(signer) = &self.signer else { return address };
        let path = folder.split_once('?').map_or(folder, |(path, _)| path);
        let mark = if address.contains('?') { '&' } else { '?' };
        format!("{address}{mark}{}", signer.query(&format!("/{path}")))
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
    use crate::time::Time;

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
    }

    #[test]
    fn what_is_on_this_server_is_signed_once_for_each_address() {
        let cell = Cell::from_range("2018-12-06T12:55:00Z--2018-12-06T13:00:00Z".parse().unwrap());
        let key = cell.key("news").replace(".ismv", ".mp4");
        let cdn = "public_url = \"https://cdn.example.com/a/\"\n";
        let signer = || Some(Signer::test(Time::from_s(1_800_000_000)));
        let channel = channel("");
        let places = Places::new(&channel, 1).signed(signer());
        for (address, path) in [
            (places.chunk(cell), format!("chunk/{key}")),
            (places.init(cell, 4), format!("init/news/{cell}/4.mp4")),
        ] {
            let query = signer().map(|signer| signer.query(&format!("/{path}"))).unwrap();
            assert_eq!(address, format!("../{path}?{query}"));
        }
        let of = |path: &str| signer().map(|signer| signer.query(path)).unwrap();
        assert_eq!(places.here("a/b?gaps=mark"), format!("../a/b?gaps=mark&{}", of("/a/b")));
        assert_eq!(places.below("a/b/", "$Time$.m4s"), format!("../a/b/$Time$.m4s?{}", of("/a/b/")));
        let elsewhere = self::channel(cdn);
        let elsewhere = Places::new(&elsewhere, 1).signed(signer());
        assert_eq!(
            elsewhere.chunk(cell),
            format!("https://cdn.example.com/a/{}?.mp4", cell.key("news")),
            "others sign there"
        );
    }

    #[test]
    fn init_segments_are_always_here() {
        let cell = Cell::from_range("2018-12-06T12:55:00Z--2018-12-06T13:00:00Z".parse().unwrap());
        let init = Places::new(&channel("public_url = \"https://cdn.example.com/a/\"\n"), 2).init(cell, 4);
        assert_eq!(init, "../../init/news/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z/4.mp4");
    }
}
