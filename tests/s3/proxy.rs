//! A proxy before an S3 server that does to some requests what networks and servers do on bad days.
//!
//! One thread a connection, one request a connection. What is signed goes on as it came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::common::PATIENCE;

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server is said to be too busy, and the request never gets there.
    SlowDown,
    /// Half of the request is taken, and the connection ends.
    ResetInTheMiddle,
    /// The server does it, and nobody hears of that.
    LostAnswer,
    /// The connection ends in the middle of the answer.
    CutAnswer,
    /// A byte of its body changes on the way.
    ChangedBody,
    /// The second key of a listing is not in the answer.
    Omission,
    /// Nothing is said.
    Silence,
    /// The answer says that this host is not let in.
    Denied,
}

/// Which requests, and how often.
struct Rule {
    method: &'static str,
    part: String,
    fault: Fault,
    times: usize,
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<String>>,
    held: Mutex<Vec<TcpStream>>,
}

/// A running proxy. Its thread ends with the test's process.
pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy before the server at `upstream`.
    pub(crate) fn before(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&theirs);
                // A client that goes away in the middle is the client's right.
                std::thread::spawn(move || shared.serve(stream, upstream));
            }
        });
        Proxy { addr, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Does `fault` to the next `times` requests of that method that have `part` in their path or query.
    pub(crate) fn fault(&self, method: &'static str, part: &str, fault: Fault, times: usize) {
        self.shared.rules.lock().unwrap().push(Rule { method, part: part.to_owned(), fault, times });
    }

    /// From now on it only hands on.
    pub(crate) fn mend(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// Asserts that every fault was done as often as it was to be.
    #[track_caller]
    pub(crate) fn assert_all_done(&self) {
        let rules = self.shared.rules.lock().unwrap();
        let left: Vec<_> =
            rules.iter().filter(|r| r.times > 0).map(|r| (r.method, &r.part, r.fault)).collect();
        assert!(left.is_empty(), "not done: {left:?}; seen: {:#?}", self.seen());
    }

    /// Method and target of every request so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream, upstream: SocketAddr) -> Option<()> {
        client.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let (method, target) =
            (lines[0].split(' ').next()?.to_owned(), lines[0].split(' ').nth(1)?.to_owned());
        self.seen.lock().unwrap().push(format!("{method} {target}"));
        let fault = self.fault_of(&method, &target);
        let length = lines
            .iter()
            .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if fault == Some(Fault::ResetInTheMiddle) {
            let half = body.len() / 2;
            reader.read_exact(&mut body[..half]).ok()?;
            // Unread bytes make the closing a reset.
            return None;
        }
        reader.read_exact(&mut body).ok()?;
        if fault == Some(Fault::ChangedBody) {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
        let refusal = |status: &str, code: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>by the test</Message></Error>");
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        };
        match fault {
            Some(Fault::SlowDown) => {
                client.write_all(refusal("503 Slow Down", "SlowDown").as_bytes()).ok()?;
            }
            Some(Fault::Denied) => {
                client.write_all(refusal("403 Forbidden", "AccessDenied").as_bytes()).ok()?;
            }
            Some(Fault::Silence) => self.held.lock().unwrap().push(client),
            _ => {
                let mut answer = hand_on(upstream, &lines, &body)?;
                match fault {
                    Some(Fault::LostAnswer) => return None,
                    Some(Fault::CutAnswer) => answer.truncate(answer.len() / 2),
                    Some(Fault::Omission) => answer = without_second_key(&answer),
                    _ => {}
                }
                client.write_all(&answer).ok()?;
            }
        }
        Some(())
    }

    fn fault_of(&self, method: &str, target: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let is_for =
            |rule: &&mut Rule| rule.times > 0 && rule.method == method && target.contains(&rule.part);
        let rule = rules.iter_mut().find(is_for)?;
        rule.times -= 1;
        Some(rule.fault)
    }
}

/// The whole answer of the server.
fn hand_on(upstream: SocketAddr, lines: &[String], body: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).ok()?;
    server.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let head = lines.join("\r\n");
    server.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    server.write_all(body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// A listing from which the second entry is gone.
fn without_second_key(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let entries: Vec<&str> = body.split_inclusive("</Contents>").collect();
    let body: String = entries.iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, e)| *e).collect();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}
