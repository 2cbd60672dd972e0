//! Capturing with `unified_capture`: the program makes the file, and npvr holds it to the proof of its own engine.
//!
//! The order of effects is that of `capture`. Step 3 is: the program writes into a file of its own beside the spool, of a name
//! that no other attempt has; the file takes the place of the spool, under the lock, once the program has ended well; it is
//! read back and proved against what the source lists. A file that is cut short, lacks a track or lacks media that the
//! source has is thrown away, and the attempt has failed. The file is stored as the program made it: nothing in it is
//! edited, and step 4 has nothing to do.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::Event;
use super::attempt::Attempt;
use super::batch::bounds;
use super::contents::Contents;
use super::progress::Progress;
use super::spool::Spool;
use super::tracks::{pair, tracks_of};
use super::writer::Writer;
use crate::channel::Unified;
use crate::clock;
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::ledger::Gap;
use crate::program::{End, Order, Tail, find, run};
use crate::secret::Secret;
use crate::source::{TrackListing, clip_url, redacted};
use crate::time::{Range, human_duration};

/// The environment variable that holds the licence.
const LICENCE: &str = "UspLicenseKey";

/// The file that the program writes, until it has become the spool. Deleted when it is dropped.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // It may never have been made. What cannot be deleted here, the next sweep deletes.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Attempt<'_> {
    /// Step 3, by the program: its file is in the spool, and proved.
    pub(super) async fn fill_by_program(
        &mut self,
        unified: &Unified,
        mut spool: Spool,
        mut progress: Progress,
    ) -> Result<Writer> {
        if !progress.unified {
            // What the native engine left is none of the program's.
            progress = Progress { unified: true, ..Progress::default() };
            spool.start_over()?;
        }
        let made = spool.read_whole().ok().flatten();
        let made = match made {
            Some(contents) if progress.until.is_some() => {
                self.note(format!("goes on with {} bytes in the spool, which are proved", spool.len()));
                return Ok(writer(spool, contents, progress));
            }
            made => made,
        };
        let listing = self.feed.source.list(self.order.cell.range()).await?;
        progress.see(&listing);
        if listing.iter().all(|track| track.segments.is_empty()) {
            spool.start_over()?;
            return Ok(Writer::new(spool, None, progress));
        }
        let contents = match made {
            Some(contents) => contents,
            None => {
                spool.start_over()?;
                progress.until = None;
                self.checkpoint(&progress)?;
                self.make(unified, &mut spool).await?;
                read_made(&mut spool)?
            }
        };
        self.stats.bytes = spool.len();
        self.stats.segments = contents.index.tracks.iter().map(|t| t.fragments.len() as u64).sum();
        let proved = self.prove_against(&listing, spool, contents, progress)?;
        self.checkpoint(&proved.progress)?;
        failpoint::reach("capture-3-written");
        Ok(proved)
    }

    /// Runs the program, and puts what it made into the spool.
    async fn make(&mut self, unified: &Unified, spool: &mut Spool) -> Result<()> {
        let part = Part(spool.part(self.job));
        let cell = self.order.cell;
        let url = clip_url(&self.feed.channel.url, cell.range(), unified.filter.as_deref());
        let args = |url: &str| {
            let verbosity = unified.verbosity.to_string();
            let file = part.0.display().to_string();
            ["--remix", "-v", &verbosity, "-o", &file, url].map(str::to_owned)
        };
        let shown = in_words(&unified.program, &args(&redacted(&url)));
        self.note(format!("runs: {shown}"));
        self.flush_log()?;
        let (ledger, job) = (self.place.ledger.as_ref(), self.job);
        ledger.note_command(job, &shown, None)?;
        self.place.observer.event(self.channel(), cell, Event::Started { segments: 0 });

        let inherited = std::env::var(LICENCE).ok().map(Secret::new);
        let mut tail = Tail::new(unified.licence.iter().chain(&inherited));
        let order = Order {
            program: &find(&unified.program, "[unified] program")?,
            args: &args(url.as_str()),
            env: unified.licence.as_ref().map(|licence| (LICENCE, licence)),
            timeout: unified.timeout,
        };
        let end = run(&order, &mut tail, |text| ledger.append_log(job, text)).await?;
        let said = match tail.last().as_str() {
            "" => "and said nothing".to_owned(),
            last => format!("its last words: {last}"),
        };
        let failed =
            |what: String| Error::new(Kind::TryLater, format!("{}: {what}: {said}", unified.program));
        match end {
            End::Exit(0) => ledger.note_command(job, &shown, Some(0))?,
            End::Exit(code) => {
                ledger.note_command(job, &shown, Some(code))?;
                return Err(failed(format!("it ended with exit code {code}")));
            }
            End::Signal(signal) => return Err(failed(format!("it was ended by signal {signal}"))),
            End::TimedOut => {
                let after = human_duration(unified.timeout);
                return Err(failed(format!("it was ended after {after}, its timeout")));
            }
        }
        self.note("it ended with exit code 0".to_owned());
        match absent(&part)? {
            Some(what) => Err(failed(format!("it ended with exit code 0 and made {what}"))),
            None => spool.take(&part.0),
        }
    }

    /// Finds the channel's tracks in the file, and holds the file to what the source lists. What is not good enough leaves the
    /// spool empty.
    fn prove_against(
        &mut self,
        listing: &[TrackListing],
        mut spool: Spool,
        mut contents: Contents,
        mut progress: Progress,
    ) -> Result<Writer> {
        if let Err(e) = self.find_tracks(listing, &mut contents, &mut progress) {
            spool.start_over()?;
            return Err(e);
        }
        let mut proved = writer(spool, contents, progress);
        let found = self.prove(&proved)?;
        if let Some(what) = self.misplaced(&proved).or_else(|| shortfall(listing, &found)) {
            proved.spool.start_over()?;
            return Err(Error::new(Kind::Invalid, format!("its file {what}")));
        }
        proved.progress.until = Some(self.order.cell.end());
        Ok(proved)
    }

    /// Gives the tracks of the file their ids in the ledger.
    fn find_tracks(
        &self,
        listing: &[TrackListing],
        contents: &mut Contents,
        progress: &mut Progress,
    ) -> Result<()> {
        let in_file = tracks_of(contents);
        let wanted: Vec<_> = listing.iter().map(|t| (&t.track, !t.segments.is_empty())).collect();
        let pairs = pair(&wanted, &in_file);
        let lacks = wanted.iter().zip(&pairs).filter(|((_, must), pair)| *must && pair.is_none());
        let lacks: Vec<String> = lacks.map(|((track, _), _)| track.name()).collect();
        if !lacks.is_empty() {
            let what = format!("its file lacks {}; it has {} tracks", lacks.join(", "), in_file.len());
            return Err(Error::new(Kind::Invalid, what)
                .hint("does [unified] filter leave out what the channel's tracks ask for?"));
        }
        let there: Vec<_> = listing.iter().zip(pairs).filter_map(|(t, p)| Some((t, &in_file[p?]))).collect();
        let named: Vec<_> = there.iter().map(|(t, found)| (&t.track, found.timescale)).collect();
        let ids = self.place.ledger.register_tracks(self.channel(), &named, clock::now())?;
        for ((of_track, found), id) in there.iter().zip(ids) {
            let known = progress.track(&of_track.track.name());
            known.id = Some(id);
            known.file_id = Some(found.id);
            known.segment = longest(of_track);
        }
        Ok(())
    }

    /// Says so if none of the file's media lies in the cell.
    fn misplaced(&self, made: &Writer) -> Option<String> {
        let ids = made.progress.tracks.values().filter_map(|t| t.id);
        let all: Vec<Range> = ids.flat_map(|id| made.presented(id)).collect();
        let cell = self.order.cell.range();
        let first = all.iter().map(|range| range.start).min()?;
        all.iter()
            .all(|range| range.intersect(cell).is_empty())
            .then(|| format!("is not of this time: it begins at {first}"))
    }
}

/// What the program has made in place of a file with something in it, if it has.
fn absent(part: &Part) -> Result<Option<&'static str>> {
    match std::fs::metadata(&part.0) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Some("no file")),
        Ok(made) if made.len() == 0 => Ok(Some("an empty file")),
        made => Ok(made.map(|_| None)?),
    }
}

/// A writer that has nothing more to write: the file is as it is to be stored.
fn writer(spool: Spool, mut contents: Contents, progress: Progress) -> Writer {
    let known = progress.tracks.values();
    let ids: Vec<(u32, u32)> = known.filter_map(|t| Some((t.file_id?, t.id?))).collect();
    contents.number(|file_id| ids.iter().find(|(of, _)| *of == file_id).map_or(0, |(_, id)| *id));
    contents.finished = true;
    Writer::new(spool, Some(contents), progress)
}

/// The longest segment of a track.
fn longest(listing: &TrackListing) -> Option<Duration> {
    let length = |(start, end): (crate::time::Time, crate::time::Time)| end.since(start);
    listing.segments.iter().map(|segment| length(bounds(segment))).max()
}

/// What the file lacks though the source has it: `is short: video=1 lacks 4s`. What the source does not have is a gap, and no
/// fault of the file.
fn shortfall(listing: &[TrackListing], found: &[Gap]) -> Option<String> {
    let short = |of_track: &TrackListing| {
        let half = longest(of_track).unwrap_or_default() / 2;
        let name = of_track.track.name();
        let gaps = found.iter().filter(|gap| gap.track == name);
        let held = gaps.flat_map(|gap| of_track.held.clip(gap.range).as_slice().to_vec());
        let lost: Duration = held.map(|range| range.duration()).filter(|lost| *lost > half).sum();
        (!lost.is_zero()).then(|| format!("{name} lacks {}", human_duration(lost)))
    };
    let all: Vec<String> = listing.iter().filter_map(short).collect();
    (!all.is_empty()).then(|| format!("is short: {}", all.join(", ")))
}

/// What the program has made. A file that is not whole is thrown away.
fn read_made(spool: &mut Spool) -> Result<Contents> {
    let bytes = spool.len();
    let cut = || Error::new(Kind::Invalid, format!("its file of {bytes} bytes is cut short"));
    match spool.read_whole().context("its file").and_then(|made| made.ok_or_else(cut)) {
        Ok(contents) => Ok(contents),
        Err(e) => spool.start_over().and(Err(e)),
    }
}

/// A command as a person would type it.
fn in_words(program: &str, args: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+%".contains(c);
    let mut text = String::new();
    for word in std::iter::once(program).chain(args.iter().map(String::as_str)) {
        let space = if text.is_empty() { "" } else { " " };
        let quoted = if word.chars().all(plain) && !word.is_empty() {
            word.to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{space}{quoted}");
    }
    text
}
