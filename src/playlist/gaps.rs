//! What a playlist makes of time of which nothing is archived.

use std::str::FromStr;

use crate::error::{Error, Kind, Result};

/// What a playlist makes of time of which nothing is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// It is left out: what is behind it follows at once.
    #[default]
    Skip,
    /// It takes as long as it lasted, with nothing to be seen.
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
