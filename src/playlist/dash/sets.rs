//! Adaptation sets: tracks between which a player may switch.

use super::period::Period;
use super::{Show, Shown};
use crate::media::Traits;
use crate::track::{Medium, Track};

/// Tracks of one medium, one codec, one language, and one way to be encrypted.
pub(super) struct Set<'a> {
    /// The same in all periods.
    pub(super) id: usize,
    pub(super) medium: Medium,
    pub(super) language: Option<&'a str>,
    /// True for the first of its medium.
    pub(super) is_main: bool,
    pub(super) tracks: Vec<Member<'a>>,
}

/// A track of a set.
pub(super) struct Member<'a> {
    pub(super) shown: Shown<'a>,
    /// What is known of it where the clip first has it.
    pub(super) traits: Option<&'a Traits>,
    pub(super) bandwidth: u64,
}

/// The sets of a clip, those of the first track first.
pub(super) fn sets<'a>(show: &Show<'a>, periods: &[Period<'a>]) -> Vec<Set<'a>> {
    let mut all: Vec<Set<'a>> = Vec::new();
    for shown in show.tracks {
        let tracks = periods.iter().flat_map(|period| &period.tracks);
        let Some((first, _)) = tracks.filter(|track| track.id == shown.id).find_map(|track| track.init())
        else {
            continue;
        };
        let bandwidth = super::measure::bandwidth(show, shown.id);
        let member = Member { shown: *shown, traits: first.traits, bandwidth };
        match all.iter_mut().find(|set| set.tracks.iter().all(|other| is_alike(other, &member))) {
            Some(set) => set.tracks.push(member),
            None => all.push(Set {
                id: all.len() + 1,
                medium: shown.track.medium,
                language: language(shown.track),
                is_main: all.iter().all(|set| set.medium != shown.track.medium),
                tracks: vec![member],
            }),
        }
    }
    all
}

/// True if a player may switch from one to the other.
fn is_alike(a: &Member<'_>, b: &Member<'_>) -> bool {
    let of = |member: &Member<'_>| {
        let codecs = codecs(member.shown.track, member.traits)
            .map(|codecs| codecs.split('.').next().unwrap_or(codecs).to_owned());
        let scheme = member.traits.and_then(|traits| traits.protection).map(|p| (p.scheme, p.key_id));
        (member.shown.track.medium, codecs, scheme)
    };
    of(a) == of(b) && language(a.shown.track) == language(b.shown.track)
}

/// The codec: by the media itself where that says so, else as the source says.
pub(super) fn codecs<'a>(track: &'a Track, traits: Option<&'a Traits>) -> Option<&'a str> {
    traits.and_then(|traits| traits.codecs.as_deref()).or(track.codecs.as_deref())
}

/// `und` says nothing.
fn language(track: &Track) -> Option<&str> {
    track.language.as_deref().filter(|language| *language != "und" && !language.is_empty())
}
