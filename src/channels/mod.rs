//! The configuration folder: `npvr.toml` (optional) and `channels.d/*.toml`, one channel a file, the file's name the
//! channel's.
//!
//! Reads and writes files and looks passwords up; what the text means is [`crate::channel`]'s. One bad file does not
//! stop the other channels.

mod edit;
mod env;
mod files;
mod stamp;

use std::path::{Path, PathBuf};

pub use env::Env;
pub use stamp::Stamp;

use crate::channel::{Channel, Layer, Name, SecretFrom, Settings, nearest};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// The channels of one configuration folder.
#[derive(Clone)]
pub struct Channels {
    folder: PathBuf,
    env: Env,
}

impl Channels {
    /// Those of `folder`, as [`Env::config_folder`] found it. Reads nothing yet.
    pub fn new(folder: impl Into<PathBuf>, env: Env) -> Self {
        Self { folder: folder.into(), env }
    }

    /// The configuration folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a channel, there or not.
    pub fn file(&self, name: &Name) -> PathBuf {
        self.files().join(format!("{name}.toml"))
    }

    fn files(&self) -> PathBuf {
        self.folder.join("channels.d")
    }

    /// What changes when any file of the configuration does: for those who keep what they read.
    pub fn stamp(&self) -> Stamp {
        Stamp::of(&self.folder.join("npvr.toml"), &self.files())
    }

    /// What `npvr.toml` says; the defaults if there is none.
    ///
    /// # Errors
    /// [`Kind::Config`] with file and line.
    pub fn settings(&self) -> Result<Settings> {
        let path = self.folder.join("npvr.toml");
        match files::read(&path) {
            Ok(text) => Settings::parse(&text, &path.display().to_string()),
            Err(e) if e.kind() == Kind::NotFound => Ok(Settings::default()),
            Err(e) => Err(e),
        }
    }

    /// The names of all channels, sorted; an error for each file whose name cannot be a channel's. What editors leave
    /// behind (`.news.toml.swp`, `news.toml~`) is no channel.
    ///
    /// # Errors
    /// [`Kind::Config`] if there is no configuration folder.
    pub fn names(&self) -> Result<Vec<Result<Name>>> {
        if !self.folder.is_dir() {
            let what = format!("there is no configuration: {} is not there", self.folder.display());
            return Err(Error::new(Kind::Config, what)
                .hint("npvr channel add NAME --url URL makes it; or see --config"));
        }
        let mut stems = files::stems(&self.files())?;
        stems.sort();
        let name = |stem: String| {
            let file = self.files().join(format!("{stem}.toml"));
            stem.parse::<Name>().map_err(|e| {
                let error = Error::new(Kind::Config, e.to_string()).context(file.display());
                error.hint(
                    "rename the file; names have letters, digits, '.', '_' and '-', a letter or digit first",
                )
            })
        };
        Ok(stems.into_iter().map(name).collect())
    }

    /// All channels, each on its own: an error says which channel, or which file, it is about.
    ///
    /// # Errors
    /// Only what is wrong for all of them: no folder, or an `npvr.toml` that cannot be used.
    pub fn load_all(&self) -> Result<Vec<Result<Channel>>> {
        let settings = self.settings()?;
        Ok(self.names()?.into_iter().map(|name| self.load_with(&name?, &settings)).collect())
    }

    /// One channel.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the name that may have been meant; [`Kind::Config`] with file and line.
    pub fn load(&self, name: &Name) -> Result<Channel> {
        self.load_with(name, &self.settings()?)
    }

    fn load_with(&self, name: &Name, settings: &Settings) -> Result<Channel> {
        let text = self.read(name)?;
        self.resolve(name, &text, settings).map_err(|e| e.context(format!("channel {name}")))
    }

    fn resolve(&self, name: &Name, text: &str, settings: &Settings) -> Result<Channel> {
        self.resolve_as(name, text, settings, &self.file(name).display().to_string())
    }

    /// The same, with another name for the file in messages.
    fn resolve_as(&self, name: &Name, text: &str, settings: &Settings, file: &str) -> Result<Channel> {
        let layer = Layer::parse(text, file)?;
        Channel::resolve(name, &layer, &settings.defaults, &|from| self.look_up(from))
    }

    /// The text of a channel's file.
    fn read(&self, name: &Name) -> Result<String> {
        files::read(&self.file(name)).map_err(|e| match e.kind() {
            Kind::NotFound => self.unknown(name),
            _ => e.context(format!("channel {name}")),
        })
    }

    fn unknown(&self, name: &Name) -> Error {
        let known: Vec<Name> = self.names().into_iter().flatten().flatten().collect();
        let error = Error::new(Kind::NotFound, format!("there is no channel {name}"));
        match nearest(name.as_str(), known.iter().map(Name::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("npvr channel list shows those that there are"),
        }
    }

    fn look_up(&self, from: &SecretFrom) -> Result<Secret> {
        match from {
            SecretFrom::File(path) => {
                let text = files::read(path)?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                match line {
                    "" => Err(Error::new(Kind::Config, format!("{} is empty", path.display()))),
                    line if line.contains('\n') => {
                        Err(Error::new(Kind::Config, format!("{} has more than one line", path.display())))
                    }
                    line => Ok(Secret::new(line)),
                }
            }
            SecretFrom::Env(name) => match self.env.variable(name).map(std::ffi::OsString::into_string) {
                Some(Ok(text)) => Ok(Secret::new(text)),
                Some(Err(_)) => Err(Error::new(Kind::Config, format!("${name} is not UTF-8"))),
                None => Err(Error::new(Kind::Config, format!("${name} is not set"))
                    .hint("set it in the crontab or the systemd unit, or keep the secret in a file")),
            },
        }
    }

    /// The text of a channel's file, as it stands.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the name that may have been meant.
    pub fn text(&self, name: &Name) -> Result<String> {
        self.read(name)
    }

    /// The channel that [`Channels::add`] would make; nothing is written.
    ///
    /// # Errors
    /// As [`Channels::add`].
    pub fn preview(&self, name: &Name, values: &[(&str, &str)]) -> Result<Channel> {
        if self.file(name).exists() {
            return Err(self.there_already(name));
        }
        let text = edit::new_file(name, values)?;
        self.resolve(name, &text, &self.settings()?).map_err(|e| e.context(format!("channel {name}")))
    }

    fn there_already(&self, name: &Name) -> Error {
        let file = self.file(name);
        Error::new(Kind::Usage, format!("there is a channel {name} already"))
            .hint(format!("change it in {}, or remove it first: npvr channel remove {name}", file.display()))
    }

    /// Makes a new channel: its file is written whole or not at all, with comments for the person who opens it later.
    /// `values` are keys and their values as a command line gives them, `channel_url` among them.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the channel is there already; [`Kind::Config`] for a value that cannot be, and nothing is
    /// written then.
    pub fn add(&self, name: &Name, values: &[(&str, &str)]) -> Result<Channel> {
        let text = edit::new_file(name, values)?;
        let channel =
            self.resolve(name, &text, &self.settings()?).map_err(|e| e.context(format!("channel {name}")))?;
        files::create(&self.file(name), &text).map_err(|e| match e.kind() {
            Kind::Busy => self.there_already(name),
            _ => e,
        })?;
        Ok(channel)
    }

    /// Gives a channel these values, and makes it if it is not there. Of a file that is, the keys in `without` go, and
    /// everything else stays, comments included. True if the channel is new. Messages are for somebody elsewhere: they name
    /// the file from the configuration folder on.
    ///
    /// # Errors
    /// [`Kind::Config`] if the channel could not be loaded then, and nothing is written.
    pub fn put(&self, name: &Name, values: &[(&str, &str)], without: &[&str]) -> Result<bool> {
        let old = match files::read(&self.file(name)) {
            Err(e) if e.kind() == Kind::NotFound => None,
            other => Some(other?),
        };
        let text = match &old {
            None => edit::new_file(name, values)?,
            Some(old) => {
                let cut = without.iter().try_fold(old.clone(), |text, key| edit::unset(&text, key))?;
                values.iter().try_fold(cut, |text, (key, value)| edit::set(&text, key, value))?
            }
        };
        self.resolve_as(name, &text, &self.settings()?, &format!("channels.d/{name}.toml"))?;
        match old {
            None => files::create(&self.file(name), &text)?,
            Some(_) => files::replace(&self.file(name), &text)?,
        }
        Ok(old.is_none())
    }

    /// Removes a channel's file. What is archived of it stays.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the name that may have been meant.
    pub fn remove(&self, name: &Name) -> Result<()> {
        files::remove(&self.file(name)).map_err(|e| match e.kind() {
            Kind::NotFound => self.unknown(name),
            _ => e,
        })
    }

    /// Switches a channel on or off. True if that changes its file. Comments and layout stay, and what else may be wrong
    /// in the file does not matter.
    pub fn set_enabled(&self, name: &Name, enabled: bool) -> Result<bool> {
        let before = self.read(name)?;
        if edit::switch(&before, "enabled") == Some(enabled) {
            return Ok(false);
        }
        let word = if enabled { "true" } else { "false" };
        let after = edit::set(&before, "enabled", word).map_err(|e| e.context(self.file(name).display()))?;
        files::replace(&self.file(name), &after)?;
        Ok(true)
    }

    /// Sets one key of a channel to a value as a command line gives it. Comments and layout of its file stay.
    ///
    /// # Errors
    /// [`Kind::Config`] if the channel could not be loaded with it; nothing is written then.
    pub fn set(&self, name: &Name, key: &str, value: &str) -> Result<Channel> {
        let text =
            edit::set(&self.read(name)?, key, value).map_err(|e| e.context(self.file(name).display()))?;
        let channel =
            self.resolve(name, &text, &self.settings()?).map_err(|e| e.context(format!("channel {name}")))?;
        files::replace(&self.file(name), &text)?;
        Ok(channel)
    }
}

#[cfg(test)]
mod tests;
