//! The server on real sockets, in the test's own process: with handlers that no real server has, and limits that are short.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Method;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Access, Address, Answer, App, Limits, Listener, Refusal, Request, Routes, Server, Style};
use crate::clock::Tick;
use crate::error::{Error, Kind};

/// Nothing in these tests may take longer, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    told: Arc<Mutex<Vec<String>>>,
}

async fn echo(_app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    Ok(Answer::bytes("text/plain", request.body.clone()))
}

async fn panic(_app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    assert_eq!(request.path, "", "a mistake");
    Ok(Answer::text(""))
}

async fn fail(_app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    Err(Error::new(Kind::Io, format!("the disk of {:?} is broken\n", request.query("of"))).into())
}

async fn never(_app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    futures_util::future::pending().await
}

/// A megabyte, again and again.
async fn endless(_app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    let pieces = stream::repeat_with(|| Ok(Bytes::from_static(&[7; 1 << 20])));
    Ok(Answer::stream("video/mp4", None, pieces.boxed()))
}

/// Two bytes, the second a moment after the first.
async fn late(_app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    let pieces = stream::iter([1_u8, 2]).then(async |byte| {
        tokio::time::sleep(Duration::from_millis(u64::from(byte) * 300)).await;
        Ok(Bytes::copy_from_slice(&[byte]))
    });
    Ok(Answer::stream("video/mp4", Some(2), pieces.boxed()))
}

async fn start(limits: Limits) -> Running {
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    let mut routes = Routes::default().telling(move |what| kept.lock().unwrap().push(what.to_owned()));
    routes.add(Method::PUT, "/echo", Style::Plain, Access::Write, echo);
    routes.add(Method::GET, "/echo", Style::Plain, Access::Read, echo);
    routes.add(Method::GET, "/panic", Style::Plain, Access::Read, panic);
    routes.add(Method::GET, "/fail", Style::Plain, Access::Read, fail);
    routes.add(Method::GET, "/never", Style::Plain, Access::Read, never);
    routes.add(Method::GET, "/endless", Style::Plain, Access::Read, endless);
    routes.add(Method::GET, "/late", Style::Plain, Access::Read, late);
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let &Address::Tcp(address) = listener.address() else { panic!("no TCP") };
    let folder = tempfile::tempdir().unwrap();
    let app = super::tests::app(&folder);
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let _folder = folder;
        let server = Server { app, routes, limits, log: None };
        server.run(vec![listener], async { drop(stopped.await) }).await;
    });
    Running { address, stop, serving, told }
}

fn connect(to: SocketAddr, first: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(first.as_bytes()).unwrap();
    stream
}

/// Everything that is said until the connection is closed, or cut.
fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("it stays open"),
        _ => String::from_utf8_lossy(&all).into_owned(),
    }
}

fn get(to: SocketAddr, path: &str) -> String {
    rest(connect(to, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")))
}

#[expect(clippy::disallowed_methods, reason = "what is waited for is that nothing happens")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_go_on_is_cut_and_told_why_where_that_makes_sense() {
    let short = Duration::from_millis(300);
    let limits = Limits { header_time: short, body_time: short, answer_time: short, ..Limits::default() };
    let running = start(limits).await;
    let to = running.address;
    blocking(move || {
        for (said, answered) in [
            ("", ""),
            ("GE", ""),
            ("GET / HTTP/1.1\r\nHost: x\r\nA:", ""),
            ("PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", "HTTP/1.1 408 "),
            ("GET /never HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 504 "),
        ] {
            let text = rest(connect(to, said));
            assert!(text.starts_with(answered) && text.is_empty() == answered.is_empty(), "{said:?}: {text}");
        }
        // A body that nobody asked for is not waited for.
        let text =
            rest(connect(to, "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\nab"));
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    })
    .await;
    assert_eq!(*running.told.lock().unwrap(), ["GET /never: the answer took too long"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_has_a_limit_whether_it_is_announced_or_not() {
    let running = start(Limits { body_bytes: 10, ..Limits::default() }).await;
    let to = running.address;
    blocking(move || {
        let put = |headers: &str, body: &str| {
            let head = "PUT /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
            rest(connect(to, &format!("{head}{headers}\r\n\r\n{body}")))
        };
        let fine = put("Content-Length: 10", "0123456789");
        assert!(fine.starts_with("HTTP/1.1 200 ") && fine.ends_with("0123456789"), "{fine}");
        assert!(put("Content-Length: 11", "0123456789a").starts_with("HTTP/1.1 413 "));
        let chunked = "Transfer-Encoding: chunked";
        assert!(put(chunked, "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n").ends_with("0123456789"));
        assert!(put(chunked, "5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n").starts_with("HTTP/1.1 413 "));
        assert!(put(chunked, "zz\r\n").starts_with("HTTP/1.1 413 "));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_and_a_fault_cost_one_answer_and_are_told_in_a_line() {
    let running = start(Limits::default()).await;
    let to = running.address;
    blocking(move || {
        let both = "GET /panic HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let text = rest(connect(to, both));
        assert!(text.starts_with("HTTP/1.1 500 ") && text.contains("HTTP/1.1 200 "), "{text}");
        assert!(!text.contains("a mistake\n"), "{text}");
        assert!(get(to, "/fail?of=%1b%0a").starts_with("HTTP/1.1 500 "));
    })
    .await;
    let told = running.told.lock().unwrap().clone();
    assert_eq!(told[0], "GET /panic: there is a mistake in the program");
    assert_eq!(told[1], "GET /fail: the disk of Some(\"\\u{1b}\\n\") is broken\u{fffd}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_of_an_answer_is_cut() {
    let running = start(Limits { stall_time: Duration::from_secs(1), ..Limits::default() }).await;
    let to = running.address;
    blocking(move || {
        let stalled = connect(to, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut taker = connect(to, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
        let began = Tick::now();
        let mut piece = vec![0; 64 * 1024];
        // Whoever takes a little goes on being served.
        while began.elapsed() < Duration::from_secs(4) {
            taker.read_exact(&mut piece).unwrap();
            pause(Duration::from_millis(50));
        }
        let began = Tick::now();
        rest(stalled);
        assert!(began.elapsed() < Duration::from_secs(30), "it was served on");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_places_are_taken_by_who_waits_a_new_request_is_answered() {
    let running = start(Limits { connections: 20, ..Limits::default() }).await;
    let to = running.address;
    blocking(move || {
        let at_work: Vec<TcpStream> =
            (0..10).map(|_| connect(to, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
        pause(Duration::from_millis(200));
        let waiting: Vec<TcpStream> = (0..100)
            .map(|n| match n % 4 {
                0 => connect(to, ""),
                1 => connect(to, "GET / HT"),
                2 => connect(to, "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"),
                _ => connect(to, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"),
            })
            .collect();
        for _ in 0..50 {
            assert!(get(to, "/echo").starts_with("HTTP/1.1 200 "));
        }
        // Who waits for us has kept its place.
        for mut stream in at_work {
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let e = stream.read(&mut [0]).unwrap_err();
            assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock);
        }
        drop(waiting);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_under_way_end_when_the_server_stops_and_streams_without_an_end_are_cut() {
    let running = start(Limits { stop_time: Duration::from_secs(3), ..Limits::default() }).await;
    let to = running.address;
    let began = Tick::now();
    let mut late = connect(to, "GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut endless = connect(to, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut idle = connect(to, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    // Kept until the end: a client that goes ends its stream.
    let _endless = blocking(move || {
        late.read_exact(&mut [0; 15]).unwrap();
        endless.read_exact(&mut [0; 1_000]).unwrap();
        idle.read_exact(&mut [0; 10]).unwrap();
        running.stop.send(()).unwrap();
        // Nothing is left to be said to it, so it is closed at once.
        rest(idle);
        assert!(began.elapsed() < Duration::from_millis(2_900), "{:?}", began.elapsed());
        let late = rest(late);
        assert!(late.ends_with("\u{1}\u{2}"), "{late:?}");
        endless
    })
    .await;
    tokio::time::timeout(PATIENCE, running.serving).await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(3), "nobody was waited for");
    assert!(TcpStream::connect(to).is_err());
}
