//! The master playlist (§4.4.6): what can be played together.
//!
//! Every rendition of pictures stands with every group of sound. Where there are no pictures, sound is what is played, and the
//! other languages stand beside it.

use std::fmt::Write as _;

use super::facts::{Facts, Listed};
use super::groups::{Member, groups};
use super::rate::Rate;
use super::{Child, Hls, VERSION};
use crate::track::Medium;

/// What can be played with pictures: a group, by its name, with what it costs at most and what it takes to decode it.
#[derive(Debug, Clone, Default)]
struct Beside {
    name: String,
    rate: Rate,
    codecs: Vec<String>,
}

/// What a variant or a list of key frames is made of.
struct Stream<'a> {
    facts: &'a Facts,
    sound: Option<&'a Beside>,
    text: Option<&'a Beside>,
}

impl Hls<'_> {
    /// The master playlist over those of `tracks` that have media in the clip; `None` if there are neither pictures nor sound.
    /// `link` gives the address of a playlist.
    pub fn master(&self, tracks: &[Listed<'_>], link: &dyn Fn(Child) -> String) -> Option<String> {
        let facts = self.facts(tracks);
        let of = |medium| facts.iter().filter(|facts| facts.medium == medium).collect::<Vec<&Facts>>();
        let (pictures, sounds, texts) = (of(Medium::Video), of(Medium::Audio), of(Medium::Text));
        let mut out = VERSION.to_owned();
        if facts.iter().all(|facts| self.is_independent(facts.id)) {
            out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        let is_alone = pictures.is_empty() && sounds.iter().all(|sound| sound.language == sounds[0].language);
        let sound: Vec<Vec<Member<'_>>> = if is_alone { Vec::new() } else { groups(&sounds, "sound") };
        let beside = |kind: &'static str| {
            move |(n, members): (usize, &Vec<Member<'_>>)| Beside::of(format!("{kind}{}", n + 1), members)
        };
        let sound_groups: Vec<Beside> = sound.iter().enumerate().map(beside("sound")).collect();
        let text = groups_of_text(&texts);
        let text_group = (!text.is_empty()).then(|| Beside::of("text".to_owned(), &text));
        for (group, members) in sound_groups.iter().zip(&sound) {
            members
                .iter()
                .enumerate()
                .for_each(|(n, member)| rendition(&mut out, "AUDIO", group, member, n == 0, link));
        }
        if let Some(group) = &text_group {
            text.iter().for_each(|member| rendition(&mut out, "SUBTITLES", group, member, false, link));
        }
        let mut streams = Vec::new();
        for facts in &pictures {
            let with = |sound| Stream { facts, sound, text: text_group.as_ref() };
            match sound_groups.as_slice() {
                [] => streams.push(with(None)),
                all => streams.extend(all.iter().map(|group| with(Some(group)))),
            }
        }
        if pictures.is_empty() {
            let text = text_group.as_ref();
            match sound_groups.as_slice() {
                [] => streams.extend(sounds.iter().map(|facts| Stream { facts, sound: None, text })),
                all => streams.extend(all.iter().zip(&sound).filter_map(|(group, members)| {
                    Some(Stream { facts: members.first()?.facts, sound: Some(group), text })
                })),
            }
        }
        for stream in &streams {
            stream.variant(&mut out, link);
        }
        pictures.iter().for_each(|facts| self.scrubbing(&mut out, facts, link));
        (!streams.is_empty()).then_some(out)
    }

    /// The list of a track's key frames. They are fetched as fragments are, so they cost the same.
    fn scrubbing(&self, out: &mut String, facts: &Facts, link: &dyn Fn(Child) -> String) {
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}",
            facts.rate.peak, facts.rate.average
        );
        codecs(out, &facts.codecs);
        resolution(out, facts);
        let _ = writeln!(out, ",URI=\"{}\"", link(Child::KeyFrames(facts.id)));
    }
}

/// Subtitles are one group: they cost next to nothing, so that one quality of each will do.
fn groups_of_text<'a>(texts: &[&'a Facts]) -> Vec<Member<'a>> {
    groups(texts, "text").into_iter().next().unwrap_or_default()
}

impl Beside {
    fn of(name: String, members: &[Member<'_>]) -> Beside {
        let mut group = Beside { name, ..Beside::default() };
        for facts in members.iter().map(|member| member.facts) {
            group.rate.peak = group.rate.peak.max(facts.rate.peak);
            group.rate.average = group.rate.average.max(facts.rate.average);
            group.codecs.extend_from_slice(&facts.codecs);
        }
        group
    }
}

fn rendition(
    out: &mut String,
    kind: &str,
    group: &Beside,
    member: &Member<'_>,
    is_default: bool,
    link: &dyn Fn(Child) -> String,
) {
    let _ = write!(out, "#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{}\",NAME=\"{}\"", group.name, member.name);
    if let Some(language) = &member.facts.language {
        let _ = write!(out, ",LANGUAGE=\"{language}\"");
    }
    out.push_str(if is_default { ",DEFAULT=YES" } else { "" });
    out.push_str(if member.is_first { ",AUTOSELECT=YES" } else { "" });
    if member.facts.channels > 0 {
        let _ = write!(out, ",CHANNELS=\"{}\"", member.facts.channels);
    }
    let _ = writeln!(out, ",URI=\"{}\"", link(Child::Media(member.facts.id)));
}

impl Stream<'_> {
    fn variant(&self, out: &mut String, link: &dyn Fn(Child) -> String) {
        let all = [self.sound, self.text];
        let beside = || all.iter().flatten();
        // Where sound is what is played, its group costs what the dearest of its members does.
        let own = match (self.facts.medium, self.sound) {
            (Medium::Audio, Some(_)) => Rate::default(),
            _ => self.facts.rate,
        };
        let peak = beside().fold(own.peak, |sum, group| sum.saturating_add(group.rate.peak));
        let average = beside().fold(own.average, |sum, group| sum.saturating_add(group.rate.average));
        let _ = write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}");
        let mut names = self.facts.codecs.clone();
        for codec in beside().flat_map(|group| &group.codecs) {
            if !names.contains(codec) {
                names.push(codec.clone());
            }
        }
        // A list that lacks one is worse than none.
        let is_known = !self.facts.codecs.is_empty() && beside().all(|group| !group.codecs.is_empty());
        codecs(out, if is_known { &names } else { &[] });
        resolution(out, self.facts);
        if let Some((pictures, seconds)) = self.facts.pictures {
            let thousandths = (pictures.saturating_mul(1_000) + seconds / 2) / seconds.max(1);
            let _ = write!(out, ",FRAME-RATE={}.{:03}", thousandths / 1_000, thousandths % 1_000);
        }
        for (kind, group) in [("AUDIO", self.sound), ("SUBTITLES", self.text)] {
            if let Some(group) = group {
                let _ = write!(out, ",{kind}=\"{}\"", group.name);
            }
        }
        let _ = writeln!(out, "\n{}", link(Child::Media(self.facts.id)));
    }
}

fn codecs(out: &mut String, codecs: &[String]) {
    if !codecs.is_empty() {
        let _ = write!(out, ",CODECS=\"{}\"", codecs.join(","));
    }
}

fn resolution(out: &mut String, facts: &Facts) {
    if let Some((width, height)) = facts.size {
        let _ = write!(out, ",RESOLUTION={width}x{height}");
    }
}
