//! Coverage as a picture: bars over a line of time, one SVG path for each mark.
//!
//! A mark has a shape as well as a colour: a bar that is whole, half, broken or flat can be told apart by who sees no
//! colours, on paper, and in one pixel's width. What is about to be lost and what is held stand in lanes of their own, above
//! and below, as they say something else than how much is there. Paths are stretched to any width, so shapes differ by height.

use std::fmt::Write as _;

use crate::status::{Block, Patch, Slot};
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

/// A picture in the making. Its width is in whatever unit the bars are: slots, or seconds.
#[derive(Debug, Default, Clone)]
pub(super) struct Picture {
    paths: [String; Mark::ALL.len()],
}

impl Picture {
    /// A strip of slots, of equal width.
    pub(super) fn of_patches(patches: &[Patch]) -> Picture {
        let mut picture = Picture::default();
        picture.runs(patches.iter().map(|patch| Some(patch.state.into())));
        picture.runs(patches.iter().map(|patch| patch.held.then_some(Mark::Held)));
        picture.runs(patches.iter().map(|patch| patch.at_risk.then_some(Mark::Risk)));
        picture
    }

    /// A strip of `span` in so many slots, each as good as the worst that is in it: what is missing for a moment of a week shows.
    pub(super) fn sampled(span: Range, slots: usize, blocks: &[Block]) -> Picture {
        let length = span.duration().as_nanos();
        let at = |n: usize| {
            let offset = length * n as u128 / slots.max(1) as u128;
            span.start.offset_ns(i64::try_from(offset).unwrap_or(i64::MAX))
        };
        let parts: Vec<&[Block]> = (0..slots).map(|n| inside(Range::new(at(n), at(n + 1)), blocks)).collect();
        let any = |part: &[Block], is: fn(&Block) -> bool, mark| part.iter().any(is).then_some(mark);
        let mut picture = Picture::default();
        picture.runs(parts.iter().map(|part| worst(part).map(Mark::from)));
        picture.runs(parts.iter().map(|part| any(part, |block| block.held, Mark::Held)));
        picture.runs(parts.iter().map(|part| any(part, |block| block.deadline.is_some(), Mark::Risk)));
        picture
    }

    /// Draws a mark a slot; neighbours of one kind are one bar.
    fn runs(&mut self, marks: impl Iterator<Item = Option<Mark>>) {
        let marks: Vec<Option<Mark>> = marks.collect();
        let mut start = 0;
        for run in marks.chunk_by(|a, b| a == b) {
            let end = start + run.len() as u64;
            if let Some(mark) = run[0] {
                self.bar(mark, start, end);
            }
            start = end;
        }
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

/// The blocks that touch `part`.
fn inside(part: Range, blocks: &[Block]) -> &[Block] {
    let from = blocks.partition_point(|block| block.range.end <= part.start);
    let to = blocks.partition_point(|block| block.range.start < part.end);
    blocks.get(from..to).unwrap_or_default()
}

/// The worst of them; missing is only what is missing altogether. `None` where nothing is said.
fn worst(blocks: &[Block]) -> Option<Slot> {
    let slots = blocks.iter().map(|block| block.state.slot());
    match (slots.clone().max()?, slots.min()) {
        (Slot::Missing, best) if best != Some(Slot::Missing) => Some(Slot::Partial),
        (worst, _) => Some(worst),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Look;
    use crate::time::Time;

    #[test]
    fn neighbours_of_one_kind_are_one_bar_and_each_mark_is_one_path() {
        use Slot::{Archived as A, Missing as M, Open as O};
        let patch = |(n, state)| Patch { state, held: n < 2, at_risk: false };
        let patches: Vec<Patch> = [A, A, M, A, O].into_iter().enumerate().map(patch).collect();
        let picture = Picture::of_patches(&patches);
        let paths: Vec<_> = picture.paths().collect();
        assert_eq!(
            paths,
            [
                (Mark::Archived, "M0 6h2v20h-2zM3 6h1v20h-1z"),
                (Mark::Missing, "M2 6h1v6h-1zM2 20h1v6h-1z"),
                (Mark::Open, "M4 24h1v2h-1z"),
                (Mark::Held, "M0 28h2v4h-2z")
            ]
        );
    }

    #[test]
    fn one_lost_chunk_of_a_week_shows_and_what_is_held_or_at_risk_lies_beside_it() {
        let range = |from, to| Range::new(Time::from_s(from), Time::from_s(to));
        let block = |from, to, state| Block {
            range: range(from, to),
            state,
            held: from == 0,
            deadline: (from == 8_900).then_some(Time::EPOCH),
            cells: 1,
            bytes: 0,
            job: None,
            reason: None,
        };
        let blocks = [
            block(0, 300, Look::Archived),
            block(300, 600, Look::Missing),
            block(600, 8_900, Look::Archived),
            block(8_900, 9_200, Look::Archived),
        ];
        let picture = Picture::sampled(range(0, 10_000), 10, &blocks);
        let paths: Vec<_> = picture.paths().collect();
        assert_eq!(
            paths,
            [
                (Mark::Archived, "M1 6h9v20h-9z"),
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
