//! `npvr.toml`: what holds for all channels.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys;
use super::parse_size;
use super::raw::{Document, Layer};
use super::serve::Serve;
use crate::error::Result;

/// How `state.min_free` is written.
const FREE: &str = "write it like min_free = \"1GB\"; \"0\" switches it off";

const TABLES: [&str; 5] = ["defaults", "state", "check", "prune", "serve"];

/// What holds for all channels.
#[derive(Clone)]
pub struct Settings {
    /// Values for channels that do not set their own: `[defaults]`.
    pub defaults: Layer,
    /// The state folder, absolute: `[state] dir`.
    pub state_dir: Option<PathBuf>,
    /// How much is to stay free where the spool is and where chunks go on disk, in bytes: `[state] min_free`. 0 asks for nothing.
    pub min_free_bytes: u64,
    /// Captures that fetch at once, over all channels, and as many that store: `[check] parallel`.
    pub parallel: usize,
    /// The most of a channel that one prune deletes unforced, from 0 to 1: `[prune] max_fraction`.
    pub max_fraction: f64,
    /// How `serve-smil` is reached, and by whom: `[serve]`.
    pub serve: Serve,
}

impl Settings {
    /// What is to stay free where nothing else is said: an hour or two of a channel or two.
    pub const MIN_FREE_BYTES: u64 = 1_000_000_000;
    /// Captures at once where nothing else is said.
    pub const PARALLEL: usize = 4;
    /// The most captures at once.
    pub const MAX_PARALLEL: usize = 64;
    /// The most of a channel that one prune deletes where nothing else is said.
    pub const MAX_FRACTION: f64 = 0.2;

    /// Reads an `npvr.toml`. `file` is its name in messages.
    ///
    /// # Errors
    /// [`crate::error::Kind::Config`] with file, line, what is wrong and what would be right.
    pub fn parse(text: &str, file: &str) -> Result<Settings> {
        let document = Document { text, file };
        let root = document.root()?;
        let mut settings = Settings::default();
        for (key, value) in root.get_ref() {
            let offset = key.span().start;
            let name = key.get_ref().as_ref();
            let DeValue::Table(table) = value.get_ref() else {
                return Err(match name {
                    _ if TABLES.contains(&name) => {
                        document.fault(offset, format!("{name} must be a table: [{name}]"))
                    }
                    _ if keys::find(name).is_some() => document
                        .fault(offset, format!("{name} belongs to a channel"))
                        .hint("put it under [defaults] to have it for all channels"),
                    _ => document.unknown(offset, name, TABLES.into_iter()),
                });
            };
            match name {
                "defaults" => {
                    let refused = [("channel_url", "each channel has its own, in its file")];
                    settings.defaults = Layer::from_table(&document, table, &refused)?;
                }
                "state" => settings.read_state(&document, table)?,
                "check" => settings.read_check(&document, table)?,
                "prune" => settings.read_prune(&document, table)?,
                "serve" => settings.serve = Serve::read(&document, table)?,
                _ => return Err(document.unknown(offset, name, TABLES.into_iter())),
            }
        }
        Ok(settings)
    }

    fn read_state(&mut self, document: &Document<'_>, table: &DeTable<'_>) -> Result<()> {
        for (key, value) in table {
            let offset = key.span().start;
            let text = value.get_ref().as_str();
            match (key.get_ref().as_ref(), text) {
                ("dir", Some(dir)) if Path::new(dir).is_absolute() => self.state_dir = Some(dir.into()),
                ("dir", _) => {
                    let fault = document.fault(offset, "state.dir must be an absolute path, in quotes");
                    return Err(fault.hint("write it like dir = \"/var/lib/npvr\""));
                }
                ("min_free", Some("0")) => self.min_free_bytes = 0,
                ("min_free", Some(size)) => {
                    let bytes = parse_size(size);
                    self.min_free_bytes = bytes
                        .map_err(|e| document.fault(offset, format!("state.min_free: {e}")).hint(FREE))?;
                }
                ("min_free", None) => {
                    return Err(document
                        .fault(offset, "state.min_free must be a size, in quotes")
                        .hint(FREE));
                }
                (name, _) => {
                    let known = ["state.dir", "state.min_free"];
                    return Err(document.unknown(offset, &format!("state.{name}"), known.into_iter()));
                }
            }
        }
        Ok(())
    }

    fn read_check(&mut self, document: &Document<'_>, table: &DeTable<'_>) -> Result<()> {
        for (key, value) in table {
            let offset = key.span().start;
            let name = key.get_ref().as_ref();
            if name != "parallel" {
                let name = format!("check.{name}");
                return Err(document.unknown(offset, &name, ["check.parallel"].into_iter()));
            }
            let number = value.get_ref().as_integer();
            let number = number.and_then(|n| usize::from_str_radix(n.as_str(), n.radix()).ok());
            let most = Self::MAX_PARALLEL;
            self.parallel = number.filter(|n| (1..=most).contains(n)).ok_or_else(|| {
                document.fault(offset, format!("check.parallel must be a whole number from 1 to {most}"))
            })?;
        }
        Ok(())
    }

    fn read_prune(&mut self, document: &Document<'_>, table: &DeTable<'_>) -> Result<()> {
        for (key, value) in table {
            let offset = key.span().start;
            let name = key.get_ref().as_ref();
            if name != "max_fraction" {
                let name = format!("prune.{name}");
                return Err(document.unknown(offset, &name, ["prune.max_fraction"].into_iter()));
            }
            let number = match value.get_ref() {
                DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
                // 0 and 1 are whole numbers to TOML.
                DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
                _ => None,
            };
            self.max_fraction = number.filter(|n| (0.0..=1.0).contains(n)).ok_or_else(|| {
                document.fault(offset, "prune.max_fraction must be a number from 0 to 1, like 0.2")
            })?;
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            defaults: Layer::default(),
            state_dir: None,
            min_free_bytes: Self::MIN_FREE_BYTES,
            parallel: Self::PARALLEL,
            max_fraction: Self::MAX_FRACTION,
            serve: Serve::default(),
        }
    }
}
