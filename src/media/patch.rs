//! Moving a fragment into a chunk: the `moof`, and the boxes in front of it, with what must change in them.
//!
//! Every `moof` is written anew, its boxes copied one by one, whether its size changes or not: one way through the code, and
//! the result is the same whatever the source left out. A placed fragment needs nothing from outside: it has a 64-bit `tfdt`,
//! offsets that count from its own `moof`, and in its `tfhd` the defaults that it took from its own `trex`.

use super::boxes::{BoxIter, Boxed, put_at, put_box, put_version_flags, wide};
use super::fragment::Fragment;
use super::moof::{TFRF, TFXD, Tfxd, tfhd_flag};
use super::run::trun_flag;
use crate::error::{Error, Kind, Result};
use crate::time::Timescale;

/// Where a fragment goes in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The track's number in the chunk.
    pub track_id: u32,
    /// The number of the fragment in the chunk, from 1.
    pub sequence: u32,
    /// The decode time of the first sample on the Unix epoch, in ticks of the track.
    pub decode_time: u64,
    /// Which sample entry of the chunk's header it uses, from 1; see
    /// [`HeaderTrack::sample_description_index`](super::HeaderTrack::sample_description_index). `None` leaves what the fragment
    /// says, which is right where the track has one init segment.
    pub sample_description_index: Option<u32>,
}

impl Fragment<'_> {
    /// Appends the boxes in front of the fragment and its `moof` to `out`, made to fit `place`, and answers how many bytes
    /// the boxes in front have. [`Fragment::mdat`] must follow at once.
    ///
    /// The times in `emsg`, `prft` and `tfxd` move as the decode time does. `tfrf` is left out: its times are of the live edge.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if a box breaks its format or a time leaves its range; [`Kind::Unsupported`] if the `moof` outgrows
    /// its offsets. Nothing is appended then.
    pub fn write_moof(&self, place: &Placement, out: &mut Vec<u8>) -> Result<u32> {
        let start = out.len();
        self.append(place, out).inspect_err(|_| out.truncate(start))
    }

    fn append(&self, place: &Placement, out: &mut Vec<u8>) -> Result<u32> {
        let start = out.len();
        let moved = self.info.decode_time.map_or(0, |own| i128::from(place.decode_time) - i128::from(own));
        let prefix = Prefix { track_id: place.track_id, moved, timescale: self.timescale };
        for found in self.prefix.iter().flat_map(|bytes| BoxIter::new(bytes)) {
            prefix.copy(out, found?)?;
        }
        let prefix_size = u32::try_from(out.len() - start)
            .map_err(|_| Error::new(Kind::Unsupported, "the boxes in front of a fragment are over 4 GiB"))?;
        let mut edit = MoofEdit { fragment: self, place, moved, moof: out.len(), copies: Vec::new() };
        edit.write(out)?;
        Ok(prefix_size)
    }
}

/// How the boxes in front of a fragment change.
struct Prefix {
    track_id: u32,
    moved: i128,
    timescale: Timescale,
}

impl Prefix {
    fn copy(&self, out: &mut Vec<u8>, found: Boxed<'_>) -> Result<()> {
        match &found.kind.0 {
            b"emsg" if self.moved != 0 => self.put_emsg(out, found),
            b"prft" => self.put_prft(out, found),
            _ => {
                out.extend(found.bytes);
                Ok(())
            }
        }
    }

    /// `emsg` (23009-1 §5.10.3.3): version 1 has a time on the media timeline, in its own timescale; version 0 counts from
    /// its segment.
    fn put_emsg(&self, out: &mut Vec<u8>, emsg: Boxed<'_>) -> Result<()> {
        let mut fields = emsg.fields();
        let (version, _) = fields.version_flags()?;
        let at = out.len() + emsg.header_len + 8;
        out.extend(emsg.bytes);
        if version == 1 {
            let timescale = Timescale::new(fields.u32()?).map_err(|e| e.context("emsg"))?;
            let moved = i64::try_from(self.moved).map_err(|_| emsg.error("moves too far"))?;
            let moved = self.timescale.convert(moved, timescale);
            put_at(out, at, &shifted(emsg, fields.u64()?.cast_signed(), i128::from(moved))?.to_be_bytes());
        }
        Ok(())
    }

    /// `prft` (14496-12 §8.16.5): names a track and a time on its timeline, which needs 64 bits on the epoch.
    fn put_prft(&self, out: &mut Vec<u8>, prft: Boxed<'_>) -> Result<()> {
        let mut fields = prft.fields();
        let (version, flags) = fields.version_flags()?;
        fields.skip(4)?;
        let ntp: [u8; 8] = fields.array()?;
        let media_time = shifted(prft, fields.wide(version)?.cast_signed(), self.moved)?;
        put_box(out, b"prft", |out| {
            put_version_flags(out, 1, flags);
            out.extend(self.track_id.to_be_bytes());
            out.extend(ntp);
            out.extend(media_time.to_be_bytes());
            Ok(())
        })
    }
}

/// A time, moved.
fn shifted(of: Boxed<'_>, ticks: i64, moved: i128) -> Result<u64> {
    let ticks = i128::from(ticks).checked_add(moved).and_then(|t| u64::try_from(t).ok());
    ticks.ok_or_else(|| of.error("has a time that cannot be moved onto the epoch"))
}

/// A box that was copied: where it was in the segment, and where it is in the output.
struct Copy {
    from: u64,
    len: u64,
    to: usize,
}

/// The writing of one `moof`.
struct MoofEdit<'a> {
    fragment: &'a Fragment<'a>,
    place: &'a Placement,
    moved: i128,
    /// Where the new `moof` begins in the output.
    moof: usize,
    copies: Vec<Copy>,
}

impl MoofEdit<'_> {
    fn write(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let moof = self.fragment.parts.whole;
        // Offsets into the mdat can be written only when the moof's size is known.
        let mut run_fields = Vec::new();
        let mut saio = Vec::new();
        put_box(out, b"moof", |out| {
            put_box(out, b"mfhd", |out| {
                put_version_flags(out, 0, 0);
                out.extend(self.place.sequence.to_be_bytes());
                Ok(())
            })?;
            for child in moof.children() {
                let child = child?;
                match &child.kind.0 {
                    b"mfhd" => {}
                    b"traf" => {
                        put_box(out, b"traf", |out| self.put_traf(out, child, &mut run_fields, &mut saio))?;
                    }
                    _ => self.copy(out, child),
                }
            }
            Ok(())
        })?;
        let mdat = out.len() - self.moof;
        for (at, start) in run_fields.into_iter().zip(&self.fragment.data.runs) {
            let offset = i64::try_from(mdat).ok().and_then(|m| m.checked_add_unsigned(*start));
            let offset = offset
                .and_then(|o| i32::try_from(o).ok())
                .ok_or_else(|| Error::new(Kind::Unsupported, "a fragment over 2 GiB with several runs"))?;
            put_at(out, at, &offset.to_be_bytes());
        }
        saio.into_iter().try_for_each(|(found, at)| self.put_saio_offsets(out, found, at, mdat))
    }

    fn copy(&mut self, out: &mut Vec<u8>, found: Boxed<'_>) {
        self.copies.push(Copy { from: wide(found.offset), len: wide(found.bytes.len()), to: out.len() });
        out.extend(found.bytes);
    }

    fn put_traf<'b>(
        &mut self,
        out: &mut Vec<u8>,
        traf: Boxed<'b>,
        run_fields: &mut Vec<usize>,
        saio: &mut Vec<(Boxed<'b>, usize)>,
    ) -> Result<()> {
        self.put_tfhd(out)?;
        put_box(out, b"tfdt", |out| {
            put_version_flags(out, 1, 0);
            out.extend(self.place.decode_time.to_be_bytes());
            Ok(())
        })?;
        for child in traf.children() {
            let child = child?;
            match (&child.kind.0, child.user_type()) {
                (b"tfhd" | b"tfdt", _) | (_, Some(&TFRF)) => {}
                (_, Some(&TFXD)) => self.put_tfxd(out, child)?,
                (b"trun", _) => run_fields.push(self.put_trun(out, child)?),
                (b"saio", _) => {
                    saio.push((child, out.len()));
                    self.copy(out, child);
                }
                _ => self.copy(out, child),
            }
        }
        Ok(())
    }

    /// `tfhd` (14496-12 §8.8.7).
    fn put_tfhd(&self, out: &mut Vec<u8>) -> Result<()> {
        let (tfhd, trex) = (&self.fragment.parts.tfhd, self.fragment.parts.trex);
        // A default is used where a run has samples, and no value of its own for each.
        let used = |flag| self.fragment.parts.runs.iter().any(|r| r.flags & flag == 0);
        let own_or_used = |own: Option<u32>, default: u32, used: bool| own.or(used.then_some(default));
        let index = self.place.sample_description_index.or(tfhd.sample_description_index);
        let is_empty = tfhd.flags & tfhd_flag::DURATION_IS_EMPTY != 0;
        let optional = [
            (
                tfhd_flag::SAMPLE_DESCRIPTION_INDEX,
                own_or_used(index, trex.sample_description_index, trex.sample_description_index != 1),
            ),
            (
                tfhd_flag::DURATION,
                own_or_used(tfhd.duration, trex.duration, is_empty || used(trun_flag::DURATION)),
            ),
            (tfhd_flag::SIZE, own_or_used(tfhd.size, trex.size, used(trun_flag::SIZE))),
            (tfhd_flag::FLAGS, own_or_used(tfhd.sample_flags, trex.flags, used(trun_flag::FLAGS))),
        ];
        let flags = optional.iter().filter(|(_, value)| value.is_some()).fold(
            tfhd_flag::DEFAULT_BASE_IS_MOOF | (tfhd.flags & tfhd_flag::DURATION_IS_EMPTY),
            |flags, (flag, _)| flags | flag,
        );
        put_box(out, b"tfhd", |out| {
            put_version_flags(out, 0, flags);
            out.extend(self.place.track_id.to_be_bytes());
            optional.iter().filter_map(|(_, value)| *value).for_each(|v| out.extend(v.to_be_bytes()));
            Ok(())
        })
    }

    /// `tfxd`, in its 64-bit version: the epoch does not fit in 32 bits of any usual timescale.
    fn put_tfxd(&self, out: &mut Vec<u8>, found: Boxed<'_>) -> Result<()> {
        let tfxd = Tfxd::parse(found)?;
        let time = shifted(found, tfxd.time, self.moved)?;
        put_box(out, b"uuid", |out| {
            out.extend(TFXD);
            put_version_flags(out, 1, 0);
            out.extend(time.to_be_bytes());
            out.extend(tfxd.duration.to_be_bytes());
            Ok(())
        })
    }

    /// `trun` (§8.8.8), with room for its data offset; answers where that is.
    fn put_trun(&self, out: &mut Vec<u8>, trun: Boxed<'_>) -> Result<usize> {
        let mut fields = trun.fields();
        let (version, flags) = fields.version_flags()?;
        let samples: [u8; 4] = fields.array()?;
        if flags & trun_flag::DATA_OFFSET != 0 {
            fields.skip(4)?;
        }
        let mut at = 0;
        put_box(out, b"trun", |out| {
            put_version_flags(out, version, flags | trun_flag::DATA_OFFSET);
            out.extend(samples);
            at = out.len();
            out.extend([0; 4]);
            out.extend(fields.rest());
            Ok(())
        })?;
        Ok(at)
    }

    /// `saio` (§8.7.9) at `at` in the output: where the auxiliary data of encrypted samples is, in the `moof` (`senc`) or
    /// in the `mdat`. An offset that points at neither stays as it is: it led nowhere before.
    fn put_saio_offsets(&self, out: &mut [u8], saio: Boxed<'_>, at: usize, mdat: usize) -> Result<()> {
        let mut fields = saio.fields();
        let (version, flags) = fields.version_flags()?;
        let typed = if flags & 1 != 0 { 8 } else { 0 };
        fields.skip(typed)?;
        let count = fields.u32()?;
        let width = if version == 0 { 4 } else { 8 };
        let mut at = at + saio.header_len + 8 + typed;
        for _ in 0..count {
            // Ends with an error where the count lies.
            let offset = fields.wide(version)?;
            if let Some(new) =
                offset.checked_add(self.fragment.data.base).and_then(|o| self.moved_to(o, mdat))
            {
                if version == 0 {
                    let new = u32::try_from(new).map_err(|_| saio.error("points beyond 4 GiB"))?;
                    put_at(out, at, &new.to_be_bytes());
                } else {
                    put_at(out, at, &new.to_be_bytes());
                }
            }
            at += width;
        }
        Ok(())
    }

    /// What was at byte `from` of the segment is at this byte, counted from the new `moof`.
    fn moved_to(&self, from: u64, mdat: usize) -> Option<u64> {
        let data = &self.fragment.data;
        if let Some(inside) = from.checked_sub(data.mdat) {
            return (inside <= wide(self.fragment.mdat.len())).then(|| wide(mdat).saturating_add(inside));
        }
        let copy = self.copies.iter().find(|c| c.from <= from && from - c.from < c.len)?;
        Some(wide(copy.to - self.moof) + (from - copy.from))
    }
}
