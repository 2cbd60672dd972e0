//! How many requests came: what lets a test say that a run asked once, or not at all.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::faults::Class;

/// How many requests came, by what they were for. Faults count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Requests {
    /// `/archive`.
    pub archive: u64,
    /// `/state`.
    pub state: u64,
    /// Manifests.
    pub mpd: u64,
    /// Init segments.
    pub init: u64,
    /// Segments.
    pub segment: u64,
    /// Everything else, but not `/_requests` and `/_faults`.
    pub other: u64,
}

/// The same, while it goes on.
#[derive(Debug, Default)]
pub(super) struct Counters([AtomicU64; 6]);

impl Counters {
    pub(super) fn count(&self, class: Class) {
        self.slot(class).fetch_add(1, Ordering::Relaxed);
    }

    fn slot(&self, class: Class) -> &AtomicU64 {
        let [archive, state, mpd, init, segment, other] = &self.0;
        match class {
            Class::Archive => archive,
            Class::State => state,
            Class::Mpd => mpd,
            Class::Init => init,
            Class::Segment => segment,
            Class::Other => other,
        }
    }

    pub(super) fn requests(&self) -> Requests {
        let of = |class| self.slot(class).load(Ordering::Relaxed);
        Requests {
            archive: of(Class::Archive),
            state: of(Class::State),
            mpd: of(Class::Mpd),
            init: of(Class::Init),
            segment: of(Class::Segment),
            other: of(Class::Other),
        }
    }
}
