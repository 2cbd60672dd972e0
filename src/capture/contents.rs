//! Reading a spool or chunk file back: its header, its fragments, and how far it is whole.
//!
//! Only box headers, `ftyp`, `moov` and `moof` are read; media is skipped, so a chunk of gigabytes takes a moment.

use std::io::{Read, Seek, SeekFrom};

use crate::error::{Context, Error, Kind, Result};
use crate::media::{BoxHeader, BoxType, Index, IndexEntry, Init, MAX_INIT, MAX_MOOF, read_header, read_moof};

/// What a chunk file holds, up to the last byte that is whole.
#[derive(Debug)]
pub struct Contents {
    /// Its tracks, by id, each with an init segment for every sample entry.
    pub header: Vec<(u32, Vec<Init>)>,
    /// Length of `ftyp` and `moov`.
    pub header_bytes: u64,
    /// Its fragments.
    pub index: Index,
    /// Everything before this byte is whole.
    pub whole_bytes: u64,
    /// True if `mfra` stands at the end: the file is finished.
    pub finished: bool,
}

/// Reads what `file`, which has `len` bytes, holds. `None` if not even its header is whole. What follows the last whole
/// fragment (a torn write) is not looked at.
///
/// # Errors
/// I/O errors; [`Kind::Corrupt`] where a whole box is none of ours.
pub fn read_contents(file: &mut (impl Read + Seek), len: u64) -> Result<Option<Contents>> {
    let mut boxes = Boxes { file, at: 0, len };
    let (Some(ftyp), Some(moov)) = (boxes.next()?, boxes.next()?) else { return Ok(None) };
    if (ftyp.kind, moov.kind) != (BoxType(*b"ftyp"), BoxType(*b"moov")) {
        return Err(Error::new(Kind::Corrupt, format!("it begins with {} and {}", ftyp.kind, moov.kind)));
    }
    let header_bytes = moov.end();
    let header = read_header(&boxes.read(0, header_bytes, MAX_INIT)?).map_err(corrupt)?;
    let index = Index::default();
    let mut contents = Contents { header, header_bytes, index, whole_bytes: header_bytes, finished: false };
    let mut moof = None;
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"moof" => moof = Some(found),
            b"mdat" => {
                let moof = moof.take().ok_or_else(|| damaged(found.start, "mdat without moof"))?;
                contents.add(&mut boxes, &moof, found.end())?;
            }
            b"mfra" => {
                contents.finished = found.end() == len;
                if contents.finished {
                    contents.whole_bytes = len;
                }
                break;
            }
            _ => {}
        }
    }
    Ok(Some(contents))
}

impl Contents {
    /// Adds the fragment from the end of the one before to `end`, whose `moof` is given.
    fn add<F: Read + Seek>(&mut self, boxes: &mut Boxes<'_, F>, moof: &Found, end: u64) -> Result<()> {
        let header = &self.header;
        let inits = |id: u32| header.iter().find(|(of, _)| *of == id).and_then(|(_, inits)| inits.first());
        let bytes = boxes.read(moof.start, moof.size, MAX_MOOF)?;
        let info = read_moof(|id| inits(id).map(Init::defaults), &bytes).map_err(corrupt)?;
        let (Some(init), Some(decode_time)) = (inits(info.track_id), info.decode_time) else {
            return Err(damaged(moof.start, "a fragment of no track, or without a time"));
        };
        let number = |n: i64| u64::try_from(n).map_err(|_| damaged(moof.start, "a time out of range"));
        let entry = IndexEntry {
            decode_time: number(decode_time)?,
            duration_ticks: u32::try_from(info.duration_ticks)
                .map_err(|_| damaged(moof.start, "a duration out of range"))?,
            moof_offset: moof.start,
            prefix_size: u32::try_from(moof.start - self.whole_bytes)
                .map_err(|_| damaged(moof.start, "4 GiB of other boxes"))?,
            size: end - self.whole_bytes,
            sync: info.starts_with_sync,
        };
        let timescale = init.timescale();
        self.index.push(info.track_id, timescale, entry);
        self.whole_bytes = end;
        Ok(())
    }
}

/// Where a whole box is.
struct Found {
    kind: BoxType,
    start: u64,
    size: u64,
}

impl Found {
    fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// Goes from box to box of a file.
struct Boxes<'a, F> {
    file: &'a mut F,
    at: u64,
    len: u64,
}

impl<F: Read + Seek> Boxes<'_, F> {
    /// The next box that is there as a whole; `None` at the end, or where the rest is torn.
    fn next(&mut self) -> Result<Option<Found>> {
        let start = self.at;
        let left = self.len.saturating_sub(start);
        let most = left.min(BoxHeader::MAX_LEN as u64);
        // A header is 8 bytes, or 16: the shorter is enough where it says so itself.
        let bytes = self.read(start, most, BoxHeader::MAX_LEN)?;
        let Ok(header) = BoxHeader::parse(&bytes) else { return Ok(None) };
        if header.size > left {
            return Ok(None);
        }
        self.at += header.size;
        Ok(Some(Found { kind: header.kind, start, size: header.size }))
    }

    fn read(&mut self, start: u64, size: u64, limit: usize) -> Result<Vec<u8>> {
        let size = usize::try_from(size).ok().filter(|s| *s <= limit);
        let size = size.ok_or_else(|| damaged(start, "a box that is too large"))?;
        let mut bytes = vec![0; size];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes).with_context(|| format!("byte {start}"))?;
        Ok(bytes)
    }
}

fn damaged(at: u64, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("byte {at}: {what}"))
}

fn corrupt(e: Error) -> Error {
    Error::new(Kind::Corrupt, e.to_string())
}
