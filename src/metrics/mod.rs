//! What monitoring wants to know of the archive, as Prometheus reads it: for `/metrics`, and for `check --textfile`.
//!
//! Everything comes from the ledger and the file systems, so the values are the same whichever process is asked. It reads
//! counts, what is missing and the jobs of an hour, never all cells or all jobs: a few milliseconds for a channel.
//! Instants are told as such, and not as ages: a file is read long after it was written.

mod channel;
mod file;
mod text;

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::path::Path;

use crate::capture::Workplace;
use crate::channel::Channel;
use crate::error::Result;
use crate::store::Space;
use crate::time::Time;

pub use file::write;
pub use text::{CONTENT_TYPE, Family, Sample, Sort, text};

/// What is known of the archive: of `channels`, and of the host. `unusable` channel files could not be read.
///
/// # Errors
/// Those of the ledger. A folder whose file system does not answer has no value.
pub fn archive(
    place: &Workplace,
    channels: &[impl Borrow<Channel>],
    unusable: usize,
    now: Time,
) -> Result<Vec<Family>> {
    let mut families = vec![
        Family::gauge("npvr_build_info", "The version of npvr that says this; always 1")
            .with([("version", env!("CARGO_PKG_VERSION"))], 1.0),
        Family::gauge("npvr_unusable_channels", "Channel files that cannot be used as they are")
            .with([], unusable as f64),
        Family::gauge("npvr_ledger_size_bytes", "What the database of the ledger takes")
            .with([], place.ledger.size_bytes()? as f64),
    ];
    families.extend(space(place, channels));
    let readings = channels
        .iter()
        .map(|c| channel::Reading::take(place, c.borrow(), now))
        .collect::<Result<Vec<_>>>()?;
    families.extend(channel::families(&readings));
    Ok(families)
}

/// What is free where the spool is, and where chunks go on disk. The archive under the state folder is where the spool is.
fn space(place: &Workplace, channels: &[impl Borrow<Channel>]) -> [Family; 2] {
    let disks = channels.iter().filter_map(|c| c.borrow().disk_path.as_deref());
    let folders: BTreeSet<&Path> = std::iter::once(place.spool.as_path()).chain(disks).collect();
    let mut free =
        Family::gauge("npvr_folder_free_bytes", "Free space where the spool is, or where chunks go");
    for Space { folder, free_bytes } in folders.into_iter().filter_map(|folder| Space::of(folder).ok()) {
        free.add([("folder", &folder.to_string_lossy())], free_bytes as f64);
    }
    let least =
        Family::gauge("npvr_min_free_bytes", "Where less is free, nothing more is captured: min_free");
    [free, least.with([], place.min_free_bytes as f64)]
}
