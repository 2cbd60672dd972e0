//! What a program says, as it goes into a log: by lines, the last of them, and without secrets.
//!
//! A program that has gone wrong may say gigabytes. So no more is kept than the log of a job holds, a line has an end even
//! if it has none, and what would move a terminal's cursor is left out.

use std::collections::VecDeque;

use url::Url;

use crate::ledger::MAX_LOG_BYTES;
use crate::secret::Secret;
use crate::source::redacted;

/// How much of a line is looked at, in bytes. A secret that lies across this end is not shown either: see [`SHOWN`].
const MAX_LINE: usize = 16 << 10;
/// How much of a line is kept, in bytes; all of it stands well before [`MAX_LINE`].
const SHOWN: usize = 4 << 10;
/// How much of a line is told in an error, in characters.
const TOLD: usize = 200;

/// The lines that were not handed on yet. They are kept as they came: of a flood, only the few that stay have to be looked at.
pub struct Tail {
    secrets: Vec<String>,
    /// The line that has no end yet.
    line: Vec<u8>,
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// True if lines were left out since they were last taken.
    dropped: bool,
    last: Vec<u8>,
}

impl Tail {
    /// Nothing yet. `secrets` are shown in no line.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Tail {
        // A log is read by lines, so a secret of several is looked for by its lines.
        let lines = secrets.into_iter().flat_map(|s| s.expose().lines()).map(|l| l.trim().to_owned());
        Tail {
            secrets: lines.filter(|line| !line.is_empty()).collect(),
            line: Vec::new(),
            lines: VecDeque::new(),
            bytes: 0,
            dropped: false,
            last: Vec::new(),
        }
    }

    /// Takes what was said.
    pub fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
            let (end, text) = match part.split_last() {
                Some((b'\n' | b'\r', text)) => (true, text),
                _ => (false, part),
            };
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if end {
                self.end_line();
            }
        }
    }

    /// Ends the line that has no end.
    pub fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.trim_ascii().is_empty() {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > MAX_LOG_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
            self.dropped = true;
        }
    }

    /// The lines since the last call, as they may be shown.
    pub fn take(&mut self) -> String {
        self.bytes = 0;
        let lines = std::mem::take(&mut self.lines);
        let mut text = String::from(if self.dropped { "  (lines were dropped here)\n" } else { "" });
        self.dropped = false;
        text.extend(lines.iter().map(|line| format!("  {}\n", self.shown(line))));
        if let Some(last) = lines.into_iter().next_back() {
            self.last = last;
        }
        text
    }

    /// The last line that was taken, as far as an error tells it; empty if nothing was said.
    pub fn last(&self) -> String {
        self.shown(&self.last).trim().chars().take(TOLD).collect()
    }

    /// A line as it may be shown.
    fn shown(&self, line: &[u8]) -> String {
        let text = String::from_utf8_lossy(line).into_owned();
        let hidden = self.secrets.iter().fold(text, |text, s| text.replace(s, "<redacted>"));
        let mut shown = without_tokens(&hidden);
        shown.retain(|c| c == '\t' || !c.is_control());
        shown.truncate(shown.floor_char_boundary(SHOWN));
        shown
    }
}

/// The text with every URL in it as it may be shown.
fn without_tokens(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme = rest[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |before| before + rest[before..].chars().next().map_or(1, char::len_utf8));
        // A quote ends a URL only where one stands before it: a filter has quotes of its own.
        let quote = rest[..scheme].chars().next_back().filter(|c| matches!(c, '"' | '\''));
        let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '`') || Some(c) == quote;
        let end = rest[at..].find(ends).map_or(rest.len(), |n| at + n);
        shown.push_str(&rest[..scheme]);
        match Url::parse(&rest[scheme..end]) {
            Ok(url) => shown.push_str(&redacted(&url)),
            Err(_) => shown.push_str("<a URL>"),
        }
        rest = &rest[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(secret: &str, text: &str) -> String {
        let mut tail = Tail::new([&Secret::new(secret)]);
        tail.feed(text.as_bytes());
        tail.end_line();
        tail.take()
    }

    #[test]
    fn what_is_said_is_kept_by_lines_whatever_ends_them() {
        assert_eq!(said("", "one\ntwo\r\nthree\r\r\nfour"), "  one\n  two\n  three\n  four\n");
        assert_eq!(said("", "\x1b[31mred\x1b[0m \u{7}\tbell"), "  [31mred[0m \tbell\n");
        assert_eq!(said("", ""), "");
    }

    #[test]
    fn the_licence_and_the_secrets_of_urls_are_in_no_line() {
        let licence = "first-part\nsecond-part\n";
        let text = said(
            licence,
            "key first-part, second-part\n\
             get https://joe:hunter2@host/a.isml/.mpd?vbegin=1&filter=(type!=\"meta\")&token=hunter2 failed\n\
             get \"https://host/a?hunter2\", 'http://joe:hunter2@host' rtmp://u:hunter2@h/x http://[hunter2\n",
        );
        assert!(!text.contains("part") && !text.contains("hunter2"), "{text}");
        assert!(text.contains("key <redacted>, <redacted>\n"), "{text}");
        assert!(
            text.contains("get https://host/a.isml/.mpd?vbegin=1&filter=(type!=%22meta%22)&token=… failed"),
            "{text}"
        );
        assert!(text.contains("\"https://host/a?…\", 'http://host/' "), "{text}");
    }

    #[test]
    fn a_flood_is_cut_to_what_a_log_holds_and_its_end_is_kept() {
        let mut tail = Tail::new([]);
        for n in 0..200_000 {
            tail.feed(format!("line {n}\n").as_bytes());
        }
        assert!(tail.bytes <= MAX_LOG_BYTES && tail.lines.len() < 10_000);
        tail.feed(&vec![b'x'; 40 << 20]);
        assert!(tail.line.capacity() <= 2 * MAX_LINE);
        tail.end_line();
        let text = tail.take();
        assert_eq!(tail.last().len(), TOLD);
        assert!(text.len() <= 2 * MAX_LOG_BYTES && text.contains("line 199999\n"));
        assert_eq!(text.lines().last().map(str::len), Some(SHOWN + 2));
        assert!(text.starts_with("  (lines were dropped here)\n"));
        assert_eq!(tail.take(), "");
    }

    #[test]
    fn a_secret_across_the_end_of_an_endless_line_is_not_shown_by_half() {
        let text = format!("{}hunter2hunter2", "x".repeat(MAX_LINE - 5));
        assert!(!said("hunter2hunter2", &text).contains("hunt"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_shows_the_secret(text in "[a-z:/\"' ?&=@é<\r\n]{0,60}", at in 0_usize..60) {
            let at = text.floor_char_boundary(at.min(text.len()));
            let told = format!("{}S3CR3T{}", &text[..at], &text[at..]);
            prop_assert!(!said("S3CR3T", &told).contains("S3CR3T"));
        }
    }
}
