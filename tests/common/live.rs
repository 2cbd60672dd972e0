//! A simulated origin in the test's own process, with a clock that the test moves: what it holds is what the test says,
//! however slow the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use npvr::sim::{Fault, FaultKind, Options, Requests, Sim, serve};
use npvr::time::{Range, Time};
use tokio::runtime::Runtime;

/// The length of a cell in these tests, in seconds.
pub(crate) const CELL_S: i64 = 10;

/// After so many seconds cells, segments of 1.92 s, and the frames by which audio shifts its own lie as before.
const CYCLE_S: i64 = 720;

/// A running origin. It ends when it is dropped.
pub(crate) struct Live {
    // Before the runtime: fields are dropped in this order, and the simulation needs it.
    sim: Sim,
    clock: Arc<AtomicI64>,
    runtime: Runtime,
}

impl Live {
    /// An origin that holds `cells` whole cells and the last seconds of the one before them, and whose clock stands still.
    /// It stands at most twelve minutes ago (so that nothing is older than a retention), at the end of a cell at which
    /// segments lie as they always do in these tests, plus what that cell needs to settle.
    pub(crate) fn holding(cells: i64) -> Live {
        Live::with(cells, |_| {})
    }

    /// The same with other options.
    pub(crate) fn with(cells: i64, change: impl FnOnce(&mut Options)) -> Live {
        let end = npvr::clock::now().s() / CYCLE_S * CYCLE_S;
        let clock = Arc::new(AtomicI64::new(Time::from_s(end + SETTLE_S).ns()));
        let reader = Arc::clone(&clock);
        let window = Duration::from_secs(u64::try_from(cells * CELL_S + SETTLE_S + HEAD_S).unwrap());
        let mut options = Options {
            window,
            dvr_window: window,
            clock: Arc::new(move || Time::from_ns(reader.load(Ordering::SeqCst))),
            ..Options::default()
        };
        change(&mut options);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let sim = runtime.block_on(serve(options)).unwrap();
        Live { sim, clock, runtime }
    }

    /// What the clock says.
    pub(crate) fn now(&self) -> Time {
        Time::from_ns(self.clock.load(Ordering::SeqCst))
    }

    /// Moves the clock on.
    pub(crate) fn go_on(&self, seconds: i64) {
        self.clock.fetch_add(Time::from_s(seconds).ns(), Ordering::SeqCst);
    }

    /// The end of the last cell that is settled at this moment.
    pub(crate) fn end(&self) -> Time {
        Time::from_s((self.now().s() - SETTLE_S) / CELL_S * CELL_S)
    }

    /// The `n`th cell before [`Live::end`]; 0 is the last one.
    pub(crate) fn cell_before_end(&self, n: i64) -> Range {
        let end = self.end().s() - n * CELL_S;
        Range::new(Time::from_s(end - CELL_S), Time::from_s(end))
    }

    /// The publishing point of a channel.
    pub(crate) fn url(&self, name: &str) -> String {
        self.sim.url(name).to_string()
    }

    /// The plain DASH manifest of a channel; `timeline` is `time`, `number` or `duration`.
    pub(crate) fn plain_url(&self, name: &str, timeline: &str) -> String {
        format!("{}?timeline={timeline}", self.sim.plain_url(name))
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        self.sim.addr.to_string()
    }

    /// Replaces the script of faults.
    pub(crate) fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.sim.set_faults(faults.into_iter().collect());
    }

    /// Requests since `before`.
    pub(crate) fn requests_since(&self, before: Requests) -> Requests {
        let now = self.sim.requests();
        Requests {
            archive: now.archive - before.archive,
            state: now.state - before.state,
            mpd: now.mpd - before.mpd,
            init: now.init - before.init,
            segment: now.segment - before.segment,
            other: now.other - before.other,
        }
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> Requests {
        self.sim.requests()
    }
}

/// How far past a cell's end the clock has to be before the cell is ready: two segments to settle, one that the origin
/// holds back, and the one that lies across the end.
pub(crate) const SETTLE_S: i64 = 9;

/// How much of the cell before the first whole one is held: more than a segment, so that the whole one is seen to be whole.
const HEAD_S: i64 = 4;

/// A fault for segments that begin in `range`.
pub(crate) fn for_media(kind: FaultKind, range: Range) -> Fault {
    Fault { class: Some(npvr::sim::Class::Segment), range, ..Fault::new(kind) }
}
