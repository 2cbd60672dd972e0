//! How it starts, is watched, is written about, and ends.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use npvr::clock::Tick;
use rustix::process::Signal;

use crate::common::serving::Serving;
use crate::common::{PATIENCE, Site, finish, until};
use crate::{ask, assert_serving, say, status};

#[test]
fn either_signal_ends_it_well_and_idle_connections_do_not_hold_it_up() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new();
        let server = Serving::start(&site, &[]);
        let mut idle = say(&server, b"GET /smil/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
        idle.read_exact(&mut [0; 20]).unwrap();
        let silent = say(&server, b"");
        let began = Tick::now();
        server.signal(signal);
        assert_eq!(server.ended().expect(0).stderr, "");
        assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
        drop((idle, silent));
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let site = Site::new();
    let live = crate::common::live::Live::holding(3);
    site.channel("news", live.url("news"), "");
    site.check().expect(0);
    let server = Serving::start(&site, &[]);
    // Half a request: it may be sent on, so it holds an end up for as long as a half request may take.
    let half = say(&server, b"GET /smil/ HTTP/1.1\r\nHost: ");
    server.signal(Signal::INT);
    until("the first is heard", || TcpStream::connect(&server.authority).is_err());
    let began = Tick::now();
    server.signal(Signal::INT);
    server.ended().expect(0);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    drop(half);
}

#[test]
fn every_request_has_a_line_in_the_access_log_which_is_opened_anew_on_request() {
    let site = Site::new();
    let (log, aside) = (site.config().join("access.log"), site.config().join("access.log.1"));
    let server =
        Serving::start(&site, &["--access-log", log.to_str().unwrap(), "--trust-proxy", "127.0.0.1"]);
    ask(
        &server,
        "GET",
        "/smil/?token=not-to-be-seen",
        "User-Agent: a \"b\"\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.9\r\n",
    );
    ask(&server, "PUT", "/nowhere", "");
    fs::rename(&log, &aside).unwrap();
    server.signal(Signal::HUP);
    until("the log is there again", || log.exists());
    ask(&server, "GET", "/smil/", "");
    server.stop().expect(0);
    let (before, after) = (fs::read_to_string(aside).unwrap(), fs::read_to_string(&log).unwrap());
    let lines: Vec<&str> = before.lines().collect();
    let [first, second] = lines[..] else { panic!("{before}") };
    assert!(first.starts_with("192.0.2.9 - - ["), "{first}");
    let rest = "\"GET /smil/?token=<redacted> HTTP/1.1\" 200 5 \"-\" \"a \\x22b\\x22\" 0.";
    assert!(first.contains(rest) && !before.contains("not-to-be-seen"), "{first}");
    assert!(second.contains("\"PUT /nowhere HTTP/1.1\" 404 "), "{second}");
    assert!(after.lines().count() == 1 && after.starts_with("127.0.0.1 - - ["), "{after}");
}

#[test]
fn the_access_log_goes_to_standard_output_where_that_is_asked_for() {
    let site = Site::new();
    let server = Serving::start(&site, &["--access-log", "-"]);
    assert_serving(&server);
    let ran = server.stop().expect(0);
    assert!(ran.stdout.contains("\"GET /smil/ HTTP/1.1\" 200 5 "), "{}", ran.stdout);
}

#[test]
fn systemd_is_told_when_it_is_ready_that_it_lives_and_that_it_stops() {
    let site = Site::new();
    let path = site.config().join("notify");
    let notified = UnixDatagram::bind(&path).unwrap();
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = site.command(["serve-smil", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let server = Serving::of(command);
    let next = || {
        let mut bytes = [0; 200];
        let n = notified.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..n]).trim().to_owned()
    };
    assert_eq!(next(), "READY=1");
    assert_eq!([(); 4].map(|()| next()), ["WATCHDOG=1"; 4]);
    server.signal(Signal::TERM);
    // It may have said that it lives once more meanwhile.
    let last = (0..100).map(|_| next()).find(|said| said != "WATCHDOG=1").unwrap();
    assert_eq!(last, "STOPPING=1");
    server.ended().expect(0);
}

#[test]
fn a_socket_that_systemd_opened_is_served_and_nobody_is_turned_away_while_it_starts() {
    let site = Site::new();
    // A port that is free now.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new("systemd-socket-activate");
    site.settle_in(&mut command);
    // It heeds no environment but what it is told to hand on.
    command.args(["-E", "NPVR_CONFIG", "-E", "NPVR_STATE", "--listen", &address]);
    command.args([env!("CARGO_BIN_EXE_npvr"), "serve-smil", "--listen", "127.0.0.1:1"]);
    let waiting = std::thread::spawn({
        let address = address.clone();
        // Nothing runs but systemd's part: the connection is what starts the program.
        move || {
            let mut first = None;
            until("systemd listens", || {
                first = TcpStream::connect(&address).ok();
                first.is_some()
            });
            first.unwrap()
        }
    });
    let server = Serving::of(command);
    assert_eq!(server.authority, address);
    let mut first = waiting.join().unwrap();
    first.write_all(b"GET /smil/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    first.read_to_string(&mut said).unwrap();
    assert_eq!(status(&said), 200);
    assert_serving(&server);
    server.stop().expect(0);
}

#[test]
fn a_socket_that_others_can_reach_is_as_dangerous_when_systemd_opened_it() {
    let site = Site::new();
    let mut command = Command::new("systemd-socket-activate");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    command.args(["-E", "NPVR_CONFIG", "-E", "NPVR_STATE", "--listen", &format!("0.0.0.0:{port}")]);
    command.args([env!("CARGO_BIN_EXE_npvr"), "serve-smil"]);
    site.settle_in(&mut command);
    let ran = std::thread::spawn(move || finish(command));
    until("systemd listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let said = ran.join().unwrap().expect(2).stderr;
    assert!(said.contains("can be reached from other hosts"), "{said}");
}
