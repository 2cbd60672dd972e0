//! HLS: the playlists of a clip of a real channel's size, from the ledger to their text.

use std::hint::black_box;

use npvr::clock::Tick;
use npvr::grid::Cell;
use npvr::ledger::SqliteLedger;
use npvr::playlist::hls::{Child, Form, Hls, Listed};
use npvr::playlist::{Addresses, Gaps};
use npvr::track::{Medium, Track};

use crate::cost::{empty, heading, spread};
use crate::reel::{filled, hours};
use crate::{Figure, Result, folder};

const TURNS: usize = 51;

/// As long as those of the server.
struct Places;

impl Addresses for Places {
    fn chunk(&self, cell: Cell) -> String {
        format!("../../../chunk/{}", cell.key("news"))
    }

    fn init(&self, cell: Cell, file_track_id: u32) -> String {
        format!("../../../init/news/{cell}/{file_track_id}.mp4")
    }

    fn nothing(&self) -> String {
        "../../../hls/nothing.mp4".to_owned()
    }
}

/// All playlists of an hour, and of a day.
pub(crate) fn hls() -> Result<Vec<Figure>> {
    let site = folder("hls")?;
    let (ledger, _) = filled(&site)?;
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        short.push(all(&ledger, 1)?);
        long.push(all(&ledger, 24)?);
    }
    heading(&format!("master and media playlists of HLS, {TURNS} times"));
    let (hour, day) = (spread(short), spread(long));
    hour.print("1 hour", "ms");
    day.print("24 hours", "ms");
    drop(ledger);
    empty(&site)?;
    let figure = |what, value, unit, limit| Figure { what, value, unit, limit };
    Ok(vec![
        figure("HLS of a clip of 1 hour × 4 tracks, all playlists", hour.median, "ms", 5.0),
        figure("HLS of a clip of 24 hours / of 1 hour", day.median / hour.median, "×", 24.0),
    ])
}

/// How long all playlists of `count` hours take, in ms, each asked for by itself: from the ledger to its text.
fn all(ledger: &SqliteLedger, count: i64) -> Result<f64> {
    let track = |medium, language: Option<&str>| Track {
        medium,
        id: "1".to_owned(),
        language: language.map(str::to_owned),
        bandwidth: None,
        codecs: None,
        size: None,
    };
    let tracks = [
        track(Medium::Video, None),
        track(Medium::Video, None),
        track(Medium::Audio, Some("eng")),
        track(Medium::Audio, Some("nld")),
    ];
    let began = Tick::now();
    let mut lines = 0;
    for file in 0..=4 {
        let footage = hours(ledger, count)?;
        let reel = footage.reel(&[]);
        let hls = Hls::new(&footage.clip, &reel, Gaps::Skip, Form::Whole)?;
        let text = match file {
            0 => {
                let listed: Vec<Listed<'_>> = tracks
                    .iter()
                    .zip(1..)
                    .map(|(track, id)| Listed { id, track, rate: Some((25, 1)) })
                    .collect();
                hls.master(&listed, &|child: Child| child.to_string())
            }
            id => hls.media(id, &Places),
        };
        lines += black_box(text.ok_or("there is no playlist")?).len();
    }
    let ms = began.elapsed().as_secs_f64() * 1_000.0;
    if lines < 100_000 {
        return Err(format!("{lines} bytes are not all playlists").into());
    }
    Ok(ms)
}
