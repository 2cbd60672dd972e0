//! What a server reads of the ledger for every page and playlist: the overview of many channels, and cells by the hundred.

use std::sync::Arc;
use std::time::Duration;

use npvr::capture::{Event, Observer, Workplace};
use npvr::channel::{Channel, Layer, Settings};
use npvr::clock::Tick;
use npvr::error::{Error, Kind};
use npvr::grid::{Cell, Grid};
use npvr::ledger::{Claimed, Ledger, SqliteLedger};
use npvr::status::Overviews;
use npvr::time::{Range, Time};

use crate::cost::{Spread, empty, heading, resident_kib, spread};
use crate::ledger::{CHUNK_S, SINCE_S, fill};
use crate::{Figure, Result, folder};

/// Five-minute chunks of a week.
const CHANNELS: u32 = 200;
const CHUNKS: u32 = 2_016;
const SLOTS: usize = 96;
const LOOKS: usize = 31;
const READS: u32 = 1_000;

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _channel: &str, _cell: Cell, _event: Event) {}
}

/// The overview of 200 channels × 2,016 cells, the first time and again; and what a playlist reads.
pub(crate) fn overview() -> Result<Vec<Figure>> {
    let site = folder("overview")?;
    empty(&site)?;
    println!("writing {} chunks of {CHANNELS} channels…", CHANNELS * CHUNKS);
    fill(&site, CHANNELS, CHUNKS)?;
    let ledger = Arc::new(SqliteLedger::open(&site)?);
    let place = Workplace::new(ledger, site.join("spool"), "bench".to_owned(), Arc::new(Nobody));
    let channels = place.ledger.channels()?.iter().map(|name| channel(name)).collect::<Result<Vec<_>>>()?;
    let now = Time::from_s(SINCE_S + i64::from(CHUNKS * CHUNK_S));
    let before_kib = resident_kib()?;
    let overviews = Overviews::new();
    let look = |n: usize| -> Result<f64> {
        let began = Tick::now();
        let overview = overviews.at(&place, &channels, SLOTS, now.plus(Duration::from_secs(n as u64)))?;
        let ms = began.elapsed().as_secs_f64() * 1_000.0;
        if overview.channels.iter().any(|row| row.counts.complete < u64::from(CHUNKS) - 1) {
            return Err("a channel is not whole".into());
        }
        Ok(ms)
    };
    let cold = look(0)?;
    let after_kib = resident_kib()?;
    let warm = (1..LOOKS).map(look).collect::<Result<Vec<_>>>()?;
    // Of one channel in ten something changes between two looks.
    let mut busy = Vec::new();
    for n in 1..LOOKS {
        for channel in channels.iter().skip(n % 10).step_by(10) {
            claim(place.ledger.as_ref(), channel.name.as_str(), n)?;
        }
        busy.push(look(LOOKS + n)?);
    }
    heading(&format!("overview of {CHANNELS} channels × {CHUNKS} chunks, {LOOKS} times"));
    let (warm, busy) = (spread(warm), spread(busy));
    spread(vec![cold]).print("the first time", "ms");
    warm.print("where nothing has changed", "ms");
    busy.print("where a tenth of the channels has", "ms");
    println!("kept in memory: {} KiB at most", after_kib.saturating_sub(before_kib));
    heading(&format!("what a playlist reads, {READS} times"));
    let (hour, day) = (shelf(place.ledger.as_ref(), 12)?, shelf(place.ledger.as_ref(), 288)?);
    hour.print("13 cells", "µs");
    day.print("289 cells", "µs");
    drop((place, channels));
    empty(&site)?;
    let figure = |what, value, unit, limit| Figure { what, value, unit, limit };
    Ok(vec![
        figure("overview of 200 × 2,016 cells, nothing new", warm.median, "ms", 20.0),
        figure("overview, a tenth of the channels new", busy.median, "ms", 100.0),
        figure("overview, the first time", cold, "ms", 1_000.0),
        figure("cells for a playlist of 1 hour", hour.median, "µs", 15.0),
        figure("cells for a playlist of 24 hours", day.median, "µs", 100.0),
    ])
}

fn channel(name: &str) -> Result<Arc<Channel>> {
    let text =
        "channel_url = \"http://127.0.0.1/x.mpd\"\nchunk_duration = \"PT5M\"\narchive_length = \"P7D\"\n";
    let (file, settings) = (Layer::parse(text, "bench.toml")?, Settings::parse("", "")?);
    let none = |_: &_| Err(Error::new(Kind::NotFound, "no secret"));
    Ok(Arc::new(Channel::resolve(&name.parse()?, &file, &settings.defaults, &none)?))
}

/// Claims a cell after those that are there.
fn claim(ledger: &dyn Ledger, channel: &str, n: usize) -> Result<()> {
    let n = u32::try_from(n)?;
    let cell = Grid::new(Duration::from_secs(CHUNK_S.into()))?
        .cell_at(Time::from_s(SINCE_S + i64::from((CHUNKS + n) * CHUNK_S)));
    let claimed = ledger.claim(channel, cell, "native", cell.end(), "bench", 1)?;
    if matches!(claimed, Claimed::Job { .. }) { Ok(()) } else { Err(format!("{claimed:?}").into()) }
}

/// How long it takes, in µs, to read a range that begins within a cell and is `cells` long, of all channels in turn.
fn shelf(ledger: &dyn Ledger, cells: u32) -> Result<Spread> {
    let names = ledger.channels()?;
    let length = Duration::from_secs((cells * CHUNK_S).into());
    let mut times = Vec::new();
    for n in 0..READS {
        let start = Time::from_s(SINCE_S + 7 + i64::from(n % (CHUNKS - cells - 1) * CHUNK_S));
        let name = &names[n as usize * 7 % names.len()];
        let began = Tick::now();
        let found = ledger.shelf(name, Range::new(start, start.plus(length)))?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
        if found.len() != cells as usize + 1 {
            return Err(format!("{} cells are not {}", found.len(), cells + 1).into());
        }
    }
    Ok(spread(times))
}
