//! A door to knock at: users, databases, and both sides of the conversation.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use super::accept::{AcceptContext, Opening, open};
use super::error::OpenError;
use super::login::Login;
use super::users::ProcessKey;
use crate::config::Config;
use crate::pool::connect::ConnectError;
use crate::pool::login::{Credentials, Ready, log_in};
use crate::wire::refusal::Refusal;

pub(super) const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5432);

const CONFIG: &str = r#"
    [tenancy]
    sources = ["options", "parameter", "user_suffix"]

    [databases.shop]
    host = "localhost"
    user = "pool"

    [[users]]
    name = "app"
    password = "secret"
    tenants = ["acme", "pre_*"]

    [[users]]
    name = "old"
    password = "secret"
    auth = "md5"
    tenants = ["*"]

    [[users]]
    name = "plain"
    password = "secret"
    auth = "password"

    [[users]]
    name = "trusty"
    auth = "trust"
"#;

/// The door of that house; `more` is more configuration.
pub(super) fn context(more: &str) -> AcceptContext {
    let config: Config = toml::from_str(&format!("{CONFIG}\n{more}")).unwrap();
    AcceptContext::new(&config, Arc::new(ProcessKey::random())).unwrap()
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
    login.accept([("server_version", "18.0")], 42, b"abcd").await?;
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
