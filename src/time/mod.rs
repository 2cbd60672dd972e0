//! Time as types: instants on the UTC line, lengths of time, media time in ticks, and sets of ranges.
//!
//! An instant is not a number: nothing here is a float, arithmetic saturates or is checked, and a raw integer
//! carries its unit in its name. All ranges are half-open, all instants are UTC.

mod duration;
mod instant;
mod media;
mod range;

pub use duration::{format_duration, human_duration, parse_duration};
pub use instant::{Time, TimeText};
pub use media::{MediaTime, Timescale};
pub use range::{Range, Ranges, typed_time};
