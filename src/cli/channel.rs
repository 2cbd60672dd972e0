//! `npvr channel add | list | show | remove | enable | disable | probe`.

use std::time::Duration;

use clap::Subcommand;
use url::Url;

use super::bucket::{self, BucketArgs};
use super::exit::Exit;
use super::out::{self, FAINT, STRONG, WARN, styled};
use super::site::{Places, name};
use crate::channel::{Channel, Name};
use crate::channels::Channels;
use crate::error::{Error, Kind, Result};
use crate::source::{self, Source, SourceKind, redacted};
use crate::time::{format_duration, human_duration};
use crate::timeline::Timeline;
use crate::words::counted;

/// Add, list, change and try out channels
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a channel: asks its source what it has, and writes channels.d/NAME.toml
    Add(Box<Add>),
    /// List the channels
    List,
    /// Print a channel's file
    Show {
        /// Channel
        name: String,
    },
    /// Remove a channel's file; what is archived stays
    Remove {
        /// Channel
        name: String,
    },
    /// Let check see a channel again
    Enable {
        /// Channel
        name: String,
    },
    /// Let check leave a channel alone
    Disable {
        /// Channel
        name: String,
    },
    /// Ask a source what it has: kind, tracks, window, lag; and try the bucket of a channel out
    Probe {
        /// A channel, or the URL of a source
        #[arg(value_name = "NAME|URL")]
        what: String,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Its name: letters, digits, '.', '_' and '-', at most 64
    name: String,
    /// Publishing point (….isml) or DASH manifest
    #[arg(long)]
    url: String,
    /// Length of a chunk [default: PT5M]
    #[arg(long, value_name = "DURATION")]
    chunk: Option<String>,
    /// How long a chunk is kept [default: P7D]
    #[arg(long, value_name = "DURATION")]
    keep: Option<String>,
    /// The most that its chunks may take, like 2TB [default: no limit]
    #[arg(long, value_name = "SIZE")]
    keep_size: Option<String>,
    /// Tracks to archive, like video,audio=eng [default: all]
    #[arg(long, value_name = "TRACKS")]
    tracks: Option<String>,
    /// Folder for its chunks [default: under the state folder]
    #[arg(long, value_name = "PATH")]
    disk: Option<String>,
    /// Do not ask source and store first
    #[arg(long)]
    no_probe: bool,
    #[command(flatten)]
    bucket: BucketArgs,
}

pub(crate) async fn run(args: Args, places: &Places) -> Result<Exit> {
    let channels = places.configuration()?;
    match args.command {
        Command::Add(add) => self::add(&add, &channels).await,
        Command::List => list(&channels),
        Command::Show { name: n } => {
            let name = name(&n)?;
            out::data(&channels.text(&name)?)?;
            Ok(Exit::Well)
        }
        Command::Remove { name: n } => {
            let name = name(&n)?;
            channels.remove(&name)?;
            out::say(format_args!("channel {name} is removed; what is archived of it stays"));
            Ok(Exit::Well)
        }
        Command::Enable { name } => switch(&channels, &name, true),
        Command::Disable { name } => switch(&channels, &name, false),
        Command::Probe { what } => probe(&what, &channels).await,
    }
}

async fn add(add: &Add, channels: &Channels) -> Result<Exit> {
    let name = name(&add.name)?;
    let given = [
        ("channel_url", Some(&add.url)),
        ("chunk_duration", add.chunk.as_ref()),
        ("archive_length", add.keep.as_ref()),
        ("archive_size", add.keep_size.as_ref()),
        ("tracks", add.tracks.as_ref()),
        ("disk.path", add.disk.as_ref()),
    ];
    let given = given.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?.as_str())));
    let values: Vec<(&str, &str)> = given.chain(add.bucket.values()).collect();
    let channel = channels.preview(&name, &values)?;
    if !add.no_probe {
        let all_the_same = |e: Error| {
            e.context(format!("channel {name}"))
                .hint("add it all the same with --no-probe, and mend its file then")
        };
        let source = source::of_channel(&channel, None)?;
        let timeline = source.timeline().await.map_err(all_the_same)?;
        out::data(&describe(&channel.url, &timeline)?)?;
        out::data(&add.bucket.try_out(&channel).await.map_err(all_the_same)?)?;
    }
    channels.add(&name, &values)?;
    out::say(format_args!(
        "channel {name} is added: {} (chunks of {}, kept for {})\nnext: npvr check {name}",
        channels.file(&name).display(),
        format_duration(channel.grid.duration()),
        format_duration(channel.archive_length),
    ));
    Ok(Exit::Well)
}

fn list(channels: &Channels) -> Result<Exit> {
    let mut any_unusable = false;
    for channel in channels.load_all()? {
        match channel {
            Ok(c) => {
                let note = if c.enabled { String::new() } else { styled(WARN, "  disabled") };
                let (chunk, keep) = (format_duration(c.grid.duration()), format_duration(c.archive_length));
                let name = styled(STRONG, format!("{:<16}", c.name));
                out::data(&format!("{name}  {chunk:<6} {keep:<5}  {}{note}\n", redacted(&c.url)))?;
            }
            Err(e) => {
                out::complain_of(&e);
                any_unusable = true;
            }
        }
    }
    Ok(Exit::problem_if(any_unusable))
}

fn switch(channels: &Channels, text: &str, enabled: bool) -> Result<Exit> {
    let name: Name = name(text)?;
    let word = if enabled { "enabled" } else { "disabled" };
    let changed = channels.set_enabled(&name, enabled)?;
    out::say(format_args!("channel {name} {} {word}", if changed { "is now" } else { "was already" }));
    Ok(Exit::Well)
}

async fn probe(what: &str, channels: &Channels) -> Result<Exit> {
    let (url, source, channel): (Url, Box<dyn Source>, Option<Channel>) = if what.contains("://") {
        let url =
            Url::parse(what).map_err(|e| Error::new(Kind::Usage, format!("{what:?} is no URL: {e}")))?;
        let source = source::open(SourceKind::of(&url)?, &url, source::Options::default())?;
        (url, source, None)
    } else {
        let channel = channels.load(&name(what)?)?;
        (channel.url.clone(), source::of_channel(&channel, None)?, Some(channel))
    };
    let timeline = source.timeline().await?;
    out::data(&describe(&url, &timeline)?)?;
    if let Some(channel) = channel {
        let store = bucket::describe(&channel).await;
        out::data(&store.map_err(|e| e.context(format!("channel {}", channel.name)))?)?;
    }
    Ok(Exit::Well)
}

/// What a source has, as people read it.
fn describe(url: &Url, timeline: &Timeline) -> Result<String> {
    let kind = match SourceKind::of(url)? {
        SourceKind::Unified => "Unified Origin publishing point",
        SourceKind::Dash if timeline.live => "live DASH",
        SourceKind::Dash => "DASH that has ended",
    };
    let mut text = format!("{}\n  {:<8}{kind}\n", styled(STRONG, redacted(url)), "kind");
    let mut line = |label: &str, said: String| text += &format!("  {label:<8}{said}\n");
    match timeline.span() {
        Some(span) => {
            let start = span.start.max(timeline.window_start);
            let length = human_duration(span.end.since(start));
            line("window", format!("{length}: {} to {}", start.floor_s(), span.end.floor_s()));
        }
        None => line("window", styled(WARN, "empty: it holds no media yet")),
    }
    if let Some(lag) = timeline.lag().filter(|_| timeline.live) {
        let shown =
            if lag < Duration::from_secs(1) { "less than 1s".to_owned() } else { human_duration(lag) };
        line("lag", format!("{shown} behind its clock"));
    }
    for (n, track) in timeline.tracks.iter().enumerate() {
        let note = match track.held.as_slice().len() {
            0 | 1 => String::new(),
            n => styled(FAINT, format!("  {} in the window", counted(n as u64 - 1, "gap"))),
        };
        line(if n == 0 { "tracks" } else { "" }, format!("{}{note}", track.track));
    }
    for note in &timeline.notes {
        line("note", note.clone());
    }
    Ok(text)
}
