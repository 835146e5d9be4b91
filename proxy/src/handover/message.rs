//! Listening sockets and channels on their way from one process to the next: a length, JSON that says which they are,
//! and the descriptors beside the first byte.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

/// Descriptors at most: the system takes 253 in one message.
pub const MOST: usize = 128;

/// Bytes of JSON at most.
const LONGEST: usize = 64 << 10;

/// What the other side must know to read the rest. Keys may be added without a new one.
const VERSION: u32 = 1;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Clients connect to it.
    Clients,
    /// HTTP.
    Http,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clients => "clients",
            Self::Http => "HTTP",
        })
    }
}

/// One listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What it is for.
    pub purpose: Purpose,
    /// systemd has made it: it counts, whatever address the configuration has.
    pub activated: bool,
}

/// What the descriptors are: first the sockets, then so many channels to earlier processes.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    version: u32,
    sockets: Vec<Label>,
    channels: usize,
}

/// Sends them. The other end reads them with [`receive`].
pub fn send(
    to: &UnixStream,
    sockets: &[(Label, BorrowedFd<'_>)],
    channels: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let contents = Contents {
        version: VERSION,
        sockets: sockets.iter().map(|(label, _)| *label).collect(),
        channels: channels.len(),
    };
    let json = serde_json::to_vec(&contents)?;
    let descriptors: Vec<BorrowedFd<'_>> =
        sockets.iter().map(|(_, socket)| *socket).chain(channels.iter().copied()).collect();
    if descriptors.len() > MOST {
        return Err(invalid(format!("more than {MOST} sockets can not be handed over")));
    }
    let length = u32::try_from(json.len()).map_err(|_| invalid("too long".into()))?.to_be_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(invalid("too many descriptors".into()));
    }
    let sent = sendmsg(to, &[IoSlice::new(&length)], &mut beside, SendFlags::NOSIGNAL)?;
    if sent != length.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    io::Write::write_all(&mut &*to, &json)
}

/// What was sent: the sockets, and the channels.
pub type Received = (Vec<(Label, OwnedFd)>, Vec<OwnedFd>);

/// Reads what [`send`] has sent. Descriptors that are none of these are closed.
pub fn receive(from: &UnixStream) -> io::Result<Received> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let read =
        recvmsg(from, &mut [IoSliceMut::new(&mut length)], &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    let mut stream = from;
    stream.read_exact(length.get_mut(read..).unwrap_or_default())?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(invalid(format!("a message of {length} bytes")));
    }
    let mut json = vec![0; length];
    stream.read_exact(&mut json)?;
    let contents: Contents = serde_json::from_slice(&json)?;
    let all = contents.sockets.len().saturating_add(contents.channels);
    if contents.version != VERSION || all != descriptors.len() {
        return Err(invalid(format!(
            "version {} with {} descriptors for {all}",
            contents.version,
            descriptors.len()
        )));
    }
    let channels = descriptors.split_off(contents.sockets.len());
    Ok((contents.sockets.into_iter().zip(descriptors).collect(), channels))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn sockets_arrive_with_what_they_are_for() {
        let (old, new) = UnixStream::pair().unwrap();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let (channel, other) = UnixStream::pair().unwrap();
        let labels = [
            Label { purpose: Purpose::Clients, activated: false },
            Label { purpose: Purpose::Http, activated: true },
        ];
        let sockets = [(labels[0], listeners[0].as_fd()), (labels[1], listeners[1].as_fd())];
        send(&old, &sockets, &[channel.as_fd()]).unwrap();
        let (sockets, channels) = receive(&new).unwrap();
        for ((label, socket), (expected, listener)) in sockets.into_iter().zip(labels.iter().zip(&listeners))
        {
            let socket = TcpListener::from(socket);
            assert_eq!((label, socket.local_addr().unwrap()), (*expected, listener.local_addr().unwrap()));
        }
        let mut channel = UnixStream::from(channels.into_iter().next().unwrap());
        channel.write_all(b"x").unwrap();
        assert_eq!((&other).read(&mut [0; 8]).unwrap(), 1);
        send(&old, &[], &[]).unwrap();
        assert!(receive(&new).is_ok_and(|(sockets, channels)| sockets.is_empty() && channels.is_empty()));
    }

    #[test]
    fn what_is_no_such_message_is_an_error() {
        for bytes in [
            &b""[..],
            b"\0\0\0\x02{}",
            b"\xff\xff\xff\xff",
            b"\0\0\0\x2b{\"version\":9,\"sockets\":[],\"channels\":0}     ",
            b"\0\0\0\x2b{\"version\":1,\"sockets\":[],\"channels\":1}     ",
        ] {
            let (mut old, new) = UnixStream::pair().unwrap();
            old.write_all(bytes).unwrap();
            drop(old);
            assert!(receive(&new).is_err(), "{bytes:?}");
        }
    }
}
