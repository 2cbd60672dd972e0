//! Tracks: one rendition of one medium, how it is named, and how a channel file selects it.

mod language;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use language::{is_same_language, language_tag};

use crate::error::{Error, Kind};

/// What a track carries. The order is the order of tracks in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles and captions.
    Text,
}

impl Medium {
    /// The word used in names, TOML and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Medium::Video => "video",
            Medium::Audio => "audio",
            Medium::Text => "text",
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Medium {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "video" => Ok(Medium::Video),
            "audio" => Ok(Medium::Audio),
            "text" => Ok(Medium::Text),
            _ => Err(Error::new(Kind::Config, format!("{text:?} is not a medium"))
                .hint("use video, audio or text")),
        }
    }
}

/// What a source says of one of its tracks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Track {
    /// What it carries.
    pub medium: Medium,
    /// The source's own name for it: `Representation@id`, or name and bit rate of a publishing point's track.
    pub id: String,
    /// As the source writes it, in lower case: `en`, `eng`, `en-gb`.
    pub language: Option<String>,
    /// Bits per second.
    pub bandwidth: Option<u64>,
    /// RFC 6381, as the manifest gives it.
    pub codecs: Option<String>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
}

impl Track {
    /// The name that ledger, log and status use: `video=1000000`. It is the same in every run for which the source
    /// keeps its ids, and different for any two tracks of a source.
    pub fn name(&self) -> String {
        let medium = self.medium.as_str();
        if self.id.starts_with(medium) && self.id.contains('=') {
            self.id.clone()
        } else {
            format!("{medium}={}", self.id)
        }
    }

    /// The order of tracks in a chunk: video, audio, text; the best first; then by language and name.
    pub fn order(&self) -> impl Ord + use<> {
        (self.medium, std::cmp::Reverse(self.bandwidth), self.language.clone(), self.name())
    }
}

impl fmt::Display for Track {
    /// For people: `video=0 1280x720 avc1.4d401f 5000 kb/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(language) = &self.language {
            write!(f, " {language}")?;
        }
        if let Some((w, h)) = self.size {
            write!(f, " {w}x{h}")?;
        }
        if let Some(codecs) = &self.codecs {
            write!(f, " {codecs}")?;
        }
        if let Some(bandwidth) = self.bandwidth {
            write!(f, " {} kb/s", bandwidth.div_ceil(1000))?;
        }
        Ok(())
    }
}

/// One entry of `tracks = ["video", "audio=eng"]`: a medium, and perhaps a language, a bit rate, an id or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    medium: Medium,
    value: Option<String>,
}

impl Select {
    /// True if this entry selects `track`.
    pub fn matches(&self, track: &Track) -> bool {
        let Some(value) = &self.value else { return track.medium == self.medium };
        let language = || track.language.as_deref().is_some_and(|l| same_language(l, value));
        let bandwidth = || track.bandwidth.is_some_and(|b| value.parse() == Ok(b));
        track.medium == self.medium
            && (language() || bandwidth() || track.id == *value || track.name() == self.to_string())
    }
}

/// `en` selects `en` and `en-gb`; case does not count.
fn same_language(language: &str, wanted: &str) -> bool {
    let matches = |l: &str| l.eq_ignore_ascii_case(wanted);
    matches(language) || language.split_once('-').is_some_and(|(primary, _)| matches(primary))
}

impl FromStr for Select {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (medium, value) = match text.split_once('=') {
            Some((medium, value)) => (medium, Some(value)),
            None => (text, None),
        };
        if value == Some("") {
            let error = Error::new(Kind::Config, format!("{text:?} selects nothing"));
            return Err(error.hint("write video, audio=eng, or video=1500000"));
        }
        Ok(Self { medium: medium.parse()?, value: value.map(str::to_owned) })
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.medium),
            None => self.medium.fmt(f),
        }
    }
}

/// True if `track` is selected; no entries select all.
pub fn is_selected(entries: &[Select], track: &Track) -> bool {
    entries.is_empty() || entries.iter().any(|e| e.matches(track))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(medium: Medium, id: &str, language: Option<&str>, bandwidth: u64) -> Track {
        let language = language.map(str::to_owned);
        Track { medium, id: id.into(), language, bandwidth: Some(bandwidth), codecs: None, size: None }
    }

    #[test]
    fn tracks_are_selected_by_medium_language_bit_rate_and_id() {
        let video = track(Medium::Video, "video=1000000", None, 1_000_000);
        let english = track(Medium::Audio, "2", Some("en-gb"), 64_000);
        for (entry, is_video, is_english) in [
            ("video", true, false),
            ("video=1000000", true, false),
            ("video=2", false, false),
            ("audio=en", false, true),
            ("audio=EN-GB", false, true),
            ("audio=nl", false, false),
            ("audio=64000", false, true),
            ("audio=2", false, true),
        ] {
            let entry: Select = entry.parse().unwrap();
            assert_eq!((entry.matches(&video), entry.matches(&english)), (is_video, is_english), "{entry}");
        }
        assert!("vidio".parse::<Select>().is_err());
        assert!("audio=".parse::<Select>().is_err());
        assert!(is_selected(&[], &video));
    }

    #[test]
    fn names_keep_the_form_of_unified_origin() {
        assert_eq!(track(Medium::Audio, "audio=69000", None, 1).name(), "audio=69000");
        assert_eq!(track(Medium::Audio, "audio_eng=69000", None, 1).name(), "audio_eng=69000");
        assert_eq!(track(Medium::Audio, "2", None, 1).name(), "audio=2");
    }
}
