//! Other people's players, and the page's own, on an archive that the program made: the browser's own HLS, hls.js, Shaka Player
//! and dash.js, from npm, in Debian's chromium. Chunks on a disk, and chunks in a bucket to which players are sent.

use std::path::Path;
use std::process::Command;

use npvr::time::Range;

use super::common::live::Live;
use super::common::s3::{S3Server, SECRET, lines};
use super::common::{Ran, Site, finish};
use super::{Server, root, tools};

/// The players, and the playlists that each of them plays.
const PLAYERS: [(&str, &str); 5] = [
    ("native", "hls/news/RANGE/master.m3u8?gaps=skip"),
    ("hls", "hls/news/RANGE/master.m3u8?gaps=skip"),
    ("shaka", "hls/news/RANGE/master.m3u8?gaps=skip"),
    ("shaka", "dash/news/RANGE.mpd"),
    ("dash", "dash/news/RANGE.mpd"),
];

/// A minute and a half of a channel, with a chunk missing in the middle.
struct Archive {
    site: Site,
    /// All of it, from two seconds after the start of a chunk to half a second before the end of one.
    range: Range,
    _live: Live,
}

impl Archive {
    /// `more` are lines of the channel's file.
    fn make(more: &str) -> Archive {
        let live = Live::holding(9);
        let site = Site::new();
        site.channel("news", live.url("news"), more);
        let cell = |n: i64| live.cell_before_end(n);
        for part in [Range::new(cell(8).start, cell(5).end), Range::new(cell(3).start, cell(0).end)] {
            site.run(["capture", "news", &part.to_string()]).expect(0);
        }
        let (start, end) = (cell(8).start, cell(0).end);
        let range = Range::new(start.plus(from_ms(2_000)), end.minus(from_ms(500)));
        Archive { site, range, _live: live }
    }

    /// Every player on what `server` serves of it.
    fn play(&self, server: &Server) {
        for (player, path) in PLAYERS {
            let url = format!("{}/{}", server.url, path.replace("RANGE", &self.range.to_string()));
            run("play.mjs", &[player, &url]);
        }
    }

    /// The page of the channel, with the player that the browser has, and with hls.js.
    fn watch(&self, server: &Server, name: &str, views: &[&str]) {
        let page =
            format!("{}/channel/news?from={}&to={}#play", server.url, self.range.start, self.range.end);
        let shots = root().join("target/screenshots");
        std::fs::create_dir_all(&shots).unwrap();
        for view in views {
            let shot = shots.join(format!("player-{name}-{view}.png"));
            run("watch.mjs", &[view, &page, &shot.to_string_lossy()]);
        }
    }
}

fn from_ms(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(ms)
}

/// Runs a script of this folder.
#[track_caller]
fn run(script: &str, args: &[&str]) {
    let mut command = Command::new("node");
    command.arg(root().join("tests/browser").join(script)).args(args).env("NPVR_BROWSER_TOOLS", tools());
    let Ran { code, stdout, stderr } = finish(command);
    assert_eq!(code, Some(0), "{script} {args:?}: {stdout}\n{stderr}\n(node, chromium, npm: tests/run)");
}

fn library() -> String {
    tools().join("node_modules/hls.js").to_string_lossy().into_owned()
}

#[test]
fn every_player_plays_a_clip_from_chunks_on_a_disk() {
    let archive = Archive::make("");
    archive.play(&Server::start(&archive.site));
}

#[test]
fn every_player_plays_a_clip_from_a_bucket_to_which_it_is_sent() {
    let s3 = S3Server::start();
    let archive = Archive::make(&lines(&s3.url(), SECRET));
    archive.play(&Server::start(&archive.site));
}

#[test]
fn the_page_of_a_channel_plays_the_chosen_range_in_its_place() {
    let archive = Archive::make("");
    let server = Server::with(&archive.site, &["--hls-js", &library()]);
    archive.watch(&server, "disk", &["desk-light", "desk-dark", "phone-light", "phone-dark", "hls-js"]);
    let plain = Server::start(&archive.site);
    archive.watch(&plain, "disk", &["no-hls"]);
}

#[test]
fn the_page_of_a_channel_plays_from_a_bucket_and_may_load_from_there_and_nowhere_else() {
    let s3 = S3Server::start();
    let archive = Archive::make(&lines(&s3.url(), SECRET));
    let server = Server::with(&archive.site, &["--hls-js", &library()]);
    archive.watch(&server, "bucket", &["desk-light", "hls-js"]);
}

#[test]
fn a_demo_ends_in_a_page_with_a_clip_that_plays() {
    let site = Site::new();
    let server = Server::of(site.command(["demo", "--for", "PT2M"]));
    let shot = root().join("target/screenshots/demo.png");
    std::fs::create_dir_all(Path::new(&shot).parent().unwrap()).unwrap();
    run("watch.mjs", &["demo", &server.url, &shot.to_string_lossy()]);
}
