//! Fragments, from a segment into a chunk, and the end of the chunk.

use mp4_atom::Decode;

use super::{
    DEFAULTS, EPOCH_S, FIXTURES, MDAT_AT, bare_fragment, boxed, bytes_of, init_with_defaults, oracle, place,
    placed, split, with,
};
use crate::error::Kind;
use crate::media::moof::{TFRF, TFXD};
use crate::media::{
    BoxIter, Index, IndexEntry, MoofInfo, Placement, TrexDefaults, fragments, read_moof, tail,
};
use crate::time::Timescale;

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
    let media = with(media, &TFXD, &TFRF);
    let all = fragments(&init, &media).unwrap();
    assert_eq!(all[0].info.decode_time, None);
    let place = place(EPOCH_S * 10_000_000);
    let first = placed(&all[0], &place);
    assert!(!first.windows(16).any(|w| w == TFRF || w == TFXD));
    let second = placed(&all[1], &place);
    let at = second.windows(16).position(|w| w == TFXD).unwrap();
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
    let read = read_moof(|id| (id == 7).then(TrexDefaults::default), &bytes).unwrap()[0];
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
fn a_mdat_with_a_wide_size_and_boxes_before_it_are_placed_right() {
    let init = init_with_defaults("video_cenc.mp4", DEFAULTS);
    let segment = bare_fragment(0);
    // The data begins 8 bytes later for the wide size, and 20 for the boxes that come before.
    let moof = with(&segment[..MDAT_AT], b"\0\0\0\x92", b"\0\0\0\xae");
    let between = [boxed(b"free", b""), boxed(b"abcd", b"kept")].concat();
    let mdat = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x18aaaabbbb";
    let segment = [&moof, &between, &mdat[..]].concat();
    let all = fragments(&init, &segment).unwrap();
    assert_eq!((all[0].prefix.as_slice(), all[0].mdat), ([&between[8..]].as_slice(), &mdat[..]));
    let bytes = placed(&all[0], &place(9));
    let offset = oracle(&bytes[12..]).traf[0].trun[0].data_offset.unwrap();
    assert_eq!(bytes[12 + usize::try_from(offset).unwrap()..], *b"aaaabbbb");
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
        let error = fragments(&init, &segment).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(error.to_string().contains("claims 4294967295 samples"), flags[2] == 2, "{error}");
    }
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
    let timescale = Timescale::new(12_800).unwrap();
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
