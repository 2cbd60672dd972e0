//! The socket of the simulated origin: the only file that knows the HTTP library.
//!
//! It turns answers into bytes on the wire, and makes the faults that are made there: resets, short bodies, slowness,
//! silence. Every connection has limits, and ends when the simulation does.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use super::faults::{Fault, Trouble};
use super::origin::{Answer, Origin};
use super::requests::{Counters, Requests};
use super::wire::Wire;
use super::{Options, parse_script};
use crate::error::{Context, Error, Kind, Result};
use crate::time::Time;

/// How long a client may take for its request's headers.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Room for a request's headers, in bytes.
const HEADER_BYTES: usize = 64 * 1024;
/// Room for a script, in bytes.
const SCRIPT_BYTES: usize = 256 * 1024;
/// How long "for ever" is: a stalled answer is given up then, so that a lost client leaves nothing behind.
const STALL_TIME: Duration = Duration::from_secs(600);
/// A slow body comes in so many pieces a second.
const PIECES_PER_S: u64 = 10;
/// Connections that wait at once; more would be a mistake in a test.
const MAX_CONNECTIONS: usize = 4_096;

type Body = BoxBody<Bytes, io::Error>;

struct Shared {
    origin: Origin,
    counters: Counters,
}

/// A running simulation. It ends when this is dropped.
pub struct Sim {
    /// Where it listens.
    pub addr: SocketAddr,
    base: Url,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    stop: watch::Sender<()>,
}

impl Sim {
    /// The publishing point of a channel: what its `channel_url` is.
    pub fn url(&self, name: &str) -> Url {
        self.at(&format!("/{name}/{name}.isml"))
    }

    /// The manifest of a channel on the plain DASH origin.
    pub fn plain_url(&self, name: &str) -> Url {
        self.at(&format!("/{name}/manifest.mpd"))
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    /// How many requests came so far.
    pub fn requests(&self) -> Requests {
        self.shared.counters.requests()
    }

    /// Replaces the script of faults, from the next request on.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.shared.origin.set_faults(faults);
    }

    /// Stops: no new connection; answers that are under way get two seconds to end, stalled ones end at once.
    pub async fn stop(mut self) {
        // The task listens until it ends. It can only fail by a panic, which the runtime has reported.
        let _ = self.stop.send(());
        let _ = (&mut self.accepting).await;
    }
}

/// Starts a simulation.
///
/// # Errors
/// [`Kind::Usage`] for an address that is not loopback, unless that is allowed; what the system says where it cannot
/// listen there; [`Kind::Corrupt`] where the embedded media cannot be used.
pub async fn serve(options: Options) -> Result<Sim> {
    let listen = options.listen;
    if !options.allow_remote && !listen.ip().is_loopback() {
        return Err(Error::new(Kind::Usage, format!("{listen} can be reached from other hosts"))
            .hint("a simulation has no access control; listen on 127.0.0.1"));
    }
    let context = || format!("listen on {listen}");
    let listener = TcpListener::bind(listen).await.with_context(context)?;
    let addr = listener.local_addr().with_context(context)?;
    let base = Url::parse(&format!("http://{addr}/"))
        .map_err(|e| Error::new(Kind::Usage, format!("{addr} makes no URL")).caused_by(e))?;
    let origin = Origin::new(&options, &addr.to_string())?;
    let shared = Arc::new(Shared { origin, counters: Counters::default() });
    let (stop, stopped) = watch::channel(());
    let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), stopped));
    Ok(Sim { addr, base, shared, accepting, stop })
}

/// Takes connections until `stop` is sent or its sender is gone.
async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                    connections.spawn(connection(stream, Arc::clone(&shared), stop.clone()));
                }
                // One too many is closed; what the system refuses for now (no descriptors left) is waited out.
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // Those that have not ended by then are cut when the set is dropped.
    let _ = tokio::time::timeout(Duration::from_secs(2), all_ended).await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    // Without it, small answers on a kept connection wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let wire = Wire::new(stream, Arc::clone(&reset));
    let stopped = stop.clone();
    let service =
        service_fn(move |request| handle(Arc::clone(&shared), Arc::clone(&reset), stopped.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).max_buf_size(HEADER_BYTES);
    let mut serving = pin!(http.serve_connection(TokioIo::new(wire), service));
    // Errors are the client's, or scripted: the simulation has nobody to tell.
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = stop.changed() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

/// Answers one request. An error ends the connection without an answer.
async fn handle(
    shared: Arc<Shared>,
    reset: Arc<AtomicBool>,
    stop: watch::Receiver<()>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let path = request.uri().path();
    if path == "/_faults" || path == "/_requests" {
        return Ok(control(&shared, request).await);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(refused("GET, HEAD"));
    }
    let answer = shared.origin.answer(path, request.uri().query().unwrap_or_default());
    shared.counters.count(answer.class);
    match answer.trouble {
        Some(Trouble::Reset) => {
            reset.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Some(Trouble::Delay(delay)) => tokio::time::sleep(delay).await,
        _ => {}
    }
    Ok(respond(answer, stop))
}

/// An answer on its way out, with what goes wrong there.
fn respond(answer: Answer, stop: watch::Receiver<()>) -> Response<Body> {
    let len = answer.body.len();
    let body = match answer.trouble {
        Some(Trouble::Short) => half(answer.body),
        Some(Trouble::Stall) => silence(stop),
        Some(Trouble::Slow(bytes_per_s)) => trickle(answer.body, bytes_per_s),
        _ => whole(answer.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(CONTENT_LENGTH, len.into());
    if let Ok(date) = HeaderValue::from_str(&http_date(answer.now)) {
        headers.insert(DATE, date);
    }
    response
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

/// The first half, and then the end of the connection.
fn half(mut body: Bytes) -> Body {
    body.truncate(body.len() / 2);
    let end = stream::once(async {
        // Lets the half go out first: an error drops what is still in the buffer.
        tokio::task::yield_now().await;
        Err(cut())
    });
    streamed(stream::iter([Ok(body)]).chain(end))
}

/// Nothing, until the simulation stops or nobody can still be waiting.
fn silence(mut stop: watch::Receiver<()>) -> Body {
    streamed(stream::once(async move {
        // Either way, the time is over.
        let _ = tokio::time::timeout(STALL_TIME, stop.changed()).await;
        Err(cut())
    }))
}

/// All of it, a piece at a time.
fn trickle(body: Bytes, bytes_per_s: u64) -> Body {
    let piece = usize::try_from(bytes_per_s.div_ceil(PIECES_PER_S)).unwrap_or(usize::MAX);
    streamed(stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(1_000 / PIECES_PER_S)).await;
        let now = rest.split_to(piece.min(rest.len()));
        Some((Ok(now), rest))
    }))
}

fn streamed(pieces: impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static) -> Body {
    BodyExt::boxed(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))))
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// `PUT` and `DELETE /_faults`, `GET /_requests`.
async fn control(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let is_faults = request.uri().path() == "/_faults";
    match (is_faults, request.method()) {
        (true, &Method::PUT) => match script(shared, request.into_body()).await {
            Ok(faults) => {
                shared.origin.set_faults(faults);
                plain(StatusCode::NO_CONTENT, String::new())
            }
            Err(e) => {
                let hint = e.remedy().map(|h| format!("  hint: {h}\n")).unwrap_or_default();
                plain(StatusCode::BAD_REQUEST, format!("{e}\n{hint}"))
            }
        },
        (true, &Method::DELETE) => {
            shared.origin.set_faults(Vec::new());
            plain(StatusCode::NO_CONTENT, String::new())
        }
        (false, &Method::GET) => match serde_json::to_string(&shared.counters.requests()) {
            Ok(json) => plain(StatusCode::OK, json + "\n"),
            Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")),
        },
        (true, _) => refused("PUT, DELETE"),
        (false, _) => refused("GET"),
    }
}

async fn script(shared: &Shared, body: Incoming) -> Result<Vec<Fault>> {
    let bytes = Limited::new(body, SCRIPT_BYTES).collect().await;
    let bytes = bytes.map_err(|e| Error::new(Kind::Invalid, format!("script of faults: {e}")))?.to_bytes();
    let text = str::from_utf8(&bytes)
        .map_err(|e| Error::new(Kind::Invalid, "script of faults: not UTF-8").caused_by(e))?;
    parse_script(text, shared.origin.real_now())
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    response
}

fn refused(allowed: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed}\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn http_date(at: Time) -> String {
    let date = chrono::DateTime::from_timestamp_nanos(at.ns());
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests;
