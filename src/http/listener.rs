//! Where the server listens: TCP addresses, and sockets in the file system for a proxy on the same host.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, UnixListener};

use super::wire::Socket;
use crate::error::{Context, Error, Kind, Result};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `127.0.0.1:8080`, `[::1]:8080`; port 0 takes a free one.
    Tcp(SocketAddr),
    /// `unix:/run/npvr.sock`.
    Unix(PathBuf),
}

impl Address {
    /// True if only this host can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Unix(_) => true,
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address> {
        let wrong = |what: &str| {
            Error::new(Kind::Usage, format!("{what}: {text}"))
                .hint("write it like 127.0.0.1:8080, [::1]:8080 or unix:/run/npvr.sock")
        };
        match text.strip_prefix("unix:") {
            Some(path) if Path::new(path).is_absolute() => Ok(Address::Unix(path.into())),
            Some(_) => Err(wrong("not an absolute path")),
            None => text.parse().map(Address::Tcp).map_err(|_| wrong("not an address and a port")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "http://{address}/"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that is listened on.
pub struct Listener {
    address: Address,
    socket: Listening,
}

enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// One whose file is ours to take away.
    OwnUnix(UnixListener, PathBuf),
}

impl Listener {
    /// Listens there. A socket file that a dead server left is replaced.
    ///
    /// # Errors
    /// If somebody else listens there, or we may not.
    pub async fn bind(address: &Address) -> Result<Listener> {
        let in_the_way = |e: io::Error| match e.kind() {
            io::ErrorKind::AddrInUse => Error::new(Kind::Busy, "another program listens there")
                .hint("choose another place: --listen ADDRESS; port 0 takes a free one"),
            _ => e.into(),
        };
        let named = || format!("listen on {address}");
        match address {
            Address::Tcp(at) => {
                let socket = TcpListener::bind(at).await.map_err(in_the_way).with_context(named)?;
                let at = socket.local_addr().with_context(named)?;
                Ok(Listener { address: Address::Tcp(at), socket: Listening::Tcp(socket) })
            }
            Address::Unix(path) => {
                clear_away(path);
                let socket = UnixListener::bind(path).map_err(in_the_way).with_context(named)?;
                // For the group, too: a proxy runs as another user.
                let mode = std::fs::Permissions::from_mode(0o660);
                std::fs::set_permissions(path, mode).with_context(named)?;
                Ok(Listener { address: address.clone(), socket: Listening::OwnUnix(socket, path.clone()) })
            }
        }
    }

    /// A TCP socket that somebody else opened.
    ///
    /// # Errors
    /// If it cannot be waited on.
    pub(super) fn of_tcp(socket: std::net::TcpListener) -> Result<Listener> {
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        Ok(Listener { address: Address::Tcp(socket.local_addr()?), socket: Listening::Tcp(socket) })
    }

    /// A socket in the file system that somebody else opened.
    ///
    /// # Errors
    /// If it cannot be waited on.
    pub(super) fn of_unix(socket: std::os::unix::net::UnixListener) -> Result<Listener> {
        socket.set_nonblocking(true)?;
        let socket = UnixListener::from_std(socket)?;
        let path = socket.local_addr()?.as_pathname().map_or_else(|| "/".into(), Path::to_owned);
        Ok(Listener { address: Address::Unix(path), socket: Listening::Unix(socket) })
    }

    /// Where it listens: with the port that it got.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection, and who is at its other end. A client that takes nothing of what it is sent for `stall` is cut.
    pub(super) async fn accept(&self, stall: Duration) -> io::Result<(Box<dyn Socket>, Option<IpAddr>)> {
        match &self.socket {
            Listening::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // Without it, small answers on a kept connection wait for the client's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                let ms = u32::try_from(stall.as_millis()).unwrap_or(u32::MAX);
                let _ = set_tcp_user_timeout(&stream, ms);
                Ok((Box::new(stream), Some(peer.ip().to_canonical())))
            }
            Listening::Unix(socket) | Listening::OwnUnix(socket, _) => {
                let (stream, _) = socket.accept().await?;
                Ok((Box::new(stream), None))
            }
        }
    }
}

/// Takes the file of a socket away on which nobody listens any more. What else is there stays, and is in the way.
fn clear_away(path: &Path) {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    let is_dead = || UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    if is_socket && is_dead() {
        // If it cannot be removed, binding says why.
        let _ = std::fs::remove_file(path);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listening::OwnUnix(_, path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_tcp_or_a_path_and_anything_else_is_told() {
        assert_eq!("[::1]:80".parse::<Address>().unwrap().to_string(), "http://[::1]:80/");
        assert_eq!("unix:/run/a".parse::<Address>().unwrap(), Address::Unix("/run/a".into()));
        for wrong in ["8080", "localhost:80", "unix:run/a", "unix:", "127.0.0.1", ""] {
            let e = wrong.parse::<Address>().unwrap_err();
            assert_eq!(e.kind(), Kind::Usage, "{wrong}");
        }
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_server_is_replaced_and_that_of_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        // Dropped without its file being removed, as by a kill.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = Address::Unix(path.clone());
        let listener = Listener::bind(&address).await.unwrap();
        assert!(listener.address().is_local());
        let Err(e) = Listener::bind(&address).await else { panic!("two listen on one socket") };
        assert!(e.kind() == Kind::Busy && e.remedy().is_some(), "{e}");
        drop(listener);
        assert!(!path.exists());
        std::fs::write(&path, "a file of somebody's").unwrap();
        assert!(Listener::bind(&address).await.is_err() && path.exists());
    }
}
