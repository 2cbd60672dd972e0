//! Keeps root out of another user's state folder: root would leave files there that the user cannot write, and each of the
//! user's own runs after that would fail.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// Fails if this process is root's, and the ledger in `dir` (or, where there is none, `dir`) is not.
pub(super) fn refuse(dir: &Path, ledger: &Path) -> Result<()> {
    let owned = std::fs::metadata(ledger).or_else(|_| std::fs::metadata(dir))?;
    let users = || std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    allow(rustix::process::geteuid().is_root(), owned.uid(), users)
}

fn allow(is_root: bool, owner: u32, users: impl FnOnce() -> String) -> Result<()> {
    if !is_root || owner == 0 {
        return Ok(());
    }
    // passwd(5): name:password:uid:…
    let users = users();
    let named = users.lines().find(|line| line.split(':').nth(2) == Some(owner.to_string().as_str()));
    let name = named.and_then(|line| line.split(':').next()).map_or(format!("#{owner}"), str::to_owned);
    let error = Error::new(Kind::Denied, format!("it belongs to the user {name}, and this is root"));
    Err(error.hint(format!("run it as that user: sudo -u '{name}' npvr …")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_told_whose_ledger_it_is_and_everyone_else_is_let_in() {
        let users =
            || "root:x:0:0::/root:/bin/sh\nnpvr:x:995:995::/var/lib/npvr:/usr/sbin/nologin\n".to_owned();
        let refused = allow(true, 995, users).unwrap_err();
        assert_eq!(refused.kind(), Kind::Denied);
        assert_eq!(refused.remedy(), Some("run it as that user: sudo -u 'npvr' npvr …"));
        assert_eq!(
            allow(true, 7, users).unwrap_err().remedy(),
            Some("run it as that user: sudo -u '#7' npvr …")
        );
        allow(true, 0, users).unwrap();
        allow(false, 995, users).unwrap();
    }
}
