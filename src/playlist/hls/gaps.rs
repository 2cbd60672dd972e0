//! What a playlist makes of time of which nothing is archived.

use std::str::FromStr;

use crate::error::{Error, Kind, Result};

/// What a playlist makes of time of which nothing is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// It is left out, and the line of time breaks there: what every player follows.
    #[default]
    Skip,
    /// It is there, as segments without media (`EXT-X-GAP`): the playlist is as long as the clip is by the clock. Not every
    /// player follows that.
    Mark,
    /// There is no playlist.
    Fail,
}

impl FromStr for Gaps {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "skip" => Ok(Gaps::Skip),
            "mark" => Ok(Gaps::Mark),
            "fail" => Ok(Gaps::Fail),
            _ => Err(Error::new(Kind::Usage, format!("{text:?} is nothing to do with gaps"))
                .hint("use skip, mark or fail")),
        }
    }
}
