//! A server manifest for Unified Origin, as far as that can be written without `mp4split`: best effort, and named so.
//!
//! What the smallest manifest is that an Origin takes is documented nowhere. This one has what all known ones have: a `switch`
//! with an element for each track, its bit rate, and its name.

use std::fmt::{self, Write as _};

use quick_xml::escape::escape;

use super::{HEAD, ROOT};
use crate::track::{Medium, Track};

/// The manifest of the clip at `source`, whose tracks have these ids.
pub fn ism<'a>(source: &str, tracks: impl IntoIterator<Item = (u32, &'a Track)>) -> String {
    let mut out = String::from(HEAD);
    out.push_str("<!-- Best effort: written by npvr, and not made by mp4split. -->\n");
    out.push_str(ROOT);
    out.push_str("  <head>\n    <meta name=\"hls_client_manifest_version\" content=\"4\"/>\n  </head>\n");
    out.push_str("  <body>\n    <switch>\n");
    for (id, track) in tracks {
        // Writing to a string cannot fail.
        let _ = element(&mut out, source, id, track);
    }
    out.push_str("    </switch>\n  </body>\n</smil>\n");
    out
}

fn element(out: &mut String, source: &str, id: u32, track: &Track) -> fmt::Result {
    let element = match track.medium {
        Medium::Video => "video",
        Medium::Audio => "audio",
        Medium::Text => "textstream",
    };
    write!(out, "      <{element} src=\"{}\"", escape(source))?;
    if let Some(bandwidth) = track.bandwidth {
        write!(out, " systemBitrate=\"{bandwidth}\"")?;
    }
    if let Some(language) = &track.language {
        write!(out, " systemLanguage=\"{}\"", escape(language.as_str()))?;
    }
    out.push_str(">\n");
    // A publishing point names its tracks `audio_eng=64000`: name and bit rate.
    let name = track.id.split_once('=').map_or(track.id.as_str(), |(name, _)| name);
    for (param, value) in [("trackID", id.to_string()), ("trackName", name.to_owned())] {
        let value = escape(value);
        writeln!(out, "        <param name=\"{param}\" value=\"{value}\" valueType=\"data\"/>")?;
    }
    writeln!(out, "      </{element}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_track_is_an_element_of_its_medium() {
        let track = |medium, id: &str, language: Option<&str>, bandwidth| Track {
            medium,
            id: id.to_owned(),
            language: language.map(str::to_owned),
            bandwidth,
            codecs: None,
            size: None,
        };
        let video = track(Medium::Video, "video=1000000", None, Some(1_000_000));
        let audio = track(Medium::Audio, "audio_eng=64000", Some("eng"), Some(64_000));
        let text = track(Medium::Text, "a<b", None, None);
        let expected = r#"<?xml version='1.0' encoding='UTF-8'?>
<!-- Best effort: written by npvr, and not made by mp4split. -->
<smil xmlns="http://www.w3.org/2001/SMIL20/Language">
  <head>
    <meta name="hls_client_manifest_version" content="4"/>
  </head>
  <body>
    <switch>
      <video src="http://remix/x?a&amp;b" systemBitrate="1000000">
        <param name="trackID" value="1" valueType="data"/>
        <param name="trackName" value="video" valueType="data"/>
      </video>
      <audio src="http://remix/x?a&amp;b" systemBitrate="64000" systemLanguage="eng">
        <param name="trackID" value="2" valueType="data"/>
        <param name="trackName" value="audio_eng" valueType="data"/>
      </audio>
      <textstream src="http://remix/x?a&amp;b">
        <param name="trackID" value="7" valueType="data"/>
        <param name="trackName" value="a&lt;b" valueType="data"/>
      </textstream>
    </switch>
  </body>
</smil>
"#;
        assert_eq!(ism("http://remix/x?a&b", [(1, &video), (2, &audio), (7, &text)]), expected);
    }
}
