//! The tokens that let a client in: one a line in a file, so that a new one can be given out before an old one is taken away.
//!
//! Only their digests are kept, and all of them are compared in a time that does not depend on what they are. The file is
//! read again when somebody shows a token, at most once a second, so a change holds at once. A file that cannot be read lets
//! nobody in.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::clock::Tick;
use crate::error::{Context, Error, Kind, Result};

/// What was read of a file is taken for good for so long.
const FRESH: Duration = Duration::from_secs(1);
/// A shorter token can be guessed.
const SHORTEST: usize = 16;

/// What a person can do to have a good file.
const MAKE: &str = "make one with: (umask 077; openssl rand -hex 32 > FILE)";

/// The tokens of one file.
#[derive(Debug)]
pub struct Tokens {
    file: PathBuf,
    known: Mutex<(Tick, Vec<[u8; 32]>)>,
}

impl Tokens {
    /// Those of `file`: one a line; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// If the file cannot be read, has no token, or one of fewer than 16 characters.
    pub fn open(file: &Path) -> Result<Tokens> {
        let digests = read(file).with_context(|| format!("token file {}", file.display()))?;
        Ok(Tokens { file: file.to_owned(), known: Mutex::new((Tick::now(), digests)) })
    }

    /// True if any user of this host can read the file, or write it.
    pub fn is_open_to_all(&self) -> bool {
        std::fs::metadata(&self.file).is_ok_and(|data| data.permissions().mode() & 0o006 != 0)
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// True if `token` is one of them.
    pub(super) fn hold(&self, token: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0.elapsed() >= FRESH {
            *known = (Tick::now(), read(&self.file).unwrap_or_default());
        }
        let any = |found: Choice, digest: &[u8; 32]| found | digest.ct_eq(&shown);
        known.1.iter().fold(Choice::from(0), any).into()
    }
}

/// The digests of the tokens in a file. Their text is in no message.
fn read(file: &Path) -> Result<Vec<[u8; 32]>> {
    let text = std::fs::read_to_string(file)?;
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    let tokens = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let digests = tokens.map(|(n, token)| match token.len() {
        SHORTEST.. => Ok(Sha256::digest(token.as_bytes()).into()),
        _ => {
            let what = format!("line {n}: a token needs at least {SHORTEST} characters");
            Err(Error::new(Kind::Config, what).hint(MAKE))
        }
    });
    let digests = digests.collect::<Result<Vec<_>>>()?;
    if digests.is_empty() {
        return Err(Error::new(Kind::Config, "there is no token in it").hint(MAKE));
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an-old-token-0123456789";
    const NEW: &str = "a-new-token-0123456789";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn each_line_is_a_token_and_a_comment_is_none() {
        let (_folder, path) = file(&format!("# of the editors, since May\n{OLD}\n\n  {NEW}\n"));
        let tokens = Tokens::open(&path).unwrap();
        assert!(tokens.hold(OLD) && tokens.hold(NEW));
        for wrong in
            ["", "#", "# of the editors, since May", &OLD[1..], &format!("{OLD} "), &format!("{OLD}\n{NEW}")]
        {
            assert!(!tokens.hold(wrong), "{wrong:?}");
        }
        assert!(!format!("{tokens:?}").contains("token-0123"), "{tokens:?}");
    }

    #[test]
    fn a_file_that_lets_nobody_in_or_anybody_is_told_without_its_tokens() {
        for (text, what) in [("", "no token"), ("# x\n", "no token"), ("# x\nshort-secret\n", "line 2")] {
            let (_folder, path) = file(text);
            let e = Tokens::open(&path).unwrap_err();
            assert!(e.to_string().contains(what) && e.remedy() == Some(MAKE), "{e}");
            assert!(!e.to_string().contains("short-secret"), "{e}");
        }
        let (_folder, path) = file(OLD);
        for (mode, open) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Tokens::open(&path).unwrap().is_open_to_all(), open, "{mode:o}");
        }
    }

    #[test]
    fn a_changed_file_holds_and_one_that_is_gone_lets_nobody_in() {
        let (_folder, path) = file(OLD);
        let tokens = Tokens::open(&path).unwrap();
        // As if a second had gone by.
        let forget = || tokens.known.lock().unwrap().1.clear();
        let reread = || {
            forget();
            let digests = read(&path).unwrap_or_default();
            tokens.known.lock().unwrap().1 = digests;
        };
        std::fs::write(&path, NEW).unwrap();
        reread();
        assert!(!tokens.hold(OLD) && tokens.hold(NEW));
        std::fs::remove_file(&path).unwrap();
        reread();
        assert!(!tokens.hold(NEW));
    }
}
