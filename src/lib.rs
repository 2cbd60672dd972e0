//! npvr: live channels become a permanent archive.

pub mod clock;
pub mod error;
pub mod grid;
pub mod media;
pub mod sim;
pub mod source;
pub mod time;
pub mod timeline;
pub mod track;
