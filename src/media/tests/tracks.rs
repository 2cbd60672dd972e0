//! What is read back of a chunk for playback: what its tracks are, an init segment for each, and samples one by one.

use mp4_atom::Decode;
use proptest::prelude::*;

use super::{FIXTURES, MUXED, bare_fragment, boxed, bytes_of, oracle, place, placed, split};
use crate::error::Kind;
use crate::media::{
    BoxIter, HeaderTrack, Index, IndexEntry, Init, Sample, Traits, TrexDefaults, fragments, header,
    init_segment, read_header, read_samples, read_traits,
};
use crate::time::Timescale;

/// The traits of a chunk of one track.
fn traits(id: u32, inits: &[Init]) -> Traits {
    let traits = read_traits(&header(&[HeaderTrack { id, inits }]).unwrap()).unwrap();
    assert_eq!(traits[0].0, id);
    traits[0].1.clone()
}

#[test]
fn a_header_says_what_its_tracks_are() {
    for (name, codecs, size, channels) in [
        ("video_cmaf.mp4", "avc1.64000A", Some((64, 36)), 0),
        ("video_smooth.ismv", "avc1.64000A", Some((64, 36)), 0),
        ("video_edit_list.mp4", "avc1.64000A", Some((64, 36)), 0),
        ("audio_cmaf.mp4", "mp4a.40.2", None, 1),
        ("audio_smooth.ismv", "mp4a.40.2", None, 1),
        ("video_cenc.mp4", "avc1.64000A", Some((64, 36)), 0),
    ] {
        let (init, _) = split(bytes_of(name));
        let found = traits(3, &[init]);
        assert_eq!(
            (found.codecs.as_deref(), found.size, found.channels),
            (Some(codecs), size, channels),
            "{name}"
        );
        assert_eq!(
            found.protection.map(|p| p.scheme),
            (name == "video_cenc.mp4").then_some(*b"cenc"),
            "{name}"
        );
        assert_eq!(found.edit_ticks, if name == "video_edit_list.mp4" { 1_024 } else { 0 }, "{name}");
        assert_eq!((found.samples, found.reorder_ticks), (0, 0), "these are counted");
    }
    let video = split(bytes_of("video_cenc.mp4")).0.sample_entry();
    assert_ne!(video.protection.unwrap().key_id, [0; 16]);
    assert_eq!(split(bytes_of("audio_cmaf.mp4")).0.sample_entry().rate_hz, Some(48_000));
}

#[test]
fn init_segments_have_one_identity_if_one_does_for_the_other() {
    let (large, small) = (split(bytes_of("video_cmaf.mp4")).0, split(bytes_of("video_small.mp4")).0);
    let of = |inits: &[Init]| traits(3, inits).init;
    let own = of(std::slice::from_ref(&large));
    // Frozen: the ledgers of others are full of it.
    assert_eq!(own, 0xC5F33ACBAC27D0E9);
    let named = Init { pssh: [boxed(b"pssh", b"one system")].into(), language: None, ..large.clone() };
    assert_eq!(of(&[named]), own);
    assert_ne!(of(std::slice::from_ref(&small)), own, "another picture size");
    assert_ne!(of(&[large.clone(), small.clone()]), own, "another picture size later on");
    assert_ne!(traits(4, std::slice::from_ref(&large)).init, own, "fragments name the track by its number");
    let other = TrexDefaults { duration: 7, ..large.defaults };
    assert_ne!(of(&[Init { defaults: other, ..large.clone() }]), own, "fragments of others lean on trex");
    let edited = split(bytes_of("video_edit_list.mp4")).0;
    assert_ne!(
        of(&[Init { entries: edited.entries.clone(), ..large.clone() }]),
        of(&[edited]),
        "another edit"
    );
    // As they are while a chunk is written, and as they are read back.
    let mut index = Index::default();
    let entry = IndexEntry {
        decode_time: 0,
        duration_ticks: 1,
        moof_offset: 900,
        prefix_size: 60,
        size: 100,
        sync: true,
    };
    index.push(3, large.timescale(), entry);
    index.describe(&[(3, vec![large.clone(), small.clone()])]);
    assert_eq!(index.tracks[0].traits.as_ref().unwrap(), &traits(3, &[large, small]));
    assert_eq!(index.header_bytes(), Some(840));
}

#[test]
fn an_index_counts_samples_and_what_reordering_costs() {
    for (name, samples, reorder) in
        [("video_cmaf.mp4", 50, 0), ("video_absolute_base.mp4", 50, 1_024), ("audio_cmaf.mp4", 95, 0)]
    {
        let (init, media) = split(bytes_of(name));
        let mut index = Index::default();
        for fragment in fragments(&init, media).unwrap() {
            let entry = IndexEntry {
                decode_time: 0,
                duration_ticks: 0,
                moof_offset: 0,
                prefix_size: 0,
                size: 0,
                sync: true,
            };
            index.push(1, init.timescale(), entry).count(&fragment.info);
        }
        let found = index.tracks[0].traits.clone().unwrap();
        assert_eq!((found.samples, found.reorder_ticks), (samples, reorder), "{name}");
        assert_eq!(index.tracks[0].presentation_shift_ticks(), reorder);
    }
}

#[test]
fn a_place_with_fragments_of_several_tracks_makes_an_index_muxed() {
    let entry = |moof_offset| IndexEntry {
        decode_time: 0,
        duration_ticks: 0,
        moof_offset,
        prefix_size: 0,
        size: 0,
        sync: true,
    };
    let mut index = Index::default();
    for (track, offset) in [(1, 100), (2, 200), (1, 300)] {
        index.push(track, Timescale::ONE, entry(offset));
    }
    assert!(!index.is_muxed());
    index.push(2, Timescale::ONE, entry(300));
    assert!(index.is_muxed());
}

#[test]
fn an_init_segment_has_one_track_of_the_header_and_its_keys() {
    let inits: Vec<Init> = FIXTURES.iter().map(|(_, file)| split(file).0).collect();
    let with_keys = Init { pssh: [boxed(b"pssh", b"one system")].into(), ..inits[5].clone() };
    let inits = [&inits[..5], &[with_keys], &inits[6..]].concat();
    let tracks: Vec<_> = (1..).zip(inits.chunks(1)).map(|(id, inits)| HeaderTrack { id, inits }).collect();
    let chunk = header(&tracks).unwrap();
    for (id, init) in (1..).zip(&inits) {
        let bytes = init_segment(&chunk, id).unwrap();
        assert_eq!(init_segment(&chunk, id).unwrap(), bytes);
        let moov = mp4_atom::Moov::decode(&mut &bytes[28..]).unwrap();
        assert_eq!((moov.trak.len(), moov.trak[0].tkhd.track_id), (1, id));
        assert_eq!(moov.mvex.unwrap().trex.iter().map(|t| t.track_id).collect::<Vec<_>>(), [id]);
        let read = read_header(&bytes).unwrap();
        assert!(read.len() == 1 && read[0].1[0].same_track_shape(init));
        assert_eq!(bytes.windows(4).any(|w| w == b"pssh"), id == 6, "keys of an encrypted track alone: {id}");
        let identity =
            |bytes: &[u8]| read_traits(bytes).unwrap().into_iter().find(|t| t.0 == id).unwrap().1.init;
        assert_eq!(identity(&bytes), identity(&chunk));
    }
    let error = init_segment(&chunk, 77).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::NotFound, "the header has no track 77".to_owned()));
}

/// All fragments of a file: each `moof` with the header of its `mdat`, and where it begins.
fn moofs(file: &[u8]) -> Vec<(u64, &[u8])> {
    let boxes: Vec<_> = BoxIter::new(file).flatten().collect();
    let pairs = boxes.windows(2).filter(|pair| pair[0].kind.0 == *b"moof");
    pairs.map(|pair| (pair[0].offset as u64, &file[pair[0].offset..pair[1].body_offset()])).collect()
}

#[test]
fn samples_are_those_that_another_reader_sees() {
    for (name, file) in FIXTURES {
        let (init, media) = split(file);
        let found = fragments(&init, media).unwrap();
        let of_init = |_| Some(init.defaults());
        for ((at, moof), fragment) in moofs(file).into_iter().zip(&found) {
            let read = read_samples(of_init, moof, at, fragment.info.track_id).unwrap();
            assert_eq!(read.decode_time, fragment.info.decode_time, "{name}");
            assert_eq!(read.samples.len(), fragment.info.samples as usize, "{name}");
            let sum = |of: fn(&Sample) -> u64| read.samples.iter().map(of).sum::<u64>();
            assert_eq!(sum(|s| s.duration_ticks.into()), fragment.info.duration_ticks as u64, "{name}");
            assert_eq!(sum(|s| s.size.into()), fragment.info.media_bytes, "{name}");
            assert_eq!(read.samples[0].is_sync(), fragment.info.starts_with_sync, "{name}");
            // They fill the mdat, in order.
            let end = at + moof.len() as u64 + fragment.mdat.len() as u64 - 8;
            let last = read.samples.last().unwrap();
            assert_eq!(read.samples[0].offset, at + moof.len() as u64, "{name}");
            assert_eq!(last.offset + u64::from(last.size), end, "{name}");
            assert!(read.samples.windows(2).all(|w| w[0].offset + u64::from(w[0].size) == w[1].offset));
        }
        // As they stand in a chunk, to the oracle, which wants tfhd and trun to say all.
        let bytes = placed(&found[0], &place(EARLY));
        let len = bytes.len() - found[0].mdat.len() + 8;
        let read = read_samples(of_init, &bytes[..len], 0, 7).unwrap();
        let traf = &oracle(&bytes).traf[0];
        let (tfhd, entries) = (&traf.tfhd, traf.trun.iter().flat_map(|run| &run.samples));
        for (sample, entry) in read.samples.iter().zip(entries) {
            let size = entry.size.or(tfhd.default_sample_size).unwrap();
            let duration = entry.duration.or(tfhd.default_sample_duration).unwrap();
            let composition = entry.cts.unwrap_or(0);
            assert_eq!(
                (sample.size, sample.duration_ticks, sample.composition_ticks),
                (size, duration, composition)
            );
        }
    }
}

/// Some decode time.
const EARLY: u64 = 1_000;

#[test]
fn samples_of_several_tracks_in_one_moof_are_told_apart() {
    let (header, _) = MUXED.split_at(1_222);
    let inits = read_header(header).unwrap();
    let defaults = |id: u32| inits.iter().find(|(of, _)| *of == id).map(|(_, inits)| inits[0].defaults());
    let mut last_end = 0;
    for (at, moof) in moofs(MUXED) {
        let [video, audio] = [1, 2].map(|id| read_samples(defaults, moof, at, id).unwrap().samples);
        let mut all: Vec<&Sample> = video.iter().chain(&audio).collect();
        all.sort_by_key(|sample| sample.offset);
        assert_eq!(all[0].offset, at + moof.len() as u64);
        assert!(all.windows(2).all(|w| w[0].offset + u64::from(w[0].size) == w[1].offset), "each byte once");
        assert!(all[0].offset > last_end);
        last_end = all[all.len() - 1].offset;
    }
    let (at, moof) = moofs(MUXED)[0];
    assert_eq!(read_samples(defaults, moof, at, 3).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn samples_that_are_too_many_or_lie_elsewhere_are_refused() {
    let defaults =
        |size| move |_| Some(TrexDefaults { sample_description_index: 1, duration: 512, size, flags: 0 });
    let bytes = bare_fragment(0x72);
    let read = read_samples(defaults(4), &bytes, 5_000, 1).unwrap();
    let places: Vec<_> = read.samples.iter().map(|s| (s.offset, s.size, s.duration_ticks)).collect();
    assert_eq!(places, [(5_146, 4, 512), (5_150, 4, 512)]);
    let error = read_samples(defaults(5), &bytes, 5_000, 1).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().starts_with("fragment at byte 5000: "), "{error}");
    // Twenty bytes that claim two thousand million samples without a size.
    let claim =
        super::with(&bytes, b"\0\0\0\x01\0\0\0\x02\0\0\0\x92", b"\0\0\0\x01\x7f\xff\xff\xff\0\0\0\x92");
    assert_eq!(read_samples(defaults(0), &claim, 0, 1).unwrap_err().kind(), Kind::Unsupported);
    let moof_alone = &bytes[..bytes.len() - 16];
    assert_eq!(read_samples(defaults(4), moof_alone, 0, 1).unwrap_err().kind(), Kind::Invalid);
    assert_eq!(read_samples(|_| None, &bytes, 0, 1).unwrap_err().kind(), Kind::Invalid);
}

proptest! {
    #[test]
    fn damaged_fragments_have_samples_inside_their_mdat_or_none(
        n in 0..FIXTURES.len(), hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (init, _) = split(FIXTURES[n].1);
        let (at, moof) = moofs(FIXTURES[n].1)[0];
        let mut bytes = moof.to_vec();
        for (place, value) in &hits {
            let place = place.index(bytes.len());
            bytes[place] = *value;
        }
        if let Ok(read) = read_samples(|_| Some(init.defaults()), &bytes, at, init.track_id) {
            let start = at + bytes.len() as u64 - 16;
            prop_assert!(read.samples.iter().all(|s| s.size == 0 || s.offset >= start));
        }
        let _ = init_segment(&bytes, 1);
        let _ = read_traits(&bytes);
    }
}
