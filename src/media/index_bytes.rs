//! The fragment index as bytes.
//!
//! Every chunk's is kept in the ledger, so it is small: of most fragments only the size is written, as the difference from the size of
//! the fragment before. The rest is foretold. The next fragment belongs to the track whose next decode time is earliest, as
//! that is the order in which a chunk is written; it begins where the one before ends, lasts as long as the one before, and
//! begins with a sync sample if that one did. Where that is wrong, a record says what is different.
//!
//! Encoding. Numbers are LEB128 unless said otherwise, signed ones zigzag; sums wrap at 64 bits.
//!
//! ```text
//! 1 byte version; number of tracks; for each: track ID, timescale, number of fragments; in version 2 also number in the file
//! then for each fragment, in file order: (size − size before) signed × 2 + exception; if exception: 1 byte of bits
//!   1: another track: its position        2: duration − duration before, signed
//!   4: decode time − foretold, signed     8: place − foretold, signed
//!   16: prefix size − prefix size before, signed      32: sync is the other way
//! ```
//!
//! Version 1 is written where all tracks have their own ID in the file, as they do in chunks that npvr wrote.

use super::MAX_TRACKS;
use super::boxes::wide;
use super::index::{Index, IndexEntry, TrackIndex};
use crate::error::{Error, Kind, Result};
use crate::time::{MediaTime, Timescale};

const VERSION: u8 = 1;
/// For chunks of other programs, whose numbers of tracks are not the ledger's.
const WITH_NUMBERS: u8 = 2;

const OTHER_TRACK: u8 = 1;
const DURATION: u8 = 2;
const DECODE_TIME: u8 = 4;
const OFFSET: u8 = 8;
const PREFIX: u8 = 16;
const SYNC: u8 = 32;

impl Index {
    /// The compact form. Fragments come back in file order.
    pub fn encode(&self) -> Vec<u8> {
        let is_ours = self.tracks.iter().all(|t| t.track_id == t.file_track_id);
        let mut out = vec![if is_ours { VERSION } else { WITH_NUMBERS }];
        put_number(&mut out, wide(self.tracks.len()));
        for track in &self.tracks {
            put_number(&mut out, u64::from(track.track_id));
            put_number(&mut out, u64::from(track.timescale.get()));
            put_number(&mut out, wide(track.fragments.len()));
            if !is_ours {
                put_number(&mut out, u64::from(track.file_track_id));
            }
        }
        let mut oracle = Oracle::new(self.tracks.iter().map(|t| (t.timescale, t.fragments.len())));
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

    /// Reads what [`Index::encode`] wrote. Memory is bounded by the number of bytes given, whatever they claim.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] for anything else; [`Kind::Unsupported`] for the version of a later npvr.
    pub fn decode(bytes: &[u8]) -> Result<Index> {
        let corrupt = |e: Error| e.context("the fragment index is damaged");
        let (version, rest) = bytes.split_first().ok_or_else(|| corrupt(damage("it is empty")))?;
        if !matches!(*version, VERSION | WITH_NUMBERS) {
            let what = format!(
                "the fragment index has version {version}, and this npvr knows {VERSION} and {WITH_NUMBERS}"
            );
            return Err(
                Error::new(Kind::Unsupported, what).hint("use the npvr that wrote it, or a later one")
            );
        }
        let mut input = Input(rest);
        let index = input.index(*version == WITH_NUMBERS).map_err(corrupt)?;
        if !input.0.is_empty() {
            return Err(corrupt(damage("bytes are left over")));
        }
        Ok(index)
    }
}

/// What can be known of the next fragment from those before it.
struct Oracle {
    tracks: Vec<Expect>,
    end: u64,
}

struct Expect {
    timescale: Timescale,
    left: usize,
    last: IndexEntry,
    seen: bool,
}

impl Oracle {
    fn new(tracks: impl Iterator<Item = (Timescale, usize)>) -> Self {
        let last = IndexEntry {
            decode_time: 0,
            duration_ticks: 0,
            moof_offset: 0,
            prefix_size: 0,
            size: 0,
            sync: true,
        };
        let tracks = tracks.map(|(timescale, left)| Expect { timescale, left, last, seen: false });
        Self { tracks: tracks.collect(), end: 0 }
    }

    /// The track of the next fragment: one that has not begun, else the one whose next decode time is earliest.
    fn next_track(&self) -> Option<usize> {
        let time = |t: &Expect| {
            let ticks = t.last.decode_time.saturating_add(u64::from(t.last.duration_ticks));
            MediaTime::new(i64::try_from(ticks).unwrap_or(i64::MAX), t.timescale)
        };
        let waiting = self.tracks.iter().enumerate().filter(|(_, t)| t.left > 0);
        waiting.min_by(|(_, a), (_, b)| a.seen.cmp(&b.seen).then(time(a).cmp(&time(b)))).map(|(n, _)| n)
    }

    /// The next fragment of a track, as far as it can be known. Its `moof_offset` is where its prefix begins.
    fn foretell(&self, track: usize) -> IndexEntry {
        let last = self.tracks[track].last;
        let decode_time = last.decode_time.wrapping_add(u64::from(last.duration_ticks));
        IndexEntry { decode_time, moof_offset: self.end, ..last }
    }

    fn learn(&mut self, track: usize, entry: IndexEntry) {
        let expect = &mut self.tracks[track];
        expect.last = entry;
        expect.seen = true;
        expect.left = expect.left.saturating_sub(1);
        self.end = entry.offset().wrapping_add(entry.size);
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn index(&mut self, with_numbers: bool) -> Result<Index> {
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
            let file_track_id = if with_numbers { self.narrow()? } else { track_id };
            tracks.push(TrackIndex { track_id, file_track_id, timescale, fragments: Vec::new() });
            counts.push((timescale, count));
        }
        let mut oracle = Oracle::new(counts.into_iter());
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

    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().ok_or_else(|| damage("it is cut short"))?;
        self.0 = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damage("a number is too long"))
    }

    fn narrow(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| damage("a number is too large"))
    }

    /// A number plus the difference that follows.
    fn sum(&mut self, then: u64) -> Result<u64> {
        Ok(unzigzag(then, self.number()?))
    }

    /// The difference of sizes, still zigzag, and whether an exception follows.
    fn size(&mut self) -> Result<(u64, bool)> {
        let first = self.byte()?;
        let (exception, low) = (first & 1 != 0, u64::from(first >> 1 & 0x3F));
        let high = if first & 0x80 != 0 { self.number()? } else { 0 };
        Ok((high << 6 | low, exception))
    }
}

fn damage(what: &str) -> Error {
    Error::new(Kind::Corrupt, what)
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while let more @ 1.. = number >> 7 {
        out.push(low_bits(number, 0x7F) | 0x80);
        number = more;
    }
    out.push(low_bits(number, 0x7F));
}

fn put_difference(out: &mut Vec<u8>, now: u64, then: u64) {
    put_number(out, zigzag(now, then));
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

/// The lowest bits of a number, by a mask of less than a byte.
fn low_bits(number: u64, mask: u8) -> u8 {
    number.to_le_bytes()[0] & mask
}

/// `now − then`, wrapping, with the sign in the lowest bit.
fn zigzag(now: u64, then: u64) -> u64 {
    let difference = now.wrapping_sub(then).cast_signed();
    (difference << 1 ^ difference >> 63).cast_unsigned()
}

fn unzigzag(then: u64, difference: u64) -> u64 {
    then.wrapping_add(difference >> 1 ^ (difference & 1).wrapping_neg())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    #[test]
    fn a_real_channel_takes_at_most_four_bytes_a_fragment() {
        let index = real_channel();
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
        assert_eq!(Index::decode(&[3]).unwrap_err().kind(), Kind::Unsupported);
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
                (any::<u32>(), 1_u32.., prop::collection::vec(any_entry(), 0..20)), 0..5),
            offset in 0_u32..2,
        ) {
            let tracks = tracks.into_iter().map(|(track_id, timescale, mut fragments)| {
                fragments.sort_by_key(|f| f.moof_offset);
                let file_track_id = track_id.wrapping_add(offset);
                TrackIndex { track_id, file_track_id, timescale: scale(timescale), fragments }
            });
            let index = Index { tracks: tracks.collect() };
            let bytes = index.encode();
            prop_assert_eq!(Index::decode(&bytes).unwrap(), index);
        }

        #[test]
        fn any_bytes_are_an_index_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Index::decode(&[&[VERSION, 2, 1, 10, 4, 2, 25, 3][..], &bytes].concat());
            let _ = Index::decode(&bytes);
        }
    }
}
