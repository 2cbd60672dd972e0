//! How many connections there may be, and which one makes room for a new one when there are no more places.
//!
//! The one that has been waiting longest for its client goes: it is idle, or half-sent, or reads too slowly. So those who
//! only hold connections open take them from each other, and whoever sends a request is answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::wire::Pulse;
use crate::clock::Tick;

/// All places.
pub(super) struct Places {
    most: usize,
    origin: Tick,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    pulses: HashMap<u64, Arc<Pulse>>,
}

/// The place of one connection, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    pub(super) pulse: Arc<Pulse>,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Places> {
        Arc::new(Places { most, origin: Tick::now(), open: Mutex::default() })
    }

    /// A place for a new connection; where all are taken, that of the one that has been waiting longest. `None` if every
    /// client is waiting for us.
    pub(super) fn take(self: &Arc<Places>) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.pulses.len() >= self.most && !open.evict() {
            return None;
        }
        let (number, pulse) = (open.next, Arc::new(Pulse::new(self.origin)));
        open.next += 1;
        open.pulses.insert(number, Arc::clone(&pulse));
        Some(Place { places: Arc::clone(self), number, pulse })
    }

    /// Closes the connection that has been waiting longest. False if there is none that waits.
    pub(super) fn evict(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).evict()
    }
}

impl Open {
    fn evict(&mut self) -> bool {
        let waiting = self.pulses.iter().filter_map(|(number, pulse)| Some((pulse.waits_since()?, *number)));
        let Some((_, longest)) = waiting.min() else { return false };
        if let Some(pulse) = self.pulses.remove(&longest) {
            pulse.part();
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Where it was evicted it is not there any more.
        self.places.open.lock().unwrap_or_else(PoisonError::into_inner).pulses.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn is_parting(place: &Place) -> bool {
        place.pulse.parting().now_or_never().is_some()
    }

    #[test]
    fn who_has_waited_longest_makes_room_and_who_is_worked_for_stays() {
        let places = Places::new(3);
        let [first, second, third] = [(); 3].map(|()| {
            std::thread::sleep(Duration::from_micros(10));
            places.take().unwrap()
        });
        let work = first.pulse.work();
        let fourth = places.take().unwrap();
        assert_eq!([&first, &second, &third].map(is_parting), [false, true, false]);
        // A place that was taken from it is not given back a second time.
        drop(second);
        let work = [work, third.pulse.work(), fourth.pulse.work()];
        assert!(places.take().is_none() && !places.evict());
        drop(work);
        drop(third);
        assert!(places.take().is_some() && !is_parting(&first));
    }
}
