//! What the process stands in, and where that puts the configuration and the state folder.
//!
//! The environment comes in as a value, so that the order of places is tested without touching the process's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Context, Error, Kind, Result};

type Variables = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// The environment of a run.
#[derive(Clone)]
pub struct Env {
    variables: Arc<Variables>,
    current: PathBuf,
    is_root: bool,
    system_config: PathBuf,
}

impl Env {
    /// That of this process.
    ///
    /// # Errors
    /// If its current folder was deleted.
    pub fn of_process() -> Result<Self> {
        let current = std::env::current_dir().context("the current folder")?;
        Ok(Self {
            variables: Arc::new(|name| std::env::var_os(name)),
            current,
            is_root: rustix::process::geteuid().is_root(),
            system_config: PathBuf::from("/etc/npvr"),
        })
    }

    /// A made-up one: its variables, its current folder, and the place of the system's own configuration.
    pub fn of_parts(
        variables: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
        current: impl Into<PathBuf>,
        is_root: bool,
        system_config: impl Into<PathBuf>,
    ) -> Self {
        Self {
            variables: Arc::new(variables),
            current: current.into(),
            is_root,
            system_config: system_config.into(),
        }
    }

    /// A variable; an empty one counts as not set.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    fn folder(&self, variable: &str) -> Option<PathBuf> {
        self.variable(variable).map(|value| self.current.join(value))
    }

    /// `$<variable>/npvr`, or that under the home folder. XDG Base Directory: a relative value is to be ignored.
    fn xdg(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let base = self.variable(variable).map(PathBuf::from).filter(|p| p.is_absolute());
        let base = base.or_else(|| Some(self.folder("HOME")?.join(below_home)))?;
        Some(base.join("npvr"))
    }

    /// The configuration folder: `flag` (`--config`), `$NPVR_CONFIG`, the current folder if it has `channels.d`,
    /// `$XDG_CONFIG_HOME/npvr`, `/etc/npvr`. Of the last two the first that is there; where neither is, the one that a
    /// first `channel add` should make.
    pub fn config_folder(&self, flag: Option<&Path>) -> PathBuf {
        if let Some(said) = flag.map(|p| self.current.join(p)).or_else(|| self.folder("NPVR_CONFIG")) {
            return said;
        }
        if self.current.join("channels.d").is_dir() {
            return self.current.clone();
        }
        let own = self.xdg("XDG_CONFIG_HOME", ".config");
        let system = self.system_config.clone();
        match own {
            Some(own) if own.is_dir() || !(self.is_root || system.is_dir()) => own,
            _ => system,
        }
    }

    /// The state folder: `flag` (`--state`), `$NPVR_STATE`, `set` (`[state] dir`), `$STATE_DIRECTORY` (systemd gives
    /// it), and else `/var/lib/npvr` for root, `$XDG_STATE_HOME/npvr` for others.
    ///
    /// # Errors
    /// [`Kind::Usage`] if there is no home folder to put it in.
    pub fn state_folder(&self, flag: Option<&Path>, set: Option<&Path>) -> Result<PathBuf> {
        let said = flag.map(|p| self.current.join(p)).or_else(|| self.folder("NPVR_STATE"));
        // systemd.exec(5): several folders are separated by colons.
        let systemd = || {
            let all = self.variable("STATE_DIRECTORY")?.into_string().ok()?;
            all.split(':').next().filter(|first| !first.is_empty()).map(PathBuf::from)
        };
        let usual = || match self.is_root {
            true => Some(PathBuf::from("/var/lib/npvr")),
            false => self.xdg("XDG_STATE_HOME", ".local/state"),
        };
        said.or_else(|| set.map(Path::to_owned)).or_else(systemd).or_else(usual).ok_or_else(|| {
            Error::new(Kind::Usage, "there is no state folder: neither HOME nor XDG_STATE_HOME is set")
                .hint("say where it is: --state DIR, or NPVR_STATE")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(current: &Path, is_root: bool, variables: &[(&str, &str)]) -> Env {
        let all: Vec<(String, OsString)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        let look_up = move |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        Env::of_parts(look_up, current, is_root, current.join("etc/npvr"))
    }

    #[test]
    fn the_configuration_is_looked_for_in_the_documented_order() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        let home = here.join("home");
        let all = [("NPVR_CONFIG", "conf"), ("HOME", home.to_str().unwrap())];
        let none: Option<&Path> = None;
        let found = |variables: &[_], is_root, flag| env(here, is_root, variables).config_folder(flag);

        assert_eq!(found(&all[1..], false, none), home.join(".config/npvr"), "where a first one is made");
        assert_eq!(found(&all[1..], true, none), here.join("etc/npvr"), "the same for root");
        assert_eq!(found(&[], false, none), here.join("etc/npvr"));
        std::fs::create_dir_all(here.join("etc/npvr")).unwrap();
        assert_eq!(found(&all[1..], false, none), here.join("etc/npvr"));
        std::fs::create_dir_all(home.join(".config/npvr")).unwrap();
        assert_eq!(found(&all[1..], false, none), home.join(".config/npvr"));
        let xdg = [all[1], ("XDG_CONFIG_HOME", "relative")];
        assert_eq!(found(&xdg, false, none), home.join(".config/npvr"), "a relative one is ignored");
        std::fs::create_dir_all(here.join("channels.d")).unwrap();
        assert_eq!(found(&all[1..], false, none), here);
        assert_eq!(found(&[("NPVR_CONFIG", ""), all[1]], false, none), here, "empty is not set");
        assert_eq!(found(&all, false, none), here.join("conf"));
        assert_eq!(found(&all, false, Some(Path::new("flag"))), here.join("flag"));
    }

    #[test]
    fn the_state_folder_is_looked_for_in_the_documented_order() {
        let here = Path::new("/here");
        let all = [("NPVR_STATE", "s"), ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("HOME", "/home/me")];
        let set = Some(Path::new("/set"));
        let found = |variables: &[_], is_root, flag: Option<&str>, set| {
            env(here, is_root, variables).state_folder(flag.map(Path::new), set).map_err(|e| e.kind())
        };
        let is = |text: &str| Ok(PathBuf::from(text));
        assert_eq!(found(&all, false, Some("flag"), set), is("/here/flag"));
        assert_eq!(found(&all, false, None, set), is("/here/s"));
        assert_eq!(found(&all[1..], false, None, set), is("/set"));
        assert_eq!(found(&all[1..], false, None, None), is("/var/lib/a"));
        assert_eq!(found(&all[2..], false, None, None), is("/home/me/.local/state/npvr"));
        assert_eq!(found(&all[2..], true, None, None), is("/var/lib/npvr"));
        assert_eq!(found(&[("XDG_STATE_HOME", "/x")], false, None, None), is("/x/npvr"));
        assert_eq!(found(&[], false, None, None), Err(Kind::Usage));
    }
}
