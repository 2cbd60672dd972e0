//! `npvr clip NAME START--END… -o FILE.mp4`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::clip_file::{Target, write};
use super::exit::Exit;
use super::site::{Places, Site};
use super::{bars, out};
use crate::channel::Channel;
use crate::clip::{Ask, Ending, Gap, Missing};
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::playback::movie::{Movie, Plan, learn, plan};
use crate::playback::{Footage, footage};
use crate::playlist::Gaps;
use crate::playlist::mp4::Choice;
use crate::store::{self, Store};
use crate::time::{Range, human_duration};
use crate::words::{counted, human_bytes};

/// Write a range of a channel to an MP4 file
///
/// Nothing is decoded: the file has the media as it was archived, begins and ends exactly where it is asked to, and the same
/// command gives the same bytes. What is interrupted goes on where it ended when the command is run again. Exit code 3:
/// something of the range is missing; the file has the rest.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Channel
    name: String,
    /// START--END in UTC, several with commas between, or START--now
    #[arg(value_name = "RANGES")]
    ranges: String,
    /// File to write; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Which tracks: video=best, video=720, audio=eng, text=none [default: the best pictures, all sound, all text]
    #[arg(long = "track", value_name = "SELECT")]
    tracks: Vec<String>,
    /// What is missing: skip it, mark it (the picture stands still), or fail
    #[arg(long, value_name = "HOW", default_value = "skip", value_parser = ["skip", "mark", "fail"])]
    gaps: String,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What came of it, as JSON.
#[derive(Serialize)]
struct Document {
    schema: u32,
    channel: String,
    file: PathBuf,
    bytes: u64,
    duration_ms: i64,
    tracks: Vec<String>,
    missing: Vec<MissingDocument>,
}

#[derive(Serialize)]
struct MissingDocument {
    range: Range,
    /// Which track; none: all of them.
    track: Option<String>,
    not_yet: bool,
}

pub(crate) async fn run(args: Args, places: &Places) -> Result<Exit> {
    let target = Target::new(&args.output, args.force)?;
    if args.json && target.is_stdout() {
        return Err(Error::new(
            Kind::Usage,
            "the clip and the JSON document cannot both go to standard output",
        )
        .hint("-o FILE.mp4"));
    }
    let choice: Choice = args.tracks.join(" ").parse()?;
    let site = Site::open_silent(places)?;
    let channel = site.channel(&args.name)?;
    let store = store::of_channel(&channel, &site.archive(), true).await?;
    let shown = shown(&site, &channel, store.as_ref(), &args.ranges).await?;
    let name = channel.name.as_str();
    let (ledger, gaps) = (site.place.ledger.as_ref(), args.gaps.parse::<Gaps>()?);
    let planned = plan(ledger, name, &shown, &choice, gaps);
    let planned = planned.map_err(|e| e.context(format_args!("channel {name}")))?;
    let names: Vec<String> = planned.tracks.iter().map(|track| track.name()).collect();
    let missing: Vec<&Gap> = shown.clip.gaps().filter(|gap| concerns(gap, &names)).collect();
    let movie = Arc::new(made(planned, store.as_ref(), &site.place.spool).await?);
    write(&movie, store, name, &target).await?;
    if args.json {
        out::json(&document(&args, &movie, names, &missing))?;
    } else if out::is_watched() {
        let lasts = human_duration(Duration::from_nanos(movie.presented_ns.unsigned_abs()));
        let tracks = counted(names.len() as u64, "track");
        let size = human_bytes(movie.bytes);
        out::say(format_args!("{}  {lasts}, {size}, {tracks}", out::styled(out::STRONG, target.name())));
    }
    for gap in &missing {
        out::complain(format_args!("channel {name}: {}", told(gap)), None);
    }
    Ok(Exit::problem_if(!missing.is_empty()))
}

/// What there is of the ranges. Up to now is up to what is stored by now.
async fn shown(site: &Site, channel: &Channel, store: &dyn Store, ranges: &str) -> Result<Footage> {
    let (name, now) = (channel.name.as_str(), clock::now());
    let (mut ask, ending) = Ask::read(ranges, now)?;
    ask.fits(channel.grid)?;
    if ask.is_ahead_of(now) {
        return Err(Error::new(Kind::NotFound, format!("channel {name}: {ask} is still to come")));
    }
    let read = |ask: &Ask| footage(site.place.ledger.as_ref(), name, channel.grid, ask, now);
    let mut found = read(&ask)?;
    let last = found.clip.runs().last().map(|run| run.range.end);
    let first = ask.ranges().first().map(|range| range.start);
    if let (true, Some(end), Some(start)) = (ending != Ending::Fixed, last, first) {
        ask = Ask::from(Range::new(start, end));
        found = read(&ask)?;
    }
    if found.clip.is_empty() {
        let error = Error::new(Kind::NotFound, format!("channel {name}: nothing of {ask} is archived"));
        return Err(error.hint(format!("npvr status {name} shows what is archived")));
    }
    learn(store, name, &mut found).await?;
    Ok(found)
}

/// Makes the head, and shows how far it is.
async fn made(plan: Plan, store: &dyn Store, folder: &Path) -> Result<Movie> {
    let bar = bars::steps("looking at", plan.chunks() as u64, "chunks");
    let movie = plan.make(store, folder, || bar.inc(1)).await;
    bar.finish_and_clear();
    movie
}

/// True for what is missing of what was asked for.
fn concerns(gap: &Gap, tracks: &[String]) -> bool {
    match &gap.what {
        Missing::Track(name) => tracks.contains(name),
        Missing::All | Missing::NotYet => true,
    }
}

fn told(gap: &Gap) -> String {
    match &gap.what {
        Missing::All => format!("{} is not archived", gap.range),
        Missing::NotYet => format!("{} is not archived yet", gap.range),
        Missing::Track(track) => format!("{} of {track} is not archived", gap.range),
    }
}

fn document(args: &Args, movie: &Movie, tracks: Vec<String>, missing: &[&Gap]) -> Document {
    let of = |gap: &&Gap| MissingDocument {
        range: gap.range,
        track: if let Missing::Track(name) = &gap.what { Some(name.clone()) } else { None },
        not_yet: gap.what == Missing::NotYet,
    };
    Document {
        schema: 1,
        channel: args.name.clone(),
        file: args.output.clone(),
        bytes: movie.bytes,
        duration_ms: movie.presented_ns / 1_000_000,
        tracks,
        missing: missing.iter().map(of).collect(),
    }
}
