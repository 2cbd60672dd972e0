//! One chunk that was read back, held against what the ledger says of it: bytes, boxes, index, times, holes and joints.

use std::time::Duration;

use super::finding::What;
use crate::capture::{BEFORE_THE_ARCHIVE, Contents, Evidence, ReadBack, ends_before, presented, prove};
use crate::error::Result;
use crate::grid::Cell;
use crate::ledger::{CellRow, Gap, Ledger, State, Stored};
use crate::media::{Index, Init, TrackIndex};
use crate::time::{Range, Ranges, Time, human_duration};

/// How long segments are where nothing says it.
const USUAL_SEGMENT: Duration = Duration::from_secs(2);

/// A fault of a chunk, and a sentence about it.
pub(super) type Fault = (What, String);

/// What is wrong with a stored chunk. What makes the rest meaningless is told alone.
///
/// # Errors
/// Those of the ledger.
pub(super) fn examine(
    ledger: &dyn Ledger,
    channel: &str,
    row: &CellRow,
    stored: &Stored,
    found: &ReadBack,
) -> Result<Vec<Fault>> {
    let unreadable = || found.contents.as_ref().err().map(|e| format!(": {e}")).unwrap_or_default();
    if found.digest.bytes != stored.bytes {
        let message = format!("it has {} bytes, and {} were written", found.digest.bytes, stored.bytes);
        return Ok(vec![(What::Size, message + &unreadable())]);
    }
    if found.digest.sha256 != stored.sha256 {
        let message = "its bytes are not those that were written".to_owned();
        return Ok(vec![(What::Hash, message + &unreadable())]);
    }
    let contents = match &found.contents {
        Ok(contents) if contents.whole => contents,
        Ok(contents) => {
            let message = format!("it is cut short after byte {}", contents.whole_bytes);
            return Ok(vec![(What::Boxes, message)]);
        }
        Err(e) => return Ok(vec![(What::Boxes, format!("it cannot be read: {e}"))]),
    };
    let index = match index_of(ledger, channel, row.cell, contents)? {
        Ok(index) => index,
        Err(message) => return Ok(vec![(What::Index, message)]),
    };
    let mut faults: Vec<Fault> = Vec::new();
    faults.extend(other_times(row.cell, contents).map(|message| (What::Times, message)));
    faults.extend(holes(ledger, channel, row.cell, contents, &index)?);
    faults.extend(overlaps(&index).map(|message| (What::Joint, message)));
    faults.extend(joint(ledger, channel, row, &index)?.into_iter().map(|message| (What::Joint, message)));
    Ok(faults)
}

/// The ledger's index of a chunk, or what is wrong with it.
fn index_of(
    ledger: &dyn Ledger,
    channel: &str,
    cell: Cell,
    contents: &Contents,
) -> Result<std::result::Result<Index, String>> {
    let Some(kept) = ledger.index(channel, cell)? else {
        return Ok(Err("the ledger has no fragment index of it".to_owned()));
    };
    let kept = match Index::decode(&kept) {
        Ok(kept) => kept,
        Err(e) => return Ok(Err(e.to_string())),
    };
    Ok(if says_the_same(&kept, &contents.index) {
        Ok(kept)
    } else {
        Err("its fragments are not those of the ledger's index".to_owned())
    })
}

fn says_the_same(kept: &Index, in_file: &Index) -> bool {
    // The file knows its own numbers of tracks; the ledger also their ids.
    let (mut kept, mut in_file) = (kept.clone(), in_file.clone());
    kept.number(|file_track_id| file_track_id);
    // What was not kept when it was written is not wrong.
    in_file.forget_as(&kept);
    kept == in_file
}

/// Says so if a track of a file begins so far from the cell that it is another time's.
pub(super) fn other_times(cell: Cell, contents: &Contents) -> Option<String> {
    contents.index.tracks.iter().find_map(|track| {
        let ranges = presented(track, edit(contents, track));
        let begins = ranges.first()?.start;
        let longest = longest(&ranges);
        // The start of a segment decides, and the manifest may say another one than the media, by less than a segment.
        let fits = cell.start().minus(longest) <= begins && begins < cell.end().plus(longest);
        let id = track.file_track_id;
        (!fits).then(|| {
            format!("its times are not those of its cell: track {id} begins at {}", begins.floor_ms())
        })
    })
}

/// What a track's edit list takes off its decode times, in ticks. Header and index number tracks alike.
fn edit(contents: &Contents, track: &TrackIndex) -> i64 {
    let inits = contents.header.iter().find(|(id, _)| *id == track.track_id).map(|(_, inits)| inits);
    inits.and_then(|inits| inits.first()).map_or(0, Init::edit_media_time_ticks)
}

fn longest(ranges: &[Range]) -> Duration {
    ranges.iter().map(|r| r.duration()).max().unwrap_or_default()
}

/// What a file lacks, by its fragments alone: holes, and what is missing at its ends. `tracks` are its numbers of tracks, and
/// the names of these. A start that may belong to a segment of the cell before is no hole.
pub(super) fn gaps_of_file(
    cell: Cell,
    since: Time,
    contents: &Contents,
    tracks: &[(u32, String)],
    before_ends: impl Fn(&str) -> Option<Time>,
) -> Vec<Gap> {
    let around = Range::new(cell.start().minus(cell.range().duration()), cell.end());
    let evidence = tracks.iter().map(|(file_track_id, name)| {
        let track = contents.index.tracks.iter().find(|t| t.file_track_id == *file_track_id);
        let fragments = track.map_or_else(Vec::new, |t| presented(t, edit(contents, t)));
        // Another program may have cut segments into many fragments.
        let segment = (!contents.ours).then(|| longest(&fragments).max(USUAL_SEGMENT));
        let seen = Ranges::from_iter([around]);
        Evidence { name: name.clone(), fragments, segment, seen, before_ends: before_ends(name) }
    });
    prove(cell, since, &evidence.collect::<Vec<_>>(), &[])
}

/// Holes in the file of which no gap of the ledger speaks.
fn holes(
    ledger: &dyn Ledger,
    channel: &str,
    cell: Cell,
    contents: &Contents,
    index: &Index,
) -> Result<Vec<Fault>> {
    let names = ledger.tracks(channel)?;
    let name = |id: u32| names.iter().find(|row| row.id == id).map(|row| row.track.name());
    let tracks: Vec<(u32, String)> =
        index.tracks.iter().filter_map(|t| Some((t.file_track_id, name(t.track_id)?))).collect();
    let since = ledger.since(channel)?.unwrap_or(cell.start());
    let ends = ends_before(ledger, channel, cell)?;
    let found = gaps_of_file(cell, since, contents, &tracks, |name| ends.get(name).copied());
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let told = ledger.gaps(channel, cell.range())?;
    let fault = |gap: &Gap| {
        let told = told.iter().filter(|row| row.cell == cell && row.gap.track == gap.track);
        let explained: Ranges = told.map(|row| row.gap.range).collect();
        let (file_track_id, _) = tracks.iter().find(|(_, name)| *name == gap.track)?;
        let track = contents.index.tracks.iter().find(|t| t.file_track_id == *file_track_id)?;
        let half = longest(&presented(track, 0)) / 2;
        let rest = explained.missing_in(gap.range);
        let hole = rest.as_slice().iter().find(|hole| hole.duration() > half)?;
        let length = human_duration(hole.duration());
        Some((What::Gap, format!("{} lacks {length} from {} on, and no gap says so", gap.track, hole.start)))
    };
    Ok(found.iter().filter(|gap| gap.reason != BEFORE_THE_ARCHIVE).filter_map(fault).collect())
}

/// Fragments that begin before the one before them has ended, by more than rounding does.
fn overlaps(index: &Index) -> impl Iterator<Item = String> {
    index.tracks.iter().filter_map(|track| {
        let half = longest_ticks(track) / 2;
        let over = track.fragments.windows(2).find(|pair| {
            let end = pair[0].decode_time.saturating_add(u64::from(pair[0].duration_ticks));
            pair[1].decode_time.saturating_add(half) < end
        })?;
        let at = over[1].moof_offset;
        Some(format!("track {}: the fragment at byte {at} overlaps the one before it", track.file_track_id))
    })
}

fn longest_ticks(track: &TrackIndex) -> u64 {
    track.fragments.iter().map(|f| u64::from(f.duration_ticks)).max().unwrap_or(0)
}

/// Whether decode times go on from the chunk of the cell before, where both chunks are complete.
fn joint(ledger: &dyn Ledger, channel: &str, row: &CellRow, index: &Index) -> Result<Option<String>> {
    let start = row.cell.start();
    let rows = ledger.cells(channel, Range::new(start.offset_ns(-1), start))?;
    let is_before = |before: &&CellRow| before.cell.end() == start && before.state == State::Complete;
    let Some(before) = rows.iter().find(is_before).filter(|_| row.state == State::Complete) else {
        return Ok(None);
    };
    // An index that is not there, or cannot be read, is a finding of its own chunk.
    let before = ledger.index(channel, before.cell)?.and_then(|bytes| Index::decode(&bytes).ok());
    Ok(before.and_then(|before| broken(&before, index)).map(|what| format!("{what} at {start}")))
}

/// Compares the start of each track with its end in the chunk before.
fn broken(before: &Index, index: &Index) -> Option<String> {
    // Those with an id: the file of another program may have tracks that are none of the channel's.
    index.tracks.iter().filter(|track| track.track_id != 0).find_map(|track| {
        let same = |t: &&TrackIndex| t.track_id == track.track_id && t.timescale == track.timescale;
        let last = before.tracks.iter().find(same)?.fragments.last()?;
        let first = track.fragments.first()?;
        let end = last.decode_time.saturating_add(u64::from(last.duration_ticks));
        let off = first.decode_time.abs_diff(end);
        if off <= longest_ticks(track) / 2 {
            return None;
        }
        let what = if first.decode_time > end { "a hole" } else { "an overlap" };
        let ms = track.timescale.ns(i64::try_from(off).unwrap_or(i64::MAX)) / 1_000_000;
        Some(format!("track {}: {what} of {ms} ms", track.track_id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{IndexEntry, Traits};
    use crate::time::Timescale;

    /// Fragments of one track that begin at these ticks and last 100 each; 50 a second.
    fn index(track_id: u32, starts: &[u64]) -> Index {
        let mut index = Index::default();
        for (n, start) in starts.iter().enumerate() {
            let entry = IndexEntry {
                decode_time: *start,
                duration_ticks: 100,
                moof_offset: 1_000 + n as u64,
                prefix_size: 0,
                size: 1,
                sync: true,
            };
            index.push(track_id, Timescale::new(50).unwrap(), entry);
        }
        index
    }

    #[test]
    fn a_chunk_that_does_not_begin_where_the_one_before_ends_is_told_with_how_much() {
        let before = index(1, &[0, 100, 200]);
        for (starts, told) in [
            ([300, 400], None),
            ([350, 450], None),
            ([360, 460], Some("track 1: a hole of 1200 ms")),
            ([240, 340], Some("track 1: an overlap of 1200 ms")),
        ] {
            assert_eq!(broken(&before, &index(1, &starts)).as_deref(), told);
        }
        assert_eq!(broken(&before, &index(2, &[900])), None, "another track");
        let mut none_of_ours = index(1, &[900]);
        none_of_ours.number(|_| 0);
        assert_eq!(broken(&before, &none_of_ours), None);
    }

    #[test]
    fn an_index_from_before_traits_were_kept_is_not_wrong_and_one_with_other_traits_is() {
        let mut in_file = index(1, &[0, 100]);
        in_file.tracks[0].traits = Some(Traits { samples: 100, ..Traits::default() });
        let mut kept = in_file.clone();
        kept.number(|_| 9);
        assert!(says_the_same(&kept, &in_file));
        kept.tracks[0].traits = Some(Traits { samples: 99, ..Traits::default() });
        assert!(!says_the_same(&kept, &in_file));
        kept.tracks[0].traits = None;
        assert!(says_the_same(&kept, &in_file));
        kept.tracks[0].fragments[1].size = 2;
        assert!(!says_the_same(&kept, &in_file));
    }

    #[test]
    fn a_fragment_that_lies_over_the_one_before_is_told_with_its_place() {
        assert_eq!(overlaps(&index(1, &[0, 100, 160, 260])).count(), 0, "rounding");
        let told: Vec<String> = overlaps(&index(1, &[0, 100, 140])).collect();
        assert_eq!(told, ["track 1: the fragment at byte 1002 overlaps the one before it"]);
    }
}
