//! From nothing to a server that is ready for queries.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::login::{Credentials, Ready, log_in};
use super::target::Target;
use crate::net::tls::end_point;
use crate::stream::ServerStream;

/// A server that has just said `ReadyForQuery`.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub stream: ServerStream,
    /// What the server sent behind `ReadyForQuery`. Hardly ever anything.
    pub buffer: BytesMut,
    /// What it reported by `ParameterStatus`, in its order.
    pub parameters: Vec<(String, String)>,
    /// Its process.
    pub pid: i32,
    /// The key that cancels its query.
    pub key: Bytes,
}

/// Why there is no server. Says nothing of passwords.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody there.
    #[error("can not connect to {address}: {source}")]
    Dial {
        /// Host and port.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The TLS handshake failed; the certificate, most often.
    #[error("TLS with {address} failed: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// What is wrong.
        source: io::Error,
    },
    /// TLS is a must, and PostgreSQL has none.
    #[error("PostgreSQL does not speak TLS, but the configuration demands it")]
    NoTls,
    /// No certificate can be for such a host.
    #[error("\"{0}\" is not a host name that TLS can check")]
    BadHost(String),
    /// The connection broke.
    #[error("the connection broke while logging in: {0}")]
    Io(#[from] io::Error),
    /// PostgreSQL closed it.
    #[error("PostgreSQL closed the connection while logging in")]
    Closed,
    /// PostgreSQL said no, in its own words.
    #[error("PostgreSQL refused the connection: {message} ({code})")]
    Refused {
        /// The SQLSTATE.
        code: String,
        /// The message.
        message: String,
    },
    /// A password is asked for, and there is none.
    #[error("PostgreSQL asks for a password, but none is configured")]
    NoPassword,
    /// The password would cross the network as it is.
    #[error("PostgreSQL asks for the password in clear text over a connection without TLS")]
    InsecurePassword,
    /// GSSAPI, SSPI, or something new.
    #[error("PostgreSQL asks for an authentication method that is not supported")]
    UnsupportedAuth,
    /// That is not PostgreSQL at the other end.
    #[error("the server does not speak PostgreSQL's protocol: {0}")]
    Protocol(String),
    /// Somebody else's attempt failed a moment ago.
    #[error(transparent)]
    Again(Arc<ConnectError>),
}

impl ConnectError {
    /// Whether it may go well a little later with nothing changed in the configuration.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Dial { .. } | Self::Io(_) | Self::Closed => true,
            // Connections lost or refused, too many of them, starting up or shutting down.
            Self::Refused { code, .. } => ["08", "53", "57"].iter().any(|class| code.starts_with(class)),
            Self::Again(error) => error.is_passing(),
            _ => false,
        }
    }
}

/// Connects and logs in. `parameters` go into the start-up packet.
///
/// There is no time limit in here: the caller sets one around it.
pub async fn connect(target: &Target, parameters: &[(&str, &str)]) -> Result<Connected, ConnectError> {
    let mut stream = target.dial().await?;
    let mut buffer = BytesMut::with_capacity(1024);
    let credentials = Credentials {
        user: &target.config.user,
        password: target.config.password.expose(),
        is_private: !matches!(stream, ServerStream::Plain(_)),
        end_point: channel_binding(&stream),
    };
    let names = [("user", target.config.user.as_str()), ("database", target.name.as_str())];
    let startup = names.into_iter().chain(parameters.iter().copied());
    let ready = log_in(&mut stream, &mut buffer, &credentials, startup).await?;
    let Ready { parameters, pid, key } = ready;
    Ok(Connected { stream, buffer, parameters, pid, key })
}

fn channel_binding(stream: &ServerStream) -> Option<Vec<u8>> {
    let ServerStream::Tls(stream) = stream else {
        return None;
    };
    let (_, session) = stream.get_ref();
    session.peer_certificates().and_then(<[_]>::first).and_then(end_point)
}
