//! Requests that are none, or want what they should not have. Each is refused or closed, and the server goes on.

use crate::common::Site;
use crate::common::random::Random;
use crate::common::serving::Serving;
use crate::{answer, ask, assert_serving, status};

/// What is said, and which statuses are right; 0 is a connection that is closed without a word.
fn bad() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let request = |line: &str, more: &str| {
        format!("{line}\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n").into_bytes()
    };
    let get = |path: &str| request(&format!("GET {path} HTTP/1.1"), "");
    let with = |headers: &str| request("GET /smil/ HTTP/1.1", headers);
    let many: String = (0..100_000).map(|n| format!("X-{n}: y\r\n")).collect();
    vec![
        ("no HTTP", b"\x00\xff\xfe\r\n\r\n".to_vec(), &[400]),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20), &[0, 400]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[0, 400, 505]),
        ("another version", request("GET /smil/ HTTP/7.3", ""), &[400, 505]),
        ("no version", b"GET /smil/\r\n\r\n".to_vec(), &[400]),
        ("an unknown method", request("FOO /smil/ HTTP/1.1", ""), &[405]),
        ("a method that is none", request("G{}T /smil/ HTTP/1.1", ""), &[400]),
        ("DELETE", request("DELETE /smil/ HTTP/1.1", ""), &[405]),
        ("TRACE", request("TRACE /smil/ HTTP/1.1", ""), &[405]),
        ("CONNECT", request("CONNECT evil.example:443 HTTP/1.1", ""), &[400, 404, 405, 421]),
        ("OPTIONS *", request("OPTIONS * HTTP/1.1", ""), &[404]),
        ("another server's name", request("GET http://evil.example/smil/ HTTP/1.1", ""), &[421]),
        ("our own name as a whole", request("GET http://localhost/smil/ HTTP/1.1", ""), &[200]),
        ("two hosts", with("Host: localhost\r\n"), &[400]),
        ("two lengths", with("Content-Length: 5\r\nContent-Length: 6\r\n"), &[400]),
        ("a length and chunks", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), &[200, 400]),
        ("a negative length", with("Content-Length: -5\r\n"), &[400]),
        ("a length with a plus", with("Content-Length: +5\r\n"), &[400]),
        ("a length of a million million", with("Content-Length: 1000000000000\r\n"), &[200]),
        ("the largest length", with("Content-Length: 18446744073709551615\r\n"), &[200, 400, 431]),
        ("a longer length", with("Content-Length: 99999999999999999999\r\n"), &[400]),
        ("an unknown coding", with("Transfer-Encoding: gzip\r\n"), &[400]),
        (
            "chunks of nonsense",
            [with("Transfer-Encoding: chunked\r\n"), b"zz\r\nfoo".to_vec()].concat(),
            &[200, 400],
        ),
        ("a header without a name", with(": x\r\n"), &[400]),
        ("a header with a blank", with("A B: x\r\n"), &[400]),
        ("a header that goes on", with("A: x\r\n  y\r\n"), &[200, 400]),
        ("bytes that are no text", request("GET /smil/ HTTP/1.1", "X: \u{e9}\u{1}\r\n"), &[200, 400]),
        ("a NUL in a header", with("X: a\0b\r\n"), &[400]),
        ("a huge header", with(&format!("X: {}\r\n", "y".repeat(20_000_000))), &[0, 431]),
        ("a hundred thousand headers", with(&many), &[0, 431]),
        ("a long line", get(&"/a".repeat(1_000_000)), &[0, 414, 431]),
        ("a long path that is allowed", get(&"/a".repeat(4_000)), &[404]),
        ("a path from above", get("/smil/../../etc/passwd"), &[404]),
        ("the same, escaped", get("/chunk/news/%2e%2e%2f%2e%2e/%2e%2e%2fetc%2fpasswd"), &[400, 404]),
        ("dots for a name", get("/smil/../2026-01-01T00:00:00Z--2026-01-01T00:05:00Z"), &[400, 404]),
        (
            "escaped dots for a name",
            get("/smil/%2e%2e/2026-01-01T00:00:00Z--2026-01-01T00:05:00Z"),
            &[400, 404],
        ),
        ("a slash in a name", get("/smil/a%2fb/2026-01-01T00:00:00Z--2026-01-01T00:05:00Z"), &[400, 404]),
        ("a NUL", get("/smil/news%00/fixed.smil"), &[404]),
        ("a line end", get("/smil/news%0d%0aX:%20y/fixed.smil"), &[400, 404]),
        ("no text", get("/smil/%ff%fe/fixed.smil"), &[404]),
        ("an escape that is none", get("/smil/%zz/fixed.smil"), &[400, 404]),
        ("bytes above ASCII in a path", get("/smil/\u{fc}/fixed.smil"), &[400, 404]),
        ("times that are none", get("/smil/news/yesterday--today"), &[400, 404]),
        ("a time too many", get("/smil/news/9999-01-01T00:00:00Z--99999-01-01T00:00:00Z"), &[400, 404]),
        ("a query without an end", get(&format!("/smil/?{}", "a=b&".repeat(3_000))), &[200]),
    ]
}

#[test]
fn each_bad_request_is_refused_or_closed_and_the_server_goes_on_with_memory_where_it_was() {
    let site = Site::new();
    let server = Serving::start(&site, &[]);
    let mut kib = Vec::new();
    for round in 0..4 {
        for (what, words, right) in bad() {
            let said = answer(&server, &words);
            assert!(right.contains(&status(&said)), "round {round}: {what}: {:.300}", said);
            assert!(!said.contains("root:"), "{what}: {said}");
        }
        assert_serving(&server);
        kib.push(server.uses().0);
    }
    assert!(kib[3] < kib[0] + kib[0] / 5 + 4 * 1024, "KiB after each round: {kib:?}");
    assert_eq!(server.stop().expect(0).stderr, "");
}

#[test]
fn every_answer_is_dressed_also_one_to_nonsense() {
    let site = Site::new();
    let server = Serving::start(&site, &[]);
    for path in ["/smil/", "/nowhere", "/smil/nosuch/fixed.smil", "/metrics"] {
        let said = ask(&server, "GET", path, "Accept: text/html\r\n").to_ascii_lowercase();
        let headers = [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "referrer-policy: ",
        ];
        assert!(headers.iter().all(|header| said.contains(header)), "{path}: {said}");
        let shared = path.starts_with("/smil/");
        assert_eq!(said.contains("access-control-allow-origin: *"), shared, "{path}: {said}");
    }
}

/// Requests that begin as good ones, of which some bytes are others, or missing, or there too often.
fn fuzzed(random: &mut Random) -> Vec<u8> {
    let seeds: [&[u8]; 5] = [
        b"GET /smil/news/2026-01-01T00:00:00Z--2026-01-01T00:05:00Z.smil?dialect=continuous HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PUT /channel/news HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /channel/news/archive/verify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"GET /chunk/news/2026-01-01/2026-01-01T00:00:00Z--2026-01-01T00:05:00Z.ismv HTTP/1.1\r\nHost: [::1]:80\r\nRange: bytes=0-5\r\n\r\n",
        b"HEAD /api/ism/news/2026-01-01T00:00:00Z--2026-01-01T00:05:00Z.ism HTTP/1.0\r\nX-Path-Prefix: /a\r\nIf-None-Match: W/\"x\"\r\n\r\n",
    ];
    let pick = |random: &mut Random, most: usize| usize::try_from(random.below(most as u64)).unwrap();
    let mut bytes = seeds[pick(random, seeds.len())].to_vec();
    for _ in 0..=random.below(6) {
        let at = pick(random, bytes.len());
        let end = (at + pick(random, 12)).min(bytes.len());
        match random.below(5) {
            0 => bytes[at] = random.next().to_le_bytes()[0],
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].repeat(pick(random, 50)))),
            3 => bytes.truncate(at.max(1)),
            _ => drop(bytes.splice(at..at, *b"%2e%2e%00\r\n")),
        }
        if bytes.is_empty() {
            bytes.push(b'G');
        }
    }
    bytes
}

#[test]
fn thousands_of_requests_with_wrong_bytes_leave_it_serving_and_none_is_a_fault_of_ours() {
    let site = Site::new();
    // Each may ask for something dear.
    let server = Serving::start(&site, &["--dear-per-minute", "0"]);
    let mut random = Random::new(20_261_122);
    for n in 0..3_000 {
        let words = fuzzed(&mut random);
        let stream = crate::say(&server, &words);
        // What is not whole would be waited for.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let said = crate::rest(stream);
        assert!(status(&said) < 500 || status(&said) == 501, "{}: {said}", words.escape_ascii());
        if n % 500 == 0 {
            assert_serving(&server);
        }
    }
    assert_serving(&server);
    assert_eq!(server.stop().expect(0).stderr, "");
}
