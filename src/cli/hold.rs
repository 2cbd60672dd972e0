//! `npvr hold NAME START--END`, `npvr hold list`, `npvr hold remove ID`.

use std::fmt::Write as _;

use clap::Subcommand;

use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::ledger::HoldId;
use crate::status::{Held, held, holds};
use crate::time::{Range, Time};
use crate::words::{counted, human_bytes};

/// Keep a range from being pruned, whatever retention says
///
/// Holds every chunk that touches the range, also what is captured of it later, until the hold is removed or runs out. A
/// range may be held more than once; it is kept as long as one hold is in force. A channel that is called list, add or
/// remove is held by: npvr hold add NAME START--END
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(flatten)]
    new: Option<New>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct New {
    /// Channel
    name: String,
    /// Range in UTC, like 2018-12-06T12:55:00Z--2018-12-06T13:00:00Z
    #[arg(value_name = "START--END")]
    range: String,
    /// Why it is held
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Hold it until then: a date (its 00:00 UTC) or an instant [default: until it is removed]
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hold a range, as npvr hold NAME START--END does
    Add(New),
    /// List the holds, with what is archived of each
    List {
        /// Channel; all, if none is named
        name: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Remove a hold: retention decides on its chunks again
    Remove {
        /// The number of the hold, as npvr hold list shows it
        id: String,
    },
}

pub(crate) fn run(args: Args, places: &Places) -> Result<Exit> {
    match (args.command, args.new) {
        (Some(Command::Add(new)), _) | (None, Some(new)) => add(&new, places),
        (Some(Command::List { name, json }), _) => list(name.as_deref(), json, places),
        (Some(Command::Remove { id }), _) => remove(&id, places),
        (None, None) => {
            Err(Error::new(Kind::Usage, "there is nothing to hold").hint("npvr hold NAME START--END"))
        }
    }
}

fn add(new: &New, places: &Places) -> Result<Exit> {
    let range: Range = new.range.parse()?;
    let now = clock::now();
    let until = new.until.as_deref().map(|text| instant(text, now)).transpose()?;
    let site = Site::open(places)?;
    let ledger = site.place.ledger.as_ref();
    // What is archived stays when a channel's file is removed, and can be held.
    if ledger.since(&new.name)?.is_none() {
        site.channel(&new.name)?;
    }
    let id = ledger.hold(&new.name, range, new.note.as_deref(), until, now)?;
    let Some(hold) = ledger.holds(Some(&new.name))?.into_iter().find(|hold| hold.id == id) else {
        return Ok(Exit::Well);
    };
    let hold = held(ledger, hold, now)?;
    out::data(&format!("{id}\n"))?;
    out::say(format_args!("channel {}: {range} is held{}: {}", new.name, end(&hold), archived(&hold)));
    Ok(Exit::Well)
}

/// A date, or an instant, that is still to come.
fn instant(text: &str, now: Time) -> Result<Time> {
    let at = if text.contains('T') { text.parse() } else { format!("{text}T00:00:00Z").parse() };
    let at: Time = at.map_err(|_| {
        Error::new(Kind::Usage, format!("{text:?} is neither a date nor a time"))
            .hint("write it like 2027-01-31 or 2027-01-31T12:00:00Z")
    })?;
    if at <= now {
        return Err(Error::new(Kind::Usage, format!("{at} is over: such a hold would hold nothing")));
    }
    Ok(at)
}

fn list(name: Option<&str>, json: bool, places: &Places) -> Result<Exit> {
    let site = Site::open(places)?;
    let holds = holds(site.place.ledger.as_ref(), name, clock::now())?;
    if json {
        out::json(&holds)?;
        return Ok(Exit::Well);
    }
    let mut text = String::new();
    for hold in &holds {
        let _ = writeln!(text, "{:>4}  {}  {}", hold.id, hold.channel, told(hold));
    }
    out::data(&text)?;
    Ok(Exit::Well)
}

fn remove(id: &str, places: &Places) -> Result<Exit> {
    let id: HoldId = id.parse()?;
    let site = Site::open(places)?;
    let hold = site.place.ledger.release_hold(id)?.ok_or_else(|| {
        Error::new(Kind::Usage, format!("there is no hold {id}")).hint("npvr hold list lists them")
    })?;
    out::say(format_args!("channel {}: {} is no longer held by hold {id}", hold.channel, hold.range));
    Ok(Exit::Well)
}

/// A hold in a line: what is held, until when, what is archived of it, and why it is held.
pub(super) fn told(hold: &Held) -> String {
    let note = hold.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
    format!("{}{}, {}{note}", hold.range, end(hold), archived(hold))
}

/// ` until 2027-01-31T00:00:00Z`, where it has an end.
fn end(hold: &Held) -> String {
    match hold.until {
        Some(until) if hold.in_force => format!(" until {until}"),
        Some(until) => format!(", which ran out at {until}"),
        None => String::new(),
    }
}

/// What is archived of a hold, in words.
fn archived(hold: &Held) -> String {
    let lost = match hold.lost {
        0 => String::new(),
        lost => format!(", {lost} lost"),
    };
    match hold.chunks {
        0 => format!("nothing of it is archived now{lost}"),
        n => format!("{}, {}{lost}", counted(n, "chunk"), human_bytes(hold.bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_at_a_date_or_an_instant_that_is_to_come() {
        let now = Time::from_s(1_544_100_900);
        assert_eq!(instant("2018-12-07", now).unwrap(), Time::from_s(1_544_140_800));
        assert_eq!(instant("2018-12-06T12:55:01Z", now).unwrap(), Time::from_s(1_544_100_901));
        for text in ["2018-12-06T12:55:00Z", "2018-12-06", "tomorrow", "", "2018-13-01", "P7D"] {
            assert_eq!(instant(text, now).unwrap_err().kind(), Kind::Usage, "{text}");
        }
    }
}
