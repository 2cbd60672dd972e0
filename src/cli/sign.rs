//! `npvr sign NAME START--END`: a signed link, for a player that can send no token.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use url::Url;

use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::channel::Channel;
use crate::clip::Ask;
use crate::clock;
use crate::error::{Context, Error, Kind, Result};
use crate::http::{Base, is_open_to_all, read_key};
use crate::time::{Time, parse_duration};

/// The longest that a link is good.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Print a link that lets whoever has it play a range, for a while
///
/// The channel needs a key for it: playback.sign_key_files in its file. Playlists hand the signature on, so the one link is
/// enough for a player. Nobody can take it back but by taking the key away.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Channel
    name: String,
    /// Ranges in UTC, START--END,START--END, or START-- for one that goes on; or a path of the server, /hls/…, and with a
    /// slash at its end everything below it
    #[arg(value_name = "START--END|PATH")]
    what: String,
    /// What it is a link to, if ranges are given
    #[arg(long = "as", value_enum, default_value_t = Form::Hls)]
    form: Form,
    /// How long it is good
    #[arg(long = "for", value_name = "DURATION", default_value = "PT6H")]
    lasting: String,
    /// What the link begins with [default: serve.public_url in npvr.toml, or nothing]
    #[arg(long, value_name = "URL")]
    base: Option<Url>,
}

/// What plays a range.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Hls,
    Dash,
    Mp4,
    Smil,
}

impl Form {
    fn path(self, name: &str, ranges: &str) -> String {
        match self {
            Form::Hls => format!("/hls/{name}/{ranges}/master.m3u8"),
            Form::Dash => format!("/dash/{name}/{ranges}.mpd"),
            Form::Mp4 => format!("/mp4/{name}/{ranges}.mp4"),
            Form::Smil => format!("/smil/{name}/{ranges}.smil"),
        }
    }
}

pub(crate) fn run(args: &Args, places: &Places) -> Result<Exit> {
    let now = clock::now();
    let until = until(&args.lasting, now)?;
    let site = Site::open_silent(places)?;
    let channel = site.channel(&args.name)?;
    let path = match args.what.starts_with('/') {
        true => args.what.clone(),
        false => {
            Ask::read(&args.what, now)?;
            args.form.path(channel.name.as_str(), &args.what)
        }
    };
    let key = read_key(key_file(&channel)?).with_context(|| format!("channel {}", channel.name))?;
    tell_of_open_keys(&channel);
    let base = args.base.clone().or(site.serve().public_url);
    let base = base.map(|url| Base::of_url(&url).url("")).unwrap_or_default();
    out::data(&format!("{base}{}\n", key.link(&path, until)))?;
    Ok(Exit::Well)
}

/// Says which keys of a channel any user of this host can read.
pub(super) fn tell_of_open_keys(channel: &Channel) {
    for file in channel.sign_key_files.iter().filter(|file| is_open_to_all(file)) {
        let what = format!("key file {}: every user of this host can get at it", file.display());
        out::complain(what, Some(&format!("chmod 600 {}", file.display())));
    }
}

fn key_file(channel: &Channel) -> Result<&Path> {
    channel.sign_key_files.first().map(|file| file.as_path()).ok_or_else(|| {
        Error::new(Kind::Config, format!("channel {}: it has no key to sign links with", channel.name))
            .hint("sign_key_files = [\"/etc/npvr/news.sign\"] in [playback]; (umask 077; openssl rand -hex 32 > FILE)")
    })
}

fn until(lasting: &str, now: Time) -> Result<Time> {
    let lasting = parse_duration(lasting)?;
    if lasting < Duration::from_secs(1) || lasting > LONGEST {
        return Err(Error::new(Kind::Usage, "a link is good for a second to a year"));
    }
    Ok(now.plus(lasting))
}
