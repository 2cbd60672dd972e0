//! Where a channel's chunks go in a test that is about both kinds of store: a folder, or a bucket of a server that no one
//! here wrote. What is there is looked at past npvr: as files.

use std::fs;
use std::path::PathBuf;

use super::s3::{self, BUCKET, S3Server, SECRET};
use super::{Site, files_below};

/// A store.
pub(crate) enum Home {
    /// The archive folder of the site.
    Disk,
    /// A bucket.
    Bucket(S3Server),
}

impl Home {
    /// One of each kind.
    pub(crate) fn both() -> [Home; 2] {
        [Home::Disk, Home::Bucket(S3Server::start())]
    }

    /// The lines of a channel file.
    pub(crate) fn lines(&self) -> String {
        match self {
            Home::Disk => String::new(),
            Home::Bucket(server) => s3::lines(&server.url(), SECRET),
        }
    }

    fn folder(&self, site: &Site) -> PathBuf {
        match self {
            Home::Disk => site.archive(),
            Home::Bucket(server) => server.folder().join(BUCKET),
        }
    }

    /// Everything that is in it, by key, but for the marker of a disk.
    pub(crate) fn objects(&self, site: &Site) -> Vec<String> {
        let folder = self.folder(site);
        let key = |path: PathBuf| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        files_below(&folder).into_iter().map(key).filter(|key| key.contains('/')).collect()
    }

    /// Takes it away, as a mount or a server goes away; or brings it back.
    pub(crate) fn set_away(&self, site: &Site, away: bool) {
        let (here, aside) = (site.archive(), site.archive().with_extension("away"));
        match (self, away) {
            (Home::Bucket(server), away) => server.set_away(away),
            // Before the first check there is none.
            (Home::Disk, true) if !here.exists() => {}
            (Home::Disk, true) => fs::rename(here, aside).unwrap(),
            (Home::Disk, false) if !aside.exists() => {}
            (Home::Disk, false) => fs::rename(aside, here).unwrap(),
        }
    }
}
