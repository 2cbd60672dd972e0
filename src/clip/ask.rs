//! What is asked for: ranges as they stand in a URL or on a command line, and how much may be asked for at once.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::grid::Grid;
use crate::time::{Range, Time, human_duration, typed_time};

/// The ranges of a clip, in the order in which they are to be played: `START--END`, or several with commas between.
///
/// They may overlap, and need not be in the order of time: a reel of highlights may show a scene twice. What is bounded is the
/// sum of their lengths, which is what a clip costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask(Vec<Range>);

/// How what is asked for ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Where it says.
    Fixed,
    /// With what is archived by now.
    Now,
    /// Not yet: it goes on as long as the channel does.
    Open,
}

impl Ask {
    /// Reads what a player asks for: ranges, or one that goes on (`START--`), or one up to now (`START--now`). The end of these
    /// two is `now`.
    ///
    /// # Errors
    /// As for reading ranges.
    pub fn read(text: &str, now: Time) -> Result<(Ask, Ending)> {
        let (start, ending) = match (text.strip_suffix("--now"), text.strip_suffix("--")) {
            (Some(start), _) => (start, Ending::Now),
            (_, Some(start)) => (start, Ending::Open),
            _ => return Ok((text.parse()?, Ending::Fixed)),
        };
        let start = typed_time(start)?;
        // One that begins ahead of now has an end too, and is refused for what it is.
        let end = now.max(start.plus(Duration::from_secs(1)));
        Ok((Self::from(Range::new(start, end)).checked()?, ending))
    }

    /// The most ranges at once: more than a reel has, few enough to read the ledger for each.
    pub const MAX_RANGES: usize = 64;
    /// The most that all ranges together may last.
    pub const MAX_TOTAL: Duration = Duration::from_secs(31 * 86_400);
    /// The most chunks that all ranges together may have: a month of chunks of five minutes, twice. It bounds the memory of a
    /// request where chunks last seconds.
    pub const MAX_CHUNKS: u64 = 20_000;

    /// Ranges that are a part of what was asked for; `None` if there are none.
    pub(super) fn of(ranges: Vec<Range>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// The ranges.
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// True if none of it is there yet, because all of it lies ahead of `now`.
    pub fn is_ahead_of(&self, now: Time) -> bool {
        self.0.iter().all(|range| range.start >= now)
    }

    /// How long to wait at `now` until something of it may be archived, on a channel of this grid.
    pub fn wait(&self, now: Time, grid: Grid) -> Duration {
        let first = self.0.iter().map(|range| grid.cell_at(range.start).end()).min();
        first.map_or(Duration::ZERO, |end| end.since(now))
    }

    /// Refuses what has more chunks than [`Ask::MAX_CHUNKS`] on this grid.
    ///
    /// # Errors
    /// [`Kind::Usage`], with how long it may be instead.
    pub fn fits(&self, grid: Grid) -> Result<()> {
        let most = Self::MAX_CHUNKS.saturating_mul(grid.duration().as_secs());
        if self.total().as_secs() <= most {
            return Ok(());
        }
        let (total, most) = (human_duration(self.total()), human_duration(Duration::from_secs(most)));
        Err(Error::new(Kind::Usage, format!("{total} are too many chunks at once on this channel"))
            .hint(format!("ask for no more than {most} at once")))
    }

    /// The same, unless it is too long.
    fn checked(self) -> Result<Self> {
        if self.total() > Self::MAX_TOTAL {
            let (total, most) = (human_duration(self.total()), human_duration(Self::MAX_TOTAL));
            let what = format!("{total} are too long: a clip lasts at most {most}");
            return Err(Error::new(Kind::Usage, what).hint("ask for it in several requests"));
        }
        Ok(self)
    }

    fn total(&self) -> Duration {
        self.0.iter().map(|range| range.duration()).fold(Duration::ZERO, Duration::saturating_add)
    }
}

impl From<Range> for Ask {
    fn from(range: Range) -> Self {
        Self(vec![range])
    }
}

impl FromStr for Ask {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let many = || {
            Error::new(Kind::Usage, format!("more than {} ranges at once", Self::MAX_RANGES))
                .hint("ask for them in several requests")
        };
        // Looked at before anything is read: a text without an end costs nothing.
        if text.split(',').nth(Self::MAX_RANGES).is_some() {
            return Err(many());
        }
        Self(text.split(',').map(str::parse).collect::<Result<_>>()?).checked()
    }
}

impl fmt::Display for Ask {
    /// As it is read: every time in one form, so that it is safe in a URL and on a command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, range) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}
