//! Reading a spool or chunk file back: its header, its fragments, and how far it is whole.
//!
//! Only box headers, `ftyp`, `moov` and `moof` are read; media is skipped, so a chunk of gigabytes takes a moment. A file of
//! another program is read as well as one of ours: it may have other boxes between its fragments, several tracks in one
//! `moof`, times in `tfxd`, and no `mfra`.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use crate::error::{Context, Error, Kind, Result};
use crate::media::{
    BoxHeader, BoxType, HeaderTrack, Index, IndexEntry, Init, MAX_INIT, MAX_MOOF, MoofInfo, header,
    read_header, read_moof,
};

/// What a chunk file holds, up to the last byte that is whole.
#[derive(Debug)]
pub struct Contents {
    /// Its tracks, by id, each with an init segment for every sample entry.
    pub header: Vec<(u32, Vec<Init>)>,
    /// Length of everything up to the end of `moov`.
    pub header_bytes: u64,
    /// True if npvr wrote the header: writing what was read of it gives the same bytes.
    pub ours: bool,
    /// Its fragments.
    pub index: Index,
    /// How many bytes the samples of each track take, by its number in the file.
    pub media_bytes: BTreeMap<u32, u64>,
    /// Everything before this byte is whole: the end of the last fragment.
    pub whole_bytes: u64,
    /// True if `mfra` stands at the end: npvr has finished the file.
    pub finished: bool,
    /// True if no box is torn, up to the end of the file, and no fragment lacks its media. Whoever wrote it had come to the end
    /// of a fragment.
    pub whole: bool,
}

/// Reads what `file`, which has `len` bytes, holds. `None` if not even its header is whole. What follows the last whole
/// fragment (a torn write) is not looked at.
///
/// # Errors
/// I/O errors; [`Kind::Corrupt`] where a whole box is none of ours.
pub fn read_contents(file: &mut (impl Read + Seek), len: u64) -> Result<Option<Contents>> {
    let mut boxes = Boxes { file, at: 0, len };
    let Some(header_bytes) = header_end(&mut boxes)? else { return Ok(None) };
    let bytes = boxes.read(0, header_bytes, MAX_INIT)?;
    let header = read_header(&bytes).map_err(corrupt)?;
    let mut contents = Contents {
        ours: is_ours(&header, &bytes),
        header,
        header_bytes,
        index: Index::default(),
        media_bytes: BTreeMap::new(),
        whole_bytes: header_bytes,
        finished: false,
        whole: false,
    };
    let mut moof = None;
    // Where the boxes begin that belong to the next fragment.
    let mut prefix_from = header_bytes;
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"moof" => moof = Some(found),
            b"mdat" => {
                let moof = moof.take().ok_or_else(|| damaged(found.start, "mdat without moof"))?;
                contents.add(&mut boxes, prefix_from, &moof, &found)?;
                prefix_from = found.end();
            }
            b"mfra" => {
                contents.finished = found.end() == len;
                prefix_from = found.end();
            }
            // What describes the file, and not the fragment that follows: as in a segment.
            b"styp" | b"sidx" | b"ssix" | b"free" | b"skip" => prefix_from = found.end(),
            _ => {}
        }
    }
    contents.whole = boxes.at == len && moof.is_none();
    if contents.finished {
        contents.whole_bytes = len;
    }
    contents.index.describe(&contents.header);
    Ok(Some(contents))
}

/// Where the `moov` ends, before which other programs may have more than an `ftyp`; `None` if it is not there whole.
fn header_end(boxes: &mut Boxes<'_, impl Read + Seek>) -> Result<Option<u64>> {
    let mut first = true;
    while let Some(found) = boxes.next()? {
        match (&found.kind.0, first) {
            (b"moov", false) => return Ok(Some(found.end())),
            (b"ftyp", true) => first = false,
            (b"moof" | b"mdat", _) | (_, true) => {
                return Err(damaged(found.start, &format!("{} where ftyp and moov should be", found.kind)));
            }
            _ => {}
        }
    }
    Ok(None)
}

fn is_ours(tracks: &[(u32, Vec<Init>)], bytes: &[u8]) -> bool {
    let tracks: Vec<HeaderTrack<'_>> =
        tracks.iter().map(|(id, inits)| HeaderTrack { id: *id, inits }).collect();
    header(&tracks).is_ok_and(|written| written == bytes)
}

impl Contents {
    /// Adds the fragment that `mdat` ends, from the boxes in front of its `moof` on.
    fn add<F: Read + Seek>(
        &mut self,
        boxes: &mut Boxes<'_, F>,
        prefix_from: u64,
        moof: &Found,
        mdat: &Found,
    ) -> Result<()> {
        let header = &self.header;
        let init = |id: u32| header.iter().find(|(of, _)| *of == id).and_then(|(_, inits)| inits.first());
        let bytes = boxes.read(moof.start, moof.size, MAX_MOOF)?;
        let infos = read_moof(|id| init(id).map(Init::defaults), &bytes).map_err(corrupt)?;
        if infos.iter().fold(0, |sum: u64, info| sum.saturating_add(info.media_bytes)) > mdat.size {
            return Err(damaged(moof.start, "samples that do not lie in its mdat"));
        }
        for info in &infos {
            let prefix_size = u32::try_from(moof.start - prefix_from)
                .map_err(|_| damaged(moof.start, "4 GiB of other boxes"))?;
            let entry = entry(info, moof, prefix_size, mdat.end() - prefix_from)?;
            let timescale =
                init(info.track_id).ok_or_else(|| damaged(moof.start, "a fragment of no track"))?.timescale();
            let of_track = self.index.tracks.iter_mut().find(|t| t.track_id == info.track_id);
            match of_track.filter(|t| t.fragments.last().is_some_and(|l| l.moof_offset == moof.start)) {
                Some(track) => track.lengthen(entry.duration_ticks),
                None => self.index.push(info.track_id, timescale, entry),
            }
            .count(info);
            let media_bytes = self.media_bytes.entry(info.track_id).or_default();
            *media_bytes = media_bytes.saturating_add(info.media_bytes);
        }
        self.whole_bytes = mdat.end();
        Ok(())
    }

    /// Gives the tracks of header and index the ids that `id_of` has for their numbers in the file.
    pub(crate) fn number(&mut self, id_of: impl Fn(u32) -> u32) {
        self.header.iter_mut().for_each(|(id, _)| *id = id_of(*id));
        self.index.number(id_of);
    }

    /// The same, as `other` numbers the tracks of such files.
    pub(crate) fn number_as(&mut self, other: &Index) {
        let is_ours = other.tracks.iter().all(|t| t.track_id == t.file_track_id);
        self.number(|file_id| {
            let known = other.tracks.iter().find(|t| t.file_track_id == file_id).map(|t| t.track_id);
            known.unwrap_or(if is_ours { file_id } else { 0 })
        });
    }
}

/// The fragment as it stands in the index.
fn entry(info: &MoofInfo, moof: &Found, prefix_size: u32, size: u64) -> Result<IndexEntry> {
    let at = moof.start;
    let decode_time = info.decode_time.ok_or_else(|| damaged(at, "a fragment without a time"))?;
    Ok(IndexEntry {
        decode_time: u64::try_from(decode_time).map_err(|_| damaged(at, "a time out of range"))?,
        duration_ticks: u32::try_from(info.duration_ticks)
            .map_err(|_| damaged(at, "a duration out of range"))?,
        moof_offset: at,
        prefix_size,
        size,
        sync: info.starts_with_sync,
    })
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Two tracks in each `moof`; and times in `tfxd` alone. Both by ffmpeg.
    const MUXED: &[u8] = include_bytes!("../../tests/fixtures/media/muxed.mp4");
    const SMOOTH: &[u8] = include_bytes!("../../tests/fixtures/media/video_smooth.ismv");

    fn read(bytes: &[u8]) -> Result<Option<Contents>> {
        read_contents(&mut Cursor::new(bytes), bytes.len() as u64)
    }

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + body.len()).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    #[test]
    fn several_tracks_in_one_moof_have_a_fragment_each_at_one_place() {
        let found = read(MUXED).unwrap().unwrap();
        assert!(found.finished && found.whole);
        let facts = |id: u32| {
            let track = found.index.tracks.iter().find(|t| t.track_id == id).unwrap();
            track.fragments.iter().map(|f| (f.moof_offset, f.size, f.duration_ticks)).collect::<Vec<_>>()
        };
        assert_eq!(facts(1), [(1_222, 5_009, 13_074), (6_231, 4_676, 12_800)]);
        assert_eq!(facts(2), [(1_222, 5_009, 49_152), (6_231, 4_676, 47_872)]);
        // Both mdat boxes, but for their headers.
        assert_eq!(found.media_bytes.values().sum::<u64>(), 4_437 + 4_020 - 16);
    }

    #[test]
    fn times_may_stand_in_tfxd_alone() {
        let found = read(SMOOTH).unwrap().unwrap();
        let times: Vec<u64> = found.index.tracks[0].fragments.iter().map(|f| f.decode_time).collect();
        assert_eq!(times, [0, 10_000_000]);
    }

    #[test]
    fn a_file_without_mfra_is_whole_if_nothing_is_torn_and_finished_by_none_of_ours() {
        let mfra = MUXED.len() - 148;
        let found = read(&MUXED[..mfra]).unwrap().unwrap();
        assert!(found.whole && !found.finished);
        let more = [MUXED, &boxed(b"free", b"x")].concat();
        let found = read(&more).unwrap().unwrap();
        assert!(found.whole && !found.finished);
        // Cut in the last mdat, in front of it, and in the mfra.
        for cut in [mfra - 1, 6_887, mfra + 9] {
            let found = read(&MUXED[..cut]).unwrap().unwrap();
            assert!(!found.whole && !found.finished, "{cut}");
        }
        for cut in [0, 20, 500] {
            assert!(read(&MUXED[..cut]).unwrap().is_none(), "{cut}");
        }
    }

    #[test]
    fn what_describes_the_file_belongs_to_no_fragment_and_what_describes_the_media_does() {
        let (header, media) = MUXED.split_at(1_222);
        let (free, emsg) = (boxed(b"free", b"12345678"), boxed(b"emsg", &[0; 32]));
        let file = [&header[..28], &free, &header[28..], &emsg, &boxed(b"sidx", &[0; 24]), &emsg, media];
        let found = read(&file.concat()).unwrap().unwrap();
        assert!(found.whole);
        let first = found.index.tracks[0].fragments[0];
        assert_eq!((u64::from(first.prefix_size), first.size), (40, 5_009 + 40));
        assert_eq!(first.moof_offset, 1_222 + 16 + 40 + 32 + 40);
    }

    #[test]
    fn what_is_no_chunk_says_where() {
        for (file, said) in [
            (boxed(b"moov", b""), "byte 0: moov where ftyp and moov should be"),
            (
                [boxed(b"ftyp", b""), boxed(b"mdat", b"")].concat(),
                "byte 8: mdat where ftyp and moov should be",
            ),
            ([&MUXED[..1_222], &MUXED[1_794..]].concat(), "byte 1222: mdat without moof"),
            // The samples of the first moof in a box that holds none.
            (
                [&MUXED[..1_794], &boxed(b"mdat", b"")].concat(),
                "byte 1222: samples that do not lie in its mdat",
            ),
        ] {
            let error = read(&file).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (Kind::Corrupt, said.to_owned()));
        }
    }
}
