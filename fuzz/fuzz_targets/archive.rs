//! Any text as an `/archive` document.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = npvr::source::archive::parse(text);
});
