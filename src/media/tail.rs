//! The end of a chunk file: `mfra`, where a player that has no index finds its random access points.

use super::boxes::{put_box, put_version_flags};
use super::index::{Index, TrackIndex};
use crate::error::Result;

/// `mfra` (14496-12 §8.8.9): for each track a `tfra` with the decode times and places of the fragments that start with a sync
/// sample, then `mfro`, by which the box is found from the end of the file.
///
/// # Errors
/// [`crate::error::Kind::Unsupported`] if it would be over 4 GiB.
pub fn tail(index: &Index) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    put_box(&mut out, b"mfra", |out| {
        index.tracks.iter().try_for_each(|track| put_tfra(out, track))?;
        // The size of the whole mfra, of which only the 16 bytes of mfro are not there yet.
        let size = u32::try_from(out.len().saturating_add(16)).unwrap_or(u32::MAX);
        put_box(out, b"mfro", |out| {
            put_version_flags(out, 0, 0);
            out.extend(size.to_be_bytes());
            Ok(())
        })
    })?;
    Ok(out)
}

/// `tfra` (§8.8.10), version 1: 64-bit times and places; `traf`, `trun` and sample numbers of one byte, all 1.
fn put_tfra(out: &mut Vec<u8>, track: &TrackIndex) -> Result<()> {
    put_box(out, b"tfra", |out| {
        put_version_flags(out, 1, 0);
        out.extend(track.track_id.to_be_bytes());
        out.extend([0; 4]);
        let sync = || track.fragments.iter().filter(|f| f.sync);
        // A number too large would make the box too large as well, which put_box refuses.
        out.extend(u32::try_from(sync().count()).unwrap_or(u32::MAX).to_be_bytes());
        for fragment in sync() {
            out.extend(fragment.decode_time.to_be_bytes());
            out.extend(fragment.moof_offset.to_be_bytes());
            out.extend([1, 1, 1]);
        }
        Ok(())
    })
}
