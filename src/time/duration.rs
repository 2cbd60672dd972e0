//! Lengths of time as people and manifests write them: ISO 8601, and the short form of the configuration.

use std::time::Duration;

use crate::error::{Error, Kind};

/// Reads `PT5M`, `P7D`, `P1W`, `PT1.5S`, and also `5m`, `7d`, `90s`, `1h30m`.
///
/// Years and months are refused: their length depends on the calendar. So are negative lengths, an empty `PT`,
/// and anything past the end. Fractions are exact to the nanosecond.
///
/// # Errors
/// [`Kind::Invalid`], with the reason.
pub fn parse_duration(text: &str) -> Result<Duration, Error> {
    let fail = |why: &str| {
        Error::new(Kind::Invalid, format!("{text:?} is not a duration: {why}"))
            .hint("write it like PT5M, PT90S, PT1H30M or P7D")
    };
    let trimmed = text.trim();
    let nanos = match trimmed.strip_prefix('P') {
        Some(rest) => {
            let (days, time) = match rest.split_once('T') {
                Some((_, "")) => return Err(fail("nothing follows the T")),
                Some((days, time)) => (days, time),
                None => (rest, ""),
            };
            if days.is_empty() && time.is_empty() {
                return Err(fail("it is empty"));
            }
            let days = sum_parts(days, &[('W', 604_800), ('D', 86_400)], &fail)?;
            let time = sum_parts(time, &[('H', 3_600), ('M', 60), ('S', 1)], &fail)?;
            days.checked_add(time)
        }
        None if trimmed.is_empty() => return Err(fail("it is empty")),
        None => Some(sum_parts(
            trimmed,
            &[('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)],
            &fail,
        )?),
    };
    // i64 nanoseconds is what an instant can be moved by.
    match nanos.and_then(|n| i64::try_from(n).ok()) {
        Some(n) => Ok(Duration::from_nanos(n.unsigned_abs())),
        None => Err(fail("it is too long")),
    }
}

/// Adds up `12H30M5.25S`: units in the given order, each at most once, a fraction only with seconds. Nanoseconds.
fn sum_parts(mut text: &str, units: &[(char, i128)], fail: &dyn Fn(&str) -> Error) -> Result<i128, Error> {
    let mut sum = 0_i128;
    let mut units = units.iter();
    while !text.is_empty() {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| fail("a number has no unit"))?;
        let (number, rest) = text.split_at(end);
        let unit = rest.chars().next().unwrap_or_default();
        if unit == 'Y' || (unit == 'M' && !units.as_slice().iter().any(|(u, _)| *u == 'M')) {
            return Err(fail("years and months have no fixed length; use days"));
        }
        let (_, seconds) = units
            .find(|(u, _)| *u == unit)
            .ok_or_else(|| fail(&format!("{unit:?} is not a unit that can stand here")))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if number.contains('.') && (*seconds != 1 || fraction.is_empty()) {
            return Err(fail("only seconds can have a fraction"));
        }
        let whole: i128 = whole.parse().map_err(|_| fail("a unit has no number"))?;
        sum = whole
            .checked_mul(seconds * 1_000_000_000)
            .and_then(|ns| ns.checked_add(fraction_ns(fraction)))
            .and_then(|ns| ns.checked_add(sum))
            .ok_or_else(|| fail("it is too long"))?;
        text = &rest[unit.len_utf8()..];
    }
    Ok(sum)
}

/// `25` → 250,000,000: digits after the point, in nanoseconds; what is finer is cut off.
fn fraction_ns(digits: &str) -> i128 {
    digits.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |sum, d| sum * 10 + i128::from(d - b'0'))
}

/// Writes ISO 8601: `P7D`, `PT5M`, `PT1H30M`, `PT1.5S`; zero is `PT0S`.
pub fn format_duration(d: Duration) -> String {
    let (s, ns) = (d.as_secs(), d.subsec_nanos());
    let (days, h, m, s) = (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60);
    let mut out = String::from("P");
    let mut part = |n: u64, unit: &str| {
        if n > 0 {
            out += &format!("{n}{unit}")
        }
    };
    part(days, "D");
    if h + m + s > 0 || ns > 0 || days == 0 {
        out.push('T');
        let mut part = |n: u64, unit: &str| {
            if n > 0 {
                out += &format!("{n}{unit}")
            }
        };
        part(h, "H");
        part(m, "M");
        if ns > 0 {
            out += format!("{s}.{ns:09}").trim_end_matches('0');
            out.push('S');
        } else if s > 0 || out == "PT" {
            out += &format!("{s}S");
        }
    }
    out
}

/// For people, two units at most: `4m 12s`, `3h 5m`, `6d 2h`; below ten seconds with a tenth: `1.9s`, `0.4s`.
pub fn human_duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0 if d.subsec_millis() > 0 => format!("0.{}s", d.subsec_millis().div_ceil(100).min(9)),
        1..10 if d.subsec_millis() >= 100 => format!("{s}.{}s", d.subsec_millis() / 100),
        0..60 => format!("{s}s"),
        60..3_600 => two(s / 60, "m", s % 60, "s"),
        3_600..86_400 => two(s / 3_600, "h", s / 60 % 60, "m"),
        _ => two(s / 86_400, "d", s / 3_600 % 24, "h"),
    }
}

fn two(a: u64, unit_a: &str, b: u64, unit_b: &str) -> String {
    if b == 0 { format!("{a}{unit_a}") } else { format!("{a}{unit_a} {b}{unit_b}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn iso_and_short_forms_are_read() {
        for (text, ms) in [
            ("PT5M", 300_000),
            ("P7D", 604_800_000),
            ("P1W", 604_800_000),
            ("PT1.5S", 1_500),
            ("PT0.040S", 40),
            ("PT36H", 129_600_000),
            ("P1DT1H", 90_000_000),
            ("PT0S", 0),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("2.5s", 2_500),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
    }

    #[test]
    fn what_has_no_fixed_meaning_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1Y",
            "P1M",
            "-PT5M",
            "PT5M5",
            "PT2.5H",
            "PT5",
            "5",
            "PTS",
            "PT.5S",
            "P1DT",
            "PT5S5M",
            "P99999999999999999999D",
            "PT99999999999S",
            "5x",
            "PT5M é",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_jiff_agrees(ns in 0..i64::MAX.unsigned_abs()) {
            let d = Duration::from_nanos(ns);
            let text = format_duration(d);
            prop_assert_eq!(parse_duration(&text).unwrap(), d);
            let span: jiff::Span = text.parse().unwrap();
            let jiff = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).unwrap();
            prop_assert_eq!(jiff.as_nanos(), i128::from(ns));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-PTWDHMSwdhms0-9.é ]{0,12}") {
            let _ = parse_duration(&text);
        }
    }
}
