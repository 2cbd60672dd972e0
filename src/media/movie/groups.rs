//! Sample groups (14496-12 §8.9): what some samples have in common, such as the key that they are encrypted with where keys
//! change. A fragment brings descriptions of its own; in a file with tables there is one list, in which each stands once.

use std::collections::BTreeMap;

use super::super::boxes::{Boxed, put_box, put_version_flags};
use super::aux::traf_of;
use crate::error::{Error, Kind, Result};

/// From here on a number means a description of the fragment, and not of the file's header (§8.9.4).
const OF_FRAGMENT: u32 = 0x1_0000;
/// The most descriptions of one kind in a file.
const MAX_DESCRIPTIONS: usize = 4_096;

/// Which samples of a fragment belong to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `seig`, `roll` and the like.
    pub kind: [u8; 4],
    /// In order: so many samples, and the description that they share; `None` for those that belong to no group.
    pub runs: Vec<(u32, Option<Vec<u8>>)>,
}

/// Reads the groups of one track of a fragment. `moof` begins with a whole `moof`. A group whose description the fragment does
/// not bring is left out, but for the kind that says how samples are encrypted.
///
/// # Errors
/// [`Kind::Invalid`] if a box breaks its format; [`Kind::Unsupported`] for samples that cannot be decrypted without a
/// description that is not there.
pub fn read_groups(moof: &[u8], file_track_id: u32) -> Result<Vec<Group>> {
    let Some(traf) = traf_of(moof, file_track_id)? else { return Ok(Vec::new()) };
    let mut descriptions: BTreeMap<[u8; 4], Vec<Vec<u8>>> = BTreeMap::new();
    let mut groups = Vec::new();
    for child in traf.children() {
        let child = child?;
        if child.kind.0 == *b"sgpd" {
            let (kind, found) = read_sgpd(child)?;
            descriptions.insert(kind, found);
        }
    }
    for child in traf.children() {
        let child = child?;
        if child.kind.0 == *b"sbgp" {
            groups.extend(read_sbgp(child, &descriptions)?);
        }
    }
    Ok(groups)
}

/// `sgpd` (§8.9.3).
fn read_sgpd(sgpd: Boxed<'_>) -> Result<([u8; 4], Vec<Vec<u8>>)> {
    let mut fields = sgpd.fields();
    let (version, _) = fields.version_flags()?;
    let kind = fields.array()?;
    let length = if version == 1 { fields.u32()? } else { 0 };
    if version >= 2 {
        fields.skip(4)?;
    }
    let count = fields.u32()?;
    let mut found = Vec::new();
    for _ in 0..count {
        let own = match (version, length) {
            (1, 0) => usize::try_from(fields.u32()?).unwrap_or(usize::MAX),
            (1, length) => usize::try_from(length).unwrap_or(usize::MAX),
            // The others do not say how long their entries are: what is left is shared out.
            _ => fields.rest().len() / usize::try_from(count).unwrap_or(usize::MAX),
        };
        let entry = fields.take(own)?;
        if found.len() < MAX_DESCRIPTIONS {
            found.push(entry.rest().to_vec());
        }
    }
    Ok((kind, found))
}

/// `sbgp` (§8.9.2).
fn read_sbgp(sbgp: Boxed<'_>, descriptions: &BTreeMap<[u8; 4], Vec<Vec<u8>>>) -> Result<Option<Group>> {
    let mut fields = sbgp.fields();
    let (version, _) = fields.version_flags()?;
    let kind: [u8; 4] = fields.array()?;
    fields.skip(if version == 1 { 4 } else { 0 })?;
    let count = fields.u32()?;
    let known = descriptions.get(&kind);
    let mut runs = Vec::new();
    for _ in 0..count {
        let (samples, index) = (fields.u32()?, fields.u32()?);
        let description = match index {
            0 => None,
            index => {
                let at = index.checked_sub(OF_FRAGMENT + 1).and_then(|at| usize::try_from(at).ok());
                match at.and_then(|at| known?.get(at)) {
                    Some(found) => Some(found.clone()),
                    None if kind == *b"seig" => {
                        let what = "it is encrypted as the header of its chunk says, which is not supported";
                        return Err(Error::new(Kind::Unsupported, what));
                    }
                    None => return Ok(None),
                }
            }
        };
        runs.push((samples, description));
    }
    Ok(Some(Group { kind, runs }))
}

/// The groups of all samples of a track.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups(BTreeMap<[u8; 4], OfKind>);

#[derive(Debug, Clone, Default)]
struct OfKind {
    /// Each once, in the order of use.
    descriptions: Vec<Vec<u8>>,
    /// So many samples, and the number of their description, from 1; 0 for none.
    runs: Vec<(u32, u32)>,
    /// How many samples the runs have.
    samples: u64,
}

impl Groups {
    /// Adds those of `samples` samples that come behind `before` others.
    pub(super) fn push(&mut self, groups: &[Group], before: u64, samples: usize) {
        for group in groups {
            let of_kind = self.0.entry(group.kind).or_default();
            of_kind.skip_to(before);
            let mut left = u32::try_from(samples).unwrap_or(u32::MAX);
            for (count, description) in &group.runs {
                let count = left.min(*count);
                left -= count;
                let number = description.as_ref().map_or(0, |text| of_kind.number(text));
                of_kind.add(count, number);
            }
        }
    }

    /// Appends `sgpd` and `sbgp` of each kind, for a track of so many samples.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        for (kind, of_kind) in self.0.iter().filter(|(_, of_kind)| !of_kind.descriptions.is_empty()) {
            let wide = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
            put_box(out, b"sgpd", |out| {
                put_version_flags(out, 1, 0);
                out.extend(kind);
                let first = of_kind.descriptions.first().map_or(0, Vec::len);
                let is_even = of_kind.descriptions.iter().all(|d| d.len() == first);
                out.extend(wide(if is_even { first } else { 0 }));
                out.extend(wide(of_kind.descriptions.len()));
                for description in &of_kind.descriptions {
                    if !is_even {
                        out.extend(wide(description.len()));
                    }
                    out.extend(description);
                }
                Ok(())
            })?;
            put_box(out, b"sbgp", |out| {
                put_version_flags(out, 0, 0);
                out.extend(kind);
                out.extend(wide(of_kind.runs.len()));
                for (count, number) in &of_kind.runs {
                    out.extend(count.to_be_bytes());
                    out.extend(number.to_be_bytes());
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl OfKind {
    /// Those that nothing was said of belong to no group.
    fn skip_to(&mut self, samples: u64) {
        let silent = u32::try_from(samples.saturating_sub(self.samples)).unwrap_or(u32::MAX);
        self.add(silent, 0);
    }

    fn add(&mut self, count: u32, number: u32) {
        if count == 0 {
            return;
        }
        self.samples += u64::from(count);
        match self.runs.last_mut().filter(|(_, last)| *last == number) {
            Some((all, _)) => *all = all.saturating_add(count),
            None => self.runs.push((count, number)),
        }
    }

    /// The number of a description, which is new or not.
    fn number(&mut self, description: &[u8]) -> u32 {
        let known = self.descriptions.iter().rposition(|d| d == description);
        let at = known.unwrap_or_else(|| {
            self.descriptions.push(description.to_vec());
            self.descriptions.len() - 1
        });
        u32::try_from(at + 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::boxes::boxed;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A fragment of one track whose samples have these groups: how many, and the number of their description.
    fn moof(kind: &[u8; 4], descriptions: &[u32], runs: &[(u32, u32)]) -> Vec<u8> {
        let tfhd = boxed(b"tfhd", &words(&[0, 1]));
        let count = u32::try_from(descriptions.len()).unwrap();
        let sgpd = [words(&[0x0100_0000]), kind.to_vec(), words(&[4, count]), words(descriptions)].concat();
        let count = u32::try_from(runs.len()).unwrap();
        let runs: Vec<u8> = runs.iter().flat_map(|(samples, n)| words(&[*samples, *n])).collect();
        let sbgp = [words(&[0]), kind.to_vec(), words(&[count]), runs].concat();
        boxed(b"moof", &boxed(b"traf", &[tfhd, boxed(b"sgpd", &sgpd), boxed(b"sbgp", &sbgp)].concat()))
    }

    #[test]
    fn a_description_that_fragments_share_stands_once_in_the_file() {
        let one = moof(b"seig", &[7, 8], &[(2, 0x1_0001), (3, 0x1_0002)]);
        let other = moof(b"seig", &[8, 9], &[(1, 0x1_0001), (2, 0), (5, 0x1_0002)]);
        let mut groups = Groups::default();
        groups.push(&read_groups(&one, 1).unwrap(), 0, 5);
        groups.push(&[], 5, 4);
        // The last samples are not played.
        groups.push(&read_groups(&other, 1).unwrap(), 9, 6);
        let of_kind = &groups.0[b"seig"];
        assert_eq!(of_kind.descriptions, [words(&[7]), words(&[8]), words(&[9])]);
        assert_eq!(of_kind.runs, [(2, 1), (3, 2), (4, 0), (1, 2), (2, 0), (3, 3)]);
        let mut out = Vec::new();
        groups.write(&mut out).unwrap();
        let sgpd: mp4_atom::Sgpd = mp4_atom::Decode::decode(&mut out.as_slice()).unwrap();
        assert_eq!(sgpd.entries.len(), 3, "{sgpd:?}");
    }

    #[test]
    fn samples_whose_key_nobody_says_are_refused_and_others_go_without() {
        let far = moof(b"seig", &[7], &[(5, 1)]);
        assert_eq!(read_groups(&far, 1).unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(read_groups(&moof(b"roll", &[7], &[(5, 1)]), 1).unwrap(), []);
        assert_eq!(read_groups(&far, 2).unwrap(), [], "another track");
    }
}
