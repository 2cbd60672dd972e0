//! How many bytes a second, as people write it: `25MB/s`, `512KiB/s`, `0` or `unlimited`.

use super::size::{format_size, size};
use crate::error::{Error, Kind};

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
    let size = size(trimmed.strip_suffix("/s").unwrap_or(trimmed)).map_err(fail)?;
    Ok(Some(size).filter(|n| *n > 0))
}

/// Writes a rate so that [`parse_rate`] reads the same.
pub fn format_rate(bytes_per_s: Option<u64>) -> String {
    match bytes_per_s.filter(|n| *n > 0) {
        Some(n) => format!("{}/s", format_size(n)),
        None => "unlimited".to_owned(),
    }
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
            ("2.5MB/s", Some(2_500_000)),
            ("0", None),
            ("0MB/s", None),
            ("unlimited", None),
        ] {
            assert_eq!(parse_rate(text).unwrap(), n, "{text}");
        }
        for text in ["", "25", "MB/s", "-1MB/s", "25Mb/s", "25MB/h", "25 parsecs", "99999999999GB/s"] {
            assert_eq!(parse_rate(text).map_err(|e| e.kind()), Err(Kind::Invalid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(n in 0..1_000_000_000_000_000_000_u64) {
            let written = format_rate(Some(n));
            prop_assert_eq!(parse_rate(&written).unwrap(), Some(n).filter(|n| *n > 0));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9kKMGiBb/s. é]{0,16}") {
            let _ = parse_rate(&text);
        }
    }
}
