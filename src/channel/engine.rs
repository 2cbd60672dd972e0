//! What captures a channel: npvr itself, or the program of Unified Streaming.
//!
//! The program takes the URL on its command line, which every user of the host can read, and has no other way to be told
//! who asks. So a channel that needs a password, headers or a token in its URL is refused here, and not captured with its
//! secret on show.

use std::time::Duration;

use url::Url;

use super::resolve::{Values, at, between, parse_folder, program};
use super::{Origin, SecretFrom};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// The options of a publishing point that may stand in the query of its URL: none of them is a secret.
const OPEN_OPTIONS: [&str; 3] = ["fixed_gop", "mpd_minimum_fragment_length", "filter"];

/// What captures a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// npvr itself.
    Native,
    /// The program `unified_capture`.
    Unified(Unified),
}

impl Engine {
    /// Its name in channel files, jobs and status.
    pub fn name(&self) -> &'static str {
        match self {
            Engine::Native => "native",
            Engine::Unified(_) => "unified",
        }
    }
}

/// How `unified_capture` is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unified {
    /// Its name, looked up in `PATH`, or its path.
    pub program: String,
    /// How long it may take for one cell.
    pub timeout: Duration,
    /// Its licence, given to it in its environment; `None` leaves it what the environment of npvr has.
    pub licence: Option<Secret>,
    /// The `filter` that the manifest is asked with; `None` asks for everything.
    pub filter: Option<String>,
    /// How much it logs, from 0 on.
    pub verbosity: usize,
}

impl Values {
    /// The engine of the channel at `url`.
    pub(super) fn engine(
        &self,
        url: &Url,
        look_up: &dyn Fn(&SecretFrom) -> Result<Secret>,
    ) -> Result<Engine> {
        let is_unified = self.need("engine", |name| match name {
            "native" => Ok(false),
            "unified" => Ok(true),
            _ => Err(Error::new(Kind::Config, format!("{name:?} is not an engine"))
                .hint("write engine = \"native\" or engine = \"unified\"")),
        })?;
        if !is_unified {
            return Ok(Engine::Native);
        }
        self.text("engine", |_| fits(url))?;
        let secret = ["username", "password", "password_file", "password_env"];
        let refused =
            self.all.iter().find(|(key, _)| secret.contains(&key.as_str()) || key.starts_with("headers."));
        if let Some((key, entry)) = refused {
            let error = Error::new(Kind::Config, "engine = \"unified\" has no way to keep it to itself");
            return Err(at(&entry.origin, key, &error.hint(ON_SHOW)));
        }
        let second = Duration::from_secs(1);
        Ok(Engine::Unified(Unified {
            program: self.need("unified.program", program)?,
            timeout: self.need("unified.timeout", between(second, Duration::from_secs(86_400)))?,
            licence: self.licence(look_up)?,
            filter: self.text("unified.filter", |text| Ok(text.to_owned()))?.filter(|f| !f.is_empty()),
            verbosity: self.count("unified.verbosity", 0, 9)?,
        }))
    }

    fn licence(&self, look_up: &dyn Fn(&SecretFrom) -> Result<Secret>) -> Result<Option<Secret>> {
        let file =
            self.text("unified.licence_file", |path| look_up(&SecretFrom::File(parse_folder(path)?)))?;
        let env = self.text("unified.licence_env", |name| look_up(&SecretFrom::Env(name.to_owned())))?;
        Ok(file.or(env))
    }

    /// True for a value that is in force: those of an engine that is not used are not.
    pub(super) fn is_used(&self, name: &str, origin: &Origin) -> bool {
        let is_native = || self.text("engine", |text| Ok(text == "native")).is_ok_and(|n| n == Some(true));
        !(name.starts_with("unified.") && *origin == Origin::Default && is_native())
    }
}

/// Why, and what to do instead.
const ON_SHOW: &str = "the program takes all on its command line, which every user of the host can read; \
                       use engine = \"native\", or let the source know this host by its address";

/// Refuses what the program cannot capture, or only with a secret on show.
fn fits(url: &Url) -> Result<()> {
    if !url.path().trim_end_matches('/').to_ascii_lowercase().ends_with(".isml") {
        let what = "\"unified\" captures publishing points only, and channel_url does not end in .isml";
        return Err(Error::new(Kind::Config, what).hint("leave engine out: npvr captures by itself"));
    }
    let unknown = url.query_pairs().find(|(name, _)| !OPEN_OPTIONS.contains(&name.as_ref()));
    match unknown {
        Some(_) => {
            let what = "\"unified\" cannot be used with a query in channel_url that may hold a secret";
            let hint = format!("it may have {}; {ON_SHOW}", OPEN_OPTIONS.join(", "));
            Err(Error::new(Kind::Config, what).hint(hint))
        }
        None => Ok(()),
    }
}
