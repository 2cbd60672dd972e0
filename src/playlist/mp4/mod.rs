//! MP4: a clip as one progressive file, of which only the head is made. Media stays where it is, in the chunks: the body of the
//! file is a list of [`Piece`]s of them.
//!
//! Nothing is decoded, so a track begins with the sync sample that its in point needs, and an edit list says what of it is
//! presented. Players, above all ffmpeg and what is made of it, heed an empty edit only at the start of a list. So where a track
//! has a hole later on, or a gap is to be kept, its last sample lasts until it goes on: pictures freeze, sound is silent, and
//! every track stays in step with the others. A frame that is only there because the last ones need it is shown then, at its time.

mod choice;
mod film;
mod frame;
mod place;
mod strip;
#[cfg(test)]
mod tests;

pub use choice::Choice;
pub use film::{Film, FragmentMedia, Job, Piece, Wanted};
pub use frame::Frame;
