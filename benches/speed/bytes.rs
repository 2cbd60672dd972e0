//! How fast the bytes of a chunk on a disk are served, beside nginx on the same file.
//!
//! `wrk` reads with 64 connections: the whole file again and again, and ranges of 500 kB, as players ask for. It takes as much of
//! the machine as the servers do, so beside what came through stands what the server itself spent on it: that depends less on
//! who else uses the machine. What came through is told as a ratio, the other way round, since the limits here are upper ones:
//! 0.8 of nginx's throughput are 1.25.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use npvr::clock;
use npvr::grid::Cell;
use npvr::ledger::{Coverage, Ledger, SqliteLedger, Stored};
use npvr::store::DiskStore;
use npvr::time::{Range, Time};

use crate::cost::{empty, heading, spread};
use crate::media::{configuration, nginx};
use crate::serve::{Server, cpu_s, of_status_mb};
use crate::{Figure, Result, folder};

const CHUNK_BYTES: u64 = 200_000_000;
const RANGE: &str = "Range: bytes=50000000-50499999";
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const WRK_S: u32 = 4;

/// Whole chunks and parts of them.
pub(crate) fn bytes() -> Result<Vec<Figure>> {
    let site = folder("bytes")?;
    empty(&site)?;
    let key = chunk(&site)?;
    let npvr = Server::start(&site)?;
    let nginx = Nginx::start(&site)?;
    let pids = [nginx.workers()?, vec![npvr.pid()]];
    let urls =
        [&nginx.authority, npvr.authority()].map(|authority| format!("http://{authority}/chunk/{key}"));
    heading(&format!(
        "bytes of a chunk of 200 MB, {CONNECTIONS} connections, nginx and npvr in turns, {ROUNDS} times"
    ));
    let mut ratios = Vec::new();
    for (what, headers) in [("whole", &[][..]), ("ranges of 500 kB", &[RANGE][..])] {
        let mut rates = [Vec::new(), Vec::new()];
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for n in 0..2 {
                let before = spent(&pids[n])?;
                let bytes = wrk(&urls[n], headers)?;
                costs[n].push((spent(&pids[n])? - before) * 1e12 / bytes);
                rates[n].push(bytes / f64::from(WRK_S) / 1e6);
            }
        }
        let [theirs, ours] = rates.map(spread);
        theirs.print(&format!("{what}, nginx"), "MB/s");
        ours.print(&format!("{what}, npvr"), "MB/s");
        let [theirs_cpu, ours_cpu] = costs.map(spread);
        theirs_cpu.print("  CPU of nginx for each GB", "ms");
        ours_cpu.print("  CPU of npvr for each GB", "ms");
        ratios.push(theirs.median / ours.median);
    }
    let peak = spread([of_status_mb(npvr.pid(), "VmHWM:")?]);
    peak.print("most that npvr was ever resident", "MB");
    let figure = |what, value, unit, limit| Figure { what, value, unit, limit };
    Ok(vec![
        figure("whole chunks: nginx / npvr, bytes a second", ratios[0], "×", 1.25),
        figure("ranges of 500 kB: nginx / npvr, bytes a second", ratios[1], "×", 1.25),
        figure("resident at most, 64 connections", peak.median, "MB", 96.0),
    ])
}

/// Writes a chunk and its row; its key.
fn chunk(site: &Path) -> Result<String> {
    fs::create_dir_all(site.join("channels.d"))?;
    let archive = site.join("chunk");
    let lines = format!("channel_url = \"http://127.0.0.1:1/news.isml\"\n[disk]\npath = {archive:?}\n");
    fs::write(site.join("channels.d/news.toml"), lines)?;
    let (state, now) = (site.join("state"), clock::now());
    let cell = Cell::from_range(Range::new(Time::from_s(1_544_100_900), Time::from_s(1_544_101_200)));
    let (ledger, key) = (SqliteLedger::open(&state)?, cell.key("news"));
    DiskStore::open_or_create(&archive)?;
    fs::create_dir_all(archive.join(&key).parent().ok_or("no folder")?)?;
    let block: Vec<u8> = (0..1_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    fs::write(archive.join(&key), block.repeat(usize::try_from(CHUNK_BYTES)? / block.len()))?;
    ledger.open_channel("news", cell.start(), now)?;
    let stored =
        Stored { coverage: Coverage::Complete, key: key.clone(), bytes: CHUNK_BYTES, sha256: [1; 32] };
    ledger.adopt("news", cell, &stored, &[], &[], now)?;
    Ok(key)
}

/// CPU time of all these processes so far, in seconds.
fn spent(pids: &[u32]) -> Result<f64> {
    pids.iter().map(|pid| cpu_s(*pid)).sum()
}

/// How many bytes wrk reads in its time.
fn wrk(url: &str, headers: &[&str]) -> Result<f64> {
    let mut command = Command::new("wrk");
    command.args(["-t2", &format!("-c{CONNECTIONS}"), &format!("-d{WRK_S}s")]);
    command.args(headers.iter().flat_map(|header| ["-H", header]));
    let output = command.arg(url).output().map_err(|e| format!("wrk: {e}"))?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() || text.contains("Non-2xx") {
        return Err(format!("wrk {url}: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    // `  1234 requests in 4.00s, 5.67GB read`
    let read = text.lines().find_map(|line| line.trim().strip_suffix(" read")?.rsplit(' ').next());
    let read = read.ok_or_else(|| format!("wrk says nothing of bytes: {text}"))?;
    let number = read.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &read[number.len()..] {
        "MB" => 1_048_576.0,
        "GB" => 1_073_741_824.0,
        "KB" => 1_024.0,
        _ => return Err(format!("wrk read {read}").into()),
    };
    Ok(number.parse::<f64>()? * unit)
}

/// nginx on the archive, as long as this lives.
struct Nginx {
    prefix: PathBuf,
    authority: String,
}

impl Nginx {
    /// Serves `site`, in which chunks are below `chunk`.
    fn start(site: &Path) -> Result<Nginx> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let prefix = folder("bytes-nginx")?;
        fs::write(prefix.join("nginx.conf"), configuration(site, port, "auto"))?;
        nginx(&prefix, &[])?;
        Ok(Nginx { prefix, authority: format!("127.0.0.1:{port}") })
    }

    /// The processes that answer.
    fn workers(&self) -> Result<Vec<u32>> {
        // Who has answered is there.
        let mut stream = TcpStream::connect(&self.authority)?;
        write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
        stream.take(64 << 10).read_to_end(&mut Vec::new())?;
        let pid: u32 = fs::read_to_string(self.prefix.join("nginx.pid"))?.trim().parse()?;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        Ok(children.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may be gone already, and a bench has nothing better to do about it.
        drop(nginx(&self.prefix, &["-s", "quit"]));
    }
}
