//! DASH manifests of a simulated channel.
//!
//! Pure: a moment and what to show in, text out. `availabilityStartTime` is 1970 and no offset is hidden, so media time is
//! the time on the Unix epoch. Clauses are of ISO/IEC 23009-1.

use std::fmt::Write;
use std::ops;
use std::time::Duration;

use super::schedule::{Moment, Period};
use super::tracks::{SEGMENT_NS, SimTrack};
use crate::time::{Range, Time, format_duration};
use crate::track::Medium;

/// How a manifest names its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressing {
    /// `$Time$`, listed.
    Time,
    /// `$Number$`, listed. A gap moves the number on, by `S@n` (§5.3.9.6).
    Number,
    /// `$Number$`, not listed: `@duration` alone. It cannot say that there is a gap.
    Duration,
}

/// Whose manners the manifest has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manners<'a> {
    /// A Unified Origin publishing point of this name: segments lie in `dash/`, with the name in front.
    Unified(&'a str),
    /// A plain origin, whose clock is at this URL.
    Plain { addressing: Addressing, clock_url: &'a str },
}

/// What a manifest shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show<'a> {
    pub(super) manners: Manners<'a>,
    /// Segments that have an instant in this range.
    pub(super) range: Range,
    /// False if nothing will be added: the presentation is over.
    pub(super) live: bool,
    /// True for media that a filter lets through.
    pub(super) media: fn(Medium) -> bool,
}

/// Writes a manifest; `None` if it would have no segment.
pub(super) fn manifest(tracks: &[SimTrack], moment: Moment<'_>, show: Show<'_>) -> Option<String> {
    let shown: Vec<_> = tracks.iter().filter(|t| (show.media)(t.medium)).collect();
    let runs: Vec<_> = shown.iter().map(|t| moment.published(t, show.range)).collect();
    let first = runs.iter().filter_map(|r| r.first()).map(|r| r.start).min()?;
    let last = runs.iter().filter_map(|r| r.last()).map(|r| r.end).max()?;
    let mut out = head(moment, show);
    for period in moment.periods(&(first..last)) {
        let of_period = runs.iter().map(|runs| clip(runs, &period.segments));
        let parts: Vec<_> = shown.iter().copied().zip(of_period).collect();
        write_period(&mut out, &period, &parts, moment, show);
    }
    if let Manners::Plain { clock_url, .. } = show.manners {
        let scheme = "urn:mpeg:dash:utc:http-iso:2014";
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(out, "  <UTCTiming schemeIdUri=\"{scheme}\" value=\"{clock_url}\"/>");
    }
    out += "</MPD>\n";
    Some(out)
}

fn clip(runs: &[ops::Range<i64>], to: &ops::Range<i64>) -> Vec<ops::Range<i64>> {
    let clipped = runs.iter().map(|r| r.start.max(to.start)..r.end.min(to.end));
    clipped.filter(|r| !r.is_empty()).collect()
}

fn head(moment: Moment<'_>, show: Show<'_>) -> String {
    let segment = format_duration(Duration::from_nanos(SEGMENT_NS.unsigned_abs()));
    let kind = if show.live {
        let depth = format_duration(moment.now.since(show.range.start.max(moment.window_start)));
        let delay = format_duration(Duration::from_nanos(3 * SEGMENT_NS.unsigned_abs()));
        format!(
            "type=\"dynamic\" minimumUpdatePeriod=\"{segment}\" timeShiftBufferDepth=\"{depth}\" \
             suggestedPresentationDelay=\"{delay}\""
        )
    } else {
        let length = format_duration(show.range.duration());
        format!("type=\"static\" mediaPresentationDuration=\"{length}\"")
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\"\n  \
         {kind}\n  \
         availabilityStartTime=\"1970-01-01T00:00:00Z\" publishTime=\"{}\"\n  \
         minBufferTime=\"PT4S\" maxSegmentDuration=\"PT2S\">\n",
        moment.now.floor_s()
    )
}

/// A track, and the runs of its segments that a period shows.
type Part<'a> = (&'a SimTrack, Vec<ops::Range<i64>>);

fn write_period(out: &mut String, period: &Period, parts: &[Part<'_>], moment: Moment<'_>, show: Show<'_>) {
    let start_ns = if period.index == 0 { 0 } else { period.segments.start.saturating_mul(SEGMENT_NS) };
    // Whole seconds and milliseconds are exact: a segment is 1.92 s.
    let (s, ms) = (start_ns / 1_000_000_000, start_ns / 1_000_000 % 1_000);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    let _ = writeln!(out, "  <Period id=\"{}\" start=\"PT{s}{fraction}S\">", period.index + 1);
    let folder = match show.manners {
        Manners::Unified(_) => "dash/",
        Manners::Plain { .. } => "",
    };
    match period.index {
        0 if folder.is_empty() => {}
        0 => _ = writeln!(out, "    <BaseURL>{folder}</BaseURL>"),
        n => _ = writeln!(out, "    <BaseURL>{folder}r{n}/</BaseURL>"),
    }
    let set_of = |part: &Part<'_>| (part.0.medium, part.0.language);
    for (i, set) in parts.chunk_by(|a, b| set_of(a) == set_of(b)).enumerate() {
        write_set(out, i + 1, period, set, moment, show);
    }
    *out += "  </Period>\n";
}

fn write_set(
    out: &mut String,
    id: usize,
    period: &Period,
    parts: &[Part<'_>],
    moment: Moment<'_>,
    show: Show<'_>,
) {
    let Some((track, runs)) = parts.first() else { return };
    let medium = track.medium;
    let language = track.language.map(|l| format!(" lang=\"{l}\"")).unwrap_or_default();
    let _ = writeln!(
        out,
        "    <AdaptationSet id=\"{id}\" contentType=\"{medium}\"{language} mimeType=\"{medium}/mp4\" \
         segmentAlignment=\"true\" startWithSAP=\"1\">"
    );
    // As Unified Origin does: one template for the set, unless its tracks have different gaps.
    let is_shared = parts.iter().all(|(_, r)| r == runs);
    if is_shared {
        write_template(out, period, track, runs, show);
    }
    for (track, runs) in parts {
        let codecs = track.codecs(moment.restarts_shown(track, period.index));
        let detail = match track.size {
            Some((w, h)) => format!("width=\"{w}\" height=\"{h}\" frameRate=\"25\""),
            None => format!("audioSamplingRate=\"{}\"", track.timescale.get()),
        };
        let _ = write!(
            out,
            "      <Representation id=\"{}\" bandwidth=\"{}\" codecs=\"{codecs}\" {detail}",
            track.id, track.bandwidth
        );
        if is_shared {
            *out += "/>\n";
        } else {
            *out += ">\n";
            write_template(out, period, track, runs, show);
            *out += "      </Representation>\n";
        }
    }
    *out += "    </AdaptationSet>\n";
}

/// The patterns for init and media segments, and how segments are addressed.
fn names(manners: Manners<'_>) -> (String, String, Addressing) {
    match manners {
        Manners::Unified(name) => (
            format!("{name}-$RepresentationID$.dash"),
            format!("{name}-$RepresentationID$-$Time$.dash"),
            Addressing::Time,
        ),
        Manners::Plain { addressing, .. } => {
            let media = match addressing {
                Addressing::Time => "$RepresentationID$/$Time$.m4s",
                Addressing::Number | Addressing::Duration => "$RepresentationID$/n$Number$.m4s",
            };
            ("$RepresentationID$/init.mp4".to_owned(), media.to_owned(), addressing)
        }
    }
}

fn write_template(
    out: &mut String,
    period: &Period,
    track: &SimTrack,
    runs: &[ops::Range<i64>],
    show: Show<'_>,
) {
    let (initialization, media, addressing) = names(show.manners);
    let period_start = if period.index == 0 { 0 } else { period.segments.start };
    let _ = write!(
        out,
        "      <SegmentTemplate timescale=\"{}\" initialization=\"{initialization}\" media=\"{media}\"",
        track.timescale.get()
    );
    let listed_first = runs.first().map_or(period_start, |r| r.start);
    let first = match (addressing, show.manners) {
        // Without a list, numbers count from the start of the period.
        (Addressing::Duration, _) => Some(period_start),
        (Addressing::Number, _) => Some(listed_first),
        // It has no meaning for `$Time$`; Unified Origin has it nonetheless while it is live. In a static manifest it
        // would make ffmpeg fetch one segment over and over.
        (Addressing::Time, Manners::Unified(_)) if show.live => Some(listed_first),
        (Addressing::Time, _) => None,
    };
    if let Some(first) = first {
        let _ = write!(out, " startNumber=\"{first}\"");
    }
    if period.index > 0 {
        let _ =
            write!(out, " presentationTimeOffset=\"{}\"", period_start.saturating_mul(track.nominal_ticks()));
    }
    if addressing == Addressing::Duration {
        let _ = writeln!(out, " duration=\"{}\"/>", track.nominal_ticks());
        return;
    }
    *out += ">\n        <SegmentTimeline>\n";
    for (i, run) in runs.iter().enumerate() {
        let number = (i > 0 && addressing == Addressing::Number).then_some(run.start);
        write_run(out, track, run.clone(), number);
    }
    *out += "        </SegmentTimeline>\n      </SegmentTemplate>\n";
}

/// One run without a hole: `S` elements of which only the first says its time, and equal durations are counted.
fn write_run(out: &mut String, track: &SimTrack, run: ops::Range<i64>, number: Option<i64>) {
    let mut place = format!(" t=\"{}\"", track.start_ticks(run.start));
    if let Some(number) = number {
        let _ = write!(place, " n=\"{number}\"");
    }
    let mut at = run.start;
    while at < run.end {
        let duration = track.duration_ticks(at);
        let same = (at..run.end).take_while(|n| track.duration_ticks(*n) == duration).count();
        let repeat = if same > 1 { format!(" r=\"{}\"", same - 1) } else { String::new() };
        let _ = writeln!(out, "          <S{place} d=\"{duration}\"{repeat}/>");
        place.clear();
        // A run has fewer segments than an instant has nanoseconds.
        at = at.saturating_add_unsigned(same as u64);
    }
}

/// The earliest instant that a live manifest of this depth shows.
pub(super) fn live_range(moment: Moment<'_>, depth: Duration) -> Range {
    Range::new(moment.now.minus(depth).max(Time::EPOCH), moment.now)
}

#[cfg(test)]
mod tests;
