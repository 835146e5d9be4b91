//! What a process has from the one before it, or from systemd: listening sockets, and channels.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use listenfd::ListenFd;
use nix::unistd::dup2_stdin;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::channel::{CLOSE, GO, SERVING, connected, read_line, ready};
use super::message::{self, Label, Purpose};
use super::predecessors::Predecessor;
use crate::listener::{Place, local_address};

/// Set for a process whose standard input is the channel to the one before it.
pub const VARIABLE: &str = "PGSTRATA_PREDECESSOR";

/// How long the old process may take to send its sockets: it does so before this one reads.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the old process may take from there until it accepts nobody any more.
const RELIEF: Duration = Duration::from_secs(30);

/// How systemd calls the socket for HTTP: `FileDescriptorName=`. Others are for clients.
const HTTP: &str = "http";

/// Sockets and channels that were there before the process.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Socket>,
    /// The places of those that were taken.
    used: Vec<usize>,
    predecessor: Option<UnixStream>,
    channels: Vec<UnixStream>,
}

/// A listening socket, and its place among those that were sent.
#[derive(Debug)]
struct Socket {
    place: usize,
    label: Label,
    socket: OwnedFd,
}

impl Inherited {
    /// Of this process. To be called once, before it has another thread, since it takes variables of systemd's out of
    /// the environment. The error: what is there can't be read.
    pub fn take() -> io::Result<Self> {
        match std::env::var_os(VARIABLE) {
            Some(_) => {
                let channel = io::stdin().as_fd().try_clone_to_owned()?;
                // A child of this process would hold it open.
                dup2_stdin(File::open("/dev/null")?)?;
                Self::of_predecessor(channel.into())
            }
            None => Self::of_systemd(),
        }
    }

    fn of_predecessor(channel: UnixStream) -> io::Result<Self> {
        channel.set_read_timeout(Some(PATIENCE))?;
        let (sockets, channels) = message::receive(&channel)?;
        channel.set_read_timeout(None)?;
        let channels = channels.into_iter().map(UnixStream::from).collect();
        Ok(Self { predecessor: Some(channel), channels, ..Self::of_sockets(sockets) })
    }

    fn of_systemd() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut all = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..all.len() {
            let name = names.next().unwrap_or_default();
            let purpose = if name == HTTP { Purpose::Http } else { Purpose::Clients };
            let socket = match all.take_tcp_listener(index) {
                Ok(socket) => socket.map(OwnedFd::from),
                Err(_) => all.take_unix_listener(index)?.map(OwnedFd::from),
            };
            sockets.extend(socket.map(|socket| (Label { purpose, activated: true }, socket)));
        }
        Ok(Self::of_sockets(sockets))
    }

    fn of_sockets(sockets: Vec<(Label, OwnedFd)>) -> Self {
        let socket = |(place, (label, socket))| Socket { place, label, socket };
        Self { sockets: sockets.into_iter().enumerate().map(socket).collect(), ..Self::default() }
    }

    /// The sockets that systemd has made for this.
    pub fn activated(&mut self, purpose: Purpose) -> Vec<OwnedFd> {
        let wanted = Label { purpose, activated: true };
        let taken: Vec<_> = self.sockets.extract_if(.., |socket| socket.label == wanted).collect();
        self.used.extend(taken.iter().map(|socket| socket.place));
        taken.into_iter().map(|socket| socket.socket).collect()
    }

    /// The socket of the process before that listens there for this.
    pub fn listening(&mut self, purpose: Purpose, place: &Place) -> Option<OwnedFd> {
        let wanted = Label { purpose, activated: false };
        let is_it =
            |socket: &Socket| socket.label == wanted && Place::of(&socket.socket).as_ref() == Some(place);
        let index = self.sockets.iter().position(is_it)?;
        let taken = self.sockets.swap_remove(index);
        self.used.push(taken.place);
        Some(taken.socket)
    }

    /// The socket of the process before that nobody has taken and that has this port, at another address or for another
    /// purpose: what it is for, and its address.
    pub fn on_port(&self, port: u16) -> Option<(Purpose, SocketAddr)> {
        let address = |socket: &Socket| Some((socket.label.purpose, local_address(&socket.socket)?));
        self.sockets.iter().filter_map(address).find(|(_, address)| address.port() == port)
    }

    /// Tells the process before that all is prepared, and waits until it accepts nobody any more. The sockets that were
    /// not taken are closed. Must be called inside the runtime that lasts as long as the process.
    pub async fn relieve(self) -> io::Result<Relieved> {
        let Self { predecessor, channels, used, sockets } = self;
        drop(sockets);
        let earlier = |channel| connected(channel).and_then(Predecessor::new);
        let earlier = channels.into_iter().map(earlier).collect::<io::Result<Vec<_>>>()?;
        let Some(predecessor) = predecessor else { return Ok(Relieved { predecessor: None, earlier }) };
        let mut channel = connected(predecessor)?;
        let _ = channel.get_mut().write_all(ready(&used).as_bytes()).await;
        match timeout(RELIEF, read_line(&mut channel)).await {
            Ok(said) => match said?.as_deref() {
                Some(GO) => Ok(Relieved { predecessor: Some(Predecessor::new(channel)?), earlier }),
                // It has ended, and that is as good.
                None => Ok(Relieved { predecessor: None, earlier }),
                Some(other) => Err(io::Error::new(io::ErrorKind::InvalidData, other.trim().to_owned())),
            },
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the process before does not answer")),
        }
    }
}

/// No process before this one accepts any more.
#[derive(Debug)]
pub struct Relieved {
    predecessor: Option<Predecessor>,
    earlier: Vec<Predecessor>,
}

impl Relieved {
    /// Tells the process before that this one serves, and those before that one that they need not keep their sockets.
    /// Gives all that still have clients.
    pub fn serving(self) -> Vec<Predecessor> {
        let Self { predecessor, earlier: mut all } = self;
        all.iter().for_each(|process| process.say(CLOSE));
        if let Some(process) = predecessor {
            process.say(SERVING);
            all.push(process);
        }
        all
    }
}
