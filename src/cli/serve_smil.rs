//! `npvr serve-smil`: what is asked for, on the command line and in `npvr.toml`, and whether it is safe.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::exit::Exit;
use super::out;
use super::serving;
use super::site::{Places, Site};
use crate::channel::{HlsJs, Serve};
use crate::error::{Error, Kind, Result};
use crate::http::systemd::Handed;
use crate::http::{
    Address, App, Guard, Library, Limits, Listener, Options, Routes, Rules, Server, Tokens, read_key,
};

/// Where it listens where nothing is said.
const USUAL: &str = "127.0.0.1:8080";
/// How many dear requests a client has a minute where nothing is said.
const DEAR_PER_MINUTE: u32 = 120;

/// Serve playlists for Unified Remix, the API, and pages
///
/// Reads the ledger and the channel files as they are at each request, so it runs beside `check` and never needs a restart.
/// Everything can also be said in [serve] of npvr.toml; flags win. Ends, with the answers that are under way, on Ctrl-C or
/// SIGTERM; the second Ctrl-C ends it at once. SIGHUP opens the access log anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen, repeatable: 127.0.0.1:8080 (the default), or unix:/run/npvr.sock; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Where clients reach this server, if not as their requests say
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// A name by which clients call this server, repeatable: beside its own, localhost, that of --public-url, and plain addresses;
    /// '*' lets any name pass
    #[arg(long = "host", value_name = "NAME", help_heading = "Access")]
    hosts: Vec<String>,
    /// Tokens that may change something, and read: one a line. Needed where other hosts can reach this one
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    token_file: Option<PathBuf>,
    /// Tokens that may read: then nobody reads without one
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    read_token_file: Option<PathBuf>,
    /// Let nobody change anything
    #[arg(long, help_heading = "Access")]
    read_only: bool,
    /// A proxy that is believed when it says who its client is, repeatable
    #[arg(long, value_name = "ADDRESS", help_heading = "Access")]
    trust_proxy: Vec<String>,
    /// Dear requests that a client has a minute; 0 for no limit [default: 120]
    #[arg(long, value_name = "N", help_heading = "Access")]
    dear_per_minute: Option<u32>,
    /// hls.js, for browsers that play no HLS by themselves: its file or folder on this host, or an https URL
    #[arg(long, value_name = "PATH|URL")]
    hls_js: Option<HlsJs>,
    /// Connections at once [default: 4096]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Write a line for each request; - for standard output
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
}

impl Args {
    /// What is in force: the flags, and what the file says where there is none.
    fn over(self, file: Serve) -> Serve {
        let first = |flags: Vec<String>, file: Vec<String>| if flags.is_empty() { file } else { flags };
        Serve {
            listen: first(self.listen, file.listen),
            public_url: self.public_url.or(file.public_url),
            hosts: first(self.hosts, file.hosts),
            token_file: self.token_file.or(file.token_file),
            read_token_file: self.read_token_file.or(file.read_token_file),
            read_only: self.read_only || file.read_only,
            trust_proxy: first(self.trust_proxy, file.trust_proxy),
            access_log: self.access_log.or(file.access_log),
            connections: self.connections.or(file.connections),
            dear_per_minute: self.dear_per_minute.or(file.dear_per_minute),
            hls_js: self.hls_js.or(file.hls_js),
        }
    }
}

/// Not in the runtime yet: what systemd hands over is taken while there is one thread.
pub(crate) fn run(args: Args, places: &Places) -> Result<Exit> {
    let handed = Handed::take()?;
    super::block_on(serve(args, places, handed))
}

async fn serve(args: Args, places: &Places, handed: Handed) -> Result<Exit> {
    let site = Site::open_silent(places)?;
    let serve = args.over(site.serve());
    let rules = rules(&serve)?;
    let listeners = listeners(&serve, handed).await?;
    let log = serve.access_log.as_deref().map(serving::access_log).transpose()?.map(Arc::new);
    let options = Options {
        public_url: serve.public_url.clone(),
        guard: Guard::new(rules),
        read_only: serve.read_only,
        library: serve.hls_js.as_ref().map(Library::find).transpose()?,
        ..Options::usual(site.archive())
    };
    let app = Arc::new(App::new(site.place.clone(), site.configuration(), options));
    tell_of_keys(&app)?;
    let routes = Routes::new()?.telling(|what| out::complain(what, None));
    let routes = if serve.read_only { routes.read_only() } else { routes };
    let mut limits = Limits::default();
    limits.connections = serving::room_for(serve.connections.unwrap_or(limits.connections));
    serving::run(Server { app, routes, limits, log }, listeners).await?;
    Ok(Exit::Well)
}

/// Says which keys of signed links cannot be used, or are everybody's.
fn tell_of_keys(app: &App) -> Result<()> {
    for channel in &app.channels()?.channels {
        super::sign::tell_of_open_keys(channel);
        for file in &channel.sign_key_files {
            // Its links are good again when the file is there.
            if let Err(e) = read_key(file) {
                out::complain_of(&e.context(format!("channel {}", channel.name)));
            }
        }
    }
    Ok(())
}

/// Who may do what.
fn rules(serve: &Serve) -> Result<Rules> {
    if serve.read_token_file.is_some() && serve.token_file.is_none() && !serve.read_only {
        let what = "reading needs a token, and changing something needs none";
        return Err(Error::new(Kind::Usage, what).hint("give --token-file FILE, too, or --read-only"));
    }
    let tokens = |file: &Option<PathBuf>| file.as_deref().map(tokens).transpose();
    let mut names = serve.hosts.clone();
    names.extend(serve.public_url.as_ref().and_then(|url| url.host_str()).map(str::to_owned));
    // What the host calls itself: with its domain, and without.
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    names.extend(own.split_once('.').map(|(first, _)| first.to_owned()));
    names.push(own);
    let proxy = |text: &String| {
        let wrong = |_| Error::new(Kind::Usage, format!("a proxy is not an address: {text}"));
        text.parse::<IpAddr>().map_err(wrong).map_err(|e| e.hint("write it like 127.0.0.1"))
    };
    Ok(Rules {
        names,
        writers: tokens(&serve.token_file)?,
        readers: tokens(&serve.read_token_file)?,
        proxies: serve.trust_proxy.iter().map(proxy).collect::<Result<_>>()?,
        dear_per_minute: serve.dear_per_minute.unwrap_or(DEAR_PER_MINUTE),
    })
}

fn tokens(file: &Path) -> Result<Tokens> {
    let tokens = Tokens::open(file)?;
    if tokens.is_open_to_all() {
        let hint = format!("chmod o= {}", file.display());
        out::complain(
            format!("token file {}: every user of this host can get at it", file.display()),
            Some(&hint),
        );
    }
    Ok(tokens)
}

/// The sockets: those of systemd, or where it was said. None that others can reach where anybody could write.
async fn listeners(serve: &Serve, handed: Handed) -> Result<Vec<Listener>> {
    let is_safe = |address: &Address| {
        if serve.read_only || serve.token_file.is_some() || address.is_local() {
            return Ok(());
        }
        let what = format!("{address} can be reached from other hosts, which could change everything");
        Err(Error::new(Kind::Usage, what).hint(
            "give --token-file FILE, with a token a line, or --read-only; or listen on 127.0.0.1, behind a proxy",
        ))
    };
    if !handed.is_empty() {
        let listeners = handed.listeners()?;
        listeners.iter().try_for_each(|listener| is_safe(listener.address()))?;
        return Ok(listeners);
    }
    let usual = [USUAL.to_owned()];
    let said = if serve.listen.is_empty() { &usual[..] } else { &serve.listen };
    let addresses = said.iter().map(|text| text.parse()).collect::<Result<Vec<Address>>>()?;
    addresses.iter().try_for_each(is_safe)?;
    let mut listeners = Vec::new();
    for address in &addresses {
        listeners.push(Listener::bind(address).await?);
    }
    Ok(listeners)
}
