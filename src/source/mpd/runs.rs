//! Segments as runs: `count` segments of one duration, back to back. Expanded only where segments are asked for.
//!
//! Pure. All work here is per run, so a week of 2 s segments with constant durations is one step, not 302,400.

use super::super::xml::invalid;
use super::model::Entry;
use crate::error::Result;

/// More segments than a month of 0.3 s ones: beyond this a manifest is nonsense.
pub(super) const MAX_SEGMENTS: i64 = 10_000_000;

/// A run of segments, in the manifest's media time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Start of the first, in ticks.
    pub(super) start: i64,
    /// Length of each, in ticks; more than 0.
    pub(super) duration: i64,
    /// How many; more than 0.
    pub(super) count: i64,
    /// Number of the first.
    pub(super) number: u64,
}

/// One segment of a run, in the manifest's media time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) start: i64,
    pub(super) duration: i64,
    pub(super) number: u64,
}

impl Run {
    /// A run, if it holds anything.
    ///
    /// # Errors
    /// [`crate::error::Kind::Invalid`] if its end cannot be said in 64 bits.
    fn new(start: i64, duration: i64, count: i64, number: u64) -> Result<Option<Run>> {
        let end = duration.checked_mul(count.max(0)).and_then(|d| d.checked_add(start));
        if end.is_none() || number.checked_add(count.max(0).unsigned_abs()).is_none() {
            return Err(invalid("a segment beyond the end of time"));
        }
        Ok((count > 0).then_some(Run { start, duration, count, number }))
    }

    /// Where its last segment starts.
    pub(super) fn last_start(&self) -> i64 {
        self.end() - self.duration
    }

    /// The first tick after it.
    pub(super) fn end(&self) -> i64 {
        self.start + self.duration * self.count
    }

    fn slot(&self, index: i64) -> Slot {
        Slot {
            start: self.start + self.duration * index,
            duration: self.duration,
            number: self.number + index.unsigned_abs(),
        }
    }

    /// How many of its segments start before `ticks`.
    fn starting_before(&self, ticks: i64) -> i64 {
        let distance = i128::from(ticks) - i128::from(self.start);
        i64::try_from(ceil_div(distance, self.duration).clamp(0, i128::from(self.count)))
            .unwrap_or(self.count)
    }

    /// Those of its segments that start in `[from, to)`.
    fn between(&self, from: i64, to: i64) -> Option<Run> {
        let (skip, upto) = (self.starting_before(from), self.starting_before(to));
        let slot = self.slot(skip);
        (upto > skip).then_some(Run { start: slot.start, number: slot.number, count: upto - skip, ..*self })
    }
}

fn ceil_div(n: i128, d: i64) -> i128 {
    -(-n).div_euclid(i128::from(d))
}

/// Where an entry with a negative repeat and no entry after it ends (§5.3.9.6.2, Table 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenEnd {
    /// At the end of the period, in media ticks; the last segment may be cut short by it.
    Period(i64),
    /// At the live edge, in media ticks; the last segment ends at or before it.
    Edge(i64),
    /// Nowhere: the manifest does not say.
    Unknown,
}

/// Runs of a `SegmentTimeline`: sorted, and none overlapping the next.
///
/// # Errors
/// [`crate::error::Kind::Invalid`] if it goes back in time, has no end, or holds more than [`MAX_SEGMENTS`].
pub(super) fn resolve(entries: &[Entry], start_number: u64, open: OpenEnd) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut at, mut number, mut total) = (0_i64, start_number, 0_i64);
    for (i, entry) in entries.iter().enumerate() {
        let start = entry.start.unwrap_or(at);
        number = entry.number.unwrap_or(number);
        let count = match entry.repeat {
            r if r >= 0 => r.saturating_add(1),
            _ => open_count(start, entry.duration, entries.get(i + 1), open)?,
        };
        total = total.saturating_add(count.max(0));
        if total > MAX_SEGMENTS {
            return Err(invalid(format!("more than {MAX_SEGMENTS} segments in one track")));
        }
        at = start;
        if let Some(run) = Run::new(start, entry.duration, count, number)? {
            at = run.end();
            number += count.unsigned_abs();
            append(&mut runs, run)?;
        }
    }
    Ok(runs)
}

fn open_count(start: i64, duration: i64, next: Option<&Entry>, open: OpenEnd) -> Result<i64> {
    let until = |end: i64| i128::from(end) - i128::from(start);
    let count = match (next, open) {
        (Some(Entry { start: Some(next), .. }), _) => ceil_div(until(*next), duration),
        (Some(_), _) => return Err(invalid("an S element with a negative r, and no t in the one after it")),
        (None, OpenEnd::Period(end)) => ceil_div(until(end), duration),
        (None, OpenEnd::Edge(now)) => until(now).div_euclid(i128::from(duration)),
        (None, OpenEnd::Unknown) => {
            return Err(invalid("an S element with a negative r, and no end of its period"));
        }
    };
    Ok(i64::try_from(count.max(0)).unwrap_or(i64::MAX))
}

/// Puts a run behind the others. Where it starts before they end, it is the newer word: the older segments that
/// start after it are dropped, the one that straddles its start is kept.
fn append(runs: &mut Vec<Run>, run: Run) -> Result<()> {
    if let Some(last) = runs.last_mut() {
        if run.start < last.start {
            return Err(invalid("a SegmentTimeline that goes back in time"));
        }
        last.count = last.starting_before(run.start);
        let follows = last.end() == run.start && last.number + last.count.unsigned_abs() == run.number;
        if follows && last.duration == run.duration {
            last.count += run.count;
            return Ok(());
        }
        if last.count == 0 {
            runs.pop();
        }
    }
    runs.push(run);
    Ok(())
}

/// The run of a template with `@duration`: segment `k` starts `k · duration` after the period (§5.3.9.5.3), for those
/// that start at `from` or later and lie before `end`. Ticks of the media timeline, whose value at the period's start is
/// `zero`.
///
/// # Errors
/// [`crate::error::Kind::Invalid`] if it has no end, or more than [`MAX_SEGMENTS`].
pub(super) fn constant(
    duration: i64,
    zero: i64,
    numbers: (u64, Option<u64>),
    from: Option<i64>,
    end: OpenEnd,
) -> Result<Vec<Run>> {
    let since = |ticks: i64| i128::from(ticks) - i128::from(zero);
    let last = numbers.1.map(|last| i128::from(last) - i128::from(numbers.0) + 1);
    let upto = match (end, last) {
        (OpenEnd::Period(end), last) => ceil_div(since(end), duration).min(last.unwrap_or(i128::MAX)),
        (OpenEnd::Edge(now), last) => {
            since(now).div_euclid(i128::from(duration)).min(last.unwrap_or(i128::MAX))
        }
        (OpenEnd::Unknown, Some(last)) => last,
        (OpenEnd::Unknown, None) => {
            return Err(invalid("a SegmentTemplate@duration in a period without an end"));
        }
    };
    let skip = from.map_or(0, |from| ceil_div(since(from), duration).max(0));
    let count = upto.saturating_sub(skip).max(0);
    if count > i128::from(MAX_SEGMENTS) {
        return Err(invalid(format!("more than {MAX_SEGMENTS} segments in one track")));
    }
    let beyond = || invalid("a segment beyond the end of time");
    let start = i64::try_from(i128::from(zero) + skip * i128::from(duration)).map_err(|_| beyond())?;
    let number = u64::try_from(i128::from(numbers.0) + skip).map_err(|_| beyond())?;
    let count = i64::try_from(count).map_err(|_| beyond())?;
    Ok(Run::new(start, duration, count, number)?.into_iter().collect())
}

/// Those segments of sorted runs that start in `[from, to)`.
pub(super) fn between(runs: &[Run], from: i64, to: i64) -> impl Iterator<Item = Run> + '_ {
    let first = runs.partition_point(|r| r.end() <= from);
    runs[first..].iter().take_while(move |r| r.start < to).filter_map(move |r| r.between(from, to))
}

/// The segments of runs, one by one.
pub(super) fn slots(runs: impl Iterator<Item = Run>) -> impl Iterator<Item = Slot> {
    runs.flat_map(|run| (0..run.count).map(move |i| run.slot(i)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s(start: Option<i64>, duration: i64, repeat: i64) -> Entry {
        Entry { start, duration, repeat, number: None }
    }

    fn expand(runs: &[Run]) -> Vec<(i64, i64, u64)> {
        slots(runs.iter().copied()).map(|s| (s.start, s.duration, s.number)).collect()
    }

    #[test]
    fn a_negative_repeat_runs_to_the_next_entry_the_end_of_the_period_or_the_edge() {
        let entries = [s(Some(0), 10, -1), s(Some(35), 10, -1)];
        let starts = |open| {
            let runs = resolve(&entries, 1, open).unwrap();
            expand(&runs).iter().map(|s| s.0).collect::<Vec<_>>()
        };
        assert_eq!(starts(OpenEnd::Period(50)), [0, 10, 20, 30, 35, 45]);
        assert_eq!(starts(OpenEnd::Edge(54)), [0, 10, 20, 30, 35]);
        assert_eq!(starts(OpenEnd::Edge(20)), [0, 10, 20, 30]);
        assert!(resolve(&entries, 1, OpenEnd::Unknown).is_err());
        assert!(resolve(&[s(None, 1, -1), s(None, 1, 0)], 1, OpenEnd::Edge(9)).is_err());
    }

    #[test]
    fn constant_durations_start_at_the_period_and_stay_inside_the_window() {
        let runs = constant(10, 100, (5, None), Some(115), OpenEnd::Edge(149)).unwrap();
        assert_eq!(expand(&runs), [(120, 10, 7), (130, 10, 8)]);
        let runs = constant(10, 0, (1, Some(2)), None, OpenEnd::Period(95)).unwrap();
        assert_eq!(expand(&runs), [(0, 10, 1), (10, 10, 2)]);
        assert_eq!(constant(10, 0, (1, None), None, OpenEnd::Edge(-50)).unwrap(), []);
        assert!(constant(1, 0, (1, None), None, OpenEnd::Edge(i64::MAX)).is_err());
        assert!(constant(1, 0, (1, None), None, OpenEnd::Unknown).is_err());
    }

    #[test]
    fn absurd_entries_are_refused_at_once() {
        assert!(resolve(&[s(Some(0), 1, i64::MAX)], 0, OpenEnd::Unknown).is_err());
        assert!(resolve(&[s(Some(i64::MAX - 1), 2, 0)], 0, OpenEnd::Unknown).is_err());
        assert!(resolve(&[s(Some(0), i64::MAX, 1)], 0, OpenEnd::Unknown).is_err());
        assert!(resolve(&[s(Some(10), 1, 0), s(Some(5), 1, 0)], 0, OpenEnd::Unknown).is_err());
        assert!(resolve(&[s(Some(0), 1, 0)], u64::MAX, OpenEnd::Unknown).is_err());
    }

    #[test]
    fn equal_neighbours_become_one_run() {
        let runs =
            resolve(&[s(Some(7), 3, 1), s(None, 3, 2), s(Some(22), 3, 0)], 1, OpenEnd::Unknown).unwrap();
        assert_eq!(runs, [Run { start: 7, duration: 3, count: 6, number: 1 }]);
    }

    /// One segment at a time, as the standard tells it; `None` where it must be refused.
    fn naive(entries: &[Entry], start_number: u64) -> Option<Vec<(i64, i64, u64)>> {
        let mut all: Vec<(i64, i64, u64)> = Vec::new();
        let (mut at, mut number, mut newest) = (0, start_number, i64::MIN);
        for e in entries {
            at = e.start.unwrap_or(at);
            if at < newest {
                return None;
            }
            newest = at;
            all.retain(|s| s.0 < at);
            for _ in 0..=e.repeat {
                all.push((at, e.duration, number));
                (at, number) = (at + e.duration, number + 1);
            }
        }
        Some(all)
    }

    proptest! {
        #[test]
        fn runs_hold_the_segments_that_a_naive_expansion_gives(
            entries in prop::collection::vec((prop::option::of(0_i64..400), 1_i64..12, 0_i64..6), 0..12),
            start_number in 0_u64..5,
            from in 0_i64..450, len in 0_i64..200,
        ) {
            // Mostly forward, as manifests are: each given start is moved behind the one before it.
            let mut floor = 0;
            let entries: Vec<Entry> = entries.into_iter().map(|(t, d, r)| {
                let t = t.map(|t| { floor += t / 8; floor });
                s(t, d, r)
            }).collect();
            match (resolve(&entries, start_number, OpenEnd::Unknown), naive(&entries, start_number)) {
                (Ok(runs), Some(all)) => {
                    prop_assert_eq!(expand(&runs), all.clone());
                    prop_assert!(runs.windows(2).all(|w| w[0].start < w[1].start));
                    let to = from + len;
                    let some: Vec<Slot> = slots(between(&runs, from, to)).collect();
                    let wanted: Vec<_> = all.into_iter().filter(|s| from <= s.0 && s.0 < to).collect();
                    prop_assert_eq!(some.iter().map(|s| (s.start, s.duration, s.number)).collect::<Vec<_>>(), wanted);
                }
                // Runs that were joined forget where the last entry began, so a step back inside them is let through.
                (runs, all) => prop_assert!(runs.is_ok() || all.is_none()),
            }
        }

        #[test]
        fn no_entry_overflows(t: i64, d in 1..=i64::MAX, r: i64, n: u64, end: i64) {
            let entry = Entry { start: Some(t), duration: d, repeat: r, number: Some(n) };
            for open in [OpenEnd::Period(end), OpenEnd::Edge(end), OpenEnd::Unknown] {
                if let Ok(runs) = resolve(&[entry], n, open) {
                    let _ = between(&runs, end, t).count();
                }
                let _ = constant(d, t, (n, None), Some(r), open);
                let _ = constant(d, t, (n, Some(n)), None, open);
            }
        }
    }
}
