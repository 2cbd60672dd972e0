//! Any text as an MPD: read it, lay it out, list a cell of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use npvr::source::mpd::{Presentation, parse};
use npvr::time::{Range, Time};

fuzz_target!(|text: &str| {
    let Ok(mpd) = parse(text) else { return };
    let Ok(base) = "http://origin.example/a/manifest.mpd".parse() else { return };
    let now = Time::from_s(1_800_000_000);
    if let Ok(presentation) = Presentation::new(&mpd, &base, now, &[]) {
        let timeline = presentation.timeline(None);
        let span = timeline.span().unwrap_or(Range::new(now, now));
        let _ = presentation.list(Range::new(span.start, Time::from_s(span.start.s().saturating_add(10))));
    }
});
