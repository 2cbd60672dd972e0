//! What every playlist of fragments begins with: a clip of a real channel's size, from the ledger down to its fragments. No chunk
//! is opened, as there is none.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use npvr::clip::Ask;
use npvr::clock::Tick;
use npvr::grid::{Cell, Grid};
use npvr::ledger::{Claimed, Commit, Coverage, JobStats, Ledger, SqliteLedger, Stored};
use npvr::media::{Index, IndexEntry, Traits};
use npvr::playback::{Footage, footage};
use npvr::time::{Range, Time, Timescale};

use crate::cost::{empty, heading, spread};
use crate::{Figure, Result, folder};

/// Two tracks of pictures and two of sound in fragments of 1.92 s, in chunks of five minutes.
pub(crate) const TRACKS: u32 = 4;
pub(crate) const FRAGMENT_MS: i64 = 1_920;
const CHUNK_S: i64 = 300;
const HOURS: i64 = 25;
/// On the grid.
const SINCE_S: i64 = 1_800_000_000;
const NEWS: &str = "news";
pub(crate) const TURNS: usize = 101;

/// A clip of an hour, and one of a day.
pub(crate) fn reel() -> Result<Vec<Figure>> {
    let site = folder("reel")?;
    let (ledger, each) = filled(&site)?;
    // In turns, so that a machine that others use is slow for both.
    let (mut hours, mut days, mut encoded) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        hours.push(clip(&ledger, 1)?);
        days.push(clip(&ledger, 24)?);
        encoded.push(decode(&ledger)?);
    }
    heading(&format!("a clip of {TRACKS} tracks down to its fragments, {TURNS} times"));
    let (hour, day, encoded) = (spread(hours), spread(days), spread(encoded));
    hour.print("1 hour, all of it", "ms");
    day.print("24 hours, all of it", "ms");
    encoded.print("1 hour, reading its indexes alone", "ms");
    println!("index: {each:.2} bytes a fragment");
    drop(ledger);
    empty(&site)?;
    let figure = |what, value, unit, limit| Figure { what, value, unit, limit };
    Ok(vec![
        figure("fragments of a clip of 1 hour × 4 tracks", hour.median, "ms", 1.5),
        figure("fragments of a clip of 24 hours / of 1 hour", day.median / hour.median, "×", 24.0),
        figure("fragment index, for each fragment", each, "B", 4.0),
    ])
}

/// A ledger of 25 hours, and how many bytes its indexes have for each fragment.
pub(crate) fn filled(site: &Path) -> Result<(SqliteLedger, f64)> {
    empty(site)?;
    let ledger = SqliteLedger::open(site)?;
    let (mut bytes, mut fragments) = (0, 0);
    for n in 0..HOURS * 3_600 / CHUNK_S {
        let index = index(n)?;
        let encoded = index.encode();
        bytes += encoded.len();
        fragments += index.in_file_order().len();
        store(&ledger, n, &encoded)?;
    }
    Ok((ledger, bytes as f64 / fragments as f64))
}

/// So many hours of it, down to its fragments; they begin within a cell.
pub(crate) fn hours(ledger: &SqliteLedger, hours: i64) -> Result<Footage> {
    let start = Time::from_s(SINCE_S + 617);
    let ask = Ask::from(Range::new(start, Time::from_s(SINCE_S + 617 + hours * 3_600)));
    Ok(footage(ledger, NEWS, grid()?, &ask, Time::from_s(SINCE_S * 2))?)
}

/// How long a clip of so many hours takes that begins within a cell, in ms.
fn clip(ledger: &SqliteLedger, hours: i64) -> Result<f64> {
    let began = Tick::now();
    let footage = self::hours(ledger, hours)?;
    let reel = footage.reel(&[]);
    let ms = began.elapsed().as_secs_f64() * 1_000.0;
    let fragments: usize = reel.runs.iter().flat_map(|r| &r.tracks).map(|t| t.fragments().count()).sum();
    let expected = usize::try_from(hours * 3_600_000 / FRAGMENT_MS * i64::from(TRACKS))?;
    if reel.runs.len() != 1 || fragments.abs_diff(expected) > 8 {
        return Err(format!("{fragments} fragments are not {expected}").into());
    }
    black_box(reel);
    Ok(ms)
}

/// How long the indexes of an hour take to be read, in ms.
fn decode(ledger: &SqliteLedger) -> Result<f64> {
    let start = Time::from_s(SINCE_S);
    let encoded = ledger.indexes(NEWS, Range::new(start, start.plus(Duration::from_secs(3_600))))?;
    let began = Tick::now();
    for (_, bytes) in &encoded {
        black_box(Index::decode(bytes)?);
    }
    Ok(began.elapsed().as_secs_f64() * 1_000.0)
}

fn grid() -> Result<Grid> {
    Ok(Grid::new(Duration::from_secs(CHUNK_S.unsigned_abs()))?)
}

fn cell(n: i64) -> Result<Cell> {
    Ok(grid()?.cell_at(Time::from_s(SINCE_S + n * CHUNK_S)))
}

/// The index of the `n`th chunk: the fragments that begin in its cell, in the order of time, as uneven as an encoder's.
fn index(n: i64) -> Result<Index> {
    let mut index = Index::default();
    let (mut at, mut noise) = (4_000, n.unsigned_abs());
    let mut random = move |below: u64| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) % below
    };
    let ms = CHUNK_S * 1_000;
    let first = (n * ms).div_euclid(FRAGMENT_MS) + i64::from((n * ms).rem_euclid(FRAGMENT_MS) > 0);
    for fragment in (first..).take_while(|f| f * FRAGMENT_MS < (n + 1) * ms) {
        for track in 1..=TRACKS {
            let (hz, frame, size) = match track {
                1 => (90_000, 1, 900_000 + random(600_000)),
                2 => (90_000, 1, 250_000 + random(200_000)),
                _ => (44_100, 1_024, 30_000 + random(1_200)),
            };
            let ticks =
                |f: i64| -(-(SINCE_S * 1_000 + f * FRAGMENT_MS) * hz / 1_000).div_euclid(frame) * frame;
            let entry = IndexEntry {
                decode_time: u64::try_from(ticks(fragment))?,
                duration_ticks: u32::try_from(ticks(fragment + 1) - ticks(fragment))?,
                moof_offset: at,
                prefix_size: 0,
                size,
                sync: true,
            };
            at += size;
            index.push(track, Timescale::new(u32::try_from(hz)?)?, entry);
        }
    }
    for track in &mut index.tracks {
        let is_video = track.track_id < 3;
        track.traits = Some(Traits {
            init: 0x0123_4567_89AB_CDEF + u64::from(track.track_id),
            samples: if is_video { 7_500 } else { 12_919 },
            codecs: Some(if is_video { "avc1.64001F" } else { "mp4a.40.2" }.to_owned()),
            size: is_video.then_some((1_280, 720)),
            channels: if is_video { 0 } else { 2 },
            ..Traits::default()
        });
    }
    Ok(index)
}

fn store(ledger: &dyn Ledger, n: i64, index: &[u8]) -> Result<()> {
    let cell = cell(n)?;
    let Claimed::Job { id, .. } = ledger.claim(NEWS, cell, "native", cell.end(), "bench", 1)? else {
        return Err("a cell cannot be claimed".into());
    };
    let stored =
        Stored { coverage: Coverage::Complete, key: cell.key(NEWS), bytes: 300_000_000, sha256: [0; 32] };
    let stats = JobStats::default();
    let chunk = Commit { stored: &stored, index, gaps: &[], stats, retry_at: None, message: None };
    Ok(ledger.commit(id, cell.end(), &chunk)?)
}
