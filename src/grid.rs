//! The grid: UTC time cut at multiples of a channel's `chunk_duration` since 1970-01-01T00:00:00Z.
//!
//! It never shifts, whatever the stream does, so two channels of one duration always line up and a chunk's name
//! can be computed from any instant in it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Kind};
use crate::time::{Range, Time, format_duration};

/// One cell of a grid: `[start, end)` in whole seconds. What the archive keeps for it is one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Cell(Range);

impl Cell {
    /// The first instant.
    pub fn start(self) -> Time {
        self.0.start
    }

    /// The first instant after it.
    pub fn end(self) -> Time {
        self.0.end
    }

    /// The cell as a range.
    pub fn range(self) -> Range {
        self.0
    }

    /// A cell as the ledger keeps it, for rows that were written under an earlier `chunk_duration` too.
    pub fn from_range(range: Range) -> Self {
        Cell(range)
    }

    /// The key of the chunk in its store: `<channel>/<YYYY-MM-DD of start>/<START>--<END>.ismv`.
    pub fn key(self, channel: &str) -> String {
        format!("{channel}/{}/{}.ismv", self.start().day(), self.0)
    }

    /// The cell whose key this is; `None` if it is not the key of a chunk of `channel`. A cell of any grid will do: a channel's
    /// `chunk_duration` may have been another.
    pub fn of_key(channel: &str, key: &str) -> Option<Cell> {
        let range: Range = key.strip_suffix(".ismv")?.rsplit('/').next()?.parse().ok()?;
        let is_whole = |at: Time| at.floor_s() == at;
        let fits = is_whole(range.start) && is_whole(range.end) && range.duration() <= Grid::MAX;
        // A time can be written in many ways, and in a key it is written in one.
        Some(Cell(range)).filter(|cell| fits && cell.key(channel) == key)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// UTC time cut into cells of one duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    cell_s: i64,
}

impl Grid {
    /// The shortest cell that can be asked for.
    pub const MIN: Duration = Duration::from_secs(1);
    /// The longest cell that can be asked for.
    pub const MAX: Duration = Duration::from_secs(86_400);

    /// A grid of cells of `duration`.
    ///
    /// # Errors
    /// [`Kind::Config`] unless it is whole seconds, from [`Grid::MIN`] to [`Grid::MAX`].
    pub fn new(duration: Duration) -> Result<Self, Error> {
        if duration.subsec_nanos() != 0 || duration < Self::MIN || duration > Self::MAX {
            let got = format_duration(duration);
            return Err(Error::new(Kind::Config, format!("a chunk cannot be {got} long")).hint(
                "chunk_duration is a number of whole seconds, from PT1S to P1D; PT5M suits most channels",
            ));
        }
        Ok(Self { cell_s: duration.as_secs().cast_signed() })
    }

    /// How long a cell is.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.cell_s.unsigned_abs())
    }

    /// The cell that holds `at`.
    pub fn cell_at(self, at: Time) -> Cell {
        self.cell(at.s().div_euclid(self.cell_s))
    }

    /// All cells that have an instant in `range`, in order. Lazy: a week of seconds costs nothing until it is used.
    pub fn cells(self, range: Range) -> impl DoubleEndedIterator<Item = Cell> {
        let first = range.start.s().div_euclid(self.cell_s);
        // The last nanosecond of the range decides, so that an end on the grid does not touch the next cell.
        let last = range.end.offset_ns(-1).s().div_euclid(self.cell_s);
        let count = if range.is_empty() { 0 } else { last - first + 1 };
        (first..first + count).map(move |n| self.cell(n))
    }

    fn cell(self, n: i64) -> Cell {
        let start = n.saturating_mul(self.cell_s);
        Cell(Range::new(Time::from_s(start), Time::from_s(start.saturating_add(self.cell_s))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chunk_is_named_as_the_reference_names_it() {
        let grid = Grid::new(Duration::from_secs(300)).unwrap();
        let cell = grid.cell_at("2018-12-06T12:57:31.5Z".parse().unwrap());
        assert_eq!(cell.key("scte35"), "scte35/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv");
    }

    #[test]
    fn a_key_is_read_back_and_what_is_no_key_of_the_channel_is_not() {
        let key = "news/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv";
        assert_eq!(Cell::of_key("news", key).unwrap().key("news"), key);
        for other in [
            "new/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv",
            "news/2018-12-07/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv",
            "news/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.mp4",
            "news/2018-12-06/2018-12-06T12:55:00.000Z--2018-12-06T13:00:00Z.ismv",
            "news/2018-12-06/2018-12-06T12:55:00.5Z--2018-12-06T13:00:00Z.ismv",
            "news/2018-12-06/2018-12-06T13:00:00Z--2018-12-06T12:55:00Z.ismv",
            "news/2018-12-06/2018-12-06T12:55:00Z--2018-12-08T13:00:00Z.ismv",
            "news/x/2018-12-06/2018-12-06T12:55:00Z--2018-12-06T13:00:00Z.ismv",
            "news/readme.txt",
            "",
        ] {
            assert_eq!(Cell::of_key("news", other), None, "{other}");
        }
    }

    #[test]
    fn a_duration_that_makes_no_grid_is_refused() {
        for d in [Duration::ZERO, Duration::from_millis(1_500), Duration::from_secs(86_401)] {
            assert_eq!(Grid::new(d).unwrap_err().kind(), Kind::Config, "{d:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_cells_do(a in -1_i64 << 32..1 << 32, b in -1_i64 << 32..1 << 32, s in 1_i64..86_400, t in 1_i64..86_400) {
            let cell = |start, s| Cell(Range::new(Time::from_s(start), Time::from_s(start + s)));
            let (one, other) = (cell(a, s), cell(b, t));
            prop_assert_eq!(one.key("a").cmp(&other.key("a")), one.cmp(&other));
            prop_assert_eq!(Cell::of_key("a", &one.key("a")), Some(one));
        }

        #[test]
        fn cells_tile_any_range(s in 1_u64..=86_400, start in 0_i64..1 << 40, len in 0_i64..1 << 42) {
            let grid = Grid::new(Duration::from_secs(s)).unwrap();
            let range = Range::new(Time::from_ns(start), Time::from_ns(start + len));
            let cells: Vec<Cell> = grid.cells(range).collect();
            prop_assert!(cells.windows(2).all(|w| w[0].end() == w[1].start()));
            prop_assert!(cells.iter().all(|c| !c.range().intersect(range).is_empty()));
            match (cells.first(), cells.last()) {
                (Some(a), Some(z)) => prop_assert!(a.start() <= range.start && range.end <= z.end()),
                _ => prop_assert!(range.is_empty()),
            }
        }
    }
}
