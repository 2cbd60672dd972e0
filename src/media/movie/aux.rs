//! What it takes to decrypt the samples of a fragment (23001-7 §7): for each an initialisation vector, and which of its bytes
//! are encrypted. It is carried from `senc` as it is, and never understood further than where each sample's part ends.

use super::super::boxes::{Boxed, Fields};
use super::super::moof::moof_in;
use crate::error::{Context, Result};

/// `senc` as files had it before it was a standard.
const PIFF_SENC: [u8; 16] = *b"\xa2\x39\x4f\x52\x5a\x9b\x4f\x14\xa2\x44\x6c\x42\x7c\x64\x8d\xf4";
/// A flag of `senc`: it says which bytes of a sample are encrypted.
const SUBSAMPLES: u32 = 0x2;
/// How long one such entry is, in bytes.
const SUBSAMPLE_BYTES: usize = 6;

/// The auxiliary data of the samples of one fragment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aux {
    /// The flags of the `senc` that it is from.
    pub flags: u32,
    /// How many bytes each sample has of it.
    pub sizes: Vec<u8>,
    /// All of it.
    pub data: Vec<u8>,
}

impl Aux {
    /// That of one sample.
    pub fn only(&self, n: usize) -> Aux {
        let before: usize = self.sizes.iter().take(n).map(|size| usize::from(*size)).sum();
        let size = self.sizes.get(n).copied().unwrap_or(0);
        let data = self.data.get(before..before + usize::from(size)).unwrap_or_default().to_vec();
        Aux { flags: self.flags, sizes: vec![size], data }
    }
}

/// Reads the auxiliary data of one track; `moof` begins with a whole `moof`. `None` if there is none: the fragment is not
/// encrypted, or needs nothing beside the header.
///
/// # Errors
/// [`crate::error::Kind::Invalid`] if a box breaks its format.
pub fn read_aux(moof: &[u8], file_track_id: u32) -> Result<Option<Aux>> {
    let Some(traf) = traf_of(moof, file_track_id)? else { return Ok(None) };
    for child in traf.children() {
        let child = child?;
        let is_piff = child.user_type() == Some(&PIFF_SENC);
        if child.kind.0 == *b"senc" || is_piff {
            let mut fields = child.fields();
            fields.skip(if is_piff { PIFF_SENC.len() } else { 0 })?;
            return split(child, fields, told_sizes(traf)?).context("auxiliary data");
        }
    }
    Ok(None)
}

/// The `traf` of a track.
pub(super) fn traf_of(moof: &[u8], file_track_id: u32) -> Result<Option<Boxed<'_>>> {
    for child in moof_in(moof)?.children() {
        let child = child?;
        if child.kind.0 != *b"traf" {
            continue;
        }
        let mut tfhd = child.required(b"tfhd")?.fields();
        tfhd.version_flags()?;
        if tfhd.u32()? == file_track_id {
            return Ok(Some(child));
        }
    }
    Ok(None)
}

/// What `saiz` (14496-12 §8.7.8) says: a size for all, or one for each.
enum Told<'a> {
    All(u8),
    Each(&'a [u8]),
}

fn told_sizes<'a>(traf: Boxed<'a>) -> Result<Option<Told<'a>>> {
    let Some(saiz) = traf.child(b"saiz")? else { return Ok(None) };
    let mut fields = saiz.fields();
    let (_, flags) = fields.version_flags()?;
    fields.skip(if flags & 1 == 0 { 0 } else { 8 })?;
    let [default]: [u8; 1] = fields.array()?;
    let count = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
    Ok(match default {
        0 => fields.rest().get(..count).map(Told::Each),
        size => Some(Told::All(size)),
    })
}

/// Finds where the part of each sample ends.
fn split(senc: Boxed<'_>, mut fields: Fields<'_>, told: Option<Told<'_>>) -> Result<Option<Aux>> {
    let (_, flags) = fields.version_flags()?;
    if flags & 1 != 0 {
        return Err(senc.error("says by itself how it is encrypted, which is not supported"));
    }
    let count = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
    let data = fields.rest();
    // Where all of each sample is encrypted, with one vector for all, there is nothing to say.
    if data.is_empty() {
        return Ok(None);
    }
    let fits = |sizes: &[u8]| sizes.iter().map(|size| usize::from(*size)).sum::<usize>() == data.len();
    // Each has at least a byte.
    if count > data.len() {
        return Err(senc.error(format_args!("claims {count} samples and has no room for them")));
    }
    let told = match told {
        Some(Told::All(size)) => Some(vec![size; count]),
        Some(Told::Each(sizes)) if sizes.len() == count => Some(sizes.to_vec()),
        _ => None,
    };
    let found = told.filter(|sizes| fits(sizes));
    let found = found.or_else(|| [8, 16, 0].into_iter().find_map(|iv| walk(flags, iv, count, data)));
    let sizes = found.ok_or_else(|| senc.error("cannot be split into samples"))?;
    Ok(Some(Aux { flags, sizes, data: data.to_vec() }))
}

/// The sizes, if vectors are `iv` bytes long; `None` if they cannot be.
fn walk(flags: u32, iv: usize, count: usize, data: &[u8]) -> Option<Vec<u8>> {
    let mut rest = data;
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        let mut size = iv;
        if flags & SUBSAMPLES != 0 {
            let entries = u16::from_be_bytes(*rest.get(iv..)?.first_chunk()?);
            size += 2 + usize::from(entries) * SUBSAMPLE_BYTES;
        }
        rest = rest.get(size..)?;
        sizes.push(u8::try_from(size).ok()?);
    }
    rest.is_empty().then_some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::boxes::boxed;

    /// A `moof` of track 3 with these boxes in its `traf`.
    fn moof(boxes: &[Vec<u8>]) -> Vec<u8> {
        let tfhd = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 3]);
        boxed(b"moof", &boxed(b"traf", &[tfhd, boxes.concat()].concat()))
    }

    /// Three samples with vectors of eight bytes; the second has one subsample, the third has two.
    fn senc() -> Vec<u8> {
        let mut body = vec![0, 0, 0, 2, 0, 0, 0, 3];
        for subsamples in 0..3_u8 {
            body.extend([subsamples; 8]);
            body.extend([0, subsamples]);
            body.extend(vec![9; usize::from(subsamples) * SUBSAMPLE_BYTES]);
        }
        body
    }

    #[test]
    fn each_sample_gets_its_part_whether_sizes_are_told_or_not() {
        let expected = Aux { flags: 2, sizes: vec![10, 16, 22], data: senc()[8..].to_vec() };
        let told = boxed(b"saiz", &[0, 0, 0, 0, 0, 0, 0, 0, 3, 10, 16, 22]);
        let wrong = boxed(b"saiz", &[0, 0, 0, 0, 0, 0, 0, 0, 3, 10, 16, 21]);
        let piff = boxed(b"uuid", &[&PIFF_SENC[..], &senc()].concat());
        let senc = boxed(b"senc", &senc());
        for boxes in [vec![senc.clone()], vec![told, senc.clone()], vec![wrong, senc.clone()], vec![piff]] {
            assert_eq!(read_aux(&moof(&boxes), 3).unwrap().as_ref(), Some(&expected));
        }
        assert_eq!(read_aux(&moof(&[senc]), 4).unwrap(), None, "another track");
        assert_eq!(expected.only(1), Aux { flags: 2, sizes: vec![16], data: expected.data[10..26].to_vec() });
    }

    #[test]
    fn one_vector_for_all_leaves_nothing_to_carry() {
        let senc = boxed(b"senc", &[0, 0, 0, 0, 0, 0, 0, 95]);
        assert_eq!(read_aux(&moof(&[senc]), 3).unwrap(), None);
        assert_eq!(read_aux(&moof(&[]), 3).unwrap(), None);
    }

    #[test]
    fn what_claims_more_than_it_has_is_refused() {
        for body in [
            &[0, 0, 0, 2, 255, 255, 255, 255, 1][..],
            &[0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 3],
            &[0, 0, 0, 1, 0, 0],
        ] {
            assert!(read_aux(&moof(&[boxed(b"senc", body)]), 3).is_err(), "{body:?}");
        }
    }
}
