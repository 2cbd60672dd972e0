//! The access log: a line for each request, in the combined format of web servers, and how long it took.
//!
//! A thread of its own writes, so that no request waits for a disk; where it falls behind, lines are left out, and their number
//! is told. The file is opened anew on request, as whoever rotates logs wants it.

use std::fmt::Write as _;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use chrono::DateTime;
use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, Version};

use crate::clock::{Tick, now};
use crate::error::{Context, Result};
use crate::time::Time;

/// Lines that may wait to be written.
const WAITING: usize = 2_048;
/// What is shown of a text that a client chose, in bytes.
const MOST: usize = 1_024;

/// What is written to, opened anew each time that it is called.
pub(super) type Open = Box<dyn Fn() -> Result<Box<dyn Write + Send>> + Send>;

/// The log. When the last copy is dropped, what waits has been written.
pub struct AccessLog {
    orders: SyncSender<Order>,
    left_out: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

enum Order {
    Line(String),
    Reopen,
    End,
}

impl AccessLog {
    /// A log that is written to what `open` gives.
    ///
    /// # Errors
    /// Those of `open`, and of starting a thread.
    pub fn start(open: Open) -> Result<AccessLog> {
        let (orders, taken) = sync_channel(WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let (to, missing) = (open()?, Arc::clone(&left_out));
        let thread = std::thread::Builder::new().name("access log".to_owned());
        let writer = thread.spawn(move || write(&taken, to, &open, &missing)).context("start a thread")?;
        Ok(AccessLog { orders, left_out, writer: Some(writer) })
    }

    /// Opens the file anew, after the lines so far.
    pub fn reopen(&self) {
        // The writer ends after everybody who could send.
        let _ = self.orders.send(Order::Reopen);
    }

    fn add(&self, line: String) {
        if self.orders.try_send(Order::Line(line)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::End);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The thread. What cannot be written is lost: there is nobody to tell, and requests are answered all the same.
fn write(orders: &Receiver<Order>, mut to: Box<dyn Write + Send>, open: &Open, left_out: &AtomicU64) {
    while let Ok(order) = orders.recv() {
        let mut lines = String::new();
        let mut next = Some(order);
        let mut reopen = false;
        let mut is_over = false;
        // All that waits, in one piece.
        while let Some(order) = next.take() {
            match order {
                Order::Line(line) => lines.push_str(&line),
                Order::Reopen => reopen = true,
                Order::End => is_over = true,
            }
            if !reopen && !is_over {
                next = orders.try_recv().ok();
            }
        }
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ =
                writeln!(lines, "# {missing} lines left out: they came faster than they could be written");
        }
        let _ = to.write_all(lines.as_bytes()).and_then(|()| to.flush());
        if reopen && let Ok(anew) = open() {
            to = anew;
        }
        if is_over {
            return;
        }
    }
}

/// A line of the log, written when it is dropped: when the answer was sent, or its client has gone.
pub(super) struct Line {
    log: Arc<AccessLog>,
    client: Option<IpAddr>,
    at: Time,
    began: Tick,
    request: String,
    referer: String,
    agent: String,
    /// The status; 499, as other servers write it, if the client went before there was one.
    pub(super) status: u16,
    /// How many bytes of the body were sent.
    pub(super) bytes: u64,
}

impl Line {
    /// That of a request which comes in now.
    pub(super) fn new(
        log: &Arc<AccessLog>,
        client: Option<IpAddr>,
        (method, target, version): (&Method, &str, Version),
        headers: &HeaderMap,
    ) -> Line {
        let header = |name: HeaderName| {
            headers.get(name).map_or_else(|| "-".to_owned(), |value| shown(value.as_bytes()))
        };
        let target = shown(target.as_bytes());
        Line {
            log: Arc::clone(log),
            client,
            at: now(),
            began: Tick::now(),
            request: format!("{} {target} {version:?}", shown(method.as_str().as_bytes())),
            referer: header(REFERER),
            agent: header(USER_AGENT),
            status: 499,
            bytes: 0,
        }
    }

    fn text(&self) -> String {
        let client = self.client.map_or_else(|| "unix".to_owned(), |client| client.to_string());
        let at =
            DateTime::from_timestamp(self.at.s(), 0).unwrap_or_default().format("%d/%b/%Y:%H:%M:%S +0000");
        let Line { request, status, bytes, referer, agent, .. } = self;
        let took_s = self.began.elapsed().as_secs_f64();
        format!("{client} - - [{at}] \"{request}\" {status} {bytes} \"{referer}\" \"{agent}\" {took_s:.6}\n")
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.log.add(self.text());
    }
}

/// What a client wrote, for one line of a log: control bytes, quotes and what is not ASCII as `\xHH`, as other servers write
/// them; without what looks like a secret in a query; and not for ever.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().min(MOST));
    let cut = &bytes[..bytes.len().min(MOST)];
    let question = cut.iter().position(|b| *b == b'?').map_or(cut.len(), |at| at + 1);
    let (path, query) = cut.split_at(question);
    escape(&mut text, path);
    for (n, pair) in query.split(|b| *b == b'&').enumerate() {
        if n > 0 {
            text.push('&');
        }
        match pair.iter().position(|b| *b == b'=') {
            Some(at) if is_secret(&pair[..at]) => {
                escape(&mut text, &pair[..=at]);
                text.push_str("<redacted>");
            }
            _ => escape(&mut text, pair),
        }
    }
    if cut.len() < bytes.len() {
        text.push_str("...");
    }
    text
}

fn escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => {
                let _ = write!(text, "\\x{byte:02X}");
            }
            _ => text.push(char::from(*byte)),
        }
    }
}

/// True for the name of a parameter that people give secrets in.
fn is_secret(name: &[u8]) -> bool {
    const WORDS: [&str; 7] = ["token", "secret", "passw", "key", "sig", "auth", "credential"];
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    // Escapes hide a word from us, and not from whoever wrote it.
    name.contains('%') || WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_who_asked_for_what_and_what_came_of_it() {
        let kept = Kept::default();
        let opened = kept.clone();
        let log = Arc::new(AccessLog::start(Box::new(move || Ok(Box::new(opened.clone())))).unwrap());
        let headers = HeaderMap::from_iter([(USER_AGENT, "wget \"x\"".parse().unwrap())]);
        let line = |target: &str| {
            Line::new(&log, Some([10, 0, 0, 7].into()), (&Method::GET, target, Version::HTTP_11), &headers)
        };
        let mut sent = line("/smil/news/x?token=abc&a=b");
        (sent.status, sent.bytes) = (200, 512);
        drop(sent);
        drop(line("/gone"));
        drop(log);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let [first, second] = lines[..] else { panic!("{text}") };
        assert!(first.starts_with("10.0.0.7 - - ["), "{first}");
        let rest = " +0000] \"GET /smil/news/x?token=<redacted>&a=b HTTP/1.1\" 200 512 \"-\" \"wget \\x22x\\x22\" 0.";
        assert!(first.contains(rest), "{first}");
        assert!(second.contains("\"GET /gone HTTP/1.1\" 499 0 "), "{second}");
    }

    #[test]
    fn nothing_that_a_client_writes_breaks_a_line_or_shows_a_secret() {
        assert_eq!(shown(b"/a\r\nb\x1b[31m\xff\"\\"), "/a\\x0D\\x0Ab\\x1B[31m\\xFF\\x22\\x5C");
        assert_eq!(
            shown(b"/?X-Amz-Signature=ab&sig=cd&t%6Fken=x&b"),
            "/?X-Amz-Signature=<redacted>&sig=<redacted>&t%6Fken=<redacted>&b"
        );
        let long = shown(&[b'a'; 10_000]);
        assert!(long.len() < 3_000 && long.ends_with("..."));
    }

    #[test]
    fn a_file_is_opened_anew_between_two_lines() {
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("log"), folder.path().join("log.1"));
        let opened = path.clone();
        let open = move || {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(&opened)?;
            Ok(Box::new(file) as Box<dyn Write + Send>)
        };
        let log = AccessLog::start(Box::new(open)).unwrap();
        log.add("one\n".to_owned());
        std::fs::rename(&path, &aside).unwrap();
        log.reopen();
        log.add("two\n".to_owned());
        drop(log);
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&aside), read(&path)), ("one\n".to_owned(), "two\n".to_owned()));
    }
}
