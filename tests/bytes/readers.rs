//! Readers that are slow, go away, or read what is taken away under them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use npvr::clock::Tick;
use npvr::ledger::Coverage;

use crate::common::home::Home;
use crate::common::until;
use crate::{Stage, begin, served};

/// More than what the kernel takes of an answer that nobody reads.
const LARGE: usize = 48 << 20;
/// So many at once.
const MANY: usize = 500;
/// Others wait no longer, on a machine that does much else.
const BOUND: Duration = Duration::from_secs(10);

/// Reads some bytes; how many there were.
fn some(stream: &mut TcpStream, bytes: u64) -> usize {
    stream.take(bytes).read_to_end(&mut Vec::new()).unwrap_or_default()
}

#[test]
fn five_hundred_slow_readers_keep_nobody_waiting_and_take_little_memory() {
    let stage = Stage::new(Home::Disk, "", LARGE, Coverage::Complete);
    let served_at_once = || {
        let began = Tick::now();
        let part = stage.get(&["Range: bytes=40000000-40999999"]);
        assert!(part.status == 206 && part.body == stage.bytes[40_000_000..41_000_000]);
        assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    };
    served_at_once();
    let (_, descriptors) = stage.server.uses();
    let threads = || fs::read_dir(format!("/proc/{}/task", stage.server.pid())).unwrap().count();
    let before = threads();
    let mut slow: Vec<TcpStream> =
        (0..MANY).map(|_| begin(&stage.server.authority, "GET", &stage.path(), &[])).collect();
    for _ in 0..5 {
        // A few kB each, of what was sent long ago.
        slow.iter_mut().for_each(|stream| assert_eq!(some(stream, 4_000), 4_000));
        served_at_once();
    }
    let (kib, _) = stage.server.uses();
    assert!(kib < 96 * 1024, "{kib} KiB with {MANY} slow readers");
    // Those that opened files for so many at once go by themselves.
    until("no thread is held for a reader", || threads() <= before + 8);
    // Who goes away frees all at once.
    drop(slow);
    stage.server.settles_at(descriptors + 32);
    served_at_once();
    let (settled, _) = stage.server.uses();
    assert!(settled < 96 * 1024, "{settled} KiB afterwards");
}

#[test]
fn a_chunk_that_is_deleted_while_it_is_read_is_sent_to_its_end() {
    let stage = Stage::new(Home::Disk, "", LARGE, Coverage::Complete);
    let mut reader = begin(&stage.server.authority, "GET", &stage.path(), &[]);
    let mut all = vec![0; 4_096];
    reader.read_exact(&mut all).unwrap();
    fs::remove_file(stage.file()).unwrap();
    reader.take(2 * LARGE as u64).read_to_end(&mut all).unwrap();
    let head = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(all[head..] == stage.bytes, "{} bytes came", all.len() - head);
    assert_eq!(stage.get(&[]).status, 404);
}

#[test]
fn a_chunk_that_is_cut_or_deleted_while_it_is_read_is_never_other_bytes() {
    for stage in served(LARGE, Coverage::Complete) {
        let mut reader = begin(&stage.server.authority, "GET", &stage.path(), &[]);
        let mut all = vec![0; 4_096];
        reader.read_exact(&mut all).unwrap();
        fs::OpenOptions::new().write(true).open(stage.file()).unwrap().set_len(1 << 20).unwrap();
        // The connection is cut, with an end or with a reset.
        let _ = reader.take(2 * LARGE as u64).read_to_end(&mut all);
        let head = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let body = &all[head..];
        assert!(body.len() < LARGE && *body == stage.bytes[..body.len()], "{} bytes came", body.len());
    }
}

#[test]
fn readers_that_go_away_in_the_middle_leave_nothing_behind() {
    let stage = Stage::new(Home::Disk, "", LARGE, Coverage::Complete);
    assert_eq!(stage.get(&["Range: bytes=0-9"]).status, 206);
    let (_, descriptors) = stage.server.uses();
    for round in 0..20 {
        let mut readers: Vec<TcpStream> =
            (0..25).map(|_| begin(&stage.server.authority, "GET", &stage.path(), &[])).collect();
        if round % 2 == 0 {
            readers.iter_mut().for_each(|reader| assert_eq!(some(reader, 100_000), 100_000));
        }
        readers.iter_mut().for_each(|reader| drop(reader.write_all(b"GET /")));
    }
    stage.server.settles_at(descriptors + 32);
    let (kib, _) = stage.server.uses();
    assert!(kib < 96 * 1024, "{kib} KiB afterwards");
}
