//! What the parts of this module promise together: segments in, a chunk file out, read by an independent parser.
//!
//! The files in `tests/fixtures/media` say why they exist. mp4-atom is the oracle: it shares no code with ours.

use mp4_atom::{Decode, FourCC};
use proptest::prelude::*;

use super::boxes::put_box;
use super::*;
use crate::error::Kind;
use crate::track::Medium;

macro_rules! fixture {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../tests/fixtures/media/", $name)).as_slice())
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

#[test]
fn init_segments_say_what_a_track_is() {
    for (name, medium, timescale, edit, frame) in [
        ("video_cmaf.mp4", Medium::Video, 12_800, 0, None),
        ("video_edit_list.mp4", Medium::Video, 12_800, 1024, None),
        ("video_cenc.mp4", Medium::Video, 12_800, 0, None),
        ("audio_cmaf.mp4", Medium::Audio, 48_000, 0, Some(1024)),
        ("audio_edit_list.mp4", Medium::Audio, 48_000, 1024, Some(1024)),
        ("audio_smooth.ismv", Medium::Audio, 10_000_000, 0, Some(213_334)),
    ] {
        let (init, _) = split(bytes_of(name));
        assert_eq!(init.medium(), Some(medium), "{name}");
        assert_eq!(init.timescale().get(), timescale, "{name}");
        assert_eq!(init.edit_media_time_ticks(), edit, "{name}");
        assert_eq!(init.sample_rate_frame_ticks(), frame, "{name}");
    }
}

#[test]
fn fragments_say_what_they_hold() {
    let facts = |name| {
        let (init, media) = split(bytes_of(name));
        let all = fragments(&init, media).unwrap();
        all.iter()
            .map(|f| (f.info.decode_time, f.info.duration_ticks, f.info.samples, f.info.starts_with_sync))
            .collect::<Vec<_>>()
    };
    let second = |at, ticks| (Some(at), ticks, 25, true);
    assert_eq!(facts("video_cmaf.mp4"), [second(0, 12_800), second(12_800, 12_800)]);
    assert_eq!(facts("video_smooth.ismv"), [second(0, 10_000_000), second(10_000_000, 10_000_000)]);
    assert_eq!(
        facts("audio_cmaf.mp4"),
        [(Some(-1024), 48_128, 47, true), (Some(47_104), 48_128, 47, true), (Some(95_232), 768, 1, true)]
    );
    // Two reordered frames: the first picture is shown two frames after it is decoded.
    let (init, media) = split(bytes_of("video_absolute_base.mp4"));
    assert_eq!(fragments(&init, media).unwrap()[0].info.presentation_offset_ticks, 1024);
}

#[test]
fn a_placed_fragment_reads_back_as_placed_and_its_media_is_untouched() {
    for (name, file) in FIXTURES {
        let (init, media) = split(file);
        for fragment in fragments(&init, media).unwrap() {
            let place = place(EPOCH_S * u64::from(init.timescale().get()) + 11);
            let bytes = placed(&fragment, &place);
            let again = fragments(&init, &bytes).unwrap();
            let [again] = again.as_slice() else { panic!("{name}") };
            let expected = MoofInfo {
                track_id: 7,
                sequence: 3,
                decode_time: i64::try_from(place.decode_time).ok(),
                ..fragment.info
            };
            assert_eq!(again.info, expected, "{name}");
            assert_eq!(again.mdat, fragment.mdat, "{name}");
            assert_eq!(again.data.runs, fragment.data.runs, "{name}");
            // Placing what is placed changes nothing.
            assert_eq!(placed(again, &place), bytes, "{name}");

            let seen = oracle(&bytes);
            let traf = &seen.traf[0];
            assert_eq!((seen.mfhd.sequence_number, traf.tfhd.track_id), (3, 7), "{name}");
            assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, place.decode_time, "{name}");
            assert!(traf.tfhd.default_base_is_moof && traf.tfhd.base_data_offset.is_none(), "{name}");
            let offset = usize::try_from(traf.trun[0].data_offset.unwrap()).unwrap();
            assert_eq!(bytes[offset..], fragment.mdat[8..], "{name}");
        }
    }
}

#[test]
fn a_smooth_fragment_gets_a_decode_time_and_loses_the_times_of_the_live_edge() {
    let (init, media) = split(bytes_of("video_smooth.ismv"));
    // Turn the first tfxd into a tfrf, and see it go; the second stays, moved.
    let media = with(media, &super::moof::TFXD, &super::moof::TFRF);
    let all = fragments(&init, &media).unwrap();
    assert_eq!(all[0].info.decode_time, None);
    let place = place(EPOCH_S * 10_000_000);
    let first = placed(&all[0], &place);
    assert!(!first.windows(16).any(|w| w == super::moof::TFRF || w == super::moof::TFXD));
    let second = placed(&all[1], &place);
    let at = second.windows(16).position(|w| w == super::moof::TFXD).unwrap();
    assert_eq!(second[at + 20..at + 28], place.decode_time.to_be_bytes());
}

#[test]
fn a_segment_that_was_cut_from_a_larger_file_keeps_its_absolute_offsets_right() {
    let file = bytes_of("video_absolute_base.mp4");
    let (init, media) = split(file);
    // In the whole file the absolute offsets are true, in the part they are not.
    let (whole, part) = (fragments(&init, file).unwrap(), fragments(&init, media).unwrap());
    for (a, b) in whole.iter().zip(&part) {
        assert_eq!(placed(a, &place(5)), placed(b, &place(5)));
    }
}

#[test]
fn what_describes_the_file_is_dropped_and_what_describes_the_media_stays() {
    let (init, media) = split(bytes_of("video_cmaf.mp4"));
    let emsg = boxed(b"emsg", b"\x01\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x27\x10\0\0\0\0\0\0\0\x01urn:x\0\0");
    let prft = boxed(b"prft", b"\0\0\0\0\0\0\0\x01\xea\xea\xea\xea\0\0\0\0\0\0\x32\0");
    let odd = boxed(b"abcd", b"kept as it is");
    let dropped = [boxed(b"styp", b"msdhmsdh"), boxed(b"sidx", &[0; 32]), boxed(b"free", b"")].concat();
    let segment = [&dropped, &emsg, &dropped, &prft, &odd, media].concat();
    let all = fragments(&init, &segment).unwrap();
    assert_eq!(all[0].prefix, [&emsg, &prft, &odd]);
    assert!(all[1].prefix.is_empty());

    let mut out = Vec::new();
    let size = all[0].write_moof(&place(12_800 * EPOCH_S), &mut out).unwrap();
    let mut rest = out.as_slice();
    let emsg = mp4_atom::Emsg::decode(&mut rest).unwrap();
    assert_eq!(emsg.presentation_time, mp4_atom::EmsgTimestamp::Absolute(10_000 + 1_000 * EPOCH_S));
    let prft = BoxIter::new(rest).next().unwrap().unwrap();
    let mut expected = b"\x01\0\0\0\0\0\0\x07\xea\xea\xea\xea\0\0\0\0".to_vec();
    expected.extend((12_800 * (EPOCH_S + 1)).to_be_bytes());
    assert_eq!(prft.body(), expected);
    let rest = &rest[prft.bytes.len()..];
    assert!(rest.starts_with(&odd));
    assert_eq!(rest[odd.len() + 4..][..4], *b"moof");
    assert_eq!(usize::try_from(size).unwrap(), out.len() - (rest.len() - odd.len()));
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

#[test]
fn a_placed_fragment_carries_the_defaults_that_it_took_from_its_trex() {
    let init = init_with_defaults("video_cenc.mp4", DEFAULTS);
    let segment = bare_fragment(0);
    let all = fragments(&init, &segment).unwrap();
    assert_eq!((all[0].info.duration_ticks, all[0].info.starts_with_sync), (1024, false));
    let bytes = placed(&all[0], &Placement { sample_description_index: Some(2), ..place(9) });
    let tfhd = &oracle(&bytes).traf[0].tfhd;
    assert_eq!(tfhd.sample_description_index, Some(2));
    assert_eq!(
        (tfhd.default_sample_duration, tfhd.default_sample_size, tfhd.default_sample_flags),
        (Some(512), Some(4), Some(0x0101_0000))
    );
    let read = read_moof(|id| (id == 7).then(TrexDefaults::default), &bytes).unwrap();
    assert_eq!((read.duration_ticks, read.starts_with_sync, read.sample_description_index), (1024, false, 2));
}

#[test]
fn offsets_of_auxiliary_data_follow_it() {
    let init = init_with_defaults("video_cenc.mp4", DEFAULTS);
    let saio_of = |segment: &[u8]| {
        let all = fragments(&init, segment).unwrap();
        let bytes = placed(&all[0], &place(9));
        let offset = usize::try_from(oracle(&bytes).traf[0].saio[0].offsets[0]).unwrap();
        (offset, bytes)
    };
    let senc = u32::try_from(bare_fragment(0).windows(8).position(|w| w == b"11111111").unwrap()).unwrap();
    let (offset, bytes) = saio_of(&bare_fragment(senc));
    assert_eq!(bytes[offset..offset + 8], *b"11111111");
    let (offset, bytes) = saio_of(&bare_fragment(0x92));
    assert_eq!(bytes[offset..], *b"aaaabbbb");
    // Nowhere stays nowhere.
    assert_eq!(saio_of(&bare_fragment(0xFFFF)).0, 0xFFFF);
}

#[test]
fn a_fragment_without_mdat_or_with_samples_outside_it_is_refused() {
    let init = init_with_defaults("video_cenc.mp4", DEFAULTS);
    let segment = bare_fragment(0);
    let refused = |bytes: &[u8]| {
        let error = fragments(&init, bytes).unwrap_err();
        (error.kind(), error.to_string())
    };
    let (kind, said) = refused(&segment[..MDAT_AT]);
    assert_eq!(
        (kind, said.as_str()),
        (Kind::Invalid, "box moof at byte 0 has no mdat: the segment is cut short")
    );
    let (_, said) = refused(&segment[..MDAT_AT + 15]);
    assert_eq!(said, "at byte 138: box mdat says that it is 16 bytes long, and 15 are left");
    let (_, said) = refused(&[&segment[..MDAT_AT], &boxed(b"mdat", b"aaaabbb")].concat());
    assert_eq!(said, "fragment at byte 0: box moof at byte 0 has samples that do not lie in its mdat");
    let (_, said) = refused(&segment[MDAT_AT..]);
    assert_eq!(said, "box mdat at byte 0 has no moof in front of it");
    let (_, said) = refused(&boxed(b"styp", b"msdh"));
    assert_eq!(said, "there is no fragment in it: not one moof box");
    assert_eq!(refused(b"<html>").1, "not fragmented MP4: it begins with \"<html>\"");
}

#[test]
fn a_run_that_claims_more_samples_than_it_has_is_refused_at_once() {
    let init = init_with_defaults("video_cenc.mp4", DEFAULTS);
    // With fields of their own there is no room; without, they would not fit into the mdat.
    for flags in [[0, 0, 0, 1], [0, 0, 2, 1]] {
        let claim = [&flags[..], &[0xFF; 4]].concat();
        let segment = with(&bare_fragment(0), b"\0\0\0\x01\0\0\0\x02", &claim);
        assert_eq!(fragments(&init, &segment).unwrap_err().kind(), Kind::Invalid);
    }
}

#[test]
fn muxed_sources_are_refused_and_say_so() {
    let (_, file) = fixture!("muxed.mp4");
    let moof = BoxIter::new(file).flatten().find(|b| b.kind.0 == *b"moof").unwrap();
    let error = Init::parse(&file[..moof.offset]).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert_eq!(error.to_string(), "2 tracks in one stream (muxed)");
    let (init, _) = split(bytes_of("video_cmaf.mp4"));
    let error = fragments(&init, &file[moof.offset..]).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("muxed"), "{error}");
}

#[test]
fn what_is_too_large_is_refused() {
    let huge = boxed(b"moov", &vec![0; MAX_INIT]);
    assert_eq!(Init::parse(&huge).unwrap_err().kind(), Kind::Unsupported);
    let (init, _) = split(bytes_of("video_cmaf.mp4"));
    let huge = [boxed(b"moof", &vec![0; MAX_MOOF]), boxed(b"mdat", b"")].concat();
    assert_eq!(fragments(&init, &huge).unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn a_header_has_all_tracks_and_reads_back_as_it_was() {
    let inits: Vec<Init> = FIXTURES.iter().map(|(_, file)| split(file).0).collect();
    let tracks: Vec<_> = (1..).zip(inits.chunks(1)).map(|(id, inits)| HeaderTrack { id, inits }).collect();
    let bytes = header(&tracks).unwrap();
    assert_eq!(header(&tracks).unwrap(), bytes);

    let mut rest = bytes.as_slice();
    let ftyp = mp4_atom::Ftyp::decode(&mut rest).unwrap();
    assert_eq!(ftyp.major_brand, FourCC::new(b"iso6"));
    let moov = mp4_atom::Moov::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!(moov.mvhd.next_track_id, 10);
    assert!(moov.trak.iter().map(|t| t.tkhd.track_id).eq(1..=9));
    assert!(moov.mvex.unwrap().trex.iter().map(|t| t.track_id).eq(1..=9));

    let read = read_header(&bytes).unwrap();
    for ((id, again), (n, init)) in read.iter().zip((1..).zip(&inits)) {
        assert_eq!(*id, n);
        assert!(again.len() == 1 && again[0].same_track_shape(init));
    }
    let tracks: Vec<_> = read.iter().map(|(id, inits)| HeaderTrack { id: *id, inits }).collect();
    assert_eq!(header(&tracks).unwrap(), bytes);
}

#[test]
fn an_encoder_that_changes_its_parameters_adds_a_sample_entry() {
    let (large, small) = (split(bytes_of("video_cmaf.mp4")).0, split(bytes_of("video_small.mp4")).0);
    assert!(!large.same_track_shape(&small));
    let inits = [large.clone(), small.clone(), large.clone()];
    let track = HeaderTrack { id: 4, inits: &inits };
    assert_eq!(track.sample_description_index(&large, 1), Some(1));
    assert_eq!(track.sample_description_index(&small, 1), Some(2));
    assert_eq!(track.sample_description_index(&small, 2), None);
    let other = split(bytes_of("video_smooth.ismv")).0;
    assert_eq!(HeaderTrack { id: 4, inits: &inits[..1] }.sample_description_index(&small, 1), None);

    let bytes = header(&[track]).unwrap();
    let moov = mp4_atom::Moov::decode(&mut &bytes[28..]).unwrap();
    assert_eq!(moov.trak[0].mdia.minf.stbl.stsd.codecs.len(), 2);
    let read = read_header(&bytes).unwrap();
    assert_eq!(read[0].1.len(), 2);
    assert!(read[0].1[1].same_track_shape(&small));
    assert_eq!(header(&[HeaderTrack { id: 4, inits: &read[0].1 }]).unwrap(), bytes);

    let several_timescales = [large, other];
    let error = header(&[HeaderTrack { id: 1, inits: &several_timescales }]).unwrap_err();
    assert_eq!(error.to_string(), "track 1: its timescale changed");
}

#[test]
fn a_header_without_tracks_or_with_one_number_twice_is_refused() {
    let init = [split(bytes_of("video_cmaf.mp4")).0];
    let track = |id| HeaderTrack { id, inits: &init };
    for tracks in [vec![], vec![track(1), track(1)], vec![track(0)], vec![HeaderTrack { id: 1, inits: &[] }]]
    {
        assert_eq!(header(&tracks).unwrap_err().kind(), Kind::Invalid);
    }
}

#[test]
fn durations_of_edits_follow_the_timescale_of_the_movie_and_references_follow_their_track() {
    let (init, _) = split(bytes_of("video_edit_list.mp4"));
    // An elst of one edit, 0 long by the fixture, here half a second by the init's clock of 1,000 a second.
    let edit = b"\0\0\0\x01\0\0\0\0\0\0\x04\0\0\x01\0\0";
    let trak = with(&init.trak, edit, b"\0\0\0\x01\0\0\x01\xf4\0\0\x04\0\0\x01\0\0");
    let tref = boxed(
        b"tref",
        &[boxed(b"cdsc", &77_u32.to_be_bytes()), boxed(b"sync", &1_u32.to_be_bytes())].concat(),
    );
    let trak = boxed(b"trak", &[&trak[8..], &tref].concat());
    let second = Init { track_id: 1, trak: trak.into(), ..init };
    let mut first = split(bytes_of("audio_smooth.ismv")).0;
    first.movie_timescale = crate::time::Timescale::new(90_000).unwrap();
    first.track_id = 77;
    let (first, second) = ([first], [second]);
    let bytes =
        header(&[HeaderTrack { id: 5, inits: &first }, HeaderTrack { id: 6, inits: &second }]).unwrap();
    let moov = mp4_atom::Moov::decode(&mut &bytes[28..]).unwrap();
    let elst = moov.trak[1].edts.as_ref().unwrap().elst.as_ref().unwrap();
    assert_eq!(elst.entries[0].segment_duration, 45_000);
    assert!(bytes.windows(12).any(|w| w == boxed(b"cdsc", &5_u32.to_be_bytes())));
    assert!(bytes.windows(12).any(|w| w == boxed(b"sync", &6_u32.to_be_bytes())));
    // Alone, it has no one to refer to but itself.
    let bytes = header(&[HeaderTrack { id: 6, inits: &second }]).unwrap();
    assert!(!bytes.windows(4).any(|w| w == b"cdsc"));
}

#[test]
fn keys_of_all_tracks_are_in_the_header_once() {
    let (init, _) = split(bytes_of("video_cenc.mp4"));
    let (a, b) = (boxed(b"pssh", b"one system"), boxed(b"pssh", b"another"));
    let first = [Init { pssh: [a.clone()].into(), ..init.clone() }];
    let second = [Init { pssh: [a.clone(), b.clone()].into(), ..init }];
    let bytes =
        header(&[HeaderTrack { id: 1, inits: &first }, HeaderTrack { id: 2, inits: &second }]).unwrap();
    assert!(bytes.ends_with(&[&b"\0\0\0\x12pssh"[..], b"one system", &b].concat()));
    assert_eq!(bytes.windows(4).filter(|w| w == b"pssh").count(), 2);
    assert!(bytes.windows(4).any(|w| w == b"encv") && bytes.windows(4).any(|w| w == b"tenc"));
}

#[test]
fn the_tail_points_at_every_fragment_that_starts_with_a_sync_sample() {
    let mut index = Index::default();
    let entry = |n: u64, sync| IndexEntry {
        decode_time: EPOCH_S * 12_800 + n * 12_800,
        duration_ticks: 12_800,
        moof_offset: 900 + n * 2_000,
        prefix_size: 0,
        size: 2_000,
        sync,
    };
    let timescale = crate::time::Timescale::new(12_800).unwrap();
    for (n, sync) in [true, false, true].into_iter().enumerate() {
        index.push(3, timescale, entry(u64::try_from(n).unwrap(), sync));
    }
    let bytes = tail(&index).unwrap();
    let mfra = mp4_atom::Mfra::decode(&mut bytes.as_slice()).unwrap();
    assert_eq!(usize::try_from(mfra.mfro.parent_size).unwrap(), bytes.len());
    assert_eq!(mfra.tfra[0].track_id, 3);
    let seen: Vec<_> = mfra.tfra[0].entries.iter().map(|e| (e.time, e.moof_offset)).collect();
    assert_eq!(seen, [(EPOCH_S * 12_800, 900), (EPOCH_S * 12_800 + 25_600, 4_900)]);
}

/// All that can be done with bytes from outside; only a panic fails.
fn try_everything(file: &[u8]) {
    let at = BoxIter::new(file).flatten().find(|b| b.kind.0 == *b"moof").map_or(file.len(), |b| b.offset);
    let (start, media) = file.split_at(at);
    let _ = read_moof(|_| Some(DEFAULTS), media);
    if let Ok(read) = read_header(start) {
        let tracks: Vec<_> = read.iter().map(|(id, inits)| HeaderTrack { id: *id, inits }).collect();
        let _ = header(&tracks);
    }
    let init = Init::parse(start).unwrap_or_else(|_| init_with_defaults("video_cenc.mp4", DEFAULTS));
    let _ = header(&[HeaderTrack { id: 1, inits: std::slice::from_ref(&init) }]);
    for fragment in fragments(&init, media).into_iter().flatten() {
        let mut out = b"kept".to_vec();
        if fragment.write_moof(&place(EPOCH_S * 12_800), &mut out).is_err() {
            assert_eq!(out, b"kept");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(
        which in 0..FIXTURES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut file = FIXTURES[which].1.to_vec();
        for (at, byte) in damage {
            // Most of a file is media, in which damage is not seen: aim at the boxes.
            let at = at.index(file.len().min(1_600));
            file[at] = byte;
        }
        if is_cut {
            file.truncate(cut.index(file.len()));
        }
        try_everything(&file);
    }

    #[test]
    fn a_segment_cut_anywhere_is_refused_or_ends_with_a_whole_fragment(
        which in 0..FIXTURES.len(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (init, media) = split(FIXTURES[which].1);
        let whole = fragments(&init, media).unwrap();
        let cut = cut.index(media.len());
        if let Ok(some) = fragments(&init, &media[..cut]) {
            prop_assert!(some.iter().zip(&whole).all(|(a, b)| a.info == b.info && a.mdat == b.mdat));
        }
    }

    #[test]
    fn any_placement_is_what_is_read_back(
        which in 0..FIXTURES.len(),
        track_id in 1_u32..,
        sequence: u32,
        decode_time in 0_u64..1 << 62,
        index in prop::option::of(1_u32..),
    ) {
        let (init, media) = split(FIXTURES[which].1);
        let place = Placement { track_id, sequence, decode_time, sample_description_index: index };
        for fragment in fragments(&init, media).unwrap() {
            let bytes = placed(&fragment, &place);
            let read = read_moof(|_| Some(TrexDefaults::default()), &bytes).unwrap();
            prop_assert_eq!(read.decode_time, i64::try_from(decode_time).ok());
            prop_assert_eq!((read.track_id, read.sequence), (track_id, sequence));
            prop_assert_eq!(read.sample_description_index, index.unwrap_or(1));
            prop_assert_eq!(read.duration_ticks, fragment.info.duration_ticks);
            prop_assert_eq!(read.starts_with_sync, fragment.info.starts_with_sync);
            prop_assert!(bytes.ends_with(fragment.mdat));
        }
    }
}
