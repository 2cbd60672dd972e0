//! The suite on a folder, and what only a disk can suffer: no mount, another file system, dead writers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::*;
use crate::store::suite::{Fixture, store_suite};

fn fixture() -> Fixture<DiskStore> {
    let keep = tempfile::tempdir().unwrap();
    let store = DiskStore::open_or_create(&keep.path().join("archive")).unwrap();
    Fixture { store, spool: tempfile::tempdir_in(keep.path()).unwrap(), keep }
}

/// The spool on another file system, where no link can be made to it.
fn across_file_systems() -> Option<Fixture<DiskStore>> {
    let mut fixture = fixture();
    let device = |path: &Path| std::fs::metadata(path).map(|m| m.dev()).ok();
    let shm = Path::new("/dev/shm");
    if device(shm).is_none() || device(shm) == device(&fixture.store.root) {
        return None;
    }
    fixture.spool = tempfile::tempdir_in(shm).ok()?;
    Some(fixture)
}

mod on_one_file_system {
    use super::*;
    store_suite!(fixture());
}

/// Where the machine has only one file system this is the first run again.
mod across_two_file_systems {
    use super::*;
    store_suite!(across_file_systems().unwrap_or_else(fixture));
}

/// Every name in a folder and below it.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    let mut names: Vec<String> = entries
        .flat_map(|e| {
            let below = if e.path().is_dir() { names(&e.path()) } else { Vec::new() };
            below.into_iter().chain([e.file_name().into_string().unwrap()])
        })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_unmounted_store_is_not_an_empty_one() {
    let f = fixture();
    f.put("a/b", b"x").await;
    let (path, digest) = f.file(b"y");
    let root = f.store.root.to_path_buf();
    // What an unmounted disk looks like: first no folder at all, then an empty mount point.
    std::fs::rename(&root, root.with_extension("away")).unwrap();
    for _ in 0..2 {
        assert!(!DiskStore::is_initialised(&root).unwrap());
        assert_eq!(DiskStore::open(&root).unwrap_err().kind(), Kind::TryLater);
        assert_eq!(f.store.head("a/b").await.unwrap_err().kind(), Kind::TryLater);
        assert_eq!(f.read("a/b", None).await.unwrap_err().kind(), Kind::TryLater);
        assert_eq!(f.store.list("", None, 9).await.unwrap_err().kind(), Kind::TryLater);
        assert_eq!(f.store.put("a/c", &path, &digest).await.unwrap_err().kind(), Kind::TryLater);
        assert_eq!(f.store.delete(&["a/b".to_owned()]).await[0].1.kind(), Kind::TryLater);
        assert_eq!(f.store.sweep("", Time::MAX).await.unwrap_err().kind(), Kind::TryLater);
        let _ = std::fs::create_dir(&root);
        assert_eq!(names(&root), [""; 0], "nothing is written to the wrong disk");
    }
}

#[tokio::test]
async fn a_folder_is_no_object() {
    let f = fixture();
    f.put("a/b", b"x").await;
    assert_eq!(f.store.head("a").await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(f.read("a", None).await.unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn a_store_that_cannot_be_made_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for root in [file.clone(), file.join("below"), Path::new("/proc/npvr").to_owned()] {
        let e = DiskStore::open_or_create(&root).unwrap_err();
        assert!(e.to_string().contains(root.to_str().unwrap()), "{e}");
        assert_ne!(e.kind(), Kind::TryLater, "{e}");
    }
}

#[tokio::test]
async fn a_put_on_one_file_system_takes_no_second_copy_and_leaves_no_other_name() {
    let f = fixture();
    let (path, digest) = f.file(b"x");
    f.store.put("a/b", &path, &digest).await.unwrap();
    f.store.put("a/b", &path, &digest).await.unwrap();
    let inode = |p: &Path| std::fs::metadata(p).unwrap().ino();
    assert_eq!(inode(&path), inode(&f.store.root.join("a/b")));
    assert_eq!(names(&f.store.root), [MARKER, "a", "b"]);
}

#[tokio::test]
async fn a_copy_keeps_the_permissions_of_the_file_and_leaves_no_other_name() {
    use std::os::unix::fs::PermissionsExt;
    let Some(f) = across_file_systems() else { return };
    let (path, digest) = f.file(b"x");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    f.store.put("a", &path, &digest).await.unwrap();
    assert_eq!(std::fs::metadata(f.store.root.join("a")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(
        f.store.put("a", &path, &Digest { bytes: 2, ..digest }).await.unwrap_err().kind(),
        Kind::Corrupt
    );
    assert_eq!(names(&f.store.root), [MARKER, "a"]);
}

#[tokio::test]
async fn unfinished_objects_are_in_no_listing_and_go_after_a_day() {
    let f = fixture();
    f.put("a/b", b"x").await;
    let left_over = f.store.root.join("a").join(".tmp-dead");
    std::fs::write(&left_over, "half").unwrap();
    let made = Time::from_s(std::fs::metadata(&left_over).unwrap().ctime());
    assert_eq!(f.store.list("", None, 9).await.unwrap().len(), 1);
    assert_eq!(f.store.sweep("a/", made.offset_ns(86_400_000_000_000)).await.unwrap(), 0);
    let later = made.offset_ns(86_401_000_000_000);
    for other in ["b/", "a-/", "aa/", "a/b/"] {
        assert_eq!(f.store.sweep(other, later).await.unwrap(), 0, "{other}");
    }
    assert_eq!(f.store.sweep("a/", later).await.unwrap(), 1);
    assert_eq!(names(&f.store.root), [MARKER, "a", "b"]);
}

#[tokio::test]
async fn what_a_killed_put_left_goes_with_the_next_one_and_what_another_has_in_hand_stays() {
    let f = fixture();
    f.put("a/b", b"x").await;
    let folder = f.store.root.join("a");
    let ((ours, digest), (theirs, _)) = (f.file(b"y"), f.file(b"z"));
    std::fs::hard_link(&ours, folder.join(".tmp-of-this-file")).unwrap();
    std::fs::hard_link(&theirs, folder.join(".tmp-of-another-file")).unwrap();
    std::fs::write(folder.join(".tmp-dead-copy"), "half").unwrap();
    std::fs::write(folder.join(".tmp-live-copy"), "half").unwrap();
    let live = std::fs::File::open(folder.join(".tmp-live-copy")).unwrap();
    live.lock().unwrap();
    f.store.put("a/c", &ours, &digest).await.unwrap();
    assert_eq!(names(&folder), [".tmp-live-copy", ".tmp-of-another-file", "b", "c"]);
}

#[tokio::test]
async fn deleting_the_last_object_takes_its_folders_away() {
    let f = fixture();
    f.put("a/1/x", b"x").await;
    f.put("a/2/x", b"x").await;
    assert!(f.store.delete(&["a/1/x".to_owned()]).await.is_empty());
    assert_eq!(names(&f.store.root), [MARKER, "2", "a", "x"]);
    assert!(f.store.delete(&["a/2/x".to_owned()]).await.is_empty());
    assert_eq!(names(&f.store.root), [MARKER]);
}

#[tokio::test]
async fn an_object_cut_short_while_it_is_read_ends_in_an_error() {
    use futures_util::TryStreamExt;
    let f = fixture();
    f.put("a", &vec![1; 600_000]).await;
    let mut reading = f.store.get("a", None).await.unwrap();
    reading.bytes.try_next().await.unwrap().unwrap();
    std::fs::File::options().write(true).open(f.store.root.join("a")).unwrap().set_len(300_000).unwrap();
    assert_eq!(reading.bytes.try_collect::<Vec<_>>().await.unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn errors_of_the_disk_have_their_kinds() {
    // Linux errno: ENOSPC, EDQUOT, EROFS, EACCES, EPERM, ESTALE, ENOTCONN, ETIMEDOUT, EIO.
    for (errno, kind) in [
        (28, Kind::Storage),
        (122, Kind::Storage),
        (30, Kind::Storage),
        (13, Kind::Denied),
        (1, Kind::Denied),
        (116, Kind::TryLater),
        (107, Kind::TryLater),
        (110, Kind::TryLater),
        (5, Kind::Io),
    ] {
        assert_eq!(failed(io::Error::from_raw_os_error(errno)).kind(), kind, "{errno}");
    }
}

#[tokio::test]
async fn the_space_is_that_of_its_own_file_system() {
    let fixture = fixture();
    let space = fixture.store.space().await.unwrap().unwrap();
    assert_eq!(space.folder, *fixture.store.root);
    assert!(space.free_bytes > 0);
    // A file system that is always full; and what is not there yet has the space of what is above it.
    assert_eq!(Space::of(Path::new("/proc/self")).unwrap().free_bytes, 0);
    let below = fixture.store.root.join("not/there/yet");
    assert_eq!(Space::of(&below).unwrap().folder, below);
}
