//! What all handlers share: the ledger, the channels as they are configured now, their stores.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::playback::{Headers, Movies};
use super::presigned::Presigned;
use super::sign_keys::SignKeys;
use super::tasks::Tasks;
use super::{Guard, Library, Metrics};
use crate::capture::Workplace;
use crate::channel::Channel;
use crate::channels::{Channels, Stamp};
use crate::clock::{self, Tick};
use crate::error::{Error, Result};
use crate::status::Overviews;
use crate::store::{self, Store};
use crate::time::Time;

/// Configuration that was read is taken for good for so long; then it is looked whether a file has changed.
const FRESH: Duration = Duration::from_secs(1);

/// What the operator chose for the server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The archive folder of channels without a store of their own.
    pub archive: PathBuf,
    /// Where clients reach this server, if not as their requests say.
    pub public_url: Option<Url>,
    /// Who is let in.
    pub guard: Arc<Guard>,
    /// True if nobody may change anything.
    pub read_only: bool,
    /// What plays HLS in browsers that do not do so by themselves.
    pub library: Option<Library>,
}

impl Options {
    /// What is usual, over that archive folder.
    pub fn usual(archive: PathBuf) -> Options {
        Options { archive, public_url: None, guard: Arc::default(), read_only: false, library: None }
    }
}

/// The channels at one moment.
#[derive(Default)]
pub struct Loaded {
    /// Those whose files can be used, by name.
    pub channels: Vec<Arc<Channel>>,
    /// What is wrong with the other files.
    pub unusable: Vec<Error>,
}

/// What all handlers share.
pub struct App {
    /// The books, and where captures work.
    pub place: Arc<Workplace>,
    /// The configuration, for those who change it.
    pub configuration: Channels,
    /// What the operator chose.
    pub options: Options,
    /// What the server counts of itself.
    pub metrics: Metrics,
    /// Held while somebody looks whether requests can be answered.
    pub(super) looking: Arc<tokio::sync::Mutex<()>>,
    /// What is kept for looking at all channels again and again.
    pub overviews: Overviews,
    /// Verifications and prunes that somebody asked for.
    pub tasks: Tasks,
    /// The headers of chunks, for init segments.
    pub(super) headers: Headers,
    /// Where players are sent for chunks in buckets.
    pub(super) presigned: Presigned,
    /// The keys of signed links.
    pub(super) sign_keys: SignKeys,
    /// The heads of files that were asked for.
    pub(super) movies: Movies,
    /// Held by who changes the configuration.
    changing: Mutex<()>,
    catalogue: Mutex<Option<Catalogue>>,
    stores: Mutex<HashMap<String, Open>>,
}

/// What was read of the configuration, and when.
struct Catalogue {
    loaded: Arc<Loaded>,
    stamp: Stamp,
    looked: Tick,
}

/// A store that is open, and the channel as it was then.
struct Open {
    channel: Arc<Channel>,
    store: Arc<dyn Store>,
}

impl App {
    /// Reads nothing yet.
    pub fn new(place: Arc<Workplace>, configuration: Channels, options: Options) -> App {
        let (catalogue, stores) = (Mutex::new(None), Mutex::new(HashMap::new()));
        let (metrics, looking) = (Metrics::default(), Arc::default());
        let (tasks, changing) = (Tasks::default(), Mutex::default());
        let overviews = Overviews::new();
        let (headers, movies) = (Headers::default(), Movies::default());
        let (presigned, sign_keys) = (Presigned::default(), SignKeys::default());
        App {
            place,
            configuration,
            options,
            metrics,
            overviews,
            looking,
            tasks,
            headers,
            presigned,
            sign_keys,
            movies,
            changing,
            catalogue,
            stores,
        }
    }

    /// The moment, for every decision that needs one.
    pub fn now(&self) -> Time {
        clock::now()
    }

    /// All channels, as their files are now.
    ///
    /// # Errors
    /// An `npvr.toml` that cannot be used.
    pub fn channels(&self) -> Result<Arc<Loaded>> {
        let mut catalogue = self.catalogue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = catalogue.as_mut() {
            if known.looked.elapsed() < FRESH {
                return Ok(Arc::clone(&known.loaded));
            }
            if self.configuration.stamp() == known.stamp {
                known.looked = Tick::now();
                return Ok(Arc::clone(&known.loaded));
            }
        }
        // Taken before the files are read: what changes meanwhile is read next time.
        let (stamp, looked) = (self.configuration.stamp(), Tick::now());
        let mut loaded = Loaded::default();
        // Whoever starts with nothing adds the first channel by the API.
        let all = match self.configuration.folder().is_dir() {
            true => self.configuration.load_all()?,
            false => Vec::new(),
        };
        for channel in all {
            match channel {
                Ok(channel) => loaded.channels.push(Arc::new(channel)),
                Err(e) => loaded.unusable.push(e),
            }
        }
        let loaded = Arc::new(loaded);
        *catalogue = Some(Catalogue { loaded: Arc::clone(&loaded), stamp, looked });
        Ok(loaded)
    }

    /// Changes the configuration: one at a time, for each change reads a file and writes it.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn change_channels<T>(&self, change: impl FnOnce(&Channels) -> Result<T>) -> Result<T> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&self.configuration);
        self.channels_changed();
        changed
    }

    /// The channels are read again by the next who asks: their files were changed here.
    pub(super) fn channels_changed(&self) {
        *self.catalogue.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// One channel.
    ///
    /// # Errors
    /// [`crate::error::Kind::NotFound`] with the name that may have been meant; what is wrong with its file.
    pub fn channel(&self, name: &str) -> Result<Arc<Channel>> {
        let loaded = self.channels()?;
        let found = loaded.channels.binary_search_by(|channel| channel.name.as_str().cmp(name));
        match found {
            Ok(at) => Ok(Arc::clone(&loaded.channels[at])),
            // Says what is wrong: its name, its file, or that there is none.
            Err(_) => {
                let channel = self.configuration.load(&name.parse()?)?;
                // Its file came since they were looked at.
                self.channels_changed();
                Ok(Arc::new(channel))
            }
        }
    }

    /// The store of a channel, opened by the first who asks.
    ///
    /// # Errors
    /// Those of [`store::of_channel`].
    pub async fn store(&self, channel: &Arc<Channel>) -> Result<Arc<dyn Store>> {
        let name = channel.name.as_str();
        let open = self.stores.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(|open| {
            let is_same = Arc::ptr_eq(&open.channel, channel);
            is_same.then(|| Arc::clone(&open.store))
        });
        if let Some(Some(store)) = open {
            return Ok(store);
        }
        // A server never makes the folder of an archive: one that is not there is an unmounted disk.
        let store = store::of_channel(channel, &self.options.archive, true).await?;
        let open = Open { channel: Arc::clone(channel), store: Arc::clone(&store) };
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), open);
        Ok(store)
    }
}
