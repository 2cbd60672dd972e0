//! The fragment index as bytes.
//!
//! Every chunk's is kept in the ledger, so it is small: of most fragments only the size is written, as the difference from the size of
//! the fragment before. The rest is foretold. The next fragment belongs to the track whose next decode time is earliest, as
//! that is the order in which a chunk is written; it begins where the one before ends, lasts as long as the one before, and
//! begins with a sync sample if that one did. Where that is wrong, a record says what is different. Sound is cut at whole frames
//! nearest to where pictures are, so its durations come in a cycle, of four where two seconds have 93¾ frames: in version 3 a
//! fragment lasts as long as the one that many before, by the number that foretells a track best.
//!
//! Encoding. Numbers are LEB128 unless said otherwise, signed ones zigzag; sums wrap at 64 bits.
//!
//! ```text
//! 1 byte version; number of tracks; for each: track ID, timescale, number of fragments;
//!   in versions 2 and 3 also number in the file; in version 3 also 1 byte, of which the high half is its cycle
//!   less 1 and the low half is the bits of its traits, and these, as `traits_bytes` has them
//! then for each fragment, in file order: (size − size before) signed × 2 + exception; if exception: 1 byte of bits
//!   1: another track: its position        2: duration − foretold, signed
//!   4: decode time − foretold, signed     8: place − foretold, signed
//!   16: prefix size − prefix size before, signed      32: sync is the other way
//! ```
//!
//! Version 3 is written where any track has traits. Those of before they were kept are written as they were: version 1 where
//! all tracks have their own ID in the file, as they do in chunks that npvr wrote, else version 2.

use super::MAX_TRACKS;
use super::boxes::wide;
use super::index::{Index, IndexEntry, TrackIndex};
use super::numbers::{Input, damage, low_bits, put_difference, put_number, unzigzag, zigzag};
use super::traits::Traits;
use crate::error::{Error, Kind, Result};
use crate::time::{MediaTime, Timescale};

const VERSION: u8 = 1;
/// For chunks of other programs, whose numbers of tracks are not the ledger's.
const WITH_NUMBERS: u8 = 2;
/// For chunks of which it is known what their tracks are.
const WITH_TRAITS: u8 = 3;

/// The longest cycle of durations.
const MAX_CYCLE: usize = 16;

const OTHER_TRACK: u8 = 1;
const DURATION: u8 = 2;
const DECODE_TIME: u8 = 4;
const OFFSET: u8 = 8;
const PREFIX: u8 = 16;
const SYNC: u8 = 32;

impl Index {
    /// The compact form. Fragments come back in file order.
    pub fn encode(&self) -> Vec<u8> {
        let version = self.version();
        let cycle = |t: &TrackIndex| if version == WITH_TRAITS { best_cycle(&t.fragments) } else { 1 };
        let known = self.tracks.iter().map(|t| (t.timescale, t.fragments.len(), cycle(t))).collect();
        let mut oracle = Oracle::new(known);
        let mut out = vec![version];
        self.encode_tracks(&oracle, &mut out);
        for (track, entry) in self.in_file_order() {
            let next = oracle.next_track();
            let foretold = oracle.foretell(track);
            let mut what = 0;
            let mut extra = Vec::new();
            if next != Some(track) {
                what |= OTHER_TRACK;
                put_number(&mut extra, wide(track));
            }
            for (bit, now, then) in [
                (DURATION, u64::from(entry.duration_ticks), u64::from(foretold.duration_ticks)),
                (DECODE_TIME, entry.decode_time, foretold.decode_time),
                (OFFSET, entry.offset(), foretold.moof_offset),
                (PREFIX, u64::from(entry.prefix_size), u64::from(foretold.prefix_size)),
            ] {
                if now != then {
                    what |= bit;
                    put_difference(&mut extra, now, then);
                }
            }
            if entry.sync != foretold.sync {
                what |= SYNC;
            }
            put_record(&mut out, zigzag(entry.size, foretold.size), what);
            out.extend(extra);
            oracle.learn(track, entry);
        }
        out
    }

    fn version(&self) -> u8 {
        if self.tracks.iter().any(|t| t.traits.is_some()) {
            WITH_TRAITS
        } else if self.tracks.iter().any(|t| t.track_id != t.file_track_id) {
            WITH_NUMBERS
        } else {
            VERSION
        }
    }

    /// What is said of the tracks as such.
    fn encode_tracks(&self, oracle: &Oracle, out: &mut Vec<u8>) {
        let version = self.version();
        put_number(out, wide(self.tracks.len()));
        for (track, expect) in self.tracks.iter().zip(&oracle.tracks) {
            put_number(out, u64::from(track.track_id));
            put_number(out, u64::from(track.timescale.get()));
            put_number(out, wide(track.fragments.len()));
            if version != VERSION {
                put_number(out, u64::from(track.file_track_id));
            }
            if version == WITH_TRAITS {
                let cycle = u8::try_from(expect.cycle - 1).unwrap_or(0);
                out.push(cycle << 4 | track.traits.as_ref().map_or(0, Traits::bits));
                track.traits.iter().for_each(|traits| traits.encode(out));
            }
        }
    }

    /// Reads what [`Index::encode`] wrote. Memory is bounded by the number of bytes given, whatever they claim.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for anything else; [`Kind::Unsupported`] for the version of a later npvr.
    pub fn decode(bytes: &[u8]) -> Result<Index> {
        let corrupt = |e: Error| e.context("the fragment index is damaged");
        let (version, rest) = bytes.split_first().ok_or_else(|| corrupt(damage("it is empty")))?;
        if !matches!(*version, VERSION..=WITH_TRAITS) {
            let what = format!(
                "the fragment index has version {version}, and this npvr knows {VERSION} to {WITH_TRAITS}"
            );
            return Err(
                Error::new(Kind::Unsupported, what).hint("use the npvr that wrote it, or a later one")
            );
        }
        let mut input = Input(rest);
        let index = input.index(*version).map_err(corrupt)?;
        if !input.0.is_empty() {
            return Err(corrupt(damage("bytes are left over")));
        }
        Ok(index)
    }
}

/// The cycle that foretells most durations, and of several the shortest.
fn best_cycle(fragments: &[IndexEntry]) -> usize {
    let wrong = |cycle: &usize| {
        let pairs = fragments.iter().zip(fragments.iter().skip(*cycle));
        // Up to a whole cycle, the one before is gone by.
        let early = fragments.windows(2).take(cycle - 1).map(|pair| (&pair[0], &pair[1]));
        early.chain(pairs).filter(|(then, now)| then.duration_ticks != now.duration_ticks).count()
    };
    (1..=MAX_CYCLE).min_by_key(wrong).unwrap_or(1)
}

/// What can be known of the next fragment from those before it.
struct Oracle {
    tracks: Vec<Expect>,
    end: u64,
}

#[derive(Clone, Copy)]
struct Expect {
    timescale: Timescale,
    left: usize,
    last: IndexEntry,
    /// How many there were.
    seen: usize,
    cycle: usize,
    /// The durations of the last ones, the newest at `seen − 1`, counted round and round.
    durations: [u32; MAX_CYCLE],
}

impl Oracle {
    /// By timescale, number of fragments, and cycle of each track.
    fn new(tracks: Vec<(Timescale, usize, usize)>) -> Self {
        let last = IndexEntry {
            decode_time: 0,
            duration_ticks: 0,
            moof_offset: 0,
            prefix_size: 0,
            size: 0,
            sync: true,
        };
        let durations = [0; MAX_CYCLE];
        let expect = |(timescale, left, cycle)| Expect { timescale, left, last, seen: 0, cycle, durations };
        Self { tracks: tracks.into_iter().map(expect).collect(), end: 0 }
    }

    /// The track of the next fragment: one that has not begun, else the one whose next decode time is earliest.
    fn next_track(&self) -> Option<usize> {
        let time = |t: &Expect| {
            let ticks = t.last.decode_time.saturating_add(u64::from(t.last.duration_ticks));
            MediaTime::new(i64::try_from(ticks).unwrap_or(i64::MAX), t.timescale)
        };
        let waiting = self.tracks.iter().enumerate().filter(|(_, t)| t.left > 0);
        let has_begun = |t: &Expect| t.seen > 0;
        let order = |a: &Expect, b: &Expect| has_begun(a).cmp(&has_begun(b)).then(time(a).cmp(&time(b)));
        waiting.min_by(|(_, a), (_, b)| order(a, b)).map(|(n, _)| n)
    }

    /// The next fragment of a track, as far as it can be known. Its `moof_offset` is where its prefix begins.
    fn foretell(&self, track: usize) -> IndexEntry {
        let Expect { last, seen, cycle, durations, .. } = self.tracks[track];
        let decode_time = last.decode_time.wrapping_add(u64::from(last.duration_ticks));
        let then = if seen < cycle { seen.wrapping_sub(1) } else { seen - cycle };
        IndexEntry { decode_time, duration_ticks: durations[then % MAX_CYCLE], moof_offset: self.end, ..last }
    }

    fn learn(&mut self, track: usize, entry: IndexEntry) {
        let expect = &mut self.tracks[track];
        expect.last = entry;
        expect.durations[expect.seen % MAX_CYCLE] = entry.duration_ticks;
        expect.seen += 1;
        expect.left = expect.left.saturating_sub(1);
        self.end = entry.offset().wrapping_add(entry.size);
    }
}

impl Input<'_> {
    fn index(&mut self, version: u8) -> Result<Index> {
        let mut tracks = Vec::new();
        let mut counts = Vec::new();
        let mut left = 0_usize;
        let count = self.number()?;
        if count > wide(MAX_TRACKS) {
            return Err(damage("it has too many tracks"));
        }
        for _ in 0..count {
            let track_id = self.narrow()?;
            let timescale = Timescale::new(self.narrow()?).map_err(|e| damage(&e.to_string()))?;
            let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
            left = left.saturating_add(count);
            let file_track_id = if version == VERSION { track_id } else { self.narrow()? };
            let what = if version == WITH_TRAITS { self.byte()? } else { 0 };
            let traits = Traits::decode(what & 0x0F, self)?;
            tracks.push(TrackIndex { track_id, file_track_id, timescale, traits, fragments: Vec::new() });
            counts.push((timescale, count, usize::from(what >> 4) + 1));
        }
        let mut oracle = Oracle::new(counts);
        // A fragment takes a byte at least, so a claim of too many ends where the bytes do.
        for _ in 0..left {
            let (track, entry) = self.record(&oracle)?;
            tracks[track].fragments.push(entry);
            oracle.learn(track, entry);
        }
        Ok(Index { tracks })
    }

    fn record(&mut self, oracle: &Oracle) -> Result<(usize, IndexEntry)> {
        let (size, exception) = self.size()?;
        let what = if exception { self.byte()? } else { 0 };
        if what & !(OTHER_TRACK | DURATION | DECODE_TIME | OFFSET | PREFIX | SYNC) != 0 {
            return Err(damage("a record has a bit that means nothing"));
        }
        let track =
            if what & OTHER_TRACK != 0 { usize::try_from(self.number()?).ok() } else { oracle.next_track() };
        let track = track
            .filter(|t| oracle.tracks.get(*t).is_some_and(|t| t.left > 0))
            .ok_or_else(|| damage("a fragment belongs to no track"))?;
        let foretold = oracle.foretell(track);
        let mut field = |bit, then: u64| if what & bit != 0 { self.sum(then) } else { Ok(then) };
        let narrow = |n| u32::try_from(n).map_err(|_| damage("a number is too large"));
        let duration_ticks = narrow(field(DURATION, u64::from(foretold.duration_ticks))?)?;
        let decode_time = field(DECODE_TIME, foretold.decode_time)?;
        let offset = field(OFFSET, foretold.moof_offset)?;
        let prefix_size = narrow(field(PREFIX, u64::from(foretold.prefix_size))?)?;
        let moof_offset =
            offset.checked_add(u64::from(prefix_size)).ok_or_else(|| damage("a place is too large"))?;
        let size = unzigzag(foretold.size, size);
        let sync = foretold.sync ^ (what & SYNC != 0);
        Ok((track, IndexEntry { decode_time, duration_ticks, moof_offset, prefix_size, size, sync }))
    }

    /// The difference of sizes, still zigzag, and whether an exception follows.
    fn size(&mut self) -> Result<(u64, bool)> {
        let first = self.byte()?;
        let (exception, low) = (first & 1 != 0, u64::from(first >> 1 & 0x3F));
        let high = if first & 0x80 != 0 { self.number()? } else { 0 };
        Ok((high << 6 | low, exception))
    }
}

/// The first byte has the exception bit and six bits of the size; the rest follows as a number. That keeps all 64 bits of the
/// difference, which doubling it would not.
fn put_record(out: &mut Vec<u8>, size: u64, what: u8) {
    let first = low_bits(size, 0x3F) << 1 | u8::from(what != 0);
    match size >> 6 {
        0 => out.push(first),
        high => {
            out.push(first | 0x80);
            put_number(out, high);
        }
    }
    if what != 0 {
        out.push(what);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::Protection;

    fn scale(n: u32) -> Timescale {
        Timescale::new(n).unwrap()
    }

    /// A chunk of five minutes: two video and two audio tracks in segments of 1.92 s, sizes as uneven as encoders make them,
    /// audio durations in a cycle as Unified Origin's are.
    fn real_channel() -> Index {
        let mut index = Index::default();
        let mut noise = 12_345_u64;
        let mut random = move |below: u64| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (noise >> 33) % below
        };
        let mut at = 4_000;
        let mut times =
            [1_700_000_000 * 90_000, 1_700_000_000 * 90_000, 1_700_000_000 * 48_000, 1_700_000_000 * 48_000];
        for n in 0..156 {
            for track in 0..4_u32 {
                let (timescale, duration, size) = match track {
                    0 => (90_000, 172_800, 900_000 + random(600_000)),
                    1 => (90_000, 172_800, 250_000 + random(200_000)),
                    _ => (48_000, [92_160, 92_160, 91_136, 93_184][n % 4], 30_000 + random(1_200)),
                };
                let time = &mut times[usize::try_from(track).unwrap()];
                let entry = IndexEntry {
                    decode_time: *time,
                    duration_ticks: duration,
                    moof_offset: at,
                    prefix_size: 0,
                    size,
                    sync: true,
                };
                index.push(track + 1, scale(timescale), entry);
                *time += u64::from(duration);
                at += size;
            }
        }
        index
    }

    /// What an encoder's tracks are: H.264 with reordered frames, and AAC.
    fn describe(index: &mut Index) {
        for (n, track) in (0_u64..).zip(&mut index.tracks) {
            let is_video = n < 2;
            track.traits = Some(Traits {
                init: 0x0123_4567_89AB_CDEF + n,
                edit_ticks: if is_video { 7_200 } else { 1_024 },
                reorder_ticks: if is_video { 7_200 } else { 0 },
                samples: if is_video { 7_500 } else { 14_063 },
                codecs: Some(if is_video { "avc1.64001F" } else { "mp4a.40.2" }.to_owned()),
                size: is_video.then_some((1280, 720)),
                channels: if is_video { 0 } else { 2 },
                protection: None,
            });
        }
    }

    #[test]
    fn a_real_channel_takes_at_most_four_bytes_a_fragment() {
        let mut index = real_channel();
        describe(&mut index);
        let bytes = index.encode();
        assert_eq!(Index::decode(&bytes).unwrap(), index);
        let fragments = index.in_file_order().len();
        assert!(bytes.len() <= 4 * fragments, "{} bytes for {fragments} fragments", bytes.len());
    }

    #[test]
    fn what_is_not_an_index_is_refused() {
        let bytes = real_channel().encode();
        for cut in [0, 1, 5, bytes.len() / 2, bytes.len() - 1] {
            assert_eq!(Index::decode(&bytes[..cut]).unwrap_err().kind(), Kind::Corrupt, "{cut}");
        }
        assert_eq!(Index::decode(&[&bytes[..], &[0]].concat()).unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(Index::decode(&[4]).unwrap_err().kind(), Kind::Unsupported);
        // 300 tracks; one track that claims 2^63 fragments.
        let claim = [&[VERSION, 0xAC, 2][..], &[1, 1, 0].repeat(300)].concat();
        assert_eq!(Index::decode(&claim).unwrap_err().kind(), Kind::Corrupt);
        let claim = [&[VERSION, 1, 1, 1][..], &[0x80; 9], &[1]].concat();
        assert_eq!(Index::decode(&claim).unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn the_first_version_is_frozen() {
        let entry = |n: u64| IndexEntry {
            decode_time: 1_000 + n * 50,
            duration_ticks: 50,
            moof_offset: 700 + n * 300,
            prefix_size: 0,
            size: 300,
            sync: n == 0,
        };
        let mut index = Index::default();
        index.push(9, scale(25), entry(0));
        index.push(9, scale(25), entry(1));
        let frozen = [1, 1, 9, 25, 2, 0xB1, 9, 14, 100, 0xD0, 15, 0xF8, 10, 1, 32];
        assert_eq!(index.encode(), frozen);
        assert_eq!(Index::decode(&frozen).unwrap(), index);
    }

    #[test]
    fn the_second_version_is_frozen_and_has_the_numbers_of_tracks_in_the_file() {
        let entry = IndexEntry {
            decode_time: 1_000,
            duration_ticks: 50,
            moof_offset: 700,
            prefix_size: 0,
            size: 300,
            sync: true,
        };
        let mut index = Index::default();
        index.push(1, scale(25), entry);
        index.push(2, scale(25), IndexEntry { decode_time: 1_050, moof_offset: 1_000, ..entry });
        index.number(|file| if file == 1 { 9 } else { 0 });
        let frozen =
            [2, 2, 9, 25, 1, 1, 0, 25, 1, 2, 0xB1, 9, 14, 100, 0xD0, 15, 0xF8, 10, 0xB1, 9, 6, 100, 0xB4, 16];
        assert_eq!(index.encode(), frozen);
        assert_eq!(Index::decode(&frozen).unwrap(), index);
    }

    #[test]
    fn the_third_version_is_frozen_and_has_what_is_known_of_tracks() {
        let entry = IndexEntry {
            decode_time: 1_000,
            duration_ticks: 50,
            moof_offset: 700,
            prefix_size: 0,
            size: 300,
            sync: true,
        };
        let mut index = Index::default();
        index.push(1, scale(25), entry).traits = Some(Traits {
            init: 0x0102_0304_0506_0708,
            edit_ticks: 3,
            reorder_ticks: -2,
            samples: 150,
            codecs: Some("av1".to_owned()),
            size: Some((640, 360)),
            channels: 6,
            protection: Some(Protection { scheme: *b"cenc", key_id: [9; 16] }),
        });
        for (n, duration_ticks) in (0..).zip([50, 49, 50, 49]) {
            let (decode_time, moof_offset) = (1_000 + n * 50 - n / 2, 1_000 + n * 300);
            index.push(2, scale(25), IndexEntry { decode_time, moof_offset, duration_ticks, ..entry });
        }
        index.number(|file| file + 7);
        let traits = [&[15][..], &[1, 2, 3, 4, 5, 6, 7, 8], &[6, 3, 150, 1, 3], b"av1", &[128, 5, 232, 2, 6]];
        let frozen = [
            &[3, 2, 8, 25, 1, 1][..],
            &traits.concat(),
            b"cenc",
            &[9; 16],
            // No traits, and a cycle of two.
            &[9, 25, 4, 2, 16],
            &[0xB1, 9, 14, 100, 0xD0, 15, 0xF8, 10, 0xB1, 9, 6, 100, 0xD0, 15, 1, 2, 1, 0, 0],
        ];
        assert_eq!(index.encode(), frozen.concat());
        assert_eq!(Index::decode(&frozen.concat()).unwrap(), index);
        for (at, what) in [(6, 2), (20, 200), (20, 2), (21, b'"')] {
            let mut damaged = frozen.concat();
            damaged[at] = what;
            assert_eq!(Index::decode(&damaged).unwrap_err().kind(), Kind::Corrupt, "{what} at {at}");
        }
    }

    fn any_traits() -> impl Strategy<Value = Traits> {
        let numbers = (any::<u64>(), any::<i64>(), any::<i64>(), any::<u64>(), any::<u16>());
        let words = ("[a-zA-Z0-9.]{1,64}", any::<Option<(u32, u32)>>(), any::<Option<([u8; 4], [u8; 16])>>());
        (numbers, words, any::<bool>()).prop_map(|(numbers, (codecs, size, protection), is_known)| Traits {
            init: numbers.0,
            edit_ticks: numbers.1,
            reorder_ticks: numbers.2,
            samples: numbers.3,
            codecs: is_known.then_some(codecs),
            size,
            channels: numbers.4,
            protection: protection.map(|(scheme, key_id)| Protection { scheme, key_id }),
        })
    }

    fn any_entry() -> impl Strategy<Value = IndexEntry> {
        (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>(), any::<u64>(), any::<bool>()).prop_map(
            |(decode_time, duration_ticks, offset, prefix_size, size, sync)| IndexEntry {
                decode_time,
                duration_ticks,
                moof_offset: (offset >> 1) + u64::from(prefix_size),
                prefix_size,
                size,
                sync,
            },
        )
    }

    proptest! {
        #[test]
        fn any_index_comes_back(
            tracks in prop::collection::vec(
                (any::<u32>(), 1_u32.., prop::collection::vec(any_entry(), 0..20), prop::option::of(any_traits())),
                0..5),
            offset in 0_u32..2,
        ) {
            let tracks = tracks.into_iter().map(|(track_id, timescale, mut fragments, traits)| {
                fragments.sort_by_key(|f| f.moof_offset);
                let file_track_id = track_id.wrapping_add(offset);
                TrackIndex { track_id, file_track_id, timescale: scale(timescale), traits, fragments }
            });
            let index = Index { tracks: tracks.collect() };
            let bytes = index.encode();
            prop_assert_eq!(Index::decode(&bytes).unwrap(), index);
        }

        #[test]
        fn any_bytes_are_an_index_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Index::decode(&[&[VERSION, 2, 1, 10, 4, 2, 25, 3][..], &bytes].concat());
            let _ = Index::decode(&[&[WITH_TRAITS, 1, 1, 10, 4, 1, 15][..], &bytes].concat());
            let _ = Index::decode(&bytes);
        }
    }
}
