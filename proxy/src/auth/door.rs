//! The steps of an opening, each with the answer that the client gets to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::accept::{AcceptContext, Opening};
use super::error::{OpenError, violation};
use super::exchange::{Candidate, authenticate};
use super::login::{Login, say_goodbye};
use super::refusals::{self, Who, paced};
use super::tenant::{Claim, Rules, claim};
use super::tls::{ALPN, Tls};
use crate::config::{User, is_console};
use crate::stream::ClientStream;
use crate::wire::refusal::{Refusal, sqlstate};
use crate::wire::startup::{self, FirstPacket, StartupParams, put};

/// The first byte of a TLS handshake; no start-up packet begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection of which nothing is known yet.
pub(super) struct Door<S> {
    pub(super) stream: ClientStream<S>,
    buffer: BytesMut,
    peer: SocketAddr,
    pub(super) ssl_done: bool,
    pub(super) gss_done: bool,
    /// Protocol 2 had another form of errors.
    is_v2: bool,
    /// For the log.
    user: Option<String>,
    database: Option<String>,
    tenant: Option<String>,
}

impl<S> Door<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Waits for the first byte; if it is TLS at once, that is done first.
    pub(super) async fn open(
        mut stream: S,
        peer: SocketAddr,
        context: &AcceptContext,
    ) -> Result<Self, OpenError> {
        let mut buffer = BytesMut::with_capacity(1024);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(OpenError::Closed);
        }
        let direct = buffer.first() == Some(&TLS_HANDSHAKE);
        let mut door = Self {
            stream: ClientStream::Plain(stream),
            buffer,
            peer,
            ssl_done: false,
            gss_done: false,
            is_v2: false,
            user: None,
            database: None,
            tenant: None,
        };
        if direct {
            door = match &context.tls {
                Some(tls) => door.handshake(tls, true).await?,
                None => return Err(door.fail(violation("TLS is off")).await),
            };
        }
        Ok(door)
    }

    pub(super) async fn packet(&mut self) -> Result<FirstPacket, OpenError> {
        loop {
            if let Some(packet) = startup::take_packet(&mut self.buffer)? {
                return Ok(packet);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(OpenError::Closed);
            }
        }
    }

    pub(super) async fn answer_ssl(mut self, context: &AcceptContext) -> Result<Self, OpenError> {
        self.ssl_done = true;
        let tls = context.tls.as_ref().filter(|_| !self.stream.is_tls());
        if let Err(error) = self.answer(if tls.is_some() { b"S" } else { b"N" }, "SSL").await {
            return Err(self.fail(error).await);
        }
        match tls {
            Some(tls) => self.handshake(tls, false).await,
            None => Ok(self),
        }
    }

    pub(super) async fn answer_gss(&mut self) -> Result<(), OpenError> {
        self.gss_done = true;
        self.answer(b"N", "GSSAPI encryption").await
    }

    /// What comes behind the request before it is answered did not come through
    /// the encryption that was asked for: it may be anybody's (CVE-2021-23222).
    async fn answer(&mut self, answer: &[u8], request: &str) -> Result<(), OpenError> {
        if !self.buffer.is_empty() {
            return Err(violation(format!("received unencrypted data after {request} request")));
        }
        self.stream.write_all(answer).await?;
        Ok(self.stream.flush().await?)
    }

    /// Speaks TLS from here on. What has been read already is its first part.
    async fn handshake(self, tls: &Tls, direct: bool) -> Result<Self, OpenError> {
        let Self { stream, buffer, peer, .. } = self;
        let ClientStream::Plain(stream) = stream else {
            return Err(violation("TLS inside TLS"));
        };
        let mut begun = Ok(());
        let accepting = tls.acceptor.accept_with(stream, |session| begun = feed(session, &buffer));
        let accepted = match begun {
            Ok(()) => accepting.await,
            Err(error) => Err(io::Error::other(error)),
        };
        let stream = accepted.map_err(|error| {
            paced(|left_out| tracing::info!(%peer, %error, left_out, "TLS handshake failed"));
            OpenError::Tls(error)
        })?;
        let named = stream.get_ref().1.alpn_protocol() == Some(ALPN);
        let mut door = Self {
            stream: ClientStream::Tls(Box::new(stream)),
            buffer: BytesMut::with_capacity(1024),
            gss_done: true,
            ..self
        };
        if direct && !named {
            let message = "direct TLS connection without the ALPN protocol \"postgresql\"";
            return Err(door.fail(violation(message)).await);
        }
        door.ssl_done |= !direct;
        Ok(door)
    }

    pub(super) async fn log_in(
        mut self,
        startup: &StartupParams,
        context: &AcceptContext,
    ) -> Result<Opening<S>, OpenError> {
        match self.identify(startup, context).await {
            Ok((claim, user)) => {
                let is_console = is_console(&claim.database);
                let login = Box::new(Login {
                    stream: self.stream,
                    buffer: self.buffer,
                    protocol_minor: startup.minor(),
                    user,
                    database: claim.database,
                    tenant: claim.tenant,
                    settings: claim.settings,
                    peer: self.peer,
                    local: None,
                });
                Ok(if is_console { Opening::Console(login) } else { Opening::Session(login) })
            }
            Err(error) => Err(self.fail(error).await),
        }
    }

    /// The start-up packet, then the proof, then the database, in PostgreSQL's own order.
    async fn identify(
        &mut self,
        startup: &StartupParams,
        context: &AcceptContext,
    ) -> Result<(Claim, Arc<User>), OpenError> {
        self.user = startup.get("user").map(str::to_owned);
        self.database = startup.get("database").map(str::to_owned);
        self.negotiate(startup).await?;
        if context.tls_required && !self.stream.is_tls() {
            let message = "connections without TLS are not accepted";
            let refusal = Refusal::new(sqlstate::INVALID_AUTHORIZATION, message);
            return Err(refusal.hint("Use sslmode=require or stricter.").into());
        }
        let rules = Rules {
            tenancy: &context.tenancy,
            is_user: &|name| context.users.get(name).is_some(),
            is_database: &|name| context.databases.contains(name) || is_console(name),
        };
        let claim = claim(startup, &rules)?;
        self.tenant = claim.tenant.as_ref().map(ToString::to_string);
        let candidate = Candidate {
            user: &claim.user,
            as_sent: &claim.user_as_sent,
            users: &context.users,
            tls: context.tls.as_ref().filter(|_| self.stream.is_tls()).map(|tls| &tls.scram),
        };
        let user = authenticate(&mut self.stream, &mut self.buffer, &candidate).await?;
        if is_console(&claim.database) {
            may_use_console(&claim.database, &user)?;
        } else if !context.databases.contains(&claim.database) {
            let message = format!("database \"{}\" does not exist", claim.database);
            return Err(Refusal::new(sqlstate::INVALID_CATALOG_NAME, message).into());
        } else if user.tenants.is_empty() {
            // Whoever may name no tenant works for none either, not even in the schema public.
            let message = format!("permission denied for database \"{}\"", claim.database);
            let refusal = Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
            return Err(refusal
                .hint("The user has the console, database \"pgstrata\", and no tenants.")
                .into());
        }
        Ok((claim, user))
    }

    /// Refuses other major versions, and says so where the client wants more than there is.
    async fn negotiate(&mut self, startup: &StartupParams) -> Result<(), OpenError> {
        let (asked, newest) = (startup.protocol, startup::NEWEST);
        if asked.major != newest.major {
            self.is_v2 = asked.major < newest.major;
            let message = format!(
                "unsupported frontend protocol {}.{}: server supports {major}.0 to {major}.{}",
                asked.major,
                asked.minor,
                newest.minor,
                major = newest.major,
            );
            return Err(unsupported(message).into());
        }
        if let Some(negotiation) = startup.negotiation() {
            let mut out = BytesMut::new();
            put(&negotiation, &mut out);
            self.stream.write_all(&out).await?;
        }
        Ok(())
    }

    /// Tells the client and the log why this is the end.
    pub(super) async fn fail(mut self, error: OpenError) -> OpenError {
        match &error {
            OpenError::Refused(refusal) => {
                let (user, database) = (self.user.as_deref(), self.database.as_deref());
                refusals::log(self.peer, Who { user, database, tenant: self.tenant.as_deref() }, refusal);
                let mut out = BytesMut::new();
                if self.is_v2 {
                    refusal.encode_v2(&mut out)
                } else {
                    refusal.encode(&mut out)
                }
                say_goodbye(&mut self.stream, &out).await;
            }
            OpenError::Closed => {
                tracing::debug!(peer = %self.peer, user = self.user, "client left")
            }
            OpenError::Io(error) | OpenError::Tls(error) => {
                paced(|left_out| {
                    tracing::info!(peer = %self.peer, user = self.user, %error, left_out, "client lost");
                });
            }
        }
        error
    }
}

/// Gives the session what has been read of it already.
fn feed(session: &mut ServerConnection, mut read: &[u8]) -> Result<(), rustls::Error> {
    // Reading nothing would mean the end of the stream.
    while !read.is_empty() && session.read_tls(&mut read).is_ok() {
        session.process_new_packets()?;
    }
    Ok(())
}

/// In PostgreSQL's words for a database that its user may not connect to.
fn may_use_console(database: &str, user: &User) -> Result<(), Refusal> {
    if user.may_use_console() {
        return Ok(());
    }
    let message = format!("permission denied for database \"{database}\"");
    let refusal = Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
    Err(refusal.hint("It is the console: its users have admin = true or stats = true in the configuration."))
}

pub(super) fn unsupported(message: impl Into<String>) -> Refusal {
    Refusal::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
}
