//! The sockets at both ends, with and without TLS, as one type each.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use rustls::{CommonState, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

use crate::socket::ClientSocket;

/// A client's connection.
#[derive(Debug)]
pub enum ClientStream<S = ClientSocket> {
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
    /// Bytes that never leave the process.
    #[cfg(feature = "simulation")]
    Simulated(Box<dyn pgstrata_simulation::Stream>),
}

impl ServerStream {
    /// Hears of its events on the runtime that calls from now on. With TLS it stays where it is: there
    /// is no way to take the socket out.
    pub fn moved(self) -> io::Result<Self> {
        Ok(match self {
            Self::Plain(stream) => Self::Plain(TcpStream::from_std(stream.into_std()?)?),
            Self::Unix(stream) => Self::Unix(UnixStream::from_std(stream.into_std()?)?),
            tls @ Self::Tls(_) => tls,
            #[cfg(feature = "simulation")]
            here @ Self::Simulated(_) => here,
        })
    }
}

/// Both ends of a connection, and what protects it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The peer's address; none of a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Our own.
    pub local: Option<SocketAddr>,
    /// Version and cipher of TLS, if it is spoken.
    pub tls: Option<Box<str>>,
}

/// Version and cipher: `TLSv1.3/TLS13_AES_256_GCM_SHA384`.
fn tls_in_words(session: &CommonState) -> Box<str> {
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLS",
    };
    match session.negotiated_cipher_suite() {
        Some(suite) => format!("{version}/{:?}", suite.suite()).into(),
        None => version.into(),
    }
}

impl ServerStream {
    /// Both ends, as far as the system tells.
    pub fn ends(&self) -> Ends {
        let tcp = |stream: &TcpStream, tls| Ends {
            peer: stream.peer_addr().ok(),
            local: stream.local_addr().ok(),
            tls,
        };
        match self {
            Self::Plain(stream) => tcp(stream, None),
            Self::Tls(stream) => {
                let (stream, session) = stream.get_ref();
                tcp(stream, Some(tls_in_words(session)))
            }
            Self::Unix(_) => Ends::default(),
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => Ends::default(),
        }
    }
}

impl<S> ClientStream<S> {
    /// The certificate that the client has shown, if it has: one that was verified.
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.peer_certificates()?.first(),
        }
    }

    /// Version and cipher of TLS, if it is spoken.
    pub fn tls_in_words(&self) -> Option<Box<str>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(tls_in_words(stream.get_ref().1)),
        }
    }

    /// The host that the client says it has connected to, in TLS (SNI).
    pub fn server_name(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.server_name(),
        }
    }

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
    ([$($generics:tt)*] $type:ty { $($(#[$attribute:meta])* $variant:ident),+ }) => {
        impl $($generics)* AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($(#[$attribute])* Self::$variant(stream) => Pin::new(stream).poll_read(cx, buf),)+ }
            }
        }

        impl $($generics)* AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($(#[$attribute])* Self::$variant(stream) => Pin::new(stream).poll_write(cx, buf),)+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($(#[$attribute])* Self::$variant(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),)+ }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $($(#[$attribute])* Self::$variant(stream) => stream.is_write_vectored(),)+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($(#[$attribute])* Self::$variant(stream) => Pin::new(stream).poll_flush(cx),)+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($(#[$attribute])* Self::$variant(stream) => Pin::new(stream).poll_shutdown(cx),)+ }
            }
        }
    };
}

pub(crate) use forward;

forward!([<S: AsyncRead + AsyncWrite + Unpin>] ClientStream<S> { Plain, Tls });
forward!([] ServerStream { Plain, Tls, Unix, #[cfg(feature = "simulation")] Simulated });
