//! Refuses a ledger on a network file system: SQLite's WAL needs memory that all its users share, and locks that hold.
//!
//! <https://sqlite.org/wal.html>, "all processes using a database must be on the same host computer".

use std::path::Path;

use crate::error::{Error, Kind, Result};

/// `f_type` of statfs(2), for file systems that are always remote. Numbers as in Linux' `magic.h` and drivers.
const REMOTE: [(u64, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x7461_636f, "OCFS2"),
];
const FUSE: u64 = 0x6573_5546;

/// FUSE also carries local ones (containers without root use it), so there the mount's own type decides.
const REMOTE_FUSE: [&str; 9] =
    ["sshfs", "rclone", "s3fs", "glusterfs", "ceph", "davfs", "davfs2", "gcsfuse", "nfs"];

/// Fails if `dir` is on a network file system.
pub(super) fn refuse(dir: &Path) -> Result<()> {
    let f_type = rustix::fs::statfs(dir).map_err(std::io::Error::from)?.f_type;
    // The type of the field differs between platforms, and its upper half is sign extension on some.
    let magic = u64::from(u32::try_from(i128::from(f_type) & 0xffff_ffff).unwrap_or(0));
    let dir = dir.canonicalize()?;
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match remote_name(magic, &dir, mounts) {
        Some(name) => {
            Err(Error::new(Kind::Storage, format!("it would be on {name}, where locks do not hold"))
                .hint("point --state at a local disk; chunks may be elsewhere: see [disk] path"))
        }
        None => Ok(()),
    }
}

fn remote_name(magic: u64, dir: &Path, mounts: impl FnOnce() -> String) -> Option<String> {
    if magic == FUSE {
        let mounts = mounts();
        let (_, kind) = mounts
            .lines()
            .filter_map(mount)
            .filter(|(at, _)| dir.starts_with(at))
            .max_by_key(|(at, _)| at.len())?;
        let kind = kind.strip_prefix("fuse.").unwrap_or(kind);
        return REMOTE_FUSE.contains(&kind).then(|| kind.to_owned());
    }
    REMOTE.iter().find(|(m, _)| *m == magic).map(|(_, name)| (*name).to_owned())
}

/// Mount point and type of one line of `/proc/self/mountinfo` (proc(5)): fields up to a lone `-`, then the type.
fn mount(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    Some((before.split(' ').nth(4)?, after.split(' ').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_and_local_ones_are_not() {
        let mounts = || {
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             30 22 0:40 / /home rw shared:1 - fuse.fuse-overlayfs overlay rw\n\
             31 22 0:41 / /home/far rw - fuse.sshfs me@far:/ rw\n"
                .to_owned()
        };
        let name = |magic, dir: &str| remote_name(magic, Path::new(dir), mounts);
        assert_eq!(name(0x6969, "/home").as_deref(), Some("NFS"));
        assert_eq!(name(0xff53_4d42, "/home").as_deref(), Some("SMB"));
        assert_eq!(name(0xef53, "/home/far"), None, "ext4");
        assert_eq!(name(FUSE, "/home/me"), None);
        assert_eq!(name(FUSE, "/home/far/state").as_deref(), Some("sshfs"));
        assert_eq!(name(FUSE, "/home/farther"), None);
    }
}
