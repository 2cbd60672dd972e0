//! What a server answers a second, and what it takes: playlists of a channel with a week of chunks, the overview of 200 channels,
//! and a thousand connections that are open.
//!
//! `wrk` asks, on the same cores, with 50 connections: so a figure is what this machine does with both. Beside the playlists
//! stands the shortest answer that there is, which is the most that one can be. How many requests there are a second is told as
//! the time for each, since the limits here are upper ones: 15,000 a second are 66.7 µs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use npvr::clock::{self, Tick};
use npvr::store::DiskStore;
use npvr::time::Time;

use crate::archive::{name, write_channels, write_ledger};
use crate::cost::{empty, heading, spread};
use crate::{Figure, NPVR, Result, folder};

const CHANNELS: u32 = 200;
const CONNECTIONS: usize = 1_000;
const ROUNDS: usize = 3;
/// How long each load is, in seconds.
const WRK_S: f64 = 5.0;
const PAGES: usize = 31;
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

/// Playlists, pages and connections.
pub(crate) fn serve() -> Result<Vec<Figure>> {
    let site = folder("serve")?;
    empty(&site)?;
    let now = clock::now();
    write_channels(&site, CHANNELS, "http://127.0.0.1:1/live/news.isml")?;
    write_ledger(&site, CHANNELS, now)?;
    DiskStore::open_or_create(&site.join("state").join("archive"))?;
    let server = Server::start(&site)?;
    // Two days ago: nothing in it changes any more.
    let playlist = |long: Duration| {
        let start = Time::from_s(now.minus(2 * DAY).s() / 300 * 300 + 60);
        format!("/smil/{}/{start}--{}.smil", name(7), start.plus(long))
    };
    heading(&format!("requests a second, 50 connections, {ROUNDS} times"));
    let alive = server.load("/smil/", "the shortest answer")?;
    let hour = server.load(&playlist(HOUR), "SMIL of an hour")?;
    let day = server.load(&playlist(DAY), "SMIL of a day")?;
    let pages = server.pages("/")?;
    heading(&format!("resident memory after that, and with {CONNECTIONS} connections"));
    spread([server.resident_mb()?]).print("after that", "MB");
    let open = (0..CONNECTIONS).map(|_| server.ask("/smil/", true)).collect::<Result<Vec<_>>>()?;
    let resident = spread([server.resident_mb()?]);
    resident.print("with them open", "MB");
    drop(open);
    let figure = |what, value, unit, limit| Figure { what, value, unit, limit };
    Ok(vec![
        figure("SMIL of an hour, 15,000 a second: the time for each", hour.each_us, "µs", 66.7),
        figure("the same, p99 with 50 connections", hour.p99_ms, "ms", 5.0),
        figure("SMIL of a day, 4,000 a second: the time for each", day.each_us, "µs", 250.0),
        figure("SMIL of an hour / the shortest answer", hour.each_us / alive.each_us, "×", 4.0),
        figure("overview of 200 channels, a week each", pages, "ms", 20.0),
        figure("resident with 1,000 open connections", resident.median, "MB", 64.0),
    ])
}

/// What a load came to: medians.
struct Load {
    each_us: f64,
    p99_ms: f64,
}

/// `npvr serve-smil`, as long as this lives.
pub(crate) struct Server {
    process: Child,
    authority: String,
}

impl Server {
    pub(crate) fn start(site: &Path) -> Result<Server> {
        let mut command = Command::new(NPVR);
        command.arg("--config").arg(site).arg("--state").arg(site.join("state"));
        command.args(["serve-smil", "--listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let authority = line.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        Ok(Server { process, authority })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> &String {
        &self.authority
    }

    /// Asks for a path; the whole answer has come. Keeps the connection open if asked to.
    fn ask(&self, path: &str, keep: bool) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.authority)?;
        let how = if keep { "keep-alive" } else { "close" };
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: {how}\r\n\r\n"
        )?;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer)?;
        if answer != b"HTTP/1.1 200" {
            return Err(format!("{path}: {}", String::from_utf8_lossy(&answer)).into());
        }
        if !keep {
            stream.read_to_end(&mut answer)?;
        }
        Ok(stream)
    }

    /// Has wrk ask for a path as often as it can.
    fn load(&self, path: &str, what: &str) -> Result<Load> {
        self.ask(path, false)?;
        let url = format!("http://{}{path}", self.authority);
        let mut runs = Vec::new();
        let mut cpu_us = Vec::new();
        for _ in 0..ROUNDS {
            let before = self.cpu_s()?;
            let run = wrk(&url)?;
            cpu_us.push((self.cpu_s()? - before) * 1_000_000.0 / (run.0 * WRK_S));
            runs.push(run);
        }
        let a_second = spread(runs.iter().map(|run| run.0));
        a_second.print(what, "/s");
        let p99_ms = spread(runs.iter().map(|run| run.1));
        p99_ms.print("  its p99", "ms");
        // What does not depend on who else uses the machine.
        spread(cpu_us).print("  CPU of the server for each", "µs");
        Ok(Load { each_us: 1_000_000.0 / a_second.median, p99_ms: p99_ms.median })
    }

    /// How long one page after the other takes, in ms: the median, after the first, which nobody has read for yet.
    fn pages(&self, path: &str) -> Result<f64> {
        heading(&format!("page of {CHANNELS} channels, one after the other, {PAGES} times"));
        let mut times = Vec::new();
        for _ in 0..=PAGES {
            let began = Tick::now();
            self.ask(path, false)?;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        spread([times.remove(0)]).print("the first", "ms");
        let times = spread(times);
        times.print("the others", "ms");
        Ok(times.median)
    }

    fn cpu_s(&self) -> Result<f64> {
        cpu_s(self.pid())
    }

    fn resident_mb(&self) -> Result<f64> {
        of_status_mb(self.pid(), "VmRSS:")
    }
}

/// CPU time of a process so far, in seconds: all threads, user and system.
pub(crate) fn cpu_s(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields are counted from behind the name, which may have anything in it; they are in hundredths (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
    let ticks: Vec<f64> =
        fields.split(' ').skip(11).take(2).map(str::parse).collect::<std::result::Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// What is said of the memory of a process, in MB: `VmRSS:`, `VmHWM:`.
pub(crate) fn of_status_mb(pid: u32, what: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).ok_or_else(|| format!("no {what}"))?;
    let kib: f64 = line.split_whitespace().next().ok_or("no number")?.parse()?;
    Ok(kib * 1_024.0 / 1_000_000.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Requests a second, and the time that 99 of 100 keep, in ms.
fn wrk(url: &str) -> Result<(f64, f64)> {
    let output = Command::new("wrk").args(["-t1", "-c50", &format!("-d{WRK_S}s"), "--latency", url]).output();
    let output = output.map_err(|e| format!("wrk: {e}"))?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("wrk {url}: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let value = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim).ok_or_else(|| format!("wrk says no {label}: {text}"))
    };
    let p99 = value("99%")?;
    let unit = p99.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let ms = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1_000.0,
        _ => return Err(format!("wrk says {p99}").into()),
    };
    Ok((value("Requests/sec:")?.parse()?, p99[..p99.len() - unit.len()].parse::<f64>()? * ms))
}
