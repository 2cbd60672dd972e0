//! Reads an MPD into the model: one pass, no tree, a week of `S` elements in some milliseconds.
//!
//! Pure. What npvr does not use is skipped; what it uses and cannot read is an error that names the attribute.

use std::sync::Arc;
use std::time::Duration;

use super::super::xml::{Tag, Xml, invalid};
use super::model::{
    AdaptationSet, Common, Entry, Initialization, Mpd, Period, Representation, Template, Timing,
};
use crate::error::{Context, Error, Kind, Result};
use crate::time::{Time, parse_duration};

/// More `S` elements than any manifest of a week has, in all sets together: a bound on memory.
const MAX_ENTRIES: usize = 4_000_000;
/// More representations than any manifest has, in all periods together.
const MAX_REPRESENTATIONS: usize = 20_000;

/// Reads an MPD.
///
/// # Errors
/// [`Kind::Invalid`] if it is not well formed, is no MPD, or has a value that cannot be used.
pub fn parse(text: &str) -> Result<Mpd> {
    let (xml, root) = Xml::open(text).context("not an MPD")?;
    if root.name() != "MPD" {
        return Err(invalid(format!("not an MPD: its root element is <{}>", root.name()))
            .hint("channel_url must lead to a DASH manifest, or to a publishing point that ends in .isml"));
    }
    Parser { xml, entries: 0, representations: 0 }.mpd(&root).context("not a usable MPD")
}

struct Parser<'a> {
    xml: Xml<'a>,
    entries: usize,
    representations: usize,
}

impl<'a> Parser<'a> {
    fn mpd(&mut self, tag: &Tag<'a>) -> Result<Mpd> {
        let mut mpd = Mpd {
            dynamic: tag.text("type")?.as_deref() == Some("dynamic"),
            availability_start: instant(tag, "availabilityStartTime")?,
            duration: duration(tag, "mediaPresentationDuration")?,
            time_shift: duration(tag, "timeShiftBufferDepth")?,
            ..Mpd::default()
        };
        while let Some(child) = self.xml.child()? {
            match child.name() {
                "BaseURL" => self.base(&mut mpd.base)?,
                "Period" => mpd.periods.push(self.period(&child)?),
                "UTCTiming" => {
                    if let (Some(scheme), Some(value)) = (child.text("schemeIdUri")?, child.text("value")?) {
                        mpd.timings.push(Timing { scheme, value });
                    }
                    self.xml.skip()?;
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(mpd)
    }

    fn period(&mut self, tag: &Tag<'a>) -> Result<Period> {
        let mut period = Period {
            id: tag.text("id")?,
            start: duration(tag, "start")?,
            duration: duration(tag, "duration")?,
            remote: tag.text("xlink:href")?.is_some(),
            ..Period::default()
        };
        while let Some(child) = self.xml.child()? {
            match child.name() {
                "BaseURL" => self.base(&mut period.base)?,
                "AdaptationSet" => period.sets.push(self.set(&child)?),
                _ => self.addressing(&child, &mut period.template)?,
            }
        }
        Ok(period)
    }

    fn set(&mut self, tag: &Tag<'a>) -> Result<AdaptationSet> {
        let mut set = AdaptationSet {
            content_type: tag.text("contentType")?,
            language: tag.text("lang")?.map(|l| l.to_ascii_lowercase()),
            common: common(tag)?,
            ..AdaptationSet::default()
        };
        while let Some(child) = self.xml.child()? {
            match child.name() {
                "BaseURL" => self.base(&mut set.base)?,
                "Representation" => set.representations.push(self.representation(&child)?),
                "EssentialProperty" => {
                    // DASH-IF interoperability points: a set that only serves fast forward and rewind.
                    let scheme = child.text("schemeIdUri")?.unwrap_or_default();
                    set.trick_mode |= scheme == "http://dashif.org/guidelines/trickmode";
                    self.xml.skip()?;
                }
                _ => self.addressing(&child, &mut set.template)?,
            }
        }
        Ok(set)
    }

    fn representation(&mut self, tag: &Tag<'a>) -> Result<Representation> {
        self.representations += 1;
        if self.representations > MAX_REPRESENTATIONS {
            return Err(invalid(format!("more than {MAX_REPRESENTATIONS} representations")));
        }
        let id = tag.text("id")?.ok_or_else(|| invalid("a Representation has no id"))?;
        let mut representation = Representation {
            id,
            bandwidth: tag.number("bandwidth")?,
            common: common(tag)?,
            ..Representation::default()
        };
        while let Some(child) = self.xml.child()? {
            match child.name() {
                "BaseURL" => self.base(&mut representation.base)?,
                _ => self.addressing(&child, &mut representation.template)?,
            }
        }
        Ok(representation)
    }

    /// Keeps the first of several: the others are the same media elsewhere (§5.6.4).
    fn base(&mut self, base: &mut Option<String>) -> Result<()> {
        let text = self.xml.text()?;
        base.get_or_insert(text);
        Ok(())
    }

    fn addressing(&mut self, tag: &Tag<'a>, template: &mut Template) -> Result<()> {
        match tag.name() {
            "SegmentTemplate" => *template = self.template(tag)?,
            "SegmentBase" | "SegmentList" => {
                template.other_addressing = true;
                self.xml.skip()?;
            }
            _ => self.xml.skip()?,
        }
        Ok(())
    }

    fn template(&mut self, tag: &Tag<'a>) -> Result<Template> {
        let mut template = Template {
            timescale: tag.number("timescale")?,
            presentation_time_offset: tag.number("presentationTimeOffset")?,
            duration: tag.number("duration")?,
            start_number: tag.number("startNumber")?,
            end_number: tag.number("endNumber")?,
            media: tag.text("media")?,
            initialization: tag.text("initialization")?.map(|url| Initialization { url, bytes: None }),
            ..Template::default()
        };
        if template.duration.is_some_and(|d| d <= 0) {
            return Err(invalid("SegmentTemplate@duration is not more than 0"));
        }
        while let Some(child) = self.xml.child()? {
            match child.name() {
                "SegmentTimeline" => template.timeline = Some(self.timeline()?),
                "Initialization" => {
                    let url = child.text("sourceURL")?.unwrap_or_default();
                    let bytes = child.text("range")?.map(|r| byte_range(&r)).transpose()?;
                    template.initialization.get_or_insert(Initialization { url, bytes });
                    self.xml.skip()?;
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(template)
    }

    fn timeline(&mut self) -> Result<Arc<[Entry]>> {
        let mut entries = Vec::new();
        while let Some(child) = self.xml.child()? {
            if child.name() == "S" {
                self.entries += 1;
                if self.entries > MAX_ENTRIES {
                    return Err(invalid(format!("more than {MAX_ENTRIES} S elements")));
                }
                entries.push(entry(&child)?);
            }
            self.xml.skip()?;
        }
        Ok(entries.into())
    }
}

fn entry(tag: &Tag<'_>) -> Result<Entry> {
    let mut entry = Entry { start: None, duration: 0, repeat: 0, number: None };
    tag.each(|name, value| {
        match name {
            "t" => entry.start = Some(tag.parsed(name, value)?),
            "d" => entry.duration = tag.parsed(name, value)?,
            "r" => entry.repeat = tag.parsed(name, value)?,
            "n" => entry.number = Some(tag.parsed(name, value)?),
            _ => {}
        }
        Ok(())
    })?;
    if entry.duration <= 0 {
        return Err(invalid("an S element whose d is not more than 0"));
    }
    Ok(entry)
}

fn common(tag: &Tag<'_>) -> Result<Common> {
    Ok(Common {
        mime: tag.text("mimeType")?.map(|m| m.to_ascii_lowercase()),
        codecs: tag.text("codecs")?,
        width: tag.number("width")?,
        height: tag.number("height")?,
        start_with_sap: tag.number("startWithSAP")?,
    })
}

fn instant(tag: &Tag<'_>, name: &str) -> Result<Option<Time>> {
    let at = tag.text(name)?.map(|text| text.parse::<Time>());
    at.transpose().map_err(|e: Error| Error::new(Kind::Invalid, format!("{}@{name}: {e}", tag.name())))
}

fn duration(tag: &Tag<'_>, name: &str) -> Result<Option<Duration>> {
    let Some(text) = tag.text(name)? else { return Ok(None) };
    let parsed = parse_duration(&without_calendar_zeros(&text));
    // The hint of a duration is for channel files, not for somebody else's manifest.
    parsed.map(Some).map_err(|e| Error::new(Kind::Invalid, format!("{}@{name}: {e}", tag.name())))
}

/// `P0Y0M0DT1.5S` → `P0DT1.5S`: some packagers write every part of an `xs:duration`, and years and months have no
/// fixed length unless there are none of them.
fn without_calendar_zeros(text: &str) -> String {
    let Some(rest) = text.strip_prefix('P') else { return text.to_owned() };
    let (mut date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
    for unit in ['Y', 'M'] {
        if let Some((number, after)) = date.split_once(unit)
            && !number.is_empty()
            && number.bytes().all(|b| b == b'0')
        {
            date = after;
        }
    }
    match time {
        Some(time) => format!("P{date}T{time}"),
        None if date.is_empty() && !rest.is_empty() => "PT0S".to_owned(),
        None => format!("P{date}"),
    }
}

fn byte_range(text: &str) -> Result<(u64, u64)> {
    let parsed = text.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let wrong = || invalid(format!("Initialization@range: {text:?} is not a range of bytes"));
    parsed.filter(|(first, last): &(u64, u64)| first <= last).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_packagers_write_them() {
        for (text, seconds) in [
            ("PT30S", 30.0),
            ("P0Y0M0DT0H3M1.63S", 181.63),
            ("P0Y0M1DT1S", 86_401.0),
            ("P0Y", 0.0),
            ("PT0H0M0.000S", 0.0),
        ] {
            let read = parse_duration(&without_calendar_zeros(text)).unwrap();
            assert!((read.as_secs_f64() - seconds).abs() < 1e-9, "{text}: {read:?}");
        }
        assert!(parse_duration(&without_calendar_zeros("P1Y")).is_err());
    }

    #[test]
    fn each_level_keeps_what_it_says_and_the_first_base_url() {
        let mpd = parse(
            r#"<MPD type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" timeShiftBufferDepth="PT1H">
            <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="http://t/"/>
            <BaseURL>a/?x=1&amp;y=2</BaseURL><BaseURL>b/</BaseURL>
            <Period id="1" start="PT0S"><EventStream><Event>SCTE</Event></EventStream>
            <AdaptationSet lang="ENG" mimeType="audio/mp4" startWithSAP="1">
              <SegmentTemplate timescale="48000" media="$Time$" initialization="i">
                <SegmentTimeline><S t="5" d="7" r="-1"/></SegmentTimeline></SegmentTemplate>
              <Representation id="audio=1" bandwidth="64000" codecs="mp4a.40.2">
                <SegmentTemplate presentationTimeOffset="3"/></Representation>
            </AdaptationSet></Period></MPD>"#,
        )
        .unwrap();
        assert!(mpd.dynamic);
        assert_eq!(mpd.base.as_deref(), Some("a/?x=1&y=2"));
        assert_eq!(mpd.timings[0].value, "http://t/");
        let set = &mpd.periods[0].sets[0];
        assert_eq!(set.language.as_deref(), Some("eng"));
        let own = &set.representations[0];
        let all = own.template.inherit(&set.template);
        assert_eq!((all.timescale, all.presentation_time_offset), (Some(48_000), Some(3)));
        assert_eq!(
            all.timeline.unwrap().to_vec(),
            [Entry { start: Some(5), duration: 7, repeat: -1, number: None }]
        );
        assert_eq!(own.common.inherit(&set.common).mime.as_deref(), Some("audio/mp4"));
    }

    #[test]
    fn what_cannot_be_used_is_an_error_that_names_it() {
        let s = |s: &str| {
            format!(
                "<MPD><Period><SegmentTemplate><SegmentTimeline>{s}</SegmentTimeline></SegmentTemplate></Period></MPD>"
            )
        };
        for (text, why) in [
            ("<smil/>".to_owned(), "<smil>"),
            ("<html><body>".to_owned(), "HTML"),
            ("<MPD><Period>".to_owned(), "in the middle"),
            (s("<S d='0'/>"), "not more than 0"),
            (s("<S/>"), "not more than 0"),
            (s("<S d='-5'/>"), "not more than 0"),
            (s("<S t='18446744073709551615' d='1'/>"), "S@t"),
            ("<MPD timeShiftBufferDepth='P1Y'/>".to_owned(), "timeShiftBufferDepth"),
            ("<MPD availabilityStartTime='soon'/>".to_owned(), "availabilityStartTime"),
            (
                "<MPD><Period><AdaptationSet><Representation/></AdaptationSet></Period></MPD>".to_owned(),
                "no id",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
            assert_eq!(error.kind(), Kind::Invalid);
        }
    }
}
