//! A client at the door: from its first byte to a proven identity.
//!
//! As PostgreSQL's `ProcessStartupPacket`, see
//! <https://www.postgresql.org/docs/current/protocol-flow.html>.

use std::collections::HashSet;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::door::{Door, unsupported};
use super::error::OpenError;
use super::login::Login;
use super::tls::{self, Tls};
use super::users::{SaltKey, UserError, Users};
use crate::config::{Config, ListenTls, Tenancy};
use crate::stream::ClientStream;
use crate::wire::startup::FirstPacket;

/// What openings are judged by. Made for each configuration.
pub struct AcceptContext {
    /// TLS, unless it is off.
    pub tls: Option<Tls>,
    /// Whether clients without TLS are refused.
    pub tls_required: bool,
    /// Where tenants are named.
    pub tenancy: Tenancy,
    /// The databases that clients can ask for.
    pub databases: HashSet<String>,
    /// Who may log in.
    pub users: Users,
}

/// Why a configuration gives no [`AcceptContext`].
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// For its TLS.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// For one of its users.
    #[error(transparent)]
    User(#[from] UserError),
}

impl AcceptContext {
    /// Reads certificates and hashes passwords: slow, and blocking.
    pub fn new(config: &Config) -> Result<Self, ContextError> {
        let key = SaltKey::of(&config.listen);
        Ok(Self {
            tls: tls::acceptor(&config.listen)?,
            tls_required: config.listen.tls == ListenTls::Required,
            tenancy: config.tenancy.clone(),
            databases: config.databases.keys().cloned().collect(),
            users: Users::new(&config.users, config.listen.auth, key)?,
        })
    }

    /// The same for a configuration that has changed, with certificates read anew.
    pub fn renewed(&self, config: &Config) -> Result<Self, ContextError> {
        Ok(Self {
            tls: tls::acceptor(&config.listen)?,
            tls_required: config.listen.tls == ListenTls::Required,
            tenancy: config.tenancy.clone(),
            databases: config.databases.keys().cloned().collect(),
            users: self.users.renewed(&config.users, &config.listen)?,
        })
    }
}

/// What a client came for.
#[derive(Debug)]
pub enum Opening<S = TcpStream> {
    /// To work. Its tenant is still to be admitted.
    Session(Box<Login<S>>),
    /// To look after the proxy: it may use the console.
    Console(Box<Login<S>>),
    /// To cancel what another connection runs.
    Cancel {
        /// As named in `BackendKeyData`.
        pid: i32,
        /// As given there.
        key: Bytes,
        /// To be dropped once that is done: the client waits for the end of it.
        stream: ClientStream<S>,
    },
}

/// Takes a client in, up to the proof of who it is.
///
/// Whoever is turned away has been told so, and the log too, when this returns.
/// There is no time limit in here: the caller sets one around it.
pub async fn open<S>(stream: S, peer: SocketAddr, context: &AcceptContext) -> Result<Opening<S>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut door = Door::open(stream, peer, context).await?;
    loop {
        match door.packet().await {
            Ok(FirstPacket::Ssl) if !door.ssl_done => door = door.answer_ssl(context).await?,
            Ok(FirstPacket::Gss) if !door.gss_done => {
                if let Err(error) = door.answer_gss().await {
                    return Err(door.fail(error).await);
                }
            }
            Ok(FirstPacket::Ssl | FirstPacket::Gss) => {
                let refusal = unsupported("encryption was asked for twice");
                return Err(door.fail(refusal.into()).await);
            }
            Ok(FirstPacket::Cancel { pid, key }) => {
                return Ok(Opening::Cancel { pid, key, stream: door.stream });
            }
            Ok(FirstPacket::Startup(startup)) => return door.log_in(&startup, context).await,
            Err(error) => return Err(door.fail(error).await),
        }
    }
}
