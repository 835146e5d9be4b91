//! A door to knock at: users, databases, and both sides of the conversation.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use super::accept::{AcceptContext, Opening, open};
use super::error::OpenError;
use super::login::Login;
use super::users::{SaltKey, Users};
use crate::config::{AuthMethod, Listen, Rights, Secret, Tenancy, TenantSource, User};
use crate::net::socket::Peer;
use crate::pool::connect::ConnectError;
use crate::pool::login::{Credentials, Ready, log_in};
use crate::wire::refusal::Refusal;

pub(super) const PEER: Peer = Peer::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5432));

/// `secret`, as PostgreSQL 15 keeps it in `pg_authid`.
const VERIFIER: &str = "SCRAM-SHA-256$4096:AJa8gswyvlakoLmDGd8bdQ==\
    $mbx2CkVdtK4BT3mSxncZxRgrcmOkEBvhHEIqb0jzwgA=:yCJ8mYKHra1RgjylKJIqjBDad8RLZQ5NJ5uVFx1nNxA=";

/// The door of that house, where no TLS is spoken.
pub(super) fn context() -> AcceptContext {
    context_of(&all_users(), &Listen::default())
}

/// One of each kind.
fn all_users() -> [User; 5] {
    [
        user("app", AuthMethod::ScramSha256, "secret"),
        user("hashed", AuthMethod::ScramSha256, VERIFIER),
        user("old", AuthMethod::Md5, "secret"),
        user("plain", AuthMethod::Password, "secret"),
        user("trusty", AuthMethod::Trust, ""),
    ]
}

/// The door of a house with these users.
pub(super) fn context_of(users: &[User], listen: &Listen) -> AcceptContext {
    let sources = [TenantSource::Options, TenantSource::Parameter, TenantSource::UserSuffix];
    AcceptContext {
        tls: None,
        tls_required: false,
        tenancy: Tenancy { sources: sources.to_vec(), ..Tenancy::default() },
        databases: ["shop".to_owned()].into(),
        users: Users::new(users, listen.auth, SaltKey::of(listen)).unwrap(),
        hba: None,
        cert_map: Vec::new(),
        failures: Default::default(),
        longest_pause: std::time::Duration::ZERO,
    }
}

pub(super) fn user(name: &str, auth: AuthMethod, password: &str) -> User {
    User {
        name: name.to_owned(),
        password: Secret::new(password),
        rights: Rights {
            tenants: vec!["acme".to_owned(), "pre_*".to_owned()],
            databases: vec!["*".to_owned()],
            auth,
            ..Rights::default()
        },
        admin: false,
        stats: false,
        granted: None,
        system_users: Vec::new(),
        limits: crate::config::LimitTable::default(),
    }
}

/// Our side: in this house live the tenants acme, globex and pre_1.
pub(super) async fn serve<S>(stream: S, context: &AcceptContext) -> Result<Login<S>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Opening::Session(login) = open(stream, PEER, context).await? else { panic!("no session") };
    let exists = async |tenant: &_| -> Result<bool, Refusal> {
        Ok(["acme", "globex", "pre_1"].contains(&pgstrata_tenancy::TenantId::as_str(tenant)))
    };
    let mut login = login.admit(exists).await?;
    login.accept([(&b"server_version"[..], &b"18.0"[..])], 42, b"abcd").await?;
    Ok(login)
}

/// The client's side, over whatever stream.
pub(super) async fn log_in_as<S>(
    stream: &mut S,
    user: &str,
    password: Option<&str>,
    end_point: Option<Vec<u8>>,
    startup: &[(&str, &str)],
) -> Result<Ready, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let credentials = Credentials { user, password, is_private: true, end_point };
    let startup = [("user", user)].into_iter().chain(startup.iter().copied());
    log_in(stream, &mut BytesMut::new(), &credentials, startup).await
}

/// Both sides of a login, without TLS.
pub(super) async fn visit(
    context: &AcceptContext,
    user: &str,
    password: Option<&str>,
    startup: &[(&str, &str)],
) -> (Result<Ready, ConnectError>, Result<Login<tokio::io::DuplexStream>, OpenError>) {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let client = log_in_as(&mut client, user, password, None, startup);
    tokio::join!(client, serve(server, context))
}

/// What the client is told: that it is in, or SQLSTATE and message.
pub(super) async fn knock(
    context: &AcceptContext,
    user: &str,
    password: Option<&str>,
    startup: &[(&str, &str)],
) -> Result<Ready, (String, String)> {
    match visit(context, user, password, startup).await.0 {
        Ok(ready) => Ok(ready),
        Err(ConnectError::Refused { code, message }) => Err((code, message)),
        Err(other) => panic!("{other}"),
    }
}

/// The refusal that an opening ended with.
pub(super) fn refusal<T>(opening: Result<T, OpenError>) -> Refusal {
    match opening {
        Err(OpenError::Refused(refusal)) => refusal,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    }
}
