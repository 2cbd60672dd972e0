//! Progress bars for captures and deletions; nothing where nobody watches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::out;
use crate::capture::{Event, Observer};
use crate::grid::Cell;
use crate::prune;

/// One bar for each capture that runs, on standard error.
struct Bars {
    all: MultiProgress,
    running: Mutex<HashMap<(String, Cell), ProgressBar>>,
}

impl Observer for Bars {
    fn event(&self, channel: &str, cell: Cell, event: Event) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (channel.to_owned(), cell);
        match event {
            Event::Started { segments } => {
                let bar = self.all.add(ProgressBar::new(segments).with_style(style_of("segments")));
                let (start, end) = (cell.start().time_of_day(), cell.end().time_of_day());
                bar.set_prefix(format!("{channel} {start}–{end}"));
                running.insert(key, bar);
            }
            Event::Segment { .. } => {
                if let Some(bar) = running.get(&key) {
                    bar.inc(1);
                }
            }
            Event::Storing => {
                if let Some(bar) = running.get(&key) {
                    bar.set_message("storing");
                }
            }
            Event::Ended => {
                if let Some(bar) = running.remove(&key) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

/// One bar for each channel that is pruned.
struct Deletions {
    all: MultiProgress,
    running: Mutex<HashMap<String, ProgressBar>>,
}

impl prune::Watcher for Deletions {
    fn event(&self, channel: &str, event: prune::Event) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            prune::Event::Started { chunks } => {
                let bar = self.all.add(ProgressBar::new(chunks).with_style(style_of("chunks deleted")));
                bar.set_prefix(channel.to_owned());
                running.insert(channel.to_owned(), bar);
            }
            prune::Event::Deleted { chunks } => {
                if let Some(bar) = running.get(channel) {
                    bar.inc(chunks);
                }
            }
            prune::Event::Ended => {
                if let Some(bar) = running.remove(channel) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

fn style_of(what: &str) -> ProgressStyle {
    let template = format!("{{prefix:32!}} {{bar:24}} {{pos}}/{{len}} {what} {{msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar of so many steps, for work that is one thing; none where nobody watches.
pub(crate) fn steps(prefix: &str, steps: u64, what: &str) -> ProgressBar {
    if !out::is_watched() {
        return ProgressBar::hidden();
    }
    ProgressBar::new(steps).with_style(style_of(what)).with_prefix(prefix.to_owned())
}

/// The same for bytes, which also says how long it will take.
pub(crate) fn bytes(prefix: &str, bytes: u64) -> ProgressBar {
    let template = "{prefix:32!} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    steps(prefix, bytes, "").with_style(style)
}

/// Nobody watches.
struct Silent;

impl Observer for Silent {
    fn event(&self, _channel: &str, _cell: Cell, _event: Event) {}
}

impl prune::Watcher for Silent {
    fn event(&self, _channel: &str, _event: prune::Event) {}
}

/// Bars for a prune where a person watches, else silence.
pub(crate) fn watcher() -> Arc<dyn prune::Watcher> {
    if out::is_watched() {
        return Arc::new(Deletions { all: MultiProgress::new(), running: Mutex::default() });
    }
    Arc::new(Silent)
}

/// Bars where a person watches, else silence.
pub(crate) fn observer() -> Arc<dyn Observer> {
    if out::is_watched() {
        return Arc::new(Bars { all: MultiProgress::new(), running: Mutex::default() });
    }
    silent()
}

/// Silence.
pub(crate) fn silent() -> Arc<dyn Observer> {
    Arc::new(Silent)
}
