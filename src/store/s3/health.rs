//! A server that does not answer is left alone for a moment.
//!
//! After an outage hundreds of chunks may be ready to be put. Would each wait for a server that is still away, through all of
//! its tries, then nothing would be fetched meanwhile, and a short window would pass. So what comes shortly after such a
//! failure fails at once, with the same words; its spool is finished, and put by a later run.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::fault::Refusal;
use crate::clock::Tick;
use crate::error::{Error, Kind};

/// How long a server is left alone.
const REST: Duration = Duration::from_secs(15);

/// How a server is, as far as the last puts tell; shared by all that put there.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When it did not answer, and what was said of that.
    away: Mutex<Option<(Tick, String)>>,
}

impl Health {
    /// Runs `put`, unless the server has just been found away.
    pub(super) async fn heed<T>(&self, put: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        if let Some(said) = self.rests() {
            return Err(Error::new(Kind::TryLater, said).hint("it was tried a moment ago").into());
        }
        let done = put.await;
        let found = match &done {
            Err(refusal) if refusal.is_away() => Some((Tick::now(), refusal.error.to_string())),
            _ => None,
        };
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = found;
        done
    }

    fn rests(&self) -> Option<String> {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.as_ref().filter(|(since, _)| since.elapsed() < REST).map(|(_, said)| said.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn after_no_answer_the_next_put_fails_at_once_and_after_any_answer_it_does_not() {
        let (health, asked) = (Health::default(), Cell::new(0));
        let put = async |result: Result<(), Refusal>| {
            let put = async {
                asked.set(asked.get() + 1);
                result
            };
            health.heed(put).await.map_err(|refusal| refusal.error.to_string())
        };
        let away = || Err(Refusal::passing(Error::new(Kind::TryLater, "no answer")));
        let denied = || Err(Error::new(Kind::Denied, "no").into());
        assert_eq!(put(Ok(())).await, Ok(()));
        assert_eq!(put(denied()).await, Err("no".to_owned()));
        assert_eq!(put(away()).await, Err("no answer".to_owned()));
        assert_eq!(asked.get(), 3);
        assert_eq!(put(Ok(())).await, Err("no answer".to_owned()));
        assert_eq!(asked.get(), 3, "it was left alone");
    }
}
