//! Who is let in: where it listens, by which name it is called, and with which token.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::common::serving::Serving;
use crate::common::{Site, until};
use crate::{ask, assert_serving, status};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

const WRITER: &str = "the-token-of-an-editor";
const READER: &str = "the-token-of-a-viewer-";

/// A file of tokens that only its owner reads.
fn tokens(site: &Site, name: &str, token: &str) -> PathBuf {
    let file = site.config().join(name);
    fs::write(&file, format!("# a token a line\n{token}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[test]
fn other_hosts_are_let_in_only_where_it_is_said_who_may_write() {
    let site = Site::new();
    let refused = site.run(["serve-smil", "--listen", "0.0.0.0:0"]).expect(2);
    assert!(
        refused.stderr.contains("http://0.0.0.0:0/ can be reached from other hosts"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("--token-file") && refused.stderr.contains("--read-only"),
        "{}",
        refused.stderr
    );
    let also_local = ["serve-smil", "--listen", "127.0.0.1:0", "--listen", "[::]:0"];
    site.run(also_local).expect(2);

    let open = Serving::start(&site, &["--listen", "0.0.0.0:0", "--read-only"]);
    assert_serving(&open);
    let put = ask(&open, "PUT", "/channel/news", "");
    assert!(matches!(status(&put), 404 | 405), "nothing can be written: {put}");
    let file = tokens(&site, "tokens", WRITER);
    let guarded = Serving::start(&site, &["--listen", "0.0.0.0:0", "--token-file", file.to_str().unwrap()]);
    assert_serving(&guarded);
    assert_eq!(guarded.stop().expect(0).stderr, "");
}

#[test]
fn a_token_file_that_is_no_use_is_refused_and_one_that_everybody_reads_is_complained_of() {
    let site = Site::new();
    let file = site.config().join("tokens");
    let path = file.to_str().unwrap();
    let refused = site.run(["serve-smil", "--token-file", path]).expect(1);
    assert!(refused.stderr.contains(&format!("token file {path}: ")), "{}", refused.stderr);
    fs::write(&file, "too-short\n").unwrap();
    let refused = site.run(["serve-smil", "--token-file", path]).expect(1);
    assert!(refused.stderr.contains("line 1") && !refused.stderr.contains("too-short"), "{}", refused.stderr);
    let lonely = site.run(["serve-smil", "--read-token-file", path]).expect(2);
    assert!(lonely.stderr.contains("--token-file FILE, too"), "{}", lonely.stderr);
    fs::write(&file, WRITER).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let said = Serving::start(&site, &["--token-file", path]).stop().expect(0).stderr;
    assert!(said.contains("every user of this host can get at it") && said.contains("chmod o="), "{said}");
    assert!(!said.contains(WRITER), "{said}");
}

#[test]
fn reading_can_be_closed_too_and_a_token_can_be_changed_while_it_runs() {
    let site = Site::new();
    let (writers, readers) = (tokens(&site, "writers", WRITER), tokens(&site, "readers", READER));
    let toml = format!(
        "[serve]\ntoken_file = {writers:?}\nread_token_file = {readers:?}\nlisten = \"127.0.0.1:1\"\n"
    );
    fs::write(site.config().join("npvr.toml"), toml).unwrap();
    let server = Serving::start(&site, &[]);
    let read = |header: &str| status(&ask(&server, "GET", "/smil/", header));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let refused = ask(&server, "GET", "/smil/", "");
    assert_eq!(status(&refused), 401);
    assert!(refused.to_ascii_lowercase().contains("www-authenticate: basic realm=\"npvr\""), "{refused}");
    let basic = format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("me:{READER}")));
    assert_eq!([bearer(READER), bearer(WRITER), basic].map(|header| read(&header)), [200, 200, 200]);
    assert_eq!(read(&bearer("the-token-of-a-stranger")), 401);
    assert_eq!(status(&ask(&server, "GET", "/metrics", "")), 401);
    assert_eq!(status(&ask(&server, "GET", "/healthz", "")), 200, "health is for all");

    let other = "another-token-of-a-viewer";
    fs::write(&readers, format!("{READER}\n{other}\n")).unwrap();
    until("the new token is known", || read(&bearer(other)) == 200);
    assert_eq!(read(&bearer(READER)), 200, "the old one is good until it is taken away");
    fs::write(&readers, other).unwrap();
    until("the old token is not", || read(&bearer(READER)) == 401);
    let ran = server.stop().expect(0);
    assert!(
        ![WRITER, READER, other].iter().any(|token| ran.stdout.contains(token) || ran.stderr.contains(token))
    );
}

#[test]
fn a_channel_is_written_by_who_may_and_by_nobody_else() {
    let site = Site::new();
    let file = tokens(&site, "tokens", WRITER);
    let body = r#"{"channel_url": "http://127.0.0.1:1/news.isml", "chunk_duration": "PT5M", "archive_length": "P7D",
        "s3_endpoint": "127.0.0.1:1", "s3_bucket": "archive", "s3_access_key": "k", "s3_secret_key": "not-to-be-seen",
        "s3_region": "r", "secure": false}"#;
    let put = |server: &Serving, more: &str| {
        let head = format!(
            "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        status(&ask(server, "PUT", "/channel/news", &format!("{head}{more}\r\n{body}\r\n")))
    };
    let own = format!("Authorization: Bearer {WRITER}\r\n");
    let server = Serving::start(&site, &["--token-file", file.to_str().unwrap()]);
    assert_eq!(put(&server, ""), 401);
    assert_eq!(put(&server, "Authorization: Bearer another-token-0123456\r\n"), 401);
    assert_eq!(put(&server, &format!("{own}Origin: http://evil.example\r\n")), 403);
    assert_eq!(put(&server, &format!("{own}Sec-Fetch-Site: cross-site\r\n")), 403);
    assert_eq!(put(&server, &format!("{own}X-Forwarded-For: 192.0.2.1\r\n")), 201);
    assert_eq!(put(&server, &format!("{own}Origin: http://localhost\r\n")), 200);
    let ran = server.stop().expect(0);
    assert!(!ran.stderr.contains("not-to-be-seen") && !ran.stderr.contains(WRITER), "{}", ran.stderr);

    let open = Serving::start(&site, &[]);
    assert_eq!(put(&open, "X-Forwarded-For: 192.0.2.1\r\n"), 403, "through a proxy, and without a token");
    assert_eq!(put(&open, ""), 200);
    fs::remove_file(site.channel_file("news")).unwrap();
    assert_eq!(put(&Serving::start(&site, &["--read-only"]), ""), 405);
    assert!(!site.channel_file("news").exists());
}

#[test]
fn it_answers_to_its_own_names_only() {
    let site = Site::new();
    let server = Serving::start(&site, &["--host", "archive", "--public-url", "https://tv.example.com/npvr"]);
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for name in ["localhost", "127.0.0.1:99", "[::1]", "archive:8080", "tv.example.com", &own] {
        assert_eq!(status(&ask(&server, "GET", "/smil/", &format!("Host: {name}\r\n"))), 200, "{name}");
    }
    let refused = ask(&server, "GET", "/smil/", "Host: rebound.evil.example\r\n");
    assert!(status(&refused) == 421 && refused.contains("--host NAME"), "{refused}");
    assert!(!refused.contains("evil"), "{refused}");
}

#[test]
fn it_listens_in_several_places_and_on_a_socket_in_the_file_system() {
    let site = Site::new();
    let path = site.config().join("npvr.sock");
    let unix = format!("unix:{}", path.display());
    let server = Serving::start(&site, &["--listen", "[::1]:0", "--listen", &unix]);
    let said = server.stdout(|text| text.lines().count() == 3);
    let addresses: Vec<&str> = said.lines().collect();
    assert!(addresses[1].starts_with("http://[::1]:") && addresses[2] == unix, "{said}");
    assert_serving(&server);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /smil/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(status(&said), 200);
    let taken = site.run(["serve-smil", "--listen", &unix]).expect(1);
    assert!(taken.stderr.contains("another program listens there"), "{}", taken.stderr);
    server.stop().expect(0);
    assert!(!path.exists(), "its socket is left");
}

#[test]
fn the_table_in_the_readme_has_every_key_and_is_understood() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, table) = readme.rsplit_once("```toml\n[serve]\n").unwrap();
    let (table, _) = table.split_once("```").unwrap();
    let mut serve = npvr::channel::Settings::parse(&format!("[serve]\n{table}"), "README.md").unwrap().serve;
    assert!(serve.public_url.take().is_some());
    let every = format!("{serve:?}").replace("public_url: None", "");
    assert!(!every.contains("None") && !every.contains("[]"), "one is not set: {every}");
    let help = Site::new().run(["serve-smil", "--help"]).expect(0).stdout;
    for flag in
        table.split(|c: char| c.is_whitespace() || ",:;".contains(c)).filter(|word| word.starts_with("--"))
    {
        assert!(help.contains(flag), "{flag}");
    }
}
