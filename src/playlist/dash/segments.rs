//! The segments of a representation: as a template that goes by time, or as a list of byte ranges.
//!
//! When a segment begins and how long it lasts is presentation time, in ticks since the Unix epoch (§5.3.9.6). A duration that
//! was once said stays: within a chunk a fragment lasts until the next one begins, and the last one as long as it says itself.

use std::fmt::{self, Write as _};

use quick_xml::escape::escape;

use super::Naming;
use super::period::{PeriodTrack, Piece};
use super::writer::Writer;

/// How far from where a constant duration puts it a segment may begin: half of that duration (DASH-IF IOP 4.3, §3.2.7).
const TOLERANCE: i128 = 2;

impl Writer<'_> {
    pub(super) fn segments(&mut self, track: &PeriodTrack<'_>) -> fmt::Result {
        let Some((span, _)) = track.init() else { return Ok(()) };
        let init = self.addresses.init(span.cell, span.file_track_id);
        let init = escape(init.as_str());
        let (timescale, start) = (track.timescale.get(), track.start_ticks);
        let constant = match self.show.naming {
            Naming::List => constant_duration(track).filter(|_| self.show.growth.is_none()),
            Naming::Template => None,
        };
        match constant {
            None => {
                let media = escape(self.show.template);
                writeln!(
                    self.out,
                    "        <SegmentTemplate timescale=\"{timescale}\" presentationTimeOffset=\"{start}\" \
                     initialization=\"{init}\" media=\"{media}\">"
                )?;
                self.timeline(track)?;
                self.out.push_str("        </SegmentTemplate>\n");
            }
            Some(ticks) => {
                writeln!(
                    self.out,
                    "        <SegmentList timescale=\"{timescale}\" presentationTimeOffset=\"{start}\" duration=\"{ticks}\">\n          \
                     <Initialization sourceURL=\"{init}\"/>"
                )?;
                track.pieces.iter().try_for_each(|piece| self.urls(piece))?;
                self.out.push_str("        </SegmentList>\n");
            }
        }
        Ok(())
    }

    fn urls(&mut self, piece: &Piece<'_>) -> fmt::Result {
        let chunk = self.addresses.chunk(piece.span.cell);
        let chunk = escape(chunk.as_str());
        for fragment in piece.fragments {
            let (first, last) =
                (fragment.offset(), fragment.offset().saturating_add(fragment.size).saturating_sub(1));
            writeln!(self.out, "          <SegmentURL media=\"{chunk}\" mediaRange=\"{first}-{last}\"/>")?;
        }
        Ok(())
    }

    fn timeline(&mut self, track: &PeriodTrack<'_>) -> fmt::Result {
        self.out.push_str("          <SegmentTimeline>\n");
        let mut row: Option<Row> = None;
        for (starts, lasts) in track.pieces.iter().flat_map(Piece::times) {
            match &mut row {
                Some(row) if row.ends() == starts && row.lasts == lasts => row.more += 1,
                _ => {
                    let follows = row.as_ref().is_some_and(|row| row.ends() == starts);
                    if let Some(row) = row {
                        row.write(self.out)?;
                    }
                    row = Some(Row { starts, lasts, more: 0, follows });
                }
            }
        }
        if let Some(row) = row {
            row.write(self.out)?;
        }
        self.out.push_str("          </SegmentTimeline>\n");
        Ok(())
    }
}

impl Piece<'_> {
    /// When each of its fragments begins, and how long it lasts.
    fn times(&self) -> impl Iterator<Item = (u64, u64)> {
        let start = |n: usize| {
            let fragment = self.fragments.get(n)?;
            u64::try_from(self.span.presented(fragment)).ok()
        };
        self.fragments.iter().enumerate().filter_map(move |(n, fragment)| {
            let starts = start(n)?;
            let until_next = start(n + 1).map(|next| next.saturating_sub(starts));
            Some((starts, until_next.unwrap_or(u64::from(fragment.duration_ticks)).max(1)))
        })
    }
}

/// Segments of one duration, one after the other.
struct Row {
    starts: u64,
    lasts: u64,
    /// How many follow the first.
    more: u64,
    /// True if it begins where the row before ends.
    follows: bool,
}

impl Row {
    fn ends(&self) -> u64 {
        self.starts.saturating_add(self.lasts.saturating_mul(self.more + 1))
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        out.push_str("            <S");
        if !self.follows {
            write!(out, " t=\"{}\"", self.starts)?;
        }
        write!(out, " d=\"{}\"", self.lasts)?;
        if self.more > 0 {
            write!(out, " r=\"{}\"", self.more)?;
        }
        out.push_str("/>\n");
        Ok(())
    }
}

/// The duration that all segments may be said to have: none begins far from where it would if all had that (§5.3.9.2.2), and
/// the first holds the start of the period.
fn constant_duration(track: &PeriodTrack<'_>) -> Option<u64> {
    let all: Vec<(u64, u64)> = track.pieces.iter().flat_map(Piece::times).collect();
    let (first, last) = (all.first()?, all.last()?);
    let count = u64::try_from(all.len()).ok()?;
    let lasts = match count {
        1 => last.1,
        // The last one is often shorter.
        _ => (last.0.checked_sub(first.0)? + (count - 1) / 2) / (count - 1),
    };
    let is_near = |(n, (starts, _)): (usize, &(u64, u64))| {
        let expected = i128::from(first.0) + n as i128 * i128::from(lasts);
        (i128::from(*starts) - expected).abs() * TOLERANCE <= i128::from(lasts)
    };
    let late = i128::from(first.0) - i128::from(track.start_ticks);
    let is_first = -i128::from(lasts) < late && late * TOLERANCE <= i128::from(lasts);
    (lasts > 0 && is_first && all.iter().enumerate().all(is_near)).then_some(lasts)
}

/// True if the fragments of all tracks begin at the same instants: a player may switch at each.
pub(super) fn is_aligned(tracks: &[&PeriodTrack<'_>]) -> bool {
    let Some((first, others)) = tracks.split_first() else { return false };
    let times = |track: &PeriodTrack<'_>| -> Vec<(i128, i128)> {
        let scale = i128::from(track.timescale.get());
        let each = track.pieces.iter().flat_map(Piece::times);
        each.map(|(starts, _)| (i128::from(starts), scale)).collect()
    };
    let expected = times(first);
    others.iter().all(|other| {
        let found = times(other);
        // Ticks of two timescales are compared exactly.
        found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| a.0 * b.1 == b.0 * a.1)
    })
}
