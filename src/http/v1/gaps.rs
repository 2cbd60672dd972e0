//! Gaps: what the archive of a channel lacks, why, and what can still be done about it.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Page, Problem, chunks, known, query};
use crate::capture::BEFORE_THE_ARCHIVE;
use crate::error::Result;
use crate::grid::Cell;
use crate::http::{Answer, App, Refusal, Request};
use crate::status::{Prospect, Prospects};
use crate::time::{Range, Time};

/// So many cells are looked at together: the gaps of so many are in memory at once.
const CELLS: usize = 200;

/// Media that the archive lacks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelGap)]
pub(super) struct GapDocument {
    /// The cell.
    cell: Cell,
    /// The track.
    track: String,
    /// What is not there.
    range: Range,
    /// Why.
    reason: String,
    /// When it was first written down.
    recorded: Time,
    /// What can still be done; `null` if the channel has no file any more.
    prospect: Option<Prospect>,
}

/// Gaps
///
/// A page ends with a cell: it may have a few more than asked for.
#[utoipa::path(get, path = "/api/v1/channels/{name}/gaps", tag = "channels", operation_id = "list_gaps",
    params(
        ("name" = String, Path, description = "Channel"),
        ("from" = Option<String>, Query, format = DateTime, description = "Only those in cells that end after this"),
        ("to" = Option<String>, Query, format = DateTime, description = "Only those in cells that begin before this"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "About so many, if not 100"),
        ("after" = Option<String>, Query, description = "Only those in cells after this one, START--END"),
    ),
    responses(
        (status = 200, description = "Some of them, oldest first", body = Page<GapDocument>),
        (status = 400, description = "The query makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::http) async fn all(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let name = known(&app, request.param("name"))?;
    let limit = query::limit(&request, 100, 1_000)? as usize;
    let (within, mut after) = (query::range(&request)?, query::after(&request)?);
    let prospects = match app.channel(name.as_str()) {
        Ok(channel) => Some(Prospects::read(&app.place, &channel, app.now())?),
        Err(_) => None,
    };
    let (ledger, mut items) = (app.place.ledger.as_ref(), Vec::new());
    loop {
        let (rows, mut is_more) = chunks::rows(ledger, name.as_str(), within, after, CELLS)?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { break };
        let gaps = ledger.gaps(name.as_str(), Range::new(first.cell.start(), last.cell.end()))?;
        for row in &rows {
            if items.len() >= limit {
                is_more = true;
                break;
            }
            after = Some(row.cell);
            let of_row = gaps.iter().filter(|gap| gap.cell == row.cell);
            // What was never promised is no gap.
            let shown = of_row.filter(|gap| gap.gap.reason != BEFORE_THE_ARCHIVE);
            items.extend(shown.map(|gap| GapDocument {
                cell: gap.cell,
                track: gap.gap.track.clone(),
                range: gap.gap.range,
                reason: gap.gap.reason.clone(),
                recorded: gap.recorded,
                prospect: prospects.as_ref().map(|prospects| prospects.of(row, gap.gap.range)),
            }));
        }
        if !is_more || items.len() >= limit {
            let next = after.filter(|_| is_more).map(|cell| cell.to_string());
            return Ok(Answer::json(&Page { items, next })?);
        }
    }
    Ok(Answer::json(&Page { items, next: None })?)
}
