//! The table of routes: which handler answers which path and method, who may ask, and how a refusal is written.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{ALLOW, VARY};
use http::{Method, StatusCode};

use super::signed::Pass;
use super::{
    Answer, App, Refusal, Request, Style, armour, chunk, health, ism, library, metrics, openapi, pages,
    playback, reference, signed, smil, v1,
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
    /// True if each client has only so many turns.
    is_dear: bool,
    /// True if pages of other sites may fetch it.
    is_shared: bool,
    /// True if it plays the channel `{name}`, whose links may have to be signed.
    is_signed: bool,
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
    complain: Option<Complain>,
}

/// Who is told what went wrong with an answer: a sentence.
type Complain = Box<dyn Fn(&str) + Send + Sync>;

/// Routes that were just added, for what else is to be said of them.
pub struct Added<'a> {
    routes: &'a mut Routes,
    /// Place and endpoint of each.
    at: Vec<(usize, usize)>,
}

impl Added<'_> {
    /// What they answer costs much: each client has only so many turns a minute.
    pub fn dear(self) -> Self {
        self.each(|endpoint| endpoint.is_dear = true)
    }

    /// Pages of other sites may fetch it: playlists and media, which players there play. Only for what is read.
    pub fn shared(self) -> Self {
        self.each(|endpoint| endpoint.is_shared = endpoint.access != Access::Write)
    }

    /// They play the channel `{name}` of their path: where the links of that channel are signed, only by such a link, or for
    /// who may read everything.
    pub fn signed(self) -> Self {
        self.each(|endpoint| endpoint.is_signed = true)
    }

    fn each(self, change: impl Fn(&mut Endpoint)) -> Self {
        for (place, endpoint) in &self.at {
            change(&mut self.routes.places[*place].endpoints[*endpoint]);
        }
        self
    }
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
        library::routes(&mut routes);
        metrics::routes(&mut routes);
        openapi::routes(&mut routes);
        pages::routes(&mut routes);
        playback::routes(&mut routes);
        reference::routes(&mut routes);
        smil::routes(&mut routes);
        v1::routes(&mut routes);
        match routes.mistakes.first() {
            Some(mistake) => Err(Error::new(Kind::Invalid, mistake.clone())),
            None => Ok(routes),
        }
    }

    /// Adds a route for one method of the paths that match `pattern`: text, `{name}` for a segment, `{*rest}` for all others.
    pub fn add<F, H>(
        &mut self,
        method: Method,
        pattern: &str,
        style: Style,
        access: Access,
        handler: H,
    ) -> Added<'_>
    where
        F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
        H: Fn(Arc<App>, Arc<Request>) -> F + Send + Sync + 'static,
    {
        let handler = Box::new(move |app, request| Box::pin(handler(app, request)) as Handled);
        let place = self.place(pattern);
        let endpoints = &mut self.places[place].endpoints;
        let (is_dear, is_shared, is_signed) = (false, false, false);
        endpoints.push(Endpoint { method, style, access, is_dear, is_shared, is_signed, handler });
        let at = vec![(place, endpoints.len() - 1)];
        Added { routes: self, at }
    }

    /// The same, at the path and below `/api` too, as the reference does.
    pub fn add_both<F, H>(
        &mut self,
        method: Method,
        pattern: &str,
        style: Style,
        access: Access,
        handler: H,
    ) -> Added<'_>
    where
        F: Future<Output = Result<Answer, Refusal>> + Send + 'static,
        H: Fn(Arc<App>, Arc<Request>) -> F + Clone + Send + Sync + 'static,
    {
        let mut at = self.add(method.clone(), pattern, style, access, handler.clone()).at;
        let mut added = self.add(method, &format!("/api{pattern}"), style, access, handler);
        added.at.append(&mut at);
        added
    }

    /// The same without what changes anything: nobody is let in to write.
    #[must_use]
    pub fn read_only(mut self) -> Routes {
        for place in &mut self.places {
            place.endpoints.retain(|endpoint| endpoint.access != Access::Write);
        }
        self
    }

    /// The same; `complain` is told of each answer that went wrong on our side.
    #[must_use]
    pub fn telling(mut self, complain: impl Fn(&str) + Send + Sync + 'static) -> Routes {
        self.complain = Some(Box::new(complain));
        self
    }

    /// Every method and pattern that there is.
    #[cfg(test)]
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&Method, &str)> {
        self.places
            .iter()
            .flat_map(|place| place.endpoints.iter().map(|e| (&e.method, place.pattern.as_ref())))
    }

    /// Every pattern of a channel that pages of other sites may fetch, and whether its links can be signed.
    #[cfg(test)]
    pub(super) fn played(&self) -> impl Iterator<Item = (&str, bool)> {
        let of = |place: &'_ Place| place.pattern.contains("{name}");
        let played = self.places.iter().filter(move |place| of(place));
        played.flat_map(|place| {
            let shared = place.endpoints.iter().filter(|endpoint| endpoint.is_shared);
            shared.map(|endpoint| (place.pattern.as_ref(), endpoint.is_signed))
        })
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

    /// True if a request has a body that is worth reading: its route takes one, and who sends it is let in.
    pub(super) fn takes_body(&self, app: &App, request: &Request) -> bool {
        let endpoint =
            self.endpoints(&request.path).and_then(|all| all.iter().find(|e| e.method == request.method));
        endpoint.is_some_and(|endpoint| {
            !matches!(request.method, Method::GET | Method::HEAD)
                && app.options.guard.admit(request, endpoint.access).is_ok()
        })
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
            Err(_) if self.is_preflight(&request) => return armour::dress(armour::preflight(), true),
            Err(refusal) => return armour::dress(refusal.answer(style_at(&request.path), &request), false),
        };
        let handled = self.run(app, endpoint, &request).await;
        let answer = handled.unwrap_or_else(|refusal| {
            if refusal.status().is_server_error() {
                self.complain(&request, refusal.error());
            }
            refusal.answer(endpoint.style, &request)
        });
        let mut answer = armour::dress(answer.unless_known(&request), endpoint.is_shared);
        if matches!(endpoint.style, Style::Page | Style::Reference) {
            // Who asks for JSON gets that, and a cache in between keeps the two apart.
            answer = answer.with_header(VARY, "Accept");
        }
        if is_head { answer.without_body() } else { answer }
    }

    /// What the handler makes of a request that is let in. One that panics costs its client the answer, and nobody else
    /// anything.
    async fn run(
        &self,
        app: &Arc<App>,
        endpoint: &Endpoint,
        request: &Arc<Request>,
    ) -> Result<Answer, Refusal> {
        let guard = &app.options.guard;
        let pass = match endpoint.is_signed {
            true => signed::admit(app, request, endpoint.access)?,
            false => guard.admit(request, endpoint.access).map(|()| Pass::Open)?,
        };
        if endpoint.is_dear {
            guard.take_turn(request)?;
        }
        let handled = async { (endpoint.handler)(Arc::clone(app), Arc::clone(request)).await };
        let handled = AssertUnwindSafe(handled).catch_unwind().await;
        let answer =
            handled.unwrap_or_else(|_| Err(Error::new(Kind::Io, "there is a mistake in the program").into()));
        answer.map(|answer| pass.limit(answer))
    }

    /// Tells what went wrong with the answer to a request: by the pattern of its route, and in one line.
    pub(super) fn complain(&self, request: &Request, error: &Error) {
        let matched = self.router.at(&request.path).ok();
        let pattern = matched.map_or("another path", |matched| &*self.places[*matched.value].pattern);
        let line = format!("{} {pattern}: {error}", request.method);
        // What a client wrote may be in it.
        self.tell(&line.replace(char::is_control, "\u{fffd}"));
    }

    /// Tells what went wrong on our side.
    pub(super) fn tell(&self, what: &str) {
        if let Some(complain) = &self.complain {
            complain(what);
        }
    }

    fn endpoints(&self, path: &str) -> Option<&[Endpoint]> {
        self.router.at(path).ok().map(|matched| self.places[*matched.value].endpoints.as_slice())
    }

    fn is_preflight(&self, request: &Request) -> bool {
        let is_shared = |all: &[Endpoint]| all.iter().any(|endpoint| endpoint.is_shared);
        request.method == Method::OPTIONS && self.endpoints(&request.path).is_some_and(is_shared)
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
            if allowed.is_empty() {
                return nothing().into();
            }
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
