//! What is in the archive is what the source had: each segment once, byte for byte, in the cell that holds its start.

mod common;

use common::Site;
use common::live::Live;

#[test]
fn a_backlog_is_captured_whole() {
    let live = Live::holding(3);
    let site = Site::new();
    site.channel("news", live.url("news"), "");
    let t = npvr::clock::Tick::now();
    eprintln!("{:?}", site.run(["check", "--dry-run"]));
    eprintln!("{:?}", site.check());
    eprintln!("{:?}", t.elapsed());
    eprintln!("{:#}", site.status("news"));
    site.check().expect_silence();
    site.assert_sound("news");
}
