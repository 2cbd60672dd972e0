//! A server that stands between npvr and a simulated origin, and answers some requests as no origin should.
//!
//! Requests that no rule takes go on to the origin, so a test can break one thing, see what is said, mend it, and see
//! everything archived.

use std::sync::{Arc, Mutex};

use super::server::{HandMade, Reply, Request, get_raw};

/// Makes the answer of what was asked for and of what the origin said to it.
type Change = Arc<dyn Fn(Vec<u8>) -> Reply + Send + Sync>;

/// What is answered in the place of the origin.
#[derive(Clone)]
pub(crate) enum Answer {
    /// This, whatever the origin has.
    Instead(Reply),
    /// The origin's body, changed.
    Changed(Change),
}

impl Answer {
    /// A body, with 200.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Answer {
        Answer::Instead(Reply::Whole(200, KIND, body.into()))
    }

    /// A status, and its headers.
    pub(crate) fn status(status: &str, headers: &str) -> Answer {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n");
        Answer::Instead(Reply::Raw(head.into_bytes()))
    }

    /// A body that never ends.
    pub(crate) fn endless() -> Answer {
        Answer::Instead(Reply::Endless(KIND, vec![b' '; 1 << 20]))
    }

    /// The origin's body, changed.
    pub(crate) fn bytes(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Answer {
        Answer::Changed(Arc::new(move |body| Reply::Whole(200, KIND, change(body))))
    }

    /// The origin's body, as text, changed.
    pub(crate) fn text(change: impl Fn(&str) -> String + Send + Sync + 'static) -> Answer {
        Answer::bytes(move |body| change(&String::from_utf8(body).unwrap()).into_bytes())
    }
}

/// npvr goes by what comes, not by what it is called.
const KIND: &str = "application/octet-stream";

struct Rule {
    /// A part of the request's path and query.
    part: String,
    answer: Answer,
    /// The only URL that it is for, however often that is asked for: the first that had the part.
    only: Option<Option<String>>,
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Request>>,
}

/// A running server.
pub(crate) struct Front {
    server: HandMade,
    shared: Arc<Shared>,
}

impl Front {
    /// A server before the origin at `authority`.
    pub(crate) fn before(authority: String) -> Front {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let server = HandMade::serve(move |request| {
            theirs.seen.lock().unwrap().push(request.clone());
            let origin = || get_raw(&authority, &request.target);
            match theirs.answer_to(&request.target) {
                None => Reply::Raw(origin()),
                Some(Answer::Instead(reply)) => reply,
                Some(Answer::Changed(change)) => {
                    let answer = origin();
                    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
                    change(answer[body..].to_vec())
                }
            }
        });
        Front { server, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Answers every request that has `part` in its path or query.
    pub(crate) fn answer(&self, part: &str, answer: Answer) {
        self.add(Rule { part: part.to_owned(), answer, only: None });
    }

    /// Answers one URL that has `part` in its path or query: the first that is asked for.
    pub(crate) fn answer_one(&self, part: &str, answer: Answer) {
        self.add(Rule { part: part.to_owned(), answer, only: Some(None) });
    }

    fn add(&self, rule: Rule) {
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// From now on everything is as the origin has it.
    pub(crate) fn mend(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// What was asked for so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    fn answer_to(&self, target: &str) -> Option<Answer> {
        let mut rules = self.rules.lock().unwrap();
        let is_for = |rule: &Rule| match &rule.only {
            Some(Some(only)) => only == target,
            _ => target.contains(&rule.part),
        };
        let rule = rules.iter_mut().find(|rule| is_for(rule))?;
        if let Some(only) = &mut rule.only {
            only.get_or_insert_with(|| target.to_owned());
        }
        Some(rule.answer.clone())
    }
}
