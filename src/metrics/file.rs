//! A file for the textfile collector of node_exporter.
//!
//! It is read at any moment, so it is written beside its place and moved there: whole, or as it was. Its temporary name does
//! not end in `.prom`, which is all that the collector reads.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::text::{Family, text};
use crate::error::{Context, Error, Result};

/// The collector runs as a user of its own.
const MODE: u32 = 0o644;

/// Writes the families into `path`, in place of what was there.
///
/// # Errors
/// Those of the file system, with the path. What was there is as it was then.
pub fn write(path: &Path, families: &[Family]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".npvr-").suffix(".tmp").tempfile_in(folder)?;
        file.write_all(text(families).as_bytes())?;
        file.as_file().set_permissions(Permissions::from_mode(MODE))?;
        // Not brought to the disk first: after a power cut the next check writes it anew.
        file.persist(path).map_err(|e| e.error)?;
        Ok::<(), std::io::Error>(())
    };
    let hint = "the folder must be there, and npvr's user must be allowed to write into it";
    write().map_err(|e| Error::from(e).hint(hint)).with_context(|| path.display())
}
