//! The little of XML that manifests need: a cursor over elements, for trusted code over untrusted text.
//!
//! Pure. A document with a `DOCTYPE` is refused (no manifest has one, and entity bombs need one), nesting is
//! limited, and a document that stops in the middle is an error: a truncated manifest must never look like a
//! short one. Namespace prefixes of elements are dropped, because manifests differ in them and names suffice.

use std::borrow::Cow;
use std::str::FromStr;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::error::{Error, Kind, Result};

/// Deeper than any manifest, shallow enough to cost nothing.
const MAX_DEPTH: usize = 64;

/// A cursor: always inside one open element, whose children it hands out.
pub(super) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
}

/// The start of an element, with its attributes.
pub(super) struct Tag<'a>(BytesStart<'a>);

pub(super) fn invalid(what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what)
}

impl<'a> Xml<'a> {
    /// Opens a document: its root element, and the cursor inside it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if there is no root element, or what stands there is HTML.
    pub(super) fn open(text: &'a str) -> Result<(Self, Tag<'a>)> {
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = Reader::from_str(text);
        // One way to end an element instead of two.
        reader.config_mut().expand_empty_elements = true;
        let mut xml = Xml { reader, depth: 0 };
        if is_html(text) {
            return Err(invalid("it is HTML").hint(
                "a login page, a proxy or an error page seems to answer in the place of the source: check the URL",
            ));
        }
        match xml.child()? {
            Some(root) => Ok((xml, root)),
            None => Err(invalid("it has no root element")),
        }
    }

    /// The next child of the open element, which is then the open one; `None` once the open element has ended, and
    /// its parent is the open one again.
    pub(super) fn child(&mut self) -> Result<Option<Tag<'a>>> {
        loop {
            match self.event()? {
                Event::Start(start) => return Ok(Some(Tag(start))),
                Event::End(_) => return Ok(None),
                _ => {}
            }
        }
    }

    /// Goes to the end of the open element, over all that is in it.
    pub(super) fn skip(&mut self) -> Result<()> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.event()?;
        }
        Ok(())
    }

    /// The text of the open element, to its end, trimmed; the elements in it are skipped.
    pub(super) fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            match self.event()? {
                Event::Text(t) => text += &t.xml10_content(),
                Event::CData(t) => text += &t.xml10_content(),
                Event::GeneralRef(r) => push_reference(&mut text, &r)?,
                Event::Start(_) => self.skip()?,
                Event::End(_) => return Ok(text.trim().to_owned()),
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Event<'a>> {
        let event = self.reader.read_event().map_err(|e| {
            invalid(format!("not well-formed XML at byte {}: {e}", self.reader.error_position()))
        })?;
        match &event {
            Event::Start(_) if self.depth == MAX_DEPTH => {
                Err(invalid(format!("elements are nested more than {MAX_DEPTH} deep")))
            }
            Event::Start(_) => {
                self.depth += 1;
                Ok(event)
            }
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(event)
            }
            Event::DocType(_) => Err(invalid("it has a DOCTYPE, which no manifest needs")),
            Event::Eof if self.depth > 0 => Err(invalid("it ends in the middle")),
            Event::Eof => Err(invalid("it has no root element")),
            _ => Ok(event),
        }
    }
}

impl<'a> Tag<'a> {
    /// The element's name without its prefix.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// Calls `see` with the full name and the value of each attribute.
    pub(super) fn each(&self, mut see: impl FnMut(&str, &str) -> Result<()>) -> Result<()> {
        for attribute in self.0.attributes().with_checks(false) {
            let attribute = attribute.map_err(|e| invalid(format!("<{}>: {e}", self.name())))?;
            let name = attribute.key.into_inner();
            let value = if attribute.value.contains(['&', '\t', '\n', '\r']) {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                value.map_err(|e| invalid(format!("{}@{name}: {e}", self.name())))?
            } else {
                Cow::Borrowed(&*attribute.value)
            };
            see(name, value.trim())?;
        }
        Ok(())
    }

    /// The attribute of that name, if it is there and not empty.
    pub(super) fn text(&self, wanted: &str) -> Result<Option<String>> {
        let mut found = None;
        self.each(|name, value| {
            if name == wanted && !value.is_empty() {
                found.get_or_insert_with(|| value.to_owned());
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The attribute of that name as a number.
    pub(super) fn number<N: FromStr>(&self, wanted: &str) -> Result<Option<N>> {
        self.text(wanted)?.map(|value| self.parsed(wanted, &value)).transpose()
    }

    /// A value of the attribute `name` as a number; the error says where it stands.
    pub(super) fn parsed<N: FromStr>(&self, name: &str, value: &str) -> Result<N> {
        value.parse().map_err(|_| {
            let shown: String = value.chars().take(40).collect();
            invalid(format!("{}@{name}: {shown:?} is not a number that fits", self.name()))
        })
    }
}

fn push_reference(text: &mut String, reference: &BytesRef<'_>) -> Result<()> {
    let broken = |e: quick_xml::Error| invalid(format!("a character reference: {e}"));
    if let Some(c) = reference.resolve_char_ref().map_err(broken)? {
        text.push(c);
        return Ok(());
    }
    let name = reference.xml10_content();
    let known = resolve_predefined_entity(&name).ok_or_else(|| invalid(format!("&{name}; is not known")))?;
    text.push_str(known);
    Ok(())
}

fn is_html(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(14).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<String>> {
        let (mut xml, root) = Xml::open(text)?;
        let mut seen = vec![root.name().to_owned()];
        while let Some(child) = xml.child()? {
            seen.push(child.name().to_owned());
            seen.push(xml.text()?);
        }
        Ok(seen)
    }

    #[test]
    fn elements_text_and_references_are_read() {
        let text =
            "\u{feff}<?xml version=\"1.0\"?><!-- hello --><x:a>\n<b> 1 &amp; &#50;<z>no</z> </b><c/></x:a>";
        assert_eq!(all(text).unwrap(), ["a", "b", "1 & 2", "c", ""]);
    }

    #[test]
    fn attributes_are_unescaped_and_empty_ones_are_not_there() {
        let (_, root) = Xml::open("<a x='1&amp;2' y='' n='99999999999'/>").unwrap();
        assert_eq!(root.text("x").unwrap().as_deref(), Some("1&2"));
        assert_eq!(root.text("y").unwrap(), None);
        assert_eq!(root.number::<u64>("n").unwrap(), Some(99_999_999_999));
        assert_eq!(root.number::<u32>("n").unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn what_is_not_a_whole_harmless_document_is_refused() {
        let deep = "<a>".repeat(100);
        for (text, why) in [
            ("", "no root"),
            ("hello", "no root"),
            ("<a><b></b>", "in the middle"),
            ("<a><b></a>", "not well-formed"),
            ("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "DOCTYPE"),
            ("<!DOCTYPE html><html></html>", "HTML"),
            ("<HTML><body>log in</body></HTML>", "HTML"),
            ("<a><b>&bomb;</b></a>", "bomb"),
            (&deep, "deep"),
        ] {
            let error = all(text).and_then(|_| Xml::open(text)?.0.skip()).unwrap_err();
            assert!(error.to_string().contains(why), "{text:?}: {error}");
            assert_eq!(error.kind(), Kind::Invalid);
        }
    }
}
