//! A channel: a live stream that is archived. Raw TOML becomes one validated type here, once.
//!
//! Deeper code never sees an `Option` that has a default, or a raw string. Every default and limit is in the table of
//! keys ([`KEYS`]) and in [`Channel::resolve`]. Pure: the text of a file comes in, together with a way to look up a
//! password that is kept elsewhere; `channels` does the reading.

mod bucket;
mod engine;
mod keys;
mod name;
mod playback;
mod rate;
mod raw;
mod resolve;
mod serve;
mod settings;
mod size;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

pub use bucket::{S3, S3Keys};
pub use engine::{Engine, Unified};
pub use keys::{Form, KEYS, Key, nearest};
pub use name::Name;
pub use playback::{Dialect, Ism, Media};
pub use rate::{format_rate, parse_rate};
pub use raw::{Layer, Origin};
pub use resolve::SecretFrom;
pub use serve::{HlsJs, Serve};
pub use settings::Settings;
pub use size::{format_size, parse_size};

use crate::grid::Grid;
use crate::secret::Secret;
use crate::track::Select;

/// A channel, ready for use: every value is there, and valid.
#[derive(Clone)]
pub struct Channel {
    /// Its name: the name of its file.
    pub name: Name,
    /// Where the live stream is; http or https, without user and password. Its query may hold a token: show it with
    /// `source::redacted`.
    pub url: Url,
    /// What captures it.
    pub engine: Engine,
    /// False if `check` is to leave it alone.
    pub enabled: bool,
    /// Its grid: how long a chunk is.
    pub grid: Grid,
    /// How long a chunk is kept.
    pub archive_length: Duration,
    /// The most bytes that its chunks may take; `None` is no limit.
    pub archive_size: Option<u64>,
    /// Which tracks are archived; empty means all.
    pub tracks: Vec<Select>,
    /// A cell that would be lost within this time of being ready is captured before it ends, piece by piece.
    pub margin: Duration,
    /// How far past a cell's end a track must be before the cell is settled; `None` lets the source decide.
    pub settle: Option<Duration>,
    /// Requests at once to its source.
    pub max_connections: usize,
    /// Bytes a second from its source; `None` is no limit.
    pub max_bytes_per_s: Option<u64>,
    /// User name for its source.
    pub username: Option<String>,
    /// Password for its source.
    pub password: Option<Secret>,
    /// Request headers for its source, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long a source may stay silent within an answer.
    pub read_timeout: Duration,
    /// The folder of its disk store, absolute; `None` is the one under the state folder.
    pub disk_path: Option<PathBuf>,
    /// Its bucket; `None` if its store is a disk.
    pub s3: Option<S3>,
    /// What playlists point at instead of the store: chunks are at their keys below it.
    pub public_url: Option<Url>,
    /// How its playlists are written, unless a request asks for another dialect.
    pub smil_dialect: Dialect,
    /// How its server manifests are made.
    pub ism: Ism,
    /// Where players find the bytes that HLS and DASH playlists name.
    pub media: Media,
    /// Files of the keys that links for playback are signed with, the one that signs first. Empty: no link has to be signed.
    pub sign_key_files: Vec<PathBuf>,
    effective: Vec<Setting>,
}

/// One value of a channel, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, with its table: `disk.path`.
    pub key: String,
    /// The value as it would stand in the file; secrets are redacted.
    pub shown: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Channel {
    /// Every value that is in force, and where it came from, in the order of [`KEYS`]. What is not set and has no
    /// default is left out.
    pub fn effective(&self) -> &[Setting] {
        &self.effective
    }
}

impl fmt::Debug for Channel {
    /// What [`Channel::effective`] shows: the URL's query stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.effective.iter().map(|s| (&s.key, &s.shown));
        write!(f, "Channel {} ", self.name)?;
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests;
