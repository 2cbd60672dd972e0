//! One representation in one period: what kind of track it is, and whether npvr can follow it.
//!
//! Pure. What is left out is left out with a sentence, which ends up in the timeline's notes.

use super::model::{AdaptationSet, Common, Representation};
use crate::track::{Medium, Track};

/// The track that a representation is, or why it is none of ours.
pub(super) fn classify(set: &AdaptationSet, representation: &Representation) -> Result<Track, String> {
    let common = representation.common.inherit(&set.common);
    let id = &representation.id;
    if set.trick_mode {
        return Err(format!("{id} is for trick modes only, and is left out"));
    }
    let medium = medium(set, &common).map_err(|why| format!("{id} {why}, and is left out"))?;
    Ok(Track {
        medium,
        id: id.clone(),
        language: set.language.clone(),
        bandwidth: representation.bandwidth,
        codecs: common.codecs,
        size: common.width.zip(common.height),
    })
}

fn medium(set: &AdaptationSet, common: &Common) -> Result<Medium, String> {
    let mime = common.mime.as_deref().unwrap_or_default();
    let (kind, container) = mime.split_once('/').unwrap_or((mime, ""));
    let content = set.content_type.as_deref().unwrap_or(kind);
    if kind == "image" || content == "image" {
        return Err("is images".to_owned());
    }
    if !matches!(container, "mp4" | "iso.segment" | "") {
        return Err(format!("is {mime}, which is not fragmented MP4"));
    }
    let codec = family(common.codecs.as_deref());
    match content {
        "video" => Ok(Medium::Video),
        "audio" => Ok(Medium::Audio),
        "text" | "application" if matches!(codec, "stpp" | "wvtt") => Ok(Medium::Text),
        _ => Err(format!("is neither video, audio nor subtitles ({mime} {codec})")),
    }
}

/// `avc1.4d401f` → `avc1`: what two periods of one track have in common.
pub(super) fn family(codecs: Option<&str>) -> &str {
    codecs.unwrap_or_default().split(['.', ',']).next().unwrap_or_default().trim()
}

/// Finds, among tracks that are known, the one that goes on as `track`: first the same id in the same medium and
/// language; else the only one of the same medium, language and codec family with the same size and bit rate; else
/// with the same size. `taken` are those which another representation of the period goes on from.
pub(super) fn continues(known: &[&Track], taken: &[bool], track: &Track, rivals: &[&Track]) -> Option<usize> {
    let alike = |k: &Track, t: &Track| {
        k.medium == t.medium
            && k.language == t.language
            && family(k.codecs.as_deref()) == family(t.codecs.as_deref())
            && k.size == t.size
    };
    let exact = |k: &Track, t: &Track| alike(k, t) && k.bandwidth == t.bandwidth;
    let only = |same: &dyn Fn(&Track, &Track) -> bool| {
        let mut found = (0..known.len()).filter(|i| !taken[*i] && same(known[*i], track));
        let first = found.next()?;
        let alone = found.next().is_none() && rivals.iter().filter(|r| same(known[first], r)).count() == 1;
        alone.then_some(first)
    };
    only(&exact).or_else(|| only(&alike))
}

/// True if these are the same track by name.
pub(super) fn same_name(a: &Track, b: &Track) -> bool {
    a.medium == b.medium && a.language == b.language && a.id == b.id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(content: Option<&str>, mime: &str, codecs: &str) -> Result<Medium, String> {
        let set = AdaptationSet { content_type: content.map(str::to_owned), ..AdaptationSet::default() };
        let common = Common {
            mime: Some(mime.to_owned()),
            codecs: Some(codecs.to_owned()).filter(|c| !c.is_empty()),
            ..Common::default()
        };
        let representation = Representation { id: "x".into(), common, ..Representation::default() };
        classify(&set, &representation).map(|t| t.medium)
    }

    #[test]
    fn the_medium_is_found_and_what_is_none_says_why() {
        assert_eq!(offer(None, "video/mp4", "avc1.4d401f"), Ok(Medium::Video));
        assert_eq!(offer(Some("audio"), "", ""), Ok(Medium::Audio));
        assert_eq!(offer(None, "application/mp4", "stpp.ttml.im1t"), Ok(Medium::Text));
        assert_eq!(offer(Some("text"), "application/mp4", "wvtt"), Ok(Medium::Text));
        for (content, mime, codecs, why) in [
            (None, "image/jpeg", "", "images"),
            (Some("text"), "text/vtt", "", "text/vtt"),
            (None, "application/mp4", "meta", "neither"),
            (None, "video/mp2t", "avc1", "mp2t"),
            (None, "video/webm", "vp9", "webm"),
            (None, "", "", "neither"),
        ] {
            let said = offer(content, mime, codecs).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    fn video(id: &str, bandwidth: u64, height: u32) -> Track {
        let (language, codecs) = (None, Some("avc1.4d401f".to_owned()));
        let size = Some((height * 16 / 9, height));
        Track { medium: Medium::Video, id: id.into(), language, bandwidth: Some(bandwidth), codecs, size }
    }

    #[test]
    fn a_track_goes_on_under_another_id_only_where_there_is_one_candidate() {
        let (a, b) = (video("a", 5, 720), video("b", 3, 720));
        let (hd, sd) = (video("1", 5, 720), video("2", 1, 360));
        let find = |known: &[&Track], track: &Track, rivals: &[&Track]| {
            continues(known, &vec![false; known.len()], track, rivals)
        };
        assert_eq!(find(&[&a, &b], &hd, &[&hd, &sd]), Some(0), "same size and bit rate");
        assert_eq!(find(&[&b], &hd, &[&hd, &sd]), Some(0), "same size");
        assert_eq!(find(&[&b, &a], &sd, &[&hd, &sd]), None);
        let twin = video("3", 9, 720);
        assert_eq!(find(&[&b], &hd, &[&hd, &twin]), None, "two could go on from it");
        assert_eq!(continues(&[&a], &[true], &hd, &[&hd]), None, "taken");
    }
}
