//! A client at the handshake: from its first byte to a proven identity.
//!
//! As PostgreSQL's `ProcessStartupPacket`, see
//! <https://www.postgresql.org/docs/current/protocol-flow.html>.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::OpenError;
use super::failures::Failures;
use super::handshake::{Handshake, unsupported};
use super::login::Login;
use super::lookup::{Lookup, SetupError};
use super::tls::{self, Tls};
use super::users::{SaltKey, UserError, Users};
use crate::config::{CertRule, Config, HbaRule, ListenTls, Tenancy};
use crate::net::socket::{ClientSocket, Peer};
use crate::stream::ClientStream;
use crate::wire::startup::{CancelRequest, FirstPacket};

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
    /// Who may log in from where, and how; `None`: as the users' entries say.
    pub hba: Option<Vec<HbaRule>>,
    /// Whose certificate is whose.
    pub cert_map: Vec<CertRule>,
    /// Who may log in.
    pub users: Users,
    /// Who has failed to, lately.
    pub failures: Arc<Failures>,
    /// How long an attempt waits for that at most.
    pub longest_pause: Duration,
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
    /// For what asks PostgreSQL of others.
    #[error("[auth_query]: {0}")]
    Lookup(#[from] SetupError),
}

impl AcceptContext {
    /// Reads certificates and hashes passwords: slow, and blocking. Must be called inside a runtime that lasts as long as
    /// this.
    pub fn new(config: &Config) -> Result<Self, ContextError> {
        let key = SaltKey::of(&config.listen);
        let users = Users::new(&config.users, config.listen.auth, key)?;
        Ok(Self {
            tls: tls::acceptor(&config.listen)?,
            tls_required: config.listen.tls == ListenTls::Required,
            tenancy: config.tenancy.clone(),
            databases: config.databases.keys().cloned().collect(),
            hba: config.hba.clone(),
            cert_map: config.cert_map.clone(),
            users: with_lookup(users, config)?,
            failures: Arc::default(),
            longest_pause: config.listen.failed_login_pause,
        })
    }

    /// The TLS that clients from there can speak: none over a Unix socket, as with PostgreSQL.
    pub(super) fn tls_for(&self, peer: &Peer) -> Option<&Tls> {
        self.tls.as_ref().filter(|_| peer.process().is_none())
    }

    /// The same for a configuration that has changed, with certificates read anew.
    pub fn renewed(&self, config: &Config) -> Result<Self, ContextError> {
        let users = self.users.renewed(&config.users, &config.listen)?;
        Ok(Self {
            tls: tls::acceptor(&config.listen)?,
            tls_required: config.listen.tls == ListenTls::Required,
            tenancy: config.tenancy.clone(),
            databases: config.databases.keys().cloned().collect(),
            hba: config.hba.clone(),
            cert_map: config.cert_map.clone(),
            users: with_lookup(users, config)?,
            failures: Arc::clone(&self.failures),
            longest_pause: config.listen.failed_login_pause,
        })
    }
}

/// The users, and those who are asked of PostgreSQL.
fn with_lookup(users: Users, config: &Config) -> Result<Users, ContextError> {
    let lookup = Lookup::of(config, users.key())?;
    Ok(users.looking_up(lookup))
}

/// What a client came for.
#[derive(Debug)]
pub enum Opening<S = ClientSocket> {
    /// To work. Its tenant is still to be admitted.
    Session(Box<Login<S>>),
    /// To look after the proxy: it may use the console.
    Console(Box<Login<S>>),
    /// To cancel what another connection runs.
    Cancel {
        /// The request.
        request: CancelRequest,
        /// To be dropped once that is done: the client waits for the end of it.
        stream: ClientStream<S>,
    },
}

/// Takes a client in, up to the proof of who it is.
///
/// Whoever is turned away has been told so, and the log too, when this returns.
/// There is no time limit in here: the caller sets one around it.
pub async fn open<S>(stream: S, peer: Peer, context: &AcceptContext) -> Result<Opening<S>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut handshake = Handshake::open(stream, peer, context).await?;
    loop {
        match handshake.packet().await {
            Ok(FirstPacket::Ssl) if !handshake.ssl_done => handshake = handshake.answer_ssl(context).await?,
            Ok(FirstPacket::Gss) if !handshake.gss_done => {
                if let Err(error) = handshake.answer_gss().await {
                    return Err(handshake.fail(error).await);
                }
            }
            Ok(FirstPacket::Ssl | FirstPacket::Gss) => {
                let refusal = unsupported("encryption was asked for twice");
                return Err(handshake.fail(refusal.into()).await);
            }
            Ok(FirstPacket::Cancel(request)) => {
                return Ok(Opening::Cancel { request, stream: handshake.stream });
            }
            Ok(FirstPacket::Startup(startup)) => return handshake.log_in(&startup, context).await,
            Err(error) => return Err(handshake.fail(error).await),
        }
    }
}
