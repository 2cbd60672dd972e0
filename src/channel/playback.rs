//! How a channel is played back, by players themselves and by Unified Remix and Unified Origin: the keys that playlists and
//! server manifests are made by.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::resolve::{Values, at, between, parse_folder, parse_url, program};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// The longest that the program may take: no client waits longer for an answer.
const MAX_TIMEOUT: Duration = Duration::from_secs(110);

/// How a playlist says from where to where its chunks are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// In points and out points stand on the chunks: what the reference serves, and every Remix plays.
    Classic,
    /// They stand on the sequence of a run, which says that it is continuous: Remix 1.12.2 and later.
    Continuous,
}

impl FromStr for Dialect {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "classic" => Ok(Dialect::Classic),
            "continuous" => Ok(Dialect::Continuous),
            _ => Err(Error::new(Kind::Usage, format!("{text:?} is not a dialect of playlists"))
                .hint("use classic or continuous")),
        }
    }
}

/// Where players find the bytes that playlists name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// At `public_url`: a CDN, or a bucket that everybody may read. npvr has nothing to do with them.
    Direct,
    /// npvr sends players on to the bucket, with a URL that is good for a while.
    Redirect,
    /// npvr serves them itself.
    Serve,
}

impl Values {
    /// Where the media of playlists is. What is not said follows from what is known: a public URL, a bucket, a disk.
    pub(super) fn media(&self, has_public_url: bool, has_bucket: bool) -> Result<Media> {
        let media = self.text("playback.media", |word| match word {
            "direct" if has_public_url => Ok(Media::Direct),
            "direct" => Err(Error::new(Kind::Config, "there is no public_url to send players to")
                .hint("write public_url = \"https://cdn.example.com/npvr\"")),
            "redirect" if has_bucket => Ok(Media::Redirect),
            "redirect" => Err(Error::new(Kind::Config, "the chunks are in no bucket to send players to")
                .hint("use \"serve\"")),
            "serve" => Ok(Media::Serve),
            _ => Err(Error::new(Kind::Config, format!("{word:?} is no way for media to go"))
                .hint("use \"direct\", \"redirect\" or \"serve\"")),
        })?;
        Ok(media.unwrap_or(match (has_public_url, has_bucket) {
            (true, _) => Media::Direct,
            (false, true) => Media::Redirect,
            (false, false) => Media::Serve,
        }))
    }
}

/// How many keys there may be: one, and while it is changed, another.
const MOST_KEYS: usize = 2;

impl Values {
    /// The files of the keys that links are signed with.
    pub(super) fn sign_key_files(&self) -> Result<Vec<PathBuf>> {
        const KEY: &str = "playback.sign_key_files";
        let files = self.each(KEY, parse_folder)?;
        match self.all.get(KEY) {
            Some(entry) if files.len() > MOST_KEYS => {
                let error = Error::new(Kind::Config, "there are at most two keys")
                    .hint("keep the one that signs, and the one before it");
                Err(at(&entry.origin, KEY, &error))
            }
            _ => Ok(files),
        }
    }
}

/// How server manifests for Origin are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ism {
    /// The program `mp4split`: its name, looked up in `PATH`, or its path.
    pub program: String,
    /// Further arguments. They may hold keys of DRM systems.
    pub options: Vec<Secret>,
    /// How long it may take.
    pub timeout: Duration,
    /// What plays the playlists of this channel as `<remix_url>/<channel>/<START>--<END>.mp4`. Without it the program has
    /// nothing to read, and is not run.
    pub remix_url: Option<Url>,
    /// True if the program is given the keys of the channel's bucket, on its command line.
    pub s3_keys: bool,
}

impl Values {
    pub(super) fn ism(&self) -> Result<Ism> {
        let options = self.each("ism.options", |option| match option.starts_with('-') {
            true => Ok(Secret::new(option)),
            // The option is in no message: it may be a key that lost its beginning.
            false => Err(Error::new(Kind::Config, "an option begins with --")
                .hint("write them like options = [\"--hls.client_manifest_version=4\"]")),
        })?;
        Ok(Ism {
            program: self.need("ism.program", program)?,
            options,
            timeout: self.need("ism.timeout", between(Duration::from_secs(1), MAX_TIMEOUT))?,
            remix_url: self.text("ism.remix_url", base_url)?,
            s3_keys: self.switch("ism.s3_keys"),
        })
    }
}

/// What other paths are put behind.
pub(super) fn base_url(text: &str) -> Result<Url> {
    let url = parse_url(text)?;
    if url.query().is_some() {
        return Err(Error::new(Kind::Config, "paths are put behind it, so it has no part after ?"));
    }
    Ok(url)
}
