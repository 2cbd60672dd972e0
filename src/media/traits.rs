//! What a playlist must know of a track in a chunk, beside its fragments: how it is called, how its pictures and its sound are,
//! and with which other init segments its own can be exchanged.
//!
//! It is kept with the fragment index, so that no playlist opens a chunk. Indexes of before it was kept lack it; the header of
//! the chunk then says the same, but for what only its fragments know.

use sha2::{Digest, Sha256};

use super::MoofInfo;
use super::header::{HeaderTrack, read_header};
use super::index::{Index, TrackIndex};
use super::init::Init;
use super::sample_entry::{Protection, SampleEntry};
use crate::error::Result;
use crate::track::Medium;

/// What is known of a track of a chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// Which init segment its fragments need: where it is the same, of whatever chunk, one does for the other. The first eight
    /// bytes of a SHA-256 over its number in the file, timescale, medium, edit, `trex` and sample entries.
    pub init: u64,
    /// What the track's edit list takes off presentation times, in ticks.
    pub edit_ticks: i64,
    /// How much later than its decode time a fragment is first presented, in ticks, before any edit list: what reordering of
    /// frames costs. 0 where it was not counted.
    pub reorder_ticks: i64,
    /// How many samples the chunk has of it; 0 where they were not counted.
    pub samples: u64,
    /// The codec, as RFC 6381 has it; `None` where it is not known.
    pub codecs: Option<String>,
    /// Width and height in pixels, of pictures.
    pub size: Option<(u32, u32)>,
    /// How many channels sound has; 0 if it is no sound, or does not say.
    pub channels: u16,
    /// How it is encrypted; `None` if it is not.
    pub protection: Option<Protection>,
}

impl Traits {
    /// Adds one fragment to what is counted.
    fn count(&mut self, info: &MoofInfo) {
        let earlier = self.samples > 0 && self.reorder_ticks < info.presentation_offset_ticks;
        if !earlier && info.samples > 0 {
            self.reorder_ticks = info.presentation_offset_ticks;
        }
        self.samples = self.samples.saturating_add(u64::from(info.samples));
    }

    /// Takes over what the header says of a track.
    fn describe(&mut self, track: HeaderTrack<'_>) {
        let Some(first) = track.inits.first() else { return };
        let SampleEntry { codecs, size, channels, protection, .. } = first.sample_entry();
        let (init, edit_ticks) = (identity(track, first), first.edit_media_time_ticks());
        *self = Traits { init, edit_ticks, codecs, size, channels, protection, ..*self };
    }
}

impl TrackIndex {
    /// Counts what the `moof` of its last fragment says.
    pub fn count(&mut self, info: &MoofInfo) {
        self.traits.get_or_insert_default().count(info);
    }

    /// What is to be added to a decode time to get to when it is presented, in ticks.
    pub fn presentation_shift_ticks(&self) -> i64 {
        self.traits.as_ref().map_or(0, |traits| traits.reorder_ticks.saturating_sub(traits.edit_ticks))
    }
}

impl TrackIndex {
    /// How many samples it has in how many seconds, as the smallest whole numbers: `(25, 1)`, `(30000, 1001)`. `None` where its
    /// samples were not counted, or are not even: two numbers that say so would be as long as the chunk.
    pub fn rate(&self) -> Option<(u64, u64)> {
        let samples = self.traits.as_ref()?.samples;
        let ticks: u64 = self.fragments.iter().map(|fragment| u64::from(fragment.duration_ticks)).sum();
        let ticks_per_s = u64::from(self.timescale.get());
        let scaled = samples.checked_mul(ticks_per_s).filter(|scaled| *scaled > 0 && ticks > 0)?;
        // What timescales of ten million ticks round is as near as a thousandth of a percent.
        let is_near = |rate: &(u64, u64)| {
            let (a, b) = (u128::from(scaled) * u128::from(rate.1), u128::from(ticks) * u128::from(rate.0));
            a.abs_diff(b) * 100_000 <= b
        };
        let per = |seconds: u64| (scaled.checked_mul(seconds).map(|s| (s + ticks / 2) / ticks), seconds);
        let rates = [1, 1_001, 2, 3].map(per).into_iter().filter_map(|(n, s)| Some((n?, s)));
        rates.map(|(n, s)| if n % s == 0 { (n / s, 1) } else { (n, s) }).find(is_near)
    }
}

impl Index {
    /// Takes over what the header of the file says of its tracks: a list by their numbers in it.
    pub fn describe(&mut self, header: &[(u32, Vec<Init>)]) {
        for track in &mut self.tracks {
            if let Some((id, inits)) = header.iter().find(|(id, _)| *id == track.file_track_id) {
                track.traits.get_or_insert_default().describe(HeaderTrack { id: *id, inits });
            }
        }
    }

    /// Leaves the traits out of those tracks of which `other` has none.
    pub fn forget_as(&mut self, other: &Index) {
        for (track, other) in self.tracks.iter_mut().zip(&other.tracks) {
            track.traits = track.traits.take().filter(|_| other.traits.is_some());
        }
    }
}

/// What the header of a chunk says of its tracks, by their numbers in the file: everything but what is counted.
///
/// # Errors
/// As [`read_header`].
pub fn read_traits(ftyp_moov: &[u8]) -> Result<Vec<(u32, Traits)>> {
    let of = |(id, inits): (u32, Vec<Init>)| {
        let mut traits = Traits::default();
        traits.describe(HeaderTrack { id, inits: &inits });
        (id, traits)
    };
    Ok(read_header(ftyp_moov)?.into_iter().map(of).collect())
}

/// Two headers give a track one identity if a player that has read the init segment of one can play the fragments of the other.
/// Fragments of other programs may lean on `trex`.
fn identity(track: HeaderTrack<'_>, first: &Init) -> u64 {
    let mut hasher = Sha256::new();
    let medium: u32 = match first.medium() {
        None => 0,
        Some(Medium::Video) => 1,
        Some(Medium::Audio) => 2,
        Some(Medium::Text) => 3,
    };
    let trex = first.defaults();
    for number in [
        track.id,
        first.timescale().get(),
        medium,
        trex.sample_description_index,
        trex.duration,
        trex.size,
        trex.flags,
    ] {
        hasher.update(number.to_be_bytes());
    }
    hasher.update(first.edit_media_time_ticks().to_be_bytes());
    // Boxes say how long they are, so no two lists of them are the same bytes.
    track.entries().into_iter().for_each(|entry| hasher.update(entry));
    let hash: [u8; 32] = hasher.finalize().into();
    hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::IndexEntry;
    use crate::time::Timescale;

    #[test]
    fn a_rate_is_two_small_numbers_or_none() {
        let rate = |ticks_per_s: u32, ticks: u32, samples: u64| {
            let entry = IndexEntry {
                decode_time: 0,
                duration_ticks: ticks,
                moof_offset: 0,
                prefix_size: 0,
                size: 1,
                sync: true,
            };
            let mut index = Index::default();
            index.push(1, Timescale::new(ticks_per_s).unwrap(), entry);
            index.tracks[0].traits = Some(Traits { samples, ..Traits::default() });
            index.tracks[0].rate()
        };
        assert_eq!(rate(90_000, 900_000, 250), Some((25, 1)));
        assert_eq!(rate(30_000, 300_300, 300), Some((30_000, 1_001)));
        assert_eq!(rate(10_000_000, 100_099_999, 300), Some((30_000, 1_001)), "rounded to ticks");
        assert_eq!(rate(90_000, 900_000, 125), Some((25, 2)));
        assert_eq!(
            (rate(90_000, 900_000, 0), rate(90_000, 0, 5), rate(90_000, 901_234, 251)),
            (None, None, None)
        );
    }
}
