//! Fragmented MP4 (ISO/IEC 14496-12): bytes in, values out.
//!
//! What a chunk file is made of: [`header()`] assembles its start from the init segments of its tracks, [`fragments`] splits a
//! segment, [`Fragment::write_moof`] moves a fragment onto the Unix epoch and into the chunk, [`Index`] remembers where each
//! one went, and [`tail()`] ends the file. Read back, [`Traits`] say what each track is, [`init_segment`] makes a player ready
//! for one, and [`read_samples`] takes a fragment apart; [`Table`] and [`movie_head`] put samples into a file of the plain kind.
//!
//! No crate reads and writes MP4 without losing boxes that it does not know, so this module never decodes a tree and encodes
//! it again. It copies raw boxes and edits the few fields that must change. Media (`mdat`) is never touched. Nothing here
//! reads a file or a clock, and the same input always gives the same bytes. All input is hostile until it is checked: every
//! size is checked before it is used, and recursion follows fixed paths only.

mod boxes;
mod fragment;
mod header;
mod index;
mod index_bytes;
mod init;
mod moof;
mod movie;
mod numbers;
mod patch;
mod run;
mod sample_entry;
mod samples;
mod tail;
#[cfg(test)]
mod tests;
mod traits;
mod traits_bytes;

pub use boxes::{BoxHeader, BoxIter, BoxType, Boxed};
pub use fragment::{Fragment, fragments};
pub use header::{HeaderTrack, header, init_segment, read_header};
pub use index::{Index, IndexEntry, TrackIndex};
pub use init::Init;
pub use moof::{MoofInfo, TrexDefaults, read_moof};
pub use movie::{
    Aux, COLUMNS, Change, Column, Group, HeadPart, Movie, MovieEdit, MovieTrack, Table, TableSample,
    movie_head, read_aux, read_groups,
};
pub use patch::Placement;
pub use sample_entry::{Protection, SampleEntry};
pub use samples::{FragmentSamples, MAX_SAMPLES, Sample, read_samples};
pub use tail::tail;
pub use traits::{Traits, read_traits};

/// The largest `moof` that is read, in bytes: some 2,000 times the usual size.
pub const MAX_MOOF: usize = 16 << 20;
/// The largest init segment that is read, in bytes.
pub const MAX_INIT: usize = 4 << 20;
/// The largest header that is read back, in bytes: many tracks, each with many inits.
const MAX_HEADER: usize = 16 << 20;
/// The most tracks of a chunk, sample entries of a track, and `pssh` boxes: a bound for work that grows with their square.
pub const MAX_TRACKS: usize = 256;
