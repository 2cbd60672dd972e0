//! The head of a progressive MP4: `ftyp`, a `moov` with tables of samples, and the header of the `mdat` behind it.
//!
//! A day of media has fifteen million samples, whose tables no memory should hold. So they are made column by column
//! ([`Table`]), handed out as they grow, and kept by whoever makes the file; the head is then a list of parts ([`HeadPart`]):
//! some bytes, and between them columns that are copied into their places. Two of them change on their way: where chunks are
//! is known only when the head is as long as it will be, and how far composition times reach below zero only at the end.

mod aux;
mod groups;
mod head;
mod table;
mod trak;

pub use aux::{Aux, read_aux};
pub use groups::{Group, read_groups};
pub use head::{Change, HeadPart, Movie, MovieEdit, MovieTrack, movie_head};
pub use table::{COLUMNS, Column, Table, TableSample};
