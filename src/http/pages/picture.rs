//! Coverage as a picture: bars over a line of time, one SVG path for each mark.
//!
//! A mark has a shape as well as a colour: a bar that is whole, half, broken or flat can be told apart by who sees no
//! colours, on paper, and in one pixel's width. What is about to be lost and what is held stand in lanes of their own, above
//! and below, as they say something else than how much is there. Paths are stretched to any width, so shapes differ by height.

use std::fmt::Write as _;

use crate::status::Slot;
use crate::time::Range;

/// What a bar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// All of it is archived.
    Archived,
    /// Some of it is missing.
    Partial,
    /// All of it is missing.
    Missing,
    /// It is not archived yet.
    Open,
    /// It will be lost soon.
    Risk,
    /// It is held: never pruned.
    Held,
}

impl Mark {
    /// Every mark, in the order of a legend.
    pub(super) const ALL: [Mark; 6] =
        [Mark::Archived, Mark::Partial, Mark::Missing, Mark::Open, Mark::Risk, Mark::Held];

    /// Its word, for people and for classes of the style sheet.
    pub(super) fn word(self) -> &'static str {
        match self {
            Mark::Archived => "archived",
            Mark::Partial => "partial",
            Mark::Missing => "missing",
            Mark::Open => "open",
            Mark::Risk => "risk",
            Mark::Held => "held",
        }
    }

    /// What a legend says of it.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Mark::Archived => "archived",
            Mark::Partial => "with gaps",
            Mark::Missing => "missing",
            Mark::Open => "not yet archived",
            Mark::Risk => "at risk",
            Mark::Held => "held",
        }
    }

    /// The path of a single bar, for a legend.
    pub(super) fn sample(self) -> String {
        let mut picture = Picture::default();
        picture.bar(self, 0, 12);
        picture.paths[self as usize].clone()
    }

    /// From where to where it reaches, from the top.
    fn extents(self) -> &'static [(u32, u32)] {
        match self {
            Mark::Archived => &[(6, 26)],
            Mark::Partial => &[(16, 26)],
            Mark::Missing => &[(6, 12), (20, 26)],
            Mark::Open => &[(24, 26)],
            Mark::Risk => &[(0, 4)],
            Mark::Held => &[(28, 32)],
        }
    }
}

impl From<Slot> for Mark {
    fn from(slot: Slot) -> Mark {
        match slot {
            Slot::Archived => Mark::Archived,
            Slot::Partial => Mark::Partial,
            Slot::Missing => Mark::Missing,
            Slot::Open => Mark::Open,
        }
    }
}

/// How a stretch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) range: Range,
    pub(super) slot: Slot,
}

/// What lies above and below the bars.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) at_risk: Vec<Range>,
    pub(super) held: Vec<Range>,
}

/// A picture in the making. Its width is in whatever unit the bars are: slots, or seconds.
#[derive(Debug, Default, Clone)]
pub(super) struct Picture {
    paths: [String; Mark::ALL.len()],
}

impl Picture {
    /// A strip of slots, of equal width.
    pub(super) fn of_slots(slots: &[Slot]) -> Picture {
        let mut picture = Picture::default();
        let mut at = 0;
        for run in slots.chunk_by(|a, b| a == b) {
            let end = at + run.len() as u64;
            picture.bar(run[0].into(), at, end);
            at = end;
        }
        picture
    }

    /// A strip of `span` in so many slots, each as good as the worst that is in it: what is missing for a moment of a week shows.
    pub(super) fn sampled(span: Range, slots: usize, blocks: &[Block], lanes: &Lanes) -> Picture {
        let length = span.duration().as_nanos();
        let at = |n: usize| {
            let offset = length * n as u128 / slots.max(1) as u128;
            span.start.offset_ns(i64::try_from(offset).unwrap_or(i64::MAX))
        };
        let parts: Vec<Range> = (0..slots).map(|n| Range::new(at(n), at(n + 1))).collect();
        let mut picture = Picture::default();
        let shades: Vec<Option<Slot>> = parts.iter().map(|part| worst(*part, blocks)).collect();
        let mut start = 0;
        for run in shades.chunk_by(|a, b| a == b) {
            let end = start + run.len() as u64;
            if let Some(slot) = run[0] {
                picture.bar(slot.into(), start, end);
            }
            start = end;
        }
        for (mark, ranges) in [(Mark::Risk, &lanes.at_risk), (Mark::Held, &lanes.held)] {
            for range in ranges {
                let first = parts.partition_point(|part| part.end <= range.start);
                let last = parts.partition_point(|part| part.start < range.end);
                picture.bar(mark, first as u64, last as u64);
            }
        }
        picture
    }

    /// Draws a bar. What ends before it begins is not drawn.
    pub(super) fn bar(&mut self, mark: Mark, from: u64, to: u64) {
        let Some(width) = to.checked_sub(from).filter(|width| *width > 0) else { return };
        let path = &mut self.paths[mark as usize];
        for (top, bottom) in mark.extents() {
            // Writing to a string does not fail.
            let _ = write!(path, "M{from} {top}h{width}v{}h-{width}z", bottom - top);
        }
    }

    /// The paths that there are, each with its mark.
    pub(super) fn paths(&self) -> impl Iterator<Item = (Mark, &str)> {
        let all = Mark::ALL.into_iter().zip(self.paths.iter().map(String::as_str));
        all.filter(|(_, path)| !path.is_empty())
    }
}

/// The worst within `part`; missing is only what is missing altogether. `None` where nothing is said of any of it.
fn worst(part: Range, blocks: &[Block]) -> Option<Slot> {
    let from = blocks.partition_point(|block| block.range.end <= part.start);
    let inside = blocks[from..].iter().take_while(|block| block.range.start < part.end);
    let (worst, best) = (inside.clone().map(|b| b.slot).max()?, inside.map(|b| b.slot).min());
    match worst {
        Slot::Missing if best != Some(Slot::Missing) => Some(Slot::Partial),
        worst => Some(worst),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn neighbours_of_one_kind_are_one_bar_and_each_mark_is_one_path() {
        use Slot::{Archived as A, Missing as M, Open as O};
        let picture = Picture::of_slots(&[A, A, M, A, O]);
        let paths: Vec<_> = picture.paths().collect();
        assert_eq!(paths[0], (Mark::Archived, "M0 6h2v20h-2zM3 6h1v20h-1z"));
        assert_eq!(paths[1], (Mark::Missing, "M2 6h1v6h-1zM2 20h1v6h-1z"));
        assert_eq!((paths[2], paths.len()), ((Mark::Open, "M4 24h1v2h-1z"), 3));
    }

    #[test]
    fn one_lost_chunk_of_a_week_shows_and_what_is_held_or_at_risk_lies_beside_it() {
        let range = |from, to| Range::new(Time::from_s(from), Time::from_s(to));
        let blocks = [(0, 300, Slot::Archived), (300, 600, Slot::Missing), (600, 9_000, Slot::Archived)];
        let blocks = blocks.map(|(from, to, slot)| Block { range: range(from, to), slot });
        let lanes = Lanes { at_risk: vec![range(8_900, 9_200)], held: vec![range(-5, 100)] };
        let picture = Picture::sampled(range(0, 10_000), 10, &blocks, &lanes);
        let paths: Vec<_> = picture.paths().collect();
        assert_eq!(
            paths,
            [
                (Mark::Archived, "M1 6h8v20h-8z"),
                (Mark::Partial, "M0 16h1v10h-1z"),
                (Mark::Risk, "M8 0h2v4h-2z"),
                (Mark::Held, "M0 28h1v4h-1z")
            ]
        );
    }

    #[test]
    fn no_two_marks_look_alike_without_colours() {
        for (n, mark) in Mark::ALL.iter().enumerate() {
            assert_eq!(*mark as usize, n);
            let alike = Mark::ALL.iter().filter(|other| other.extents() == mark.extents()).count();
            assert_eq!(alike, 1, "{mark:?}");
        }
    }
}
