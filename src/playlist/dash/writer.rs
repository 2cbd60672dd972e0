//! The document, but for its segments.

use std::fmt::{self, Write as _};
use std::time::Duration;

use quick_xml::escape::escape;

use super::period::{Period, PeriodTrack, periods};
use super::segments::is_aligned;
use super::sets::{Member, Set, codecs, sets};
use super::{Naming, Show, measure};
use crate::media::Protection;
use crate::playlist::Addresses;
use crate::time::format_duration;
use crate::track::Medium;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
/// How many bytes there are of a period beside its segments, and of a segment in a list.
const PERIOD_BYTES: usize = 4_096;
const SEGMENT_BYTES: usize = 150;

/// Writes the document.
pub(super) fn write(show: &Show<'_>, addresses: &dyn Addresses) -> String {
    let periods = periods(show);
    let fragments = match show.naming {
        Naming::List => show.reel.runs.iter().flat_map(|r| &r.tracks).map(|t| t.fragments().count()).sum(),
        Naming::Template => 0,
    };
    let mut out = String::with_capacity(periods.len() * PERIOD_BYTES + fragments * SEGMENT_BYTES);
    // Writing to a string cannot fail.
    let _ = Writer { out: &mut out, show, addresses }.document(&periods);
    out
}

pub(super) struct Writer<'a> {
    pub(super) out: &'a mut String,
    pub(super) show: &'a Show<'a>,
    pub(super) addresses: &'a dyn Addresses,
}

impl Writer<'_> {
    fn document(&mut self, periods: &[Period<'_>]) -> fmt::Result {
        let sets = sets(self.show, periods);
        self.head(periods, &sets)?;
        let mut before = None;
        for (n, period) in periods.iter().enumerate() {
            let lasts = period.range.duration();
            write!(self.out, "  <Period id=\"{}\" start=\"{}\"", n + 1, format_duration(period.start))?;
            // The last one of a presentation that goes on may yet become longer.
            if self.show.growth.is_none() || n + 1 < periods.len() {
                write!(self.out, " duration=\"{}\"", format_duration(lasts))?;
            }
            self.out.push_str(">\n");
            for set in &sets {
                self.set(set, period, before.map(|before| (n, before)))?;
            }
            self.out.push_str("  </Period>\n");
            before = Some(period);
        }
        if let Some(growth) = self.show.growth {
            let clock = escape(growth.clock);
            writeln!(
                self.out,
                "  <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"{clock}\"/>"
            )?;
        }
        self.out.push_str("</MPD>\n");
        Ok(())
    }

    fn head(&mut self, periods: &[Period<'_>], sets: &[Set<'_>]) -> fmt::Result {
        self.out.push_str(HEAD);
        self.out.push_str("<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"");
        let mut traits = sets.iter().flat_map(|set| &set.tracks).filter_map(|member| member.traits);
        if traits.any(|traits| traits.protection.is_some()) {
            self.out.push_str(" xmlns:cenc=\"urn:mpeg:cenc:2013\"");
        }
        let profile = match self.show.naming {
            Naming::Template => "isoff-live",
            Naming::List => "isoff-main",
        };
        let longest = whole_seconds(measure::longest(self.show));
        write!(
            self.out,
            " profiles=\"urn:mpeg:dash:profile:{profile}:2011\" minBufferTime=\"{longest}\" maxSegmentDuration=\"{longest}\""
        )?;
        match self.show.growth {
            None => {
                let end = |last: &Period<'_>| last.start.saturating_add(last.range.duration());
                let all = periods.last().map_or(Duration::ZERO, end);
                write!(self.out, " type=\"static\" mediaPresentationDuration=\"{}\"", format_duration(all))?;
            }
            Some(growth) => {
                let end = periods.last().map_or(growth.since, |period| period.range.end);
                write!(
                    self.out,
                    " type=\"dynamic\" availabilityStartTime=\"{}\" publishTime=\"{}\" minimumUpdatePeriod=\"{}\" \
                     suggestedPresentationDelay=\"{}\"",
                    growth.since,
                    end,
                    format_duration(growth.every),
                    format_duration(growth.delay)
                )?;
            }
        }
        self.out.push_str(">\n");
        Ok(())
    }

    fn set(
        &mut self,
        set: &Set<'_>,
        period: &Period<'_>,
        before: Option<(usize, &Period<'_>)>,
    ) -> fmt::Result {
        let of = |period: &'_ Period<'_>, id: u32| period.tracks.iter().position(|track| track.id == id);
        let there: Vec<(&Member<'_>, &PeriodTrack<'_>)> = (set.tracks.iter())
            .filter_map(|member| Some((member, &period.tracks[of(period, member.shown.id)?])))
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        let tracks: Vec<&PeriodTrack<'_>> = there.iter().map(|(_, track)| *track).collect();
        self.set_head(set, &tracks)?;
        if let Some((id, before)) = before {
            // The init segments are those of the period before: a player need not set its decoders up anew.
            let connects = tracks.iter().all(|track| {
                let other = of(before, track.id).and_then(|n| before.tracks[n].init());
                let (own, other) = (track.init().and_then(|init| init.1), other.and_then(|init| init.1));
                own.is_some() && own == other
            });
            if connects {
                writeln!(
                    self.out,
                    "      <SupplementalProperty schemeIdUri=\"urn:mpeg:dash:period-connectivity:2015\" value=\"{id}\"/>"
                )?;
            }
        }
        let role = match (set.medium, set.is_main) {
            (Medium::Text, _) => "subtitle",
            (_, true) => "main",
            (_, false) => "alternate",
        };
        writeln!(self.out, "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>")?;
        for (member, track) in there {
            self.representation(member, track)?;
            self.segments(track)?;
            self.out.push_str("      </Representation>\n");
        }
        self.out.push_str("    </AdaptationSet>\n");
        Ok(())
    }

    fn set_head(&mut self, set: &Set<'_>, tracks: &[&PeriodTrack<'_>]) -> fmt::Result {
        let mime = match set.medium {
            Medium::Video => "video/mp4",
            Medium::Audio => "audio/mp4",
            Medium::Text => "application/mp4",
        };
        let (id, medium) = (set.id, set.medium);
        write!(self.out, "    <AdaptationSet id=\"{id}\" contentType=\"{medium}\" mimeType=\"{mime}\"")?;
        if let Some(language) = set.language {
            write!(self.out, " lang=\"{}\"", escape(language))?;
        }
        // What is said of a presentation that goes on must be true of what is still to come.
        if self.show.growth.is_none() {
            if is_aligned(tracks) {
                self.out.push_str(" segmentAlignment=\"true\"");
            }
            if tracks.iter().all(|track| track.fragments().all(|fragment| fragment.sync)) {
                self.out.push_str(" startWithSAP=\"1\"");
            }
        }
        self.out.push_str(">\n");
        let protection = set.tracks.first().and_then(|member| member.traits?.protection);
        protection.map_or(Ok(()), |protection| self.protection(protection))
    }

    /// That it is encrypted, and with which key (23001-7 §11.2). The licences are the player's matter.
    fn protection(&mut self, protection: Protection) -> fmt::Result {
        let scheme = protection.scheme.escape_ascii().to_string();
        let scheme = escape(scheme.as_str());
        write!(
            self.out,
            "      <ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"{scheme}\""
        )?;
        if protection.key_id != [0; 16] {
            self.out.push_str(" cenc:default_KID=\"");
            for (n, byte) in protection.key_id.iter().enumerate() {
                let dash = if matches!(n, 4 | 6 | 8 | 10) { "-" } else { "" };
                write!(self.out, "{dash}{byte:02x}")?;
            }
            self.out.push('"');
        }
        self.out.push_str("/>\n");
        Ok(())
    }

    fn representation(&mut self, member: &Member<'_>, track: &PeriodTrack<'_>) -> fmt::Result {
        let traits = track.init().and_then(|(span, _)| span.traits);
        let (id, bandwidth) = (member.shown.id, member.bandwidth.max(1));
        write!(self.out, "      <Representation id=\"{id}\" bandwidth=\"{bandwidth}\"")?;
        if let Some(codecs) = codecs(member.shown.track, traits) {
            write!(self.out, " codecs=\"{}\"", escape(codecs))?;
        }
        if let Some((width, height)) = traits.and_then(|traits| traits.size).or(member.shown.track.size) {
            write!(self.out, " width=\"{width}\" height=\"{height}\"")?;
        }
        let medium = member.shown.track.medium;
        match member.shown.rate {
            Some((pictures, 1)) if medium == Medium::Video => {
                write!(self.out, " frameRate=\"{pictures}\"")?;
            }
            Some((pictures, seconds)) if medium == Medium::Video => {
                write!(self.out, " frameRate=\"{pictures}/{seconds}\"")?;
            }
            _ => {}
        }
        self.out.push_str(">\n");
        // ISO/IEC 23091-3: up to six channels the number says how many; 7.1 is 12.
        let layout = match traits.map_or(0, |traits| traits.channels) {
            channels @ 1..=6 => channels,
            8 => 12,
            _ => return Ok(()),
        };
        writeln!(
            self.out,
            "        <AudioChannelConfiguration schemeIdUri=\"urn:mpeg:mpegB:cicp:ChannelConfiguration\" value=\"{layout}\"/>"
        )
    }
}

/// At least that long.
fn whole_seconds(duration: Duration) -> String {
    let up = u64::from(duration.subsec_nanos() > 0);
    format_duration(Duration::from_secs(duration.as_secs() + up))
}
