//! A connection that notes when it last got on: what tells the ones that are used from those that only take up a place.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::clock::Tick;

/// A connection of any kind.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// What is known of a connection from outside.
pub(super) struct Pulse {
    /// What moments are counted from.
    origin: Tick,
    /// When a byte last went either way, in µs after `origin`.
    last_us: AtomicU64,
    is_at_work: AtomicBool,
    is_parting: AtomicBool,
    leave: Notify,
}

impl Pulse {
    /// That of a connection that begins now.
    pub(super) fn new(origin: Tick) -> Pulse {
        let (last_us, leave) = (AtomicU64::new(0), Notify::new());
        let (is_at_work, is_parting) = (AtomicBool::new(false), AtomicBool::new(false));
        let pulse = Pulse { origin, last_us, is_at_work, is_parting, leave };
        pulse.beat();
        pulse
    }

    fn beat(&self) {
        let us = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_us.store(us, Ordering::Relaxed);
    }

    /// How long the connection has been waiting for its client, as a moment that can be compared: the smaller, the longer.
    /// `None` while we are at work on an answer, for then the client waits for us; and for one that is to be closed already.
    pub(super) fn waits_since(&self) -> Option<u64> {
        let waits = !self.is_at_work.load(Ordering::Relaxed) && !self.is_parting();
        waits.then(|| self.last_us.load(Ordering::Relaxed))
    }

    /// Marks the connection as one whose client waits for us, until what comes back is dropped.
    pub(super) fn work(&self) -> Work<'_> {
        self.is_at_work.store(true, Ordering::Relaxed);
        Work(self)
    }

    /// Asks for the connection to be closed, whatever it is doing.
    pub(super) fn part(&self) {
        self.is_parting.store(true, Ordering::Relaxed);
        self.leave.notify_one();
    }

    /// True if that was asked for.
    pub(super) fn is_parting(&self) -> bool {
        self.is_parting.load(Ordering::Relaxed)
    }

    /// Ends when that was asked for.
    pub(super) async fn parting(&self) {
        self.leave.notified().await;
    }
}

/// An answer is being made.
pub(super) struct Work<'a>(&'a Pulse);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.beat();
        self.0.is_at_work.store(false, Ordering::Relaxed);
    }
}

/// A socket with its pulse.
pub(super) struct Wire {
    socket: Box<dyn Socket>,
    pulse: Arc<Pulse>,
}

impl Wire {
    pub(super) fn new(socket: Box<dyn Socket>, pulse: Arc<Pulse>) -> Wire {
        Wire { socket, pulse }
    }

    /// Bytes that went over the wire are a beat; a poll that has to wait is none.
    fn felt<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(polled, Poll::Ready(Ok(_))) {
            self.pulse.beat();
        }
        polled
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.socket).poll_read(cx, buf);
        self.felt(polled)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.felt(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.felt(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
