//! The style sheet, the scripts and the icon of the pages: in the program itself, so that there is nothing to install and
//! nothing to fetch from elsewhere. Their names hold a hash of their bytes: browsers keep them for good, and a new version has
//! other names.

use std::sync::{Arc, LazyLock};

use http::header::CACHE_CONTROL;
use sha2::{Digest, Sha256};

use crate::error::{Error, Kind};
use crate::http::{Answer, App, Refusal, Request};

/// How long an asset may be kept: a year, the longest that caches take (RFC 9111 §1.2.2 speaks of no more).
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// A file of the pages.
pub(super) struct Asset {
    /// Where it is.
    pub(super) path: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(stem: &str, ending: &str, content_type: &'static str, bytes: &'static [u8]) -> Asset {
        let digest = Sha256::digest(bytes);
        let hash: String = digest.iter().take(6).map(|b| format!("{b:02x}")).collect();
        Asset { path: format!("/assets/{stem}-{hash}.{ending}"), content_type, bytes }
    }
}

static ALL: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        Asset::new("style", "css", "text/css; charset=utf-8", include_bytes!("style.css")),
        Asset::new("page", "js", "text/javascript; charset=utf-8", include_bytes!("page.js")),
        Asset::new("icon", "svg", "image/svg+xml", include_bytes!("icon.svg")),
        Asset::new("player", "js", "text/javascript; charset=utf-8", include_bytes!("player.js")),
    ]
});

pub(super) fn style() -> &'static Asset {
    &ALL[0]
}

pub(super) fn script() -> &'static Asset {
    &ALL[1]
}

pub(super) fn icon() -> &'static Asset {
    &ALL[2]
}

pub(super) fn player() -> &'static Asset {
    &ALL[3]
}

/// `GET /assets/{file}`.
pub(super) async fn asset(_app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let found = ALL.iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(request.param("file")));
    let asset = found.ok_or_else(|| {
        Error::new(Kind::NotFound, "there is no such file").hint("load the page again: it names the new one")
    })?;
    let answer = Answer::bytes(asset.content_type, asset.bytes).tagged();
    Ok(answer.with_header(CACHE_CONTROL, FOR_GOOD))
}
