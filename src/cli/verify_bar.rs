//! How far a verification is, for a person who watches.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::out;
use crate::verify::{Event, Watcher};
use crate::words::counted;

/// How often a bar moves by itself, so that one sees that it lives.
const TICK: Duration = Duration::from_millis(200);

/// One bar for all channels, on standard error: objects that are listed, then bytes that are read.
struct Bar(ProgressBar);

impl Watcher for Bar {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Listed { channel, objects } => {
                self.0.inc(objects);
                self.0.set_message(channel.to_owned());
            }
            Event::Told { channel, findings } => {
                self.0.set_message(format!("{channel}: {}", counted(findings, "finding")));
            }
            Event::WillRead { bytes } => {
                self.0.set_style(style("{bar:24} {bytes}/{total_bytes} read back, {eta} to go"));
                self.0.set_position(0);
                self.0.set_length(bytes);
            }
            Event::Read { bytes } => self.0.inc(bytes),
            Event::Ended => self.0.finish_and_clear(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Nobody watches.
struct Silent;

impl Watcher for Silent {
    fn event(&self, _event: Event<'_>) {}
}

/// A bar where a person watches, else silence.
pub(super) fn watcher() -> Arc<dyn Watcher> {
    if !out::is_watched() {
        return Arc::new(Silent);
    }
    let bar = ProgressBar::no_length().with_style(style("{spinner} {pos} objects listed, now {msg}"));
    bar.enable_steady_tick(TICK);
    Arc::new(Bar(bar))
}
