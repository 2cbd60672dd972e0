//! The ledger beside the store: one pass over the rows of a channel and the listing of its folder, a page of each at a time.
//!
//! Other runs go on meanwhile: a chunk is stored, or pruned, between the page of the one and the page of the other. So nothing
//! is told before a second look: at the row and then the object, and for a whole page of strangers at the listing again.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};

use super::finding::{ChannelReport, Finding, What};
use super::merge::{Merge, Pair};
use super::subject::Subject;
use super::{Event, Watcher};
use crate::error::{Kind, Result};
use crate::grid::Cell;
use crate::ledger::{CellRow, Coverage, State, Stored};
use crate::store::Object;
use crate::time::Range;

/// Rows that are read at once, and objects that are listed at once: the most that S3 lists.
const PAGE: u16 = 1_000;

/// A pass under way.
pub(super) struct Walk<'a> {
    subject: &'a Subject,
    watcher: &'a dyn Watcher,
    report: &'a mut ChannelReport,
    /// Cells of which the object is not to be read back: it is known to be bad.
    bad: HashSet<Cell>,
    /// Cells that are said to be captured, and have no spool file.
    dead: Vec<Cell>,
    last_row: Option<Cell>,
    last_key: Option<String>,
    /// Of the stored rows so far, the one that ends last.
    latest: Option<Cell>,
    /// Objects of the page at hand of which no row seems to speak, and the key before that page.
    strangers: Vec<Object>,
    before_page: Option<String>,
}

/// A row's object, as the row says.
type Row = (CellRow, Stored);

impl<'a> Walk<'a> {
    pub(super) fn new(subject: &'a Subject, watcher: &'a dyn Watcher, report: &'a mut ChannelReport) -> Self {
        Walk {
            subject,
            watcher,
            report,
            bad: HashSet::new(),
            dead: Vec::new(),
            last_row: None,
            last_key: None,
            latest: None,
            strangers: Vec::new(),
            before_page: None,
        }
    }

    /// Goes over all of it, and gives the cells whose objects are known to be bad.
    ///
    /// # Errors
    /// A ledger or a store that cannot be read.
    pub(super) async fn finish(mut self) -> Result<HashSet<Cell>> {
        let mut merge: Merge<Row, Object> = Merge::new();
        loop {
            if merge.wants_left() {
                let (page, is_last) = self.rows().await?;
                merge.add_left(page, is_last);
            } else if merge.wants_right() {
                self.look_at_strangers().await?;
                let (page, is_last) = self.objects().await?;
                merge.add_right(page, is_last);
            } else {
                match merge.next() {
                    Some(Pair::Both((_, stored), object)) if stored.bytes == object.bytes => {}
                    Some(Pair::Both((row, stored), _) | Pair::Left((row, stored))) => {
                        self.look_again(row, stored).await?;
                    }
                    Some(Pair::Right(object)) => self.strangers.push(object),
                    None => break,
                }
            }
        }
        self.look_at_strangers().await?;
        self.look_at_dead()?;
        Ok(self.bad)
    }

    /// The next rows that have an object. The others are looked at on the way.
    async fn rows(&mut self) -> Result<(Vec<(String, Row)>, bool)> {
        let rows = self.subject.ledger().page(self.subject.name(), self.last_row, u32::from(PAGE))?;
        let is_last = rows.len() < usize::from(PAGE);
        self.last_row = rows.last().map(|row| row.cell).or(self.last_row);
        self.look_at_rows(&rows).await?;
        let stored = |mut row: CellRow| {
            let stored = row.stored.take()?;
            row.stored = Some(stored.clone());
            Some((stored.key.clone(), (row, stored)))
        };
        let page: Vec<_> = rows.into_iter().filter_map(stored).collect();
        self.report.chunks += page.len() as u64;
        self.report.bytes += page.iter().map(|(_, (_, stored))| stored.bytes).sum::<u64>();
        Ok((page, is_last))
    }

    async fn objects(&mut self) -> Result<(Vec<(String, Object)>, bool)> {
        self.before_page.clone_from(&self.last_key);
        let page = self.list(self.before_page.as_deref()).await?;
        let is_last = page.len() < usize::from(PAGE);
        self.last_key = page.last().map(|object| object.key.clone()).or(self.last_key.take());
        self.watcher.event(Event::Listed { channel: self.subject.name(), objects: page.len() as u64 });
        Ok((page.into_iter().map(|object| (object.key.clone(), object)).collect(), is_last))
    }

    async fn list(&self, after: Option<&str>) -> Result<Vec<Object>> {
        // With the slash: `news` is not `news2`.
        let folder = format!("{}/", self.subject.name());
        self.subject.store.list(&folder, after, usize::from(PAGE)).await
    }

    /// What can be said of rows without the store.
    async fn look_at_rows(&mut self, rows: &[CellRow]) -> Result<()> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let ledger = self.subject.ledger();
        let span = Range::new(first.cell.start(), last.cell.end());
        let explained: HashSet<Cell> =
            ledger.gaps(self.subject.name(), span)?.into_iter().map(|gap| gap.cell).collect();
        for row in rows {
            if row.state == State::Capturing && self.subject.has_no_spool(row.cell) {
                self.dead.push(row.cell);
            }
            let Some(stored) = &row.stored else { continue };
            if stored.coverage == Coverage::Partial && !explained.contains(&row.cell) {
                self.look_for_gaps(row, stored).await?;
            }
            self.look_for_overlap(row, stored);
        }
        Ok(())
    }

    /// A cell that is being captured has a spool file, from before its row says so until after it says otherwise.
    fn look_at_dead(&mut self) -> Result<()> {
        let name = self.subject.name();
        for cell in std::mem::take(&mut self.dead) {
            let (row, is_busy) = self.subject.look(cell)?;
            if row.is_some_and(|row| row.state == State::Capturing) && !is_busy {
                let message = "it was being captured, and its spool file is gone with all that was in it; the next check \
                               captures what the source still holds";
                self.report.add(Finding::new(What::Unfinished, cell.key(name), Some(cell), message));
            }
        }
        Ok(())
    }

    async fn look_for_gaps(&mut self, row: &CellRow, stored: &Stored) -> Result<()> {
        let (ledger, name) = (self.subject.ledger(), self.subject.name());
        let gaps = ledger.gaps(name, row.cell.range())?;
        let again = ledger.cell(name, row.cell)?;
        let is_same = again.is_some_and(|again| again.stored.as_ref() == Some(stored));
        if is_same && gaps.iter().all(|gap| gap.cell != row.cell) {
            let message = "it is said not to be whole, and no gap says what it lacks";
            let repair = self.subject.write_down_anew(row, stored).await?;
            self.report.add(Finding::new(What::Gap, &stored.key, Some(row.cell), message).with(repair));
        }
        Ok(())
    }

    fn look_for_overlap(&mut self, row: &CellRow, stored: &Stored) {
        if let Some(latest) = self.latest.filter(|latest| latest.end() > row.cell.start()) {
            let message = format!("{latest} is stored for the same time");
            self.report.add(Finding::new(What::Overlap, &stored.key, Some(row.cell), message));
        }
        if self.latest.is_none_or(|latest| latest.end() < row.cell.end()) {
            self.latest = Some(row.cell);
        }
    }

    /// A row whose object is not in the listing, or has another length there.
    async fn look_again(&mut self, row: CellRow, stored: Stored) -> Result<()> {
        let subject = self.subject;
        let object = match subject.store.head(&stored.key).await {
            Ok(object) => Some(object),
            Err(e) if e.kind() == Kind::NotFound => None,
            Err(e) => return Err(e),
        };
        // After the object: a row that has changed by now speaks of another one.
        let again = subject.ledger().cell(subject.name(), row.cell)?;
        if again.is_none_or(|a| a.stored.as_ref() != Some(&stored) || a.state == State::Capturing) {
            return Ok(());
        }
        let (what, message) = match object {
            None => (What::Missing, "it is not in the store".to_owned()),
            Some(o) if o.bytes != stored.bytes => {
                (What::Size, format!("it has {} bytes, and {} were written", o.bytes, stored.bytes))
            }
            Some(_) => return Ok(()),
        };
        self.bad.insert(row.cell);
        let repair = subject.mend(&row, &stored, what, &message).await?;
        self.report.add(Finding::new(what, &stored.key, Some(row.cell), message).with(repair));
        Ok(())
    }

    /// The objects of the page at hand that no row spoke of.
    async fn look_at_strangers(&mut self) -> Result<()> {
        let strangers = std::mem::take(&mut self.strangers);
        if strangers.is_empty() {
            return Ok(());
        }
        let (subject, before_page) = (self.subject, self.before_page.clone());
        let garbage = subject.ledger().garbage(subject.name())?;
        let garbage: HashSet<String> = garbage.into_iter().map(|garbage| garbage.key).collect();
        // What was garbage a moment ago, and is not any more, is not in the store any more either.
        let still: HashSet<String> =
            self.list(before_page.as_deref()).await?.into_iter().map(|object| object.key).collect();
        let mut chunks = Vec::new();
        for object in strangers.into_iter().filter(|object| still.contains(&object.key)) {
            if garbage.contains(&object.key) {
                self.report.garbage += 1;
            } else if let Some(cell) = Cell::of_key(subject.name(), &object.key) {
                let (row, is_busy) = subject.look(cell)?;
                // Else it was stored since the rows were read, or is just being stored.
                if row.is_none_or(|row| row.stored.is_none()) && !is_busy {
                    chunks.push((object, cell));
                }
            } else {
                let message = "it is no chunk of this channel: its name is not one";
                self.report.add(Finding::new(What::Foreign, object.key, None, message));
            }
        }
        self.look_at_chunks(chunks).await
    }

    /// Objects that are named as chunks. A few are read at once, and written down in their order: what the one before says of
    /// the next is used.
    async fn look_at_chunks(&mut self, chunks: Vec<(Object, Cell)>) -> Result<()> {
        let subject = self.subject;
        let read = chunks.into_iter().map(|(object, cell)| async move {
            let found = subject.read_stranger(&object, cell).await;
            (object, cell, found)
        });
        let mut read = std::pin::pin!(stream::iter(read).buffered(subject.options.parallel.max(1)));
        while let Some((object, cell, found)) = read.next().await {
            let found = subject.adopt(&object.key, cell, found?).await?;
            let finding =
                Finding::new(What::Foreign, object.key, Some(cell), found.message).with(found.repair);
            self.report.add(finding);
            self.report.notes.extend(found.note.filter(|note| !self.report.notes.contains(note)));
            self.watcher.event(Event::Told { channel: subject.name(), findings: self.report.found });
        }
        Ok(())
    }
}
