//! What the parts of this module promise together: segments in, a chunk file out, read by an independent parser.
//!
//! The files in `tests/fixtures/media` say why they exist. mp4-atom is the oracle: it shares no code with ours.

use mp4_atom::Decode;

use super::boxes::put_box;
use super::{BoxIter, Fragment, Init, Placement, TrexDefaults};

mod damage;
mod fragments;
mod headers;
mod tracks;

macro_rules! fixture {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../tests/fixtures/media/", $name)).as_slice())
    };
}

const FIXTURES: [(&str, &[u8]); 9] = [
    fixture!("video_cmaf.mp4"),
    fixture!("video_small.mp4"),
    fixture!("video_edit_list.mp4"),
    fixture!("video_absolute_base.mp4"),
    fixture!("video_smooth.ismv"),
    fixture!("video_cenc.mp4"),
    fixture!("audio_cmaf.mp4"),
    fixture!("audio_edit_list.mp4"),
    fixture!("audio_smooth.ismv"),
];

/// Two tracks in one fragment, which is refused.
const MUXED: &[u8] = fixture!("muxed.mp4").1;

/// 2023-11-14T22:13:20Z, in seconds.
const EPOCH_S: u64 = 1_700_000_000;

fn bytes_of(name: &str) -> &'static [u8] {
    FIXTURES.iter().find(|(n, _)| *n == name).unwrap().1
}

/// The init segment of a file, and the rest of it.
fn split(file: &[u8]) -> (Init, &[u8]) {
    let moof = BoxIter::new(file).flatten().find(|b| b.kind.0 == *b"moof").unwrap();
    let (init, media) = file.split_at(moof.offset);
    (Init::parse(init).unwrap(), media)
}

fn place(decode_time: u64) -> Placement {
    Placement { track_id: 7, sequence: 3, decode_time, sample_description_index: None }
}

/// A box with a body.
fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_box(&mut out, kind, |out| {
        out.extend(body);
        Ok(())
    })
    .unwrap();
    out
}

/// The fragment as it stands in a chunk.
fn placed(fragment: &Fragment<'_>, place: &Placement) -> Vec<u8> {
    let mut out = Vec::new();
    fragment.write_moof(place, &mut out).unwrap();
    out.extend(fragment.mdat);
    out
}

/// `bytes` with the first `from` in it replaced by `to`, of the same length.
fn with(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

fn oracle(mut moof: &[u8]) -> mp4_atom::Moof {
    mp4_atom::Moof::decode(&mut moof).unwrap()
}

/// A fragment with one run of two samples: `tfhd` has no defaults, and an encrypted sample's auxiliary data is in `senc`.
fn bare_fragment(saio_at: u32) -> Vec<u8> {
    let tfhd = boxed(b"tfhd", b"\0\0\0\0\0\0\0\x01");
    let trun = boxed(b"trun", b"\0\0\0\x01\0\0\0\x02\0\0\0\x92");
    let saiz = boxed(b"saiz", b"\0\0\0\0\x08\0\0\0\x02");
    let saio = boxed(b"saio", &[&[0; 4], &1_u32.to_be_bytes()[..], &saio_at.to_be_bytes()].concat());
    let senc = boxed(b"senc", b"\0\0\0\0\0\0\0\x0211111111222222222");
    let traf = boxed(b"traf", &[tfhd, trun, saiz, saio, senc].concat());
    let moof = boxed(b"moof", &[boxed(b"mfhd", b"\0\0\0\0\0\0\0\x01"), traf].concat());
    assert_eq!(moof.len(), MDAT_AT, "the data offset in trun is 8 more");
    [moof, boxed(b"mdat", b"aaaabbbb")].concat()
}

/// Where the `mdat` of [`bare_fragment`] begins.
const MDAT_AT: usize = 0x8a;

/// The init of a fixture, with other defaults in its `trex`.
fn init_with_defaults(name: &str, defaults: TrexDefaults) -> Init {
    Init { defaults, ..split(bytes_of(name)).0 }
}

const DEFAULTS: TrexDefaults =
    TrexDefaults { sample_description_index: 1, duration: 512, size: 4, flags: 0x0101_0000 };
