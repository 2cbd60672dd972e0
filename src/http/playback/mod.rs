//! Playback by players themselves, straight from chunk files: playlists of fragments, and what players need besides.
//!
//! A playlist is made of a [`Scene`]: what a request asks for, down to the fragments. It says where things are by
//! [`Places`]: chunks where the channel says that they are, all else here.

pub(super) mod dash;
pub(super) mod flussonic;
pub(super) mod frame;
mod headers;
pub(super) mod hls;
pub(super) mod init;
mod movies;
pub(super) mod mp4;
mod part;
mod places;
mod scene;
pub(super) mod short;
pub(super) mod time;

pub(super) use headers::Headers;
pub(super) use movies::Movies;

use places::Places;
use scene::{Scene, scene};

use super::Routes;

/// The routes of this folder.
pub(super) fn routes(to: &mut Routes) {
    dash::routes(to);
    flussonic::routes(to);
    hls::routes(to);
    init::routes(to);
    short::routes(to);
    time::routes(to);
    frame::routes(to);
    mp4::routes(to);
}
