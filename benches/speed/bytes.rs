//! How fast the bytes of a chunk on a disk are served, beside nginx on the same file.
//!
//! `wrk` reads with 64 connections: the whole file again and again, and ranges of 500 kB, as players ask for. It takes as much of
//! the machine as the servers do, so beside what came through stands what the server itself spent on it: that depends less on
//! who else uses the machine. What came through is told as a ratio, the other way round, since the limits here are upper ones:
//! 0.8 of nginx's throughput are 1.25.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use npvr::clock;
use npvr::grid::Cell;
use npvr::ledger::{Coverage, Ledger, SqliteLedger, Stored};
use npvr::store::DiskStore;
use npvr::time::{Range, Time};

use crate::cost::{empty, heading, spread};
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
        let [theirs, ours] = rates.map(|rates| spread(rates));
        theirs.print(&format!("{what}, nginx"), "MB/s");
        ours.print(&format!("{what}, npvr"), "MB/s");
        let [theirs_cpu, ours_cpu] = costs.map(|costs| spread(costs));
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
    fs::write(site.join("channels.d/news.toml"), "channel_url = \"http://127.0.0.1:1/news.isml\"\n")?;
    let (state, now) = (site.join("state"), clock::now());
    let cell = Cell::from_range(Range::new(Time::from_s(1_544_100_900), Time::from_s(1_544_101_200)));
    let (ledger, key) = (SqliteLedger::open(&state)?, cell.key("news"));
    let archive = state.join("archive");
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
    headers.iter().for_each(|header| drop(command.args(["-H", header])));
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
    process: Child,
    authority: String,
}

impl Nginx {
    fn start(site: &Path) -> Result<Nginx> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let place: PathBuf = fs::canonicalize(site)?;
        let place = place.display();
        let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {place}/{what}; "))
            .collect();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let text = format!(
            "{user}\ndaemon off;\nworker_processes auto;\npid {place}/nginx.pid;\nerror_log {place}/nginx.log;\n\
             events {{ }}\nhttp {{\n  access_log off; sendfile on; tcp_nopush on; {folders}\n  server {{\n    \
             listen 127.0.0.1:{port};\n    location /chunk/ {{ alias {place}/state/archive/; }}\n  }}\n}}\n"
        );
        let file = site.join("nginx.conf");
        fs::write(&file, text)?;
        let mut command = Command::new("nginx");
        command.args(["-e".as_ref(), "stderr".as_ref(), "-c".as_ref(), fs::canonicalize(&file)?.as_os_str()]);
        let process = command.stdout(Stdio::null()).spawn().map_err(|e| format!("nginx: {e}"))?;
        let nginx = Nginx { process, authority: format!("127.0.0.1:{port}") };
        // It listens soon, or never.
        let there = (0..500).any(|_| {
            std::net::TcpStream::connect(&nginx.authority).is_ok() || {
                std::thread::sleep(std::time::Duration::from_millis(10));
                false
            }
        });
        if there { Ok(nginx) } else { Err("nginx does not listen".into()) }
    }

    fn workers(&self) -> Result<Vec<u32>> {
        let pid = self.process.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        Ok(children.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers go when it is asked, and not when it is killed.
        if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(self.process.id()).unwrap_or(0)) {
            drop(rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        }
        drop(self.process.wait());
    }
}
