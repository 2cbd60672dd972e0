//! An MPD laid out on the Unix epoch: periods placed, attributes inherited, tracks joined across periods.
//!
//! Pure. Everything that depends on the moment (`r="-1"`, `SegmentTemplate@duration`) is decided by the `now` that is
//! given. Segments stay runs.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::xml::invalid;
use super::super::{InitRef, Resource};
use super::model::{AdaptationSet, Entry, Mpd, Period, Representation, Template};
use super::offer::{classify, continues, same_name};
use super::pattern::Pattern;
use super::runs::{OpenEnd, Run, between, constant, resolve};
use crate::error::{Context, Error, Kind, Result};
use crate::time::{MediaTime, Range, Time, Timescale};
use crate::track::Track;

/// More runs than a sane manifest makes, in all tracks together: a bound on memory and time.
const MAX_RUNS: usize = 8_000_000;
/// More tracks than any channel has: a bound on the time that matching takes.
const MAX_TRACKS: usize = 2_000;
/// A person reads these; a hostile manifest must not make a book of them.
const MAX_NOTES: usize = 20;
/// Rounding of a period's start to milliseconds, as many packagers do it.
const PERIOD_SLACK: Duration = Duration::from_millis(1);

/// A track, and what the manifest has of it, period by period.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) track: Track,
    pub(super) pieces: Vec<Piece>,
}

/// One representation in one period.
#[derive(Debug)]
pub(super) struct Piece {
    /// What relative URLs of its segments count from.
    pub(super) base: Url,
    pub(super) media: Pattern,
    pub(super) init: InitRef,
    /// In media ticks: what the manifest says, without [`InitRef::epoch_offset_ticks`].
    pub(super) runs: Arc<[Run]>,
}

impl Piece {
    /// A media time of the manifest on the epoch. Runs were checked to fit.
    pub(super) fn epoch(&self, ticks: i64) -> MediaTime {
        MediaTime::new(ticks.saturating_add(self.init.epoch_offset_ticks), self.init.timescale)
    }

    /// The runs whose segments start in `range`, exactly.
    pub(super) fn between(&self, range: Range) -> impl Iterator<Item = Run> + '_ {
        let (from, to) = (self.media_ticks(range.start), self.media_ticks(range.end));
        between(&self.runs, from, to)
    }

    /// The first media tick at or after an instant.
    fn media_ticks(&self, at: Time) -> i64 {
        let epoch = MediaTime::first_at_or_after(at, self.init.timescale).ticks;
        epoch.saturating_sub(self.init.epoch_offset_ticks)
    }

    /// Drops segments that lie in what an earlier period already has: those that start before `end`, half a segment
    /// aside.
    fn drop_before(&mut self, end: MediaTime) {
        let end = end.timescale.convert(end.ticks, self.init.timescale);
        let end = end.saturating_sub(self.init.epoch_offset_ticks);
        let Some(first) = self.runs.first() else { return };
        let from = end.saturating_sub(first.duration / 2);
        if first.start < from {
            self.runs = between(&self.runs, from, i64::MAX).collect();
        }
    }
}

/// Lays out an MPD that came from `base`.
///
/// # Errors
/// [`Kind::Unsupported`] if nothing in it can be followed, [`Kind::Invalid`] if a timeline makes no sense.
pub(super) fn lay_out(mpd: &Mpd, base: &Url, now: Time) -> Result<(Vec<Laid>, Vec<String>)> {
    let mut layout = Layout {
        tracks: Vec::new(),
        notes: Vec::new(),
        runs: 0,
        now,
        dynamic: mpd.dynamic,
        depth: mpd.time_shift,
    };
    let zero = mpd.availability_start.unwrap_or_else(|| {
        layout.note("the manifest has no availabilityStartTime: 1970-01-01T00:00:00Z is taken".into());
        Time::EPOCH
    });
    let base = joined(base, mpd.base.as_deref())?;
    for (period, place) in layout.place(mpd, zero) {
        layout.period(period, place, &base)?;
    }
    if layout.tracks.is_empty() {
        let why = layout.notes.last().map_or("it lists no representation", String::as_str);
        return Err(Error::new(Kind::Unsupported, format!("nothing in the manifest can be archived: {why}")));
    }
    Ok((layout.tracks, layout.notes))
}

/// Where a period lies: `[start, end)`, `end` where it is known.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: Time,
    end: Option<Time>,
}

struct Layout {
    tracks: Vec<Laid>,
    notes: Vec<String>,
    runs: usize,
    now: Time,
    dynamic: bool,
    /// `timeShiftBufferDepth`.
    depth: Option<Duration>,
}

impl Layout {
    fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Starts and ends of periods, by §5.3.2.1: a start is given, or the end of the period before, or 0.
    fn place<'m>(&mut self, mpd: &'m Mpd, zero: Time) -> Vec<(&'m Period, Place)> {
        let mut starts = Vec::new();
        let mut after = Some(Duration::ZERO);
        for period in &mpd.periods {
            let Some(start) = period.start.or(after) else {
                self.note("a period without a start follows one without a duration: it is left out until it has one".into());
                break;
            };
            after = period.duration.and_then(|d| start.checked_add(d));
            starts.push((start, after));
        }
        let mut places = Vec::new();
        for (i, (start, end)) in starts.iter().enumerate() {
            let next = starts.get(i + 1).map(|(start, _)| *start);
            let end = end.or(next).or(mpd.duration.filter(|_| i + 1 == mpd.periods.len()));
            places
                .push((&mpd.periods[i], Place { start: zero.plus(*start), end: end.map(|e| zero.plus(e)) }));
        }
        places
    }

    fn period(&mut self, period: &Period, place: Place, base: &Url) -> Result<()> {
        if period.remote {
            self.note("a period stands in another document (xlink): it is not followed".into());
        }
        let name = period.id.clone().unwrap_or_else(|| place.start.to_string());
        let base = joined(base, period.base.as_deref())?;
        let mut offers: Vec<(Track, Piece)> = Vec::new();
        for set in &period.sets {
            let base = joined(&base, set.base.as_deref())?;
            let mut shared: Option<Shared> = None;
            for representation in &set.representations {
                match self.offer(period, set, representation, place, &base, &mut shared) {
                    Ok(Ok(offer)) => offers.push(offer),
                    Ok(Err(why)) => self.note(why),
                    Err(e) => {
                        return Err(e.context(format!("period {name}: representation {}", representation.id)));
                    }
                }
            }
        }
        if self.tracks.len().max(offers.len()) > MAX_TRACKS {
            return Err(invalid(format!("more than {MAX_TRACKS} tracks")));
        }
        self.join(offers, &name);
        Ok(())
    }

    /// The track and the segments of a representation, or why it is left out.
    fn offer(
        &mut self,
        period: &Period,
        set: &AdaptationSet,
        representation: &Representation,
        place: Place,
        base: &Url,
        shared: &mut Option<Shared>,
    ) -> Result<Result<(Track, Piece), String>> {
        let track = match classify(set, representation) {
            Ok(track) => track,
            Err(why) => return Ok(Err(why)),
        };
        let id = &track.id;
        let template = representation.template.inherit(&set.template.inherit(&period.template));
        let (Some(media), Some(initialization)) = (&template.media, &template.initialization) else {
            let how =
                if template.other_addressing { "SegmentBase or SegmentList" } else { "no SegmentTemplate" };
            return Ok(Err(format!(
                "{id} is addressed by {how}, which npvr does not follow, and is left out"
            )));
        };
        let patterns = Pattern::new(media, id, track.bandwidth)
            .and_then(|media| Ok((media, Pattern::new(&initialization.url, id, track.bandwidth)?)));
        let (media, init) = match patterns {
            Ok(patterns) => patterns,
            Err(e) => return Ok(Err(format!("{id} is left out: {e}"))),
        };
        if !media.tells_segments_apart() {
            return Ok(Err(format!("{id} gives all its segments one URL, and is left out")));
        }
        let base = joined(base, representation.base.as_deref())?;
        let timescale = Timescale::new(template.timescale.unwrap_or(1))?;
        let offset = epoch_offset(&template, place.start, timescale)?;
        let runs = self.runs(&template, place, offset, timescale, shared)?;
        let common = representation.common.inherit(&set.common);
        let init = InitRef {
            media: Resource { url: joined(&base, Some(&init.fill(0, 0)))?, bytes: initialization.bytes },
            epoch_offset_ticks: offset,
            timescale,
            starts_with_sync: matches!(common.start_with_sap, Some(1 | 2)),
        };
        Ok(Ok((track, Piece { base, media, init, runs })))
    }

    /// The runs of a representation; the same as the one's before it in the set where they share a timeline.
    fn runs(
        &mut self,
        template: &Template,
        place: Place,
        offset: i64,
        timescale: Timescale,
        shared: &mut Option<Shared>,
    ) -> Result<Arc<[Run]>> {
        let start_number = template.start_number.unwrap_or(1);
        let key = (start_number, offset, timescale);
        if let (Some(shared), Some(timeline)) = (shared.as_ref(), &template.timeline)
            && shared.key == key
            && Arc::ptr_eq(&shared.timeline, timeline)
        {
            return Ok(Arc::clone(&shared.runs));
        }
        // Segments start before the end of their period (§5.3.2.1), rounding aside.
        let media = |at: Time| MediaTime::first_at_or_after(at, timescale).ticks.saturating_sub(offset);
        let open = match place.end {
            Some(end) if !self.dynamic || end <= self.now => OpenEnd::Period(media(end)),
            _ if self.dynamic => OpenEnd::Edge(media(self.now.offset_ns(1)).saturating_sub(1)),
            _ => OpenEnd::Unknown,
        };
        let runs = match (&template.timeline, template.duration) {
            (Some(entries), _) => resolve(entries, start_number, open)?,
            (None, Some(duration)) => {
                let window = self.depth.filter(|_| self.dynamic).map(|d| media(self.now.minus(d)));
                let zero = media(place.start);
                constant(duration, zero, (start_number, template.end_number), window, open)?
            }
            (None, None) => {
                return Err(invalid("a SegmentTemplate with neither @duration nor a SegmentTimeline"));
            }
        };
        let runs = until(runs, place.end.map_or(i64::MAX, |end| media(end.minus(PERIOD_SLACK))));
        self.runs = self.runs.saturating_add(runs.len());
        if self.runs > MAX_RUNS {
            return Err(invalid(format!("more than {MAX_RUNS} entries in all timelines")));
        }
        for edge in [runs.first().map(|r| r.start), runs.last().map(Run::end)].into_iter().flatten() {
            edge.checked_add(offset).ok_or_else(|| invalid("a segment beyond the end of time"))?;
        }
        if let Some(timeline) = &template.timeline {
            let timeline = Arc::clone(timeline);
            *shared = Some(Shared { timeline, key, runs: Arc::clone(&runs) });
        }
        Ok(runs)
    }

    /// Lets the tracks of earlier periods go on, and begins new ones.
    fn join(&mut self, offers: Vec<(Track, Piece)>, period: &str) {
        let first = self.tracks.is_empty();
        let known: Vec<Track> = self.tracks.iter().map(|l| l.track.clone()).collect();
        let known: Vec<&Track> = known.iter().collect();
        let mut taken = vec![false; known.len()];
        let mut goes_on: Vec<Option<usize>> = Vec::new();
        for (track, _) in &offers {
            let same = (0..known.len()).find(|i| !taken[*i] && same_name(known[*i], track));
            same.inspect(|i| taken[*i] = true);
            goes_on.push(same);
        }
        let rivals = offers.iter().zip(&goes_on).filter(|(_, g)| g.is_none()).map(|((t, _), _)| t.clone());
        let rivals: Vec<Track> = rivals.collect();
        let rivals: Vec<&Track> = rivals.iter().collect();
        for ((track, mut piece), same) in offers.into_iter().zip(goes_on) {
            let found = same.or_else(|| continues(&known, &taken, &track, &rivals));
            match found {
                Some(i) => {
                    taken[i] = true;
                    let laid = &mut self.tracks[i];
                    if let Some(end) =
                        laid.pieces.iter().rev().find_map(|p| Some(p.epoch(p.runs.last()?.end())))
                    {
                        piece.drop_before(end);
                    }
                    laid.pieces.push(piece);
                }
                None => self.begin(track, piece, period, first),
            }
        }
        for (i, taken) in taken.iter().enumerate().filter(|_| !first) {
            if !taken {
                let name = self.tracks[i].track.name();
                self.note(format!("period {period} has nothing that goes on as {name}"));
            }
        }
    }

    /// A track of its own. Two tracks of a source never have one name, whatever ids the periods use.
    fn begin(&mut self, mut track: Track, piece: Piece, period: &str, first: bool) {
        let given = track.id.clone();
        let mut n = 1;
        while self.tracks.iter().any(|l| l.track.name() == track.name()) {
            track.id = if n == 1 { format!("{given}@{period}") } else { format!("{given}@{period}.{n}") };
            n += 1;
        }
        if !first {
            self.note(format!("period {period} begins a track of its own: {}", track.name()));
        }
        self.tracks.push(Laid { track, pieces: vec![piece] });
    }
}

/// The runs of the representation before, kept for the next of the set.
struct Shared {
    timeline: Arc<[Entry]>,
    key: (u64, i64, Timescale),
    runs: Arc<[Run]>,
}

/// The runs up to the end of their period, in media ticks. An origin that cuts a static manifest out of a live one may count
/// the length from the cut, and times from the epoch: where no segment at all would be left, the list is believed, and
/// the length is not.
fn until(runs: Vec<Run>, end: i64) -> Arc<[Run]> {
    let inside: Arc<[Run]> = between(&runs, i64::MIN, end).collect();
    if inside.is_empty() { runs.into() } else { inside }
}

/// What is added to media time to get to the epoch, in ticks.
fn epoch_offset(template: &Template, period_start: Time, timescale: Timescale) -> Result<i64> {
    let start = timescale.ticks_nearest(i128::from(period_start.ns()));
    start
        .checked_sub(template.presentation_time_offset.unwrap_or(0))
        .ok_or_else(|| invalid("a presentationTimeOffset beyond the end of time"))
}

/// Resolves a reference as RFC 3986 has it; only HTTP is followed.
pub(in crate::source) fn joined(base: &Url, reference: Option<&str>) -> Result<Url> {
    let Some(reference) = reference.filter(|r| !r.is_empty()) else { return Ok(base.clone()) };
    let url = base.join(reference).map_err(|e| invalid(e.to_string()));
    let url = url.context("a URL in the manifest cannot be used")?;
    if !matches!(url.scheme(), "http" | "https") {
        let what = format!("a URL in the manifest has the scheme {}", url.scheme());
        return Err(Error::new(Kind::Unsupported, what));
    }
    Ok(url)
}
