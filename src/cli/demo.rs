//! `npvr demo`: the main job, from a simulated origin to a clip that plays in a browser, and to a verified archive; in a
//! temporary folder.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::exit::Exit;
use super::out;
use super::screen::render;
use super::site::{Places, Site, name};
use crate::channel::Channel;
use crate::check::check;
use crate::clock::{self, Tick};
use crate::error::{Context, Error, Kind, Result};
use crate::http::{Address, App, Limits, Listener, Options, Routes, Server};
use crate::sim::{self, Sim};
use crate::status::status;
use crate::store::DiskStore;
use crate::time::{Range, Time, human_duration, parse_duration};
use crate::verify::{ReadAll, read_all};
use crate::words::{counted, human_bytes};

const CHANNEL: &str = "demo";
/// How long its chunks are: short enough to see some in a minute.
const CHUNK: &str = "PT10S";
/// What the simulated origin still holds: enough for a backlog, and for chunks to be waited for.
const WINDOW: Duration = Duration::from_secs(180);
/// The demo's cron line.
const CHECK_EVERY: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(500);
/// How long it runs where nobody watches and nothing else is said.
const UNWATCHED: Duration = Duration::from_secs(60);
/// What opens an address in the browser that somebody has chosen.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Watch npvr at work: a simulated channel, archived, played and verified in a temporary folder
///
/// Prints the address of a page on which what is archived by then plays in a browser, as long as the demo runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the page is served; port 0 takes a free one. Whoever comes from another host may only look
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: Address,
    /// Open the page in a browser as soon as there is something to play
    #[arg(long)]
    open: bool,
    /// End by itself after so long [default: until Ctrl-C; PT1M where there is no terminal]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    length: Option<Duration>,
}

pub(crate) async fn run(args: Args) -> Result<Exit> {
    let folder =
        tempfile::Builder::new().prefix("npvr-demo-").tempdir().context("make a temporary folder")?;
    let sim = sim::serve(sim::Options { window: WINDOW, ..sim::Options::default() }).await?;
    let (site, channel) = set_up(folder.path(), &sim)?;
    let listener = Listener::bind(&args.listen).await?;
    let page = Page { root: listener.address().to_string(), opens: args.open };
    let length = args.length.or_else(|| (!out::is_terminal()).then_some(UNWATCHED));
    let began = Tick::now();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving =
        tokio::spawn(server(&site, &args.listen)?.run(vec![listener], async { drop(stopped.await) }));
    let problems = tokio::select! {
        problems = archive(&site, &channel, page, began, length) => problems?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.context("wait for Ctrl-C")?;
            0
        }
    };
    drop(stop);
    serving.abort();
    let verified = read_back(&site, &channel, folder.path()).await?;
    sim.stop().await;
    let (line, exit) = verdict(&verified, problems, began.elapsed());
    // Ctrl-C has left its mark on the line of the cursor.
    out::data(if out::is_terminal() { "\n" } else { "" })?;
    out::data(&line)?;
    verified.problems.iter().for_each(|problem| out::complain(problem, None));
    Ok(exit)
}

/// What `serve-smil` would be here.
fn server(site: &Site, address: &Address) -> Result<Server> {
    let read_only = !address.is_local();
    let options = Options { read_only, ..Options::usual(site.archive()) };
    let app = Arc::new(App::new(Arc::clone(&site.place), site.configuration(), options));
    let routes = Routes::new()?.telling(|what| out::complain(what, None));
    let routes = if read_only { routes.read_only() } else { routes };
    Ok(Server { app, routes, limits: Limits::default(), log: None })
}

/// The page on which the channel is to be watched.
struct Page {
    /// The address of the server, with a slash at the end.
    root: String,
    /// True if it is opened in a browser, once.
    opens: bool,
}

impl Page {
    /// Its address with the clip on it: all that is archived. `None` as long as that is nothing.
    fn clip(&self, site: &Site) -> Result<Option<String>> {
        let always = Range::new(Time::EPOCH, Time::MAX);
        let report = site.place.ledger.report(CHANNEL, always)?;
        let since = site.place.ledger.since(CHANNEL)?;
        let ends = report.first.zip(report.last);
        Ok(ends.map(|(first, last)| {
            // The archive begins somewhere in its first chunk.
            let (from, to) = (since.map_or(first.start(), |since| since.floor_s().plus(SECOND)), last.end());
            format!("{}channel/{CHANNEL}?from={from}&to={to}#play", self.root)
        }))
    }

    /// Shows somebody the way to it.
    fn tell(&self, clip: &str) -> Result<()> {
        if !out::is_terminal() {
            out::data(&format!("{clip}\n"))?;
        }
        // What cannot be opened is no reason to end.
        if self.opens
            && let Err(e) = open(clip)
        {
            out::complain_of(&e);
        }
        Ok(())
    }
}

/// Opens an address as the desktop does. Nobody waits for the browser.
fn open(address: &str) -> Result<()> {
    let opened = Command::new(OPENER).arg(address).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let why = |e| Error::new(Kind::Io, format!("start {OPENER}")).caused_by(e);
    opened.map(drop).map_err(|e| why(e).hint(format!("open it by hand: {address}")))
}

/// A configuration with one channel, and an empty state.
fn set_up(folder: &Path, sim: &Sim) -> Result<(Site, Channel)> {
    let places = Places { config: Some(folder.to_path_buf()), state: Some(folder.join("state")) };
    let url = sim.url(CHANNEL);
    let values = [("channel_url", url.as_str()), ("chunk_duration", CHUNK), ("archive_length", "P1D")];
    places.configuration()?.add(&name(CHANNEL)?, &values)?;
    let site = Site::open_silent(&places)?;
    let channel = site.channel(CHANNEL)?;
    Ok((site, channel))
}

/// Checks again and again, and shows the status meanwhile where there is a terminal. Gives the number of problems.
async fn archive(
    site: &Site,
    channel: &Channel,
    page: Page,
    began: Tick,
    length: Option<Duration>,
) -> Result<usize> {
    let mut problems = 0;
    let mut next_check = Duration::ZERO;
    let mut redraw = tokio::time::interval(REDRAW);
    let mut clip = None;
    loop {
        redraw.tick().await;
        let elapsed = began.elapsed();
        if elapsed >= next_check {
            let reports = check(Arc::clone(&site.place), vec![channel.clone()], &site.check_options()).await;
            problems += reports.iter().filter(|r| r.has_problem()).count();
            reports.iter().for_each(super::check::complain);
            next_check = elapsed + CHECK_EVERY;
        }
        if clip.is_none() {
            clip = page.clip(site)?;
            clip.iter().try_for_each(|clip| page.tell(clip))?;
        }
        if out::is_terminal() {
            let screen = render(&status(&site.place, std::slice::from_ref(channel), clock::now())?);
            let note = "a simulated channel, chunks of 10 seconds, a check every 2 seconds; Ctrl-C ends it";
            let watch = clip.as_ref().map(|clip| format!("\nwatch it: {clip}\n")).unwrap_or_default();
            out::data(&out::redraw(&format!("npvr demo: {note}\n\n{screen}{watch}")))?;
        }
        if length.is_some_and(|length| elapsed >= length) {
            return Ok(problems);
        }
    }
}

async fn read_back(site: &Site, channel: &Channel, folder: &Path) -> Result<ReadAll> {
    let store = DiskStore::open(&folder.join("state").join("archive"))?;
    let always = Range::new(Time::EPOCH, Time::MAX);
    read_all(site.place.ledger.as_ref(), &store, channel.name.as_str(), always).await
}

fn verdict(verified: &ReadAll, problems: usize, took: Duration) -> (String, Exit) {
    let ReadAll { chunks, bytes, fragments, .. } = verified;
    let archived = format!("{}, {fragments} fragments, {}", counted(*chunks, "chunk"), human_bytes(*bytes));
    let took = human_duration(took);
    match verified.problems.len() + problems {
        0 if *chunks > 0 => {
            (format!("archived in {took}: {archived}; all of it read back and verified\n"), Exit::Well)
        }
        0 => (format!("nothing was archived in {took}\n"), Exit::Problem),
        n => (format!("archived in {took}: {archived}; {}\n", counted(n as u64, "problem")), Exit::Problem),
    }
}
