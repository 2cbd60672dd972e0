//! Files made of archives with holes, read by a parser that shares no code with ours, and presented as the standard says:
//! every sample that was asked for at its time, and none else.

use std::collections::BTreeMap;
use std::time::Duration;

use mp4_atom::Decode;
use proptest::prelude::*;

use super::*;
use crate::clip::{Clip, Lack, Shelved, cut, reel};
use crate::error::Kind;
use crate::grid::{Cell, Grid};
use crate::media::{
    COLUMNS, FragmentSamples, HeadPart, HeaderTrack, Index, IndexEntry, Init, Sample, Traits, header,
    read_header,
};
use crate::time::{MediaTime, Range, Time, Timescale};
use crate::track::{Medium, Track};

/// The archive begins here, and has so many cells of ten seconds.
const START_S: i64 = 1_700_000_000;
const CELL_S: i64 = 10;
const CELLS: i64 = 4;
/// Frames of pictures, and of sound, in ticks of their timescales.
const VIDEO_FRAME: i64 = 512;
const AUDIO_FRAME: i64 = 1_024;
const VIDEO: u32 = 1;
const AUDIO: u32 = 2;

fn init(track: u32) -> Init {
    let file: &[u8] = match track {
        VIDEO => include_bytes!("../../../tests/fixtures/media/video_edit_list.mp4"),
        _ => include_bytes!("../../../tests/fixtures/media/audio_cmaf.mp4"),
    };
    let moof = file.windows(4).position(|w| w == b"moof").unwrap() - 4;
    Init::parse(&file[..moof]).unwrap()
}

/// What the header of every chunk says.
fn chunk_header() -> Vec<(u32, Vec<Init>)> {
    let inits = [[init(VIDEO)], [init(AUDIO)]];
    let tracks = [HeaderTrack { id: VIDEO, inits: &inits[0] }, HeaderTrack { id: AUDIO, inits: &inits[1] }];
    read_header(&header(&tracks).unwrap()).unwrap()
}

fn at(ms: i64) -> Time {
    Time::from_s(START_S).offset_ns(ms * 1_000_000)
}

fn grid() -> Grid {
    Grid::new(Duration::from_secs(CELL_S.unsigned_abs())).unwrap()
}

/// What is archived.
#[derive(Debug, Clone)]
struct Archive {
    /// Frames of a fragment of pictures; fragments of sound are about as long.
    frames: i64,
    /// How many frames a picture is presented after its turn, and the order in which the next ones are decoded: 0 or 1.
    delay: i64,
    /// Cells that are not there.
    lost: Vec<i64>,
    /// Fragments that are not there: track, and number.
    holes: Vec<(u32, i64)>,
}

/// A sample that was archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    /// When it is presented, in ticks since the epoch, and for how long.
    presented: i64,
    lasts: i64,
    /// Which chunk has it, and where.
    cell: Cell,
    offset: u64,
    size: u32,
}

struct Chunk {
    index: Index,
    fragments: BTreeMap<(u32, u64), FragmentMedia>,
}

struct Archived {
    chunks: BTreeMap<Cell, Chunk>,
    samples: BTreeMap<u32, Vec<Made>>,
}

impl Archive {
    fn scale(track: u32) -> i64 {
        i64::from(init(track).timescale().get())
    }

    /// The samples of the `n`th fragment of a track: decode time, and each sample's duration and composition offset.
    fn fragment(&self, track: u32, n: i64) -> (i64, Vec<(i64, i64)>) {
        let (scale, frame) = (Self::scale(track), if track == VIDEO { VIDEO_FRAME } else { AUDIO_FRAME });
        let edit = init(track).edit_media_time_ticks();
        let first = |n: i64| match track {
            VIDEO => n * self.frames,
            _ => (n * self.frames * VIDEO_FRAME * scale / Self::scale(VIDEO)).div_euclid(frame),
        };
        let (from, to) = (first(n), first(n + 1));
        let delay = if track == VIDEO { self.delay } else { 0 };
        let samples = (0..to - from).map(|k| {
            // Pairs change places, but for the first of the fragment and one that is left over.
            let is_last = k % 2 == 1 && k + 1 == to - from;
            let order = if delay == 0 || k == 0 || is_last {
                k
            } else if k % 2 == 1 {
                k + 1
            } else {
                k - 1
            };
            (frame, (order + delay - k) * frame)
        });
        (START_S * scale + from * frame + edit - delay * frame, samples.collect())
    }

    fn made(&self) -> Archived {
        let mut made = Archived { chunks: BTreeMap::new(), samples: BTreeMap::new() };
        for n in 0.. {
            let start_ns = n * self.frames * VIDEO_FRAME * 1_000_000_000 / Self::scale(VIDEO);
            if start_ns >= CELLS * CELL_S * 1_000_000_000 {
                break;
            }
            for track in [VIDEO, AUDIO] {
                // Each segment is in the chunk of the cell that holds its own start.
                let (decode_time, _) = self.fragment(track, n);
                let delay = if track == VIDEO { self.delay * VIDEO_FRAME } else { 0 };
                let presented = decode_time + delay - init(track).edit_media_time_ticks();
                let cell = grid().cell_at(MediaTime::new(presented, init(track).timescale()).instant());
                let number = (cell.start().s() - START_S) / CELL_S;
                if !self.lost.contains(&number) && !self.holes.contains(&(track, n)) {
                    self.add(&mut made, cell, track, n);
                }
            }
        }
        made
    }

    fn add(&self, made: &mut Archived, cell: Cell, track: u32, n: i64) {
        let (decode_time, samples) = self.fragment(track, n);
        let edit = init(track).edit_media_time_ticks();
        let chunk = made
            .chunks
            .entry(cell)
            .or_insert_with(|| Chunk { index: Index::default(), fragments: BTreeMap::new() });
        let before = chunk.index.tracks.iter().flat_map(|t| &t.fragments).map(|f| f.offset() + f.size);
        let moof_offset = before.max().unwrap_or(1_000);
        let (mut offset, mut decoded) = (moof_offset + 500, decode_time);
        let mut read = Vec::new();
        for (k, (lasts, composition)) in samples.iter().enumerate() {
            let size = 20 + u32::try_from(k % 7).unwrap();
            read.push(Sample {
                offset,
                size,
                duration_ticks: u32::try_from(*lasts).unwrap(),
                composition_ticks: *composition,
                flags: if track == VIDEO && k > 0 { 0x1_0000 } else { 0 },
            });
            let presented = decoded + composition - edit;
            made.samples.entry(track).or_default().push(Made {
                presented,
                lasts: *lasts,
                cell,
                offset,
                size,
            });
            (offset, decoded) = (offset + u64::from(size), decoded + lasts);
        }
        let entry = IndexEntry {
            decode_time: u64::try_from(decode_time).unwrap(),
            duration_ticks: u32::try_from(decoded - decode_time).unwrap(),
            moof_offset,
            prefix_size: 0,
            size: offset - moof_offset,
            sync: true,
        };
        let scale = Timescale::new(u32::try_from(Self::scale(track)).unwrap()).unwrap();
        let delay = if track == VIDEO { self.delay * VIDEO_FRAME } else { 0 };
        let of_track = chunk.index.push(track, scale, entry);
        of_track.traits =
            Some(Traits { init: 1, edit_ticks: edit, reorder_ticks: delay, ..Traits::default() });
        let samples =
            FragmentSamples { decode_time: Some(decode_time), sample_description_index: 1, samples: read };
        let media = FragmentMedia { samples, aux: None, groups: Vec::new() };
        chunk.fragments.insert((track, moof_offset), media);
    }
}

impl Archived {
    fn clip(&self, asked: &[Range]) -> Clip {
        let shelf: Vec<Shelved> = self
            .chunks
            .keys()
            .map(|cell| Shelved { cell: *cell, stored: true, settled: true, capturing: false })
            .collect();
        let lacks: [Lack; 0] = [];
        let part = |range: &Range| cut(*range, &shelf, &lacks, grid(), at(1_000_000));
        Clip { parts: asked.iter().map(part).collect() }
    }

    /// The film of a clip, with all that was read for it.
    fn film(&self, clip: &Clip, keeps_gaps: bool) -> (Film, BTreeMap<(usize, usize), Vec<u8>>) {
        let indexes: BTreeMap<Cell, Index> =
            self.chunks.iter().map(|(cell, chunk)| (*cell, chunk.index.clone())).collect();
        let reel = reel(clip, &indexes, &[]);
        let (mut film, jobs) = Film::new(clip, &reel, &[VIDEO, AUDIO], keeps_gaps);
        let mut columns: BTreeMap<(usize, usize), Vec<u8>> = BTreeMap::new();
        let mut drain = |film: &mut Film| {
            film.drain(|track, column, bytes| {
                columns.entry((track, column as usize)).or_default().extend(bytes);
                Ok(())
            })
            .unwrap();
        };
        let header = chunk_header();
        for job in &jobs {
            let fragments = &self.chunks[&job.cell].fragments;
            let read: Vec<FragmentMedia> = job
                .fragments
                .iter()
                .map(|wanted| fragments[&(wanted.file_track_id, wanted.entry.moof_offset)].clone())
                .collect();
            film.take(job, &header, &read).unwrap();
            drain(&mut film);
        }
        film.finish();
        drain(&mut film);
        (film, columns)
    }
}

/// The head, put together.
fn head(film: &Film, columns: &BTreeMap<(usize, usize), Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in film.head("a note").unwrap() {
        match part {
            HeadPart::Bytes(bytes) => out.extend(bytes),
            HeadPart::Column { track, column, bytes, change } => {
                let changed = change.of(columns.get(&(track, column as usize)).map_or(&[], Vec::as_slice));
                assert_eq!(changed.len() as u64, bytes, "{column:?}");
                out.extend(changed);
            }
        }
    }
    out
}

/// A sample that a player shows: when, in ticks of the movie, for how long, and where in the file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    at: i128,
    until: i128,
    offset: u64,
    size: u32,
}

/// What a player shows of a track, by its tables and its edit list alone.
fn shown(trak: &mp4_atom::Trak, movie: i128) -> Vec<Shown> {
    let stbl = &trak.mdia.minf.stbl;
    let durations: Vec<i128> = (stbl.stts.entries.iter())
        .flat_map(|e| vec![i128::from(e.sample_delta); e.sample_count as usize])
        .collect();
    let offsets: Vec<i128> = stbl
        .ctts
        .iter()
        .flat_map(|ctts| &ctts.entries)
        .flat_map(|e| vec![i128::from(e.sample_offset); e.sample_count as usize])
        .collect();
    let mp4_atom::StszSamples::Different { sizes } = &stbl.stsz.samples else { panic!() };
    assert_eq!((durations.len(), sizes.len()), (sizes.len(), durations.len()));
    assert!(offsets.is_empty() || offsets.len() == sizes.len());
    let chunks: Vec<u64> = match (&stbl.stco, &stbl.co64) {
        (Some(stco), None) => stco.entries.iter().map(|o| u64::from(*o)).collect(),
        (None, Some(co64)) => co64.entries.clone(),
        _ => panic!("one of both"),
    };
    let mut places = Vec::new();
    for (n, chunk) in chunks.iter().enumerate() {
        let run = stbl.stsc.entries.iter().rfind(|e| e.first_chunk as usize <= n + 1).unwrap();
        let mut offset = *chunk;
        for _ in 0..run.samples_per_chunk {
            places.push(offset);
            offset += u64::from(sizes[places.len() - 1]);
        }
    }
    assert_eq!(places.len(), sizes.len(), "chunks have all samples");
    let scale = i128::from(trak.mdia.mdhd.timescale);
    let mut found = Vec::new();
    let mut cursor = 0_i128;
    for edit in &trak.edts.as_ref().unwrap().elst.as_ref().unwrap().entries {
        let length = i128::from(edit.segment_duration);
        if let Some(media) = edit.media_time {
            let mut decoded = 0_i128;
            for n in 0..sizes.len() {
                let composed = decoded + offsets.get(n).copied().unwrap_or(0);
                let from = (composed - i128::from(media)) * movie / scale;
                let to = (composed + durations[n] - i128::from(media)) * movie / scale;
                decoded += durations[n];
                if to > 0 && from < length {
                    let at = cursor + from.max(0);
                    let until = cursor + to.min(length);
                    found.push(Shown { at, until, offset: places[n], size: sizes[n] });
                }
            }
        }
        cursor += length;
    }
    assert_eq!(cursor, i128::from(trak.tkhd.duration));
    found.sort_unstable();
    found
}

/// Where in which chunk a byte of the file is.
fn source(film: &Film, pieces: &[Piece], head: u64, offset: u64) -> (Cell, u64) {
    let body = offset - head;
    let piece = pieces.iter().find(|p| p.at <= body && body < p.at + p.bytes).unwrap();
    (film.cells()[piece.cell as usize], piece.start + body - piece.at)
}

fn archives() -> impl Strategy<Value = Archive> {
    let holes = prop::collection::vec((prop::sample::select(vec![VIDEO, AUDIO]), 0_i64..24), 0..4);
    let lost = prop::collection::vec(0..CELLS, 0..2);
    (prop::sample::select(vec![25_i64, 48, 50]), 0_i64..2, lost, holes)
        .prop_map(|(frames, delay, lost, holes)| Archive { frames, delay, lost, holes })
}

proptest! {
    #[test]
    fn a_file_shows_every_sample_that_was_asked_for_at_its_time_and_none_else(
        archive in archives(),
        ranges in prop::collection::vec((0_i64..38_000, 40_i64..15_000), 1..3),
        keeps_gaps in any::<bool>(),
    ) {
        let made = archive.made();
        let asked: Vec<Range> = ranges.iter().map(|(start, long)| Range::new(at(*start), at(start + long))).collect();
        let clip = made.clip(&asked);
        let (film, columns) = made.film(&clip, keeps_gaps);
        if made.samples.is_empty() || film.media_bytes() == 0 {
            prop_assert_eq!(film.head("").unwrap_err().kind(), Kind::NotFound);
            return Ok(());
        }
        let Ok(_) = film.head("") else { return Ok(()) };
        let head = head(&film, &columns);
        let mut rest = head.as_slice();
        mp4_atom::Ftyp::decode(&mut rest).unwrap();
        mp4_atom::Free::decode(&mut rest).unwrap();
        let moov = mp4_atom::Moov::decode(&mut rest).unwrap();
        prop_assert_eq!(rest.len(), 8, "the header of the mdat");
        let movie = i128::from(moov.mvhd.timescale);
        let indexes = made.chunks.iter().map(|(cell, chunk)| (*cell, chunk.index.clone())).collect();
        let reel = reel(&clip, &indexes, &[]);
        let lead = [VIDEO, AUDIO].iter().find_map(|id| reel.runs.iter().find_map(|run| Some(run.track(*id)?.timescale)));
        let scale = Timescale::new(moov.mvhd.timescale).unwrap();
        let places = super::place::places(&clip, &reel, scale, lead.unwrap(), keeps_gaps);
        let head_bytes = head.len() as u64;
        let pieces = { let (film, _) = made.film(&clip, keeps_gaps); film.into_pieces() };
        let mut tracks: Vec<u32> = vec![VIDEO, AUDIO];
        tracks.retain(|track| moov.trak.iter().any(|t| t.mdia.hdlr.handler == mp4_atom::FourCC::new(if *track == VIDEO { b"vide" } else { b"soun" })));
        for (track, trak) in tracks.iter().zip(&moov.trak) {
            let scale = i128::from(trak.mdia.mdhd.timescale);
            let shown = shown(trak, movie);
            let mut expected: Vec<(i128, Cell, u64, u32)> = Vec::new();
            for place in &places {
                let (from, to) = place.points(Timescale::new(trak.mdia.mdhd.timescale).unwrap());
                for sample in &made.samples[track] {
                    if sample.presented + sample.lasts > from && sample.presented < to {
                        let into = i128::from((sample.presented - from).max(0)) * movie / scale;
                        expected.push((i128::from(place.start) + into, sample.cell, sample.offset, sample.size));
                    }
                }
            }
            expected.sort_unstable();
            let mut got: Vec<(i128, Cell, u64, u32)> = shown.iter().map(|s| {
                let (cell, offset) = source(&film, &pieces, head_bytes, s.offset);
                (s.at, cell, offset, s.size)
            }).collect();
            got.sort_unstable();
            if keeps_gaps || !archive.holes.is_empty() {
                // What the last frame before a gap needs is presented after it, where that one is lengthened.
                let all = got.len();
                let near = |a: i128, b: i128| (a - b).abs() <= 2 * (movie / scale + 1);
                got.retain(|g| expected.iter().any(|e| (e.1, e.2) == (g.1, g.2) && near(e.0, g.0)));
                prop_assert!(all - got.len() <= places.len(), "{} of {}", all - got.len(), all);
            }
            prop_assert_eq!(got.len(), expected.len(), "track {}: {:?}\n{:?}", track, got.last(), expected.last());
            for (got, expected) in got.iter().zip(&expected) {
                prop_assert_eq!((got.1, got.2, got.3), (expected.1, expected.2, expected.3));
                // What is rounded is less than a tick of the track, at each edit.
                prop_assert!((got.0 - expected.0).abs() <= 2 * (movie / scale + 1), "{:?} {:?}", got, expected);
            }
        }
    }
}

#[test]
fn the_tables_of_a_file_are_made_in_one_way_however_often_they_are_handed_out() {
    let archive = Archive { frames: 48, delay: 1, lost: vec![1], holes: vec![(AUDIO, 3)] };
    let made = archive.made();
    let clip = made.clip(&[Range::new(at(3_000), at(33_000))]);
    let ((one, first), (two, second)) = (made.film(&clip, false), made.film(&clip, false));
    assert_eq!(head(&one, &first), head(&two, &second));
    assert_eq!(
        first.keys().map(|(_, column)| *column).max(),
        Some(COLUMNS.len() - 3),
        "nothing is encrypted"
    );
    let text = head(&one, &first).escape_ascii().to_string();
    assert!(text.contains("a note"));
}

#[test]
fn a_picture_is_the_last_that_stands_for_itself_before_the_moment() {
    let archive = Archive { frames: 48, delay: 1, lost: vec![], holes: vec![] };
    let made = archive.made();
    let chunk = made.chunks.values().next().unwrap();
    let ((_, _), media) = chunk.fragments.iter().next().unwrap();
    let (decode_time, _) = archive.fragment(VIDEO, 0);
    let mut media = media.clone();
    media.samples.samples[24].flags = 0;
    let scale = Archive::scale(VIDEO);
    let frame_at = |frames: i64| {
        let at = START_S * scale + frames * VIDEO_FRAME;
        Frame::of(&init(VIDEO), u64::try_from(decode_time).unwrap(), &media, at).unwrap().unwrap()
    };
    let places = |frames| frame_at(frames).sample.offset;
    assert_eq!(places(-5), media.samples.samples[0].offset, "there is none before");
    assert_eq!(places(22), media.samples.samples[0].offset);
    assert_eq!(places(30), media.samples.samples[24].offset);
    let frame = frame_at(0);
    let mut rest = frame.head.as_slice();
    mp4_atom::Ftyp::decode(&mut rest).unwrap();
    mp4_atom::Free::decode(&mut rest).unwrap();
    let moov = mp4_atom::Moov::decode(&mut rest).unwrap();
    let shown = shown(&moov.trak[0], i128::from(moov.mvhd.timescale));
    let [one] = shown[..] else { panic!("{shown:?}") };
    assert_eq!((one.offset, one.size), (frame.head.len() as u64, frame.sample.size));
}

fn track(medium: Medium, id: &str, language: Option<&str>, kb: u64, height: u32) -> Track {
    Track {
        medium,
        id: id.to_owned(),
        language: language.map(str::to_owned),
        bandwidth: Some(kb * 1_000),
        codecs: None,
        size: (height > 0).then_some((height * 16 / 9, height)),
    }
}

#[test]
fn tracks_are_chosen_by_what_people_call_them() {
    let all = [
        track(Medium::Video, "1", None, 800, 360),
        track(Medium::Video, "2", None, 3_000, 1_080),
        track(Medium::Video, "3", None, 1_500, 720),
        track(Medium::Audio, "audio_eng=64000", Some("eng"), 64, 0),
        track(Medium::Audio, "audio_nld=64000", Some("nld"), 64, 0),
        track(Medium::Text, "t", Some("nld"), 1, 0),
    ];
    let tracks: Vec<&Track> = all.iter().collect();
    let of = |text: &str| text.parse::<Choice>().and_then(|choice| choice.of(&tracks));
    for (text, expected) in [
        ("", &[1, 3, 4, 5][..]),
        ("video=720 audio=eng text=none", &[2, 3]),
        ("video=720p audio=none text=none", &[2]),
        ("video=800000 audio=nld,eng text=nld", &[0, 3, 4, 5]),
        ("video=all audio=none text", &[0, 1, 2, 5]),
        ("video=none audio=audio_eng=64000 text=none", &[3]),
        ("video=3,1 audio=none text=none", &[0, 2]),
    ] {
        assert_eq!(of(text).unwrap(), expected, "{text}");
    }
    for (text, said) in [
        ("video=480", "video=480: there is no such track"),
        ("audio=fra", "audio=fra: there is no such track"),
        ("video=none audio=none text=none", "none of the tracks is chosen"),
        ("vidio=1", "\"vidio\" is not a medium"),
        ("audio=", "\"audio=\" chooses nothing"),
    ] {
        let error = of(text).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Usage, said), "{text}");
        assert!(error.remedy().is_some(), "{text}");
    }
}
