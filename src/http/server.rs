//! The sockets of the server: the only file that knows the HTTP library.
//!
//! It makes plain requests of what comes in and bytes of plain answers, and sets every limit: how many connections there
//! are, how long a client may take, how much it may send. A connection that is idle, half-sent or slow holds a place, and
//! never a thread, so it keeps nobody from being answered.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Bytes;
use axum::extract::Request as Incoming;
use axum::response::Response;
use futures_util::{FutureExt, StreamExt};
use http::StatusCode;
use hyper::body::Incoming as Wire;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Answer, App, Base, Body, Metrics, Refusal, Request, Routes, Style};
use crate::clock::Tick;
use crate::error::{Error, Kind};

/// What a client may take of the server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// How long the headers of a request may take, and how long a connection may be idle.
    pub header_time: Duration,
    /// How long the body of a request may take.
    pub body_time: Duration,
    /// How many bytes the line and the headers of a request may have.
    pub header_bytes: usize,
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
            connections: 8_192,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            header_bytes: 64 * 1024,
            body_bytes: 256 * 1024,
            answer_time: Duration::from_secs(120),
            stop_time: Duration::from_secs(10),
        }
    }
}

/// What all connections share.
struct Shared {
    app: Arc<App>,
    routes: Routes,
    limits: Limits,
}

/// Serves until `stop` ends; then takes no new connection, and lets answers that are under way end.
pub async fn serve(
    app: Arc<App>,
    routes: Routes,
    limits: Limits,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let shared = Arc::new(Shared { app, routes, limits });
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = accepted;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(shared.limits.header_time)
            .max_buf_size(shared.limits.header_bytes);
        let connected = Metrics::connected(&shared.app);
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| handle(Arc::clone(&shared), peer, request));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // What goes wrong with a connection is the client's: there is nobody to tell.
            let _ = connection.await;
            drop((place, connected));
        });
    }
    drop(listener);
    // Those that have not ended by then are cut.
    let _ = tokio::time::timeout(shared.limits.stop_time, graceful.shutdown()).await;
}

/// The next connection, and its place among those that there may be.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<tokio::sync::OwnedSemaphorePermit>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Without it, small answers on a kept connection wait for the client's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                return (stream, peer, place);
            }
            // What the system refuses for now, having no descriptors left, is waited out.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Answers one request. A handler that panics costs its client the answer, and nobody else anything.
async fn handle(
    shared: Arc<Shared>,
    peer: SocketAddr,
    incoming: hyper::Request<Wire>,
) -> Result<Response, Infallible> {
    let (began, method) = (Tick::now(), incoming.method().clone());
    let answered = AssertUnwindSafe(answer(&shared, peer, incoming.map(Bytes::new))).catch_unwind().await;
    let cut_short = |status| shared.app.metrics.answered(None, &method, status, began.elapsed());
    Ok(respond(match answered {
        Ok(Ok(answer)) => answer,
        // What the routes did not come to an end with, they did not count.
        Ok(Err(refused)) => {
            cut_short(refused.status);
            refused
        }
        Err(_) => {
            cut_short(StatusCode::INTERNAL_SERVER_ERROR);
            Answer::empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }))
}

/// What the routes answer, or else what is said where they did not come to that.
async fn answer(shared: &Shared, peer: SocketAddr, incoming: Incoming) -> Result<Answer, Answer> {
    let (head, body) = incoming.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::new(head.method, target, head.headers, bytes::Bytes::new());
    request.peer = Some(peer.ip());
    if let Some(url) = &shared.app.options.public_url {
        request.base = Base::of_url(url);
    }
    let limits = &shared.limits;
    let read = tokio::time::timeout(limits.body_time, axum::body::to_bytes(body, limits.body_bytes)).await;
    request.body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let what = "the body is too large, or was cut";
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, what, &request));
        }
        Err(_) => {
            return Err(refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in time", &request));
        }
    };
    let asked = request.clone();
    let answered = tokio::time::timeout(limits.answer_time, shared.routes.answer(&shared.app, request)).await;
    answered.map_err(|_| refused(StatusCode::GATEWAY_TIMEOUT, "the answer took too long", &asked))
}

fn refused(status: StatusCode, what: &str, request: &Request) -> Answer {
    Refusal::new(status, Error::new(Kind::Invalid, what)).answer(Style::Plain, request)
}

/// An answer on its way out.
fn respond(answer: Answer) -> Response {
    let body = match answer.body {
        Body::Whole(bytes) => Bytes::from(bytes),
        // The library cuts the connection where the body is an error, or not as long as was said.
        Body::Stream { pieces, .. } => {
            Bytes::from_stream(pieces.map(|piece| piece.map_err(|e| std::io::Error::other(e.to_string()))))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
