//! The name of a channel: what its file is called, its folder in the store, and its part of a URL.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Kind};

/// A name that is safe as a file name, in a key and in a URL: `[A-Za-z0-9][A-Za-z0-9._-]*`, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// The longest name, in characters.
    pub const MAX: usize = 64;

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if first && rest && text.len() <= Self::MAX {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(Self::MAX).collect();
        Err(Error::new(Kind::Usage, format!("{shown:?} cannot be the name of a channel"))
            .hint("use letters, digits, '.', '_' and '-', a letter or digit first, at most 64 of them"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_paths_and_urls() {
        let longest = "a".repeat(Name::MAX);
        for text in ["scte35", "0", "BBC-1.hd_nl", longest.as_str()] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
        let too_long = "a".repeat(Name::MAX + 1);
        for text in ["", ".", "..", ".news", "-x", "a/b", "a b", "é", "a\0", "a%2f", too_long.as_str()] {
            assert_eq!(text.parse::<Name>().map_err(|e| e.kind()), Err(Kind::Usage), "{text:?}");
        }
    }
}
