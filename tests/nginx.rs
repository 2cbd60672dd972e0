//! The proxies of `contrib/nginx`, run by nginx itself before a running `npvr serve-smil`, and asked by curl.
//!
//! Only addresses, folders and the certificate are others than in the files. Unified Origin and Remix are not at hand: in the
//! place of Remix is a server that asks for the playlist as Remix does, and answers with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::live::Live;
use common::server::{HandMade, Reply, get};
use common::serving::Serving;
use common::{PATIENCE, Site, finish};
use npvr::clock::Tick;
use npvr::time::Range;
use tempfile::TempDir;

const NGINX: &str = "/usr/sbin/nginx";

/// A running nginx. It ends when it is dropped.
struct Nginx {
    process: Child,
    _dir: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Not SIGKILL, which leaves the workers.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

/// A port that nobody listened on a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A file of `contrib/nginx` with other words in it, each of which has to be there.
fn changed(name: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/nginx").join(name);
    changes.iter().fold(fs::read_to_string(path).unwrap(), |text, (from, to)| {
        assert!(text.contains(from), "{name} has no {from}");
        text.replace(from, to)
    })
}

/// A folder in which nginx runs with these files, and its command line.
fn staged(files: &[String]) -> (TempDir, Command) {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().display();
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {own}/{kind};\n"))
        .concat();
    // The folders of tests are for their own user only.
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    let text = format!(
        "{user}\nworker_processes 1;\npid {own}/pid;\nerror_log {own}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\n{folders}{}\n}}\n",
        files.concat()
    );
    fs::write(dir.path().join("nginx.conf"), text).unwrap();
    let mut command = Command::new(NGINX);
    command.arg("-p").arg(dir.path()).arg("-c").arg(dir.path().join("nginx.conf"));
    (dir, command)
}

fn start(files: &[String], port: u16) -> Nginx {
    let (dir, mut command) = staged(files);
    let process = command.args(["-g", "daemon off;"]).stderr(Stdio::null()).spawn();
    let process = process.unwrap_or_else(|e| panic!("{NGINX}: {e}; tests/run installs it"));
    let began = Tick::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || fs::read_to_string(dir.path().join("error.log"));
        assert!(began.elapsed() < PATIENCE, "nginx does not listen: {:?}", log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Nginx { process, _dir: dir }
}

/// What curl gets: head and body.
#[track_caller]
fn curl(args: &[&str]) -> (String, String) {
    let mut command = Command::new("curl");
    command.args(["-sSki", "--max-time", "60"]).args(args);
    let answer = finish(command).expect(0).stdout;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

/// The status of an answer.
#[track_caller]
fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// The public site before `authority`, which is an archive in `archive`, and its address.
fn public(dir: &Path, authority: &str, archive: &Path) -> (String, u16) {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (pem, key, passwords) = (path("tv.pem"), path("tv.key"), path("passwords"));
    if !dir.join("tv.pem").exists() {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=tv.example.com", "-out", &pem, "-keyout", &key]);
        finish(openssl).expect(0);
        fs::write(&passwords, "joe:{PLAIN}s3cr3t\n").unwrap();
    }
    let port = free_port();
    let file = changed(
        "npvr-public.conf",
        &[
            ("127.0.0.1:8080", authority),
            ("listen 443", &format!("listen 127.0.0.1:{port}")),
            ("/etc/ssl/certs/tv.example.com.pem", &pem),
            ("/etc/ssl/private/tv.example.com.key", &key),
            ("/etc/nginx/npvr.htpasswd", &passwords),
            ("/var/lib/npvr/archive", archive.to_str().unwrap()),
        ],
    );
    (file, port)
}

/// The two servers of the playback chain, and their ports: before Remix, and before npvr.
fn chain(dir: &Path, npvr: &str, remix: &str) -> (String, u16, u16) {
    let (before_remix, before_npvr) = (free_port(), free_port());
    let file = changed(
        "npvr-remix.conf",
        &[
            ("server 127.0.0.1:8080", &format!("server {npvr}")),
            ("server 127.0.0.1:8082", &format!("server {remix}")),
            ("listen 127.0.0.1:8081", &format!("listen 127.0.0.1:{before_remix}")),
            ("listen 127.0.0.1:8083", &format!("listen 127.0.0.1:{before_npvr}")),
            ("/var/cache/nginx", dir.to_str().unwrap()),
        ],
    );
    (file, before_remix, before_npvr)
}

/// An origin, and a site that has archived two whole cells of it.
fn archived() -> (Live, Site) {
    let (live, site) = (Live::holding(2), Site::new());
    site.channel("news", live.url("news"), "");
    site.check().expect_silence();
    (live, site)
}

/// The two whole cells.
fn clip(live: &Live) -> Range {
    Range::new(live.cell_before_end(1).start, live.cell_before_end(0).end)
}

/// The chunks that a playlist points at.
fn sources(smil: &str) -> Vec<String> {
    let after = smil.split("src=\"").skip(1);
    after.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// What `curl -i` says of the cache.
fn cache(head: &str) -> &str {
    head.lines().find_map(|line| line.strip_prefix("x-cache: ")).unwrap_or_else(|| panic!("{head}"))
}

#[test]
fn nginx_takes_both_files_and_has_nothing_to_say_against_them() {
    let dir = tempfile::tempdir().unwrap();
    let (public, _) = public(dir.path(), "127.0.0.1:1", dir.path());
    let (chain, ..) = chain(dir.path(), "127.0.0.1:1", "127.0.0.1:2");
    let test = |files: &[String]| {
        let (dir, mut command) = staged(files);
        let output = command.arg("-t").output().unwrap();
        drop(dir);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (well, said) = test(&[public.clone(), chain]);
    assert!(well && !said.contains("[warn]") && said.contains("syntax is ok"), "{said}");
    let (well, said) = test(&[public.replace("proxy_buffering", "proxy_bufering")]);
    assert!(!well && said.contains("proxy_bufering"), "a wrong file goes through: {said}");
}

#[test]
fn below_a_path_of_a_site_npvr_needs_the_password_and_its_links_begin_with_that_path() {
    let (dir, (live, site)) = (tempfile::tempdir().unwrap(), archived());
    let npvr = Serving::start(&site, &[]);
    let (file, port) = public(dir.path(), &npvr.authority, &site.archive());
    let _nginx = start(&[file], port);
    let at = |path: &str| format!("https://127.0.0.1:{port}{path}");
    let joe = ["-u", "joe:s3cr3t"];

    for path in ["/npvr/", "/npvr/metrics"] {
        assert_eq!(status(&curl(&[&at(path)]).0), "401", "{path}");
    }
    let (head, body) = curl(&[joe[0], joe[1], &at("/npvr/metrics")]);
    assert_eq!(status(&head), "200");
    assert!(body.contains("npvr_chunks{channel=\"news\",state=\"complete\"} 3\n"), "{body}");
    for path in ["/npvr/healthz", "/npvr/readyz"] {
        assert_eq!(curl(&[&at(path)]).1, "ok\n", "{path}");
    }
    assert_eq!(status(&curl(&[&at("/metrics")]).0), "404", "only below the path");
    assert!(curl(&[&at("/npvr")]).0.contains(&format!("location: {}", at("/npvr/"))));

    // Links are what the browser has in its address bar.
    let clip = format!("/smil/news/{}.smil", clip(&live));
    let (head, smil) = curl(&[&joe[..], &[&at(&format!("/npvr{clip}"))]].concat());
    assert_eq!(status(&head), "200", "{smil}");
    let src = sources(&smil).pop().unwrap();
    assert!(src.starts_with(&at("/npvr/chunk/news/")), "{src}");
    let (head, _) = curl(&[&joe[..], &["-o", "/dev/null", "-D", "-", "-r", "0-9", &src]].concat());
    assert_eq!(status(&head), "206", "{head}");

    // What a client says of the path does not count.
    let more = ["-H", "Accept: text/html", "-H", "X-Path-Prefix: /evil"];
    let (_, page) = curl(&[&joe[..], &more, &[&at("/npvr/nowhere")]].concat());
    assert!(page.contains("href=\"/npvr/\"") && !page.contains("evil"), "{page}");
}

#[test]
fn chunks_of_a_disk_are_served_in_parts_and_nothing_else_of_the_disk_is() {
    let (dir, (_live, site)) = (tempfile::tempdir().unwrap(), archived());
    let (file, port) = public(dir.path(), "127.0.0.1:1", &site.archive());
    let _nginx = start(&[file], port);
    let at = |path: &str| format!("https://127.0.0.1:{port}/chunks/{path}");
    let chunk = &site.chunks("news")[1];
    let key = chunk.strip_prefix(site.archive()).unwrap().to_str().unwrap();
    let bytes = fs::read(chunk).unwrap();

    let (head, _) = curl(&["-o", "/dev/null", "-D", "-", "-r", "4-7", &at(key)]);
    assert_eq!(status(&head), "206", "{head}");
    for line in ["content-type: video/mp4", "access-control-allow-origin: *", "etag: \""] {
        assert!(head.contains(line), "{head}");
    }
    assert!(head.contains(&format!("content-range: bytes 4-7/{}", bytes.len())), "{head}");
    let copy = dir.path().join("copy");
    let mut whole = Command::new("curl");
    whole.args(["-sSkf", "-o", copy.to_str().unwrap(), &at(key)]);
    finish(whole).expect(0);
    assert!(fs::read(&copy).unwrap() == bytes);

    let folder = key.rsplit_once('/').unwrap().0;
    fs::write(site.archive().join(folder).join(".tmp-1.ismv"), "x").unwrap();
    let unfinished = format!("{folder}/.tmp-1.ismv");
    let out = [".npvr-store", "", "news/", folder, &unfinished, "../ledger.db", "%2e%2e/ledger.db"];
    for path in out {
        let (head, _) = curl(&["--path-as-is", &at(path)]);
        assert!(["400", "404"].contains(&status(&head)), "{path}: {head}");
    }
    for method in ["PUT", "DELETE", "POST"] {
        let (head, _) = curl(&["-X", method, &at(key)]);
        assert!(["403", "405"].contains(&status(&head)), "{method}: {head}");
    }
    assert!(chunk.exists());
}

#[test]
fn a_playlist_is_made_once_for_as_long_as_npvr_says_and_its_chunks_are_where_it_says() {
    let (dir, (live, site)) = (tempfile::tempdir().unwrap(), archived());
    let npvr = Serving::start(&site, &[]);
    let (file, _, port) = chain(dir.path(), &npvr.authority, "127.0.0.1:1");
    let _nginx = start(&[file], port);
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let path = format!("/smil/news/{}.smil", clip(&live));

    let (head, smil) = curl(&[&at(&path)]);
    assert_eq!((status(&head), cache(&head)), ("200", "miss"), "{smil}");
    assert!(head.contains("cache-control: max-age=86400"), "{head}");
    let (again, same) = curl(&["-H", "Accept-Encoding: gzip", "-r", "0-9", &at(&path)]);
    assert_eq!((status(&again), cache(&again)), ("200", "hit"), "whole, whatever the client says: {again}");
    assert!(same == smil && !again.contains("content-encoding"), "{again}");
    assert!(sources(&smil).len() >= 2, "{smil}");
    for src in sources(&smil) {
        let key = src.strip_prefix(&at("/chunk/")).unwrap_or_else(|| panic!("{src} is not reached here"));
        let bytes = get(&format!("127.0.0.1:{port}"), &format!("/chunk/{key}"));
        assert!(bytes == fs::read(site.archive().join(key)).unwrap(), "{src}");
    }

    // Nobody writes into the playlists of others.
    let other = format!("/smil/news/{}", clip(&live));
    let (_, smil) = curl(&["-H", "X-Path-Prefix: /evil", "-H", "X-Forwarded-Proto: https", &at(&other)]);
    assert!(sources(&smil).iter().all(|src| src.starts_with(&at("/chunk/news/"))), "{smil}");

    // What still grows is asked for again, and what is not there is.
    let growing = Range::new(live.cell_before_end(0).start, live.end().plus(Duration::from_secs(10)));
    let (head, _) = curl(&[&at(&format!("/smil/news/{growing}"))]);
    assert!(status(&head) == "200" && head.contains("cache-control: max-age=2\r"), "{head}");
    for _ in 0..2 {
        let (head, _) = curl(&[&at("/smil/news/2020-01-01T00:00:00Z--2020-01-01T00:01:00Z")]);
        assert_eq!((status(&head), cache(&head)), ("404", "miss"));
    }

    // With npvr away, what is kept is served.
    drop(npvr);
    assert_eq!(cache(&curl(&[&at(&path)]).0), "hit");
    assert_eq!(status(&curl(&[&at("/smil/")]).0), "502");
}

#[test]
fn a_range_is_remixed_once_and_the_parts_that_origin_asks_for_are_cut_from_it() {
    let (dir, (live, site)) = (tempfile::tempdir().unwrap(), archived());
    let npvr = Serving::start(&site, &[]);
    // Known once nginx is staged, which wants to know where Remix is.
    let before_npvr = Arc::new(OnceLock::new());
    let asked = Arc::clone(&before_npvr);
    // Asks for the playlist as Remix does, and gives it for what it would have made of it.
    let remix = HandMade::serve(move |request| {
        let clip = request.target.strip_suffix(".mp4").unwrap_or_default();
        let port: &u16 = asked.get().unwrap();
        let smil = get(&format!("127.0.0.1:{port}"), &format!("/smil{clip}.smil"));
        Reply::Whole(200, "video/mp4", smil)
    });
    let (file, port, smil_port) = chain(dir.path(), &npvr.authority, &remix.addr.to_string());
    before_npvr.set(smil_port).unwrap();
    let _nginx = start(&[file], smil_port);
    let url = format!("http://127.0.0.1:{port}/news/{}.mp4", clip(&live));

    let (head, whole) = curl(&["-r", "0-4", &url]);
    assert_eq!((status(&head), cache(&head), whole.as_str()), ("206", "miss", "<?xml"), "{head}");
    let (head, whole) = curl(&[&url]);
    assert_eq!((status(&head), cache(&head)), ("200", "hit"), "{head}");
    assert!(sources(&whole).len() >= 2, "{whole}");
    let (head, part) = curl(&["-r", "2-4", &url]);
    assert_eq!((status(&head), cache(&head), part.as_str()), ("206", "hit", "xml"), "{head}");
    assert_eq!(remix.total(), 1);
}
