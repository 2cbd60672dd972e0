//! What npvr keeps of an MPD: values as the document gives them, before anything is inherited or computed.
//!
//! Pure. A `SegmentTimeline` stays run-length, as it is written; a week of segments is never a list of segments.

use std::sync::Arc;
use std::time::Duration;

use crate::time::Time;

/// A media presentation description (ISO/IEC 23009-1 §5.3.1).
#[derive(Debug, Clone, Default)]
pub struct Mpd {
    /// `type="dynamic"`: more is to come.
    pub dynamic: bool,
    /// `availabilityStartTime`: the zero that period starts count from.
    pub availability_start: Option<Time>,
    /// `mediaPresentationDuration`.
    pub duration: Option<Duration>,
    /// `timeShiftBufferDepth`: how long a segment stays.
    pub time_shift: Option<Duration>,
    /// The `UTCTiming` elements, the source's favourite first (§5.8.4.11).
    pub timings: Vec<Timing>,
    /// The first `BaseURL`.
    pub base: Option<String>,
    /// The periods, in order.
    pub periods: Vec<Period>,
}

/// One `UTCTiming` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// `schemeIdUri`.
    pub scheme: String,
    /// A time, or URLs separated by blanks.
    pub value: String,
}

/// A period (§5.3.2).
#[derive(Debug, Clone, Default)]
pub struct Period {
    /// `id`, which lets a period be told apart from one manifest to the next.
    pub id: Option<String>,
    /// `start`, from the zero of the presentation.
    pub start: Option<Duration>,
    /// `duration`.
    pub duration: Option<Duration>,
    /// True if it stands in another document (`xlink:href`), which npvr does not fetch.
    pub remote: bool,
    /// The first `BaseURL`.
    pub base: Option<String>,
    /// The template that its adaptation sets inherit.
    pub template: Template,
    /// The adaptation sets.
    pub sets: Vec<AdaptationSet>,
}

/// An adaptation set (§5.3.3).
#[derive(Debug, Clone, Default)]
pub struct AdaptationSet {
    /// `contentType`.
    pub content_type: Option<String>,
    /// `lang`, in lower case.
    pub language: Option<String>,
    /// True for trick-mode tracks (an `EssentialProperty` says so).
    pub trick_mode: bool,
    /// What its representations inherit.
    pub common: Common,
    /// The first `BaseURL`.
    pub base: Option<String>,
    /// The template that its representations inherit.
    pub template: Template,
    /// The representations.
    pub representations: Vec<Representation>,
}

/// A representation (§5.3.5).
#[derive(Debug, Clone, Default)]
pub struct Representation {
    /// `id`, unique in its period.
    pub id: String,
    /// `bandwidth`, bits per second.
    pub bandwidth: Option<u64>,
    /// Its own common attributes.
    pub common: Common,
    /// The first `BaseURL`.
    pub base: Option<String>,
    /// Its own template.
    pub template: Template,
}

/// Attributes that an adaptation set and a representation share (§5.3.7).
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// `mimeType`.
    pub mime: Option<String>,
    /// `codecs`, RFC 6381.
    pub codecs: Option<String>,
    /// `width` in pixels.
    pub width: Option<u32>,
    /// `height` in pixels.
    pub height: Option<u32>,
    /// `startWithSAP`.
    pub start_with_sap: Option<u32>,
}

impl Common {
    /// These, and the parent's where these say nothing.
    pub(super) fn inherit(&self, parent: &Common) -> Common {
        Common {
            mime: self.mime.clone().or_else(|| parent.mime.clone()),
            codecs: self.codecs.clone().or_else(|| parent.codecs.clone()),
            width: self.width.or(parent.width),
            height: self.height.or(parent.height),
            start_with_sap: self.start_with_sap.or(parent.start_with_sap),
        }
    }
}

/// A `SegmentTemplate` (§5.3.9.4), or its absence: all `None`. Each attribute is inherited by itself (§5.3.9.1).
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// `timescale`, ticks per second.
    pub timescale: Option<u32>,
    /// `presentationTimeOffset` in ticks: the media time that is the period's start.
    pub presentation_time_offset: Option<i64>,
    /// `duration` in ticks, where all segments have the same.
    pub duration: Option<i64>,
    /// `startNumber`.
    pub start_number: Option<u64>,
    /// `endNumber`.
    pub end_number: Option<u64>,
    /// `media`: the pattern of segment URLs.
    pub media: Option<String>,
    /// `initialization`, or the `Initialization` element.
    pub initialization: Option<Initialization>,
    /// `SegmentTimeline`. Shared, since many representations inherit one.
    pub timeline: Option<Arc<[Entry]>>,
    /// True if a `SegmentBase` or `SegmentList` stands here: addressing that npvr does not follow.
    pub other_addressing: bool,
}

impl Template {
    /// This, and the parent's where this says nothing.
    pub(super) fn inherit(&self, parent: &Template) -> Template {
        Template {
            timescale: self.timescale.or(parent.timescale),
            presentation_time_offset: self.presentation_time_offset.or(parent.presentation_time_offset),
            duration: self.duration.or(parent.duration),
            start_number: self.start_number.or(parent.start_number),
            end_number: self.end_number.or(parent.end_number),
            media: self.media.clone().or_else(|| parent.media.clone()),
            initialization: self.initialization.clone().or_else(|| parent.initialization.clone()),
            timeline: self.timeline.clone().or_else(|| parent.timeline.clone()),
            other_addressing: self.other_addressing || parent.other_addressing,
        }
    }
}

/// Where an init segment is: a pattern, and perhaps a part of that file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Initialization {
    /// The pattern of its URL; empty means the base URL itself.
    pub url: String,
    /// First and last byte, both included.
    pub bytes: Option<(u64, u64)>,
}

/// One `S` element (§5.3.9.6): `repeat + 1` segments of `duration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `t` in ticks; where it is absent, the end of what went before.
    pub start: Option<i64>,
    /// `d` in ticks, more than 0.
    pub duration: i64,
    /// `r`; negative: until the next entry, the end of the period, or now.
    pub repeat: i64,
    /// `n`: the number of its first segment.
    pub number: Option<u64>,
}
