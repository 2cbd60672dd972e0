//! What a master playlist says of a track: what the source said of it, what its chunks do, and what it costs.

use super::Hls;
use super::rate::Rate;
use crate::track::{Medium, Track, language_tag};

/// A track of the channel.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// Its id in the channel's ledger.
    pub id: u32,
    /// What the source says of it.
    pub track: &'a Track,
    /// How many samples it has in how many seconds, where that is known and even.
    pub rate: Option<(u64, u64)>,
}

/// What there is to say of a track that has media in the clip.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) id: u32,
    pub(super) medium: Medium,
    /// RFC 5646.
    pub(super) language: Option<String>,
    /// What the source says, in bits a second; or else what was measured.
    pub(super) said_rate: u64,
    /// How many pictures there are in how many seconds.
    pub(super) pictures: Option<(u64, u64)>,
    /// Each once, in the order in which they come.
    pub(super) codecs: Vec<String>,
    /// The largest pictures, in pixels.
    pub(super) size: Option<(u32, u32)>,
    /// 0 if it is not known.
    pub(super) channels: u16,
    pub(super) rate: Rate,
}

impl Hls<'_> {
    /// Of those of `tracks` that have media in the clip, in their order.
    pub(super) fn facts(&self, tracks: &[Listed<'_>]) -> Vec<Facts> {
        let there = self.reel.track_ids();
        tracks
            .iter()
            .filter(|listed| there.contains(&listed.id))
            .map(|listed| self.facts_of(*listed))
            .collect()
    }

    fn facts_of(&self, listed: Listed<'_>) -> Facts {
        let Listed { id, track, rate: pictures } = listed;
        let rate = self.rate(id);
        let mut facts = Facts {
            id,
            medium: track.medium,
            language: track.language.as_deref().and_then(language_tag),
            said_rate: track.bandwidth.unwrap_or(rate.average),
            pictures: pictures.filter(|_| track.medium == Medium::Video),
            codecs: Vec::new(),
            size: None,
            channels: 0,
            rate,
        };
        let runs = self.reel.runs.iter().filter_map(|run| run.track(id));
        for traits in runs.flat_map(|track| &track.spans).filter_map(|span| span.traits.as_ref()) {
            if let Some(codec) = traits.codecs.as_ref().filter(|codec| !facts.codecs.contains(codec)) {
                facts.codecs.push(codec.clone());
            }
            facts.size = facts.size.max(traits.size);
            facts.channels = facts.channels.max(traits.channels);
        }
        if facts.codecs.is_empty() {
            let said = track.codecs.as_deref().unwrap_or_default().split(',').map(str::trim);
            facts.codecs = said.filter(|codec| is_plain(codec)).map(str::to_owned).collect();
        }
        facts.size = facts.size.or(track.size);
        facts
    }
}

/// True for what may stand between quotes as it is. It comes from the source.
fn is_plain(codec: &str) -> bool {
    !codec.is_empty() && codec.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
}
