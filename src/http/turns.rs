//! How often a client may ask for what is dear: a bucket of turns for each, which fills up again as time goes by.
//!
//! Memory is bounded: a client whose bucket is full again is forgotten, and where there are too many others, those that are
//! new share one bucket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Tick;

/// How many clients are told apart.
const CLIENTS: usize = 4_096;
/// How often it is looked who can be forgotten, at most.
const LOOK: Duration = Duration::from_secs(1);

/// The turns of all clients.
#[derive(Debug)]
pub(super) struct Turns {
    per_minute: u32,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    of: HashMap<Option<IpAddr>, Bucket>,
    looked: Option<Tick>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    turns: f64,
    at: Tick,
}

impl Turns {
    /// So many turns a minute for each client, and a quarter of them at once; 0 is no limit.
    pub(super) fn new(per_minute: u32) -> Turns {
        Turns { per_minute, buckets: Mutex::default() }
    }

    /// Takes a turn.
    ///
    /// # Errors
    /// How long the client has to wait for its next one.
    pub(super) fn take(&self, client: Option<IpAddr>) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let most = (f64::from(self.per_minute) / 4.0).max(1.0);
        let per_s = f64::from(self.per_minute) / 60.0;
        let mut guard = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { of: buckets, looked } = &mut *guard;
        let turns_now =
            |bucket: &Bucket| (bucket.turns + bucket.at.elapsed().as_secs_f64() * per_s).min(most);
        let mut who = client.map(network);
        if buckets.len() >= CLIENTS && !buckets.contains_key(&who) {
            if looked.is_none_or(|looked| looked.elapsed() > LOOK) {
                *looked = Some(Tick::now());
                buckets.retain(|_, bucket| turns_now(bucket) < most);
            }
            if buckets.len() >= CLIENTS {
                who = None;
            }
        }
        let bucket = buckets.entry(who).or_insert_with(|| Bucket { turns: most, at: Tick::now() });
        *bucket = Bucket { turns: turns_now(bucket), at: Tick::now() };
        if bucket.turns < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.turns) / per_s));
        }
        bucket.turns -= 1.0;
        Ok(())
    }
}

/// One client has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)))
    }

    #[test]
    fn a_client_has_its_turns_and_then_waits_and_others_have_theirs() {
        let turns = Turns::new(4);
        assert_eq!(turns.take(v4(1)), Ok(()));
        let wait = turns.take(v4(1)).unwrap_err();
        assert!(wait > Duration::from_secs(14) && wait <= Duration::from_secs(15), "{wait:?}");
        assert_eq!(turns.take(v4(2)), Ok(()));
        assert!((0..1_000).all(|_| Turns::new(0).take(v4(1)).is_ok()));
    }

    #[test]
    fn turns_come_back_with_time() {
        let turns = Turns::new(600_000);
        assert_eq!(turns.take(v4(1)), Ok(()));
        turns.buckets.lock().unwrap().of.values_mut().for_each(|bucket| bucket.turns = 0.0);
        let began = Tick::now();
        while turns.take(v4(1)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "no turn came back");
        }
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let turns = Turns::new(4);
        let v6 = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert_eq!(turns.take(v6("2001:db8::1")), Ok(()));
        assert!(turns.take(v6("2001:db8::ffff:2")).is_err());
        assert_eq!(turns.take(v6("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn twenty_thousand_addresses_take_no_more_memory_and_share_the_turns_that_are_left() {
        let turns = Turns::new(4);
        let let_in = (0..20_000).filter(|n| turns.take(v4(*n)).is_ok()).count();
        let known = turns.buckets.lock().unwrap().of.len();
        assert!(known <= CLIENTS + 1 && let_in <= CLIENTS + 1, "{known} {let_in}");
        // Who is full again is as good as nobody.
        let mut buckets = turns.buckets.lock().unwrap();
        buckets.of.values_mut().for_each(|bucket| bucket.turns = 1.0);
        buckets.looked = None;
        drop(buckets);
        assert_eq!(turns.take(v4(200_000)), Ok(()));
        assert_eq!(turns.buckets.lock().unwrap().of.len(), 1);
    }
}
