//! Which tracks stand beside each other to be chosen from: groups of renditions (§4.4.6.1.1).
//!
//! A group of sound has one codec, as a player decides by that which groups it can play, and one quality, as it changes from one to
//! another with the pictures. Each has all languages that there are in its codec: where one has fewer qualities, its lowest
//! stands for those that it lacks, so that no change of quality changes the language.

use super::facts::Facts;

/// A rendition, and what it is called in its group.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) facts: &'a Facts,
    /// Not twice in a group.
    pub(super) name: String,
    /// True if no other before it has its language.
    pub(super) is_first: bool,
}

/// The groups of some tracks of one medium, best first. `word` is what a track without a language is called.
pub(super) fn groups<'a>(tracks: &[&'a Facts], word: &str) -> Vec<Vec<Member<'a>>> {
    let codecs = distinct(tracks.iter().map(|facts| family(facts)));
    codecs.into_iter().flat_map(|codec| of_codec(tracks, &codec, word)).collect()
}

fn of_codec<'a>(tracks: &[&'a Facts], codec: &str, word: &str) -> Vec<Vec<Member<'a>>> {
    let tracks: Vec<&Facts> = tracks.iter().copied().filter(|facts| family(facts) == codec).collect();
    let languages = distinct(tracks.iter().map(|facts| facts.language.clone()));
    let of =
        |language: &Option<String>| qualities(tracks.iter().copied().filter(|f| f.language == *language));
    let languages: Vec<Vec<Vec<&Facts>>> = languages.iter().map(of).collect();
    let most = languages.iter().map(Vec::len).max().unwrap_or(0);
    let group =
        |quality: usize| languages.iter().filter_map(move |of| of.get(quality).or(of.last())).flatten();
    (0..most).map(|quality| named(group(quality).copied(), word)).collect()
}

/// Tracks of one language, best first; those of one rate are no qualities of one thing, but different things.
fn qualities<'a>(tracks: impl Iterator<Item = &'a Facts>) -> Vec<Vec<&'a Facts>> {
    let mut all: Vec<&Facts> = tracks.collect();
    all.sort_by_key(|facts| std::cmp::Reverse(facts.said_rate));
    all.chunk_by(|one, other| one.said_rate == other.said_rate).map(<[_]>::to_vec).collect()
}

fn named<'a>(tracks: impl Iterator<Item = &'a Facts>, word: &str) -> Vec<Member<'a>> {
    let mut members: Vec<Member<'a>> = Vec::new();
    for facts in tracks {
        let base = facts.language.as_deref().unwrap_or(word);
        let alike = members.iter().filter(|member| member.facts.language == facts.language).count();
        let name = match alike {
            0 => base.to_owned(),
            _ => format!("{base} {}", alike + 1),
        };
        members.push(Member { facts, name, is_first: alike == 0 });
    }
    members
}

/// What a player has to be able to decode: `mp4a.40`, whatever the profile.
fn family(facts: &Facts) -> String {
    let codec = facts.codecs.first().map_or("", String::as_str);
    codec.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playlist::hls::rate::Rate;
    use crate::track::Medium;

    fn facts(id: u32, codec: &str, language: Option<&str>, said_rate: u64) -> Facts {
        Facts {
            id,
            medium: Medium::Audio,
            language: language.map(str::to_owned),
            said_rate,
            pictures: None,
            codecs: vec![codec.to_owned()],
            size: None,
            channels: 2,
            rate: Rate::default(),
        }
    }

    fn shown(tracks: &[Facts]) -> Vec<Vec<(u32, String)>> {
        let tracks: Vec<&Facts> = tracks.iter().collect();
        let of = |group: Vec<Member<'_>>| group.into_iter().map(|m| (m.facts.id, m.name)).collect();
        groups(&tracks, "sound").into_iter().map(of).collect()
    }

    #[test]
    fn every_codec_and_every_quality_is_a_group_with_all_its_languages() {
        let tracks = [
            facts(1, "mp4a.40.2", Some("en"), 128),
            facts(2, "mp4a.40.5", Some("en"), 64),
            facts(3, "mp4a.40.2", Some("nl"), 96),
            facts(4, "ec-3", Some("en"), 384),
        ];
        let name = |id: u32, name: &str| (id, name.to_owned());
        assert_eq!(
            shown(&tracks),
            [vec![name(1, "en"), name(3, "nl")], vec![name(2, "en"), name(3, "nl")], vec![name(4, "en")]]
        );
    }

    #[test]
    fn tracks_that_nothing_tells_apart_have_names_of_their_own() {
        let tracks = [facts(1, "mp4a.40.2", None, 64), facts(2, "mp4a.40.2", None, 64)];
        assert_eq!(shown(&tracks), [[(1, "sound".to_owned()), (2, "sound 2".to_owned())]]);
        assert_eq!(shown(&[]), Vec::<Vec<(u32, String)>>::new());
    }
}
