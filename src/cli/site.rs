//! Where a run finds its configuration and its state, and what it opens there.

use std::path::PathBuf;
use std::sync::Arc;

use super::bars;
use super::out;
use crate::capture::{Observer, Workplace};
use crate::channel::{Channel, Name, Serve, Settings};
use crate::channels::{Channels, Env};
use crate::check::Options;
use crate::error::{Context, Error, Result};
use crate::ledger::{Report, SqliteLedger};
use crate::metrics;
use crate::prune;
use crate::time::{Range, Time};
use crate::verify;

/// What the command line says of folders.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) config: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
}

impl Places {
    /// The configuration folder. Nothing of the state is opened.
    pub(super) fn configuration(&self) -> Result<Channels> {
        let env = Env::of_process()?;
        let folder = env.config_folder(self.config.as_deref());
        Ok(Channels::new(folder, env))
    }
}

/// A configuration and a state, open.
pub(super) struct Site {
    pub(super) place: Arc<Workplace>,
    channels: Channels,
    settings: Settings,
    archive: PathBuf,
}

/// The channels that were asked for.
pub(super) struct Wanted {
    /// Those whose files can be used.
    pub(super) usable: Vec<Channel>,
    /// True if one cannot; it has been complained of.
    pub(super) any_unusable: bool,
}

impl Site {
    pub(super) fn open(places: &Places) -> Result<Site> {
        Self::open_with(places, bars::observer())
    }

    /// Without progress bars: something else is drawn on the terminal.
    pub(super) fn open_silent(places: &Places) -> Result<Site> {
        Self::open_with(places, bars::silent())
    }

    fn open_with(places: &Places, observer: Arc<dyn Observer>) -> Result<Site> {
        let channels = places.configuration()?;
        let settings = channels.settings()?;
        let state =
            Env::of_process()?.state_folder(places.state.as_deref(), settings.state_dir.as_deref())?;
        let ledger = SqliteLedger::open(&state).with_context(|| format!("state {}", state.display()))?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut place = Workplace::new(Arc::new(ledger), state.join("spool"), host, observer);
        place.min_free_bytes = settings.min_free_bytes;
        Ok(Site { place: Arc::new(place), channels, settings, archive: state.join("archive") })
    }

    /// The channels of these names, or all. A file that cannot be used is complained of, and the others go on.
    pub(super) fn channels(&self, names: &[String]) -> Result<Wanted> {
        let loaded: Vec<Result<Channel>> = match names {
            [] => self.channels.load_all()?,
            names => names.iter().map(|name| self.channel(name)).collect(),
        };
        let mut wanted = Wanted { usable: Vec::new(), any_unusable: false };
        for channel in loaded {
            match channel {
                Ok(channel) => wanted.usable.push(channel),
                Err(e) if !names.is_empty() => return Err(e),
                Err(e) => {
                    out::complain_of(&e);
                    wanted.any_unusable = true;
                }
            }
        }
        Ok(wanted)
    }

    /// The channels of which chunks are stored, and that have no file any more: nobody knows where their chunks are.
    pub(super) fn without_file(&self) -> Result<Vec<WithoutFile>> {
        let mut found = Vec::new();
        for name in self.place.ledger.channels()? {
            let has_file = name.parse().is_ok_and(|name| self.channels.file(&name).exists());
            let always = Range::new(Time::from_ns(i64::MIN), Time::MAX);
            let report =
                if has_file { Report::default() } else { self.place.ledger.report(&name, always)? };
            if report.first.is_some() {
                found.push(WithoutFile { name, report });
            }
        }
        Ok(found)
    }

    /// What monitoring wants to know of all channels. Files that cannot be used are counted; who checks complains of them.
    pub(super) fn metrics(&self, now: Time) -> Result<Vec<metrics::Family>> {
        // A configuration of which nothing can be read is one more thing that monitoring has to hear of.
        let loaded = self.channels.load_all().unwrap_or_else(|e| vec![Err(e)]);
        let all = loaded.len();
        let usable: Vec<Channel> = loaded.into_iter().flatten().collect();
        metrics::archive(&self.place, &usable, all - usable.len(), now)
    }

    /// The configuration, for those who read it again and again.
    pub(super) fn configuration(&self) -> Channels {
        self.channels.clone()
    }

    /// How `serve-smil` is reached, and by whom.
    pub(super) fn serve(&self) -> Serve {
        self.settings.serve.clone()
    }

    /// The archive folder of channels without a store of their own.
    pub(super) fn archive(&self) -> PathBuf {
        self.archive.clone()
    }

    /// One channel.
    pub(super) fn channel(&self, name: &str) -> Result<Channel> {
        self.channels.load(&name.parse::<Name>()?)
    }

    pub(super) fn check_options(&self) -> Options {
        Options {
            parallel: self.settings.parallel,
            dry_run: false,
            within: None,
            force: false,
            archive: self.archive.clone(),
        }
    }

    pub(super) fn prune_options(&self) -> prune::Options {
        prune::Options {
            max_fraction: self.settings.max_fraction,
            force: false,
            dry_run: false,
            archive: self.archive.clone(),
        }
    }

    pub(super) fn verify_options(&self) -> verify::Options {
        verify::Options {
            deep: false,
            budget: None,
            repair: false,
            dry_run: false,
            parallel: self.settings.parallel,
            archive: self.archive.clone(),
        }
    }
}

/// A channel that the ledger knows, and that has no file.
pub(super) struct WithoutFile {
    pub(super) name: String,
    /// What of it is stored.
    pub(super) report: Report,
}

impl Wanted {
    /// Those that are enabled. Naming a channel that is disabled is a mistake worth a word.
    pub(super) fn enabled(&self, names: &[String]) -> Vec<Channel> {
        for channel in self.usable.iter().filter(|c| !c.enabled && !names.is_empty()) {
            let hint = format!("npvr channel enable {}", channel.name);
            out::complain(format!("channel {}: it is disabled, and left alone", channel.name), Some(&hint));
        }
        self.usable.iter().filter(|c| c.enabled).cloned().collect()
    }
}

/// A word that should have been the name of a channel.
pub(super) fn name(text: &str) -> Result<Name, Error> {
    text.parse()
}
