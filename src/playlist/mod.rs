//! What is written of a clip: each file a form, from values to text or bytes. Pure.
//!
//! A line above `clip`, whose runs it takes as they are: the runs are the decision, and nothing is decided here.

mod addresses;
pub mod dash;
mod gaps;
pub mod hls;
mod ism;
pub mod mp4;
mod smil;

pub use addresses::Addresses;
pub use gaps::Gaps;
pub use ism::ism;
pub use smil::{smil, smil_with};

/// What every SMIL document begins with.
const HEAD: &str = "<?xml version='1.0' encoding='UTF-8'?>\n";
/// Its outermost element.
const ROOT: &str = "<smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\">\n";
