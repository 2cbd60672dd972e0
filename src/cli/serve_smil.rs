//! `npvr serve-smil`.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::error::{Context, Error, Kind, Result};
use crate::http::{App, Limits, Options, Routes, serve};

/// Serve playlists for Unified Remix, the API, and pages
///
/// Reads the ledger and the channel files as they are at each request, so it runs beside `check` and never needs a restart.
/// Ends, with the answers that are under way, on Ctrl-C or SIGTERM.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where clients reach this server, if not as their requests say
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
}

pub(crate) async fn run(args: Args, places: &Places) -> Result<Exit> {
    let Args { listen, public_url } = args;
    if !listen.ip().is_loopback() {
        return Err(Error::new(Kind::Usage, format!("{listen} can be reached from other hosts"))
            .hint("listen on 127.0.0.1, behind a proxy that knows who may ask"));
    }
    let site = Site::open_silent(places)?;
    let app = Arc::new(App::new(
        site.place.clone(),
        site.configuration(),
        Options { archive: site.archive(), public_url },
    ));
    let routes = Routes::new()?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
    let address = listener.local_addr().context("listen")?;
    out::data(&format!("http://{address}/\n"))?;
    let mut terminate = signal(SignalKind::terminate()).context("wait for SIGTERM")?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            // Without a handler for Ctrl-C the process ends by it all the same.
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    serve(app, routes, Limits::default(), listener, stop).await;
    Ok(Exit::Well)
}
