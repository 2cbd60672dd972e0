//! Which track of a file that was found is which of the channel's.
//!
//! Chunks before and after a repair must join, so a track keeps its id in the ledger. npvr writes that id into its files: where
//! the ledger still knows it, there is no doubt. A lost ledger knows none, and the file of another program has numbers of its
//! own: such tracks are paired, by what they carry, their language and their bit rate, with those that the ledger knows and
//! those that the source has today; so the check that follows finds the same names. The numbers in the file need not be
//! the ids: the fragment index keeps both.

use std::collections::HashSet;

use super::subject::Subject;
use crate::capture::{Contents, InFile, pair, tracks_of};
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::ledger::TrackRow;
use crate::time::Timescale;
use crate::track::{Medium, Track};

/// A track of a file that is one of the channel's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Its number in the file.
    pub(super) file_track_id: u32,
    /// Its id in the ledger.
    pub(super) id: u32,
    /// Its name.
    pub(super) name: String,
}

/// For each track of a file the one that is meant, if it is known, and what a person should know.
type Paired = (Vec<Option<Track>>, Option<String>);

/// The tracks of a file, and what a person should know of how they were found.
pub(super) type Found = (Vec<Named>, Option<String>);

impl Subject {
    /// Finds the tracks of a file, and registers those that are new.
    ///
    /// # Errors
    /// [`Kind::TryLater`] if only the source could tell, and it does not answer.
    pub(super) async fn name_tracks(&self, contents: &Contents) -> Result<Found> {
        let found: Vec<InFile> = tracks_of(contents).into_iter().filter(|t| t.medium.is_some()).collect();
        let rows = self.ledger().tracks(self.name())?;
        let own = |t: &InFile| {
            let is_it = |row: &&TrackRow| {
                row.id == t.id && row.timescale == t.timescale && Some(row.track.medium) == t.medium
            };
            let row = rows.iter().find(is_it)?;
            Some(Named { file_track_id: t.id, id: t.id, name: row.track.name() })
        };
        if contents.ours
            && let Some(all) = found.iter().map(own).collect()
        {
            return Ok((all, None));
        }
        let (paired, note) = self.pair_with_known(&rows, &found).await?;
        let mut all: Vec<(u32, Track, Timescale)> = found
            .iter()
            .zip(paired)
            .enumerate()
            .map(|(n, (t, track))| (t.id, track.unwrap_or_else(|| derived(n, t)), t.timescale))
            .collect();
        // Ids are given in this order: that of the file, so that they are its own numbers wherever they can be.
        all.sort_by_key(|(id, ..)| *id);
        let tracks: Vec<(&Track, Timescale)> = all.iter().map(|(_, track, scale)| (track, *scale)).collect();
        let ids = self.ledger().register_tracks(self.name(), &tracks, clock::now())?;
        let named = all.iter().zip(ids).map(|((file_track_id, track, _), id)| Named {
            file_track_id: *file_track_id,
            id,
            name: track.name(),
        });
        Ok((named.collect(), note))
    }

    /// For each track of the file the one that is meant, if the ledger knows it, or the source has it. The source is asked only
    /// where the ledger does not know all of them.
    async fn pair_with_known(&self, rows: &[TrackRow], found: &[InFile]) -> Result<Paired> {
        let mut known: Vec<Track> = rows.iter().map(|row| row.track.clone()).collect();
        let mut names = HashSet::new();
        known.retain(|track| names.insert(track.name()));
        let pairs = paired(&known, found);
        if pairs.iter().all(Option::is_some) {
            return Ok((pairs, None));
        }
        match self.timeline().await.as_ref() {
            Ok(timeline) => {
                known.extend(
                    timeline.tracks.iter().map(|t| t.track.clone()).filter(|t| names.insert(t.name())),
                );
                Ok((paired(&known, found), None))
            }
            Err(why) if self.channel.enabled => Err(unnamed(self.name(), why)),
            Err(why) => {
                Ok((pairs, Some(format!("the source could not be asked for the names of tracks: {why}"))))
            }
        }
    }
}

/// For each track of the file the one that is meant, if it is known.
fn paired(known: &[Track], found: &[InFile]) -> Vec<Option<Track>> {
    let wanted: Vec<(&Track, bool)> = known.iter().map(|track| (track, true)).collect();
    let mut of_file = vec![None; found.len()];
    for (track, at) in known.iter().zip(pair(&wanted, found)) {
        if let Some(at) = at {
            of_file[at] = Some(track.clone());
        }
    }
    of_file
}

/// A track that nobody has a name for, by what the file says of it. `n` is its place there.
fn derived(n: usize, found: &InFile) -> Track {
    Track {
        medium: found.medium.unwrap_or(Medium::Text),
        id: format!("found-{}", n + 1),
        language: found.language.clone(),
        bandwidth: Some(found.bits_per_s).filter(|bits| *bits > 0),
        codecs: None,
        size: None,
    }
}

fn unnamed(channel: &str, why: &str) -> Error {
    let what = format!("which of the channel's tracks are in it can be told by the source only: {why}");
    Error::new(Kind::TryLater, what).hint(format!(
        "run it again when the source answers; if it is gone for good: npvr channel disable {channel}, and tracks are named by \
         what is in the files"
    ))
}
