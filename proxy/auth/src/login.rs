//! The last step of a login: the tenant is admitted or refused.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pgstrata_tenancy::TenantId;
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, SecretKey};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::error::OpenError;
use super::refusals::{self, Who};
use crate::config::User;
use crate::net::socket::{ClientSocket, Peer};
use crate::stream::ClientStream;
use crate::wire::message;
use crate::wire::refusal::{Refusal, sqlstate};
use crate::wire::startup::put;

/// A client that has proven who it is. It still waits for `AuthenticationOk`.
///
/// [`Login::admit`], then [`Login::accept`]; or [`Login::refuse`].
#[derive(Debug)]
pub struct Login<S = ClientSocket> {
    /// The client's connection.
    pub stream: ClientStream<S>,
    /// What the client sent ahead.
    pub buffer: BytesMut,
    /// The minor version of protocol 3 that is spoken.
    pub protocol_minor: u16,
    /// Who it is.
    pub user: Arc<User>,
    /// The database that it asked for: one of the configured.
    pub database: String,
    /// The tenant that it named. Not checked before [`Login::admit`].
    pub tenant: Option<TenantId>,
    /// The settings of its start-up packet, each once, names in lower case.
    pub settings: Vec<(String, String)>,
    /// Where it comes from.
    pub peer: Peer,
    /// The address that it connected to, if that is known; `None` of a Unix socket.
    pub local: Option<SocketAddr>,
}

impl<S> Login<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Whether the client speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// Lets the client in to its tenant, if that exists and the user may name it.
    ///
    /// `exists` is asked even if the user may not name the tenant, and the answer is
    /// the same word for word, so that nobody learns which tenants there are.
    pub async fn admit(
        self,
        exists: impl AsyncFnOnce(&TenantId) -> Result<bool, Refusal>,
    ) -> Result<Self, OpenError> {
        let Some(tenant) = &self.tenant else {
            return Ok(self);
        };
        let may_name = self.user.may_name(tenant.as_str());
        let refusal = match exists(tenant).await {
            Ok(exists) if exists & may_name => return Ok(self),
            Err(unknown) if may_name => unknown,
            _ => no_tenant(tenant, &self.user),
        };
        Err(self.refuse(refusal).await)
    }

    /// Tells the client that it is in: `AuthenticationOk`, the parameters, its cancel key, `ReadyForQuery`.
    ///
    /// `key` has 4 bytes, or up to 256 from protocol 3.2 on.
    pub async fn accept<'a>(
        &mut self,
        parameters: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        pid: i32,
        key: &[u8],
    ) -> Result<(), OpenError> {
        let mut out = BytesMut::with_capacity(512);
        put(&Authentication::Ok, &mut out);
        for (name, value) in parameters {
            message::parameter_status(&mut out, name, value);
        }
        let key = SecretKey::Bytes(Bytes::copy_from_slice(key));
        put(&BackendKeyData::new(pid, key), &mut out);
        put(&ReadyForQuery::new(TransactionStatus::Idle), &mut out);
        self.stream.write_all(&out).await?;
        Ok(self.stream.flush().await?)
    }

    /// Turns the client away, and logs why.
    pub async fn refuse(mut self, refusal: Refusal) -> OpenError {
        let tenant = self.tenant.as_ref().map(TenantId::as_str);
        let who = Who { user: Some(&self.user.name), database: Some(&self.database), tenant };
        refusals::log(self.peer, who, &refusal);
        let mut out = BytesMut::new();
        refusal.encode(&mut out);
        say_goodbye(&mut self.stream, &out).await;
        refusal.into()
    }
}

/// The same words for a tenant that is not there and for one that is not this user's.
fn no_tenant(tenant: &TenantId, user: &User) -> Refusal {
    let message = format!("tenant \"{tenant}\" does not exist or user \"{}\" may not use it", user.name);
    Refusal::new(sqlstate::INVALID_AUTHORIZATION, message)
}

/// Writes the last words and closes. Whether the client still listens is its own affair.
pub(crate) async fn say_goodbye<S>(stream: &mut S, words: &[u8])
where
    S: AsyncWrite + Unpin,
{
    let _ = stream.write_all(words).await;
    let _ = stream.shutdown().await;
}
