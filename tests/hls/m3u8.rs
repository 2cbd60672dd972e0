//! A reader of HLS playlists that takes nothing that draft-pantos-hls-rfc8216bis does not allow, of what npvr writes.

use npvr::time::Time;

/// A media playlist.
#[derive(Debug, Default)]
pub(crate) struct Media {
    pub(crate) target_s: u64,
    /// `VOD` or `EVENT`.
    pub(crate) kind: String,
    pub(crate) is_ended: bool,
    pub(crate) is_frames: bool,
    pub(crate) is_independent: bool,
    pub(crate) start_us: Option<u64>,
    pub(crate) segments: Vec<Segment>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) us: u64,
    pub(crate) uri: String,
    /// Offset and length.
    pub(crate) bytes: Option<(u64, u64)>,
    pub(crate) is_gap: bool,
    /// How many breaks are before it.
    pub(crate) breaks: u64,
    pub(crate) map: Option<String>,
    /// By the clock, in µs since 1970, as the last time that was said gives it.
    pub(crate) at_us: i64,
}

/// A master playlist.
#[derive(Debug, Default)]
pub(crate) struct Master {
    pub(crate) renditions: Vec<Attributes>,
    /// With the address as `URI`.
    pub(crate) variants: Vec<Attributes>,
    pub(crate) frames: Vec<Attributes>,
}

/// An attribute list (§4.2), quotes taken off.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn read(text: &str) -> Attributes {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, value) = rest.split_once('=').unwrap_or_else(|| panic!("no value in {rest:?}"));
            assert!(
                name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-'),
                "{name:?}"
            );
            assert!(found.iter().all(|(known, _)| known != name), "{name} twice in {text:?}");
            let (value, behind) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap(),
                None => value.split_at(value.find(',').unwrap_or(value.len())),
            };
            found.push((name.to_owned(), value.to_owned()));
            rest = match behind.strip_prefix(',') {
                Some(more) => more,
                None => {
                    assert_eq!(behind, "", "{text:?}");
                    behind
                }
            };
        }
        Attributes(found)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn need(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.need(name).parse().unwrap()
    }
}

/// Seconds with up to six digits behind the point, in µs.
fn us(text: &str) -> u64 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    assert!(rest.len() <= 6, "{text}");
    whole.parse::<u64>().unwrap() * 1_000_000 + format!("{rest:0<6}").parse::<u64>().unwrap()
}

/// What has been said since the last segment.
#[derive(Default)]
struct Pending {
    us: Option<u64>,
    bytes: Option<(u64, u64)>,
    is_gap: bool,
}

impl Media {
    /// Reads a media playlist. Panics where it breaks a rule.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Media {
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:7\n"), "{text:.100}");
        assert!(text.ends_with('\n') && !text.contains('\r'));
        let mut media = Media::default();
        let mut pending = Pending::default();
        let (mut breaks, mut map, mut clock) = (0, None, None);
        for line in text.lines().skip(2) {
            assert!(!media.is_ended, "{line:?} is behind the end");
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-TARGETDURATION" => media.target_s = value.parse().unwrap(),
                "#EXT-X-PLAYLIST-TYPE" => value.clone_into(&mut media.kind),
                "#EXT-X-MEDIA-SEQUENCE" => assert_eq!(value, "0"),
                "#EXT-X-I-FRAMES-ONLY" => media.is_frames = true,
                "#EXT-X-INDEPENDENT-SEGMENTS" => media.is_independent = true,
                "#EXT-X-START" => {
                    let start = Attributes::read(value);
                    assert_eq!(start.need("PRECISE"), "YES");
                    media.start_us = Some(us(start.need("TIME-OFFSET")));
                }
                "#EXT-X-MAP" => map = Some(Attributes::read(value).need("URI").to_owned()),
                "#EXT-X-DISCONTINUITY" => {
                    breaks += 1;
                    clock = None;
                }
                "#EXT-X-PROGRAM-DATE-TIME" => clock = Some(value.parse::<Time>().unwrap().ns() / 1_000),
                "#EXTINF" => pending.us = Some(us(value.strip_suffix(',').unwrap())),
                "#EXT-X-BYTERANGE" => {
                    let (length, offset) = value.split_once('@').unwrap();
                    pending.bytes = Some((offset.parse().unwrap(), length.parse().unwrap()));
                }
                "#EXT-X-GAP" => pending.is_gap = true,
                "#EXT-X-ENDLIST" => media.is_ended = true,
                _ => {
                    assert!(!line.starts_with('#') && !line.is_empty(), "{line:?} is not known");
                    let Pending { us, bytes, is_gap } = std::mem::take(&mut pending);
                    let (us, at_us) =
                        (us.unwrap(), clock.expect("the time by the clock is said behind every break"));
                    assert!(is_gap || (map.is_some() && bytes.is_some()), "{line}");
                    let (uri, map) = (line.to_owned(), map.clone());
                    media.segments.push(Segment { us, uri, bytes, is_gap, breaks, map, at_us });
                    clock = Some(at_us + i64::try_from(us).unwrap());
                }
            }
        }
        assert!(pending.us.is_none() && pending.bytes.is_none() && !pending.is_gap, "it ends in a segment");
        media.check();
        media
    }

    #[track_caller]
    fn check(&self) {
        assert!(matches!(self.kind.as_str(), "VOD" | "EVENT"), "{:?}", self.kind);
        assert!(self.is_ended || self.kind == "EVENT", "a VOD playlist is whole");
        for segment in &self.segments {
            let rounded = (segment.us + 500_000) / 1_000_000;
            assert!(segment.us > 0 && rounded <= self.target_s, "{segment:?} of at most {} s", self.target_s);
        }
        if let Some(start) = self.start_us {
            assert!(start < self.us(), "it starts at {start} of {}", self.us());
        }
    }

    /// How long it is, in µs.
    pub(crate) fn us(&self) -> u64 {
        self.segments.iter().map(|segment| segment.us).sum()
    }
}

impl Master {
    /// Reads a master playlist. Panics where it breaks a rule.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Master {
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:7\n"), "{text:.100}");
        let mut master = Master::default();
        let mut lines = text.lines().skip(2);
        while let Some(line) = lines.next() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-INDEPENDENT-SEGMENTS" => {}
                "#EXT-X-MEDIA" => master.renditions.push(Attributes::read(value)),
                "#EXT-X-I-FRAME-STREAM-INF" => master.frames.push(Attributes::read(value)),
                "#EXT-X-STREAM-INF" => {
                    let mut variant = Attributes::read(value);
                    let uri = lines.next().filter(|uri| !uri.starts_with('#')).unwrap();
                    variant.0.push(("URI".to_owned(), uri.to_owned()));
                    master.variants.push(variant);
                }
                _ => panic!("{line:?} is not known"),
            }
        }
        master.check();
        master
    }

    #[track_caller]
    fn check(&self) {
        assert!(!self.variants.is_empty());
        for stream in self.variants.iter().chain(&self.frames) {
            assert!(stream.number("BANDWIDTH") >= stream.number("AVERAGE-BANDWIDTH"), "{stream:?}");
            stream.need("URI");
        }
        for (kind, attribute) in [("AUDIO", "AUDIO"), ("SUBTITLES", "SUBTITLES")] {
            for group in self.variants.iter().filter_map(|variant| variant.get(attribute)) {
                let of = |r: &&Attributes| r.need("TYPE") == kind && r.need("GROUP-ID") == group;
                let members: Vec<&Attributes> = self.renditions.iter().filter(of).collect();
                let mut names: Vec<&str> = members.iter().map(|member| member.need("NAME")).collect();
                names.sort_unstable();
                names.dedup();
                assert!(!members.is_empty() && names.len() == members.len(), "{group}: {members:?}");
                let defaults = members.iter().filter(|member| member.get("DEFAULT") == Some("YES"));
                assert!(defaults.count() <= 1);
                // §4.4.6.1: what is chosen by itself has to be told apart.
                let automatic = members.iter().filter(|member| member.get("AUTOSELECT") == Some("YES"));
                let mut languages: Vec<_> = automatic.map(|member| member.get("LANGUAGE")).collect();
                let count = languages.len();
                languages.sort_unstable();
                languages.dedup();
                assert_eq!(languages.len(), count, "{members:?}");
            }
        }
    }
}
