//! The only reader of the real time. Every decision takes `now` as an argument; this is where it comes from.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::Time;

/// The wall clock, now.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Time::EPOCH.plus(since_epoch)
}

/// A clock that never jumps, for time-outs, rates and progress. Seconds mean nothing beyond their difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(std::time::Instant);

impl Tick {
    /// Now, on the clock that never jumps.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now() -> Self {
        Tick(std::time::Instant::now())
    }

    /// How long ago that was.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_duration_since(self.0)
    }
}
