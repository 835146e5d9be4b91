//! The proof: a client shows that it is who it says it is.
//!
//! See <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>
//! and <https://www.postgresql.org/docs/current/sasl-authentication.html>.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use pgwire::error::PgWireError;
use pgwire::messages::startup::Authentication;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::{OpenError, violation};
use super::users::{Account, Proof, Users};
use super::verifier::Verifier;
use crate::config::User;
use crate::wire::refusal::{Refusal, sqlstate};
use crate::wire::startup::{put, take_text};

/// The longest message of a client that has not proven who it is.
const MAX_MESSAGE: usize = 64 * 1024;

/// Who wants in.
pub struct Candidate<'a> {
    /// The user's name in the configuration.
    pub user: &'a str,
    /// The name as the client wrote it, for the message that refuses it.
    pub as_sent: &'a str,
    /// All who exist.
    pub users: &'a Users,
    /// SCRAM over the client's TLS; `None` without TLS.
    pub tls: Option<&'a ScramServerAuth>,
}

/// Asks for a proof and checks it. `AuthenticationOk` is not sent yet.
///
/// A user that does not exist goes through the same exchange as one that logs in by the configured default, and gets
/// the same answer as one with a wrong password.
pub async fn authenticate<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
) -> Result<Arc<User>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let account = candidate.users.get(candidate.user);
    let mock;
    let proof = match account {
        Some(account) => &*account.proof,
        None => {
            mock = candidate.users.mock(candidate.user);
            &mock
        }
    };
    let proven = match proof {
        Proof::Trust => true,
        Proof::Scram(verifier) => scram(stream, buffer, candidate, verifier).await?,
        Proof::Md5(password) => md5(stream, buffer, candidate, password).await?,
        Proof::Password(verifier) => verifier.fits(&cleartext(stream, buffer, candidate).await?),
    };
    match account {
        Some(Account { user, .. }) if proven => Ok(Arc::clone(user)),
        _ => Err(wrong_password(candidate.as_sent).into()),
    }
}

fn wrong_password(name: &str) -> Refusal {
    let message = format!("password authentication failed for user \"{name}\"");
    Refusal::new(sqlstate::INVALID_PASSWORD, message)
}

async fn scram<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
    verifier: &Verifier,
) -> Result<bool, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let plain = ScramServerAuth::new();
    let server = candidate.tls.unwrap_or(&plain);
    let binds = server.supports_channel_binding();
    let mut mechanisms = vec![SCRAM_SHA_256.to_owned()];
    if binds {
        mechanisms.insert(0, SCRAM_SHA_256_PLUS.to_owned());
    }
    send(stream, &Authentication::SASL(mechanisms)).await?;

    let first = client_first(receive(stream, buffer).await?, binds)?;
    let (challenge, waiting) =
        server.on_client_first_message_with_secret(&first, verifier.secret()).map_err(|_| malformed())?;
    send(stream, &Authentication::SASLContinue(challenge.into())).await?;

    let last = receive(stream, buffer).await?;
    match waiting.on_client_final_message(&last) {
        Ok(signature) => {
            send(stream, &Authentication::SASLFinal(signature.into())).await?;
            Ok(true)
        }
        Err(PgWireError::InvalidPassword(_)) => Ok(false),
        Err(_) => Err(malformed()),
    }
}

/// The data of a `SASLInitialResponse`, whose mechanism must be one that was offered
/// and must agree with the data on whether there is channel binding.
fn client_first(message: Bytes, binds: bool) -> Result<Bytes, OpenError> {
    let mut rest = message.as_ref();
    let mechanism = take_text(&mut rest).ok_or_else(malformed)?;
    let plus = mechanism == SCRAM_SHA_256_PLUS.as_bytes();
    if !(plus && binds || mechanism == SCRAM_SHA_256.as_bytes()) {
        return Err(violation("client selected an invalid SASL authentication mechanism"));
    }
    let length = rest.try_get_i32().ok().and_then(|length| usize::try_from(length).ok());
    if length != Some(rest.len()) || plus != rest.starts_with(b"p=") {
        return Err(malformed());
    }
    Ok(message.slice_ref(rest))
}

fn malformed() -> OpenError {
    violation("malformed SCRAM message")
}

async fn md5<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
    password: &str,
) -> Result<bool, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let salt: [u8; 4] = rand::random();
    send(stream, &Authentication::MD5Password(salt.to_vec())).await?;
    let answer = password_text(&receive(stream, buffer).await?)?;
    // The client hashes the name that it sent, suffix and all.
    let expected = md5_hash(candidate.as_sent.as_bytes(), password.as_bytes(), salt);
    Ok(expected.as_bytes().ct_eq(answer.as_bytes()).into())
}

async fn cleartext<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
) -> Result<String, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if candidate.tls.is_none() {
        let message = format!("user \"{}\" can log in over TLS only", candidate.as_sent);
        return Err(Refusal::new(sqlstate::INVALID_AUTHORIZATION, message)
            .hint("Its password is sent as it is. Use sslmode=require or stricter.")
            .into());
    }
    send(stream, &Authentication::CleartextPassword).await?;
    password_text(&receive(stream, buffer).await?)
}

/// The text of a `PasswordMessage`.
fn password_text(message: &[u8]) -> Result<String, OpenError> {
    let mut rest = message;
    let text = take_text(&mut rest).filter(|_| rest.is_empty());
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    text.map(str::to_owned).ok_or_else(|| violation("invalid password packet"))
}

/// The body of the next message, which must be of the password family.
async fn receive<S>(stream: &mut S, buffer: &mut BytesMut) -> Result<Bytes, OpenError>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(body) = take_password(buffer)? {
            return Ok(body);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(OpenError::Closed);
        }
    }
}

/// Takes a `p` message out of `buffer`; its length is judged before the rest is waited for.
fn take_password(buffer: &mut BytesMut) -> Result<Option<Bytes>, OpenError> {
    match buffer.first() {
        Some(b'p') | None => {}
        Some(other) => {
            return Err(violation(format!("expected password response, got message type {other}")));
        }
    }
    let Some(length) = buffer.get(1..).and_then(|rest| rest.first_chunk()) else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(4..=MAX_MESSAGE).contains(&length) {
        return Err(violation("invalid length of password message"));
    }
    if buffer.len() <= length {
        return Ok(None);
    }
    let mut message = buffer.split_to(length + 1).freeze();
    message.advance(5);
    Ok(Some(message))
}

async fn send<S>(stream: &mut S, message: &Authentication) -> Result<(), OpenError>
where
    S: AsyncWrite + Unpin,
{
    let mut out = BytesMut::new();
    put(message, &mut out);
    stream.write_all(&out).await?;
    Ok(stream.flush().await?)
}
