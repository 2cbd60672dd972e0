//! The fragment index of a chunk: what a playlist needs to know of each fragment, without opening the chunk.
//!
//! It is made as a chunk is written, or by reading it back, and kept in the ledger; see `index_bytes` for how.

use super::traits::Traits;
use crate::time::Timescale;

/// Where all fragments of a chunk are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// In the order of the chunk's header.
    pub tracks: Vec<TrackIndex>,
}

/// Where the fragments of one track are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackIndex {
    /// Its id in the channel's ledger; 0 for a track that is none of the channel's. As a file is read it is the number there.
    pub track_id: u32,
    /// Its number in the file, by which its header describes it. In a chunk that npvr wrote both are the same.
    pub file_track_id: u32,
    /// What its times count in.
    pub timescale: Timescale,
    /// What is known of it beside its fragments; `None` in the index of a chunk that was written before this was kept.
    pub traits: Option<Traits>,
    /// In file order.
    pub fragments: Vec<IndexEntry>,
}

/// One fragment of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Of the first sample, in ticks since the Unix epoch.
    pub decode_time: u64,
    /// In ticks.
    pub duration_ticks: u32,
    /// Where its `moof` begins, in bytes from the start of the file.
    pub moof_offset: u64,
    /// How many bytes of boxes (`emsg`, `prft`) in front of the `moof` belong to it.
    pub prefix_size: u32,
    /// How long it is in bytes: prefix, `moof` and `mdat`. Where another program puts the fragments of several tracks into
    /// one `moof`, they have one place.
    pub size: u64,
    /// True if it starts with a sync sample.
    pub sync: bool,
}

impl IndexEntry {
    /// Where it begins in the file, prefix included: with [`IndexEntry::size`] the byte range that a player fetches.
    pub fn offset(&self) -> u64 {
        self.moof_offset.saturating_sub(u64::from(self.prefix_size))
    }
}

impl TrackIndex {
    /// Lets its last fragment go on: a second `traf` of one track in one `moof`.
    pub fn lengthen(&mut self, duration_ticks: u32) -> &mut TrackIndex {
        if let Some(last) = self.fragments.last_mut() {
            last.duration_ticks = last.duration_ticks.saturating_add(duration_ticks);
        }
        self
    }
}

impl Index {
    /// Adds a fragment behind those that its track has; adds the track where it is new. Returns the track.
    pub fn push(&mut self, track_id: u32, timescale: Timescale, entry: IndexEntry) -> &mut TrackIndex {
        let at = self.tracks.iter().position(|t| t.track_id == track_id).unwrap_or_else(|| {
            let fragments = Vec::new();
            self.tracks.push(TrackIndex {
                track_id,
                file_track_id: track_id,
                timescale,
                traits: None,
                fragments,
            });
            self.tracks.len() - 1
        });
        let track = &mut self.tracks[at];
        track.fragments.push(entry);
        track
    }

    /// How many bytes are enough to read the header of the file; `None` if it has no fragment.
    pub fn header_bytes(&self) -> Option<u64> {
        self.tracks.iter().flat_map(|track| &track.fragments).map(IndexEntry::offset).min()
    }

    /// True if some place in the file holds fragments of several tracks.
    pub fn is_muxed(&self) -> bool {
        let all = self.tracks.iter().flat_map(|track| &track.fragments);
        let mut places: Vec<u64> = all.map(|fragment| fragment.moof_offset).collect();
        places.sort_unstable();
        places.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Gives each track the id that `id_of` has for its number in the file.
    pub fn number(&mut self, id_of: impl Fn(u32) -> u32) {
        self.tracks.iter_mut().for_each(|track| track.track_id = id_of(track.file_track_id));
    }

    /// All fragments in file order, each with the position of its track in [`Index::tracks`].
    pub fn in_file_order(&self) -> Vec<(usize, IndexEntry)> {
        let of =
            |(n, track): (usize, &TrackIndex)| track.fragments.iter().map(|f| (n, *f)).collect::<Vec<_>>();
        let mut all: Vec<_> = self.tracks.iter().enumerate().flat_map(of).collect();
        // Stable: equal places, which only a damaged file has, keep their order.
        all.sort_by_key(|(_, fragment)| fragment.moof_offset);
        all
    }
}
