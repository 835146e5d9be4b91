//! Where clients come in.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::pool::target::keep_alive;

/// Clients that the system takes in while we are busy.
const BACKLOG: i32 = 1024;

/// A socket that clients connect to.
pub struct Listener(AsyncFd<TcpListener>);

impl Listener {
    /// Listens on that address. Clients' sockets have from this one that they send at once, and that the system asks those
    /// for life that are silent for long: Linux and the BSDs hand it down, and nothing need be set for each client.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        keep_alive(&SockRef::from(&socket))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self(AsyncFd::register(socket.into())?))
    }

    /// The next client. Its socket belongs to no runtime yet: it is for the thread that will serve it.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(accepted) = ready.try_io(|listener| listener.get_ref().accept()) {
                let (stream, peer) = accepted?;
                stream.set_nonblocking(true)?;
                return Ok((stream, peer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_sockets_are_set_up_as_the_listeners() {
        // A port that is free: asked of another socket, which is closed again.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = Listener::bind(address).unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let socket = SockRef::from(&stream);
        assert!(
            socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap() && socket.nonblocking().unwrap()
        );
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            SockRef::from(listener.0.get_ref()).tcp_keepalive_time().unwrap()
        );
        assert!(
            socket.tcp_keepalive_time().unwrap() < std::time::Duration::from_secs(7200),
            "the system's own"
        );
    }
}
