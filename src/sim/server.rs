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
mod tests {
    use std::error::Error as _;

    use reqwest::Client;

    use super::super::faults::{Class, FaultKind};
    use super::*;
    use crate::clock::Tick;

    const NOW: Time = Time::from_s(1_790_000_000);
    const INIT: &str = "/n/n.isml/dash/n-video=110000.dash";

    async fn sim(faults: Vec<Fault>) -> Sim {
        serve(Options { faults, clock: Arc::new(|| NOW), ..Options::default() }).await.unwrap()
    }

    fn client() -> Client {
        Client::builder().no_proxy().build().unwrap()
    }

    fn once(kind: FaultKind) -> Vec<Fault> {
        vec![Fault { times: Some(1), class: Some(Class::Init), ..Fault::new(kind) }]
    }

    async fn get(sim: &Sim, path: &str) -> reqwest::Result<reqwest::Response> {
        client().get(sim.at(path)).send().await
    }

    /// The I/O error at the bottom of a failed request.
    fn io_kind(e: &reqwest::Error) -> Option<io::ErrorKind> {
        let chain = std::iter::successors(e.source(), |&e| e.source());
        chain.filter_map(|e| e.downcast_ref::<io::Error>()).last().map(io::Error::kind)
    }

    #[tokio::test]
    async fn answers_come_whole_dated_by_the_simulations_clock_and_are_counted() {
        let sim = sim(vec![]).await;
        let answer = get(&sim, INIT).await.unwrap();
        assert_eq!(answer.headers()[DATE], "Mon, 21 Sep 2026 14:13:20 GMT");
        let len = answer.content_length();
        assert_eq!(answer.bytes().await.unwrap().len() as u64, len.unwrap());
        let head = client().head(sim.at(INIT)).send().await.unwrap();
        assert_eq!(head.headers()[CONTENT_LENGTH], len.unwrap().to_string());
        assert!(head.bytes().await.unwrap().is_empty());
        get(&sim, "/n/n.isml/archive").await.unwrap();
        get(&sim, "/nothing").await.unwrap();
        let expected = Requests { init: 2, archive: 1, other: 1, ..Requests::default() };
        assert_eq!(sim.requests(), expected);
        let json = get(&sim, "/_requests").await.unwrap().text().await.unwrap();
        assert_eq!(json.trim(), serde_json::to_string(&expected).unwrap());
        assert_eq!(sim.url("n").path(), "/n/n.isml");
        assert_eq!(client().get(sim.plain_url("n")).send().await.unwrap().status(), 200);
        sim.stop().await;
    }

    #[tokio::test]
    async fn a_reset_is_a_reset_and_the_next_try_is_answered() {
        let sim = sim(once(FaultKind::Reset)).await;
        let e = get(&sim, INIT).await.unwrap_err();
        assert_eq!(io_kind(&e), Some(io::ErrorKind::ConnectionReset), "{e:?}");
        assert_eq!(get(&sim, INIT).await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn a_short_body_ends_before_its_announced_length() {
        let sim = sim(once(FaultKind::Short)).await;
        let mut answer = get(&sim, INIT).await.unwrap();
        let announced = answer.content_length().unwrap();
        let (mut got, mut failed) = (0, false);
        while !failed {
            match answer.chunk().await {
                Ok(Some(bytes)) => got += bytes.len() as u64,
                Ok(None) => break,
                Err(_) => failed = true,
            }
        }
        assert!(failed && got == announced / 2, "{got} of {announced}");
        assert_eq!(get(&sim, INIT).await.unwrap().bytes().await.unwrap().len() as u64, announced);
    }

    #[tokio::test]
    async fn a_stalled_answer_has_headers_and_ends_only_with_the_simulation() {
        let sim = sim(once(FaultKind::Stall)).await;
        let answer = get(&sim, INIT).await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = Box::pin(answer.bytes());
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut body).await.is_err());
        let (_, body) =
            tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(sim.stop(), body) })
                .await
                .expect("the end of the simulation ends the answer");
        assert!(body.is_err());
    }

    #[tokio::test]
    async fn a_slow_answer_takes_its_time_and_is_whole() {
        let sim = sim(vec![]).await;
        let whole = get(&sim, INIT).await.unwrap().bytes().await.unwrap();
        let len = whole.len() as u64;
        for (kind, at_least_ms) in
            [(FaultKind::Slow(len * 2), 400), (FaultKind::Delay(Duration::from_millis(150)), 150)]
        {
            sim.set_faults(once(kind));
            let start = Tick::now();
            assert_eq!(get(&sim, INIT).await.unwrap().bytes().await.unwrap(), whole);
            assert!(start.elapsed() >= Duration::from_millis(at_least_ms), "{:?}", start.elapsed());
        }
    }

    #[tokio::test]
    async fn a_script_is_put_and_deleted_while_it_runs() {
        let sim = sim(vec![]).await;
        let faults = sim.at("/_faults");
        let put = |body: &'static str| client().put(faults.clone()).body(body).send();
        let script = "[[fault]]\nkind = 'status'\nstatus = 503\ntimes = 2";
        assert_eq!(put(script).await.unwrap().status(), 204);
        for status in [503, 503, 200] {
            assert_eq!(get(&sim, INIT).await.unwrap().status(), status);
        }
        assert_eq!(put(script).await.unwrap().status(), 204);
        assert_eq!(client().delete(faults.clone()).send().await.unwrap().status(), 204);
        assert_eq!(get(&sim, INIT).await.unwrap().status(), 200);
        let refused = put("[[fault]]\nkind = 'rset'").await.unwrap();
        assert_eq!(refused.status(), 400);
        assert!(refused.text().await.unwrap().contains("fault 1 (rset)"));
        let huge = client().put(faults.clone()).body("#".repeat(SCRIPT_BYTES + 1)).send().await.unwrap();
        assert_eq!(huge.status(), 400);
        assert_eq!(client().post(faults).send().await.unwrap().status(), 405);
        assert_eq!(client().post(sim.at(INIT)).send().await.unwrap().status(), 405);
    }

    #[tokio::test]
    async fn other_hosts_are_let_in_only_where_that_is_asked_for() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 0));
        let refused = serve(Options { listen, ..Options::default() }).await.err().unwrap();
        assert_eq!(refused.kind(), Kind::Usage);
        assert!(serve(Options { listen, allow_remote: true, ..Options::default() }).await.is_ok());
    }

    #[tokio::test]
    async fn it_stops_at_once_though_a_client_keeps_its_connection() {
        let sim = sim(vec![]).await;
        let client = client();
        client.get(sim.at(INIT)).send().await.unwrap().bytes().await.unwrap();
        let addr = sim.addr;
        let start = Tick::now();
        sim.stop().await;
        assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
        assert!(TcpStream::connect(addr).await.is_err());
    }
}
