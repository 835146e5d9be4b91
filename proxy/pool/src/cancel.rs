//! Cancelling what a server runs.
//!
//! See <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS>.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::SecretKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::connect::ConnectError;
use super::target::Target;
use crate::wire::startup::put;

/// PostgreSQL answers a request by closing, which takes it no time.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks PostgreSQL to cancel the query of the process `pid`, and waits until it has
/// taken note: only then can the next query of that server not be hit instead.
pub async fn send_cancel(target: &Target, pid: i32, key: &[u8]) -> Result<(), ConnectError> {
    let sent = timeout(LIMIT, request(target, pid, key)).await;
    sent.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

async fn request(target: &Target, pid: i32, key: &[u8]) -> Result<(), ConnectError> {
    let mut stream = target.dial().await?;
    let mut out = BytesMut::with_capacity(16 + key.len());
    put(&CancelRequest::new(pid, SecretKey::Bytes(Bytes::copy_from_slice(key))), &mut out);
    stream.write_all(&out).await?;
    stream.flush().await?;
    let mut rest = [0; 64];
    // However the connection ends: it is what was waited for.
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    Ok(())
}
