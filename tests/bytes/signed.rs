//! Signed links: who has one plays, and who has none does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use npvr::clock;
use npvr::http::Key;
use npvr::ledger::Coverage;
use npvr::time::{Range, Time};

use crate::common::home::Home;
use crate::common::live::{CELL_S, Live};
use crate::common::serving::Serving;
use crate::common::{Site, until};
use crate::{Said, Stage, ask};

const OLD: &str = "an-old-key-that-is-long-enough-0123456789";
const NEW: &str = "a-new-key-that-is-long-enough-0123456789";
/// Who comes from another host, through a proxy that is believed.
const ELSEWHERE: &str = "X-Forwarded-For: 192.0.2.7";

/// A file that only its owner reads.
fn file(site: &Site, name: &str, text: &str) -> PathBuf {
    let path = site.config().join(name);
    fs::write(&path, format!("{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// The lines of a channel whose links these keys sign.
fn lines(keys: &[&Path]) -> String {
    format!("[playback]\nsign_key_files = {keys:?}")
}

/// A stage whose links the old key signs, and a server that others reach through a proxy.
fn stage(args: &[&str]) -> Stage {
    let mut stage = Stage::new(Home::Disk, "", 10_000, Coverage::Complete);
    let key = file(&stage.site, "old.sign", OLD);
    stage.site.channel("news", "http://127.0.0.1:1/news.isml", &lines(&[&key]));
    let args = [&["--trust-proxy", "127.0.0.1"], args].concat();
    stage.server = Serving::start(&stage.site, &args);
    stage
}

impl Stage {
    /// `npvr sign news`, with these arguments.
    #[track_caller]
    fn sign(&self, args: &[&str]) -> String {
        let ran = self.site.run([&["sign", "news"], args].concat()).expect(0);
        assert_eq!(ran.stderr, "");
        ran.stdout.trim_end().to_owned()
    }

    /// What somebody elsewhere is answered.
    #[track_caller]
    fn elsewhere(&self, target: &str) -> Said {
        self.ask("GET", target, &[ELSEWHERE])
    }
}

#[test]
fn a_signed_link_is_good_for_its_path_until_its_end_and_for_nothing_else() {
    let stage = stage(&["--read-only"]);
    let path = stage.path();
    let refused = |target: &str, words: &str| {
        let said = stage.elsewhere(target);
        assert_eq!(said.status, 403, "{target}: {}", said.text());
        assert!(said.text().contains(words) && said.text().contains("hint:"), "{target}: {}", said.text());
    };
    refused(&path, "this needs a signed link");
    let link = stage.sign(&[&path, "--for", "PT1H"]);
    let said = stage.elsewhere(&link);
    assert!(said.status == 200 && said.body == stage.bytes, "{}", said.headers);
    // Nobody keeps it for longer than the link is good.
    let kept: u32 = said.header("cache-control").strip_prefix("max-age=").unwrap().parse().unwrap();
    assert!((3_000..=3_600).contains(&kept), "{kept}");
    let part = stage.ask("GET", &link, &[ELSEWHERE, "Range: bytes=10-19"]);
    assert!(part.status == 206 && part.body == stage.bytes[10..20]);
    // However a player writes the path; and what else stands in the query is its own.
    let escaped = link.replacen(':', "%3A", 2).replacen("--", "-%2D", 1);
    assert_eq!(stage.elsewhere(&format!("{escaped}&x=y")).status, 200);
    let (_, query) = link.split_once('?').unwrap();
    let (expires, signature) = query.split_once("&sig=").unwrap();
    let later = format!("expires={}", expires[8..].parse::<u64>().unwrap() + 1);
    let as_signed = "not as it was signed";
    refused(&format!("/smil/news/{}?{query}", stage.cell), as_signed);
    refused(&format!("/init/news/{}/1.mp4?{query}", stage.cell), as_signed);
    refused(&format!("{path}?{later}&sig={signature}"), as_signed);
    refused(&format!("{path}?sig={signature}"), as_signed);
    refused(&format!("{path}?{expires}&sig=A{}", &signature[1..]), as_signed);
    refused(&format!("{path}?{expires}"), "this needs a signed link");
    let over = Key::new(OLD.as_bytes()).unwrap();
    let over = over.query(&path, clock::now().minus(Duration::from_secs(1)));
    refused(&format!("{path}?{over}"), "has expired");
    // This host needs none.
    let here = stage.get(&[]);
    assert_eq!((here.status, here.header("cache-control")), (200, "private, max-age=86400"));
}

#[test]
fn a_folder_is_signed_with_all_below_it() {
    let stage = stage(&[]);
    let folder = stage.sign(&["/chunk/news/"]);
    let query = folder.strip_prefix("/chunk/news/").unwrap();
    assert_eq!(stage.elsewhere(&format!("{}{query}", stage.path())).status, 200);
    assert_eq!(stage.elsewhere(&format!("/smil/news/{}{query}", stage.cell)).status, 403);
}

#[test]
fn a_playlist_hands_its_signature_on() {
    let stage = stage(&[]);
    let range = stage.cell.to_string();
    let link = stage.sign(&[&range, "--as", "smil", "--for", "PT2H"]);
    let playlist = stage.elsewhere(&link);
    assert_eq!(playlist.status, 200, "{}", playlist.text());
    let source = |said: &Said| {
        let source = said.text().split("src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let at = format!("http://{}", stage.server.authority);
        source.strip_prefix(&at).unwrap_or_else(|| panic!("{source}")).replace("&amp;", "&")
    };
    let chunk = source(&playlist);
    let expires = |link: &str| link.split("expires=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    assert_eq!(expires(&chunk), expires(&link), "no longer than the playlist");
    assert!(stage.elsewhere(&chunk).body == stage.bytes);
    // Who asks without a link is given some too, and the same for a while.
    let path = format!("/smil/news/{range}.smil");
    let [first, second] = [(); 2].map(|()| stage.ask("GET", &path, &[]));
    assert_eq!(first.status, 200);
    assert_eq!(first.header("etag"), second.header("etag"));
    assert!(stage.elsewhere(&source(&first)).body == stage.bytes);
    assert_eq!(stage.elsewhere(&path).status, 403, "or anybody would get them");
}

#[test]
fn who_has_a_token_needs_no_link_and_who_has_a_link_no_token() {
    let stage = stage(&[]);
    let (writers, readers) = (
        file(&stage.site, "writers", "a-token-that-writes-0123"),
        file(&stage.site, "readers", "a-token-that-reads-0123"),
    );
    let link = stage.sign(&[&stage.path()]);
    for more in [&["--read-token-file", readers.to_str().unwrap()][..], &[]] {
        let args = [&["--token-file", writers.to_str().unwrap()], more].concat();
        let server = Serving::start(&stage.site, &args);
        let status = |target: &str, headers: &[&str]| ask(&server.authority, "GET", target, headers).status;
        assert_eq!(status(&stage.path(), &[]), 401);
        assert_eq!(status(&stage.path(), &["Authorization: Bearer a-token-of-nobody-0123"]), 401);
        assert_eq!(status(&stage.path(), &["Authorization: Bearer a-token-that-writes-0123"]), 200);
        let reads = status(&stage.path(), &["Authorization: Bearer a-token-that-reads-0123"]);
        assert_eq!(reads, if more.is_empty() { 401 } else { 200 });
        assert_eq!(status(&link, &[]), 200);
    }
}

#[test]
fn keys_are_changed_without_a_moment_at_which_links_are_dead() {
    let stage = stage(&[]);
    let old = stage.site.config().join("old.sign");
    let (path, first) = (stage.path(), stage.sign(&[&stage.path()]));
    let new = file(&stage.site, "new.sign", NEW);
    let now_with = |keys: &[&Path]| stage.site.channel("news", "http://127.0.0.1:1/news.isml", &lines(keys));
    now_with(&[&new, &old]);
    let second = stage.sign(&[&path]);
    until("the new key is good", || stage.elsewhere(&second).status == 200);
    assert_eq!(stage.elsewhere(&first).status, 200, "and the old one still");
    now_with(&[&new]);
    until("the old key is not", || stage.elsewhere(&first).status == 403);
    assert_eq!(stage.elsewhere(&second).status, 200);
    // A file that is gone lets nobody in; one that changes takes its links along.
    fs::remove_file(&new).unwrap();
    until("nobody is let in", || stage.elsewhere(&second).status == 403);
    assert_eq!(stage.get(&[]).status, 200, "who is on this host is not asked");
    let playlist = stage.ask("GET", &format!("/smil/news/{}", stage.cell), &[]);
    assert_eq!(playlist.status, 500);
    assert!(!playlist.text().contains("new.sign"), "{}", playlist.text());
}

#[test]
fn a_channel_that_has_no_key_or_a_bad_one_is_told() {
    let stage = Stage::new(Home::Disk, "", 100, Coverage::Complete);
    let sign = || stage.site.run(["sign", "news", &stage.cell.to_string()]).expect(1).stderr;
    assert!(sign().contains("it has no key to sign links with"), "{}", sign());
    let key = file(&stage.site, "short.sign", "a-short-s3cr3t");
    stage.site.channel("news", "http://127.0.0.1:1/news.isml", &lines(&[&key]));
    assert!(sign().contains("at least 32 bytes") && !sign().contains("s3cr3t"), "{}", sign());
    file(&stage.site, "short.sign", OLD);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let ran =
        stage.site.run(["sign", "news", "/hls/news/", "--base", "https://tv.example.com/npvr/"]).expect(0);
    assert!(ran.stderr.contains("every user of this host"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("https://tv.example.com/npvr/hls/news/?expires="), "{}", ran.stdout);
    for wrong in [["nonsense", "PT1H"], ["/hls/news/", "P400D"], ["/hls/news/", "PT0S"]] {
        stage.site.run(["sign", "news", wrong[0], "--for", wrong[1]]).expect(2);
    }
}

#[test]
fn pages_and_programs_have_links_signed_and_only_for_who_may_write() {
    let stage = stage(&[]);
    let post = |headers: &str, body: &str| {
        let length = body.len();
        let headers =
            format!("Content-Type: application/json\r\nContent-Length: {length}{headers}\r\n\r\n{body}");
        // What follows the empty line is the body.
        stage.ask("POST", "/api/v1/channels/news/links", &[&headers])
    };
    let path = stage.path();
    let said = post("", &format!("{{\"path\": \"{path}?a=b\", \"lasting\": \"PT1H\"}}"));
    assert_eq!(said.status, 200, "{}", said.text());
    let link: serde_json::Value = serde_json::from_str(said.text()).unwrap();
    let at = format!("http://{}", stage.server.authority);
    let url = link["url"].as_str().unwrap().strip_prefix(&at).unwrap();
    assert!(url.contains("?a=b&expires=") && link["until"].is_string(), "{link}");
    assert_eq!(stage.elsewhere(url).status, 200);
    assert_eq!(post("", "{\"path\": \"/chunk/sports/\"}").status, 400);
    assert_eq!(post("", &format!("{{\"path\": \"{path}\", \"lasting\": \"P400D\"}}")).status, 400);
    let elsewhere = post(&format!("\r\n{ELSEWHERE}"), &format!("{{\"path\": \"{path}\"}}"));
    assert_eq!(elsewhere.status, 403);
}

#[test]
fn neither_keys_nor_signatures_are_in_a_log() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let stage = stage(&["--access-log", log.path().to_str().unwrap()]);
    let link = stage.sign(&[&stage.path()]);
    assert_eq!(stage.elsewhere(&link).status, 200);
    assert_eq!(stage.elsewhere(&link.replace("news", "nwes")).status, 404);
    let ran = stage.server.stop().expect(0);
    let log = fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("sig=<redacted>"), "{log}");
    for said in [&log, &ran.stdout, &ran.stderr] {
        assert!(!said.contains(OLD) && !said.contains(link.split("sig=").nth(1).unwrap()), "{said}");
    }
}

/// What a playlist at `path` calls `address`, as a player that knows nothing of signatures makes a path of it.
fn below(path: &str, address: &str) -> String {
    let base = url::Url::parse(&format!("http://x{path}")).unwrap();
    let url = base.join(address).unwrap();
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

/// The addresses in an HLS playlist.
fn addresses(text: &str) -> Vec<&str> {
    let own = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let tagged =
        text.lines().filter(|line| line.starts_with('#')).filter_map(|line| line.split("URI=\"").nth(1));
    own.chain(tagged.filter_map(|rest| rest.split('"').next())).collect()
}

#[test]
fn a_player_that_sends_no_header_gets_from_one_link_to_the_last_byte() {
    let (live, site) = (Live::holding(3), Site::new());
    let key = file(&site, "old.sign", OLD);
    site.channel("news", live.url("news"), &lines(&[&key]));
    site.check().expect(0);
    let server = Serving::start(&site, &["--trust-proxy", "127.0.0.1"]);
    let end = live.end().s();
    let range = Range::new(Time::from_s(end - 2 * CELL_S), Time::from_s(end - 2)).to_string();
    let link =
        |form: &str| site.run(["sign", "news", &range, "--as", form]).expect(0).stdout.trim().to_owned();
    let get = |path: &str| {
        let said = ask(&server.authority, "GET", path, &[ELSEWHERE]);
        assert_eq!(said.status, 200, "{path}: {}", said.headers);
        said
    };
    // HLS: all that the master playlist leads to.
    let master = link("hls");
    let (mut todo, mut seen) = (vec![master], std::collections::BTreeSet::new());
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let said = get(&path);
        if said.header("content-type").contains("mpegurl") {
            todo.extend(addresses(said.text()).into_iter().map(|address| below(&path, address)));
        }
    }
    for part in ["/hls/news/", "/init/news/", "/chunk/news/"] {
        assert!(seen.iter().any(|path| path.starts_with(part)), "{seen:?}");
    }
    // DASH: the template of each track, filled in.
    let path = link("dash");
    let description = get(&path).text().replace("&amp;", "&");
    let attribute = |text: &str, name: &str| {
        let value = text.split(&format!(" {name}=\"")).nth(1).map(|rest| rest.split('"').next().unwrap());
        value.unwrap_or_else(|| panic!("no {name}: {text}")).to_owned()
    };
    let mut tracks = 0;
    for track in description.split("<Representation ").skip(1) {
        get(&below(&path, &attribute(track, "initialization")));
        let id = track.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
        let media = attribute(track, "media").replace("$RepresentationID$", id);
        get(&below(&path, &media.replace("$Time$", &attribute(track, "t"))));
        tracks += 1;
    }
    assert!(tracks > 1, "{description}");
    get(&link("mp4"));
    let unsigned = format!("/hls/news/{range}/master.m3u8");
    assert_eq!(ask(&server.authority, "GET", &unsigned, &[ELSEWHERE]).status, 403);
    let short = format!("/news/{range}.m3u8");
    assert_eq!(ask(&server.authority, "GET", &short, &[ELSEWHERE]).status, 403);
}
