//! MP4 from outside, as a source or a damaged archive may send it: any answer will do but a panic, a hang or a large
//! allocation.
//!
//! Run it with `cargo +nightly fuzz run boxes fuzz/corpus/boxes tests/fixtures/media`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use npvr::media::{
    BoxIter, HeaderTrack, Index, Init, Placement, TrexDefaults, fragments, header, init_segment, read_header,
    read_moof, read_samples, read_traits, tail,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(index) = Index::decode(data) {
        let again = Index::decode(&index.encode()).expect("what was written can be read");
        assert_eq!(again.in_file_order(), index.in_file_order());
        assert!(again.tracks.iter().map(|t| &t.traits).eq(index.tracks.iter().map(|t| &t.traits)));
        let _ = (index.is_muxed(), index.header_bytes());
        let _ = tail(&index);
    }
    let moof = BoxIter::new(data).flatten().find(|b| b.kind.0 == *b"moof");
    let (start, media) = data.split_at(moof.map_or(data.len(), |b| b.offset));
    let _ = read_moof(|_| Some(TrexDefaults::default()), media);
    let _ = read_samples(|_| Some(TrexDefaults::default()), media, 1 << 40, 1);
    let _ = read_traits(start);
    if let Ok(read) = read_header(start) {
        let tracks: Vec<_> = read.iter().map(|(id, inits)| HeaderTrack { id: *id, inits }).collect();
        let _ = header(&tracks);
        if let Ok(alone) = init_segment(start, read[0].0) {
            assert_eq!(read_header(&alone).expect("what was written can be read").len(), 1);
        }
    }
    let Ok(init) = Init::parse(start) else { return };
    let place =
        Placement { track_id: 2, sequence: 3, decode_time: 1 << 50, sample_description_index: Some(4) };
    for fragment in fragments(&init, media).into_iter().flatten() {
        let mut out = Vec::new();
        if fragment.write_moof(&place, &mut out).is_ok() {
            out.extend(fragment.mdat);
            let again = fragments(&init, &out).expect("what was written can be read");
            assert_eq!(again[0].info.duration_ticks, fragment.info.duration_ticks);
        }
    }
});
