//! What systemd hands over (sockets that it opened for us) and wants to be told: `sd_listen_fds(3)`, `sd_notify(3)`.
//!
//! Under no systemd there are no sockets, and nobody is told anything.

use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::listener::Listener;
use crate::error::{Context, Error, Kind, Result};

/// Sockets that were handed over.
#[derive(Default)]
pub struct Handed {
    tcp: Vec<std::net::TcpListener>,
    unix: Vec<std::os::unix::net::UnixListener>,
}

impl Handed {
    /// Takes them. To be called while the process has one thread: the variables that announce them are removed, so that no
    /// child takes them for its own.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a descriptor that nobody can connect to.
    pub fn take() -> Result<Handed> {
        let mut all = ListenFd::from_env();
        let mut handed = Handed::default();
        for at in 0..all.len() {
            if let Ok(Some(socket)) = all.take_tcp_listener(at) {
                handed.tcp.push(socket);
            } else if let Ok(Some(socket)) = all.take_unix_listener(at) {
                handed.unix.push(socket);
            } else {
                let what =
                    format!("systemd hands over {} sockets, of which number {at} is no stream", all.len());
                return Err(Error::new(Kind::Usage, what).hint("the socket unit needs ListenStream="));
            }
        }
        Ok(handed)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.unix.is_empty()
    }

    /// Listens on them.
    ///
    /// # Errors
    /// If one cannot be waited on.
    pub fn listeners(self) -> Result<Vec<Listener>> {
        let tcp = self.tcp.into_iter().map(Listener::of_tcp);
        tcp.chain(self.unix.into_iter().map(Listener::of_unix))
            .collect::<Result<_>>()
            .context("listen for systemd")
    }
}

/// Says that requests are answered from now on.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that no new requests are taken.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the program lives, twice as often as is asked for; ends at once where nobody asks.
pub async fn live_on() {
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| *within > Duration::ZERO) else {
        return;
    };
    let mut ticks = tokio::time::interval(within / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Whoever cannot be told finds out by himself.
    let _ = sd_notify::notify(states);
}
