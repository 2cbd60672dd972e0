//! Init segments and the start of a chunk.

use mp4_atom::{Decode, FourCC};

use super::{FIXTURES, MUXED, boxed, bytes_of, split, with};
use crate::error::Kind;
use crate::media::{BoxIter, HeaderTrack, Init, MAX_INIT, MAX_MOOF, fragments, header, read_header};
use crate::time::Timescale;
use crate::track::Medium;

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
fn muxed_sources_are_refused_and_say_so() {
    let file = MUXED;
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
    first.movie_timescale = Timescale::new(90_000).unwrap();
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
    // Beside two that had the number it refers to, it could mean either.
    let three = [(5, &first), (6, &second), (7, &first)].map(|(id, inits)| HeaderTrack { id, inits });
    assert!(!header(&three).unwrap().windows(4).any(|w| w == b"cdsc"));
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
