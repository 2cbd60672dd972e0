//! Politeness and bounds, one set per channel: how many connections, how many bytes a second, how much memory.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use crate::clock::Tick;
use crate::error::{Error, Kind, Result};

/// Bodies that are in flight hold at most this, together; and one of them may outgrow its share.
const BUDGET_BYTES: u64 = 32 << 20;
/// The budget is counted in pieces, since a semaphore counts in 32 bits.
const PIECE_BYTES: u64 = 64 << 10;
/// What is set aside for a body of which nothing is known.
const LEAST_BYTES: u64 = 256 << 10;
/// What may be taken at once after a pause.
const BURST: Duration = Duration::from_millis(250);

/// The limits that all requests of one channel share.
pub(super) struct Limits {
    connections: Semaphore,
    budget: Semaphore,
    /// Held by the one body that has outgrown its share: it alone may go past the budget, up to the limit of a segment.
    overflow: Mutex<()>,
    rate: Option<Rate>,
}

/// Memory that is set aside for one body, until it is dropped.
pub(super) struct Share<'l> {
    limits: &'l Limits,
    bytes: u64,
    _pieces: SemaphorePermit<'l>,
    overflow: Option<MutexGuard<'l, ()>>,
}

struct Rate {
    bytes_per_s: u64,
    since: Tick,
    /// When, counted from `since`, all that was taken so far has been paid for.
    paid: Mutex<Duration>,
}

impl Limits {
    pub(super) fn new(max_connections: usize, max_bytes_per_s: Option<u64>) -> Limits {
        let pieces = usize::try_from(BUDGET_BYTES / PIECE_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        let rate = max_bytes_per_s.map(|bytes_per_s| Rate {
            bytes_per_s: bytes_per_s.max(1),
            since: Tick::now(),
            paid: Mutex::new(Duration::ZERO),
        });
        Limits {
            connections: Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)),
            budget: Semaphore::new(pieces),
            overflow: Mutex::new(()),
            rate,
        }
    }

    /// Waits for a connection, which is free again when the permit is dropped.
    pub(super) async fn connection(&self) -> Result<SemaphorePermit<'_>> {
        self.connections.acquire().await.map_err(|_| closed())
    }

    /// Waits for memory for a body of about `expected` bytes. Taken before a connection, never while one is held.
    pub(super) async fn memory(&self, expected: u64) -> Result<Share<'_>> {
        let bytes = expected.clamp(LEAST_BYTES, BUDGET_BYTES);
        let pieces = u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
        let pieces = self.budget.acquire_many(pieces).await.map_err(|_| closed())?;
        Ok(Share { limits: self, bytes, _pieces: pieces, overflow: None })
    }

    /// Waits until `bytes` more may be taken off the network; says how long that was.
    pub(super) async fn pay(&self, bytes: usize) -> Duration {
        let Some(rate) = &self.rate else { return Duration::ZERO };
        let wait = {
            let mut paid = rate.paid.lock().await;
            let now = rate.since.elapsed();
            let ns = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000);
            let cost = u64::try_from(ns / u128::from(rate.bytes_per_s)).unwrap_or(u64::MAX);
            *paid = paid.max(now).saturating_add(Duration::from_nanos(cost));
            paid.saturating_sub(now).saturating_sub(BURST)
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        wait
    }
}

impl Share<'_> {
    /// Makes sure that `bytes` in all may be held; waits while another body is past its share.
    pub(super) async fn grow(&mut self, bytes: u64) {
        if bytes > self.bytes && self.overflow.is_none() {
            self.overflow = Some(self.limits.overflow.lock().await);
        }
    }
}

fn closed() -> Error {
    Error::new(Kind::Io, "the connection pool is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_shared_and_one_body_at_a_time_may_outgrow_its_share() {
        let limits = Limits::new(1, None);
        let mut a = limits.memory(16 << 20).await.unwrap();
        let mut b = limits.memory(16 << 20).await.unwrap();
        assert_eq!(limits.budget.available_permits(), 0);
        a.grow(17 << 20).await;
        a.grow(200 << 20).await;
        assert!(limits.overflow.try_lock().is_err());
        b.grow(16 << 20).await;
        drop(a);
        b.grow(17 << 20).await;
        drop(b);
        assert!(limits.overflow.try_lock().is_ok());
        assert_eq!(limits.budget.available_permits(), 512);
        limits.memory(u64::MAX).await.unwrap();
    }

    #[tokio::test]
    async fn bytes_are_paid_for_at_the_rate_after_a_burst() {
        let limits = Limits::new(1, Some(1_000_000));
        assert_eq!(limits.pay(100_000).await, Duration::ZERO);
        let waited = limits.pay(200_000).await;
        assert!(waited > Duration::from_millis(20) && waited <= Duration::from_millis(50), "{waited:?}");
        assert_eq!(Limits::new(1, None).pay(usize::MAX).await, Duration::ZERO);
    }
}
