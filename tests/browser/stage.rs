//! A site that has everything to look at: weeks of archive written into the ledger as an import, and beside them channels
//! that the program itself archives from a simulated origin.

use std::fs;
use std::time::Duration;

use npvr::sim::{Class, Fault, FaultKind};
use npvr::time::{Range, Time};
use serde_json::{Value, json};

use crate::common::Site;
use crate::common::live::{Live, for_media};

/// The cells of the channels that are staged, in seconds.
const CHUNK_S: i64 = 300;
/// How many of them: a week.
const WEEK: i64 = 7 * 86_400 / CHUNK_S;

/// A site, and the origin that its living channels have.
pub(crate) struct Stage {
    pub(crate) site: Site,
    _live: Live,
}

/// How a cell is staged.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Complete,
    Partial,
    Lost,
    Failed,
    Nothing,
}

impl Stage {
    /// Everything at once, `now`.
    pub(crate) fn set(now: Time) -> Stage {
        let site = Site::new();
        let live = Live::holding(12);
        let mut book = Book::new(now);
        book.channel("breakfast", calm(now), |_| Kind::Complete);
        book.channel("documentary", calm(now), |_| Kind::Complete);
        book.channel("film", calm(now), |n| match n % 271 {
            17 | 18 => Kind::Partial,
            _ => Kind::Complete,
        });
        // Three hours without a source, two days ago.
        book.channel("football", calm(now), |n| match n {
            570..=574 | 606 => Kind::Partial,
            575..=605 => Kind::Lost,
            _ => Kind::Complete,
        });
        let down = "https://origin.example.com/live/radio.isml/archive: connection refused";
        book.channel("radio", outlook(now, Some(down), 8), |n| match n {
            0..9 => Kind::Nothing,
            _ => Kind::Complete,
        });
        book.channel("regional", calm(now), |n| match n {
            1..3 => Kind::Failed,
            900..=902 => Kind::Partial,
            _ => Kind::Complete,
        });
        book.channel("retired", outlook(now.minus(Duration::from_secs(3 * 86_400)), None, 0), |n| match n {
            0..864 => Kind::Nothing,
            _ => Kind::Complete,
        });
        book.hold("documentary", 300, 420, "the eclipse, for the annual review");
        let file = site.config().join("books.jsonl");
        fs::write(&file, book.text()).unwrap();
        site.run([std::ffi::OsStr::new("ledger"), "import".as_ref(), file.as_os_str()]).expect(0);
        for name in
            ["breakfast", "documentary", "film", "football", "radio", "regional", "retired", "weather"]
        {
            let more = "chunk_duration = \"PT5M\"\narchive_length = \"P7D\"\nusername = \"npvr\"\npassword = \"hush-hush\"";
            let enabled = if name == "retired" { "enabled = false" } else { "" };
            site.channel(
                name,
                format!("https://origin.example.com/live/{name}.isml"),
                &format!("{more}\n{enabled}"),
            );
        }
        archive_from(&live, &site);
        fs::write(
            site.channel_file("broken"),
            "channel_url = \"https://origin.example.com/live/b.isml\"\nchunk = \"PT5M\"\n",
        )
        .unwrap();
        Stage { site, _live: live }
    }
}

/// Two channels of a living origin: one with a hole in a track, and one whose captures fail.
fn archive_from(live: &Live, site: &Site) {
    let hole = live.cell_before_end(3);
    let hole = Range::new(hole.start.plus(Duration::from_secs(2)), hole.start.plus(Duration::from_secs(6)));
    live.set_faults([Fault { track: Some("audio_nld".to_owned()), ..for_media(FaultKind::Gap, hole) }]);
    site.channel("news", live.url("news"), "");
    // The gap is told.
    site.run(["check", "news"]).expect(3);
    live.set_faults([Fault { class: Some(Class::Segment), ..Fault::new(FaultKind::Status(503)) }]);
    site.channel("sports", live.url("sports"), "");
    site.run(["capture", "sports", &live.cell_before_end(1).to_string()]).expect(3);
    live.set_faults([]);
}

/// What a check saw of a source that is well.
fn calm(now: Time) -> Value {
    outlook(now, None, 0)
}

fn outlook(now: Time, error: Option<&str>, at_risk: i64) -> Value {
    let seen = now.minus(Duration::from_secs(20));
    let risk = |n: i64| {
        let cell = cell(now, n + 1);
        let deadline = cell.start.plus(Duration::from_secs(3_600));
        json!({"cell": cell, "deadline": deadline, "reason": "the source did not answer the last checks"})
    };
    json!({
        "error": error,
        "source": {"now": seen, "window_start": seen.minus(Duration::from_secs(3_600)), "live_edge": seen.minus(Duration::from_secs(4)),
                   "live": true, "zero": null, "tracks": ["video=2500000", "audio=128000"], "notes": []},
        "at_risk": (0..at_risk).rev().map(risk).collect::<Vec<_>>(),
        "at": seen,
    })
}

/// The `n`th cell before the last that is over.
fn cell(now: Time, n: i64) -> Range {
    let end = (now.s() / CHUNK_S - n) * CHUNK_S;
    Range::new(Time::from_s(end - CHUNK_S), Time::from_s(end))
}

/// An export in the making: the records of each kind, in the order in which an import takes them.
struct Book {
    now: Time,
    records: [Vec<Value>; 7],
    jobs: i64,
}

/// The places of the kinds.
const CHANNEL: usize = 0;
const TRACK: usize = 1;
const JOB: usize = 2;
const LOG: usize = 3;
const CHUNK: usize = 4;
const GAP: usize = 5;
const HOLD: usize = 6;

impl Book {
    fn new(now: Time) -> Book {
        Book { now, records: Default::default(), jobs: 0 }
    }

    /// A channel with a week of cells; `kind` is asked for each, counted back from the last.
    fn channel(&mut self, name: &str, outlook: Value, kind: impl Fn(i64) -> Kind) {
        let seen = outlook["at"].clone();
        let since = cell(self.now, 2 * WEEK).start;
        self.records[CHANNEL].push(json!({
            "kind": "channel", "name": name, "since": since, "pruned": null,
            "outlook": outlook.to_string(), "outlook_at": seen,
        }));
        for (id, track, medium) in [(1, "video=2500000", "video"), (2, "audio=128000", "audio")] {
            self.records[TRACK].push(json!({
                "kind": "track", "channel": name, "id": id, "name": track, "timescale_hz": 48_000, "medium": medium,
                "source_id": track, "language": null, "bandwidth_bps": null, "codecs": null, "width_px": null,
                "height_px": null, "first_seen": since,
            }));
        }
        for n in (0..WEEK).rev() {
            self.cell(name, n, kind(n));
        }
    }

    fn cell(&mut self, name: &str, n: i64, kind: Kind) {
        let range = cell(self.now, n);
        let (state, reason) = match kind {
            Kind::Nothing => return,
            Kind::Complete => ("complete", None),
            Kind::Partial => ("partial", Some("audio=128000 lacks 2m 10s (the source has no media for it)")),
            Kind::Lost => ("lost", Some("it left the window before it was captured")),
            Kind::Failed => ("failed", Some("segment 12 of video=2500000: 503 Service Unavailable")),
        };
        let stored = matches!(kind, Kind::Complete | Kind::Partial).then_some(state);
        // The latest have their jobs still.
        let job = (n < 12).then(|| self.job(name, range, kind, reason));
        let key = npvr::grid::Cell::from_range(range).key(name);
        self.records[CHUNK].push(json!({
            "kind": "chunk", "channel": name, "start": range.start, "end": range.end, "state": state, "stored": stored,
            "key": stored.map(|_| key), "bytes": stored.map(|_| 98_000_000 + n * 31 % 977 * 10_000),
            "sha256": stored.map(|_| format!("{n:064x}")), "verified": null, "fragments": stored.map(|_| empty_index()),
            "attempts": u32::from(kind == Kind::Failed) * 2,
            "retry_at": (kind == Kind::Failed).then(|| self.now.plus(Duration::from_secs(300))),
            "reason": reason, "job": job, "progress": null, "updated": range.end.plus(Duration::from_secs(9)),
        }));
        let missing = match kind {
            Kind::Partial => {
                vec![("audio=128000", Range::new(range.start, range.start.plus(Duration::from_secs(130))))]
            }
            Kind::Lost => vec![("audio=128000", range), ("video=2500000", range)],
            _ => Vec::new(),
        };
        for (track, range_of) in missing {
            let reason = if kind == Kind::Lost {
                "it left the window before it was captured"
            } else {
                "the source has no media for it"
            };
            self.records[GAP].push(json!({
                "kind": "gap", "channel": name, "cell_start": range.start, "cell_end": range.end, "track": track,
                "start": range_of.start, "end": range_of.end, "reason": reason, "recorded": range.end,
            }));
        }
    }

    fn job(&mut self, name: &str, range: Range, kind: Kind, reason: Option<&str>) -> i64 {
        self.jobs += 1;
        let started = range.end.plus(Duration::from_secs(8));
        let outcome = match kind {
            Kind::Complete => "complete",
            Kind::Partial => "partial",
            _ => "failed",
        };
        self.records[JOB].push(json!({
            "kind": "job", "id": self.jobs, "channel": name, "start": range.start, "end": range.end, "engine": "native",
            "outcome": outcome, "started": started, "ended": started.plus(Duration::from_millis(1_400)), "host": "archive1",
            "pid": 4711, "bytes": 98_000_000, "segments": 312, "retries": u32::from(kind == Kind::Failed) * 9,
            "message": reason, "command": null, "exit_code": null,
        }));
        let log = format!(
            "{started} 312 segments of 2 tracks\n{started} fetched, {}\n",
            reason.unwrap_or("all there")
        );
        self.records[LOG].push(json!({"kind": "log", "job": self.jobs, "part": 1, "text": log}));
        self.jobs
    }

    /// A hold of the cells from one to another, counted back.
    fn hold(&mut self, name: &str, to: i64, from: i64, note: &str) {
        self.records[HOLD].push(json!({
            "kind": "hold", "id": 1, "channel": name, "start": cell(self.now, from).start, "end": cell(self.now, to).end,
            "note": note, "until": null, "created": self.now,
        }));
    }

    /// The lines of the export.
    fn text(&self) -> String {
        let header = json!({"kind": "ledger", "format": 1, "last_job": self.jobs, "last_hold": 1});
        let all = std::iter::once(&header).chain(self.records.iter().flatten());
        all.fold(String::new(), |text, record| text + &record.to_string() + "\n")
    }
}

/// The fragment index of a chunk without fragments, as hexadecimal digits.
fn empty_index() -> String {
    npvr::media::Index::default().encode().iter().map(|byte| format!("{byte:02x}")).collect()
}
