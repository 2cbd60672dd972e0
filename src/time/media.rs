//! Media time: a count of ticks, and how many of them make a second.

use std::cmp::Ordering;
use std::num::NonZeroU32;

use super::Time;
use crate::error::{Error, Kind};

const NS_PER_S: i128 = 1_000_000_000;

/// Ticks per second of a track; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timescale(NonZeroU32);

impl Timescale {
    /// One tick a second: what a manifest means where it gives no timescale.
    pub const ONE: Timescale = Timescale(NonZeroU32::MIN);

    /// A timescale of `ticks_per_s`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for zero.
    pub fn new(ticks_per_s: u32) -> Result<Self, Error> {
        NonZeroU32::new(ticks_per_s)
            .map(Timescale)
            .ok_or_else(|| Error::new(Kind::Invalid, "a timescale of 0 ticks a second"))
    }

    /// Ticks per second.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The ticks nearest to `ns` nanoseconds; half a tick rounds up. Saturates.
    pub fn ticks_nearest(self, ns: i128) -> i64 {
        let scaled = ns.saturating_mul(i128::from(self.get()));
        saturate(scaled.saturating_add(NS_PER_S / 2).div_euclid(NS_PER_S))
    }

    /// How long `ticks` last, in nanoseconds, rounded down. Saturates.
    pub fn ns(self, ticks: i64) -> i64 {
        saturate((i128::from(ticks) * NS_PER_S).div_euclid(i128::from(self.get())))
    }

    /// `ticks` of this timescale in `other`'s, to the nearest tick. Saturates.
    pub fn convert(self, ticks: i64, other: Timescale) -> i64 {
        if self == other {
            return ticks;
        }
        let from = i128::from(self.get());
        saturate((i128::from(ticks) * i128::from(other.get()) + from / 2).div_euclid(from))
    }
}

/// A point on a track's timeline. Equality and order are those of the instants: 1/2 = 24000/48000, exactly.
#[derive(Debug, Clone, Copy)]
pub struct MediaTime {
    /// Ticks since the timeline's zero; the Unix epoch, unless said otherwise.
    pub ticks: i64,
    /// How long a tick is.
    pub timescale: Timescale,
}

impl MediaTime {
    /// `ticks` at `timescale`.
    pub const fn new(ticks: i64, timescale: Timescale) -> Self {
        Self { ticks, timescale }
    }

    /// The instant, rounded down to the nanosecond; for showing and for ranges, not for comparing with a grid.
    pub fn instant(self) -> Time {
        Time::from_ns(self.timescale.ns(self.ticks))
    }

    /// Compares with an instant without rounding: ticks / timescale against nanoseconds.
    pub fn cmp_instant(self, at: Time) -> Ordering {
        (i128::from(self.ticks) * NS_PER_S).cmp(&(i128::from(at.ns()) * i128::from(self.timescale.get())))
    }

    /// The first tick at or after an instant.
    pub fn first_at_or_after(at: Time, timescale: Timescale) -> Self {
        let scaled = i128::from(at.ns()) * i128::from(timescale.get());
        Self::new(saturate(-(-scaled).div_euclid(NS_PER_S)), timescale)
    }
}

impl PartialEq for MediaTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for MediaTime {}

impl PartialOrd for MediaTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MediaTime {
    fn cmp(&self, other: &Self) -> Ordering {
        let scaled = |t: &MediaTime, by: &MediaTime| i128::from(t.ticks) * i128::from(by.timescale.get());
        scaled(self, other).cmp(&scaled(other, self))
    }
}

fn saturate(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(n: u32) -> Timescale {
        Timescale::new(n).unwrap()
    }

    #[test]
    fn a_tick_before_a_cell_is_not_in_it_however_fine_the_tick() {
        let start = Time::from_s(1_700_000_000);
        let on = MediaTime::new(1_700_000_000 * 90_000, scale(90_000));
        assert_eq!(on.cmp_instant(start), Ordering::Equal);
        assert_eq!(MediaTime::new(on.ticks - 1, on.timescale).cmp_instant(start), Ordering::Less);
        // A third of a second has no nanosecond of its own; rounding would make these equal.
        let third = MediaTime::new(1, scale(3));
        assert_eq!(third.cmp_instant(Time::from_ns(333_333_333)), Ordering::Greater);
        assert_eq!(third, MediaTime::new(16_000, scale(48_000)));
    }

    #[test]
    fn a_timescale_of_zero_is_refused() {
        assert_eq!(Timescale::new(0).unwrap_err().kind(), Kind::Invalid);
    }

    proptest! {
        #[test]
        fn the_first_tick_at_or_after_is_just_that(ns in -1_i64 << 60..1 << 60, ts in 1_u32..=u32::MAX) {
            let at = Time::from_ns(ns);
            let first = MediaTime::first_at_or_after(at, scale(ts));
            prop_assert_ne!(first.cmp_instant(at), Ordering::Less);
            prop_assert_eq!(MediaTime::new(first.ticks - 1, first.timescale).cmp_instant(at), Ordering::Less);
        }

        #[test]
        fn nothing_overflows(ticks: i64, ts in 1_u32..=u32::MAX, other in 1_u32..=u32::MAX, ns: i128) {
            scale(ts).convert(ticks, scale(other));
            scale(ts).ticks_nearest(ns);
            let _ = MediaTime::new(ticks, scale(ts)).cmp(&MediaTime::new(-ticks.saturating_abs(), scale(other)));
        }
    }
}
