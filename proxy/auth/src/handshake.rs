//! The steps of an opening, each with the answer that the client gets to it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::accept::{AcceptContext, Opening};
use super::certificate::CertificateNames;
use super::error::{OpenError, violation};
use super::exchange::{Candidate, authenticate};
use super::hba;
use super::login::{Login, say_goodbye};
use super::refusals::{self, Who, paced};
use super::tenant::{Claim, Rules, claim};
use super::tls::Tls;
use crate::config::{AuthMethod, User, Visitor, is_console};
use crate::net::socket::Peer;
use crate::stream::ClientStream;
use crate::wire::refusal::{Refusal, sqlstate};
use crate::wire::startup::{self, ALPN, FirstPacket, StartupParams, put};

/// The first byte of a TLS handshake; no start-up packet begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection of which nothing is known yet.
pub(super) struct Handshake<S> {
    pub(super) stream: ClientStream<S>,
    buffer: BytesMut,
    peer: Peer,
    pub(super) ssl_done: bool,
    pub(super) gss_done: bool,
    /// Protocol 2 had another form of errors.
    is_v2: bool,
    /// For the log.
    user: Option<String>,
    database: Option<String>,
    tenant: Option<String>,
}

impl<S> Handshake<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Waits for the first byte; if it is TLS at once, that is done first.
    pub(super) async fn open(mut stream: S, peer: Peer, context: &AcceptContext) -> Result<Self, OpenError> {
        let mut buffer = BytesMut::with_capacity(1024);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(OpenError::Closed);
        }
        let direct = buffer.first() == Some(&TLS_HANDSHAKE);
        let tls = context.tls_for(&peer);
        let mut handshake = Self {
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
            handshake = match tls {
                Some(tls) => handshake.handshake(tls, true).await?,
                None => return Err(handshake.fail(violation("TLS is off")).await),
            };
        }
        Ok(handshake)
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
        let tls = context.tls_for(&self.peer).filter(|_| !self.stream.is_tls());
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
        let mut handshake = Self {
            stream: ClientStream::Tls(Box::new(stream)),
            buffer: BytesMut::with_capacity(1024),
            gss_done: true,
            ..self
        };
        if direct && !named {
            let message = "direct TLS connection without the ALPN protocol \"postgresql\"";
            return Err(handshake.fail(violation(message)).await);
        }
        handshake.ssl_done |= !direct;
        Ok(handshake)
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
        if context.tls_required && !self.is_private() {
            let message = "connections without TLS are not accepted";
            let refusal = Refusal::new(sqlstate::INVALID_AUTHORIZATION, message);
            return Err(refusal.hint("Use sslmode=require or stricter.").into());
        }
        let rules = Rules {
            tenancy: &context.tenancy,
            host: self.stream.server_name(),
            is_user: &|name| context.users.get(name).is_some(),
            is_database: &|name| context.databases.contains(name) || is_console(name),
        };
        let claim = claim(startup, &rules)?;
        self.tenant = claim.tenant.as_ref().map(ToString::to_string);
        let visitor = Visitor {
            address: self.peer.ip(),
            tls: self.stream.is_tls(),
            database: &claim.database,
            user: &claim.user,
            tenant: self.tenant.as_deref(),
        };
        let method = hba::decide(context.hba.as_deref(), &visitor, &claim)?;
        self.pause(&claim.user, context).await;
        let account = context.users.find(&claim.user).await;
        let candidate = Candidate {
            account: account.map_err(|error| error.refusal(&claim.user_as_sent, self.peer))?,
            user: &claim.user,
            as_sent: &claim.user_as_sent,
            users: &context.users,
            method,
            certified: self.stream.certificate().map(|certificate| {
                let names = CertificateNames::of(certificate);
                names.prove(&context.cert_map, &claim.user, self.tenant.as_deref())
            }),
            tls: context.tls.as_ref().filter(|_| self.stream.is_tls()).map(|tls| &tls.scram),
            is_private: self.is_private(),
            process: self.peer.process(),
        };
        let proven = authenticate(&mut self.stream, &mut self.buffer, &candidate).await;
        if matches!(&proven, Err(OpenError::Refused(refusal)) if refusal.code == sqlstate::INVALID_PASSWORD) {
            context.failures.note(self.peer, &claim.user);
        }
        let user = proven?;
        if is_console(&claim.database) {
            may_use_console(&claim.database, &user)?;
            if method.is_none() {
                may_come_unproven(&user, self.peer.ip())?;
            }
        } else if !user.may_connect_to(&claim.database) {
            // Before it is looked whether there is one: the answer tells nothing of databases of others.
            return Err(may_not_connect(&claim.database).into());
        } else if !context.databases.contains(&claim.database) {
            let message = format!("database \"{}\" does not exist", claim.database);
            return Err(Refusal::new(sqlstate::INVALID_CATALOG_NAME, message).into());
        } else if user.rights.tenants.is_empty() {
            // Whoever may name no tenant works for none either, not even in the schema public.
            let message = format!("permission denied for database \"{}\"", claim.database);
            let refusal = Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, message);
            return Err(match user.may_use_console() {
                true => refusal.hint("The user has the console, database \"pgstrata\", and no tenants."),
                false => refusal.hint("The user may name no tenant."),
            }
            .into());
        }
        Ok((claim, user))
    }

    /// Whether nobody else can read what the client sends: it speaks TLS, or is a process of this machine.
    fn is_private(&self) -> bool {
        self.stream.is_tls() || self.peer.process().is_some()
    }

    /// Waits where attempts from there, or for that user, have failed lately: before anything is looked at, so that an
    /// attempt costs as long whatever comes of it, and whether or not the client waits for the answer.
    async fn pause(&self, user: &str, context: &AcceptContext) {
        let pause = context.failures.pause(self.peer, user, context.longest_pause);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
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

/// Whoever may do all that the console does proves who it is, unless it comes from this machine. A configuration that
/// listens elsewhere is refused for it; but a socket may be made by systemd, and a client come by the PROXY protocol.
fn may_come_unproven(user: &User, peer: Option<IpAddr>) -> Result<(), Refusal> {
    if !user.admin
        || user.rights.auth != AuthMethod::Trust
        || peer.is_none_or(|peer| peer.to_canonical().is_loopback())
    {
        return Ok(());
    }
    let message =
        format!("user \"{}\" may use the console without a proof only from this machine", user.name);
    let refusal = Refusal::new(sqlstate::INVALID_AUTHORIZATION, message);
    Err(refusal.hint("Give the user a password in the configuration, and another auth than trust."))
}

/// In PostgreSQL's words for a role without the privilege CONNECT.
fn may_not_connect(database: &str) -> Refusal {
    let message = format!("permission denied for database \"{database}\"");
    let detail = Some("User does not have CONNECT privilege.".to_owned());
    Refusal { detail, ..Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, message) }
}

pub(super) fn unsupported(message: impl Into<String>) -> Refusal {
    Refusal::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
}
