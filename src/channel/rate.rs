//! How many bytes a second, as people write it: `25MB/s`, `512KiB/s`, `0` or `unlimited`.

use crate::error::{Error, Kind};

/// What each unit stands for, in bytes. SI: a thousand; binary: 1024. The first that fits is used for writing.
const UNITS: [(&str, u64); 7] = [
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads a rate in bytes a second; `None` is no limit.
///
/// # Errors
/// [`Kind::Invalid`], with the reason.
pub fn parse_rate(text: &str) -> Result<Option<u64>, Error> {
    let fail = |why: &str| {
        Error::new(Kind::Invalid, format!("{text:?} is not a rate: {why}"))
            .hint("write it like 25MB/s, 512KiB/s, or unlimited")
    };
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("unlimited") || trimmed == "0" {
        return Ok(None);
    }
    let size = trimmed.strip_suffix("/s").unwrap_or(trimmed);
    let digits = size.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| fail("it has no unit"))?;
    let (number, unit) = size.split_at(digits);
    let number: u64 = number.parse().map_err(|_| fail("it needs a whole number in front"))?;
    let unit = unit.trim();
    // Mb would be bits: case counts there. It does not in the k, where people write both.
    let unit = if unit == "KB" { "kB" } else { unit };
    let (_, bytes) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| fail("its unit must be B, kB, MB or GB (thousands), or KiB, MiB or GiB (1024)"))?;
    match number.checked_mul(*bytes) {
        Some(0) => Ok(None),
        Some(n) => Ok(Some(n)),
        None => Err(fail("it is too large")),
    }
}

/// Writes a rate so that [`parse_rate`] reads the same.
pub fn format_rate(bytes_per_s: Option<u64>) -> String {
    let Some(n) = bytes_per_s.filter(|n| *n > 0) else { return "unlimited".to_owned() };
    let exact = UNITS.iter().find(|(_, bytes)| n % bytes == 0);
    exact.map_or_else(|| format!("{n}B/s"), |(name, bytes)| format!("{}{name}/s", n / bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_read_with_their_units() {
        for (text, n) in [
            ("25MB/s", Some(25_000_000)),
            ("25MB", Some(25_000_000)),
            ("512 KiB/s", Some(524_288)),
            ("1GiB/s", Some(1 << 30)),
            ("7kB/s", Some(7_000)),
            ("7KB/s", Some(7_000)),
            ("9B/s", Some(9)),
            ("0", None),
            ("0MB/s", None),
            ("unlimited", None),
        ] {
            assert_eq!(parse_rate(text).unwrap(), n, "{text}");
        }
        for text in
            ["", "25", "MB/s", "-1MB/s", "25Mb/s", "2.5MB/s", "25MB/h", "25 parsecs", "99999999999GB/s"]
        {
            assert_eq!(parse_rate(text).map_err(|e| e.kind()), Err(Kind::Invalid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(n: u64) {
            let written = format_rate(Some(n));
            prop_assert_eq!(parse_rate(&written).unwrap(), Some(n).filter(|n| *n > 0));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9kKMGiBb/s. é]{0,16}") {
            let _ = parse_rate(&text);
        }
    }
}
