//! The server under people who mean it no good, and under those who run it: connections that go nowhere, requests that are none,
//! who is let in, and how it starts, is watched and ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
#[path = "../common/mod.rs"]
mod common;
mod connections;
mod hostile;
mod life;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::PATIENCE;
use common::serving::Serving;

/// A new request waits no longer for its answer, whatever else goes on; on a machine that does much else.
const BOUND: Duration = Duration::from_secs(10);

/// Opens a connection, and says that.
fn say(server: &Serving, words: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&server.authority).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Who talks for long may be cut meanwhile.
    let _ = stream.write_all(words);
    stream
}

/// What is said to that, until the connection is closed or cut.
fn answer(server: &Serving, words: &[u8]) -> String {
    rest(say(server, words))
}

fn rest(stream: TcpStream) -> String {
    let mut all = Vec::new();
    // Nothing here is longer.
    match stream.take(64 << 20).read_to_end(&mut all) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("it is neither answered nor closed"),
        _ => String::from_utf8_lossy(&all).into_owned(),
    }
}

/// Asks for a path, with these headers, each with its line end.
fn ask(server: &Serving, method: &str, path: &str, headers: &str) -> String {
    let host =
        if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", server.authority) };
    let request = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    answer(server, request.as_bytes())
}

/// The status of an answer; 0 if there was none.
fn status(answer: &str) -> u16 {
    answer
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| answer.strip_prefix("HTTP/1.0 "))
        .map_or(0, |rest| rest[..3].parse().unwrap())
}

/// Asserts that a new request is answered, and soon.
#[track_caller]
fn assert_serving(server: &Serving) {
    let began = npvr::clock::Tick::now();
    assert_eq!(status(&ask(server, "GET", "/smil/", "")), 200);
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
}
