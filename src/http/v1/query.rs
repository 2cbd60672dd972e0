//! What stands in the query of a request, read as what it means.

use crate::error::{Error, Kind, Result};
use crate::grid::Cell;
use crate::http::Request;
use crate::time::{Range, Time};

/// How many items a page has: `limit`, from 1 to `most`.
pub(super) fn limit(request: &Request, usual: u32, most: u32) -> Result<u32> {
    let Some(text) = request.query("limit") else { return Ok(usual) };
    let limit = text.parse().ok().filter(|n| (1..=most).contains(n));
    limit.ok_or_else(|| Error::new(Kind::Usage, format!("limit is not a number from 1 to {most}")))
}

/// From `from` up to `to`; all of time where neither is given.
pub(super) fn range(request: &Request) -> Result<Range> {
    let time = |name: &str| -> Result<Option<Time>> {
        let read = request.query(name).map(str::parse).transpose();
        read.map_err(|_: Error| {
            Error::new(Kind::Usage, format!("{name} is not a time"))
                .hint("write it like 2018-12-06T12:55:00Z")
        })
    };
    let range =
        Range::new(time("from")?.unwrap_or(Time::from_ns(i64::MIN)), time("to")?.unwrap_or(Time::MAX));
    match range.is_empty() {
        true => Err(Error::new(Kind::Usage, "to is not after from")),
        false => Ok(range),
    }
}

/// The cell after which a page begins: `after`.
pub(super) fn after(request: &Request) -> Result<Option<Cell>> {
    request.query("after").map(cell).transpose()
}

/// The cell that `START--END` is.
pub(super) fn cell(text: &str) -> Result<Cell> {
    let range: Range = text.parse()?;
    let is_whole = |at: Time| at.floor_s() == at;
    match is_whole(range.start) && is_whole(range.end) {
        true => Ok(Cell::from_range(range)),
        false => {
            Err(Error::new(Kind::Usage, format!("{range} is no chunk: it does not lie on whole seconds")))
        }
    }
}

/// A switch, which is off where it is not given.
pub(super) fn switch(request: &Request, name: &str) -> Result<bool> {
    match request.query(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Error::new(Kind::Usage, format!("{name} is neither true nor false"))),
    }
}
