//! Every command of `docs/recovery.md`, run as it stands there, on the trouble that its section is about.
//!
//! The folders that the page names are those of a machine; here they stand for folders of the test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::home::Home;
use common::live::{CELL_S, Live};
use common::s3::{BUCKET, S3Server, SECRET};
use common::{Ran, Site, finish};
use serde_json::Value;

const PAGE: &str = include_str!("../docs/recovery.md");
/// Cells of an archive here, with the short one in which it begins.
const CELLS: i64 = 4;

/// The commands of a section, one text for each block.
fn blocks(section: &str) -> Vec<&'static str> {
    let text = PAGE.split("\n## ").find_map(|s| s.strip_prefix(section)?.strip_prefix('\n'));
    let text = text.unwrap_or_else(|| panic!("docs/recovery.md has no section {section:?}"));
    let blocks: Vec<&str> =
        text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "{section}: no commands");
    blocks
}

/// A machine with a channel `news` and some of its archive.
struct Machine {
    live: Live,
    site: Site,
    home: Home,
}

impl Machine {
    fn new(home: Home) -> Machine {
        let (live, site) = (Live::holding(CELLS - 1), Site::new());
        let machine = Machine { live, site, home };
        let secret = machine.site.config().join("s3.secret");
        fs::write(&secret, SECRET).unwrap();
        let key = format!("secret_key = {SECRET:?}");
        let lines = machine.home.lines().replace(&key, &format!("secret_key_file = {secret:?}"));
        machine.site.channel("news", machine.live.url("news"), &lines);
        fs::create_dir_all(machine.srv("backup")).unwrap();
        machine.site.check().expect_silence();
        machine
    }

    /// A folder below what the page calls `/srv`.
    fn srv(&self, name: &str) -> PathBuf {
        self.site.config().with_file_name("srv").join(name)
    }

    /// Runs a block; every line of it has to succeed.
    #[track_caller]
    fn run(&self, block: &str) -> Ran {
        let at = |path: &Path| path.to_str().unwrap().to_owned();
        let text = block
            .replace("/var/lib/npvr", &at(&self.site.state()))
            .replace("/etc/npvr", &at(&self.site.config()))
            .replace("/srv/", &format!("{}/", at(&self.srv(""))));
        let mut command = Command::new("sh");
        self.site.settle_in(&mut command);
        let program = Path::new(env!("CARGO_BIN_EXE_npvr")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).args(["-eu", "-c", &text]);
        finish(command).expect(0)
    }

    #[track_caller]
    fn run_all(&self, section: &str) {
        blocks(section).into_iter().for_each(|block| drop(self.run(block)));
    }

    /// What the ledger says of the channel.
    fn books(&self) -> Value {
        let mut status = self.site.status("news");
        Value::Array(["counts", "gaps", "last_chunk"].map(|key| status[key].take()).into())
    }

    fn go_on(&self) {
        self.live.go_on(CELL_S);
        self.site.check().expect_silence();
    }

    /// Everything is there, and captured once.
    #[track_caller]
    fn assert_well(&self, chunks: i64) {
        self.site.run(["verify", "--deep"]).expect_silence();
        let before = self.live.requests();
        self.site.check().expect_silence();
        assert_eq!(self.live.requests_since(before).segment, 0);
        assert_eq!(self.site.status("news")["counts"]["complete"], chunks);
    }
}

#[test]
fn the_ledger_is_backed_up() {
    let machine = Machine::new(Home::Disk);
    machine.run_all("Backing up the ledger");
    assert!(machine.srv("backup/npvr-ledger.db").exists());
    assert!(fs::read_to_string(machine.srv("backup/npvr-ledger.jsonl")).unwrap().lines().count() > 4);
}

#[test]
fn a_backup_is_brought_back() {
    let machine = Machine::new(Home::Disk);
    machine.run_all("Backing up the ledger");
    machine.go_on();
    let before = machine.books();
    machine.run_all("Bringing a backup back");
    assert_eq!(machine.books(), before);
    machine.assert_well(CELLS + 1);
}

#[test]
fn a_lost_ledger_is_made_again() {
    for home in Home::both() {
        let machine = Machine::new(home);
        let before = machine.books();
        machine.run_all("The ledger is lost, and there is no backup");
        assert_eq!(machine.books(), before);
        machine.assert_well(CELLS);
    }
}

#[test]
fn a_full_disk_gets_room() {
    let machine = Machine::new(Home::Disk);
    // No disk has so much.
    fs::write(machine.site.config().join("npvr.toml"), "[state]\nmin_free = \"9000TB\"\n").unwrap();
    machine.live.go_on(CELL_S);
    let told = machine.site.check().expect(3);
    assert!(told.stderr.contains("less than min_free"), "{told:?}");
    let blocks = blocks("The disk is full");
    let seen = machine.run(blocks[0]).stdout;
    assert!(seen.contains("min_free") || seen.contains("free"), "{seen}");
    machine.run(blocks[1]);
    fs::remove_file(machine.site.config().join("npvr.toml")).unwrap();
    machine.site.check().expect_silence();
    machine.site.run(["verify", "--deep"]).expect_silence();
}

#[test]
fn an_archive_moves_to_another_folder() {
    let machine = Machine::new(Home::Disk);
    machine.run_all("A channel moves to another folder or disk");
    assert_eq!(machine.site.chunks("news"), Vec::<PathBuf>::new());
    machine.go_on();
    machine.assert_well(CELLS + 1);
}

#[test]
fn a_bucket_moves() {
    let server = S3Server::start();
    let folder = server.folder().to_owned();
    let machine = Machine::new(Home::Bucket(server));
    fs::create_dir(folder.join("npvr-new")).unwrap();
    // What the tool of one's choice does.
    let copy = format!("cp -a {0}/{BUCKET}/. {0}/npvr-new/", folder.display());
    machine.run(&copy);
    machine.run_all("A bucket moves");
    machine.go_on();
    machine.assert_well(CELLS + 1);
    assert!(folder.join("npvr-new/news").exists());
}

#[test]
fn keys_change() {
    let machine = Machine::new(Home::Bucket(S3Server::start()));
    fs::write(machine.site.config().join("s3.secret"), "the old one").unwrap();
    fs::write(machine.srv("backup/new.secret"), SECRET).unwrap();
    machine.live.go_on(CELL_S);
    let told = machine.site.check().expect(3);
    assert!(told.stderr.contains("the secret key does not fit"), "{told:?}");
    let before = machine.live.requests();
    // The failed chunk waits for its next attempt, unless one insists.
    machine.run_all("Keys have changed");
    let cell = machine.live.cell_before_end(0).to_string();
    machine.site.run(["capture", "news", &cell, "--force"]).expect(0);
    assert_eq!(machine.live.requests_since(before).segment, 0, "what waits in the spool is put");
    machine.assert_well(CELLS + 1);
}

#[test]
fn a_host_is_lost() {
    let machine = Machine::new(Home::Bucket(S3Server::start()));
    let before = machine.books();
    fs::remove_dir_all(machine.site.state()).unwrap();
    machine.run_all("The host is lost");
    assert_eq!(machine.books(), before);
    machine.assert_well(CELLS);
}

#[test]
fn every_section_with_commands_is_tried() {
    let tests = include_str!("recovery.rs");
    for section in PAGE.split("\n## ").skip(1).filter(|section| section.contains("```sh")) {
        let title = section.lines().next().unwrap();
        assert!(tests.contains(&format!("{title:?}")), "{title}");
    }
}
