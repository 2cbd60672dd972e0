//! The script of a rehearsal: TOML in, faults out.
//!
//! Pure. Every key that makes no sense for its fault is an error, so a script never says less than its author thinks.

use std::time::Duration;

use serde::Deserialize;

use super::faults::{Class, Fault, FaultKind, RestartStyle};
use crate::error::{Error, Kind, Result};
use crate::time::{Range, Time, parse_duration};

/// More faults than a person writes; each request looks at all of them.
const MAX_FAULTS: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    #[serde(default)]
    fault: Vec<RawFault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    kind: String,
    track: Option<String>,
    from: Option<String>,
    to: Option<String>,
    at: Option<String>,
    #[serde(rename = "match")]
    class: Option<String>,
    share: Option<f64>,
    times: Option<u32>,
    status: Option<u16>,
    rate: Option<String>,
    delay: Option<String>,
    length: Option<String>,
    offset: Option<String>,
    style: Option<RestartStyle>,
}

/// Reads a script. `now` is what `now` means in it.
///
/// ```toml
/// [[fault]]
/// kind   = "status"                # gap status reset short slow stall window skew restart
/// status = 503                     # 100 to 599, for status
/// track  = "audio_nld"             # tracks whose id begins like this; left out: all
/// match  = "segment"               # archive state mpd init segment any; left out: any
/// from   = "2026-11-22T10:00:00Z"  # or now, now-PT1M, now+PT1M; left out: always
/// to     = "now+PT1H"
/// share  = 0.3                     # of the requests; left out: all
/// times  = 2                       # at most, for each URL
///
/// # gap:     the segments that begin in from..to do not exist. Only track, from and to.
/// # slow:    rate = "20kB/s" or delay = "PT2S"
/// # window:  length = "PT30S", by the clock from..to
/// # skew:    offset = "-PT30S", by the clock from..to
/// # restart: at = "now+PT1M", style = "period" (the default) or "same_url", track
/// ```
///
/// # Errors
/// [`Kind::Config`], with the number of the fault.
pub fn parse_script(text: &str, now: Time) -> Result<Vec<Fault>> {
    let raw: RawScript = toml::from_str(text).map_err(|e| {
        let before = e.span().and_then(|s| text.get(..s.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::new(Kind::Config, format!("line {line}: {}", e.message())).context("script of faults")
    })?;
    if raw.fault.len() > MAX_FAULTS {
        return Err(invalid(format!("script of faults: more than {MAX_FAULTS} faults")));
    }
    let resolve = |(i, raw): (usize, RawFault)| {
        let kind = raw.kind.clone();
        resolve(raw, now).map_err(|e| e.context(format!("script of faults: fault {} ({kind})", i + 1)))
    };
    raw.fault.into_iter().enumerate().map(resolve).collect()
}

fn resolve(raw: RawFault, now: Time) -> Result<Fault> {
    check_keys(&raw)?;
    let kind = match raw.kind.as_str() {
        "gap" => FaultKind::Gap,
        "status" => FaultKind::Status(status(raw.status)?),
        "reset" => FaultKind::Reset,
        "short" => FaultKind::Short,
        "slow" => match (&raw.rate, &raw.delay) {
            (Some(rate), None) => FaultKind::Slow(bytes_per_s(rate)?),
            (None, Some(delay)) => FaultKind::Delay(duration(delay)?),
            _ => return Err(invalid("it needs either rate or delay")),
        },
        "stall" => FaultKind::Stall,
        "window" => FaultKind::Window(duration(needed(&raw.length, "length")?)?),
        "skew" => FaultKind::Skew(signed_ns(needed(&raw.offset, "offset")?)?),
        "restart" => FaultKind::Restart(raw.style.unwrap_or(RestartStyle::Period)),
        _ => {
            return Err(invalid("there is no such kind of fault")
                .hint("use gap, status, reset, short, slow, stall, window, skew or restart"));
        }
    };
    let is_restart = matches!(kind, FaultKind::Restart(_));
    let mut fault = Fault::new(kind);
    let from = if is_restart { Some(needed(&raw.at, "at")?) } else { raw.from.as_deref() };
    let start = from.map_or(Ok(fault.range.start), |text| instant(text, now))?;
    let end = raw.to.map_or(Ok(fault.range.end), |text| instant(&text, now))?;
    fault.range = Range::new(start, end);
    if fault.range.is_empty() {
        return Err(invalid("it ends before it begins"));
    }
    fault.class = raw.class.as_deref().map_or(Ok(None), class)?;
    fault.share = raw.share.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&fault.share) {
        return Err(invalid("share is a number from 0 to 1"));
    }
    fault.track = raw.track;
    fault.times = raw.times;
    Ok(fault)
}

/// Refuses each key that would have no effect on this kind of fault.
fn check_keys(raw: &RawFault) -> Result<()> {
    let kind = raw.kind.as_str();
    let strikes = matches!(kind, "status" | "reset" | "short" | "slow" | "stall");
    let keys = [
        ("status", raw.status.is_some(), kind == "status"),
        ("rate", raw.rate.is_some(), kind == "slow"),
        ("delay", raw.delay.is_some(), kind == "slow"),
        ("length", raw.length.is_some(), kind == "window"),
        ("offset", raw.offset.is_some(), kind == "skew"),
        ("at", raw.at.is_some(), kind == "restart"),
        ("style", raw.style.is_some(), kind == "restart"),
        ("from", raw.from.is_some(), kind != "restart"),
        ("to", raw.to.is_some(), kind != "restart"),
        ("match", raw.class.is_some(), strikes),
        ("share", raw.share.is_some(), strikes),
        ("times", raw.times.is_some(), strikes),
        ("track", raw.track.is_some(), strikes || matches!(kind, "gap" | "restart")),
    ];
    // An unknown kind has its own message.
    let is_known = strikes || matches!(kind, "gap" | "window" | "skew" | "restart");
    match keys.iter().find(|(_, given, fits)| *given && !fits && is_known) {
        Some((key, ..)) => Err(invalid(format!("it takes no {key}"))),
        None => Ok(()),
    }
}

fn needed<'a>(value: &'a Option<String>, key: &str) -> Result<&'a str> {
    value.as_deref().ok_or_else(|| invalid(format!("it needs {key}")))
}

fn status(status: Option<u16>) -> Result<u16> {
    // 1xx would not end the exchange, and 101 would change its protocol.
    status.filter(|s| (200..=599).contains(s)).ok_or_else(|| invalid("it needs status, from 200 to 599"))
}

fn class(text: &str) -> Result<Option<Class>> {
    Ok(Some(match text {
        "archive" => Class::Archive,
        "state" => Class::State,
        "mpd" => Class::Mpd,
        "init" => Class::Init,
        "segment" => Class::Segment,
        "any" => return Ok(None),
        _ => {
            return Err(invalid(format!("match = {text:?} matches nothing"))
                .hint("use archive, state, mpd, init, segment or any"));
        }
    }))
}

/// `2026-11-22T10:00:00Z`, `now`, `now-PT1M`, `now+PT1M`.
fn instant(text: &str, now: Time) -> Result<Time> {
    match text.strip_prefix("now") {
        Some("") => Ok(now),
        Some(rest) => match (rest.strip_prefix('+'), rest.strip_prefix('-')) {
            (Some(later), _) => Ok(now.plus(duration(later)?)),
            (_, Some(earlier)) => Ok(now.minus(duration(earlier)?)),
            _ => Err(invalid(format!("{text:?} is not a time")).hint("write now-PT1M or now+PT1M")),
        },
        None => text.parse().map_err(|e: Error| invalid(e.to_string()).hint("or write now-PT1M or now+PT1M")),
    }
}

/// `PT30S` or `-PT30S`.
fn signed_ns(text: &str) -> Result<i64> {
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let ns = i64::try_from(duration(length)?.as_nanos()).unwrap_or(i64::MAX);
    Ok(sign * ns)
}

fn duration(text: &str) -> Result<Duration> {
    parse_duration(text).map_err(|e| invalid(e.to_string()))
}

/// `800B/s`, `20kB/s`, `1MB/s`; decimal, as rates are.
fn bytes_per_s(text: &str) -> Result<u64> {
    let units = [("kB/s", 1_000), ("MB/s", 1_000_000), ("B/s", 1)];
    let rate = units
        .iter()
        .find_map(|(unit, bytes)| text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(*bytes));
    rate.filter(|r| *r > 0)
        .ok_or_else(|| invalid(format!("{text:?} is not a rate")).hint("write 800B/s, 20kB/s or 1MB/s"))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(Kind::Config, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time::from_s(1_000_000);

    fn one(body: &str) -> Result<Fault> {
        Ok(parse_script(&format!("[[fault]]\n{body}"), NOW)?.remove(0))
    }

    #[test]
    fn every_kind_of_fault_is_read() {
        for (body, kind) in [
            ("kind = 'gap'", FaultKind::Gap),
            ("kind = 'status'\nstatus = 503", FaultKind::Status(503)),
            ("kind = 'reset'", FaultKind::Reset),
            ("kind = 'short'", FaultKind::Short),
            ("kind = 'slow'\nrate = '20kB/s'", FaultKind::Slow(20_000)),
            ("kind = 'slow'\ndelay = 'PT2S'", FaultKind::Delay(Duration::from_secs(2))),
            ("kind = 'stall'", FaultKind::Stall),
            ("kind = 'window'\nlength = 'PT30S'", FaultKind::Window(Duration::from_secs(30))),
            ("kind = 'skew'\noffset = '-PT3S'", FaultKind::Skew(-3_000_000_000)),
            ("kind = 'restart'\nat = 'now'", FaultKind::Restart(RestartStyle::Period)),
            ("kind = 'restart'\nat = 'now'\nstyle = 'same_url'", FaultKind::Restart(RestartStyle::SameUrl)),
        ] {
            assert_eq!(one(body).unwrap().kind, kind, "{body}");
        }
    }

    #[test]
    fn times_can_be_relative_to_the_moment_of_the_script() {
        let fault =
            one("kind = 'gap'\ntrack = 'audio'\nfrom = 'now-PT1M'\nto = '1970-01-20T00:00:00Z'").unwrap();
        assert_eq!(fault.range, Range::new(Time::from_s(999_940), Time::from_s(19 * 86_400)));
        assert_eq!(fault.track.as_deref(), Some("audio"));
    }

    #[test]
    fn what_has_no_effect_or_no_meaning_is_refused_with_the_fault_that_has_it() {
        for (body, says) in [
            ("kind = 'gap'\nstatus = 503", "it takes no status"),
            ("kind = 'gap'\nshare = 0.5", "it takes no share"),
            ("kind = 'window'\nlength = 'PT1S'\ntrack = 'video'", "it takes no track"),
            ("kind = 'status'", "it needs status"),
            ("kind = 'status'\nstatus = 101", "it needs status"),
            ("kind = 'slow'", "it needs either rate or delay"),
            ("kind = 'slow'\nrate = '0kB/s'", "not a rate"),
            ("kind = 'skew'\noffset = 'soon'", "not a duration"),
            ("kind = 'restart'", "it needs at"),
            ("kind = 'reset'\nshare = 1.5", "share is a number"),
            ("kind = 'reset'\nmatch = 'manifest'", "matches nothing"),
            ("kind = 'reset'\nfrom = 'now'\nto = 'now'", "ends before it begins"),
            ("kind = 'reset'\nfrom = 'nowish'", "not a time"),
            ("kind = 'rset'", "no such kind"),
        ] {
            let e = one(body).unwrap_err();
            assert!(e.to_string().contains("fault 1 (") && e.to_string().contains(says), "{body}: {e}");
            assert_eq!(e.kind(), Kind::Config);
        }
        let e = parse_script("[[fault]]\nkind = 'gap'\nform = 'now'", NOW).unwrap_err();
        assert!(e.to_string().contains("line 3"), "{e}");
    }

    proptest! {
        #[test]
        fn no_script_makes_it_panic(key in "[a-z]{2,8}", value in "[a-zA-Z0-9.:+/-]{0,20}|now[+-]P?T?[0-9]*S?") {
            let _ = one(&format!("kind = 'slow'\n{key} = '{value}'"));
            let _ = one(&format!("kind = 'skew'\noffset = '{value}'"));
            let _ = one(&format!("kind = 'gap'\nfrom = '{value}'"));
            let _ = parse_script(&value, NOW);
        }
    }
}
