//! One track of a file, as its samples come in: tables, and what is presented of them.

use super::place::Place;
use crate::error::{Error, Kind, Result};
use crate::media::{Init, MovieEdit, Table};
use crate::time::Timescale;

/// A track.
#[derive(Debug)]
pub(super) struct Strip {
    pub(super) timescale: Timescale,
    movie: Timescale,
    /// One for each sample entry.
    pub(super) inits: Vec<Init>,
    pub(super) table: Table,
    pub(super) edits: Vec<MovieEdit>,
    stretch: Option<Stretch>,
}

/// Samples of one run that follow one another without a step back.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    run: usize,
    place: Place,
    /// When its first sample is decoded: on the track's own timeline, and in the file.
    first: i64,
    media: u64,
    /// When its next sample should be decoded.
    next: i64,
    /// From when to when it is presented.
    starts: i64,
    ends: i64,
}

/// When the samples of a fragment are decoded and presented, in ticks of presentation time since the Unix epoch, but for what
/// reordering adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) decoded: i64,
    pub(super) decoded_until: i64,
    pub(super) starts: i64,
    pub(super) ends: i64,
}

impl Strip {
    pub(super) fn new(timescale: Timescale, movie: Timescale) -> Strip {
        let (inits, table, edits) = (Vec::new(), Table::default(), Vec::new());
        Strip { timescale, movie, inits, table, edits, stretch: None }
    }

    /// The number of a sample entry, which is new or not.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for one that counts in other ticks.
    pub(super) fn entry(&mut self, init: &Init) -> Result<u32> {
        if init.timescale() != self.timescale {
            let (then, now) = (self.timescale.get(), init.timescale().get());
            let what = format!("its timescale changes from {then} to {now} within the clip");
            return Err(Error::new(Kind::Unsupported, what)
                .hint("ask for what is before the change, and for what is after it"));
        }
        let known = self.inits.iter().position(|known| known.same_track_shape(init));
        let at = known.unwrap_or_else(|| {
            self.inits.push(init.clone());
            self.inits.len() - 1
        });
        u32::try_from(at + 1).map_err(|_| Error::new(Kind::Unsupported, "too many sample entries"))
    }

    /// Goes on with the samples of a fragment, which then can be put into the table.
    pub(super) fn go_on(&mut self, run: usize, place: &Place, times: Times) {
        let late = |stretch: &Stretch| u64::try_from(times.decoded.saturating_sub(stretch.next)).ok();
        match self.stretch.as_mut().filter(|stretch| stretch.run == run) {
            Some(stretch) if late(stretch).is_some_and(|ticks| self.table.lengthen(ticks)) => {
                stretch.starts = stretch.starts.min(times.starts);
                stretch.ends = stretch.ends.max(times.ends);
                stretch.next = times.decoded_until;
            }
            before => {
                // What the one before presents already is not presented again.
                let starts = before.map_or(times.starts, |stretch| times.starts.max(stretch.ends));
                self.end_stretch();
                self.step(place.at(starts, self.timescale, self.movie));
                self.stretch = Some(Stretch {
                    run,
                    place: *place,
                    first: times.decoded,
                    media: self.table.duration_ticks(),
                    next: times.decoded_until,
                    starts,
                    ends: times.ends,
                });
            }
        }
    }

    /// No more samples come.
    pub(super) fn finish(&mut self) {
        self.end_stretch();
        self.table.finish();
    }

    /// How long what is presented is so far, in ticks of the movie.
    pub(super) fn presented(&self) -> u64 {
        self.edits.iter().map(|edit| edit.duration_ticks).sum()
    }

    /// Writes the edit of the stretch that was under way.
    fn end_stretch(&mut self) {
        let Some(stretch) = self.stretch.take() else { return };
        let (from, to) = stretch.place.points(self.timescale);
        let (starts, ends) = (stretch.starts.max(from), stretch.ends.min(to));
        let at = |ticks| stretch.place.at(ticks, self.timescale, self.movie);
        if starts < ends && at(starts) < at(ends) {
            let into = i64::try_from(stretch.media).unwrap_or(i64::MAX);
            self.edits.push(MovieEdit {
                duration_ticks: at(ends) - at(starts),
                media_ticks: Some(into.saturating_add(starts.saturating_sub(stretch.first))),
            });
        }
    }

    /// Fills what is between the last edit and `next`, in ticks of the movie, before anything is added behind it.
    fn step(&mut self, next: u64) {
        let ticks = next.saturating_sub(self.presented());
        let (movie, timescale) = (self.movie, self.timescale);
        if let Some(last) = self.edits.last_mut().filter(|edit| edit.media_ticks.is_some()) {
            let longer = last.duration_ticks.saturating_add(ticks);
            // Not an empty edit, at which ffmpeg complains in the middle of a list, and shows the wrong frames.
            // The media reaches as far as the edit does: by less than a tick it may not, even where there is nothing to fill.
            let until = last.media_ticks.unwrap_or(0).saturating_add(rounded_up(longer, movie, timescale));
            let missing = u64::try_from(until).unwrap_or(0).saturating_sub(self.table.duration_ticks());
            if self.table.lengthen(missing) {
                last.duration_ticks = longer;
                return;
            }
        }
        if ticks > 0 {
            self.edits.push(MovieEdit { duration_ticks: ticks, media_ticks: None });
        }
    }
}

/// So many ticks of one timescale in those of another, rounded up.
fn rounded_up(ticks: u64, from: Timescale, to: Timescale) -> i64 {
    let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
    let nearest = from.convert(ticks, to);
    nearest.saturating_add(i64::from(to.convert(nearest, from) < ticks))
}
