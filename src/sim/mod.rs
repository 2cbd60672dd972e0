//! A simulated live origin on loopback, to rehearse and to test with.
//!
//! Any name is a live channel: a publishing point as Unified Origin has it (`/NAME/NAME.isml` with `/archive`, `/state`
//! and DASH with `vbegin` and `vend`) and a plain DASH origin (`/NAME/manifest.mpd`). The media is real: H.264 of two bit
//! rates and AAC of two languages, looped on the Unix epoch, so that any instant has content and a URL has the same bytes
//! for ever. A script makes things go wrong, the same way each time.
//!
//! It shares nothing with the code that it tests but errors, time and the words for tracks: what reads a live origin
//! must not be proved by its own mirror image. It may use those, and `clock`; only `server` knows HTTP.

mod faults;
mod mpd;
mod mux;
mod origin;
mod requests;
mod route;
mod schedule;
mod script;
mod server;
mod smil;
mod tracks;
mod wire;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use faults::{Class, Fault, FaultKind, RestartStyle};
pub use requests::Requests;
pub use script::parse_script;
pub use server::{Sim, serve};

use crate::clock;
use crate::time::Time;

/// How a simulation is set up.
#[derive(Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Lets `listen` be an address that other hosts can reach. There is no access control: anyone may script faults.
    pub allow_remote: bool,
    /// How long media can be asked for: the archive of the publishing point.
    pub window: Duration,
    /// How much of it a manifest shows that was asked for without `vbegin`.
    pub dvr_window: Duration,
    /// How far manifests and ranges end behind the clock.
    pub live_delay: Duration,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Decides which requests a fault with a share strikes.
    pub seed: u64,
    /// The clock; tests bring their own.
    pub clock: Arc<dyn Fn() -> Time + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            window: Duration::from_secs(3_600),
            dvr_window: Duration::from_secs(60),
            live_delay: Duration::from_nanos(tracks::SEGMENT_NS.unsigned_abs()),
            faults: Vec::new(),
            seed: 0,
            clock: Arc::new(clock::now),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("window", &self.window)
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
