//! The proof of completeness: what a chunk lacks, track by track, and why.
//!
//! It is computed from the fragments that are in the file, never from what was asked for. A chunk without a gap is
//! complete; any other is partial, and its gaps are written down.

use std::time::Duration;

use crate::grid::Cell;
use crate::ledger::Gap;
use crate::media::{IndexEntry, TrackIndex};
use crate::time::{MediaTime, Range, Ranges, Time, human_duration};

/// What is known of one track of a chunk.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// Its name.
    pub(crate) name: String,
    /// What each of its fragments presents, in file order.
    pub(crate) fragments: Vec<Range>,
    /// How long the source's segments are at most; `None` where each fragment is one of them.
    pub(crate) segment: Option<Duration>,
    /// What the source was seen to hold of it, neighbours of the cell included.
    pub(crate) seen: Ranges,
    /// Where the chunk of the cell before ends, if it is known: its last segment may reach into this cell.
    pub(crate) before_ends: Option<Time>,
}

/// Why the beginning of an archive's first cell is not there. Nothing that was promised is missing.
pub const BEFORE_THE_ARCHIVE: &str = "the archive begins later";

/// What each fragment of a track presents, in file order: decode times less what the edit list takes off.
pub(crate) fn presented(track: &TrackIndex, edit_ticks: i64) -> Vec<Range> {
    let at = |ticks: u64| {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX).saturating_sub(edit_ticks);
        MediaTime::new(ticks, track.timescale).instant()
    };
    let range = |f: &IndexEntry| {
        Range::new(at(f.decode_time), at(f.decode_time.saturating_add(u64::from(f.duration_ticks))))
    };
    track.fragments.iter().map(range).collect()
}

/// The gaps of a chunk, by track, then time. A hole of up to half a segment is none.
pub(crate) fn gaps(cell: Cell, since: Time, tracks: &[Evidence], misses: &[Gap]) -> Vec<Gap> {
    // A track of which nothing is there has no length of its own to go by.
    let usual = tracks.iter().map(longest).max().unwrap_or_default();
    tracks.iter().flat_map(|track| track_gaps(cell, since, track, misses, usual)).collect()
}

/// The longest segment of a track.
fn longest(track: &Evidence) -> Duration {
    track.segment.unwrap_or_else(|| longest_of(&track.fragments))
}

fn longest_of(ranges: &[Range]) -> Duration {
    ranges.iter().map(|r| r.duration()).max().unwrap_or_default()
}

fn track_gaps(cell: Cell, since: Time, track: &Evidence, misses: &[Gap], usual: Duration) -> Vec<Gap> {
    let missed: Vec<Range> = misses.iter().filter(|m| m.track == track.name).map(|m| m.range).collect();
    let longest = if track.fragments.is_empty() { usual } else { longest(track) };
    let half = longest / 2;
    let mut covered = Ranges::none();
    for fragment in &track.fragments {
        covered.add_bridging(*fragment, half);
    }
    // A segment that could not be had ends the head as well as one that is there.
    let first = track.fragments.iter().chain(&missed).map(|r| r.start).min();
    if let Some(head) = head(cell, track, first, longest.max(longest_of(&missed))) {
        covered.add_bridging(head, half);
    }
    if let Some(end) = track.before_ends {
        covered.add_bridging(Range::new(cell.start(), end), half);
    }
    // A missed segment is missing to its end, though that may lie in the next cell: there it has no other place.
    let end = missed.iter().map(|r| r.end).fold(cell.end(), Time::max);
    let missing = covered.missing_in(Range::new(cell.start(), end));
    let holes = missing.as_slice().iter().filter(|hole| hole.duration() > half);
    holes
        .flat_map(|hole| {
            // Tracks do not begin at the same instant: where one segment was just in the window, another track's had just
            // left it. Up to a segment after the first, what the source was not seen to hold is still the beginning.
            let late = Range::new(since, hole.end);
            let never_seen = track.seen.clip(late).is_empty();
            let is_beginning = hole.contains(since)
                && (late.duration() <= half || (late.duration() <= longest && never_seen));
            explain(*hole, if is_beginning { hole.end } else { since }, track, misses, half)
        })
        .collect()
}

/// What the source held through the cell's start, up to the first segment that starts in the cell, belongs to a segment that
/// starts in the cell before: no hole.
fn head(cell: Cell, track: &Evidence, first: Option<Time>, longest: Duration) -> Option<Range> {
    let held = track.seen.around(cell.start())?.end;
    let head = Range::new(cell.start(), first.map_or(held, |first| held.min(first)));
    (head.duration() < longest).then_some(head)
}

/// The reasons for one hole: one gap for each stretch of it that has a reason of its own. What a missed segment and its
/// neighbours leave between them, up to `half` a segment, is the missed one's: a manifest rounds.
fn explain(hole: Range, since: Time, track: &Evidence, misses: &[Gap], half: Duration) -> Vec<Gap> {
    let gap =
        |range: Range, reason: &str| Gap { track: track.name.clone(), range, reason: reason.to_owned() };
    let before = hole.intersect(Range::new(hole.start, since));
    let mut gaps: Vec<Gap> =
        (!before.is_empty()).then(|| gap(before, BEFORE_THE_ARCHIVE)).into_iter().collect();
    let hole = Range::new(hole.start.max(since), hole.end);
    let of_track = misses.iter().filter(|m| m.track == track.name);
    for miss in of_track.clone() {
        let part = miss.range.intersect(hole);
        if !part.is_empty() {
            gaps.push(gap(part, &miss.reason));
        }
    }
    let explained: Ranges = of_track.map(|m| m.range).collect();
    for rest in explained.missing_in(hole).as_slice() {
        let touches = |g: &&mut Gap| g.range.end == rest.start || g.range.start == rest.end;
        if rest.duration() <= half
            && let Some(beside) = gaps.iter_mut().find(touches)
        {
            beside.range = Range::new(beside.range.start.min(rest.start), beside.range.end.max(rest.end));
            continue;
        }
        gaps.extend(unexplained(*rest, &track.seen, half).into_iter().map(|(range, why)| gap(range, why)));
    }
    merge(gaps)
}

/// The parts of a hole that no miss explains: what the source was seen to hold was lost, the rest never was. Small parts
/// count for neither: they are rounding, or the end of a segment that starts in the cell before.
fn unexplained(hole: Range, seen: &Ranges, half: Duration) -> Vec<(Range, &'static str)> {
    let least = if half.is_zero() { hole.duration() / 2 } else { half };
    let lost: Ranges = seen.clip(hole).as_slice().iter().filter(|r| r.duration() > least).copied().collect();
    let never = lost.missing_in(hole);
    let never = never.as_slice().iter().filter(|r| lost.is_empty() || r.duration() > least);
    let lost = lost.as_slice().iter().map(|r| (*r, "it left the window before it was captured"));
    lost.chain(never.map(|r| (*r, "the source has no media for it"))).collect()
}

/// Joins neighbours that have one reason.
fn merge(mut gaps: Vec<Gap>) -> Vec<Gap> {
    gaps.sort_by_key(|g| g.range);
    gaps.dedup_by(|next, last| {
        let joins = next.reason == last.reason && next.range.start <= last.range.end;
        if joins {
            last.range.end = last.range.end.max(next.range.end);
        }
        joins
    });
    gaps
}

/// True if `now` lacks nothing that `before` had, and less than that.
pub(crate) fn covers_more(now: &[Gap], before: &[Gap]) -> bool {
    let lacks = |gaps: &[Gap], track: &str| -> Ranges {
        gaps.iter().filter(|g| g.track == track).map(|g| g.range).collect()
    };
    let tracks = || now.iter().chain(before).map(|g| g.track.as_str());
    tracks().all(|t| lacks(now, t).minus(&lacks(before, t)).is_empty())
        && tracks().any(|t| !lacks(before, t).minus(&lacks(now, t)).is_empty())
}

/// `audio=eng lacks 4s (404 Not Found), video=1 lacks 2s (…)`.
pub(crate) fn summary(gaps: &[Gap]) -> String {
    let one = |g: &Gap| format!("{} lacks {} ({})", g.track, human_duration(g.range.duration()), g.reason);
    let shown: Vec<String> =
        gaps.iter().filter(|g| g.reason != BEFORE_THE_ARCHIVE).take(3).map(one).collect();
    match gaps.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more if shown.is_empty() => format!("{BEFORE_THE_ARCHIVE} ({more})"),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    fn ms(n: i64) -> Time {
        Time::from_ns(n * 1_000_000)
    }

    fn range(start: i64, end: i64) -> Range {
        Range::new(ms(start), ms(end))
    }

    /// The cell [10 s, 20 s).
    fn cell() -> Cell {
        Grid::new(Duration::from_secs(10)).unwrap().cell_at(ms(10_000))
    }

    fn track(starts: &[i64], seen: &[Range]) -> Evidence {
        let fragments = starts.iter().map(|s| range(*s, s + 2_000)).collect();
        let seen = seen.iter().copied().collect();
        Evidence { name: "audio=1".into(), fragments, segment: None, seen, before_ends: None }
    }

    fn found(track: Evidence, misses: &[Gap]) -> Vec<(Range, String)> {
        gaps(cell(), ms(0), &[track], misses).into_iter().map(|g| (g.range, g.reason)).collect()
    }

    #[test]
    fn segments_that_straddle_both_ends_leave_no_gap() {
        assert_eq!(found(track(&[11_500, 13_500, 15_500, 17_500, 19_500], &[range(5_000, 30_000)]), &[]), []);
    }

    #[test]
    fn a_head_that_the_source_was_not_seen_to_hold_is_a_gap() {
        let got = found(track(&[11_500, 13_500, 15_500, 17_500, 19_500], &[range(11_500, 30_000)]), &[]);
        assert_eq!(got, [(range(10_000, 11_500), "the source has no media for it".into())]);
    }

    #[test]
    fn what_lies_before_a_first_segment_that_could_not_be_had_is_no_gap() {
        let misses = [Gap { track: "audio=1".into(), range: range(11_500, 13_500), reason: "404".into() }];
        let got = found(track(&[13_500, 15_500, 17_500, 19_500], &[range(5_000, 30_000)]), &misses);
        assert_eq!(got, [(range(11_500, 13_500), "404".into())]);
        let got = found(track(&[], &[range(5_000, 13_500)]), &misses);
        assert_eq!(got[0], (range(11_500, 13_500), "404".into()), "even where no segment could be had");
    }

    #[test]
    fn a_hole_begins_where_the_source_was_seen_to_hold_no_more() {
        let seen = [range(5_000, 11_300), range(16_000, 30_000)];
        let got = found(track(&[16_000, 18_000], &seen), &[]);
        assert_eq!(got, [(range(11_300, 16_000), "the source has no media for it".into())]);
    }

    #[test]
    fn of_a_track_without_a_fragment_too_what_the_cell_before_holds_is_no_hole() {
        let lost = track(&[], &[range(5_000, 10_900)]);
        let other = Evidence {
            name: "video=1".into(),
            ..track(&[9_900, 11_900, 13_900, 15_900, 17_900, 19_900], &[])
        };
        let got = gaps(cell(), ms(0), &[lost, other], &[]);
        assert_eq!(got.iter().map(|g| g.range).collect::<Vec<_>>(), [range(10_900, 20_000)]);
    }

    #[test]
    fn a_missed_segment_is_missing_to_its_end_even_if_all_but_a_sliver_lies_in_the_next_cell() {
        let miss = Gap { track: "audio=1".into(), range: range(19_900, 21_900), reason: "404".into() };
        let evidence = track(&[9_900, 11_900, 13_900, 15_900, 17_900], &[range(0, 30_000)]);
        assert_eq!(found(evidence, &[miss]), [(range(19_900, 21_900), "404".into())]);
    }

    #[test]
    fn a_hole_begins_where_the_last_segment_of_the_cell_before_ends() {
        let starts = [16_000, 18_000];
        let evidence = Evidence { before_ends: Some(ms(11_300)), ..track(&starts, &[range(16_000, 30_000)]) };
        let got = found(evidence, &[]);
        assert_eq!(got, [(range(11_300, 16_000), "the source has no media for it".into())]);
    }

    #[test]
    fn holes_are_told_apart_by_their_reasons() {
        let misses = [Gap { track: "audio=1".into(), range: range(12_000, 14_000), reason: "404".into() }];
        let got = found(track(&[10_000, 18_000], &[range(0, 15_900), range(18_000, 30_000)]), &misses);
        let left = "it left the window before it was captured".to_owned();
        let never = "the source has no media for it".to_owned();
        let told = [(range(14_000, 15_900), left), (range(15_900, 18_000), never.clone())];
        assert_eq!(got, [&[(range(12_000, 14_000), "404".into())], &told[..]].concat());
        // A track that has nothing in the cell but the end of a segment that starts before it.
        assert_eq!(
            found(track(&[], &[range(0, 10_700), range(20_500, 30_000)]), &[]),
            [(cell().range(), never)]
        );
    }

    #[test]
    fn what_rounding_leaves_beside_a_missed_segment_is_part_of_its_gap() {
        let reason = "404".to_owned();
        let misses = [Gap { track: "audio=1".into(), range: range(12_020, 13_980), reason: reason.clone() }];
        let got = found(track(&[10_000, 14_001, 16_000, 18_000], &[range(0, 30_000)]), &misses);
        assert_eq!(got, [(range(12_000, 14_001), reason)]);
    }

    #[test]
    fn jitter_of_less_than_half_a_segment_is_no_gap_and_more_is() {
        let seen = [range(0, 30_000)];
        assert_eq!(found(track(&[10_000, 12_500, 14_900, 16_900, 18_500], &seen), &[]), []);
        assert_eq!(
            found(track(&[10_000, 13_500, 15_500, 17_500, 19_500], &[range(0, 12_000)]), &[]).len(),
            1
        );
    }

    #[test]
    fn a_fragment_that_is_longer_than_a_segment_hides_no_hole() {
        let fragments = vec![range(10_000, 17_500)];
        let evidence = Evidence { fragments, ..track(&[], &[range(0, 30_000)]) };
        assert_eq!(found(evidence.clone(), &[]), [], "half of so long a segment may be missing");
        let evidence = Evidence { segment: Some(Duration::from_secs(2)), ..evidence };
        let lost = "it left the window before it was captured".to_owned();
        assert_eq!(found(evidence, &[]), [(range(17_500, 20_000), lost)]);
    }

    #[test]
    fn what_was_gone_before_the_archive_began_is_said_to_be_so() {
        let evidence = track(&[14_000, 16_000, 18_000], &[range(14_000, 30_000)]);
        let got = gaps(cell(), ms(13_900), &[evidence], &[]);
        assert_eq!(got.len(), 1);
        assert_eq!((got[0].range, got[0].reason.as_str()), (range(10_000, 14_000), BEFORE_THE_ARCHIVE));
    }

    #[test]
    fn a_track_that_begins_up_to_a_segment_after_the_others_has_no_gap_there_unless_the_source_held_more() {
        let evidence = |held_from| track(&[14_000, 16_000, 18_000], &[range(held_from, 30_000)]);
        let reasons = |held_from, since| -> Vec<String> {
            gaps(cell(), ms(since), &[evidence(held_from)], &[]).into_iter().map(|g| g.reason).collect()
        };
        assert_eq!(reasons(14_000, 12_100), [BEFORE_THE_ARCHIVE]);
        assert_eq!(reasons(14_000, 11_900).len(), 2, "more than a segment");
        assert_eq!(reasons(12_100, 12_100).len(), 2, "the source held it");
    }

    #[test]
    fn a_track_without_a_fragment_lacks_the_whole_cell() {
        assert_eq!(found(track(&[], &[]), &[]), [(cell().range(), "the source has no media for it".into())]);
    }
}
