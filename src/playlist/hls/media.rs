//! Media playlists: the fragments of one track (§4.4.3, §4.4.4), and of its key frames (§4.4.3.6).
//!
//! An I-frame playlist is for scrubbing. Its segments are the fragments that begin with a key frame, each whole, as long as it is to
//! the next one: how long a key frame alone is stands in the fragment, and no playlist opens a chunk. A player decodes the first
//! frame of each, and may fetch no more of it than it wants.

use super::walk::Item;
use super::{Form, GROWING_TARGET_S, Hls, VERSION, number, walk};
use crate::grid::Cell;
use crate::media::IndexEntry;
use crate::playlist::Addresses;
use crate::time::{Range, Time};

/// How many bytes there are about for each segment, beside its address.
const SEGMENT_BYTES: usize = 60;
const AROUND_BYTES: usize = 400;

impl Hls<'_> {
    /// The media playlist of a track; `None` if it has no media in the clip.
    pub fn media(&self, id: u32, addresses: &dyn Addresses) -> Option<String> {
        self.playlist(id, addresses, false)
    }

    /// The I-frame playlist of a track; `None` if it has no media in the clip.
    pub fn key_frames(&self, id: u32, addresses: &dyn Addresses) -> Option<String> {
        self.playlist(id, addresses, true)
    }

    fn playlist(&self, id: u32, addresses: &dyn Addresses, is_frames: bool) -> Option<String> {
        let survey = self.survey(id, is_frames);
        let target_s = match is_frames {
            // These alone may have one of their own (§6.2.4).
            true => survey.longest_s().max(self.target_s),
            false => self.target_s,
        };
        let in_us = self.reel.runs.first().map_or(0, |run| walk::us(run.range.start));
        let segment_bytes =
            SEGMENT_BYTES + addresses.chunk(Cell::from_range(Range::new(Time::EPOCH, Time::EPOCH))).len();
        let mut writer = Writer {
            out: String::with_capacity(AROUND_BYTES + survey.segments * segment_bytes),
            addresses,
            chunk: None,
            is_dated: false,
        };
        writer.head(target_s, self.form);
        if is_frames {
            writer.out.push_str("#EXT-X-I-FRAMES-ONLY\n");
        } else if self.is_independent(id) {
            writer.out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        writer.in_point((in_us - survey.first_us?).max(0).unsigned_abs(), self.form);
        self.items(id, target_s, is_frames, |item| writer.item(&item));
        if self.form != Form::Growing {
            writer.out.push_str("#EXT-X-ENDLIST\n");
        }
        Some(writer.out)
    }

    /// How long the longest fragment of all tracks is, in seconds.
    pub(super) fn longest_s(&self) -> u64 {
        self.reel.track_ids().into_iter().map(|id| self.survey(id, false).longest_s()).max().unwrap_or(1)
    }

    fn survey(&self, id: u32, is_frames: bool) -> Survey {
        let mut survey = Survey::default();
        let mut is_there = false;
        self.items(id, GROWING_TARGET_S, is_frames, |item| {
            let (Item::Fragment(_, _, from, until) | Item::Hole(from, until)) = item else { return };
            survey.first_us.get_or_insert(from);
            survey.segments += 1;
            if matches!(item, Item::Fragment(..)) {
                is_there = true;
                survey.longest_us = survey.longest_us.max(until - from);
            }
        });
        survey.first_us = survey.first_us.filter(|_| is_there);
        survey
    }

    /// The items of a track, or those of its key frames.
    fn items<'a>(&'a self, id: u32, target_s: u64, is_frames: bool, mut tell: impl FnMut(Item<'a>)) {
        if !is_frames {
            return self.walk(id, target_s, tell);
        }
        let mut last: Option<(Cell, &IndexEntry, i64, i64)> = None;
        self.walk(id, target_s, |item| match (item, &mut last) {
            (Item::Fragment(_, fragment, _, until), Some(last)) if !fragment.sync => last.3 = until,
            (Item::Fragment(cell, fragment, from, until), last) => {
                if let Some((cell, fragment, from, until)) = last.take() {
                    tell(Item::Fragment(cell, fragment, from, until));
                }
                *last = Some((cell, fragment, from, until));
            }
            (item, last) => {
                if let Some((cell, fragment, from, until)) = last.take() {
                    tell(Item::Fragment(cell, fragment, from, until));
                }
                tell(item);
            }
        });
        if let Some((cell, fragment, from, until)) = last {
            tell(Item::Fragment(cell, fragment, from, until));
        }
    }

    /// True if a player can begin with any fragment of a track.
    pub(super) fn is_independent(&self, id: u32) -> bool {
        let tracks = self.reel.runs.iter().filter_map(|run| run.track(id));
        self.form == Form::Whole && tracks.flat_map(|track| track.fragments()).all(|(_, f)| f.sync)
    }
}

/// What is to be known of a playlist before it is written.
#[derive(Default)]
struct Survey {
    /// When it begins, in µs since the Unix epoch; `None` if there is no fragment in it.
    first_us: Option<i64>,
    /// How long the longest fragment is, in µs.
    longest_us: i64,
    segments: usize,
}

impl Survey {
    /// Durations are rounded before they are compared with the target duration (§4.4.3.1).
    fn longest_s(&self) -> u64 {
        (self.longest_us.unsigned_abs().saturating_add(500_000) / 1_000_000).max(1)
    }
}

struct Writer<'a> {
    out: String,
    addresses: &'a dyn Addresses,
    /// The chunk whose address was made last.
    chunk: Option<(Cell, String)>,
    /// True once the time by the clock has been said since the line of time broke.
    is_dated: bool,
}

impl Writer<'_> {
    fn head(&mut self, target_s: u64, form: Form) {
        self.out.push_str(VERSION);
        self.out.push_str("#EXT-X-TARGETDURATION:");
        number::push_whole(&mut self.out, target_s);
        self.out.push_str(match form {
            Form::Whole => "\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n",
            Form::Growing | Form::Grown => "\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-MEDIA-SEQUENCE:0\n",
        });
    }

    /// Where to start (§4.4.2.2). Players begin near the end of what grows, unless they are told otherwise (§6.3.3).
    fn in_point(&mut self, late_us: u64, form: Form) {
        if late_us > 0 || form != Form::Whole {
            self.out.push_str("#EXT-X-START:TIME-OFFSET=");
            number::push_seconds(&mut self.out, late_us);
            self.out.push_str(",PRECISE=YES\n");
        }
    }

    fn item(&mut self, item: &Item<'_>) {
        match *item {
            Item::Break => {
                self.out.push_str("#EXT-X-DISCONTINUITY\n");
                self.is_dated = false;
            }
            Item::Init(span) => {
                self.out.push_str("#EXT-X-MAP:URI=\"");
                self.out.push_str(&self.addresses.init(span.cell, span.file_track_id));
                self.out.push_str("\"\n");
            }
            Item::Fragment(cell, fragment, from, until) => {
                self.segment(from, until);
                self.out.push_str("#EXT-X-BYTERANGE:");
                number::push_whole(&mut self.out, fragment.size);
                self.out.push('@');
                number::push_whole(&mut self.out, fragment.offset());
                self.out.push('\n');
                if self.chunk.as_ref().is_none_or(|(known, _)| *known != cell) {
                    self.chunk = Some((cell, self.addresses.chunk(cell) + "\n"));
                }
                self.out.push_str(self.chunk.as_ref().map_or("", |(_, address)| address));
            }
            Item::Hole(from, until) => {
                self.segment(from, until);
                self.out.push_str("#EXT-X-GAP\n");
                self.out.push_str(&self.addresses.nothing());
                self.out.push('\n');
            }
        }
    }

    /// What every segment begins with.
    fn segment(&mut self, from: i64, until: i64) {
        if !self.is_dated {
            self.is_dated = true;
            let at = Time::from_ns(from.saturating_add(500).saturating_mul(1_000)).floor_ms();
            self.out.push_str("#EXT-X-PROGRAM-DATE-TIME:");
            self.out.push_str(at.text().as_str());
            self.out.push('\n');
        }
        self.out.push_str("#EXTINF:");
        number::push_seconds(&mut self.out, (until - from).max(0).unsigned_abs());
        self.out.push_str(",\n");
    }
}
