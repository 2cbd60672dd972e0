//! Whether files of the configuration have changed since they were read: without reading them.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the file system says of a folder's files. Another one after any of them was changed, added or removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp(Vec<(OsString, FileStamp)>);

/// What changes with a file's text: a replaced file is another one, and an edited one has another time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// That of `settings`, and of all files in `folder`. What cannot be looked at is as good as not there.
    pub(super) fn of(settings: &Path, folder: &Path) -> Stamp {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| Some((entry.file_name(), FileStamp::of(&entry.path())?)));
        let settings = FileStamp::of(settings).map(|stamp| (OsString::new(), stamp));
        let mut all: Vec<_> = settings.into_iter().chain(files).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Stamp(all)
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<FileStamp> {
        let data = std::fs::metadata(path).ok()?;
        Some(FileStamp { inode: data.ino(), bytes: data.len(), changed: (data.ctime(), data.ctime_nsec()) })
    }
}
