//! What is measured in thousandths of a second: the start of the program, and the plan of a week.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use npvr::clock::Tick;
use npvr::grid::Grid;
use npvr::plan::{Rules, plan};
use npvr::source::mpd::{Presentation, parse};
use npvr::time::Time;
use url::Url;

use crate::cost::{cost, heading, spread};
use crate::{Figure, NPVR, Result};

const STARTS: usize = 31;
const PLANS: usize = 11;
/// `S` elements of each of the two tracks: a week of segments of 8.064 s, none as long as the one before.
const SEGMENTS: i64 = 75_000;
const TIMESCALE: i64 = 48_000;
const WEEK_S: i64 = 7 * 86_400;

/// `npvr --version`, beside a program that does nothing.
pub(crate) fn start() -> Result<Vec<Figure>> {
    let (mut npvr, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        npvr.push(cost(NPVR, ["--version"])?.wall_s * 1_000.0);
        nothing.push(cost::<&str>("true", [])?.wall_s * 1_000.0);
    }
    heading(&format!("start, {STARTS} times"));
    let npvr = spread(npvr);
    npvr.print("npvr --version", "ms");
    spread(nothing).print("true", "ms");
    Ok(vec![Figure { what: "npvr --version", value: npvr.median, unit: "ms", limit: 10.0 }])
}

/// From the text of a manifest to the decisions on every cell of its week.
pub(crate) fn plan_a_week() -> Result<Vec<Figure>> {
    let now = Time::from_s(1_800_000_000);
    let text = manifest(1_800_000_000 - WEEK_S)?;
    let base = Url::parse("http://127.0.0.1/live/manifest.mpd")?;
    let mut times = Vec::new();
    for _ in 0..PLANS {
        let began = Tick::now();
        let timeline = Presentation::new(&parse(&text)?, &base, now, &[])?.timeline(None);
        let retention = Duration::from_secs(WEEK_S.unsigned_abs());
        let since = now.minus(retention);
        let rules = Rules {
            grid: Grid::new(Duration::from_secs(300))?,
            retention,
            margin: Duration::from_secs(120),
            pieces: true,
            since,
        };
        let decisions = black_box(plan(&rules, &timeline, &[]));
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        if !(2_016..=2_017).contains(&decisions.len()) {
            return Err(format!("{} cells are not a week", decisions.len()).into());
        }
    }
    heading(&format!("plan of a week from {} S elements, {PLANS} times", 2 * SEGMENTS));
    let times = spread(times);
    times.print("manifest to decisions", "ms");
    Ok(vec![Figure { what: "plan of a week", value: times.median, unit: "ms", limit: 150.0 }])
}

/// A live manifest of two tracks whose timelines begin at `start_s` on the epoch.
fn manifest(start_s: i64) -> Result<String> {
    let mut text = String::from(
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\" \
         timeShiftBufferDepth=\"P7D\"><Period id=\"1\" start=\"PT0S\">",
    );
    for (medium, id, bandwidth) in [("video", "video=5000000", 5_000_000), ("audio", "audio=128000", 128_000)]
    {
        write!(
            text,
            "<AdaptationSet contentType=\"{medium}\" mimeType=\"{medium}/mp4\"><SegmentTemplate timescale=\"{TIMESCALE}\" \
             initialization=\"$RepresentationID$.init\" media=\"$RepresentationID$-$Time$.m4s\"><SegmentTimeline>"
        )?;
        let nominal = WEEK_S * TIMESCALE / SEGMENTS;
        let mut at = start_s * TIMESCALE;
        for n in 0..SEGMENTS {
            // One longer, one shorter: nothing can be written as a repetition.
            let d = nominal + if n % 2 == 0 { 512 } else { -512 };
            writeln!(text, "<S t=\"{at}\" d=\"{d}\"/>")?;
            at += d;
        }
        write!(
            text,
            "</SegmentTimeline></SegmentTemplate><Representation id=\"{id}\" bandwidth=\"{bandwidth}\"/></AdaptationSet>"
        )?;
    }
    Ok(text + "</Period></MPD>")
}
