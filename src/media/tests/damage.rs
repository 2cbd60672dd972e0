//! Any input, and any placement: nothing panics, and what is written is what was asked for.

use proptest::prelude::*;

use super::{DEFAULTS, EPOCH_S, FIXTURES, init_with_defaults, place, placed, split};
use crate::media::{
    BoxIter, HeaderTrack, Init, Placement, TrexDefaults, fragments, header, read_header, read_moof,
};

/// All that can be done with bytes from outside.
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
            continue;
        }
        // What can be written can be read, and says the same.
        out.extend(fragment.mdat);
        let again = fragments(&init, &out[4..]).unwrap();
        assert_eq!(again[0].info.duration_ticks, fragment.info.duration_ticks);
        assert_eq!(again[0].info.starts_with_sync, fragment.info.starts_with_sync);
        assert_eq!(again[0].data.runs, fragment.data.runs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

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
            let read = read_moof(|_| Some(TrexDefaults::default()), &bytes).unwrap()[0];
            prop_assert_eq!(read.decode_time, i64::try_from(decode_time).ok());
            prop_assert_eq!((read.track_id, read.sequence), (track_id, sequence));
            prop_assert_eq!(read.sample_description_index, index.unwrap_or(1));
            prop_assert_eq!(read.duration_ticks, fragment.info.duration_ticks);
            prop_assert_eq!(read.starts_with_sync, fragment.info.starts_with_sync);
            prop_assert!(bytes.ends_with(fragment.mdat));
        }
    }
}
