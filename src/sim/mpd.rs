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

fn write_template(
    out: &mut String,
    period: &Period,
    track: &SimTrack,
    runs: &[ops::Range<i64>],
    show: Show<'_>,
) {
    let (initialization, media, addressing) = match show.manners {
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
    };
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
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::{BytesStart, Event};

    use super::super::faults::{Fault, FaultKind, Faults, RestartStyle};
    use super::super::tracks::tracks;
    use super::*;

    const NOW: Time = Time::from_s(1_790_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    /// What a client reads: for each representation of each period, `(id, URL, start, duration)` of every segment.
    #[derive(Debug, Default)]
    struct Read {
        segments: Vec<(String, String, i64, i64)>,
        periods: Vec<(String, i64)>,
    }

    fn attribute(e: &BytesStart<'_>, key: &str) -> Option<String> {
        let value = e.try_get_attribute(key).unwrap()?;
        Some(value.value.to_string())
    }

    /// A reader of its own, that knows only the standard: templates are inherited, times add up, numbers count.
    fn read(text: &str) -> Read {
        let (mut reader, mut out) = (Reader::from_str(text), Read::default());
        let (mut base, mut media, mut ids, mut list) = (String::new(), String::new(), Vec::new(), Vec::new());
        let (mut number, mut at, mut in_base) = (0_i64, 0_i64, false);
        loop {
            let event = reader.read_event().unwrap();
            if let Event::Start(e) | Event::Empty(e) = &event {
                let int = |key| attribute(e, key).map(|v| v.parse::<i64>().unwrap());
                match e.name().as_ref() {
                    "Period" => {
                        base.clear();
                        out.periods.push((attribute(e, "start").unwrap(), 0));
                    }
                    "BaseURL" => in_base = true,
                    "AdaptationSet" => (ids, list) = (Vec::new(), Vec::new()),
                    "SegmentTemplate" => {
                        media = attribute(e, "media").unwrap();
                        number = int("startNumber").unwrap_or(1);
                        out.periods.last_mut().unwrap().1 = int("presentationTimeOffset").unwrap_or(0);
                        list.clear();
                    }
                    "S" => {
                        at = int("t").unwrap_or(at);
                        number = int("n").unwrap_or(number);
                        for _ in 0..=int("r").unwrap_or(0) {
                            let url = media.replace("$Time$", &at.to_string());
                            list.push((url.replace("$Number$", &number.to_string()), at, int("d").unwrap()));
                            at += int("d").unwrap();
                            number += 1;
                        }
                    }
                    "Representation" => ids.push((attribute(e, "id").unwrap(), list.clone())),
                    _ => {}
                }
            }
            match event {
                Event::Text(t) if in_base => base = t.to_string(),
                Event::End(e) => match e.name().as_ref() {
                    "BaseURL" => in_base = false,
                    // A template inside a representation comes after its start tag.
                    "Representation" => ids.last_mut().unwrap().1 = list.clone(),
                    "AdaptationSet" => {
                        for (id, list) in ids.drain(..) {
                            let full =
                                |url: &str| format!("{base}{}", url.replace("$RepresentationID$", &id));
                            let of_id = list.iter().map(|(url, t, d)| (id.clone(), full(url), *t, *d));
                            out.segments.extend(of_id);
                        }
                    }
                    _ => {}
                },
                Event::Eof => return out,
                _ => {}
            }
        }
    }

    fn moment(faults: &Faults) -> Moment<'_> {
        Moment { faults, now: NOW, window_start: NOW.minus(HOUR * 3), live_delay: Duration::from_secs(2) }
    }

    fn show(addressing: Addressing, range: Range) -> Show<'static> {
        let manners = Manners::Plain { addressing, clock_url: "http://127.0.0.1:1/time" };
        Show { manners, range, live: true, media: |_| true }
    }

    fn ago(s: u64) -> Time {
        NOW.minus(Duration::from_secs(s))
    }

    #[test]
    fn what_is_listed_is_what_is_published_over_any_two_hours() {
        let (tracks, faults) = (tracks().unwrap(), Faults::default());
        // 2 h from a start that moves through the loop, edges included.
        for shift in [0, 1, 7, 15, 30, 31, 61] {
            let range = Range::new(ago(9_000 + shift), ago(1_800 + shift));
            let text = manifest(&tracks, moment(&faults), show(Addressing::Time, range)).unwrap();
            let read = read(&text);
            for track in &tracks {
                let of_track: Vec<_> = read.segments.iter().filter(|s| s.0 == track.id).collect();
                assert!(of_track.windows(2).all(|w| w[0].2 + w[0].3 == w[1].2), "{}", track.id);
                let runs = moment(&faults).published(track, range);
                assert_eq!(runs.len(), 1);
                assert_eq!(of_track.first().unwrap().2, track.start_ticks(runs[0].start));
                assert_eq!(of_track.len(), runs[0].clone().count());
            }
        }
    }

    #[test]
    fn a_gap_of_one_track_is_in_its_own_list_only_and_numbers_move_on_over_it() {
        let gap = Fault {
            track: Some("video=45000".into()),
            range: Range::new(ago(60), ago(30)),
            ..Fault::new(FaultKind::Gap)
        };
        let (tracks, faults) = (tracks().unwrap(), Faults::new(0, vec![gap.clone()]));
        let range = Range::new(ago(120), NOW);
        let by_time = read(&manifest(&tracks, moment(&faults), show(Addressing::Time, range)).unwrap());
        let by_number = read(&manifest(&tracks, moment(&faults), show(Addressing::Number, range)).unwrap());
        for track in &tracks {
            let of_track: Vec<_> = by_time.segments.iter().filter(|s| s.0 == track.id).collect();
            let is_in_gap =
                |ticks| gap.range.contains(crate::time::MediaTime::new(ticks, track.timescale).instant());
            assert_eq!(of_track.iter().any(|s| is_in_gap(s.2)), track.id != "video=45000", "{}", track.id);
            for s in by_number.segments.iter().filter(|s| s.0 == track.id) {
                assert_eq!(s.1, format!("{}/n{}.m4s", track.id, track.segment_at(s.2).unwrap()));
            }
        }
    }

    #[test]
    fn a_restart_is_a_period_whose_offset_is_its_start() {
        let range = Range::new(ago(50), Time::MAX);
        let restart = Fault { range, ..Fault::new(FaultKind::Restart(RestartStyle::Period)) };
        let (tracks, faults) = (tracks().unwrap(), Faults::new(0, vec![restart]));
        let show = Show {
            manners: Manners::Unified("news"),
            live: false,
            ..show(Addressing::Time, Range::new(ago(100), ago(10)))
        };
        let text = manifest(&tracks, moment(&faults), show).unwrap();
        let read = read(&text);
        let [(first, _), (second, offset)] = read.periods.as_slice() else { panic!("{text}") };
        assert_eq!(first, "PT0S");
        // The offset that was read last is that of audio, at 48 kHz.
        let start: f64 = second.trim_start_matches("PT").trim_end_matches('S').parse().unwrap();
        assert!((start * 48_000.0 - *offset as f64).abs() < 1.0, "{text}");
        assert!(text.contains("type=\"static\"") && !text.contains("startNumber"), "{text}");
        let of_track: Vec<_> = read.segments.iter().filter(|s| s.0 == "audio_nld=32000").collect();
        assert!(of_track.windows(2).all(|w| w[0].2 + w[0].3 == w[1].2));
        assert!(of_track[0].1.starts_with("dash/news-audio_nld=32000-"), "{}", of_track[0].1);
        assert!(of_track.last().unwrap().1.starts_with("dash/r1/news-audio_nld=32000-"));
    }

    #[test]
    fn nothing_to_show_is_no_manifest() {
        let (tracks, faults) = (tracks().unwrap(), Faults::new(0, vec![Fault::new(FaultKind::Gap)]));
        let range = Range::new(ago(100), NOW);
        assert_eq!(manifest(&tracks, moment(&faults), show(Addressing::Time, range)), None);
    }
}
