//! Whose turn it is: so many captures fetch at once, and so many store at once, each lane for itself.
//!
//! So the source is kept busy while a chunk is on its way to the store. A capture changes lanes when its put begins, and until
//! there is room in the other lane it goes on counting in its own: a store that is slow, or does not answer, holds the
//! fetching up, and no more finished spools wait for it than there are captures in both lanes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Both lanes.
pub struct Lanes {
    fetching: Arc<Semaphore>,
    storing: Arc<Semaphore>,
}

/// Leave to work on one cell: in the fetching lane, then in the storing lane. It ends when it is dropped.
pub struct Turn {
    in_lane: Option<OwnedSemaphorePermit>,
    storing: Arc<Semaphore>,
}

impl Lanes {
    /// Lanes for `parallel` captures each.
    pub fn new(parallel: usize) -> Lanes {
        Lanes { fetching: Arc::new(Semaphore::new(parallel)), storing: Arc::new(Semaphore::new(parallel)) }
    }

    /// The next turn to fetch; waits for it. Nothing is lost if nobody waits to the end.
    pub async fn turn(&self) -> Turn {
        // An error would say that the lane is closed, which it never is.
        let in_lane = Arc::clone(&self.fetching).acquire_owned().await.ok();
        Turn { in_lane, storing: Arc::clone(&self.storing) }
    }
}

impl Turn {
    /// Changes to the storing lane; waits for room in it.
    pub(super) async fn store(&mut self) {
        // The place in the lane before is free once there is one in this.
        self.in_lane = Arc::clone(&self.storing).acquire_owned().await.ok();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_fetches_while_another_stores_and_a_third_waits_for_both() {
        let lanes = Lanes::new(1);
        let turn = || lanes.turn().now_or_never();
        let mut first = turn().unwrap();
        assert!(turn().is_none(), "one at a time");
        first.store().now_or_never().unwrap();
        let mut second = turn().unwrap();
        assert!(second.store().now_or_never().is_none(), "the first still stores");
        assert!(turn().is_none(), "and the second, which is done with fetching, counts there");
        drop(first);
        second.store().now_or_never().unwrap();
        let third = turn().unwrap();
        drop((second, third));
        assert!(turn().is_some());
    }
}
