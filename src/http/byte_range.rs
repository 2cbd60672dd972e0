//! Which bytes of a body a `Range` header asks for (RFC 9110 §14.1.2).

use http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderName, Method};

use super::Request;
use crate::store::ByteRange;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it. Also where the header cannot be read, is in another unit, or names several ranges: it may be ignored (§14.2),
    /// and no player needs several.
    All,
    /// A part, which is not empty.
    Part(ByteRange),
    /// Bytes of which there is none.
    Nothing,
}

/// Which bytes a request asks for of a body with that entity tag. Of one that is known already, or has changed since its first
/// part, all.
pub(super) fn asked(request: &Request, tag: &str, bytes: u64) -> Wanted {
    let text = |name: &HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    let is_known = text(&IF_NONE_MATCH).is_some_and(|known| known.contains(tag) || known.trim() == "*");
    let has_changed = text(&IF_RANGE).is_some_and(|known| known.trim() != tag);
    match text(&RANGE) {
        Some(range) if !is_known && !has_changed && request.method == Method::GET => wanted(range, bytes),
        _ => Wanted::All,
    }
}

/// What a header asks for of a body of so many bytes.
pub(super) fn wanted(header: &str, bytes: u64) -> Wanted {
    read(header, bytes).unwrap_or(Wanted::All)
}

fn read(header: &str, bytes: u64) -> Option<Wanted> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = (number(first)?, number(last)?);
    let range = match (first, last) {
        (None, None) => return None,
        (Some(first), Some(last)) if last < first => return None,
        (Some(start), last) => {
            let end = last.map_or(bytes, |last| last.saturating_add(1)).min(bytes);
            ByteRange { start, end }
        }
        // The last so many.
        (None, Some(length)) => ByteRange { start: bytes.saturating_sub(length), end: bytes },
    };
    Some(if range.start < range.end { Wanted::Part(range) } else { Wanted::Nothing })
}

/// A number, or nothing at all. One that is larger than any body is as good as the largest.
fn number(text: &str) -> Option<Option<u64>> {
    match text {
        "" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_read_as_players_write_it() {
        let part = |start, end| Wanted::Part(ByteRange { start, end });
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=10-19", part(10, 20)),
            ("Bytes = 10-", part(10, 100)),
            ("bytes=-1", part(99, 100)),
            ("bytes=-1000", part(0, 100)),
            ("bytes=90-1000", part(90, 100)),
            ("bytes=0-99999999999999999999", part(0, 100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=100-200", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("items=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(wanted(header, 100), expected, "{header}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }

    proptest! {
        #[test]
        fn no_header_asks_for_bytes_that_are_not_there(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", bytes in any::<u64>()) {
            if let Wanted::Part(range) = wanted(&header, bytes) {
                prop_assert!(range.start < range.end && range.end <= bytes);
            }
        }
    }
}
