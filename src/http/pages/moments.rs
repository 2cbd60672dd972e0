//! Instants and ranges as pages write them, and as people type them there.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::time::{Range, Time};

const DAY_S: i64 = 86_400;

/// `2026-11-22 14:05:00`.
pub(super) fn moment(at: Time) -> String {
    format!("{} {}", at.day(), at.time_of_day())
}

/// `2026-11-22 14:05:00–14:10:00`; with the day of the end where that is another.
pub(super) fn stretch(range: Range) -> String {
    let (start, end) = (range.start, range.end);
    match start.day() == end.day() {
        true => format!("{}–{}", moment(start), end.time_of_day()),
        false => format!("{} – {}", moment(start), moment(end)),
    }
}

/// `Sun 22 Nov`.
pub(super) fn day_label(at: Time) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // 1970-01-01 was a Thursday.
    let weekday = usize::try_from(at.s().div_euclid(DAY_S).rem_euclid(7)).unwrap_or(0);
    let day = at.day();
    let number = |from, to| day.get(from..to).and_then(|n: &str| n.parse::<usize>().ok()).unwrap_or(1);
    let month = MONTHS.get(number(5, 7) - 1).copied().unwrap_or_default();
    format!("{} {} {month}", WEEKDAYS[weekday], number(8, 10))
}

/// `14:05`, or `14:05:10` where the seconds say something.
pub(super) fn clock_label(at: Time) -> String {
    let text = at.time_of_day();
    text.strip_suffix(":00").map(str::to_owned).unwrap_or(text)
}

/// Reads `2026-11-22T14:05:00Z`, and what people type instead: a space for the `T`, no `Z`, no seconds, no time at all.
///
/// # Errors
/// [`Kind::Usage`] for what is none of these.
pub(super) fn typed(text: &str) -> Result<Time> {
    let text = text.trim();
    let plain = text.replacen(' ', "T", 1);
    let forms = [plain.clone(), format!("{plain}:00"), format!("{plain}T00:00:00")];
    forms.iter().find_map(|form| form.parse().ok()).ok_or_else(|| {
        Error::new(Kind::Usage, format!("{text:?} is not a time"))
            .hint("write it like 2026-11-22T14:05:00Z, or 2026-11-22 14:05, in UTC")
    })
}

/// The last multiple of `step` since 1970 that is not after `at`.
pub(super) fn floor(at: Time, step: Duration) -> Time {
    let step = i64::try_from(step.as_secs()).unwrap_or(i64::MAX).max(1);
    Time::from_s(at.s().div_euclid(step).saturating_mul(step))
}

/// The first multiple of `step` since 1970 that is not before `at`.
pub(super) fn ceil(at: Time, step: Duration) -> Time {
    let floor = floor(at, step);
    if floor < at { floor.plus(step) } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_names() {
        for (text, label) in [
            ("1970-01-01T00:00:00Z", "Thu 1 Jan"),
            ("2026-11-22T23:59:59Z", "Sun 22 Nov"),
            ("2028-02-29T00:00:00Z", "Tue 29 Feb"),
        ] {
            assert_eq!(day_label(text.parse().unwrap()), label);
        }
    }

    #[test]
    fn what_people_type_is_read() {
        let expected: Time = "2026-11-22T14:05:00Z".parse().unwrap();
        for text in ["2026-11-22T14:05:00Z", "2026-11-22 14:05:00", " 2026-11-22T14:05 ", "2026-11-22 14:05"]
        {
            assert_eq!(typed(text).unwrap(), expected, "{text}");
        }
        assert_eq!(typed("2026-11-22").unwrap(), "2026-11-22T00:00:00Z".parse().unwrap());
        for text in ["", "now", "14:05", "2026-13-01"] {
            assert!(typed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_names_its_day_once() {
        let range: Range = "2026-11-22T14:05:00Z--2026-11-22T14:10:00Z".parse().unwrap();
        assert_eq!(stretch(range), "2026-11-22 14:05:00–14:10:00");
        let range: Range = "2026-11-22T23:55:00Z--2026-11-23T00:00:00Z".parse().unwrap();
        assert_eq!(stretch(range), "2026-11-22 23:55:00 – 2026-11-23 00:00:00");
    }
}
