//! The pages in a real browser: Debian's chromium, driven by playwright-core. A person's ways through them, at the width of a desk
//! and of a phone, in light and in dark; any complaint of the browser fails the test. And `players`: what plays a clip there.
//!
//! What is done there is in `look.mjs`; here stands what is looked at. Screenshots are left in `target/screenshots`. tests/run
//! installs what this needs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod players;
mod stage;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Ran, Site, finish};
use stage::Stage;

/// How they are looked at, by the names that `look.mjs` has for it.
const VIEWS: [&str; 5] = ["desk-light", "desk-dark", "phone-light", "phone-dark", "unscripted"];

/// `npvr serve-smil` on a port of its own. It ends when it is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(site: &Site) -> Server {
        Server::with(site, &[])
    }

    /// With further arguments.
    fn with(site: &Site, more: &[&str]) -> Server {
        Server::of(site.command(["serve-smil", "--listen", "127.0.0.1:0"].iter().chain(more)))
    }

    /// What `command` starts, whose first line says where it is.
    fn of(mut command: Command) -> Server {
        command.stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { process, url: line.trim().trim_end_matches('/').to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then the test has failed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where playwright-core is.
fn tools() -> PathBuf {
    let named = std::env::var_os("NPVR_BROWSER_TOOLS").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("target/tools/browser"))
}

#[test]
fn a_person_finds_their_way_through_every_page_and_the_browser_has_no_complaint() {
    let stage = Stage::set(npvr::clock::now());
    let server = Server::start(&stage.site);
    let empty = Site::new();
    let nothing = Server::start(&empty);
    let shots = root().join("target/screenshots");
    std::fs::create_dir_all(&shots).unwrap();

    for view in VIEWS {
        let mut look = Command::new("node");
        look.arg(root().join("tests/browser/look.mjs"));
        look.args([view, &server.url, &nothing.url]).arg(&shots).env("NPVR_BROWSER_TOOLS", tools());
        let Ran { code, stdout, stderr } = finish(look);
        assert_eq!(code, Some(0), "{view}: {stdout}\n{stderr}\n(node, chromium, playwright-core: tests/run)");
    }
}
