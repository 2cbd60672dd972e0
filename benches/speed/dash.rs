//! Descriptions for DASH of a real channel's size, from the ledger to the text. No chunk is opened, as there is none.

use npvr::clock::Tick;
use npvr::grid::Cell;
use npvr::ledger::SqliteLedger;
use npvr::playlist::Addresses;
use npvr::playlist::dash::{Naming, Show, Shown, mpd};
use npvr::track::{Medium, Track};

use crate::cost::{empty, heading, spread};
use crate::reel::{FRAGMENT_MS, TRACKS, TURNS, filled, hours};
use crate::{Figure, Result, folder};

/// An hour, and a day, in either form.
pub(crate) fn dash() -> Result<Vec<Figure>> {
    let site = folder("dash")?;
    let (ledger, _) = filled(&site)?;
    let (mut hour, mut day, mut hour_list, mut day_list) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // In turns, so that a machine that others use is slow for all.
    for _ in 0..TURNS {
        hour.push(described(&ledger, 1, Naming::Template)?);
        day.push(described(&ledger, 24, Naming::Template)?);
        hour_list.push(described(&ledger, 1, Naming::List)?);
        day_list.push(described(&ledger, 24, Naming::List)?);
    }
    heading(&format!("a clip of {TRACKS} tracks as an MPD, from the ledger, {TURNS} times"));
    let (hour, day, hour_list, day_list) = (spread(hour), spread(day), spread(hour_list), spread(day_list));
    hour.print("1 hour, by template", "ms");
    day.print("24 hours, by template", "ms");
    hour_list.print("1 hour, by list", "ms");
    day_list.print("24 hours, by list", "ms");
    drop(ledger);
    empty(&site)?;
    let figure = |what, value, unit, limit| Figure { what, value, unit, limit };
    Ok(vec![
        figure("MPD of a clip of 1 hour × 4 tracks, by template", hour.median, "ms", 5.0),
        figure("MPD of a clip of 1 hour × 4 tracks, by list", hour_list.median, "ms", 5.0),
        figure("MPD of 24 hours / of 1 hour, by template", day.median / hour.median, "×", 24.0),
        figure("MPD of 24 hours / of 1 hour, by list", day_list.median / hour_list.median, "×", 24.0),
    ])
}

/// How long the description of so many hours takes, in ms.
fn described(ledger: &SqliteLedger, hours: i64, naming: Naming) -> Result<f64> {
    let tracks: Vec<Track> = (1..=TRACKS).map(track).collect();
    let began = Tick::now();
    let footage = self::hours(ledger, hours)?;
    let reel = footage.reel(&[]);
    let shown: Vec<Shown<'_>> =
        (1..).zip(&tracks).map(|(id, track)| Shown { id, track, rate: Some((25, 1)) }).collect();
    let show = Show {
        clip: &footage.clip,
        reel: &reel,
        tracks: &shown,
        naming,
        template: "../../dash/news/clip/$RepresentationID$/$Time$.m4s",
        keeps_gaps: false,
        growth: None,
    };
    let text = mpd(&show, &Here);
    let ms = began.elapsed().as_secs_f64() * 1_000.0;
    let listed = text.matches("<SegmentURL ").count();
    let expected = usize::try_from(hours * 3_600_000 / FRAGMENT_MS * i64::from(TRACKS))?;
    let is_whole = match naming {
        Naming::Template => text.matches("<SegmentTemplate ").count() == 4,
        Naming::List => listed.abs_diff(expected) <= 8,
    };
    if !is_whole {
        return Err(format!("{listed} segments are not {expected}").into());
    }
    Ok(ms)
}

fn track(n: u32) -> Track {
    let medium = if n < 3 { Medium::Video } else { Medium::Audio };
    let language = (medium == Medium::Audio).then(|| format!("q{n}"));
    Track { medium, id: n.to_string(), language, bandwidth: None, codecs: None, size: None }
}

struct Here;

impl Addresses for Here {
    fn chunk(&self, cell: Cell) -> String {
        format!("../../chunk/{}", cell.key("news"))
    }

    fn init(&self, cell: Cell, file_track_id: u32) -> String {
        format!("../../init/news/{cell}/{file_track_id}.mp4")
    }

    fn nothing(&self) -> String {
        String::new()
    }
}
