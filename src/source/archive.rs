//! The `/archive` document of a Unified publishing point: which ranges it holds, per track.
//!
//! Pure. A verbatim document was never seen by us, so it is read defensively: elements are known by their local
//! names wherever they stand, and a range that does not say both its ends is left out with a note.

use super::xml::{Tag, Xml, invalid};
use crate::error::{Context, Result};
use crate::time::{Range, Ranges, Time};
use crate::track::{Medium, Track};

/// More ranges than any publishing point has gaps.
const MAX_RANGES: usize = 1_000_000;
/// More tracks than any publishing point has.
const MAX_TRACKS: usize = 10_000;

/// What the document says.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    /// `<meta name="updated">`: when the publishing point last wrote.
    pub updated: Option<Time>,
    /// Each track, with the ranges that are held of it, in the order of the document.
    pub tracks: Vec<(Track, Ranges)>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Reads the document.
///
/// # Errors
/// [`crate::error::Kind::Invalid`] if it is not well formed, or a time in it is not one.
pub fn parse(text: &str) -> Result<Archive> {
    let mut reader = Reader { archive: Archive::default(), ranges: 0, skipped: 0 };
    let read = Xml::open(text).and_then(|(mut xml, _)| reader.children(&mut xml));
    read.context("not an /archive document")?;
    if reader.skipped > 0 {
        let note = format!("{} ranges in /archive have no start or no end, and are left out", reader.skipped);
        reader.archive.notes.push(note);
    }
    Ok(reader.archive)
}

struct Reader {
    archive: Archive,
    ranges: usize,
    skipped: usize,
}

impl Reader {
    /// Looks at the open element's children, and at theirs: the wrappers around tracks differ. The cursor's limit on
    /// nesting bounds the recursion.
    fn children<'a>(&mut self, xml: &mut Xml<'a>) -> Result<()> {
        while let Some(child) = xml.child()? {
            let medium = match child.name() {
                "video" => Some(Medium::Video),
                "audio" => Some(Medium::Audio),
                "textstream" | "text" => Some(Medium::Text),
                _ => None,
            };
            match medium {
                Some(medium) => self.track(xml, &child, medium)?,
                None => {
                    if child.name() == "meta" && child.text("name")?.as_deref() == Some("updated") {
                        self.archive.updated = instant(&child, "content")?;
                    }
                    self.children(xml)?;
                }
            }
        }
        Ok(())
    }

    fn track<'a>(&mut self, xml: &mut Xml<'a>, tag: &Tag<'a>, medium: Medium) -> Result<()> {
        let bitrate: Option<u64> = tag.number("systemBitrate")?;
        let language = tag.text("systemLanguage")?.map(|l| l.to_ascii_lowercase());
        let (mut name, mut held) = (None, Ranges::none());
        while let Some(child) = xml.child()? {
            match child.name() {
                "c" => match (instant(&child, "start")?, instant(&child, "end")?) {
                    (Some(start), Some(end)) => {
                        self.ranges += 1;
                        if self.ranges > MAX_RANGES {
                            return Err(invalid(format!("more than {MAX_RANGES} ranges")));
                        }
                        held.add(Range::new(start, end));
                    }
                    _ => self.skipped += 1,
                },
                "param" if child.text("name")?.as_deref() == Some("trackName") => {
                    name = child.text("value")?
                }
                _ => {}
            }
            xml.skip()?;
        }
        let name = name.unwrap_or_else(|| medium.as_str().to_owned());
        self.add(medium, &name, bitrate, language, held)
    }

    /// Adds a track under the id that Origin gives its representation: `video=1000000`. Elements of one name, bit rate
    /// and language are one track; another language gets another id (`audio_eng=128000`, as Origin does it).
    fn add(
        &mut self,
        medium: Medium,
        name: &str,
        bandwidth: Option<u64>,
        language: Option<String>,
        held: Ranges,
    ) -> Result<()> {
        let id = |name: &str| bandwidth.map_or_else(|| name.to_owned(), |b| format!("{name}={b}"));
        let mut track = Track { medium, id: id(name), language, bandwidth, codecs: None, size: None };
        let tracks = &mut self.archive.tracks;
        if tracks.iter().any(|(t, _)| t.id == track.id && t.language != track.language) {
            track.id = id(&format!("{name}_{}", track.language.as_deref().unwrap_or("und")));
        }
        match tracks.iter().position(|(t, _)| *t == track) {
            Some(i) => held.as_slice().iter().for_each(|r| tracks[i].1.add(*r)),
            None if tracks.len() == MAX_TRACKS => {
                return Err(invalid(format!("more than {MAX_TRACKS} tracks")));
            }
            None => tracks.push((track, held)),
        }
        Ok(())
    }
}

fn instant(tag: &Tag<'_>, name: &str) -> Result<Option<Time>> {
    let Some(text) = tag.text(name)? else { return Ok(None) };
    let at = text.parse::<Time>();
    at.map(Some).map_err(|e| invalid(format!("{}@{name}: {e}", tag.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../tests/fixtures/archive/two-ranges.xml");

    fn names(archive: &Archive) -> Vec<&str> {
        archive.tracks.iter().map(|(t, _)| t.id.as_str()).collect()
    }

    #[test]
    fn tracks_ranges_and_the_clock_are_read() {
        let archive = parse(DOCUMENT).unwrap();
        assert_eq!(archive.updated, Some("2025-04-16T14:47:11.238512Z".parse().unwrap()));
        assert_eq!(names(&archive), ["video=1000000", "video=500000", "audio=128000", "audio_nld=128000"]);
        let (track, held) = &archive.tracks[0];
        assert_eq!((track.medium, track.bandwidth), (Medium::Video, Some(1_000_000)));
        assert_eq!(held.as_slice().len(), 2);
        assert_eq!(held.as_slice()[0].start, "2025-04-16T12:00:00.960000Z".parse().unwrap());
        assert_eq!(archive.tracks[2].0.language.as_deref(), Some("eng"));
        assert_eq!(archive.notes.len(), 1, "the open range is noted: {:?}", archive.notes);
    }

    #[test]
    fn elements_of_one_track_are_one_track() {
        let c = |s: u8| {
            format!(
                "<video systemBitrate='5'><c start='2025-01-01T00:00:0{s}Z' end='2025-01-01T00:00:0{}Z'/></video>",
                s + 1
            )
        };
        let archive = parse(&format!("<x>{}{}</x>", c(1), c(2))).unwrap();
        assert_eq!(names(&archive), ["video=5"]);
        assert_eq!(archive.tracks[0].1.as_slice().len(), 1, "ranges that touch are one");
    }

    #[test]
    fn a_document_that_breaks_its_form_is_refused() {
        for (text, why) in [
            ("<html><body>Log in</body></html>", "HTML"),
            ("<smil><video><c start='soon' end='later'/></video></smil>", "c@start"),
            ("<smil><video>", "in the middle"),
            ("<smil><video systemBitrate='much'/></smil>", "systemBitrate"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
