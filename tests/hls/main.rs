//! HLS: playlists by the rules, and as players take them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod m3u8;
mod pure;
