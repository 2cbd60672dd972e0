//! What SQLite says, in our kinds and words.

use rusqlite::ErrorCode;

use crate::error::{Error, Kind};

/// What to do about a file that is not a ledger any more.
pub(super) const DAMAGED: &str = "restore it from a backup; or move it away, and have npvr verify --repair write a new one from the chunks";

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Self {
        let (kind, what, hint) = match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                Kind::TryLater,
                "other runs held it for too long",
                Some("see what is running: npvr status --jobs"),
            ),
            Some(ErrorCode::DiskFull) => (
                Kind::Storage,
                "no space left on device",
                Some("free some space, or point --state at a larger disk"),
            ),
            Some(ErrorCode::ReadOnly) => {
                (Kind::Storage, "it cannot be written", Some("point --state at a folder that can be written"))
            }
            Some(ErrorCode::CannotOpen) => (
                Kind::Storage,
                "it cannot be opened",
                Some("check who owns the state folder, and as which user npvr runs"),
            ),
            Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
                (Kind::Denied, "access denied", Some("check who owns it, and as which user npvr runs"))
            }
            Some(ErrorCode::NotADatabase) => (Kind::Corrupt, "this is not a database", Some(DAMAGED)),
            Some(ErrorCode::DatabaseCorrupt) => (Kind::Corrupt, "the database is damaged", Some(DAMAGED)),
            Some(ErrorCode::ConstraintViolation) => {
                (Kind::Invalid, "the ledger refuses a row that contradicts itself", None)
            }
            // Reading a column as what it is not: the schema rules that out, so the file is at fault.
            None => (Kind::Corrupt, "a row cannot be read", Some(DAMAGED)),
            Some(ErrorCode::SystemIoFailure) => (
                Kind::Io,
                "it cannot be read or written",
                Some("check the disk of the state folder: is it full, or failing?"),
            ),
            Some(_) => (Kind::Io, "the database failed", None),
        };
        let what = match kind {
            Kind::Io | Kind::Invalid | Kind::Corrupt => format!("{what} ({e})"),
            _ => what.to_owned(),
        };
        let error = Error::new(kind, what).caused_by(e);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
