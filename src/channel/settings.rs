//! `npvr.toml`: what holds for all channels.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::keys;
use super::raw::{Document, Layer};
use crate::error::Result;

const TABLES: [&str; 4] = ["defaults", "state", "check", "prune"];

/// What holds for all channels.
#[derive(Clone)]
pub struct Settings {
    /// Values for channels that do not set their own: `[defaults]`.
    pub defaults: Layer,
    /// The state folder, absolute: `[state] dir`.
    pub state_dir: Option<PathBuf>,
    /// Captures at once, over all channels: `[check] parallel`.
    pub parallel: usize,
    /// The most of a channel that one prune deletes unforced, from 0 to 1: `[prune] max_fraction`.
    pub max_fraction: f64,
}

impl Settings {
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
                _ => return Err(document.unknown(offset, name, TABLES.into_iter())),
            }
        }
        Ok(settings)
    }

    fn read_state(&mut self, document: &Document<'_>, table: &DeTable<'_>) -> Result<()> {
        for (key, value) in table {
            let offset = key.span().start;
            match (key.get_ref().as_ref(), value.get_ref().as_str().map(PathBuf::from)) {
                ("dir", Some(dir)) if dir.is_absolute() => self.state_dir = Some(dir),
                ("dir", _) => {
                    let fault = document.fault(offset, "state.dir must be an absolute path, in quotes");
                    return Err(fault.hint("write it like dir = \"/var/lib/npvr\""));
                }
                (name, _) => {
                    return Err(document.unknown(
                        offset,
                        &format!("state.{name}"),
                        ["state.dir"].into_iter(),
                    ));
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
            parallel: Self::PARALLEL,
            max_fraction: Self::MAX_FRACTION,
        }
    }
}
