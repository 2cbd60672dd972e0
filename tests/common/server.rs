//! A server made by hand, for what a simulated origin would never say; and the client that goes with it.
//!
//! One thread a connection, one request a connection: nothing here is clever, so nothing here hides a bug of the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// With the query.
    pub(crate) target: String,
    /// As they came: `Name: value`.
    pub(crate) headers: Vec<String>,
}

/// What is answered.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A status, a content type and a whole body.
    Whole(u16, &'static str, Vec<u8>),
    /// 200, and this block for ever, until the client has enough.
    Endless(&'static str, Vec<u8>),
    /// These bytes as they are: status line, headers, body.
    Raw(Vec<u8>),
    /// Nothing: the connection is closed.
    Close,
}

/// A running server. Its thread ends with the test's process.
pub(crate) struct HandMade {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    busy: Arc<Busy>,
}

/// Requests under way, how many there were at most, and how many in all.
#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
    total: AtomicUsize,
}

impl HandMade {
    /// Answers every request with what `handler` says.
    pub(crate) fn serve(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> HandMade {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let busy = Arc::new(Busy::default());
        let (handler, counted) = (Arc::new(handler), Arc::clone(&busy));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, counted) = (Arc::clone(&handler), Arc::clone(&counted));
                // A client that goes away in the middle is the client's right.
                std::thread::spawn(move || answer(stream, handler.as_ref(), &counted));
            }
        });
        HandMade { addr, busy }
    }

    /// Hands every request on to the server at `authority`, and counts.
    pub(crate) fn in_front_of(authority: String) -> HandMade {
        HandMade::serve(move |request| Reply::Raw(get_raw(&authority, &request.target)))
    }

    /// A URL on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The most requests that were under way at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.busy.most.load(Ordering::SeqCst)
    }

    /// All requests so far.
    pub(crate) fn total(&self) -> usize {
        self.busy.total.load(Ordering::SeqCst)
    }
}

fn answer(stream: TcpStream, handler: &(impl Fn(&Request) -> Reply + ?Sized), busy: &Busy) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let request = read_request(&stream)?;
    busy.total.fetch_add(1, Ordering::SeqCst);
    let now = busy.now.fetch_add(1, Ordering::SeqCst) + 1;
    busy.most.fetch_max(now, Ordering::SeqCst);
    let reply = handler(&request);
    // Before the last byte: the client may ask again as soon as it has that.
    busy.now.fetch_sub(1, Ordering::SeqCst);
    write_reply(stream, reply).ok()
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let target = first.split(' ').nth(1)?.to_owned();
    let headers = lines.take_while(|line| !line.is_empty()).collect();
    Some(Request { target, headers })
}

fn write_reply(mut stream: TcpStream, reply: Reply) -> std::io::Result<()> {
    let head = |status: u16, kind: &str, more: &str| {
        format!("HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}\r\n")
    };
    match reply {
        Reply::Whole(status, kind, body) => {
            let length = format!("Content-Length: {}\r\n", body.len());
            stream.write_all(head(status, kind, &length).as_bytes())?;
            stream.write_all(&body)
        }
        Reply::Endless(kind, block) => {
            stream.write_all(head(200, kind, "").as_bytes())?;
            loop {
                stream.write_all(&block)?;
            }
        }
        Reply::Raw(bytes) => stream.write_all(&bytes),
        Reply::Close => Ok(()),
    }
}

/// Everything that a server says to a GET, from the status line on.
pub(crate) fn get_raw(authority: &str, target: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A reset is what a test may have asked for; what came before it is handed on.
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// The body of a GET that must succeed, with a `Content-Length`.
#[track_caller]
pub(crate) fn get(authority: &str, target: &str) -> Vec<u8> {
    let answer = get_raw(authority, target);
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4).unwrap();
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200"), "{target}: {text}");
    assert!(!text.contains("transfer-encoding"), "{target}: {text}");
    answer[head..].to_vec()
}
