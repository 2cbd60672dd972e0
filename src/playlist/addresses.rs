//! Where a playlist says that things are: the one thing of a playlist of fragments that is no matter of the clip.

use crate::grid::Cell;

/// Makes the addresses in a playlist; relative ones are relative to the playlist itself. They stand in it as they are, so they
/// have only what is plain in a URL, `&` of a query being escaped by who writes XML.
pub trait Addresses {
    /// Of the chunk of a cell.
    fn chunk(&self, cell: Cell) -> String;
    /// Of the init segment that the fragments of a track, by its number in the file, need in the chunk of a cell.
    fn init(&self, cell: Cell, file_track_id: u32) -> String;
    /// Of a file without media: what a segment that is not there is said to be, for players that ask for it all the same.
    fn nothing(&self) -> String;
}
