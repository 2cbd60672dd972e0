//! An archive of a simulated channel, its server, and the players that ask it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use npvr::sim::Fault;
use npvr::time::{Range, Time};

use crate::common::home::Home;
use crate::common::live::{CELL_S, Live};
use crate::common::serving::Serving;
use crate::common::{PATIENCE, Site, finish};
use crate::m3u8::{Master, Media};

/// What was answered.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Said {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// A header, by its name in small letters; nothing where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let of = |line: &&str| line.split_once(": ").is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        self.headers.lines().find(of).map_or("", |line| line.split_once(": ").unwrap().1)
    }
}

/// A channel `news` with cells of ten seconds, which is archived, and the server.
pub(crate) struct Stage {
    pub(crate) live: Live,
    pub(crate) site: Site,
    server: Serving,
    _home: Home,
}

impl Stage {
    pub(crate) fn of(live: Live, home: Home, faults: impl FnOnce(&Live) -> Vec<Fault>) -> Stage {
        let site = Site::new();
        live.set_faults(faults(&live));
        site.channel("news", live.url("news"), &home.lines());
        let code = site.check().code;
        assert!(matches!(code, Some(0 | 3)), "{code:?}");
        let server = Serving::start(&site, &[]);
        Stage { live, site, server, _home: home }
    }

    /// So many whole cells, on a disk.
    pub(crate) fn whole(cells: i64) -> Stage {
        Stage::of(Live::holding(cells), Home::Disk, |_| Vec::new())
    }

    pub(crate) fn get_with(&self, target: &str, more: &str) -> Said {
        let authority = &self.server.authority;
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{more}\r\n")
            .unwrap();
        let mut answer = Vec::new();
        // No playlist here is longer.
        stream.take(16 << 20).read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let headers = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Said { status, headers, body: answer[end + 4..].to_vec() }
    }

    pub(crate) fn get(&self, target: &str) -> Said {
        self.get_with(target, "")
    }

    /// The address of what the playlist at `from` calls `uri`.
    pub(crate) fn link(&self, from: &str, uri: &str) -> String {
        let base = url::Url::parse(&self.url(from)).unwrap();
        let url = base.join(uri).unwrap();
        url[url::Position::BeforePath..].to_owned()
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.server.authority)
    }

    #[track_caller]
    pub(crate) fn master(&self, target: &str) -> Master {
        let said = self.get(target);
        assert_eq!(
            (said.status, said.header("content-type")),
            (200, "application/vnd.apple.mpegurl"),
            "{said:?}"
        );
        Master::read(said.text())
    }

    /// The address of the best pictures in a master playlist.
    #[track_caller]
    pub(crate) fn best(&self, master: &str) -> String {
        self.link(master, self.master(master).variants[0].need("URI"))
    }

    #[track_caller]
    pub(crate) fn media(&self, target: &str) -> Media {
        let said = self.get(target);
        assert_eq!(said.status, 200, "{said:?}");
        Media::read(said.text())
    }

    /// So many ms behind the start of the `n`th cell before the last.
    pub(crate) fn at(&self, n: i64, ms: i64) -> Time {
        let start = self.live.end().s() - (n + 1) * CELL_S;
        Time::from_ns((start * 1_000 + ms) * 1_000_000)
    }

    pub(crate) fn range(&self, from: (i64, i64), to: (i64, i64)) -> Range {
        Range::new(self.at(from.0, from.1), self.at(to.0, to.1))
    }

    /// Decodes all tracks of a playlist, about which ffmpeg must have nothing to say; how many pictures there are. It is told
    /// to connect anew for every segment: where it is redirected it says that it has to, each time.
    #[track_caller]
    pub(crate) fn decode(&self, target: &str) -> usize {
        let url = self.url(target);
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args([
            "-v",
            "warning",
            "-http_persistent",
            "0",
            "-copyts",
            "-i",
            &url,
            "-map",
            "0",
            "-f",
            "null",
            "-",
        ]);
        assert_eq!(finish(ffmpeg).expect(0).stderr, "", "{target}");
        let mut ffprobe = Command::new("ffprobe");
        let entries = ["-select_streams", "v:0", "-count_frames", "-show_entries", "stream=nb_read_frames"];
        ffprobe.args(["-v", "warning", "-http_persistent", "0"]).args(entries).args(["-of", "csv=p=0", &url]);
        let ran = finish(ffprobe).expect(0);
        assert_eq!(ran.stderr, "", "{target}");
        let number = ran.stdout.lines().find_map(|line| line.trim_end_matches(',').parse().ok());
        number.unwrap_or_else(|| panic!("{ran:?}"))
    }
}
