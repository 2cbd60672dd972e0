//! One channel's prune: the steps, in their order.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::time::Duration;

use super::{ChannelReport, Cleared, Event, Options, Watcher};
use crate::capture::{Order, Workplace, sweep_orphans, write_off};
use crate::channel::Channel;
use crate::clock;
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::grid::Cell;
use crate::ledger::{Garbage, Kept, Ledger, State};
use crate::retention::{Decision, Fate, Held, Plan, Row, Rules, Total, Why, plan};
use crate::store::{self, Store};
use crate::time::{Range, Time};

/// So many chunks go through the steps together: few enough for one request to S3 and a short transaction.
const BATCH: usize = 500;

/// Rows that are read from the ledger at once.
const PAGE: u32 = 1_000;

/// A job, with its log, outlives the last chunk of its time by this much: it says why something is missing.
const LOGS_OUTLIVE: Duration = Duration::from_secs(7 * 86_400);

/// A channel under way.
pub(super) struct Run {
    place: Arc<Workplace>,
    channel: Channel,
    options: Options,
    watcher: Arc<dyn Watcher>,
    report: ChannelReport,
    /// Objects that could not be deleted, and the error of the first.
    undeleted: (usize, Option<Error>),
}

/// What came of deleting some objects.
struct Deleted {
    /// True unless all of them failed.
    any: bool,
    /// True if the store is not there, or not well.
    is_away: bool,
}

impl Run {
    pub(super) fn new(
        place: Arc<Workplace>,
        channel: Channel,
        options: Options,
        watcher: Arc<dyn Watcher>,
    ) -> Run {
        let report = ChannelReport {
            name: channel.name.to_string(),
            rules: Rules { archive_length: channel.archive_length, archive_size: channel.archive_size },
            error: None,
            busy: false,
            plan: Plan::default(),
            fuse: false,
            holds: Vec::new(),
            left_over: Total::default(),
            deleted: Total::default(),
            cleared: Cleared::default(),
        };
        Run { place, channel, options, watcher, report, undeleted: (0, None) }
    }

    /// All steps, as far as they go.
    pub(super) async fn finish(mut self) -> ChannelReport {
        let done = self.steps().await.and_then(|()| self.all_deleted());
        self.watcher.event(&self.report.name, Event::Ended);
        self.report.error = done.err().map(|e| e.context(format!("channel {}", self.report.name)));
        self.report
    }

    fn ledger(&self) -> &dyn Ledger {
        self.place.ledger.as_ref()
    }

    async fn steps(&mut self) -> Result<()> {
        let now = clock::now();
        if self.options.dry_run {
            self.report.left_over = total(&self.ledger().garbage(&self.report.name)?);
            return self.decide(now);
        }
        let Some(_lock) = self.lock()? else {
            self.report.busy = true;
            return Ok(());
        };
        self.report.cleared.spool_files = sweep_orphans(&self.place, &self.report.name)?;
        if self.ledger().oldest(&self.report.name, None, 1)?.is_empty()
            && self.ledger().garbage(&self.report.name)?.is_empty()
        {
            // Nothing was ever stored, so there may be no store yet.
            return Ok(());
        }
        let store = self.connect().await?;
        if !self.delete_what_is_left_over(store.as_ref()).await? {
            return Ok(());
        }
        self.decide(now)?;
        if self.write_off_what_died(now)? {
            self.decide(now)?;
        }
        if self.report.fuse {
            // The clock may be wrong: nothing at all goes by it.
            return Ok(());
        }
        self.carry_out(store.as_ref()).await?;
        self.forget_jobs(now)?;
        self.report.cleared.unfinished = store.sweep(&format!("{}/", self.report.name), now).await?;
        Ok(())
    }

    /// Keeps other prunes away from the channel: one that is slow would delete an object that was captured anew since it read
    /// the garbage. The lock is on the folder of the channel's spool files, which is never deleted, and dies with its holder.
    fn lock(&self) -> Result<Option<File>> {
        let folder = self.place.spool.join(&self.report.name);
        let at = |what: &str| format!("{what} {}", folder.display());
        std::fs::create_dir_all(&folder).with_context(|| at("make"))?;
        let handle = File::open(&folder).with_context(|| at("open"))?;
        match handle.try_lock() {
            Ok(()) => Ok(Some(handle)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(Error::from(e).context(at("lock"))),
        }
    }

    /// The store, which is never made here: one that is not there is an unmounted disk.
    async fn connect(&self) -> Result<Arc<dyn Store>> {
        store::of_channel(&self.channel, &self.options.archive, true).await
    }

    /// Reads rows until no later one can go, and decides.
    fn decide(&mut self, now: Time) -> Result<()> {
        let (ledger, name) = (self.place.ledger.as_ref(), self.report.name.as_str());
        let holds = ledger.holds(Some(name))?.into_iter().filter(|h| h.holds_at(now));
        self.report.holds = holds.collect();
        let held: Vec<Held> =
            self.report.holds.iter().map(|h| Held { id: h.id.get(), range: h.range }).collect();
        let all = ledger.report(name, Range::new(Time::from_ns(i64::MIN), Time::MAX))?;
        let stored = Total { chunks: all.complete + all.partial, bytes: all.bytes };
        self.report.plan = plan(&self.report.rules, now, stored, &held, rows(ledger, name))?;
        let blows = self.report.plan.blows_fuse(self.options.max_fraction);
        self.report.fuse = blows && !self.options.force;
        Ok(())
    }

    /// Rows that a dead capture left: nobody else looks at a cell that is so old. True if there was one.
    fn write_off_what_died(&self, now: Time) -> Result<bool> {
        let mut any = false;
        let old = |d: &&Decision| d.fate == Fate::Busy && d.why == Why::TooOld;
        for decision in self.report.plan.decisions.iter().filter(old) {
            let order =
                Order { cell: decision.cell, whole: false, last_chance: true, attempts: 0, since: now };
            let reason = "its capture died, and retention keeps it no longer";
            any |= write_off(&self.place, &self.report.name, order, &[], reason)?;
        }
        Ok(any)
    }

    /// Steps 1 to 3, for everything that goes.
    async fn carry_out(&mut self, store: &dyn Store) -> Result<()> {
        let going: Vec<Decision> =
            self.report.plan.decisions.iter().filter(|d| d.fate == Fate::Goes).copied().collect();
        if going.is_empty() {
            return Ok(());
        }
        self.watcher.event(&self.report.name, Event::Started { chunks: self.report.plan.going.chunks });
        self.see_that_it_answers(store, &going).await?;
        for alike in going.chunk_by(|a, b| a.why == b.why) {
            for batch in alike.chunks(BATCH) {
                let Deleted { any, is_away } = self.carry_out_batch(store, batch, alike[0].why).await?;
                if is_away || !any {
                    // What would be discarded now could not be deleted either.
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Asks for one of the objects. That it is not there is an answer, too.
    async fn see_that_it_answers(&self, store: &dyn Store, going: &[Decision]) -> Result<()> {
        let Some(one) = going.iter().find(|d| d.bytes.is_some()) else { return Ok(()) };
        match store.head(&one.cell.key(&self.report.name)).await {
            Err(e) if e.kind() != Kind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    async fn carry_out_batch(&mut self, store: &dyn Store, batch: &[Decision], why: Why) -> Result<Deleted> {
        let cells: Vec<Cell> = batch.iter().map(|d| d.cell).collect();
        let reason = self.report.rules.say(why);
        let garbage = self.ledger().discard(&self.report.name, &cells, &reason, clock::now())?;
        failpoint::reach("prune-1-discarded");
        self.delete(store, &garbage).await
    }

    /// Steps 2 and 3 for what earlier runs discarded. False if the store is away. One object that can never be deleted does
    /// not keep all others from being pruned.
    async fn delete_what_is_left_over(&mut self, store: &dyn Store) -> Result<bool> {
        let garbage = self.ledger().garbage(&self.report.name)?;
        self.report.left_over = total(&garbage);
        for batch in garbage.chunks(BATCH) {
            if self.delete(store, batch).await?.is_away {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Steps 2 and 3. What cannot be deleted stays garbage, and is told at the end.
    async fn delete(&mut self, store: &dyn Store, garbage: &[Garbage]) -> Result<Deleted> {
        let mut keys = Vec::new();
        for one in garbage {
            if !self.is_spoken_of(&one.key)? {
                keys.push(one.key.clone());
            }
        }
        let left = store.delete(&keys).await;
        failpoint::reach("prune-2-deleted");
        let stays: HashSet<&str> = left.iter().map(|(key, _)| key.as_str()).collect();
        let gone = garbage.iter().filter(|g| !stays.contains(g.key.as_str()));
        let gone_keys: Vec<String> = gone.clone().map(|g| g.key.clone()).collect();
        self.ledger().forget(&self.report.name, &gone_keys)?;
        failpoint::reach("prune-3-forgotten");
        gone.for_each(|g| self.report.deleted.add(g.bytes));
        self.watcher.event(&self.report.name, Event::Deleted { chunks: gone_keys.len() as u64 });
        let deleted = Deleted {
            any: left.len() < garbage.len() || garbage.is_empty(),
            is_away: left.iter().any(|(_, e)| e.kind() == Kind::TryLater),
        };
        self.undeleted.0 += left.len();
        if let (None, Some((_, e))) = (&self.undeleted.1, left.into_iter().next()) {
            self.undeleted.1 = Some(e);
        }
        Ok(deleted)
    }

    fn all_deleted(&mut self) -> Result<()> {
        let (count, Some(first)) = (self.undeleted.0, self.undeleted.1.take()) else { return Ok(()) };
        let what = match count {
            1 => "an object could not be deleted".to_owned(),
            _ => format!("{count} objects could not be deleted, the first"),
        };
        Err(first.context(what).hint(format!("the next one tries again: npvr prune {}", self.report.name)))
    }

    /// True if a row names the object. The ledger does not let that come about while the key is garbage; what is deleted
    /// cannot be had again, so it is looked at twice.
    fn is_spoken_of(&self, key: &str) -> Result<bool> {
        let stem = key.rsplit('/').next().and_then(|name| name.strip_suffix(".ismv"));
        let Some(range) = stem.and_then(|stem| stem.parse::<Range>().ok()) else { return Ok(false) };
        let row = self.ledger().cell(&self.report.name, Cell::from_range(range))?;
        Ok(row.and_then(|row| row.stored).is_some_and(|stored| stored.key == key))
    }

    fn forget_jobs(&mut self, now: Time) -> Result<()> {
        let before = now.minus(self.report.rules.archive_length).minus(LOGS_OUTLIVE);
        loop {
            match self.ledger().forget_jobs(&self.report.name, before)? {
                0 => return Ok(()),
                some => self.report.cleared.jobs += some,
            }
        }
    }
}

fn total(garbage: &[Garbage]) -> Total {
    let mut total = Total::default();
    garbage.iter().for_each(|g| total.add(g.bytes));
    total
}

/// The rows of a channel by start, then end, read as they are asked for.
fn rows(ledger: &dyn Ledger, channel: &str) -> impl Iterator<Item = Result<Row>> {
    let mut page: std::vec::IntoIter<Kept> = Vec::new().into_iter();
    let mut after = None;
    std::iter::from_fn(move || {
        if page.len() == 0 {
            match ledger.oldest(channel, after, PAGE) {
                Ok(next) => page = next.into_iter(),
                Err(e) => return Some(Err(e)),
            }
        }
        let Kept { cell, state, bytes } = page.next()?;
        after = Some(cell);
        Some(Ok(Row { cell, bytes, capturing: state == State::Capturing }))
    })
}
