//! Where none of the tracks of a chunk has media.

use crate::time::{Range, Ranges};

/// The instants at which each of `tracks` lacks something: those of a chunk, by name. `lacks` is what its gap rows say; a row
/// of another track is passed over. A chunk without tracks has no hole.
pub fn hole<'a>(tracks: impl IntoIterator<Item = &'a str>, lacks: &[(&str, Range)]) -> Ranges {
    let of = |track: &str| lacks.iter().filter(|(name, _)| *name == track).map(|(_, range)| *range).collect();
    let mut tracks = tracks.into_iter();
    let first: Ranges = tracks.next().map(of).unwrap_or_default();
    // What both have is what the one has, but for what the other has not.
    tracks.fold(first, |all, track| all.minus(&all.minus(&of(track))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn a_hole_is_where_no_track_has_media() {
        let r = |start, end| Range::new(Time::from_s(start), Time::from_s(end));
        let lacks = [("video", r(10, 20)), ("video", r(30, 40)), ("audio", r(15, 35)), ("gone", r(0, 300))];
        assert_eq!(hole(["video", "audio"], &lacks).as_slice(), [r(15, 20), r(30, 35)]);
        assert_eq!(hole(["video"], &lacks).as_slice(), [r(10, 20), r(30, 40)]);
        assert!(hole(["video", "audio", "text"], &lacks).is_empty(), "the third has everything");
        assert!(hole([], &lacks).is_empty());
    }
}
