//! The head of an MP4 file of a real channel's size: from the ledger, and from the heads of all fragments, on a disk whose pages
//! are in memory.
//!
//! All chunks are one file by many names, whose media is a hole: what is read of it is real.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use npvr::clip::Ask;
use npvr::clock::Tick;
use npvr::grid::{Cell, Grid};
use npvr::ledger::{Claimed, Commit, Coverage, JobStats, Ledger, SqliteLedger, Stored};
use npvr::media::{HeaderTrack, Index, IndexEntry, Init, Traits, header};
use npvr::playback::footage;
use npvr::playback::movie::plan;
use npvr::playlist::Gaps;
use npvr::playlist::mp4::Choice;
use npvr::store::DiskStore;
use npvr::time::{Range, Time};
use npvr::track::{Medium, Track};

use crate::cost::{empty, heading, spread};
use crate::{Figure, Result, folder};

/// Two tracks of pictures and two of sound in fragments of 1.92 s, in chunks of five minutes.
const TRACKS: u32 = 4;
const CHUNK_S: i64 = 300;
const FRAGMENTS: i64 = 156;
const FRAGMENT_MS: i64 = 1_920;
const HOURS: i64 = 25;
/// On the grid.
const SINCE_S: i64 = 1_800_000_000;
const NEWS: &str = "news";
const HOUR_TURNS: usize = 31;
const DAY_TURNS: usize = 5;

/// A file of an hour, and one of a day.
pub(crate) fn mp4() -> Result<Vec<Figure>> {
    let site = folder("mp4")?;
    empty(&site)?;
    let archive = site.join("archive");
    let store = DiskStore::open_or_create(&archive)?;
    let ledger = SqliteLedger::open(&site)?;
    fill(&ledger, &archive)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let spool = site.join("spool");
    let head = |hours: i64| -> Result<f64> {
        let start = Time::from_s(SINCE_S + 617);
        let ask = Ask::from(Range::new(start, Time::from_s(SINCE_S + 617 + hours * 3_600)));
        let began = Tick::now();
        let footage = footage(&ledger, NEWS, grid()?, &ask, Time::from_s(SINCE_S * 2))?;
        let plan = plan(&ledger, NEWS, &footage, &"video=all".parse::<Choice>()?, Gaps::Skip)?;
        let movie = runtime.block_on(plan.make(&store, &spool, || {}))?;
        let ms = began.elapsed().as_secs_f64() * 1_000.0;
        let off_ns = movie.presented_ns - hours * 3_600 * 1_000_000_000;
        // The last fragment of a chunk ends before the next begins.
        if off_ns.abs() > 1_000_000_000 {
            return Err(format!("{hours} hours are off by {off_ns} ns").into());
        }
        Ok(ms)
    };
    head(24)?;
    let hours = (0..HOUR_TURNS).map(|_| head(1)).collect::<Result<Vec<f64>>>()?;
    let days = (0..DAY_TURNS).map(|_| head(24)).collect::<Result<Vec<f64>>>()?;
    heading(&format!("the head of an MP4 file of {TRACKS} tracks, {HOUR_TURNS} and {DAY_TURNS} times"));
    let (hour, day) = (spread(hours), spread(days));
    hour.print("1 hour", "ms");
    day.print("24 hours", "ms");
    drop(ledger);
    empty(&site)?;
    let figure = |what, value, unit, limit| Figure { what, value, unit, limit };
    Ok(vec![
        figure("head of an MP4 file of 1 hour × 4 tracks", hour.median, "ms", 40.0),
        figure("head of an MP4 file of 24 hours / of 1 hour", day.median / hour.median, "×", 24.0),
    ])
}

fn grid() -> Result<Grid> {
    Ok(Grid::new(std::time::Duration::from_secs(CHUNK_S.unsigned_abs()))?)
}

fn is_video(track: u32) -> bool {
    track < 3
}

/// The init segment of a track.
fn init(track: u32) -> Result<Init> {
    let name = if is_video(track) { "video_cmaf.mp4" } else { "audio_cmaf.mp4" };
    let file = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media").join(name))?;
    let moof = file.windows(4).position(|w| w == b"moof").ok_or("a fixture without a moof")? - 4;
    Ok(Init::parse(&file[..moof])?)
}

/// Puts 25 hours into ledger and store.
fn fill(ledger: &SqliteLedger, archive: &Path) -> Result<()> {
    let inits = (1..=TRACKS).map(|track| Ok(vec![init(track)?])).collect::<Result<Vec<_>>>()?;
    let ids = 1..=TRACKS;
    let tracks: Vec<HeaderTrack<'_>> =
        ids.clone().zip(&inits).map(|(id, inits)| HeaderTrack { id, inits }).collect();
    let named: Vec<Track> = ids.map(track).collect();
    let registered: Vec<_> = named.iter().zip(&inits).map(|(t, i)| (t, i[0].timescale())).collect();
    ledger.register_tracks(NEWS, &registered, Time::from_s(SINCE_S))?;
    let (layout, bytes) = write_chunk(&archive.join("chunk"), &header(&tracks)?, &inits)?;
    for n in 0..HOURS * 3_600 / CHUNK_S {
        let cell = grid()?.cell_at(Time::from_s(SINCE_S + n * CHUNK_S));
        let file = archive.join(cell.key(NEWS));
        fs::create_dir_all(file.parent().ok_or("a key without a folder")?)?;
        fs::hard_link(archive.join("chunk"), file)?;
        store(ledger, cell, &placed(&layout, cell)?, bytes)?;
    }
    Ok(fs::remove_file(archive.join("chunk"))?)
}

fn track(n: u32) -> Track {
    let medium = if is_video(n) { Medium::Video } else { Medium::Audio };
    Track { medium, id: n.to_string(), language: None, bandwidth: None, codecs: None, size: None }
}

/// Writes a chunk of which only heads are there; its index, as of a chunk at the epoch, and its length.
fn write_chunk(path: &Path, header: &[u8], inits: &[Vec<Init>]) -> Result<(Index, u64)> {
    let mut file = File::create(path)?;
    file.write_all(header)?;
    let (mut index, mut at, mut noise) = (Index::default(), header.len() as u64, 1_u64);
    for fragment in 0..FRAGMENTS {
        for track in 1..=TRACKS {
            let (samples, lasts, size) = if is_video(track) { (48, 512, 25_000) } else { (90, 1_024, 350) };
            let sizes: Vec<u32> = (0..samples)
                .map(|_| {
                    noise =
                        noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    size + u32::try_from(noise >> 40).unwrap_or(0) % (size / 2)
                })
                .collect();
            let head = moof(track, lasts, &sizes);
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&head)?;
            let bytes = head.len() as u64 + sizes.iter().map(|size| u64::from(*size)).sum::<u64>();
            let scale = inits[track as usize - 1][0].timescale();
            let entry = IndexEntry {
                decode_time: u64::try_from(fragment * FRAGMENT_MS)? * u64::from(scale.get()) / 1_000,
                duration_ticks: samples * lasts,
                moof_offset: at,
                prefix_size: 0,
                size: bytes,
                sync: true,
            };
            index.push(track, scale, entry).traits =
                Some(Traits { init: 1, samples: 1, ..Traits::default() });
            at += bytes;
        }
    }
    file.set_len(at)?;
    Ok((index, at))
}

/// A `moof`, and the header of the `mdat` behind it.
fn moof(track: u32, lasts: u32, sizes: &[u32]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let boxed = |kind: &[u8; 4], body: Vec<u8>| {
        let size = u32::try_from(body.len() + 8).unwrap_or(0).to_be_bytes();
        [&size[..], kind, &body].concat()
    };
    let count = u32::try_from(sizes.len()).unwrap_or(0);
    // Size and composition offset of each sample: pictures change places.
    let samples: Vec<u32> = (0..).zip(sizes).flat_map(|(n, size)| [*size, (1 + n % 3) * lasts]).collect();
    let with = |offset: u32| {
        // Offsets count from the moof; one duration for all.
        let tfhd = boxed(b"tfhd", words(&[0x02_0028, track, lasts, 0x0101_0000]));
        let tfdt = boxed(b"tfdt", words(&[0, 0]));
        let trun = boxed(b"trun", [words(&[0x0A05, count, offset, 0x0200_0000]), words(&samples)].concat());
        let mfhd = boxed(b"mfhd", words(&[0, 1]));
        boxed(b"moof", [mfhd, boxed(b"traf", [tfhd, tfdt, trun].concat())].concat())
    };
    let length = u32::try_from(with(0).len()).unwrap_or(0);
    let media = sizes.iter().sum::<u32>() + 8;
    [with(length + 8), media.to_be_bytes().to_vec(), b"mdat".to_vec()].concat()
}

/// The index of a chunk of a cell.
fn placed(layout: &Index, cell: Cell) -> Result<Index> {
    let mut index = layout.clone();
    for track in &mut index.tracks {
        let start = u64::try_from(cell.start().s())? * u64::from(track.timescale.get());
        track.fragments.iter_mut().for_each(|fragment| fragment.decode_time += start);
    }
    Ok(index)
}

fn store(ledger: &dyn Ledger, cell: Cell, index: &Index, bytes: u64) -> Result<()> {
    let Claimed::Job { id, .. } = ledger.claim(NEWS, cell, "native", cell.end(), "bench", 1)? else {
        return Err("a cell cannot be claimed".into());
    };
    let stored = Stored { coverage: Coverage::Complete, key: cell.key(NEWS), bytes, sha256: [0; 32] };
    let stats = JobStats::default();
    let index = index.encode();
    let chunk = Commit { stored: &stored, index: &index, gaps: &[], stats, retry_at: None, message: None };
    Ok(ledger.commit(id, cell.end(), &chunk)?)
}
