//! Which track of a file that another program made is which of the channel's. Pure.
//!
//! The file says of a track what it carries, in which language, and how it is coded, but not which rendition it is. The rule:
//! tracks of one medium and language belong together; where the file does not know the language of a track, or the source
//! does not, any may be meant. Among several, the order of bit rates decides (announced by the source, measured in the file),
//! and where the file has more than are wanted, the nearest bit rate. Renditions of one announced bit rate are taken in the
//! order of the file.

use crate::capture::Contents;
use crate::time::Timescale;
use crate::track::{Medium, Track, is_same_language};

/// A track of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InFile {
    /// Its number there.
    pub(crate) id: u32,
    /// What its samples count in.
    pub(crate) timescale: Timescale,
    /// What it carries; `None` for metadata and anything else.
    pub(crate) medium: Option<Medium>,
    /// As the file has it.
    pub(crate) language: Option<String>,
    /// As its samples have it; 0 without any.
    pub(crate) bits_per_s: u64,
}

/// The tracks of a file, in its order.
pub(crate) fn tracks_of(contents: &Contents) -> Vec<InFile> {
    let of_track = |(id, inits): &(u32, Vec<_>)| {
        let init: &crate::media::Init = inits.first()?;
        let fragments = contents.index.tracks.iter().filter(|t| t.track_id == *id).flat_map(|t| &t.fragments);
        let ticks: i64 = fragments.map(|f| i64::from(f.duration_ticks)).sum();
        let ns = u128::try_from(init.timescale().ns(ticks)).unwrap_or(0);
        let bits = u128::from(contents.media_bytes.get(id).copied().unwrap_or(0)) * 8;
        let bits_per_s = (bits * 1_000_000_000).checked_div(ns).unwrap_or(0);
        Some(InFile {
            id: *id,
            timescale: init.timescale(),
            medium: init.medium(),
            language: init.language().map(str::to_owned),
            bits_per_s: u64::try_from(bits_per_s).unwrap_or(u64::MAX),
        })
    };
    contents.header.iter().filter_map(of_track).collect()
}

/// For each track the position of the file's that is meant, if there is one. A track is followed by whether the file must have
/// it: those that it need not have take what the others leave.
pub(crate) fn pair(tracks: &[(&Track, bool)], found: &[InFile]) -> Vec<Option<usize>> {
    let mut pairs = Pairs { tracks, found, taken: vec![None; tracks.len()] };
    for must in [true, false] {
        for medium in [Medium::Video, Medium::Audio, Medium::Text] {
            let wanted = |n: usize| tracks[n].1 == must && tracks[n].0.medium == medium;
            let fits = |n: usize| found[n].medium == Some(medium);
            let spoken = |n: usize| tracks[n].0.language.as_deref();
            let heard = |n: usize| found[n].language.as_deref();
            for language in tracks.iter().filter_map(|(t, _)| t.language.as_deref()) {
                let same = |other: Option<&str>| other.is_some_and(|o| is_same_language(o, language));
                pairs.join(|n| wanted(n) && same(spoken(n)), |n| fits(n) && same(heard(n)));
            }
            pairs.join(|n| wanted(n) && spoken(n).is_some(), |n| fits(n) && heard(n).is_none());
            pairs.join(|n| wanted(n) && spoken(n).is_none(), fits);
        }
    }
    pairs.taken
}

struct Pairs<'a> {
    tracks: &'a [(&'a Track, bool)],
    found: &'a [InFile],
    taken: Vec<Option<usize>>,
}

impl Pairs<'_> {
    /// Pairs those that are still single, of two groups that belong together.
    fn join(&mut self, wanted: impl Fn(usize) -> bool, fits: impl Fn(usize) -> bool) {
        let announced = |n: usize| self.tracks[n].0.bandwidth.unwrap_or(0);
        let measured = |n: usize| self.found[n].bits_per_s;
        let mut open: Vec<usize> =
            (0..self.tracks.len()).filter(|n| self.taken[*n].is_none() && wanted(*n)).collect();
        let mut free: Vec<usize> =
            (0..self.found.len()).filter(|n| !self.taken.contains(&Some(*n)) && fits(*n)).collect();
        // Both sorts are stable.
        open.sort_by_key(|n| std::cmp::Reverse(announced(*n)));
        free.sort_by_key(|n| std::cmp::Reverse(measured(*n)));
        let cost = |o: usize, f: usize| distance(announced(open[o]), measured(free[f]));
        let mut joined: Vec<(usize, usize)> = if open.len() <= free.len() {
            align(open.len(), free.len(), cost).into_iter().enumerate().collect()
        } else {
            align(free.len(), open.len(), |f, o| cost(o, f))
                .into_iter()
                .enumerate()
                .map(|(f, o)| (o, f))
                .collect()
        };
        for equal in joined.chunk_by_mut(|a, b| announced(open[a.0]) == announced(open[b.0])) {
            let mut in_file: Vec<usize> = equal.iter().map(|(_, f)| *f).collect();
            in_file.sort_by_key(|f| free[*f]);
            equal.iter_mut().zip(in_file).for_each(|(pair, f)| pair.1 = f);
        }
        for (o, f) in joined {
            self.taken[open[o]] = Some(free[f]);
        }
    }
}

/// How far two bit rates are apart: the greater in thousandths of the smaller. What is not known is near to all.
fn distance(one: u64, other: u64) -> u64 {
    match (one.min(other), one.max(other)) {
        (0, _) => 1_000,
        (less, more) => u64::try_from(u128::from(more) * 1_000 / u128::from(less)).unwrap_or(u64::MAX),
    }
}

/// Places `few` things among `many`, in order, at the least cost together; for each its place. `few` is not the greater.
fn align(few: usize, many: usize, cost: impl Fn(usize, usize) -> u64) -> Vec<usize> {
    // The least cost of placing the first `n` among the first `m`.
    let mut least = vec![vec![u64::MAX; many + 1]; few + 1];
    least[0].fill(0);
    for n in 1..=few {
        for m in n..=many {
            let here = least[n - 1][m - 1].saturating_add(cost(n - 1, m - 1));
            least[n][m] = here.min(least[n][m - 1]);
        }
    }
    let mut places = vec![0; few];
    let mut m = many;
    for n in (1..=few).rev() {
        while m > n && least[n][m] == least[n][m - 1] {
            m -= 1;
        }
        m -= 1;
        places[n - 1] = m;
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn track(medium: Medium, language: &str, bandwidth: u64) -> Track {
        let language = (!language.is_empty()).then(|| language.to_owned());
        let (id, bandwidth) = (format!("{medium}={bandwidth}"), Some(bandwidth).filter(|b| *b > 0));
        Track { medium, id, language, bandwidth, codecs: None, size: None }
    }

    fn in_file(medium: Medium, language: &str, bits_per_s: u64) -> InFile {
        let language = (!language.is_empty()).then(|| language.to_owned());
        InFile { id: 7, timescale: Timescale::new(600).unwrap(), medium: Some(medium), language, bits_per_s }
    }

    fn pairs(tracks: &[(Medium, &str, u64)], found: &[(Medium, &str, u64)]) -> Vec<Option<usize>> {
        let tracks: Vec<Track> = tracks.iter().map(|(m, l, b)| track(*m, l, *b)).collect();
        let found: Vec<InFile> = found.iter().map(|(m, l, b)| in_file(*m, l, *b)).collect();
        pair(&tracks.iter().map(|t| (t, true)).collect::<Vec<_>>(), &found)
    }

    use Medium::{Audio, Text, Video};

    #[test]
    fn renditions_are_told_apart_by_bit_rate_and_sound_by_language() {
        let tracks =
            [(Video, "", 110_000), (Video, "", 45_000), (Audio, "en", 32_000), (Audio, "nl", 32_000)];
        let found =
            [(Audio, "nld", 30_709), (Audio, "eng", 31_077), (Video, "", 48_433), (Video, "", 108_571)];
        assert_eq!(pairs(&tracks, &found), [Some(3), Some(2), Some(1), Some(0)]);
    }

    #[test]
    fn where_the_file_has_more_than_is_wanted_the_nearest_bit_rate_is_meant() {
        let found = [(Video, "", 5_100_000), (Video, "", 2_300_000), (Video, "", 790_000)];
        assert_eq!(pairs(&[(Video, "", 800_000)], &found), [Some(2)]);
        assert_eq!(pairs(&[(Video, "", 5_000_000), (Video, "", 800_000)], &found), [Some(0), Some(2)]);
    }

    #[test]
    fn a_language_that_the_file_does_not_know_may_be_any_and_another_is_none() {
        let tracks = [(Audio, "eng", 64_000), (Audio, "nld", 64_000)];
        // Of one bit rate: in the order of the file, whatever was measured.
        assert_eq!(pairs(&tracks, &[(Audio, "", 63_000), (Audio, "", 65_000)]), [Some(0), Some(1)]);
        assert_eq!(pairs(&tracks, &[(Audio, "", 63_000), (Audio, "eng", 65_000)]), [Some(1), Some(0)]);
        assert_eq!(pairs(&tracks, &[(Audio, "fra", 63_000), (Audio, "eng", 65_000)]), [Some(1), None]);
        assert_eq!(pairs(&[(Audio, "", 64_000)], &[(Audio, "fra", 63_000)]), [Some(0)]);
    }

    #[test]
    fn a_track_that_is_not_there_is_none() {
        let tracks = [(Video, "", 110_000), (Video, "", 45_000)];
        assert_eq!(pairs(&tracks, &[(Video, "", 108_000)]), [Some(0), None]);
        assert_eq!(pairs(&tracks, &[(Video, "", 45_500)]), [None, Some(0)]);
        assert_eq!(pairs(&[(Text, "", 0)], &[(Video, "", 1)]), [None]);
    }

    #[test]
    fn what_the_file_need_not_have_takes_what_the_others_leave() {
        let (high, low) = (track(Video, "", 110_000), track(Video, "", 45_000));
        let found = [in_file(Video, "", 60_000)];
        assert_eq!(pair(&[(&high, true), (&low, false)], &found), [Some(0), None]);
        assert_eq!(pair(&[(&high, false), (&low, true)], &found), [None, Some(0)]);
    }

    fn any_track() -> impl Strategy<Value = (Medium, &'static str, u64)> {
        let medium = prop::sample::select(vec![Video, Audio, Text]);
        (medium, prop::sample::select(vec!["", "en", "eng", "nld"]), 0_u64..9)
    }

    proptest! {
        #[test]
        fn no_two_tracks_are_one_and_each_is_of_its_medium(
            tracks in prop::collection::vec(any_track(), 0..8),
            found in prop::collection::vec(any_track(), 0..8),
        ) {
            let pairs = pairs(&tracks, &found);
            let mut taken: Vec<usize> = pairs.iter().flatten().copied().collect();
            taken.sort_unstable();
            taken.dedup();
            prop_assert_eq!(taken.len(), pairs.iter().flatten().count());
            for (track, pair) in tracks.iter().zip(&pairs) {
                prop_assert!(pair.is_none_or(|p| found[p].0 == track.0));
            }
            // Without languages only the numbers count.
            let no_language = |all: &[(Medium, &'static str, u64)]| all.iter().all(|t| t.1.is_empty());
            if no_language(&tracks) && no_language(&found) {
                let of = |all: &[(Medium, &str, u64)], m| all.iter().filter(|t| t.0 == m).count();
                let expected: usize =
                    [Video, Audio, Text].iter().map(|m| of(&tracks, *m).min(of(&found, *m))).sum();
                prop_assert_eq!(taken.len(), expected);
            }
        }
    }
}
