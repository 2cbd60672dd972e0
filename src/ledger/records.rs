//! The whole ledger as lines of JSON: what `npvr ledger export` writes and `import` reads, whichever adapter keeps it.
//!
//! One object a line, the header first, then channels, tracks, jobs, logs, chunks, gaps, holds and garbage: each after what it
//! speaks of. `kind` says what it is; times are text, and every number has its unit in its name. Fields may come with a new
//! format, whose number the header has; a field that is not known is an error, for it would be lost silently.

use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};

use super::{Coverage, HoldId, JobId, Outcome, State};
use crate::error::{Context, Error, Kind, Result};
use crate::time::Time;
use crate::track::Medium;

/// The format that is written, and the newest that is read.
pub(super) const FORMAT: u32 = 1;

/// No line is longer, in bytes: the largest hold the fragment index of a day-long chunk.
const LONGEST_LINE: u64 = 256 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// The first line.
    Ledger(Header),
    /// A channel.
    Channel(Channel),
    /// A track of a channel.
    Track(Track),
    /// An attempt to capture a cell.
    Job(Job),
    /// A part of a job's log.
    Log(Log),
    /// A cell.
    Chunk(Chunk),
    /// What a cell lacks.
    Gap(Gap),
    /// What is not pruned.
    Hold(Hold),
    /// What is to be deleted.
    Garbage(Garbage),
}

/// What the lines are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub format: u32,
    /// The highest number that was ever given to a job; 0: none was.
    #[serde(default)]
    pub last_job: i64,
    /// The highest number that was ever given to a hold; 0: none was.
    #[serde(default)]
    pub last_hold: i64,
}

/// A channel that was ever written of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// From when on the archive is answerable.
    pub since: Option<Time>,
    /// Up to the end of which cell it is pruned.
    pub pruned: Option<Time>,
    /// What the last check saw of the source, in the words of check.
    pub outlook: Option<String>,
    /// When that was.
    pub outlook_at: Option<Time>,
}

/// A track that a channel has, or once had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Its channel.
    pub channel: String,
    /// Its track id in every chunk of the channel.
    pub id: u32,
    /// Its name, like `video=1000000`.
    pub name: String,
    /// Ticks per second of its media.
    pub timescale_hz: u32,
    /// What it carries.
    pub medium: Medium,
    /// The source's own name for it.
    pub source_id: String,
    /// Its language.
    pub language: Option<String>,
    /// Bits per second.
    pub bandwidth_bps: Option<i64>,
    /// RFC 6381.
    pub codecs: Option<String>,
    /// Pixels.
    pub width_px: Option<u32>,
    /// Pixels.
    pub height_px: Option<u32>,
    /// When it was first seen.
    pub first_seen: Time,
}

/// An attempt to capture a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its channel.
    pub channel: String,
    /// Where its cell starts.
    pub start: Time,
    /// Where its cell ends.
    pub end: Time,
    /// `native` or `unified`.
    pub engine: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// The host it ran on.
    pub host: String,
    /// The process it ran in.
    pub pid: u32,
    /// Bytes fetched.
    pub bytes: i64,
    /// Segments fetched.
    pub segments: i64,
    /// Requests that had to be made again.
    pub retries: i64,
    /// Why it failed, or what a person should know.
    pub message: Option<String>,
    /// What the engine ran, without its secrets.
    pub command: Option<String>,
    /// The exit code of that.
    pub exit_code: Option<i32>,
}

/// A part of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The job.
    pub job: JobId,
    /// 1, 2, 3…; the first is not 1 where old parts were dropped.
    pub part: u32,
    /// Its lines.
    pub text: String,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Its channel.
    pub channel: String,
    /// Where it starts.
    pub start: Time,
    /// Where it ends.
    pub end: Time,
    /// How far it is.
    pub state: State,
    /// How much of it is in the store.
    pub stored: Option<Coverage>,
    /// Where that is.
    pub key: Option<String>,
    /// Its length in bytes.
    pub bytes: Option<i64>,
    /// Its SHA-256, as hexadecimal digits.
    #[serde(with = "hex")]
    pub sha256: Option<Vec<u8>>,
    /// When it was last read back and found whole.
    pub verified: Option<Time>,
    /// Its fragment index in npvr's own form, as hexadecimal digits.
    #[serde(with = "hex")]
    pub fragments: Option<Vec<u8>>,
    /// Attempts that failed.
    pub attempts: u32,
    /// When the next attempt is due.
    pub retry_at: Option<Time>,
    /// Why it is not complete.
    pub reason: Option<String>,
    /// The last job that worked on it.
    pub job: Option<JobId>,
    /// What is durable in the spool, in the words of capture.
    pub progress: Option<String>,
    /// When its state last changed.
    pub updated: Time,
}

/// What a cell lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Its channel.
    pub channel: String,
    /// Where its cell starts.
    pub cell_start: Time,
    /// Where its cell ends.
    pub cell_end: Time,
    /// The name of the track.
    pub track: String,
    /// The first instant that is not there.
    pub start: Time,
    /// The first instant after it.
    pub end: Time,
    /// Why.
    pub reason: String,
    /// When it was first written down.
    pub recorded: Time,
}

/// What is not pruned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Its number.
    pub id: HoldId,
    /// Its channel.
    pub channel: String,
    /// The first instant.
    pub start: Time,
    /// The first instant after it.
    pub end: Time,
    /// Why.
    pub note: Option<String>,
    /// It holds until then.
    pub until: Option<Time>,
    /// When it was made.
    pub created: Time,
}

/// What is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Garbage {
    /// Its channel.
    pub channel: String,
    /// Where it is in the store.
    pub key: String,
    /// Its length in bytes.
    pub bytes: i64,
    /// Why it goes.
    pub reason: String,
    /// When that was decided.
    pub since: Time,
}

impl Record {
    /// The record as a line, with its end.
    ///
    /// # Errors
    /// None that is known: every record can be written.
    pub fn line(&self) -> Result<String> {
        let text = serde_json::to_string(self);
        text.map(|text| text + "\n").map_err(|e| Error::new(Kind::Io, "make a line of JSON").caused_by(e))
    }
}

impl Header {
    /// Fails for a format that is not read here.
    pub(super) fn accept(&self) -> Result<()> {
        if (1..=FORMAT).contains(&self.format) {
            return Ok(());
        }
        let what = format!("it was written by a newer npvr (format {}, here {FORMAT})", self.format);
        Err(Error::new(Kind::Unsupported, what).hint("import it with that npvr"))
    }
}

/// The records of an export, a line each.
///
/// # Errors
/// Each item is [`Kind::Invalid`], with its line, where that is no record; those of reading. Nothing comes after an error.
pub fn read_records(mut text: impl BufRead) -> impl Iterator<Item = Result<Record>> {
    let (mut number, mut line, mut failed) = (0_u64, String::new(), false);
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        number += 1;
        let record = next(&mut text, &mut line).transpose()?;
        failed = record.is_err();
        Some(record.with_context(|| format!("line {number}")))
    })
}

fn next(text: &mut impl BufRead, line: &mut String) -> Result<Option<Record>> {
    line.clear();
    let read = text.by_ref().take(LONGEST_LINE).read_line(line).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => Error::new(Kind::Invalid, "it is not text"),
        _ => Error::from(e),
    })?;
    if read == 0 {
        return Ok(None);
    }
    let record = serde_json::from_str(line).map_err(|e| {
        Error::new(Kind::Invalid, format!("it is no line of an export: {e}"))
            .hint("npvr ledger export writes what can be imported")
    })?;
    // A newer format may have fields that are not known here: the version is what there is to say.
    if let Record::Ledger(header) = &record {
        header.accept()?;
    }
    Ok(Some(record))
}

/// Bytes as hexadecimal digits.
mod hex {
    use std::fmt::Write as _;

    use serde::{Deserialize, Deserializer, Serializer, de};

    // The types are those that serde's `with` asks for.
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let Some(bytes) = bytes else { return serializer.serialize_none() };
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Some).ok_or_else(|| de::Error::custom("not pairs of hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Result<Record>> {
        read_records(text.as_bytes()).collect()
    }

    #[test]
    fn what_is_no_record_is_named_by_its_line_and_ends_the_reading() {
        let header = "{\"kind\":\"ledger\",\"format\":1,\"last_job\":0,\"last_hold\":0}\n";
        let channel = "{\"kind\":\"channel\",\"name\":\"news\"}\n";
        for (line, words) in [
            ("hello\n", "expected value"),
            ("\n", "EOF"),
            ("{\"kind\":\"magic\"}\n", "unknown variant `magic`"),
            ("{\"kind\":\"channel\",\"name\":\"a\",\"colour\":1}\n", "unknown field `colour`"),
            ("{\"kind\":\"log\",\"job\":1,\"part\":-1,\"text\":\"\"}\n", "invalid value"),
            ("{\"kind\":\"ledger\",\"format\":2,\"magic\":true}\n", "newer npvr (format 2, here 1)"),
            ("{\"kind\":\"ledger\",\"format\":0}\n", "format 0"),
        ] {
            let mut read = read(&format!("{header}{channel}{line}{channel}"));
            assert_eq!(read.len(), 3, "{line}");
            let error = read.pop().unwrap().unwrap_err();
            assert!(error.to_string().starts_with("line 3: ") && error.remedy().is_some(), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        let no_text = read_records(&b"\xff\xfe\n"[..]).next().unwrap().unwrap_err();
        assert_eq!((no_text.kind(), no_text.to_string().as_str()), (Kind::Invalid, "line 1: it is not text"));
    }

    #[test]
    fn odd_digits_are_no_bytes() {
        let of = |digits: &str| {
            let line = format!(
                "{{\"kind\":\"chunk\",\"channel\":\"a\",\"start\":\"2018-12-06T12:55:00Z\",\"end\":\
                 \"2018-12-06T13:00:00Z\",\"state\":\"lost\",\"sha256\":\"{digits}\",\"fragments\":null,\
                 \"attempts\":0,\"updated\":\"2018-12-06T12:55:00Z\"}}"
            );
            read(&line).remove(0)
        };
        let Record::Chunk(chunk) = of("00fFa0").unwrap() else { panic!() };
        assert_eq!(chunk.sha256.as_deref(), Some(&[0, 255, 160][..]));
        for digits in ["0", "0g", "+1", "é"] {
            assert!(of(digits).unwrap_err().to_string().contains("hexadecimal"), "{digits}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reading_panic(text in "\\PC{0,200}") {
            drop(read(&text));
        }

        #[test]
        fn a_log_comes_back_as_it_was(job: i64, part: u32, text in "(?s).{0,80}") {
            let record = Record::Log(Log { job: JobId::new(job), part, text });
            prop_assert_eq!(read(&record.line().unwrap()).remove(0).unwrap(), record);
        }
    }
}
