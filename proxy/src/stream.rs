//! The sockets at both ends, with and without TLS, as one type each.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

/// A client's connection.
#[derive(Debug)]
pub enum ClientStream<S = TcpStream> {
    /// As it came.
    Plain(S),
    /// Through TLS, in which we are the server.
    Tls(Box<server::TlsStream<S>>),
}

/// A connection to PostgreSQL.
#[derive(Debug)]
pub enum ServerStream {
    /// TCP.
    Plain(TcpStream),
    /// TCP with TLS, in which we are the client.
    Tls(Box<client::TlsStream<TcpStream>>),
    /// A Unix socket.
    Unix(UnixStream),
}

impl ServerStream {
    /// Hears of its events on the runtime that calls from now on. With TLS it stays where it is: there
    /// is no way to take the socket out.
    pub fn moved(self) -> io::Result<Self> {
        Ok(match self {
            Self::Plain(stream) => Self::Plain(TcpStream::from_std(stream.into_std()?)?),
            Self::Unix(stream) => Self::Unix(UnixStream::from_std(stream.into_std()?)?),
            tls @ Self::Tls(_) => tls,
        })
    }
}

impl<S> ClientStream<S> {
    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The socket underneath.
    pub fn get_ref(&self) -> &S {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// Every call goes to the stream inside, whichever it is.
macro_rules! forward {
    ([$($generics:tt)*] $type:ty { $($variant:ident),+ }) => {
        impl $($generics)* AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_read(cx, buf),)+ }
            }
        }

        impl $($generics)* AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_write(cx, buf),)+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),)+ }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $(Self::$variant(stream) => stream.is_write_vectored(),)+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_flush(cx),)+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(stream) => Pin::new(stream).poll_shutdown(cx),)+ }
            }
        }
    };
}

forward!([<S: AsyncRead + AsyncWrite + Unpin>] ClientStream<S> { Plain, Tls });
forward!([] ServerStream { Plain, Tls, Unix });
