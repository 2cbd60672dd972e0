//! The table of routes: which handler answers which path and method, who may ask, and how a refusal is written.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::header::ALLOW;
use http::{Method, StatusCode};

use super::{
    Answer, App, Refusal, Request, Style, chunk, guard, health, ism, metrics, openapi, reference, smil, v1,
};
use crate::clock::Tick;
use crate::error::{Error, Kind, Result};

/// What comes of a request.
type Handled = BoxFuture<'static, Result<Answer, Refusal>>;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody: health, and what pages are made of.
    Open,
    /// Whoever may read.
    Read,
    /// Whoever may change something.
    Write,
}

/// One method of one path.
struct Endpoint {
    method: Method,
    style: Style,
    access: Access,
    handler: Box<dyn Fn(Arc<App>, Arc<Request>) -> Handled + Send + Sync>,
}

/// Everything at one path.
struct Place {
    pattern: Arc<str>,
    endpoints: Vec<Endpoint>,
}

/// All routes.
#[derive(Default)]
pub struct Routes {
    router: matchit::Router<usize>,
    places: Vec<Place>,
    /// A pattern that cannot be, or contradicts another: a mistake in the program.
    mistakes: Vec<String>,
}

impl Routes {
    /// Every route that there is.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for patterns that contradict each other: a mistake in the program.
    pub fn new() -> Result<Routes> {
        let mut routes = Routes::default();
        chunk::routes(&mut routes);
        health::routes(&mut routes);
        ism::routes(&mut routes);
        metrics::routes(&mut routes);
        openapi::routes(&mut routes);
        reference::routes(&mut routes);
        smil::routes(&mut routes);
        v1::routes(&mut routes);
        match routes.mistakes.first() {
            Some(mistake) => Err(Error::new(Kind::Invalid, mistake.clone())),
            None => Ok(routes),
        }
    }

    /// Adds a route for one method of the paths that match `pattern`: text, `{name}` for a segment, `{*rest}` for all others.
    pub fn add<F, H>(&mut self, method: Method, pattern: &str, style: Style, access: Access, handler: H)
    where
        F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
        H: Fn(Arc<App>, Arc<Request>) -> F + Send + Sync + 'static,
    {
        let handler = Box::new(move |app, request| Box::pin(handler(app, request)) as Handled);
        let place = self.place(pattern);
        self.places[place].endpoints.push(Endpoint { method, style, access, handler });
    }

    /// The same, at the path and below `/api` too, as the reference does.
    pub fn add_both<F, H>(&mut self, method: Method, pattern: &str, style: Style, access: Access, handler: H)
    where
        F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
        H: Fn(Arc<App>, Arc<Request>) -> F + Clone + Send + Sync + 'static,
    {
        self.add(method.clone(), pattern, style, access, handler.clone());
        self.add(method, &format!("/api{pattern}"), style, access, handler);
    }

    /// Every method and pattern that there is.
    #[cfg(test)]
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&Method, &str)> {
        self.places
            .iter()
            .flat_map(|place| place.endpoints.iter().map(|e| (&e.method, place.pattern.as_ref())))
    }

    fn place(&mut self, pattern: &str) -> usize {
        if let Some(at) = self.places.iter().position(|place| *place.pattern == *pattern) {
            return at;
        }
        let at = self.places.len();
        if let Err(e) = self.router.insert(pattern, at) {
            self.mistakes.push(format!("route {pattern}: {e}"));
        }
        self.places.push(Place { pattern: pattern.into(), endpoints: Vec::new() });
        at
    }

    /// The answer to a request, which is counted. Never fails: what cannot be answered is refused.
    pub async fn answer(&self, app: &Arc<App>, request: Request) -> Answer {
        let (began, method) = (Tick::now(), request.method.clone());
        let route = self.router.at(&request.path).ok().map(|matched| &self.places[*matched.value].pattern);
        let answer = self.handle(app, request).await;
        app.metrics.answered(route, &method, answer.status, began.elapsed());
        answer
    }

    async fn handle(&self, app: &Arc<App>, mut request: Request) -> Answer {
        let found = self.find(&mut request);
        let request = Arc::new(request);
        let (endpoint, is_head) = match found {
            Ok(found) => found,
            Err(refusal) => return refusal.answer(style_at(&request.path), &request),
        };
        let handled = match guard::admit(&request, endpoint.access) {
            Ok(()) => (endpoint.handler)(Arc::clone(app), Arc::clone(&request)).await,
            Err(refusal) => Err(refusal),
        };
        let answer = handled.unwrap_or_else(|refusal| refusal.answer(endpoint.style, &request));
        let answer = answer.unless_known(&request);
        if is_head { answer.without_body() } else { answer }
    }

    /// The endpoint of a request, and whether it is asked for headers only.
    fn find(&self, request: &mut Request) -> Result<(&Endpoint, bool), Refusal> {
        let path = request.path.clone();
        let nothing = || Error::new(Kind::NotFound, "there is nothing at this path");
        let matched = self.router.at(&path).map_err(|_| nothing())?;
        request.set_params(matched.params.iter())?;
        let endpoints = &self.places[*matched.value].endpoints;
        let of = |method: &Method| endpoints.iter().find(|e| e.method == *method);
        let is_head = request.method == Method::HEAD;
        let found = of(&request.method).or_else(|| of(&Method::GET).filter(|_| is_head));
        found.map(|endpoint| (endpoint, is_head)).ok_or_else(|| {
            let allowed: Vec<&str> = endpoints.iter().map(|e| e.method.as_str()).collect();
            let allowed = allowed.join(", ");
            let error = Error::new(Kind::Usage, format!("{} is not allowed here", request.method));
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error.hint(format!("allowed: {allowed}")))
                .with_header(ALLOW, allowed)
        })
    }
}

/// How a refusal is written where no route says so.
fn style_at(path: &str) -> Style {
    match path {
        _ if path.starts_with("/api/v1/") => Style::V1,
        _ if path.starts_with("/api/") => Style::Reference,
        _ => Style::Page,
    }
}
