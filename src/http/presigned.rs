//! Presigned URLs of chunks in buckets: one for each chunk, and the same for some minutes, so that players and browsers that
//! keep where they were sent, and what they got there, have use of it.
//!
//! Each is as good as a password: it is in no log, and no cache that several share keeps the answer that it is in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use crate::channel::Channel;
use crate::clock::Tick;
use crate::error::Result;
use crate::store::Store;

/// How long a URL is good: it is looked at when a request begins, and never again.
const LIFETIME: Duration = Duration::from_secs(900);
/// How long the same one is given out.
const GIVEN_OUT: Duration = Duration::from_secs(300);
/// How many are kept: one has some five hundred bytes.
const MOST: usize = 10_000;

/// Those that were made lately, by key.
#[derive(Default)]
pub(super) struct Presigned(Mutex<HashMap<String, Made>>);

struct Made {
    /// The channel as it was then: with other keys there is another URL.
    channel: Arc<Channel>,
    at: Tick,
    url: Url,
}

impl Presigned {
    /// A URL of an object, and for how many seconds a client may keep it; `None` where the store has none.
    ///
    /// # Errors
    /// Those of [`Store::presign`].
    pub(super) async fn url(
        &self,
        channel: &Arc<Channel>,
        store: &dyn Store,
        key: &str,
    ) -> Result<Option<(Url, u64)>> {
        if let Some(known) = self.known(channel, key) {
            return Ok(Some(known));
        }
        let Some(url) = store.presign(key, LIFETIME).await? else { return Ok(None) };
        let made = Made { channel: Arc::clone(channel), at: Tick::now(), url: url.clone() };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, made| made.left().is_some());
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(key.to_owned(), made);
        Ok(Some((url, GIVEN_OUT.as_secs())))
    }

    fn known(&self, channel: &Arc<Channel>, key: &str) -> Option<(Url, u64)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = all.get(key).filter(|made| Arc::ptr_eq(&made.channel, channel))?;
        Some((made.url.clone(), made.left()?))
    }
}

impl Made {
    /// For how many seconds more it is given out.
    fn left(&self) -> Option<u64> {
        GIVEN_OUT.checked_sub(self.at.elapsed()).map(|left| left.as_secs())
    }
}
