//! What can be done about a chunk whose object is no good: it is captured again while the source still holds it.
//!
//! A chunk is not taken out of the books before it is sure that a better one can be had: one with a flipped bit is worth more
//! than none. What the source no longer holds is told and left alone; only a row without any object is written off, and
//! that only by `--repair`.

use super::finding::{Repair, What};
use super::subject::Subject;
use crate::capture::{Captured, Order, write_off};
use crate::check::{Options, check};
use crate::clock;
use crate::error::{Kind, Result};
use crate::ledger::{CellRow, Gap, Stored};
use crate::media::Index;
use crate::time::Ranges;
use crate::timeline::Timeline;

/// What the source still has of a chunk.
enum Held {
    /// All that was in it; of one that is not there: something of it.
    Yes,
    /// Not that.
    No,
    /// Nobody knows, and why.
    Unknown(String),
}

impl Subject {
    /// Does what can be done about a row whose object is missing or bad. `None`: nothing.
    pub(super) async fn mend(
        &self,
        row: &CellRow,
        stored: &Stored,
        what: What,
        message: &str,
    ) -> Result<Option<Repair>> {
        let held = if self.channel.enabled { self.is_held(row, what).await? } else { Held::No };
        match held {
            Held::Yes if self.options.dry_run => {
                Ok(Some(Repair::not_all("would be captured again: the source still holds it")))
            }
            Held::Yes => self.capture_again(row, stored, message).await.map(Some),
            Held::Unknown(why) => {
                Ok(Some(Repair::not_all(format!("is left as it is: the source could not be asked: {why}"))))
            }
            Held::No if !self.options.repair => Ok(None),
            Held::No if what != What::Missing => self.write_down_better(row, stored).await,
            Held::No if self.options.dry_run => Ok(Some(Repair::not_all("would be written off as lost"))),
            Held::No => match self.drop_row(row)? {
                Some(dropped) => Ok(Some(dropped)),
                None => self.lose(row, stored, message),
            },
        }
    }

    /// What the source still has of a cell, of the tracks that its chunk had, and of those that it would have today.
    async fn is_held(&self, row: &CellRow, what: What) -> Result<Held> {
        if self.has_left(row.cell).await {
            return Ok(Held::No);
        }
        let answer = self.timeline().await;
        let timeline = match answer.as_ref() {
            Ok(timeline) => timeline,
            Err(why) => return Ok(Held::Unknown(why.clone())),
        };
        let cell = row.cell.range();
        // What check would not plan, not even by force, is not captured again: what retention gives up. A row that pruning left
        // is held, and worth it.
        let oldest = timeline.now.minus(self.channel.archive_length);
        let since = self.ledger().since(self.name())?;
        if cell.end <= since.map_or(oldest, |since| since.max(oldest)) {
            return Ok(Held::No);
        }
        if what == What::Missing {
            let any = timeline.tracks.iter().any(|t| !t.held.clip(cell).is_empty());
            return Ok(if any { Held::Yes } else { Held::No });
        }
        let had = self.tracks_of(row)?;
        let gaps = self.gaps_of(row)?;
        // Of a chunk without an index nobody knows what it had: what the source has now is taken for it.
        let had = if had.is_empty() { timeline.tracks.iter().map(|t| t.track.name()).collect() } else { had };
        Ok(if holds_all(timeline, row, &had, &gaps, self.channel.margin) { Held::Yes } else { Held::No })
    }

    /// The names of the tracks of a stored chunk, by the ledger's index of it.
    fn tracks_of(&self, row: &CellRow) -> Result<Vec<String>> {
        let Some(index) = self.ledger().index(self.name(), row.cell)? else { return Ok(Vec::new()) };
        // An index that cannot be read is another finding.
        let ids: Vec<u32> = Index::decode(&index)
            .map_or_else(|_| Vec::new(), |index| index.tracks.iter().map(|t| t.track_id).collect());
        let tracks = self.ledger().tracks(self.name())?;
        Ok(tracks.into_iter().filter(|t| ids.contains(&t.id)).map(|t| t.track.name()).collect())
    }

    fn gaps_of(&self, row: &CellRow) -> Result<Vec<Gap>> {
        let rows = self.ledger().gaps(self.name(), row.cell.range())?;
        Ok(rows.into_iter().filter(|gap| gap.cell == row.cell).map(|gap| gap.gap).collect())
    }

    async fn capture_again(&self, row: &CellRow, stored: &Stored, message: &str) -> Result<Repair> {
        let before = self.gaps_of(row)?;
        match self.ledger().spoil(self.name(), row.cell, stored, message, clock::now()) {
            Ok(true) => {}
            Ok(false) => return Ok(Repair::mended("another run has stored it anew meanwhile")),
            Err(e) if e.kind() == Kind::Busy => return Ok(Repair::not_all("another run is capturing it")),
            Err(e) => return Err(e),
        }
        let options = Options {
            parallel: 1,
            dry_run: false,
            within: Some(row.cell.range()),
            force: true,
            archive: self.options.archive.clone(),
        };
        let reports = check(self.place.clone(), vec![self.channel.clone()], &options).await;
        let later = |why: &str| Repair::not_all(format!("the next check captures it again: {why}"));
        let Some(report) = reports.into_iter().next() else { return Ok(later("no answer")) };
        let done = report.done.into_iter().find(|done| done.decision.cell == row.cell);
        Ok(match (done.map(|done| done.result), report.error) {
            (Some(Ok(Captured::Complete)), _) => Repair::mended("captured again"),
            (Some(Ok(Captured::Partial { gaps, .. })), _) if gaps == before => {
                Repair::mended("captured again, as far as it was before")
            }
            (Some(Ok(Captured::Partial { .. })), _) => {
                let name = self.name();
                Repair::not_all(format!("captured again, with gaps: npvr status --gaps {name}"))
            }
            (Some(Ok(Captured::Lost)), _) => Repair::not_all("lost: the source has no media for it any more"),
            (Some(Ok(_)), _) => later("another run is at work on it"),
            (Some(Err(e)), _) | (None, Some(e)) => later(&e.to_string()),
            (None, None) => later("it is not due"),
        })
    }

    /// A row without an object, which retention would drop too: the ledger may be older than the last prune.
    fn drop_row(&self, row: &CellRow) -> Result<Option<Repair>> {
        let (name, now) = (self.name(), clock::now());
        if row.cell.end() > now.minus(self.channel.archive_length) {
            return Ok(None);
        }
        let gone = self.ledger().discard(name, &[row.cell], "it is not in the store any more", now)?;
        let keys: Vec<String> = gone.into_iter().map(|garbage| garbage.key).collect();
        self.ledger().forget(name, &keys)?;
        // Nothing was discarded of a cell that is held.
        Ok((!keys.is_empty()).then(|| Repair::mended("its row is dropped: retention keeps it no longer")))
    }

    /// A row without an object, of which the source holds nothing either.
    fn lose(&self, row: &CellRow, stored: &Stored, message: &str) -> Result<Option<Repair>> {
        let (name, cell) = (self.name(), row.cell);
        let (tracks, since) = (self.tracks_of(row)?, self.ledger().since(name)?.unwrap_or(cell.start()));
        match self.ledger().spoil(name, cell, stored, message, clock::now()) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(e) if e.kind() == Kind::Busy => return Ok(None),
            Err(e) => return Err(e),
        }
        let order = Order { cell, whole: true, last_chance: true, attempts: 0, since };
        let reason = "its chunk was stored, and is not in the store any more";
        write_off(&self.place, name, order, &tracks, reason)?;
        Ok(Some(Repair::not_all("written off as lost")))
    }
}

/// True if a source holds everything that a chunk had, and will for a while.
fn holds_all(
    timeline: &Timeline,
    row: &CellRow,
    had: &[String],
    gaps: &[Gap],
    margin: std::time::Duration,
) -> bool {
    let cell = row.cell.range();
    let lacked = |name: &str| gaps.iter().filter(|g| g.track == name).map(|g| g.range).collect::<Ranges>();
    let wanted = |name: &str| lacked(name).missing_in(cell);
    let first = had.iter().filter_map(|name| wanted(name).span()).map(|s| s.start).min();
    let is_leaving = first.unwrap_or(cell.start) < timeline.window_start.plus(margin) && timeline.live;
    let holds = |name: &String| {
        let track = timeline.tracks.iter().find(|t| t.track.name() == *name);
        track.is_some_and(|track| wanted(name).minus(&track.held).is_empty())
    };
    !is_leaving && !had.is_empty() && had.iter().all(holds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grid::Cell;
    use crate::ledger::State;
    use crate::time::{Range, Time};
    use crate::timeline::TrackTimeline;
    use crate::track::{Medium, Track};

    fn range(start: i64, end: i64) -> Range {
        Range::new(Time::from_s(start), Time::from_s(end))
    }

    /// The cell [100 s, 110 s).
    fn row() -> CellRow {
        CellRow {
            cell: Cell::from_range(range(100, 110)),
            state: State::Complete,
            stored: None,
            attempts: 0,
            retry_at: None,
            reason: None,
            job: None,
            progress: None,
            updated: Time::EPOCH,
            verified: None,
        }
    }

    /// What holds two tracks, each from there on.
    fn timeline(video_from: i64, audio_from: i64) -> Timeline {
        let track = |medium: Medium, from| {
            let id = medium.as_str().to_owned() + "=1";
            let track = Track { medium, id, language: None, bandwidth: None, codecs: None, size: None };
            let held = Ranges::from_iter([range(from, 200)]);
            TrackTimeline { track, held, last_start: None, settle: Duration::ZERO }
        };
        Timeline {
            now: Time::from_s(200),
            window_start: Time::from_s(video_from.min(audio_from)),
            live: true,
            zero: None,
            tracks: vec![track(Medium::Video, video_from), track(Medium::Audio, audio_from)],
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_bad_chunk_is_given_up_only_for_one_that_has_all_that_it_had() {
        let had = ["video=1".to_owned(), "audio=1".to_owned()];
        let holds = |timeline: &Timeline, had: &[String], gaps: &[Gap], margin_s| {
            holds_all(timeline, &row(), had, gaps, Duration::from_secs(margin_s))
        };
        assert!(holds(&timeline(90, 95), &had, &[], 10));
        assert!(!holds(&timeline(90, 95), &had, &[], 11), "it leaves the window in a moment");
        assert!(!holds(&timeline(90, 101), &had, &[], 0), "a second of sound has left it");
        let lacked = Gap { track: "audio=1".into(), range: range(100, 102), reason: "404".into() };
        assert!(holds(&timeline(90, 101), &had, &[lacked], 0), "which the chunk does not have either");
        let other = [&had[..], &["text=1".to_owned()]].concat();
        assert!(!holds(&timeline(90, 95), &other, &[], 0), "a track that the source has no more");
        assert!(holds(&timeline(90, 101), &had[..1], &[], 0), "a track that the chunk never had");
        assert!(!holds(&timeline(90, 95), &[], &[], 0));
    }
}
