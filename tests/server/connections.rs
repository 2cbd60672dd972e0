//! Connections that go nowhere: idle, half-sent, slow. They hold no thread and little memory, and give it back.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::common::Site;
use crate::common::live::Live;
use crate::common::serving::Serving;
use crate::{ask, assert_serving, say};

/// So many at once.
const MANY: usize = 2_000;

/// The path of a chunk that is archived in `site`.
fn archived(site: &Site) -> String {
    let live = Live::holding(3);
    site.channel("news", live.url("news"), "");
    site.check().expect(0);
    let chunk = site.chunks("news").pop().unwrap();
    format!("/chunk/{}", chunk.strip_prefix(site.archive()).unwrap().display())
}

/// A connection that goes nowhere, of one kind or another.
fn half(server: &Serving, chunk: &str, n: usize) -> TcpStream {
    match n % 6 {
        0 => say(server, b""),
        1 => say(server, b"GET /smil/ne"),
        2 => say(server, b"GET /smil/ HTTP/1.1\r\nHost: localhost\r\nAccept: text/"),
        3 => say(server, b"PUT /channel/news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n{\"channel_url\":"),
        // Kept after an answer that nobody reads.
        4 => say(server, b"GET /smil/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        _ => say(server, format!("GET {chunk} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()),
    }
}

#[test]
fn two_thousand_connections_that_go_nowhere_leave_it_serving_and_memory_and_descriptors_where_they_were() {
    let site = Site::new();
    let chunk = archived(&site);
    let server = Serving::start(&site, &[]);
    assert_serving(&server);
    let (_, descriptors) = server.uses();
    let mut after: Vec<(u64, usize)> = Vec::new();
    for _ in 0..3 {
        let mut open: Vec<TcpStream> = (0..MANY).map(|n| half(&server, &chunk, n)).collect();
        for n in 0..20 {
            // Some go on, a byte at a time; others may have been closed for their slowness by now.
            open.iter_mut().skip(n).step_by(7).for_each(|stream| drop(stream.write_all(b"x")));
            assert_serving(&server);
        }
        let (kib, _) = server.uses();
        assert!(kib < 128 * 1024, "{kib} KiB with {MANY} connections");
        drop(open);
        // After the first round the ledger has a few more open, for readers.
        server.settles_at(after.first().map_or(descriptors + 32, |(_, settled)| *settled));
        after.push(server.uses());
    }
    // What the allocator keeps is kept once.
    let [first, .., last] = [after[0].0, after[1].0, after[2].0];
    assert!(last < first + first / 5 + 4 * 1024, "KiB and descriptors after each round: {after:?}");
    assert_eq!(server.stop().expect(0).stderr, "");
}

#[test]
fn a_thousand_open_connections_take_little_memory() {
    let site = Site::new();
    let server = Serving::start(&site, &[]);
    let open: Vec<TcpStream> =
        (0..1_000).map(|_| say(&server, b"GET /smil/ HTTP/1.1\r\nHost: localhost\r\n\r\n")).collect();
    assert_serving(&server);
    let (kib, descriptors) = server.uses();
    assert!(descriptors > 1_000 && kib < 96 * 1024, "{kib} KiB, {descriptors} descriptors");
    drop(open);
}

#[test]
fn more_connections_than_there_are_places_for_leave_it_serving() {
    let site = Site::new();
    let server = Serving::start(&site, &["--connections", "50"]);
    let open: Vec<TcpStream> = (0..500)
        .map(|n| {
            if n % 25 == 0 {
                assert_serving(&server);
            }
            say(&server, if n % 2 == 0 { b"" } else { b"GET /smil/ HTTP/1.1\r\nHost:" })
        })
        .collect();
    assert_serving(&server);
    let (_, descriptors) = server.uses();
    assert!(descriptors < 100, "{descriptors} descriptors");
    let told = ask(&server, "GET", "/metrics", "");
    let away = told.lines().find_map(|line| line.strip_prefix("npvr_http_turned_away_total ")).unwrap();
    assert!(away.parse::<f64>().unwrap() > 400.0, "{away}");
    drop(open);
}

#[test]
fn few_descriptors_are_no_end_to_it_and_it_says_so_once() {
    let site = Site::new();
    let server = Serving::start(&site, &[]);
    assert_serving(&server);
    let (_, descriptors) = server.uses();
    let few = Some(descriptors as u64 + 20);
    // Under it, while it runs: when it started there was room.
    prlimit(
        Pid::from_raw(i32::try_from(server.pid()).unwrap()),
        Resource::Nofile,
        Rlimit { current: few, maximum: few },
    )
    .unwrap();
    let open: Vec<TcpStream> = (0..300)
        .map(|n| {
            if n % 50 == 49 {
                assert_serving(&server);
            }
            say(&server, b"GET /smil/")
        })
        .collect();
    assert_serving(&server);
    drop(open);
    server.settles_at(descriptors + 2);
    assert_serving(&server);
    let said = server.stop().expect(0).stderr;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("no connection can be taken: too many open files"), "{said}");
}

#[test]
fn it_takes_no_more_connections_than_there_are_descriptors_for() {
    let site = Site::new();
    let mut command = std::process::Command::new("prlimit");
    let npvr = env!("CARGO_BIN_EXE_npvr");
    command.args(["--nofile=200:200", npvr, "serve-smil", "--listen", "127.0.0.1:0"]);
    site.settle_in(&mut command);
    let server = Serving::of(command);
    let open: Vec<TcpStream> = (0..400).map(|_| say(&server, b"")).collect();
    assert_serving(&server);
    drop(open);
    assert_eq!(server.stop().expect(0).stderr, "", "it never came to that");
}
