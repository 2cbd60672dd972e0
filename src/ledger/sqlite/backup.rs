//! A copy of the ledger that is of one moment, while other runs go on writing; whether a ledger is sound,
//! and how large it is.
//!
//! The order of effects: a temporary file beside the target, written by SQLite from one state of the ledger; checked;
//! brought to the disk; renamed. A kill before that leaves the target as it was, and a temporary file that says what it is.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tempfile::PathPersistError;

use super::read::collect;
use crate::error::{Context, Error, Kind, Result};

pub(super) fn backup(c: &Connection, to: &Path, replace: bool) -> Result<()> {
    let folder = match to.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let of_folder = || folder.display().to_string();
    // SQLite fills an empty file, and refuses any other.
    let copy = tempfile::Builder::new().prefix(".npvr-backup-").tempfile_in(folder);
    let copy = copy.with_context(of_folder)?.into_temp_path();
    let path = copy.to_str().ok_or_else(|| Error::new(Kind::Usage, "its path is not UTF-8"))?;
    c.execute("VACUUM INTO ?1", [path]).with_context(of_folder)?;
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let problems = problems(&Connection::open_with_flags(&copy, read_only)?)?;
    if let Some(problem) = problems.first() {
        return Err(Error::new(Kind::Corrupt, format!("the copy is damaged: {problem}"))
            .hint("an older backup may be better: keep it; npvr ledger check looks at the ledger itself"));
    }
    File::open(&copy).and_then(|file| file.sync_all()).with_context(of_folder)?;
    let placed = if replace { copy.persist(to) } else { copy.persist_noclobber(to) };
    placed.map_err(not_placed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(of_folder)
}

fn not_placed(e: PathPersistError) -> Error {
    match e.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::new(Kind::Usage, "it is there already").hint("choose another name; --force writes over it")
        }
        _ => Error::from(e.error),
    }
}

/// The room of the database file and of its write-ahead log, which is not there when nothing was written.
pub(super) fn size_bytes(c: &Connection) -> Result<u64> {
    let path = c.path().unwrap_or_default();
    let bytes = std::fs::metadata(path).with_context(|| path.to_owned())?.len();
    let log = std::fs::metadata(format!("{path}-wal")).map_or(0, |log| log.len());
    Ok(bytes + log)
}

/// What is wrong with a database, a sentence each; at most a hundred.
pub(super) fn problems(c: &Connection) -> Result<Vec<String>> {
    let mut found = collect(c, "PRAGMA integrity_check(100)", [], |row| Ok(row.get::<_, String>(0)?))?;
    found.retain(|line| line != "ok");
    let dangling = "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 LIMIT 100";
    found.extend(collect(c, dangling, [], |row| {
        let (table, parent, rows): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("rows of {table} that refer to no {parent}: {rows}"))
    })?);
    Ok(found)
}
