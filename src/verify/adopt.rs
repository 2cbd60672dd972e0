//! Writing an object down of which no row speaks: the archive of a lost ledger, or of the program that archived before.
//!
//! The order of effects:
//!
//! 1. the object is read, whole: its digest, its fragments, what it lacks;
//! 2. its tracks are registered, the channel is opened from its first media on if need be, and the row is written.
//!
//! A kill between the two leaves an object without a row, as before, for the next repair.

use super::chunk::{gaps_of_file, other_times};
use super::finding::Repair;
use super::names::Named;
use super::subject::Subject;
use crate::capture::{
    BEFORE_THE_ARCHIVE, Contents, Order, ReadBack, ends_before, holds_all, read_back, write_off,
};
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::grid::Cell;
use crate::ledger::{CellRow, Coverage, Gap, State, Stored};
use crate::media::{Index, TrackIndex};
use crate::store::{Digest, Object};
use crate::time::{MediaTime, Time, human_duration};

/// Why a chunk that was found lacks something: only the file was there to be asked.
const NOT_IN_FILE: &str = "it is not in the file that was found";

/// What came of an object of which no row speaks.
pub(super) struct Stranger {
    /// What it is, and why it was not written down, if it was not.
    pub(super) message: String,
    /// What was done.
    pub(super) repair: Option<Repair>,
    /// What a person should know.
    pub(super) note: Option<String>,
}

impl Stranger {
    fn left(message: String) -> Stranger {
        Stranger { message, repair: None, note: None }
    }
}

/// What was read of an object, ready to be written down.
struct Prepared {
    digest: Digest,
    contents: Contents,
    tracks: Vec<Named>,
    note: Option<String>,
}

const UNKNOWN: &str = "no row of the ledger speaks of it";

impl Subject {
    /// Step 1 for an object of which no row speaks; `None` if it is not to be written down, or is gone.
    ///
    /// # Errors
    /// Those of the ledger and the store.
    pub(super) async fn read_stranger(&self, object: &Object, cell: Cell) -> Result<Option<ReadBack>> {
        if self.why_not(cell)?.is_some() {
            return Ok(None);
        }
        match read_back(self.store.as_ref(), &object.key).await {
            Err(e) if e.kind() == Kind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// Why an object is not to be written down as the chunk of a cell; `None` if it is.
    fn why_not(&self, cell: Cell) -> Result<Option<String>> {
        let rows = self.ledger().cells(self.name(), cell.range())?;
        if let Some(other) = rows.iter().find(|row| row.cell != cell) {
            return Ok(Some(format!(
                ", and for a part of its time {} is there: it stays as it is",
                other.cell
            )));
        }
        let asked_for = self.options.repair;
        Ok((!asked_for).then(|| format!(": npvr verify --repair {} writes it down", self.name())))
    }

    /// Says what an object is of which no row speaks, and writes it down if that was asked for and it is a chunk of the cell.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(super) async fn adopt(&self, key: &str, cell: Cell, found: Option<ReadBack>) -> Result<Stranger> {
        // Again: the one before it was written down since it was read.
        if let Some(why) = self.why_not(cell)? {
            return Ok(Stranger::left(format!("{UNKNOWN}{why}")));
        }
        let Some(found) = found else {
            let repair = Some(Repair::mended("it is gone meanwhile"));
            return Ok(Stranger { message: UNKNOWN.to_owned(), repair, note: None });
        };
        failpoint::reach("repair-1-read");
        match self.prepare(cell, found).await {
            Ok(_) if self.options.dry_run => {
                let repair = Some(Repair::not_all("would be written down"));
                Ok(Stranger { message: UNKNOWN.to_owned(), repair, note: None })
            }
            Ok(prepared) => {
                self.bury(cell)?;
                let repair = Some(self.write_down(cell, key, &prepared)?);
                Ok(Stranger { message: UNKNOWN.to_owned(), repair, note: prepared.note })
            }
            Err(e) if matches!(e.kind(), Kind::Corrupt | Kind::TryLater) => {
                let hint = e.remedy().map(|hint| format!(" ({hint})")).unwrap_or_default();
                Ok(Stranger::left(format!("{UNKNOWN}, and it stays as it is: {e}{hint}")))
            }
            Err(e) => Err(e),
        }
    }

    /// Ends what a row calls a capture, where there is none any more: a ledger that was brought back from a backup may know no
    /// better.
    fn bury(&self, cell: Cell) -> Result<()> {
        let (row, is_busy) = self.look(cell)?;
        if row.is_some_and(|row| row.state == State::Capturing) && !is_busy {
            let order = Order { cell, whole: true, last_chance: true, attempts: 0, since: cell.start() };
            write_off(&self.place, self.name(), order, &[], "its capture died")?;
        }
        Ok(())
    }

    /// Writes an object down in place of the one that a row of a partial chunk speaks of, if it has all that that one had, and
    /// more: it was captured after a backup of the ledger was made, or just before a kill.
    ///
    /// # Errors
    /// Those of the ledger and the store.
    pub(super) async fn write_down_better(&self, row: &CellRow, stored: &Stored) -> Result<Option<Repair>> {
        let before = self.ledger().index(self.name(), row.cell)?.and_then(|bytes| Index::decode(&bytes).ok());
        let Some(before) = before.filter(|_| stored.coverage == Coverage::Partial) else { return Ok(None) };
        let found = read_back(self.store.as_ref(), &stored.key).await?;
        let prepared = match self.prepare(row.cell, found).await {
            Ok(prepared) => prepared,
            Err(e) if matches!(e.kind(), Kind::Corrupt | Kind::TryLater) => return Ok(None),
            Err(e) => return Err(e),
        };
        // By the numbers in the files: in a dry run the ids are not looked for.
        let [before, now] = [before, prepared.contents.index.clone()].map(|mut index| {
            index.number(|file_track_id| file_track_id);
            index
        });
        if !holds_all(&now, &before) || holds_all(&before, &now) {
            return Ok(None);
        }
        self.replace(row, stored, &prepared, "a chunk that has more is stored")
    }

    /// Writes a stored chunk down anew, of which the ledger's index or gaps are not right.
    ///
    /// # Errors
    /// Those of the ledger and the store.
    pub(super) async fn write_down_anew(&self, row: &CellRow, stored: &Stored) -> Result<Option<Repair>> {
        if !self.options.repair {
            return Ok(None);
        }
        let found = read_back(self.store.as_ref(), &stored.key).await?;
        let is_same = (found.digest.bytes, found.digest.sha256) == (stored.bytes, stored.sha256);
        let prepared = match self.prepare(row.cell, found).await {
            Ok(prepared) if is_same => prepared,
            Err(e) if !matches!(e.kind(), Kind::Corrupt | Kind::TryLater) => return Err(e),
            _ => return Ok(None),
        };
        self.replace(row, stored, &prepared, "its index is written anew")
    }

    /// Step 2 for a cell that has a row with an object.
    fn replace(
        &self,
        row: &CellRow,
        stored: &Stored,
        prepared: &Prepared,
        reason: &str,
    ) -> Result<Option<Repair>> {
        if self.options.dry_run {
            return Ok(Some(Repair::not_all("would be written down anew, by what is in the file")));
        }
        failpoint::reach("repair-1-read");
        match self.ledger().spoil(self.name(), row.cell, stored, reason, clock::now()) {
            Ok(true) => self.write_down(row.cell, &stored.key, prepared).map(Some),
            Ok(false) => Ok(None),
            Err(e) if e.kind() == Kind::Busy => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Sees whether what was read is a chunk of the cell, and finds the channel's tracks in it.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if it is no chunk of the cell; [`Kind::TryLater`] as [`Subject::name_tracks`].
    async fn prepare(&self, cell: Cell, found: ReadBack) -> Result<Prepared> {
        let ReadBack { digest, contents } = found;
        let mut contents = contents.map_err(|e| corrupt(format!("it cannot be read: {e}")))?;
        refuse_others(cell, &contents)?;
        let (mut tracks, mut note) = (Vec::new(), None);
        if !self.options.dry_run {
            (tracks, note) = self.name_tracks(&contents).await?;
        }
        contents.number(|of| tracks.iter().find(|t| t.file_track_id == of).map_or(0, |t| t.id));
        Ok(Prepared { digest, contents, tracks, note })
    }

    /// Step 2.
    fn write_down(&self, cell: Cell, key: &str, found: &Prepared) -> Result<Repair> {
        let Prepared { digest, contents, tracks, .. } = found;
        let now = clock::now();
        let since = self.ledger().open_channel(self.name(), begins(cell, &contents.index), now)?;
        let gaps = self.lacks(cell, since, contents, tracks)?;
        let coverage = if gaps.is_empty() { Coverage::Complete } else { Coverage::Partial };
        let stored = Stored { coverage, key: key.to_owned(), bytes: digest.bytes, sha256: digest.sha256 };
        if !self.ledger().adopt(self.name(), cell, &stored, &contents.index.encode(), &gaps, now)? {
            return Ok(Repair::mended("another run has written it down meanwhile"));
        }
        // All of it was just read.
        self.ledger().verified(self.name(), cell, &stored, now)?;
        failpoint::reach("repair-2-written");
        let lost: Vec<&Gap> = gaps.iter().filter(|gap| gap.reason != BEFORE_THE_ARCHIVE).collect();
        Ok(Repair::mended(match lost.first() {
            None => "written down".to_owned(),
            Some(gap) => {
                let length = human_duration(gap.range.duration());
                let more = if lost.len() > 1 { " and more" } else { "" };
                format!("written down, with gaps: {} lacks {length}{more}", gap.track)
            }
        }))
    }

    /// What a file that was found lacks, and no more than that can be said of why.
    fn lacks(&self, cell: Cell, since: Time, contents: &Contents, tracks: &[Named]) -> Result<Vec<Gap>> {
        let named: Vec<(u32, String)> = tracks.iter().map(|t| (t.file_track_id, t.name.clone())).collect();
        let ends = ends_before(self.ledger(), self.name(), cell)?;
        let mut gaps = gaps_of_file(cell, since, contents, &named, |name| ends.get(name).copied());
        for gap in gaps.iter_mut().filter(|gap| gap.reason != BEFORE_THE_ARCHIVE) {
            NOT_IN_FILE.clone_into(&mut gap.reason);
        }
        Ok(gaps)
    }
}

/// Refuses what is no whole chunk of the cell.
fn refuse_others(cell: Cell, contents: &Contents) -> Result<()> {
    if !contents.whole {
        return Err(corrupt(format!("it is cut short after byte {}", contents.whole_bytes)));
    }
    if contents.index.tracks.iter().all(|track| track.fragments.is_empty()) {
        return Err(corrupt("there is no media in it".to_owned()));
    }
    other_times(cell, contents).map_or(Ok(()), |what| Err(corrupt(what)))
}

/// From when on a chunk has media, within its cell. Tracks do not begin at the same instant: one that begins up to a fragment
/// after the first lacks nothing at the beginning of an archive.
fn begins(cell: Cell, index: &Index) -> Time {
    let at = |t: &TrackIndex, ticks: u64| {
        MediaTime::new(i64::try_from(ticks).unwrap_or(i64::MAX), t.timescale).instant()
    };
    let first = |t: &TrackIndex| t.fragments.first().map(|f| at(t, f.decode_time));
    let length = |t: &TrackIndex| {
        let longest = t.fragments.iter().map(|f| f.duration_ticks).max()?;
        Some(at(t, u64::from(longest)).since(Time::EPOCH))
    };
    let firsts = || index.tracks.iter().filter_map(first);
    let longest = index.tracks.iter().filter_map(length).max().unwrap_or_default();
    let earliest = firsts().min().unwrap_or(cell.start());
    let latest = firsts().filter(|at| *at <= earliest.plus(longest)).max().unwrap_or(earliest);
    latest.clamp(cell.start(), cell.end())
}

fn corrupt(what: String) -> Error {
    Error::new(Kind::Corrupt, what)
}
