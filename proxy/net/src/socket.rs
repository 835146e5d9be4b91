//! A client's socket, and where the client comes from.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::stream::forward;

/// The socket of a client that was accepted.
#[derive(Debug)]
pub enum ClientSocket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

/// The same between two runtimes.
#[derive(Debug)]
pub enum DetachedSocket {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// Where a client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address.
    Tcp(SocketAddr),
    /// A process on this machine.
    Unix(Process),
}

/// The process at the other end of a Unix socket, as of when it connected.
///
/// See `SO_PEERCRED` in <https://man7.org/linux/man-pages/man7/unix.7.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its effective user.
    pub user: u32,
    /// Its number, where the system has it.
    pub pid: Option<i32>,
}

impl ClientSocket {
    /// Takes the socket from its runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn detached(self) -> io::Result<DetachedSocket> {
        Ok(match self {
            Self::Tcp(stream) => DetachedSocket::Tcp(stream.into_std()?),
            Self::Unix(stream) => DetachedSocket::Unix(stream.into_std()?),
        })
    }

    /// The address that the client has connected to; `None` of a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl DetachedSocket {
    /// Gives the socket to the runtime that this is called in.
    ///
    /// # Errors
    /// What the system says.
    pub fn attached(self) -> io::Result<ClientSocket> {
        Ok(match self {
            Self::Tcp(stream) => ClientSocket::Tcp(TcpStream::from_std(stream)?),
            Self::Unix(stream) => ClientSocket::Unix(UnixStream::from_std(stream)?),
        })
    }
}

impl Peer {
    /// The IP address; `None` of a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address().map(|address| address.ip())
    }

    /// The process at the other end of a Unix socket.
    pub fn process(&self) -> Option<Process> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(process) => Some(*process),
        }
    }

    /// Address and port; `None` of a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

/// As it stands in the log: `192.0.2.1:50312`, or `unix(4711)` with the process's number.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Process { pid: Some(pid), .. }) => write!(f, "unix({pid})"),
            Self::Unix(_) => f.write_str("unix"),
        }
    }
}

forward!([] ClientSocket { Tcp, Unix });
