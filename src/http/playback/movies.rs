//! The heads of files that were asked for: made once, and kept for a while, as a player asks for a file in many parts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use crate::error::{Error, Kind, Result};
use crate::http::App;
use crate::playback::movie::{Movie, Plan};
use crate::store::Store;

/// How many are kept. Each is an open file, and some megabytes of memory if it lasts a day.
const MOST: usize = 16;
/// How many are made at once: each keeps a processor busy, and takes some tens of megabytes meanwhile.
const AT_ONCE: usize = 2;

/// A file that is made, or being made by the first who asked.
type Slot = Arc<OnceCell<Arc<Movie>>>;

/// Files by their tags; what was asked for last is at the end.
pub(in crate::http) struct Movies {
    kept: Mutex<VecDeque<(String, Slot)>>,
    turns: Semaphore,
}

impl Default for Movies {
    fn default() -> Self {
        Self { kept: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl Movies {
    /// The file of a plan.
    ///
    /// # Errors
    /// Those of [`Plan::make`].
    pub(super) async fn get(&self, app: &App, store: &dyn Store, plan: Plan) -> Result<Arc<Movie>> {
        let slot = self.slot(&plan.tag);
        let make = || async {
            let turn = self.turns.acquire().await;
            let _turn = turn.map_err(|e| Error::new(Kind::Io, "no file is made any more").caused_by(e))?;
            plan.make(store, &app.place.spool, || {}).await.map(Arc::new)
        };
        slot.get_or_try_init(make).await.cloned()
    }

    fn slot(&self, tag: &str) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(known, _)| known == tag).and_then(|at| kept.remove(at));
        let (tag, slot) = known.unwrap_or_else(|| (tag.to_owned(), Slot::default()));
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back((tag, Arc::clone(&slot)));
        slot
    }
}
