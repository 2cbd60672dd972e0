//! One attempt at one cell, under its lock and with its job: steps 3 to 7 of the order of effects.

use std::fmt::Write as _;
use std::time::Duration;

use super::batch::{Wanted, wanted, watermark};
use super::before;
use super::contents::Contents;
use super::progress::Progress;
use super::proof::{Evidence, covers_more, gaps, summary};
use super::spool::Spool;
use super::stored::{ReadBack, holds_all, read_back};
use super::transfer::{Inits, Transfer};
use super::writer::{Writer, WriterTrack};
use super::{Captured, Event, Feed, Order, Turn, Workplace};
use crate::channel::Engine;
use crate::clock;
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::ledger::{Commit, Coverage, Gap, JobId, JobStats, Stored};
use crate::source::TrackListing;
use crate::store::Digest;
use crate::time::{Ranges, Time};

/// A chunk that lacks segments which the source announced is tried again at most so often.
const MOST_ATTEMPTS: u32 = 3;
/// How long the first retry waits; each further one waits four times as long as the one before.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// No retry waits longer.
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);

/// An attempt, and its job.
pub(super) struct Attempt<'a> {
    pub(super) place: &'a Workplace,
    pub(super) feed: &'a Feed,
    pub(super) order: Order,
    pub(super) job: JobId,
    pub(super) stats: JobStats,
    turn: Turn,
    /// Lines for the job's log that are not in the ledger yet.
    log: String,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(place: &'a Workplace, feed: &'a Feed, order: Order, job: JobId, turn: Turn) -> Self {
        Self { place, feed, order, job, stats: JobStats::default(), turn, log: String::new() }
    }

    /// Runs it to its end, and writes that down, whatever it is.
    pub(super) async fn run(mut self, spool: Spool, progress: Progress) -> Result<Captured> {
        let what = if self.order.whole { "capture" } else { "capture a piece" };
        self.note(format!("{what} of {}", self.order.cell));
        let filled = match &self.feed.channel.engine {
            Engine::Native => self.fill(spool, progress).await,
            Engine::Unified(unified) => self.fill_by_program(unified, spool, progress).await,
        };
        let result = match filled {
            Ok(writer) if !self.order.whole => self.leave_open(&writer),
            Ok(writer) => self.close(writer).await,
            Err(e) => Err(e),
        };
        result.map_err(|e| self.fail(e))
    }

    /// Step 3 by the native engine: everything that can be had goes into the spool.
    async fn fill(&mut self, mut spool: Spool, mut progress: Progress) -> Result<Writer> {
        if progress.unified {
            // The other engine's file: a fragment of ours has no place in it.
            spool.start_over()?;
            progress = Progress::default();
        }
        let mut contents = spool.contents()?;
        if progress.tracks.is_empty() && contents.as_ref().is_some_and(|c| c.finished) {
            // Committed, and killed before the spool was deleted: a chunk that is stored, and no part of this attempt.
            spool.start_over()?;
            contents = None;
        }
        if let Some(found) = &contents {
            let state = if found.finished { "finished" } else { "unfinished" };
            self.note(format!("goes on with {} bytes in the spool, {state}", found.whole_bytes));
        }
        if contents.as_ref().is_some_and(|c| c.finished) {
            return Ok(Writer::new(spool, contents, progress));
        }
        if contents.is_none() {
            // It speaks of a file that is no longer there.
            progress = Progress::default();
        }
        let listing = self.list(contents.as_ref()).await?;
        progress.see(&listing);
        let inits = Inits::fetch(self.feed, &listing).await?;
        let mut writer = Writer::new(spool, contents, progress);
        let tracks = self.register(&listing, &inits)?;
        let limit = (!self.order.whole).then(|| watermark(&listing, self.feed.channel.margin)).flatten();
        let batch = wanted(&listing, &writer.progress, |t| writer.written_end(tracks[t].id), limit);
        self.place.observer.event(
            self.channel(),
            self.order.cell,
            Event::Started { segments: batch.len() as u64 },
        );
        self.note(format!("{} tracks, {} segments to fetch", listing.len(), batch.len()));
        let in_batch = |t: usize| batch.iter().any(|w: &Wanted| w.track == t);
        let first: Vec<_> = (0..listing.len())
            .filter(|t| in_batch(*t))
            .filter_map(|t| Some((tracks[t].id, inits.first_of(t, &listing[t])?.clone())))
            .collect();
        writer.expect(tracks, &first)?;
        let until = limit.map_or(self.order.cell.end(), |l| l.min(self.order.cell.end()));
        self.transfer(&listing, &inits, batch, writer, until).await
    }

    /// The segments of the cell. Where the source no longer knows the range, what is in the spool is all there will be.
    pub(super) async fn list(&self, spooled: Option<&Contents>) -> Result<Vec<TrackListing>> {
        match self.feed.source.list(self.order.cell.range()).await {
            Err(e) if spooled.is_some() && matches!(e.kind(), Kind::Expired | Kind::NotFound) => {
                Ok(Vec::new())
            }
            listed => listed,
        }
    }

    /// The tracks of a listing with their ids in the chunk. A track whose init segment cannot be had gets none: nothing of
    /// it can be written.
    fn register(&self, listing: &[TrackListing], inits: &Inits) -> Result<Vec<WriterTrack>> {
        let known: Vec<_> = listing
            .iter()
            .enumerate()
            .filter_map(|(t, of_track)| Some((t, &of_track.track, inits.first_of(t, of_track)?.timescale())))
            .collect();
        let named: Vec<_> = known.iter().map(|(_, track, timescale)| (*track, *timescale)).collect();
        let ids = self.place.ledger.register_tracks(self.channel(), &named, clock::now())?;
        let mut tracks: Vec<WriterTrack> =
            listing.iter().map(|t| WriterTrack { name: t.track.name(), id: 0 }).collect();
        for ((t, ..), id) in known.iter().zip(ids) {
            tracks[*t].id = id;
        }
        Ok(tracks)
    }

    async fn transfer(
        &mut self,
        listing: &[TrackListing],
        inits: &Inits,
        batch: Vec<Wanted>,
        writer: Writer,
        until: Time,
    ) -> Result<Writer> {
        let mut stats = self.stats;
        let transfer = Transfer { place: self.place, feed: self.feed, order: self.order, listing, inits };
        let (writer, result) = transfer.run(batch, writer, &mut stats).await;
        self.stats = stats;
        let mut writer = match (writer, &result) {
            (Some(writer), _) => writer,
            (None, _) => {
                return Err(result.err().unwrap_or_else(|| Error::new(Kind::Io, "the writer is gone")));
            }
        };
        for note in std::mem::take(&mut writer.notes) {
            self.note(note);
        }
        let done = writer.progress.tracks.values().filter_map(|t| t.done).min();
        // A spool without a fragment holds nothing that is worth another attempt.
        writer.progress.until = match (writer.is_empty(), &result) {
            (true, _) => None,
            (false, Ok(())) => Some(until),
            (false, Err(_)) => done,
        };
        // What stays in the spool is brought to the disk here, what goes into the store by the store. A full disk fails here
        // too; the first error is the one to tell.
        let stays = !self.order.whole || result.is_err();
        let synced = if stays { writer.spool.sync() } else { Ok(()) };
        let kept = synced.and_then(|()| self.checkpoint(&writer.progress));
        failpoint::reach("capture-3-written");
        result.and(kept).map(|()| writer)
    }

    pub(super) fn checkpoint(&self, progress: &Progress) -> Result<()> {
        self.place.ledger.checkpoint(self.job, &progress.text(), self.stats)
    }

    fn leave_open(&mut self, writer: &Writer) -> Result<Captured> {
        self.note(format!("the spool has {} bytes; the cell goes on", writer.spool.len()));
        self.flush_log()?;
        self.place.ledger.release(self.job, clock::now(), self.stats)?;
        Ok(Captured::Piece)
    }

    /// Steps 4 to 7.
    async fn close(&mut self, mut writer: Writer) -> Result<Captured> {
        let found = self.prove(&writer)?;
        for gap in &found {
            self.note(format!("gap: {} {}: {}", gap.track, gap.range, gap.reason));
        }
        let before = self.place.ledger.gaps(self.channel(), self.order.cell.range())?;
        let before: Vec<Gap> =
            before.into_iter().filter(|row| row.cell == self.order.cell).map(|row| row.gap).collect();
        if writer.is_empty() {
            return self.give_up(writer, &found);
        }
        if !before.is_empty() && self.has_object()? && !covers_more(&found, &before) {
            return self.keep_the_old(writer, &found);
        }
        let key = self.order.cell.key(self.channel());
        let digest = self.store(&mut writer, &key).await?;
        // What was stored already may have more.
        let found = if found.is_empty() { found } else { self.prove(&writer)? };
        self.flush_log()?;
        let Digest { bytes, sha256 } = digest;
        let coverage = if found.is_empty() { Coverage::Complete } else { Coverage::Partial };
        let stored = Stored { coverage, key, bytes, sha256 };
        let message = (!found.is_empty()).then(|| summary(&found));
        let commit = Commit {
            stored: &stored,
            index: &writer.index.encode(),
            gaps: &found,
            stats: self.stats,
            retry_at: self.retry_of_gaps(&writer.progress, &found),
            message: message.as_deref(),
        };
        self.place.ledger.commit(self.job, clock::now(), &commit)?;
        failpoint::reach("capture-6-committed");
        writer.spool.remove()?;
        let news = found != before;
        Ok(if found.is_empty() { Captured::Complete } else { Captured::Partial { gaps: found, news } })
    }

    /// Steps 4 and 5: the chunk is in the store. Where the ledger knows of nothing stored, the store may know better: the
    /// ledger may be new, or another host's archive be in the same place. So nobody's place is taken there unseen.
    async fn store(&mut self, writer: &mut Writer, key: &str) -> Result<Digest> {
        let sha256 = writer.finish()?;
        failpoint::reach("capture-4-finished");
        self.turn.store().await;
        self.place.observer.event(self.channel(), self.order.cell, Event::Storing);
        let digest = Digest { bytes: writer.spool.len(), sha256 };
        let (store, file) = (&self.feed.store, writer.spool.path().to_owned());
        let is_new = !self.has_object()?;
        if !is_new || !store.put_new(key, &file, &digest).await? {
            if is_new && let Some(theirs) = self.take_over(writer, key, &digest).await? {
                return Ok(theirs);
            }
            store.put(key, &file, &digest).await?;
        }
        failpoint::reach("capture-5-put");
        self.note(format!("stored {} bytes as {key}", digest.bytes));
        Ok(digest)
    }

    /// What is stored already takes the place of ours, in the books too, if it is the same or has more than ours. `None` if
    /// ours is to take its place.
    async fn take_over(&mut self, writer: &mut Writer, key: &str, ours: &Digest) -> Result<Option<Digest>> {
        let of_chunk = || format!("read {key}");
        let ReadBack { digest, contents } = match read_back(self.feed.store.as_ref(), key).await {
            Err(e) if e.kind() == Kind::NotFound => return Ok(None),
            read => read.with_context(of_chunk)?,
        };
        // What is none of ours is no chunk, and may go.
        let Some(mut contents) = contents.ok().filter(|c| c.whole) else { return Ok(None) };
        contents.number_as(&writer.index);
        // With the same fragments and other bytes it is damaged, or ours is no worse.
        let ours_holds_all = holds_all(&writer.index, &contents.index);
        if digest == *ours || (holds_all(&contents.index, &writer.index) && !ours_holds_all) {
            self.note(format!("{key} is stored already, and has all that there is of it: it stays"));
            writer.take_over(contents);
            return Ok(Some(digest));
        }
        if ours_holds_all {
            return Ok(None);
        }
        Err(Error::new(Kind::Corrupt, "another chunk is stored of which the ledger knows nothing")
            .context(of_chunk())
            .hint("each has media that the other lacks: bring the older ledger back, or move that file away"))
    }

    /// What the chunk lacks, by the fragments that are in it, and by the last ones of the cell before.
    pub(super) fn prove(&self, writer: &Writer) -> Result<Vec<Gap>> {
        let evidence = writer.progress.tracks.iter().map(|(name, track)| Evidence {
            name: name.clone(),
            fragments: track.id.map_or_else(Vec::new, |id| writer.presented(id)),
            segment: track.segment,
            seen: track.seen.clone(),
            before_ends: None,
        });
        let mut evidence: Vec<Evidence> = evidence.collect();
        let prove = |evidence: &[Evidence]| {
            gaps(self.order.cell, self.order.since, evidence, &writer.progress.missed())
        };
        let found = prove(&evidence);
        if found.is_empty() {
            return Ok(found);
        }
        let ends = before::ends(self.place.ledger.as_ref(), self.channel(), self.order.cell)?;
        for track in &mut evidence {
            track.before_ends = ends.get(&track.name).copied();
        }
        Ok(prove(&evidence))
    }

    fn has_object(&self) -> Result<bool> {
        let row = self.place.ledger.cell(self.channel(), self.order.cell)?;
        Ok(row.is_some_and(|row| row.stored.is_some()))
    }

    /// Nothing is in the file. Where all that was seen of the cell belongs to segments that start before it, that is how it is,
    /// and is written down; else the source holds something that could not be had, and another attempt is due.
    fn give_up(&mut self, writer: Writer, found: &[Gap]) -> Result<Captured> {
        let cell = self.order.cell.range();
        let lacks =
            |name: &str| found.iter().filter(|g| g.track == name).map(|g| g.range).collect::<Ranges>();
        let seen = || writer.progress.tracks.iter().map(|(name, track)| (lacks(name), track.seen.clip(cell)));
        let had = seen().any(|(_, seen)| !seen.is_empty());
        // A tenth of a second: what edit lists and rounding leave between two chunks' books and a manifest.
        let lost = |(lacks, seen): (Ranges, Ranges)| {
            seen.as_slice().iter().any(|r| lacks.clip(*r).total() > Duration::from_millis(100))
        };
        if !had || seen().any(lost) {
            return Err(Error::new(
                Kind::TryLater,
                format!("nothing of it could be had: {}", summary(found)),
            ));
        }
        let reason = "no segment starts in it";
        self.note(reason.to_owned());
        self.flush_log()?;
        let now = clock::now();
        self.place.ledger.fail(self.job, now, reason, None, self.stats)?;
        let news = self.place.ledger.lose(self.channel(), self.order.cell, found, reason, now)?;
        writer.spool.remove()?;
        Ok(if news { Captured::Lost } else { Captured::AlreadyThere })
    }

    /// What was captured now covers no more than the partial chunk that is stored: that one stays.
    fn keep_the_old(&mut self, writer: Writer, found: &[Gap]) -> Result<Captured> {
        self.note("covers no more than what is stored, which stays".to_owned());
        self.flush_log()?;
        let retry_at = self.retry_of_gaps(&writer.progress, found);
        self.place.ledger.fail(self.job, clock::now(), &summary(found), retry_at, self.stats)?;
        writer.spool.remove()?;
        Ok(Captured::Partial { gaps: found.to_vec(), news: false })
    }

    /// When a partial chunk is worth another attempt: at once if the source turns out to have more after all; later if
    /// segments that it announced could not be had; never after [`MOST_ATTEMPTS`].
    fn retry_of_gaps(&self, progress: &Progress, found: &[Gap]) -> Option<Time> {
        let missed: Ranges = progress.misses.iter().map(|(_, range, _)| *range).collect();
        let by_failure = found.iter().any(|gap| !missed.clip(gap.range).is_empty());
        match (found.is_empty(), by_failure) {
            (true, _) => None,
            (false, false) => Some(clock::now()),
            (false, true) => (self.order.attempts < MOST_ATTEMPTS).then(|| self.retry_at()),
        }
    }

    fn retry_at(&self) -> Time {
        let wait = FIRST_RETRY.saturating_mul(4_u32.saturating_pow(self.order.attempts)).min(LONGEST_RETRY);
        clock::now().plus(wait)
    }

    /// Writes a failure down, and says where it happened.
    fn fail(&mut self, error: Error) -> Error {
        self.note(format!("failed: {error}"));
        let retry_at = self.retry_at();
        let written = self.flush_log().and_then(|()| {
            self.place.ledger.fail(self.job, clock::now(), &error.to_string(), Some(retry_at), self.stats)
        });
        let error = error.context(format!("channel {}: chunk {}", self.channel(), self.order.cell));
        match written {
            Ok(()) => {
                error.hint(format!("npvr log {} has the details; the next check tries again", self.job))
            }
            // Somebody took the cell over meanwhile, or the ledger is in trouble itself: the next run finds out which.
            Err(_) => error,
        }
    }

    pub(super) fn channel(&self) -> &str {
        self.feed.channel.name.as_str()
    }

    pub(super) fn note(&mut self, line: String) {
        let _ = writeln!(self.log, "{} {line}", clock::now());
    }

    pub(super) fn flush_log(&mut self) -> Result<()> {
        self.place.ledger.append_log(self.job, &std::mem::take(&mut self.log))
    }
}
