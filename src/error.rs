//! What went wrong, on what, and what to do about it.
//!
//! One error type for the whole program: a [`Kind`] for the machine (exit codes, retries), a sentence for
//! the person, built from fragments joined by colons with the widest context first, and the remedy as a hint.

use std::fmt;

/// What sort of failure this is; callers decide by it, people never see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The person asked for something that makes no sense: a bad name, range or flag.
    Usage,
    /// A configuration file cannot be used as it is.
    Config,
    /// It is not there. Only this kind means missing.
    NotFound,
    /// It was there once and is there no longer: an old segment that left the window.
    Expired,
    /// It is there, or may be, but we are not allowed in.
    Denied,
    /// It failed for now: time-out, reset, short body, 429, 5xx. Trying again is right.
    TryLater,
    /// What we were given breaks its own format or our limits. Trying again changes nothing.
    Invalid,
    /// It is well formed, and npvr cannot handle it.
    Unsupported,
    /// Somebody else is at work on it. Normal under cron.
    Busy,
    /// No space left, or a folder that cannot be written.
    Storage,
    /// The ledger, or a stored chunk, is not what it was when it was written.
    Corrupt,
    /// Any other failure of the machine below us.
    Io,
}

/// An error with a kind, a sentence, and perhaps a remedy and a cause.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    /// How many bytes at the end of `what` were there first.
    gist_bytes: usize,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says `what`, a fragment without a capital or a full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { kind, gist_bytes: what.len(), what, hint: None, source: None }
    }

    /// Puts a wider context in front: `channel news: ` + what was said so far.
    #[must_use]
    pub fn context(mut self, wider: impl fmt::Display) -> Self {
        self.what = format!("{wider}: {}", self.what);
        self
    }

    /// Says what the person can do about it. The first hint stays: it was given closest to the fault.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// Keeps the cause, for [`std::error::Error::source`]; its text is not repeated in ours.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(cause));
        self
    }

    /// What was said first, without the contexts: `404 Not Found`, and not where. What many errors have in common.
    pub fn gist(&self) -> &str {
        &self.what[self.what.len() - self.gist_bytes..]
    }

    /// The kind, for decisions.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The remedy, if there is one.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// True where the same call may well succeed a moment later.
    pub fn is_transient(&self) -> bool {
        self.kind == Kind::TryLater
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<std::io::Error> for Error {
    /// A full disk, a missing file and a forbidden one each get their kind.
    fn from(e: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let (kind, hint) = match e.kind() {
            K::NotFound => (Kind::NotFound, None),
            K::PermissionDenied => (Kind::Denied, Some("check who owns it, and as which user npvr runs")),
            K::StorageFull | K::QuotaExceeded => {
                (Kind::Storage, Some("free some space, or point --state or [disk] path at a larger disk"))
            }
            K::FileTooLarge => {
                (Kind::Storage, Some("see ulimit -f, and how large a file may be on that disk"))
            }
            K::ReadOnlyFilesystem => {
                (Kind::Storage, Some("point --state or [disk] path at a folder that can be written"))
            }
            _ => (Kind::Io, None),
        };
        let error = Error::new(kind, io_sentence(&e)).caused_by(e);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The sentence of an I/O error without the `(os error 2)` that helps no one.
fn io_sentence(e: &std::io::Error) -> String {
    let text = e.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

/// Adds context to a `Result` on its way up.
pub trait Context<T> {
    /// Puts a wider context in front of the error.
    fn context(self, wider: impl fmt::Display) -> Result<T>;
    /// The same, where making the text costs something.
    fn with_context<D: fmt::Display>(self, wider: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, wider: impl fmt::Display) -> Result<T> {
        self.map_err(|e| e.into().context(wider))
    }

    fn with_context<D: fmt::Display>(self, wider: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|e| e.into().context(wider()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_context_comes_first_and_the_closest_hint_stays() {
        let e = Error::new(Kind::Denied, "access denied")
            .hint("check the key")
            .context("put a/b")
            .context("channel news");
        let e = e.hint("call the owner");
        assert_eq!(e.to_string(), "channel news: put a/b: access denied");
        assert_eq!(e.remedy(), Some("check the key"));
        assert_eq!(e.gist(), "access denied");
    }

    #[test]
    fn a_full_disk_is_told_apart_and_has_a_remedy() {
        let e = Error::from(std::io::Error::from_raw_os_error(28));
        assert_eq!(e.kind(), Kind::Storage);
        assert!(e.remedy().is_some());
        assert!(!e.to_string().contains("os error"), "{e}");
    }
}
