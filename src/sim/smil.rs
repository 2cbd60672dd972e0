//! The two documents of a Unified Origin publishing point: `/archive` and `/state`.
//!
//! Pure: a moment in, text out.

use std::fmt::Write;

use super::schedule::Moment;
use super::tracks::SimTrack;
use crate::time::{Range, Time};
use crate::track::Medium;

/// What each track still holds: one `c` for each run without a hole.
pub(super) fn archive(tracks: &[SimTrack], moment: Moment<'_>) -> String {
    let mut body = String::from("<switch>\n");
    let everything = Range::new(Time::EPOCH, moment.now);
    for track in tracks {
        let element = if track.medium == Medium::Video { "video" } else { "audio" };
        let language = track.language.map(|l| format!(" systemLanguage=\"{l}\"")).unwrap_or_default();
        let name = track.id.split('=').next().unwrap_or(track.id);
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<{element} systemBitrate=\"{}\"{language}>\n\
             <param name=\"trackName\" value=\"{name}\" valueType=\"data\"/>\n",
            track.bandwidth
        );
        for run in moment.published(track, everything) {
            let (start, end) = (track.start(run.start).instant(), track.start(run.end).instant());
            let _ = writeln!(body, "<c start=\"{}\" end=\"{}\"></c>", micros(start), micros(end));
        }
        let _ = writeln!(body, "</{element}>");
    }
    body += "</switch>";
    smil(moment, "", &body)
}

/// The state of the publishing point: the encoder is always at work.
pub(super) fn state(moment: Moment<'_>) -> String {
    smil(moment, "<meta name=\"state\" content=\"started\"></meta>", "")
}

fn smil(moment: Moment<'_>, head: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\">\n\
         <head><meta name=\"updated\" content=\"{}\"></meta>{head}</head>\n\
         <body>{body}</body>\n\
         </smil>\n",
        micros(moment.now)
    )
}

/// Six fraction digits, always, as Unified Origin writes them.
fn micros(at: Time) -> String {
    let micros = at.ns().rem_euclid(1_000_000_000) / 1_000;
    format!("{}T{}.{micros:06}Z", at.day(), at.time_of_day())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::super::faults::{Fault, FaultKind, Faults};
    use super::super::tracks::tracks;
    use super::*;

    const NOW: Time = Time::from_ns(1_790_000_000_250_000_000);

    fn moment(faults: &Faults) -> Moment<'_> {
        let (window_start, live_delay) = (NOW.minus(Duration::from_secs(600)), Duration::from_secs(2));
        Moment { faults, now: NOW, window_start, live_delay }
    }

    /// Each track element, with the ranges of its `c` elements.
    fn ranges(text: &str) -> Vec<(String, Vec<Range>)> {
        let (mut reader, mut found) = (Reader::from_str(text), Vec::<(String, Vec<Range>)>::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(e) => {
                    let name = e.name().as_ref().to_owned();
                    let attribute = |key| e.try_get_attribute(key).unwrap().unwrap().value.parse().unwrap();
                    match name.as_str() {
                        "video" | "audio" => found.push((name, Vec::new())),
                        "c" => {
                            found.last_mut().unwrap().1.push(Range::new(attribute("start"), attribute("end")))
                        }
                        _ => {}
                    }
                }
                Event::Eof => return found,
                _ => {}
            }
        }
    }

    #[test]
    fn the_archive_has_an_element_for_each_track_and_a_gap_splits_only_its_own() {
        let ago = |s| NOW.minus(Duration::from_secs(s));
        let range = Range::new(ago(300), ago(200));
        let gap = Fault { track: Some("audio_nld".into()), range, ..Fault::new(FaultKind::Gap) };
        let faults = Faults::new(0, vec![gap]);
        let found = ranges(&archive(&tracks().unwrap(), moment(&faults)));
        let count: Vec<_> = found.iter().map(|(name, c)| (name.as_str(), c.len())).collect();
        assert_eq!(count, [("video", 1), ("video", 1), ("audio", 1), ("audio", 2)]);
        let hole = Range::new(found[3].1[0].end, found[3].1[1].start);
        let near = |a: Time, b: Time| a.signed_ns_since(b).abs() < 2_000_000_000;
        assert!(near(hole.start, range.start) && near(hole.end, range.end), "{hole}");
    }

    #[test]
    fn the_state_says_when_it_was_updated_on_the_simulations_clock() {
        let text = state(moment(&Faults::default()));
        assert!(text.contains("name=\"updated\" content=\"2026-09-21T14:13:20.250000Z\""), "{text}");
        assert!(text.contains("name=\"state\" content=\"started\""), "{text}");
    }
}
