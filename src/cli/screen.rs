//! The status as people read it.

use std::fmt::Write as _;

use super::hold;
use super::out::{BAD, FAINT, GOOD, STRONG, WARN, styled};
use crate::grid::Cell;
use crate::status::{ChannelStatus, Job, Slot, Status};
use crate::time::{Range, Time, human_duration};
use crate::words::{counted, human_bytes};

/// At most so many failures, risks and jobs are shown for a channel.
const MOST_LINES: usize = 4;

/// The status of all channels, a paragraph each.
pub(super) fn render(status: &Status) -> String {
    let mut text = String::new();
    for low in &status.low_space {
        let (free, least) = (human_bytes(low.free_bytes), human_bytes(low.min_free_bytes));
        let what = format!("{}: {free} are free, less than min_free ({least})", low.folder.display());
        let _ = writeln!(text, "{}\n", styled(BAD, format!("{what}: nothing more is captured")));
    }
    for c in &status.channels {
        text += &channel(c, status.now);
        text.push('\n');
    }
    let legend = [
        (Slot::Archived, "archived"),
        (Slot::Partial, "with gaps"),
        (Slot::Missing, "missing"),
        (Slot::Open, "not yet"),
    ];
    let mut legend = legend.map(|(of, word)| format!("{} {}", slots(of, 1), styled(FAINT, word))).to_vec();
    if status.channels.iter().any(|c| holding(c).is_some()) {
        legend.push(format!("{HELD} {}", styled(FAINT, "held")));
    }
    text + &legend.join("  ") + "\n"
}

/// Every gap, a line each, oldest first.
pub(super) fn render_gaps(status: &Status) -> String {
    let mut text = String::new();
    for channel in &status.channels {
        for gap in &channel.gaps {
            let length = human_duration(gap.range.duration());
            let (start, end) = (gap.range.start.floor_ms(), gap.range.end.floor_ms());
            let _ = writeln!(
                text,
                "{}  {:<18}  {start}--{end}  {length:<5}  {}",
                channel.name, gap.track, gap.reason
            );
        }
    }
    text
}

/// Jobs, a line each.
pub(super) fn render_jobs(jobs: &[Job]) -> String {
    let mut text = String::new();
    for job in jobs {
        let took = job.ended.map(|end| human_duration(end.since(job.started))).unwrap_or_default();
        let message = job.message.as_deref().unwrap_or_default();
        let line = format!(
            "{:>6}  {}  {:<8}  {}  {took:<6}  {} segments, {}  {message}",
            job.id,
            job.channel,
            job.outcome,
            job.cell,
            job.segments,
            human_bytes(job.bytes)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn channel(c: &ChannelStatus, now: Time) -> String {
    let mut text = String::new();
    let strip: String = c.strip.chunk_by(|a, b| a == b).map(|run| slots(run[0], run.len())).collect();
    let _ = writeln!(text, "{}  {strip}", styled(STRONG, format!("{:<16}", c.name)));
    if let Some(marks) = holding(c) {
        let _ = writeln!(text, "{:<16}  {marks}", "");
    }
    let mut line = |label: &str, said: String| {
        let _ = writeln!(text, "  {label:<14}  {said}");
    };
    line("", archive(c));
    line("", last_check(c, now));
    if let Some(error) = &c.error {
        line("source", styled(BAD, error));
    }
    for risk in c.at_risk.iter().take(MOST_LINES) {
        let when = match risk.deadline > now {
            true => format!(
                "lost from {} (in {})",
                risk.deadline.time_of_day(),
                human_duration(risk.deadline.since(now))
            ),
            false => "being lost".to_owned(),
        };
        line("at risk", styled(WARN, format!("{}, {when}: {}", short(risk.cell), risk.reason)));
    }
    for job in c.running.iter().take(MOST_LINES) {
        let spooled = human_bytes(job.spooled_bytes.unwrap_or(0));
        line("running", format!("job {}: {}, {spooled} in the spool", job.id, short(job.cell)));
    }
    for failed in c.failed.iter().take(MOST_LINES) {
        let again = failed
            .retry_at
            .map(|at| format!("; again in {}", human_duration(at.since(now))))
            .unwrap_or_default();
        line("failed", styled(BAD, format!("{}: {}{again}", short(failed.cell), failed.reason)));
    }
    if let Some(gap) = c.gaps.last() {
        let latest = format!("{} of {}: {}", human_duration(gap.range.duration()), gap.track, gap.reason);
        let count = c.gaps.len();
        line("gaps", styled(WARN, format!("{count}, the latest {latest} (npvr status --gaps {})", c.name)));
    }
    for hold in c.holds.iter().take(MOST_LINES) {
        line("held", format!("hold {}: {}", hold.id, hold::told(hold)));
    }
    for note in c.source.iter().flat_map(|s| &s.notes).take(MOST_LINES) {
        line("note", note.clone());
    }
    text
}

/// What stands below a slot of which something is held.
const HELD: &str = "▔";

/// The marks below a strip; `None` where nothing of it is held.
fn holding(c: &ChannelStatus) -> Option<String> {
    let span = c.span?;
    let length = span.duration().as_nanos();
    let slots = c.strip.len() as u128;
    let at = |n: u128| span.start.offset_ns(i64::try_from(length * n / slots.max(1)).unwrap_or(i64::MAX));
    let is_held = |n: u128| {
        let slot = Range::new(at(n), at(n + 1));
        c.holds.iter().any(|hold| hold.in_force && !hold.range.intersect(slot).is_empty())
    };
    let marks: String = (0..slots).map(|n| if is_held(n) { HELD } else { " " }).collect();
    Some(marks.trim_end().to_owned()).filter(|marks| !marks.is_empty())
}

/// How long and how large the archive is.
fn archive(c: &ChannelStatus) -> String {
    let mut parts = Vec::new();
    if !c.enabled {
        parts.push(styled(WARN, "disabled"));
    }
    match c.span {
        Some(span) => {
            parts.push(format!("{} since {}", human_duration(span.duration()), span.start.floor_s()));
            let chunks = counted(c.counts.complete + c.counts.partial, "chunk");
            parts.push(format!("{chunks}, {}", human_bytes(c.counts.bytes)));
        }
        None => parts.push("nothing archived yet".to_owned()),
    }
    if c.counts.lost > 0 {
        parts.push(styled(BAD, format!("{} lost", c.counts.lost)));
    }
    parts.join(" · ")
}

/// The latest chunk, how far the source lags, and when that was seen.
fn last_check(c: &ChannelStatus, now: Time) -> String {
    let mut parts = Vec::new();
    if let Some(cell) = c.last_chunk {
        parts.push(format!("last chunk {}", short(cell)));
    }
    if let Some(lag) = c.lag_s {
        parts.push(format!("lag {}", human_duration(std::time::Duration::from_secs(lag))));
    }
    parts.push(match c.checked {
        Some(at) => format!("checked {} ago", human_duration(now.since(at))),
        None => styled(WARN, format!("never checked: run npvr check {}", c.name)),
    });
    parts.join(" · ")
}

/// So many slots of one kind.
fn slots(slot: Slot, count: usize) -> String {
    match slot {
        Slot::Archived => styled(GOOD, "█".repeat(count)),
        Slot::Open => styled(FAINT, "░".repeat(count)),
        Slot::Partial => styled(WARN, "▒".repeat(count)),
        Slot::Missing => styled(BAD, "×".repeat(count)),
    }
}

/// `12:55:00–13:00:00`.
fn short(cell: Cell) -> String {
    format!("{}–{}", cell.start().time_of_day(), cell.end().time_of_day())
}
