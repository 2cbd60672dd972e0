//! Opening a ledger: the lock beside it, its version, and what it may not stand on.
//!
//! The race that the lock prevents: a new npvr migrates the ledger while an older one reads it. Every open ledger holds
//! `ledger.lock` shared; creating and migrating hold it alone. Losers of a race for it find the work done.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{network, owner};
use crate::error::{Context, Error, Kind, Result};

/// The steps from an empty file to the newest version; `user_version` counts those that were taken.
const MIGRATIONS: &[&str] = &[
    include_str!("../schema/0001_first.sql"),
    include_str!("../schema/0002_holds_and_garbage.sql"),
    include_str!("../schema/0003_changes.sql"),
];

/// `npvr` in ASCII, in the file's header (<https://sqlite.org/fileformat2.html> section 1.3.14): tells a ledger from
/// the database of another program.
const APPLICATION_ID: i64 = 0x6e70_7672;

/// How long to wait for other runs, in all: a check of many channels commits in bursts.
const BUSY: Duration = Duration::from_secs(30);
/// How long a migration waits for those who have the ledger open before it looks again, and how often.
const PATIENCE: Duration = Duration::from_millis(250);
const TRIES: usize = 40;

/// How many statements a reader keeps prepared: all that a server asks for.
const STATEMENTS: usize = 64;

/// An open database, and the lock that says so. The lock is released when it is dropped, or its holder dies.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) in_use: File,
}

/// Opens the ledger in `dir`; makes folder and ledger if they are not there, and migrates an older one.
pub(super) fn open(dir: &Path) -> Result<Opened> {
    let path = dir.join("ledger.db");
    open_with(dir, &path, MIGRATIONS).with_context(|| format!("ledger {}", path.display()))
}

fn open_with(dir: &Path, path: &Path, migrations: &[&str]) -> Result<Opened> {
    std::fs::create_dir_all(dir).map_err(folder_error)?;
    network::refuse(dir)?;
    owner::refuse(dir, path)?;
    let lock_path = dir.join("ledger.lock");
    for _ in 0..TRIES {
        let in_use = open_lock(&lock_path)?;
        in_use.lock_shared()?;
        let connection = connect(path)?;
        if version(&connection, migrations.len())? == migrations.len() && is_shared(&connection)? {
            return Ok(Opened { connection, path: path.to_owned(), in_use });
        }
        // Given back before it is asked for alone: two that both hold it shared would wait for each other.
        drop((connection, in_use));
        // After a while without it, look again: another run may have done the work, and keep the ledger open since.
        if let Some(_alone) = lock_alone(&lock_path)? {
            migrate(&mut connect(path)?, migrations)?;
        }
    }
    Err(Error::new(Kind::Busy, "it has to be brought to this version, and others have it open")
        .hint("stop the other npvr processes (serve-smil too), and run this again"))
}

fn folder_error(e: std::io::Error) -> Error {
    use std::io::ErrorKind as K;
    match e.kind() {
        K::NotADirectory | K::AlreadyExists => Error::new(Kind::Storage, "the state folder is not a folder")
            .caused_by(e)
            .hint("point --state at a folder"),
        _ => Error::from(e).context("state folder").hint("point --state at a folder that can be written"),
    }
}

fn open_lock(path: &Path) -> Result<File> {
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
    opened.map_err(folder_error).context("ledger.lock")
}

/// Takes the lock alone; `None` if it is not free within [`PATIENCE`]. A lock has no time-out of its own, so another
/// thread waits for it, and lets go of it at once if nobody is there to take it any more.
fn lock_alone(path: &Path) -> Result<Option<File>> {
    let file = open_lock(path)?;
    let (give, take) = mpsc::sync_channel(0);
    std::thread::spawn(move || {
        let locked = file.lock().map(|()| file);
        drop(give.send(locked));
    });
    match take.recv_timeout(PATIENCE) {
        Ok(locked) => Ok(Some(locked?)),
        Err(_) => Ok(None),
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// One more connection to an open ledger, that can only read.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // Not opened read-only: even a reader of a WAL writes its mark into the memory that all share.
    connection.pragma_update(None, "query_only", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The version of the ledger; 0 for one that has to be made.
fn version(connection: &Connection, newest: usize) -> Result<usize> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match usize::try_from(version) {
        Ok(0) if tables == 0 => Ok(0),
        _ if application != APPLICATION_ID => {
            Err(Error::new(Kind::Corrupt, "this is the database of another program").hint("move it away"))
        }
        Ok(version) if (1..=newest).contains(&version) => Ok(version),
        _ => Err(Error::new(
            Kind::Unsupported,
            format!("it was made by a newer npvr (version {version}, here {newest})"),
        )
        .hint("use the newer npvr; it cannot be taken back to an older version")),
    }
}

/// True if readers and a writer do not wait for each other. A backup that was put in place of a ledger is not like that yet.
fn is_shared(connection: &Connection) -> Result<bool> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(mode == "wal")
}

/// Takes all missing steps in one transaction: a kill half-way leaves the old version.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<()> {
    // Kept in the file, and not possible inside a transaction. Readers and a writer do not wait for each other then.
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::new(Kind::Storage, "this file system cannot share memory between processes")
            .hint("point --state at a local disk"));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = version(&transaction, migrations.len())?;
    for (done, step) in migrations.iter().enumerate().skip(from) {
        transaction.execute_batch(step).with_context(|| format!("migration {}", done + 1))?;
    }
    let newest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", newest)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_happens_whole_or_not_at_all_and_each_step_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let open = |steps: &[&str]| open_with(dir.path(), &path, steps).map(|o| o.connection);
        let first = "CREATE TABLE a (x)";
        drop(open(&[first]).unwrap());
        let second = "INSERT INTO a VALUES (1)";
        assert!(open(&[first, second, "INSERT INTO a VALUES (2); SELECT nonsense"]).is_err());
        let count =
            |c: &Connection| c.query_row("SELECT count(*) FROM a", [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(count(&open(&[first]).unwrap()), 0, "the second step was rolled back with the third");
        assert_eq!(count(&open(&[first, second]).unwrap()), 1);
        assert_eq!(count(&open(&[first, second]).unwrap()), 1);
        assert_eq!(open(&[first]).unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn a_migration_waits_until_nobody_has_the_older_ledger_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let steps = ["CREATE TABLE a (x)", "INSERT INTO a VALUES (1)"];
        let older = open_with(dir.path(), &path, &steps[..1]).unwrap();
        assert!(lock_alone(&dir.path().join("ledger.lock")).unwrap().is_none(), "it is in use");
        std::thread::scope(|scope| {
            let newer = scope.spawn(|| open_with(dir.path(), &path, &steps).map(drop));
            drop(older);
            newer.join().unwrap().unwrap();
        });
    }
}
