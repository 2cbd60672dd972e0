//! Half-open ranges of instants, and sets of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Time;
use crate::error::{Error, Kind};

/// `[start, end)`. An `end` that is not after `start` makes it empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Range {
    /// The first instant.
    pub start: Time,
    /// The first instant after it.
    pub end: Time,
}

impl Range {
    /// `[start, end)`.
    pub const fn new(start: Time, end: Time) -> Self {
        Self { start, end }
    }

    /// True if no instant lies in it.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// How long it is; zero if it is empty.
    pub fn duration(self) -> Duration {
        self.end.since(self.start)
    }

    /// True if `at` lies in it.
    pub fn contains(self, at: Time) -> bool {
        self.start <= at && at < self.end
    }

    /// What both have; empty if they do not meet.
    #[must_use]
    pub fn intersect(self, other: Range) -> Range {
        Range::new(self.start.max(other.start), self.end.min(other.end))
    }
}

impl fmt::Display for Range {
    /// `START--END`, the form of chunk names and of the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}--{}", self.start, self.end)
    }
}

impl FromStr for Range {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (start, end) = text.split_once("--").ok_or_else(|| {
            Error::new(Kind::Usage, format!("{text:?} is not a range"))
                .hint("write it like 2018-12-06T12:55:00Z--2018-12-06T13:00:00Z")
        })?;
        let range = Range::new(typed_time(start)?, typed_time(end)?);
        if range.is_empty() {
            return Err(Error::new(Kind::Usage, format!("{text:?} ends before it begins")));
        }
        Ok(range)
    }
}

/// A time that somebody typed: one that cannot be read is a mistake of use, and not of a source.
///
/// # Errors
/// [`Kind::Usage`], with how it is written.
pub fn typed_time(text: &str) -> Result<Time, Error> {
    text.parse::<Time>().map_err(|e| {
        Error::new(Kind::Usage, e.to_string()).hint("write it like 2018-12-06T12:55:00Z, in UTC")
    })
}

/// A set of instants: sorted ranges that neither touch nor overlap, none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// No instant at all.
    pub const fn none() -> Self {
        Ranges(Vec::new())
    }

    /// The ranges, in order.
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// True if no instant lies in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From the first instant to the last; `None` if there is none.
    pub fn span(&self) -> Option<Range> {
        Some(Range::new(self.0.first()?.start, self.0.last()?.end))
    }

    /// How long all of it is.
    pub fn total(&self) -> Duration {
        self.0.iter().map(|r| r.duration()).sum()
    }

    /// Adds a range, in any order; what touches becomes one.
    pub fn add(&mut self, range: Range) {
        self.add_bridging(range, Duration::ZERO);
    }

    /// Adds a range, and closes holes of at most `bridge` beside it.
    pub fn add_bridging(&mut self, range: Range, bridge: Duration) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|r| r.end.plus(bridge) < range.start);
        let to = self.0.partition_point(|r| r.start <= range.end.plus(bridge));
        let merged = self.0[from..to]
            .iter()
            .fold(range, |all, r| Range::new(all.start.min(r.start), all.end.max(r.end)));
        self.0.splice(from..to, [merged]);
    }

    /// What lies in `within`.
    #[must_use]
    pub fn clip(&self, within: Range) -> Ranges {
        let from = self.0.partition_point(|r| r.end <= within.start);
        let inside = self.0[from..].iter().take_while(|r| r.start < within.end);
        Ranges(inside.map(|r| r.intersect(within)).filter(|r| !r.is_empty()).collect())
    }

    /// What `within` has and this has not: the gaps.
    #[must_use]
    pub fn missing_in(&self, within: Range) -> Ranges {
        let mut gaps = Vec::new();
        let mut at = within.start;
        for r in self.clip(within).0 {
            if at < r.start {
                gaps.push(Range::new(at, r.start));
            }
            at = r.end;
        }
        if at < within.end {
            gaps.push(Range::new(at, within.end));
        }
        Ranges(gaps)
    }

    /// What this has and `other` has not.
    #[must_use]
    pub fn minus(&self, other: &Ranges) -> Ranges {
        Ranges(self.0.iter().flat_map(|r| other.missing_in(*r).0).collect())
    }

    /// True if every instant of `range` lies in it.
    pub fn covers(&self, range: Range) -> bool {
        range.is_empty() || self.missing_in(range).is_empty()
    }

    /// The range that holds `at`, if any does.
    pub fn around(&self, at: Time) -> Option<Range> {
        let i = self.0.partition_point(|r| r.end <= at);
        self.0.get(i).copied().filter(|r| r.contains(at))
    }
}

impl FromIterator<Range> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range>>(iter: I) -> Self {
        let mut all = Ranges::none();
        iter.into_iter().for_each(|r| all.add(r));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn r(start: i64, end: i64) -> Range {
        Range::new(Time::from_ns(start), Time::from_ns(end))
    }

    fn has(set: &Ranges, at: i64) -> bool {
        set.as_slice().iter().any(|r| r.contains(Time::from_ns(at)))
    }

    #[test]
    fn a_range_is_read_as_the_command_line_writes_it() {
        let text = "2018-12-06T12:55:00Z--2018-12-06T13:00:00Z";
        assert_eq!(text.parse::<Range>().unwrap().to_string(), text);
        assert!("2018-12-06T13:00:00Z--2018-12-06T12:55:00Z".parse::<Range>().is_err());
        assert!("2018-12-06T13:00:00Z".parse::<Range>().is_err());
    }

    proptest! {
        #[test]
        fn sets_behave_like_sets_of_points(
            a in prop::collection::vec((0_i64..60, 0_i64..12), 0..8),
            b in prop::collection::vec((0_i64..60, 0_i64..12), 0..8),
            within in (0_i64..60, 0_i64..30),
        ) {
            let make = |v: &[(i64, i64)]| v.iter().map(|(s, n)| r(*s, s + n)).collect::<Ranges>();
            let (x, y) = (make(&a), make(&b));
            let within = r(within.0, within.0 + within.1);
            let (clipped, missing, minus) = (x.clip(within), x.missing_in(within), x.minus(&y));
            for at in 0..100 {
                let inside = within.contains(Time::from_ns(at));
                prop_assert_eq!(has(&x, at), a.iter().any(|(s, n)| *s <= at && at < s + n));
                prop_assert_eq!(has(&clipped, at), has(&x, at) && inside);
                prop_assert_eq!(has(&missing, at), !has(&x, at) && inside);
                prop_assert_eq!(has(&minus, at), has(&x, at) && !has(&y, at));
            }
            for set in [&x, &clipped, &missing, &minus] {
                prop_assert!(set.as_slice().windows(2).all(|w| w[0].end < w[1].start));
                prop_assert!(set.as_slice().iter().all(|r| !r.is_empty()));
            }
        }
    }

    #[test]
    fn a_small_hole_is_bridged_and_a_larger_one_is_not() {
        let mut set = Ranges::none();
        set.add_bridging(r(0, 10), Duration::from_nanos(2));
        set.add_bridging(r(12, 20), Duration::from_nanos(2));
        set.add_bridging(r(23, 30), Duration::from_nanos(2));
        assert_eq!(set.as_slice(), [r(0, 20), r(23, 30)]);
    }
}
