//! The sockets of the server: the only file that knows the HTTP library.
//!
//! It makes plain requests of what comes in and bytes of plain answers, and sets every limit: how many connections there
//! are, how long a client may take, how much it may send. A connection that is idle, half-sent or slow holds a place, and
//! never a thread, and gives its place up to a new one where there are no more: so it keeps nobody from being answered.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Bytes;
use axum::extract::Request as Incoming;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::future::join_all;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use hyper::body::Incoming as Wired;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;

use super::access_log::Line;
use super::listener::Listener;
use super::places::{Place, Places};
use super::wire::{Pulse, Socket, Wire};
use super::{AccessLog, Answer, App, Base, Body, Metrics, Refusal, Request, Routes, Style, armour};
use crate::clock::Tick;
use crate::error::{Error, Kind};

/// What a client may take of the server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once. Where there are more, that which has waited longest for its client goes.
    pub connections: usize,
    /// How long the headers of a request may take, and how long a connection may be idle.
    pub header_time: Duration,
    /// How long the body of a request may take.
    pub body_time: Duration,
    /// How long a client may take nothing of what it is sent.
    pub stall_time: Duration,
    /// How many bytes the line and the headers of a request may have; at least 8,192.
    pub header_bytes: usize,
    /// How many headers a request may have.
    pub headers: usize,
    /// How many bytes the body of a request may have.
    pub body_bytes: usize,
    /// How long an answer may take until it begins.
    pub answer_time: Duration,
    /// How long answers under way have when the server stops.
    pub stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(30),
            header_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 256 * 1024,
            answer_time: Duration::from_secs(120),
            stop_time: Duration::from_secs(10),
        }
    }
}

/// A server that can be run.
pub struct Server {
    /// What its handlers share.
    pub app: Arc<App>,
    /// What it answers.
    pub routes: Routes,
    /// What a client may take of it.
    pub limits: Limits,
    /// Where requests are written down.
    pub log: Option<Arc<AccessLog>>,
}

/// What all connections share.
struct Shared {
    server: Server,
    places: Arc<Places>,
}

/// How long there is a pause where the system has no descriptors left, and nobody could make room.
const PAUSE: Duration = Duration::from_millis(100);
/// How often that is told.
const TELL: Duration = Duration::from_secs(60);

impl Server {
    /// Serves until `stop` ends; then takes no new connection, and lets answers that are under way end.
    pub async fn run(self, listeners: Vec<Listener>, stop: impl Future<Output = ()>) {
        let (places, graceful) = (Places::new(self.limits.connections), GracefulShutdown::new());
        let shared = Arc::new(Shared { server: self, places });
        tokio::select! {
            () = stop => {}
            _ = join_all(listeners.iter().map(|listener| shared.listen(listener, &graceful))) => {}
        }
        drop(listeners);
        // Those that have not ended by then are cut.
        let _ = tokio::time::timeout(shared.server.limits.stop_time, graceful.shutdown()).await;
    }
}

impl Shared {
    /// Takes connections, for ever.
    async fn listen(self: &Arc<Shared>, listener: &Listener, graceful: &GracefulShutdown) {
        let mut told: Option<Tick> = None;
        loop {
            match listener.accept(self.server.limits.stall_time).await {
                Ok((socket, peer)) => {
                    // Where every client waits for us, there is no place, and this one is turned away at once.
                    match self.places.take().await {
                        Some(place) => self.open(graceful, socket, peer, place),
                        None => self.server.app.metrics.turned_away(),
                    }
                }
                // That client has gone already.
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(e) => {
                    if told.is_none_or(|told| told.elapsed() > TELL) {
                        told = Some(Tick::now());
                        self.server.routes.tell(&format!("no connection can be taken: {}", Error::from(e)));
                    }
                    // Mostly no descriptors are left: whoever only waits gives one back.
                    if !self.places.make_room().await {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// Serves one connection, in a task of its own.
    fn open(
        self: &Arc<Shared>,
        graceful: &GracefulShutdown,
        socket: Box<dyn Socket>,
        peer: Option<IpAddr>,
        place: Place,
    ) {
        let limits = &self.server.limits;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_buf_size(limits.header_bytes)
            .max_headers(limits.headers);
        let (shared, pulse) = (Arc::clone(self), Arc::clone(&place.pulse));
        let service =
            service_fn(move |request| Arc::clone(&shared).handle(peer, Arc::clone(&pulse), request));
        let wire = Wire::new(socket, Arc::clone(&place.pulse));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(wire), service));
        let connected = Metrics::connected(&self.server.app);
        tokio::spawn(async move {
            tokio::select! {
                // What goes wrong with a connection is the client's: there is nobody to tell.
                _ = connection => {}
                () = place.pulse.parting() => connected.turned_away(),
            }
            drop((place, connected));
        });
    }

    /// Answers one request.
    async fn handle(
        self: Arc<Shared>,
        peer: Option<IpAddr>,
        pulse: Arc<Pulse>,
        incoming: hyper::Request<Wired>,
    ) -> Result<Response, Infallible> {
        let (head, body) = incoming.into_parts();
        let client = self.server.app.options.guard.client(peer, &head.headers);
        let line = self.server.log.as_ref().map(|log| {
            let target = head.uri.to_string();
            Line::new(log, client, (&head.method, &target, head.version), &head.headers)
        });
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let headers = with_authority(head.headers, &head.uri);
        let mut request = Request::new(head.method, target, headers, bytes::Bytes::new());
        (request.peer, request.client) = (peer, client);
        if let Some(url) = &self.server.app.options.public_url {
            request.base = Base::of_url(url);
        }
        Ok(respond(self.answer(&pulse, request, Incoming::new(Bytes::new(body))).await, line))
    }

    async fn answer(&self, pulse: &Pulse, mut request: Request, body: Incoming) -> Answer {
        let Server { app, routes, limits, .. } = &self.server;
        if request.headers.get_all(HOST).iter().nth(1).is_some() {
            return refused(StatusCode::BAD_REQUEST, "it says twice which host it is for", &request);
        }
        if routes.takes_body(app, &request) {
            let read = axum::body::to_bytes(body.into_body(), limits.body_bytes);
            request.body = match tokio::time::timeout(limits.body_time, read).await {
                Ok(Ok(body)) => body,
                Ok(Err(_)) => {
                    let what = format!("the body is cut, or larger than {} bytes", limits.body_bytes);
                    return refused(StatusCode::PAYLOAD_TOO_LARGE, &what, &request);
                }
                Err(_) => {
                    return refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in time", &request);
                }
            };
        }
        let _work = pulse.work();
        let (method, path) = (request.method.clone(), request.path.clone());
        let answered = tokio::time::timeout(limits.answer_time, routes.answer(app, request)).await;
        answered.unwrap_or_else(|_| {
            let request = Request::new(method, &path, HeaderMap::new(), bytes::Bytes::new());
            routes.complain(&request, &Error::new(Kind::TryLater, TOO_LONG));
            refused(StatusCode::GATEWAY_TIMEOUT, TOO_LONG, &request)
        })
    }
}

const TOO_LONG: &str = "the answer took too long";

/// Where a request names its host in its target, that is the one it is for (RFC 9112 §3.2.2).
fn with_authority(mut headers: HeaderMap, uri: &Uri) -> HeaderMap {
    let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        headers.insert(HOST, host);
    }
    headers
}

fn refused(status: StatusCode, what: &str, request: &Request) -> Answer {
    let refusal = Refusal::new(status, Error::new(Kind::Invalid, what));
    armour::dress(refusal.answer(Style::Plain, request), false).with_header(CONNECTION, "close")
}

/// An answer on its way out, and its line in the log.
fn respond(answer: Answer, mut line: Option<Line>) -> Response {
    let mut headers = answer.headers;
    if let Some(line) = &mut line {
        line.status = answer.status.as_u16();
    }
    let body = match answer.body {
        Body::Whole(bytes) => {
            if let Some(line) = &mut line {
                line.bytes = bytes.len() as u64;
            }
            Bytes::from(bytes)
        }
        // The library cuts the connection where the body is an error, or not as long as was said. The line is written when
        // the stream is dropped: at its end, or when the client has gone.
        Body::Stream { pieces, bytes } => {
            if let Some(bytes) = bytes {
                headers.entry(CONTENT_LENGTH).or_insert(bytes.into());
            }
            Bytes::from_stream(pieces.map(move |piece| {
                if let (Some(line), Ok(piece)) = (&mut line, &piece) {
                    line.bytes += piece.len() as u64;
                }
                piece.map_err(|e| std::io::Error::other(e.to_string()))
            }))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = headers;
    response
}
