//! How many bytes, as people write it: `2TB`, `500GB`, `1.5TiB`.

use crate::error::{Error, Kind};

/// What each unit stands for, in bytes. SI: a thousand; binary: 1024. The first that fits is used for writing.
const UNITS: [(&str, u64); 9] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads a size in bytes. A fraction is exact; what is finer than a byte is cut off.
///
/// # Errors
/// [`Kind::Invalid`], with the reason.
pub fn parse_size(text: &str) -> Result<u64, Error> {
    let fail = |why: &str| {
        Error::new(Kind::Invalid, format!("{text:?} is not a size: {why}"))
            .hint("write it like 2TB, 500GB or 1.5TiB")
    };
    size(text).map_err(fail)
}

/// The same, with nothing but the reason where it fails.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or("it has no unit")?;
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    // Mb would be bits: case counts there. It does not in the k, where people write both.
    let unit = if unit == "KB" { "kB" } else { unit };
    let found = UNITS.iter().find(|(name, _)| *name == unit);
    let (_, bytes) =
        found.ok_or("its unit must be B, kB, MB, GB or TB (thousands), or KiB, MiB, GiB or TiB (1024)")?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.len() <= 18 && !digits.contains('.');
    if !is_number(whole) || !is_number(fraction) {
        return Err("it needs a number in front");
    }
    let parse = |digits: &str| digits.parse::<u128>().map_err(|_| "it needs a number in front");
    let bytes = u128::from(*bytes);
    // Eighteen digits fit, and the exponent is their count.
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let total = parse(whole)? * bytes + parse(fraction)? * bytes / scale;
    u64::try_from(total).map_err(|_| "it is too large")
}

/// Writes a size so that [`parse_size`] reads the same.
pub fn format_size(n: u64) -> String {
    let exact = UNITS.iter().find(|(_, bytes)| n > 0 && n.is_multiple_of(*bytes));
    exact.map_or_else(|| format!("{n}B"), |(name, bytes)| format!("{}{name}", n / bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, n) in [
            ("2TB", 2_000_000_000_000),
            ("500GB", 500_000_000_000),
            ("1.5TiB", 1_649_267_441_664),
            ("0.5 KiB", 512),
            ("1.9999B", 1),
            (" 7KB ", 7_000),
            ("0B", 0),
        ] {
            assert_eq!(parse_size(text).unwrap(), n, "{text}");
        }
        for text in [
            "",
            "2",
            "TB",
            "-1MB",
            "25Mb",
            ".5MB",
            "5.MB",
            "1.2.3MB",
            "2TB/s",
            "99999999999TB",
            "1e3MB",
            "2 é",
        ] {
            assert_eq!(parse_size(text).map_err(|e| e.kind()), Err(Kind::Invalid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(n in 0..1_000_000_000_000_000_000_u64) {
            prop_assert_eq!(parse_size(&format_size(n)).unwrap(), n);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9kKMGTiBb. é]{0,24}") {
            let _ = parse_size(&text);
        }
    }
}
