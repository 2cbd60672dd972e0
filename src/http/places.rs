//! How many connections there may be, and which one makes room for a new one when there are no more places.
//!
//! The one that has been waiting longest for its client goes: it is idle, or half-sent, or reads too slowly. So those who
//! only hold connections open take them from each other, and whoever sends a request is answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::wire::Pulse;
use crate::clock::Tick;

/// All places.
pub(super) struct Places {
    most: usize,
    origin: Tick,
    open: Mutex<Open>,
    freed: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    pulses: HashMap<u64, Arc<Pulse>>,
    /// How many of them have been asked to go, and have not gone yet.
    parting: usize,
}

/// The place of one connection, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    pub(super) pulse: Arc<Pulse>,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Places> {
        Arc::new(Places { most, origin: Tick::now(), open: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a new connection; where all are taken, that of the one that has been waiting longest, as soon as it has
    /// gone. `None` if every client is waiting for us.
    pub(super) async fn take(self: &Arc<Places>) -> Option<Place> {
        loop {
            let freed = self.freed.notified();
            {
                let mut open = self.lock();
                if open.pulses.len() < self.most {
                    return Some(self.give(&mut open));
                }
                if open.parting == 0 && !open.evict() {
                    return None;
                }
            }
            freed.await;
        }
    }

    /// Closes the connection that has been waiting longest, and waits until it has gone. False if there is none that waits.
    pub(super) async fn make_room(&self) -> bool {
        let freed = self.freed.notified();
        let evicted = self.lock().evict();
        if evicted {
            freed.await;
        }
        evicted
    }

    fn give(self: &Arc<Places>, open: &mut Open) -> Place {
        let (number, pulse) = (open.next, Arc::new(Pulse::new(self.origin)));
        open.next += 1;
        open.pulses.insert(number, Arc::clone(&pulse));
        Place { places: Arc::clone(self), number, pulse }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn evict(&mut self) -> bool {
        let waiting = self.pulses.iter().filter_map(|(number, pulse)| Some((pulse.waits_since()?, *number)));
        let longest = waiting.min().and_then(|(_, number)| self.pulses.get(&number));
        if let Some(pulse) = longest {
            pulse.part();
            self.parting += 1;
        }
        longest.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.lock();
        open.pulses.remove(&self.number);
        open.parting -= usize::from(self.pulse.is_parting());
        drop(open);
        self.places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_has_waited_longest_makes_room_and_who_is_worked_for_stays() {
        let places = Places::new(3);
        let [first, second, third] = [(); 3].map(|()| places.take().now_or_never().unwrap().unwrap());
        let work = first.pulse.work();
        let mut taken = Box::pin(places.take());
        assert!(taken.as_mut().now_or_never().is_none(), "there is no place yet");
        assert_eq!([&first, &second, &third].map(|place| place.pulse.is_parting()), [false, true, false]);
        second.pulse.parting().await;
        assert!(taken.as_mut().now_or_never().is_none(), "it has been asked, and is still there");
        drop(second);
        let fourth = taken.await.unwrap();
        let work = [work, third.pulse.work(), fourth.pulse.work()];
        assert!(places.take().await.is_none() && !places.make_room().await);
        drop(work);
        drop(third);
        assert!(places.take().await.is_some() && !first.pulse.is_parting());
    }
}
