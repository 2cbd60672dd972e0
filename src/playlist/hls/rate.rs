//! What a track costs to fetch, measured: the bits of its fragments, by how long they are.

use std::collections::VecDeque;

use super::Hls;
use super::walk::Item;

/// Bits a second, rounded up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rate {
    /// The most of any neighbouring segments that last about as long as the target duration (§4.4.6.2, and §1 for the word).
    pub(super) peak: u64,
    /// Over all of them.
    pub(super) average: u64,
}

/// Neighbouring segments, and how long and large they are together.
#[derive(Default)]
struct Window {
    /// µs and bytes of each.
    segments: VecDeque<(u64, u64)>,
    us: u64,
    bytes: u64,
}

impl Window {
    fn push(&mut self, us: u64, bytes: u64) {
        self.segments.push_back((us, bytes));
        self.us += us;
        self.bytes += bytes;
    }

    fn pop(&mut self) {
        if let Some((us, bytes)) = self.segments.pop_front() {
            self.us -= us;
            self.bytes -= bytes;
        }
    }
}

impl Hls<'_> {
    /// What a track costs; nothing if it has no media in the clip.
    pub(super) fn rate(&self, id: u32) -> Rate {
        let target_us = self.longest_s.saturating_mul(1_000_000);
        let (mut rate, mut us, mut bytes) = (Rate::default(), 0_u64, 0_u64);
        let mut window = Window::default();
        self.walk(id, self.target_s, |item| match item {
            Item::Fragment(_, fragment, from, until) => {
                let lasts = (until - from).max(0).unsigned_abs();
                us = us.saturating_add(lasts);
                bytes = bytes.saturating_add(fragment.size);
                window.push(lasts, fragment.size);
                while window.us.saturating_mul(2) > target_us.saturating_mul(3) && window.segments.len() > 1 {
                    window.pop();
                }
                rate.peak = rate.peak.max(steepest(&window, target_us));
            }
            // What does not touch is not fetched at once.
            Item::Break | Item::Hole(..) => window = Window::default(),
            Item::Init(_) => {}
        });
        rate.average = bits_a_second(us, bytes);
        // Of a clip that is shorter than its segments may be.
        rate.peak = rate.peak.max(rate.average);
        rate
    }
}

/// The highest rate of segments that end with the window, and last at least half of the target duration.
fn steepest(window: &Window, target_us: u64) -> u64 {
    let (mut us, mut bytes, mut most) = (0_u64, 0_u64, 0);
    for (lasts, size) in window.segments.iter().rev() {
        us += lasts;
        bytes += size;
        if us.saturating_mul(2) >= target_us {
            most = most.max(bits_a_second(us, bytes));
        }
    }
    most
}

fn bits_a_second(us: u64, bytes: u64) -> u64 {
    let bits = u128::from(bytes) * 8_000_000;
    u64::try_from(bits.div_ceil(u128::from(us.max(1)))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_window_is_that_of_its_steepest_end() {
        let mut window = Window::default();
        for (us, bytes) in [(2_000_000, 100), (500_000, 10_000), (1_000_000, 500)] {
            window.push(us, bytes);
        }
        // The last alone is too short for a target of three seconds, and with the one before it is not.
        assert_eq!(steepest(&window, 3_000_000), 56_000);
        assert_eq!(bits_a_second(0, 0), 0);
        assert_eq!(bits_a_second(1_000_001, 1), 8, "rounded up");
    }
}
