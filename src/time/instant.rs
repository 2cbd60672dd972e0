//! An instant on the UTC line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};
use utoipa::ToSchema;

use crate::error::{Error, Kind};

const NS_PER_S: i64 = 1_000_000_000;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, good for the years 1678 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Time(i64);

impl Time {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Time = Time(0);
    /// The latest instant that can be said.
    pub const MAX: Time = Time(i64::MAX);

    /// An instant from nanoseconds since the epoch.
    pub const fn from_ns(ns: i64) -> Self {
        Time(ns)
    }

    /// An instant from whole seconds since the epoch; saturates.
    pub const fn from_s(s: i64) -> Self {
        Time(s.saturating_mul(NS_PER_S))
    }

    /// Nanoseconds since the epoch.
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn s(self) -> i64 {
        self.0.div_euclid(NS_PER_S)
    }

    /// How much later this is than `earlier`; zero if it is not later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.signed_ns_since(earlier).max(0).unsigned_abs())
    }

    /// How much later this is than `other` in nanoseconds, negative if it is earlier; saturates.
    pub const fn signed_ns_since(self, other: Time) -> i64 {
        self.0.saturating_sub(other.0)
    }

    /// This instant `d` later; saturates.
    #[must_use]
    pub fn plus(self, d: Duration) -> Time {
        Time(self.0.saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This instant `d` earlier; saturates.
    #[must_use]
    pub fn minus(self, d: Duration) -> Time {
        Time(self.0.saturating_sub(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This instant moved by `ns`, either way; saturates.
    #[must_use]
    pub const fn offset_ns(self, ns: i64) -> Time {
        Time(self.0.saturating_add(ns))
    }

    /// `2018-12-06`, the UTC day that holds this instant.
    pub fn day(self) -> String {
        self.text().as_str()[..10].to_owned()
    }

    /// `12:55:00`, the UTC time of day in whole seconds.
    pub fn time_of_day(self) -> String {
        self.text().as_str()[11..19].to_owned()
    }

    /// `Thu, 06 Dec 2018 12:55:00 GMT`, as headers of HTTP have it (RFC 9110 §5.6.7), in whole seconds.
    pub fn http_date(self) -> String {
        DateTime::<Utc>::from_timestamp_nanos(self.0).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// To whole seconds, rounded down.
    #[must_use]
    pub const fn floor_s(self) -> Time {
        Time::from_s(self.s())
    }

    /// To whole milliseconds, rounded down.
    #[must_use]
    pub const fn floor_ms(self) -> Time {
        Time(self.0 - self.0.rem_euclid(1_000_000))
    }

    /// `2018-12-06T12:55:00Z`, without allocating: a playlist of a day has hundreds of times, and is mostly made of them. The
    /// first ten bytes are the day.
    pub fn text(self) -> TimeText {
        let at = DateTime::<Utc>::from_timestamp_nanos(self.0);
        let mut text = TimeText { bytes: [0; TimeText::LONGEST], len: 0 };
        text.number(at.year().unsigned_abs(), 4, b'-');
        text.number(at.month(), 2, b'-');
        text.number(at.day(), 2, b'T');
        text.number(at.hour(), 2, b':');
        text.number(at.minute(), 2, b':');
        match at.nanosecond() {
            0 => text.number(at.second(), 2, b'Z'),
            ns => {
                text.number(at.second(), 2, b'.');
                match ns {
                    ns if ns % 1_000_000 == 0 => text.number(ns / 1_000_000, 3, b'Z'),
                    ns if ns % 1_000 == 0 => text.number(ns / 1_000, 6, b'Z'),
                    ns => text.number(ns, 9, b'Z'),
                }
            }
        }
        text
    }
}

/// An instant as text.
#[derive(Debug, Clone, Copy)]
pub struct TimeText {
    bytes: [u8; TimeText::LONGEST],
    len: usize,
}

impl TimeText {
    /// `2018-12-06T12:55:00.123456789Z`; years of instants have four digits.
    const LONGEST: usize = 30;

    /// The text.
    pub fn as_str(&self) -> &str {
        // Only digits and marks are ever put in.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    /// Adds a number of so many digits, and the mark behind it.
    fn number(&mut self, mut number: u32, digits: usize, mark: u8) {
        for place in self.bytes[self.len..][..digits].iter_mut().rev() {
            *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
        self.bytes[self.len + digits] = mark;
        self.len += digits + 1;
    }
}

impl fmt::Display for Time {
    /// `2018-12-06T12:55:00Z`, with as many fraction digits as are needed (none, 3, 6 or 9).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl FromStr for Time {
    type Err = Error;

    /// ISO 8601 with `Z` or an offset, 0 to 9 fraction digits. XML Schema lets a time go without a zone: that is
    /// taken as UTC (XML Schema Part 2, 3.2.7).
    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let parsed = text
            .parse::<DateTime<Utc>>()
            .or_else(|e| text.parse::<NaiveDateTime>().map(|naive| naive.and_utc()).map_err(|_| e));
        let nanos = parsed.ok().and_then(|at| at.timestamp_nanos_opt());
        nanos.map(Time).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("{text:?} is not a time"))
                .hint("write it like 2018-12-06T12:55:00Z")
        })
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_sources_use() {
        let expected = Time::from_ns(1_744_814_831_238_512_000);
        for text in
            ["2025-04-16T14:47:11.238512Z", "2025-04-16T16:47:11.238512+02:00", "2025-04-16T14:47:11.238512"]
        {
            assert_eq!(text.parse::<Time>().unwrap(), expected, "{text}");
        }
        for text in ["", "now", "2025-04-16", "9999-01-01T00:00:00Z", "2025-13-01T00:00:00Z"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }

    #[test]
    fn whole_seconds_are_written_without_a_fraction() {
        assert_eq!(Time::from_s(1_544_100_900).to_string(), "2018-12-06T12:55:00Z");
        assert_eq!(Time::from_s(1_544_100_900).day(), "2018-12-06");
        assert_eq!(Time::from_s(1_544_100_900).time_of_day(), "12:55:00");
        assert_eq!(Time::from_s(1_544_100_900).http_date(), "Thu, 06 Dec 2018 12:55:00 GMT");
        assert_eq!(Time::from_ns(-1).s(), -1);
    }

    proptest! {
        #[test]
        fn a_time_is_written_as_chrono_writes_it(ns in any::<i64>(), unit in prop::sample::select(vec![1_i64, 1_000, 1_000_000, NS_PER_S])) {
            let ns = (ns / unit) * unit;
            let theirs = DateTime::<Utc>::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
            prop_assert_eq!(Time::from_ns(ns).to_string(), theirs);
        }
    }
}
