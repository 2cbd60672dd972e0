//! Who is let in: before any handler sees a request.

use http::StatusCode;
use http::header::ORIGIN;

use super::{Access, Refusal, Request};
use crate::error::{Error, Kind};

/// Lets a request in, or says why not. A page of another site that makes a browser write here is turned away: the browser
/// says in `Origin` whose page it is (RFC 6454 §7).
pub(super) fn admit(request: &Request, access: Access) -> Result<(), Refusal> {
    let Some(origin) = request.headers.get(ORIGIN).filter(|_| access == Access::Write) else { return Ok(()) };
    if origin.to_str().is_ok_and(|origin| request.base.is_at(origin)) {
        return Ok(());
    }
    let error = Error::new(Kind::Denied, "a page of another site may change nothing here");
    Err(Refusal::new(StatusCode::FORBIDDEN, error))
}
