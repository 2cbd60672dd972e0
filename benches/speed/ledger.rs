//! A claim in a ledger of two million chunks, beside one in a ledger of two thousand; and what pruning reads of all of them.
//!
//! A claim is what every capture waits for, alone, while others wait behind it. It ends with the disk's own answer (the
//! ledger survives a power cut), which takes 0.2 ms or 10, as the disk is and as others use it. So a write of as much and its
//! fsync, to a file beside it, are measured in the same turns, and do not count.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use npvr::clock::Tick;
use npvr::grid::{Cell, Grid};
use npvr::ledger::{Claimed, Ledger, SqliteLedger};
use npvr::time::{Range, Time};

use crate::cost::{empty, heading, spread};
use crate::{Figure, Result, folder};

/// Two thousand chunks each: five-minute chunks of a week.
const CHANNELS: u32 = 1_000;
const CHUNKS: u32 = 2_000;
pub(crate) const CHUNK_S: u32 = 300;
/// Where the archive begins, in seconds since 1970, on the grid.
pub(crate) const SINCE_S: i64 = 1_800_000_000;
const CLAIMS: usize = 301;
const ROUNDS: usize = 5;
/// About what a claim writes to the log of the database: a few pages.
const PAGES: [u8; 16 * 1024] = [0; 16 * 1024];

/// Claims, and reads, in a large ledger and in a small one.
pub(crate) fn claim() -> Result<Vec<Figure>> {
    let site = folder("ledger")?;
    empty(&site)?;
    println!("writing {} chunks of {CHANNELS} channels…", CHANNELS * CHUNKS);
    let (large, small) = (site.join("large"), site.join("small"));
    fill(&large, CHANNELS, CHUNKS)?;
    fill(&small, 1, CHUNKS)?;
    let (large, small) = (SqliteLedger::open(&large)?, SqliteLedger::open(&small)?);
    let mut beside = File::create(site.join("beside"))?;
    let (mut in_large, mut in_small, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..CLAIMS {
        in_large.push(claim_one(&large, n)?);
        in_small.push(claim_one(&small, n)?);
        let began = Tick::now();
        beside.write_all(&PAGES)?;
        beside.sync_data()?;
        syncs.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    heading(&format!("claims in turns, {CLAIMS} times"));
    let (in_large, in_small) = (spread(in_large), spread(in_small));
    in_large.print("in 2,000,000 chunks", "ms");
    in_small.print("in 2,000 chunks", "ms");
    let syncs = spread(syncs);
    syncs.print("a write of 16 KiB and its fsync", "ms");
    let reads = (0..ROUNDS).map(|_| read_for_pruning(&large)).collect::<Result<Vec<_>>>()?;
    heading(&format!("what pruning reads of {CHANNELS} channels, {ROUNDS} times"));
    let reads = spread(reads);
    reads.print("sums, and every chunk oldest first", "s");
    drop((large, small));
    empty(&site)?;
    let figure = |what, value, unit, limit| Figure { what, value, unit, limit };
    Ok(vec![
        figure(
            "claim in 2,000,000 chunks, its fsync apart",
            (in_large.median - syncs.median).max(0.0),
            "ms",
            1.0,
        ),
        figure("all of it / in 2,000 chunks", in_large.median / in_small.median, "×", 1.5),
        figure("what pruning reads of 1,000 channels × 2,000 chunks", reads.median, "s", 2.0),
    ])
}

/// How long the `n`th claim takes, in ms: the channels in turn, and a cell that is new.
fn claim_one(ledger: &SqliteLedger, n: usize) -> Result<f64> {
    let n = u32::try_from(n)?;
    let cell = Grid::new(Duration::from_secs(CHUNK_S.into()))?
        .cell_at(Time::from_s(SINCE_S + i64::from((CHUNKS + n) * CHUNK_S)));
    let channels = ledger.channels()?;
    let channel = &channels[n as usize * 7 % channels.len()];
    let began = Tick::now();
    let claimed = ledger.claim(channel, cell, "native", cell.end(), "bench", 1)?;
    let ms = began.elapsed().as_secs_f64() * 1_000.0;
    if matches!(claimed, Claimed::Job { .. }) { Ok(ms) } else { Err(format!("{claimed:?}").into()) }
}

/// Sums of each channel, and each chunk, oldest first, in pages: as if all of them had to go.
fn read_for_pruning(ledger: &SqliteLedger) -> Result<f64> {
    let all = Range::new(Time::EPOCH, Time::MAX);
    let mut chunks = 0;
    let began = Tick::now();
    for channel in ledger.channels()? {
        black_box(ledger.report(&channel, all)?);
        let mut after: Option<Cell> = None;
        loop {
            let page = ledger.oldest(&channel, after, 1_000)?;
            let Some(last) = page.last() else { break };
            after = Some(last.cell);
            chunks += page.len();
        }
    }
    let s = began.elapsed().as_secs_f64();
    if chunks < (CHANNELS * CHUNKS) as usize {
        return Err(format!("{chunks} chunks are not all").into());
    }
    Ok(s)
}

/// A ledger of so many channels, each with its chunks, their jobs and their indexes. Through the database itself: two million
/// commits would take hours of fsyncs.
pub(crate) fn fill(state: &Path, channels: u32, chunks: u32) -> Result<()> {
    drop(SqliteLedger::open(state)?);
    let database = rusqlite::Connection::open(state.join("ledger.db"))?;
    database.pragma_update(None, "synchronous", "OFF")?;
    database.execute_batch(&format!(
        "BEGIN;
         INSERT INTO channel (id, name, since_ns, longest_cell_s)
            WITH RECURSIVE channels (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM channels WHERE id < {channels})
            SELECT id, printf('bench-%04d', id), {SINCE_S}000000000, {CHUNK_S} FROM channels;
         CREATE TEMP TABLE cell AS
            WITH RECURSIVE chunks (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM chunks WHERE n + 1 < {chunks})
            SELECT c.id AS channel, c.name, n, {SINCE_S} + n * {CHUNK_S} AS start_s FROM chunks CROSS JOIN channel c;
         INSERT INTO job (id, channel_id, start_s, end_s, engine, outcome, started_ns, ended_ns, host, pid, bytes, segments)
            SELECT n * {channels} + channel, channel, start_s, start_s + {CHUNK_S}, 'native', 'complete',
                   start_s * 1000000000, start_s * 1000000000, 'bench', 1, 200000000, 450 FROM cell;
         INSERT INTO chunk (channel_id, start_s, end_s, state, stored, key, bytes, sha256, job_id, updated_ns)
            SELECT channel, start_s, start_s + {CHUNK_S}, 'complete', 'complete',
                   name || strftime('/%Y-%m-%d/', start_s, 'unixepoch') || strftime('%Y-%m-%dT%H:%M:%SZ--', start_s, 'unixepoch')
                   || strftime('%Y-%m-%dT%H:%M:%SZ', start_s + {CHUNK_S}, 'unixepoch') || '.ismv',
                   200000000, zeroblob(32), n * {channels} + channel, start_s * 1000000000
            FROM cell ORDER BY channel, start_s;
         INSERT INTO chunk_index (channel_id, start_s, end_s, fragments)
            SELECT channel_id, start_s, end_s, zeroblob(64) FROM chunk;
         COMMIT;"
    ))?;
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
