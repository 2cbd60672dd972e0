//! URL patterns: `video-$RepresentationID$-$Time$.m4s` (ISO/IEC 23009-1 §5.3.9.4.4).
//!
//! Pure. A pattern is taken apart once and filled in per segment.

use std::fmt::Write;

use super::super::xml::invalid;
use crate::error::{Error, Kind, Result};

/// Wider than any number; a width is padding that somebody else asks us to write.
const MAX_WIDTH: usize = 32;

/// A pattern, taken apart, with what belongs to its representation already filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Number { width: usize },
    Time { width: usize },
}

impl Pattern {
    /// Takes `text` apart for one representation.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for an identifier that is not known, [`Kind::Invalid`] for one that does not end.
    pub(super) fn new(text: &str, id: &str, bandwidth: Option<u64>) -> Result<Pattern> {
        let mut parts = vec![Part::Text(String::new())];
        for (i, piece) in text.split('$').enumerate() {
            // Text and identifiers take turns; `$$` is an identifier without a name, and stands for one `$`.
            if i % 2 == 0 {
                push_text(&mut parts, piece);
                continue;
            }
            let (name, width) = split_width(piece)?;
            match name {
                "" => push_text(&mut parts, "$"),
                "RepresentationID" => push_text(&mut parts, id),
                "Bandwidth" => push_text(&mut parts, &format!("{:0width$}", bandwidth.unwrap_or(0))),
                "Number" => parts.push(Part::Number { width }),
                "Time" => parts.push(Part::Time { width }),
                _ => {
                    return Err(Error::new(
                        Kind::Unsupported,
                        format!("the identifier ${name}$ in {text:?}"),
                    ));
                }
            }
        }
        if text.matches('$').count() % 2 == 1 {
            return Err(invalid(format!("an identifier that does not end in {text:?}")));
        }
        Ok(Pattern(parts))
    }

    /// The URL, still relative, of the segment with that number and start in ticks.
    pub(super) fn fill(&self, number: u64, time: i64) -> String {
        let mut url = String::new();
        for part in &self.0 {
            // Writing to a String cannot fail.
            let _ = match part {
                Part::Text(text) => url.write_str(text),
                Part::Number { width } => write!(url, "{number:0width$}", width = *width),
                Part::Time { width } => write!(url, "{time:0width$}", width = *width),
            };
        }
        url
    }

    /// True if it gives each segment a URL of its own.
    pub(super) fn tells_segments_apart(&self) -> bool {
        self.0.iter().any(|part| !matches!(part, Part::Text(_)))
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(before)) => before.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// `Number%05d` → `Number`, 5.
fn split_width(piece: &str) -> Result<(&str, usize)> {
    let Some((name, format)) = piece.split_once('%') else { return Ok((piece, 1)) };
    let width = format.strip_prefix('0').and_then(|f| f.strip_suffix('d')).and_then(|w| w.parse().ok());
    match width.filter(|w| *w <= MAX_WIDTH) {
        Some(width) => Ok((name, width)),
        None => Err(Error::new(Kind::Unsupported, format!("the format %{format} of ${name}$"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String> {
        Pattern::new(text, "audio=69000", Some(69_000)).map(|p| p.fill(42, 9_000))
    }

    #[test]
    fn identifiers_are_filled_in() {
        for (pattern, url) in [
            ("scte35-$RepresentationID$-$Time$.dash", "scte35-audio=69000-9000.dash"),
            ("$Number%05d$/$Bandwidth%08d$", "00042/00069000"),
            ("$Time%03d$$$$Number%01d$", "9000$42"),
            ("plain", "plain"),
        ] {
            assert_eq!(fill(pattern).unwrap(), url);
        }
        assert!(!Pattern::new("$RepresentationID$", "1", None).unwrap().tells_segments_apart());
    }

    #[test]
    fn a_pattern_that_is_not_understood_is_refused() {
        for (pattern, kind) in [
            ("$SubNumber$", Kind::Unsupported),
            ("$Number%05x$", Kind::Unsupported),
            ("$Number%0999999999d$", Kind::Unsupported),
            ("$Number", Kind::Invalid),
        ] {
            assert_eq!(fill(pattern).unwrap_err().kind(), kind, "{pattern}");
        }
    }
}
