//! hls.js, for browsers that play no HLS by themselves: a file of this host, which is served here, or an address elsewhere, as
//! the operator says. npvr brings none of its own: a browser that needs it is rare, and it would age here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Method;
use http::header::CACHE_CONTROL;
use url::Url;

use super::{Access, Answer, App, Base, Refusal, Request, Routes, Style};
use crate::channel::HlsJs;
use crate::error::{Context, Error, Kind, Result};

/// Where it is served.
const PATH: &str = "/assets/hls.js";
/// What the file is called in its packages; the light builds know no languages.
const NAMES: [&str; 4] = ["hls.min.js", "hls.js", "dist/hls.min.js", "dist/hls.js"];
/// The largest that is served, in bytes: several times what it has.
const LARGEST: u64 = 8 << 20;

/// Where a page finds it.
#[derive(Debug, Clone)]
pub struct Library(Place);

#[derive(Debug, Clone)]
enum Place {
    Here(PathBuf),
    There(Url),
}

impl Library {
    /// Looks for it where the operator says that it is.
    ///
    /// # Errors
    /// [`Kind::Config`] if it is not there.
    pub fn find(place: &HlsJs) -> Result<Library> {
        let path = match place {
            HlsJs::There(url) => return Ok(Library(Place::There(url.clone()))),
            HlsJs::Here(path) => path,
        };
        let mut files = std::iter::once(path.clone()).chain(NAMES.iter().map(|name| path.join(name)));
        match files.find(|file| file.is_file()) {
            Some(file) => Ok(Library(Place::Here(file))),
            None => Err(Error::new(Kind::Config, format!("hls.js: there is none at {}", path.display()))
                .hint("give its file, hls.min.js, or the folder that this is in")),
        }
    }

    /// Its address in a page.
    pub(super) fn address(&self, base: &Base) -> String {
        match &self.0 {
            Place::Here(_) => base.path(PATH),
            Place::There(url) => url.to_string(),
        }
    }

    /// What a page has to be allowed to load it, if that is not what is here (CSP 3 §2.3.1).
    pub(super) fn source(&self) -> Option<String> {
        match &self.0 {
            Place::Here(_) => None,
            // Either of these would end it.
            Place::There(url) => {
                let path = url.path().replace(';', "%3B").replace(',', "%2C");
                Some(format!("{}{path}", url.origin().ascii_serialization()))
            }
        }
    }
}

/// The routes of this file.
pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, PATH, Style::Plain, Access::Open, library);
}

/// `GET /assets/hls.js`. A new version of it has the same name, so browsers ask each time whether it is still the same.
async fn library(app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    let Some(Library(Place::Here(file))) = &app.options.library else {
        let error = Error::new(Kind::NotFound, "there is no hls.js here");
        return Err(error.hint("put hls_js into [serve] of npvr.toml").into());
    };
    let file = file.clone();
    let read = tokio::task::spawn_blocking(move || read(&file)).await;
    let script = read.unwrap_or_else(|e| Err(Error::new(Kind::Io, "read hls.js").caused_by(e)))?;
    let answer = Answer::bytes("text/javascript; charset=utf-8", script).tagged();
    Ok(answer.with_header(CACHE_CONTROL, "no-cache"))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::metadata(file).context("hls.js")?.len();
    if bytes > LARGEST {
        return Err(Error::new(Kind::Invalid, format!("hls.js: {bytes} bytes are too many")));
    }
    std::fs::read(file).context("hls.js")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::http::tests::{app_with, body, request};

    fn here(path: &Path) -> Result<Library> {
        Library::find(&HlsJs::Here(path.to_owned()))
    }

    #[tokio::test]
    async fn the_file_is_served_whether_it_or_its_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("hls.js");
        assert!(here(&package).is_err(), "nothing is there");
        std::fs::create_dir_all(package.join("dist")).unwrap();
        let e = here(&package).unwrap_err();
        assert_eq!(e.kind(), Kind::Config, "a folder without it");
        let file = package.join("dist/hls.min.js");
        std::fs::write(&file, "var Hls;").unwrap();
        for named in [&package, &file] {
            let library = Some(here(named).unwrap());
            let app = app_with(&folder, |options| options.library = library);
            let answer = Routes::new().unwrap().answer(&app, request(Method::GET, PATH, &[])).await;
            assert_eq!((answer.status, body(&answer)), (StatusCode::OK, "var Hls;"));
            assert_eq!(answer.headers["content-type"], "text/javascript; charset=utf-8");
        }
        let none = app_with(&folder, |_| {});
        let answer = Routes::new().unwrap().answer(&none, request(Method::GET, PATH, &[])).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn one_elsewhere_is_allowed_by_its_address_and_nothing_more() {
        let url = "https://cdn.example.com/npm/hls.js;v=1,2/hls.min.js?x=1".parse().unwrap();
        let library = Library::find(&HlsJs::There(url)).unwrap();
        let source = "https://cdn.example.com/npm/hls.js%3Bv=1%2C2/hls.min.js";
        assert_eq!(library.source().as_deref(), Some(source));
        assert!(library.address(&Base::of(&http::HeaderMap::new())).ends_with("?x=1"));
    }
}
