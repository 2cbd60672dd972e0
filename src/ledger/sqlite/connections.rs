//! The connections of one handle: one that writes, and a few that only read.
//!
//! WAL lets readers and a writer go side by side, but a connection does one thing at a time. So readers of a server have
//! connections of their own: they wait neither for a writer of the same process nor for each other. A process that does one
//! thing at a time, as most subcommands do, never opens a second one: until two want one at once, reads go where writes go.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use super::open;
use crate::error::Result;

/// How many connections read at once. More would only wait for the processor.
const READERS: usize = 4;

/// See the module.
pub(super) struct Connections {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Set once two wanted the writer at once; reads have their own connections from then on, so that a busy server cannot
    /// keep its writer from its turn.
    is_shared: AtomicBool,
    readers: Mutex<Readers>,
    /// Told when a reader is done.
    done: Condvar,
}

/// The connections that only read.
#[derive(Default)]
struct Readers {
    /// Open, and not in use.
    idle: Vec<Connection>,
    busy: usize,
}

impl Connections {
    /// The connections to the ledger at `path`, which `writer` has open.
    pub(super) fn new(path: PathBuf, writer: Connection) -> Self {
        let writer = Mutex::new(writer);
        let (is_shared, readers, done) = (AtomicBool::new(false), Mutex::default(), Condvar::new());
        Self { path, writer, is_shared, readers, done }
    }

    /// The connection that writes; waits for it. A panic in another thread rolled its transaction back, so it is fit for use.
    pub(super) fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends a connection for reading; waits until there is one.
    pub(super) fn reading<T>(&self, look: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        if !self.is_shared.load(Ordering::Relaxed) {
            match self.writer.try_lock() {
                Ok(mut writer) => return look(&mut writer),
                Err(TryLockError::Poisoned(e)) => return look(&mut e.into_inner()),
                Err(TryLockError::WouldBlock) => self.is_shared.store(true, Ordering::Relaxed),
            }
        }
        let turn = self.turn();
        let idle = self.readers().idle.pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => open::reader(&self.path)?,
        };
        let seen = look(&mut reader);
        self.readers().idle.push(reader);
        drop(turn);
        seen
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> Turn<'_> {
        let wait = self.done.wait_while(self.readers(), |readers| readers.busy >= READERS);
        wait.unwrap_or_else(PoisonError::into_inner).busy += 1;
        Turn(self)
    }
}

/// The right to one of the readers; given back also by a panic, which takes the connection with it.
struct Turn<'a>(&'a Connections);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.readers().busy -= 1;
        self.0.done.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::ledger::{Ledger, SqliteLedger};
    use crate::time::Time;

    fn opened(connections: &Connections) -> usize {
        let readers = connections.readers();
        assert_eq!(readers.busy, 0);
        readers.idle.len()
    }

    #[test]
    fn who_does_one_thing_at_a_time_has_one_connection() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        ledger.open_channel("news", Time::EPOCH, Time::EPOCH).unwrap();
        assert_eq!(ledger.since("news").unwrap(), Some(Time::EPOCH));
        assert_eq!(ledger.channels().unwrap(), ["news"]);
        assert_eq!(opened(&ledger.connections), 0);
    }

    #[test]
    fn readers_do_not_wait_for_the_writer_and_see_what_was_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        ledger.open_channel("news", Time::EPOCH, Time::EPOCH).unwrap();
        let writer = ledger.connections.writer();
        writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO channel (name) VALUES ('sports')").unwrap();
        assert_eq!(ledger.channels().unwrap(), ["news"]);
        writer.execute_batch("COMMIT").unwrap();
        drop(writer);
        assert_eq!(ledger.channels().unwrap(), ["news", "sports"], "what was written is read at once");
        assert_eq!(opened(&ledger.connections), 1);
    }

    #[test]
    fn a_crowd_of_readers_shares_a_few_connections() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        ledger.open_channel("news", Time::EPOCH, Time::EPOCH).unwrap();
        ledger.connections.is_shared.store(true, Ordering::Relaxed);
        let all_in = Barrier::new(READERS);
        std::thread::scope(|scope| {
            for _ in 0..READERS {
                scope.spawn(|| ledger.connections.reading(|_| Ok(all_in.wait().is_leader())).unwrap());
            }
            for _ in 0..16 {
                scope.spawn(|| (0..20).for_each(|_| assert_eq!(ledger.channels().unwrap(), ["news"])));
            }
        });
        assert_eq!(opened(&ledger.connections), READERS);
    }

    #[test]
    fn a_reader_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        ledger.connections.is_shared.store(true, Ordering::Relaxed);
        let refused = ledger.connections.reading(|c| Ok(c.execute("DELETE FROM channel", [])?)).unwrap_err();
        assert!(refused.to_string().contains("cannot be written"), "{refused}");
    }

    #[test]
    fn a_panic_takes_no_turn_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        ledger.connections.is_shared.store(true, Ordering::Relaxed);
        for _ in 0..=READERS {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                ledger.connections.reading::<()>(|_| panic!("as a test has it"))
            }));
            assert!(panicked.is_err());
        }
        assert_eq!(ledger.channels().unwrap(), Vec::<String>::new());
    }
}
