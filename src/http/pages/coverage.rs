//! The coverage of a channel as a picture by itself, for a wiki or a dashboard: `![news](https://…/channel/news/coverage.svg)`.

use std::sync::Arc;

use askama::Template;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};

use super::moments::{clock_label, day_label, stretch};
use super::picture::{Mark, Picture};
use super::{blocking, channel};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, App, Refusal, Request};
use crate::time::{Range, Time};

/// Pixels.
const WIDTH: u32 = 720;
const NARROWEST: u32 = 120;
const WIDEST: u32 = 4_000;
/// No two labels are nearer, in pixels.
const LABEL_PX: u64 = 76;
/// What may lie between two labels, in seconds.
const STEPS: [u64; 9] = [60, 600, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000];

/// Style sheets of its own are all that a picture may load.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

#[derive(Template)]
#[template(path = "coverage.svg")]
struct Drawing {
    name: String,
    /// What it shows, in words.
    told: String,
    width: u32,
    slots: usize,
    picture: Picture,
    labels: Vec<Label>,
}

/// A time below the bars.
struct Label {
    x: u64,
    text: String,
}

/// `GET /channel/{name}/coverage.svg?from=&to=&width=`.
pub(super) async fn coverage(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    blocking(move || {
        let width = width(&request)?;
        let shown = channel::strip(&app, request.param("name"), channel::asked(&request)?, width as usize)?;
        let drawing = Drawing {
            name: shown.name,
            told: told(shown.span, &shown.picture),
            width,
            slots: width as usize,
            labels: shown.span.map(|span| labels(span, u64::from(width))).unwrap_or_default(),
            picture: shown.picture,
        };
        let svg = drawing.render().map_err(|e| Error::new(Kind::Io, "draw the picture").caused_by(e))?;
        let answer = Answer::bytes("image/svg+xml", svg).tagged();
        // Whoever shows it on a dashboard asks every minute at most.
        let answer = answer.with_header(CACHE_CONTROL, "max-age=60");
        Ok(answer.with_header(CONTENT_SECURITY_POLICY, POLICY))
    })
    .await
}

fn width(request: &Request) -> Result<u32> {
    let Some(text) = request.query("width") else { return Ok(WIDTH) };
    let width = text.parse::<u32>().ok().filter(|width| (NARROWEST..=WIDEST).contains(width));
    width.ok_or_else(|| {
        let what = format!("{text:?} is no width");
        Error::new(Kind::Usage, what).hint(format!("in pixels, from {NARROWEST} to {WIDEST}"))
    })
}

fn told(span: Option<Range>, picture: &Picture) -> String {
    let Some(span) = span else { return "nothing is archived yet".to_owned() };
    let marks: Vec<&str> = picture.paths().map(|(mark, _)| Mark::meaning(mark)).collect();
    format!("{} UTC: {}", stretch(span), marks.join(", "))
}

/// Times at round moments, as many as there is room for.
fn labels(span: Range, width: u64) -> Vec<Label> {
    let seconds = span.duration().as_secs().max(1);
    let room = |step: &&u64| **step * width / seconds >= LABEL_PX;
    let step = STEPS.iter().find(room).copied().unwrap_or(seconds);
    let first = span.start.s().div_euclid(step.cast_signed()) + 1;
    let times = (first..).map(|n| Time::from_s(n.saturating_mul(step.cast_signed())));
    let label = |at: Time| {
        let x = at.since(span.start).as_secs() * width / seconds;
        let text = if step >= 86_400 { day_label(at) } else { clock_label(at) };
        Label { x, text }
    };
    let shown = times.take_while(|at| *at < span.end).map(label);
    // One at the very edge would be cut.
    shown.filter(|label| label.x + LABEL_PX / 2 < width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_at_round_times_and_apart() {
        for (seconds, width) in
            [(300, 120), (3_600, 720), (86_400, 400), (604_800, 720), (86_400 * 400, 4_000)]
        {
            let span = Range::new(Time::from_s(1_795_341_777), Time::from_s(1_795_341_777 + seconds));
            let labels = labels(span, width);
            assert!(labels.windows(2).all(|pair| pair[1].x - pair[0].x >= LABEL_PX - 1), "{seconds} s");
            assert!(labels.iter().all(|label| label.x < width), "{seconds} s");
        }
        let week =
            Range::new("2026-11-15T14:50:00Z".parse().unwrap(), "2026-11-22T14:50:00Z".parse().unwrap());
        let texts: Vec<String> = labels(week, 720).into_iter().map(|label| label.text).collect();
        assert_eq!(texts.first().unwrap(), "Mon 16 Nov");
    }
}
