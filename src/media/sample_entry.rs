//! Sample entries (14496-12 §8.5.2): what a codec is called, how large its pictures are, how many channels its sound has, and
//! how it is encrypted.
//!
//! A track is archived whether npvr knows its codec or not. So nothing here fails: what a box does not say, or says in a way
//! that is not understood, is not known.

use std::fmt::Write as _;

use super::boxes::{BoxIter, Boxed, Fields};
use crate::error::Result;

/// Where the boxes of a visual sample entry (§12.1.3) and of one for sound (§12.2.3) begin, in bytes from its body.
const IN_VISUAL: usize = 78;
const IN_AUDIO: usize = 28;
/// Names of codecs are shorter than this, in bytes; a longer one is none.
pub(super) const MAX_CODECS: usize = 64;

/// What a sample entry says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleEntry {
    /// The codec, as RFC 6381 has it: `avc1.64001F`. Of an encrypted track that of the media inside.
    pub codecs: Option<String>,
    /// Width and height in pixels, of pictures.
    pub size: Option<(u32, u32)>,
    /// How many channels sound has; 0 if it is no sound, or does not say.
    pub channels: u16,
    /// Samples a second, of sound.
    pub rate_hz: Option<u32>,
    /// How it is encrypted; `None` if it is not.
    pub protection: Option<Protection>,
}

/// How a track is encrypted (23001-7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// `cenc`, `cbcs` and the like.
    pub scheme: [u8; 4],
    /// The key that is used where nothing else is said; zeros if there is none.
    pub key_id: [u8; 16],
}

impl SampleEntry {
    /// Reads a sample entry, a whole box.
    pub(super) fn read(bytes: &[u8]) -> SampleEntry {
        let Some(Ok(entry)) = BoxIter::new(bytes).next() else { return SampleEntry::default() };
        let mut found = SampleEntry::default();
        let kind = original(entry).unwrap_or(entry.kind.0);
        if is_visual(&kind) {
            found.size = size(entry).ok();
        }
        if is_sound(&kind) {
            (found.channels, found.rate_hz) = sound(entry).unwrap_or_default();
        }
        let inside = Inside { entry, is_sound: is_sound(&kind) };
        if let Some(channels) = inside.channels(&kind) {
            found.channels = channels;
        }
        found.protection = inside.protection();
        found.codecs = inside.codecs(&kind).filter(|c| is_plain(c));
        found
    }
}

/// True for what may stand in a playlist as it is.
pub(super) fn is_plain(codecs: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".-_+ ".contains(&b);
    !codecs.is_empty() && codecs.len() <= MAX_CODECS && codecs.bytes().all(fits)
}

fn is_visual(kind: &[u8; 4]) -> bool {
    matches!(
        kind,
        b"avc1"
            | b"avc3"
            | b"hvc1"
            | b"hev1"
            | b"dvh1"
            | b"dvhe"
            | b"av01"
            | b"vp08"
            | b"vp09"
            | b"vvc1"
            | b"encv"
    )
}

fn is_sound(kind: &[u8; 4]) -> bool {
    matches!(
        kind,
        b"mp4a" | b"ac-3" | b"ec-3" | b"ac-4" | b"Opus" | b"fLaC" | b"dtsc" | b"dtse" | b"mhm1" | b"enca"
    )
}

/// What an encrypted entry was before: `sinf/frma` (§8.12.2).
fn original(entry: Boxed<'_>) -> Option<[u8; 4]> {
    let is_sound = match &entry.kind.0 {
        b"encv" => false,
        b"enca" => true,
        _ => return None,
    };
    let sinf = Inside { entry, is_sound }.child(b"sinf")?;
    sinf.child(b"frma").ok()??.fields().array().ok()
}

fn size(entry: Boxed<'_>) -> Result<(u32, u32)> {
    let mut fields = entry.fields();
    fields.skip(24)?;
    let mut side = || fields.array().map(|side| u32::from(u16::from_be_bytes(side)));
    Ok((side()?, side()?))
}

/// Channels, and samples a second where they fit into 16 bits.
fn sound(entry: Boxed<'_>) -> Result<(u16, Option<u32>)> {
    let mut fields = entry.fields();
    fields.skip(16)?;
    let channels = u16::from_be_bytes(fields.array()?);
    fields.skip(6)?;
    let rate = fields.u32()? >> 16;
    Ok((channels, Some(rate).filter(|rate| *rate > 0)))
}

/// The boxes in a sample entry.
#[derive(Clone, Copy)]
struct Inside<'a> {
    entry: Boxed<'a>,
    is_sound: bool,
}

impl<'a> Inside<'a> {
    fn child(self, kind: &[u8; 4]) -> Option<Boxed<'a>> {
        let from = if self.is_sound { IN_AUDIO } else { IN_VISUAL };
        let mut boxes = BoxIter::new(self.entry.body().get(from..)?).map_while(Result::ok);
        boxes.find(|found| found.kind.0 == *kind)
    }

    /// `sinf/schm` (§8.12.5) and `sinf/schi/tenc` (23001-7 §8.2).
    fn protection(self) -> Option<Protection> {
        let sinf = self.child(b"sinf")?;
        let mut schm = sinf.child(b"schm").ok()??.fields();
        schm.version_flags().ok()?;
        let scheme = schm.array().ok()?;
        let key_id = || {
            let mut tenc = sinf.child(b"schi").ok()??.child(b"tenc").ok()??.fields();
            tenc.skip(8).ok()?;
            tenc.array().ok()
        };
        Some(Protection { scheme, key_id: key_id().unwrap_or_default() })
    }

    /// What the codec's own box says of its channels: the entry's field says 2 whatever it has.
    fn channels(self, kind: &[u8; 4]) -> Option<u16> {
        match kind {
            b"mp4a" => Aac::read(self.child(b"esds")?)?.channels,
            b"ac-3" => dolby(self.child(b"dac3")?.body(), 10),
            b"ec-3" => dolby(self.child(b"dec3")?.body(), 28),
            _ => None,
        }
    }

    fn codecs(self, kind: &[u8; 4]) -> Option<String> {
        let name = std::str::from_utf8(kind).ok()?.trim_end();
        let known = match kind {
            b"avc1" | b"avc3" => self.child(b"avcC").and_then(avc),
            b"hvc1" | b"hev1" => self.child(b"hvcC").and_then(hevc),
            b"av01" => self.child(b"av1C").and_then(av1),
            b"vp09" => self.child(b"vpcC").and_then(vp9),
            b"mp4a" => self.child(b"esds").and_then(Aac::read).map(|aac| aac.codecs()),
            _ => return Some(name.to_owned()),
        };
        // Without its parameters a name says something else, or nothing.
        known.map(|parameters| format!("{name}.{parameters}"))
    }
}

/// Profile, constraints and level of an `avcC` (14496-15 §5.3.3).
fn avc(avcc: Boxed<'_>) -> Option<String> {
    let [_, profile, constraints, level]: [u8; 4] = avcc.fields().array().ok()?;
    Some(format!("{profile:02X}{constraints:02X}{level:02X}"))
}

/// An `hvcC`, in the form of 14496-15 annex E.3.
fn hevc(hvcc: Boxed<'_>) -> Option<String> {
    let mut fields = hvcc.fields();
    let [_, profile]: [u8; 2] = fields.array().ok()?;
    let compatible = fields.u32().ok()?.reverse_bits();
    let constraints: [u8; 6] = fields.array().ok()?;
    let [level]: [u8; 1] = fields.array().ok()?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let mut text = format!("{space}{}.{compatible:X}.{tier}{level}", profile & 0x1F);
    let told = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..told] {
        // Writing to a string cannot fail.
        let _ = write!(text, ".{byte:X}");
    }
    Some(text)
}

/// Profile, level, tier and depth of an `av1C` (AV1 in ISOBMFF §2.3).
fn av1(av1c: Boxed<'_>) -> Option<String> {
    let [_, profile_level, more, ..]: [u8; 3] = av1c.fields().array().ok()?;
    let tier = if more & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (more & 0x40 != 0, more & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Some(format!("{}.{:02}{tier}.{depth:02}", profile_level >> 5, profile_level & 0x1F))
}

/// Profile, level and depth of a `vpcC` (VP Codec ISO Media File Format Binding).
fn vp9(vpcc: Boxed<'_>) -> Option<String> {
    let mut fields = vpcc.fields();
    fields.version_flags().ok()?;
    let [profile, level, depth]: [u8; 3] = fields.array().ok()?;
    Some(format!("{profile:02}.{level:02}.{:02}", depth >> 4))
}

/// Channels of `dac3` and `dec3` (ETSI TS 102 366 annex F): three bits of coding mode and one of low frequency, so many bits
/// from the start.
fn dolby(body: &[u8], at: usize) -> Option<u16> {
    let mut bits = Bits { bytes: body, at };
    let mode = bits.take(3)?;
    let low = bits.take(1)?;
    let front = [2, 1, 2, 3, 3, 4, 4, 5][usize::try_from(mode).ok()?];
    u16::try_from(front + low).ok()
}

/// What an `esds` (14496-14 §6.7.2) says.
struct Aac {
    object_type: u8,
    audio_object_type: Option<u32>,
    channels: Option<u16>,
}

impl Aac {
    /// The object type of 14496-1 for everything in 14496-3.
    const MPEG_4: u8 = 0x40;

    fn read(esds: Boxed<'_>) -> Option<Aac> {
        let mut fields = esds.fields();
        fields.version_flags().ok()?;
        let mut stream = descriptor(&mut fields, 3)?;
        stream.skip(2).ok()?;
        let [flags]: [u8; 1] = stream.array().ok()?;
        for (flag, len) in [(0x80, 2), (0x20, 2)] {
            stream.skip(if flags & flag == 0 { 0 } else { len }).ok()?;
        }
        let mut config = descriptor(&mut stream, 4)?;
        let [object_type]: [u8; 1] = config.array().ok()?;
        config.skip(12).ok()?;
        let of_mpeg_4 = descriptor(&mut config, 5).filter(|_| object_type == Self::MPEG_4);
        let (audio_object_type, channels) = of_mpeg_4.map_or((None, None), |own| audio(own.rest()));
        Some(Aac { object_type, audio_object_type, channels })
    }

    fn codecs(&self) -> String {
        match self.audio_object_type {
            Some(kind) => format!("{:02X}.{kind}", self.object_type),
            None => format!("{:02X}", self.object_type),
        }
    }
}

/// The body of the descriptor that comes next, if it has this tag (14496-1 §8.3.3): seven bits of its size in each byte.
fn descriptor<'a>(fields: &mut Fields<'a>, tag: u8) -> Option<Fields<'a>> {
    let [found]: [u8; 1] = fields.array().ok()?;
    let mut size = 0_usize;
    for _ in 0..4 {
        let [byte]: [u8; 1] = fields.array().ok()?;
        size = size << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = fields.take(size).ok()?;
    (found == tag).then_some(body)
}

/// Object type and channels of an AudioSpecificConfig (14496-3 §1.6.2.1).
fn audio(config: &[u8]) -> (Option<u32>, Option<u16>) {
    let mut bits = Bits { bytes: config, at: 0 };
    let kind = match bits.take(5) {
        Some(31) => bits.take(6).map(|more| 32 + more),
        kind => kind,
    };
    let mut channels = || {
        if bits.take(4)? == 15 {
            bits.take(24)?;
        }
        match bits.take(4)? {
            few @ 1..=6 => u16::try_from(few).ok(),
            7 => Some(8),
            // Said elsewhere, or in a way of a later edition.
            _ => None,
        }
    };
    let channels = channels();
    (kind, channels)
}

/// Takes bits from the front, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::boxes::boxed;

    fn visual(kind: &[u8; 4], inside: &[u8]) -> SampleEntry {
        let mut body = vec![0; IN_VISUAL];
        body[24..28].copy_from_slice(&[0x07, 0x80, 0x04, 0x38]);
        body.extend(inside);
        SampleEntry::read(&boxed(kind, &body))
    }

    fn audio_entry(kind: &[u8; 4], inside: &[u8]) -> SampleEntry {
        let mut body = vec![0; IN_AUDIO];
        body[16..18].copy_from_slice(&[0, 2]);
        body[24..28].copy_from_slice(&[0xBB, 0x80, 0, 0]);
        body.extend(inside);
        SampleEntry::read(&boxed(kind, &body))
    }

    #[test]
    fn codecs_are_called_as_playlists_call_them() {
        for (kind, config, name, codecs) in [
            (b"avc1", b"avcC", &b"\x01\x64\x00\x1F\xFF"[..], "avc1.64001F"),
            (b"avc3", b"avcC", b"\x01\x4D\x40\x1F", "avc3.4D401F"),
            (b"hvc1", b"hvcC", b"\x01\x01\x60\0\0\0\xB0\0\0\0\0\0\x5D", "hvc1.1.6.L93.B0"),
            (b"hev1", b"hvcC", b"\x01\x62\x20\0\0\0\x90\0\0\0\0\x01\x96", "hev1.A2.4.H150.90.0.0.0.0.1"),
            (b"av01", b"av1C", b"\x81\x04\x0C\x00", "av01.0.04M.08"),
            (b"av01", b"av1C", b"\x81\x4D\xE0\x00", "av01.2.13H.12"),
            (b"vp09", b"vpcC", b"\x01\0\0\0\x00\x1F\x80", "vp09.00.31.08"),
        ] {
            let entry = visual(kind, &boxed(config, name));
            assert_eq!(entry.codecs.as_deref(), Some(codecs));
            assert_eq!((entry.size, entry.channels), (Some((1920, 1080)), 0));
        }
        for kind in [b"stpp", b"wvtt"] {
            let entry = SampleEntry::read(&boxed(kind, &[0; 8]));
            assert_eq!(entry.codecs.as_deref(), std::str::from_utf8(kind).ok());
        }
        assert_eq!(visual(b"avc1", b"").codecs, None, "half a name is none");
        assert_eq!(SampleEntry::read(&boxed(b"a\"b,", b"")).codecs, None, "no playlist could hold it");
    }

    /// An `esds` with a two-byte AudioSpecificConfig.
    fn esds(object_type: u8, config: [u8; 2]) -> Vec<u8> {
        let own = [&[5, 2][..], &config].concat();
        let decoder = [&[4, 0x80, 0x80, 0x80, 17, object_type, 0x15][..], &[0; 11], &own].concat();
        let stream = [&[3, 25][..], &[0, 1, 0], &decoder].concat();
        boxed(b"esds", &[&[0; 4][..], &stream].concat())
    }

    #[test]
    fn sound_says_how_many_channels_it_has() {
        let aac = audio_entry(b"mp4a", &esds(0x40, [0x11, 0x90]));
        assert_eq!((aac.codecs.as_deref(), aac.channels, aac.rate_hz), (Some("mp4a.40.2"), 2, Some(48_000)));
        let surround = audio_entry(b"mp4a", &esds(0x40, [0x11, 0xB0]));
        assert_eq!(surround.channels, 6, "whatever its sample entry says");
        let unsaid = audio_entry(b"mp4a", &esds(0x40, [0x11, 0x80]));
        assert_eq!(unsaid.channels, 2, "its sample entry is all that is known");
        let he = audio_entry(b"mp4a", &esds(0x40, [0x2B, 0x11]));
        assert_eq!(he.codecs.as_deref(), Some("mp4a.40.5"));
        let mp3 = audio_entry(b"mp4a", &esds(0x6B, [0, 0]));
        assert_eq!((mp3.codecs.as_deref(), mp3.channels), (Some("mp4a.6B"), 2));
        // 48 kHz, mode 7 (3/2) with low frequency effects, 384 kb/s.
        let ac3 = audio_entry(b"ac-3", &boxed(b"dac3", &[0x10, 0x3D, 0xC0]));
        assert_eq!((ac3.codecs.as_deref(), ac3.channels), (Some("ac-3"), 6));
        let ec3 = audio_entry(b"ec-3", &boxed(b"dec3", &[0x0C, 0x00, 0x20, 0x04, 0x00]));
        assert_eq!((ec3.codecs.as_deref(), ec3.channels), (Some("ec-3"), 2));
        assert_eq!(audio_entry(b"Opus", b"").codecs.as_deref(), Some("Opus"));
    }

    #[test]
    fn an_encrypted_track_says_how_and_what_it_was_before() {
        let frma = boxed(b"frma", b"avc1");
        let schm = boxed(b"schm", b"\0\0\0\0cbcs\0\x01\0\0");
        let tenc = boxed(b"tenc", b"\x01\0\0\0\0\x19\x01\0key id of 16 byte");
        let sinf = boxed(b"sinf", &[frma, schm, boxed(b"schi", &tenc)].concat());
        let entry = visual(b"encv", &[boxed(b"avcC", b"\x01\x64\x00\x28"), sinf].concat());
        assert_eq!(entry.codecs.as_deref(), Some("avc1.640028"));
        assert_eq!(entry.size, Some((1920, 1080)));
        let protection = Protection { scheme: *b"cbcs", key_id: *b"key id of 16 byt" };
        assert_eq!(entry.protection, Some(protection));
    }

    proptest! {
        #[test]
        fn any_bytes_say_something_or_nothing(
            kind in prop::sample::select(vec![*b"avc1", *b"hvc1", *b"av01", *b"vp09", *b"mp4a", *b"ac-3", *b"ec-3", *b"encv", *b"enca"]),
            child in prop::sample::select(vec![*b"avcC", *b"hvcC", *b"av1C", *b"vpcC", *b"esds", *b"dac3", *b"dec3", *b"sinf"]),
            body in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            for entry in [visual(&kind, &boxed(&child, &body)), audio_entry(&kind, &boxed(&child, &body))] {
                prop_assert!(entry.codecs.is_none_or(|c| is_plain(&c)));
            }
            SampleEntry::read(&body);
        }
    }
}
