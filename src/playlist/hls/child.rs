//! The names of the playlists behind a master playlist: `3.m3u8` has the fragments of track 3, `3-iframes.m3u8` its key frames.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};

/// A playlist behind a master playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// The fragments of a track, by its id.
    Media(u32),
    /// Its key frames.
    KeyFrames(u32),
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Child::Media(id) => write!(f, "{id}.m3u8"),
            Child::KeyFrames(id) => write!(f, "{id}-iframes.m3u8"),
        }
    }
}

impl FromStr for Child {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let stem = text.strip_suffix(".m3u8").unwrap_or_default();
        let child = match stem.strip_suffix("-iframes") {
            Some(id) => id.parse().map(Child::KeyFrames),
            None => stem.parse().map(Child::Media),
        };
        child.map_err(|_| Error::new(Kind::NotFound, format!("{text:?} is none of its playlists")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for child in [Child::Media(1), Child::KeyFrames(17)] {
            assert_eq!(child.to_string().parse::<Child>().unwrap(), child);
        }
        for text in ["", ".m3u8", "x.m3u8", "1", "1-iframe.m3u8", "-1.m3u8"] {
            assert_eq!(text.parse::<Child>().unwrap_err().kind(), Kind::NotFound, "{text}");
        }
    }
}
