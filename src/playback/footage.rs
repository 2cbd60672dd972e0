//! A clip with all that the ledger knows of the fragments in its chunks: what every playlist of fragments is made of.
//!
//! It is one state of the ledger only as far as each read is one. A chunk that goes between them leaves a hole in every track,
//! which is told as any other: a clip that is asked for again has it as a gap.

use std::collections::BTreeMap;

use super::{clip, decode};
use crate::clip::{Ask, Clip, Reel};
use crate::error::{Error, Kind, Result};
use crate::grid::{Cell, Grid};
use crate::ledger::{Ledger, TrackRow};
use crate::media::{Index, Traits};
use crate::time::{Range, Time};

/// A clip, the indexes of its chunks, and the tracks that the channel has.
#[derive(Debug, Clone)]
pub struct Footage {
    /// What can be played, and what is missing.
    pub clip: Clip,
    /// All tracks that the channel ever had, by id.
    pub tracks: Vec<TrackRow>,
    indexes: BTreeMap<Cell, Index>,
}

/// A chunk whose header has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderWanted {
    /// Which chunk.
    pub cell: Cell,
    /// How many bytes from its start are enough.
    pub bytes: u64,
}

/// The most fragments in the chunks of a clip, of all tracks: some 40 bytes each in memory, so 40 MB; five days of a channel of
/// four tracks with segments of two seconds.
pub const MAX_FRAGMENTS: usize = 1_000_000;

/// What there is of `ask` at `now`, down to the fragments, on a channel whose grid is `grid` today.
///
/// # Errors
/// Those of the ledger; [`Kind::Corrupt`] for an index that cannot be read; [`Kind::Usage`] for a clip of more than a million
/// fragments.
pub fn footage(ledger: &dyn Ledger, channel: &str, grid: Grid, ask: &Ask, now: Time) -> Result<Footage> {
    let clip = clip(ledger, channel, grid, ask, now)?;
    let mut indexes = BTreeMap::new();
    let mut fragments = 0;
    for run in clip.runs() {
        let (Some(first), Some(last)) = (run.chunks.first(), run.chunks.last()) else { continue };
        // A range may be asked for twice.
        if run.chunks.iter().all(|cell| indexes.contains_key(cell)) {
            continue;
        }
        for (cell, bytes) in ledger.indexes(channel, Range::new(first.start(), last.end()))? {
            if run.chunks.binary_search(&cell).is_ok() {
                let index = decode(channel, cell, &bytes)?;
                fragments += index.tracks.iter().map(|track| track.fragments.len()).sum::<usize>();
                if fragments > MAX_FRAGMENTS {
                    return Err(too_long(channel, ask));
                }
                indexes.insert(cell, index);
            }
        }
    }
    Ok(Footage { clip, tracks: ledger.tracks(channel)?, indexes })
}

fn too_long(channel: &str, ask: &Ask) -> Error {
    let what = format!("channel {channel}: {ask} has more than {MAX_FRAGMENTS} fragments");
    Error::new(Kind::Usage, what).hint("ask for it in several requests")
}

impl Footage {
    /// The fragments of these tracks, or, if there are none of these, of all that are the channel's.
    pub fn reel(&self, tracks: &[u32]) -> Reel<'_> {
        clip::reel(&self.clip, &self.indexes, tracks)
    }

    /// The index of one of its chunks.
    pub fn index(&self, cell: Cell) -> Option<&Index> {
        self.indexes.get(&cell)
    }

    /// The chunks of which it is not known what their tracks are: their indexes are from before that was kept. A playlist
    /// is whole without them, and says less, unless their headers are read and [`Footage::learn`]ed.
    pub fn headers_wanted(&self) -> Vec<HeaderWanted> {
        let is_bare = |index: &Index| index.tracks.iter().any(|t| t.track_id != 0 && t.traits.is_none());
        let bare = self.indexes.iter().filter(|(_, index)| is_bare(index));
        bare.filter_map(|(cell, index)| Some(HeaderWanted { cell: *cell, bytes: index.header_bytes()? }))
            .collect()
    }

    /// Takes over what the header of a chunk says of its tracks, as [`crate::media::read_traits`] reads it.
    pub fn learn(&mut self, cell: Cell, header: &[(u32, Traits)]) {
        let tracks = self.indexes.get_mut(&cell).into_iter().flat_map(|index| &mut index.tracks);
        for track in tracks.filter(|track| track.traits.is_none()) {
            let said = header.iter().find(|(id, _)| *id == track.file_track_id);
            track.traits = said.map(|(_, traits)| traits.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clip::Missing;
    use crate::ledger::{Claimed, Commit, Coverage, JobStats, SqliteLedger, Stored};
    use crate::media::{HeaderTrack, IndexEntry, Init, header, read_traits};
    use crate::time::Timescale;
    use crate::track::{Medium, Track};

    const NEWS: &str = "news";
    /// Cells of ten seconds, the first of which begins here.
    const START_S: i64 = 1_700_000_000;

    fn grid() -> Grid {
        Grid::new(Duration::from_secs(10)).unwrap()
    }

    fn at(s: i64) -> Time {
        Time::from_s(START_S + s)
    }

    fn ask(start: i64, end: i64) -> Ask {
        Ask::from(Range::new(at(start), at(end)))
    }

    /// The index of the n-th cell: one track, two seconds a fragment.
    fn index(n: i64, traits: Option<Traits>) -> Index {
        let mut index = Index::default();
        for fragment in 0..5 {
            let entry = IndexEntry {
                decode_time: u64::try_from((START_S + n * 10 + fragment * 2) * 12_800).unwrap(),
                duration_ticks: 25_600,
                moof_offset: u64::try_from(800 + fragment * 100).unwrap(),
                prefix_size: 0,
                size: 100,
                sync: true,
            };
            index.push(1, Timescale::new(12_800).unwrap(), entry);
        }
        index.tracks[0].traits = traits;
        index
    }

    fn store(ledger: &dyn Ledger, n: i64, index: &[u8]) {
        let cell = grid().cell_at(at(n * 10));
        let claimed = ledger.claim(NEWS, cell, "native", at(100), "here", 1).unwrap();
        let Claimed::Job { id, .. } = claimed else { panic!("{claimed:?}") };
        let stored =
            Stored { coverage: Coverage::Complete, key: cell.key(NEWS), bytes: 1_300, sha256: [1; 32] };
        let stats = JobStats::default();
        let chunk = Commit { stored: &stored, index, gaps: &[], stats, retry_at: None, message: None };
        ledger.commit(id, at(100), &chunk).unwrap();
    }

    /// A ledger of a channel with one track.
    fn ledger(dir: &tempfile::TempDir) -> SqliteLedger {
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        let track = Track {
            medium: Medium::Video,
            id: "1".to_owned(),
            language: None,
            bandwidth: None,
            codecs: None,
            size: None,
        };
        let ids = ledger.register_tracks(NEWS, &[(&track, Timescale::new(12_800).unwrap())], at(0)).unwrap();
        assert_eq!(ids, [1]);
        ledger
    }

    #[test]
    fn only_what_is_stored_is_offered() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(&dir);
        for n in [0, 1, 3] {
            store(&ledger, n, &index(n, Some(Traits { samples: 250, ..Traits::default() })).encode());
        }
        // One that is being captured.
        ledger.claim(NEWS, grid().cell_at(at(40)), "native", at(50), "here", 1).unwrap();
        let footage = footage(&ledger, NEWS, grid(), &ask(5, 200), at(55)).unwrap();
        let reel = footage.reel(&[]);
        let ranges: Vec<Range> = reel.runs.iter().map(|run| run.range).collect();
        assert_eq!(ranges, [Range::new(at(5), at(20)), Range::new(at(30), at(40))]);
        let counts: Vec<usize> = reel.runs.iter().map(|run| run.tracks[0].fragments().count()).collect();
        assert_eq!(counts, [8, 5]);
        assert!(footage.clip.gaps().any(|gap| gap.what == Missing::NotYet));
        assert_eq!(footage.headers_wanted(), []);
        assert_eq!((footage.tracks.len(), footage.reel(&[2]).track_ids()), (1, vec![]));
    }

    #[test]
    fn the_chunk_in_which_the_archive_begins_keeps_nobody_waiting_for_what_was_before() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(&dir);
        ledger.open_channel(NEWS, at(4), at(50)).unwrap();
        for n in 0..2 {
            let claimed =
                ledger.claim(NEWS, grid().cell_at(at(n * 10)), "native", at(50), "here", 1).unwrap();
            let Claimed::Job { id, .. } = claimed else { panic!("{claimed:?}") };
            let key = grid().cell_at(at(n * 10)).key(NEWS);
            let stored = Stored { coverage: Coverage::Partial, key, bytes: 1_300, sha256: [1; 32] };
            let (index, stats) = (&index(n, None).encode(), JobStats::default());
            let retry_at = Some(at(50));
            let chunk = Commit { stored: &stored, index, gaps: &[], stats, retry_at, message: None };
            ledger.commit(id, at(50), &chunk).unwrap();
        }
        let until = |end: i64| {
            let footage = footage(&ledger, NEWS, grid(), &ask(0, end), at(55)).unwrap();
            footage.clip.parts[0].settled_until
        };
        assert_eq!((until(10), until(20)), (at(10), at(10)), "the second may become whole");
    }

    #[test]
    fn what_an_old_index_lacks_is_asked_for_and_learned() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(&dir);
        (0..2).for_each(|n| store(&ledger, n, &index(n, None).encode()));
        let mut footage = footage(&ledger, NEWS, grid(), &ask(0, 20), at(1_000)).unwrap();
        let wanted = footage.headers_wanted();
        let cells = [0, 10].map(|s| grid().cell_at(at(s)));
        assert_eq!(wanted, cells.map(|cell| HeaderWanted { cell, bytes: 800 }));
        let inits = |reel: &Reel| {
            let spans = &reel.runs[0].tracks[0].spans;
            spans.iter().map(|span| (span.init().is_some(), span.joint.new_init)).collect::<Vec<_>>()
        };
        assert_eq!(inits(&footage.reel(&[])), [(false, true), (false, true)], "each may need its own");

        let file = include_bytes!("../../tests/fixtures/media/video_cmaf.mp4");
        let moof = file.windows(4).position(|w| w == b"moof").unwrap() - 4;
        let init = [Init::parse(&file[..moof]).unwrap()];
        let traits = read_traits(&header(&[HeaderTrack { id: 1, inits: &init }]).unwrap()).unwrap();
        wanted.iter().for_each(|wanted| footage.learn(wanted.cell, &traits));
        assert_eq!(footage.headers_wanted(), []);
        assert_eq!(inits(&footage.reel(&[])), [(true, true), (true, false)]);
        let known = footage.index(cells[0]).unwrap().tracks[0].traits.as_ref().unwrap();
        assert_eq!(known.codecs.as_deref(), Some("avc1.64000A"));
    }

    #[test]
    fn a_clip_of_too_many_fragments_is_refused_before_they_fill_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(&dir);
        for n in 0..2 {
            let mut index = index(n, None);
            let first = index.tracks[0].fragments[0];
            let at = |k: u64| IndexEntry { decode_time: first.decode_time + k, duration_ticks: 1, ..first };
            let half = MAX_FRAGMENTS as u64 / 2 + 1;
            index.tracks[0].fragments = (0..half).map(at).collect();
            store(&ledger, n, &index.encode());
        }
        let fits = |start, end| footage(&ledger, NEWS, grid(), &ask(start, end), at(1_000)).map(|_| ());
        assert_eq!(fits(0, 10).map_err(|e| e.to_string()), Ok(()));
        let error = fits(0, 20).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().ends_with("has more than 1000000 fragments"), "{error}");
    }

    #[test]
    fn an_index_that_cannot_be_read_says_whose_it_is_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(&dir);
        store(&ledger, 0, b"index");
        let error = footage(&ledger, NEWS, grid(), &ask(0, 5), at(1_000)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().starts_with("channel news: chunk 2023-11-14T22:13:20Z--"), "{error}");
        assert!(error.remedy().is_some());
    }
}
