//! Manifests read back by a reader that knows only the standard.

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

/// URL, start and duration.
type Listed = (String, i64, i64);

/// A reader of its own, that knows only the standard: templates are inherited, times add up, numbers count.
#[derive(Debug, Default)]
struct Reading {
    out: Read,
    base: String,
    media: String,
    list: Vec<Listed>,
    /// The representations of this set so far, each with its list.
    set: Vec<(String, Vec<Listed>)>,
    number: i64,
    at: i64,
}

impl Reading {
    fn start(&mut self, e: &BytesStart<'_>) {
        let int = |key| attribute(e, key).map(|v| v.parse::<i64>().unwrap());
        match e.name().as_ref() {
            "Period" => {
                self.base.clear();
                self.out.periods.push((attribute(e, "start").unwrap(), 0));
            }
            "AdaptationSet" => self.list.clear(),
            "SegmentTemplate" => {
                self.media = attribute(e, "media").unwrap();
                self.number = int("startNumber").unwrap_or(1);
                self.out.periods.last_mut().unwrap().1 = int("presentationTimeOffset").unwrap_or(0);
                self.list.clear();
            }
            "S" => {
                self.at = int("t").unwrap_or(self.at);
                self.number = int("n").unwrap_or(self.number);
                let duration = int("d").unwrap();
                for _ in 0..=int("r").unwrap_or(0) {
                    let url = self.media.replace("$Time$", &self.at.to_string());
                    self.list.push((url.replace("$Number$", &self.number.to_string()), self.at, duration));
                    self.at += duration;
                    self.number += 1;
                }
            }
            "Representation" => self.set.push((attribute(e, "id").unwrap(), self.list.clone())),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            // A template inside a representation comes after its start tag.
            "Representation" => self.set.last_mut().unwrap().1 = self.list.clone(),
            "AdaptationSet" => {
                for (id, list) in self.set.drain(..) {
                    let full =
                        |url: String| format!("{}{}", self.base, url.replace("$RepresentationID$", &id));
                    let of_id = list.into_iter().map(|(url, t, d)| (id.clone(), full(url), t, d));
                    self.out.segments.extend(of_id);
                }
            }
            _ => {}
        }
    }
}

fn read(text: &str) -> Read {
    let (mut reader, mut reading) = (Reader::from_str(text), Reading::default());
    reader.config_mut().trim_text(true);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(e) | Event::Empty(e) => reading.start(&e),
            // The only element with text is `BaseURL`.
            Event::Text(t) => reading.base = t.to_string(),
            Event::End(e) => reading.end(e.name().as_ref()),
            Event::Eof => return reading.out,
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
            assert_eq!(of_track.last().map(|s| s.2 + s.3), Some(track.start_ticks(runs[0].end)));
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
