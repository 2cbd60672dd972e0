//! Boxes: reading their headers, walking through them, taking fields out of them, and writing them.
//!
//! The one place where a size from the input becomes a slice, so that no other file has to distrust one.

use std::fmt;

use crate::error::{Error, Kind, Result};

/// The four characters that name a box.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BoxType(pub [u8; 4]);

impl fmt::Display for BoxType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for BoxType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first fields of a box (14496-12 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxHeader {
    /// What the box is.
    pub kind: BoxType,
    /// How long the header is, in bytes: 8, or 16 where the size has 64 bits. A `uuid`'s user type counts as body.
    pub header_len: u64,
    /// How long the whole box is, in bytes, header included.
    pub size: u64,
}

impl BoxHeader {
    /// How many bytes are enough for [`BoxHeader::parse`].
    pub const MAX_LEN: usize = 16;

    /// Reads a header from the first bytes of a box: 8, or 16 where the size has 64 bits. More do no harm.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if there are too few bytes, or the size is smaller than the header. [`Kind::Unsupported`] for
    /// size 0, "to the end of the file": such a box would swallow whatever is written after it.
    pub fn parse(first_bytes: &[u8]) -> Result<BoxHeader> {
        let cut = || Error::new(Kind::Invalid, "a box header is cut short");
        let (size, rest) = first_bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let (kind, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let kind = BoxType(*kind);
        let (header_len, size) = match u32::from_be_bytes(*size) {
            0 => return Err(Error::new(Kind::Unsupported, format!("box {kind} has no size of its own"))),
            1 => (16, u64::from_be_bytes(*rest.first_chunk::<8>().ok_or_else(cut)?)),
            size => (8, u64::from(size)),
        };
        if size < header_len {
            return Err(Error::new(Kind::Invalid, format!("box {kind} says that it is {size} bytes long")));
        }
        Ok(BoxHeader { kind, header_len, size })
    }
}

/// A box that lies whole in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Boxed<'a> {
    /// What it is.
    pub kind: BoxType,
    /// How long its header is, in bytes.
    pub header_len: usize,
    /// All of it, header included.
    pub bytes: &'a [u8],
    /// Where it begins, in bytes from the start of what was first given to [`BoxIter::new`].
    pub offset: usize,
}

impl<'a> Boxed<'a> {
    /// What follows the header.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(self.header_len..).unwrap_or_default()
    }

    /// Where the body begins, counted as [`Boxed::offset`].
    pub fn body_offset(&self) -> usize {
        self.offset + self.header_len
    }

    /// The boxes that it holds, where it is a plain container.
    pub fn children(&self) -> BoxIter<'a> {
        BoxIter { rest: self.body(), offset: self.body_offset() }
    }

    /// Its first child of a kind.
    pub(super) fn child(&self, kind: &[u8; 4]) -> Result<Option<Boxed<'a>>> {
        self.children().find(|b| b.as_ref().map_or(true, |b| b.kind.0 == *kind)).transpose()
    }

    /// Its first child of a kind that must be there.
    pub(super) fn required(&self, kind: &[u8; 4]) -> Result<Boxed<'a>> {
        self.child(kind)?.ok_or_else(|| self.error(format!("has no {}", kind.escape_ascii())))
    }

    /// Its fields, to be taken one after another.
    pub(super) fn fields(&self) -> Fields<'a> {
        Fields { rest: self.body(), of: self.kind, offset: self.offset }
    }

    /// The first 16 bytes of the body of a `uuid` box.
    pub(super) fn user_type(&self) -> Option<&'a [u8; 16]> {
        if self.kind.0 == *b"uuid" { self.body().first_chunk() } else { None }
    }

    /// An error about this box: it breaks its format.
    pub(super) fn error(&self, what: impl fmt::Display) -> Error {
        Error::new(Kind::Invalid, format!("box {} at byte {} {what}", self.kind, self.offset))
    }
}

/// Walks through the boxes that lie one after another in a slice. Ends after the first error.
#[derive(Debug, Clone)]
pub struct BoxIter<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> BoxIter<'a> {
    /// The boxes in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    fn take_box(&mut self) -> Result<Boxed<'a>> {
        let at = |e: Error| e.context(format_args!("at byte {}", self.offset));
        let header = BoxHeader::parse(self.rest).map_err(at)?;
        let fits = usize::try_from(header.size).ok().and_then(|size| self.rest.split_at_checked(size));
        let Some((bytes, rest)) = fits else {
            let BoxHeader { kind, size, .. } = header;
            let what =
                format!("box {kind} says that it is {size} bytes long, and {} are left", self.rest.len());
            return Err(at(Error::new(Kind::Invalid, what)));
        };
        // `parse` knows two lengths only, 8 and 16.
        let header_len = if header.header_len == 16 { 16 } else { 8 };
        let found = Boxed { kind: header.kind, header_len, bytes, offset: self.offset };
        self.rest = rest;
        self.offset += bytes.len();
        Ok(found)
    }
}

impl<'a> Iterator for BoxIter<'a> {
    type Item = Result<Boxed<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let next = self.take_box();
        if next.is_err() {
            self.rest = &[];
        }
        Some(next)
    }
}

/// Takes big-endian fields from the front of a box's body; an error where it is too short.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    of: BoxType,
    offset: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| {
            Error::new(Kind::Invalid, format!("box {} at byte {} is too short", self.of, self.offset))
        })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Result<()> {
        let rest = self.rest.get(bytes..).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("box {} at byte {} is too short", self.of, self.offset))
        })?;
        self.rest = rest;
        Ok(())
    }

    /// The next bytes, as fields of their own.
    pub(super) fn take(&mut self, bytes: usize) -> Result<Fields<'a>> {
        let whole = self.rest;
        self.skip(bytes)?;
        Ok(Fields { rest: &whole[..bytes], ..self.clone() })
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A field that has 64 bits in version 1 of its box and 32 before.
    pub(super) fn wide(&mut self, version: u8) -> Result<u64> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// The version and the flags of a full box (§4.2).
    pub(super) fn version_flags(&mut self) -> Result<(u8, u32)> {
        let [version, a, b, c] = self.array()?;
        Ok((version, u32::from_be_bytes([0, a, b, c])))
    }

    /// What has not been taken yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Appends a box: its header, then whatever `body` appends.
pub(super) fn put_box(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    body: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    body(out)?;
    let size = u32::try_from(out.len() - start).map_err(|_| {
        Error::new(Kind::Unsupported, format!("box {} would be over 4 GiB", kind.escape_ascii()))
    })?;
    put_at(out, start, &size.to_be_bytes());
    Ok(())
}

/// A box of these bytes, for tests.
#[cfg(test)]
pub(super) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_box(&mut out, kind, |out| {
        out.extend(body);
        Ok(())
    })
    .unwrap();
    out
}

/// Appends the version and the flags of a full box.
pub(super) fn put_version_flags(out: &mut Vec<u8>, version: u8, flags: u32) {
    out.extend((u32::from(version) << 24 | (flags & 0x00FF_FFFF)).to_be_bytes());
}

/// Writes over bytes that are there already; what would lie past the end is left alone.
pub(super) fn put_at(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = at.checked_add(bytes.len()).and_then(|end| out.get_mut(at..end)) {
        place.copy_from_slice(bytes);
    }
}

/// A length or position in memory as the 64 bits that files count in.
pub(super) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// An error that says what `bytes` are, where their first ones show that they are no MP4.
///
/// MP4 begins with the size of its first box, so a first byte of 0x20 or more would mean a box of half a gigabyte.
pub(super) fn refuse_other_formats(bytes: &[u8]) -> Result<()> {
    let start = || bytes[..bytes.len().min(8)].escape_ascii();
    let (kind, what, hint) = match bytes.first() {
        None => {
            (Kind::Invalid, "it is empty".to_owned(), "ask again; an origin that answers nothing is not well")
        }
        Some(0x47) => {
            (Kind::Unsupported, "it is MPEG-TS".to_owned(), "use a DASH manifest, or HLS with fMP4 segments")
        }
        Some(b'<') => (
            Kind::Invalid,
            format!("it begins with \"{}\"", start()),
            "this is a page, perhaps of an error or a login",
        ),
        Some(0x20..) => {
            (Kind::Invalid, format!("it begins with \"{}\"", start()), "npvr archives fragmented MP4 only")
        }
        Some(_) => return Ok(()),
    };
    Err(Error::new(kind, format!("not fragmented MP4: {what}")).hint(hint))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_size_is_read_in_both_widths_and_a_lie_is_refused() {
        let header = BoxHeader::parse(b"\0\0\0\x10moofrest").unwrap();
        assert_eq!((header.kind.0, header.header_len, header.size), (*b"moof", 8, 16));
        let header = BoxHeader::parse(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0").unwrap();
        assert_eq!((header.header_len, header.size), (16, 1 << 32));
        for (bytes, kind) in [
            (&b"\0\0\0\x07moof"[..], Kind::Invalid),
            (b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f", Kind::Invalid),
            (b"\0\0\0\x01mdat\0\0\0", Kind::Invalid),
            (b"\0\0\0\x10moo", Kind::Invalid),
            (b"\0\0\0\0mdat", Kind::Unsupported),
        ] {
            assert_eq!(BoxHeader::parse(bytes).unwrap_err().kind(), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_box_that_is_cut_short_is_named_with_its_place() {
        let bytes = b"\0\0\0\x08free\0\0\0\x20mdatabc";
        let all: Vec<_> = BoxIter::new(bytes).collect();
        assert_eq!(all.len(), 2);
        let error = all[1].as_ref().unwrap_err().to_string();
        assert_eq!(error, "at byte 8: box mdat says that it is 32 bytes long, and 11 are left");
    }

    #[test]
    fn other_formats_are_named() {
        let said = |bytes: &[u8]| refuse_other_formats(bytes).unwrap_err().to_string();
        assert_eq!(said(b"<html><body>"), "not fragmented MP4: it begins with \"<html><b\"");
        assert_eq!(said(b"\x47\x40\x11\x10"), "not fragmented MP4: it is MPEG-TS");
        assert_eq!(said(b"#EXTM3U\n"), "not fragmented MP4: it begins with \"#EXTM3U\\n\"");
        assert_eq!(said(b""), "not fragmented MP4: it is empty");
        assert!(refuse_other_formats(b"\0\0\0\x18ftyp").is_ok());
    }

    proptest! {
        #[test]
        fn boxes_tile_what_they_are_read_from(bytes in prop::collection::vec(0_u8..40, 0..200)) {
            let mut at = 0;
            for found in BoxIter::new(&bytes).flatten() {
                prop_assert_eq!(found.offset, at);
                prop_assert_eq!(&bytes[at..at + found.bytes.len()], found.bytes);
                at += found.bytes.len();
            }
        }
    }
}
