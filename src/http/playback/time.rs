//! The time, for players of presentations that go on: `/time`. A player whose clock is wrong would otherwise ask for what is not
//! there yet, and dash.js would ask a server that is none of ours.

use std::sync::Arc;

use http::Method;
use http::header::CACHE_CONTROL;

use crate::http::{Access, Answer, App, Refusal, Request, Routes, Style};

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/time", Style::Plain, Access::Open, time).shared();
}

/// The time, as `UTCTiming` of DASH wants it
#[utoipa::path(get, path = "/time", tag = "playback", operation_id = "time", responses(
    (status = 200, description = "The time", body = String, content_type = "text/plain", example = "2019-07-08T06:00:00.123Z"),
))]
pub(in crate::http) async fn time(app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    Ok(Answer::text(app.now().floor_ms().to_string()).with_header(CACHE_CONTROL, "no-store"))
}
