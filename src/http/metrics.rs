//! `/metrics`: what monitoring wants to know of the archive, and what the server counts of itself.
//!
//! Requests are counted by the pattern of their route, never by their path, and by methods that there are: whoever sends
//! nonsense makes no new series.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{Method, StatusCode};

use super::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::clock::Tick;
use crate::error::{Error, Kind, Result};
use crate::metrics::{CONTENT_TYPE, Family, Sample, Sort, archive, text};

/// The upper ends of the ranges in which answering times are counted, in seconds.
const TIMES_S: [f64; 8] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, f64::INFINITY];

/// The archive is asked at most this often, however many ask for metrics.
const FRESH: Duration = Duration::from_secs(1);

/// What the server counts of itself, and what it last told of the archive.
#[derive(Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<Series, u64>>,
    times: Mutex<BTreeMap<Arc<str>, Times>>,
    connections: AtomicU64,
    accepted: AtomicU64,
    turned_away: AtomicU64,
    // Held while the archive is asked: those who ask at the same time wait, and take what the first one got.
    archive: tokio::sync::Mutex<Option<(Tick, Arc<Vec<Family>>)>>,
}

/// Requests that are counted together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    route: Arc<str>,
    method: &'static str,
    status: u16,
}

/// How long answers of one route took.
#[derive(Default)]
struct Times {
    counts: [u64; TIMES_S.len()],
    sum: Duration,
}

/// A connection that is open. It counts as such until it is dropped.
pub(super) struct Connected(Arc<App>);

impl Connected {
    /// Counts it as one that gave its place up.
    pub(super) fn turned_away(&self) {
        self.0.metrics.turned_away();
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a connection of `app`'s server, for as long as what comes back is kept.
    pub(super) fn connected(app: &Arc<App>) -> Connected {
        app.metrics.connections.fetch_add(1, Ordering::Relaxed);
        app.metrics.accepted.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(app))
    }

    /// Counts a connection for which there was no place, or which had to give its own up.
    pub(super) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that was answered, or refused. `route` is the pattern of its route; `None` where there was none.
    /// `took` is the time until the answer began.
    pub(super) fn answered(
        &self,
        route: Option<&Arc<str>>,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let route = route.map_or_else(|| "none".into(), Arc::clone);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let of_route = times.entry(Arc::clone(&route)).or_default();
        let at = TIMES_S.iter().position(|most| took.as_secs_f64() <= *most);
        of_route.counts[at.unwrap_or(TIMES_S.len() - 1)] += 1;
        of_route.sum += took;
        drop(times);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let series = Series { route, method: word(method), status: status.as_u16() };
        *requests.entry(series).or_default() += 1;
    }

    /// What the server has counted so far.
    fn families(&self) -> [Family; 5] {
        let mut requests = Family::counter(
            "npvr_http_requests_total",
            "Requests that were answered or refused, by pattern of their route",
        );
        let counted = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for (Series { route, method, status }, count) in counted.iter() {
            let status = status.to_string();
            requests.add([("route", route), ("method", method), ("status", &status)], *count as f64);
        }
        let mut times = Family {
            sort: Sort::Histogram,
            ..Family::gauge("npvr_http_answer_seconds", "Time until the answer to a request began")
        };
        for (route, of_route) in self.times.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            times.samples.extend(of_route.samples(route));
        }
        let [open, accepted, turned_away] = [&self.connections, &self.accepted, &self.turned_away]
            .map(|count| count.load(Ordering::Relaxed) as f64);
        [
            requests,
            times,
            Family::gauge("npvr_http_connections", "Connections that are open").with([], open),
            Family::counter("npvr_http_connections_total", "Connections that were accepted")
                .with([], accepted),
            Family::counter(
                "npvr_http_turned_away_total",
                "Connections that were closed to make room, or had none",
            )
            .with([], turned_away),
        ]
    }

    /// What is known of the archive, at most [`FRESH`] old.
    async fn archive(&self, app: &Arc<App>) -> Result<Arc<Vec<Family>>> {
        let mut known = self.archive.lock().await;
        if let Some((_, families)) = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(Arc::clone(families));
        }
        let asked = Arc::clone(app);
        // The ledger is asked for each channel: not on a thread that answers others.
        let families = tokio::task::spawn_blocking(move || {
            let loaded = asked.channels()?;
            archive(&asked.place, &loaded.channels, loaded.unusable.len(), asked.now())
        });
        let lost = |e| Error::new(Kind::Io, "the thread that asks the ledger was lost").caused_by(e);
        let families = Arc::new(families.await.map_err(lost)??);
        *known = Some((Tick::now(), Arc::clone(&families)));
        Ok(families)
    }
}

impl Times {
    /// Each count has those of the smaller sizes in it, as Prometheus wants them.
    fn samples(&self, route: &str) -> Vec<Sample> {
        let sample = |suffix, more: Option<(&'static str, String)>, value| {
            let labels = std::iter::once(("route", route.to_owned())).chain(more).collect();
            Sample { suffix, labels, value }
        };
        let mut total = 0;
        let mut samples = Vec::new();
        for (most, count) in TIMES_S.iter().zip(self.counts) {
            total += count;
            let most = if most.is_finite() { most.to_string() } else { "+Inf".to_owned() };
            samples.push(sample("_bucket", Some(("le", most)), total as f64));
        }
        samples.push(sample("_sum", None, self.sum.as_secs_f64()));
        samples.push(sample("_count", None, total as f64));
        samples
    }
}

/// A method in a word; clients may send any.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/metrics", Style::Plain, Access::Read, metrics);
}

/// Metrics
#[utoipa::path(get, path = "/metrics", tag = "monitoring", operation_id = "metrics", responses(
    (status = 200, description = "In the text format of Prometheus", body = String, content_type = "text/plain"),
))]
pub(super) async fn metrics(app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    let archive = app.metrics.archive(&app).await?;
    let text = text(&archive) + &text(&app.metrics.families());
    Ok(Answer::bytes(CONTENT_TYPE, text).with_header(CACHE_CONTROL, "no-store"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{app, body, request};
    use super::*;
    use crate::metrics::CONTENT_TYPE;

    async fn ask(app: &Arc<App>, method: &str, target: &str) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Routes::new().unwrap().answer(app, request(method, target, &[])).await
    }

    #[tokio::test]
    async fn requests_are_counted_by_the_pattern_of_their_route_and_nonsense_makes_no_series() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        ask(&app, "GET", "/healthz?x=1").await;
        ask(&app, "HEAD", "/healthz").await;
        for n in 0..50 {
            ask(&app, "GET", &format!("/secret-{n}/path/of/nothing")).await;
            ask(&app, &format!("METHOD{n}"), "/healthz").await;
        }
        let answer = ask(&app, "GET", "/metrics").await;
        assert_eq!(answer.headers["content-type"], CONTENT_TYPE);
        let text = body(&answer);
        for line in [
            "npvr_http_requests_total{route=\"/healthz\",method=\"GET\",status=\"200\"} 1\n",
            "npvr_http_requests_total{route=\"/healthz\",method=\"HEAD\",status=\"200\"} 1\n",
            "npvr_http_requests_total{route=\"/healthz\",method=\"other\",status=\"405\"} 50\n",
            "npvr_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"} 50\n",
            "npvr_http_answer_seconds_bucket{route=\"none\",le=\"+Inf\"} 50\n",
            "npvr_http_answer_seconds_count{route=\"/healthz\"} 52\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("secret"), "{text}");
        // The question itself is counted once it is answered.
        assert!(!text.contains("\"/metrics\""), "{text}");
        assert!(body(&ask(&app, "GET", "/metrics").await).contains("{route=\"/metrics\",method=\"GET\""));
    }

    #[test]
    fn a_time_is_counted_in_every_range_that_is_not_shorter() {
        let metrics = Metrics::default();
        let route: Arc<str> = "/a".into();
        for took_ms in [1, 2, 300, 1_000_000] {
            metrics.answered(Some(&route), &Method::GET, StatusCode::OK, Duration::from_millis(took_ms));
        }
        let text = text(&metrics.families());
        for (most, count) in [("0.001", 1), ("0.005", 2), ("0.1", 2), ("0.5", 3), ("10", 3), ("+Inf", 4)] {
            let line = format!("npvr_http_answer_seconds_bucket{{route=\"/a\",le=\"{most}\"}} {count}\n");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        assert!(text.contains("npvr_http_answer_seconds_sum{route=\"/a\"} 1000.303\n"), "{text}");
    }

    #[test]
    fn a_connection_counts_as_open_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        let one = Metrics::connected(&app);
        drop(Metrics::connected(&app));
        let text = |app: &App| text(&app.metrics.families());
        assert!(text(&app).contains("\nnpvr_http_connections 1\n"));
        drop(one);
        assert!(text(&app).contains("\nnpvr_http_connections 0\n"));
        assert!(text(&app).contains("\nnpvr_http_connections_total 2\n"));
    }
}
